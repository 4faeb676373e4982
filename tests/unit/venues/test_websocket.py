"""The WebSocket link, against another implementation of the protocol."""

import pytest
from wsproto.events import BytesMessage, TextMessage

from quantlab.venues.sockets import ConnectionFault, Endpoint
from quantlab.venues.websocket import WebSocketLink
from tests.unit.venues.websocket_peer import CloseConnection, PeerConnection, PeerConnector, Ping
from tests.unit.venues.wire_fakes import ManualClock

URL = "ws://127.0.0.1:8080/v2"


def _link(*says, answer="accept"):
    clock = ManualClock()
    peer = PeerConnection(clock, says, answer=answer)
    connector = PeerConnector(peer)
    return WebSocketLink(connector, URL, clock=clock), peer, connector, clock


def test_texts_go_both_ways():
    """The handshake is made, and texts arrive in order."""
    link, peer, connector, _ = _link("one", "two")
    link.send_text("hello")
    assert ["one", "two"] == [link.receive_text(wait_ms=100) for _ in range(2)]
    assert ["hello"] == peer.heard
    assert [Endpoint(host="127.0.0.1", port=8080, tls=False)] == connector.endpoints


def test_fragments_are_joined_and_binary_is_passed_over():
    """A text in pieces is one text; bytes are not ours to read."""
    link, *_ = _link(
        TextMessage("a", message_finished=False),
        TextMessage("b", message_finished=False),
        TextMessage("c"),
        BytesMessage(b"\x00"),
        "d",
    )
    assert ["abc", "d"] == [link.receive_text(wait_ms=100) for _ in range(2)]


def test_nothing_in_time_is_none():
    """Waiting ends when its time is over, also while other frames come."""
    link, _, _, clock = _link(Ping(), 60, Ping(), 60, "late")
    assert None is link.receive_text(wait_ms=100)
    assert 100 == clock.elapsed_ns // 1_000_000
    assert None is link.receive_text(wait_ms=0)
    assert "late" == link.receive_text(wait_ms=100)


def test_pings_of_the_protocol_are_answered():
    """A ping of the peer gets its pong."""
    link, peer, *_ = _link(Ping(b"x"), "then")
    assert "then" == link.receive_text(wait_ms=100)
    assert 1 == len(peer.heard)


@pytest.mark.parametrize(
    "end",
    [b"", CloseConnection(code=1001), ConnectionFault("connection reset during receive"), b"\xff\xff\xff"],
)
def test_an_end_is_a_fault_after_the_last_text(end):
    """What came before the end is still read; then every call says that the link is gone."""
    link, *_ = _link("last", end)
    assert "last" == link.receive_text(wait_ms=100)
    with pytest.raises(ConnectionFault):
        [link.receive_text(wait_ms=100) for _ in range(5)]


def test_a_text_that_is_not_utf8_is_a_fault():
    """The protocol says that texts are UTF-8."""
    link, *_ = _link(b"\x81\x01\xff")
    with pytest.raises(ConnectionFault):
        link.receive_text(wait_ms=100)


def test_sending_on_a_closed_link_is_a_fault():
    """A closed link does not take texts."""
    link, *_ = _link(b"")
    with pytest.raises(ConnectionFault):
        link.receive_text(wait_ms=100)
    with pytest.raises(ConnectionFault, match="closed by the venue"):
        link.send_text("x")
    link.close()


def test_closing_says_goodbye_once():
    """Close sends the closing frame and closes the connection, also on a broken one."""
    link, peer, *_ = _link()
    link.close()
    assert peer.closed
    assert isinstance(peer.heard[0], CloseConnection)


def test_a_close_that_can_not_be_sent_is_quiet():
    """Closing never raises."""
    link, peer, *_ = _link()

    def broken(data, *, timeout_ms):
        raise ConnectionFault("connection reset during send")

    peer.send = broken
    link.close()
    assert peer.closed


@pytest.mark.parametrize("answer", ["reject", "silent"])
def test_a_refused_or_missing_handshake_is_a_fault(answer):
    """No WebSocket server, no link; the connection is closed."""
    clock = ManualClock()
    peer = PeerConnection(clock, [], answer=answer)
    with pytest.raises(ConnectionFault):
        WebSocketLink(PeerConnector(peer), URL, clock=clock, timeout_ms=500)
    assert peer.closed


def test_a_dripping_handshake_is_bounded():
    """A handshake that never ends is cut at its time."""
    clock = ManualClock()
    peer = PeerConnection(clock, [piece for _ in range(20) for piece in (b"H", 100)], answer="silent")
    with pytest.raises(ConnectionFault):
        WebSocketLink(PeerConnector(peer), URL, clock=clock, timeout_ms=500)
    assert peer.closed
