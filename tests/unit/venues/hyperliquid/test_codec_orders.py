"""Actions and reports: one spelling of an order, and what traded counted by fills alone."""

from datetime import timedelta
from decimal import Decimal

import pytest

from quantlab.kernel.errors import QuantLabFault
from quantlab.model.order import OrderIntent
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import codec, codec_orders
from tests.unit.venues.hyperliquid.hyperliquid_fakes import (
    CLIENT_ID,
    META,
    NOW_MS,
    ORDER_ID,
    fill_row,
    order_row,
    plan_of,
    record,
)
from tests.unit.venues.hyperliquid.recordings import answer_of
from tests.unit.venues.wire_fakes import START

TEXT = (
    '{"type":"order","orders":[{"a":1,"b":true,"p":"2010","s":"0.25","r":false,"t":{"limit":{"tif":"Ioc"}},'
    f'"c":"{CLIENT_ID}"}}],"grouping":"na"}}'
)


def test_the_order_has_one_spelling():
    """Keys in the order that is hashed, decimals without trailing zeros, the worst price where no limit is set."""
    assert TEXT == codec_orders.action_text(codec_orders.order_action(plan_of()))
    padded = plan_of(size_base="0.2500", worst_price="2010.00")
    assert TEXT == padded.order_text
    sell = codec_orders.order_action(plan_of(side="sell", limit_price="1990.5", reduce_only=True))["orders"][0]
    assert (False, "1990.5", True) == (sell["b"], sell["p"], sell["r"])


@pytest.mark.parametrize(
    ("changes", "tif"),
    [
        ({"time_in_force": "ioc"}, "Ioc"),
        ({"time_in_force": "gtc"}, "Gtc"),
        ({"time_in_force": "gtc", "post_only": True}, "Alo"),
    ],
)
def test_times_in_force(changes, tif):
    """Post-only is a time in force at this venue."""
    assert {"limit": {"tif": tif}} == codec_orders.order_action(plan_of(**changes))["orders"][0]["t"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order_type": "market"}, "hyperliquid.no_price"),
        ({"worst_price": None}, "hyperliquid.no_price"),
        ({"client_order_id": CLIENT_ID[2:]}, "hyperliquid.client_order_id"),
        ({"client_order_id": CLIENT_ID.upper()}, "hyperliquid.client_order_id"),
        ({"venue_symbol_aliases": ()}, "hyperliquid.no_asset"),
        ({"size_base": "0"}, "hyperliquid.wire_decimal"),
        ({"size_base": "-1"}, "hyperliquid.wire_decimal"),
        ({"size_base": "0.000000001"}, "hyperliquid.wire_decimal"),
    ],
)
def test_what_has_no_spelling_is_a_bug(changes, code):
    """Nothing is rounded and nothing is guessed: a plan that can not be written is refused."""
    with pytest.raises(QuantLabFault) as caught:
        plan_of(**changes)
    assert (code, "bug") == (caught.value.code, caught.value.outcome)


def test_a_huge_size_is_spelled_exactly():
    """No binary fraction and no exponent on the way."""
    assert "123456789012345.12345678" == codec_orders.wire_decimal("123456789012345.12345678")


def test_cancels():
    """By the venue's number, or by our id with the other key names."""
    assert {"type": "cancel", "cancels": [{"a": 1, "o": int(ORDER_ID)}]} == codec_orders.cancel_action(
        plan_of(), venue_order_id=ORDER_ID
    )
    assert {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLIENT_ID}]} == codec_orders.cancel_action(
        plan_of(), venue_order_id=None
    )
    for text in ("O1", "", "-1", "²"):
        with pytest.raises(QuantLabFault) as caught:
            codec_orders.cancel_action(plan_of(), venue_order_id=text)
        assert "hyperliquid.order_id" == caught.value.code


def test_an_action_in_words():
    """What is signed is told in the words of the action, its number included."""
    assert f"buy 0.25 ETH (asset 1) @ limit 2010, Ioc, cloid {CLIENT_ID}" == codec_orders.describe_action(plan_of())
    sell = plan_of(side="sell", reduce_only=True)
    assert codec_orders.describe_action(sell).startswith("sell 0.25 ETH (asset 1) @ limit 2010, Ioc, reduce only,")


def _intent(**changes):
    fields = {
        "symbol": "ETH",
        "side": "buy",
        "size_base": Decimal("0.25"),
        "notional_quote": Decimal(500),
        "account_label": "a",
    }
    return OrderIntent(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"reduce_only": True}, 0),
        ({"order_type": "limit", "limit_price": Decimal(1), "post_only": True}, 0),
        ({"order_type": "market"}, 1),
        ({"symbol": "PURR-USDC", "reduce_only": True}, 1),
        ({"post_only": True}, 1),
        ({"post_only": True, "limit_price": Decimal(1), "time_in_force": "ioc"}, 1),
        ({"order_type": "limit"}, 1),
    ],
)
def test_shapes_that_can_not_be_carried(changes, count):
    """Market orders, reduce-only on spot, and post-only without a price or immediate."""
    assert count == len(codec_orders.shape_refusals(_intent(**changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"size_base": "5.00001"}, "invalid size"),
        ({"worst_price": "2010.57"}, "invalid price"),
        ({"worst_price": "12345.6"}, "invalid price"),
        ({"size_base": "0.0049"}, "minimum value of $10"),
    ],
)
def test_static_rules(changes, words):
    """Decimals of a size, figures of a price, and the least value: the rules that are known without the venue."""
    errors = codec_orders.static_errors(plan_of(**changes), codec.parse_perp(META, "ETH"))
    assert ([] if words is None else [True]) == [words in error for error in errors]


def test_a_market_that_takes_no_orders():
    """A delisted coin is refused whatever the order."""
    delisted = codec.parse_perp(META, "MATIC")
    assert ("the market is cancel_only",) == codec_orders.static_errors(plan_of(size_base="5"), delisted)


def _row(status="filled", **changes):
    return codec_orders.parse_record(record(status, **changes))


def _fills(*rows):
    return codec_orders.parse_fills([fill_row(**row) for row in rows], "fills")


def _report(row, *fills, by_fills=True):
    return codec_orders.report_of(row, _fills(*fills), source="view", read_at=START, by_fills=by_fills)


def test_a_filled_order_is_the_sum_of_its_fills():
    """Sizes, cost, fee and average come from the fills of this order alone."""
    report = _report(
        _row(),
        {"px": "2000", "sz": "0.1", "fee": "0.09", "tid": 1},
        {"px": "2001", "sz": "0.15", "fee": "0.13", "tid": 2},
        {"oid": 1, "sz": "9"},
    )
    assert ("filled", Decimal("0.25"), Decimal("500.15"), Decimal("0.22"), Decimal("2000.6")) == (
        report.state,
        report.filled_base,
        report.cost_quote,
        report.fee_quote,
        report.average_price,
    )
    assert (f"{NOW_MS}:ETH:1", f"{NOW_MS}:ETH:2") == report.fill_ids
    assert (ORDER_ID, CLIENT_ID, "ETH", "buy", "limit", START, START, None) == (
        report.venue_order_id,
        report.client_order_id,
        report.venue_symbol,
        report.side,
        report.order_type,
        report.opened_at,
        report.closed_at,
        report.reason,
    )


@pytest.mark.parametrize("changes", [{}, {"reduceOnly": True, "tif": "Gtc"}, {"tif": "FrontendMarket"}])
def test_an_order_whose_rest_was_dropped(changes):
    """Its record says filled and nothing of the rest: the fills tell what traded, once none can be on its way."""
    row = _row(**changes)
    with pytest.raises(BadAnswer, match="more than its fills show"):
        codec_orders.report_of(row, _fills({"sz": "0.1"}), source="v", read_at=START + timedelta(seconds=9))
    settled = START + timedelta(seconds=10)
    report = codec_orders.report_of(row, _fills({"sz": "0.1"}), source="v", read_at=settled)
    assert ("filled", Decimal("0.1"), Decimal("0.25")) == (report.state, report.filled_base, report.size_base)


@pytest.mark.parametrize(("status", "remaining"), [("canceled", "0.1"), ("open", "0.1"), ("filled", "0.0")])
def test_a_resting_order_with_too_few_fills_is_a_bad_answer(status, remaining):
    """An order that says that it traded is never shown as one that did not, however long ago that was."""
    row = _row(status, sz=remaining, tif="Gtc")
    with pytest.raises(BadAnswer, match="more than its fills show"):
        codec_orders.report_of(row, _fills({"sz": "0.05"}), source="v", read_at=START + timedelta(days=1))
    whole = _fills({"sz": "0.25" if status == "filled" else "0.15"})
    report = codec_orders.report_of(row, whole, source="v", read_at=START)
    assert whole[0].report.size_base == report.filled_base


def test_a_filled_order_without_fills_is_a_bad_answer():
    """One of two views is behind; of somebody else's order the record's own figure may stand."""
    with pytest.raises(BadAnswer, match="more than its fills show"):
        codec_orders.report_of(_row(), (), source="v", read_at=START + timedelta(days=1))
    report = _report(_row(sz="0.05"), by_fills=False)
    assert (Decimal("0.20"), None, ()) == (report.filled_base, report.average_price, report.fill_ids)


@pytest.mark.parametrize(
    ("status", "fills", "state", "may_have_traded"),
    [
        ("open", [], "open", False),
        ("open", [{"sz": "0.1"}], "partially_filled", False),
        ("triggered", [], "open", False),
        ("canceled", [{"sz": "0.1"}], "canceled", True),
        ("scheduledCancel", [], "canceled", True),
        ("iocCancelRejected", [], "rejected", False),
        ("somethingNew", [], "unrecognised", True),
    ],
)
def test_states(status, fills, state, may_have_traded):
    """Documented statuses have a meaning, a new one has none; an open order of which all remains has no fills."""
    row = _row(status, sz="0.25")
    report = _report(row, *fills)
    assert (state, status, may_have_traded) == (report.state, report.raw_state, row.may_have_traded)
    assert (state in {"canceled", "rejected"}) is report.terminal
    assert (None if state in {"open", "partially_filled"} else status) == report.reason
    assert (report.closed_at is None) is (not report.terminal)


def test_an_open_order_of_which_less_remains_may_have_traded():
    """Then its fills are asked for: a reduce-only order shrinks without any."""
    assert codec_orders.parse_open(order_row(sz="0.1")).may_have_traded


def test_every_documented_status_is_listed():
    """29 documented ones, and four that clients have seen."""
    assert 33 == len(codec_orders.STATES)
    assert {"open", "filled", "canceled", "rejected"} == set(codec_orders.STATES.values())


def test_the_last_record_of_each_order():
    """By its time; of two of one moment the one that is not open came later, whatever their order."""
    late, early = _row("canceled", at=NOW_MS + 5), _row("open", at=NOW_MS)
    same = _row("filled", at=NOW_MS)
    other = _row("open", oid=5)
    assert (late, other) == codec_orders.newest_records([early, late, same, other])
    assert (same,) == codec_orders.newest_records([early, same])
    assert (same,) == codec_orders.newest_records([same, early])


def test_status_answers():
    """Found, cleanly not shown, and neither."""
    assert ORDER_ID == codec_orders.parse_status_answer({"status": "order", "order": record()}).venue_order_id
    assert None is codec_orders.parse_status_answer({"status": "unknownOid"})
    for answer in (None, {}, {"status": "later"}, {"status": "order"}):
        with pytest.raises(BadAnswer):
            codec_orders.parse_status_answer(answer)


def test_an_id_is_compared_in_lower_case():
    """The venue keeps 128 bits, and orders without an id have none."""
    assert CLIENT_ID == codec_orders.parse_open(order_row(cloid="0x" + CLIENT_ID[2:].upper())).client_order_id
    assert None is codec_orders.parse_open(order_row(cloid=None)).client_order_id


@pytest.mark.parametrize(
    ("changes", "fee_quote", "liquidity"),
    [
        ({}, "0.225", "taker"),
        ({"crossed": False, "fee": "-0.05"}, "-0.05", "maker"),
        ({"crossed": None}, "0.225", "unknown"),
        ({"coin": "@107", "fee": "0.001", "feeToken": "HYPE"}, "2.000", "taker"),
        ({"coin": "@107", "fee": "0.3", "side": "A"}, "0.3", "taker"),
        ({"coin": "PURR/USDC", "fee": "0.3", "feeToken": "USDC"}, "0.3", "taker"),
        ({"coin": "PURR/USDC", "fee": "0.001", "feeToken": "PURR"}, "2.000", "taker"),
    ],
)
def test_fees_and_liquidity(changes, fee_quote, liquidity):
    """A fee in the coin that was bought is worth the fill's price; rebates stay below zero."""
    (fill,) = _fills({**changes, "px": "2000"})
    assert (Decimal(fee_quote), liquidity) == (fill.fee_quote, fill.report.liquidity)


@pytest.mark.parametrize(("told", "kept"), [("0.0", "0"), ("-12.5", "-12.5"), ("3.75", "3.75"), (None, None)])
def test_closed_pnl_is_the_venues(told, kept):
    """What closing a position brought is taken as it stands, losses too; where it is not told it is not known."""
    (fill,) = _fills({"closedPnl": told})
    assert (None if kept is None else Decimal(kept)) == fill.report.closed_pnl


@pytest.mark.parametrize(
    "change",
    [{"time": None}, {"px": "-1"}, {"sz": None}, {"oid": "7"}, {"tid": None}, {"closedPnl": "much"}],
)
def test_a_broken_fill_is_a_bad_answer(change):
    """No fill is dropped or guessed."""
    with pytest.raises(BadAnswer):
        _fills(change)


def test_recorded_answers_are_read():
    """Orders and fills as the venue sent them."""
    row = codec_orders.parse_status_answer(answer_of("09_info_orderStatus_unknown_and_filled.json", 4))
    assert ("filled", "sell", "market", Decimal("0.0025"), None) == (
        row.state,
        row.side,
        row.order_type,
        row.size,
        row.client_order_id,
    )
    assert None is codec_orders.parse_status_answer(answer_of("09_info_orderStatus_unknown_and_filled.json", 0))
    fills = codec_orders.parse_fills(answer_of("13_info_userFillsByTime.json"), "fills")
    assert Decimal("0.0025") == codec_orders.report_of(row, fills, source="v", read_at=START).filled_base
    assert all(fill.at - START < timedelta(0) for fill in fills)
    orders = [codec_orders.parse_open(one) for one in answer_of("11_info_frontendOpenOrders.json")]
    assert {"take profit market", "stop market"} <= {order.order_type for order in orders}
