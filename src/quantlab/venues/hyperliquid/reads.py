"""Reading from Hyperliquid: nothing here can place, change or cancel an order, and no key is needed.

A read returns a value or raises ``VenueReadFailed``; it never takes a failed answer for an empty one. Everything is
asked of the account's address: an agent's own address shows an empty account, not an error. Only fills that an order's
young record speaks of and that are not shown yet are asked for again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from quantlab.kernel.clock import Clock, parse_rfc3339
from quantlab.kernel.errors import Denied
from quantlab.model.execution import AccountFacts, DryCheck, FillReport, OrderReport
from quantlab.model.instrument import Balance, Depth, Instrument, Quote, SystemStatus, VenueTime
from quantlab.model.order import OrderIntent, Plan
from quantlab.venues.answers import as_list
from quantlab.venues.hyperliquid import accounts, auth, codec, codec_orders, symbols
from quantlab.venues.hyperliquid.calls import Allowance, HttpInfo, HyperliquidCalls, decoded, failed
from quantlab.venues.hyperliquid.codec_orders import OrderRow
from quantlab.venues.hyperliquid.trades import SLACK, AccountTrades
from quantlab.venues.port import KeyTurns, VenueReadFailed
from quantlab.venues.sockets import ConnectionFault, Connector
from quantlab.venues.transport import Transport

if TYPE_CHECKING:
    from quantlab.venues.hyperliquid.stream import HyperliquidExecutionStream

_MOST_RECORDS: Final = 2_000


class HyperliquidReads:
    """Reads of one account on Hyperliquid.

    Args:
        transport: Makes the exchanges and keeps them on its tape.
        base_url: Scheme and host of REST, without a path.
        account: The account's address (master, sub-account or vault, never an agent); None leaves the public reads.
        signer: The address that signs for it; None where none is named yet.
        turns: Keeps the rate weight used, shared by all processes.
        clock: Our time, beside the venue's.
        stream_url: The WebSocket.
        connector: Opens the stream's connection.
        allowance: The rate weight that the venue allows.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        base_url: str,
        account: str | None,
        signer: str | None,
        turns: KeyTurns,
        clock: Clock,
        stream_url: str,
        connector: Connector,
        allowance: Allowance | None = None,
    ) -> None:
        self._transport = transport
        self._calls = HyperliquidCalls(HttpInfo(transport, base_url), turns=turns, allowance=allowance or Allowance())
        self._account = None if account is None else auth.parse_address(account)
        self._signer = None if signer is None else auth.parse_address(signer)
        self._clock = clock
        self._stream_url = stream_url
        self._connector = connector
        self._role: codec.Role | None = None
        self._standing: accounts.Standing | None = None

    @property
    def venue(self) -> str:
        """Return ``hyperliquid``."""
        return "hyperliquid"

    @property
    def account(self) -> str:
        """Return the account's address; raises ``Denied`` when none is given."""
        if self._account is None:
            message = "no Hyperliquid account address is given; nothing was sent"
            raise Denied(message, code="hyperliquid_account_missing")
        return self._account

    @property
    def signer_id(self) -> str:
        """Return the signer's address; raises ``Denied`` when none is given."""
        if self._signer is None:
            message = "no Hyperliquid signer address is given; nothing was sent"
            raise Denied(message, code="hyperliquid_signer_missing")
        return self._signer

    @property
    def account_is_public(self) -> bool:
        """Return True: an address is all it takes."""
        return True

    def parse_symbol(self, text: str) -> str:
        """Return our spelling of a market as operators write it; raises ``UsageFault``."""
        return symbols.parse_symbol(text)

    def read_time(self) -> VenueTime:
        """Read the venue's clock, in milliseconds."""
        answer = self._calls.info_answer("exchangeStatus", purpose="read_time")
        asked_at = parse_rfc3339(answer.exchange.started_at)
        answered_at = parse_rfc3339(answer.exchange.ended_at)
        return decoded("read_time", lambda: codec.parse_time(answer.value, asked_at=asked_at, answered_at=answered_at))

    def read_system_status(self) -> SystemStatus:
        """Read whether the venue takes orders."""
        answer = self._calls.info("exchangeStatus", purpose="read_system_status")
        return decoded("read_system_status", lambda: codec.parse_system_status(answer))

    def read_instrument(self, symbol: str) -> Instrument:
        """Read the rules of one market; ``kind="not_known"`` when the venue has none of that name.

        The answer to ``@107`` bears our spelling of that pair.
        """
        purpose = "read_instrument"
        try:
            if symbols.is_spot(symbol):
                answer = self._calls.info("spotMeta", purpose=purpose)
                return decoded(purpose, lambda: codec.parse_spot(answer, symbol))
            answer = self._calls.info("meta", purpose=purpose)
            return decoded(purpose, lambda: codec.parse_perp(answer, symbol))
        except codec.NotListed as reason:
            raise failed(purpose, "not_known", str(reason)) from None

    def read_quote(self, instrument: Instrument) -> Quote:
        """Read the best bid and ask; an empty or crossed book is a bad answer."""
        book = self._calls.info("l2Book", {"coin": instrument.venue_symbol}, purpose="read_quote")
        now = self._clock.now()
        return decoded("read_quote", lambda: codec.parse_quote(book, instrument, read_at=now))

    def read_depth(self, instrument: Instrument) -> Depth:
        """Read the 20 best levels of each side; a crossed book is a bad answer."""
        book = self._calls.info("l2Book", {"coin": instrument.venue_symbol}, purpose="read_depth")
        now = self._clock.now()
        return decoded("read_depth", lambda: codec.parse_depth(book, instrument, read_at=now))

    def read_account(self) -> AccountFacts:
        """Read what the account is, and what the signer may do for it."""
        return self._read_standing().facts(self._clock.now())

    def read_account_details(self) -> tuple[tuple[str, str], ...]:
        """Read roles, account mode, rate budget and margin, as texts. The roles are those of :meth:`read_account`.

        The mode is told as "not shown" when the venue does not answer for it.
        """
        standing = self._standing or self._read_standing()
        return accounts.read_details(self._calls, standing, now=self._clock.now())

    def vault_address(self) -> str | None:
        """Return the account where an action must name it: a sub-account or a vault. None for an account of its own.

        Reads the account's role unless :meth:`read_account` did.
        """
        if self._role is None:
            self._role = accounts.read_role(self._calls, self.account)
        return self.account if self._role.name in {"subAccount", "vault"} else None

    def read_balances(self) -> tuple[Balance, ...]:
        """Read margin, positions and spot tokens; see :func:`quantlab.venues.hyperliquid.codec.parse_balances`."""
        return accounts.read_funds(self._calls, self.account, purpose="read_balances")

    def read_open_orders(self, *, client_order_id: str | None = None) -> tuple[OrderReport, ...]:
        """Read all open orders, or those of one client order id.

        Of one client order id its own record is asked for besides: an order that any view shows has landed.
        """
        purpose, source = "read_open_orders", "frontendOpenOrders"
        answer = self._calls.info(source, {"user": self.account}, purpose=purpose)
        rows = decoded(purpose, lambda: tuple(codec_orders.parse_open(row) for row in as_list(answer, source)))
        if client_order_id is None:
            return self._trades.reports(purpose, source, rows, is_ours=False)
        listed = _of_client_id(rows, client_order_id)
        known = {row.venue_order_id for row in listed}
        own = self._status_rows(client_order_id, purpose)
        unlisted = [row for row in own if row.state == "open" and row.venue_order_id not in known]
        return (
            *self._trades.reports(purpose, source, listed, is_ours=True),
            *self._trades.reports(purpose, "orderStatus", unlisted, is_ours=True),
        )

    def read_closed_orders(self, *, since: datetime, client_order_id: str | None = None) -> tuple[OrderReport, ...]:
        """Read every closed order opened or closed since ``since``, which is cut to a whole millisecond.

        The venue shows its last 2000 records and no more: when ``since`` may lie before them the read fails. Of one
        client order id its own record is asked for besides, for two views see more than one.
        """
        purpose, source = "read_closed_orders", "historicalOrders"
        answer = self._calls.info(source, {"user": self.account}, purpose=purpose)
        records = decoded(purpose, lambda: [codec_orders.parse_record(row) for row in as_list(answer, source)])
        since = _whole_millisecond(since)
        if len(records) >= _MOST_RECORDS and min(row.status_at for row in records) >= since:
            raise failed(
                purpose, "bad_answer", f"of {len(records)} records, the most it shows, none is older than asked"
            )
        rows = list(_of_client_id(records, client_order_id))
        if client_order_id is not None:
            rows += self._status_rows(client_order_id, purpose)
        closed = [
            row
            for row in codec_orders.newest_records(rows)
            if row.state != "open" and max(row.opened_at, row.status_at) >= since
        ]
        return self._trades.reports(purpose, source, closed, is_ours=client_order_id is not None)

    def read_order(self, venue_order_id: str) -> OrderReport | None:
        """Read one order by the venue's id; None when the venue cleanly answers that it shows none."""
        number = codec_orders.order_number(venue_order_id)
        row = self._read_status(number, "read_order")
        if row is None:
            return None
        if row.venue_order_id != str(number):
            raise failed("read_order", "bad_answer", "it shows another order than asked for")
        return self._trades.reports("read_order", "orderStatus", (row,), is_ours=True)[0]

    def read_order_by_client_id(self, client_order_id: str) -> OrderReport | None:
        """Read the newest order of a client order id; None when the venue cleanly answers that it shows none.

        A client order id can be used again once its order has ended, so compare what is shown with the plan.
        """
        purpose = "read_order_by_client_id"
        rows = self._status_rows(client_order_id, purpose)
        return self._trades.reports(purpose, "orderStatus", rows, is_ours=True)[0] if rows else None

    def read_fills(self, order: OrderReport) -> tuple[FillReport, ...]:
        """Read the fills of one order, one row a fill. Fills seen before must be among them."""
        if order.opened_at is None:
            raise failed("read_fills", "bad_answer", "the order's report has no opening time")
        until = None if order.closed_at is None else order.closed_at + SLACK
        fills = self._trades.fills_between("read_fills", order.opened_at - SLACK, until)
        own = tuple(fill.report for fill in fills if fill.report.venue_order_id == order.venue_order_id)
        shown = {fill.venue_fill_id for fill in own}
        if not shown.issuperset(order.fill_ids) or sum(fill.size_base for fill in own) < order.filled_base:
            raise failed("read_fills", "bad_answer", "it shows fewer fills than the order has")
        return own

    def read_account_fills(self, *, since: datetime) -> tuple[FillReport, ...]:
        """Read every fill of the account since ``since`` (cut to a whole millisecond), to the end of the pages."""
        fills = self._trades.fills_between("read_account_fills", _whole_millisecond(since), None)
        return tuple(fill.report for fill in fills)

    def fence_holds(self, signer_id: str | None) -> bool:
        """Return True: every signed action bears its own expiry (H1)."""
        del signer_id
        return True

    def assets_moved_by(self, plan: Plan) -> tuple[str, ...]:
        """Return the position of a perp, both tokens of a spot pair. A margin balance moves with every price."""
        if not symbols.is_spot(plan.symbol):
            return (plan.venue_symbol,)
        base, _, quote = plan.symbol.partition("-")
        return symbols.spot_asset(base), symbols.spot_asset(quote)

    def account_refusals(self) -> tuple[str, ...]:
        """Return a sentence for the all-zero account, which nobody holds."""
        if self._account == auth.ZERO_ADDRESS:
            return ("The all-zero address is a placeholder, not an account: put your account's address in its place.",)
        return ()

    def freeze_order_text(self, plan: Plan) -> str:
        """Return the exact text of the plan's unsigned action, in the key order that is hashed."""
        return codec_orders.action_text(codec_orders.order_action(plan))

    def client_order_id_of(self, intent_id: str) -> str:
        """Return the intent id as the venue writes one: ``0x`` and 32 lower-case hex digits."""
        return "0x" + intent_id

    def order_shape_refusals(self, intent: OrderIntent) -> tuple[str, ...]:
        """Return why Hyperliquid can not carry such an order at all."""
        return codec_orders.shape_refusals(intent)

    def check_order(self, plan: Plan, *, deadline_at: datetime) -> DryCheck:
        """Check the plan's order against the market's static rules, read afresh: the venue validates nothing itself.

        Accepted therefore says nothing of margin, balances and price bands.
        """
        del deadline_at
        try:
            instrument = self.read_instrument(plan.symbol)
        except VenueReadFailed as failure:
            return DryCheck(verdict="unreadable", description=None, errors=(failure.message,))
        description = codec_orders.describe_action(plan)
        mismatches = []
        if self.freeze_order_text(plan) != plan.order_text:
            mismatches.append("text: the plan's text is not what its fields say")
        if symbols.asset_in(instrument.venue_symbol_aliases) != codec_orders.asset_of(plan):
            mismatches.append(f"asset: the plan names {codec_orders.asset_of(plan)}, the venue another number")
        errors = codec_orders.static_errors(plan, instrument)
        if mismatches:
            return DryCheck(verdict="unreadable", description=description, errors=errors, mismatches=tuple(mismatches))
        return DryCheck(verdict="rejected" if errors else "accepted", description=description, errors=errors)

    def check_stream(self) -> str:
        """Connect to the stream, subscribe, ping it, and return what it answered. Needs no account.

        Raises:
            VenueReadFailed: no connection, or no answer in time.
        """
        from quantlab.venues.hyperliquid.stream import ping_public_stream

        try:
            return ping_public_stream(self._connector, self._stream_url, clock=self._clock)
        except ConnectionFault as fault:
            raise failed("check_stream", "not_reached", str(fault)) from None

    def over_stream(self) -> AbstractContextManager[HyperliquidReads]:
        """Return reads that ask over one stream connection by `post`, which the first read opens."""
        return self._over_stream()

    @contextmanager
    def _over_stream(self) -> Iterator[HyperliquidReads]:
        # Loaded here, as the streams are.
        from quantlab.venues.hyperliquid.posts import InfoPosts

        posts = InfoPosts(
            transport=self._transport, connector=self._connector, stream_url=self._stream_url, clock=self._clock
        )
        try:
            reads: HyperliquidReads = copy.copy(self)
            reads._calls = self._calls.over(posts)
            yield reads
        finally:
            posts.close()

    def open_stream(self) -> HyperliquidExecutionStream:
        """Open the stream of the account's orders and fills.

        Raises:
            VenueReadFailed: no connection, or a subscription was refused.
        """
        # Loaded here: only supervision streams, and the WebSocket library is not cheap.
        from quantlab.venues.hyperliquid.stream import HyperliquidExecutionStream

        try:
            return HyperliquidExecutionStream(
                connector=self._connector,
                stream_url=self._stream_url,
                account=self.account,
                clock=self._clock,
            )
        except ConnectionFault as fault:
            raise failed("open_stream", "not_reached", str(fault)) from None

    def _read_standing(self) -> accounts.Standing:
        standing = accounts.read_standing(self._calls, account=self.account, signer=self.signer_id)
        self._role, self._standing = standing.role, standing
        return standing

    @property
    def _trades(self) -> AccountTrades:
        return AccountTrades(self._calls, self.account, self._clock)

    def _read_status(self, wanted: int | str, purpose: str) -> OrderRow | None:
        answer = self._calls.info("orderStatus", {"user": self.account, "oid": wanted}, purpose=purpose)
        return decoded(purpose, lambda: codec_orders.parse_status_answer(answer))

    def _status_rows(self, client_order_id: str, purpose: str) -> tuple[OrderRow, ...]:
        row = self._read_status(client_order_id, purpose)
        if row is not None and row.client_order_id != client_order_id:
            raise failed(purpose, "bad_answer", "it shows an order of another client order id")
        return () if row is None else (row,)


def _of_client_id(rows: Sequence[OrderRow], client_order_id: str | None) -> Sequence[OrderRow]:
    return [row for row in rows if client_order_id in {None, row.client_order_id}]


def _whole_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
