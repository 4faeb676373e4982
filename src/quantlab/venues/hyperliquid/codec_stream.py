"""Messages of the WebSocket: subscriptions, pings, and frames of orders and fills. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid.codec import time_of_ms
from quantlab.venues.hyperliquid.codec_orders import Fill, OrderRow, parse_fills, parse_row

ORDERS: Final = "orderUpdates"
FILLS: Final = "userFills"
MIDS: Final = "allMids"
PING: Final = '{"method":"ping"}'
SOURCE: Final = "stream orderUpdates"


class FillFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of fills. A snapshot shows the account's last ones, also from before the subscription."""

    is_snapshot: bool
    fills: tuple[Fill, ...]


def subscribe_text(kind: str, account: str | None = None) -> str:
    """Return the request that subscribes to a channel, of an account where it has one."""
    subscription = {"type": kind} if account is None else {"type": kind, "user": account}
    return msgspec.json.encode({"method": "subscribe", "subscription": subscription}).decode("ascii")


def parse_message(text: str) -> Mapping[str, Any]:
    """Return one message of the stream."""
    return answers.as_object(answers.parse_json(text.encode("utf-8")), "the message")


def subscribed_channel(message: Mapping[str, Any]) -> str | None:
    """Return the channel whose subscription a message confirms, or None."""
    if message.get("channel") != "subscriptionResponse":
        return None
    data = answers.as_object(message.get("data"), "data")
    return answers.text_in(answers.as_object(data.get("subscription"), "subscription"), "type")


def refusal_in(message: Mapping[str, Any]) -> str | None:
    """Return the venue's words when a message is an error, or None."""
    if message.get("channel") != "error":
        return None
    data = message.get("data")
    return data if isinstance(data, str) and data else "an error without a text"


def is_pong(message: Mapping[str, Any]) -> bool:
    """Return whether a message answers a ping."""
    return message.get("channel") == "pong"


def parse_orders(message: Mapping[str, Any]) -> tuple[OrderRow, ...]:
    """Return the orders of a frame, in the frame's order: of one order several states can stand there."""
    rows = [answers.as_object(row, ORDERS) for row in answers.as_list(message.get("data"), ORDERS)]
    return tuple(
        parse_row(
            row.get("order"),
            status=answers.text_in(row, "status"),
            status_at=time_of_ms(row.get("statusTimestamp"), "statusTimestamp"),
        )
        for row in rows
    )


def parse_fill_frame(message: Mapping[str, Any], *, account: str) -> FillFrame:
    """Return the fills of a frame, oldest first.

    Raises:
        BadAnswer: it is malformed, or another account's.
    """
    data = answers.as_object(message.get("data"), FILLS)
    if answers.text_in(data, "user").lower() != account:
        raise BadAnswer("a frame of fills is of another account")
    fills = parse_fills(data.get("fills"), FILLS)
    return FillFrame(
        is_snapshot=data.get("isSnapshot") is True,
        fills=tuple(sorted(fills, key=lambda fill: fill.at)),
    )
