"""The private stream: what it yields, and how it says that something was missed."""

import json

import pytest

from quantlab.model.execution import FillReport, OrderReport
from quantlab.venues.kraken.stream import KrakenExecutionStream, ping_public_stream
from quantlab.venues.port import StreamNotice
from quantlab.venues.sockets import ConnectionFault
from tests.unit.venues.kraken.kraken_fakes import ORDER_ID
from tests.unit.venues.kraken.test_codec_stream import CANCELED, NEW, TRADE
from tests.unit.venues.websocket_peer import PeerConnection, PeerConnector
from tests.unit.venues.wire_fakes import ManualClock

ACK = {"method": "subscribe", "result": {"channel": "executions"}, "success": True, "req_id": 1}
STATUS = {"channel": "status", "type": "update", "data": [{"system": "online"}]}
BEAT = {"channel": "heartbeat"}


def _frame(sequence, *items, kind="update"):
    return json.dumps({"channel": "executions", "type": kind, "data": list(items), "sequence": sequence}, default=str)


def _stream(*says, ack=ACK):
    clock = ManualClock()
    first = [STATUS, ack] if ack else [STATUS]
    peer = PeerConnection(clock, [*first, *says])
    stream = KrakenExecutionStream(
        connector=PeerConnector(peer), stream_url="ws://127.0.0.1/v2", token="made-up", clock=clock
    )
    return stream, peer, clock


def _events(stream, count):
    return [stream.next_event(wait_ms=1000) for _ in range(count)]


def _kinds(events):
    return [event.kind if isinstance(event, StreamNotice) else type(event).__name__ for event in events]


def test_orders_and_fills_come_in_order():
    """Subscribed first, then the snapshot, then what happens."""
    stream, peer, _ = _stream(_frame(1, NEW, kind="snapshot"), BEAT, _frame(2, TRADE), _frame(3, CANCELED))
    events = _events(stream, 6)
    assert ["subscribed", "OrderReport", "FillReport", "OrderReport", "OrderReport", "NoneType"] == _kinds(events)
    assert "canceled" == events[4].state
    assert isinstance(events[2], FillReport)
    assert isinstance(events[3], OrderReport)
    assert "made-up" == json.loads(peer.heard[0])["params"]["token"]


def test_fills_of_ended_orders_in_a_snapshot_are_no_gap():
    """The last fills come without their orders, and nothing was missed."""
    stream, *_ = _stream(_frame(1, TRADE, kind="snapshot"))
    assert ["subscribed", "FillReport", "NoneType"] == _kinds(_events(stream, 3))


def test_an_update_of_an_unseen_order_is_a_gap():
    """What can not be put together must be read from REST."""
    stream, *_ = _stream(_frame(1, CANCELED))
    events = _events(stream, 2)
    assert "gap" == events[1].kind
    assert ORDER_ID in events[1].detail


def test_a_hole_in_the_sequence_is_a_gap_and_listening_goes_on():
    """A missing number is said before the frame that shows it."""
    stream, *_ = _stream(_frame(1, NEW), _frame(3, CANCELED), _frame(4))
    events = _events(stream, 5)
    assert ["subscribed", "OrderReport", "gap", "OrderReport", "NoneType"] == _kinds(events)
    assert "sequence 3 came where 2 was due" == events[2].detail


@pytest.mark.parametrize(
    "text", ["not json", '{"channel":"executions"}', _frame(1, {"order_id": ORDER_ID} | NEW | {"side": 7})]
)
def test_a_message_that_can_not_be_read_is_a_gap(text):
    """A broken message never becomes an event."""
    stream, *_ = _stream(text)
    assert ["subscribed", "gap"] == _kinds(_events(stream, 2))


def test_a_cut_is_said_once_more_at_each_call():
    """After the end every call waits and says so; the caller opens a new stream."""
    stream, peer, clock = _stream(ConnectionFault("connection reset during receive"))
    assert ["subscribed", "cut"] == _kinds(_events(stream, 2))
    before = clock.elapsed_ns
    event = stream.next_event(wait_ms=700)
    assert ("cut", 700_000_000) == (event.kind, clock.elapsed_ns - before)
    assert peer.closed


def test_silence_is_a_cut():
    """The venue beats once a second: ten seconds of nothing are the end."""
    stream, *_ = _stream()
    assert "subscribed" == stream.next_event(wait_ms=1).kind
    event = stream.next_event(wait_ms=60_000)
    assert ("cut", "no message for 10000 ms") == (event.kind, event.detail)


def test_we_ping_before_the_venue_drops_us():
    """Twenty seconds without a word of ours, and a ping goes out."""
    stream, peer, _ = _stream(*[item for _ in range(9) for item in (5000, BEAT)])
    assert "subscribed" == stream.next_event(wait_ms=1).kind
    assert None is stream.next_event(wait_ms=44_000)
    assert ['{"method":"ping"}'] * 2 == peer.heard[1:]


def test_a_ping_that_can_not_be_sent_is_a_cut():
    """A link that broke under a ping is cut."""
    stream, peer, _ = _stream(*[item for _ in range(9) for item in (5000, BEAT)])
    assert "subscribed" == stream.next_event(wait_ms=1).kind

    def broken(data, *, timeout_ms):
        raise ConnectionFault("connection reset during send")

    peer.send = broken
    assert "cut" == stream.next_event(wait_ms=44_000).kind


def test_closing_ends_it():
    """A closed stream says cut and never raises."""
    stream, peer, _ = _stream()
    assert "subscribed" == stream.next_event(wait_ms=1).kind
    stream.close()
    stream.close()
    assert peer.closed
    assert ("cut", "closed by us") == (
        stream.next_event(wait_ms=1).kind,
        stream.next_event(wait_ms=1).detail,
    )


@pytest.mark.parametrize(
    ("ack", "says", "why"),
    [
        (
            {"method": "subscribe", "success": False, "error": "ESession:Invalid session"},
            (),
            "Invalid session",
        ),
        (None, (b"",), "closed"),
        (None, (), "no message for 10000 ms"),
        (None, [item for _ in range(30) for item in (500, BEAT)], "did not answer"),
    ],
)
def test_a_refused_subscription_opens_no_stream(ack, says, why):
    """Refused, cut, silent, or talking of other things: there is no stream."""
    clock = ManualClock()
    peer = PeerConnection(clock, [STATUS, *([ack] if ack else []), *says])
    with pytest.raises(ConnectionFault, match=why):
        KrakenExecutionStream(
            connector=PeerConnector(peer), stream_url="ws://127.0.0.1/v2", token="made-up", clock=clock
        )
    assert peer.closed


def _ping(*says):
    clock = ManualClock()
    peer = PeerConnection(clock, says)
    return lambda: ping_public_stream(PeerConnector(peer), "ws://127.0.0.1/v2", clock=clock), peer


def test_the_public_stream_answers_a_ping():
    """The pong counts, whatever comes before it."""
    ping, peer = _ping(STATUS, "not json", 1500, {"method": "pong"})
    assert "connected, ping answered" == ping()
    assert ['{"method":"ping"}'] == [text for text in peer.heard if isinstance(text, str)]
    assert peer.closed


@pytest.mark.parametrize(("says", "why"), [((STATUS,), "did not answer the ping"), ((b"",), "closed")])
def test_a_public_stream_without_a_pong_is_a_fault(says, why):
    """Silence and an end are faults, and the link is closed."""
    ping, peer = _ping(*says)
    with pytest.raises(ConnectionFault, match=why):
        ping()
    assert peer.closed
