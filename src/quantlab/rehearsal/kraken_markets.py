"""The assets and pairs that the Kraken face trades, and how names are looked up."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.matching import Market


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `Assets`."""

    id: str
    altname: str
    decimals: int
    display_decimals: int
    collateral: str
    margin_rate: str


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `AssetPairs` and the market behind it."""

    id: str
    altname: str
    wsname: str
    symbol: str
    """Name in WebSocket v2: BTC and DOGE where REST says XBT and XDG."""
    base: str
    quote: str
    pair_decimals: int
    lot_decimals: int = 8
    cost_decimals: int = 5
    ordermin: Decimal
    costmin: Decimal = Decimal("0.5")
    tick: Decimal
    anchor: Decimal

    @property
    def market(self) -> Market:
        """The market whose book this pair shows."""
        return Market(name=self.id, anchor=self.anchor, tick=self.tick)

    @property
    def shown_decimals(self) -> int:
        """Decimals of prices in Ticker, Depth and Trades: five, or more where the pair has more."""
        return max(5, self.pair_decimals)


ASSETS: Final[dict[str, Asset]] = {
    a.id: a
    for a in (
        Asset(id="ZUSD", altname="USD", decimals=4, display_decimals=2, collateral="1.0",
              margin_rate="0.025"),
        Asset(id="XETH", altname="ETH", decimals=10, display_decimals=5, collateral="0.99",
              margin_rate="0.02"),
        Asset(id="XXBT", altname="XBT", decimals=10, display_decimals=5, collateral="0.99",
              margin_rate="0.01"),
        Asset(id="USDC", altname="USDC", decimals=8, display_decimals=4, collateral="1.0",
              margin_rate="0.025"),
        Asset(id="XXDG", altname="XDG", decimals=8, display_decimals=2, collateral="0.85",
              margin_rate="0.05"),
        Asset(id="SOL", altname="SOL", decimals=10, display_decimals=5, collateral="0.95",
              margin_rate="0.03"),
    )
}  # fmt: skip

PAIRS: Final[dict[str, Pair]] = {
    p.id: p
    for p in (
        Pair(id="XETHZUSD", altname="ETHUSD", wsname="ETH/USD", symbol="ETH/USD", base="XETH",
             quote="ZUSD", pair_decimals=2, ordermin=Decimal("0.002"), tick=Decimal("0.01"),
             anchor=Decimal(2000)),
        Pair(id="XXBTZUSD", altname="XBTUSD", wsname="XBT/USD", symbol="BTC/USD", base="XXBT",
             quote="ZUSD", pair_decimals=1, ordermin=Decimal("0.00005"), tick=Decimal("0.1"),
             anchor=Decimal(60_000)),
        Pair(id="ETHUSDC", altname="ETHUSDC", wsname="ETH/USDC", symbol="ETH/USDC", base="XETH",
             quote="USDC", pair_decimals=2, ordermin=Decimal("0.002"), tick=Decimal("0.01"),
             anchor=Decimal(2000)),
        Pair(id="XBTUSDC", altname="XBTUSDC", wsname="XBT/USDC", symbol="BTC/USDC", base="XXBT",
             quote="USDC", pair_decimals=2, ordermin=Decimal("0.00005"), tick=Decimal("0.01"),
             anchor=Decimal(60_000)),
        Pair(id="XDGUSD", altname="XDGUSD", wsname="XDG/USD", symbol="DOGE/USD", base="XXDG",
             quote="ZUSD", pair_decimals=7, ordermin=Decimal(13), tick=Decimal("0.0000001"),
             anchor=Decimal("0.2")),
        Pair(id="SOLUSD", altname="SOLUSD", wsname="SOL/USD", symbol="SOL/USD", base="SOL",
             quote="ZUSD", pair_decimals=2, ordermin=Decimal("0.02"), tick=Decimal("0.01"),
             anchor=Decimal(150)),
    )
}  # fmt: skip

TAKER_RATE: Final = Decimal("0.0040")
MAKER_RATE: Final = Decimal("0.0025")
"""Fees of the lowest volume tier, as a share of the cost."""

TAKER_TIERS: Final = (
    "[[0,0.4],[10000,0.35],[50000,0.24],[100000,0.22],[250000,0.2],[500000,0.18],"
    "[1000000,0.16],[2500000,0.14],[5000000,0.12],[10000000,0.1]]"
)
MAKER_TIERS: Final = (
    "[[0,0.25],[10000,0.2],[50000,0.14],[100000,0.12],[250000,0.1],[500000,0.08],"
    "[1000000,0.06],[2500000,0.04],[5000000,0.02],[10000000,0.0]]"
)
"""Fee tables as JSON text: 30-day volume in USD, fee in percent."""

_BY_NAME: Final[dict[str, Pair]] = {
    name.upper(): pair for pair in PAIRS.values() for name in (pair.id, pair.altname, pair.wsname, pair.symbol)
}
_BY_SYMBOL: Final[dict[str, Pair]] = {pair.symbol: pair for pair in PAIRS.values()}
_ASSET_BY_NAME: Final[dict[str, Asset]] = {
    name: asset for asset in ASSETS.values() for name in (asset.id, asset.altname)
}


def find_pair(name: str) -> Pair | None:
    """Look a pair up by canonical id, altname or slash form, in any case; None when unknown."""
    return _BY_NAME.get(name.upper())


def find_symbol(symbol: str) -> Pair | None:
    """Look a pair up by its WebSocket v2 symbol; None when unknown."""
    return _BY_SYMBOL.get(symbol)


def find_asset(name: str) -> Asset | None:
    """Look an asset up by id or altname; None when unknown."""
    return _ASSET_BY_NAME.get(name.upper())


def symbol_asset(asset: str) -> str:
    """Return the name that WebSocket v2 gives an asset."""
    altname = ASSETS[asset].altname
    return {"XBT": "BTC", "XDG": "DOGE"}.get(altname, altname)
