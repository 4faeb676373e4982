"""Kraken's WebSocket v2: status, ping, subscriptions, trading methods, heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec
import wsproto
from wsproto import events as ws

from quantlab.rehearsal.accounts import KrakenKey
from quantlab.rehearsal.kraken_auth import check_permission
from quantlab.rehearsal.kraken_call import VENUE, Call
from quantlab.rehearsal.kraken_executions import Executions
from quantlab.rehearsal.kraken_feeds import FEEDS, Feed
from quantlab.rehearsal.kraken_methods import METHODS
from quantlab.rehearsal.kraken_wire import Params, Refused, rfc3339
from quantlab.rehearsal.wire import Json, Request

if TYPE_CHECKING:
    from quantlab.rehearsal.kraken_face import KrakenFace
    from quantlab.rehearsal.kraken_ticket import Event

NS: Final = 1_000_000_000
HEARTBEAT_NS: Final = NS
IDLE_NS: Final = 60 * NS
"""A connection without a subscription and without a message of the client is closed after this."""


class KrakenStream:
    """State machine of one WebSocket; `take()` yields the bytes to write."""

    def __init__(self, face: KrakenFace, request: Request) -> None:
        self._face = face
        self._exchange = face.exchange
        self._machine = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        self._out = bytearray()
        self._text = ""
        self._executions: dict[str, Executions] = {}
        """Subscriptions to `executions` by account."""
        self._feeds: dict[tuple[str, str], Feed] = {}
        """Subscriptions to public channels by channel and symbol."""
        self.over = False
        self._heard_ns = self._said_ns = self._exchange.driver_ns()
        self._machine.initiate_upgrade_connection(list(request.raw_headers), request.path)
        self._handle_events()
        if request.trailing:
            self.receive(request.trailing)

    def take(self) -> bytes:
        """Return and forget the bytes to write."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes end the connection."""
        self._heard_ns = self._exchange.driver_ns()
        try:
            self._machine.receive_data(data or None)
            self._handle_events()
        except wsproto.utilities.ProtocolError:
            self.over = True

    def _handle_events(self) -> None:
        for event in self._machine.events():
            match event:
                case ws.Request():
                    self._out += self._machine.send(ws.AcceptConnection())
                    self._greet()
                case ws.TextMessage():
                    self._text += event.data
                    if event.message_finished:
                        text, self._text = self._text, ""
                        self._message(text)
                case ws.Ping():
                    self._out += self._machine.send(event.response())
                case ws.CloseConnection():
                    if self._machine.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                        self._out += self._machine.send(event.response())
                    self.over = True
                case _:
                    continue

    def _say(self, frame: Json) -> None:
        if self.over:
            return
        text = msgspec.json.encode(frame).decode()
        self._out += self._machine.send(ws.TextMessage(data=text))
        self._said_ns = self._exchange.driver_ns()

    def _greet(self) -> None:
        count = len(self._exchange.state.requests)
        status = {
            "version": "2.0.10",
            "system": self._exchange.mode(VENUE),
            "api_version": "v2",
            "connection_id": 2**63 + self._exchange.state.seed % 2**32 * 1_000_003 + count,
        }
        self._say({"channel": "status", "type": "update", "data": [status]})

    # --------------------------------------------------------------- messages

    def _message(self, text: str) -> None:
        time_in = rfc3339(self._exchange.reported_ns(VENUE))
        try:
            data = msgspec.json.Decoder(float_hook=Decimal).decode(text)
        except msgspec.DecodeError:
            data = None
        if not isinstance(data, dict):
            self._reply("", None, time_in, error="Malformed request")
            return
        method = str(data.get("method", ""))
        req_id = data.get("req_id")
        params = data.get("params")
        given = {str(k): v for k, v in params.items()} if isinstance(params, dict) else {}
        self._face.advance()
        if method == "ping":
            self._reply("pong", req_id, time_in, plain=True)
        elif method in ("subscribe", "unsubscribe"):
            self._guard(method, req_id, time_in, lambda: self._subscription(method, given))
        elif method in METHODS:
            self._trade(method, req_id, time_in, given)
        else:
            self._reply(method, req_id, time_in, error="Unsupported event")

    def _reply(
        self, method: str, req_id: object, time_in: str, *, result: object = None,
        error: str | None = None, plain: bool = False,
    ) -> None:  # fmt: skip
        frame: Json = {"method": method}
        if isinstance(req_id, int):
            frame["req_id"] = req_id
        if error is not None:
            frame |= {"success": False, "error": error}
        elif not plain:
            frame |= {"result": result, "success": True}
        frame |= {"time_in": time_in, "time_out": rfc3339(self._exchange.reported_ns(VENUE))}
        self._say(frame)

    def _guard(self, method: str, req_id: object, time_in: str, action: Callable[[], Iterable[Json]]) -> None:
        """Acknowledge each result of an action, then send the snapshots that belong to it."""
        try:
            results = list(action())
        except Refused as refusal:
            self._reply(method, req_id, time_in, error=refusal.error)
            return
        for result in results:
            self._reply(method, req_id, time_in, result=result)
        if method == "subscribe":
            for executions in self._executions.values():
                self._say_all(executions.take_snapshot())
            for feed in self._feeds.values():
                self._say_all(feed.take_snapshot(self._exchange))

    def _say_all(self, frames: Iterable[Json]) -> None:
        for frame in frames:
            self._say(frame)

    def key_of(self, params: Json) -> KrakenKey:
        """Find the key behind a token.

        Raises:
            Refused: the token is unknown, or it is too old and nothing is subscribed with it.
        """
        token = params.get("token")
        known = self._exchange.state.tokens.get(token) if isinstance(token, str) else None
        key = self._exchange.keys.by_api_key(known.api_key) if known else None
        if known is None or key is None:
            raise Refused("ESession:Invalid session")
        if known.until_ns < self._exchange.now_ns and key.account not in self._executions:
            raise Refused("ESession:Invalid session")
        return key

    # ---------------------------------------------------------- subscriptions

    def _subscription(self, method: str, params: Json) -> list[Json]:
        channel = params.get("channel")
        if channel == "executions":
            return [self._subscribe_executions(method, params)]
        if channel == "balances":
            key = self.key_of(params)
            names: list[object] = [key.account]
        elif channel in ("ticker", "book"):
            listed = params.get("symbol")
            names = list(listed) if isinstance(listed, list) else []
        else:
            raise Refused("Unsupported channel" if channel else "Channel is missing")
        if not names:
            raise Refused("Symbol(s) missing")
        results = []
        for name in names:
            feed = FEEDS[str(channel)](self._exchange, self._face.engine, str(name), params)
            if method == "subscribe":
                self._feeds[str(channel), str(name)] = feed
            else:
                self._feeds.pop((str(channel), str(name)), None)
            results.append(feed.ack)
        return results

    def _subscribe_executions(self, method: str, params: Json) -> Json:
        key = self.key_of(params)
        if method == "unsubscribe":
            self._executions.pop(key.account, None)
            return {"channel": "executions"}
        if key.account in self._executions:
            raise Refused("Already subscribed")
        account = self._exchange.state.accounts[key.account]
        executions = Executions(account, params, self._exchange.now_ns)
        self._executions[key.account] = executions
        return executions.ack

    # ---------------------------------------------------------------- trading

    def _trade(self, method: str, req_id: object, time_in: str, params: Json) -> None:
        """Carry out a trading method; it meets the same permission checks as REST."""
        effect = False
        note = "ok"
        try:
            key = self.key_of(params)
            check_permission(key, "AddOrder" if method == "add_order" else "CancelOrder")
            effect = params.get("validate") is not True
            call = Call(
                exchange=self._exchange,
                engine=self._face.engine,
                key=key,
                params=Params({}),
                now_ns=self._exchange.now_ns,
            )
            for result in METHODS[method](call, params):
                self._reply(method, req_id, time_in, result=result)
        except Refused as refusal:
            note = refusal.error
            self._reply(method, req_id, time_in, error=refusal.error)
        self._exchange.log(VENUE, "/v2", method, note, effect=effect)
        self._face.publish()

    # ------------------------------------------------------------------- time

    def publish(self, events: list[Event]) -> None:
        """Report what the engine has done to the subscriptions it concerns."""
        for account, executions in self._executions.items():
            mine = [e for e in events if e.account == account]
            self._say_all(executions.updates(mine))
        for feed in self._feeds.values():
            self._say_all(feed.on_events(self._exchange, events))

    def tick(self) -> None:
        """Send book updates and heartbeats; close the connection when it idles."""
        now_ns = self._exchange.driver_ns()
        for feed in self._feeds.values():
            self._say_all(feed.tick(self._exchange))
        if not (self._executions or self._feeds):
            if now_ns - self._heard_ns >= IDLE_NS and not self.over:
                self._out += self._machine.send(ws.CloseConnection(code=1000, reason="idle"))
                self.over = True
        elif now_ns - self._said_ns >= HEARTBEAT_NS:
            self._say({"channel": "heartbeat"})
