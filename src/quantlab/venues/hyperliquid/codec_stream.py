"""Messages of the WebSocket: subscriptions, pings, posts, and frames of orders and fills. Pure."""

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
_MOST_SHOWN: Final = 120
_GREETING: Final = "Websocket connection established."


class PostRefused(Exception):
    """The venue answered a post by an error; the text is its own."""


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


def post_text(number: int, request: Mapping[str, Any]) -> str:
    """Return the message that asks for information under a number of our own."""
    post = {"method": "post", "id": number, "request": {"type": "info", "payload": request}}
    return msgspec.json.encode(post).decode("utf-8")


def answers_post(text: str, number: int) -> bool:
    """Return whether a message answers the post ``number``, the only one that waits for an answer.

    What can not be told apart from its answer (an error, an unreadable message) is taken for it, and fails the read.
    """
    if text == _GREETING:
        return False
    try:
        message = parse_message(text)
    except BadAnswer:
        return True
    if message.get("channel") != "post":
        return refusal_in(message) is not None
    data = message.get("data")
    told = data.get("id") if isinstance(data, dict) else None
    return not isinstance(told, int) or told == number


def first_words(text: str) -> str:
    """Return as much of a venue's text as a message can show: it may be a page of HTML."""
    return text.partition("\n")[0].strip()[:_MOST_SHOWN]


def parse_post(text: str, kind: str) -> Any:
    """Return what the answer to a post of ``kind`` holds.

    Raises:
        PostRefused: the venue answered by an error.
        BadAnswer: the message is not as documented, or answers another kind of request.
    """
    message = parse_message(text)
    refusal = refusal_in(message)
    if refusal is not None:
        raise BadAnswer(f"the venue answered: {first_words(refusal)}")
    response = answers.as_object(answers.as_object(message.get("data"), "data").get("response"), "response")
    if response.get("type") == "error":
        raise PostRefused(answers.text_in(response, "payload"))
    payload = answers.as_object(response.get("payload"), "payload")
    if (response.get("type"), payload.get("type")) != ("info", kind) or "data" not in payload:
        raise BadAnswer(f"the message is no answer to {kind}")
    return payload["data"]


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
