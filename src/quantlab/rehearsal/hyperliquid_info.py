"""Reads of `/info` that concern no account: universe, prices, books, candles, clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.hyperliquid_book import HyperliquidState
from quantlab.rehearsal.hyperliquid_engine import Engine
from quantlab.rehearsal.hyperliquid_knobs import Limits, Rules
from quantlab.rehearsal.hyperliquid_markets import (
    BY_COIN,
    MARGIN_TABLES,
    PERPS,
    SPOT_BASE,
    SPOTS,
    TOKENS,
    USDC,
    Asset,
)
from quantlab.rehearsal.hyperliquid_rows import (
    INTERVALS,
    TRADE_STEP_NS,
    asset_context,
    candle,
    levels_rows,
    market_trade,
    mids,
    spot_context,
)
from quantlab.rehearsal.hyperliquid_wire import (
    MS,
    NS,
    VENUE,
    Unreadable,
    dotted,
    fields,
    json_answer,
    text,
    whole,
    wrong_shape,
)
from quantlab.rehearsal.wire import Json

CANDLES_MOST: Final = 5000
TRADES_SHOWN: Final = 10


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One read."""

    exchange: Exchange
    engine: Engine
    state: HyperliquidState
    body: Json
    now_ns: int
    venue_ms: int
    limits: Limits
    rules: Rules
    as_of_ns: int | None = None
    """Time as of which reads look at an account; None is now."""
    removed: str | None = None
    """While agents are scripted away: `removed` or `replaced`."""

    def asset(self) -> Asset | None:
        """Return the asset that is asked for; None when there is none of that name."""
        return BY_COIN.get(text(self.body.get("coin")))

    def main_dex(self) -> bool:
        """Tell whether the first perp dex is meant.

        Raises:
            Unreadable: a dex that does not exist (HTTP 500, `null`).
        """
        dex = self.body.get("dex")
        if dex is not None and text(dex) != "":
            raise Unreadable(json_answer(None, 500))
        return True


def _meta(query: Query) -> Json:
    query.main_dex()
    universe: list[Json] = []
    for asset in PERPS:
        row: Json = {
            "szDecimals": asset.size_decimals, "name": asset.coin, "maxLeverage": asset.most_leverage,
            "marginTableId": asset.margin_table,
        }  # fmt: skip
        if asset.only_isolated:
            row |= {"onlyIsolated": True, "marginMode": "strictIsolated"}
        if asset.is_delisted:
            row["isDelisted"] = True
        universe.append(row)
    tables = [
        [number, {"description": name, "marginTiers": [
            {"lowerBound": bound, "maxLeverage": most} for bound, most in tiers]}]
        for number, name, tiers in MARGIN_TABLES
    ]  # fmt: skip
    return {"universe": universe, "marginTables": tables, "collateralToken": USDC}


def _meta_and_contexts(query: Query) -> list[object]:
    return [_meta(query), [asset_context(query.engine, a, query.now_ns) for a in PERPS]]


def _spot_meta(_query: Query) -> Json:
    universe = [
        {"tokens": [a.base, a.quote], "name": a.coin, "index": a.id - SPOT_BASE,
         "isCanonical": a.coin == "PURR/USDC"}
        for a in SPOTS
    ]  # fmt: skip
    tokens = [
        {"name": t.name, "szDecimals": t.size_decimals, "weiDecimals": t.wei_decimals, "index": t.index,
         "tokenId": t.identifier, "isCanonical": t.is_canonical, "evmContract": None,
         "fullName": t.full_name, "deployerTradingFeeShare": "0.0"}
        for t in TOKENS
    ]  # fmt: skip
    return {"universe": universe, "tokens": tokens}


def _spot_meta_and_contexts(query: Query) -> list[object]:
    return [_spot_meta(query), [spot_context(query.engine, a, query.now_ns) for a in SPOTS]]


def _perp_dexs(_query: Query) -> list[object]:
    return [None]


def _perp_categories(_query: Query) -> list[object]:
    return []


def _all_mids(query: Query) -> Json:
    query.main_dex()
    return mids(query.engine, query.now_ns)


def _l2_book(query: Query) -> Json | None:
    asset = query.asset()
    figures, mantissa = query.body.get("nSigFigs"), query.body.get("mantissa")
    if figures is not None and not 2 <= whole(figures) <= 5:
        raise Unreadable(json_answer(None, 500))
    if mantissa is not None and (whole(mantissa) not in (2, 5) or figures != 5):
        raise Unreadable(json_answer(None, 500))
    if asset is None:
        return None
    # Levels are shown as they are: aggregation is not needed for anything here.
    book: Json = {
        "coin": asset.coin,
        "time": query.venue_ms,
        "levels": levels_rows(query.engine, asset, query.now_ns),
    }
    if figures is not None:
        best = query.engine.book(asset, query.now_ns, 1)
        book["spread"] = dotted(best.asks[0].price - best.bids[0].price) if best.asks else "0.0"
    return book


def _recent_trades(query: Query) -> list[Json] | None:
    asset = query.asset()
    if asset is None:
        return None
    if asset.is_delisted:
        return []
    newest = query.now_ns // TRADE_STEP_NS
    seed = query.exchange.state.seed
    return [market_trade(query.engine, seed, asset, newest - n) for n in range(TRADES_SHOWN)]


def _candles(query: Query) -> list[Json] | None:
    asked = fields(query.body.get("req"), ("coin", "interval", "startTime"), None)
    asset, interval = BY_COIN.get(text(asked["coin"])), text(asked["interval"], tuple(INTERVALS))
    if asset is None:
        return None
    length_ms = INTERVALS[interval] * 1000
    end = asked.get("endTime")
    last = min(query.now_ns // MS, query.now_ns // MS if end is None else whole(end)) // length_ms
    first = max(whole(asked["startTime"]) // length_ms, last - CANDLES_MOST + 1)
    return [candle(query.engine, asset, interval, n, query.now_ns) for n in range(first, last + 1)]


def _exchange_status(query: Query) -> Json:
    mode = query.exchange.mode(VENUE)
    return {"time": query.venue_ms, "specialStatuses": None if mode == "online" else mode}


def _funding_history(query: Query) -> list[Json]:
    coin, start_ms = text(query.body.get("coin")), whole(query.body.get("startTime"))
    hour = 3_600_000
    last = query.now_ns // NS * 1000 // hour
    first = max(start_ms // hour + 1, last - 499)
    if coin not in BY_COIN:
        raise wrong_shape()
    return [
        {"coin": coin, "fundingRate": "0.0000125", "premium": "0.0", "time": n * hour} for n in range(first, last + 1)
    ]


PUBLIC: Final[dict[str, Callable[[Query], object]]] = {
    "meta": _meta,
    "metaAndAssetCtxs": _meta_and_contexts,
    "spotMeta": _spot_meta,
    "spotMetaAndAssetCtxs": _spot_meta_and_contexts,
    "perpDexs": _perp_dexs,
    "perpCategories": _perp_categories,
    "allMids": _all_mids,
    "l2Book": _l2_book,
    "recentTrades": _recent_trades,
    "candleSnapshot": _candles,
    "exchangeStatus": _exchange_status,
    "fundingHistory": _funding_history,
}
