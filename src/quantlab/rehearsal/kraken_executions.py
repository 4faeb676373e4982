"""The private channel `executions`: snapshot, updates, and the sequence that ties them together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from quantlab.rehearsal.kraken_book import Account, Order, Trade
from quantlab.rehearsal.kraken_markets import PAIRS, symbol_asset
from quantlab.rehearsal.kraken_wire import amount, rfc3339
from quantlab.rehearsal.wire import Json

if TYPE_CHECKING:
    from quantlab.rehearsal.kraken_ticket import Event

MAX_COUNT: Final = 60
SNAPSHOT_TRADES: Final = 50


class Executions:
    """One subscription.

    Args:
        account: Whose orders and fills are reported.
        params: The parameters of the subscription.
        now_ns: Exchange time.
    """

    def __init__(self, account: Account, params: Json, now_ns: int) -> None:
        self._account = account
        self._orders = params.get("snap_orders") is not False
        self._trades = params.get("snap_trades") is True
        self._all = params.get("order_status") is not False
        self._now_ns = now_ns
        self._sequence = 0
        self._snapped = False
        self.ack: Json = {
            "channel": "executions",
            "maxratecount": MAX_COUNT,
            "snap_orders": self._orders,
            "snap_trades": self._trades,
        }

    def _frame(self, kind: str, data: list[Json]) -> Json:
        self._sequence += 1
        return {"channel": "executions", "type": kind, "data": data, "sequence": self._sequence}

    def take_snapshot(self) -> Iterator[Json]:
        """Yield the snapshot, once."""
        if self._snapped:
            return
        self._snapped = True
        data: list[Json] = []
        if self._trades:
            recent = self._account.seen_trades(None)[:SNAPSHOT_TRADES]
            for trade in reversed(recent):
                order = self._account.orders[trade.txid][-1]
                data.append(trade_item(order, trade))
        if self._orders:
            data += [new_item(o, "new", o.opened_ns) for o in self._account.open_orders()]
        yield self._frame("snapshot", data)

    def updates(self, events: list[Event]) -> Iterator[Json]:
        """Yield a frame for each event."""
        for event in events:
            if not self._all and event.kind not in ("new", "filled", "canceled", "expired"):
                continue
            yield self._frame("update", [event_item(event)])


def order_status(order: Order) -> str:
    """Name the state of an order in the words of this channel."""
    if order.status == "closed":
        return "filled"
    if order.status != "open":
        return order.status
    return "partially_filled" if order.filled else "new"


def event_item(event: Event) -> Json:
    """Write one event."""
    if event.kind == "trade" and event.trade is not None:
        return trade_item(event.order, event.trade)
    if event.kind in ("pending_new", "new", "amended"):
        return new_item(event.order, event.kind, event.at_ns)
    return end_item(event.order, event.kind, event.at_ns)


def _base(order: Order, exec_type: str, status: str, at_ns: int) -> Json:
    row: Json = {"order_id": order.txid}
    if order.cl_ord_id is not None:
        row["cl_ord_id"] = order.cl_ord_id
    else:
        row["order_userref"] = order.userref or 0
    return row | {"exec_type": exec_type, "order_status": status, "timestamp": rfc3339(at_ns)}


def _sums(order: Order) -> Json:
    return {
        "cum_qty": amount(order.filled),
        "cum_cost": amount(order.cost),
        "avg_price": amount(order.average),
        "fee_usd_equiv": amount(order.fee),
    }


def new_item(order: Order, kind: str, at_ns: int) -> Json:
    """Write an order in full, as a new one or in a snapshot."""
    pair = PAIRS[order.pair]
    status = "pending_new" if kind == "pending_new" else order_status(order)
    row = _base(order, kind, status, at_ns) | {
        "symbol": pair.symbol,
        "side": order.side,
        "order_type": order.kind,
        "order_qty": amount(order.volume),
        "time_in_force": order.tif,
        "fee_ccy_pref": order.oflags.split(",")[-1],
        "post_only": "post" in order.oflags.split(","),
        "reduce_only": False,
        "margin": False,
        "liquidated": False,
    }
    if order.kind == "limit":
        row["limit_price"] = amount(order.price)
        row["limit_price_type"] = "static"
    if order.expires_ns:
        row["expire_time"] = rfc3339(order.expires_ns)
    return row | _sums(order)


def trade_item(order: Order, trade: Trade) -> Json:
    """Write one fill."""
    pair = PAIRS[trade.pair]
    return (
        _base(order, "trade", order_status(order), trade.at_ns)
        | {
            "exec_id": trade.id,
            "trade_id": trade.number,
            "symbol": pair.symbol,
            "side": trade.side,
            "order_type": trade.kind,
            "order_qty": amount(order.volume),
            "last_qty": amount(trade.volume),
            "last_price": amount(trade.price),
            "cost": amount(trade.cost),
            "liquidity_ind": "m" if trade.maker else "t",
            "fees": [{"asset": symbol_asset(pair.quote), "qty": amount(trade.fee)}],
            "ord_ref_id": "",
        }
        | _sums(order)
    )


def end_item(order: Order, kind: str, at_ns: int) -> Json:
    """Write the terse item that ends an order: no symbol in it."""
    row = _base(order, kind, kind, at_ns) | _sums(order)
    if order.reason is not None:
        row |= {"cancel_reason": order.reason, "reason": order.reason}
    return row
