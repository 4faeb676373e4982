"""How a session stands, derived from its records alone. Pure; the derived files and every rung use this one reading.

A crash after the attempt leaves no outcome: that *is* unknown, read by the same code as a timeout.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quantlab.evidence.chain import B, Chain, Record, backward_clock
from quantlab.evidence.preparatory import Asked, Body
from quantlab.evidence.records import (
    AdoptedAction,
    Approval,
    Bundle,
    BurnAttempt,
    BurnResponse,
    Decline,
    FillSummary,
    Gate,
    Incident,
    Reconciliation,
    Resolution,
    Revocation,
    SubmitAttempt,
    SubmitResponse,
    Validation,
)
from quantlab.model.execution import TERMINAL_STATES
from quantlab.model.lifecycle import UNRESOLVED, VALIDATE_INCIDENT, ResolutionState, SessionState
from quantlab.model.order import Plan
from quantlab.model.recorded import OrderEvidence, freshest

_ORDER_STATES: Final[dict[str, SessionState]] = {
    "pending": "pending",
    "open": "open",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "unrecognised": "landed",
}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the records of one session say, taken together.

    ``order`` is the evidence that is furthest along, whichever rung read it. ``resolution`` is None before an
    attempt. ``outcome`` is the send's own outcome, None while there is none.
    """

    state: SessionState
    plan: Plan | None
    plan_sha256: str | None
    validation: Record[Validation] | None
    signed: Record[AdoptedAction] | None
    """The order signed before, in a session whose order is signed first and sent later."""
    approval: Record[Approval] | None
    bundle: Record[Bundle] | None
    gate: Record[Gate] | None
    attempt: Record[SubmitAttempt] | None
    response: Record[SubmitResponse] | None
    burn: Record[BurnResponse] | None
    """The burn that tells most of the nonce: the first that proved something, else the last."""
    outcome: str | None
    resolution: ResolutionState | None
    order: OrderEvidence | None
    searched: bool
    """Whether a reconciliation has looked for the order."""
    decided: Record[Resolution] | None
    incidents: tuple[Record[Incident], ...]
    fills_complete: bool
    """Whether the newest fill summary was read to the end and equals the ended order's own figure."""
    latest_at: str | None

    @property
    def asked(self) -> Asked | None:
        """Return what the operator typed, if a record holds it."""
        first = self.validation or self.signed
        return None if first is None else first.body.asked

    @property
    def ticket(self) -> tuple[str, ...]:
        """Return the order's ticket as shown before it was sent."""
        first = self.validation or self.signed
        return () if first is None else first.body.ticket

    @property
    def unresolved(self) -> bool:
        """Return whether an order may exist without proof or decision."""
        return self.state in UNRESOLVED

    @property
    def venue_order_id(self) -> str | None:
        """Return the venue's order id as far as any record knows it."""
        if self.order is not None:
            return self.order.venue_order_id
        return self.response.body.venue_order_id if self.response is not None else None


def standing_of(chain: Chain) -> Standing:
    """Return how the session of a chain stands."""
    validation = chain.newest(Validation)
    attempt = chain.newest(SubmitAttempt)
    approval = chain.newest(Approval)
    response = chain.newest(SubmitResponse)
    bundle = _after(chain.newest(Bundle), approval)
    orders = _orders(chain)
    signed = chain.newest(AdoptedAction)
    first = validation or signed
    maybe_sent = attempt is not None or chain.newest(BurnAttempt) is not None or _validate_incident(chain)
    resolution = _resolution(chain, orders) if maybe_sent else None
    if attempt is None and response is not None:
        # Signed bytes can be sent by whoever holds them: an order that is seen has landed, also if we never sent it.
        resolution = "landed" if orders else "never_sent"
    order = freshest(orders)
    return Standing(
        state=_state(chain, resolution, order),
        plan=first.body.plan if first else None,
        plan_sha256=first.body.plan_sha256 if first else None,
        validation=validation,
        signed=signed,
        approval=approval,
        bundle=bundle,
        gate=_after(chain.newest(Gate), bundle),
        attempt=attempt,
        response=response,
        burn=_telling_burn(chain),
        outcome=response.body.outcome if response else None,
        resolution=resolution,
        order=order,
        searched=chain.newest(Reconciliation) is not None,
        decided=chain.newest(Resolution),
        incidents=chain.all(Incident),
        fills_complete=_fills_complete(chain, order),
        latest_at=chain.records[-1].envelope.recorded_at if chain.records else None,
    )


def derived_files(chain: Chain) -> dict[str, Any]:
    """Return the derived files of a session: names and documents. They can be deleted and rebuilt."""
    standing = standing_of(chain)
    first = chain.records[0].envelope if chain.records else None
    metadata = {
        "schema": "quantlab.session_metadata/1",
        "session_id": first.session_id if first else None,
        "environment": first.environment if first else None,
        "state_id": first.state_id if first else None,
        "begun_at": first.recorded_at if first else None,
        "venue": standing.plan.venue if standing.plan else None,
        "symbol": standing.plan.symbol if standing.plan else None,
        "side": standing.plan.side if standing.plan else None,
        "size_base": standing.plan.size_base if standing.plan else None,
        "client_order_id": standing.plan.client_order_id if standing.plan else None,
        "plan_sha256": standing.plan_sha256,
    }
    status = {
        "schema": "quantlab.session_status/1",
        "session_id": first.session_id if first else None,
        "state": standing.state,
        "outcome": standing.outcome,
        "resolution": standing.resolution,
        "unresolved": standing.unresolved,
        "venue_order_id": standing.venue_order_id,
        "order": standing.order,
        "records": [{"file": record.file_name, "sha256": record.sha256} for record in chain.records],
        "incidents": [record.body.code for record in standing.incidents],
        "clock_went_backward_at": list(backward_clock(chain)),
        "latest_at": standing.latest_at,
    }
    return {"session_metadata.json": metadata, "session_status.json": status}


def _orders(chain: Chain) -> tuple[OrderEvidence, ...]:
    orders: list[OrderEvidence] = []
    for record in chain.records:
        order = getattr(record.body, "order", None)
        if isinstance(order, OrderEvidence):
            orders.append(order)
    return tuple(orders)


def _resolution(chain: Chain, orders: tuple[OrderEvidence, ...]) -> ResolutionState:
    response = chain.newest(SubmitResponse)
    outcome = response.body.outcome if response is not None else "unknown"
    if orders or outcome == "accepted":
        return "landed"
    if outcome == "rejected":
        return "rejected"
    if outcome == "never_sent":
        return "never_sent"
    if chain.newest(Resolution) is not None:
        return "decided"
    burn = _telling_burn(chain)
    if chain.newest(SubmitAttempt) is None and burn is not None and burn.body.nonce_was == "unused":
        # Never sent by us, and the venue had admitted nothing with its nonce: there is nothing left to search for.
        return "not_landed"
    # The newest reconciliation alone decides between unknown and not found: an incident takes a not_found back.
    last = chain.newest(Reconciliation)
    return last.body.resolution if last is not None else "unknown"


def _telling_burn(chain: Chain) -> Record[BurnResponse] | None:
    burns = chain.all(BurnResponse)
    # The first answer about the nonce's past stands: what a venue says later it may say because it forgot.
    for told in ({"unused", "used"}, {"closed"}):
        first = next((one for one in burns if one.body.nonce_was in told), None)
        if first is not None:
            return first
    return burns[-1] if burns else None


def _fills_complete(chain: Chain, order: OrderEvidence | None) -> bool:
    summary = chain.newest(FillSummary)
    if summary is None or order is None or order.state not in TERMINAL_STATES:
        return False
    return summary.body.complete is True and summary.body.filled_base == order.filled_base


def _validate_incident(chain: Chain) -> bool:
    validation = chain.newest(Validation)
    return (validation is not None and validation.body.outcome == "unknown") or any(
        record.body.code == VALIDATE_INCIDENT for record in chain.all(Incident)
    )


def _state(chain: Chain, resolution: ResolutionState | None, order: OrderEvidence | None) -> SessionState:
    if resolution is None:
        return _state_before_send(chain)
    if resolution == "not_landed" and chain.newest(SubmitAttempt) is None:
        return "revoked"
    if resolution == "landed":
        return _ORDER_STATES[order.state] if order is not None else "landed"
    if resolution == "decided":
        decided = chain.newest(Resolution)
        return "decided_landed" if decided and decided.body.decision == "landed" else "decided_not_landed"
    simple: dict[ResolutionState, SessionState] = {
        "rejected": "rejected",
        "never_sent": "never_sent",
        "not_found": "not_found",
        "not_landed": "not_landed",
        "unknown": "unresolved",
    }
    return simple[resolution]


_BY_VALIDATION: Final[dict[str, SessionState]] = {
    "accepted": "validated",
    "denied": "validation_denied",
    "rejected": "validation_rejected",
    "unreadable": "validation_unreadable",
}


def _state_before_send(chain: Chain) -> SessionState:
    state: SessionState = "empty"
    for record in chain.records:
        state = _step(state, record.body)
    return state


def _step(state: SessionState, body: Body) -> SessionState:
    match body:
        case Validation(outcome=outcome):
            return _BY_VALIDATION.get(outcome, "unresolved")
        case AdoptedAction():
            return "signed"
        case Approval():
            return "approved"
        case Decline():
            return "declined"
        case Revocation():
            return "revoked"
        case Bundle():
            return "bundled"
        case Gate(gate_allowed=allowed):
            return "gated" if allowed else "gate_denied"
        case _:
            return state


def _after(record: Record[B] | None, earlier: Record[Any] | None) -> Record[B] | None:
    """Return the record only if it is newer than ``earlier``: a bundle of an older approval does not count."""
    if record is None or earlier is None or record.envelope.sequence < earlier.envelope.sequence:
        return None
    return record
