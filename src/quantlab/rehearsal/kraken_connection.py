"""One connection of the Kraken face: HTTP, or a WebSocket once it has been asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from quantlab.rehearsal.kraken_stream import KrakenStream
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
    from quantlab.rehearsal.kraken_face import KrakenFace
    from quantlab.rehearsal.kraken_ticket import Event

STREAM_PATHS: Final = ("/v2", "/v2/")
CLOCK_PATH: Final = "/rehearsal/clock"


class KrakenConnection:
    """State machine of one connection; see `wire.Connection` for its contract."""

    def __init__(self, face: KrakenFace) -> None:
        self._face = face
        self._http = HttpWire()
        self._stream: KrakenStream | None = None
        self._waiting: tuple[Request, Claim] | None = None
        self._over = False
        self.outbox: list[Action] = []

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has ended its side."""
        if self._over:
            return
        if self._stream is not None:
            self._stream.receive(data)
            self._drain_stream()
            return
        try:
            self._http.feed(data)
            self._read_on()
        except Malformed as error:
            self._malformed(error)

    def _read_on(self) -> None:
        while not self._over and self._waiting is None and self._stream is None:
            request = self._http.next_request()
            if self._http.interim:
                self.outbox.append(Send(self._http.interim))
                self._http.interim = b""
            if request is None:
                return
            self._meet(request)

    def _malformed(self, error: Malformed) -> None:
        body = msgspec.json.encode({"error": [f"EGeneral:Invalid arguments:{error}"]})
        answer = Answer(status=error.status, body=body)
        self.outbox += [Send(HttpWire.raw(answer, len(body))), Close()]
        self._over = True

    def _meet(self, request: Request) -> None:
        if request.path == CLOCK_PATH:
            body = msgspec.json.encode({"now_ns": str(self._face.exchange.now_ns)})
            self._answer(Answer(body=body))
            return
        if request.upgrades and request.path in STREAM_PATHS:
            self._upgrade(request)
            return
        claim = self._face.claim(request)
        if claim.delay_ns:
            self._waiting = (request, claim)
            self.outbox.append(Wake(claim.delay_ns))
            return
        self._handle(request, claim)

    def wake(self) -> None:
        """Go on with the request whose delay has passed."""
        if self._waiting is None:
            return
        # The peer may be gone by now: its request has arrived all the same and is processed.
        request, claim = self._waiting
        self._waiting = None
        self._handle(request, claim)
        try:
            self._read_on()
        except Malformed as error:
            self._malformed(error)

    def _handle(self, request: Request, claim: Claim) -> None:
        answer, fault = self._face.handle(request, claim)
        if answer is None:
            self._over = True
            self.outbox.append(Close(reset=fault is not None and fault.fault == "drop_before_read"))
            return
        self._face.exchange.plan.answered(self._face.name, request.path)
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
        self._stream = KrakenStream(self._face, request)
        self._drain_stream()
        if self._face.exchange.plan.take("stream_cut", self._face.name, request.path) is not None:
            self.cut_stream()

    def _drain_stream(self) -> None:
        if self._stream is None:
            return
        data = self._stream.take()
        if data:
            self.outbox.append(Send(data))
        if self._stream.over and not self._over:
            self._over = True
            self.outbox.append(Close())

    def cut_stream(self) -> None:
        """Break the WebSocket off, without a closing handshake."""
        if self._stream is not None and not self._over:
            self._over = True
            self.outbox.append(Close(reset=True))

    def publish(self, events: list[Event]) -> None:
        """Report events to the WebSocket, where there is one."""
        if self._stream is not None and not self._over:
            self._stream.publish(events)
            self._drain_stream()

    def tick(self) -> None:
        """Send heartbeats and book updates, close what idles."""
        if self._stream is not None and not self._over:
            self._stream.tick()
            self._drain_stream()

    def lost(self) -> None:
        """Forget the peer."""
        self._over = True
        if self in self._face.connections:
            self._face.connections.remove(self)
