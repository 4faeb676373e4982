"""A WebSocket server without I/O of its own, behind the connection port."""

from __future__ import annotations

import json
from collections import deque

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage

from quantlab.venues.sockets import ConnectionFault, ConnectionTimedOut


class PeerConnection:
    """The client's end. ``says`` holds what comes next: texts, numbers (ms pass), events, faults."""

    def __init__(self, clock, says, *, answer="accept"):
        self._clock = clock
        self._says = deque(says)
        self._answer = answer
        self._server = WSConnection(ConnectionType.SERVER)
        self._outgoing = bytearray()
        self.heard = []
        self.closed = False

    def send(self, data, *, timeout_ms):
        assert timeout_ms > 0
        self._server.receive_data(data)
        for event in self._server.events():
            if isinstance(event, Request):
                if self._answer == "accept":
                    self._outgoing += self._server.send(AcceptConnection())
                elif self._answer == "reject":
                    self._outgoing += self._server.send(RejectConnection(status_code=403))
            elif isinstance(event, TextMessage):
                self.heard.append(event.data)
            else:
                self.heard.append(event)

    def receive(self, limit_bytes, *, timeout_ms):
        while not self._outgoing:
            if not self._says:
                self._clock.advance_ms(timeout_ms)
                raise ConnectionTimedOut("timed out during receive")
            item = self._says.popleft()
            if isinstance(item, int):
                if item > timeout_ms:
                    self._says.appendleft(item - timeout_ms)
                    self._clock.advance_ms(timeout_ms)
                    raise ConnectionTimedOut("timed out during receive")
                self._clock.advance_ms(item)
            elif isinstance(item, ConnectionFault):
                raise item
            elif item == b"":
                return b""
            elif isinstance(item, bytes):
                self._outgoing += item
            elif isinstance(item, str):
                self._outgoing += self._server.send(TextMessage(item))
            elif isinstance(item, dict):
                self._outgoing += self._server.send(TextMessage(json.dumps(item)))
            else:
                self._outgoing += self._server.send(item)
        data = bytes(self._outgoing[:limit_bytes])
        del self._outgoing[:limit_bytes]
        return data

    def close(self):
        self.closed = True


class PeerConnector:
    """Opens the one connection it was given."""

    def __init__(self, connection):
        self.connection = connection
        self.endpoints = []

    def connect(self, endpoint, *, timeout_ms):
        assert timeout_ms > 0
        self.endpoints.append(endpoint)
        if isinstance(self.connection, ConnectionFault):
            raise self.connection
        return self.connection


__all__ = ["CloseConnection", "PeerConnection", "PeerConnector", "Ping"]
