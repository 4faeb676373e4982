"""Supervise: watch the order until it ends or a stated bound is reached, and print what happens.

The private stream tells at once; REST is asked after every gap or cut, at a slow beat anyway (a stream can be alive
and silent), and at the end: the recorded order state always comes from a read. The session lock is held for the
append only, so that cancel is never locked out.

Needs: an attempt. Makes: ``broker_supervision``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from quantlab.evidence.records import Supervision
from quantlab.evidence.standing import Standing
from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.errors import Busy
from quantlab.kernel.result import Fact, Result
from quantlab.model.execution import TERMINAL_STATES, FillReport, OrderReport
from quantlab.model.recorded import OrderEvidence
from quantlab.rungs.desk import Desk
from quantlab.rungs.finding import Sought, read_known_order
from quantlab.rungs.reading import keep, opened, report
from quantlab.venues.port import ExecutionStream, StreamNotice, VenueReadFailed

BEAT_SECONDS: Final = 15
STREAM_WAIT_MS: Final = 1_000
REOPEN_PAUSE_MS: Final = 2_000
MAXIMUM_REOPENS: Final = 5
MAXIMUM_EVENTS: Final = 500

Ended = Literal["terminal", "bound_reached", "interrupted", "unreadable"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, and how long to watch at most: in seconds, or as a number of reads with their distance.

    ``transport`` ``rest`` watches by reads alone.
    """

    session: Path
    bound_seconds: int | None = None
    polls: int = 20
    interval_seconds: int = BEAT_SECONDS
    transport: Literal["rest", "websocket", "either"] = "either"

    @property
    def bound(self) -> int:
        """Return the bound in seconds."""
        return self.polls * self.interval_seconds if self.bound_seconds is None else self.bound_seconds


class _Watch:
    """One watch: what was seen so far, from which source."""

    def __init__(self, desk: Desk, standing: Standing, sought: Sought) -> None:
        self.desk = desk
        self.standing = standing
        self.sought = sought
        self.order: OrderEvidence | None = None
        self.read_failure: str | None = None
        self.events: list[tuple[str, str, str]] = []
        self.gaps = 0
        self.reopens = 0

    @property
    def ended(self) -> bool:
        return self.order is not None and self.order.state in TERMINAL_STATES

    @property
    def hopeless(self) -> bool:
        """Return whether the session ended without an order: there is nothing to watch."""
        return self.order is None and self.standing.venue_order_id is None and not self.standing.unresolved

    def note(self, source: str, what: str) -> None:
        at = self.desk.now_text()
        self.desk.progress(f"{at} {source}: {what}")
        if len(self.events) < MAXIMUM_EVENTS:
            self.events.append((at, source, what))

    def read(self) -> None:
        """Read the order by REST and note it when it changed."""
        try:
            order = read_known_order(self.desk, self.standing, self.sought)
            self.read_failure = None
        except (VenueReadFailed, Busy) as failure:
            self.read_failure = failure.message
            self.note("rest", f"read failed: {failure.message}")
            return
        if order is None:
            self.note("rest", "the venue shows no such order just now")
            return
        if self.order is None or (order.state, order.filled_base) != (
            self.order.state,
            self.order.filled_base,
        ):
            self.note("rest", f"{order.state}, {order.filled_base} of {order.size_base} filled")
        self.order = order


def run(desk: Desk, request: Request) -> Result:
    """Watch the order and record what was seen.

    Raises:
        Denied: nothing was sent from this session.
        Busy: another process holds the session when the watch begins or its record is written.
    """
    with opened(desk, request.session) as session:
        watch = _Watch(desk, session.standing, session.sought)
    ended = _watch(watch, request)
    with opened(desk, request.session) as session:
        record = keep(
            desk,
            session,
            Supervision(
                plan_sha256=session.sought.plan_sha256,
                attempt_sha256=session.sought.attempt_sha256,
                ended=ended,
                bound_seconds=request.bound,
                order=watch.order,
                events=tuple(watch.events),
                stream_gaps=watch.gaps,
                exchanges=desk.take_exchanges(),
            ),
        )
        return report(
            desk,
            session,
            record,
            _headline(ended, session.standing.state),
            unreadable=watch.read_failure if ended == "unreadable" else None,
            facts=(
                Fact(label="Watch ended", value=ended),
                Fact(label="Events", value=str(len(watch.events))),
                Fact(label="Stream gaps", value=str(watch.gaps)),
            ),
        )


def _watch(watch: _Watch, request: Request) -> Ended:
    desk = watch.desk
    end_ns = desk.clock.monotonic_ns() + request.bound * 1_000_000_000
    beat = max(1, request.interval_seconds) * 1_000_000_000
    stream: ExecutionStream | None = None
    try:
        watch.read()
        if watch.hopeless:
            return "unreadable" if watch.read_failure is not None else "terminal"
        by_stream = request.transport != "rest"
        stream = _open(watch) if by_stream and not watch.ended else None
        beat_ns = desk.clock.monotonic_ns() + beat
        while not watch.ended and desk.clock.monotonic_ns() < end_ns:
            look = _next(watch, stream)
            if look == "reopen":
                stream = _reopen(watch, stream)
            if look != "quiet" or desk.clock.monotonic_ns() >= beat_ns:
                watch.read()
                stream = stream if look == "reopen" or not by_stream else _reopen_lost(watch, stream)
                beat_ns = desk.clock.monotonic_ns() + beat
    except KeyboardInterrupt:
        return "interrupted"
    finally:
        if stream is not None:
            stream.close()
    if watch.ended:
        return "terminal"
    return "unreadable" if watch.read_failure is not None else "bound_reached"


def _open(watch: _Watch) -> ExecutionStream | None:
    try:
        return watch.desk.reads.open_stream()
    except (VenueReadFailed, Busy) as failure:
        watch.note("stream", f"could not be opened: {failure.message} Going on by reads.")
        return None


def _reopen(watch: _Watch, stream: ExecutionStream | None) -> ExecutionStream | None:
    if stream is not None:
        stream.close()
    if watch.reopens >= MAXIMUM_REOPENS:
        watch.note("stream", "was cut too often. Going on by reads.")
        return None
    watch.reopens += 1
    if watch.reopens > 1:
        watch.desk.clock.sleep_ms(REOPEN_PAUSE_MS)
    return _open(watch)


def _reopen_lost(watch: _Watch, stream: ExecutionStream | None) -> ExecutionStream | None:
    """Try a stream that could not be opened again: one refused connection is not the end of it."""
    if stream is not None or watch.ended or watch.reopens >= MAXIMUM_REOPENS:
        return stream
    return _reopen(watch, None)


def _next(watch: _Watch, stream: ExecutionStream | None) -> Literal["quiet", "read", "reopen"]:
    """Take the next stream event; say whether to read, to reopen the stream and read, or to go on waiting."""
    if stream is None:
        watch.desk.clock.sleep_ms(STREAM_WAIT_MS)
        return "quiet"
    event = stream.next_event(wait_ms=STREAM_WAIT_MS)
    if event is None:
        return "quiet"
    if isinstance(event, StreamNotice):
        watch.note("stream", f"{event.kind}: {event.detail}")
        if event.kind == "subscribed":
            return "quiet"
        watch.gaps += 1
        return "reopen"
    if not _ours(watch, event):
        return "quiet"
    watch.note("stream", _text(event))
    return "read"


def _ours(watch: _Watch, event: OrderReport | FillReport) -> bool:
    known = watch.order.venue_order_id if watch.order else watch.standing.venue_order_id
    if known is not None:
        return event.venue_order_id == known
    return isinstance(event, OrderReport) and event.client_order_id == watch.sought.plan.client_order_id


def _text(event: OrderReport | FillReport) -> str:
    if isinstance(event, FillReport):
        return f"fill {event.venue_fill_id}: {decimal_text(event.size_base)} at {decimal_text(event.price)}"
    return f"{event.state}, {decimal_text(event.filled_base)} filled"


def _headline(ended: Ended, state: str) -> str:
    return {
        "terminal": f"There is nothing left to watch: the session stands as {state}.",
        "bound_reached": f"The bound was reached; the order stands as {state}.",
        "interrupted": f"The watch was interrupted; the order stands as {state}.",
        "unreadable": f"The venue could not be read; the order stands as {state}, as far as is known.",
    }[ended]
