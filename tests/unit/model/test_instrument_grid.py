"""Grids hold for any number: never worse than asked, always valid, and exact however many digits."""

from decimal import Decimal

import hypothesis
import msgspec
from hypothesis import strategies as st

from quantlab.model.instrument import Instrument
from tests.strategies import PLAIN_NUMBERS, POSITIVE

ETH = Instrument(
    symbol="ETH-USD",
    venue_symbol="ETH/USD",
    venue_symbol_aliases=("ETHUSD", "XETHZUSD"),
    base_asset="ETH",
    quote_asset="USD",
    price_increment=Decimal("0.01"),
    price_decimals=2,
    size_increment=Decimal("0.00000001"),
    size_decimals=8,
    minimum_size=Decimal("0.002"),
    minimum_cost=Decimal("0.5"),
    taker_fee_bps=Decimal(40),
    mode="online",
)
INCREMENTS = st.sampled_from(["0.00000001", "0.01", "0.05", "0.1", "0.25", "1", "3", "10", "0.0003"]).map(Decimal)


@hypothesis.given(price=PLAIN_NUMBERS.map(Decimal), increment=INCREMENTS)
def test_a_price_moved_to_the_grid_is_never_worse(price, increment):
    """Buying never pays more and selling never takes less than asked, by less than one tick, on the grid."""
    market = msgspec.structs.replace(ETH, price_increment=increment)
    buying = market.price_toward_safety(price, buying=True)
    selling = market.price_toward_safety(price, buying=False)
    assert price - increment < buying <= price <= selling < price + increment
    assert (0, 0) == (buying % increment, selling % increment)
    assert (buying, selling) == market.nearest_prices(price)


def test_the_grid_is_exact_beyond_the_usual_digits():
    """A number of 28 digits is not rounded up on its way to the grid."""
    price = Decimal("9999999999999999999999999.999")
    market = msgspec.structs.replace(ETH, price_increment=Decimal("0.0003"))
    assert Decimal("9999999999999999999999999.9990") == market.price_toward_safety(price, buying=True)
    assert price > market.price_toward_safety(Decimal("9999999999999999999999999.9989"), buying=True)


@hypothesis.given(POSITIVE)
def test_nearest_sizes_keep_the_minimum(size):
    """Both nearest sizes are tradable, and they enclose the size asked for where it is large enough."""
    below, above = ETH.nearest_sizes(size)
    assert ETH.minimum_size <= below <= above
    if size >= ETH.minimum_size:
        assert below <= size <= above
        assert above - below <= ETH.size_increment
