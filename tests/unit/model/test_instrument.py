"""Grids of sizes and prices: exact, never worse than asked, and coarser for larger prices where figures count."""

from decimal import Decimal

import msgspec
import pytest

from quantlab.model.instrument import Instrument, Quote

PLAIN = Instrument(
    symbol="ETH-USD",
    venue_symbol="XETHZUSD",
    venue_symbol_aliases=(),
    base_asset="ETH",
    quote_asset="USD",
    price_increment=Decimal("0.01"),
    price_decimals=2,
    size_increment=Decimal("0.001"),
    size_decimals=3,
    minimum_size=Decimal("0.002"),
    minimum_cost=Decimal("0.5"),
    taker_fee_bps=Decimal(40),
    mode="online",
)
FIGURES = msgspec.structs.replace(PLAIN, price_increment=Decimal("0.0001"), price_decimals=4, significant_figures=5)


def _texts(prices):
    return [f"{price.normalize():f}" for price in prices]


def test_a_plain_grid_is_the_same_at_every_price():
    """Without a bound on figures the increment is the step, whatever the price."""
    assert ["123456.78", "123456.79"] == _texts(PLAIN.nearest_prices(Decimal("123456.789")))
    assert ["0.01", "0.02"] == _texts(PLAIN.nearest_prices(Decimal("0.0123")))


@pytest.mark.parametrize(
    ("price", "below", "above"),
    [
        ("0.00019", "0.0001", "0.0002"),
        ("1.23456", "1.2345", "1.2346"),
        ("12.34567", "12.345", "12.346"),
        ("2010.57", "2010.5", "2010.6"),
        ("9.99999", "9.9999", "10"),
        ("99999.5", "99999", "100000"),
        ("123456", "123456", "123456"),
        ("123456.7", "123456", "123457"),
        ("0", "0", "0"),
    ],
)
def test_figures_coarsen_the_grid_but_never_beyond_whole_units(price, below, above):
    """Five figures, at most four decimals, and whole numbers always."""
    assert [below, above] == _texts(FIGURES.nearest_prices(Decimal(price)))


@pytest.mark.parametrize("instrument", [PLAIN, FIGURES])
def test_a_worst_price_is_never_worse_than_given(instrument):
    """A buyer's is moved down, a seller's up, onto the grid of its own size."""
    price = Decimal("2010.5678")
    down = instrument.price_toward_safety(price, buying=True)
    up = instrument.price_toward_safety(price, buying=False)
    assert down < price < up
    assert (down, up) == instrument.nearest_prices(price)
    assert (down, down) == instrument.nearest_prices(down)


def test_sizes_keep_the_minimum():
    """The nearest sizes lie on the grid, and never under the least that is taken."""
    assert ["1.234", "1.235"] == _texts(PLAIN.nearest_sizes(Decimal("1.2345")))
    assert ["0.002", "0.002"] == _texts(PLAIN.nearest_sizes(Decimal("0.0005")))


def test_a_taker_meets_the_other_side():
    """Buying meets the ask, selling the bid."""
    from datetime import UTC, datetime

    quote = Quote(bid=Decimal(1), ask=Decimal(2), read_at=datetime(2026, 9, 3, tzinfo=UTC))
    assert (Decimal(2), Decimal(1)) == (quote.taking(buying=True), quote.taking(buying=False))
