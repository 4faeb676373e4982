"""The private stream of executions: orders and fills as they happen, or a notice of what was missed.

It never reconnects and never asks REST: after a `gap` the caller reads REST and goes on listening, after
a `cut` it reads REST and opens a new stream, for which a new token is fetched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from quantlab.kernel.clock import Clock
from quantlab.model.execution import FillReport, OrderReport
from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken import codec_stream
from quantlab.venues.port import StreamNotice
from quantlab.venues.sockets import ConnectionFault, Connector
from quantlab.venues.websocket import WebSocketLink

Event = OrderReport | FillReport | StreamNotice

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_SUBSCRIBE_MS: Final = 10_000
# The venue drops a client that is silent for about a minute, and itself beats once a second.
_PING_AFTER_MS: Final = 20_000
_SILENCE_MS: Final = 10_000
_LONGEST_WAIT_MS: Final = 1_000


class KrakenExecutionStream:
    """One subscription to `executions`, snapshot of open orders and last fills included.

    Args:
        connector: Opens the connection.
        stream_url: The private WebSocket.
        token: A fresh stream token; a secret, known to the redactor already.
        clock: Measures the age of the last message.
        silence_ms: How long the venue may be silent before the stream counts as cut.
        ping_after_ms: How long we may be silent before we ping.

    Raises:
        ConnectionFault: there is no connection, or the subscription was refused.
    """

    def __init__(
        self,
        *,
        connector: Connector,
        stream_url: str,
        token: str,
        clock: Clock,
        silence_ms: int = _SILENCE_MS,
        ping_after_ms: int = _PING_AFTER_MS,
    ) -> None:
        self._clock = clock
        self._silence_ms = silence_ms
        self._ping_after_ms = ping_after_ms
        self._events: deque[Event] = deque()
        self._orders: dict[str, OrderReport] = {}
        self._sequence = 0
        self._cut: str | None = None
        self._link = WebSocketLink(connector, stream_url, clock=clock, timeout_ms=_SUBSCRIBE_MS)
        self._heard_ns = self._spoke_ns = clock.monotonic_ns()
        try:
            self._link.send_text(codec_stream.subscribe_text(token))
            self._await_subscription()
        except ConnectionFault:
            self._link.close()
            raise

    def next_event(self, *, wait_ms: int) -> Event | None:
        """Return the next event, or None when nothing came within ``wait_ms``.

        Once the stream was cut, each further call waits and says so again.
        """
        if self._cut is not None and not self._events:
            self._clock.sleep_ms(wait_ms)
            return StreamNotice("cut", self._cut)
        deadline_ns = self._clock.monotonic_ns() + wait_ms * _NANOSECONDS_PER_MILLISECOND
        while not self._events:
            left_ms = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
            if left_ms <= 0:
                return None
            self._listen(min(left_ms, _LONGEST_WAIT_MS))
        return self._events.popleft()

    def close(self) -> None:
        """Close the stream; never raises."""
        self._link.close()
        self._cut = self._cut or "closed by us"

    def _await_subscription(self) -> None:
        deadline_ns = self._clock.monotonic_ns() + _SUBSCRIBE_MS * _NANOSECONDS_PER_MILLISECOND
        while not any(isinstance(event, StreamNotice) for event in self._events):
            left_ms = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
            if left_ms <= 0:
                raise ConnectionFault("the venue did not answer the subscription")
            self._listen(min(left_ms, _LONGEST_WAIT_MS))
        if self._cut is not None:
            raise ConnectionFault(self._cut)

    def _listen(self, wait_ms: int) -> None:
        """Take in at most one message; turn a fault or a silence into a cut."""
        try:
            text = self._link.receive_text(wait_ms=wait_ms)
            now_ns = self._clock.monotonic_ns()
            if text is not None:
                self._heard_ns = now_ns
                self._take(codec_stream.parse_message(text))
            if self._age_ms(self._heard_ns, now_ns) >= self._silence_ms:
                self._end(f"no message for {self._silence_ms} ms")
            elif self._age_ms(self._spoke_ns, now_ns) >= self._ping_after_ms:
                self._spoke_ns = now_ns
                self._link.send_text(codec_stream.ping_text())
        except ConnectionFault as fault:
            self._end(str(fault))
        except BadAnswer as error:
            self._events.append(StreamNotice("gap", f"a message could not be read: {error}"))

    def _take(self, message: Mapping[str, Any]) -> None:
        if message.get("method") == "subscribe":
            refusal = codec_stream.subscription_error(message)
            if refusal is not None:
                self._end(refusal)
                return
            self._events.append(StreamNotice("subscribed", codec_stream.CHANNEL))
        elif message.get("channel") == codec_stream.CHANNEL:
            self._take_frame(codec_stream.parse_frame(message))

    def _take_frame(self, frame: codec_stream.ExecutionFrame) -> None:
        expected = self._sequence + 1
        self._sequence = frame.sequence
        if frame.sequence != expected:
            text = f"sequence {frame.sequence} came where {expected} was due"
            self._events.append(StreamNotice("gap", text))
        for item in frame.items:
            self._take_item(item, is_snapshot=frame.is_snapshot)

    def _take_item(self, item: Mapping[str, Any], *, is_snapshot: bool) -> None:
        order_id = str(item.get("order_id"))
        execution = codec_stream.parse_execution(item, self._orders.get(order_id), read_at=self._clock.now())
        if execution.fill is not None:
            self._events.append(execution.fill)
        if execution.order is not None:
            self._orders[order_id] = execution.order
            self._events.append(execution.order)
        elif not is_snapshot:
            # A snapshot's fills are of orders that may have ended: nothing was missed there.
            self._events.append(StreamNotice("gap", f"an update of the unseen order {order_id}"))

    def _end(self, why: str) -> None:
        self._cut = why
        self._events.append(StreamNotice("cut", why))
        self._link.close()

    def _age_ms(self, since_ns: int, now_ns: int) -> int:
        return (now_ns - since_ns) // _NANOSECONDS_PER_MILLISECOND


def ping_public_stream(connector: Connector, url: str, *, clock: Clock) -> str:
    """Connect, ping and wait for the pong; return what was seen. Needs no key.

    Raises:
        ConnectionFault: no connection, or no pong within ten seconds.
    """
    link = WebSocketLink(connector, url, clock=clock, timeout_ms=_SUBSCRIBE_MS)
    try:
        link.send_text(codec_stream.ping_text())
        deadline_ns = clock.monotonic_ns() + _SUBSCRIBE_MS * _NANOSECONDS_PER_MILLISECOND
        while clock.monotonic_ns() < deadline_ns:
            text = link.receive_text(wait_ms=_LONGEST_WAIT_MS)
            if text is not None and codec_stream.is_pong(text):
                return "connected, ping answered"
        raise ConnectionFault("the venue did not answer the ping")
    finally:
        link.close()
