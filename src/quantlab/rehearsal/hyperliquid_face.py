"""The Hyperliquid face: for now it says that it is not there yet."""

from __future__ import annotations

from typing import Final

import msgspec

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.wire import Action, Answer, Close, HttpWire, Malformed, Request, Send

SENTENCE: Final = "the Hyperliquid face is not part of this release"
CLOCK_PATH: Final = "/rehearsal/clock"


class HyperliquidFace:
    """Answers every request with HTTP 501, but for the exchange's clock."""

    name = "hyperliquid"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def open(self) -> HyperliquidConnection:
        """Accept one connection."""
        self.exchange.plan.connection_opened(self.name)
        return HyperliquidConnection(self)

    def refuses(self) -> bool:
        """Tell whether connects must be refused now."""
        return self.exchange.plan.refuses(self.name, self.exchange.driver_ns())


class HyperliquidConnection:
    """State machine of one connection; see `wire.Connection` for its contract."""

    def __init__(self, face: HyperliquidFace) -> None:
        self._face = face
        self._http = HttpWire()
        self._over = False
        self.outbox: list[Action] = []

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has ended its side."""
        try:
            if not self._over:
                self._http.feed(data)
            while not self._over:
                request = self._http.next_request()
                if request is None:
                    return
                self._answer(request)
        except Malformed as error:
            answer = Answer(status=error.status, body=msgspec.json.encode({"error": str(error)}))
            self.outbox += [Send(HttpWire.raw(answer, len(answer.body))), Close()]
            self._over = True

    def _answer(self, request: Request) -> None:
        exchange = self._face.exchange
        if request.path == CLOCK_PATH:
            answer = Answer(body=msgspec.json.encode({"now_ns": str(exchange.now_ns)}))
        else:
            exchange.log(self._face.name, request.path, None, "http 501", effect=False)
            answer = Answer(status=501, body=msgspec.json.encode({"error": SENTENCE}))
        data, closes = self._http.answer(answer)
        self.outbox.append(Send(data))
        if closes:
            self._over = True
            self.outbox.append(Close())

    def wake(self) -> None:
        """Nothing waits here."""

    def tick(self) -> None:
        """Nothing happens here with time."""

    def lost(self) -> None:
        """Forget the peer."""
        self._over = True
