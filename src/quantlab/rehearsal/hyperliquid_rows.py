"""Objects that several reads and streams share: orders, fills, levels, states, candles, trades."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from quantlab.rehearsal.hyperliquid_book import ZERO, Account, Fill, Order, Standing
from quantlab.rehearsal.hyperliquid_engine import Engine
from quantlab.rehearsal.hyperliquid_markets import ASSETS, BY_TOKEN, PERPS, SPOTS, Asset
from quantlab.rehearsal.hyperliquid_positions import Mark, leverage_of, margin_of, spot_holds
from quantlab.rehearsal.hyperliquid_wire import NS, dotted, rounded
from quantlab.rehearsal.matching import Level
from quantlab.rehearsal.wire import Json

L2_LEVELS: Final = 20
TRADE_STEP_NS: Final = 5 * NS
"""The public tape shows one made-up trade in this time."""
NOBODY: Final = "0x" + "0" * 40


def basic_order(order: Order) -> Json:
    """Describe an order as `openOrders` and `orderUpdates` do."""
    row: Json = {
        "coin": ASSETS[order.asset].coin, "side": "B" if order.is_buy else "A",
        "limitPx": dotted(order.price), "sz": dotted(order.left), "oid": order.oid,
        "timestamp": order.opened_ms, "origSz": dotted(order.size),
    }  # fmt: skip
    if order.cloid is not None:
        row["cloid"] = order.cloid
    if order.reduce_only:
        row["reduceOnly"] = True
    return row


def frontend_order(order: Order) -> Json:
    """Describe an order as `frontendOpenOrders`, `orderStatus` and `historicalOrders` do."""
    return {
        "coin": ASSETS[order.asset].coin, "side": "B" if order.is_buy else "A",
        "limitPx": dotted(order.price), "sz": dotted(order.left), "oid": order.oid,
        "timestamp": order.opened_ms, "triggerCondition": "N/A", "isTrigger": False,
        "triggerPx": "0.0", "children": [], "isPositionTpsl": False,
        "reduceOnly": order.reduce_only, "orderType": "Limit", "origSz": dotted(order.size),
        "tif": order.tif, "cloid": order.cloid,
    }  # fmt: skip


def update_row(order: Order) -> Json:
    """Describe one version of an order as an entry of `orderUpdates`."""
    return {"order": basic_order(order), "status": order.status, "statusTimestamp": order.status_ms}


def fill_row(fill: Fill) -> Json:
    """Describe a fill."""
    row: Json = {
        "coin": ASSETS[fill.asset].coin, "px": dotted(fill.price), "sz": dotted(fill.size),
        "side": "B" if fill.is_buy else "A", "time": fill.time_ms, "startPosition": dotted(fill.start),
        "dir": fill.direction, "closedPnl": dotted(fill.closed_pnl), "hash": fill.hash, "oid": fill.oid,
        "crossed": fill.crossed, "fee": dotted(fill.fee), "tid": fill.tid,
    }  # fmt: skip
    if fill.cloid is not None:
        row["cloid"] = fill.cloid
    return row | {"feeToken": fill.fee_token, "twapId": None}


def aggregated(fills: Iterable[Fill]) -> list[Json]:
    """Describe fills, those of one order at one time and price side as one row."""
    groups: dict[tuple[int, int], list[Fill]] = {}
    for fill in fills:
        groups.setdefault((fill.oid, fill.time_ms), []).append(fill)
    rows = []
    for group in groups.values():
        size = sum((f.size for f in group), ZERO)
        worth = sum((f.size * f.price for f in group), ZERO)
        rows.append(
            fill_row(group[0]) | {
                "px": dotted(rounded(worth / size, 8)), "sz": dotted(size),
                "fee": dotted(sum((f.fee for f in group), ZERO)),
                "closedPnl": dotted(sum((f.closed_pnl for f in group), ZERO)),
            }
        )  # fmt: skip
    return rows


def level_row(level: Level, index: int) -> Json:
    """Describe one price level; the number of orders in it is made up."""
    return {"px": dotted(level.price), "sz": dotted(level.size), "n": index % 3 + 1}


def levels_rows(engine: Engine, asset: Asset, at_ns: int) -> list[list[Json]]:
    """Describe the best levels, bids first."""
    book = engine.book(asset, at_ns, L2_LEVELS)
    return [[level_row(level, n) for n, level in enumerate(side)] for side in (book.bids, book.asks)]


def mids(engine: Engine, at_ns: int) -> Json:
    """Return the middle prices of everything that trades."""
    return {
        a.coin: dotted(engine.mark(a, at_ns)) for a in (*PERPS, *SPOTS) if not a.is_delisted
    }  # fmt: skip


def asset_context(engine: Engine, asset: Asset, at_ns: int) -> Json:
    """Describe the market of a perpetual."""
    mark = dotted(engine.mark(asset, at_ns))
    dead = asset.is_delisted
    day_ago = dotted(engine.mark(asset, at_ns - 86_400 * NS))
    book = engine.book(asset, at_ns, 1)
    return {
        "funding": "0.0" if dead else "0.0000125",
        "openInterest": "0.0" if dead else dotted(rounded(Decimal(10**8) / asset.anchor, asset.size_decimals)),
        "prevDayPx": day_ago, "dayNtlVlm": "0.0" if dead else "100000000.0",
        "premium": None if dead else "0.0", "oraclePx": mark, "markPx": mark,
        "midPx": None if dead else mark,
        "impactPxs": None if dead else [dotted(book.bids[0].price), dotted(book.asks[0].price)],
        "dayBaseVlm": "0.0" if dead else dotted(rounded(Decimal(10**8) / asset.anchor, asset.size_decimals)),
    }  # fmt: skip


def spot_context(engine: Engine, asset: Asset, at_ns: int) -> Json:
    """Describe the market of a spot pair."""
    mark = dotted(engine.mark(asset, at_ns))
    volume = dotted(rounded(Decimal(10**6) / asset.anchor, asset.size_decimals))
    return {
        "prevDayPx": dotted(engine.mark(asset, at_ns - 86_400 * NS)), "dayNtlVlm": "1000000.0",
        "markPx": mark, "midPx": mark, "circulatingSupply": "100000000.0", "coin": asset.coin,
        "totalSupply": "100000000.0", "dayBaseVlm": volume,
    }  # fmt: skip


def market_trade(engine: Engine, seed: int, asset: Asset, number: int) -> Json:
    """Make up the public trade of one step of time."""
    at_ns = number * TRADE_STEP_NS
    digest = hashlib.blake2b(f"{seed}|{asset.coin}|trade|{number}".encode(), digest_size=40).digest()
    buys = digest[0] % 2 == 0
    book = engine.book(asset, at_ns, 1)
    level = (book.asks if buys else book.bids)[0]
    step = Decimal(1).scaleb(-asset.size_decimals)
    size = max(step, (level.size * (digest[1] + 1) / 512) // step * step)
    return {
        "coin": asset.coin, "side": "B" if buys else "A", "px": dotted(level.price), "sz": dotted(size),
        "time": at_ns // 1_000_000, "hash": "0x" + digest[:32].hex(),
        "tid": int.from_bytes(digest[32:], "big") >> 14, "users": [NOBODY, NOBODY],
    }  # fmt: skip


def clearinghouse(account: Account | None, standing: Standing, mark: Mark, time_ms: int) -> Json:
    """Describe the perpetual side of an account; an unknown one has zeros."""
    holder = account or Account(address="")
    margin = margin_of(holder, standing, mark)
    summary = {
        "accountValue": _usd(margin.value), "totalNtlPos": _usd(margin.notional),
        "totalRawUsd": _usd(margin.raw), "totalMarginUsed": _usd(margin.used),
    }  # fmt: skip
    return {
        "marginSummary": summary, "crossMarginSummary": summary,
        "crossMaintenanceMarginUsed": _usd(margin.maintenance), "withdrawable": _usd(margin.free),
        "assetPositions": [_position(holder, n, standing, mark) for n in sorted(standing.positions)],
        "time": time_ms,
    }  # fmt: skip


def _position(account: Account, number: int, standing: Standing, mark: Mark) -> Json:
    asset, position = ASSETS[number], standing.positions[number]
    leverage, price = leverage_of(account, asset), mark(asset)
    worth = abs(position.size) * price
    profit = position.size * (price - position.entry)
    used = worth / leverage.value
    kind: Json = {"type": "cross" if leverage.is_cross else "isolated", "value": leverage.value}
    if not leverage.is_cross:
        kind["rawUsd"] = _usd(used - position.size * price)
    return {
        "type": "oneWay",
        "position": {
            "coin": asset.coin, "szi": dotted(position.size), "leverage": kind,
            "entryPx": dotted(rounded(position.entry, 6)), "positionValue": _usd(worth),
            "unrealizedPnl": _usd(profit),
            "returnOnEquity": dotted(rounded(profit / used, 10)) if used else "0.0",
            "liquidationPx": None, "marginUsed": _usd(used), "maxLeverage": asset.most_leverage,
            "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        },
    }  # fmt: skip


def _usd(value: Decimal) -> str:
    return dotted(rounded(value, 6))


def spot_balances(standing: Standing, orders: list[Order]) -> Json:
    """Describe the spot side of an account."""
    holds = spot_holds(orders)
    rows = [
        {
            "coin": BY_TOKEN[token].name, "token": token, "total": dotted(total),
            "hold": dotted(holds.get(token, ZERO)),
            "entryNtl": dotted(standing.entries.get(token, ZERO)),
        }
        for token, total in sorted(standing.tokens.items())
    ]  # fmt: skip
    return {"balances": rows}


INTERVALS: Final = {
    "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400,
    "8h": 28_800, "12h": 43_200, "1d": 86_400, "3d": 259_200, "1w": 604_800, "1M": 2_592_000,
}  # fmt: skip
"""Length of a candle in seconds."""


def candle(engine: Engine, asset: Asset, interval: str, number: int, now_ns: int) -> Json:
    """Describe one candle from eight samples of the middle price."""
    length = INTERVALS[interval]
    first = number * length
    last = min(first + length - 1, now_ns // NS)
    marks = [engine.mark(asset, (first + (last - first) * n // 7) * NS) for n in range(8)]
    count = max(1, (last - first) // 5)
    volume = rounded(Decimal(1000 * count) / asset.anchor, asset.size_decimals)
    return {
        "t": first * 1000, "T": (first + length) * 1000 - 1, "s": asset.coin, "i": interval,
        "o": dotted(marks[0]), "c": dotted(marks[-1]), "h": dotted(max(marks)), "l": dotted(min(marks)),
        "v": dotted(volume), "n": count,
    }  # fmt: skip
