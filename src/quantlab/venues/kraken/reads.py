"""Reading from Kraken: nothing here can place, change or cancel an order.

A read returns a value or raises ``VenueReadFailed``; it never takes a failed answer for an empty one. How
a call is made and judged stands in `calls`.
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import TYPE_CHECKING, Final

from quantlab.kernel.clock import NANOSECONDS_PER_SECOND, Clock, parse_rfc3339, to_ns
from quantlab.model.execution import AccountFacts, DryCheck, FillReport, OrderReport
from quantlab.model.instrument import Balance, Depth, Instrument, Quote, SystemStatus, VenueTime
from quantlab.model.order import OrderIntent, Plan
from quantlab.venues.answers import BadAnswer, as_object
from quantlab.venues.kraken import classify, codec, codec_orders, symbols
from quantlab.venues.kraken.auth import KrakenCredentials
from quantlab.venues.kraken.calls import HISTORY_POINTS, STARTER, KrakenCalls, Tier, decoded, failed
from quantlab.venues.port import KeyTurns, VenueReadFailed
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import ConnectionFault, Connector
from quantlab.venues.transport import Transport

if TYPE_CHECKING:
    from quantlab.venues.kraken.stream import KrakenExecutionStream

_TRADES_PER_CALL: Final = 20
_BOOK_LEVELS: Final = 100


class KrakenReads:
    """Reads of Kraken Spot with one key, or with none for the public ones.

    Args:
        transport: Makes the exchanges and keeps them on its tape.
        base_url: Scheme and host of REST, without a path.
        credentials: The key; None leaves the public reads.
        turns: Turns on the key, shared by all processes.
        clock: Our time, beside the venue's.
        stream_url: The private WebSocket.
        connector: Opens the stream's connection.
        redactor: Told the stream token.
        tier: The account's rate tier.
        public_stream_url: The public WebSocket, where it is another one.
    """

    def __init__(  # noqa: PLR0913 - the ports of one venue, named at the one place that wires them
        self,
        *,
        transport: Transport,
        base_url: str,
        credentials: KrakenCredentials | None,
        turns: KeyTurns,
        clock: Clock,
        stream_url: str,
        connector: Connector,
        redactor: Redactor,
        tier: Tier = STARTER,
        public_stream_url: str | None = None,
    ) -> None:
        self._calls = KrakenCalls(
            transport=transport,
            base_url=base_url,
            credentials=credentials,
            turns=turns,
            tier=tier,
        )
        self._clock = clock
        self._stream_url = stream_url
        self._public_stream_url = public_stream_url or stream_url
        self._connector = connector
        self._redactor = redactor
        self._facts: AccountFacts | None = None

    @property
    def venue(self) -> str:
        """Return ``kraken``."""
        return "kraken"

    @property
    def signer_id(self) -> str:
        """Return the fingerprint of the key in use; raises ``Denied`` when no key is given."""
        return self._calls.credentials.signer_id

    @property
    def account_is_public(self) -> bool:
        """Return False: an account is read with its key."""
        return False

    def parse_symbol(self, text: str) -> str:
        """Return our spelling of a market as operators write it; raises ``UsageFault``."""
        return symbols.parse_symbol(text)

    def read_time(self) -> VenueTime:
        """Read the venue's clock: whole seconds, up to a second stale by the venue's cache."""
        answer = self._calls.public_exchange("Time", {}, purpose="read_time")
        asked_at = parse_rfc3339(answer.exchange.started_at)
        answered_at = parse_rfc3339(answer.exchange.ended_at)
        return decoded(
            "read_time",
            lambda: codec.parse_time(self._calls.result(answer), asked_at=asked_at, answered_at=answered_at),
        )

    def read_system_status(self) -> SystemStatus:
        """Read whether the venue takes orders."""
        result = self._calls.public("SystemStatus", {}, purpose="read_system_status")
        return decoded("read_system_status", lambda: codec.parse_system_status(result))

    def read_instrument(self, symbol: str) -> Instrument:
        """Read the rules of one market; ``kind="not_known"`` when the venue has none of that name."""
        fields = {"pair": symbols.altname_of(symbol)}
        result = self._calls.public("AssetPairs", fields, purpose="read_instrument")
        return decoded("read_instrument", lambda: codec.parse_instrument(result, symbol))

    def read_quote(self, instrument: Instrument) -> Quote:
        """Read the best bid and ask; an empty or crossed book is a bad answer."""
        fields = {"pair": symbols.altname_of(instrument.symbol), "count": "1"}
        result = self._calls.public("Depth", fields, purpose="read_quote")
        now = self._clock.now()
        return decoded("read_quote", lambda: codec.parse_quote(result, instrument, read_at=now))

    def read_depth(self, instrument: Instrument) -> Depth:
        """Read the 100 best levels of each side; a crossed book is a bad answer."""
        fields = {"pair": symbols.altname_of(instrument.symbol), "count": str(_BOOK_LEVELS)}
        result = self._calls.public("Depth", fields, purpose="read_depth")
        now = self._clock.now()
        return decoded("read_depth", lambda: codec.parse_depth(result, instrument, read_at=now))

    def read_account(self) -> AccountFacts:
        """Read whose key this is and what it may do."""
        result = self._calls.private("GetApiKeyInfo", {}, purpose="read_account")
        signer_id = self.signer_id
        self._facts = decoded("read_account", lambda: codec.parse_account(result, signer_id=signer_id))
        return self._facts

    def read_account_details(self) -> tuple[tuple[str, str], ...]:
        """Return the key's name, end, nonce window and permissions, of what :meth:`read_account` read.

        Asks the venue only when that was not called yet.
        """
        return codec.account_details(self._facts or self.read_account())

    def read_balances(self) -> tuple[Balance, ...]:
        """Read the account's funds."""
        result = self._calls.private("BalanceEx", {}, purpose="read_balances")
        return decoded("read_balances", lambda: codec.parse_balances(result))

    def read_open_orders(self, *, client_order_id: str | None = None) -> tuple[OrderReport, ...]:
        """Read all open orders, or those of one client order id."""
        fields = {"trades": "true"} | _client_id_field(client_order_id)
        result = self._calls.private("OpenOrders", fields, purpose="read_open_orders")
        now = self._clock.now()
        reports = decoded(
            "read_open_orders",
            lambda: codec_orders.parse_orders(
                as_object(result, "result").get("open"), source="OpenOrders", read_at=now
            ),
        )
        return _of_client_id(reports, client_order_id)

    def read_closed_orders(self, *, since: datetime, client_order_id: str | None = None) -> tuple[OrderReport, ...]:
        """Read every closed order opened or closed after ``since``, to the end of the pages.

        ``since`` is cut to a whole second, so that an order of the same second is shown rather than lost.
        """
        fields = {
            "trades": "true",
            "start": _unix_text(since),
            "closetime": "both",
            "consolidate_taker": "false",
        } | _client_id_field(client_order_id)
        rows = self._calls.paged("ClosedOrders", fields, member="closed", purpose="read_closed_orders")
        now = self._clock.now()
        reports = decoded(
            "read_closed_orders",
            lambda: codec_orders.parse_orders(rows, source="ClosedOrders", read_at=now),
        )
        return _of_client_id(reports, client_order_id)

    def read_order(self, venue_order_id: str) -> OrderReport | None:
        """Read one order by the venue's id; None when the venue cleanly answers that it shows none."""
        fields = {"txid": venue_order_id, "trades": "true", "consolidate_taker": "false"}
        result = self._calls.private("QueryOrders", fields, purpose="read_order")
        now = self._clock.now()
        reports = decoded(
            "read_order",
            lambda: codec_orders.parse_orders(result, source="QueryOrders", read_at=now),
        )
        if any(report.venue_order_id != venue_order_id for report in reports):
            raise failed("read_order", "bad_answer", "it shows another order than asked for")
        return reports[0] if reports else None

    def read_fills(self, order: OrderReport) -> tuple[FillReport, ...]:
        """Read the fills of one order, one row a fill.

        A report without fill ids (a stream's, or one read without them) is read again for them first.
        """
        shown: OrderReport | None = order
        if not order.fill_ids:
            shown = self.read_order(order.venue_order_id)
        if shown is None or (not shown.fill_ids and shown.filled_base > 0):
            raise failed("read_fills", "bad_answer", "the order has traded but shows no fills")
        fills: list[FillReport] = []
        for start in range(0, len(shown.fill_ids), _TRADES_PER_CALL):
            wanted = shown.fill_ids[start : start + _TRADES_PER_CALL]
            result = self._calls.private(
                "QueryTrades",
                {"txid": ",".join(wanted)},
                purpose="read_fills",
                points=HISTORY_POINTS,
            )
            read = decoded("read_fills", functools.partial(codec_orders.parse_trades, result))
            if {fill.venue_fill_id for fill in read} != set(wanted):
                raise failed("read_fills", "bad_answer", "it shows other fills than asked for")
            fills += read
        if any(fill.venue_order_id != order.venue_order_id for fill in fills):
            raise failed("read_fills", "bad_answer", "a fill belongs to another order")
        return tuple(fills)

    def read_account_fills(self, *, since: datetime) -> tuple[FillReport, ...]:
        """Read every fill of the account after ``since`` (cut to a whole second), to the end of the pages."""
        fields = {"start": _unix_text(since), "consolidate_taker": "false"}
        rows = self._calls.paged(
            "TradesHistory",
            fields,
            member="trades",
            purpose="read_account_fills",
            is_history=True,
        )
        return decoded("read_account_fills", lambda: codec_orders.parse_trades(rows))

    def fence_holds(self, signer_id: str | None) -> bool:
        """Return whether the key in use is the one that signed: its private reads carry higher nonces (K2)."""
        return signer_id == self.signer_id

    def assets_moved_by(self, plan: Plan) -> tuple[str, ...]:
        """Return base and quote of the pair."""
        base, _, quote = plan.symbol.partition("-")
        return base, quote

    def account_refusals(self) -> tuple[str, ...]:
        """Return nothing: the key names its account."""
        return ()

    def freeze_order_text(self, plan: Plan) -> str:
        """Return the form text of the plan's order without nonce, deadline and ``validate``."""
        return codec_orders.order_text(plan)

    def client_order_id_of(self, intent_id: str) -> str:
        """Return the intent id itself: 32 lower-case hex digits are a form every report agrees on."""
        return intent_id

    def order_shape_refusals(self, intent: OrderIntent) -> tuple[str, ...]:
        """Return why Kraken Spot can not carry such an order at all."""
        return codec_orders.shape_refusals(intent)

    def check_order(self, plan: Plan, *, deadline_at: datetime) -> DryCheck:
        """Ask the venue to validate the plan's order, and compare what it read with the plan.

        The venue checks neither funds nor the matching engine's rules then (kraken.md 3.6).
        """
        answer = self._calls.private_exchange(
            "AddOrder",
            lambda nonce: codec_orders.order_body(
                plan.order_text, nonce=nonce, deadline_at=deadline_at, validate_only=True
            ),
            purpose="check_order",
            points=0,
        )
        try:
            envelope = self._calls.envelope(answer)
            placed = codec_orders.parse_place_answer(envelope.result or {})
        except VenueReadFailed as failure:
            return DryCheck(verdict="unreadable", description=None, errors=(failure.message,))
        except BadAnswer as error:
            return DryCheck(verdict="unreadable", description=None, errors=(str(error),))
        if placed.venue_order_ids:
            ids = ", ".join(placed.venue_order_ids)
            text = f"a validate-only request was answered with the order {ids}: it may exist"
            return DryCheck(
                verdict="incident",
                description=placed.description,
                errors=(*envelope.errors, text),
            )
        if envelope.errors:
            verdict = classify.classify_dry_errors(envelope.errors)
            return DryCheck(verdict=verdict, description=None, errors=envelope.errors)
        mismatches = codec_orders.description_mismatches(plan.order_text, placed.description or "")
        return DryCheck(
            verdict="unreadable" if mismatches else "accepted",
            description=placed.description,
            errors=(),
            mismatches=mismatches,
        )

    def check_stream(self) -> str:
        """Connect to the public stream, ping it, and return what it answered.

        Raises:
            VenueReadFailed: no connection, or no answer to the ping in time.
        """
        from quantlab.venues.kraken.stream import ping_public_stream

        try:
            return ping_public_stream(self._connector, self._public_stream_url, clock=self._clock)
        except ConnectionFault as fault:
            raise failed("check_stream", "not_reached", self._redactor.redact(str(fault))) from None

    def over_stream(self) -> None:
        """Return None: Kraken's stream answers no questions of account or market."""
        return

    def open_stream(self) -> KrakenExecutionStream:
        """Open the private stream of executions.

        Raises:
            VenueReadFailed: no token, no connection, or the subscription was refused.
        """
        # Loaded here: only supervision streams, and the WebSocket library is not cheap.
        from quantlab.venues.kraken.stream import KrakenExecutionStream

        result = self._calls.private("GetWebSocketsToken", {}, purpose="read_stream_token")
        token = decoded("read_stream_token", lambda: codec.parse_stream_token(result))
        self._redactor.add(token)
        try:
            return KrakenExecutionStream(
                connector=self._connector,
                stream_url=self._stream_url,
                token=token,
                clock=self._clock,
            )
        except ConnectionFault as fault:
            raise failed("open_stream", "not_reached", self._redactor.redact(str(fault))) from None


def _client_id_field(client_order_id: str | None) -> dict[str, str]:
    return {} if client_order_id is None else {"cl_ord_id": client_order_id}


def _of_client_id(reports: tuple[OrderReport, ...], client_order_id: str | None) -> tuple[OrderReport, ...]:
    """Return ``reports``; one of another client order id shows that the filter was not kept to."""
    if client_order_id is not None and any(report.client_order_id not in {None, client_order_id} for report in reports):
        raise failed("read_orders", "bad_answer", "it shows orders of another client order id")
    return reports


def _unix_text(at: datetime) -> str:
    return str(to_ns(at) // NANOSECONDS_PER_SECOND)
