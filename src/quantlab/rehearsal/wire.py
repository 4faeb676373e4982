"""HTTP/1.1 for the rehearsal faces: bytes in, requests out; answers in, bytes out.

No socket and no clock is touched. A face is a state machine that leaves
`Send`, `Close` and `Wake` in an outbox; whoever drives it (the asyncio server
or a simulator) carries them out in order.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

import h11
import msgspec

MAX_BODY_BYTES = 1 << 20
"""Longest request body that a face reads, in bytes; longer ones get HTTP 413."""

Json = dict[str, object]


class Send(msgspec.Struct, frozen=True):
    """Write these bytes to the peer."""

    data: bytes


class Close(msgspec.Struct, frozen=True):
    """End the connection; with `reset` as a TCP reset, so that the peer sees a broken pipe."""

    reset: bool = False


class Wake(msgspec.Struct, frozen=True):
    """Call `wake()` of the connection after this many nanoseconds of the driver's own time."""

    after_ns: int


Action = Send | Close | Wake


class Connection(Protocol):
    """What a driver may do with one accepted connection of any face."""

    outbox: list[Action]

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that the peer has ended its side."""

    def wake(self) -> None:
        """Go on after a `Wake`."""

    def tick(self) -> None:
        """Look at the clock: heartbeats, idle closure."""

    def lost(self) -> None:
        """Forget the peer: the socket is gone."""


class Face(Protocol):
    """One listening address of the exchange."""

    name: str

    def open(self) -> Connection:
        """Accept one connection."""

    def refuses(self) -> bool:
        """Tell whether connects must be refused now (the listener is to be closed)."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One whole HTTP request as it came over the wire."""

    method: str
    path: str
    """Path without the query, undecoded."""
    query: str
    headers: dict[str, str]
    """Lower-case names; of a repeated header the last one counts."""
    body: bytes
    raw_headers: tuple[tuple[bytes, bytes], ...] = ()
    trailing: bytes = b""
    """Bytes that followed an upgrade request."""

    @property
    def upgrades(self) -> bool:
        """Tell whether the client asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer, before faults."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Malformed(Exception):
    """The peer does not speak HTTP, or its request is too long.

    Attributes:
        status: HTTP status to answer with before closing.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    413: "Payload Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Entity",
    429: "Too Many Requests", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Time-out", 520: "Web Server Returned an Unknown Error",
    521: "Web Server Is Down", 522: "Connection Timed Out", 524: "A Timeout Occurred",
    525: "SSL Handshake Failed",
}  # fmt: skip


class HttpWire:
    """Server side of one HTTP/1.1 connection."""

    def __init__(self) -> None:
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self.interim = b""
        """Bytes of a `100 Continue` that should be written at once; the driver clears it."""

    def feed(self, data: bytes) -> None:
        """Take bytes of the peer; empty bytes are its end of stream.

        Raises:
            Malformed: when bytes follow the end of the stream.
        """
        try:
            self._machine.receive_data(data)
        except RuntimeError as error:
            raise Malformed(str(error)) from error

    def next_request(self) -> Request | None:
        """Return the next whole request, or None while bytes are missing.

        Raises:
            Malformed: the peer does not speak HTTP/1.1 or sends too much.
        """
        while True:
            try:
                event = self._machine.next_event()
            except h11.RemoteProtocolError as error:
                raise Malformed(str(error), error.error_status_hint) from error
            if isinstance(event, h11.Request):
                self._head = event
                self._body = bytearray()
                if self._machine.they_are_waiting_for_100_continue:
                    self.interim += self._machine.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    raise Malformed("the request body is too long", 413)
            elif isinstance(event, h11.EndOfMessage):
                return self._whole()
            else:
                return None

    def _whole(self) -> Request:
        head = self._head
        if head is None:
            raise Malformed("a body without a head")
        try:
            target = urlsplit(head.target.decode("ascii"))
        except ValueError as error:
            raise Malformed("the request target cannot be read") from error
        return Request(
            method=head.method.decode("ascii"),
            path=target.path,
            query=target.query,
            headers={k.decode("ascii"): v.decode("latin-1") for k, v in head.headers},
            body=bytes(self._body),
            raw_headers=tuple((bytes(k), bytes(v)) for k, v in head.headers),
            trailing=self._machine.trailing_data[0],
        )

    def answer(self, answer: Answer) -> tuple[bytes, bool]:
        """Write an answer to the request last read.

        Returns:
            The bytes, and whether the connection must be closed after them.
        """
        headers = [
            ("content-type", answer.content_type),
            ("content-length", str(len(answer.body))),
            *answer.headers,
        ]
        reason = REASONS.get(answer.status, "Error").encode("ascii")
        if self._machine.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return self.raw(answer, len(answer.body)), True
        data = self._machine.send(h11.Response(status_code=answer.status, headers=headers, reason=reason))
        data = (data or b"") + (self._machine.send(h11.Data(data=answer.body)) or b"")
        data += self._machine.send(h11.EndOfMessage()) or b""
        states: set[object] = {self._machine.our_state, self._machine.their_state}
        if states == {h11.DONE}:
            self._machine.start_next_cycle()
            return data, False
        return data, True

    @staticmethod
    def raw(answer: Answer, length: int) -> bytes:
        """Write an answer whose Content-Length may lie; the connection must be closed after it."""
        reason = REASONS.get(answer.status, "Error")
        head = f"HTTP/1.1 {answer.status} {reason}\r\n"
        head += f"content-type: {answer.content_type}\r\ncontent-length: {length}\r\n"
        head += "connection: close\r\n\r\n"
        return head.encode("ascii") + answer.body
