"""Frames of the private `executions` channel (WebSocket v2), as fills and order reports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from quantlab.model.execution import FillReport, OrderReport, OrderState
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken.codec_orders import Liquidity, client_order_id_in

CHANNEL: Final = "executions"
_SOURCE: Final = "stream executions"
_STATES: Final[dict[str, OrderState]] = {
    "pending_new": "pending",
    "new": "open",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
}
_LIQUIDITY: Final[dict[str, Liquidity]] = {"m": "maker", "t": "taker"}
_ENDS: Final = frozenset({"filled", "canceled", "expired"})


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a frame: the fill it reports, and what is known of its order after it.

    ``order`` is None when the item is too terse and the order was not seen before: REST must tell then.
    """

    fill: FillReport | None
    order: OrderReport | None


class ExecutionFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of the channel. ``sequence`` starts at 1 for each subscription and rises by 1."""

    is_snapshot: bool
    sequence: int
    items: tuple[Mapping[str, Any], ...]


def subscribe_text(token: str) -> str:
    """Return the request that subscribes to open orders, the last fills, and all that follows."""
    params = {"channel": CHANNEL, "token": token, "snap_orders": True, "snap_trades": True}
    return msgspec.json.encode({"method": "subscribe", "params": params, "req_id": 1}).decode("ascii")


def ping_text() -> str:
    """Return a ping of the application, which the venue counts as traffic from us."""
    return '{"method":"ping"}'


def parse_message(text: str) -> Mapping[str, Any]:
    """Return one message of the stream."""
    return answers.as_object(answers.parse_json(text.encode("utf-8")), "the message")


def subscription_error(message: Mapping[str, Any]) -> str | None:
    """Return why a subscription was refused, or None when it was accepted."""
    if message.get("success") is True:
        return None
    return answers.optional_text_in(message, "error") or "the subscription was refused"


def parse_frame(message: Mapping[str, Any]) -> ExecutionFrame:
    """Return a frame of the channel."""
    items = answers.as_list(message.get("data"), "data")
    return ExecutionFrame(
        is_snapshot=message.get("type") == "snapshot",
        sequence=answers.integer_in(message, "sequence"),
        items=tuple(answers.as_object(item, "data") for item in items),
    )


def parse_execution(item: Mapping[str, Any], previous: OrderReport | None, *, read_at: datetime) -> Execution:
    """Return what one item reports. ``previous`` is the order as known before, since later items are terse.

    ``fee_quote`` of the order counts the fills seen on this stream alone.
    """
    fill = _parse_fill(item, previous) if item.get("exec_type") == "trade" else None
    if previous is None and not {"symbol", "side", "order_type", "order_qty", "cum_qty"} <= item.keys():
        return Execution(fill=fill, order=None)
    raw_state = answers.text_in(item, "order_status")
    state = _STATES.get(raw_state, "unrecognised")
    filled = _amount_or(item, "cum_qty", previous.filled_base if previous else Decimal(0))
    at = answers.rfc3339_time_in(item, "timestamp")
    known_ids = previous.fill_ids if previous else ()
    is_new_fill = fill is not None and fill.venue_fill_id not in known_ids
    fee = previous.fee_quote if previous else Decimal(0)
    order = OrderReport(
        venue_order_id=answers.text_in(item, "order_id"),
        client_order_id=client_order_id_in(item) or (previous.client_order_id if previous else None),
        venue_symbol=_text_or(item, "symbol", previous.venue_symbol if previous else None),
        side=_text_or(item, "side", previous.side if previous else None),
        order_type=_text_or(item, "order_type", previous.order_type if previous else None),
        size_base=_amount_or(item, "order_qty", previous.size_base if previous else None),
        limit_price=_optional_amount(item, "limit_price", previous.limit_price if previous else None),
        filled_base=filled,
        average_price=_optional_amount(item, "avg_price", previous.average_price if previous else None),
        cost_quote=_amount_or(item, "cum_cost", previous.cost_quote if previous else Decimal(0)),
        fee_quote=fee + fill.fee if fill is not None and is_new_fill else fee,
        state="partially_filled" if state == "open" and filled > 0 else state,
        raw_state=raw_state,
        reason=answers.optional_text_in(item, "reason") or (previous.reason if previous else None),
        opened_at=(previous.opened_at if previous else None) or _opening(item, at),
        closed_at=at if raw_state in _ENDS else None,
        fill_ids=(*known_ids, fill.venue_fill_id) if fill is not None and is_new_fill else known_ids,
        source=_SOURCE,
        read_at=read_at,
    )
    return Execution(fill=fill, order=order)


def _parse_fill(item: Mapping[str, Any], previous: OrderReport | None) -> FillReport:
    price = answers.amount_in(item, "last_price")
    size = answers.amount_in(item, "last_qty")
    fee, fee_asset = _fee(item)
    return FillReport(
        venue_fill_id=answers.text_in(item, "exec_id"),
        venue_order_id=answers.text_in(item, "order_id"),
        side=_text_or(item, "side", previous.side if previous else None),
        price=price,
        size_base=size,
        cost_quote=_amount_or(item, "cost", price * size),
        fee=fee,
        fee_asset=fee_asset,
        liquidity=_LIQUIDITY.get(str(item.get("liquidity_ind")), "unknown"),
        executed_at=answers.rfc3339_time_in(item, "timestamp"),
    )


def _fee(item: Mapping[str, Any]) -> tuple[Decimal, str | None]:
    """Return the fee and its asset; the first of several, which the venue documents and nobody has seen."""
    fees = answers.as_list(item.get("fees") or [], "fees")
    if not fees:
        return Decimal(0), None
    if len(fees) > 1:
        raise BadAnswer("fees has several entries")
    row = answers.as_object(fees[0], "fees")
    return answers.decimal_in(row, "qty"), answers.optional_text_in(row, "asset")


def _opening(item: Mapping[str, Any], at: datetime) -> datetime | None:
    return at if item.get("exec_type") in {"pending_new", "new"} else None


def _text_or(item: Mapping[str, Any], key: str, known: str | None) -> str:
    if item.get(key) is None and known is not None:
        return known
    return answers.text_in(item, key)


def _amount_or(item: Mapping[str, Any], key: str, known: Decimal | None) -> Decimal:
    if item.get(key) is None and known is not None:
        return known
    return answers.amount_in(item, key)


def _optional_amount(item: Mapping[str, Any], key: str, known: Decimal | None) -> Decimal | None:
    if item.get(key) is None:
        return known
    return answers.amount_in(item, key) or None


def is_pong(text: str) -> bool:
    """Return whether a message answers a ping. Anything unreadable does not."""
    try:
        return parse_message(text).get("method") == "pong"
    except BadAnswer:
        return False
