"""A moving order book that is a pure function of seed, market and time.

Prices are drawn by value noise in whole numbers: four waves of different
length, each bounded, so that a market never leaves its band (0.43 % around its
anchor) however far the clock is advanced, and the same seed and time give the
same book on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Final

import msgspec

NS: Final = 1_000_000_000
STEP_NS: Final = NS
"""The book changes once a second; within a second it stands still."""

_WAVES: Final = ((21_600, 2_200), (1_800, 1_200), (120, 600), (10, 300))
"""(length in seconds, height in parts per million) of each wave."""

_UNIT: Final = 1_000_000
MAX_SAMPLES: Final = 3_600
"""Most points in time at which one search for a crossing looks."""

BUY: Final = "buy"


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """What the book of one market is drawn from."""

    name: str
    anchor: Decimal
    """Price in quote units around which the market moves."""
    tick: Decimal
    size_step: Decimal = Decimal("0.001")
    """Increment of displayed sizes in base units."""


class Level(msgspec.Struct, frozen=True):
    """One price level."""

    price: Decimal
    size: Decimal


class Book(msgspec.Struct, frozen=True):
    """Both sides, best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def against(self, side: str) -> tuple[Level, ...]:
        """Return the levels that an order of this side would take."""
        return self.asks if side == BUY else self.bids


@lru_cache(maxsize=65_536)
def _draw(seed: int, name: str, label: str, index: int, span: int) -> int:
    """Draw a whole number from -span to span."""
    text = f"{seed}|{name}|{label}|{index}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return number % (2 * span + 1) - span


class PriceWalk:
    """All markets of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def draw(self, name: str, label: str, index: int, span: int) -> int:
        """Draw a whole number from -span to span, always the same for the same words."""
        return _draw(self._seed, name, label, index, span)

    def mid(self, market: Market, at_ns: int) -> Decimal:
        """Return the middle price at a time, in quote units, on the tick."""
        second = at_ns // STEP_NS
        shift = 0
        for length, height in _WAVES:
            index, inside = divmod(second, length)
            left = _draw(self._seed, market.name, str(length), index, _UNIT)
            right = _draw(self._seed, market.name, str(length), index + 1, _UNIT)
            shift += (left * (length - inside) + right * inside) * height // (length * _UNIT)
        price = market.anchor * (_UNIT + shift) / _UNIT
        return price.quantize(market.tick, rounding=ROUND_HALF_EVEN)

    def best(self, market: Market, at_ns: int) -> tuple[Decimal, Decimal]:
        """Return best bid and best ask."""
        mid = self.mid(market, at_ns)
        half = self._half_spread(market)
        return mid - half, mid + half

    def _half_spread(self, market: Market) -> Decimal:
        wide = (market.anchor / 40_000).quantize(market.tick, rounding=ROUND_DOWN)
        return max(market.tick, wide)

    def book(self, market: Market, at_ns: int, depth: int = 100) -> Book:
        """Return the book at a time, `depth` levels a side."""
        bid, ask = self.best(market, at_ns)
        second = at_ns // STEP_NS
        return Book(
            bids=tuple(self._side(market, bid, -1, second, depth)),
            asks=tuple(self._side(market, ask, 1, second, depth)),
        )

    def _side(self, market: Market, best: Decimal, way: int, second: int, depth: int) -> Iterator[Level]:
        step = max(market.tick, (market.anchor / 20_000).quantize(market.tick))
        price = best
        for index in range(depth):
            # A level is worth 6,000 to 30,000 in quote units: a small order never needs two.
            worth = 18_000 + self.draw(market.name, f"size{way}", second * 1_000 + index, 12_000)
            size = (Decimal(worth) / price).quantize(market.size_step, rounding=ROUND_DOWN)
            yield Level(price, max(size, market.size_step))
            price += way * step
            if price <= 0:
                return

    def first_cross(self, market: Market, side: str, limit: Decimal, from_ns: int, to_ns: int) -> int | None:
        """Find when the book first crosses a resting limit in (from_ns, to_ns].

        A long span is sampled at `MAX_SAMPLES` points: the answer for days of
        advanced clock stays quick and still depends on nothing but its arguments.
        """
        first = from_ns // STEP_NS + 1
        last = to_ns // STEP_NS
        stride = max(1, (last - first + 1) // MAX_SAMPLES)
        for second in range(first, last + 1, stride):
            bid, ask = self.best(market, second * STEP_NS)
            if ask <= limit if side == BUY else bid >= limit:
                return second * STEP_NS
        return None


def sweep(levels: Sequence[Level], side: str, quantity: Decimal, limit: Decimal | None) -> list[Level]:
    """Take a quantity from the levels, best first, no worse than the limit.

    Returns:
        The fills as price and size; together less than `quantity` where the
        levels inside the limit do not hold enough.
    """
    fills: list[Level] = []
    left = quantity
    for level in levels:
        if left <= 0:
            break
        if limit is not None and (level.price > limit if side == BUY else level.price < limit):
            break
        size = min(left, level.size)
        fills.append(Level(level.price, size))
        left -= size
    return fills
