"""The Hyperliquid face: dispatch, order of checks, and what faults do to requests and bytes."""

from __future__ import annotations

from typing import Final

import msgspec

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.faults import Claim, Fault
from quantlab.rehearsal.hyperliquid_account import ACCOUNT
from quantlab.rehearsal.hyperliquid_actions import Envelope, read_envelope
from quantlab.rehearsal.hyperliquid_auth import (
    admit_nonce,
    burn_nonce,
    check_expiry,
    check_vault,
    find_account,
    recover_signer,
)
from quantlab.rehearsal.hyperliquid_book import Account
from quantlab.rehearsal.hyperliquid_checks import check_envelope
from quantlab.rehearsal.hyperliquid_connection import HyperliquidConnection
from quantlab.rehearsal.hyperliquid_engine import Engine, Moment
from quantlab.rehearsal.hyperliquid_inbound import EXCHANGE_PATH, INFO_PATH, Inbound
from quantlab.rehearsal.hyperliquid_info import PUBLIC, Query
from quantlab.rehearsal.hyperliquid_knobs import PENALTY, Limits, Rules, read_limits, read_rules
from quantlab.rehearsal.hyperliquid_limits import (
    action_weight,
    check_address,
    count_ip,
    info_weight,
    rows_weight,
)
from quantlab.rehearsal.hyperliquid_seeding import seed_hyperliquid
from quantlab.rehearsal.hyperliquid_trading import ACTIONS, TRADING, Act
from quantlab.rehearsal.hyperliquid_wire import (
    MS,
    VENUE,
    WORDS,
    Refused,
    Unreadable,
    failure,
    fields,
    json_answer,
    parse_body,
    plain_text,
    success,
    text,
    wrong_shape,
)
from quantlab.rehearsal.state import HeldRequest
from quantlab.rehearsal.wire import Answer

INFO: Final = {**PUBLIC, **ACCOUNT}
UNENFORCED: Final = "unenforced"
"""The reads say that agents are gone, and the engine still takes what they sign."""
PROCESSED: Final = frozenset({"drop_after_accept", "truncate", "duplicate"})
"""Fates that let the request be processed first; others do when their fault says so."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What processing one copy of a request came to."""

    answer: Answer
    note: str
    """`ok` or the first error, for the request log."""
    effect: bool = False


class HyperliquidFace:
    """Hyperliquid's REST and WebSocket over one exchange."""

    name = VENUE

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.state = exchange.state.hyperliquid
        if not self.state.accounts:
            # A new exchange, or the state of a release that did not have this face.
            seed_hyperliquid(self.state, exchange.keys, exchange.state.seed, exchange.now_ns)
            exchange.touch()
        self.engine = Engine(self.state, exchange.walk, exchange.state.seed)
        self.connections: list[HyperliquidConnection] = []

    # ------------------------------------------------------------- connections

    def open(self) -> HyperliquidConnection:
        """Accept one connection."""
        self.exchange.plan.connection_opened(VENUE)
        connection = HyperliquidConnection(self)
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
        """Carry out what time has brought: held requests and fills; then tell the streams."""
        held = self.exchange.state.held
        due = [h for h in held if h.venue == VENUE and h.due_ns <= self.exchange.now_ns]
        for one in sorted(due, key=lambda h: h.due_ns):
            held.remove(one)
            self._process_held(one)
        self._sweep(self.exchange.now_ns)

    def _sweep(self, now_ns: int) -> None:
        self.engine.advance(self._engine_moment(now_ns))
        self.publish()

    def publish(self) -> None:
        """Hand what the engine has done to the streams."""
        events, self.engine.events = self.engine.events, []
        if not events:
            return
        self.exchange.touch()
        for connection in list(self.connections):
            connection.publish(events)

    # ------------------------------------------------------------------- knobs

    @property
    def limits(self) -> Limits:
        """Allowances in force."""
        return read_limits(self.exchange.plan.settings("limits", VENUE))

    @property
    def rules(self) -> Rules:
        """Readings in force."""
        return read_rules(self.exchange.plan.settings("rules", VENUE))

    def moment(self, now_ns: int) -> Moment:
        """Describe a time of the exchange; the venue's clock has its scripted skew."""
        skew_ns = self.exchange.reported_ns(VENUE) - self.exchange.now_ns
        return Moment(
            now_ns=now_ns, venue_ms=(now_ns + skew_ns) // MS, rules=self.rules, limits=self.limits
        )  # fmt: skip

    def _engine_moment(self, now_ns: int) -> Moment:
        """Describe a time as the engine knows it: its clock may lie behind the one that is reported."""
        at = self.moment(now_ns)
        return msgspec.structs.replace(at, venue_ms=at.venue_ms - at.rules.engine_lag_ms)

    def removed(self) -> str | None:
        """Tell whether agents are scripted away."""
        fault = self.exchange.plan.standing("agent_removed", VENUE)
        return fault.text if fault else None

    # ---------------------------------------------------------------- requests

    def claim(self, inbound: Inbound) -> Claim:
        """Take the faults that meet a request; an action also waits for its block."""
        claim = self.exchange.plan.claim(VENUE, inbound.path, inbound.kind)
        block_ns = self.rules.block_delay_ms * MS if inbound.route == EXCHANGE_PATH else 0
        return msgspec.structs.replace(claim, delay_ns=claim.delay_ns + block_ns)

    def handle(self, inbound: Inbound, claim: Claim) -> tuple[Answer | None, Fault | None]:
        """Process a request as its fault says.

        Returns:
            The answer (None: the connection is broken off without one) and the
            fault that still has to be done to its bytes.
        """
        self.advance()
        fault = claim.terminal
        name = fault.fault if fault else ""
        if fault is not None and name == "late":
            self._hold(inbound, fault)
            return None, fault
        if fault is not None and name == "drop_before_read":
            self._log(inbound, "dropped", effect=False)
            return None, fault
        if fault is not None and name == "duplicate":
            first = self.process(inbound, claim)
            self._log(inbound, first.note, effect=first.effect)
        outcome = None
        if fault is None or fault.after_accept or name in PROCESSED:
            outcome = self.process(inbound, claim)
        self.exchange.plan.passed(VENUE, inbound.path, inbound.kind)
        note = _note(fault, outcome)
        self._log(inbound, note, effect=outcome.effect if outcome else False)
        return _answer(fault, outcome), fault

    def _log(self, inbound: Inbound, note: str, *, effect: bool) -> int:
        return self.exchange.log(VENUE, inbound.path, inbound.kind, note, effect=effect)

    def _hold(self, inbound: Inbound, fault: Fault) -> None:
        row = self._log(inbound, "late", effect=False)
        self.exchange.state.held.append(
            HeldRequest(
                venue=VENUE,
                due_ns=self.exchange.now_ns + fault.span_ns,
                path=inbound.route,
                headers={"content-type": inbound.content_type},
                body=inbound.body,
                row=row,
            )
        )

    def _process_held(self, held: HeldRequest) -> None:
        inbound = Inbound(path=held.path, route=held.path, content_type=held.headers["content-type"], body=held.body)
        outcome = self.process(inbound, Claim(), max(held.due_ns, self.state.swept_ns))
        row = self.exchange.state.requests[held.row]
        row.answer = f"late: {outcome.note}"
        row.effect = outcome.effect
        self.exchange.touch()

    def process(self, inbound: Inbound, claim: Claim, at_ns: int | None = None) -> Outcome:
        """Process one copy of a request at a time (None: now), without any fault to its answer."""
        now_ns = self.exchange.now_ns if at_ns is None else at_ns
        self._sweep(now_ns)
        try:
            _check_route(inbound)
            data = parse_body(inbound.body, inbound.content_type)
            if inbound.route == INFO_PATH:
                return self._info(data, claim, now_ns)
            return self._exchange(read_envelope(data), inbound, now_ns)
        except Unreadable as error:
            return Outcome(answer=error.answer, note=f"http {error.answer.status}")

    def _count(self, weight: int, now_ns: int) -> None:
        self.exchange.touch()
        if not count_ip(self.state.meter, weight, now_ns, self.limits):
            raise Unreadable(json_answer(None, 429))

    def _info(self, data: object, claim: Claim, now_ns: int) -> Outcome:
        body = fields(data, ("type",), None)
        kind = text(body["type"])
        call = INFO.get(kind)
        if call is None:
            raise wrong_shape()
        self._count(info_weight(kind), now_ns)
        at = self.moment(now_ns)
        found = call(
            Query(
                exchange=self.exchange,
                engine=self.engine,
                state=self.state,
                body=body,
                now_ns=now_ns,
                venue_ms=at.venue_ms,
                limits=at.limits,
                rules=at.rules,
                as_of_ns=now_ns - claim.stale_ns if claim.stale_ns else None,
                removed=self.removed(),
            )
        )
        count_ip(self.state.meter, rows_weight(kind, found), now_ns, at.limits, always=True)
        return Outcome(answer=json_answer(found), note="ok")

    # ----------------------------------------------------------------- actions

    def _exchange(self, envelope: Envelope, inbound: Inbound, now_ns: int) -> Outcome:
        """Check vault, signer, address limit, nonce and expiry in this order, then act."""
        self._count(action_weight(envelope.weight), now_ns)
        at = self._engine_moment(now_ns)
        effect = False
        try:
            account = self._admit(envelope, inbound, at)
            effect = envelope.kind in TRADING
            check_envelope(envelope, at.limits.action_weight)
            act = Act(
                exchange=self.exchange,
                engine=self.engine,
                state=self.state,
                account=account,
                envelope=envelope,
                at=at,
            )
            reply = ACTIONS[envelope.kind](act)
            account.requests_used += envelope.weight
        except Refused as refusal:
            return Outcome(answer=json_answer(failure(refusal.error)), note=refusal.error, effect=effect)
        finally:
            self.publish()
        return Outcome(answer=json_answer(reply), note=_first_error(reply), effect=effect)

    def _admit(self, envelope: Envelope, inbound: Inbound, at: Moment) -> Account:
        """Find the account that is acted for, and use the nonce up."""
        plan, now_ms = self.exchange.plan, at.venue_ms
        gone = self.removed()
        try:
            check_vault(self.state, envelope)
            signer = recover_signer(envelope, at.rules)
            removed = None if gone == UNENFORCED else gone
            account = find_account(self.state, envelope, signer, now_ms, at.rules, removed=removed)
        except Refused:
            if at.rules.refusal_burns_nonce:
                burn_nonce(self.state, envelope, now_ms, at.rules)
            raise
        forgotten = plan.condition("nonce_forgotten", VENUE, inbound.path, envelope.kind)
        try:
            check_address(account, envelope.kind, envelope.weight, at.now_ns, at.limits)
        except Refused:
            if at.rules.limit_burns_nonce:
                admit_nonce(self.state, signer, envelope.nonce, now_ms, at.rules)
            raise
        if not forgotten:
            admit_nonce(self.state, signer, envelope.nonce, now_ms, at.rules)
        if not check_expiry(envelope, now_ms, at.rules):
            account.requests_used += PENALTY * envelope.weight
            raise Refused("Action already expired")
        return account


def _check_route(inbound: Inbound) -> None:
    if inbound.route not in (INFO_PATH, EXCHANGE_PATH):
        raise Unreadable(plain_text(404, ""))
    if inbound.method != "POST":
        raise Unreadable(plain_text(405, ""))


def _first_error(reply: object) -> str:
    """Return the first error in the statuses of a reply, or `ok`."""
    if isinstance(reply, dict) and isinstance(reply.get("response"), dict):
        data = reply["response"].get("data")
        for status in data.get("statuses", []) if isinstance(data, dict) else []:
            if isinstance(status, dict) and "error" in status:
                return str(status["error"])
    return "ok"


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


def _answer(fault: Fault | None, outcome: Outcome | None) -> Answer | None:
    name = fault.fault if fault else ""
    if fault is not None and name == "http_error":
        return error_page(fault.status)
    if fault is not None and name == "api_error":
        if fault.per_order:
            return json_answer(success("order", {"statuses": [{"error": fault.text}]}))
        return json_answer(failure(fault.text))
    if name == "garbage":
        return Answer(body=b"<!-- upstream -->\x00 not json", content_type="text/html")
    if name == "drop_after_accept":
        return None
    return outcome.answer if outcome else None


def error_page(status: int) -> Answer:
    """Make the page of the network edge in front of the venue; 429 and 500 are its own `null`, 4xx its own words."""
    if status in (429, 500):
        return json_answer(None, status)
    if status in WORDS:
        return plain_text(status, WORDS[status])
    titles = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
    title = f"{status} {titles.get(status, 'Error')}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx/1.26.2</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(
        status=status,
        body=page.encode(),
        content_type="text/html",
        headers=(("server", "nginx/1.26.2"),),
    )
