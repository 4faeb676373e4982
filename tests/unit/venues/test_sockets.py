"""The real connection port, over loopback sockets."""

import socket
import ssl
import threading

import pytest

from quantlab.kernel.clock import SystemClock
from quantlab.venues import sockets
from quantlab.venues.sockets import (
    BadEndpoint,
    ConnectionFault,
    ConnectionTimedOut,
    Endpoint,
    SocketConnector,
    endpoint_of,
    fault_of,
)


def _connector():
    return SocketConnector(clock=SystemClock())


def _endpoint(server, *, tls=False):
    return Endpoint(host="127.0.0.1", port=server.getsockname()[1], tls=tls)


def test_bytes_go_both_ways_and_the_end_is_seen():
    """A connection carries bytes and reports the peer's goodbye as empty bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = _connector().connect(_endpoint(server), timeout_ms=2000)
        peer, _ = server.accept()
        with peer:
            connection.send(b"ping", timeout_ms=2000)
            assert b"ping" == peer.recv(4)
            peer.sendall(b"pong")
            assert b"po" == connection.receive(2, timeout_ms=2000)
            assert b"ng" == connection.receive(100, timeout_ms=2000)
        assert b"" == connection.receive(100, timeout_ms=2000)
        connection.close()
        connection.close()


def test_silence_is_a_timeout():
    """A peer that says nothing is told apart from one that left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = _connector().connect(_endpoint(server), timeout_ms=2000)
        with pytest.raises(ConnectionTimedOut):
            connection.receive(1, timeout_ms=20)
        connection.close()
        with pytest.raises(ConnectionFault):
            connection.send(b"x", timeout_ms=20)


def test_a_refused_connection_is_a_fault():
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = _endpoint(server)
    with pytest.raises(ConnectionFault, match="connection refused"):
        _connector().connect(endpoint, timeout_ms=2000)


def test_an_unknown_host_is_a_fault(monkeypatch):
    """A name that does not resolve, and one without an address."""

    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(sockets.socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFault, match="host not found: Name or service not known"):
        _connector().connect(Endpoint(host="nowhere.invalid", port=1, tls=True), timeout_ms=50)
    monkeypatch.setattr(sockets.socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(ConnectionFault, match="host has no address"):
        _connector().connect(Endpoint(host="nowhere.invalid", port=1, tls=True), timeout_ms=50)


def test_a_peer_that_speaks_no_tls_fails_the_handshake():
    """TLS against a plain server ends before anything could be sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectionFault, match="the handshake failed"):
            _connector().connect(_endpoint(server, tls=True), timeout_ms=2000)
        thread.join(5)


def test_a_silent_tls_peer_times_out():
    """A peer that accepts and never shakes hands is bounded by the connect time."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ConnectionTimedOut),
    ):
        _connector().connect(_endpoint(server, tls=True), timeout_ms=30)


def test_verification_is_on_and_the_context_is_kept():
    """Certificates and host names are checked, always."""
    connector = _connector()
    context = connector._tls_context()
    assert ssl.CERT_REQUIRED == context.verify_mode
    assert context.check_hostname
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    assert context is connector._tls_context()


def test_faults_are_named_in_our_words():
    """Each kind of system error has one text, without addresses or paths."""
    unverified = ssl.SSLCertVerificationError()
    unverified.verify_message = "self-signed certificate"
    assert "certificate verify failed: self-signed certificate" == str(fault_of(unverified, during="connect"))
    assert "connection reset during send" == str(fault_of(BrokenPipeError(), during="send"))
    assert "connection refused" == str(fault_of(ConnectionRefusedError(), during="connect"))
    assert "timed out during receive" == str(fault_of(TimeoutError(), during="receive"))
    assert "send failed: No route" == str(fault_of(OSError(113, "No route"), during="send"))
    assert "send failed: OSError" == str(fault_of(OSError(), during="send"))


def test_a_close_that_fails_is_quiet():
    """Closing never raises."""

    class Broken:
        def close(self):
            raise OSError(9, "Bad file descriptor")

    sockets.SocketConnection(Broken()).close()


@pytest.mark.parametrize(
    ("url", "authority", "tls"),
    [
        ("https://api.example.org/0/x", "api.example.org", True),
        ("wss://ws.example.org:8443/v2", "ws.example.org:8443", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", False),
        ("ws://localhost/v2", "localhost", False),
        ("http://[::1]:81/", "[::1]:81", False),
    ],
)
def test_endpoints_of_urls(url, authority, tls):
    """Scheme, host and port of a URL, as the Host header wants them."""
    endpoint = endpoint_of(url)
    assert (authority, tls) == (endpoint.authority, endpoint.tls)


def test_clear_text_stays_on_the_machine():
    """A key never travels unencrypted."""
    with pytest.raises(BadEndpoint, match="loopback"):
        endpoint_of("ws://api.example.org/v2")
