"""Trading methods of WebSocket v2, put into the words of REST and handed to the same checks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.kraken_book import Order, same_client_id
from quantlab.rehearsal.kraken_call import Call
from quantlab.rehearsal.kraken_markets import find_symbol
from quantlab.rehearsal.kraken_trading import (
    amend_order,
    cancel_all,
    checked_ticket,
    place,
)
from quantlab.rehearsal.kraken_wire import Params, Refused, invalid
from quantlab.rehearsal.wire import Json

_ADD_FIELDS: Final = {
    "order_type": "ordertype",
    "side": "type",
    "order_qty": "volume",
    "limit_price": "price",
    "time_in_force": "timeinforce",
    "expire_time": "expiretm",
    "cl_ord_id": "cl_ord_id",
    "order_userref": "userref",
    "deadline": "deadline",
    "stp_type": "stptype",
}
"""Fields of `add_order` and the REST parameters that mean the same."""
_ADD_OTHER: Final = frozenset({
    "symbol", "token", "post_only", "validate", "fee_preference", "margin", "reduce_only",
    "no_mpp", "limit_price_type",
})  # fmt: skip


def _text(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value


def add_order(call: Call, params: Json) -> list[Json]:
    """Carry out `add_order`; a field it does not know is refused by name."""
    for name in params:
        if name not in _ADD_FIELDS and name not in _ADD_OTHER:
            raise Refused(f"Unsupported field: '{name}' for the given msg type: add order")
    symbol = str(params.get("symbol", ""))
    pair = find_symbol(symbol)
    if pair is None:
        raise Refused(f"Currency pair not supported {symbol}")
    if "price" in params or params.get("limit_price_type", "static") != "static":
        raise invalid("limit_price_type")
    values: Json = {rest: _text(params[ws]) for ws, rest in _ADD_FIELDS.items() if ws in params}
    flags = ["post"] if params.get("post_only") is True else []
    flags.append("fcib" if params.get("fee_preference") == "base" else "fciq")
    values |= {"oflags": ",".join(flags), "reduce_only": params.get("reduce_only", False)}
    rest_params = Params(values)
    result: Json = {}
    if params.get("validate") is True:
        checked_ticket(call, rest_params, pair.altname)
    else:
        result["order_id"] = place(call, rest_params, pair.altname).txid
    for name in ("cl_ord_id", "order_userref"):
        if name in params:
            result[name] = params[name]
    return [result]


def cancel_order(call: Call, params: Json) -> list[Json]:
    """Carry out `cancel_order`: one kind of id, one result for each order."""
    given = [n for n in ("order_id", "cl_ord_id", "order_userref") if params.get(n)]
    if len(given) != 1:
        raise invalid()
    listed = params[given[0]]
    values = list(listed) if isinstance(listed, list) else [listed]
    results: list[Json] = []
    for value in values:
        for order in _matching(call, given[0], value):
            call.engine.cancel(call.key.account, order, call.now_ns)
            row: Json = {"order_id": order.txid}
            if order.cl_ord_id is not None:
                row["cl_ord_id"] = order.cl_ord_id
            results.append(row)
    return results


def _matching(call: Call, name: str, value: object) -> list[Order]:
    def same(order: Order) -> bool:
        match name:
            case "order_id":
                return order.txid == value
            case "cl_ord_id":
                return same_client_id(order.cl_ord_id, str(value))
            case _:
                return order.userref == value

    found = [o for o in call.account.open_orders() if same(o)]
    if not found:
        raise Refused("EOrder:Unknown order")
    return found


def amend(call: Call, params: Json) -> list[Json]:
    """Carry out `amend_order`."""
    values: Json = {
        rest: _text(params[ws])
        for ws, rest in (
            ("order_id", "txid"),
            ("cl_ord_id", "cl_ord_id"),
            ("order_qty", "order_qty"),
            ("limit_price", "limit_price"),
            ("post_only", "post_only"),
            ("deadline", "deadline"),
        )
        if ws in params
    }
    result = amend_order(msgspec.structs.replace(call, params=Params(values)))
    return [{**result, **{n: params[n] for n in ("order_id", "cl_ord_id") if n in params}}]


def cancel_every(call: Call, _params: Json) -> list[Json]:
    """Carry out `cancel_all`."""
    return [cancel_all(call)]


METHODS: Final[dict[str, Callable[[Call, Json], list[Json]]]] = {
    "add_order": add_order,
    "amend_order": amend,
    "cancel_order": cancel_order,
    "cancel_all": cancel_every,
}
