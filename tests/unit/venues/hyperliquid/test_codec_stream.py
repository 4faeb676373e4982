"""Messages of the stream: subscriptions, answers to pings, and frames of orders and fills."""

import json
from decimal import Decimal

import pytest

from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import codec_stream
from tests.unit.venues.hyperliquid.hyperliquid_fakes import ACCOUNT, NOW_MS, ORDER_ID, fill_row, record
from tests.unit.venues.hyperliquid.recordings import recording


def ack(kind, **fields):
    """Return the confirmation of a subscription."""
    subscription = {"type": kind, **fields}
    return {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": subscription}}


ACKS = (ack("orderUpdates", user=ACCOUNT), ack("userFills", user=ACCOUNT))
MIDS_ACK = ack("allMids")


def orders_frame(*records):
    """Return a frame of orders."""
    return {"channel": "orderUpdates", "data": list(records)}


def fills_frame(*fills, user=ACCOUNT, **fields):
    """Return a frame of fills."""
    return {"channel": "userFills", "data": {"user": user, "fills": list(fills), **fields}}


def test_subscriptions():
    """With an account or without."""
    assert {"method": "subscribe", "subscription": {"type": "userFills", "user": ACCOUNT}} == json.loads(
        codec_stream.subscribe_text("userFills", ACCOUNT)
    )
    assert {"method": "subscribe", "subscription": {"type": "allMids"}} == json.loads(
        codec_stream.subscribe_text("allMids")
    )


def test_what_a_message_is():
    """A confirmation, an error in the venue's words, a pong, or none of them."""
    assert ["userFills", None] == [codec_stream.subscribed_channel(one) for one in (ACKS[1], {"channel": "pong"})]
    assert "Invalid subscription" == codec_stream.refusal_in({"channel": "error", "data": "Invalid subscription"})
    assert "an error without a text" == codec_stream.refusal_in({"channel": "error", "data": {}})
    assert None is codec_stream.refusal_in(ACKS[0])
    assert [True, False] == [codec_stream.is_pong(one) for one in ({"channel": "pong"}, ACKS[0])]
    for text in ("[]", "Websocket connection established."):
        with pytest.raises(BadAnswer):
            codec_stream.parse_message(text)


def test_orders_of_a_frame_keep_its_order():
    """An order that fills at once stands there twice, open first."""
    rows = codec_stream.parse_orders(orders_frame(record("open", sz="0.25"), record()))
    assert [("open", Decimal("0.25")), ("filled", Decimal("0.0"))] == [(row.status, row.remaining) for row in rows]
    for data in (None, [None], [{}], [{**record(), "statusTimestamp": "1"}]):
        with pytest.raises(BadAnswer):
            codec_stream.parse_orders({"channel": "orderUpdates", "data": data})


def test_fills_of_a_frame_are_sorted_by_time():
    """A snapshot comes newest first; another account's frame is refused."""
    frame = codec_stream.parse_fill_frame(
        fills_frame(fill_row(time=NOW_MS + 1, tid=2), fill_row(tid=1), user=ACCOUNT.upper(), isSnapshot=True),
        account=ACCOUNT,
    )
    assert (True, [f"{NOW_MS}:ETH:1", f"{NOW_MS + 1}:ETH:2"]) == (
        frame.is_snapshot,
        [fill.report.venue_fill_id for fill in frame.fills],
    )
    assert not codec_stream.parse_fill_frame(fills_frame(), account=ACCOUNT).is_snapshot
    with pytest.raises(BadAnswer, match="another account"):
        codec_stream.parse_fill_frame(fills_frame(user="0x" + "0" * 40), account=ACCOUNT)


def test_recorded_frames_are_read():
    """Frames of orders as the venue sent them, from several recorders."""
    frames = [frame for group in recording("30_ws_frames.json")["groups"] for frame in group.get("frames", [])]
    orders = [one for one in frames if isinstance(one, dict) and one.get("channel") == "orderUpdates"]
    rows = [row for frame in orders for row in codec_stream.parse_orders(frame)]
    assert {"open", "filled"} <= {row.status for row in rows}
    assert {"unrecognised"}.isdisjoint(row.state for row in rows)
    assert ORDER_ID not in {row.venue_order_id for row in rows}
