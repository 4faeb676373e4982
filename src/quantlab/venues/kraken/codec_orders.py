"""Orders and trades: the text of an order, the venue's reading of it, and the reports of REST. Pure.

The stream's reports are in `codec_stream`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from quantlab.kernel.clock import rfc3339
from quantlab.kernel.errors import QuantLabFault, UsageFault
from quantlab.model.execution import FillReport, OrderReport, OrderState
from quantlab.model.order import OrderIntent, Plan
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken import symbols
from quantlab.venues.kraken.codec import form_text

Liquidity = Literal["maker", "taker", "unknown"]

_DESCRIPTION: Final = re.compile(
    r"(?P<side>buy|sell) (?P<volume>[0-9.]+) (?P<pair>[A-Z0-9/.]+) @ (?P<kind>[a-z]+(?: [a-z]+)*)"
    r"(?: (?P<price>[+-]?[0-9.]+%?))?(?: -> limit (?P<price2>[+-]?[0-9.]+%?))?"
    r"(?: with (?P<leverage>[0-9.:]+) leverage)?"
)
_DASHED_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LIMIT_TYPES: Final = frozenset({"limit", "iceberg"})
_STATES: Final[dict[str, OrderState]] = {
    "pending": "pending",
    "open": "open",
    "closed": "filled",
    "canceled": "canceled",
    "expired": "expired",
}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's own reading of an order, as it stands in ``descr.order``."""

    side: str
    volume: Decimal
    pair: str
    kind: str
    price: str | None
    price2: str | None
    leverage: str | None


class PlaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The result of AddOrder: the ids given (none for a validation), and the description."""

    venue_order_ids: tuple[str, ...]
    description: str | None


def order_text(plan: Plan) -> str:
    """Return the form text of the plan's order, keys sorted, without nonce, deadline and ``validate``.

    Raises:
        QuantLabFault: a limit order has no price, or the plan asks for what this venue has not. A bug of
            ours.
    """
    fields = {"cl_ord_id": plan.client_order_id}
    if plan.post_only:
        fields["oflags"] = "post"
    fields["ordertype"] = plan.order_type
    fields["pair"] = plan.venue_symbol
    if plan.order_type == "limit":
        price = plan.limit_price or plan.worst_price
        if price is None:
            raise QuantLabFault("a limit order has no price; nothing was sent", code="kraken.no_price")
        fields["price"] = price
        fields["timeinforce"] = plan.time_in_force.upper()
    if plan.reduce_only:
        message = "a reduce-only order does not exist on Kraken Spot; nothing was sent"
        raise QuantLabFault(message, code="kraken.reduce_only")
    fields["type"] = plan.side
    fields["volume"] = plan.size_base
    return form_text(fields)


def order_body(text: str, *, nonce: int, deadline_at: datetime, validate_only: bool) -> str:
    """Return the body of an AddOrder. A real order omits ``validate``: any value of it may count as true."""
    body = f"nonce={nonce}&{text}&" + form_text({"deadline": rfc3339(deadline_at)})
    return body + "&validate=true" if validate_only else body


def cancel_body(*, nonce: int, venue_order_id: str | None, client_order_id: str) -> str:
    """Return the body of a CancelOrder, by the venue's id or else by the client order id."""
    key = "cl_ord_id" if venue_order_id is None else "txid"
    return f"nonce={nonce}&" + form_text({key: venue_order_id or client_order_id})


def shape_refusals(intent: OrderIntent) -> tuple[str, ...]:
    """Return why Kraken Spot can not carry such an order, one sentence each."""
    is_market = intent.order_type == "market"
    checks = (
        (intent.reduce_only, "Kraken Spot without margin has no reduce-only orders"),
        (
            intent.post_only and (is_market or intent.limit_price is None),
            "a post-only order needs a limit price",
        ),
        (
            intent.post_only and intent.time_in_force == "ioc",
            "a post-only order can not be immediate-or-cancel",
        ),
        (is_market and intent.limit_price is not None, "a market order carries no limit price"),
        (is_market and intent.time_in_force == "gtc", "a market order can not rest in the book"),
        (
            intent.order_type == "limit" and intent.limit_price is None,
            "a limit order needs a limit price",
        ),
    )
    return tuple(reason for refused, reason in checks if refused)


def parse_description(text: str) -> Description:
    """Return the parts of a description text.

    Raises:
        BadAnswer: the text does not follow the grammar of kraken.md 1.6.
    """
    match = _DESCRIPTION.fullmatch(text)
    if match is None:
        raise BadAnswer("descr.order does not follow the known grammar")
    return Description(
        side=match["side"],
        volume=answers.as_decimal(match["volume"], "descr.order"),
        pair=match["pair"],
        kind=match["kind"],
        price=match["price"],
        price2=match["price2"],
        leverage=match["leverage"],
    )


def description_mismatches(text_sent: str, description: str) -> tuple[str, ...]:
    """Return how the venue's reading of an order differs from the form text sent, one sentence each."""
    asked = dict(parse_qsl(text_sent))
    try:
        read = parse_description(description)
        price = None if read.price is None else answers.as_decimal(read.price, "the price read")
        asked_price = answers.as_decimal(asked["price"], "price") if "price" in asked else None
        asked_volume = answers.as_decimal(asked.get("volume"), "volume")
    except BadAnswer as error:
        return (str(error),)
    pair = asked.get("pair", "")
    checks = (
        ("side", asked.get("type") == read.side, asked.get("type"), read.side),
        ("volume", asked_volume == read.volume, asked.get("volume"), f"{read.volume:f}"),
        ("pair", read.pair in _spellings(pair), pair, read.pair),
        ("kind", asked.get("ordertype") == read.kind, asked.get("ordertype"), read.kind),
        ("price", asked_price == price, asked.get("price"), read.price),
        ("second price", read.price2 is None, None, read.price2),
        ("leverage", read.leverage is None, None, read.leverage),
    )
    return tuple(
        f"{name}: asked {planned or 'none'}, the venue reads {found or 'none'}"
        for name, equal, planned, found in checks
        if not equal
    )


def parse_place_answer(result: object) -> PlaceAnswer:
    """Return ids and description of an AddOrder result."""
    row = answers.as_object(result, "result")
    ids: tuple[str, ...] = ()
    if row.get("txid") is not None:
        ids = answers.as_texts(row["txid"], "txid")
    if not all(ids):
        raise BadAnswer("txid holds an empty text")
    description = None
    if isinstance(row.get("descr"), dict):
        description = answers.optional_text_in(row["descr"], "order")
    return PlaceAnswer(venue_order_ids=ids, description=description)


def parse_orders(rows: object, *, source: str, read_at: datetime) -> tuple[OrderReport, ...]:
    """Return the reports of a map from order id to order object."""
    return tuple(
        parse_order(order_id, row, source=source, read_at=read_at)
        for order_id, row in answers.as_object(rows, source).items()
    )


def parse_order(order_id: str, value: object, *, source: str, read_at: datetime) -> OrderReport:
    """Return the report of one order object (OpenOrders, ClosedOrders, QueryOrders).

    ``size_base`` of a foreign order that was sized in quote currency (``viqc``) is that quote amount; its
    order type then says so, and no plan of ours equals it.
    """
    row = answers.as_object(value, order_id)
    descr = answers.as_object(row.get("descr"), "descr")
    order_type = answers.text_in(descr, "ordertype")
    limit_price = None
    if order_type in _LIMIT_TYPES:
        limit_price = _positive_or_none(_price_or_zero(descr))
    if "viqc" in (answers.optional_text_in(row, "oflags") or "").split(","):
        order_type += " sized in quote"
    filled = answers.amount_in(row, "vol_exec")
    raw_state = answers.text_in(row, "status")
    state = _STATES.get(raw_state, "unrecognised")
    fill_ids: tuple[str, ...] = ()
    if row.get("trades") is not None:
        fill_ids = answers.as_texts(row["trades"], "trades")
    return OrderReport(
        venue_order_id=order_id,
        client_order_id=client_order_id_in(row),
        venue_symbol=answers.text_in(descr, "pair"),
        side=answers.text_in(descr, "type"),
        order_type=order_type,
        size_base=answers.amount_in(row, "vol"),
        limit_price=limit_price,
        filled_base=filled,
        average_price=_positive_or_none(answers.amount_in(row, "price")),
        cost_quote=answers.amount_in(row, "cost"),
        fee_quote=answers.decimal_in(row, "fee"),
        state="partially_filled" if state == "open" and filled > 0 else state,
        raw_state=raw_state,
        reason=answers.optional_text_in(row, "reason"),
        opened_at=answers.unix_time_in(row, "opentm"),
        closed_at=answers.unix_time_in(row, "closetm"),
        fill_ids=fill_ids,
        source=source,
        read_at=read_at,
    )


def parse_trades(rows: object) -> tuple[FillReport, ...]:
    """Return the fills of a map from trade id to trade object."""
    return tuple(parse_trade(trade_id, row) for trade_id, row in answers.as_object(rows, "trades").items())


def parse_trade(trade_id: str, value: object) -> FillReport:
    """Return one trade object. The venue names no fee currency there, so ours stays None."""
    row = answers.as_object(value, trade_id)
    return FillReport(
        venue_fill_id=trade_id,
        venue_order_id=answers.text_in(row, "ordertxid"),
        side=answers.text_in(row, "type"),
        price=answers.amount_in(row, "price"),
        size_base=answers.amount_in(row, "vol"),
        cost_quote=answers.amount_in(row, "cost"),
        fee=answers.decimal_in(row, "fee"),
        fee_asset=None,
        liquidity=_liquidity(row.get("maker")),
        executed_at=answers.unix_time_in(row, "time"),
    )


def client_order_id_in(row: Mapping[str, Any]) -> str | None:
    """Return the client order id of an order.

    The venue stores 128 bits and may write them as a dashed UUID.
    """
    text = answers.optional_text_in(row, "cl_ord_id")
    if text is not None and _DASHED_UUID.fullmatch(text):
        return text.replace("-", "").lower()
    return text


def _price_or_zero(descr: Mapping[str, Any]) -> Decimal:
    """Return the limit price; a relative one (``+1.5%``) of a foreign order has no absolute value: zero."""
    text = answers.text_in(descr, "price")
    if text.endswith("%") or text.startswith("#"):
        return Decimal(0)
    return answers.as_decimal(text, "price")


def _positive_or_none(value: Decimal) -> Decimal | None:
    return value if value > 0 else None


def _liquidity(maker: object) -> Liquidity:
    if maker is True:
        return "maker"
    return "taker" if maker is False else "unknown"


def _spellings(pair: str) -> frozenset[str]:
    """Return every name under which the venue may show a market that was asked for as ``pair``."""
    try:
        return symbols.spellings_of(symbols.parse_symbol(pair), pair)
    except UsageFault:
        return frozenset({pair})
