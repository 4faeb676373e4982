"""Kraken's private calls that place, change or cancel orders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.kraken_arguments import (
    check_price,
    check_size,
    check_unique,
    check_unlike,
    read_deadline,
    read_ticket,
)
from quantlab.rehearsal.kraken_book import Order, same_client_id
from quantlab.rehearsal.kraken_call import TXID, VENUE, Call
from quantlab.rehearsal.kraken_limits import EDIT_COST, POINT, count_trading, penalty
from quantlab.rehearsal.kraken_markets import PAIRS
from quantlab.rehearsal.kraken_ticket import Ticket
from quantlab.rehearsal.kraken_wire import (
    Params,
    Refused,
    describe,
    fixed,
    floor_to,
    invalid,
    plain_decimal,
    rfc3339_seconds,
)
from quantlab.rehearsal.wire import Json

NS: Final = 1_000_000_000


def check_mode(call: Call, ticket: Ticket | None) -> None:
    """Check that the system's mode allows an order, or (without a ticket) a cancel.

    Raises:
        Refused: the mode does not allow it.
    """
    mode = call.exchange.mode(VENUE)
    if mode == "maintenance":
        raise Refused("EService:Unavailable")
    if ticket is None or mode == "online":
        return
    fine = (mode == "post_only" and ticket.post_only) or (mode == "limit_only" and ticket.kind == "limit")
    if not fine:
        raise Refused(f"EService:Market in {mode} mode")


def checked_ticket(call: Call, params: Params, pair_name: str | None) -> Ticket:
    """Read and check one order up to the point where `validate` stops.

    Raises:
        Refused: the first check that fails.
    """
    ticket = read_ticket(params, pair_name, call.now_ns)
    check_mode(call, ticket)
    if ticket.kind == "limit":
        price = check_price(params.text("price"), ticket.pair, pair_name or "")
        ticket = msgspec.structs.replace(ticket, price=price)
        worth = price
    else:
        worth = call.exchange.walk.mid(ticket.pair.market, call.now_ns)
    check_size(ticket, worth)
    if not call.rules.shares_client_ids:
        check_unique(call.account, ticket.cl_ord_id)
    return ticket


def ticket_text(ticket: Ticket) -> str:
    """Write the order text of a ticket that has not become an order."""
    draft = Order(
        txid="",
        pair=ticket.pair.id,
        side=ticket.side,
        kind=ticket.kind,
        volume=ticket.volume,
        price=ticket.price,
        opened_ns=0,
        recorded_ns=0,
    )
    return describe(draft)


def add_order(call: Call) -> Json:
    """Answer `AddOrder`; `txid` comes first and is missing after `validate`."""
    if call.params.flag("validate"):
        ticket = checked_ticket(call, call.params, call.params.text("pair"))
        told: Json = {}
        if call.rules.validate_places:
            placed = place(call, call.params, call.params.text("pair"))
            told = {"txid": [placed.txid]} if call.rules.validate_tells else {}
        return {**told, "descr": {"order": ticket_text(ticket)}}
    order = place(call, call.params, call.params.text("pair"))
    return {"txid": [order.txid], "descr": {"order": describe(order)}}


def place(call: Call, params: Params, pair_name: str | None) -> Order:
    """Check, fund and match one real order.

    Raises:
        Refused: nothing was placed.
    """
    known = read_ticket(params, pair_name, call.now_ns)
    limited = call.engine.charge(call.key.account, known.pair.id, call.now_ns)
    ticket = checked_ticket(call, params, pair_name)
    if ticket.deadline_ns:
        slack_ns = call.rules.deadline_slack_seconds * NS
        ticket = msgspec.structs.replace(ticket, deadline_ns=ticket.deadline_ns + slack_ns)
    return call.engine.place(call.key.account, ticket, call.now_ns, partial=call.partial(), limited=limited)


def add_order_batch(call: Call) -> Json:
    """Answer `AddOrderBatch`: refused whole on a bad argument, one by one for funds and engine."""
    params = call.params
    pair_name = params.text("pair")
    deadline_ns = read_deadline(params, call.now_ns)
    rows = params.items("orders")
    if not 2 <= len(rows) <= 15:
        raise invalid("orders")
    orders = [_object(row) for row in rows]
    tickets = [checked_ticket(call, order, pair_name) for order in orders]
    check_unlike([t.cl_ord_id for t in tickets])
    if params.flag("validate"):
        return {"orders": [{"descr": {"order": ticket_text(t)}} for t in tickets]}
    half = max(1, len(tickets) // 2)
    limited = call.engine.charge(call.key.account, tickets[0].pair.id, call.now_ns, half)
    results: list[Json] = []
    for ticket in tickets:
        dated = msgspec.structs.replace(ticket, deadline_ns=deadline_ns or ticket.deadline_ns)
        try:
            order = call.engine.place(call.key.account, dated, call.now_ns, partial=call.partial(), limited=limited)
        except Refused as refusal:
            results.append({"error": refusal.error})
        else:
            results.append({"txid": order.txid, "descr": {"order": describe(order)}})
    return {"orders": results}


def _object(row: object) -> Params:
    if not isinstance(row, dict):
        raise invalid("orders")
    return Params({str(k): v for k, v in row.items()})


def _named(call: Call) -> list[Order]:
    """Find the orders that `txid` (or a userref in its place) or `cl_ord_id` means.

    Raises:
        Refused: neither or both are given, or nothing is meant by them.
    """
    txid, name = call.params.text("txid"), call.params.text("cl_ord_id")
    if (txid is None) == (name is None):
        raise invalid()
    if name is not None:
        found = [o for o in call.account.open_orders() if same_client_id(o.cl_ord_id, name)]
        if not found:
            raise Refused("EOrder:Unknown order")
        return found
    return _by_txid(call, txid or "")


def _by_txid(call: Call, txid: str) -> list[Order]:
    if txid.lstrip("-").isdigit():
        found = [o for o in call.account.open_orders() if o.userref == int(txid)]
        if not found:
            raise Refused("EOrder:Unknown order")
        return found
    if not TXID.fullmatch(txid):
        raise Refused("EOrder:Invalid order")
    order = call.account.latest(txid)
    if order is None:
        raise Refused("EOrder:Invalid order")
    if not order.is_open:
        raise Refused("EOrder:Unknown order")
    return [order]


def cancel_order(call: Call) -> Json:
    """Answer `CancelOrder`."""
    check_mode(call, None)
    found = _named(call)
    for order in found:
        call.engine.cancel(call.key.account, order, call.now_ns)
    return {"count": len(found)}


def cancel_order_batch(call: Call) -> Json:
    """Answer `CancelOrderBatch`; orders that cannot be canceled are passed over."""
    check_mode(call, None)
    ids = [str(i) for i in call.params.items("orders")]
    names = [str(i) for i in call.params.items("cl_ord_ids")]
    if not 1 <= len(ids) + len(names) <= 50:
        raise invalid("orders")
    found: dict[str, Order] = {}
    for txid in ids:
        try:
            found |= {o.txid: o for o in _by_txid(call, txid)}
        except Refused:
            continue
    for order in call.account.open_orders():
        if any(same_client_id(order.cl_ord_id, n) for n in names):
            found[order.txid] = order
    for order in found.values():
        call.engine.cancel(call.key.account, order, call.now_ns)
    return {"count": len(found)}


def cancel_all(call: Call) -> Json:
    """Answer `CancelAll`."""
    check_mode(call, None)
    found = call.account.open_orders()
    for order in found:
        call.engine.cancel(call.key.account, order, call.now_ns)
    return {"count": len(found)}


def cancel_all_orders_after(call: Call) -> Json:
    """Answer `CancelAllOrdersAfter`, the dead man's switch; 0 seconds turn it off."""
    seconds = call.params.whole("timeout")
    if seconds is None or not 0 <= seconds < 86_400:
        raise invalid("timeout")
    due_ns = call.now_ns + seconds * NS if seconds else 0
    call.account.cancel_all_ns = due_ns
    return {
        "currentTime": rfc3339_seconds(call.now_ns),
        "triggerTime": rfc3339_seconds(due_ns) if due_ns else "0",
    }


def amend_order(call: Call) -> Json:
    """Answer `AmendOrder`."""
    order = _named(call)[0]
    pair = PAIRS[order.pair]
    volume = _new_volume(call.params, "order_qty", pair.lot_decimals)
    text = call.params.text("limit_price")
    if volume is None and text is None:
        raise invalid()
    check_mode(call, None)
    price = None if text is None else check_price(text, pair, pair.altname)
    deadline_ns = read_deadline(call.params, call.now_ns)
    if volume is not None and volume > order.filled and volume < pair.ordermin:
        raise Refused("EOrder:Order minimum not met")
    if deadline_ns and call.now_ns > deadline_ns:
        raise Refused("EService:Deadline elapsed")
    amend_id = call.engine.amend(
        call.key.account,
        order,
        volume=volume,
        price=price,
        post_only=call.params.flag("post_only"),
        now_ns=call.now_ns,
    )
    return {"amend_id": amend_id}


def _new_volume(params: Params, name: str, decimals: int) -> Decimal | None:
    text = params.text(name)
    if text is None:
        return None
    volume = plain_decimal(text)
    if volume is None or volume <= 0:
        raise invalid(name)
    return floor_to(volume, decimals)


def edit_order(call: Call) -> Json:
    """Answer `EditOrder`: cancels the order and places a new one without its client order id."""
    params, account = call.params, call.key.account
    order = _by_txid(call, params.text("txid") or "")[0]
    pair = PAIRS[order.pair]
    volume = _new_volume(params, "volume", pair.lot_decimals)
    values: dict[str, object] = {
        "ordertype": order.kind,
        "type": order.side,
        "volume": f"{(volume if volume is not None else order.left):f}",
        "price": params.text("price") or f"{order.price:f}",
        "oflags": params.text("oflags") or order.oflags,
        "userref": params.text("userref"),
        "deadline": params.text("deadline"),
    }
    pair_name = params.text("pair") or pair.altname
    ticket = checked_ticket(call, Params(values), pair_name)
    if ticket.pair.id != order.pair:
        raise Refused("EQuery:Unknown asset pair")
    row: Json = {
        "status": "ok",
        "originaltxid": order.txid,
        "volume": fixed(ticket.volume, pair.lot_decimals),
        "price": fixed(ticket.price, pair.pair_decimals),
        "orders_cancelled": 1,
        "descr": {"order": ticket_text(ticket)},
    }
    if params.flag("validate"):
        return row
    age_ns = call.now_ns - max(order.opened_ns, order.amended_ns)
    count_trading(call.account, pair.id, POINT + penalty(EDIT_COST, age_ns), call.now_ns)
    call.engine.replace(account, order, call.now_ns)
    new = call.engine.place(account, ticket, call.now_ns)
    return {"txid": new.txid, **row}


TRADING: Final[dict[str, Callable[[Call], Json]]] = {
    "AddOrder": add_order,
    "AddOrderBatch": add_order_batch,
    "AmendOrder": amend_order,
    "EditOrder": edit_order,
    "CancelOrder": cancel_order,
    "CancelOrderBatch": cancel_order_batch,
    "CancelAll": cancel_all,
    "CancelAllOrdersAfter": cancel_all_orders_after,
}
"""Each trading call; a validate-only one is among them and has no effect."""
