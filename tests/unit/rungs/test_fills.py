"""Fills: every fill with its sums, compared with the order's own figure."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import FillSummary
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, quick_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


def test_the_fills_of_a_filled_order_add_up(bench: Bench) -> None:
    """Filled: each fill a row, sums equal to the order, fees by asset; the walk is complete."""
    session = bench.submitted()
    result = bench.fills(session)
    assert result.outcome == "done"
    body = result.data
    assert body.filled_base == "0.25"
    assert body.complete
    assert Decimal(body.average_price) == Decimal(body.cost_quote) / Decimal("0.25")
    assert sum(Decimal(one.fee) for one in body.fills) == sum(Decimal(fee) for _, fee in body.fees)
    assert len(body.fills) + 1 == len(result.table)
    assert ("Sum equals the order", "yes") in [(fact.label, fact.value) for fact in result.facts]
    assert bench.standing(session).fills_complete
    assert result.next.verb == "alerts"


def test_an_open_order_without_a_fill_says_so(bench: Bench) -> None:
    """Nothing traded: no row, no average price, and it is complete."""
    session = bench.resting()
    result = bench.fills(session)
    assert result.headline == "The venue shows no fill of this order."
    assert result.data.filled_base == "0"
    assert result.data.average_price is None
    assert result.table == ()
    assert ("Fees", "none") in [(fact.label, fact.value) for fact in result.facts]


def test_a_sum_that_differs_is_said(bench: Bench) -> None:
    """The fills do not add up to the order's figure: not complete, and said in the headline."""
    session = bench.submitted()
    bench.alterations["read_fills"] = lambda fills: tuple(
        msgspec.structs.replace(one, size_base=one.size_base / 2, fee_asset=None) for one in fills
    )
    result = bench.fills(session)
    assert result.data.complete is False
    assert "differs" in result.headline
    assert ("Sum equals the order", "no") in [(fact.label, fact.value) for fact in result.facts]
    assert [asset for asset, _ in result.data.fees] == ["?"]
    assert not bench.standing(session).fills_complete


def test_fills_without_a_time_are_shown(bench: Bench) -> None:
    """A fill whose time the venue does not say is a row all the same."""
    session = bench.submitted()
    bench.alterations["read_fills"] = lambda fills: tuple(
        msgspec.structs.replace(one, executed_at=None) for one in fills
    )
    assert bench.fills(session).table[1][-1] == "?"


@pytest.mark.parametrize("path", ["QueryOrders", "QueryTrades"])
def test_fills_that_can_not_be_read_are_no_claim(bench: Bench, path: str) -> None:
    """A failed read: exit 7, and nothing is said about whether it traded."""
    session = bench.submitted()
    bench.world.fault("http_error", path, count=9)
    result = bench.fills(session)
    assert result.outcome == "unreadable"
    assert "says nothing" in result.headline
    assert result.data.filled_base is None
    assert result.data.complete is None
    assert codes(result) == ["venue_unreadable"]


def test_an_order_that_is_not_shown_now_is_no_claim(bench: Bench) -> None:
    """An accepted order that the venue does not show: exit 7."""
    session = bench.submitted()
    bench.world.fault("stale_reads", value=3600)
    assert bench.fills(session).outcome == "unreadable"


def test_an_order_that_vanishes_between_two_reads_is_no_claim(bench: Bench) -> None:
    """Found by its client id and then not shown by its own: unreadable, nothing invented."""
    session = bench.unknown("drop_after_accept")
    bench.alterations["read_order"] = lambda order: None
    result = bench.fills(session)
    assert result.outcome == "unknown"
    assert codes(result) == ["venue_unreadable"]


def test_an_unknown_order_without_a_trace_stays_unknown(bench: Bench) -> None:
    """Nothing shown for a client id: exit 4."""
    session = bench.unknown("drop_before_read")
    assert bench.fills(session).outcome == "unknown"
    assert bench.session(session).chain.newest(FillSummary).body.read_failure is None


def test_an_unknown_order_that_traded_is_landed_by_its_fills(bench: Bench) -> None:
    """The order found by its client id brings its fills: landed."""
    session = bench.unknown("drop_after_accept")
    result = bench.fills(session)
    assert result.outcome == "done"
    assert bench.standing(session).state == "filled"
    assert bench.held() == ()


def test_a_damaged_session_shows_its_fills_and_is_marked(bench: Bench) -> None:
    """Unverified: the fills are read and recorded, exit 5, interlock untouched."""
    session = bench.unknown("drop_after_accept")
    damage(session)
    result = bench.fills(session)
    assert result.outcome == "unverified"
    assert result.data.unverified
    assert result.data.filled_base == "0.25"
    assert len(bench.held()) == 1
