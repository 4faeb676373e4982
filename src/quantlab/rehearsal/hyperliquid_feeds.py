"""Subscriptions of the WebSocket: what each says at first, with time, and when something happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from quantlab.rehearsal.hyperliquid_account import ACCOUNT
from quantlab.rehearsal.hyperliquid_book import Event, Fill
from quantlab.rehearsal.hyperliquid_info import PUBLIC, Query
from quantlab.rehearsal.hyperliquid_markets import ASSETS, BY_COIN, Asset
from quantlab.rehearsal.hyperliquid_rows import (
    INTERVALS,
    NOBODY,
    TRADE_STEP_NS,
    aggregated,
    asset_context,
    candle,
    fill_row,
    levels_rows,
    market_trade,
    mids,
    spot_context,
    update_row,
)
from quantlab.rehearsal.hyperliquid_wire import NS, Unreadable, address, dotted, flag, text, wrong_shape
from quantlab.rehearsal.wire import Json

if TYPE_CHECKING:
    from quantlab.rehearsal.hyperliquid_face import HyperliquidFace

SILENT: Final = frozenset({
    "notification", "webData3", "userTwapSliceFills", "userTwapHistory", "twapStates",
    "allDexsClearinghouseState",
})  # fmt: skip
"""Account streams that are acknowledged and never have anything to say here."""
STATES: Final = {
    "clearinghouseState": "clearinghouseState",
    "spotState": "spotClearinghouseState",
    "openOrders": "frontendOpenOrders",
}
"""Account streams that repeat an info answer whenever it changes."""
USER: Final = frozenset({
    "orderUpdates", "userFills", "userEvents", "userFundings", "userNonFundingLedgerUpdates",
    "activeAssetData", *SILENT, *STATES,
})  # fmt: skip
MARKET: Final = frozenset({"l2Book", "bbo", "trades", "candle", "activeAssetCtx"})


def read_subscription(value: object) -> Json:
    """Read what is to be subscribed, in the form in which it is echoed.

    Raises:
        Unreadable: no such subscription.
    """
    if not isinstance(value, dict):
        raise wrong_shape()
    kind = text(value.get("type"))
    echo: Json = {"type": kind}
    if kind in MARKET or kind == "activeAssetData":
        echo["coin"] = text(value.get("coin"))
        if echo["coin"] not in BY_COIN:
            raise wrong_shape()
    if kind in USER:
        echo["user"] = address(value.get("user"))
    elif kind not in MARKET and kind != "allMids":
        raise wrong_shape()
    if kind == "candle":
        echo["interval"] = text(value.get("interval"), tuple(INTERVALS))
    if kind == "l2Book":
        echo |= {"nSigFigs": value.get("nSigFigs"), "mantissa": value.get("mantissa")}
    if kind == "userFills" and value.get("aggregateByTime") is not None:
        echo["aggregateByTime"] = flag(value["aggregateByTime"])
    return echo


class Feed:
    """One subscription."""

    def __init__(self, face: HyperliquidFace, echo: Json) -> None:
        self.echo = echo
        self.kind = str(echo["type"])
        self._face = face
        self._second = 0
        self._last: object = None

    @property
    def user(self) -> str | None:
        """The account that it is about, None for a market."""
        return str(self.echo["user"]) if "user" in self.echo else None

    def _query(self, **body: object) -> Query:
        face = self._face
        at = face.moment(face.exchange.now_ns)
        return Query(
            exchange=face.exchange, engine=face.engine, state=face.state, body={**self.echo, **body},
            now_ns=at.now_ns, venue_ms=at.venue_ms, limits=at.limits, rules=at.rules,
            removed=face.removed(),
        )  # fmt: skip

    # -------------------------------------------------------------- beginnings

    def first(self) -> Iterator[tuple[str, object]]:
        """Yield (channel, data) of what is said at once."""
        if self.kind == "userFills":
            found = ACCOUNT["userFills"](self._query())
            yield "userFills", {"isSnapshot": True, "user": self.user, "fills": found}
        elif self.kind == "userFundings":
            yield self.kind, {"isSnapshot": True, "user": self.user, "fundings": []}
        elif self.kind == "userNonFundingLedgerUpdates":
            updates: list[object] = []
            yield self.kind, {"isSnapshot": True, "user": self.user, "nonFundingLedgerUpdates": updates}
        elif self.kind == "trades":
            recent = PUBLIC["recentTrades"](self._query())
            self._second = self._face.exchange.now_ns // NS
            yield "trades", recent
        else:
            yield from self.tick()

    # -------------------------------------------------------------------- time

    def tick(self) -> Iterator[tuple[str, object]]:
        """Yield what has changed with time: books move once a second."""
        second = self._face.exchange.now_ns // NS
        if second == self._second or not (self.kind in _TIMED or self.kind in STATES):
            return
        since, self._second = self._second, second
        if self.kind in STATES:
            yield from self._state()
            return
        for channel, data in _TIMED[self.kind](self, since):
            if self.kind == "bbo" and isinstance(data, dict):
                # Only a best price that has changed is told.
                if data["bbo"] == self._last:
                    continue
                self._last = data["bbo"]
            yield channel, data

    def _state(self) -> Iterator[tuple[str, object]]:
        found = ACCOUNT[STATES[self.kind]](self._query())
        compared = {k: v for k, v in found.items() if k != "time"} if isinstance(found, dict) else found
        if compared == self._last:
            return
        self._last = compared
        name = {"openOrders": "orders", "spotState": "spotState"}.get(self.kind, "clearinghouseState")
        yield self.kind, {"dex": "", "user": self.user, name: found}

    def asset(self) -> Asset:
        """Return the asset of a market stream."""
        return BY_COIN[str(self.echo["coin"])]

    def _mids(self, _since: int) -> Iterable[tuple[str, object]]:
        yield "allMids", {"mids": mids(self._face.engine, self._face.exchange.now_ns)}

    def _book(self, _since: int) -> Iterable[tuple[str, object]]:
        yield "l2Book", PUBLIC["l2Book"](self._query())

    def _best(self, _since: int) -> Iterable[tuple[str, object]]:
        at = self._face.moment(self._face.exchange.now_ns)
        sides = levels_rows(self._face.engine, self.asset(), at.now_ns)
        best = [side[0] if side else None for side in sides]
        yield "bbo", {"coin": self.echo["coin"], "time": at.venue_ms, "bbo": best}

    def _context(self, _since: int) -> Iterable[tuple[str, object]]:
        asset, now_ns = self.asset(), self._face.exchange.now_ns
        describe = spot_context if asset.is_spot else asset_context
        channel = "activeSpotAssetCtx" if asset.is_spot else "activeAssetCtx"
        yield channel, {"coin": asset.coin, "ctx": describe(self._face.engine, asset, now_ns)}

    def _candle(self, _since: int) -> Iterable[tuple[str, object]]:
        interval, now_ns = str(self.echo["interval"]), self._face.exchange.now_ns
        number = now_ns // NS // INTERVALS[interval]
        yield "candle", candle(self._face.engine, self.asset(), interval, number, now_ns)

    def _active(self, _since: int) -> Iterable[tuple[str, object]]:
        try:
            yield "activeAssetData", ACCOUNT["activeAssetData"](self._query())
        except Unreadable:
            return

    def _trades(self, since: int) -> Iterable[tuple[str, object]]:
        step = TRADE_STEP_NS // NS
        newest = self._second // step
        if newest != since // step and not self.asset().is_delisted:
            seed = self._face.exchange.state.seed
            yield "trades", [market_trade(self._face.engine, seed, self.asset(), newest)]

    # ------------------------------------------------------------------ events

    def on_events(self, events: list[Event]) -> Iterator[tuple[str, object]]:
        """Yield what has changed with orders."""
        if self.kind == "trades":
            own = [e.fill for e in events if e.fill is not None and ASSETS[e.fill.asset] is self.asset()]
            if own:
                yield "trades", [_public_trade(fill, events) for fill in own]
            return
        mine = [e for e in events if e.account == self.user]
        if not mine:
            return
        if self.kind in STATES:
            yield from self._state()
        elif self.kind == "orderUpdates":
            rows = [update_row(e.order) for e in mine if e.order is not None]
            yield "orderUpdates", rows
        elif self.kind == "userFills":
            yield from self._fills([e.fill for e in mine if e.fill is not None])
        elif self.kind == "userEvents":
            yield from self._user_events(mine)

    def _fills(self, fills: list[Fill]) -> Iterator[tuple[str, object]]:
        if fills:
            rows = aggregated(fills) if self.echo.get("aggregateByTime") else [fill_row(f) for f in fills]
            yield "userFills", {"user": self.user, "fills": rows}

    @staticmethod
    def _user_events(events: list[Event]) -> Iterator[tuple[str, object]]:
        fills = [fill_row(e.fill) for e in events if e.fill is not None]
        if fills:
            yield "user", {"fills": fills}
        gone = [
            {"coin": ASSETS[e.order.asset].coin, "oid": e.order.oid}
            for e in events
            if e.order is not None and not e.by_user
        ]
        if gone:
            yield "user", {"nonUserCancel": gone}


def _public_trade(fill: Fill, events: list[Event]) -> Json:
    owner = next(e.account for e in events if e.fill is fill)
    return {
        "coin": ASSETS[fill.asset].coin, "side": "B" if fill.is_buy == fill.crossed else "A",
        "px": dotted(fill.price), "sz": dotted(fill.size), "time": fill.time_ms, "hash": fill.hash,
        "tid": fill.tid, "users": [owner, NOBODY] if fill.is_buy else [NOBODY, owner],
    }  # fmt: skip


_TIMED: Final[dict[str, Callable[[Feed, int], Iterable[tuple[str, object]]]]] = {
    "allMids": Feed._mids,  # noqa: SLF001  the table belongs to the class
    "l2Book": Feed._book,  # noqa: SLF001
    "bbo": Feed._best,  # noqa: SLF001
    "activeAssetCtx": Feed._context,  # noqa: SLF001
    "candle": Feed._candle,  # noqa: SLF001
    "activeAssetData": Feed._active,  # noqa: SLF001
    "trades": Feed._trades,  # noqa: SLF001
}
"""What the streams that follow the clock say, given the second in which they last spoke."""
