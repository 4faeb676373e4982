"""What happens on one connection: request out, answer in, spoken by ``http.client`` over the connection port.

It leaves how far it got and what went wrong in its fields and raises nothing that the network does. It
knows neither secrets nor records: `transport` does.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from quantlab.kernel.clock import Clock
from quantlab.model.execution import Reached, WireExchange
from quantlab.venues.sockets import (
    Connection,
    ConnectionFault,
    ConnectionTimedOut,
    Connector,
    Endpoint,
)

if TYPE_CHECKING:
    from http.client import HTTPResponse

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_PIECE_BYTES: Final = 65_536


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of an exchange. ``total_ms`` runs from before the connect to the last byte of the answer."""

    connect_ms: int = 5_000
    total_ms: int = 15_000
    head_bytes: int = 65_536
    body_bytes: int = 8 * 1024 * 1024


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request. ``purpose`` names it in the record; ``total_ms`` replaces the transport's own bound.

    ``secret_answer_fields`` are members of a JSON answer whose text must never be recorded, as a stream
    token.
    """

    purpose: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    total_ms: int | None = None
    secret_answer_fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return a text without headers and body, which may hold secrets."""
        return f"HttpRequest({self.purpose})"


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange ended: its record, and the exact body for decoding, which may hold secrets.

    ``body`` is what arrived, content coding undone; look at ``exchange.fault`` before trusting that it is
    whole.
    """

    exchange: WireExchange
    body: bytes

    @property
    def whole(self) -> bool:
        """Return whether a complete answer arrived."""
        return self.exchange.reached == "answered" and self.exchange.fault is None

    def __repr__(self) -> str:
        """Return a text without the body."""
        return f"HttpAnswer({self.exchange.purpose}, {self.exchange.reached})"


class _TooLarge(Exception):
    """The answer is longer than its bound."""


class HttpRun:
    """The state of one exchange while it runs."""

    def __init__(self, request: HttpRequest, endpoint: Endpoint, *, clock: Clock, limits: Limits) -> None:
        self.request = request
        self.reached: Reached = "not_connected"
        self.status: int | None = None
        self.request_headers: tuple[tuple[str, str], ...] = ()
        self.response_headers: tuple[tuple[str, str], ...] = ()
        self.body = b""
        self.fault: str | None = None
        self.ended = False
        self._endpoint = endpoint
        self._clock = clock
        self._limits = limits
        self._total_ms = request.total_ms or limits.total_ms
        self._deadline_ns = clock.monotonic_ns() + self._total_ms * _NANOSECONDS_PER_MILLISECOND
        self._received_bytes = 0

    def perform(self, connector: Connector, *, user_agent: str) -> None:
        """Connect, send, read. Leaves what happened in the fields."""
        self.request_headers = self._headers(user_agent)
        limit_ms = min(self._limits.connect_ms, self._left_ms())
        try:
            connection = connector.connect(self._endpoint, timeout_ms=limit_ms)
        except ConnectionTimedOut:
            self.fault = f"timed out after {limit_ms} ms while connecting"
        except ConnectionFault as fault:
            self.fault = str(fault)
        else:
            self.reached = "connected"
            self._use(connection)
        self.ended = True

    def _use(self, connection: Connection) -> None:
        try:
            self._converse(connection)
        except ConnectionTimedOut:
            self.fault = f"timed out after {self._total_ms} ms"
        except (ConnectionFault, _TooLarge) as fault:
            self.fault = str(fault)
        finally:
            connection.close()

    def send(self, connection: Connection, data: bytes) -> None:
        """Send, marking first that bytes may have left: a fault inside a send proves nothing."""
        timeout_ms = self._left_ms()
        if timeout_ms <= 0:
            raise ConnectionTimedOut("timed out before send")
        self.reached = "bytes_sent"
        connection.send(data, timeout_ms=timeout_ms)

    def receive(self, connection: Connection, limit_bytes: int) -> bytes:
        """Return arrived bytes within what is left of the time and the size allowed."""
        timeout_ms = self._left_ms()
        if timeout_ms <= 0:
            raise ConnectionTimedOut("timed out during receive")
        data = connection.receive(limit_bytes, timeout_ms=timeout_ms)
        self._received_bytes += len(data)
        # Chunk framing and interim answers count too, so a peer can not talk for ever.
        allowed = self._limits.head_bytes + io.DEFAULT_BUFFER_SIZE
        if self.reached == "answered":
            allowed += 2 * self._limits.body_bytes
        if self._received_bytes > allowed:
            raise _TooLarge(f"the answer is larger than {allowed} bytes")
        return data

    def _converse(self, connection: Connection) -> None:
        # Loaded here: http.client brings the mail parser and TLS, which no command needs that only reads
        # files.
        from http.client import HTTPConnection, HTTPException

        http = HTTPConnection(self._endpoint.host, self._endpoint.port)
        http.auto_open = 0
        http.sock = _SocketFace(self, connection)
        parts = urlsplit(self.request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            http.putrequest(self.request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.request_headers:
                http.putheader(name, value)
            http.endheaders(self.request.body or None)
            response = http.getresponse()
            self.reached = "answered"
            self.status = response.status
            self.response_headers = tuple(response.getheaders())
            self._read_body(response)
        except (HTTPException, ValueError) as error:
            # A ValueError is a URL or header of ours that http.client refuses, or a broken chunk length.
            self.fault = self._fault_of_http(error)

    def _read_body(self, response: HTTPResponse) -> None:
        received = bytearray()
        limit = self._limits.body_bytes
        try:
            while True:
                piece = response.read1(_PIECE_BYTES)
                if not piece:
                    break
                received += piece
                if len(received) > limit:
                    raise _TooLarge(f"the answer is larger than {limit} bytes")
            missing = response.length
            if missing and self.request.method != "HEAD":
                self.fault = f"the answer was cut short: {missing} bytes are missing"
        finally:
            self.body = bytes(received[:limit])
            coding = (response.getheader("content-encoding") or "identity").strip().lower()
            self._undo_coding(coding)

    def _undo_coding(self, coding: str) -> None:
        if coding == "identity" or not self.body:
            return
        if coding not in {"gzip", "x-gzip"}:
            self.fault = self.fault or f"the answer has the unknown content coding {coding[:40]}"
            return
        # Loaded here: we ask for plain text, so this is for a proxy that does not listen.
        import zlib

        expander = zlib.decompressobj(wbits=31)
        try:
            plain = expander.decompress(self.body, self._limits.body_bytes)
        except zlib.error:
            self.fault = self.fault or "the answer is not the gzip it claims to be"
            return
        self.body = plain
        if not expander.eof:
            self.fault = self.fault or "the gzip answer is cut short or too large"

    def _headers(self, user_agent: str) -> tuple[tuple[str, str], ...]:
        own: list[tuple[str, str]] = [
            ("Host", self._endpoint.authority),
            ("User-Agent", user_agent),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        if self.request.body or self.request.method != "GET":
            own.append(("Content-Length", str(len(self.request.body))))
        return (*own, *self.request.headers)

    def _fault_of_http(self, error: Exception) -> str:
        if self.reached == "connected":
            return "the request could not be written as HTTP"
        if type(error).__name__ == "RemoteDisconnected":
            return "the connection was closed without an answer"
        if self.reached == "answered":
            return "the answer was cut short or its framing is broken"
        return f"the answer is not HTTP ({type(error).__name__})"

    def _left_ms(self) -> int:
        return (self._deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND


class _SocketFace:
    """What ``http.client`` needs of a socket, over the connection port. The run owns the connection's end."""

    def __init__(self, run: HttpRun, connection: Connection) -> None:
        self._run = run
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``."""
        self._run.send(self._connection, bytes(data))

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader of the answer."""
        del mode
        return io.BufferedReader(_Incoming(self._run, self._connection))

    def close(self) -> None:
        """Do nothing: the answer may still be read."""


class _Incoming(io.RawIOBase):
    """The answer's bytes as a raw stream."""

    def __init__(self, run: HttpRun, connection: Connection) -> None:
        super().__init__()
        self._run = run
        self._connection = connection

    def readable(self) -> bool:
        """Return True: this is the reading half."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` with what has arrived; 0 at the end."""
        data = self._run.receive(self._connection, len(buffer))
        buffer[: len(data)] = data
        return len(data)
