"""The account's stream: orders and fills as they happen, or a notice of what was missed.

It never reconnects and never asks REST: after a `gap` the caller reads REST and goes on listening, after a `cut` it
reads REST and opens a new stream. Orders and fills come on two channels in no fixed order, so an order is reported only
once the fills that its record speaks of have come; when they stay away, that is a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from quantlab.kernel.clock import Clock
from quantlab.model.execution import FillReport, OrderReport
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import codec_stream
from quantlab.venues.hyperliquid.codec_orders import Fill, OrderRow, report_of
from quantlab.venues.port import StreamNotice
from quantlab.venues.sockets import ConnectionFault, Connector
from quantlab.venues.websocket import WebSocketLink

Event = OrderReport | FillReport | StreamNotice

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_SUBSCRIBE_MS: Final = 10_000
# The venue closes a connection on which it said nothing for 60 s, and answers every ping.
_PING_AFTER_MS: Final = 15_000
_SILENCE_MS: Final = 40_000
_LONGEST_WAIT_MS: Final = 1_000
_FILLS_LATE_MS: Final = 2_000
# What a caller can have missed between its last read and this subscription; older fills it has read.
_SNAPSHOT_REACH: Final = timedelta(seconds=60)


class HyperliquidExecutionStream:
    """Subscriptions to `orderUpdates` and `userFills` of one account.

    Args:
        connector: Opens the connection.
        stream_url: The WebSocket.
        account: The account's address.
        clock: Measures the age of the last message.
        silence_ms: How long the venue may be silent, pings included, before the stream counts as cut.
        ping_after_ms: How long we may be silent before we ping.

    Raises:
        ConnectionFault: there is no connection, or a subscription was refused.
    """

    def __init__(
        self,
        *,
        connector: Connector,
        stream_url: str,
        account: str,
        clock: Clock,
        silence_ms: int = _SILENCE_MS,
        ping_after_ms: int = _PING_AFTER_MS,
    ) -> None:
        self._clock = clock
        self._account = account
        self._silence_ms = silence_ms
        self._ping_after_ms = ping_after_ms
        self._events: deque[Event] = deque()
        self._fills: dict[str, Fill] = {}
        self._held: dict[str, tuple[OrderRow, int]] = {}
        self._unconfirmed = {codec_stream.ORDERS, codec_stream.FILLS}
        self._early: list[Mapping[str, Any]] = []
        self._cut: str | None = None
        self._link = WebSocketLink(connector, stream_url, clock=clock, timeout_ms=_SUBSCRIBE_MS)
        self._heard_ns = self._spoke_ns = clock.monotonic_ns()
        try:
            for channel in (codec_stream.ORDERS, codec_stream.FILLS):
                self._link.send_text(codec_stream.subscribe_text(channel, account))
            self._await_subscriptions()
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

    def _await_subscriptions(self) -> None:
        deadline_ns = self._clock.monotonic_ns() + _SUBSCRIBE_MS * _NANOSECONDS_PER_MILLISECOND
        while self._unconfirmed and self._cut is None:
            left_ms = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
            if left_ms <= 0:
                raise ConnectionFault("the venue did not answer the subscriptions")
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
            self._release(now_ns)
            if self._age_ms(self._heard_ns, now_ns) >= self._silence_ms:
                self._end(f"no message for {self._silence_ms} ms")
            elif self._age_ms(self._spoke_ns, now_ns) >= self._ping_after_ms:
                self._spoke_ns = now_ns
                self._link.send_text(codec_stream.PING)
        except ConnectionFault as fault:
            self._end(str(fault))
        except BadAnswer as error:
            self._events.append(StreamNotice("gap", f"a message could not be read: {error}"))

    def _take(self, message: Mapping[str, Any]) -> None:
        refusal = codec_stream.refusal_in(message)
        if refusal is not None:
            self._end(refusal)
            return
        confirmed = codec_stream.subscribed_channel(message)
        if confirmed is not None:
            self._confirm(confirmed)
        elif self._unconfirmed:
            # A snapshot may come before the other channel is confirmed; the notice comes first.
            self._early.append(message)
        else:
            self._take_frame(message)

    def _confirm(self, channel: str) -> None:
        was_waiting = bool(self._unconfirmed)
        self._unconfirmed.discard(channel)
        if was_waiting and not self._unconfirmed:
            text = f"{codec_stream.ORDERS} and {codec_stream.FILLS}"
            self._events.append(StreamNotice("subscribed", text))
            early, self._early = self._early, []
            for message in early:
                self._take_frame(message)

    def _take_frame(self, message: Mapping[str, Any]) -> None:
        channel = message.get("channel")
        if channel == codec_stream.FILLS:
            self._take_fills(codec_stream.parse_fill_frame(message, account=self._account))
        elif channel == codec_stream.ORDERS:
            late_ns = self._clock.monotonic_ns() + _FILLS_LATE_MS * _NANOSECONDS_PER_MILLISECOND
            for row in codec_stream.parse_orders(message):
                self._held[row.venue_order_id] = (row, late_ns)

    def _take_fills(self, frame: codec_stream.FillFrame) -> None:
        reach = self._clock.now() - _SNAPSHOT_REACH
        for fill in frame.fills:
            key = f"{fill.report.venue_order_id} {fill.report.venue_fill_id}"
            is_news = key not in self._fills and (not frame.is_snapshot or fill.at >= reach)
            self._fills[key] = fill
            if is_news:
                self._events.append(fill.report)

    def _release(self, now_ns: int) -> None:
        """Report the orders whose fills have come, and a gap for those whose fills are late."""
        for order_id, (row, late_ns) in tuple(self._held.items()):
            own = [fill for fill in self._fills.values() if fill.report.venue_order_id == order_id]
            traded = sum(fill.report.size_base for fill in own)
            if traded < row.most_traded and now_ns < late_ns:
                continue
            del self._held[order_id]
            if traded < row.most_traded:
                self._events.append(StreamNotice("gap", f"fills of the order {order_id} did not come"))
            else:
                read_at = self._clock.now()
                self._events.append(report_of(row, own, source=codec_stream.SOURCE, read_at=read_at))

    def _end(self, why: str) -> None:
        self._cut = why
        self._events.append(StreamNotice("cut", why))
        self._link.close()

    def _age_ms(self, since_ns: int, now_ns: int) -> int:
        return (now_ns - since_ns) // _NANOSECONDS_PER_MILLISECOND


def ping_public_stream(connector: Connector, url: str, *, clock: Clock) -> str:
    """Connect, subscribe to a public channel, ping, and wait for both answers; return what was seen.

    Raises:
        ConnectionFault: no connection, a refusal, or not both answers within ten seconds.
    """
    link = WebSocketLink(connector, url, clock=clock, timeout_ms=_SUBSCRIBE_MS)
    missing = {"subscription", "ping"}
    try:
        link.send_text(codec_stream.subscribe_text(codec_stream.MIDS))
        link.send_text(codec_stream.PING)
        deadline_ns = clock.monotonic_ns() + _SUBSCRIBE_MS * _NANOSECONDS_PER_MILLISECOND
        while missing and clock.monotonic_ns() < deadline_ns:
            text = link.receive_text(wait_ms=_LONGEST_WAIT_MS)
            if text is not None:
                missing -= _answered_by(text)
        if missing:
            raise ConnectionFault(f"the venue did not answer the {' and the '.join(sorted(missing))}")
        return "connected, subscribed, ping answered"
    finally:
        link.close()


def _answered_by(text: str) -> set[str]:
    """Return what a message of the public stream answers. Anything unreadable answers nothing."""
    try:
        message = codec_stream.parse_message(text)
        if codec_stream.is_pong(message):
            return {"ping"}
        return {"subscription"} if codec_stream.subscribed_channel(message) == codec_stream.MIDS else set()
    except BadAnswer:
        return set()
