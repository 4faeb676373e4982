"""The connection port under every exchange and stream, and its implementation over real sockets.

A :class:`Connector` opens a :class:`Connection`; a simulator replaces both by a virtual network. Only
this module touches sockets and TLS. It never retries, and certificate verification can not be switched
off.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from quantlab.kernel.clock import Clock
from quantlab.kernel.errors import QuantLabFault

if TYPE_CHECKING:
    import ssl

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_ENCRYPTED_SCHEMES: Final = frozenset({"https", "wss"})
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LARGEST_RECEIVE_BYTES: Final = 65_536


class ConnectionFault(Exception):
    """A connection could not be opened or used. Its text is safe to record and to show."""


class ConnectionTimedOut(ConnectionFault):
    """Nothing came, or nothing could be sent, within the time given. The connection may still be alive."""


class BadEndpoint(QuantLabFault):
    """A URL can not be used as a venue's address. A fault of the wiring: nothing was sent."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """Return ``host`` or ``host:port`` as a Host header wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = _DEFAULT_PORTS["https" if self.tls else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


class Connection(Protocol):
    """One open byte stream. Every call raises :class:`ConnectionFault` when it fails."""

    def send(self, data: bytes, *, timeout_ms: int) -> None:
        """Send all of ``data``. After a fault an unknown part of it may have left."""

    def receive(self, limit_bytes: int, *, timeout_ms: int) -> bytes:
        """Return what has arrived, at most ``limit_bytes``; empty bytes when the peer closed."""

    def close(self) -> None:
        """Close the connection; never raises."""


class Connector(Protocol):
    """Opens connections."""

    def connect(self, endpoint: Endpoint, *, timeout_ms: int) -> Connection:
        """Return an open connection, TLS handshake done; :class:`ConnectionFault` when there is none."""


def endpoint_of(url: str) -> Endpoint:
    """Return the endpoint of an ``http(s)`` or ``ws(s)`` URL.

    Raises:
        BadEndpoint: the URL is unusable, holds user information, or is not encrypted and not on loopback,
            where a key could be read by others.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadEndpoint(f"a venue URL is malformed: {error}", code="transport.bad_url") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise BadEndpoint("a venue URL needs a scheme, a host and no user", code="transport.bad_url")
    tls = parts.scheme in _ENCRYPTED_SCHEMES
    if not tls and parts.hostname not in _LOOPBACK_HOSTS:
        raise BadEndpoint("a venue is spoken to in clear text on loopback only", code="transport.clear_text")
    chosen = _DEFAULT_PORTS[parts.scheme] if port is None else port
    return Endpoint(host=parts.hostname, port=chosen, tls=tls)


class SocketConnector:
    """Opens TCP connections, with TLS where the endpoint asks for it.

    Args:
        clock: Bounds the whole of a connect, over all addresses of a host.
        extra_ca_file: Certificates trusted besides the system's, for the rehearsal exchange.

    Name resolution is the operating system's and has the system's own time limit.
    """

    def __init__(self, *, clock: Clock, extra_ca_file: Path | None = None) -> None:
        self._clock = clock
        self._extra_ca_file = extra_ca_file
        self._context: ssl.SSLContext | None = None

    def connect(self, endpoint: Endpoint, *, timeout_ms: int) -> SocketConnection:
        """Return an open connection within ``timeout_ms``.

        Raises:
            ConnectionFault: no address answered, or the TLS handshake failed. No byte of a request has left.
        """
        deadline_ns = self._clock.monotonic_ns() + timeout_ms * _NANOSECONDS_PER_MILLISECOND
        raw = self._connect_tcp(endpoint, deadline_ns=deadline_ns)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if endpoint.tls:
                return SocketConnection(self._handshake(raw, endpoint, deadline_ns=deadline_ns))
        except OSError as error:
            raw.close()
            raise fault_of(error, during="the handshake") from None
        return SocketConnection(raw)

    def _connect_tcp(self, endpoint: Endpoint, *, deadline_ns: int) -> socket.socket:
        try:
            addresses = socket.getaddrinfo(
                endpoint.host, endpoint.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
        except OSError as error:
            raise ConnectionFault(f"host not found: {error.strerror or error}") from None
        last = ConnectionFault("host has no address")
        for family, kind, protocol, _, address in addresses:
            candidate = socket.socket(family, kind, protocol)
            try:
                candidate.settimeout(self._left_ms(deadline_ns) / 1000)
                candidate.connect(address)
            except OSError as error:
                candidate.close()
                last = fault_of(error, during="connect")
            else:
                return candidate
        raise last

    def _handshake(self, raw: socket.socket, endpoint: Endpoint, *, deadline_ns: int) -> socket.socket:
        raw.settimeout(self._left_ms(deadline_ns) / 1000)
        return self._tls_context().wrap_socket(raw, server_hostname=endpoint.host)

    def _tls_context(self) -> ssl.SSLContext:
        if self._context is None:
            # Loaded here: a command that never connects should not pay for it.
            import ssl

            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self._extra_ca_file is not None:
                context.load_verify_locations(cafile=self._extra_ca_file)
            self._context = context
        return self._context

    def _left_ms(self, deadline_ns: int) -> int:
        left = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
        return max(left, 1)


class SocketConnection:
    """A :class:`Connection` over a connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def send(self, data: bytes, *, timeout_ms: int) -> None:
        """Send all of ``data`` within ``timeout_ms``."""
        try:
            self._socket.settimeout(max(timeout_ms, 1) / 1000)
            self._socket.sendall(data)
        except OSError as error:
            raise fault_of(error, during="send") from None

    def receive(self, limit_bytes: int, *, timeout_ms: int) -> bytes:
        """Return what has arrived within ``timeout_ms``; empty bytes when the peer closed."""
        try:
            self._socket.settimeout(max(timeout_ms, 1) / 1000)
            return self._socket.recv(min(limit_bytes, _LARGEST_RECEIVE_BYTES))
        except OSError as error:
            raise fault_of(error, during="receive") from None

    def close(self) -> None:
        """Close the socket; never raises."""
        try:
            self._socket.close()
        except OSError:
            return


def fault_of(error: OSError, *, during: str) -> ConnectionFault:
    """Return the fault that names an operating system or TLS error in the project's words."""
    verify_message = getattr(error, "verify_message", "")
    if verify_message:
        return ConnectionFault(f"certificate verify failed: {verify_message}")
    if isinstance(error, TimeoutError):
        return ConnectionTimedOut(f"timed out during {during}")
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFault("connection refused")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return ConnectionFault(f"connection reset during {during}")
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return ConnectionFault(f"{during} failed: {reason}")
