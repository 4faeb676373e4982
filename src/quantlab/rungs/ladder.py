"""The ladder as a table: the exact next command of every state."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from quantlab.evidence.standing import Standing
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.result import NextStep
from quantlab.model.lifecycle import UNRESOLVED, SessionState

_FILL_IN: Final = "<reviewer>"


def next_step(standing: Standing, folder: Path, *, now: datetime) -> NextStep | None:
    """Return what the operator should run next for a session, or None when nothing is left to do."""
    session = str(folder)
    if standing.state in UNRESOLVED:
        return _unresolved_step(standing, session)
    expired = _expired_step(standing, session, now=now)
    if expired is not None:
        return expired
    if standing.fills_complete:
        root = str(folder.parent)
        return NextStep(why="the walk is complete; see the root's alerts", verb="alerts", arguments=(root,))
    why, verb, options = _STEPS.get(standing.state, (None, "", ()))
    if why is None:
        return None
    if verb == "begin":
        return begin_step(standing, why=why)
    return NextStep(why=why, verb=verb, arguments=(session,), options=options)


def begin_step(standing: Standing, *, why: str) -> NextStep:
    """Return the line that begins a fresh session of the same order, as the operator typed it."""
    verb = "validate" if standing.signed is None else "sign"
    return NextStep(why=why, verb=verb, options=_asked_options(standing))


def _asked_options(standing: Standing) -> tuple[tuple[str, str | None], ...]:
    asked = standing.asked
    if asked is None:
        return ()
    pairs: list[tuple[str, str | None]] = [
        ("symbol", asked.symbol),
        ("side", asked.side),
        ("quantity", asked.size_base),
        ("notional", asked.notional_quote),
        ("account-id", asked.account_label),
    ]
    if standing.signed is not None:
        pairs.append(("signer", standing.signed.body.signed.signer_address))
    for name, value in (
        ("order-type", asked.order_type),
        ("limit-price", asked.limit_price),
        ("time-in-force", asked.time_in_force),
    ):
        if value is not None:
            pairs.append((name, value))
    for name, given in (("post-only", asked.post_only), ("reduce-only", asked.reduce_only)):
        if given:
            pairs.append((name, None))
    return tuple(pairs)


def reconcile_step(session: str, *, why: str = "the order may exist: look for proof, never send again") -> NextStep:
    """Return the reconcile line of a session."""
    return NextStep(why=why, verb="reconcile", arguments=(session,))


def _unresolved_step(standing: Standing, session: str) -> NextStep:
    if standing.state == "not_found":
        return NextStep(
            why="every clean search came back empty; a person has to decide and say why",
            verb="resolve",
            arguments=(session,),
            options=(
                ("reviewer", _FILL_IN),
                ("confirm", None),
                ("decision", "<landed|not_landed>"),
                ("note", "<reason>"),
            ),
        )
    if standing.signed is not None and standing.burn is None and standing.searched:
        return NextStep(
            why="use the nonce up: that stops an order in flight, and proves it when none was admitted",
            verb="burn",
            arguments=(session,),
            options=(("reviewer", _FILL_IN), ("confirm", None)),
        )
    return reconcile_step(session)


def _expired_step(standing: Standing, session: str, *, now: datetime) -> NextStep | None:
    if standing.signed is not None:
        return _signed_step(standing, session, now=now)
    if standing.state not in {"approved", "bundled", "gated", "gate_denied"} or standing.approval is None:
        return None
    if now > parse_rfc3339(standing.approval.body.expires_at):
        return NextStep(
            why="the approval has run out; approve again if the order is still wanted",
            verb="approve",
            arguments=(session,),
            options=(("reviewer", _FILL_IN), ("note", "<note>")),
        )
    if standing.state == "gated" and standing.gate and now > parse_rfc3339(standing.gate.body.expires_at):
        return NextStep(why="the gate has run out; pass it again", verb="gate", arguments=(session,), options=_GATE)
    return None


def _signed_step(standing: Standing, session: str, *, now: datetime) -> NextStep | None:
    """Return the step of an order that was signed and not sent: submit it while the venue takes it, or sign again."""
    if standing.signed is None or standing.state not in {"signed", "approved"}:
        return None
    if now > parse_rfc3339(standing.signed.body.expires_at):
        return begin_step(standing, why="the signature has run out unsent; sign again if the order is still wanted")
    options: tuple[tuple[str, str | None], ...] = (("reviewer", _FILL_IN), ("confirm", None))
    return NextStep(
        why="submit once, before the signature runs out", verb="submit", arguments=(session,), options=options
    )


_GATE: Final[tuple[tuple[str, str | None], ...]] = (
    ("reviewer", _FILL_IN),
    ("confirm", None),
    ("note", "<note>"),
)
_SUBMIT: Final[tuple[tuple[str, str | None], ...]] = (
    ("reviewer", _FILL_IN),
    ("confirm", None),
    ("live", None),
    ("note", "<note>"),
)
_STEPS: Final[dict[SessionState, tuple[str | None, str, tuple[tuple[str, str | None], ...]]]] = {
    "validated": (
        "the venue accepts this order shape; inspect it, then approve or decline",
        "approve",
        (("reviewer", _FILL_IN), ("note", "<note>")),
    ),
    "validation_rejected": ("the venue refused this order shape; inspect it and adjust", "show", ()),
    "validation_denied": ("a check refused; see the refusals and adjust", "show", ()),
    "validation_unreadable": ("nothing was proven; validate again when the venue answers", "begin", ()),
    "approved": ("freeze the exact request", "bundle", ()),
    "bundled": ("pass the gate: every check once more", "gate", _GATE),
    "gate_denied": ("the gate refused; when the cause is mended, try it again", "gate", _GATE),
    "gated": ("submit once, before the gate runs out", "submit", _SUBMIT),
    "signed": (None, "", ()),
    "never_sent": ("nothing was sent; begin again with a new session", "begin", ()),
    "landed": ("read the order's state", "status", ()),
    "pending": ("watch the order", "supervise", ()),
    "open": ("watch the order until it ends, or cancel it", "supervise", ()),
    "partially_filled": ("watch the order until it ends, or cancel it", "supervise", ()),
    "filled": ("read every fill", "fills", ()),
    "canceled": ("read every fill: a canceled order may have traded", "fills", ()),
    "expired": ("read every fill: an expired order may have traded", "fills", ()),
    "rejected": ("the venue refused the order; inspect why before a new session", "show", ()),
    "decided_landed": ("decided by a person; keep asking the venue", "status", ()),
    "decided_not_landed": ("decided by a person; keep asking the venue", "status", ()),
    "not_landed": ("nothing was traded; begin again if the order is still wanted", "begin", ()),
    "declined": (None, "", ()),
    "revoked": (None, "", ()),
    "empty": (None, "", ()),
}
