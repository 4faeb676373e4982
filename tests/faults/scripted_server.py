"""A loopback server that reads one request and then does what a script says, and nothing else."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket], None]


@dataclass
class Seen:
    """What reached the server."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)


def read_request(peer: socket.socket) -> bytes:
    """Return one whole request: head and body by its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65_536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += peer.recv(65_536)
    return head + b"\r\n\r\n" + body


def reset(peer: socket.socket) -> None:
    """Close with a reset instead of a goodbye."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@contextmanager
def scripted_server(*behaviours: Behaviour, reads: bool = True) -> Iterator[Seen]:
    """Serve one connection a behaviour; after the last one more would be counted and closed."""
    seen = Seen()
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.02)
        seen.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        left = list(behaviours)

        def serve() -> None:
            while not stop.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                seen.connections += 1
                peer.settimeout(5)
                with peer:
                    try:
                        if reads:
                            seen.requests.append(read_request(peer))
                        if left:
                            left.pop(0)(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join(10)
