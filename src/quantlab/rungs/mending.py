"""What to do about a refusal: the exact next command for the checks that a command can mend."""

from __future__ import annotations

from typing import Final

from quantlab.kernel.result import NextStep, Refusal
from quantlab.rungs.claims import holder_of
from quantlab.rungs.desk import Desk
from quantlab.storage.reader import Session
from quantlab.storage.writer import ROOT_FILE

_REVIEWER: Final = ("reviewer", "<reviewer>")
_REASON: Final = ("reason", "<reason>")
_NOTE: Final = ("note", "<reason>")


def mending_step(
    desk: Desk, refusals: tuple[Refusal, ...], session: Session, *, identity: str | None
) -> NextStep | None:
    """Return the next command for the first refusal that a command can mend, or None.

    ``identity`` is the account concerned, where it is known.
    """
    codes = {refusal.code for refusal in refusals}
    folder = str(session.folder)
    if "interlock_held" in codes and identity is not None:
        holder = holder_of(desk, desk.account_key(identity))
        if holder is not None:
            why = "an earlier order of this account may exist: end that unknown first"
            return NextStep(why=why, verb="reconcile", arguments=(holder.folder,))
    if "same_intent" in codes:
        end = "decline" if desk.corridor.begins_with == "validate" else "revoke"
        why = f"the same order has a session already: see every session, then go on with that one or {end} it"
        return NextStep(why=why, verb="list", arguments=(_root_of(desk, session),))
    if "halt_set" in codes:
        return NextStep(why="when the reason for the halt is gone", verb="resume", options=(_REVIEWER, _REASON))
    if codes & {"price_drift", "policy_unchanged"} and session.chain.records:
        verb = "decline" if desk.corridor.begins_with == "validate" else "revoke"
        why = f"this plan can not be sent any more: {verb} it, then {desk.corridor.begins_with} again"
        return NextStep(why=why, verb=verb, arguments=(folder,), options=(_REVIEWER, _NOTE))
    if "ledger_complete" in codes:
        why = "import the claims of this root first"
        return NextStep(why=why, verb="ledger rebuild", options=(("root", str(session.folder.parent)),))
    if codes & {"symbol_allowed", "max_order_notional", "daily_orders", "daily_notional", "promotion"}:
        return NextStep(why="see the limits in force; a person changes them in the policy file", verb="policy show")
    return None


def _root_of(desk: Desk, session: Session) -> str:
    """Return the root of a session; the corridor's own where the folder stands in none, as an outdir does."""
    root = session.folder.parent
    return str(root) if desk.disk.kind(root / ROOT_FILE) is not None else desk.corridor.default_root
