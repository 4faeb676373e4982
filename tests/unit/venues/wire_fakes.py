"""A clock that stands still and a network that follows a script."""

from __future__ import annotations

import json
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from quantlab.venues.sockets import ConnectionFault, ConnectionTimedOut

START = datetime(2026, 9, 3, 6, 0, tzinfo=UTC)


class ManualClock:
    """Time that moves only when told to."""

    def __init__(self, start=START):
        self._start = start
        self.elapsed_ns = 0

    def now(self):
        return self._start + timedelta(microseconds=self.elapsed_ns // 1000)

    def monotonic_ns(self):
        return self.elapsed_ns

    def sleep_ms(self, milliseconds):
        self.advance_ms(milliseconds)

    def advance_ms(self, milliseconds):
        self.elapsed_ns += milliseconds * 1_000_000


class ScriptedConnection:
    """Plays the pieces of a script: bytes arrive, numbers are milliseconds that pass, faults are raised."""

    def __init__(self, clock, pieces):
        self._clock = clock
        self._pieces = deque(pieces)
        self.sent = b""
        self.closed = False
        self.send_fault = None

    def send(self, data, *, timeout_ms):
        assert timeout_ms > 0
        if self.send_fault is not None:
            raise self.send_fault
        self.sent += data

    def receive(self, limit_bytes, *, timeout_ms):
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, int):
                if piece >= timeout_ms:
                    self._clock.advance_ms(timeout_ms)
                    raise ConnectionTimedOut("timed out during receive")
                self._clock.advance_ms(piece)
            elif isinstance(piece, Exception):
                raise piece
            else:
                if len(piece) > limit_bytes:
                    self._pieces.appendleft(piece[limit_bytes:])
                return piece[:limit_bytes]
        return b""

    def close(self):
        self.closed = True


class ScriptedConnector:
    """Opens one scripted connection after the other; a fault in the script is raised by the connect."""

    def __init__(self, clock, *scripts):
        self._clock = clock
        self._scripts = deque(scripts)
        self.endpoints = []
        self.connections = []
        self.send_fault = None

    def connect(self, endpoint, *, timeout_ms):
        assert timeout_ms > 0
        self.endpoints.append(endpoint)
        script = self._scripts.popleft()
        if isinstance(script, ConnectionFault):
            raise script
        connection = ScriptedConnection(self._clock, script)
        connection.send_fault = self.send_fault
        self.connections.append(connection)
        return connection


def http_answer(body, *, status="200 OK", headers=()):
    """Return the bytes of a whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def kraken_answer(result=None, *, errors=()):
    """Return the bytes of a Kraken answer; text results are taken as JSON already."""
    text = result if isinstance(result, str) else json.dumps(result)
    return http_answer(f'{{"error":{json.dumps(list(errors))},"result":{text}}}'.encode())


class CountingTurn:
    """A turn with nonces 1, 2, 3 and a note of the points."""

    def __init__(self):
        self.nonce = 0
        self.points = []

    def next_nonce(self):
        self.nonce += 1
        return self.nonce

    def spend_points(self, points, *, capacity, decay_per_kilosecond):
        assert (15, 330) == (capacity, decay_per_kilosecond)
        self.points.append(points)


class CountingTurns:
    """One turn for every key."""

    def __init__(self):
        self.shared = CountingTurn()
        self.signers = []

    @contextmanager
    def turn(self, signer_id):
        self.signers.append(signer_id)
        yield self.shared
