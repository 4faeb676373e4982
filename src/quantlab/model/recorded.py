"""Values in the form that records keep: decimals as canonical text, times as RFC 3339 text."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.clock import rfc3339
from quantlab.model.execution import TERMINAL_STATES, FillReport, OrderReport, OrderState
from quantlab.model.instrument import Balance


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check with its measured value and its limit, passed or not."""

    code: str
    passed: bool
    measured: str
    limit: str
    message: str


class OrderEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """An order status report as recorded: decimals and times as text, with its source view and reading time."""

    venue_order_id: str
    client_order_id: str | None
    venue_symbol: str
    side: str
    order_type: str
    size_base: str
    limit_price: str | None
    filled_base: str
    average_price: str | None
    cost_quote: str
    fee_quote: str
    state: OrderState
    raw_state: str
    reason: str | None
    opened_at: str | None
    closed_at: str | None
    fill_ids: tuple[str, ...]
    source: str
    read_at: str


class FillEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fill as recorded."""

    venue_fill_id: str
    venue_order_id: str
    side: str
    price: str
    size_base: str
    cost_quote: str
    fee: str
    fee_asset: str | None
    liquidity: str
    executed_at: str | None
    closed_pnl: str | None = None


class BalanceEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Funds of one asset as recorded."""

    asset: str
    total: str
    available: str


def order_evidence(report: OrderReport) -> OrderEvidence:
    """Return the recorded form of an order status report."""
    return OrderEvidence(
        venue_order_id=report.venue_order_id,
        client_order_id=report.client_order_id,
        venue_symbol=report.venue_symbol,
        side=report.side,
        order_type=report.order_type,
        size_base=decimal_text(report.size_base),
        limit_price=_decimal_or_none(report.limit_price),
        filled_base=decimal_text(report.filled_base),
        average_price=_decimal_or_none(report.average_price),
        cost_quote=decimal_text(report.cost_quote),
        fee_quote=decimal_text(report.fee_quote),
        state=report.state,
        raw_state=report.raw_state,
        reason=report.reason,
        opened_at=_time_or_none(report.opened_at),
        closed_at=_time_or_none(report.closed_at),
        fill_ids=report.fill_ids,
        source=report.source,
        read_at=rfc3339(report.read_at),
    )


def fill_evidence(report: FillReport) -> FillEvidence:
    """Return the recorded form of a fill report."""
    return FillEvidence(
        venue_fill_id=report.venue_fill_id,
        venue_order_id=report.venue_order_id,
        side=report.side,
        price=decimal_text(report.price),
        size_base=decimal_text(report.size_base),
        cost_quote=decimal_text(report.cost_quote),
        fee=decimal_text(report.fee),
        fee_asset=report.fee_asset,
        liquidity=report.liquidity,
        executed_at=_time_or_none(report.executed_at),
        closed_pnl=_decimal_or_none(report.closed_pnl),
    )


def balance_evidence(balance: Balance) -> BalanceEvidence:
    """Return the recorded form of a balance."""
    return BalanceEvidence(
        asset=balance.asset, total=decimal_text(balance.total), available=decimal_text(balance.available)
    )


def freshest(orders: tuple[OrderEvidence, ...]) -> OrderEvidence | None:
    """Return the evidence that is furthest along: an ended order never opens again, and fills never shrink.

    Among equals the latest reading wins. A stale view of the venue read later therefore never beats a fresh one.
    """
    return max(orders, key=_progress, default=None)


def _progress(order: OrderEvidence) -> tuple[bool, Decimal, str]:
    return (order.state in TERMINAL_STATES, Decimal(order.filled_base), order.read_at)


def _decimal_or_none(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


def _time_or_none(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)
