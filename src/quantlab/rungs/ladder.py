"""The ladder as a table: the corridors with their artifact names, and the exact next command of every state."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.records import (
    AccountReadiness,
    Approval,
    Body,
    Bundle,
    CancelAttempt,
    CancelResponse,
    Decline,
    Divergence,
    FillSummary,
    Gate,
    Incident,
    Preflight,
    Readiness,
    Reconciliation,
    Resolution,
    Revocation,
    StatusReport,
    SubmitAttempt,
    SubmitResponse,
    Supervision,
    Validation,
)
from quantlab.evidence.standing import Standing
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.result import NextStep
from quantlab.model.lifecycle import UNRESOLVED, SessionState


class Corridor(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's corridor: where its sessions stand, and the file name of each record type."""

    venue: str
    default_root: str
    names: dict[type[Body], str]
    further_names: frozenset[str] = frozenset()
    """Names of records that share a body type with another."""


KRAKEN: Final = Corridor(
    venue="kraken",
    default_root="outputs/broker_order_validations",
    names={
        Validation: "broker_order_validate",
        Approval: "approval",
        Decline: "decline",
        Revocation: "revocation",
        Bundle: "broker_pre_submit_bundle",
        Gate: "broker_submit_gate",
        SubmitAttempt: "broker_submit_attempt",
        SubmitResponse: "broker_submit_response",
        Reconciliation: "broker_reconciliation",
        StatusReport: "broker_order_status",
        FillSummary: "broker_fill_summary",
        Supervision: "broker_supervision",
        CancelAttempt: "broker_cancel_attempt",
        CancelResponse: "broker_cancel_response",
        Resolution: "resolution",
        Incident: "incident",
        Divergence: "divergence",
        Preflight: "broker_preflight",
        AccountReadiness: "kraken_account_readiness",
        Readiness: "broker_evidence_readiness",
    },
    further_names=frozenset({"kraken_auth_preflight"}),
)

CORRIDORS: Final[dict[str, Corridor]] = {KRAKEN.venue: KRAKEN}

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
    if verb == "validate":
        return NextStep(why=why, verb="validate", options=validate_options(standing))
    return NextStep(why=why, verb=verb, arguments=(session,), options=options)


def validate_options(standing: Standing) -> tuple[tuple[str, str | None], ...]:
    """Return the options of a fresh validate line for the same order, as the operator typed it."""
    if standing.validation is None:
        return ()
    asked = standing.validation.body.asked
    pairs: list[tuple[str, str | None]] = [
        ("symbol", asked.symbol),
        ("side", asked.side),
        ("quantity", asked.size_base),
        ("notional", asked.notional_quote),
        ("account-id", asked.account_label),
    ]
    if asked.order_type is not None:
        pairs.append(("order-type", asked.order_type))
    if asked.limit_price is not None:
        pairs.append(("limit-price", asked.limit_price))
    if asked.time_in_force is not None:
        pairs.append(("time-in-force", asked.time_in_force))
    if asked.post_only:
        pairs.append(("post-only", None))
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
    return reconcile_step(session)


def _expired_step(standing: Standing, session: str, *, now: datetime) -> NextStep | None:
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
    "validation_unreadable": ("nothing was proven; validate again when the venue answers", "validate", ()),
    "approved": ("freeze the exact request", "bundle", ()),
    "bundled": ("pass the gate: every check once more", "gate", _GATE),
    "gate_denied": ("the gate refused; when the cause is mended, try it again", "gate", _GATE),
    "gated": ("submit once, before the gate runs out", "submit", _SUBMIT),
    "never_sent": ("nothing was sent; begin again with a new session", "validate", ()),
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
    "not_landed": (None, "", ()),
    "declined": (None, "", ()),
    "revoked": (None, "", ()),
    "empty": (None, "", ()),
}
