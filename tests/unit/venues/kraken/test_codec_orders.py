"""The text of an order, the venue's reading of it, and the reports of orders and trades."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from quantlab.kernel.errors import QuantLabFault
from quantlab.model.order import OrderIntent
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken import codec_orders
from tests.unit.venues.kraken.kraken_fakes import (
    CLIENT_ID,
    DESCRIPTION,
    ORDER_ID,
    order_row,
    plan_of,
    trade_row,
)
from tests.unit.venues.kraken.recordings import body_bytes, recording

NOW = datetime(2026, 9, 3, 6, 0, tzinfo=UTC)


def _report(**changes):
    row = answers.parse_json(body_bytes(order_row(**changes)))
    return codec_orders.parse_order(ORDER_ID, row, source="QueryOrders", read_at=NOW)


def test_the_default_order_is_a_limit_ioc_at_the_worst_price():
    """Without a limit price the plan's worst price bounds the order."""
    assert (
        f"cl_ord_id={CLIENT_ID}&ordertype=limit&pair=XETHZUSD&price=2010&timeinforce=IOC&type=buy&volume=0.25"
    ) == plan_of().order_text


def test_a_resting_post_only_order():
    """The flag and the time in force are spelled as the venue wants them."""
    plan = plan_of(limit_price="1990.5", worst_price="1990.5", time_in_force="gtc", post_only=True)
    assert (
        f"cl_ord_id={CLIENT_ID}&oflags=post&ordertype=limit&pair=XETHZUSD&price=1990.5"
        "&timeinforce=GTC&type=buy&volume=0.25"
    ) == plan.order_text


def test_a_market_order_has_neither_price_nor_time_in_force():
    """A plain market order is unbounded, and its text shows it."""
    plan = plan_of(order_type="market", side="sell", worst_price=None)
    assert f"cl_ord_id={CLIENT_ID}&ordertype=market&pair=XETHZUSD&type=sell&volume=0.25" == plan.order_text


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"worst_price": None}, "kraken.no_price"), ({"reduce_only": True}, "kraken.reduce_only")],
)
def test_a_plan_without_a_text_is_a_bug(changes, code):
    """What can not be written is never sent."""
    with pytest.raises(QuantLabFault) as caught:
        codec_orders.order_text(plan_of(order_text="x", **changes))
    assert code == caught.value.code


def test_bodies_differ_by_validate_alone():
    """A real order omits the word; a validation says it once, at the end."""
    real = codec_orders.order_body("a=1", nonce=7, deadline_at=NOW, validate_only=False)
    assert "nonce=7&a=1&deadline=2026-09-03T06%3A00%3A00.000000Z" == real
    assert f"{real}&validate=true" == codec_orders.order_body("a=1", nonce=7, deadline_at=NOW, validate_only=True)


def test_cancel_bodies():
    """By the venue's id where there is one, by the client order id otherwise."""
    assert f"nonce=7&txid={ORDER_ID}" == codec_orders.cancel_body(
        nonce=7, venue_order_id=ORDER_ID, client_order_id=CLIENT_ID
    )
    assert f"nonce=7&cl_ord_id={CLIENT_ID}" == codec_orders.cancel_body(
        nonce=7, venue_order_id=None, client_order_id=CLIENT_ID
    )


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"order_type": "limit", "limit_price": Decimal(1), "time_in_force": "gtc", "post_only": True}, 0),
        ({"order_type": "market"}, 0),
        ({"reduce_only": True}, 1),
        ({"post_only": True}, 1),
        ({"post_only": True, "order_type": "market"}, 1),
        ({"post_only": True, "limit_price": Decimal(1), "time_in_force": "ioc"}, 1),
        ({"order_type": "market", "limit_price": Decimal(1)}, 1),
        ({"order_type": "market", "time_in_force": "gtc"}, 1),
        ({"order_type": "limit"}, 1),
    ],
)
def test_shapes_this_venue_can_not_carry(changes, count):
    """Each impossible shape is one sentence."""
    fields = {
        "symbol": "ETH-USD",
        "side": "buy",
        "size_base": Decimal("0.25"),
        "notional_quote": Decimal(500),
        "account_label": "acct_demo",
    }
    assert count == len(codec_orders.shape_refusals(OrderIntent(**fields | changes)))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (DESCRIPTION, ("buy", "0.25", "ETHUSD", "limit", "2010.00", None, None)),
        ("buy 0.10000000 LTCUSDT @ market", ("buy", "0.1", "LTCUSDT", "market", None, None, None)),
        (
            "sell 0.10000000 LTCUSDT @ stop loss 55.00000 -> limit 54.00000",
            ("sell", "0.1", "LTCUSDT", "stop loss", "55.00000", "54.00000", None),
        ),
        (
            "buy 1.25000000 XBTUSD @ limit 37500.0 with 5:1 leverage",
            ("buy", "1.25", "XBTUSD", "limit", "37500.0", None, "5:1"),
        ),
        (
            "sell 1.00000000 ETHUSD @ trailing stop +50.0000%",
            ("sell", "1", "ETHUSD", "trailing stop", "+50.0000%", None, None),
        ),
    ],
)
def test_descriptions(text, parts):
    """The grammar of the venue's own reading."""
    read = codec_orders.parse_description(text)
    assert parts == (
        read.side,
        f"{read.volume.normalize():f}",
        read.pair,
        read.kind,
        read.price,
        read.price2,
        read.leverage,
    )


@pytest.mark.parametrize("text", ["", "buy", "hold 1 ETHUSD @ market", "buy 1 ETHUSD", DESCRIPTION + " x!"])
def test_other_descriptions_are_bad(text):
    """A reading in another grammar is no reading."""
    with pytest.raises(BadAnswer):
        codec_orders.parse_description(text)


def test_a_description_that_fits():
    """Padded figures and the alternative name are equal to what was sent."""
    assert () == codec_orders.description_mismatches(plan_of().order_text, DESCRIPTION)
    market = plan_of(order_type="market", worst_price=None).order_text
    assert () == codec_orders.description_mismatches(market, "buy 0.25000000 ETHUSD @ market")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("sell 0.25000000 ETHUSD @ limit 2010.00", "side"),
        ("buy 0.24999999 ETHUSD @ limit 2010.00", "volume"),
        ("buy 0.25000000 XBTUSD @ limit 2010.00", "pair"),
        ("buy 0.25000000 ETHUSD @ stop loss 2010.00", "kind"),
        ("buy 0.25000000 ETHUSD @ limit 2010.01", "price"),
        ("buy 0.25000000 ETHUSD @ limit", "price"),
        ("buy 0.25000000 ETHUSD @ limit 2010.00 -> limit 2009.00", "second price"),
        ("buy 0.25000000 ETHUSD @ limit 2010.00 with 2:1 leverage", "leverage"),
        ("buy 0.25000000 ETHUSD @ limit +1%", "price"),
        ("", "grammar"),
    ],
)
def test_each_difference_is_named(text, word):
    """One difference, one sentence."""
    (mismatch,) = codec_orders.description_mismatches(plan_of().order_text, text)
    assert word in mismatch


def test_a_pair_nobody_can_spell_is_compared_as_it_is():
    """A market outside our names is equal to itself alone."""
    text = "ordertype=market&pair=ODD&type=buy&volume=1"
    assert () == codec_orders.description_mismatches(text, "buy 1 ODD @ market")
    assert 1 == len(codec_orders.description_mismatches(text, "buy 1 EVEN @ market"))


def test_place_answers():
    """Ids and description; a validation has no ids."""
    read = codec_orders.parse_place_answer({"txid": [ORDER_ID], "descr": {"order": DESCRIPTION}})
    assert ((ORDER_ID,), DESCRIPTION) == (read.venue_order_ids, read.description)
    read = codec_orders.parse_place_answer({"descr": {"order": DESCRIPTION}})
    assert ((), DESCRIPTION) == (read.venue_order_ids, read.description)
    read = codec_orders.parse_place_answer({"txid": None, "descr": "odd"})
    assert ((), None) == (read.venue_order_ids, read.description)
    for row in ({"txid": ORDER_ID}, {"txid": [""]}, {"txid": [1]}, None):
        with pytest.raises(BadAnswer):
            codec_orders.parse_place_answer(row)


def test_an_order_report():
    """A filled order, exact in figures and times."""
    report = _report()
    assert (ORDER_ID, CLIENT_ID, "ETHUSD") == (
        report.venue_order_id,
        report.client_order_id,
        report.venue_symbol,
    )
    assert ("buy", "limit", "filled", "closed") == (
        report.side,
        report.order_type,
        report.state,
        report.raw_state,
    )
    assert (Decimal("0.25"), Decimal("0.25"), Decimal(2010)) == (
        report.size_base,
        report.filled_base,
        report.limit_price,
    )
    assert (Decimal(2000), Decimal(500), Decimal(2)) == (
        report.average_price,
        report.cost_quote,
        report.fee_quote,
    )
    assert datetime(2026, 9, 3, 6, 1, 43, 123456, UTC) == report.opened_at
    assert datetime(2026, 9, 3, 6, 1, 44, 500_000, UTC) == report.closed_at
    assert (("TAAAAA-BBBBB-CCCCCC",), "QueryOrders", NOW, None) == (
        report.fill_ids,
        report.source,
        report.read_at,
        report.reason,
    )
    assert report.terminal


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("pending", "0", "pending"),
        ("open", "0.00000000", "open"),
        ("open", "0.1", "partially_filled"),
        ("closed", "0.25", "filled"),
        ("canceled", "0.1", "canceled"),
        ("expired", "0", "expired"),
        ("vaporised", "0.1", "unrecognised"),
    ],
)
def test_states(status, filled, state):
    """The venue's word is kept beside ours, and an unknown word is no state."""
    report = _report(status=status, vol_exec=filled)
    assert (state, status) == (report.state, report.raw_state)


def test_an_open_order_has_neither_end_nor_fills():
    """Members that come later are absent, not guessed."""
    row = order_row(status="open", vol_exec="0", price="0.00000", cost="0", fee="0")
    for name in ("trades", "closetm", "reason", "cl_ord_id", "oflags"):
        del row[name]
    report = codec_orders.parse_order(ORDER_ID, row | {"opentm": 0}, source="x", read_at=NOW)
    assert ((), None, None, None, None, None) == (
        report.fill_ids,
        report.closed_at,
        report.opened_at,
        report.reason,
        report.client_order_id,
        report.average_price,
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("01234567-89AB-cdef-0123-456789abcdef", CLIENT_ID),
        ("p5669_1", "p5669_1"),
        ("", None),
    ],
)
def test_client_order_ids(text, read):
    """A dashed UUID is the same 128 bits as our 32 digits."""
    assert read == _report(cl_ord_id=text).client_order_id


def test_foreign_orders_are_read_without_becoming_ours():
    """Relative prices have no absolute limit, and a size in quote currency says so."""
    base = order_row()["descr"]
    assert None is _report(descr=base | {"price": "+1.5%"}).limit_price
    assert None is _report(descr=base | {"price": "#1.5"}).limit_price
    assert None is _report(descr=base | {"ordertype": "take-profit", "price": "120"}).limit_price
    assert "limit sized in quote" == _report(oflags="fciq,viqc").order_type


@pytest.mark.parametrize(
    "changes",
    [
        {"descr": None},
        {"descr": {}},
        {"status": None},
        {"vol": None},
        {"vol": "-1"},
        {"vol_exec": "many"},
        {"price": None},
        {"cost": True},
        {"fee": None},
        {"opentm": "soon"},
        {"trades": "T"},
        {"cl_ord_id": 7},
        {"reason": 7},
    ],
)
def test_an_order_with_a_wrong_member_is_bad(changes):
    """No figure of an order is ever filled in."""
    with pytest.raises(BadAnswer):
        _report(**changes)


def test_a_trade():
    """One fill, exact, the fee without a named asset."""
    (fill,) = codec_orders.parse_trades({"T1": answers.parse_json(body_bytes(trade_row()))})
    assert ("T1", ORDER_ID, "buy", "taker", None) == (
        fill.venue_fill_id,
        fill.venue_order_id,
        fill.side,
        fill.liquidity,
        fill.fee_asset,
    )
    assert (Decimal(2000), Decimal("0.25"), Decimal(500), Decimal(2)) == (
        fill.price,
        fill.size_base,
        fill.cost_quote,
        fill.fee,
    )
    assert datetime(2026, 9, 3, 6, 1, 44, 500_000, UTC) == fill.executed_at


@pytest.mark.parametrize(("maker", "word"), [(True, "maker"), (False, "taker"), (None, "unknown"), (1, "unknown")])
def test_liquidity(maker, word):
    """Only the venue's own true and false count."""
    assert word == codec_orders.parse_trade("T1", trade_row(maker=maker, time=1)).liquidity


@pytest.mark.parametrize("changes", [{"ordertxid": None}, {"price": "x"}, {"vol": None}, {"time": "x"}])
def test_a_trade_with_a_wrong_member_is_bad(changes):
    """No figure of a fill is ever filled in."""
    with pytest.raises(BadAnswer):
        codec_orders.parse_trade("T1", trade_row(time=1) | changes)


def test_recorded_orders_and_trades():
    """Real order objects of every state, and real trades of seven years."""
    for name in ("19_query_orders_open.json", "20_query_orders_closed_with_trades.json"):
        body = answers.parse_json(body_bytes(recording(name)["response_wire"]["body"]))
        for report in codec_orders.parse_orders(body["result"], source="QueryOrders", read_at=NOW):
            assert report.state in {"open", "filled"}
    body = recording("26_open_orders_trigger_orders.json")["response"]["body"]["result"]
    for report in codec_orders.parse_orders(body["open"], source="OpenOrders", read_at=NOW):
        assert None is report.limit_price
    cases = answers.parse_json(body_bytes(recording("29_query_trades.json")["response"]["body"]))["cases"]
    fills = [codec_orders.parse_trade("T", case) for case in cases]
    assert ["unknown", "unknown", "taker"] == [fill.liquidity for fill in fills]


def test_recorded_placements():
    """Real answers of AddOrder and of validations."""
    placed = recording("12_add_order_market_accepted.json")["response"]["body"]["result"]
    assert 1 == len(codec_orders.parse_place_answer(placed).venue_order_ids)
    for case in recording("15_add_order_validate_only.json")["response"]["body"]["cases"]:
        answer = codec_orders.parse_place_answer(case["result"])
        assert () == answer.venue_order_ids
        assert codec_orders.parse_description(answer.description).kind in {"limit", "market"}
    unknown = recording("23_query_orders_unknown_txid.json")["response"]["body"]["result"]
    assert () == codec_orders.parse_orders(unknown, source="QueryOrders", read_at=NOW)
