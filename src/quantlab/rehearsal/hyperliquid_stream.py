"""Hyperliquid's WebSocket: subscriptions, ping, requests by `post`, silence that ends it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec
import wsproto
from wsproto import events as ws

from quantlab.rehearsal.hyperliquid_book import Event
from quantlab.rehearsal.hyperliquid_feeds import Feed, read_subscription
from quantlab.rehearsal.hyperliquid_inbound import EXCHANGE_PATH, INFO_PATH, STREAM_PATH, Inbound
from quantlab.rehearsal.hyperliquid_wire import NS, VENUE, Unreadable
from quantlab.rehearsal.wire import REASONS, Answer, Json, Request

if TYPE_CHECKING:
    from quantlab.rehearsal.faults import Claim, Fault
    from quantlab.rehearsal.hyperliquid_face import HyperliquidFace

OK: Final = 200
ROUTES: Final = {"info": INFO_PATH, "action": EXCHANGE_PATH}


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One `post` that is not answered yet."""

    id: int
    kind: str
    """`info` or `action`."""
    inbound: Inbound
    claim: Claim | None = None
    answer: Answer | None = None
    fault: Fault | None = None


class HyperliquidStream:
    """State machine of one WebSocket; `take()` yields the bytes to write."""

    def __init__(self, face: HyperliquidFace, request: Request) -> None:
        self._face = face
        self._exchange = face.exchange
        self._machine = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        self._out = bytearray()
        self._text = ""
        self._feeds: dict[bytes, Feed] = {}
        self._posts: list[tuple[int, Post]] = []
        """(when it goes on by the driver's clock, what), in no order."""
        self.delays_ns: list[int] = []
        """Wakes to ask for; whoever drives the stream clears it."""
        self.over = False
        self.broken = False
        """Whether it ends with a reset."""
        self._said_ns = self._exchange.driver_ns()
        self._machine.initiate_upgrade_connection(list(request.raw_headers), request.path)
        self._handle_events()
        if request.trailing:
            self.receive(request.trailing)

    @property
    def users(self) -> set[str]:
        """The accounts that are subscribed to."""
        return {feed.user for feed in self._feeds.values() if feed.user is not None}

    def take(self) -> bytes:
        """Return and forget the bytes to write."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes end the connection."""
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

    # ------------------------------------------------------------------ saying

    def _say(self, channel: str, data: object = None, *, kind: str = "") -> None:
        frame: Json = {"channel": channel}
        if data is not None:
            frame["data"] = data
        self._write(msgspec.json.encode(frame).decode(), kind)

    def _write(self, text: str, kind: str = "", *, halved: bool = False) -> None:
        if self.over:
            return
        data = self._machine.send(ws.TextMessage(data=text))
        cut = kind and self._exchange.plan.take("stream_cut", VENUE, STREAM_PATH, kind, typed=True)
        if cut or halved:
            # The frame breaks off in its middle, and the connection with it.
            data = data[: len(data) // 2]
            self.over = self.broken = True
        self._out += data
        self._said_ns = self._exchange.driver_ns()

    def _error(self, text: str) -> None:
        self._say("error", text)

    def _say_all(self, feed: Feed, frames: Iterable[tuple[str, object]]) -> None:
        for channel, data in frames:
            self._say(channel, data, kind=feed.kind)

    # ---------------------------------------------------------------- messages

    def _message(self, text: str) -> None:
        self._face.advance()
        try:
            data: object = msgspec.json.decode(text)
        except msgspec.DecodeError:
            data = None
        method = data.get("method") if isinstance(data, dict) else None
        if isinstance(data, dict) and method == "ping":
            self._say("pong")
        elif isinstance(data, dict) and method in ("subscribe", "unsubscribe"):
            self._subscription(str(method), data.get("subscription"))
        elif isinstance(data, dict) and method == "post" and self._is_post(data):
            self._post(data)
        else:
            self._error(f"Error parsing JSON into valid websocket request: {text}")

    def _subscription(self, method: str, value: object) -> None:
        try:
            echo = read_subscription(value)
        except Unreadable:
            self._error(f"Invalid subscription {msgspec.json.encode(value).decode()}")
            return
        key = msgspec.json.encode(echo)
        if method == "unsubscribe":
            if self._feeds.pop(key, None) is None:
                self._error(f"Already unsubscribed: {key.decode()}")
                return
            self._say("subscriptionResponse", {"method": method, "subscription": echo})
            return
        if key in self._feeds:
            self._error(f"Already subscribed: {key.decode()}")
            return
        feed = Feed(self._face, echo)
        if not self._has_room(feed):
            return
        self._feeds[key] = feed
        self._say("subscriptionResponse", {"method": method, "subscription": echo})
        self._say_all(feed, feed.first())

    def _has_room(self, feed: Feed) -> bool:
        limits = self._face.limits
        streams = [c.stream for c in self._face.connections if c.stream is not None]
        users = self.users.union(*(stream.users for stream in streams))
        if feed.user is not None and feed.user not in users and len(users) >= limits.users:
            self._error(f"Cannot track more than {limits.users} total users.")
            return False
        if len(self._feeds) >= limits.subscriptions:
            self._error(f"Cannot have more than {limits.subscriptions} subscriptions.")
            return False
        return True

    # ------------------------------------------------------------------- posts

    @staticmethod
    def _is_post(data: Json) -> bool:
        request = data.get("request")
        known = isinstance(request, dict) and request.get("type") in ROUTES and "payload" in request
        return known and isinstance(data.get("id"), int)

    def _post(self, data: Json) -> None:
        request, number = data["request"], data["id"]
        if not isinstance(request, dict) or not isinstance(number, int):
            return
        if len(self._posts) >= self._face.limits.inflight:
            self._error(f"too many pending post requests id={number}")
            return
        kind = str(request["type"])
        body = msgspec.json.encode(request["payload"])
        inbound = Inbound(path=STREAM_PATH, route=ROUTES[kind], body=body)
        claim = self._face.claim(inbound)
        post = Post(id=number, kind=kind, inbound=inbound, claim=claim)
        if claim.delay_ns:
            self._wait(post, claim.delay_ns)
        else:
            self._carry_out(post, claim)

    def _wait(self, post: Post, delay_ns: int) -> None:
        self._posts.append((self._exchange.driver_ns() + delay_ns, post))
        self.delays_ns.append(delay_ns)

    def wake(self) -> None:
        """Go on with the post that has waited longest for its time."""
        if not self._posts:
            return
        due = min(self._posts, key=lambda pair: pair[0])
        self._posts.remove(due)
        post = due[1]
        if post.answer is not None:
            self._reply(post, post.answer, post.fault)
        elif post.claim is not None:
            self._carry_out(post, post.claim)

    def _carry_out(self, post: Post, claim: Claim) -> None:
        answer, fault = self._face.handle(post.inbound, claim)
        if answer is None:
            self.over = True
            self.broken = fault is not None and fault.fault == "drop_before_read"
        elif claim.answer_delay_ns:
            waiting = msgspec.structs.replace(post, answer=answer, fault=fault)
            self._wait(waiting, claim.answer_delay_ns)
        else:
            self._reply(post, answer, fault)

    def _reply(self, post: Post, answer: Answer, fault: Fault | None) -> None:
        name = fault.fault if fault is not None else ""
        if name == "garbage":
            self._write(answer.body.decode("latin-1"))
            return
        response: Json
        if answer.status != OK:
            reason = f"{answer.status} {REASONS.get(answer.status, 'Error')}"
            response = {"type": "error", "payload": f"{reason}: {answer.body.decode('latin-1')}"}
        elif post.kind == "info":
            payload = {"type": post.inbound.kind, "data": msgspec.Raw(answer.body)}
            response = {"type": "info", "payload": payload}
        else:
            response = {"type": "action", "payload": msgspec.Raw(answer.body)}
        frame = {"channel": "post", "data": {"id": post.id, "response": response}}
        text = msgspec.json.encode(frame).decode()
        if fault is not None and name == "truncate" and fault.text == "json":
            text = text[: len(text) // 2]
        self._write(text, halved=fault is not None and name == "truncate" and fault.text != "json")

    # -------------------------------------------------------------------- time

    def publish(self, events: list[Event]) -> None:
        """Report what the engine has done to the subscriptions it concerns."""
        for feed in list(self._feeds.values()):
            self._say_all(feed, feed.on_events(events))

    def tick(self) -> None:
        """Send what has changed with time; break off when nothing was sent for long."""
        for feed in list(self._feeds.values()):
            self._say_all(feed, feed.tick())
        idle_ns = self._face.limits.idle_seconds * NS
        if self._exchange.driver_ns() - self._said_ns >= idle_ns:
            # Without a closing handshake, as measured: the peer sees 1006.
            self.over = True
