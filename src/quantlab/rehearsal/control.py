"""The control interface: orders, requests, faults, clock and profiles over HTTP JSON."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qs

import msgspec

from quantlab.rehearsal.accounts import EXTRA_PROFILES, PROFILES, profile_env
from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.fault_reader import FaultRefused, read_fault
from quantlab.rehearsal.hyperliquid_book import Order as HyperliquidOrder
from quantlab.rehearsal.hyperliquid_face import HyperliquidFace
from quantlab.rehearsal.hyperliquid_markets import ASSETS
from quantlab.rehearsal.kraken_book import Order
from quantlab.rehearsal.kraken_face import KrakenFace
from quantlab.rehearsal.kraken_markets import PAIRS
from quantlab.rehearsal.wire import Action, Answer, Close, HttpWire, Json, Malformed, Request, Send

NS: Final = 1_000_000_000
MAX_ADVANCE_SECONDS: Final = 10 * 366 * 86_400


class ControlRefused(ValueError):
    """A control request that cannot be carried out; answered with HTTP 400."""


def order_rows(exchange: Exchange, *, seeded: bool) -> list[Json]:
    """Describe every order ever accepted, oldest first; numbers are decimal strings."""
    found = [
        (order.opened_ns, _order_row(order, account.iban))
        for account in exchange.state.accounts.values()
        for order in account.seen(None)
        if seeded or not order.seeded
    ]
    found += [
        (versions[-1].opened_ns, _hyperliquid_row(versions[-1], account.address))
        for account in exchange.state.hyperliquid.accounts.values()
        for versions in account.orders.values()
        # The venue also keeps records of orders that it rejected: those were never accepted.
        if not versions[-1].is_rejected and (seeded or not versions[-1].seeded)
    ]
    found.sort(key=lambda row: row[0])
    return [row for _, row in found]


def _hyperliquid_row(order: HyperliquidOrder, account: str) -> Json:
    return {
        "venue": "hyperliquid",
        "account": account,
        "client_order_id": order.cloid,
        "venue_order_id": str(order.oid),
        "symbol": ASSETS[order.asset].coin,
        "side": "buy" if order.is_buy else "sell",
        "size": _plain(order.size),
        "status": "partially_filled" if order.is_open and order.filled else _ending(order.status),
        "filled": _plain(order.filled),
    }


def _ending(status: str) -> str:
    """Spell a status of the venue in our words: every kind of cancel is `canceled`."""
    return "canceled" if status.lower().endswith("canceled") else status


def _order_row(order: Order, iban: str) -> Json:
    pair = PAIRS[order.pair]
    status = {"closed": "filled"}.get(order.status, order.status)
    if status == "open" and order.filled:
        status = "partially_filled"
    return {
        "venue": "kraken",
        "account": iban,
        "client_order_id": order.cl_ord_id,
        "venue_order_id": order.txid,
        "symbol": pair.symbol.replace("/", "-"),
        "side": order.side,
        "size": _plain(order.volume),
        "status": status,
        "filled": _plain(order.filled),
    }


class ControlFace:
    """What a person or a test may do to the exchange behind the venues' backs."""

    name = "control"

    def __init__(self, exchange: Exchange, kraken: KrakenFace, hyperliquid: HyperliquidFace) -> None:
        self.exchange = exchange
        self._faces = (kraken, hyperliquid)
        self._routes: dict[tuple[str, str], Callable[[Request], Json]] = {
            ("GET", "/orders"): self._orders,
            ("GET", "/requests"): self._requests,
            ("GET", "/faults"): self._faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/clock"): self._clock,
            ("POST", "/clock"): self._advance,
            ("GET", "/profiles"): self._profiles,
        }

    def open(self) -> ControlConnection:
        """Accept one connection."""
        return ControlConnection(self)

    def refuses(self) -> bool:
        """Tell whether connects must be refused now: never here."""
        return False

    def _advance_faces(self) -> None:
        for face in self._faces:
            face.advance()

    def handle(self, request: Request) -> Answer:
        """Answer one request; what cannot be understood gets HTTP 400 and a sentence."""
        route = self._routes.get((request.method, request.path.rstrip("/")))
        if route is None:
            known = ", ".join(f"{m} {p}" for m, p in self._routes)
            sentence = f"{request.method} {request.path} is unknown; known are {known}"
            return Answer(status=404, body=msgspec.json.encode({"error": sentence}))
        try:
            return Answer(body=msgspec.json.encode(route(request)))
        except (ControlRefused, FaultRefused) as error:
            return Answer(status=400, body=msgspec.json.encode({"error": str(error)}))

    def _orders(self, request: Request) -> Json:
        self._advance_faces()
        seeded = parse_qs(request.query).get("seeded", ["0"])[-1] in ("1", "true")
        return {"orders": order_rows(self.exchange, seeded=seeded)}

    def _requests(self, _request: Request) -> Json:
        self._advance_faces()
        return {"requests": self.exchange.state.requests}

    def _faults(self, _request: Request) -> Json:
        return {"faults": self.exchange.plan.rows()}

    def _add_fault(self, request: Request) -> Json:
        fault = read_fault(_json(request))
        self.exchange.plan.add(fault, self.exchange.driver_ns())
        if fault.fault == "stream_cut" and fault.type is None and not fault.after:
            for face in self._faces:
                if face.name == fault.venue:
                    face.cut_streams()
        return {"faults": self.exchange.plan.rows()}

    def _clear_faults(self, _request: Request) -> Json:
        self.exchange.plan.clear()
        return {"faults": []}

    def _clock(self, _request: Request) -> Json:
        state = self.exchange.state
        return {
            "now_ns": str(self.exchange.now_ns),
            "advanced_seconds": _plain(Decimal(state.advance_ns) / NS),
        }

    def _advance(self, request: Request) -> Json:
        data = _json(request)
        if not isinstance(data, dict) or set(data) != {"advance_seconds"}:
            raise ControlRefused('the body must be {"advance_seconds": SECONDS}')
        seconds = data["advance_seconds"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
            raise ControlRefused(f"advance_seconds must be a number, not {seconds!r}")
        if not 0 <= seconds <= MAX_ADVANCE_SECONDS:
            raise ControlRefused("advance_seconds must lie between 0 and ten years")
        self._advance_faces()
        self.exchange.state.advance_ns += int(seconds * NS)
        self.exchange.touch()
        self._advance_faces()
        return self._clock(request)

    def _profiles(self, request: Request) -> Json:
        extra = parse_qs(request.query).get("extra", ["0"])[-1] in ("1", "true")
        names = PROFILES + (EXTRA_PROFILES if extra else ())
        keys = self.exchange.keys
        return {n: {**self.exchange.env, **profile_env(keys, n)} for n in names}


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _json(request: Request) -> object:
    try:
        data: object = msgspec.json.Decoder(float_hook=Decimal).decode(request.body)
    except msgspec.DecodeError as error:
        raise ControlRefused(f"the body is not JSON: {error}") from error
    return data


class ControlConnection:
    """State machine of one connection; see `wire.Connection` for its contract."""

    def __init__(self, face: ControlFace) -> None:
        self._face = face
        self._http = HttpWire()
        self._over = False
        self.outbox: list[Action] = []

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has ended its side."""
        try:
            if not self._over:
                self._http.feed(data)
            while not self._over:
                request = self._http.next_request()
                if request is None:
                    return
                self._say(self._face.handle(request))
        except Malformed as error:
            answer = Answer(status=error.status, body=msgspec.json.encode({"error": str(error)}))
            self.outbox += [Send(HttpWire.raw(answer, len(answer.body))), Close()]
            self._over = True

    def _say(self, answer: Answer) -> None:
        data, closes = self._http.answer(answer)
        self.outbox.append(Send(data))
        if closes:
            self._over = True
            self.outbox.append(Close())

    def wake(self) -> None:
        """Nothing waits here."""

    def tick(self) -> None:
        """Nothing happens here with time."""

    def lost(self) -> None:
        """Forget the peer."""
        self._over = True
