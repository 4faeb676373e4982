"""A driver without sockets for the Hyperliquid face, with signing code of its own."""

import itertools
import json
from decimal import Decimal
from typing import Any

import msgspec
import wsproto
from coincurve import PrivateKey
from Crypto.Hash import keccak
from wsproto import events as ws

from quantlab.rehearsal.wire import Close, Send, Wake
from tests.unit.rehearsal.driving import START_NS, Reply, World, request_bytes

START_MS = START_NS // 1_000_000
CLOID = "0x0123456789abcdef0123456789abcdef"
ETH, BTC, SOL, DELISTED = 1, 0, 5, 3
PURR, HYPE = 10_000, 10_107


def hashed(data: bytes) -> bytes:
    """Return the Keccak-256 hash."""
    return keccak.new(digest_bits=256, data=data).digest()


def sign(
    key: str, action: Any, nonce: int, vault: str | None = None, expires: int | None = None,
    source: str = "b",
) -> dict[str, Any]:  # fmt: skip
    """Sign an L1 action with code of its own, on msgspec's MessagePack."""
    data = msgspec.msgpack.encode(action) + nonce.to_bytes(8, "big")
    data += b"\x01" + bytes.fromhex(vault[2:]) if vault else b"\x00"
    if expires is not None:
        data += b"\x00" + expires.to_bytes(8, "big")
    domain = hashed(
        hashed(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
        + hashed(b"Exchange") + hashed(b"1") + (1337).to_bytes(32, "big") + bytes(32)
    )  # fmt: skip
    agent = hashed(b"Agent(string source,bytes32 connectionId)")
    message = hashed(agent + hashed(source.encode()) + hashed(data))
    return sign_digest(key, hashed(b"\x19\x01" + domain + message))


def sign_digest(key: str, digest: bytes) -> dict[str, Any]:
    """Sign 32 bytes; leading zeros of r and s are left away, as the official client does."""
    raw = PrivateKey(bytes.fromhex(key[2:])).sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
    return {"r": hex(r), "s": hex(s), "v": 27 + raw[64]}


def trimmed(value: Any) -> str:
    """Write a decimal as it is hashed: without trailing zeros."""
    return f"{Decimal(value).normalize():f}"


def limit(price: Any = "1900", size: str = "0.25", tif: str = "Gtc", **more: Any) -> dict[str, Any]:
    """Return one order of the wire: a small resting buy of ETH, with changes."""
    row = {
        "a": more.pop("asset", ETH), "b": more.pop("buy", True), "p": trimmed(price), "s": trimmed(size),
        "r": more.pop("reduce", False), "t": {"limit": {"tif": tif}},
    }  # fmt: skip
    return row | more


def order_action(*orders: dict[str, Any]) -> dict[str, Any]:
    """Return an action that places orders."""
    return {"type": "order", "orders": list(orders), "grouping": "na"}


class Desk(World):
    """A world with the keys of the master's agent at hand."""

    def __init__(self, seed: int = 7, state: bytes | None = None) -> None:
        super().__init__(seed, state)
        self.key = self.exchange.keys.agent.private_key
        self.user = self.exchange.keys.master.address
        self._nonces = itertools.count(START_MS)

    @property
    def now_ms(self) -> int:
        """The venue's clock."""
        return self.exchange.now_ns // 1_000_000

    def post_bytes(self, path: str, body: Any, **headers: str) -> bytes:
        """Build a POST request of JSON, or of raw bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(data))}
        return request_bytes("POST", path, fields | headers, data)

    def post(self, path: str, body: Any, **headers: str) -> Reply | None:
        """Send one request; None where the connection was ended without an answer."""
        return self.send(self.post_bytes(path, body, **headers), self.hyperliquid)

    def info(self, kind: str, status: int = 200, **fields: Any) -> Any:
        """Read something; the reply must have this status and is returned parsed."""
        reply = self.post("/info", {"type": kind, **fields})
        assert reply is not None
        assert status == reply.status, reply.body
        return reply.json() if status == 200 else reply.body

    def mine(self, kind: str, **fields: Any) -> Any:
        """Read something of the master account."""
        return self.info(kind, user=self.user, **fields)

    def envelope(
        self, action: Any, *, key: str | None = None, nonce: int | None = None, vault: str | None = None,
        expires: int | None = None, source: str = "b", signed: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Sign an action; `signed` is the canonical form where the wire form differs."""
        nonce = max(next(self._nonces), self.now_ms - 1000) if nonce is None else nonce
        body = {"action": action, "nonce": nonce, "vaultAddress": vault, "expiresAfter": expires}
        body["signature"] = sign(key or self.key, signed or action, nonce, vault, expires, source)
        return body

    def act(self, action: Any, **options: Any) -> Any:
        """Carry out an action and return the reply."""
        reply = self.post("/exchange", self.envelope(action, **options))
        assert reply is not None
        assert reply.status == 200, reply.body
        return reply.json()

    def place(self, *orders: dict[str, Any], **options: Any) -> list[Any]:
        """Place orders and return their statuses."""
        answer = self.act(order_action(*orders), **options)
        assert answer["status"] == "ok", answer
        assert answer["response"]["type"] == "order"
        return list(answer["response"]["data"]["statuses"])

    def refused(self, action: Any, **options: Any) -> str:
        """Carry out an action that must be refused whole, and return the text."""
        answer = self.act(action, **options)
        assert answer["status"] == "err", answer
        return str(answer["response"])

    def bbo(self, coin: str = "ETH") -> tuple[Decimal, Decimal]:
        """Return best bid and ask."""
        bids, asks = self.info("l2Book", coin=coin)["levels"]
        return Decimal(bids[0]["px"]), Decimal(asks[0]["px"])

    def hl_fault(self, name: str, path: str = "*", **more: Any) -> None:
        """Arm a Hyperliquid fault."""
        body = {"venue": "hyperliquid", "path": path, "fault": name, **more}
        self.control("POST", "/faults", body)

    def status_by_cloid(self, cloid: str = CLOID) -> str:
        """Return the status of an order by its cloid, or `unknownOid`."""
        found = self.mine("orderStatus", oid=cloid)
        return str(found["order"]["status"] if found["status"] == "order" else found["status"])


class Wire:
    """A WebSocket client over the face, without sockets."""

    def __init__(self, desk: Desk) -> None:
        self.machine = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.connection = desk.hyperliquid.open()
        self.texts: list[str] = []
        self._partial = ""
        self.wakes = 0
        self.ends: list[Close] = []
        self._feed(self.machine.send(ws.Request(host="localhost", target="/ws")))

    def _feed(self, data: bytes) -> None:
        self.connection.receive(data)
        self.pump()

    def pump(self) -> None:
        """Take what the venue has written."""
        actions, self.connection.outbox = self.connection.outbox, []
        for action in actions:
            if isinstance(action, Send):
                self.machine.receive_data(action.data)
            elif isinstance(action, Close):
                self.ends.append(action)
            elif isinstance(action, Wake):
                self.wakes += 1
        for event in self.machine.events():
            if isinstance(event, ws.TextMessage):
                self._partial += event.data
                if event.message_finished:
                    self.texts.append(self._partial)
                    self._partial = ""

    def text(self, text: str) -> None:
        """Send raw text."""
        self._feed(self.machine.send(ws.TextMessage(data=text)))

    def say(self, method: str, **fields: Any) -> list[Any]:
        """Send one message and return the frames that follow."""
        self.text(json.dumps({"method": method, **fields}))
        return self.take()

    def subscribe(self, kind: str, **fields: Any) -> list[Any]:
        """Subscribe and return the frames that follow."""
        return self.say("subscribe", subscription={"type": kind, **fields})

    def post(self, kind: str, payload: Any, number: int = 1) -> list[Any]:
        """Make a request and return the frames that follow."""
        return self.say("post", id=number, request={"type": kind, "payload": payload})

    def tick(self) -> list[Any]:
        """Let the venue look at its clock, and return what it says."""
        self.connection.tick()
        return self.take()

    def wake(self) -> list[Any]:
        """Go on after a delay."""
        self.wakes -= 1
        self.connection.wake()
        return self.take()

    def take(self) -> list[Any]:
        """Return and forget the frames that came."""
        self.pump()
        texts, self.texts = self.texts, []
        return [json.loads(text) for text in texts]
