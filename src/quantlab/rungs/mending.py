"""What to do about a refusal: the exact next command for the checks that a command can mend."""

from __future__ import annotations

from typing import Final

from quantlab.kernel.result import NextStep, Refusal
from quantlab.rungs.claims import holder_of
from quantlab.rungs.desk import Desk
from quantlab.storage.reader import Session

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
        why = "the same order has a session already: see every session, then go on with that one or decline it"
        return NextStep(why=why, verb="list", arguments=(str(session.folder.parent),))
    if "halt_set" in codes:
        return NextStep(why="when the reason for the halt is gone", verb="resume", options=(_REVIEWER, _REASON))
    if codes & {"price_drift", "policy_unchanged"} and session.chain.records:
        why = "this plan can not be sent any more: decline it, then validate again"
        return NextStep(why=why, verb="decline", arguments=(folder,), options=(_REVIEWER, _NOTE))
    if "ledger_complete" in codes:
        why = "import the claims of this root first"
        return NextStep(why=why, verb="ledger rebuild", options=(("root", str(session.folder.parent)),))
    if codes & {"symbol_allowed", "max_order_notional", "daily_orders", "daily_notional", "promotion"}:
        return NextStep(why="see the limits in force; a person changes them in the policy file", verb="policy show")
    return None
