"""One exchange: bounded, redacted, recorded, and guarded."""

import base64
import gzip
import hashlib

import pytest

from quantlab.model.execution import AttemptReceipt
from quantlab.venues.redaction import REDACTED, Redactor
from quantlab.venues.sockets import BadEndpoint, ConnectionFault, ConnectionTimedOut, Endpoint
from quantlab.venues.tape import Tape
from quantlab.venues.transport import AttemptMissing, HttpRequest, Limits, Transport
from tests.unit.venues.wire_fakes import ManualClock, ScriptedConnector, http_answer

URL = "http://127.0.0.1:8080/0/private/Thing?x=1"
SECRET = "made-up-secret-value"


def _transport(*scripts, free=True, secrets=(), limits=None):
    clock = ManualClock()
    connector = ScriptedConnector(clock, *scripts)
    transport = Transport(
        connector=connector,
        clock=clock,
        redactor=Redactor(*secrets),
        needs_attempt=lambda path, body: not free,
        limits=limits,
    )
    return transport, connector


def _request(**changes):
    return HttpRequest(**{"purpose": "thing", "method": "POST", "url": URL, "body": b"a=1"} | changes)


def _receipt(body, *, sequence=1):
    return AttemptReceipt(
        session_id="s",
        sequence=sequence,
        record_sha256="0" * 64,
        body_sha256=hashlib.sha256(body).hexdigest(),
    )


def test_an_exchange_is_recorded_whole():
    """Request and answer stand on the tape as they went over the wire."""
    transport, connector = _transport([http_answer(b'{"a":1}', headers=("X-Ray: 7",))])
    answer = transport.exchange(_request(headers=(("X-Own", "v"),)))
    exchange = answer.exchange
    assert b'{"a":1}' == answer.body
    assert answer.whole
    assert ("answered", 200, None) == (exchange.reached, exchange.status, exchange.fault)
    assert "a=1" == exchange.request_body
    assert hashlib.sha256(b"a=1").hexdigest() == exchange.request_body_sha256
    assert '{"a":1}' == exchange.response_body
    assert hashlib.sha256(b'{"a":1}').hexdigest() == exchange.response_body_sha256
    assert ("X-Ray", "7") in exchange.response_headers
    assert "2026-09-03T06:00:00.000000Z" == exchange.started_at == exchange.ended_at
    assert [Endpoint(host="127.0.0.1", port=8080, tls=False)] == connector.endpoints
    sent = connector.connections[0].sent.decode()
    assert sent.startswith("POST /0/private/Thing?x=1 HTTP/1.1\r\n")
    assert sent.endswith("\r\n\r\na=1")
    for name, value in exchange.request_headers:
        assert f"\r\n{name}: {value}\r\n" in sent
    assert {"Host", "User-Agent", "Connection", "Content-Length", "X-Own"} <= {
        name for name, _ in exchange.request_headers
    }
    assert connector.connections[0].closed


def test_a_get_without_a_path_asks_for_the_root():
    """A bare host is asked for ``/``, and a read carries no length."""
    transport, connector = _transport([http_answer(b"")])
    transport.exchange(_request(method="GET", url="http://127.0.0.1", body=b""))
    sent = connector.connections[0].sent
    assert sent.startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert b"Content-Length" not in sent


def test_the_tape_is_peeked_at_and_taken():
    """Peeking leaves the tape, taking empties it."""
    transport, _ = _transport([http_answer(b"1")], [http_answer(b"2")])
    first = transport.exchange(_request()).exchange
    second = transport.exchange(_request()).exchange
    assert (first, second) == transport.tape.peek() == transport.tape.take()
    assert () == transport.tape.take()


def test_a_tape_can_be_given():
    """Two venues may share one tape."""
    tape = Tape()
    clock = ManualClock()
    transport = Transport(
        connector=ScriptedConnector(clock),
        clock=clock,
        redactor=Redactor(),
        needs_attempt=lambda path, body: False,
        tape=tape,
    )
    assert tape is transport.tape


def test_secrets_are_hidden_everywhere():
    """URL, headers and bodies are kept redacted, digests are of what is kept, the caller's body is exact."""
    answer_bytes = http_answer(f'{{"echo":"{SECRET}","sig":"{"S" * 20}"}}'.encode(), headers=(f"Echo: {SECRET}",))
    transport, _ = _transport([answer_bytes], secrets=(SECRET,))
    answer = transport.exchange(
        _request(
            url=f"http://127.0.0.1:8080/a?k={SECRET}",
            headers=(("API-Key", "public"), ("API-Sign", "S" * 20)),
            body=f"k={SECRET}".encode(),
        )
    )
    kept = repr(answer.exchange)
    assert SECRET not in kept
    assert "S" * 20 not in kept
    assert SECRET.encode() in answer.body
    text = answer.exchange.response_body
    assert hashlib.sha256(text.encode()).hexdigest() == answer.exchange.response_body_sha256
    assert f"k={REDACTED}" == answer.exchange.request_body
    assert SECRET not in repr(answer) + repr(_request(headers=(("A", SECRET),)))


def test_a_secret_answer_field_never_reaches_the_tape():
    """A token is hidden in the very answer that brings it."""
    transport, _ = _transport([http_answer(b'{"token":"fresh-token-1"}')])
    answer = transport.exchange(_request(secret_answer_fields=("token",)))
    assert '{"token":"[redacted]"}' == answer.exchange.response_body


def test_a_body_that_is_not_text_is_kept_as_base64():
    """Bytes that are not UTF-8 are kept exactly, encoded."""
    transport, _ = _transport([http_answer(b"\xff\x00")])
    exchange = transport.exchange(_request()).exchange
    assert None is exchange.response_body
    assert b"\xff\x00" == base64.b64decode(exchange.response_body_base64)


def test_gzip_is_undone():
    """An answer that was compressed although we asked for none is read all the same."""
    packed = gzip.compress(b'{"a":1}')
    transport, _ = _transport([http_answer(packed, headers=("Content-Encoding: gzip",))])
    answer = transport.exchange(_request())
    assert (b'{"a":1}', None) == (answer.body, answer.exchange.fault)


@pytest.mark.parametrize(
    ("body", "coding", "fault"),
    [
        (gzip.compress(b"x" * 4000), "gzip", "cut short or too large"),
        (gzip.compress(b"abc")[:-9], "gzip", "cut short or too large"),
        (b"not gzip at all", "gzip", "not the gzip it claims"),
        (b"abc", "br", "unknown content coding br"),
    ],
    ids=["grows", "cut short", "not gzip", "unknown"],
)
def test_broken_codings_are_faults(body, coding, fault):
    """An answer that can not be decoded, or grows past its bound, is not whole."""
    transport, _ = _transport(
        [http_answer(body, headers=(f"Content-Encoding: {coding}",))], limits=Limits(body_bytes=1000)
    )
    answer = transport.exchange(_request())
    assert not answer.whole
    assert fault in answer.exchange.fault


def test_chunks_are_joined():
    """A chunked answer is read to its end."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    transport, _ = _transport([head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"])
    assert b"abcde" == transport.exchange(_request()).body


def test_an_answer_without_length_ends_with_the_connection():
    """Old proxies send neither length nor chunks."""
    transport, _ = _transport([b"HTTP/1.0 200 OK\r\n\r\nabc", b"def"])
    answer = transport.exchange(_request())
    assert (b"abcdef", True) == (answer.body, answer.whole)


CASES = {
    "refused": ([ConnectionFault("connection refused")], "not_connected", "connection refused"),
    "connect timeout": (
        [ConnectionTimedOut("x")],
        "not_connected",
        "timed out after 5000 ms while connecting",
    ),
    "reset": ([[ConnectionFault("connection reset during receive")]], "bytes_sent", "reset"),
    "silence": ([[60_000]], "bytes_sent", "timed out after 15000 ms"),
    "closed": ([[]], "bytes_sent", "closed without an answer"),
    "not http": ([[b"\x16\x03\x01 what\r\n\r\n"]], "bytes_sent", "not HTTP"),
    "truncated": (
        [[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]],
        "answered",
        "7 bytes are missing",
    ),
    "broken chunk": (
        [[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]],
        "answered",
        "cut short",
    ),
    "bad chunk length": (
        [[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab"]],
        "answered",
        "framing is broken",
    ),
    "reset in body": (
        [[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ConnectionFault("connection reset")]],
        "answered",
        "connection reset",
    ),
    "drip": (
        [[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", *[b"a", 4000] * 9]],
        "answered",
        "timed out after 15000 ms",
    ),
    "oversized": (
        [[http_answer(b"x" * 5000)]],
        "answered",
        "larger than 1000 bytes",
    ),
    "endless head": (
        [[b"HTTP/1.1 200 OK\r\n", *[b"X-A: " + b"a" * 1000 + b"\r\n"] * 90]],
        "bytes_sent",
        "larger than",
    ),
    "endless interim": (
        [[b"HTTP/1.1 100 Continue\r\n\r\n" * 5000]],
        "bytes_sent",
        "larger than",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_faults_are_reported_not_raised(name):
    """Whatever the network does, the exchange says how far it got and why it ended."""
    scripts, reached, fault = CASES[name]
    limits = Limits(body_bytes=1000, head_bytes=32_768)
    transport, connector = _transport(*scripts, limits=limits)
    answer = transport.exchange(_request())
    assert reached == answer.exchange.reached
    assert fault in answer.exchange.fault
    assert not answer.whole
    assert all(connection.closed for connection in connector.connections)
    assert (answer.exchange,) == transport.tape.peek()


def test_a_fault_inside_a_send_counts_as_sent():
    """Only the moment before the first send proves that nothing left."""
    transport, connector = _transport([])
    connector.send_fault = ConnectionFault("connection reset during send")
    assert "bytes_sent" == transport.exchange(_request()).exchange.reached


def test_time_that_ran_out_before_the_send_leaves_nothing_sent():
    """A connect that used up all the time ends before the first byte."""
    transport, connector = _transport([])
    open_quickly = connector.connect

    def open_slowly(endpoint, *, timeout_ms):
        connection = open_quickly(endpoint, timeout_ms=timeout_ms)
        connector._clock.advance_ms(700)
        return connection

    connector.connect = open_slowly
    exchange = transport.exchange(_request(total_ms=600)).exchange
    assert ("connected", "timed out after 600 ms") == (exchange.reached, exchange.fault)
    assert b"" == connector.connections[0].sent


def test_a_request_that_is_no_http_is_not_sent():
    """A header with a line break is refused before the first byte."""
    transport, connector = _transport([])
    exchange = transport.exchange(_request(headers=(("X", "a\r\nY: b"),))).exchange
    assert ("connected", "the request could not be written as HTTP") == (
        exchange.reached,
        exchange.fault,
    )
    assert b"" == connector.connections[0].sent


def test_a_redirect_is_an_answer():
    """A 3xx is returned and never followed."""
    transport, connector = _transport(
        [http_answer(b"", status="302 Found", headers=("Location: http://127.0.0.1:1/",))]
    )
    answer = transport.exchange(_request())
    assert (302, True, 1) == (answer.exchange.status, answer.whole, len(connector.endpoints))


def test_an_interrupt_leaves_its_exchange_on_the_tape():
    """Ctrl-C in the middle is raised on, and how far it got is kept."""
    transport, connector = _transport([])
    connector.send_fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        transport.exchange(_request())
    (exchange,) = transport.tape.take()
    assert ("bytes_sent", "interrupted") == (exchange.reached, exchange.fault)
    assert connector.connections[0].closed


@pytest.mark.parametrize(
    ("receipt", "code"),
    [(None, "transport.no_attempt"), (_receipt(b"a=2"), "transport.other_attempt")],
)
def test_what_can_move_money_needs_its_attempt(receipt, code):
    """Without the receipt of exactly these bytes nothing is even connected."""
    transport, connector = _transport([], free=False)
    with pytest.raises(AttemptMissing) as caught:
        transport.exchange(_request(), receipt=receipt)
    assert (code, "bug") == (caught.value.code, caught.value.outcome)
    assert [] == connector.endpoints
    assert () == transport.tape.peek()


def test_an_attempt_is_good_for_one_send():
    """The same receipt does not pass twice, whatever became of the first send."""
    transport, connector = _transport(ConnectionFault("connection refused"), [http_answer(b"")], free=False)
    transport.exchange(_request(), receipt=_receipt(b"a=1"))
    with pytest.raises(AttemptMissing) as caught:
        transport.exchange(_request(), receipt=_receipt(b"a=1"))
    assert "transport.spent_attempt" == caught.value.code
    assert 1 == len(connector.endpoints)
    assert transport.exchange(_request(), receipt=_receipt(b"a=1", sequence=2)).whole


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.org/",
        "ftp://127.0.0.1/",
        "http:///x",
        "http://a:b@127.0.0.1/",
        "http://127.0.0.1:99999/",
    ],
)
def test_unusable_addresses_are_refused(url):
    """Clear text leaves the machine never, and a malformed address is a fault of the wiring."""
    transport, _ = _transport()
    with pytest.raises(BadEndpoint):
        transport.exchange(_request(url=url))
