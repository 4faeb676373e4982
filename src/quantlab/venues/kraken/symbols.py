"""Names of assets and markets: the venue's spellings and ours. Pure.

We write ``ETH-USD``, with BTC and DOGE; the venue writes XBT and XDG, ``XETHZUSD`` in answers, ``ETHUSD``
as the alternative name and ``ETH/USD`` on streams.
"""

from __future__ import annotations

import re
from typing import Final

from quantlab.kernel.errors import UsageFault

# The assets that carry the old X or Z prefix in the venue's own ids; every later one stands bare.
_LEGACY_IDS: Final[dict[str, str]] = {
    "XETC": "ETC",
    "XETH": "ETH",
    "XLTC": "LTC",
    "XMLN": "MLN",
    "XREP": "REP",
    "XXBT": "BTC",
    "XXDG": "DOGE",
    "XXLM": "XLM",
    "XXMR": "XMR",
    "XXRP": "XRP",
    "XZEC": "ZEC",
    "ZAUD": "AUD",
    "ZCAD": "CAD",
    "ZEUR": "EUR",
    "ZGBP": "GBP",
    "ZJPY": "JPY",
    "ZUSD": "USD",
}
_TO_OURS: Final[dict[str, str]] = {"XBT": "BTC", "XDG": "DOGE"}
_TO_VENUE: Final[dict[str, str]] = {ours: theirs for theirs, ours in _TO_OURS.items()}
# What a name without a separator may end with, longest first, so that USDT is not read as T-less USD.
_QUOTES: Final[tuple[str, ...]] = tuple(
    sorted(
        (
            *("USD", "USDT", "USDC", "EUR", "GBP", "CAD", "JPY", "AUD", "CHF", "AED"),
            *("DAI", "PYUSD", "RLUSD", "USDG", "EURC", "EURT", "EURR", "USDQ", "USDR", "EURQ"),
            *("XBT", "BTC", "ETH", "SOL", "DOT"),
        ),
        key=len,
        reverse=True,
    )
)
_ASSET: Final = re.compile(r"[A-Z0-9]{1,15}")


def asset_of(venue_asset: str) -> str:
    """Return our name of an asset id or alternative name; a suffix such as ``.S`` (staked) stays."""
    name, dot, suffix = venue_asset.partition(".")
    name = _LEGACY_IDS.get(name, name)
    return _TO_OURS.get(name, name) + dot + suffix


def parse_symbol(text: str) -> str:
    """Return our spelling of a market as operators write it, in any of the venue's spellings and in any case.

    Raises:
        UsageFault: the text names no base and quote currency. Nothing was sent.
    """
    symbol = text.strip().upper()
    base, quote = _split(symbol)
    if not _ASSET.fullmatch(base) or not _ASSET.fullmatch(quote) or base == quote:
        message = f"{text[:40]!r} does not name a Kraken market: write base and quote, such as ETH-USD"
        raise UsageFault(message, code="symbol_unusable", measured=text[:40], limit="ETH-USD")
    return f"{base}-{quote}"


def altname_of(symbol: str) -> str:
    """Return the venue's alternative name (``XBTUSD``) of our symbol, the name to ask for."""
    base, _, quote = symbol.partition("-")
    return _TO_VENUE.get(base, base) + _TO_VENUE.get(quote, quote)


def stream_name_of(symbol: str) -> str:
    """Return the name of our symbol on the stream (``BTC/USD``)."""
    return symbol.replace("-", "/")


def spellings_of(symbol: str, venue_symbol: str) -> frozenset[str]:
    """Return every name under which the venue may report a market of ours."""
    base, _, quote = symbol.partition("-")
    old = f"{_TO_VENUE.get(base, base)}/{_TO_VENUE.get(quote, quote)}"
    return frozenset({venue_symbol, altname_of(symbol), stream_name_of(symbol), old})


def _split(symbol: str) -> tuple[str, str]:
    """Return base and quote in our names, or two empty texts."""
    parts = re.split(r"[-/]", symbol)
    if len(parts) == 2:
        return asset_of(parts[0]), asset_of(parts[1])
    if len(parts) > 2:
        return "", ""
    # XETHZUSD: both halves are ids with the old prefix, which no bare name can be taken for.
    if len(symbol) == 8 and symbol[:4] in _LEGACY_IDS and symbol[4:] in _LEGACY_IDS:
        return asset_of(symbol[:4]), asset_of(symbol[4:])
    for quote in _QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return asset_of(symbol.removesuffix(quote)), asset_of(quote)
    return "", ""
