"""Looking for one order at the venue: what is sought, one search pass, and the order's own report. Only reads.

A read that fails is never "absent": it makes the pass unclean. An order found by our client order id counts only
when it equals the plan on market, side, size, type, price and time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import msgspec

from quantlab.evidence.chain import Chain
from quantlab.evidence.records import Incident, SubmitAttempt
from quantlab.evidence.standing import Standing
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.kernel.errors import Busy, Denied
from quantlab.model.execution import NOT_ADMITTED, FillReport, OrderReport
from quantlab.model.instrument import Balance
from quantlab.model.order import Plan
from quantlab.model.reconciliation import MATCH_WINDOW_SECONDS, ProofTerms, SearchPass, mismatches_of
from quantlab.model.recorded import OrderEvidence, order_evidence
from quantlab.rungs.desk import Desk
from quantlab.storage.ledger import Sent
from quantlab.storage.writer import SessionWriter
from quantlab.venues.port import VenueReadFailed

T = TypeVar("T")
FALLBACK_DEADLINE_SECONDS = 60


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """The order that is looked for. Times are on the venue's clock. ``attempt_sha256`` names the basis record."""

    plan: Plan
    plan_sha256: str
    attempt_sha256: str
    attempted_at: datetime
    deadline_at: datetime
    signer_id: str | None
    control: OrderEvidence | None
    balances: dict[str, str]
    order_ids_before: frozenset[str]


def sought_of(chain: Chain, standing: Standing, sent: Sent | None = None) -> Sought | None:
    """Return what to look for: from the attempt record, or from the plan where there is none to be read.

    The plan serves when a validation was answered as an order, when the ledger knows the plan as ``sent`` although the
    attempt is missing or damaged, and when an order that was signed and not sent is being burned. Returns None when
    nothing was sent.
    """
    attempt = chain.newest(SubmitAttempt)
    if attempt is not None:
        body = attempt.body
        attempted_at = parse_rfc3339(body.venue_now_at)
        fallback = rfc3339(attempted_at + timedelta(seconds=FALLBACK_DEADLINE_SECONDS))
        return Sought(
            plan=body.plan,
            plan_sha256=body.plan_sha256,
            attempt_sha256=attempt.sha256,
            attempted_at=attempted_at,
            deadline_at=parse_rfc3339(body.deadline_at or fallback),
            signer_id=body.signer_id,
            control=body.snapshot.control_order,
            balances={one.asset: one.total for one in body.snapshot.balances},
            order_ids_before=frozenset(one.venue_order_id for one in body.snapshot.open_orders),
        )
    first = standing.validation or standing.signed
    if standing.plan is None or standing.plan_sha256 is None or first is None:
        return None
    if sent is None and not standing.unresolved and standing.resolution is None:
        return None
    newest_at = parse_rfc3339(sent.spent_at if sent is not None else chain.records[-1].envelope.recorded_at)
    signed = standing.signed
    return Sought(
        plan=standing.plan,
        plan_sha256=standing.plan_sha256,
        attempt_sha256=first.sha256,
        attempted_at=parse_rfc3339(standing.plan.planned_at),
        deadline_at=parse_rfc3339(signed.body.expires_at)
        if signed is not None
        else newest_at + timedelta(seconds=FALLBACK_DEADLINE_SECONDS),
        signer_id=signed.body.signed.signer_address if signed is not None else (sent.signer_id if sent else None),
        control=None,
        balances={},
        order_ids_before=frozenset(),
    )


def proof_terms(desk: Desk, standing: Standing, sought: Sought) -> ProofTerms:
    """Return from when on empty searches count for a session, and what the venue itself said of its order."""
    burn = standing.burn
    is_closed = burn is not None and burn.body.nonce_was in {"unused", "closed"}
    never_admitted = None
    if burn is not None and burn.body.nonce_was == "unused":
        never_admitted = "nonce_was_unused"
    elif burn is not None and burn.body.nonce_was == "used":
        # Something with this nonce was admitted, perhaps the order from other hands: no earlier statement holds.
        never_admitted = None
    elif standing.response is not None and standing.response.body.rule.startswith(NOT_ADMITTED):
        never_admitted = "refused_before_admission"
    elif standing.attempt is None and standing.signed is not None:
        never_admitted = "never_sent_by_us"
    return ProofTerms(
        deadline_at=sought.deadline_at,
        margin_seconds=desk.corridor.deadline_margin_seconds,
        settle_seconds=desk.settings.settle_seconds,
        closed_at=parse_rfc3339(burn.body.venue_at) if burn is not None and is_closed else None,
        never_admitted=never_admitted,
    )


def require_sent(sought: Sought | None, standing: Standing) -> Sought:
    """Return what is sought.

    Raises:
        Denied: nothing was ever sent from this session.
    """
    if sought is None:
        message = f"Nothing was sent from this session (state {standing.state}), so there is nothing to look for."
        raise Denied(message, code="nothing_sent", measured=standing.state, limit="an attempt record")
    return sought


class _Collector:
    """Runs reads, keeping the failures apart from the values."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def get(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (VenueReadFailed, Busy) as failure:
            self.failures.append(f"{name}: {failure.message}")
            return None


def quick_pass(desk: Desk, sought: Sought) -> SearchPass:
    """Ask the open and the closed orders for our client order id: enough to prove that the order landed."""
    collector = _Collector()
    orders = _by_client_id(desk, sought, collector)
    return _pass(desk, sought, collector, orders=orders, online=None)


def full_pass(desk: Desk, sought: Sought) -> SearchPass:
    """Search every view once: filtered and unfiltered orders, fills, balances, and the positive control."""
    collector = _Collector()
    reads = desk.reads
    orders = _by_client_id(desk, sought, collector)
    status = collector.get("system status", reads.read_system_status)
    open_orders = collector.get("open orders", reads.read_open_orders)
    since = sought.attempted_at - timedelta(seconds=MATCH_WINDOW_SECONDS)
    closed_since = since
    if sought.control is not None and sought.control.opened_at is not None:
        closed_since = min(since, parse_rfc3339(sought.control.opened_at) - timedelta(seconds=1))
    closed = collector.get("closed orders", lambda: reads.read_closed_orders(since=closed_since))
    fills = collector.get("fills", lambda: reads.read_account_fills(since=since))
    balances = collector.get("balances", reads.read_balances)
    found = _pass(desk, sought, collector, orders=orders, online=status.mode == "online" if status else False)
    if open_orders is None or closed is None or fills is None or balances is None:
        return found
    everything = (*open_orders, *closed)
    ours = tuple(one for one in everything if one.client_order_id == sought.plan.client_order_id)
    found = _with_orders(found, sought, ours)
    return msgspec.structs.replace(
        found,
        control_found=_control_found(sought, closed),
        suspicious=_suspicious(desk, sought, everything, fills, balances),
        foreign_changes=_foreign(sought, everything, since),
    )


def read_known_order(desk: Desk, standing: Standing, sought: Sought) -> OrderEvidence | None:
    """Return the order's report by its venue order id, or by our client order id when no id is known.

    Returns None when the venue cleanly shows none now: that proves nothing.

    Raises:
        VenueReadFailed: the read gave no usable answer.
    """
    venue_order_id = standing.venue_order_id
    if venue_order_id is not None:
        report = desk.reads.read_order(venue_order_id)
        return order_evidence(report) if report is not None else None
    collector = _Collector()
    orders = _by_client_id(desk, sought, collector)
    if collector.failures:
        raise VenueReadFailed(collector.failures[0], kind="no_answer", errors=tuple(collector.failures))
    found = _with_orders(_pass(desk, sought, collector, orders=(), online=None), sought, orders)
    return found.matches[0] if len(found.matches) == 1 and not found.mismatches else None


def note_incident(desk: Desk, writer: SessionWriter, *, plan_sha256: str, code: str, message: str) -> None:
    """Append an incident unless the same one stands in the session already."""
    known = {(record.body.code, record.body.message) for record in writer.session.chain.all(Incident)}
    if (code, message) not in known:
        desk.append(writer, Incident(plan_sha256=plan_sha256, code=code, message=message, details=()))


def _by_client_id(desk: Desk, sought: Sought, collector: _Collector) -> tuple[OrderReport, ...]:
    client_order_id = sought.plan.client_order_id
    since = sought.attempted_at - timedelta(seconds=MATCH_WINDOW_SECONDS)
    open_orders = collector.get(
        "open orders by client order id",
        lambda: desk.reads.read_open_orders(client_order_id=client_order_id),
    )
    closed = collector.get(
        "closed orders by client order id",
        lambda: desk.reads.read_closed_orders(since=since, client_order_id=client_order_id),
    )
    return (*(open_orders or ()), *(closed or ()))


def _pass(
    desk: Desk,
    sought: Sought,
    collector: _Collector,
    *,
    orders: tuple[OrderReport, ...],
    online: bool | None,
) -> SearchPass:
    time = collector.get("time", desk.reads.read_time)
    empty = SearchPass(
        full=online is not None,
        venue_at=rfc3339(time.venue_at if time is not None else desk.clock.now()),
        clean=not collector.failures,
        venue_online=online is True,
        fence_set=not collector.failures and desk.reads.fence_holds(sought.signer_id),
        matches=(),
        mismatches=(),
        control_found=None if sought.control is None else False,
        suspicious=(),
        foreign_changes=(),
        failures=tuple(collector.failures),
    )
    return _with_orders(empty, sought, orders)


def _with_orders(found: SearchPass, sought: Sought, orders: tuple[OrderReport, ...]) -> SearchPass:
    matches = {one.venue_order_id: one for one in found.matches}
    mismatches = set(found.mismatches)
    for report in orders:
        evidence = order_evidence(report)
        differences = mismatches_of(sought.plan, evidence, attempted_at=sought.attempted_at)
        if differences:
            mismatches.add(f"order {report.venue_order_id}: {', '.join(differences)}")
        else:
            matches[report.venue_order_id] = evidence
    return msgspec.structs.replace(found, matches=tuple(matches.values()), mismatches=tuple(sorted(mismatches)))


def _control_found(sought: Sought, closed: tuple[OrderReport, ...]) -> bool | None:
    if sought.control is None:
        return None
    return any(one.venue_order_id == sought.control.venue_order_id for one in closed)


def _suspicious(
    desk: Desk,
    sought: Sought,
    orders: tuple[OrderReport, ...],
    fills: tuple[FillReport, ...],
    balances: tuple[Balance, ...],
) -> tuple[str, ...]:
    known = {one.venue_order_id for one in orders} | sought.order_ids_before
    orphans = sorted({one.venue_order_id for one in fills} - known)
    doubts = [f"a fill of order {one}, which no view of the orders shows" for one in orphans]
    if not fills and sought.balances:
        now = {one.asset: one.total for one in balances}
        moved = {
            asset: (Decimal(sought.balances.get(asset, "0")), now.get(asset, Decimal(0)))
            for asset in desk.reads.assets_moved_by(sought.plan)
        }
        doubts.extend(
            f"{asset} was {before}, is {after}, and no fill explains it"
            for asset, (before, after) in moved.items()
            if before != after
        )
    return tuple(doubts)


def _foreign(sought: Sought, orders: tuple[OrderReport, ...], since: datetime) -> tuple[str, ...]:
    return tuple(
        f"order {one.venue_order_id}: {one.side} {one.size_base} {one.venue_symbol}, {one.state}"
        for one in orders
        if one.client_order_id != sought.plan.client_order_id
        and one.venue_order_id not in sought.order_ids_before
        and one.opened_at is not None
        and one.opened_at > since
    )
