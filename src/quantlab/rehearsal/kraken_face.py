"""The Kraken face: dispatch, verification order, and what faults do to requests and bytes."""

from __future__ import annotations

from typing import Final

import msgspec

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.faults import Claim, Fault
from quantlab.rehearsal.kraken_auth import PERMISSIONS, check_key, check_permission
from quantlab.rehearsal.kraken_call import VENUE, Call
from quantlab.rehearsal.kraken_connection import KrakenConnection
from quantlab.rehearsal.kraken_engine import Engine
from quantlab.rehearsal.kraken_limits import count_call
from quantlab.rehearsal.kraken_public import PUBLIC
from quantlab.rehearsal.kraken_reads import READS
from quantlab.rehearsal.kraken_trading import TRADING
from quantlab.rehearsal.kraken_wire import Params, Refused, failure, success
from quantlab.rehearsal.state import HeldRequest
from quantlab.rehearsal.wire import Answer, Request

PUBLIC_PATH: Final = "/0/public/"
PRIVATE_PATH: Final = "/0/private/"
PROCESSED: Final = frozenset({"drop_after_accept", "truncate", "duplicate"})
"""Fates that let the request be processed first; others do when their fault says so."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What processing one copy of a request came to."""

    answer: Answer
    note: str
    """`ok` or the error string, for the request log."""
    effect: bool = False


class KrakenFace:
    """Kraken's REST and WebSocket v2 over one exchange."""

    name = VENUE

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.engine = Engine(exchange.state, exchange.walk)
        self.connections: list[KrakenConnection] = []

    # ------------------------------------------------------------- connections

    def open(self) -> KrakenConnection:
        """Accept one connection."""
        self.exchange.plan.connection_opened(VENUE)
        connection = KrakenConnection(self)
        self.connections.append(connection)
        return connection

    def refuses(self) -> bool:
        """Tell whether connects must be refused now."""
        return self.exchange.plan.refuses(VENUE, self.exchange.driver_ns())

    def cut_streams(self) -> None:
        """Break every WebSocket connection off."""
        for connection in list(self.connections):
            connection.cut_stream()

    def advance(self) -> None:
        """Carry out what time has brought: held requests, fills, expiry; then tell the streams."""
        state = self.exchange.state
        due = [h for h in state.held if h.venue == VENUE and h.due_ns <= self.exchange.now_ns]
        for held in sorted(due, key=lambda h: h.due_ns):
            state.held.remove(held)
            self._process_held(held)
        self._sweep(self.exchange.now_ns)

    def _sweep(self, now_ns: int) -> None:
        self.engine.advance(now_ns)
        self.publish()

    def publish(self) -> None:
        """Hand what the engine has done to the streams."""
        events, self.engine.events = self.engine.events, []
        if not events:
            return
        self.exchange.touch()
        for connection in list(self.connections):
            connection.publish(events)

    # ---------------------------------------------------------------- requests

    def kind(self, request: Request) -> str | None:
        """Name the variant of a request: `order` or `validate` for AddOrder, else None."""
        if request.path != PRIVATE_PATH + "AddOrder":
            return None
        try:
            params = Params.of_body(request.body, request.headers.get("content-type", ""))
            return "validate" if params.flag("validate") else "order"
        except Refused:
            return "order"

    def claim(self, request: Request) -> Claim:
        """Take the faults that meet a request."""
        return self.exchange.plan.claim(VENUE, request.path, self.kind(request))

    def handle(self, request: Request, claim: Claim) -> tuple[Answer | None, Fault | None]:
        """Process a request as its fault says.

        Returns:
            The answer (None: the connection is broken off without one) and the
            fault that still has to be done to its bytes.
        """
        self.advance()
        fault = claim.terminal
        name = fault.fault if fault else ""
        if fault is not None and name == "late":
            self._hold(request, fault)
            return None, fault
        if fault is not None and name == "drop_before_read":
            self._log(request, "dropped", effect=False)
            return None, fault
        if fault is not None and name == "duplicate":
            first = self.process(request, claim)
            self._log(request, first.note, effect=first.effect)
        outcome = None
        if fault is None or fault.after_accept or name in PROCESSED:
            outcome = self.process(request, claim)
        self.exchange.plan.passed(VENUE, request.path, self.kind(request))
        note = self._note(fault, outcome)
        self._log(request, note, effect=outcome.effect if outcome else False)
        return self._answer(fault, outcome, request), fault

    @staticmethod
    def _note(fault: Fault | None, outcome: Outcome | None) -> str:
        match fault.fault if fault else "":
            case "drop_after_accept":
                return "dropped"
            case "http_error":
                return f"http {fault.status if fault else 0}"
            case "api_error":
                return fault.text if fault else ""
            case "garbage":
                return "garbage"
            case "truncate":
                return "truncated"
            case _:
                return outcome.note if outcome else ""

    @staticmethod
    def _answer(fault: Fault | None, outcome: Outcome | None, request: Request) -> Answer | None:
        name = fault.fault if fault else ""
        if fault is not None and name == "http_error":
            return error_page(fault.status, request.headers.get("host", "api.kraken.com"))
        if fault is not None and name == "api_error":
            return Answer(body=failure(fault.text))
        if name == "garbage":
            return Answer(body=b"<!-- upstream -->\x00 not json", content_type="text/html")
        if name == "drop_after_accept":
            return None
        return outcome.answer if outcome else None

    def _log(self, request: Request, note: str, *, effect: bool) -> int:
        return self.exchange.log(VENUE, request.path, self.kind(request), note, effect=effect)

    def _hold(self, request: Request, fault: Fault) -> None:
        row = self._log(request, "late", effect=False)
        kept = {k: v for k, v in request.headers.items() if k in ("api-key", "api-sign", "content-type")}
        self.exchange.state.held.append(
            HeldRequest(
                due_ns=self.exchange.now_ns + fault.span_ns,
                path=request.path,
                headers=kept,
                body=request.body,
                row=row,
            )
        )

    def _process_held(self, held: HeldRequest) -> None:
        request = Request(method="POST", path=held.path, query="", headers=held.headers, body=held.body)
        outcome = self.process(request, Claim(), max(held.due_ns, self.exchange.state.swept_ns))
        row = self.exchange.state.requests[held.row]
        row.answer = f"late: {outcome.note}"
        row.effect = outcome.effect
        self.exchange.touch()

    def process(self, request: Request, claim: Claim, at_ns: int | None = None) -> Outcome:
        """Process one copy of a request at a time (None: now), without any fault to its answer."""
        now_ns = self.exchange.now_ns if at_ns is None else at_ns
        self._sweep(now_ns)
        try:
            if request.path.startswith(PRIVATE_PATH):
                return self._private(request, claim, now_ns)
            return self._public(request)
        except Refused as refusal:
            return Outcome(answer=Answer(body=failure(refusal.error)), note=refusal.error)

    def _public(self, request: Request) -> Outcome:
        call = PUBLIC.get(request.path.removeprefix(PUBLIC_PATH))
        if call is None:
            raise Refused("EGeneral:Unknown method")
        params = Params.of_form(request.query)
        if request.body:
            params = Params.of_body(request.body, request.headers.get("content-type", ""))
        headers = (("cache-control", "public,max-age=1,smaxage=1"),)
        body = success(call(self.exchange, params))
        return Outcome(answer=Answer(body=body, headers=headers), note="ok")

    def _private(self, request: Request, claim: Claim, now_ns: int) -> Outcome:
        endpoint = request.path.removeprefix(PRIVATE_PATH)
        if endpoint not in PERMISSIONS or request.method != "POST":
            raise Refused("EGeneral:Unknown method")
        exchange = self.exchange
        params = Params.of_body(request.body, request.headers.get("content-type", ""))
        scripted = exchange.plan.standing("nonce_window", VENUE)
        window = scripted.status if scripted else None
        key = check_key(request, params, exchange.keys, exchange.state, window=window)
        exchange.touch()
        count_call(exchange.state.keys[key.api_key].calls, endpoint, now_ns)
        check_permission(key, endpoint)
        call = Call(
            exchange=exchange,
            engine=self.engine,
            key=key,
            params=params,
            now_ns=now_ns,
            as_of_ns=now_ns - claim.stale_ns if claim.stale_ns else None,
        )
        effect = endpoint in TRADING
        try:
            if effect and endpoint != "CancelAllOrdersAfter":
                effect = not params.flag("validate") or call.rules.validate_places
            result = TRADING[endpoint](call) if endpoint in TRADING else READS[endpoint](call)
        except Refused as refusal:
            body = failure(refusal.error)
            return Outcome(answer=Answer(body=body), note=refusal.error, effect=effect)
        finally:
            self.publish()
        return Outcome(answer=Answer(body=success(result)), note="ok", effect=effect)


def error_page(status: int, host: str) -> Answer:
    """Make the page of the network edge in front of the venue."""
    titles = {
        502: "Bad gateway", 503: "Service temporarily unavailable", 504: "Gateway time-out",
        520: "Web server is returning an unknown error", 521: "Web server is down",
        522: "Connection timed out", 524: "A timeout occurred", 525: "SSL handshake failed",
    }  # fmt: skip
    title = f"{host} | {status}: {titles.get(status, 'Error')}"
    page = (
        '<!DOCTYPE html>\n<html lang="en-US"><head>'
        f"<title>{title}</title></head>\n<body><h1>Error {status}</h1></body></html>\n"
    )
    return Answer(
        status=status,
        body=page.encode(),
        content_type="text/html; charset=UTF-8",
        headers=(("server", "cloudflare"), ("cf-ray", "0000000000000000-RHL")),
    )
