"""One call to Kraken's REST interface: signed, in its turn on the key, within its rate points, and judged.

A paged list that changed while it was read is read again, at most twice; nothing else is ever repeated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from quantlab.kernel.errors import Denied
from quantlab.venues.answers import BadAnswer, as_object, integer_in
from quantlab.venues.kraken import classify, codec
from quantlab.venues.kraken.auth import KrakenCredentials
from quantlab.venues.port import KeyTurns, ReadFailure, VenueReadFailed
from quantlab.venues.transport import HttpAnswer, HttpRequest, Transport

T = TypeVar("T")

_MOST_PAGES: Final = 200
_PASSES: Final = 3
_CALL_POINTS: Final = 1
# The venue's pages name 2 and 4 for history calls (kraken.md 11, row 1): 2 until it says that we were too
# fast.
HISTORY_POINTS: Final = 2
_CAREFUL_HISTORY_POINTS: Final = 4
_SECRET_FIELDS: Final = ("token", "iban", "apiKey", "api_key")


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """The account's rate tier: size of the key's bucket, and points that drain in 1000 s."""

    capacity: int
    decay_per_kilosecond: int


STARTER: Final = Tier(capacity=15, decay_per_kilosecond=330)


class KrakenCalls:
    """Public and private calls with one key, or with none for the public ones.

    Args:
        transport: Makes the exchanges and keeps them on its tape.
        base_url: Scheme and host, without a path.
        credentials: The key; None leaves the public calls.
        turns: Turns on the key, shared by all processes.
        tier: The account's rate tier.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        base_url: str,
        credentials: KrakenCredentials | None,
        turns: KeyTurns,
        tier: Tier,
    ) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._turns = turns
        self._tier = tier
        self._history_points = HISTORY_POINTS

    @property
    def credentials(self) -> KrakenCredentials:
        """Return the key.

        Raises:
            Denied: no key is given. Nothing was sent.
        """
        if self._credentials is None:
            message = "no Kraken API key is given; nothing was sent"
            raise Denied(message, code="kraken_key_missing")
        return self._credentials

    def public(self, method: str, fields: Mapping[str, str], *, purpose: str) -> Any:
        """Return the result of a public call; raises ``VenueReadFailed``."""
        return self.result(self.public_exchange(method, fields, purpose=purpose))

    def public_exchange(self, method: str, fields: Mapping[str, str], *, purpose: str) -> HttpAnswer:
        """Make one public call; its answer may be anything."""
        query = f"?{codec.form_text(fields)}" if fields else ""
        url = self._base_url + classify.PUBLIC_PREFIX + method + query
        return self._transport.exchange(HttpRequest(purpose=purpose, method="GET", url=url))

    def private(
        self,
        method: str,
        fields: Mapping[str, str],
        *,
        purpose: str,
        points: int = _CALL_POINTS,
    ) -> Any:
        """Return the result of a private call; raises ``VenueReadFailed``."""
        text = f"&{codec.form_text(fields)}" if fields else ""
        answer = self.private_exchange(method, lambda nonce: f"nonce={nonce}{text}", purpose=purpose, points=points)
        return self.result(answer)

    def private_exchange(self, method: str, body_of: Callable[[int], str], *, purpose: str, points: int) -> HttpAnswer:
        """Make one private call within the key's turn; its answer may be anything."""
        path = classify.PRIVATE_PREFIX + method
        credentials = self.credentials
        with self._turns.turn(credentials.signer_id) as turn:
            if points:
                turn.spend_points(
                    points,
                    capacity=self._tier.capacity,
                    decay_per_kilosecond=self._tier.decay_per_kilosecond,
                )
            nonce = turn.next_nonce()
            body = body_of(nonce).encode("ascii")
            headers = credentials.headers(path=path, nonce=str(nonce), body=body)
            request = HttpRequest(
                purpose=purpose,
                method="POST",
                url=self._base_url + path,
                headers=(codec.FORM, *headers),
                body=body,
                secret_answer_fields=_SECRET_FIELDS,
            )
            return self._transport.exchange(request)

    def paged(
        self,
        method: str,
        fields: Mapping[str, str],
        *,
        member: str,
        purpose: str,
        is_history: bool = False,
    ) -> Mapping[str, Any]:
        """Return all rows of a paged list; raises ``VenueReadFailed`` when it never holds still."""
        for _ in range(_PASSES):
            rows = self._one_pass(method, fields, member=member, purpose=purpose, is_history=is_history)
            if rows is not None:
                return rows
        raise failed(purpose, "bad_answer", f"the list changed in each of {_PASSES} readings")

    def _one_pass(
        self,
        method: str,
        fields: Mapping[str, str],
        *,
        member: str,
        purpose: str,
        is_history: bool,
    ) -> Mapping[str, Any] | None:
        """Return all rows of all pages, or None when the list changed on the way."""
        rows: dict[str, Any] = {}
        expected: int | None = None
        for _ in range(_MOST_PAGES):
            page_fields = {**fields, "ofs": str(len(rows))}
            points = self._history_points if is_history else _CALL_POINTS
            result = self.private(method, page_fields, purpose=purpose, points=points)
            page, count = decoded(purpose, functools.partial(_page_of, result, member))
            if expected not in {None, count} or not rows.keys().isdisjoint(page):
                return None
            expected = count
            rows.update(page)
            if len(rows) == count:
                return rows
            if not page or len(rows) > count:
                return None
        raise failed(purpose, "bad_answer", f"the list has more than {_MOST_PAGES} pages")

    def result(self, answer: HttpAnswer) -> Any:
        """Return the result of an answer without errors; raises ``VenueReadFailed`` for any other."""
        envelope = self.envelope(answer)
        if not envelope.errors:
            return envelope.result
        kind = classify.classify_read_errors(envelope.errors)
        if kind == "rate_limited":
            self._history_points = _CAREFUL_HISTORY_POINTS
        raise failed(answer.exchange.purpose, kind, "the venue refused the read", errors=envelope.errors)

    def envelope(self, answer: HttpAnswer) -> codec.Envelope:
        """Return the frame of an answer; raises ``VenueReadFailed`` when there is no usable one."""
        exchange = answer.exchange
        purpose = exchange.purpose
        if exchange.reached in {"not_connected", "connected"}:
            raise failed(purpose, "not_reached", exchange.fault or "the venue was not reached")
        if exchange.reached == "bytes_sent":
            raise failed(purpose, "no_answer", exchange.fault or "no answer came")
        if exchange.status != 200:
            kind = classify.classify_http_status(exchange.status or 0)
            raise failed(purpose, kind, f"HTTP status {exchange.status}")
        if not answer.whole:
            raise failed(purpose, "bad_answer", exchange.fault or "the answer is not whole")
        return decoded(purpose, lambda: codec.parse_envelope(answer.body))


def failed(purpose: str, kind: ReadFailure, why: str, *, errors: tuple[str, ...] = ()) -> VenueReadFailed:
    """Return the fault of a read, which says what it means for orders: nothing."""
    detail = f" ({'; '.join(errors)})" if errors else ""
    message = f"{purpose} on Kraken failed: {why}{detail}. It says nothing about any order."
    return VenueReadFailed(message, kind=kind, errors=errors)


def decoded(purpose: str, decode: Callable[[], T]) -> T:
    """Return what ``decode`` makes of an answer; a :class:`BadAnswer` becomes a failed read."""
    try:
        return decode()
    except BadAnswer as error:
        raise failed(purpose, "bad_answer", str(error)) from None


def _page_of(result: object, member: str) -> tuple[Mapping[str, Any], int]:
    row = as_object(result, "result")
    return as_object(row.get(member), member), integer_in(row, "count")
