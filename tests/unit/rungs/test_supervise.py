"""Supervise: watch until the order ends or the bound is reached; stream first, reads after every gap."""

from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import Supervision
from quantlab.kernel.errors import Busy
from quantlab.rungs import supervise
from quantlab.venues.port import StreamNotice, VenueReadFailed
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, quick_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


def seconds_into(bench: Bench, seconds: float, act) -> None:
    """Do something once the watch has run for some seconds of the exchange's time."""
    begin_ns, done = bench.world.driver_ns, []
    real = bench.world.kraken.advance

    def advance() -> None:
        real()
        if not done and bench.world.driver_ns - begin_ns >= seconds * 10**9:
            done.append(1)
            act()

    bench.world.kraken.advance = advance


def sources(bench: Bench, session: Path) -> list[str]:
    """Return the sources and texts of what the newest watch saw."""
    body = bench.session(session).chain.newest(Supervision).body
    return [f"{source}: {what}" for _, source, what in body.events]


def cancel_at_venue(bench: Bench) -> None:
    """Cancel the one order at the venue with another key."""
    bench.world.ok("CancelOrder", {"txid": bench.orders()[0]["venue_order_id"]}, profile="other_signer")


def test_an_order_that_ended_needs_no_watch(bench: Bench) -> None:
    """Filled already: one read, no stream, ended as terminal, exit 0."""
    session = bench.submitted()
    result = bench.supervise(session)
    assert result.outcome == "done"
    assert result.data.ended == "terminal"
    assert bench.standing(session).state == "filled"
    assert not any(row["path"].endswith("GetWebSocketsToken") for row in bench.world.requests())


def test_the_stream_tells_of_the_end_and_a_read_proves_it(bench: Bench) -> None:
    """Canceled at the venue meanwhile: the stream says so at once, the recorded state comes from a read."""
    session = bench.resting()
    seconds_into(bench, 3, lambda: cancel_at_venue(bench))
    begin_ns = bench.world.driver_ns
    result = bench.supervise(session, bound_seconds=60)
    assert result.data.ended == "terminal"
    assert bench.standing(session).state == "canceled"
    assert (bench.world.driver_ns - begin_ns) / 10**9 < 6
    seen = sources(bench, session)
    assert any(text.startswith("stream: canceled") for text in seen)
    assert any(text.startswith("rest: canceled") for text in seen)
    assert result.data.order.source != "stream"
    assert any("canceled" in line for line in bench.progress)


def test_a_fill_is_told_by_the_stream(bench: Bench) -> None:
    """Half filled at once, the rest a second later: the stream's fill is noted, the read shows filled."""
    _, ask = bench.world.best()
    bench.world.fault("partial_fill", "AddOrder", type="order", value={"fraction": 0.5, "then": "fill"})
    session = bench.submitted(order_type="limit", limit_price=ask, time_in_force="gtc")
    result = bench.supervise(session)
    assert result.data.ended == "terminal"
    assert bench.standing(session).state == "filled"
    assert any(text.startswith("stream: fill ") for text in sources(bench, session))


def test_the_bound_is_kept(bench: Bench) -> None:
    """Nothing happens: after the bound the watch ends, the order stands open, exit 0."""
    session = bench.resting()
    begin_ns = bench.world.driver_ns
    result = bench.supervise(session, bound_seconds=40)
    assert result.outcome == "done"
    assert result.data.ended == "bound_reached"
    assert 40 <= (bench.world.driver_ns - begin_ns) / 10**9 < 45
    assert bench.standing(session).state == "open"


def test_a_silent_stream_is_doubted_by_a_slow_beat_of_reads(bench: Bench) -> None:
    """After the first look and the snapshot's event, the order is read every fifteen seconds all the same."""
    session = bench.resting()
    before = len(bench.world.requests())
    bench.supervise(session, bound_seconds=40)
    reads = [row for row in bench.world.requests()[before:] if row["path"].endswith("QueryOrders")]
    assert len(reads) == 2 + 2


def test_a_cut_stream_is_opened_again_after_a_read(bench: Bench) -> None:
    """Cut: one gap, a read at once, a new stream; the end is still seen."""
    session = bench.resting()
    seconds_into(bench, 2, lambda: bench.world.fault("stream_cut", "/v2"))
    seconds_into(bench, 8, lambda: cancel_at_venue(bench))
    result = bench.supervise(session)
    assert result.data.stream_gaps >= 1
    assert any(text.startswith("stream: cut") for text in sources(bench, session))
    assert bench.standing(session).state == "canceled"


class Stream:
    """A scripted stream."""

    def __init__(self, bench: Bench, events) -> None:
        self.bench = bench
        self.events = list(events)
        self.closed = False

    def next_event(self, *, wait_ms: int):
        if not self.events:
            self.bench.clock.sleep_ms(wait_ms)
            return None
        event = self.events.pop(0)
        if isinstance(event, BaseException):
            raise event
        return event

    def close(self) -> None:
        self.closed = True


def scripted(bench: Bench, *openings) -> list[Stream]:
    """Let the streams that are opened say these things; the last opening repeats. An exception refuses to open."""
    opened: list[Stream] = []
    count = []

    def open_stream(real):
        real.close()
        events = openings[min(len(count), len(openings) - 1)]
        count.append(1)
        if isinstance(events, BaseException):
            raise events
        opened.append(Stream(bench, events))
        return opened[-1]

    bench.alterations["open_stream"] = open_stream
    return opened


CUT = StreamNotice("cut", "gone")


def test_a_stream_that_is_cut_too_often_is_given_up(bench: Bench) -> None:
    """After five new streams the watch goes on by reads alone, to its bound."""
    session = bench.resting()
    opened = scripted(bench, [CUT])
    result = bench.supervise(session, bound_seconds=30)
    assert len(opened) == 1 + supervise.MAXIMUM_REOPENS
    assert all(stream.closed for stream in opened)
    assert any("too often" in text for text in sources(bench, session))
    assert result.data.ended == "bound_reached"


@pytest.mark.parametrize("error", [VenueReadFailed("no token.", kind="no_answer"), Busy("key.", code="key_busy")])
def test_without_a_stream_the_watch_goes_on_by_reads(bench: Bench, error) -> None:
    """The stream can not be opened: said once, and the order is still watched."""
    session = bench.resting()
    scripted(bench, error)
    seconds_into(bench, 5, lambda: cancel_at_venue(bench))
    result = bench.supervise(session, bound_seconds=60)
    assert result.data.ended == "terminal"
    assert any("could not be opened" in text for text in sources(bench, session))


def test_events_of_other_orders_are_not_ours(bench: Bench) -> None:
    """An event of another order is no reason to read, and is not noted."""
    session = bench.resting()
    order = None
    desk = bench.desk()
    with desk.write(session):
        order = desk.reads.read_order(bench.orders()[0]["venue_order_id"])
    desk.ledger.close()
    other = msgspec.structs.replace(order, venue_order_id="OTHER1-OTHER1-OTHER1")
    scripted(bench, [StreamNotice("subscribed", "executions"), other, order])
    bench.supervise(session, bound_seconds=3)
    assert len([text for text in sources(bench, session) if text.startswith("stream: open")]) == 1


def test_an_unknown_order_is_recognised_by_its_client_id(bench: Bench) -> None:
    """No venue id is known: an event with our client id is ours, one without is not; the session ends landed."""
    session = bench.unknown("late", value=3)
    bench.world.pass_seconds(4)
    desk = bench.desk()
    order = desk.reads.read_order(bench.orders()[0]["venue_order_id"])
    fills = desk.reads.read_fills(order)
    desk.ledger.close()
    hidden = []

    def hide(orders):
        hidden.append(1)
        return () if len(hidden) <= 2 else orders

    bench.alterations |= {"read_open_orders": hide, "read_closed_orders": hide}
    stranger = msgspec.structs.replace(order, client_order_id="0" * 32)
    scripted(bench, [fills[0], stranger, order])
    result = bench.supervise(session)
    assert result.outcome == "done"
    assert bench.standing(session).resolution == "landed"
    assert bench.held() == ()
    assert any("no such order just now" in text for text in sources(bench, session))


def test_an_unknown_order_that_never_shows_stays_unknown(bench: Bench) -> None:
    """Nothing to be seen within the bound: exit 4, account held."""
    session = bench.unknown("drop_before_read")
    result = bench.supervise(session, bound_seconds=20)
    assert result.outcome == "unknown"
    assert len(bench.held()) == 1


def test_a_venue_that_can_not_be_read_is_said_at_the_end(bench: Bench) -> None:
    """Unreadable to the bound: exit 7, the state as far as it is known."""
    session = bench.resting()
    bench.status(session)
    bench.world.fault("http_error", "*", count=0)
    result = bench.supervise(session, bound_seconds=20)
    assert result.outcome == "unreadable"
    assert result.data.ended == "unreadable"
    assert codes(result) == ["venue_unreadable"]
    assert bench.standing(session).state == "open"


def test_ctrl_c_ends_the_watch_with_a_record(bench: Bench) -> None:
    """Interrupted: what was seen is recorded, the stream is closed, exit 0 with the state."""
    session = bench.resting()
    opened = scripted(bench, [KeyboardInterrupt()])
    result = bench.supervise(session)
    assert result.outcome == "done"
    assert result.data.ended == "interrupted"
    assert bench.standing(session).state == "open"
    assert opened[0].closed


def test_a_cancel_works_while_the_watch_runs(bench: Bench) -> None:
    """The session's lock is free during the watch: cancel from another process ends the order and the watch."""
    session = bench.resting()
    bench.status(session)
    results = []
    seconds_into(bench, 3, lambda: results.append(bench.cancel(session)))
    result = bench.supervise(session)
    assert [one.outcome for one in results] == ["done"]
    assert result.data.ended == "terminal"
    assert bench.standing(session).state == "canceled"


def test_the_events_of_a_watch_are_bounded(bench: Bench, monkeypatch) -> None:
    """A talkative stream fills no record without end."""
    monkeypatch.setattr(supervise, "MAXIMUM_EVENTS", 2)
    session = bench.resting()
    scripted(bench, [CUT])
    result = bench.supervise(session, bound_seconds=20)
    assert len(result.data.events) == 2


def rejected(bench: Bench) -> Path:
    """Return a session whose order the venue refused."""
    session = bench.gated()
    bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
    assert "rejected" == bench.submit(session).outcome
    return session


def test_a_session_without_an_order_is_not_watched(bench: Bench) -> None:
    """Rejected: the venue is asked once for the client order id, and the watch ends at once."""
    session = rejected(bench)
    begin_ns = bench.world.driver_ns
    result = bench.supervise(session)
    assert ("done", "terminal") == (result.outcome, result.data.ended)
    assert bench.world.driver_ns - begin_ns < 5 * 10**9


def test_a_session_without_an_order_says_when_the_venue_was_not_read(bench: Bench) -> None:
    """Rejected, and the one look fails: the state stands, exit 7."""
    session = rejected(bench)
    bench.world.fault("http_error", "OpenOrders", value=502)
    result = bench.supervise(session)
    assert ("unreadable", "unreadable") == (result.outcome, result.data.ended)


def test_nothing_sent_nothing_to_watch(bench: Bench) -> None:
    """A gated session is not watched."""
    assert codes(bench.supervise(bench.gated())) == ["nothing_sent"]


def test_a_damaged_session_is_watched_and_marked(bench: Bench) -> None:
    """Unverified: watched to its end, exit 5."""
    session = bench.submitted()
    damage(session)
    assert bench.supervise(session).outcome == "unverified"
