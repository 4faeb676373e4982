"""The universe of the Hyperliquid face: perpetuals, spot pairs, tokens, price and size rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.matching import Market

SPOT_BASE: Final = 10_000
"""Asset id of a spot pair: this plus the pair's index."""
PERP_DECIMALS: Final = 6
SPOT_DECIMALS: Final = 8
FIGURES: Final = 5
SIZE_DECIMALS_MOST: Final = 8


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `spotMeta.tokens`."""

    index: int
    name: str
    size_decimals: int
    wei_decimals: int
    identifier: str
    is_canonical: bool = False
    full_name: str | None = None


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be ordered: a perpetual or a spot pair."""

    id: int
    coin: str
    """Name on the wire: `ETH`, `PURR/USDC` or `@107`."""
    size_decimals: int
    anchor: Decimal
    tick: Decimal
    is_spot: bool = False
    most_leverage: int = 1
    margin_table: int = 0
    is_delisted: bool = False
    only_isolated: bool = False
    base: int = 0
    quote: int = 0
    """Token indices of a spot pair."""

    @property
    def market(self) -> Market:
        """The market whose book this asset shows."""
        step = Decimal(1).scaleb(-min(self.size_decimals, 3))
        return Market(name=f"hyperliquid {self.coin}", anchor=self.anchor, tick=self.tick, size_step=step)

    @property
    def price_decimals(self) -> int:
        """Most decimals of a price."""
        return (SPOT_DECIMALS if self.is_spot else PERP_DECIMALS) - self.size_decimals

    def is_price(self, price: Decimal) -> bool:
        """Tell whether a price stands on the tick: a whole number, or few enough figures and decimals."""
        if price == price.to_integral_value():
            return True
        trimmed = price.normalize()
        _, digits, exponent = trimmed.as_tuple()
        return len(digits) <= FIGURES and isinstance(exponent, int) and -exponent <= self.price_decimals

    def is_size(self, size: Decimal) -> bool:
        """Tell whether a size has few enough decimals."""
        exponent = size.normalize().as_tuple().exponent
        return isinstance(exponent, int) and -exponent <= self.size_decimals


def _perp(
    index: int, coin: str, decimals: int, leverage: int, table: int, anchor: str, tick: str, *,
    delisted: bool = False, isolated: bool = False,
) -> Asset:  # fmt: skip
    return Asset(
        id=index,
        coin=coin,
        size_decimals=decimals,
        most_leverage=leverage,
        margin_table=table,
        anchor=Decimal(anchor),
        tick=Decimal(tick),
        is_delisted=delisted,
        only_isolated=isolated,
    )


PERPS: Final = (
    _perp(0, "BTC", 5, 40, 56, "60000", "1"),
    _perp(1, "ETH", 4, 25, 55, "2000", "0.1"),
    _perp(2, "ATOM", 2, 5, 5, "4.5", "0.0001"),
    _perp(3, "MATIC", 1, 20, 20, "0.4", "0.00001", delisted=True),
    _perp(4, "DYDX", 1, 5, 5, "0.65", "0.00001"),
    _perp(5, "SOL", 2, 20, 54, "150", "0.01"),
    _perp(6, "BNB", 3, 10, 51, "600", "0.01"),
    _perp(7, "kPEPE", 0, 10, 51, "0.0125", "0.000001"),
    _perp(8, "DOGE", 0, 10, 51, "0.2", "0.00001"),
    _perp(9, "PAXG", 3, 10, 51, "2600", "0.1", isolated=True),
)
"""In the order of `meta.universe`; a delisted entry keeps its index."""

MARGIN_TABLES: Final = (
    (51, "tiered 10x", (("0.0", 10), ("3000000.0", 5))),
    (54, "tiered 20x (2)", (("0.0", 20), ("70000000.0", 10))),
    (55, "tiered 25x", (("0.0", 25), ("100000000.0", 15))),
    (56, "tiered 40x", (("0.0", 40), ("150000000.0", 20))),
)

TOKENS: Final = (
    Token(index=0, name="USDC", size_decimals=8, wei_decimals=8, is_canonical=True,
          identifier="0x6d1e7cde53ba9467b783cb7c530ce054"),
    Token(index=1, name="PURR", size_decimals=0, wei_decimals=5, is_canonical=True,
          identifier="0xc1fb593aeffbeb02f85e0308e9956a90"),
    Token(index=150, name="HYPE", size_decimals=2, wei_decimals=8, full_name="Hyperliquid",
          identifier="0x0d01dc56dcaaca66ad901c959b4011ec"),
)  # fmt: skip
USDC: Final = 0

SPOTS: Final = (
    Asset(id=SPOT_BASE, coin="PURR/USDC", size_decimals=0, is_spot=True, base=1, quote=USDC,
          anchor=Decimal("0.15"), tick=Decimal("0.00001")),
    Asset(id=SPOT_BASE + 107, coin="@107", size_decimals=2, is_spot=True, base=150, quote=USDC,
          anchor=Decimal(40), tick=Decimal("0.001")),
)  # fmt: skip

ASSETS: Final[dict[int, Asset]] = {a.id: a for a in (*PERPS, *SPOTS)}
BY_COIN: Final[dict[str, Asset]] = {a.coin: a for a in ASSETS.values()}
BY_TOKEN: Final[dict[int, Token]] = {t.index: t for t in TOKENS}
DEFAULT_LEVERAGE: Final = 20

PERP_TAKER: Final = Decimal("0.00045")
PERP_MAKER: Final = Decimal("0.00015")
SPOT_TAKER: Final = Decimal("0.0007")
SPOT_MAKER: Final = Decimal("0.0004")
"""Fees of the lowest volume tier, as a share of the notional."""


def fee_rate(asset: Asset, *, maker: bool) -> Decimal:
    """Return the fee of a fill as a share of its notional."""
    if asset.is_spot:
        return SPOT_MAKER if maker else SPOT_TAKER
    return PERP_MAKER if maker else PERP_TAKER
