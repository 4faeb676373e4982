"""The channels `ticker`, `book` and `balances` of WebSocket v2, in their smallest form."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.kraken_engine import Engine
from quantlab.rehearsal.kraken_markets import ASSETS, Pair, find_symbol, symbol_asset
from quantlab.rehearsal.kraken_public import day
from quantlab.rehearsal.kraken_wire import Refused, amount, fixed, number, rfc3339
from quantlab.rehearsal.matching import Level
from quantlab.rehearsal.wire import Json

if TYPE_CHECKING:
    from quantlab.rehearsal.kraken_ticket import Event

NS: Final = 1_000_000_000
DEPTHS: Final = (10, 25, 100, 500, 1000)


class Feed(Protocol):
    """One subscription to one channel and symbol."""

    ack: Json

    def take_snapshot(self, exchange: Exchange) -> Iterator[Json]:
        """Yield the snapshot, once."""

    def tick(self, exchange: Exchange) -> Iterator[Json]:
        """Yield what has changed with time."""

    def on_events(self, exchange: Exchange, events: list[Event]) -> Iterator[Json]:
        """Yield what has changed with orders."""


def _known(symbol: str) -> Pair:
    pair = find_symbol(symbol)
    if pair is None:
        raise Refused(f"Currency pair not supported {symbol}")
    return pair


class TickerFeed:
    """Best prices and the day's figures."""

    def __init__(self, _exchange: Exchange, _engine: Engine, symbol: str, params: Json) -> None:
        self._pair = _known(symbol)
        trigger = params.get("event_trigger", "trades")
        self.ack: Json = {
            "channel": "ticker", "event_trigger": trigger, "snapshot": True, "symbol": symbol,
        }  # fmt: skip
        self._second = 0

    def take_snapshot(self, exchange: Exchange) -> Iterator[Json]:
        """Yield the snapshot, once."""
        if self._second == 0:
            yield self._frame(exchange, "snapshot")

    def tick(self, exchange: Exchange) -> Iterator[Json]:
        """Yield the ticker when the second has changed."""
        if self._second != exchange.now_ns // NS:
            yield self._frame(exchange, "update")

    def on_events(self, _exchange: Exchange, _events: list[Event]) -> Iterator[Json]:
        """Yield nothing: own orders do not move this book."""
        yield from ()

    def _frame(self, exchange: Exchange, kind: str) -> Json:
        now_ns = exchange.now_ns
        self._second = now_ns // NS
        pair = self._pair
        book = exchange.walk.book(pair.market, now_ns, 1)
        bid, ask = book.bids[0], book.asks[0]
        whole = day(exchange, pair, self._second - 86_400, self._second)
        change = whole.last - whole.first

        def price(value: Decimal) -> object:
            return number(fixed(value, pair.pair_decimals))

        row = {
            "symbol": pair.symbol, "bid": price(bid.price), "bid_qty": amount(bid.size),
            "ask": price(ask.price), "ask_qty": amount(ask.size), "last": price(whole.last),
            "volume": number(fixed(whole.volume, 8)), "vwap": price(whole.mean),
            "low": price(min(whole.low, bid.price)), "high": price(max(whole.high, ask.price)),
            "change": price(change),
            "change_pct": number(fixed(change * 100 / whole.first, 2)),
            "trades": whole.count, "timestamp": rfc3339(exchange.reported_ns("kraken")),
        }  # fmt: skip
        return {"channel": "ticker", "type": kind, "data": [row]}


class BookFeed:
    """The book; each second's update replaces the levels that have changed."""

    def __init__(self, _exchange: Exchange, _engine: Engine, symbol: str, params: Json) -> None:
        self._pair = _known(symbol)
        depth = params.get("depth", 10)
        if depth not in DEPTHS or not isinstance(depth, int):
            raise Refused(f"Depth not supported {depth}")
        self._depth = depth
        self.ack: Json = {"channel": "book", "depth": depth, "snapshot": True, "symbol": symbol}
        self._second = 0
        self._shown: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}

    def take_snapshot(self, exchange: Exchange) -> Iterator[Json]:
        """Yield the snapshot, once."""
        if self._second == 0:
            yield self._frame(exchange, "snapshot")

    def tick(self, exchange: Exchange) -> Iterator[Json]:
        """Yield the changed levels when the second has changed."""
        if self._second != exchange.now_ns // NS:
            yield self._frame(exchange, "update")

    def on_events(self, _exchange: Exchange, _events: list[Event]) -> Iterator[Json]:
        """Yield nothing: own orders do not move this book."""
        yield from ()

    def _frame(self, exchange: Exchange, kind: str) -> Json:
        now_ns = exchange.now_ns
        self._second = now_ns // NS
        book = exchange.walk.book(self._pair.market, now_ns, self._depth)
        row: Json = {"symbol": self._pair.symbol}
        for name, levels in (("bids", book.bids), ("asks", book.asks)):
            now = {level.price: level.size for level in levels}
            gone = [(p, Decimal(0)) for p in self._shown[name] if p not in now]
            new = [(p, q) for p, q in now.items() if self._shown[name].get(p) != q]
            row[name] = [{"price": self._price(p), "qty": self._size(q)} for p, q in gone + new]
            self._shown[name] = now
        row["checksum"] = checksum(self._pair, book.asks, book.bids)
        if kind == "update":
            row["timestamp"] = rfc3339(exchange.reported_ns("kraken"))
        return {"channel": "book", "type": kind, "data": [row]}

    def _price(self, price: Decimal) -> object:
        return number(fixed(price, self._pair.pair_decimals))

    def _size(self, size: Decimal) -> object:
        return number(fixed(size, self._pair.lot_decimals))


def checksum(pair: Pair, asks: tuple[Level, ...], bids: tuple[Level, ...]) -> int:
    """Compute the CRC-32 over the ten best levels of each side, asks first."""
    text = ""
    for level in (*asks[:10], *bids[:10]):
        for value, decimals in (
            (level.price, pair.pair_decimals),
            (level.size, pair.lot_decimals),
        ):
            text += fixed(value, decimals).replace(".", "").lstrip("0")
    return zlib.crc32(text.encode("ascii"))


class BalancesFeed:
    """Balances of one account."""

    def __init__(self, exchange: Exchange, _engine: Engine, account: str, _params: Json) -> None:
        self._name = account
        self._account = exchange.state.accounts[account]
        self._told = len(self._account.purse.rows)
        self._sequence = 0
        self.ack: Json = {"channel": "balances", "snapshot": True}

    def _frame(self, kind: str, data: list[Json]) -> Json:
        self._sequence += 1
        return {"channel": "balances", "type": kind, "data": data, "sequence": self._sequence}

    def take_snapshot(self, _exchange: Exchange) -> Iterator[Json]:
        """Yield the snapshot, once."""
        if self._sequence:
            return
        rows: list[Json] = []
        for asset in ASSETS:
            if asset in self._account.purse.totals:
                total = amount(self._account.purse.total(asset))
                wallet = {"type": "spot", "id": "main", "balance": total}
                rows.append({
                    "asset": symbol_asset(asset), "asset_class": "currency", "balance": total,
                    "wallets": [wallet],
                })  # fmt: skip
        yield self._frame("snapshot", rows)

    def tick(self, _exchange: Exchange) -> Iterator[Json]:
        """Yield nothing: balances change with events only."""
        yield from ()

    def on_events(self, _exchange: Exchange, _events: list[Event]) -> Iterator[Json]:
        """Yield an update for each new ledger row."""
        rows = self._account.purse.rows[self._told :]
        self._told = len(self._account.purse.rows)
        for row in rows:
            item: Json = {
                "ledger_id": row.id, "ref_id": row.refid, "timestamp": rfc3339(row.at_ns),
                "type": row.type, "category": row.type, "asset": symbol_asset(row.asset),
                "asset_class": "currency", "amount": amount(row.amount), "fee": amount(row.fee),
                "balance": amount(row.balance), "wallet_type": "spot", "wallet_id": "main",
            }  # fmt: skip
            yield self._frame("update", [item])


FEEDS: Final[dict[str, Callable[[Exchange, Engine, str, Json], Feed]]] = {
    "ticker": TickerFeed,
    "book": BookFeed,
    "balances": BalancesFeed,
}
