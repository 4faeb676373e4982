"""Reports in the form that records keep, and which of several readings counts."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest

from quantlab.model.execution import TERMINAL_STATES, FillReport, OrderReport
from quantlab.model.instrument import Balance
from quantlab.model.recorded import balance_evidence, fill_evidence, freshest, order_evidence
from tests.unit.evidence.built import BALANCE, BEGUN, FILL, ORDER

REPORT = OrderReport(
    venue_order_id="OABCDE-FGHIJ-KLMNOP",
    client_order_id="0123456789abcdef0123456789abcdef",
    venue_symbol="ETHUSD",
    side="buy",
    order_type="limit",
    size_base=Decimal("0.25000000"),
    limit_price=Decimal("2020.20"),
    filled_base=Decimal("0.25000000"),
    average_price=Decimal("2000.20"),
    cost_quote=Decimal("500.0500"),
    fee_quote=Decimal("2.00020"),
    state="filled",
    raw_state="closed",
    reason=None,
    opened_at=BEGUN,
    closed_at=BEGUN,
    fill_ids=("TABCDE-FGHIJ-KLMNOP",),
    source="ClosedOrders",
    read_at=BEGUN,
)


def test_an_order_as_recorded():
    """Decimals become canonical text and times RFC 3339 UTC; nothing else changes."""
    assert ORDER == order_evidence(REPORT)
    bare = msgspec.structs.replace(REPORT, limit_price=None, average_price=None, opened_at=None, closed_at=None)
    recorded = order_evidence(bare)
    assert (None, None, None, None) == (
        recorded.limit_price,
        recorded.average_price,
        recorded.opened_at,
        recorded.closed_at,
    )


def test_a_fill_as_recorded():
    """A fill keeps price, size, cost and fee exactly; an unknown time stays unknown."""
    report = FillReport(
        venue_fill_id="TABCDE-FGHIJ-KLMNOP",
        venue_order_id="OABCDE-FGHIJ-KLMNOP",
        side="buy",
        price=Decimal("2000.20"),
        size_base=Decimal("0.250"),
        cost_quote=Decimal("500.05"),
        fee=Decimal("2.00020"),
        fee_asset="USD",
        liquidity="taker",
        executed_at=BEGUN.astimezone(timezone(timedelta(hours=-3))),
    )
    assert FILL == fill_evidence(report)
    assert fill_evidence(msgspec.structs.replace(report, executed_at=None)).executed_at is None
    closing = fill_evidence(msgspec.structs.replace(report, closed_pnl=Decimal("-12.50")))
    assert ("-12.5", None) == (closing.closed_pnl, FILL.closed_pnl)


def test_a_balance_as_recorded():
    """Funds keep their exact figures."""
    assert BALANCE == balance_evidence(Balance(asset="USD", total=Decimal("1E3"), available=Decimal("1000.00")))


def test_terminal_is_what_cannot_change():
    """An order that is pending, open or of an unknown state may still change."""
    assert {"filled", "canceled", "expired", "rejected"} == TERMINAL_STATES
    assert REPORT.terminal
    assert not msgspec.structs.replace(REPORT, state="unrecognised").terminal


def reading(state: str, filled: str, minute: int):
    """Return one reading of an order."""
    at = f"2026-01-02T03:{minute:02d}:00.000000Z"
    return msgspec.structs.replace(ORDER, state=state, filled_base=filled, read_at=at)


@pytest.mark.parametrize(
    ("fresh", "stale"),
    [
        (reading("canceled", "0", 1), reading("open", "0", 2)),
        (reading("partially_filled", "0.1", 1), reading("open", "0", 2)),
        (reading("filled", "0.25", 1), reading("canceled", "0.1", 2)),
        (reading("partially_filled", "10", 1), reading("partially_filled", "9", 2)),
        (reading("open", "0", 2), reading("open", "0", 1)),
    ],
)
def test_stale_never_beats_fresh(fresh, stale):
    """An ended order never opens again and fills never shrink, in whatever order the readings came."""
    assert fresh == freshest((fresh, stale)) == freshest((stale, fresh))


def test_no_reading_is_none():
    """Without any reading there is no order."""
    assert freshest(()) is None


def test_times_of_reports_are_aware():
    """A naive time in a report is a defect and is not recorded."""
    with pytest.raises(ValueError, match="naive"):
        order_evidence(msgspec.structs.replace(REPORT, read_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the defect
    assert REPORT.read_at.tzinfo is UTC
