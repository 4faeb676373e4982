"""The account's stream: what it yields, and how it says that something was missed."""

from decimal import Decimal

import pytest

from quantlab.model.execution import FillReport, OrderReport
from quantlab.venues.hyperliquid.stream import HyperliquidExecutionStream, ping_public_stream
from quantlab.venues.port import StreamNotice
from quantlab.venues.sockets import ConnectionFault
from tests.unit.venues.hyperliquid.hyperliquid_fakes import ACCOUNT, NOW_MS, ORDER_ID, fill_row, record
from tests.unit.venues.hyperliquid.test_codec_stream import ACKS, MIDS_ACK, fills_frame, orders_frame
from tests.unit.venues.websocket_peer import PeerConnection, PeerConnector
from tests.unit.venues.wire_fakes import ManualClock

PONG = {"channel": "pong"}
OPEN, FILLED = record("open", sz="0.25"), record()


def _stream(*says, acks=ACKS):
    clock = ManualClock()
    peer = PeerConnection(clock, [*acks, *says])
    stream = HyperliquidExecutionStream(
        connector=PeerConnector(peer), stream_url="ws://127.0.0.1/ws", account=ACCOUNT, clock=clock
    )
    return stream, peer, clock


def _events(stream, count):
    return [stream.next_event(wait_ms=1000) for _ in range(count)]


def _kinds(events):
    return [event.kind if isinstance(event, StreamNotice) else type(event).__name__ for event in events]


@pytest.mark.parametrize("order_first", [True, False])
def test_an_order_is_reported_with_its_fill(order_first):
    """Whichever channel speaks first: the fill, then the order that it ended."""
    frames = [orders_frame(OPEN, FILLED), fills_frame(fill_row())]
    stream, peer, _ = _stream(*(frames if order_first else reversed(frames)))
    events = _events(stream, 4)
    assert ["subscribed", "FillReport", "OrderReport", "NoneType"] == _kinds(events)
    assert ("filled", Decimal("0.25"), ORDER_ID, "stream orderUpdates") == (
        events[2].state,
        events[2].filled_base,
        events[1].venue_order_id,
        events[2].source,
    )
    assert [True, True] == [
        f'"{kind}"' in text for kind, text in zip(("orderUpdates", "userFills"), peer.heard, strict=False)
    ]


def test_an_open_order_and_its_cancel():
    """Without fills nothing is waited for; a rejection is proven by the stream."""
    stream, *_ = _stream(
        orders_frame(OPEN),
        orders_frame(record("canceled", sz="0.25")),
        orders_frame(record("iocCancelRejected", sz="0.25", oid=5)),
    )
    events = _events(stream, 5)
    assert ["subscribed", "OrderReport", "OrderReport", "OrderReport", "NoneType"] == _kinds(events)
    assert ["open", "canceled", "rejected"] == [event.state for event in events[1:4]]


def test_a_fill_that_does_not_come_is_a_gap():
    """An order is never said to be filled by a record alone; a part of its fills is not all."""
    stream, *_ = _stream(orders_frame(FILLED), fills_frame(fill_row(sz="0.1")))
    events = _events(stream, 5)
    assert ["subscribed", "FillReport", "NoneType", "gap", "NoneType"] == _kinds(events)
    assert ORDER_ID in events[3].detail


def test_an_order_that_contradicts_itself_is_a_gap():
    """Filled, of no size and without fills: the caller reads."""
    stream, *_ = _stream(orders_frame(record(origSz="0.0")), orders_frame(OPEN))
    assert ["subscribed", "gap", "OrderReport"] == _kinds(_events(stream, 3))


def test_a_snapshot_shows_only_what_can_have_been_missed():
    """Old fills were read before; those of the last minute come, and count for their orders; none comes twice."""
    old = fill_row(time=NOW_MS - 61_000, tid=1, sz="0.1")
    late = fill_row(time=NOW_MS - 1000, tid=2, sz="0.15")
    stream, *_ = _stream(
        fills_frame(late, old, isSnapshot=True), fills_frame(late, old), orders_frame(FILLED), acks=ACKS
    )
    events = _events(stream, 4)
    assert ["subscribed", "FillReport", "OrderReport", "NoneType"] == _kinds(events)
    assert (Decimal("0.15"), Decimal("0.25")) == (events[1].size_base, events[2].filled_base)


def test_what_comes_before_the_last_confirmation_is_kept():
    """The notice comes first, and a repeated confirmation is none."""
    first, second = ACKS
    stream, *_ = _stream(acks=(first, fills_frame(fill_row()), PONG, second, first))
    assert ["subscribed", "FillReport", "NoneType"] == _kinds(_events(stream, 3))


@pytest.mark.parametrize("text", ["not json", "[]", {"channel": "orderUpdates"}, fills_frame(user="0x" + "0" * 40)])
def test_an_unreadable_message_is_a_gap(text):
    """What it said is unknown; the stream goes on."""
    stream, *_ = _stream(text, orders_frame(OPEN))
    assert ["subscribed", "gap", "OrderReport"] == _kinds(_events(stream, 3))


def test_other_channels_are_passed_over():
    """Nothing was missed by them."""
    stream, *_ = _stream({"channel": "allMids", "data": {}}, PONG)
    assert ["subscribed", "NoneType"] == _kinds(_events(stream, 2))


def test_an_idle_stream_is_pinged_and_lives_on_pongs():
    """Before the venue's minute is over, and its answer counts as life."""
    stream, peer, _ = _stream(*[item for _ in range(6) for item in (15_000, PONG)])
    assert "subscribed" == stream.next_event(wait_ms=1).kind
    assert None is stream.next_event(wait_ms=80_000)
    assert ['{"method":"ping"}'] * 5 == peer.heard[2:]


def test_a_silent_stream_is_cut():
    """Pings without an answer mean that nobody is there."""
    stream, peer, clock = _stream()
    assert "subscribed" == stream.next_event(wait_ms=1).kind
    event = stream.next_event(wait_ms=60_000)
    assert ("cut", "no message for 40000 ms") == (event.kind, event.detail)
    before = clock.elapsed_ns
    assert "cut" == stream.next_event(wait_ms=500).kind
    assert (500_000_000, True) == (clock.elapsed_ns - before, peer.closed)


@pytest.mark.parametrize("end", [b"", ConnectionFault("connection reset during receive")])
def test_an_ended_connection_is_a_cut(end):
    """What came before it is yielded first."""
    stream, *_ = _stream(orders_frame(OPEN), end)
    assert ["subscribed", "OrderReport", "cut", "cut"] == _kinds(_events(stream, 4))


def test_an_error_of_the_venue_is_a_cut():
    """Its words stand in the notice."""
    stream, *_ = _stream({"channel": "error", "data": "Cannot track more than 15 total users."})
    events = _events(stream, 2)
    assert ("cut", "Cannot track more than 15 total users.") == (events[1].kind, events[1].detail)


def test_closing_ends_it():
    """A closed stream says cut and never raises."""
    stream, peer, _ = _stream()
    assert "subscribed" == stream.next_event(wait_ms=1).kind
    stream.close()
    stream.close()
    assert (True, "closed by us") == (peer.closed, stream.next_event(wait_ms=1).detail)


@pytest.mark.parametrize(
    ("acks", "why"),
    [
        (({"channel": "error", "data": "Invalid subscription"},), "Invalid subscription"),
        ((ACKS[0], b""), "closed"),
        ((ACKS[1],), "did not answer the subscriptions"),
        ((), "did not answer the subscriptions"),
    ],
)
def test_a_refused_subscription_opens_no_stream(acks, why):
    """Refused, cut, or only one of two confirmed: there is no stream."""
    clock = ManualClock()
    peer = PeerConnection(clock, acks)
    with pytest.raises(ConnectionFault, match=why):
        HyperliquidExecutionStream(
            connector=PeerConnector(peer), stream_url="ws://127.0.0.1/ws", account=ACCOUNT, clock=clock
        )
    assert peer.closed


def _ping(*says):
    clock = ManualClock()
    peer = PeerConnection(clock, says)
    return lambda: ping_public_stream(PeerConnector(peer), "ws://127.0.0.1/ws", clock=clock), peer


def test_the_public_stream_answers_both():
    """Subscription and ping, in any order, whatever else is said."""
    ping, peer = _ping("Websocket connection established.", PONG, ACKS[0], 1500, {"channel": "allMids"}, MIDS_ACK)
    assert "connected, subscribed, ping answered" == ping()
    assert ['{"method":"subscribe","subscription":{"type":"allMids"}}', '{"method":"ping"}'] == peer.heard[:2]
    assert peer.closed


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ((PONG,), "did not answer the subscription"),
        ((MIDS_ACK,), "did not answer the ping"),
        ((), "did not answer the ping and the subscription"),
        ((b"",), "closed"),
    ],
)
def test_a_public_stream_without_both_answers_is_a_fault(says, why):
    """Silence and an end are faults, and the link is closed."""
    ping, peer = _ping(*says)
    with pytest.raises(ConnectionFault, match=why):
        ping()
    assert peer.closed


def test_events_are_reports_or_notices():
    """Nothing else comes out."""
    stream, *_ = _stream(orders_frame(OPEN, FILLED), fills_frame(fill_row()))
    assert all(isinstance(event, OrderReport | FillReport | StreamNotice) for event in _events(stream, 3))
