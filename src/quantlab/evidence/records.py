"""One frozen body type a record, shared by both venues. Each corridor has a table of file names for them.

Money, sizes and prices are canonical decimal text, times RFC 3339 UTC text; units end the names. ``plan_sha256``
stands in every record of a session that follows a plan, and must be the same in all of them.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from quantlab.evidence.preparatory import (
    AccountReadiness,
    Asked,
    Body,
    Certification,
    Preflight,
    ProbeAttempt,
    Readiness,
    SignedOrder,
)
from quantlab.model.execution import Reached, SignedAction, SubmitOutcome, WireExchange
from quantlab.model.lifecycle import ResolutionState
from quantlab.model.order import Plan
from quantlab.model.reconciliation import SearchPass
from quantlab.model.recorded import BalanceEvidence, Check, FillEvidence, OrderEvidence


class Validation(Body, frozen=True, kw_only=True):
    """The first record of a session: what was asked, every check, the venue's validate-only answer, the plan.

    ``outcome``: ``accepted`` (may be approved), ``denied`` (a check of ours), ``rejected`` (the venue said no),
    ``unreadable`` (no usable answer), ``unknown`` (the venue answered as if a real order had been placed).
    ``plan`` is null when a check failed before one could be made.
    """

    outcome: Literal["accepted", "denied", "rejected", "unreadable", "unknown"]
    asked: Asked
    plan: Plan | None
    plan_sha256: str | None
    intent_sha256: str | None
    checks: tuple[Check, ...]
    venue_description: str | None
    venue_errors: tuple[str, ...]
    ticket: tuple[str, ...]
    exchanges: tuple[WireExchange, ...]


class Approval(Body, frozen=True, kw_only=True):
    """A named person accepted the plan. ``basis`` says how: an approval of its own or confirmed at submit."""

    plan_sha256: str
    validation_sha256: str
    reviewer: str
    note: str
    basis: Literal["reviewed", "confirmed_at_submit"]
    identity_proof: Literal["asserted_name", "ssh_signature"]
    approved_at: str
    expires_at: str


class Decline(Body, frozen=True, kw_only=True):
    """A named person declined the plan. Final for this session."""

    plan_sha256: str
    reviewer: str
    note: str


class Revocation(Body, frozen=True, kw_only=True):
    """A named person took an approval back before anything was sent. Final for this session."""

    plan_sha256: str
    approval_sha256: str
    reviewer: str
    note: str


class Bundle(Body, frozen=True, kw_only=True):
    """The exact request frozen for the gate: ``order_text`` is what will be sent but for nonce and deadline."""

    plan_sha256: str
    validation_sha256: str
    approval_sha256: str
    order_text: str
    order_text_sha256: str
    ticket: tuple[str, ...]


class Gate(Body, frozen=True, kw_only=True):
    """The last look before a send: every check repeated, the venue's validate-only check repeated."""

    plan_sha256: str
    bundle_sha256: str
    approval_sha256: str
    reviewer: str
    note: str
    gate_allowed: bool
    expires_at: str
    checks: tuple[Check, ...]
    venue_description: str | None
    venue_errors: tuple[str, ...]
    exchanges: tuple[WireExchange, ...]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The account as it stood just before the send; reconciliation compares with it."""

    balances: tuple[BalanceEvidence, ...]
    open_orders: tuple[OrderEvidence, ...]
    control_order: OrderEvidence | None
    """An earlier closed order of this account: the positive control of every later search."""


class SubmitAttempt(Body, frozen=True, kw_only=True):
    """Durable before the socket opens: the exact bytes, nonce and deadline. Its existence means: maybe sent.

    Times named ``venue_…`` are on the venue's clock.
    """

    plan_sha256: str
    plan: Plan
    gate_sha256: str | None
    reviewer: str
    note: str
    account_identity: str
    signer_id: str
    client_order_id: str
    nonce: str
    venue_now_at: str
    deadline_at: str | None
    clock_offset_ms: int
    url: str
    body_text: str
    body_sha256: str
    snapshot: Snapshot
    checks: tuple[Check, ...]
    exchanges: tuple[WireExchange, ...]


class SubmitResponse(Body, frozen=True, kw_only=True):
    """What the one send ended with. ``rule`` names the row of the classification table that decided."""

    plan_sha256: str
    attempt_sha256: str | None
    outcome: SubmitOutcome
    venue_order_id: str | None
    venue_description: str | None
    venue_errors: tuple[str, ...]
    rule: str
    reached: Reached
    message: str
    exchanges: tuple[WireExchange, ...]


class Reconciliation(Body, frozen=True, kw_only=True):
    """Search for the order by its client order id; proof, or why there is none yet and when to look again.

    ``passes`` are the passes of this run only; earlier records hold the earlier ones, and they count together.
    """

    plan_sha256: str
    attempt_sha256: str
    resolution: ResolutionState
    order: OrderEvidence | None
    reasons: tuple[str, ...]
    assumptions: tuple[str, ...]
    passes: tuple[SearchPass, ...]
    earliest_next_at: str | None
    unverified: bool
    exchanges: tuple[WireExchange, ...]
    certification_sha256: str | None = None
    """The newest certification of the venue's assumptions that a ``not_landed`` rests on, if there is one."""


class StatusReport(Body, frozen=True, kw_only=True):
    """The order's state as the venue shows it now; ``order`` is null when the read failed or proves nothing."""

    plan_sha256: str
    attempt_sha256: str
    resolution: ResolutionState
    order: OrderEvidence | None
    read_failure: str | None
    unverified: bool
    exchanges: tuple[WireExchange, ...]


class FillSummary(Body, frozen=True, kw_only=True):
    """Every fill of the order, and their sums. ``complete`` means the sums equal the order's own filled size."""

    plan_sha256: str
    attempt_sha256: str
    order: OrderEvidence | None
    fills: tuple[FillEvidence, ...]
    filled_base: str | None
    average_price: str | None
    cost_quote: str | None
    fees: tuple[tuple[str, str], ...]
    complete: bool | None
    read_failure: str | None
    unverified: bool
    exchanges: tuple[WireExchange, ...]
    closed_pnl_quote: str | None = None
    """What closing a position brought, before fees; None where the venue does not say it of every fill."""
    requested_base: str | None = None
    """The size asked for: an immediate order whose rest was dropped can be filled with less."""


class Supervision(Body, frozen=True, kw_only=True):
    """What one watch saw: events with their source, how it ended, and the last proven order state."""

    plan_sha256: str
    attempt_sha256: str
    ended: Literal["terminal", "bound_reached", "interrupted", "unreadable"]
    bound_seconds: int
    order: OrderEvidence | None
    events: tuple[tuple[str, str, str], ...]
    """(time, source, what) — sources are ``stream`` and ``rest``."""
    stream_gaps: int
    exchanges: tuple[WireExchange, ...]


class CancelAttempt(Body, frozen=True, kw_only=True):
    """Durable before the cancel is sent; there may be several in a session, each with its own response."""

    plan_sha256: str
    attempt_sha256: str
    reviewer: str
    note: str
    basis_sha256: str
    venue_order_id: str | None
    client_order_id: str
    nonce: str
    signer_id: str
    url: str
    body_text: str
    body_sha256: str
    unverified: bool


class CancelResponse(Body, frozen=True, kw_only=True):
    """What the cancel request ended with, and what an order read afterwards proved, if anything."""

    plan_sha256: str
    cancel_attempt_sha256: str
    outcome: SubmitOutcome
    venue_errors: tuple[str, ...]
    rule: str
    reached: Reached
    order: OrderEvidence | None
    read_failure: str | None
    exchanges: tuple[WireExchange, ...]


class AdoptedAction(Body, frozen=True, kw_only=True):
    """The first record of a session whose order was signed before: the artifact word for word, and what it says.

    ``source_text`` is the exact text of the artifact, ``source_sha256`` its SHA-256, the one that the ledger kept when
    it was signed. Everything else is read out of it. ``burn`` is the signed action that uses the nonce up.
    """

    source_sha256: str
    source_text: str
    signature_state: Literal["signed"]
    asked: Asked
    plan: Plan
    plan_sha256: str
    intent_sha256: str
    nonce: str
    expires_at: str
    signed: SignedAction
    burn: SignedAction
    ticket: tuple[str, ...]


class SubmitDenial(Body, frozen=True, kw_only=True):
    """The last look before a send refused it: every check, passed or not. Nothing was sent."""

    plan_sha256: str
    reviewer: str
    note: str
    checks: tuple[Check, ...]
    exchanges: tuple[WireExchange, ...]


class BurnAttempt(Body, frozen=True, kw_only=True):
    """Durable before a burn is sent: the prepared action that uses up the nonce of the signed order."""

    plan_sha256: str
    action_sha256: str
    reviewer: str
    note: str
    nonce: str
    signer_id: str
    url: str
    body_text: str
    body_sha256: str
    unverified: bool


class BurnResponse(Body, frozen=True, kw_only=True):
    """What a burn ended with, and what it proves of the nonce before it. ``venue_at`` is the venue's clock after it.

    ``nonce_was``: ``unused`` (the order was never admitted and never will be), ``used`` (something with this nonce was
    admitted before, which can be an earlier burn), ``closed`` (it can not be admitted any more), ``nothing``.
    """

    plan_sha256: str
    burn_attempt_sha256: str
    outcome: SubmitOutcome
    nonce_was: Literal["unused", "used", "closed", "nothing"]
    venue_errors: tuple[str, ...]
    rule: str
    reached: Reached
    venue_at: str
    exchanges: tuple[WireExchange, ...]


class Resolution(Body, frozen=True, kw_only=True):
    """A person's recorded decision about an order that could not be proven. Not a proof."""

    plan_sha256: str
    attempt_sha256: str
    decision: Literal["landed", "not_landed"]
    reviewer: str
    note: str
    from_resolution: ResolutionState
    basis_sha256: str | None


class Incident(Body, frozen=True, kw_only=True):
    """Something that should not happen, kept where nobody can overlook it."""

    plan_sha256: str | None
    code: str
    message: str
    details: tuple[str, ...]


class Divergence(Body, frozen=True, kw_only=True):
    """How the venue's execution differed from what the paper session assumed."""

    plan_sha256: str
    paper_session: str
    figures: tuple[tuple[str, str, str], ...]
    """(figure, assumed, observed)"""


BODY_TYPES: Final[dict[str, type[Body]]] = {
    "quantlab.validation/1": Validation,
    "quantlab.approval/1": Approval,
    "quantlab.decline/1": Decline,
    "quantlab.revocation/1": Revocation,
    "quantlab.pre_submit_bundle/1": Bundle,
    "quantlab.submit_gate/1": Gate,
    "quantlab.submit_attempt/1": SubmitAttempt,
    "quantlab.submit_response/1": SubmitResponse,
    "quantlab.reconciliation/1": Reconciliation,
    "quantlab.order_status/1": StatusReport,
    "quantlab.fill_summary/1": FillSummary,
    "quantlab.supervision/1": Supervision,
    "quantlab.cancel_attempt/1": CancelAttempt,
    "quantlab.cancel_response/1": CancelResponse,
    "quantlab.resolution/1": Resolution,
    "quantlab.incident/1": Incident,
    "quantlab.divergence/1": Divergence,
    "quantlab.readiness/1": Readiness,
    "quantlab.preflight/1": Preflight,
    "quantlab.auth_preflight/1": AccountReadiness,
    "quantlab.account_readiness/1": AccountReadiness,
    "quantlab.signed_order/1": SignedOrder,
    "quantlab.adopted_action/1": AdoptedAction,
    "quantlab.submit_denial/1": SubmitDenial,
    "quantlab.burn_attempt/1": BurnAttempt,
    "quantlab.burn_response/1": BurnResponse,
    "quantlab.probe_attempt/1": ProbeAttempt,
    "quantlab.certification/1": Certification,
}
