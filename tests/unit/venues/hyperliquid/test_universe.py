"""The price and size rules of every market that was ever recorded, against the documented rule written out again."""

import random
from decimal import Decimal

import pytest

from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import codec, symbols
from tests.unit.venues.hyperliquid.recordings import answer_of

PERP_DECIMALS, SPOT_DECIMALS = 6, 8
PRICES = 40


def is_price(price: Decimal, decimals: int) -> bool:
    """Return whether the venue takes a price: whole, or at most five significant figures and so many decimals."""
    price = price.normalize()
    _, digits, exponent = price.as_tuple()
    if exponent >= 0:
        return True
    return -exponent <= decimals and len(digits) <= 5


def hold_to_the_rule(instrument, size_decimals: int, most_decimals: int, chance: random.Random) -> None:
    """Compare the instrument's grids with the rule, on prices of every magnitude."""
    decimals = most_decimals - size_decimals
    assert Decimal(1).scaleb(-size_decimals) == instrument.size_increment
    for _ in range(PRICES):
        price = Decimal(chance.randrange(1, 10**8)).scaleb(chance.randrange(-10, 3))
        low, high = instrument.nearest_prices(price)
        assert (low == high == price) == is_price(price, decimals), (instrument.symbol, price)
        assert low <= price <= high
        for near in (low, high):
            assert near == 0 or is_price(near, decimals), (instrument.symbol, price, near)
        size = Decimal(chance.randrange(1, 10**9)).scaleb(-9)
        below, above = instrument.nearest_sizes(size)
        for near in (below, above):
            assert -near.normalize().as_tuple().exponent <= size_decimals
        fits = -size.normalize().as_tuple().exponent <= size_decimals
        assert (size in {below, above}) == fits


@pytest.mark.parametrize("index", [0, 1])
def test_every_perp_keeps_the_rule(index):
    """Each entry of the universe: its decimals, its grid, and, where delisted, no new orders."""
    meta = answer_of("24_info_meta.json", index)
    chance = random.Random(24)
    assert meta["universe"]
    for asset, row in enumerate(meta["universe"]):
        instrument = codec.parse_perp(meta, row["name"].upper())
        assert asset == symbols.asset_in(instrument.venue_symbol_aliases)
        assert ("cancel_only" if row.get("isDelisted") else "online") == instrument.mode
        hold_to_the_rule(instrument, row["szDecimals"], PERP_DECIMALS, chance)


def test_every_spot_pair_keeps_the_rule():
    """Each pair of the universe whose tokens are listed, asked for by its index."""
    meta = answer_of("26_info_spotMeta.json")
    tokens = {token["index"]: token for token in meta["tokens"]}
    chance = random.Random(26)
    checked = 0
    for row in meta["universe"]:
        name = f"@{row['index']}"
        if not all(index in tokens for index in row["tokens"]):
            with pytest.raises(BadAnswer):
                codec.parse_spot(meta, name)
            continue
        base = tokens[row["tokens"][0]]
        instrument = codec.parse_spot(meta, name)
        assert 10_000 + row["index"] == symbols.asset_in(instrument.venue_symbol_aliases)
        hold_to_the_rule(instrument, base["szDecimals"], SPOT_DECIMALS, chance)
        checked += 1
    assert checked
