"""Kraken behind the port, against the rehearsal exchange in a process of its own."""

from __future__ import annotations

import msgspec
import pytest

from quantlab.kernel.clock import SystemClock, rfc3339
from quantlab.model.order import Plan, Promotion
from quantlab.venues.kraken.auth import KrakenCredentials
from quantlab.venues.kraken.classify import needs_attempt
from quantlab.venues.kraken.orders import KrakenOrders
from quantlab.venues.kraken.reads import KrakenReads
from quantlab.venues.port import VenueReadFailed
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import SocketConnector
from quantlab.venues.transport import Transport
from tests.contract.exchange_process import ExchangeClock, MemoryTurns, running_exchange
from tests.contract.venue_contract import VenueContract, VenueDesk, VenueFacts, receipt_of


class KrakenDesk(VenueDesk):
    """Kraken's ports over one running exchange, with a full bucket."""

    def __init__(self, exchange, *, env=None):
        env = env or exchange.env
        self.exchange = exchange
        self.clock = ExchangeClock(exchange.kraken_url)
        redactor = Redactor()
        connector = SocketConnector(clock=self.clock)
        credentials = KrakenCredentials(
            read_api_key=lambda: env["KRAKEN_API_KEY"],
            read_api_secret=lambda: env["KRAKEN_API_SECRET"],
            redactor=redactor,
        )
        self.turns = MemoryTurns(self.clock)
        self.transport = Transport(
            connector=connector, clock=self.clock, redactor=redactor, needs_attempt=needs_attempt
        )
        self.reads = KrakenReads(
            transport=self.transport,
            base_url=exchange.kraken_url,
            credentials=credentials,
            turns=self.turns,
            clock=self.clock,
            stream_url=exchange.kraken_url.replace("http", "ws") + "/v2",
            connector=connector,
            redactor=redactor,
        )
        self.effects = KrakenOrders(
            transport=self.transport,
            base_url=exchange.kraken_url,
            credentials=credentials,
            clock=self.clock,
        )
        self.facts = VenueFacts(
            venue="kraken",
            symbol="ETH-USD",
            spellings=("ETH-USD", "eth/usd", "ETHUSD", "XETHZUSD"),
            base_asset="ETH",
            unknown_symbol="NOPE-USD",
            order_path="/0/private/AddOrder",
            read_path="/0/private/OpenOrders",
            secrets=(env["KRAKEN_API_KEY"], env["KRAKEN_API_SECRET"]),
        )

    def plan(self, quote, instrument, **changes):
        """Return a plan of a quarter of an ether, bought at most one percent above the ask."""
        worst = instrument.price_toward_safety(quote.ask * 101 / 100, buying=True)
        fields = {
            "venue": "kraken",
            "environment": "rehearsal",
            "account_identity": "key-sha256:0",
            "account_label": "acct_demo",
            "symbol": instrument.symbol,
            "venue_symbol": instrument.venue_symbol,
            "side": "buy",
            "order_type": "limit",
            "size_base": "0.25",
            "limit_price": None,
            "worst_price": f"{worst.normalize():f}",
            "time_in_force": "ioc",
            "post_only": False,
            "reduce_only": False,
            "notional_quote": "500",
            "reference_price": f"{quote.ask.normalize():f}",
            "client_order_id": self.new_client_order_id(),
            "session_id": "contract",
            "order_text": "",
            "policy_sha256": "0" * 64,
            "promotion": Promotion(source="none"),
            "planned_at": rfc3339(self.clock.now()),
        }
        plan = Plan(**fields | changes)
        return msgspec.structs.replace(plan, order_text=self.reads.freeze_order_text(plan))

    def prepare_submit(self, plan):
        """Return the prepared order."""
        with self.turns.turn(self.reads.signer_id) as turn:
            return self.effects.prepare_submit(plan, nonce=turn.next_nonce(), deadline_at=self.deadline())

    def prepare_cancel(self, plan, venue_order_id):
        """Return the prepared cancel."""
        with self.turns.turn(self.reads.signer_id) as turn:
            return self.effects.prepare_cancel(plan, venue_order_id=venue_order_id, nonce=turn.next_nonce())


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """One exchange for the module."""
    with running_exchange(tmp_path_factory.mktemp("exchange") / "state") as running:
        yield running


@pytest.fixture
def desk(exchange):
    """Return a desk whose key has a full bucket: a minute passed since the last card."""
    exchange.clear_faults()
    exchange.advance_clock(60)
    return KrakenDesk(exchange)


class TestKraken(VenueContract):
    """Every card of the contract."""


def _profile(exchange, name):
    profiles = exchange.get("/profiles")
    return profiles[name] if "profiles" not in profiles else profiles["profiles"][name]


@pytest.mark.parametrize(
    ("profile", "can_trade", "can_withdraw"), [("no_trade", False, False), ("can_withdraw", True, True)]
)
def test_permissions_of_other_keys(exchange, desk, profile, can_trade, can_withdraw):
    """What a key may do is read, so that a key that may too much or too little is refused."""
    facts = KrakenDesk(exchange, env=_profile(exchange, profile)).reads.read_account()
    assert (can_trade, can_withdraw) == (facts.can_trade, facts.can_withdraw)


def test_a_wrong_secret_is_refused(exchange, desk):
    """The exchange checks the signature, and the read says that the credentials were refused."""
    reads = KrakenDesk(exchange, env=_profile(exchange, "wrong_secret")).reads
    with pytest.raises(VenueReadFailed) as caught:
        reads.read_account()
    assert ("credentials_refused", ("EAPI:Invalid signature",)) == (
        caught.value.kind,
        caught.value.errors,
    )


def test_a_used_nonce_leaves_a_submit_unknown(desk):
    """A copy of a request is refused by its nonce, and that answer proves nothing about the first copy."""
    plan = desk.plan(*desk.market())
    prepared = desk.prepare_submit(plan)
    first = desk.effects.submit(prepared, receipt_of(prepared))
    second = desk.effects.submit(prepared, receipt_of(prepared))
    assert ("accepted", "unknown", "invalid_nonce") == (first.outcome, second.outcome, second.rule)
    assert 1 == len(desk.exchange.orders(client_order_id=plan.client_order_id))


def test_a_passed_deadline_is_unknown(desk):
    """A deadline that elapsed is the venue's word, and not a proof."""
    plan = desk.plan(*desk.market())
    prepared = desk.prepare_submit(plan)
    desk.exchange.advance_clock(15)
    answer = desk.effects.submit(prepared, receipt_of(prepared))
    assert "unknown" == answer.outcome
    assert [] == desk.exchange.orders(client_order_id=plan.client_order_id)


def test_a_partial_fill_is_read_as_one(desk):
    """What traded is read from the filled size, whatever the order's state is called."""
    desk.exchange.fault(venue="kraken", path="/0/private/AddOrder", fault="partial_fill", value="0.4")
    plan = desk.plan(*desk.market())
    (order_id,) = desk.submit(plan).venue_order_ids
    report = desk.reads.read_order(order_id)
    assert 0 < report.filled_base < report.size_base
    assert report.filled_base == sum(fill.size_base for fill in desk.reads.read_fills(report))


def test_the_rate_limit_is_a_kind_of_failure(desk):
    """A bucket that ran over says so; nothing is retried."""
    with pytest.raises(VenueReadFailed) as caught:
        [desk.reads.read_balances() for _ in range(40)]
    assert "rate_limited" == caught.value.kind


def test_tls_is_verified(tmp_path):
    """Without the throwaway authority the certificate fails; with it the same read works."""
    with running_exchange(tmp_path / "state", "--tls") as exchange:
        authority = tmp_path / "state" / "tls" / "authority.pem"
        clock = SystemClock()
        for ca_file in (None, authority):
            transport = Transport(
                connector=SocketConnector(clock=clock, extra_ca_file=ca_file),
                clock=clock,
                redactor=Redactor(),
                needs_attempt=needs_attempt,
            )
            reads = KrakenReads(
                transport=transport,
                base_url=exchange.kraken_url,
                credentials=None,
                turns=MemoryTurns(clock),
                clock=clock,
                stream_url="",
                connector=SocketConnector(clock=clock),
                redactor=Redactor(),
            )
            if ca_file is None:
                with pytest.raises(VenueReadFailed, match="certificate verify failed") as caught:
                    reads.read_system_status()
                assert "not_reached" == caught.value.kind
            else:
                assert "online" == reads.read_system_status().mode
