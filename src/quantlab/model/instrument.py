"""Instruments and prices: symbols as operators write them, increments, quotes, balances.

All sizes are in base currency units and all prices in quote currency units, as ``Decimal``.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Final, Literal

import msgspec

_EXACT_DIGITS: Final = 100
"""Enough for the quotient of any two numbers of 28 digits that differ by a sensible power of ten."""

MarketMode = Literal["online", "cancel_only", "post_only", "limit_only", "reduce_only", "maintenance", "unknown"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A market of a venue and the rules its orders must keep.

    ``symbol`` is ours (``ETH-USD``), ``venue_symbol`` the venue's canonical name, ``venue_symbol_aliases`` every
    other spelling under which the venue may report an order of this market. ``base_asset`` and ``quote_asset`` are
    our names (``ETH``, ``USD``). Where the venue bounds the ``significant_figures`` of a price, the grid coarsens with
    the price's magnitude, never beyond whole units, and ``price_increment`` is its finest step.
    """

    symbol: str
    venue_symbol: str
    venue_symbol_aliases: tuple[str, ...]
    base_asset: str
    quote_asset: str
    price_increment: Decimal
    price_decimals: int
    size_increment: Decimal
    size_decimals: int
    minimum_size: Decimal
    minimum_cost: Decimal
    taker_fee_bps: Decimal
    mode: MarketMode
    significant_figures: int | None = None
    margined: bool = False
    """Whether orders are carried by margin in the quote asset; the base asset is then a position, long or short."""

    def price_toward_safety(self, price: Decimal, *, buying: bool) -> Decimal:
        """Return ``price`` on the tick grid, moved so that it is never worse than given."""
        return _to_grid(price, self._price_step(price), up=not buying)

    def nearest_sizes(self, size: Decimal) -> tuple[Decimal, Decimal]:
        """Return the nearest valid sizes below and above ``size``; below is at least the minimum size."""
        below = _to_grid(size, self.size_increment, up=False)
        above = _to_grid(size, self.size_increment, up=True)
        return max(below, self.minimum_size), max(above, self.minimum_size)

    def nearest_prices(self, price: Decimal) -> tuple[Decimal, Decimal]:
        """Return the nearest valid prices below and above ``price``."""
        step = self._price_step(price)
        return _to_grid(price, step, up=False), _to_grid(price, step, up=True)

    def _price_step(self, price: Decimal) -> Decimal:
        """Return the distance of valid prices around ``price``."""
        if self.significant_figures is None:
            return self.price_increment
        coarse = Decimal(1).scaleb(price.adjusted() + 1 - self.significant_figures)
        return max(self.price_increment, min(coarse, Decimal(1)))


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The best prices of a book, with the venue-side or local time they were read at."""

    bid: Decimal
    ask: Decimal
    read_at: datetime

    def taking(self, *, buying: bool) -> Decimal:
        """Return the price a taker meets: the ask when buying, the bid when selling."""
        return self.ask if buying else self.bid


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One price of a book and the size that rests there."""

    price: Decimal
    size_base: Decimal


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """The levels of a book that the venue showed, best first, and when we read them (our clock)."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    read_at: datetime

    def worst_price(self, size_base: Decimal, *, buying: bool) -> Decimal | None:
        """Return the price of the last level that a taker of the whole size touches; None when too little is shown.

        ``size_base`` is above zero. The book may go on below what was shown, so None is no word about the market.
        """
        left = size_base
        with localcontext(prec=_EXACT_DIGITS):
            for level in self.asks if buying else self.bids:
                left -= level.size_base
                if left <= 0:
                    return level.price
        return None

    def flaw(self) -> str | None:
        """Return what shows that this is no book, or None: a level of nothing, a disorder, crossed sides."""
        if any(level.price <= 0 or level.size_base <= 0 for level in (*self.bids, *self.asks)):
            return "a level of the book has a price or a size that is not above zero"
        bids, asks = [level.price for level in self.bids], [level.price for level in self.asks]
        if bids != sorted(bids, reverse=True) or asks != sorted(asks):
            return "the levels of the book are not best first"
        if bids and asks and bids[0] >= asks[0]:
            return f"the book is crossed: bid {bids[0]}, ask {asks[0]}"
        return None


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Funds of one asset: everything held, and what no open order holds back. Our asset names."""

    asset: str
    total: Decimal
    available: Decimal


class SystemStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's own word on its state, mapped to ours, with the raw word kept."""

    mode: MarketMode
    raw: str


class VenueTime(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's clock beside ours. ``offset_ms`` is venue minus ours; it is known to ``resolution_ms``."""

    venue_at: datetime
    local_at: datetime
    offset_ms: int
    resolution_ms: int


def _to_grid(value: Decimal, increment: Decimal, *, up: bool) -> Decimal:
    # A quotient cut to the usual 28 digits could land on the wrong side of the price that was asked for.
    with localcontext(prec=_EXACT_DIGITS):
        steps = (value / increment).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
        return steps * increment
