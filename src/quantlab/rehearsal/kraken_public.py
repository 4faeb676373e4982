"""Kraken's public calls, drawn from the seeded book."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.kraken_markets import (
    ASSETS,
    MAKER_TIERS,
    PAIRS,
    TAKER_TIERS,
    Asset,
    Pair,
    find_asset,
    find_pair,
)
from quantlab.rehearsal.kraken_wire import (
    Params,
    Refused,
    fixed,
    invalid,
    moment,
    number,
    pair_price,
    rfc3339_seconds,
    stamp,
)
from quantlab.rehearsal.wire import Json

NS: Final = 1_000_000_000
DAY: Final = 86_400
INTERVALS: Final = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
TRADE_EVERY: Final = 4
"""Seconds between two trades of the public tape."""
MAX_CANDLES: Final = 721
VENUE: Final = "kraken"


def time(exchange: Exchange, _params: Params) -> Json:
    """Answer `Time`: whole seconds, and a date with a two-digit year."""
    at_ns = exchange.reported_ns(VENUE)
    exchange.plan.take("clock_skew", VENUE, "/0/public/Time")
    return {
        "unixtime": at_ns // NS,
        "rfc1123": moment(at_ns).strftime("%a, %d %b %y %H:%M:%S +0000"),
    }


def system_status(exchange: Exchange, _params: Params) -> Json:
    """Answer `SystemStatus`."""
    at_ns = exchange.reported_ns(VENUE)
    return {"status": exchange.mode(VENUE), "timestamp": rfc3339_seconds(at_ns)}


def assets(_exchange: Exchange, params: Params) -> Json:
    """Answer `Assets`."""
    names = params.text("asset")
    rows = list(ASSETS.values())
    if names is not None:
        found = [find_asset(name) for name in names.split(",")]
        if None in found:
            raise Refused("EQuery:Unknown asset")
        rows = [a for a in found if a is not None]
    return {a.id: _asset_row(a) for a in rows}


def _asset_row(asset: Asset) -> Json:
    return {
        "aclass": "currency",
        "altname": asset.altname,
        "decimals": asset.decimals,
        "display_decimals": asset.display_decimals,
        "collateral_value": number(asset.collateral),
        "status": "enabled",
        "margin_rate": asset.margin_rate,
    }


def _pairs(params: Params) -> list[Pair]:
    names = params.text("pair")
    if names is None:
        return list(PAIRS.values())
    return [_pair(name) for name in names.split(",")]


def _pair(name: str) -> Pair:
    pair = find_pair(name)
    if pair is None:
        raise Refused("EQuery:Unknown asset pair")
    return pair


def _one_pair(params: Params) -> Pair:
    name = params.text("pair")
    if name is None:
        raise invalid()
    return _pair(name)


def asset_pairs(exchange: Exchange, params: Params) -> Json:
    """Answer `AssetPairs`."""
    mode = exchange.mode(VENUE)
    status = mode if mode != "maintenance" else "cancel_only"
    info = params.text("info") or "info"
    if info not in ("info", "leverage", "fees", "margin"):
        raise invalid("info")
    return {p.id: _pair_part(_pair_row(p, status), info) for p in _pairs(params)}


def _pair_part(row: Json, info: str) -> Json:
    parts = {
        "leverage": ("leverage_buy", "leverage_sell"),
        "fees": ("fees", "fees_maker", "fee_volume_currency"),
        "margin": ("margin_call", "margin_stop"),
    }
    return {k: row[k] for k in parts[info]} if info in parts else row


def _pair_row(pair: Pair, status: str) -> Json:
    return {
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": pair.base,
        "aclass_quote": "currency",
        "quote": pair.quote,
        "lot": "unit",
        "cost_decimals": pair.cost_decimals,
        "pair_decimals": pair.pair_decimals,
        "lot_decimals": pair.lot_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": number(TAKER_TIERS),
        "fees_maker": number(MAKER_TIERS),
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{pair.ordermin:f}",
        "costmin": f"{pair.costmin:f}",
        "tick_size": f"{pair.tick:f}",
        "status": status,
        "execution_venue": "international",
    }


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What the public tape says about a span of time."""

    first: Decimal
    last: Decimal
    low: Decimal
    high: Decimal
    mean: Decimal
    volume: Decimal
    count: int


def day(exchange: Exchange, pair: Pair, from_s: int, to_s: int) -> Day:
    """Sum a span up from at most 24 looks at the book; prices are middle prices."""
    stride = max(1, (to_s - from_s) // 24)
    points = [exchange.walk.mid(pair.market, s * NS) for s in range(from_s, max(to_s, from_s) + 1, stride)]
    span = max(1, to_s - from_s)
    return Day(
        first=points[0],
        last=points[-1],
        low=min(points),
        high=max(points),
        mean=sum(points, Decimal(0)) / len(points),
        volume=Decimal(span) * 2_000 / TRADE_EVERY / pair.anchor,
        count=max(1, span // TRADE_EVERY),
    )


def ticker(exchange: Exchange, params: Params) -> Json:
    """Answer `Ticker`."""
    return {p.id: _ticker_row(exchange, p) for p in _pairs(params)}


def _ticker_row(exchange: Exchange, pair: Pair) -> Json:
    now_ns = exchange.now_ns
    now_s = now_ns // NS
    book = exchange.walk.book(pair.market, now_ns, 1)
    ask, bid = book.asks[0], book.bids[0]
    last = _tape_row(exchange, pair, now_s // TRADE_EVERY)
    today = day(exchange, pair, now_s - now_s % DAY, now_s)
    whole = day(exchange, pair, now_s - DAY, now_s)
    low, high = min(whole.low, bid.price), max(whole.high, ask.price)

    def price(value: Decimal) -> str:
        return pair_price(pair, value)

    return {
        "a": [price(ask.price), str(int(ask.size)), fixed(ask.size, 3)],
        "b": [price(bid.price), str(int(bid.size)), fixed(bid.size, 3)],
        "c": [last[0], last[1]],
        "v": [fixed(today.volume, 8), fixed(whole.volume, 8)],
        "p": [price(today.mean), price(whole.mean)],
        "t": [today.count, whole.count],
        "l": [price(min(today.low, bid.price)), price(low)],
        "h": [price(max(today.high, ask.price)), price(high)],
        "o": price(today.first),
    }


def depth(exchange: Exchange, params: Params) -> Json:
    """Answer `Depth`."""
    pair = _one_pair(params)
    count = params.whole("count", 100) or 0
    if not 1 <= count <= 500:
        raise invalid("count")
    now_ns = exchange.now_ns
    book = exchange.walk.book(pair.market, now_ns, count)
    at_s = now_ns // NS

    def rows(side: str) -> list[list[object]]:
        levels = book.asks if side == "asks" else book.bids
        return [
            [pair_price(pair, level.price), fixed(level.size, 3), at_s - index % 7]
            for index, level in enumerate(levels)
        ]

    return {pair.id: {"asks": rows("asks"), "bids": rows("bids")}}


def ohlc(exchange: Exchange, params: Params) -> Json:
    """Answer `OHLC`: at most 721 candles, the last one still running."""
    pair = _one_pair(params)
    interval = params.whole("interval", 1)
    if interval not in INTERVALS:
        raise invalid()
    span = interval * 60
    now_s = exchange.now_ns // NS
    last = now_s - now_s % span
    first = max(last - (MAX_CANDLES - 1) * span, 0)
    since = params.whole("since", 0) or 0
    first = max(first, -(-since // span) * span)
    rows = [_candle(exchange, pair, start, min(start + span, now_s)) for start in range(first, last + 1, span)]
    return {pair.id: rows, "last": last - span}


def _candle(exchange: Exchange, pair: Pair, start: int, end: int) -> list[object]:
    walk, market = exchange.walk, pair.market
    points = [walk.mid(market, s * NS) for s in range(start, end + 1, max(1, (end - start) // 4))]
    decimals = pair.pair_decimals
    volume = Decimal(max(1, end - start)) * 2_000 / TRADE_EVERY / pair.anchor
    mean = sum(points, Decimal(0)) / len(points)
    prices = (points[0], max(points), min(points), points[-1], mean)
    texts = [fixed(p, decimals) for p in prices]
    return [start, *texts, fixed(volume, 8), max(1, (end - start) // TRADE_EVERY)]


def _tape_row(exchange: Exchange, pair: Pair, index: int) -> tuple[str, str, int, str, int]:
    """Return price, volume, time in nanoseconds, side and id of one trade of the tape."""
    second = index * TRADE_EVERY
    draw = exchange.walk.draw
    buys = draw(pair.id, "tape side", index, 1_000) >= 0
    bid, ask = exchange.walk.best(pair.market, second * NS)
    worth = 2_000 + draw(pair.id, "tape size", index, 1_990)
    volume = Decimal(worth) / pair.anchor
    nanos = abs(draw(pair.id, "tape time", index, 900_000_000))
    return (
        pair_price(pair, ask if buys else bid),
        fixed(volume, 8),
        second * NS + nanos,
        "b" if buys else "s",
        index % 1_000_000_000,
    )


def trades(exchange: Exchange, params: Params) -> Json:
    """Answer `Trades`: the public tape, oldest first."""
    pair = _one_pair(params)
    count = params.whole("count", 1000) or 0
    if not 1 <= count <= 1000:
        raise invalid("count")
    now_ns = exchange.now_ns
    newest = now_ns // NS // TRADE_EVERY
    since = params.whole("since", 0) or 0
    since_ns = since if since > 10**14 else since * NS
    oldest = newest - count
    if since_ns:
        oldest = max(newest - 50_000, since_ns // NS // TRADE_EVERY)
    rows: list[list[object]] = []
    last_ns = since_ns
    for index in range(oldest, newest + 1):
        price, volume, at_ns, side, trade_id = _tape_row(exchange, pair, index)
        if since_ns < at_ns <= now_ns and (len(rows) < count or not since_ns):
            rows.append([price, volume, stamp(at_ns), side, "m", "", trade_id])
            last_ns = at_ns
    rows = rows[-count:]
    return {pair.id: rows, "last": str(last_ns)}


def spread(exchange: Exchange, params: Params) -> Json:
    """Answer `Spread`: the best prices of the last 200 seconds."""
    pair = _one_pair(params)
    now_s = exchange.now_ns // NS
    since = params.whole("since", 0) or 0
    rows: list[list[object]] = []
    for second in range(max(now_s - 199, since), now_s + 1):
        bid, ask = exchange.walk.best(pair.market, second * NS)
        rows.append([second, pair_price(pair, bid), pair_price(pair, ask)])
    return {pair.id: rows, "last": now_s}


PUBLIC: Final[dict[str, Callable[[Exchange, Params], Json]]] = {
    "Time": time,
    "SystemStatus": system_status,
    "Assets": assets,
    "AssetPairs": asset_pairs,
    "Ticker": ticker,
    "Depth": depth,
    "OHLC": ohlc,
    "Trades": trades,
    "Spread": spread,
}
