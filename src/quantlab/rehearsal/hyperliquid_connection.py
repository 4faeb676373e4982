"""One connection of the Hyperliquid face: HTTP, or a WebSocket once it has been asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from quantlab.rehearsal.hyperliquid_inbound import STREAM_PATH, Inbound
from quantlab.rehearsal.hyperliquid_stream import HyperliquidStream
from quantlab.rehearsal.hyperliquid_wire import plain_text
from quantlab.rehearsal.wire import (
    Action,
    Answer,
    Close,
    HttpWire,
    Malformed,
    Request,
    Send,
    Wake,
)

if TYPE_CHECKING:
    from quantlab.rehearsal.faults import Claim, Fault
    from quantlab.rehearsal.hyperliquid_book import Event
    from quantlab.rehearsal.hyperliquid_face import HyperliquidFace

STREAM_PATHS: Final = (STREAM_PATH, STREAM_PATH + "/")
CLOCK_PATH: Final = "/rehearsal/clock"


class HyperliquidConnection:
    """State machine of one connection; see `wire.Connection` for its contract."""

    def __init__(self, face: HyperliquidFace) -> None:
        self._face = face
        self._http = HttpWire()
        self.stream: HyperliquidStream | None = None
        self._waiting: tuple[Inbound, Claim] | None = None
        self._ready: tuple[Answer, Fault | None] | None = None
        """An answer that waits, its request already carried out."""
        self._over = False
        self.outbox: list[Action] = []

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has ended its side."""
        if self._over:
            return
        if self.stream is not None:
            self.stream.receive(data)
            self._drain_stream()
            return
        try:
            self._http.feed(data)
            self._read_on()
        except Malformed as error:
            self._malformed(error)

    def _read_on(self) -> None:
        while not self._over and not (self._waiting or self._ready) and self.stream is None:
            request = self._http.next_request()
            if self._http.interim:
                self.outbox.append(Send(self._http.interim))
                self._http.interim = b""
            if request is None:
                return
            self._meet(request)

    def _malformed(self, error: Malformed) -> None:
        answer = plain_text(error.status, str(error))
        self.outbox += [Send(HttpWire.raw(answer, len(answer.body))), Close()]
        self._over = True

    def _meet(self, request: Request) -> None:
        if request.path == CLOCK_PATH:
            body = msgspec.json.encode({"now_ns": str(self._face.exchange.now_ns)})
            self._answer(Answer(body=body))
            return
        if request.upgrades and request.path in STREAM_PATHS:
            self._upgrade(request)
            return
        inbound = Inbound.of_http(request)
        claim = self._face.claim(inbound)
        if claim.delay_ns:
            self._waiting = (inbound, claim)
            self.outbox.append(Wake(claim.delay_ns))
            return
        self._handle(inbound, claim)

    def wake(self) -> None:
        """Go on with the request whose delay has passed."""
        if self.stream is not None:
            self.stream.wake()
            self._drain_stream()
            return
        try:
            if self._ready is not None:
                (answer, fault), self._ready = self._ready, None
                self._write(answer, fault)
            elif self._waiting is not None:
                # The peer may be gone by now: its request has arrived all the same and is processed.
                (inbound, claim), self._waiting = self._waiting, None
                self._handle(inbound, claim)
            self._read_on()
        except Malformed as error:
            self._malformed(error)

    def _handle(self, inbound: Inbound, claim: Claim) -> None:
        answer, fault = self._face.handle(inbound, claim)
        if answer is None:
            self._over = True
            self.outbox.append(Close(reset=fault is not None and fault.fault == "drop_before_read"))
            return
        self._face.exchange.plan.answered(self._face.name, inbound.path)
        if claim.answer_delay_ns:
            self._ready = (answer, fault)
            self.outbox.append(Wake(claim.answer_delay_ns))
            return
        self._write(answer, fault)

    def _write(self, answer: Answer, fault: Fault | None) -> None:
        if fault is not None and fault.fault == "truncate":
            self._cut(answer, fault)
            return
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        data, closes = self._http.answer(answer)
        self.outbox.append(Send(data))
        if closes:
            self._over = True
            self.outbox.append(Close())

    def _cut(self, answer: Answer, fault: Fault) -> None:
        half = msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2])
        if fault.text == "json":
            self._answer(half)
            return
        self._over = True
        self.outbox += [Send(HttpWire.raw(half, len(answer.body))), Close()]

    # ----------------------------------------------------------------- stream

    def _upgrade(self, request: Request) -> None:
        streams = [c for c in self._face.connections if c.stream is not None]
        if len(streams) >= self._face.limits.connections:
            self._answer(plain_text(429, "Too many WebSocket connections"))
            return
        self.stream = HyperliquidStream(self._face, request)
        self._drain_stream()
        if self._face.exchange.plan.take("stream_cut", self._face.name, STREAM_PATH) is not None:
            self.cut_stream()

    def _drain_stream(self) -> None:
        if self.stream is None:
            return
        data = self.stream.take()
        if data:
            self.outbox.append(Send(data))
        delays, self.stream.delays_ns = self.stream.delays_ns, []
        self.outbox += [Wake(delay_ns) for delay_ns in delays]
        if self.stream.over and not self._over:
            self._over = True
            self.outbox.append(Close(reset=self.stream.broken))

    def cut_stream(self) -> None:
        """Break the WebSocket off, without a closing handshake."""
        if self.stream is not None and not self._over:
            self._over = True
            self.outbox.append(Close(reset=True))

    def publish(self, events: list[Event]) -> None:
        """Report events to the WebSocket, where there is one."""
        if self.stream is not None and not self._over:
            self.stream.publish(events)
            self._drain_stream()

    def tick(self) -> None:
        """Send what has changed with time, cut off what idles."""
        if self.stream is not None and not self._over:
            self.stream.tick()
            self._drain_stream()

    def lost(self) -> None:
        """Forget the peer."""
        self._over = True
        if self in self._face.connections:
            self._face.connections.remove(self)
