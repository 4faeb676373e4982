"""Names of markets and assets: the venue's spellings and ours. Pure.

We write a perp as its coin (``ETH``) and a spot market as base and quote (``PURR-USDC``); the venue writes ``ETH``,
``PURR/USDC`` and ``@107``. What the account holds on the spot side carries the suffix ``.spot``, for a perp and a token
of one name are different things. Our names are in upper case; the venue's ``kPEPE`` is ``KPEPE`` here.
"""

from __future__ import annotations

import re
from typing import Final

from quantlab.kernel.errors import UsageFault

_COIN: Final = re.compile(r"[A-Z0-9]{1,15}")
_SPOT_INDEX: Final = re.compile(r"@(0|[1-9][0-9]{0,8})")
_SPOT_SUFFIX: Final = ".spot"
_ASSET_ALIAS: Final = re.compile(r"asset=([0-9]{1,9})")
SPOT_ASSETS: Final = 10_000
"""Assets from here on are spot markets, below it perps."""


def parse_symbol(text: str) -> str:
    """Return our spelling of a market as operators write it, in any case; ``@107`` stays until the venue names it.

    Raises:
        UsageFault: the text names no market, or one of a kind that is not supported. Nothing was sent.
    """
    symbol = text.strip().upper()
    if ":" in symbol:
        message = f"{text[:40]!r} is a market of a builder's exchange, which is not supported yet: perps and spot only"
        raise UsageFault(message, code="symbol_builder_dex", measured=text[:40], limit="ETH or PURR-USDC")
    if symbol.startswith("#"):
        message = f"{text[:40]!r} is an outcome market, which is not supported: perps and spot only"
        raise UsageFault(message, code="symbol_outcome", measured=text[:40], limit="ETH or PURR-USDC")
    parts = re.split(r"[-/]", symbol)
    named = len(parts) <= 2 and len(set(parts)) == len(parts) and all(_COIN.fullmatch(part) for part in parts)
    if not named and not _SPOT_INDEX.fullmatch(symbol):
        message = f"{text[:40]!r} names no Hyperliquid market: write a perp such as ETH or a pair such as PURR-USDC"
        raise UsageFault(message, code="symbol_unusable", measured=text[:40], limit="ETH or PURR-USDC")
    return "-".join(parts)


def is_spot(symbol: str) -> bool:
    """Return whether our symbol names a spot market."""
    return "-" in symbol or symbol.startswith("@")


def is_spot_coin(coin: str) -> bool:
    """Return whether the venue's name of a market is of a spot market."""
    return "/" in coin or coin.startswith("@")


def spot_asset(token: str) -> str:
    """Return our name of a token held on the spot side."""
    return token + _SPOT_SUFFIX


def asset_alias(asset: int) -> str:
    """Return the asset number as the venue's error texts spell it, which keeps it among a market's names."""
    return f"asset={asset}"


def asset_in(aliases: tuple[str, ...]) -> int | None:
    """Return the asset number among a market's names; None when it is not there exactly once."""
    found = {int(match[1]) for alias in aliases if (match := _ASSET_ALIAS.fullmatch(alias))}
    return found.pop() if len(found) == 1 else None
