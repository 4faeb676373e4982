"""One body of every record type with fixed values, a fixed clock and entropy, and records made of them."""

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from quantlab.evidence.chain import Chain, read_chain
from quantlab.evidence.envelope import record_bytes, record_file_name
from quantlab.evidence.preparatory import AccountReadiness, Asked, Body, Input, Preflight, Readiness
from quantlab.evidence.records import (
    BODY_TYPES,
    Approval,
    Bundle,
    CancelAttempt,
    CancelResponse,
    Decline,
    Divergence,
    FillSummary,
    Gate,
    Incident,
    Reconciliation,
    Resolution,
    Revocation,
    Snapshot,
    StatusReport,
    SubmitAttempt,
    SubmitResponse,
    Supervision,
    Validation,
)
from quantlab.kernel import canonical
from quantlab.model.execution import WireExchange
from quantlab.model.order import Plan, Promotion, intent_digest, plan_digest
from quantlab.model.reconciliation import SearchPass
from quantlab.model.recorded import BalanceEvidence, FillEvidence, OrderEvidence
from tests.unit.evidence import signed
from tests.unit.evidence.fixed import (
    AT,
    BEGUN,
    CHECK,
    CLIENT_ORDER_ID,
    LATER,
    SESSION_ID,
    SHA,
    STATE_ID,
    envelope,
)


class FixedClock:
    """A clock that moves only when it is told to, or slept on."""

    def __init__(self, at: datetime = BEGUN) -> None:
        self.at = at
        self.slept_ms = 0

    def now(self) -> datetime:
        return self.at

    def monotonic_ns(self) -> int:
        return self.slept_ms * 1_000_000

    def sleep_ms(self, milliseconds: int) -> None:
        self.slept_ms += milliseconds
        self.at += timedelta(milliseconds=milliseconds)


class FixedEntropy:
    """Always the same bytes."""

    def token_bytes(self, count: int) -> bytes:
        return b"\xff" * count


PLAN = Plan(
    venue="kraken",
    environment="rehearsal",
    account_identity="AA00 N84G 0000 0000",
    account_label="acct_demo",
    symbol="ETH-USD",
    venue_symbol="ETH/USD",
    side="buy",
    order_type="limit",
    size_base="0.25",
    limit_price="2020.2",
    worst_price="2020.2",
    time_in_force="ioc",
    post_only=False,
    reduce_only=False,
    notional_quote="505.05",
    reference_price="2000.2",
    client_order_id=CLIENT_ORDER_ID,
    session_id=SESSION_ID,
    order_text="pair=ETHUSD&type=buy&volume=0.25",
    policy_sha256=SHA,
    promotion=Promotion(source="rationale", rationale="a first small order"),
    planned_at=AT,
    venue_symbol_aliases=("ETHUSD", "XETHZUSD"),
)
PLAN_SHA = plan_digest(PLAN)

EXCHANGE = WireExchange(
    purpose="balances",
    method="POST",
    url="http://127.0.0.1:9/0/private/BalanceEx",
    request_headers=(("API-Key", "[redacted]"),),
    request_body="nonce=1",
    request_body_sha256=canonical.sha256_hex(b"nonce=1"),
    reached="answered",
    status=200,
    response_headers=(("content-type", "application/json"),),
    response_body='{"error":[]}',
    response_body_base64=None,
    response_body_sha256=canonical.sha256_hex(b'{"error":[]}'),
    fault=None,
    started_at=AT,
    ended_at=AT,
    duration_us=1500,
)
ORDER = OrderEvidence(
    venue_order_id="OABCDE-FGHIJ-KLMNOP",
    client_order_id=CLIENT_ORDER_ID,
    venue_symbol="ETHUSD",
    side="buy",
    order_type="limit",
    size_base="0.25",
    limit_price="2020.2",
    filled_base="0.25",
    average_price="2000.2",
    cost_quote="500.05",
    fee_quote="2.0002",
    state="filled",
    raw_state="closed",
    reason=None,
    opened_at=AT,
    closed_at=AT,
    fill_ids=("TABCDE-FGHIJ-KLMNOP",),
    source="ClosedOrders",
    read_at=AT,
)
FILL = FillEvidence(
    venue_fill_id="TABCDE-FGHIJ-KLMNOP",
    venue_order_id="OABCDE-FGHIJ-KLMNOP",
    side="buy",
    price="2000.2",
    size_base="0.25",
    cost_quote="500.05",
    fee="2.0002",
    fee_asset="USD",
    liquidity="taker",
    executed_at=AT,
)
BALANCE = BalanceEvidence(asset="USD", total="1000", available="1000")
PASS = SearchPass(
    venue_at=AT,
    full=True,
    clean=True,
    venue_online=True,
    fence_set=True,
    matches=(),
    mismatches=(),
    control_found=True,
    suspicious=(),
    foreign_changes=("USD 1000 is now 900",),
    failures=(),
)


def _account(**changes: Any) -> AccountReadiness:
    return AccountReadiness(
        **{
            "readiness_allowed": True,
            "venue": "kraken",
            "account_identity": "AA00 N84G 0000 0000",
            "account_label": "acct_demo",
            "permissions": ("query-funds", "modify-trades"),
            "balances": (BALANCE,),
            "open_orders": (ORDER,),
            "reasons": (),
            "checks": (CHECK,),
            "exchanges": (EXCHANGE,),
        }
        | changes
    )


_ASKED = Asked(
    symbol="ETH-USD",
    side="buy",
    size_base="0.25",
    notional_quote="500",
    account_label="acct_demo",
    order_type=None,
    limit_price=None,
    time_in_force=None,
    post_only=False,
)
BODIES: dict[str, Body] = {
    "quantlab.validation/1": Validation(
        outcome="accepted",
        asked=_ASKED,
        plan=PLAN,
        plan_sha256=PLAN_SHA,
        intent_sha256=intent_digest(PLAN),
        checks=(CHECK,),
        venue_description="buy 0.25000000 ETHUSD @ limit 2020.20",
        venue_errors=(),
        ticket=("BUY 0.25 ETH-USD", "at most 2020.2"),
        exchanges=(EXCHANGE,),
    ),
    "quantlab.approval/1": Approval(
        plan_sha256=PLAN_SHA,
        validation_sha256=SHA,
        reviewer="marce",
        note="Approved after validate-only review: größer \U0001f4c8 \x7f",
        basis="reviewed",
        identity_proof="asserted_name",
        approved_at=AT,
        expires_at=LATER,
    ),
    "quantlab.decline/1": Decline(plan_sha256=PLAN_SHA, reviewer="marce", note="too large"),
    "quantlab.revocation/1": Revocation(plan_sha256=PLAN_SHA, approval_sha256=SHA, reviewer="marce", note="news came"),
    "quantlab.pre_submit_bundle/1": Bundle(
        plan_sha256=PLAN_SHA,
        validation_sha256=SHA,
        approval_sha256=SHA,
        order_text=PLAN.order_text,
        order_text_sha256=canonical.sha256_hex(PLAN.order_text.encode()),
        ticket=("BUY 0.25 ETH-USD",),
    ),
    "quantlab.submit_gate/1": Gate(
        plan_sha256=PLAN_SHA,
        bundle_sha256=SHA,
        approval_sha256=SHA,
        reviewer="marce",
        note="ready",
        gate_allowed=True,
        expires_at=LATER,
        checks=(CHECK,),
        venue_description="buy 0.25000000 ETHUSD @ limit 2020.20",
        venue_errors=(),
        exchanges=(EXCHANGE,),
    ),
    "quantlab.submit_attempt/1": SubmitAttempt(
        plan_sha256=PLAN_SHA,
        plan=PLAN,
        gate_sha256=SHA,
        reviewer="marce",
        note="once",
        account_identity=PLAN.account_identity,
        signer_id=SHA,
        client_order_id=CLIENT_ORDER_ID,
        nonce="1767323045678901000",
        venue_now_at=AT,
        deadline_at=LATER,
        clock_offset_ms=-3,
        url="http://127.0.0.1:9/0/private/AddOrder",
        body_text="nonce=1767323045678901000&pair=ETHUSD",
        body_sha256=SHA,
        snapshot=Snapshot(balances=(BALANCE,), open_orders=(), control_order=ORDER),
        checks=(CHECK,),
        exchanges=(EXCHANGE,),
    ),
    "quantlab.submit_response/1": SubmitResponse(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        outcome="accepted",
        venue_order_id="OABCDE-FGHIJ-KLMNOP",
        venue_description="buy 0.25000000 ETHUSD @ limit 2020.20",
        venue_errors=(),
        rule="txid",
        reached="answered",
        message="The venue accepted the order.",
        exchanges=(EXCHANGE,),
    ),
    "quantlab.reconciliation/1": Reconciliation(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        resolution="not_found",
        order=None,
        reasons=("searches_empty",),
        assumptions=("K1", "K2"),
        passes=(PASS,),
        earliest_next_at=None,
        unverified=False,
        exchanges=(EXCHANGE,),
    ),
    "quantlab.order_status/1": StatusReport(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        resolution="landed",
        order=ORDER,
        read_failure=None,
        unverified=False,
        exchanges=(EXCHANGE,),
    ),
    "quantlab.fill_summary/1": FillSummary(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        order=ORDER,
        fills=(FILL,),
        filled_base="0.25",
        average_price="2000.2",
        cost_quote="500.05",
        fees=(("USD", "2.0002"),),
        complete=True,
        read_failure=None,
        unverified=False,
        exchanges=(EXCHANGE,),
    ),
    "quantlab.supervision/1": Supervision(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        ended="terminal",
        bound_seconds=60,
        order=ORDER,
        events=((AT, "stream", "filled 0.25"),),
        stream_gaps=1,
        exchanges=(EXCHANGE,),
    ),
    "quantlab.cancel_attempt/1": CancelAttempt(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        reviewer="marce",
        note="enough",
        basis_sha256=SHA,
        venue_order_id=None,
        client_order_id=CLIENT_ORDER_ID,
        nonce="1767323045678901001",
        signer_id=SHA,
        url="http://127.0.0.1:9/0/private/CancelOrder",
        body_text="nonce=1767323045678901001",
        body_sha256=SHA,
        unverified=True,
    ),
    "quantlab.cancel_response/1": CancelResponse(
        plan_sha256=PLAN_SHA,
        cancel_attempt_sha256=SHA,
        outcome="unknown",
        venue_errors=("EService:Unavailable",),
        rule="unlisted",
        reached="answered",
        order=None,
        read_failure="timed out",
        exchanges=(EXCHANGE,),
    ),
    "quantlab.resolution/1": Resolution(
        plan_sha256=PLAN_SHA,
        attempt_sha256=SHA,
        decision="not_landed",
        reviewer="marce",
        note="looked by hand",
        from_resolution="not_found",
        basis_sha256=SHA,
    ),
    "quantlab.incident/1": Incident(
        plan_sha256=None, code="late_find", message="found after the decision", details=("OABCDE-FGHIJ-KLMNOP",)
    ),
    "quantlab.divergence/1": Divergence(
        plan_sha256=PLAN_SHA, paper_session="20260101T000000Z-eth", figures=(("price", "2000", "2000.2"),)
    ),
    "quantlab.readiness/1": Readiness(
        ready=False,
        corridor="hyperliquid",
        corridor_chosen_by="auto",
        environment_source="unset",
        state_folder="state",
        ledger_id=STATE_ID,
        interlocks=(),
        unresolved_sessions=(SESSION_ID,),
        halted=True,
        halt_reason="drill",
        policy_source="the built-in defaults",
        policy_sha256=SHA,
        inputs=(Input(name="KRAKEN_API_KEY", present=False, needed=True),),
        runbook_sha256=SHA,
        checks=(CHECK,),
    ),
    "quantlab.preflight/1": Preflight(
        preflight_passed=True,
        venue="kraken",
        transports=("rest", "websocket"),
        symbol="ETH-USD",
        instrument=(("price_increment", "0.01"),),
        quote=(("bid", "1999.8"), ("ask", "2000.2")),
        checks=(CHECK,),
        exchanges=(EXCHANGE,),
    ),
    "quantlab.auth_preflight/1": _account(readiness_allowed=False, reasons=("no funds",), account_identity=None),
    "quantlab.account_readiness/1": _account(),
    "quantlab.signed_order/1": signed.SIGNED_ORDER,
    "quantlab.adopted_action/1": signed.ADOPTED,
    "quantlab.submit_denial/1": signed.SUBMIT_DENIAL,
    "quantlab.burn_attempt/1": signed.BURN_ATTEMPT,
    "quantlab.burn_response/1": signed.BURN_RESPONSE,
    "quantlab.probe_attempt/1": signed.PROBE_ATTEMPT,
    "quantlab.certification/1": signed.CERTIFICATION,
}

LATER_KEYS = {
    "quantlab.account_readiness/1": ("details",),
    "quantlab.auth_preflight/1": ("details",),
    "quantlab.fill_summary/1": ("closed_pnl_quote", "requested_base", "fills.closed_pnl"),
    "quantlab.preflight/1": ("details",),
    "quantlab.reconciliation/1": ("certification_sha256",),
    "quantlab.validation/1": ("asked.reduce_only",),
}
"""Keys that a released version gained later: they have a default, so a record without them is still read."""

_DETAILS = (("Account role", "user"),)
WITH_LATER_KEYS: dict[str, Body] = {
    "quantlab.account_readiness/1": _account(details=_DETAILS),
    "quantlab.auth_preflight/1": _account(details=_DETAILS),
    "quantlab.fill_summary/1": replace(
        BODIES["quantlab.fill_summary/1"],
        fills=(replace(FILL, closed_pnl="-1.25"),),
        closed_pnl_quote="-1.25",
        requested_base="0.25",
    ),
    "quantlab.preflight/1": replace(BODIES["quantlab.preflight/1"], details=_DETAILS),
    "quantlab.reconciliation/1": replace(
        BODIES["quantlab.reconciliation/1"],
        resolution="not_landed",
        reasons=("nonce_was_unused", "searches_empty"),
        certification_sha256=SHA,
    ),
    "quantlab.validation/1": replace(BODIES["quantlab.validation/1"], asked=replace(_ASKED, reduce_only=True)),
}
"""The same bodies with a value in each key that came later."""


def name_of(schema: str) -> str:
    """Return a file name for a schema's records."""
    return schema.removeprefix("quantlab.").split("/")[0]


def schema_of_body(body: Body) -> str:
    """Return the schema of a body; account records are account_readiness."""
    return [schema for schema, body_type in BODY_TYPES.items() if body_type is type(body)][-1]


def files_of(*bodies: Body, **changes: Any) -> list[tuple[str, bytes]]:
    """Return record files of these bodies, chained."""
    files: list[tuple[str, bytes]] = []
    previous = canonical.ZERO_SHA256
    for sequence, body in enumerate(bodies, start=1):
        schema = schema_of_body(body)
        head = envelope(schema, **({"sequence": sequence, "previous_sha256": previous} | changes))
        raw = record_bytes(head, body)
        previous = canonical.sha256_hex(raw)
        files.append((record_file_name(sequence, name_of(schema)), raw))
    return files


def chain_of(*bodies: Body, **changes: Any) -> Chain:
    """Return the verified chain of these bodies."""
    return read_chain(files_of(*bodies, **changes), expected_session_id=SESSION_ID)
