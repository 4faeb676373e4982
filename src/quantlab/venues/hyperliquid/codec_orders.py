"""Orders and fills: the text of an action, and the reports of the information endpoint. Pure.

The stream's reports are in `codec_stream`. The venue's record of an order shows no traded size that can be relied on
(an immediate order that was filled in part is ``filled`` too): what traded is the sum of its fills.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from quantlab.kernel.canonical import decimal_text, parse_decimal
from quantlab.kernel.errors import QuantLabFault
from quantlab.model.execution import FillReport, OrderReport, OrderState
from quantlab.model.instrument import Instrument
from quantlab.model.order import OrderIntent, Plan
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import symbols
from quantlab.venues.hyperliquid.codec import time_of_ms

_CLIENT_ORDER_ID: Final = re.compile(r"0x[0-9a-f]{32}")
_MOST_WIRE_DECIMALS: Final = 8
_AVERAGE_DECIMALS: Final = 12
_SIDES: Final = {"B": "buy", "A": "sell"}
_DROPPING: Final = frozenset({"Ioc", "FrontendMarket"})
# How long the view of the fills may be behind the view of the orders (hyperliquid.md 5.3).
_FILLS_LATE: Final = timedelta(seconds=10)
_TIMES_IN_FORCE: Final = {"gtc": "Gtc", "ioc": "Ioc"}

# Every status the venue documents (hyperliquid.md 5.1), and what it means. Any other word is unrecognised.
_CANCELED: Final = (
    *("canceled", "marginCanceled", "vaultWithdrawalCanceled", "openInterestCapCanceled", "selfTradeCanceled"),
    *("reduceOnlyCanceled", "siblingFilledCanceled", "delistedCanceled", "liquidatedCanceled", "scheduledCancel"),
    *("outcomeSettledCanceled", "internalCancel"),
)
_REJECTED: Final = (
    *("rejected", "tickRejected", "minTradeNtlRejected", "minTradeSpotNtlRejected", "perpMarginRejected"),
    *("reduceOnlyRejected", "badAloPxRejected", "iocCancelRejected", "badTriggerPxRejected"),
    *("marketOrderNoLiquidityRejected", "positionIncreaseAtOpenInterestCapRejected", "oracleRejected"),
    *("positionFlipAtOpenInterestCapRejected", "tooAggressiveAtOpenInterestCapRejected"),
    *("openInterestIncreaseRejected", "insufficientSpotBalanceRejected", "perpMaxPositionRejected"),
    "tooManyOpenOrdersRejected",
)
STATES: Final[dict[str, OrderState]] = {
    "open": "open",
    "triggered": "open",
    "filled": "filled",
    **dict.fromkeys(_CANCELED, "canceled"),
    **dict.fromkeys(_REJECTED, "rejected"),
}


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One record of an order, as the venue shows it, before its fills were read."""

    venue_order_id: str
    client_order_id: str | None
    coin: str
    side: str
    order_type: str
    size: Decimal
    remaining: Decimal
    limit_price: Decimal
    status: str
    opened_at: datetime
    status_at: datetime
    has_loose_rest: bool
    """What remains can be less than was not traded: of a reduce-only order, and of one whose rest was dropped."""

    @property
    def state(self) -> OrderState:
        """Return what the status means."""
        return STATES.get(self.status, "unrecognised")

    @property
    def may_have_traded(self) -> bool:
        """Return whether there can be fills: never of a rejected order, nor of an open one of which all remains."""
        return self.state != "rejected" and not (self.state == "open" and self.remaining == self.size)

    @property
    def most_traded(self) -> Decimal:
        """Return what traded as far as the record says; with a loose rest it can be less."""
        return self.size - self.remaining if self.may_have_traded else Decimal(0)


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One fill with its market, its fee in quote currency, and when it happened (always known here)."""

    report: FillReport
    coin: str
    fee_quote: Decimal
    at: datetime


def order_action(plan: Plan) -> dict[str, Any]:
    """Return the plan's order as an action, the keys in the order that is hashed.

    Raises:
        QuantLabFault: the plan asks for what this venue has not, or is not in its spelling. A bug of ours.
    """
    price = plan.limit_price or plan.worst_price
    if plan.order_type != "limit" or price is None:
        raise QuantLabFault("an order on Hyperliquid needs a price; nothing was sent", code="hyperliquid.no_price")
    if not _CLIENT_ORDER_ID.fullmatch(plan.client_order_id):
        message = "the client order id is not in the venue's spelling; nothing was sent"
        raise QuantLabFault(message, code="hyperliquid.client_order_id", measured=plan.client_order_id)
    time_in_force = "Alo" if plan.post_only else _TIMES_IN_FORCE[plan.time_in_force]
    order = {
        "a": asset_of(plan),
        "b": plan.side == "buy",
        "p": wire_decimal(price),
        "s": wire_decimal(plan.size_base),
        "r": plan.reduce_only,
        "t": {"limit": {"tif": time_in_force}},
        "c": plan.client_order_id,
    }
    return {"type": "order", "orders": [order], "grouping": "na"}


def noop_action() -> dict[str, Any]:
    """Return the action that does nothing but use its nonce up."""
    return {"type": "noop"}


def cancel_action(plan: Plan, *, venue_order_id: str | None) -> dict[str, Any]:
    """Return a cancel, by the venue's id or else by the client order id.

    Raises:
        QuantLabFault: the venue's id is no number. A bug of ours.
    """
    if venue_order_id is None:
        return {"type": "cancelByCloid", "cancels": [{"asset": asset_of(plan), "cloid": plan.client_order_id}]}
    return {"type": "cancel", "cancels": [{"a": asset_of(plan), "o": order_number(venue_order_id)}]}


def action_text(action: Mapping[str, Any]) -> str:
    """Return an action as compact JSON, the keys in the order given."""
    return msgspec.json.encode(action).decode("utf-8")


def asset_of(plan: Plan) -> int:
    """Return the asset number of the plan's market, which stands among its names.

    Raises:
        QuantLabFault: it does not. A bug of ours.
    """
    asset = symbols.asset_in(plan.venue_symbol_aliases)
    if asset is None:
        raise QuantLabFault("the plan names no asset number; nothing was sent", code="hyperliquid.no_asset")
    return asset


def order_number(venue_order_id: str) -> int:
    """Return the venue's order id as the number it is.

    Raises:
        QuantLabFault: it is no number. A bug of ours.
    """
    if not venue_order_id.isascii() or not venue_order_id.isdigit():
        message = "an order id of this venue is a number; nothing was sent"
        raise QuantLabFault(message, code="hyperliquid.order_id", measured=venue_order_id[:60])
    return int(venue_order_id)


def wire_decimal(text: str) -> str:
    """Return a size or price in the one spelling that is hashed: plain, at most 8 decimals, no trailing zeros.

    Raises:
        QuantLabFault: it is not positive, or has more decimals. A bug of ours: nothing is rounded here.
    """
    value = parse_decimal(text)
    if value <= 0 or value != round(value, _MOST_WIRE_DECIMALS):
        message = "a size or price is not positive or has more than 8 decimals; nothing was sent"
        raise QuantLabFault(message, code="hyperliquid.wire_decimal", measured=text)
    return decimal_text(value)


def describe_action(plan: Plan) -> str:
    """Return the plan's action in words, read back from the bytes that would be hashed."""
    order = order_action(plan)["orders"][0]
    side = "buy" if order["b"] else "sell"
    reduce_only = ", reduce only" if order["r"] else ""
    return (
        f"{side} {order['s']} {plan.venue_symbol} (asset {order['a']}) @ limit {order['p']}, "
        f"{order['t']['limit']['tif']}{reduce_only}, cloid {order['c']}"
    )


def shape_refusals(intent: OrderIntent) -> tuple[str, ...]:
    """Return why Hyperliquid can not carry such an order, one sentence each."""
    checks = (
        (
            intent.order_type == "market",
            "Hyperliquid has no market orders: leave the type out for an immediate limit order at the worst price",
        ),
        (
            intent.reduce_only and symbols.is_spot(intent.symbol),
            "a spot order can not be reduce-only: there is no position",
        ),
        (intent.post_only and intent.limit_price is None, "a post-only order needs a limit price"),
        (
            intent.post_only and intent.time_in_force == "ioc",
            "a post-only order can not be immediate-or-cancel",
        ),
        (
            intent.order_type == "limit" and intent.limit_price is None,
            "a limit order needs a limit price",
        ),
    )
    return tuple(reason for refused, reason in checks if refused)


def static_errors(plan: Plan, instrument: Instrument) -> tuple[str, ...]:
    """Return what the venue's static rules have against the plan's order, one sentence each."""
    size = parse_decimal(plan.size_base)
    price = parse_decimal(plan.limit_price or plan.worst_price or "0")
    checks = (
        (instrument.mode != "online", f"the market is {instrument.mode}"),
        (size not in instrument.nearest_sizes(size), f"Order has invalid size: {plan.size_base}"),
        (price not in instrument.nearest_prices(price), f"Order has invalid price: {decimal_text(price)}"),
        (
            # Which price values a perp order is not settled (hyperliquid.md 4.2): here it is the order's own.
            size * price < instrument.minimum_cost,
            f"Order must have minimum value of ${instrument.minimum_cost}: {decimal_text(size * price)}",
        ),
    )
    return tuple(reason for refused, reason in checks if refused)


def parse_record(value: object) -> OrderRow:
    """Return one record with its status, as orderStatus and historicalOrders show it."""
    row = answers.as_object(value, "order record")
    status_at = time_of_ms(row.get("statusTimestamp"), "statusTimestamp")
    return parse_row(row.get("order"), status=answers.text_in(row, "status"), status_at=status_at)


def parse_row(value: object, *, status: str, status_at: datetime | None = None) -> OrderRow:
    """Return one order object. Its type is ``unknown`` where the venue does not say, as on the stream."""
    row = answers.as_object(value, "order")
    opened_at = time_of_ms(row.get("timestamp"), "timestamp")
    side = answers.text_in(row, "side")
    cloid = answers.optional_text_in(row, "cloid")
    return OrderRow(
        venue_order_id=str(answers.integer_in(row, "oid")),
        client_order_id=None if cloid is None else cloid.lower(),
        coin=answers.text_in(row, "coin"),
        side=_SIDES.get(side, side),
        order_type=(answers.optional_text_in(row, "orderType") or "unknown").lower(),
        size=answers.amount_in(row, "origSz"),
        remaining=answers.amount_in(row, "sz"),
        limit_price=answers.amount_in(row, "limitPx"),
        status=status,
        opened_at=opened_at,
        status_at=status_at or opened_at,
        has_loose_rest=row.get("reduceOnly") is True or row.get("tif") in _DROPPING,
    )


def parse_open(value: object) -> OrderRow:
    """Return one order of frontendOpenOrders."""
    return parse_row(value, status="open")


def parse_status_answer(answer: object) -> OrderRow | None:
    """Return the record of an orderStatus answer; None when the venue cleanly says that it shows none."""
    top = answers.as_object(answer, "orderStatus")
    status = answers.text_in(top, "status")
    if status == "unknownOid":
        return None
    if status != "order":
        raise BadAnswer("orderStatus answers neither an order nor unknownOid")
    return parse_record(top.get("order"))


def newest_records(rows: Sequence[OrderRow]) -> tuple[OrderRow, ...]:
    """Return the last record of each order; of two of one moment the one that is not open came later."""
    newest: dict[str, OrderRow] = {}
    for row in rows:
        known = newest.get(row.venue_order_id)
        if known is None or (known.status_at, known.state != "open") < (row.status_at, row.state != "open"):
            newest[row.venue_order_id] = row
    return tuple(newest.values())


def report_of(
    row: OrderRow, fills: Sequence[Fill], *, source: str, read_at: datetime, by_fills: bool = True
) -> OrderReport:
    """Return the report of one order and its fills, the latter picked out of ``fills``.

    Args:
        row: The order's record.
        fills: Fills of the account; those of other orders are left out.
        source: The view of the venue.
        read_at: Our clock.
        by_fills: False lets the record's own figure stand where no fill is shown, for orders of others.

    Raises:
        BadAnswer: the record says that more traded than the fills show: one of the two views is behind.
    """
    own, filled = _own_fills(row, fills)
    cost = sum((fill.report.cost_quote for fill in own), Decimal(0))
    if by_fills and _lacks_fills(row, filled, read_at=read_at):
        raise BadAnswer(f"order {row.venue_order_id} has traded more than its fills show")
    if not own and row.state == "filled":
        filled = row.most_traded
    state = row.state
    return OrderReport(
        venue_order_id=row.venue_order_id,
        client_order_id=row.client_order_id,
        venue_symbol=row.coin,
        side=row.side,
        order_type=row.order_type,
        size_base=row.size,
        limit_price=row.limit_price,
        filled_base=filled,
        average_price=round(cost / filled, _AVERAGE_DECIMALS) if own and filled else None,
        cost_quote=cost,
        fee_quote=sum((fill.fee_quote for fill in own), Decimal(0)),
        state="partially_filled" if state == "open" and filled > 0 else state,
        raw_state=row.status,
        reason=row.status if state in {"canceled", "rejected", "unrecognised"} else None,
        opened_at=row.opened_at,
        closed_at=None if state in {"open", "unrecognised"} else row.status_at,
        fill_ids=tuple(fill.report.venue_fill_id for fill in own),
        source=source,
        read_at=read_at,
    )


def awaits_fills(row: OrderRow, fills: Sequence[Fill], *, read_at: datetime) -> bool:
    """Return whether fills of an order may still be on their way to this view: its record is young and says more."""
    _, filled = _own_fills(row, fills)
    return filled < row.most_traded and read_at - row.status_at < _FILLS_LATE


def _own_fills(row: OrderRow, fills: Sequence[Fill]) -> tuple[tuple[Fill, ...], Decimal]:
    own = tuple(fill for fill in fills if fill.report.venue_order_id == row.venue_order_id)
    return own, sum((fill.report.size_base for fill in own), Decimal(0))


def _lacks_fills(row: OrderRow, filled: Decimal, *, read_at: datetime) -> bool:
    """Return whether fills are missing, or may still be on their way to this view."""
    if row.state == "filled" and filled == 0:
        return True
    if filled >= row.most_traded:
        return False
    return not row.has_loose_rest or read_at - row.status_at < _FILLS_LATE


def parse_fills(answer: object, where: str) -> tuple[Fill, ...]:
    """Return the fills of a list."""
    return tuple(parse_fill(row) for row in answers.as_list(answer, where))


def parse_fill(value: object) -> Fill:
    """Return one fill. A trade id alone is not unique: its time and market belong to it (hyperliquid.md 1.4)."""
    row = answers.as_object(value, "fill")
    at = time_of_ms(row.get("time"), "time")
    coin = answers.text_in(row, "coin")
    side = answers.text_in(row, "side")
    price, size = answers.amount_in(row, "px"), answers.amount_in(row, "sz")
    fee, fee_asset = answers.decimal_in(row, "fee"), answers.optional_text_in(row, "feeToken")
    # A spot buy pays in what it receives (1.6), which is worth the fill's price a piece.
    in_base = symbols.is_spot_coin(coin) and side == "B" and fee_asset != coin.partition("/")[2]
    crossed = row.get("crossed")
    report = FillReport(
        venue_fill_id=f"{row['time']}:{coin}:{answers.integer_in(row, 'tid')}",
        venue_order_id=str(answers.integer_in(row, "oid")),
        side=_SIDES.get(side, side),
        price=price,
        size_base=size,
        cost_quote=price * size,
        fee=fee,
        fee_asset=fee_asset,
        liquidity="unknown" if not isinstance(crossed, bool) else "taker" if crossed else "maker",
        executed_at=at,
        closed_pnl=None if row.get("closedPnl") is None else answers.decimal_in(row, "closedPnl"),
    )
    return Fill(report=report, coin=coin, fee_quote=fee * price if in_base else fee, at=at)
