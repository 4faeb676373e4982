"""A driver without sockets for the rehearsal faces: a clock to turn, bytes in, bytes out."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import wsproto
from wsproto import events as ws

from quantlab.rehearsal.control import ControlFace
from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.hyperliquid_face import HyperliquidFace
from quantlab.rehearsal.kraken_face import KrakenFace
from quantlab.rehearsal.seeding import seed_state
from quantlab.rehearsal.state import decode_state
from quantlab.rehearsal.wire import Close, Send, Wake

NS = 1_000_000_000
START_NS = 1_790_000_000 * NS
CLIENT_ID = "0123456789abcdef0123456789abcdef"


class Reply:
    """One parsed HTTP answer."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}

    def json(self) -> Any:
        """Return the body as JSON, numbers with a point as Decimal."""
        return json.loads(self.body, parse_float=Decimal)


class World:
    """An exchange with a clock that stands until it is turned."""

    def __init__(self, seed: int = 7, state: bytes | None = None) -> None:
        self.driver_ns = START_NS
        kept = decode_state(state) if state else seed_state(seed, START_NS)
        self.exchange = Exchange(kept, lambda: self.driver_ns)
        self.kraken = KrakenFace(self.exchange)
        self.hyperliquid = HyperliquidFace(self.exchange)
        self.control_face = ControlFace(self.exchange, self.kraken, self.hyperliquid)
        self.nonce = 10**18

    def pass_seconds(self, seconds: int | Decimal) -> None:
        """Let the driver's clock run on, and the exchange notice it."""
        self.driver_ns += int(seconds * NS)
        self.kraken.advance()
        self.hyperliquid.advance()

    def exchange_bytes(self, data: bytes, face: Any = None) -> tuple[list[Any], Any]:
        """Send bytes over a new connection; return the actions and the connection."""
        connection = (face or self.kraken).open()
        connection.receive(data)
        return connection.outbox, connection

    def send(self, data: bytes, face: Any = None) -> Reply | None:
        """Send one request; return the answer, or None where the connection was ended without one."""
        actions, _ = self.exchange_bytes(data, face)
        sent = b"".join(a.data for a in actions if isinstance(a, Send))
        return Reply(sent) if sent else None

    def private_bytes(
        self, endpoint: str, params: dict[str, Any] | None = None, *, profile: str = "trader",
        nonce: int | None = None, as_json: bool = False, **headers: str,
    ) -> bytes:  # fmt: skip
        """Build a signed request with code of its own."""
        keys = self.exchange.keys
        key = keys.kraken[profile]
        secret = keys.wrong_secret if profile == "wrong_secret" else key.secret
        self.nonce += 1
        values = {"nonce": self.nonce if nonce is None else nonce, **(params or {})}
        body = (json.dumps(values) if as_json else urlencode(values)).encode()
        path = f"/0/private/{endpoint}"
        digest = hashlib.sha256(str(values["nonce"]).encode() + body).digest()
        mac = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512)
        fields = {
            "Host": "api.kraken.com",
            "API-Key": key.api_key,
            "API-Sign": base64.b64encode(mac.digest()).decode(),
            "Content-Type": "application/json" if as_json else "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
        } | {k.replace("_", "-"): v for k, v in headers.items()}
        return request_bytes("POST", path, fields, body)

    def private(self, endpoint: str, params: dict[str, Any] | None = None, **options: Any) -> Any:
        """Make a private call that is answered with JSON."""
        reply = self.send(self.private_bytes(endpoint, params, **options))
        assert reply is not None
        assert reply.status == 200
        return reply.json()

    def ok(self, endpoint: str, params: dict[str, Any] | None = None, **options: Any) -> Any:
        """Make a private call that must succeed and return its result."""
        answer = self.private(endpoint, params, **options)
        assert answer["error"] == []
        return answer["result"]

    def refusal(self, endpoint: str, params: dict[str, Any] | None = None, **options: Any) -> str:
        """Make a private call that must be refused and return the one error."""
        [error] = self.private(endpoint, params, **options)["error"]
        return str(error)

    def public(self, target: str) -> Any:
        """Make a public call and return its result."""
        answer = self.public_answer(target)
        assert answer["error"] == []
        return answer["result"]

    def public_answer(self, target: str) -> Any:
        """Make a public call and return the whole answer."""
        reply = self.send(request_bytes("GET", f"/0/public/{target}", {"Host": "localhost"}))
        assert reply is not None
        return reply.json()

    def control(self, method: str, target: str, body: Any = None, status: int = 200) -> Any:
        """Call the control interface."""
        data = b"" if body is None else json.dumps(body).encode()
        fields = {"Host": "localhost", "Content-Length": str(len(data))}
        reply = self.send(request_bytes(method, target, fields, data), self.control_face)
        assert reply is not None
        assert reply.status == status, reply.body
        return reply.json()

    def fault(self, name: str, path: str = "*", **more: Any) -> None:
        """Arm a Kraken fault."""
        self.control("POST", "/faults", {"venue": "kraken", "path": path, "fault": name, **more})

    def orders(self) -> Any:
        """Return what the control interface knows of orders."""
        return self.control("GET", "/orders")["orders"]

    def requests(self) -> Any:
        """Return the request log."""
        return self.control("GET", "/requests")["requests"]

    def best(self, pair: str = "ETHUSD") -> tuple[Decimal, Decimal]:
        """Return best bid and ask."""
        [row] = self.public(f"Ticker?pair={pair}").values()
        return Decimal(row["b"][0]), Decimal(row["a"][0])


def order(**changes: Any) -> dict[str, Any]:
    """Return the parameters of a small resting order, with changes; None removes one."""
    values = {
        "ordertype": "limit", "type": "buy", "volume": "0.25", "pair": "ETHUSD", "price": "1900.00",
    } | changes  # fmt: skip
    return {k: v for k, v in values.items() if v is not None}


def request_bytes(method: str, target: str, fields: dict[str, str], body: bytes = b"") -> bytes:
    """Write an HTTP request."""
    head = "".join(f"{k}: {v}\r\n" for k, v in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body


class Socket:
    """A WebSocket client over the face, without sockets."""

    def __init__(self, world: World) -> None:
        self.machine = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.connection = world.kraken.open()
        self.frames: list[Any] = []
        self.closed = False
        self.reset = False
        self._feed(self.machine.send(ws.Request(host="localhost", target="/v2")))

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
                self.closed, self.reset = True, action.reset
            elif isinstance(action, Wake):
                raise AssertionError(action)
        for event in self.machine.events():
            if isinstance(event, ws.TextMessage):
                self.frames.append(json.loads(event.data, parse_float=Decimal))
            elif isinstance(event, ws.Ping):
                self._feed(self.machine.send(event.response()))

    def say(self, method: str, params: dict[str, Any] | None = None, req_id: int | None = None) -> None:
        """Send one message."""
        frame: dict[str, Any] = {"method": method}
        if params is not None:
            frame["params"] = params
        if req_id is not None:
            frame["req_id"] = req_id
        self.text(json.dumps(frame))

    def text(self, text: str) -> None:
        """Send raw text."""
        self._feed(self.machine.send(ws.TextMessage(data=text)))

    def take(self) -> list[Any]:
        """Return and forget the frames that came."""
        self.pump()
        frames, self.frames = self.frames, []
        return frames
