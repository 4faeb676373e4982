"""Requests by post: one connection, an answer of the own number, bounds, and evidence of each."""

import json
from datetime import timedelta

import pytest

from quantlab.kernel.clock import rfc3339
from quantlab.venues.hyperliquid.codec_stream import PING
from quantlab.venues.hyperliquid.posts import InfoPosts
from quantlab.venues.port import VenueReadFailed
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import BadEndpoint, ConnectionFault, ConnectionTimedOut
from quantlab.venues.transport import Transport
from tests.unit.venues.hyperliquid.hyperliquid_fakes import ACCOUNT, NOW_MS, SIGNER, Ports, fill_row, order_row
from tests.unit.venues.hyperliquid.test_accounts import ROLES
from tests.unit.venues.hyperliquid.test_reads import _failed as failed_read
from tests.unit.venues.hyperliquid.test_reads import _reads
from tests.unit.venues.websocket_peer import PeerConnection, PeerConnector
from tests.unit.venues.wire_fakes import START, ManualClock

URL = "ws://127.0.0.1:8081/ws"
GREETING = "Websocket connection established."
PONG = {"channel": "pong"}
STATUS = {"type": "exchangeStatus"}
ANSWER_MS = 10_000


def answer(number, data, *, kind="exchangeStatus"):
    """Return the frame that answers a post."""
    response = {"type": "info", "payload": {"type": kind, "data": data}}
    return {"channel": "post", "data": {"id": number, "response": response}}


def error(number, text):
    """Return the frame that answers a post by an error."""
    return {"channel": "post", "data": {"id": number, "response": {"type": "error", "payload": text}}}


def _posts(*says, connection=None, secret="made-up-secret"):
    clock = ManualClock()
    peer = PeerConnection(clock, says)
    connector = PeerConnector(connection or peer)
    transport = Transport(
        connector=connector, clock=clock, redactor=Redactor(secret), needs_attempt=lambda path, body: True
    )
    posts = InfoPosts(transport=transport, connector=connector, stream_url=URL, clock=clock)
    return posts, peer, transport, clock


def _said(peer):
    """Return the texts that we sent, without our goodbye."""
    return [one for one in peer.heard if isinstance(one, str)]


def _failed(kind, posts, *, words=None):
    with pytest.raises(VenueReadFailed, match=words) as caught:
        posts.ask(STATUS, purpose="read_time")
    assert kind == caught.value.kind
    assert "says nothing about any order" in caught.value.message
    return caught.value


def test_a_post_and_its_answer():
    """Rising numbers on one connection; what is not ours is passed over; numbers of the wire stay exact."""
    late = answer(9, "another")
    posts, peer, transport, _ = _posts(
        GREETING, {"channel": "allMids", "data": {}}, PONG, late, answer(1, {"time": 5}), answer(2, [0.1])
    )
    assert {"time": 5} == posts.ask(STATUS, purpose="read_time").value
    assert "0.1" == str(posts.ask(STATUS, purpose="again").value[0])
    assert [{"method": "post", "id": number, "request": {"type": "info", "payload": STATUS}} for number in (1, 2)] == [
        json.loads(text) for text in peer.heard
    ]
    assert 2 == len(transport.tape.peek())
    posts.close()
    assert peer.closed


def test_what_a_post_leaves_on_the_tape():
    """The texts of both frames, how far it got and when, secrets hidden, after what connecting took."""
    posts, peer, transport, _ = _posts(25, GREETING, 50, answer(1, "made-up-secret"))
    told = posts.ask(STATUS, purpose="read_time")
    (kept,) = transport.tape.take()
    assert kept == told.exchange
    assert ("WS", URL, "read_time", "answered", None, None) == (
        kept.method,
        kept.url,
        kept.purpose,
        kept.reached,
        kept.status,
        kept.fault,
    )
    assert peer.heard == [kept.request_body]
    assert answer(1, "[redacted]") == json.loads(kept.response_body)
    assert (rfc3339(START), rfc3339(START + timedelta(milliseconds=75)), 75_000) == (
        kept.started_at,
        kept.ended_at,
        kept.duration_us,
    )
    assert ((), (), None) == (kept.request_headers, kept.response_headers, kept.response_body_base64)
    assert 64 == len(kept.request_body_sha256) == len(kept.response_body_sha256)
    assert "made-up-secret" == told.value


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        (error(1, "429 Too Many Requests: null"), "rate_limited", "429"),
        (error(1, "502 Bad Gateway: <html>\r\n<body>"), "venue_fault", "502 Bad Gateway: <html>"),
        (error(1, "422 Unprocessable Entity: Failed to deserialize"), "bad_answer", "422"),
        (error(1, "no"), "bad_answer", "the venue answered: no"),
        (error(1, 5), "bad_answer", "payload"),
        ({"channel": "error", "data": "too many pending post requests id=429"}, "bad_answer", "too many pending"),
        ("<!-- upstream --> not json", "bad_answer", "not JSON"),
        ({"channel": "post"}, "bad_answer", "data"),
        ({"channel": "post", "data": {"id": "1"}}, "bad_answer", "response"),
        (answer(1, {}, kind="meta"), "bad_answer", "no answer to exchangeStatus"),
        ({"channel": "post", "data": {"id": 1, "response": {"type": "info"}}}, "bad_answer", "payload"),
        (
            {"channel": "post", "data": {"id": 1, "response": {"type": "info", "payload": {"type": "exchangeStatus"}}}},
            "bad_answer",
            "no answer",
        ),
        (
            {
                "channel": "post",
                "data": {"id": 1, "response": {"type": "action", "payload": {"type": "exchangeStatus", "data": 1}}},
            },
            "bad_answer",
            "no answer",
        ),
    ],
)
def test_an_answer_that_is_none(says, kind, words):
    """An error by its status, and whatever can not be read: the read fails at once, and the next one is asked."""
    posts, peer, transport, clock = _posts(says, answer(2, 7))
    failure = _failed(kind, posts, words=words)
    assert "body" not in failure.message
    (kept,) = transport.tape.take()
    assert ("answered", True, 0) == (kept.reached, kept.response_body is not None, clock.elapsed_ns)
    assert 7 == posts.ask(STATUS, purpose="next").value
    assert not peer.closed


def test_a_null_is_an_answer():
    """As for an unknown coin: the caller judges it."""
    posts, *_ = _posts(answer(1, None))
    assert None is posts.ask(STATUS, purpose="read_quote").value


def test_no_answer_in_time():
    """Ten seconds, then the read fails; the connection lives on, and the late answer is not the next one's."""
    posts, peer, transport, clock = _posts(ANSWER_MS + 5, answer(1, "late"), answer(2, "own"))
    _failed("no_answer", posts, words="10000 ms")
    (kept,) = transport.tape.take()
    assert ("bytes_sent", None, ANSWER_MS) == (kept.reached, kept.response_body, clock.elapsed_ns // 1_000_000)
    assert "own" == posts.ask(STATUS, purpose="next").value
    assert 2 == len(peer.heard)


@pytest.mark.parametrize("end", [b"", ConnectionFault("connection reset during receive")])
def test_a_lost_connection_is_not_opened_again(end):
    """The answer is lost with it; every later request is not reached, and nothing is sent."""
    posts, peer, transport, _ = _posts(end)
    _failed("no_answer", posts)
    _failed("not_reached", posts)
    assert ["bytes_sent", "not_connected"] == [kept.reached for kept in transport.tape.take()]
    assert (1, True) == (len(_said(peer)), peer.closed)


def test_a_send_that_fails_may_have_left():
    """A part of the message may stand on the wire: no answer, and the connection is done with."""
    posts, peer, transport, _ = _posts(answer(1, 1))
    assert 1 == posts.ask(STATUS, purpose="first").value

    def refuse(data, *, timeout_ms):
        raise ConnectionTimedOut("timed out during send")

    peer.send = refuse
    _failed("no_answer", posts, words="timed out during send")
    assert ["answered", "bytes_sent"] == [kept.reached for kept in transport.tape.take()]
    assert peer.closed


@pytest.mark.parametrize("connection", [ConnectionFault("connection refused"), None])
def test_without_a_connection_nothing_is_reached(connection):
    """Nobody listens, or the peer does not shake hands: tried once."""
    clock = ManualClock()
    posts, _, transport, _ = _posts(connection=connection or PeerConnection(clock, [], answer="reject"))
    for _ in range(2):
        _failed("not_reached", posts)
    assert {("not_connected", None)} == {(kept.reached, kept.response_body) for kept in transport.tape.peek()}
    assert 1 == len(posts._connector.endpoints)


def test_an_idle_connection_is_pinged_before_it_is_trusted():
    """After fifteen seconds of silence; a message that is no pong does not count."""
    posts, peer, transport, clock = _posts(answer(1, 1), "?", PONG, answer(2, 2), answer(3, 3))
    posts.ask(STATUS, purpose="first")
    clock.advance_ms(15_000)
    posts.ask(STATUS, purpose="second")
    clock.advance_ms(14_999)
    posts.ask(STATUS, purpose="third")
    assert [1, 2, 3] == [json.loads(text)["id"] for text in peer.heard if text != PING]
    assert (1, PING) == (peer.heard.count(PING), peer.heard[1])
    assert ["first", "second", "third"] == [kept.purpose for kept in transport.tape.take()]


@pytest.mark.parametrize("says", [(b"",), ()])
def test_an_idle_connection_that_has_ended_is_not_reached(says):
    """Closed by the venue meanwhile, or silent: the request never left."""
    posts, peer, transport, clock = _posts(answer(1, 1), *says)
    posts.ask(STATUS, purpose="first")
    clock.advance_ms(70_000)
    _failed("not_reached", posts)
    assert ["answered", "connected"] == [kept.reached for kept in transport.tape.take()]
    assert (2, PING, True) == (len(_said(peer)), _said(peer)[-1], peer.closed)


def test_an_interrupted_post_is_kept():
    """How far it got is evidence, also when the operator ends it."""
    posts, peer, transport, _ = _posts()

    def interrupt(limit_bytes, *, timeout_ms):
        if peer._outgoing:
            return PeerConnection.receive(peer, limit_bytes, timeout_ms=timeout_ms)
        raise KeyboardInterrupt

    peer.receive = interrupt
    with pytest.raises(KeyboardInterrupt):
        posts.ask(STATUS, purpose="read_time")
    (kept,) = transport.tape.take()
    assert ("bytes_sent", "interrupted") == (kept.reached, kept.fault)


def test_after_the_end_nothing_is_sent():
    """Also where nothing was ever asked; closing twice does no harm."""
    posts, peer, *_ = _posts(answer(1, 1))
    posts.close()
    posts.close()
    _failed("not_reached", posts, words="closed by us")
    assert [] == peer.heard


def test_an_address_that_is_none_is_refused_at_once():
    """Before anything is asked."""
    _, _, transport, clock = _posts()
    with pytest.raises(BadEndpoint):
        InfoPosts(transport=transport, connector=PeerConnector(None), stream_url="ws://api.example.org/ws", clock=clock)


def test_reads_over_the_stream():
    """The same reads by post on one connection, weighed and kept on the tape like the others."""
    ports = Ports()
    says = [
        answer(1, ROLES[0], kind="userRole"),
        answer(2, ROLES[1], kind="extraAgents"),
        answer(3, [order_row(sz="0.15")], kind="frontendOpenOrders"),
    ]
    peer = PeerConnection(ports.clock, [*says, answer(4, [fill_row(sz="0.1")], kind="userFillsByTime")])
    reads, ports = _reads({"time": NOW_MS, "specialStatuses": None}, connector=PeerConnector(peer))
    with reads.over_stream() as streaming:
        assert "desk" == streaming.read_account().key_name
        assert ["partially_filled"] == [order.state for order in streaming.read_open_orders()]
        assert (ACCOUNT, SIGNER) == (streaming.account, streaming.signer_id)
        assert [] == ports.connector.endpoints
    assert peer.closed
    assert [60, 20, 20, 20] == ports.turns.shared.weights
    assert [("WS", "answered")] * 4 == [(kept.method, kept.reached) for kept in ports.transport.tape.take()]
    failed_read("not_reached", streaming.read_open_orders)
    assert "online" == reads.read_system_status().mode
    assert ["WS", "POST"] == [kept.method for kept in ports.transport.tape.take()]


def test_the_clock_by_post():
    """Compared with the middle of the post alone."""
    ports = Ports()
    peer = PeerConnection(ports.clock, [answer(1, {"time": NOW_MS + 7})])
    reads, _ = _reads(connector=PeerConnector(peer))
    with reads.over_stream() as streaming:
        assert 7 == streaming.read_time().offset_ms


def test_a_stream_that_is_never_asked_is_never_opened():
    """The context alone connects to nothing."""
    reads, ports = _reads()
    with reads.over_stream():
        pass
    assert [] == ports.connector.endpoints
