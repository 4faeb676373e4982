"""What every venue must do behind the port, as numbered cards, against the rehearsal exchange.

A venue's test module derives a class from :class:`VenueContract`, which makes a test of each card, gives it a ``desk``
fixture, and may skip a card with a reason in ``skips``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from quantlab.kernel.errors import UsageFault
from quantlab.kernel.ids import SystemEntropy, mint_intent_id
from quantlab.model.execution import AttemptReceipt, FillReport, OrderReport, PreparedSend
from quantlab.model.instrument import Instrument, Quote
from quantlab.model.order import OrderIntent, Plan
from quantlab.venues.effects import OrderEffects
from quantlab.venues.port import StreamNotice, VenueReadFailed, VenueReads
from quantlab.venues.transport import Transport
from tests.contract.exchange_process import Exchange, ExchangeClock


@dataclass
class VenueFacts:
    """What differs between venues: names, spellings, paths of the wire."""

    venue: str
    symbol: str
    spellings: tuple[str, ...]
    base_asset: str
    unknown_symbol: str
    order_path: str
    read_path: str
    secrets: tuple[str, ...]
    skips: dict[str, str] = field(default_factory=dict)


class VenueDesk:
    """One venue's ports over a running exchange. A venue's own desk makes plans and prepares sends."""

    facts: VenueFacts
    exchange: Exchange
    clock: ExchangeClock
    transport: Transport
    reads: VenueReads
    effects: OrderEffects

    def plan(self, quote: Quote, instrument: Instrument, **changes: Any) -> Plan:
        """Return a plan of a small buy: marketable as it stands, or changed."""
        raise NotImplementedError

    def prepare_submit(self, plan: Plan) -> PreparedSend:
        """Return the prepared order, its nonce taken in the key's turn."""
        raise NotImplementedError

    def prepare_cancel(self, plan: Plan, venue_order_id: str | None) -> PreparedSend:
        """Return the prepared cancel, its nonce taken in the key's turn."""
        raise NotImplementedError

    def market(self) -> tuple[Quote, Instrument]:
        """Read the market that the cards trade."""
        instrument = self.reads.read_instrument(self.facts.symbol)
        return self.reads.read_quote(instrument), instrument

    def deadline(self, seconds: int = 10) -> Any:
        """Return a deadline on the exchange's clock."""
        return self.clock.now() + timedelta(seconds=seconds)

    def submit(self, plan: Plan) -> Any:
        """Prepare and send an order with a receipt of its bytes."""
        prepared = self.prepare_submit(plan)
        return self.effects.submit(prepared, receipt_of(prepared))

    def new_client_order_id(self) -> str:
        """Return a fresh client order id in the venue's spelling."""
        return self.reads.client_order_id_of(mint_intent_id(SystemEntropy()))

    def resting(self, quote: Quote, instrument: Instrument) -> Plan:
        """Return a plan of a buy that rests five percent under the book."""
        price = instrument.price_toward_safety(quote.bid * Decimal("0.95"), buying=True)
        text = f"{price.normalize():f}"
        return self.plan(quote, instrument, limit_price=text, worst_price=text, time_in_force="gtc")


_SEQUENCES = iter(range(1, 1_000_000))


def receipt_of(prepared: PreparedSend) -> AttemptReceipt:
    """Return a receipt that stands for a durable attempt record of these bytes."""
    return AttemptReceipt(
        session_id="contract",
        sequence=next(_SEQUENCES),
        record_sha256="0" * 64,
        body_sha256=prepared.body_sha256,
    )


class VenueContract:
    """The cards. Numbers leave room for more between them."""

    def __init_subclass__(cls) -> None:
        """Make a test of each card in a venue's own class."""
        for name, card in vars(VenueContract).items():
            if name.startswith("v_"):
                setattr(cls, f"test_{name}", card)

    @pytest.fixture(autouse=True)
    def _card(self, request, desk):
        number = request.node.originalname.split("_")[2]
        if number in desk.facts.skips:
            pytest.skip(f"V-{number} does not apply to {desk.facts.venue}: {desk.facts.skips[number]}")

    def v_010_symbols(self, desk):
        """V-010: every spelling an operator may use leads to one name; nonsense is a usage fault."""
        assert {desk.facts.symbol} == {desk.reads.parse_symbol(text) for text in desk.facts.spellings}
        for text in ("", "?", "A B"):
            with pytest.raises(UsageFault):
                desk.reads.parse_symbol(text)

    def v_020_time(self, desk):
        """V-020: the venue's clock is read, and is ours within its resolution."""
        read = desk.reads.read_time()
        assert abs(read.offset_ms) <= max(read.resolution_ms, 50)
        assert read.venue_at.tzinfo is not None
        assert read.local_at.tzinfo is not None

    def v_030_status(self, desk):
        """V-030: the exchange is online, in the venue's own word."""
        status = desk.reads.read_system_status()
        assert "online" == status.mode
        assert status.raw

    def v_040_instrument(self, desk):
        """V-040: the market's rules are usable; a market nobody has is known to be unknown."""
        instrument = desk.reads.read_instrument(desk.facts.symbol)
        assert (desk.facts.symbol, desk.facts.base_asset) == (instrument.symbol, instrument.base_asset)
        assert min(instrument.price_increment, instrument.size_increment) > 0
        assert "online" == instrument.mode
        with pytest.raises(VenueReadFailed) as caught:
            desk.reads.read_instrument(desk.facts.unknown_symbol)
        assert "not_known" == caught.value.kind

    def v_050_quote(self, desk):
        """V-050: ETH stands within one percent of 2000, the bid under the ask."""
        quote, _ = desk.market()
        assert Decimal(1980) <= quote.bid < quote.ask <= Decimal(2020)
        assert quote.ask == quote.taking(buying=True)

    def v_055_depth(self, desk):
        """V-055: the book's levels agree with the quote, and a size that nobody shows has no worst price."""
        _, instrument = desk.market()
        depth = desk.reads.read_depth(instrument)
        assert min(len(depth.bids), len(depth.asks)) > 1
        assert Decimal(1980) <= depth.bids[0].price < depth.asks[0].price <= Decimal(2020)
        shown = sum(level.size_base for level in depth.asks)
        assert (depth.asks[0].price, depth.asks[-1].price, None) == tuple(
            depth.worst_price(size, buying=True) for size in (depth.asks[0].size_base, shown, shown + 1)
        )
        assert depth.bids[0].price == depth.worst_price(depth.bids[0].size_base, buying=False)

    def v_060_account(self, desk):
        """V-060: the key names an account, may trade, and may not withdraw; the fingerprint is stable."""
        facts = desk.reads.read_account()
        assert facts.identity
        assert (True, False) == (facts.can_trade, facts.can_withdraw)
        assert desk.reads.signer_id == desk.reads.signer_id

    def v_065_account_details(self, desk):
        """V-065: what else is told of the account are labels, each once, and texts; no secret is among them."""
        details = desk.reads.read_account_details()
        labels = [label for label, _ in details]
        assert labels
        assert len(labels) == len(set(labels))
        assert all(text for pair in details for text in pair)
        assert [] == [secret[:4] for secret in desk.facts.secrets if secret in repr(details)]

    def v_070_balances(self, desk):
        """V-070: funds are listed by our names, never more available than held."""
        balances = desk.reads.read_balances()
        assert balances
        assert all(balance.available <= balance.total for balance in balances)

    def v_080_seeded_order(self, desk):
        """V-080: the positive control: the account's earlier order is found, with its fills."""
        since = desk.clock.now() - timedelta(days=30)
        closed = desk.reads.read_closed_orders(since=since)
        seeded = [order for order in closed if order.filled_base > 0]
        assert seeded
        assert all(order.terminal for order in closed)
        fills = desk.reads.read_fills(seeded[-1])
        assert seeded[-1].filled_base == sum(fill.size_base for fill in fills)

    def v_090_account_fills(self, desk):
        """V-090: the account's fills are listed from a time on, and nothing is listed from now on."""
        since = desk.clock.now() - timedelta(days=30)
        assert desk.reads.read_account_fills(since=since)
        assert () == desk.reads.read_account_fills(since=desk.clock.now() + timedelta(seconds=5))

    def v_100_order_text(self, desk):
        """V-100: the frozen text of a plan does not depend on when or how often it is made."""
        plan = desk.plan(*desk.market())
        assert plan.order_text == desk.reads.freeze_order_text(plan) == desk.reads.freeze_order_text(plan)

    def v_110_shapes(self, desk):
        """V-110: a plain order has no refusal; a market order with a limit price has one."""
        fields = {
            "symbol": desk.facts.symbol,
            "side": "buy",
            "size_base": Decimal("0.25"),
            "notional_quote": Decimal(500),
            "account_label": "acct_demo",
        }
        assert () == desk.reads.order_shape_refusals(OrderIntent(**fields))
        odd = OrderIntent(**fields, order_type="market", limit_price=Decimal(1))
        assert desk.reads.order_shape_refusals(odd)

    def v_120_check(self, desk):
        """V-120: a validation is accepted and places nothing."""
        plan = desk.plan(*desk.market())
        check = desk.reads.check_order(plan, deadline_at=desk.deadline())
        assert ("accepted", (), ()) == (check.verdict, check.errors, check.mismatches)
        assert [] == desk.exchange.orders(client_order_id=plan.client_order_id)

    def v_130_check_rejected(self, desk):
        """V-130: a size under the minimum is rejected by a validation, in the venue's words."""
        plan = desk.plan(*desk.market(), size_base="0.0001")
        check = desk.reads.check_order(plan, deadline_at=desk.deadline())
        assert "rejected" == check.verdict
        assert check.errors

    def v_200_submit_fills(self, desk):
        """V-200: a marketable order is accepted, fills at once, and reads back as planned."""
        plan = desk.plan(*desk.market())
        answer = desk.submit(plan)
        assert ("accepted", "answered", ()) == (answer.outcome, answer.reached, answer.errors)
        (order_id,) = answer.venue_order_ids
        report = desk.reads.read_order(order_id)
        assert ("filled", plan.side, plan.client_order_id) == (
            report.state,
            report.side,
            report.client_order_id,
        )
        assert Decimal(plan.size_base) == report.filled_base
        fills = desk.reads.read_fills(report)
        assert report.filled_base == sum(fill.size_base for fill in fills)
        assert {order_id} == {fill.venue_order_id for fill in fills}
        assert 1 == len(desk.exchange.orders(client_order_id=plan.client_order_id))

    def v_210_found_by_client_order_id(self, desk):
        """V-210: a closed order is found by our id, and by no other."""
        plan = desk.plan(*desk.market())
        (order_id,) = desk.submit(plan).venue_order_ids
        since = desk.clock.now() - timedelta(seconds=120)
        found = desk.reads.read_closed_orders(since=since, client_order_id=plan.client_order_id)
        assert [order_id] == [order.venue_order_id for order in found]
        other = desk.new_client_order_id()
        assert () == desk.reads.read_closed_orders(since=since, client_order_id=other)

    def v_220_rest_and_cancel(self, desk):
        """V-220: a resting order is listed as open, is canceled once, and a second cancel is rejected."""
        plan = desk.resting(*desk.market())
        (order_id,) = desk.submit(plan).venue_order_ids
        found = desk.reads.read_open_orders(client_order_id=plan.client_order_id)
        assert [(order_id, "open")] == [(order.venue_order_id, order.state) for order in found]
        for outcome in ("accepted", "rejected"):
            prepared = desk.prepare_cancel(plan, order_id)
            answer = desk.effects.cancel(prepared, receipt_of(prepared))
            assert (outcome, "answered") == (answer.outcome, answer.reached)
        report = desk.reads.read_order(order_id)
        assert ("canceled", Decimal(0)) == (report.state, report.filled_base)

    def v_230_cancel_by_client_order_id(self, desk):
        """V-230: an order whose venue id is not known is canceled by ours."""
        plan = desk.resting(*desk.market())
        (order_id,) = desk.submit(plan).venue_order_ids
        prepared = desk.prepare_cancel(plan, None)
        assert "accepted" == desk.effects.cancel(prepared, receipt_of(prepared)).outcome
        assert "canceled" == desk.reads.read_order(order_id).state

    def v_240_rejected(self, desk):
        """V-240: an order under the minimum is rejected and leaves no trace."""
        plan = desk.plan(*desk.market(), size_base="0.0001")
        answer = desk.submit(plan)
        assert ("rejected", ()) == (answer.outcome, answer.venue_order_ids)
        assert answer.errors
        assert [] == desk.exchange.orders(client_order_id=plan.client_order_id)

    def v_300_lost_answer(self, desk):
        """V-300: the answer is lost after the order was placed: unknown, and the order is found by our id."""
        plan = desk.plan(*desk.market())
        desk.exchange.fault(venue=desk.facts.venue, path=desk.facts.order_path, fault="drop_after_accept")
        answer = desk.submit(plan)
        assert ("unknown", "bytes_sent", ()) == (answer.outcome, answer.reached, answer.venue_order_ids)
        since = desk.clock.now() - timedelta(seconds=120)
        assert 1 == len(desk.reads.read_closed_orders(since=since, client_order_id=plan.client_order_id))

    @pytest.mark.parametrize("fault", ["drop_before_read", "http_error", "garbage", "truncate"])
    def v_310_broken_answers(self, desk, fault):
        """V-310: no whole, clean answer is ever taken for a refusal or an acceptance."""
        plan = desk.plan(*desk.market())
        desk.exchange.fault(venue=desk.facts.venue, path=desk.facts.order_path, fault=fault)
        answer = desk.submit(plan)
        assert ("unknown", ()) == (answer.outcome, answer.venue_order_ids)
        assert len(desk.exchange.orders(client_order_id=plan.client_order_id)) <= 1

    def v_320_not_connected(self, desk):
        """V-320: where nobody listens nothing was sent, and that is the only proof of it."""
        plan = desk.plan(*desk.market())
        prepared = desk.prepare_submit(plan)
        desk.exchange.fault(venue=desk.facts.venue, path="*", fault="refuse_connect", count=1, value=1)
        answer = desk.effects.submit(prepared, receipt_of(prepared))
        desk.exchange.clear_faults()
        assert ("never_sent", "not_connected") == (answer.outcome, answer.reached)
        assert [] == desk.exchange.orders(client_order_id=plan.client_order_id)

    @pytest.mark.parametrize("fault", ["drop_before_read", "http_error", "garbage", "truncate"])
    def v_330_failed_reads(self, desk, fault):
        """V-330: a read without a clean answer fails; it never looks like an empty list."""
        desk.exchange.fault(venue=desk.facts.venue, path=desk.facts.read_path, fault=fault)
        with pytest.raises(VenueReadFailed):
            desk.reads.read_open_orders()
        assert isinstance(desk.reads.read_open_orders(), tuple)

    def v_400_stream(self, desk):
        """V-400: the stream subscribes and shows an order with its fill."""
        plan = desk.plan(*desk.market())
        stream = desk.reads.open_stream()
        try:
            first = stream.next_event(wait_ms=2000)
            assert isinstance(first, StreamNotice)
            assert "subscribed" == first.kind
            (order_id,) = desk.submit(plan).venue_order_ids
            events = _until_filled(stream, order_id)
        finally:
            stream.close()
        assert any(isinstance(e, FillReport) and e.venue_order_id == order_id for e in events)

    def v_410_stream_cut(self, desk):
        """V-410: a stream that is cut says so."""
        stream = desk.reads.open_stream()
        try:
            assert "subscribed" == stream.next_event(wait_ms=2000).kind
            desk.exchange.fault(venue=desk.facts.venue, path="*", fault="stream_cut")
            for _ in range(200):
                event = stream.next_event(wait_ms=100)
                if isinstance(event, StreamNotice):
                    break
            assert "cut" == event.kind
        finally:
            stream.close()
            desk.exchange.clear_faults()

    def v_420_reads_over_the_stream(self, desk):
        """V-420: where a venue answers questions over its stream, they are the same reads on the same tape."""
        context = desk.reads.over_stream()
        if context is None:
            return
        quote, instrument = desk.market()
        (order_id,) = desk.submit(desk.resting(quote, instrument)).venue_order_ids
        desk.transport.tape.take()
        with context as reads:
            assert (desk.facts.venue, desk.reads.signer_id) == (reads.venue, reads.signer_id)
            assert "online" == reads.read_system_status().mode
            assert abs(reads.read_time().offset_ms) <= 50
            assert instrument == reads.read_instrument(desk.facts.symbol)
            assert reads.read_depth(instrument).asks
            asked = [
                lambda one: one.read_account(),
                lambda one: one.read_balances(),
                lambda one: one.read_order(order_id),
            ]
            over_stream = [ask(reads) for ask in asked]
            assert order_id in {order.venue_order_id for order in reads.read_open_orders()}
            assert [True] * len(over_stream) == [kept.method == "WS" for kept in desk.transport.tape.peek()][:3]
            with pytest.raises(VenueReadFailed) as caught:
                reads.read_instrument(desk.facts.unknown_symbol)
            assert "not_known" == caught.value.kind
        kept = desk.transport.tape.take()
        assert {("WS", "answered", None)} == {(one.method, one.reached, one.fault) for one in kept}
        assert all(one.request_body and one.response_body for one in kept)
        over_rest = [ask(desk.reads) for ask in asked]
        assert over_rest[:2] == over_stream[:2]
        assert (over_rest[2].venue_order_id, over_rest[2].state) == (
            over_stream[2].venue_order_id,
            over_stream[2].state,
        )
        with pytest.raises(VenueReadFailed) as caught:
            reads.read_system_status()
        assert "not_reached" == caught.value.kind

    def v_500_tape(self, desk):
        """V-500: each exchange stands on the tape with its purpose, and no secret does."""
        desk.transport.tape.take()
        desk.reads.read_account()
        desk.submit(desk.plan(*desk.market()))
        exchanges = desk.transport.tape.take()
        assert all(exchange.purpose and exchange.ended_at for exchange in exchanges)
        assert "submit" == exchanges[-1].purpose
        text = repr(exchanges)
        assert [] == [secret[:4] for secret in desk.facts.secrets if secret in text]


def _until_filled(stream, order_id):
    events = []
    for _ in range(100):
        event = stream.next_event(wait_ms=100)
        events.append(event)
        if isinstance(event, OrderReport) and event.venue_order_id == order_id and event.terminal:
            return events
    raise AssertionError("the stream never showed the order's end")
