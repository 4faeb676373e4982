"""Each fault of the wire, for each effect: what may be claimed after it. Whatever is not listed is unknown.

Real sockets on loopback, real transport; the times are short limits, and no test sleeps.
"""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime

import pytest

from quantlab.kernel.clock import SystemClock
from quantlab.model.execution import AttemptReceipt
from quantlab.venues.kraken.auth import KrakenCredentials
from quantlab.venues.kraken.classify import needs_attempt
from quantlab.venues.kraken.orders import KrakenOrders
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import SocketConnector
from quantlab.venues.transport import Limits, Transport
from tests.faults.scripted_server import reset, scripted_server
from tests.unit.venues.kraken.kraken_fakes import API_KEY, API_SECRET, DESCRIPTION, ORDER_ID, plan_of

LIMITS = Limits(connect_ms=200, total_ms=300, body_bytes=20_000)
ACCEPTED = {
    "submit": {"error": [], "result": {"txid": [ORDER_ID], "descr": {"order": DESCRIPTION}}},
    "cancel": {"error": [], "result": {"count": 1}},
}


def _answer(body, *, status="200 OK", headers=b""):
    length = str(len(body)).encode()
    return b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: " + length + b"\r\n" + headers + b"\r\n" + body


def _says(*pieces):
    def behave(peer):
        for piece in pieces:
            peer.sendall(piece)

    return behave


def _errors(*texts):
    return _says(_answer(json.dumps({"error": texts, "result": {}}).encode()))


def _silent(peer):
    peer.recv(1)


def _reset_unread(peer):
    peer.recv(1, socket.MSG_PEEK)
    reset(peer)


def _drip(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    gate = threading.Event()
    while True:
        peer.sendall(b" ")
        gate.wait(0.01)


def _flood(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        peer.sendall(b"x" * 10_000)


HTML = b"<html><title>api | 520: Web server is returning an unknown error</title></html>"

# name: what the peer does after it read the request, outcome of a submit, of a cancel, how far it got.
FAULTS = {
    "reset after the request": (reset, "unknown", "unknown", "bytes_sent"),
    "goodbye without an answer": (_says(), "unknown", "unknown", "bytes_sent"),
    "no answer in time": (_silent, "unknown", "unknown", "bytes_sent"),
    "half a head": (_says(b"HTTP/1.1 200 OK\r\nConte"), "unknown", "unknown", None),
    "not HTTP": (_says(b"SSH-2.0-x\r\n\r\n"), "unknown", "unknown", "bytes_sent"),
    "slow drip": (_drip, "unknown", "unknown", "answered"),
    "oversized": (_flood, "unknown", "unknown", "answered"),
    "garbage": (_says(_answer(b"\x00\xff{")), "unknown", "unknown", "answered"),
    "empty body": (_says(_answer(b"")), "unknown", "unknown", "answered"),
    "JSON of another shape": (_says(_answer(b'{"ok":true}')), "unknown", "unknown", "answered"),
    "no result": (_says(_answer(b'{"error":[]}')), "unknown", "unknown", "answered"),
    "200 with a refusal": (_errors("EGeneral:Permission denied"), "rejected", "rejected", "answered"),
    "200 with an unlisted error": (_errors("EOrder:Novel"), "unknown", "unknown", "answered"),
    "200 with an internal error": (_errors("EGeneral:Internal error"), "unknown", "unknown", "answered"),
    "200 with a mixed array": (
        _errors("EGeneral:Permission denied", "EService:Busy"),
        "unknown",
        "unknown",
        "answered",
    ),
    **{
        status: (_says(_answer(HTML, status=status)), "unknown", "unknown", "answered")
        for status in (
            *("400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found"),
            *("429 Too Many Requests", "500 Odd", "502 Bad Gateway", "503 Unavailable"),
            *("504 Gateway time-out", "520 Unknown Error", "522 Timed Out", "525 TLS failed"),
        )
    },
    "301 to another place": (
        _says(_answer(b"", status="301 Moved", headers=b"Location: http://127.0.0.1:9/\r\n")),
        "unknown",
        "unknown",
        "answered",
    ),
    "307 to another place": (
        _says(_answer(b"", status="307 Temporary", headers=b"Location: /0/private/AddOrder\r\n")),
        "unknown",
        "unknown",
        "answered",
    ),
}


def _orders(url):
    redactor = Redactor()
    clock = SystemClock()
    transport = Transport(
        connector=SocketConnector(clock=clock),
        clock=clock,
        redactor=redactor,
        needs_attempt=needs_attempt,
        limits=LIMITS,
    )
    credentials = KrakenCredentials(read_api_key=lambda: API_KEY, read_api_secret=lambda: API_SECRET, redactor=redactor)
    orders = KrakenOrders(transport=transport, base_url=url, credentials=credentials, clock=clock)
    return orders, transport


def _act(url, effect):
    orders, transport = _orders(url)
    if effect == "submit":
        deadline = datetime(2026, 9, 3, 6, 0, 10, tzinfo=UTC)
        prepared = orders.prepare_submit(plan_of(), nonce=7, deadline_at=deadline)
    else:
        prepared = orders.prepare_cancel(plan_of(), venue_order_id=ORDER_ID, nonce=7)
    receipt = AttemptReceipt(session_id="s", sequence=1, record_sha256="0" * 64, body_sha256=prepared.body_sha256)
    answer = getattr(orders, effect)(prepared, receipt)
    (exchange,) = transport.tape.take()
    assert API_SECRET not in repr(exchange)
    assert prepared.body_text == exchange.request_body
    return answer, exchange


@pytest.mark.parametrize("effect", ["submit", "cancel"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_after_the_request(name, effect):
    """The request reached the peer: only a listed refusal is one, all else is unknown; it is sent once."""
    behave, submit, cancel, reached = FAULTS[name]
    with scripted_server(behave) as seen:
        answer, exchange = _act(seen.url, effect)
    assert (submit if effect == "submit" else cancel) == answer.outcome
    assert reached in {None, answer.reached}
    assert answer.reached == exchange.reached
    assert (1, 1) == (seen.connections, len(seen.requests))


@pytest.mark.parametrize("effect", ["submit", "cancel"])
@pytest.mark.parametrize("cut", range(1, 8))
def test_a_truncated_acceptance_is_unknown(effect, cut):
    """A good answer that lacks its end proves nothing."""
    body = json.dumps(ACCEPTED[effect]).encode()
    whole = _answer(body)
    with scripted_server(_says(whole[: len(whole) - cut])) as seen:
        answer, exchange = _act(seen.url, effect)
    assert ("unknown", "answered") == (answer.outcome, answer.reached)
    assert "missing" in exchange.fault


@pytest.mark.parametrize("effect", ["submit", "cancel"])
def test_without_a_fault_it_is_accepted(effect):
    """The matrix' own control: the same path without a fault is accepted."""
    with scripted_server(_says(_answer(json.dumps(ACCEPTED[effect]).encode()))) as seen:
        answer, _ = _act(seen.url, effect)
    assert ("accepted", "answered") == (answer.outcome, answer.reached)


@pytest.mark.parametrize("effect", ["submit", "cancel"])
def test_a_doubled_answer_counts_once(effect):
    """A second copy of the answer behind the first is not read."""
    body = _answer(json.dumps(ACCEPTED[effect]).encode())
    with scripted_server(_says(body + body)) as seen:
        answer, _ = _act(seen.url, effect)
    assert "accepted" == answer.outcome


@pytest.mark.parametrize("effect", ["submit", "cancel"])
def test_refused_is_never_sent(effect):
    """Nobody listens: no byte left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    answer, exchange = _act(url, effect)
    assert ("never_sent", "not_connected", "connection refused") == (
        answer.outcome,
        answer.reached,
        exchange.fault,
    )


@pytest.mark.parametrize("effect", ["submit", "cancel"])
@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad\r\n\r\n", b"", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_a_failed_tls_handshake_is_never_sent(effect, says):
    """A peer that answers the handshake with anything but TLS never sees the request."""
    with scripted_server(lambda peer: (peer.recv(4096), peer.sendall(says)), reads=False) as seen:
        answer, exchange = _act(seen.url.replace("http", "https"), effect)
    assert ("never_sent", "not_connected") == (answer.outcome, answer.reached)
    assert "handshake" in exchange.fault


@pytest.mark.parametrize("effect", ["submit", "cancel"])
def test_a_silent_tls_handshake_is_never_sent(effect):
    """A handshake that does not come is bounded by the connect time."""
    with scripted_server(lambda peer: (peer.recv(4096), peer.recv(4096)), reads=False) as seen:
        answer, exchange = _act(seen.url.replace("http", "https"), effect)
    assert ("never_sent", "timed out after 200 ms while connecting") == (answer.outcome, exchange.fault)


@pytest.mark.parametrize("effect", ["submit", "cancel"])
def test_a_reset_before_the_request_was_read_is_unknown(effect):
    """The connection was open, so bytes may have left: a reset is no proof of the contrary."""
    with scripted_server(_reset_unread, reads=False) as seen:
        answer, _ = _act(seen.url, effect)
    assert ("unknown", "bytes_sent") == (answer.outcome, answer.reached)
