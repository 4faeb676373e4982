"""Hyperliquid behind the port, against the rehearsal exchange in a process of its own."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from quantlab.kernel.clock import rfc3339, to_ns
from quantlab.kernel.errors import Denied
from quantlab.model.execution import NOT_ADMITTED
from quantlab.model.order import Plan, Promotion
from quantlab.venues.hyperliquid.auth import HyperliquidSigner, address_of_key
from quantlab.venues.hyperliquid.classify import needs_attempt
from quantlab.venues.hyperliquid.orders import HyperliquidOrders
from quantlab.venues.hyperliquid.reads import HyperliquidReads
from quantlab.venues.port import VenueReadFailed
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import SocketConnector
from quantlab.venues.transport import Transport
from tests.contract.exchange_process import ExchangeClock, running_exchange
from tests.contract.venue_contract import VenueContract, VenueDesk, VenueFacts, receipt_of


class WeightTurns:
    """A turn for a single process: no nonces of its own, and room for every weight."""

    def __init__(self):
        self.weight = 0

    @contextmanager
    def turn(self, signer_id):
        """Give the turn."""
        yield self

    def next_nonce(self):
        """Refuse: a read takes no nonce."""
        raise AssertionError("a read takes no nonce")

    def spend_points(self, points, *, capacity, decay_per_kilosecond):
        """Note the weight."""
        assert (900, 5_000) == (capacity, decay_per_kilosecond)
        self.weight += points


_NONCES = {"last": 0}


class HyperliquidDesk(VenueDesk):
    """Hyperliquid's ports over one running exchange."""

    def __init__(self, exchange, *, env=None, account=None):
        env = env or exchange.env
        self.exchange = exchange
        self.clock = ExchangeClock(exchange.hyperliquid_url)
        connector = SocketConnector(clock=self.clock)
        self.turns = WeightTurns()
        self.transport = Transport(
            connector=connector, clock=self.clock, redactor=Redactor(), needs_attempt=needs_attempt
        )
        self.account = account or env["HYPERLIQUID_ACCOUNT"]
        self.reads = HyperliquidReads(
            transport=self.transport,
            base_url=exchange.hyperliquid_url,
            account=self.account,
            signer=env["HYPERLIQUID_SIGNER_ID"],
            turns=self.turns,
            clock=self.clock,
            stream_url=exchange.hyperliquid_url.replace("http", "ws") + "/ws",
            connector=connector,
        )
        self.effects = HyperliquidOrders(
            transport=self.transport,
            base_url=exchange.hyperliquid_url,
            signer=HyperliquidSigner(
                address=env["HYPERLIQUID_SIGNER_ID"], read_private_key=lambda: env["HYPERLIQUID_PRIVATE_KEY"]
            ),
            environment="rehearsal",
            vault_address=self.reads.vault_address() if account else None,
        )
        self.facts = VenueFacts(
            venue="hyperliquid",
            symbol="ETH",
            spellings=("ETH", "eth", " Eth "),
            base_asset="ETH",
            unknown_symbol="NOPE",
            order_path="/exchange",
            read_path="/info",
            secrets=(env["HYPERLIQUID_PRIVATE_KEY"], env["HYPERLIQUID_PRIVATE_KEY"][2:]),
        )

    def nonce(self):
        """Return the exchange's time in milliseconds, or one above the last nonce."""
        _NONCES["last"] = max(_NONCES["last"] + 1, to_ns(self.clock.now()) // 1_000_000)
        return _NONCES["last"]

    def plan(self, quote, instrument, **changes):
        """Return a plan of a small buy, at most half a percent above the ask."""
        worst = instrument.price_toward_safety(quote.ask * Decimal("1.005"), buying=True)
        fields = {
            "venue": "hyperliquid",
            "environment": "rehearsal",
            "account_identity": self.account,
            "account_label": self.account,
            "symbol": instrument.symbol,
            "venue_symbol": instrument.venue_symbol,
            "venue_symbol_aliases": instrument.venue_symbol_aliases,
            "side": "buy",
            "order_type": "limit",
            "size_base": "0.025",
            "limit_price": None,
            "worst_price": f"{worst.normalize():f}",
            "time_in_force": "ioc",
            "post_only": False,
            "reduce_only": False,
            "notional_quote": "50",
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

    def sign(self, plan, *, seconds=60):
        """Return the signed order and the signed noop of its nonce."""
        nonce = self.nonce()
        signed = self.effects.sign_order(plan, nonce=nonce, expires_at=self.deadline(seconds))
        return signed, self.effects.sign_noop(plan, nonce=nonce)

    def prepare_submit(self, plan):
        """Return the prepared order."""
        return self.effects.prepare_submit_signed(self.sign(plan)[0])

    def prepare_cancel(self, plan, venue_order_id):
        """Return the prepared cancel."""
        return self.effects.prepare_cancel(plan, venue_order_id=venue_order_id, nonce=self.nonce())

    def send(self, signed):
        """Submit signed bytes."""
        prepared = self.effects.prepare_submit_signed(signed)
        return self.effects.submit(prepared, receipt_of(prepared))

    def burn(self, noop):
        """Send a signed noop."""
        prepared = self.effects.prepare_burn(noop)
        return self.effects.burn(prepared, receipt_of(prepared))


def _answers(exchange):
    request = urllib.request.Request(
        exchange.hyperliquid_url + "/info",
        data=b'{"type":"exchangeStatus"}',
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """One exchange for the module."""
    with running_exchange(tmp_path_factory.mktemp("exchange") / "state") as running:
        if not _answers(running):
            pytest.skip("the rehearsal exchange does not speak Hyperliquid yet")
        yield running


@pytest.fixture
def desk(exchange):
    """Return a desk whose address has its whole weight: a minute passed since the last card."""
    exchange.clear_faults()
    exchange.advance_clock(60)
    return HyperliquidDesk(exchange)


class TestHyperliquid(VenueContract):
    """Every card of the contract."""


def _profile(exchange, name):
    profiles = exchange.get("/profiles")
    return profiles[name] if "profiles" not in profiles else profiles["profiles"][name]


def _with_signer(exchange, signer_id, private_key="0x" + "5e" * 32):
    env = exchange.env | {"HYPERLIQUID_SIGNER_ID": signer_id, "HYPERLIQUID_PRIVATE_KEY": private_key}
    return HyperliquidDesk(exchange, env=env)


def _stranger(exchange):
    return _with_signer(exchange, address_of_key(bytes.fromhex("5e" * 32)))


def test_signers_that_may_not_trade(exchange, desk):
    """What a signer may do is read, so that one that never was an agent, or no longer is one, is refused."""
    expired = HyperliquidDesk(exchange, env=_profile(exchange, "expired_agent"))
    assert [False, False] == [one.reads.read_account().can_trade for one in (expired, _stranger(exchange))]


def test_the_account_itself_may_withdraw(exchange, desk):
    """A signer that is the account is known for what it is."""
    facts = _with_signer(exchange, desk.account).reads.read_account()
    assert (True, True) == (facts.can_trade, facts.can_withdraw)


def test_the_key_of_another_signer_signs_nothing(exchange, desk):
    """The declared signer and the key's address must be one."""
    other = HyperliquidDesk(exchange, env=_profile(exchange, "other_signer"))
    with pytest.raises(Denied) as caught:
        other.sign(other.plan(*other.market()))
    assert "signer_identity_mismatch" == caught.value.code


def test_a_burn_of_an_unused_nonce_closes_it(desk):
    """Done means that the order was never admitted, and now never can be."""
    signed, noop = desk.sign(desk.plan(*desk.market()))
    burned = desk.burn(noop)
    assert ("accepted", "unused") == (burned.outcome, burned.nonce_was)
    answer = desk.send(signed)
    assert ("unknown", "duplicate_nonce", ()) == (answer.outcome, answer.rule, answer.venue_order_ids)
    assert [] == desk.exchange.orders(client_order_id=signed.client_order_id)


def test_a_burn_of_a_used_nonce_says_so(desk):
    """Then the order was admitted, and its result is to be looked for. A copy of it does nothing."""
    signed, noop = desk.sign(desk.plan(*desk.market()))
    assert "accepted" == desk.send(signed).outcome
    burned = desk.burn(noop)
    assert ("unknown", "duplicate_nonce", "used") == (burned.outcome, burned.rule, burned.nonce_was)
    assert "duplicate_nonce" == desk.send(signed).rule
    assert 1 == len(desk.exchange.orders(client_order_id=signed.client_order_id))


def test_an_expired_order_is_rejected(desk):
    """After its expiry the venue takes it no more, and leaves no order."""
    signed, _ = desk.sign(desk.plan(*desk.market()), seconds=20)
    desk.exchange.advance_clock(30)
    answer = desk.send(signed)
    assert ("rejected", "already_expired") == (answer.outcome, answer.rule)
    assert [] == desk.exchange.orders(client_order_id=signed.client_order_id)


def test_an_unknown_signer_is_not_admitted(exchange, desk):
    """Refused before admission: unknown, for the bytes could still run."""
    other = _stranger(exchange)
    answer = other.send(other.sign(other.plan(*other.market()))[0])
    assert ("unknown", True) == (answer.outcome, answer.rule.startswith(NOT_ADMITTED))


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_bytes_of_an_agent_that_was_away_can_still_run(desk, how):
    """Which is why a refusal before admission is no rejection: the same bytes are taken when the agent is back."""
    signed, _ = desk.sign(desk.plan(*desk.market()))
    desk.exchange.fault(venue="hyperliquid", path="*", fault="agent_removed", value=how)
    refused = desk.send(signed)
    assert ("unknown", True) == (refused.outcome, refused.rule.startswith(NOT_ADMITTED))
    desk.exchange.clear_faults()
    assert "accepted" == desk.send(signed).outcome
    assert 1 == len(desk.exchange.orders(client_order_id=signed.client_order_id))


def test_a_request_that_is_delivered_twice_places_one_order(desk):
    """The second copy's answer speaks of the nonce: it proves nothing, and the order is found."""
    desk.exchange.fault(venue="hyperliquid", path="/exchange", fault="duplicate")
    plan = desk.plan(*desk.market())
    answer = desk.submit(plan)
    assert ("unknown", "duplicate_nonce") == (answer.outcome, answer.rule)
    assert 1 == len(desk.exchange.orders(client_order_id=plan.client_order_id))
    assert "filled" == desk.reads.read_order_by_client_id(plan.client_order_id).state


@pytest.mark.parametrize("burned", [True, False])
def test_an_order_in_flight_is_stopped_by_a_burn(desk, burned):
    """A request that arrives late finds its nonce used; without the burn it is executed."""
    desk.exchange.fault(venue="hyperliquid", path="/exchange", type="order", fault="late", value=20)
    signed, noop = desk.sign(desk.plan(*desk.market()))
    lost = desk.send(signed)
    assert ("unknown", "bytes_sent") == (lost.outcome, lost.reached)
    if burned:
        assert "unused" == desk.burn(noop).nonce_was
    desk.exchange.advance_clock(30)
    desk.clock.refresh()
    found = desk.reads.read_order_by_client_id(signed.client_order_id)
    assert burned is (found is None)


@pytest.mark.parametrize("status", [429, 502])
def test_the_edge_answers_instead_of_the_venue(desk, status):
    """A rate limit and a gateway's page leave a submit open."""
    desk.exchange.fault(venue="hyperliquid", path="/exchange", fault="http_error", value=status)
    answer = desk.submit(desk.plan(*desk.market()))
    assert ("unknown", "http_status") == (answer.outcome, answer.rule)


def test_a_partial_fill_is_read_as_one(desk):
    """An immediate order that was filled in part is `filled` at the venue: the fills tell what traded."""
    desk.exchange.fault(venue="hyperliquid", path="/exchange", fault="partial_fill", value="0.4")
    (order_id,) = desk.submit(desk.plan(*desk.market())).venue_order_ids
    desk.exchange.advance_clock(10)
    desk.clock.refresh()
    report = desk.reads.read_order(order_id)
    assert ("filled", True) == (report.state, 0 < report.filled_base < report.size_base)
    assert report.filled_base == sum(fill.size_base for fill in desk.reads.read_fills(report))


def test_an_order_by_its_client_order_id(desk):
    """Found in one question, and cleanly not shown where there is none."""
    plan = desk.plan(*desk.market())
    assert None is desk.reads.read_order_by_client_id(plan.client_order_id)
    (order_id,) = desk.submit(plan).venue_order_ids
    assert order_id == desk.reads.read_order_by_client_id(plan.client_order_id).venue_order_id


def test_a_spot_order_fills(desk):
    """Spot has its own numbers, decimals, fees in the received token, and funds."""
    instrument = desk.reads.read_instrument("PURR-USDC")
    quote = desk.reads.read_quote(instrument)
    size = (Decimal(20) / quote.ask).to_integral_value()
    plan = desk.plan(quote, instrument, size_base=f"{size}", notional_quote="20")
    answer = desk.submit(plan)
    assert ("accepted", "filled") == (answer.outcome, answer.rule), answer.errors
    report = desk.reads.read_order(answer.venue_order_ids[0])
    assert (size, True) == (report.filled_base, 0 < report.fee_quote < 1)
    assert {"PURR.spot", "USDC.spot"} <= {balance.asset for balance in desk.reads.read_balances()}


def test_every_size_and_price_of_the_grid_is_taken(desk):
    """What our grid calls valid the venue calls valid, and the other way round."""
    quote, instrument = desk.market()
    low, high = instrument.nearest_prices(quote.bid * Decimal("0.9") + Decimal("0.03"))
    for price in (low, high):
        answer = desk.submit(desk.plan(quote, instrument, limit_price=f"{price.normalize():f}", time_in_force="gtc"))
        assert ("accepted", "resting") == (answer.outcome, answer.rule), answer.errors
    finer = desk.plan(quote, instrument, limit_price=f"{low + Decimal('0.01')}", time_in_force="gtc")
    assert "rejected" == desk.submit(finer).outcome
    assert "rejected" == desk.reads.check_order(finer, deadline_at=desk.deadline()).verdict


def test_a_sub_account_is_traded_through_its_masters_agent(exchange, desk):
    """The order names it in hash and body, and stands in its own list."""
    answer = desk.transport.exchange(_info_request(exchange, {"type": "subAccounts", "user": desk.account}))
    (sub,) = msgspec.json.decode(answer.body)
    other = HyperliquidDesk(exchange, account=sub["subAccountUser"])
    facts = other.reads.read_account()
    assert (sub["subAccountUser"], True, False) == (facts.identity, facts.can_trade, facts.can_withdraw)
    plan = other.plan(*other.market())
    (order_id,) = other.submit(plan).venue_order_ids
    assert order_id == other.reads.read_order(order_id).venue_order_id
    assert None is desk.reads.read_order(order_id)


def _info_request(exchange, body):
    from quantlab.venues.transport import HttpRequest

    return HttpRequest(
        purpose="sub-accounts",
        method="POST",
        url=exchange.hyperliquid_url + "/info",
        headers=(("Content-Type", "application/json"),),
        body=msgspec.json.encode(body),
    )


def test_the_public_stream_answers(desk):
    """Subscribed and pinged, without an account."""
    assert "connected, subscribed, ping answered" == desk.reads.check_stream()


@pytest.mark.parametrize(
    ("fault", "kind", "reached"),
    [
        ({"fault": "drop_before_read"}, "no_answer", "bytes_sent"),
        ({"fault": "drop_after_accept"}, "no_answer", "bytes_sent"),
        ({"fault": "truncate"}, "no_answer", "bytes_sent"),
        ({"fault": "truncate", "value": "json"}, "bad_answer", "answered"),
        ({"fault": "garbage"}, "bad_answer", "answered"),
        ({"fault": "http_error", "value": 429}, "rate_limited", "answered"),
        ({"fault": "http_error", "value": 502}, "venue_fault", "answered"),
    ],
)
def test_failed_reads_over_the_stream(desk, fault, kind, reached):
    """None of them looks like an empty list; a connection that lives goes on, and one that was lost stays lost."""
    desk.exchange.fault(venue="hyperliquid", path="/ws", type="frontendOpenOrders", **fault)
    desk.transport.tape.take()
    with desk.reads.over_stream() as reads:
        with pytest.raises(VenueReadFailed) as caught:
            reads.read_open_orders()
        assert (kind, reached) == (caught.value.kind, desk.transport.tape.take()[-1].reached)
        if reached == "answered":
            assert isinstance(reads.read_open_orders(), tuple)
        else:
            with pytest.raises(VenueReadFailed) as caught:
                reads.read_open_orders()
            assert "not_reached" == caught.value.kind
    assert isinstance(desk.reads.read_open_orders(), tuple)


def test_posts_are_listed_as_requests(desk):
    """Under the stream's path, by the type of what was asked, and their weight is counted here as over REST."""
    before = len(desk.exchange.get("/requests")["requests"])
    with desk.reads.over_stream() as reads:
        reads.read_account()
    rows = desk.exchange.get("/requests")["requests"][before:]
    assert [("/ws", "userRole"), ("/ws", "extraAgents")] == [(row["path"], row["type"]) for row in rows]
    assert 80 == desk.turns.weight


def test_the_details_of_an_account(exchange, desk):
    """The agent by its name, the mode in words, the requests used; a mode that is refused is not shown."""
    details = dict(desk.reads.read_account_details())
    assert ("user", "agent", "standard (disabled)", desk.account) == (
        details["account role"],
        details["signer role"],
        details["account mode"],
        details["master"],
    )
    assert details["signer is"].startswith("the agent ")
    assert " of 1" in details["requests used"]
    assert details["account value"].endswith(" USDC")
    exchange.fault(venue="hyperliquid", path="/info", type="userAbstraction", fault="http_error", value=500)
    assert "not shown" == dict(desk.reads.read_account_details())["account mode"]
    expired = HyperliquidDesk(exchange, env=_profile(exchange, "expired_agent"))
    assert " ended " in dict(expired.reads.read_account_details())["signer is"]


def test_fills_before_now_are_bounded_by_time(desk):
    """The list goes from the time asked for to the end."""
    desk.submit(desk.plan(*desk.market()))
    since = desk.clock.now() - timedelta(seconds=30)
    fills = desk.reads.read_account_fills(since=since)
    assert fills
    assert all(fill.executed_at >= since for fill in fills)
