"""Each check refuses exactly beyond its limit, passes at it, and names what it measured."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from quantlab.kernel.clock import NANOSECONDS_PER_SECOND, rfc3339, to_ns
from quantlab.model.instrument import SystemStatus
from quantlab.model.order import Promotion
from quantlab.model.policy import Policy
from quantlab.rungs import checks
from quantlab.storage.ledger import Halt
from tests.support import values
from tests.support.virtual import Bench

POLICY = Policy()


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.fixture
def desk(bench):
    """The desk of one command."""
    desk = bench.desk()
    yield desk
    desk.ledger.close()


def by_code(found):
    """Return checks by their code."""
    return {check.code: check for check in found}


def failed(found):
    """Return the codes of the checks that refused."""
    return [check.code for check in found if not check.passed]


# ------------------------------------------------------------------------------ venue, clock, key


def test_venue_checks_pass_on_an_open_venue(desk):
    """An open venue, an open market, a clean key and equal clocks give no refusal."""
    clock = values.venue_time(at=desk.clock.now())
    found = checks.venue_checks(desk, values.outlook(time=clock))
    assert [] == failed(found)
    assert checks.all_passed(found)


@pytest.mark.parametrize("mode", ["cancel_only", "post_only", "limit_only", "reduce_only", "maintenance", "unknown"])
def test_a_venue_that_does_not_take_every_order_is_refused(desk, mode):
    """Every mode of the venue but online is refused, with the venue's own word."""
    clock = values.venue_time(at=desk.clock.now())
    found = checks.venue_checks(desk, values.outlook(time=clock, status=SystemStatus(mode=mode, raw=f"raw {mode}")))
    assert ["venue_status"] == failed(found)
    assert f"raw {mode}" == by_code(found)["venue_status"].measured


@pytest.mark.parametrize("mode", ["cancel_only", "post_only", "limit_only", "reduce_only", "maintenance", "unknown"])
def test_a_market_that_does_not_take_every_order_is_refused(desk, mode):
    """Every mode of the market but online is refused."""
    clock = values.venue_time(at=desk.clock.now())
    found = checks.venue_checks(desk, values.outlook(time=clock, instrument=values.instrument(mode=mode)))
    assert ["market_status"] == failed(found)
    assert mode == by_code(found)["market_status"].measured


@pytest.mark.parametrize(
    ("offset_ms", "resolution_ms", "passed"),
    [
        (5000, 0, True),
        (5001, 0, False),
        (-5000, 0, True),
        (-5001, 0, False),
        (6000, 1000, True),
        (6001, 1000, False),
        (-6001, 1000, False),
    ],
)
def test_clock_skew_is_bounded_at_five_seconds(desk, offset_ms, resolution_ms, passed):
    """Five seconds of skew pass and a millisecond more does not, either way; the clock's resolution is no skew."""
    check = checks.clock_check(desk, values.venue_time(offset_ms=offset_ms, resolution_ms=resolution_ms))
    assert passed == check.passed
    assert (f"{offset_ms} ms", "5000 ms") == (check.measured, check.limit)


@pytest.mark.parametrize(
    ("fact", "name"),
    [
        ("can_trade", "trade"),
        ("can_read_open_orders", "read open orders"),
        ("can_read_closed_orders", "read closed orders"),
        ("can_read_funds", "read funds"),
    ],
)
def test_each_needed_permission_is_missed_by_name(fact, name):
    """A key without one needed permission is refused and the permission named."""
    found = checks.permission_checks(values.account(**{fact: False}))
    assert ["key_permissions"] == failed(found)
    assert f"missing: {name}" == by_code(found)["key_permissions"].measured


def test_a_key_that_can_withdraw_is_refused():
    """A key that can withdraw is refused although it may do all that is needed."""
    found = checks.permission_checks(values.account(can_withdraw=True))
    assert ["key_can_withdraw"] == failed(found)


@pytest.mark.parametrize(("window", "measured"), [(1, "1"), (None, "not stated")])
def test_a_nonce_window_must_be_known_and_zero(window, measured):
    """A window of one nanosecond, or one that the venue does not state, is refused."""
    found = checks.permission_checks(values.account(nonce_window=window))
    assert ["nonce_window"] == failed(found)
    assert measured == by_code(found)["nonce_window"].measured


@pytest.mark.parametrize(
    ("dates", "measured"),
    [
        ({"query_from": "2026-01-01"}, "2026-01-01"),
        ({"query_to": "2026-12-31"}, "2026-12-31"),
        ({"query_from": "2026-01-01", "query_to": "2026-12-31"}, "2026-01-01, 2026-12-31"),
    ],
)
def test_a_key_that_hides_history_is_refused(dates, measured):
    """A date range on the key would fake an absence: refused, with the dates."""
    found = checks.permission_checks(values.account(**dates))
    assert ["key_query_dates"] == failed(found)
    assert measured == by_code(found)["key_query_dates"].measured


@pytest.mark.parametrize(("ahead_seconds", "passed"), [(60, True), (61, False)])
def test_a_nonce_far_ahead_is_refused(desk, ahead_seconds, passed):
    """The last nonce may lie sixty seconds ahead of the venue's time, not sixty-one."""
    nonce = to_ns(values.NOON) + ahead_seconds * NANOSECONDS_PER_SECOND
    desk.ledger.next_nonce(desk.reads.signer_id, floor=nonce)
    check = checks.nonce_check(desk, values.venue_time())
    assert passed == check.passed
    assert f"{ahead_seconds} s" == check.measured


def test_a_key_without_a_nonce_is_not_ahead(desk):
    """A key that was never used passes, and nothing negative is shown."""
    check = checks.nonce_check(desk, values.venue_time())
    assert (True, "0 s") == (check.passed, check.measured)


# ------------------------------------------------------------------------------- label and symbol


def test_a_label_is_bound_to_the_first_account(desk):
    """A label names the account it was first used for; another account under it is refused."""
    assert checks.label_check(desk, label="demo", identity="first").passed
    assert checks.label_check(desk, label="demo", identity="first").passed
    other = checks.label_check(desk, label="demo", identity="second")
    assert (False, "second", "first") == (other.passed, other.measured, other.limit)
    assert checks.label_check(desk, label="another", identity="second").passed


def test_only_allowed_symbols_pass():
    """A symbol that the policy does not list is refused, with the list."""
    assert checks.symbol_check(POLICY, "ETH-USD").passed
    check = checks.symbol_check(POLICY, "DOGE-USD")
    assert (False, "DOGE-USD") == (check.passed, check.measured)
    assert "ETH-USD" in check.limit


# ---------------------------------------------------------------------------------- size and price


@pytest.mark.parametrize(
    ("size", "refused"),
    [
        ("0.002", []),
        ("0.003", []),
        ("0.0021", ["size_increment"]),
        ("0.001", ["minimum_size"]),
        ("0.0019", ["minimum_size"]),
    ],
)
def test_size_keeps_the_grid_and_the_minimum(size, refused):
    """A size on the grid and at the minimum passes; off the grid or a step below the minimum it does not."""
    assert refused == failed(checks.shape_checks(values.intent(size_base=Decimal(size)), values.instrument()))


def test_a_size_off_the_grid_names_the_nearest():
    """Nothing is rounded: the refusal names both nearest valid sizes."""
    found = by_code(checks.shape_checks(values.intent(size_base=Decimal("0.2504")), values.instrument()))
    assert "0.25 or 0.251" in found["size_increment"].message
    assert ("0.2504", "a multiple of 0.001") == (found["size_increment"].measured, found["size_increment"].limit)


def test_a_price_off_the_grid_names_the_nearest():
    """A limit price between two ticks is refused with both ticks; on a tick it passes."""
    market = values.instrument()
    found = by_code(checks.shape_checks(values.intent(limit_price=Decimal("1999.995")), market))
    assert not found["price_increment"].passed
    assert "1999.99 or 2000" in found["price_increment"].message
    on_tick = by_code(checks.shape_checks(values.intent(limit_price=Decimal("1999.99")), market))
    assert on_tick["price_increment"].passed
    assert "price_increment" not in by_code(checks.shape_checks(values.intent(), market))


def test_a_price_with_too_many_figures_names_the_ticks_around_it():
    """Five significant figures make the ticks wider than the finest one: the limit is the tick that holds there."""
    market = msgspec.structs.replace(values.instrument(), significant_figures=5)
    found = by_code(checks.shape_checks(values.intent(limit_price=Decimal("1812.34")), market))["price_increment"]
    assert ("1812.34", "a multiple of 0.1") == (found.measured, found.limit)
    assert "1812.3 or 1812.4" in found.message


# ------------------------------------------------------------------------------------------- money


@pytest.mark.parametrize(
    ("declared", "passed"), [("550", True), ("550.01", False), ("450", True), ("449.99", False), ("500", True)]
)
def test_notional_tolerance_is_ten_percent_either_way(declared, passed):
    """Ten percent off size times price passes, a cent more does not, above and below."""
    check = checks.tolerance_check(Decimal(declared), Decimal(500), POLICY)
    assert passed == check.passed
    assert f"declared {declared}, size times price is 500.00" in check.measured


@pytest.mark.parametrize(
    ("size", "declared", "passed"),
    [("0.5", "1000", True), ("0.5", "1000.01", False), ("0.501", "1000", False)],
)
def test_the_largest_order_counts_the_larger_of_declared_and_real(size, declared, passed):
    """Exactly the maximum passes; a cent more declared, or one step more of size, is refused."""
    asked = values.intent(size_base=Decimal(size), notional_quote=Decimal(declared))
    rich = values.outlook(balances=(values.balance("USD", "5000"),))
    found = by_code(checks.money_checks(asked, values.terms(), rich, POLICY))
    assert passed == found["max_order_notional"].passed


def test_value_is_taken_at_the_worse_of_quote_and_limit():
    """Buying with a limit above the quote, the limit bounds the value; below it, the quote does."""
    rich = values.outlook(balances=(values.balance("USD", "5000"),))
    for worst, shown in (("2020", "505"), ("1900", "500")):
        priced = values.terms(limit_price=Decimal(worst), worst_price=Decimal(worst))
        found = by_code(checks.money_checks(values.intent(), priced, rich, POLICY))
        assert shown == found["minimum_cost"].measured


@pytest.mark.parametrize(("minimum", "passed"), [("500", True), ("500.01", False)])
def test_the_cost_minimum_is_exact(minimum, passed):
    """An order worth exactly the market's minimum passes, a cent below does not."""
    market = values.outlook(instrument=values.instrument(minimum_cost=Decimal(minimum)))
    found = by_code(checks.money_checks(values.intent(), values.terms(), market, POLICY))
    assert passed == found["minimum_cost"].passed


@pytest.mark.parametrize(("held", "passed"), [("502", True), ("501.99", False)])
def test_funds_carry_the_order_with_its_fee(held, passed):
    """Buying for 500 at 40 bps needs 502: a cent less is refused."""
    poor = values.outlook(balances=(values.balance("USD", held, total="9999"), values.balance("ETH", "9")))
    check = checks.funds_check(values.intent(), notional=Decimal(500), outlook=poor)
    assert passed == check.passed
    assert (f"{held} USD available", "502.00000000 USD needed") == (check.measured, check.limit)


@pytest.mark.parametrize(("held", "passed"), [("0.25", True), ("0.249", False)])
def test_selling_needs_the_base_and_no_fee(held, passed):
    """Selling needs exactly the size of the base asset."""
    poor = values.outlook(balances=(values.balance("ETH", held),))
    check = checks.funds_check(values.intent(side="sell"), notional=Decimal(500), outlook=poor)
    assert passed == check.passed


MARGINED = values.instrument(quote_asset="USDC", margined=True)


def margin_check(held, side, position=None, size="0.25"):
    """Return the check of an order for 500 on margin, with so much USDC free and such a position in ETH."""
    balances = [values.balance("USDC", held, total="9999"), values.balance("BTC", "9")]
    if position is not None:
        balances.append(values.balance("ETH", position))
    asked = values.intent(side=side, size_base=Decimal(size))
    outlook = values.outlook(instrument=MARGINED, balances=tuple(balances))
    return checks.funds_check(asked, notional=Decimal(500), outlook=outlook)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("held", "passed"), [("502", True), ("501.99", False)])
def test_margin_carries_the_whole_value_either_way(side, held, passed):
    """Where orders are carried by margin, buying and selling for 500 both need 502 free, as without leverage."""
    check = margin_check(held, side)
    assert passed == check.passed
    assert (f"{held} USDC available", "502.00000000 USDC needed") == (check.measured, check.limit)


@pytest.mark.parametrize(("side", "position"), [("sell", "0.25"), ("sell", "3"), ("buy", "-0.25"), ("buy", "-3")])
@pytest.mark.parametrize(("held", "passed"), [("2", True), ("1.99", False)])
def test_making_a_position_smaller_needs_the_fee_alone(side, position, held, passed):
    """Against a position at least as large, long or short, free margin must cover the fee and no more."""
    check = margin_check(held, side, position)
    assert (passed, "2.00000000 USDC needed") == (check.passed, check.limit)


@pytest.mark.parametrize(
    ("side", "position"), [("sell", "0.249"), ("buy", "-0.249"), ("sell", "-3"), ("buy", "3"), ("sell", "0")]
)
def test_turning_or_enlarging_a_position_needs_the_whole_value(side, position):
    """A step more than the position, or an order in its own direction, is carried as a whole."""
    check = margin_check("501.99", side, position)
    assert (False, "502.00000000 USDC needed") == (check.passed, check.limit)


def test_no_balance_row_means_no_funds():
    """An account without any row of the asset holds zero."""
    check = checks.funds_check(values.intent(), notional=Decimal(500), outlook=values.outlook(balances=()))
    assert (False, "0 USD available") == (check.passed, check.measured)


@pytest.mark.parametrize(("buying", "worst"), [(True, "2020"), (False, "1980")])
def test_the_collar_is_exact_on_both_sides(buying, worst):
    """A price 100 bps worse than the quote passes, a cent worse does not, a better one always does."""
    cent = Decimal("0.01") if buying else Decimal("-0.01")
    for price, passed in ((Decimal(worst), True), (Decimal(worst) + cent, False), (4000 - Decimal(worst), True)):
        priced = values.terms(limit_price=price, worst_price=price)
        assert passed == checks.collar_check(priced, buying=buying, policy=POLICY).passed


def test_a_market_order_says_that_it_has_no_bound():
    """The collar does not stand for a plain market order, and the check says so."""
    check = checks.collar_check(values.terms(order_type="market", worst_price=None), buying=True, policy=POLICY)
    assert (True, "market order") == (check.passed, check.measured)
    assert "no price bound" in check.limit


@pytest.mark.parametrize(
    ("ask", "passed"), [("2020.00", True), ("2020.01", False), ("1980.00", True), ("1979.99", False)]
)
def test_drift_is_bounded_either_way(ask, passed):
    """The quote may be 100 bps off the plan's, not a cent more, up or down."""
    check = checks.drift_check(values.plan(), values.quote(bid="1000.00", ask=ask), POLICY)
    assert passed == check.passed
    assert "planned on 2000" in check.measured


def test_drift_of_a_sell_looks_at_the_bid():
    """A seller meets the bid: the ask's distance does not matter."""
    check = checks.drift_check(values.plan(side="sell"), values.quote(bid="2000.00", ask="9000.00"), POLICY)
    assert check.passed


# ------------------------------------------------------------------------------------ the day, halt


def test_the_day_counts_this_order_too(bench):
    """The last order of the day's number passes, the next is refused; likewise for the day's notional."""
    bench.submitted()
    for limit, passed in ((2, True), (1, False)):
        bench.policy(daily_orders=limit)
        desk = bench.desk()
        identity = desk.reads.read_account().identity
        found = by_code(checks.daily_checks(desk, identity=identity, notional=Decimal(1)))
        assert passed == found["daily_orders"].passed
        assert ("2", str(limit)) == (found["daily_orders"].measured, found["daily_orders"].limit)
        desk.ledger.close()
    bench.policy(daily_notional=1000)
    desk = bench.desk()
    _, sent = desk.ledger.daily(desk.account_key(identity), desk.now_text()[:10])
    assert 0 < sent < 1000
    for more, passed in ((1000 - sent, True), (1000 - sent + Decimal("0.01"), False)):
        found = by_code(checks.daily_checks(desk, identity=identity, notional=more))
        assert passed == found["daily_notional"].passed
    desk.ledger.close()


def test_the_day_is_the_utc_day(bench):
    """At midnight UTC the count begins again."""
    session = bench.submitted()
    bench.world.pass_seconds(86_400)
    desk = bench.desk()
    identity = str(bench.standing(session).plan.account_identity)
    found = by_code(checks.daily_checks(desk, identity=identity, notional=Decimal(1)))
    assert "1" == found["daily_orders"].measured
    desk.ledger.close()


def test_a_halt_in_the_ledger_or_as_a_file_refuses(desk, bench):
    """Either place halts, the ledger's is named first, and the file is the one beside the root."""
    assert checks.halt_check(desk, bench.root).passed
    file = checks.halt_file(bench.root)
    assert bench.folder / "outputs" / "HALT" == file
    file.parent.mkdir()
    file.write_text("")
    check = checks.halt_check(desk, bench.root)
    assert (False, f"the file {file} exists") == (check.passed, check.measured)
    desk.ledger.set_halt(Halt(reviewer="marce", reason="odd fills", halted_at="2026-09-21T12:00:00.000000Z"))
    assert "set by marce at 2026-09-21T12:00:00.000000Z: odd fills" == checks.halt_reason(desk, bench.root)
    file.unlink()
    assert not checks.halt_check(desk, bench.root).passed


# ------------------------------------------------------------------------------ promotion, lifetime


@pytest.mark.parametrize(
    ("source", "required", "passed"),
    [
        ("none", False, True),
        ("rationale", False, True),
        ("paper_session", False, True),
        ("none", True, False),
        ("rationale", True, False),
        ("paper_session", True, True),
    ],
)
def test_promotion_is_demanded_only_where_the_policy_says(source, required, passed):
    """Where the policy requires promotion, only a paper session will do: not a rationale, not nothing."""
    check = checks.promotion_check(Promotion(source=source), Policy(require_promotion=required))
    assert (passed, source) == (check.passed, check.measured)


@pytest.mark.parametrize(("late_us", "passed"), [(0, True), (1, False)])
def test_a_lifetime_includes_its_last_moment(late_us, passed):
    """At the very end an approval still stands; a microsecond later it does not."""
    expires = checks.expiry(values.NOON, 900)
    assert values.NOON + timedelta(seconds=900) == expires
    check = checks.lifetime_check(
        "gate_lifetime", expires_at=rfc3339(expires), now=expires + timedelta(microseconds=late_us), what="gate"
    )
    assert passed == check.passed
    assert "The gate has run out." == check.message
