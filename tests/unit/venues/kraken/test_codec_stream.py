"""Frames of the executions channel become fills and order reports."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken import codec_stream
from tests.unit.venues.kraken.kraken_fakes import CLIENT_ID, ORDER_ID

NOW = datetime(2026, 9, 3, 6, 0, tzinfo=UTC)
NEW = {
    "exec_type": "new",
    "order_id": ORDER_ID,
    "cl_ord_id": CLIENT_ID,
    "symbol": "ETH/USD",
    "side": "buy",
    "order_type": "limit",
    "order_qty": Decimal("0.25"),
    "limit_price": Decimal("2010.0"),
    "cum_qty": 0,
    "cum_cost": 0,
    "avg_price": 0,
    "order_status": "new",
    "timestamp": "2026-09-03T06:00:01.5Z",
}
TRADE = {
    "exec_type": "trade",
    "order_id": ORDER_ID,
    "exec_id": "T1",
    "last_qty": Decimal("0.1"),
    "last_price": 2000,
    "liquidity_ind": "t",
    "cum_qty": Decimal("0.1"),
    "cum_cost": 200,
    "avg_price": 2000,
    "fees": [{"asset": "USD", "qty": Decimal("0.8")}],
    "order_status": "partially_filled",
    "timestamp": "2026-09-03T06:00:02Z",
    "side": "buy",
}
CANCELED = {
    "exec_type": "canceled",
    "order_id": ORDER_ID,
    "order_status": "canceled",
    "cum_qty": Decimal("0.1"),
    "reason": "User requested",
    "timestamp": "2026-09-03T06:00:03Z",
}


def _parse(item, previous=None):
    return codec_stream.parse_execution(item, previous, read_at=NOW)


def test_a_life_of_an_order_is_put_together_from_terse_items():
    """Later items name the order alone; what is known of it is carried on."""
    opened = _parse(NEW)
    assert None is opened.fill
    assert ("open", CLIENT_ID, Decimal(2010)) == (
        opened.order.state,
        opened.order.client_order_id,
        opened.order.limit_price,
    )
    assert datetime(2026, 9, 3, 6, 0, 1, 500_000, UTC) == opened.order.opened_at
    traded = _parse(TRADE, opened.order)
    assert ("T1", Decimal("0.1"), Decimal(200), Decimal("0.8"), "USD", "taker") == (
        traded.fill.venue_fill_id,
        traded.fill.size_base,
        traded.fill.cost_quote,
        traded.fill.fee,
        traded.fill.fee_asset,
        traded.fill.liquidity,
    )
    assert ("partially_filled", ("T1",), Decimal("0.8"), Decimal("0.25")) == (
        traded.order.state,
        traded.order.fill_ids,
        traded.order.fee_quote,
        traded.order.size_base,
    )
    again = _parse(TRADE, traded.order)
    assert (("T1",), Decimal("0.8")) == (again.order.fill_ids, again.order.fee_quote)
    ended = _parse(CANCELED, traded.order)
    assert ("canceled", "User requested", "ETH/USD", CLIENT_ID) == (
        ended.order.state,
        ended.order.reason,
        ended.order.venue_symbol,
        ended.order.client_order_id,
    )
    assert datetime(2026, 9, 3, 6, 0, 3, tzinfo=UTC) == ended.order.closed_at
    assert opened.order.opened_at == ended.order.opened_at


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("pending_new", 0, "pending"),
        ("new", Decimal("0.1"), "partially_filled"),
        ("filled", Decimal("0.25"), "filled"),
        ("expired", 0, "expired"),
        ("odd", 0, "unrecognised"),
    ],
)
def test_states(status, filled, state):
    """The stream's own words for states."""
    order = _parse(NEW | {"order_status": status, "cum_qty": filled}).order
    assert (state, status) == (order.state, order.raw_state)


def test_an_unseen_order_in_a_terse_item_is_no_report():
    """Without side and size there is no report; a fill is one all the same."""
    assert None is _parse(CANCELED).order
    execution = _parse(TRADE)
    assert (None, "T1") == (execution.order, execution.fill.venue_fill_id)


def test_a_trade_with_a_cost_and_without_a_fee():
    """The venue's own cost counts; no fee named is no fee seen."""
    fill = _parse(TRADE | {"cost": Decimal("200.01"), "fees": None, "liquidity_ind": "x"}).fill
    assert (Decimal("200.01"), Decimal(0), None, "unknown") == (
        fill.cost_quote,
        fill.fee,
        fill.fee_asset,
        fill.liquidity,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"last_qty": None},
        {"exec_id": None},
        {"side": None},
        {"fees": [{}, {}]},
        {"fees": [{"asset": "USD"}]},
        {"timestamp": "soon"},
    ],
)
def test_a_trade_with_a_wrong_member_is_bad(changes):
    """No figure of a fill is ever filled in."""
    with pytest.raises(BadAnswer):
        _parse(TRADE | changes)


def test_messages_and_frames():
    """A frame has a sequence and items."""
    message = codec_stream.parse_message('{"channel":"executions","type":"snapshot","data":[{"a":1.5}],"sequence":1}')
    frame = codec_stream.parse_frame(message)
    assert (True, 1, Decimal("1.5")) == (frame.is_snapshot, frame.sequence, frame.items[0]["a"])
    for text in ("[]", "x"):
        with pytest.raises(BadAnswer):
            codec_stream.parse_message(text)
    for broken in ({"data": []}, {"sequence": 1}, {"data": [1], "sequence": 1}):
        with pytest.raises(BadAnswer):
            codec_stream.parse_frame(broken)


def test_requests_of_the_channel():
    """Open orders and the last fills are asked for with the subscription."""
    request = json.loads(codec_stream.subscribe_text("made-up"))
    assert {"channel": "executions", "token": "made-up", "snap_orders": True, "snap_trades": True} == request["params"]
    assert {"method": "ping"} == json.loads(codec_stream.ping_text())
    assert None is codec_stream.subscription_error({"success": True})
    assert "no" == codec_stream.subscription_error({"success": False, "error": "no"})
    assert "the subscription was refused" == codec_stream.subscription_error({})
