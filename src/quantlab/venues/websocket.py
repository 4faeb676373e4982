"""A WebSocket client over the connection port: frames in, texts out. It never reconnects.

The protocol is that of `websockets`, used without its own I/O, so that a simulator's network carries it too.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from quantlab.kernel.clock import Clock
from quantlab.venues.sockets import (
    Connection,
    ConnectionFault,
    ConnectionTimedOut,
    Connector,
    endpoint_of,
)

if TYPE_CHECKING:
    from websockets.client import ClientProtocol
    from websockets.frames import Frame

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_SEND_MS: Final = 5_000
_LARGEST_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_PIECE_BYTES: Final = 65_536


class WebSocketLink:
    """One WebSocket connection. Its calls, but :meth:`close`, raise ``ConnectionFault`` once it is gone."""

    def __init__(self, connector: Connector, url: str, *, clock: Clock, timeout_ms: int = 10_000) -> None:
        """Connect and shake hands within ``timeout_ms``.

        Raises:
            ConnectionFault: there is no connection, or the peer is no WebSocket server.
        """
        # Loaded here: only a stream needs the library, and most commands open none.
        from websockets.client import ClientProtocol
        from websockets.uri import parse_uri

        self._clock = clock
        self._texts: deque[str] = deque()
        self._fragments: list[bytes] = []
        self._is_text = False
        self._protocol: ClientProtocol = ClientProtocol(parse_uri(url), max_size=_LARGEST_MESSAGE_BYTES)
        deadline_ns = clock.monotonic_ns() + timeout_ms * _NANOSECONDS_PER_MILLISECOND
        self._connection: Connection = connector.connect(endpoint_of(url), timeout_ms=timeout_ms)
        opened = False
        try:
            self._protocol.send_request(self._protocol.connect())
            self._flush()
            self._shake_hands(deadline_ns)
            opened = True
        finally:
            if not opened:
                self._connection.close()

    def send_text(self, text: str) -> None:
        """Send one text message."""
        self._require_open()
        self._protocol.send_text(text.encode("utf-8"))
        self._flush()

    def receive_text(self, *, wait_ms: int) -> str | None:
        """Return the next text message, or None when none came within ``wait_ms``.

        Raises:
            ConnectionFault: the peer closed, or broke the protocol. Messages that came before are
                returned first.
        """
        deadline_ns = self._clock.monotonic_ns() + wait_ms * _NANOSECONDS_PER_MILLISECOND
        while not self._texts:
            self._require_open()
            left_ms = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
            if left_ms <= 0:
                return None
            try:
                self._pump(left_ms)
            except ConnectionTimedOut:
                return None
        return self._texts.popleft()

    def close(self) -> None:
        """Say goodbye and close; never raises."""
        try:
            if self._is_open():
                self._protocol.send_close()
                self._flush()
        except ConnectionFault:
            pass
        finally:
            self._connection.close()

    def _shake_hands(self, deadline_ns: int) -> None:
        from websockets.protocol import State

        while self._protocol.state is State.CONNECTING:
            left_ms = (deadline_ns - self._clock.monotonic_ns()) // _NANOSECONDS_PER_MILLISECOND
            if left_ms <= 0:
                raise ConnectionTimedOut("timed out during the WebSocket handshake")
            self._pump(left_ms)
            if self._protocol.handshake_exc is not None:
                kind = type(self._protocol.handshake_exc).__name__
                raise ConnectionFault(f"the WebSocket handshake failed ({kind})")

    def _pump(self, timeout_ms: int) -> None:
        """Read once from the connection and sort what came."""
        from websockets.frames import Frame

        data = self._connection.receive(_PIECE_BYTES, timeout_ms=timeout_ms)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            # The first event is the answer of the handshake; everything after it is a frame.
            if isinstance(event, Frame):
                self._take(event)
        # Pongs, and the echo of a close, are queued by the protocol itself.
        self._flush()

    def _take(self, frame: Frame) -> None:
        from websockets.frames import Opcode

        if frame.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        whole = b"".join(self._fragments)
        self._fragments.clear()
        if not self._is_text:
            return
        try:
            self._texts.append(whole.decode("utf-8"))
        except UnicodeDecodeError:
            raise ConnectionFault("a WebSocket text is not UTF-8") from None

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            # An empty piece is the protocol's way to ask for the end of the sending half.
            if data:
                self._connection.send(data, timeout_ms=_SEND_MS)

    def _is_open(self) -> bool:
        from websockets.protocol import State

        return self._protocol.state is State.OPEN

    def _require_open(self) -> None:
        if not self._is_open():
            code = self._protocol.close_code
            raise ConnectionFault(f"the stream was closed by the venue (code {code})")
