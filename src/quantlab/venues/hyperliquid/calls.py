"""One request for information: within the venue's rate weights, and judged. Nothing is repeated.

A request goes over HTTP here; `posts` has the other channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec

from quantlab.model.execution import WireExchange
from quantlab.venues.answers import BadAnswer, parse_json
from quantlab.venues.hyperliquid import classify, codec
from quantlab.venues.port import KeyTurns, ReadFailure, VenueReadFailed
from quantlab.venues.transport import HttpRequest, Transport

T = TypeVar("T")

# The weights count for the machine's address, whichever key is in use, so all processes share this one bucket. It is
# not the signer's, whose turn a rung may hold while it reads.
WEIGHT_BUCKET: Final = "hyperliquid-address-weight"
_USUAL_WEIGHT: Final = 20
# hyperliquid.md 7.
_WEIGHTS: Final[dict[str, int]] = {
    "clearinghouseState": 2,
    "exchangeStatus": 2,
    "l2Book": 2,
    "orderStatus": 2,
    "spotClearinghouseState": 2,
    "userRole": 60,
}
_ROWS_PER_WEIGHT: Final[dict[str, int]] = {"historicalOrders": 20, "userFillsByTime": 20}


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """The weight that an address may use: size of the bucket, and weight that drains in 1000 s.

    The venue allows 1200 a minute. A bucket of 900 that gains 300 a minute never gives more in any minute, however the
    venue counts its minutes: refused for its rate, an order would be left unknown.
    """

    capacity: int = 900
    decay_per_kilosecond: int = 5_000


class InfoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole answer holds, and the exchange that brought it."""

    value: Any
    exchange: WireExchange


class InfoChannel(Protocol):
    """A way to ask for information."""

    def ask(self, request: Mapping[str, Any], *, purpose: str) -> InfoAnswer:
        """Ask once; raises ``VenueReadFailed`` without a whole answer. The exchange lands on the tape either way."""


class HttpInfo:
    """The information endpoint, one connection a request.

    Args:
        transport: Makes the exchanges and keeps them on its tape.
        base_url: Scheme and host, without a path.
    """

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._url = base_url.rstrip("/") + classify.INFO_PATH

    def ask(self, request: Mapping[str, Any], *, purpose: str) -> InfoAnswer:
        """Make one exchange."""
        body = msgspec.json.encode(request)
        answer = self._transport.exchange(
            HttpRequest(purpose=purpose, method="POST", url=self._url, headers=(codec.JSON,), body=body)
        )
        exchange = answer.exchange
        require_answer(exchange)
        if exchange.status != 200:
            failure = classify.classify_http_status(exchange.status or 0)
            raise failed(purpose, failure, f"HTTP status {exchange.status}")
        if not answer.whole:
            raise failed(purpose, "bad_answer", exchange.fault or "the answer is not whole")
        return InfoAnswer(value=decoded(purpose, lambda: parse_json(answer.body)), exchange=exchange)


class HyperliquidCalls:
    """Requests for information, which need no key.

    Args:
        channel: Asks.
        turns: Keeps the weight used, shared by all processes.
        allowance: The weight that the venue allows.
    """

    def __init__(self, channel: InfoChannel, *, turns: KeyTurns, allowance: Allowance) -> None:
        self._channel = channel
        self._turns = turns
        self._allowance = allowance

    def over(self, channel: InfoChannel) -> HyperliquidCalls:
        """Return the same requests over another channel; the weight is counted as before."""
        return HyperliquidCalls(channel, turns=self._turns, allowance=self._allowance)

    def info(self, kind: str, fields: Mapping[str, Any] | None = None, *, purpose: str) -> Any:
        """Return what the answer to a request holds; raises ``VenueReadFailed``."""
        return self.info_answer(kind, fields, purpose=purpose).value

    def info_answer(self, kind: str, fields: Mapping[str, Any] | None = None, *, purpose: str) -> InfoAnswer:
        """Return the whole answer to a request; raises ``VenueReadFailed``. Long lists weigh more."""
        self._spend(_WEIGHTS.get(kind, _USUAL_WEIGHT))
        answer = self._channel.ask({"type": kind, **(fields or {})}, purpose=purpose)
        if isinstance(answer.value, list) and kind in _ROWS_PER_WEIGHT:
            self._spend(len(answer.value) // _ROWS_PER_WEIGHT[kind])
        return answer

    def _spend(self, weight: int) -> None:
        if weight == 0:
            return
        with self._turns.turn(WEIGHT_BUCKET) as turn:
            turn.spend_points(
                weight,
                capacity=self._allowance.capacity,
                decay_per_kilosecond=self._allowance.decay_per_kilosecond,
            )


def require_answer(exchange: WireExchange) -> None:
    """Raise ``VenueReadFailed`` for an exchange that brought no answer."""
    if exchange.reached in {"not_connected", "connected"}:
        raise failed(exchange.purpose, "not_reached", exchange.fault or "the venue was not reached")
    if exchange.reached == "bytes_sent":
        raise failed(exchange.purpose, "no_answer", exchange.fault or "no answer came")


def failed(purpose: str, kind: ReadFailure, why: str) -> VenueReadFailed:
    """Return the fault of a read, which says what it means for orders: nothing."""
    message = f"{purpose} on Hyperliquid failed: {why}. It says nothing about any order."
    return VenueReadFailed(message, kind=kind)


def decoded(purpose: str, decode: Callable[[], T]) -> T:
    """Return what ``decode`` makes of an answer; a :class:`BadAnswer` becomes a failed read."""
    try:
        return decode()
    except BadAnswer as error:
        raise failed(purpose, "bad_answer", str(error)) from None
