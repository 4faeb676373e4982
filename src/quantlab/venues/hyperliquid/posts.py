"""Requests for information over the WebSocket: one connection, one post at a time, each bounded and kept on the tape.

A connection that was lost is not opened again, and nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from quantlab.kernel.clock import Clock
from quantlab.model.execution import Reached
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import classify, codec_stream
from quantlab.venues.hyperliquid.calls import InfoAnswer, decoded, failed, require_answer
from quantlab.venues.sockets import ConnectionFault, Connector, endpoint_of
from quantlab.venues.transport import Transport
from quantlab.venues.websocket import WebSocketLink

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_ANSWER_MS: Final = 10_000
# The venue closes a connection on which it said nothing for 60 s.
_IDLE_MS: Final = 15_000


class InfoPosts:
    """Asks by `post`; a channel beside `calls.HttpInfo`. Only requests for information are ever built here.

    Args:
        transport: Keeps each post on its tape.
        connector: Opens the connection, when the first request is made.
        stream_url: The WebSocket.
        clock: Bounds each post, and tells when the connection was idle.

    Raises:
        BadEndpoint: the URL is no venue address.
    """

    def __init__(self, *, transport: Transport, connector: Connector, stream_url: str, clock: Clock) -> None:
        endpoint_of(stream_url)
        self._transport = transport
        self._connector = connector
        self._url = stream_url
        self._clock = clock
        self._link: WebSocketLink | None = None
        self._gone: str | None = None
        self._last_id = 0
        self._heard_ns = 0

    def ask(self, request: Mapping[str, Any], *, purpose: str) -> InfoAnswer:
        """Post one request and wait for the answer of its own number.

        Raises:
            VenueReadFailed: ``not_reached`` when there is no connection, ``no_answer`` when it was lost or nothing came
                within ten seconds; else as over HTTP, by the status in the venue's text.
        """
        self._last_id += 1
        text = codec_stream.post_text(self._last_id, request)
        started_at, started_ns = self._clock.now(), self._clock.monotonic_ns()
        reached: Reached = "not_connected"
        received: str | None = None
        fault: str | None = "interrupted"
        try:
            link = self._connected()
            reached = "connected"
            self._prove_alive(link)
            # The venue's clock is compared with the middle of the exchange, to which connecting does not belong.
            started_at, started_ns = self._clock.now(), self._clock.monotonic_ns()
            reached = "bytes_sent"
            link.send_text(text)
            received = self._wait_for(link, lambda said: codec_stream.answers_post(said, self._last_id))
            fault = f"no answer came within {_ANSWER_MS} ms"
            if received is not None:
                reached, fault = "answered", None
        except ConnectionFault as reason:
            fault = self._end(str(reason))
        finally:
            # Also when the operator interrupts: how far it got is evidence.
            exchange = self._transport.keep_message(
                purpose=purpose,
                url=self._url,
                sent=text,
                received=received,
                reached=reached,
                fault=fault,
                started_at=started_at,
                started_ns=started_ns,
            )
        require_answer(exchange)
        return InfoAnswer(value=_value_of(received or "", str(request["type"]), purpose), exchange=exchange)

    def close(self) -> None:
        """Close the connection; never raises. Later requests are not reached."""
        self._end("the stream was closed by us")

    def _connected(self) -> WebSocketLink:
        if self._gone is not None:
            raise ConnectionFault(self._gone)
        if self._link is None:
            self._link = WebSocketLink(self._connector, self._url, clock=self._clock, timeout_ms=_ANSWER_MS)
            self._heard_ns = self._clock.monotonic_ns()
        return self._link

    def _prove_alive(self, link: WebSocketLink) -> None:
        """Ping a connection that was idle, so that a request is not lost on one that has ended meanwhile."""
        idle_ms = (self._clock.monotonic_ns() - self._heard_ns) // _NANOSECONDS_PER_MILLISECOND
        if idle_ms < _IDLE_MS:
            return
        link.send_text(codec_stream.PING)
        if self._wait_for(link, _is_pong) is None:
            raise ConnectionFault("the venue did not answer a ping")

    def _wait_for(self, link: WebSocketLink, is_wanted: Callable[[str], bool]) -> str | None:
        """Return the message that is wanted, others passed over; None when it does not come in time."""
        deadline_ns = self._clock.monotonic_ns() + _ANSWER_MS * _NANOSECONDS_PER_MILLISECOND
        while True:
            left_ms = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
            if left_ms <= 0:
                return None
            said = link.receive_text(wait_ms=left_ms)
            if said is None:
                continue
            self._heard_ns = self._clock.monotonic_ns()
            if is_wanted(said):
                return said

    def _end(self, why: str) -> str:
        if self._gone is None:
            self._gone = why
        if self._link is not None:
            self._link.close()
            self._link = None
        return why


def _is_pong(said: str) -> bool:
    try:
        return codec_stream.is_pong(codec_stream.parse_message(said))
    except BadAnswer:
        return False


def _value_of(received: str, kind: str, purpose: str) -> Any:
    try:
        return decoded(purpose, lambda: codec_stream.parse_post(received, kind))
    except codec_stream.PostRefused as refusal:
        words = codec_stream.first_words(str(refusal))
        raise failed(purpose, classify.classify_post_error(str(refusal)), f"the venue answered: {words}") from None
