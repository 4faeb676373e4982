"""Sockets for the exchange: the only part of it that does input and output.

Bytes go into the faces' state machines; what they leave in their outboxes is
carried out here, always after the state has been written to disk.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from quantlab.kernel.clock import SystemClock, to_ns
from quantlab.kernel.errors import StorageFault
from quantlab.rehearsal.accounts import profile_env
from quantlab.rehearsal.control import ControlFace
from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.hyperliquid_face import HyperliquidFace
from quantlab.rehearsal.kraken_face import KrakenFace
from quantlab.rehearsal.seeding import seed_state
from quantlab.rehearsal.server import (
    EXIT_BUSY,
    EXIT_REFUSED,
    LOCK_FILE,
    OPERATOR_FOLDER,
    SERVE_FILE,
    STATE_FILE,
    ServeLine,
    ServeOptions,
    ServeRefused,
    default_state,
    guarded,
    read_faults,
)
from quantlab.rehearsal.state import State, StateUnreadable, decode_state
from quantlab.rehearsal.wire import Close, Connection, Face, Send, Wake
from quantlab.storage.durable import OsDisk, make_folders, replace_file

HOST: Final = "127.0.0.1"
TICK_SECONDS: Final = 0.1
NS: Final = 1_000_000_000


def system_ns() -> int:
    """Return the system's wall time in nanoseconds since 1970."""
    return to_ns(SystemClock().now())


class Hub:
    """All connections of one exchange, and the file its state lives in."""

    def __init__(self, exchange: Exchange, path: Path) -> None:
        self.exchange = exchange
        self.kraken = KrakenFace(exchange)
        self.hyperliquid = HyperliquidFace(exchange)
        self.peers: list[Peer] = []
        self.listeners: list[Listener] = []
        self._path = path
        self._disk = OsDisk()

    def save(self, *, force: bool = False) -> None:
        """Write the state where it has changed."""
        data = self.exchange.take_snapshot(force=force)
        if data is not None:
            replace_file(self._disk, self._path, data)

    def step(self, action: Callable[[], None]) -> None:
        """Let a state machine act, write what changed, then let its bytes leave."""
        action()
        self.save()
        for listener in self.listeners:
            listener.follow()
        for peer in list(self.peers):
            peer.flush()

    def guarded(self, action: Callable[[], None], peer: Peer | None = None) -> None:
        """Do a step; a fault of ours ends one connection, never the server."""
        if not guarded(partial(self.step, action)) and peer is not None:
            peer.abort()

    def tick(self) -> None:
        """Let time pass in every state machine."""
        self.guarded(self._tick)

    def _tick(self) -> None:
        self.kraken.advance()
        self.hyperliquid.advance()
        for peer in list(self.peers):
            peer.machine.tick()


class Peer(asyncio.Protocol):
    """One accepted socket and the state machine that speaks through it."""

    def __init__(self, hub: Hub, face: Face) -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self.machine: Connection = face.open()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._hub.peers.append(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the state machine."""
        self._hub.guarded(partial(self.machine.receive, data), self)

    def eof_received(self) -> bool:
        """Tell the state machine that the peer has ended its side; the socket is then closed."""
        self._hub.guarded(partial(self.machine.receive, b""), self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the socket."""
        self._transport = None
        if self in self._hub.peers:
            self._hub.peers.remove(self)
        self.machine.lost()

    def flush(self) -> None:
        """Carry out what the state machine has asked for."""
        actions, self.machine.outbox = self.machine.outbox, []
        for action in actions:
            match action:
                case Send(data=data):
                    if self._transport is not None:
                        self._transport.write(data)
                case Close(reset=True):
                    self.abort()
                case Close():
                    if self._transport is not None:
                        self._transport.close()
                case Wake(after_ns=after_ns):
                    loop = asyncio.get_running_loop()
                    loop.call_later(after_ns / NS, self._hub.guarded, self.machine.wake, self)

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # Lingering for zero seconds makes the close a TCP reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Listener:
    """A listening port that closes for real while connects are to be refused."""

    def __init__(self, hub: Hub, face: Face, port: int, context: ssl.SSLContext | None) -> None:
        self._hub = hub
        self._face = face
        self._context = context
        self._server: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self.port = port

    def open(self) -> None:
        """Listen; the kernel accepts connections from here on.

        Raises:
            ServeRefused: the port cannot be had.
        """
        try:
            self._socket = socket.create_server((HOST, self.port), backlog=128)
        except OSError as error:
            message = f"port {self.port} on {HOST} cannot be had: {error.strerror}"
            raise ServeRefused(message, EXIT_REFUSED) from error
        self.port = self._socket.getsockname()[1]
        self._opening = asyncio.get_running_loop().create_task(self._attach(self._socket))

    async def _attach(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Peer(self._hub, self._face), sock=sock, ssl=self._context)
        if self._socket is sock:
            self._server = server
        else:
            server.close()

    def close(self) -> None:
        """Stop listening; connects are refused by the kernel from here on."""
        if self._server is not None:
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        self._server = self._socket = None

    def follow(self) -> None:
        """Open or close as the fault plan says."""
        refuses = self._face.refuses()
        if refuses and self._socket is not None:
            self.close()
        elif not refuses and self._socket is None:
            self.open()


def load_state(path: Path, seed: int) -> State:
    """Read the state of a folder, or make a new one.

    Raises:
        ServeRefused: there is a state that cannot be read; it is left alone.
    """
    try:
        return decode_state(OsDisk().read(path))
    except FileNotFoundError:
        return seed_state(seed, system_ns())
    except StateUnreadable as error:
        raise ServeRefused(f"{path}: {error}", EXIT_REFUSED) from error


def run(options: ServeOptions) -> int:
    """Take the folder, then serve it until a signal.

    Raises:
        ServeRefused: serving cannot begin.
    """
    faults = read_faults(options.faults)
    folder = (options.state or default_state()).absolute()
    disk = OsDisk()
    try:
        make_folders(disk, folder)
        lock = disk.lock(folder / LOCK_FILE)
    except (OSError, StorageFault) as error:
        raise ServeRefused(f"{folder} cannot be used: {error}", EXIT_REFUSED) from error
    if lock is None:
        raise ServeRefused(f"another server holds {folder}", EXIT_BUSY)
    try:
        context = _tls(folder) if options.tls else None
        exchange = Exchange(load_state(folder / STATE_FILE, options.seed), system_ns)
        for fault in faults:
            exchange.plan.add(fault, system_ns())
        return asyncio.run(_serve(options, exchange, folder, context))
    finally:
        lock.release()


def _tls(folder: Path) -> ssl.SSLContext:
    from quantlab.rehearsal.authority import make_authority

    return make_authority(folder / "tls")


async def _serve(options: ServeOptions, exchange: Exchange, folder: Path, context: ssl.SSLContext | None) -> int:
    hub = Hub(exchange, folder / STATE_FILE)
    control = ControlFace(exchange, hub.kraken, hub.hyperliquid)
    kraken = Listener(hub, hub.kraken, options.kraken_port, context)
    hyperliquid = Listener(hub, hub.hyperliquid, options.hyperliquid_port, context)
    commands = Listener(hub, control, options.control_port, None)
    hub.listeners = [kraken, hyperliquid, commands]
    for listener in hub.listeners:
        listener.open()
    scheme = "https" if context else "http"
    line = _line(exchange, folder, scheme, (kraken.port, hyperliquid.port, commands.port))
    hub.save(force=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    replace_file(OsDisk(), folder / SERVE_FILE, msgspec.json.encode(line))
    hub.guarded(lambda: None)
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), TICK_SECONDS)
        except TimeoutError:
            hub.tick()
    for listener in hub.listeners:
        listener.close()
    for peer in list(hub.peers):
        peer.abort()
    hub.save(force=True)
    return 0


def _line(
    exchange: Exchange, folder: Path, scheme: str, ports: tuple[int, int, int]
) -> ServeLine:  # fmt: skip
    """Describe the running server, and tell the exchange what every profile shares."""
    kraken, hyperliquid, control = ports
    exchange.env = {
        "QUANTLAB_ENVIRONMENT": "rehearsal",
        "QUANTLAB_KRAKEN_URL": f"{scheme}://{HOST}:{kraken}",
        "QUANTLAB_HYPERLIQUID_URL": f"{scheme}://{HOST}:{hyperliquid}",
        "QUANTLAB_STATE_DIR": str(folder / OPERATOR_FOLDER),
    }
    if scheme == "https":
        exchange.env["QUANTLAB_REHEARSAL_CA"] = str(folder / "tls" / "authority.pem")
    return ServeLine(
        kraken_url=exchange.env["QUANTLAB_KRAKEN_URL"],
        hyperliquid_url=exchange.env["QUANTLAB_HYPERLIQUID_URL"],
        control_url=f"http://{HOST}:{control}",
        env={**exchange.env, **profile_env(exchange.keys, "trader")},
    )
