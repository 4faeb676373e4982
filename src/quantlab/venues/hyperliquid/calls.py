"""One request to the information endpoint: within the venue's rate weights, and judged. Nothing is repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from quantlab.venues.answers import BadAnswer, parse_json
from quantlab.venues.hyperliquid import classify, codec
from quantlab.venues.port import KeyTurns, ReadFailure, VenueReadFailed
from quantlab.venues.transport import HttpAnswer, HttpRequest, Transport

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
    """The weight that an address may use: size of the bucket, and weight that drains in 1000 s."""

    capacity: int = 1_200
    decay_per_kilosecond: int = 20_000


class HyperliquidCalls:
    """Requests to the information endpoint, which needs no key.

    Args:
        transport: Makes the exchanges and keeps them on its tape.
        base_url: Scheme and host, without a path.
        turns: Keeps the weight used, shared by all processes.
        allowance: The weight that the venue allows.
    """

    def __init__(self, *, transport: Transport, base_url: str, turns: KeyTurns, allowance: Allowance) -> None:
        self._transport = transport
        self._url = base_url.rstrip("/") + classify.INFO_PATH
        self._turns = turns
        self._allowance = allowance

    def info(self, kind: str, fields: Mapping[str, Any] | None = None, *, purpose: str) -> Any:
        """Return the answer to a request; raises ``VenueReadFailed``."""
        return self.result(self.info_exchange(kind, fields, purpose=purpose), kind)

    def info_exchange(self, kind: str, fields: Mapping[str, Any] | None = None, *, purpose: str) -> HttpAnswer:
        """Make one request; its answer may be anything."""
        self._spend(_WEIGHTS.get(kind, _USUAL_WEIGHT))
        request = HttpRequest(
            purpose=purpose,
            method="POST",
            url=self._url,
            headers=(codec.JSON,),
            body=msgspec.json.encode({"type": kind, **(fields or {})}),
        )
        return self._transport.exchange(request)

    def result(self, answer: HttpAnswer, kind: str) -> Any:
        """Return what a whole answer holds; raises ``VenueReadFailed`` for any other. Long lists weigh more."""
        exchange = answer.exchange
        purpose = exchange.purpose
        if exchange.reached in {"not_connected", "connected"}:
            raise failed(purpose, "not_reached", exchange.fault or "the venue was not reached")
        if exchange.reached == "bytes_sent":
            raise failed(purpose, "no_answer", exchange.fault or "no answer came")
        if exchange.status != 200:
            failure = classify.classify_http_status(exchange.status or 0)
            raise failed(purpose, failure, f"HTTP status {exchange.status}")
        if not answer.whole:
            raise failed(purpose, "bad_answer", exchange.fault or "the answer is not whole")
        value = decoded(purpose, lambda: parse_json(answer.body))
        if isinstance(value, list) and kind in _ROWS_PER_WEIGHT:
            self._spend(len(value) // _ROWS_PER_WEIGHT[kind])
        return value

    def _spend(self, weight: int) -> None:
        if weight == 0:
            return
        with self._turns.turn(WEIGHT_BUCKET) as turn:
            turn.spend_points(
                weight,
                capacity=self._allowance.capacity,
                decay_per_kilosecond=self._allowance.decay_per_kilosecond,
            )


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
