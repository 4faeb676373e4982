"""Kraken's private reads: balances, orders, trades, ledgers, key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, TypeVar

from quantlab.rehearsal.balances import LedgerRow
from quantlab.rehearsal.kraken_book import Order, StreamToken, Trade, same_client_id
from quantlab.rehearsal.kraken_call import TXID, Call
from quantlab.rehearsal.kraken_markets import ASSETS, PAIRS, find_asset
from quantlab.rehearsal.kraken_wire import (
    Params,
    Refused,
    consolidate,
    fixed,
    invalid,
    order_object,
    plain_decimal,
    stamp,
    trade_object,
)
from quantlab.rehearsal.wire import Json

NS: Final = 1_000_000_000
PAGE: Final = 50
TOKEN_SECONDS: Final = 900

_Row = TypeVar("_Row")


def balance(call: Call) -> Json:
    """Answer `Balance`."""
    return {a: fixed(call.account.purse.total(a, call.as_of_ns), ASSETS[a].decimals) for a in _held(call)}


def balance_ex(call: Call) -> Json:
    """Answer `BalanceEx`."""
    account = call.account
    return {
        a: {
            "balance": fixed(account.purse.total(a, call.as_of_ns), ASSETS[a].decimals),
            "hold_trade": fixed(call.engine.hold(account, a, call.as_of_ns), ASSETS[a].decimals),
        }
        for a in _held(call)
    }


def _held(call: Call) -> list[str]:
    return [a for a in ASSETS if a in call.account.purse.totals]


def trade_balance(call: Call) -> Json:
    """Answer `TradeBalance` in `ZUSD`."""
    asset = find_asset(call.params.text("asset") or "ZUSD")
    if asset is None:
        raise Refused("EQuery:Unknown asset")
    worth = Decimal(0)
    for name in _held(call):
        pair = next((p for p in PAIRS.values() if p.base == name and p.quote == "ZUSD"), None)
        price = call.exchange.walk.mid(pair.market, call.now_ns) if pair else Decimal(1)
        worth += call.account.purse.total(name, call.as_of_ns) * price
    total, none = fixed(worth, 4), fixed(Decimal(0), 4)
    return {
        "eb": total, "tb": total, "m": none, "uv": none, "n": none, "c": none, "v": none,
        "e": total, "mf": total,
    }  # fmt: skip


def _filtered(call: Call, orders: Iterable[Order]) -> list[Order]:
    """Keep the orders that carry the asked-for userref and client order id."""
    userref = call.params.whole("userref")
    client_id = call.params.text("cl_ord_id")
    if client_id is not None and call.rules.filter_finds_nothing:
        return []
    return [
        o
        for o in orders
        if (userref is None or (o.userref or 0) == userref)
        and (client_id is None or same_client_id(o.cl_ord_id, client_id))
    ]


def _trade_ids(call: Call, order: Order) -> tuple[str, ...] | None:
    """Return the trade ids that an order object lists, or None when they were not asked for."""
    if not call.params.flag("trades"):
        return None
    found = [call.account.trades[t] for t in order.trades]
    if call.params.flag("consolidate_taker", default=True):
        found = consolidate(found)
    return tuple(t.id for t in found)


def open_orders(call: Call) -> Json:
    """Answer `OpenOrders`, newest first."""
    rows = _filtered(call, (o for o in call.account.seen(call.as_of_ns) if o.is_open))
    rows.sort(key=lambda o: o.opened_ns, reverse=True)
    return {"open": {o.txid: order_object(o, reason=False, trades=_trade_ids(call, o)) for o in rows}}


def closed_orders(call: Call) -> Json:
    """Answer `ClosedOrders`: newest first, 50 a page, `count` over all pages."""
    which = call.params.text("closetime") or "both"
    if which not in ("open", "close", "both"):
        raise invalid("closetime")
    start, end = _window(call)

    def inside(at_ns: int) -> bool:
        return (start is None or at_ns > start) and (end is None or at_ns <= end)

    def wanted(order: Order) -> bool:
        times = {"open": (order.opened_ns,), "close": (order.closed_ns,)}.get(which, (order.opened_ns, order.closed_ns))
        return not order.is_open and any(inside(t) for t in times)

    rows = [o for o in _filtered(call, call.account.seen(call.as_of_ns)) if wanted(o)]
    rows.sort(key=lambda o: o.closed_ns, reverse=True)
    rows, total = _left_in(call, rows)
    shown: Json = {o.txid: order_object(o, reason=True, trades=_trade_ids(call, o)) for o in _page(call, rows)}
    return _counted(call, "closed", shown, total)


def _window(call: Call) -> tuple[int | None, int | None]:
    """Read `start` and `end`: unix times, or ids whose own time is meant."""
    return _edge(call, "start"), _edge(call, "end")


def _edge(call: Call, name: str) -> int | None:
    text = call.params.text(name)
    if text is None:
        return None
    if TXID.fullmatch(text):
        order = call.account.latest(text)
        trade = call.account.trades.get(text)
        if order is None and trade is None:
            raise invalid(name)
        return order.opened_ns if order else trade.at_ns if trade else None
    seconds = plain_decimal(text)
    if seconds is None:
        raise invalid(name)
    return int(seconds * NS)


def _page(call: Call, rows: list[_Row]) -> list[_Row]:
    offset = call.params.whole("ofs", 0) or 0
    if offset < 0:
        raise invalid("ofs")
    return rows[offset : offset + PAGE]


def _left_in(call: Call, rows: list[_Row]) -> tuple[list[_Row], int]:
    """Leave the scripted number of newest rows out; also return what `count` says of the rows."""
    rules = call.rules
    kept = rows[rules.rows_left_out :]
    return kept, len(rows) if rules.counts_left_out else len(kept)


def _counted(call: Call, name: str, shown: Json, total: int) -> Json:
    if call.params.flag("without_count"):
        return {name: shown}
    return {name: shown, "count": total}


def _ids(params: Params, name: str, most: int) -> list[str]:
    text = params.text(name)
    if text is None:
        raise invalid()
    found = [part.strip() for part in text.split(",")]
    if len(found) > most:
        raise invalid(name)
    return found


def query_orders(call: Call) -> Json:
    """Answer `QueryOrders`; orders that are not the account's are left out without a word."""
    found = [call.seen_order(txid) for txid in _ids(call.params, "txid", 50)]
    rows = _filtered(call, (o for o in found if o is not None))
    return {o.txid: order_object(o, reason=True, trades=_trade_ids(call, o)) for o in rows}


def order_amends(call: Call) -> Json:
    """Answer `OrderAmends`."""
    txid = call.params.text("order_id")
    if txid is None:
        raise invalid("order_id")
    order = call.seen_order(txid)
    if order is None:
        raise Refused("EOrder:Unknown order")
    fixed_part: Json = {"amend_type": "user", "reason": None, "post_only": False}
    rows = [{**row, **fixed_part, "timestamp": int(row["timestamp"])} for row in call.account.amends.get(txid, [])]
    return {"count": len(rows), "amends": rows}


def trades_history(call: Call) -> Json:
    """Answer `TradesHistory`."""
    kind = call.params.text("type") or "all"
    known = ("all", "any position", "closed position", "closing position", "no position")
    if kind not in known:
        raise invalid("type")
    start, end = _window(call)
    rows = call.account.seen_trades(call.as_of_ns)
    if kind not in ("all", "no position"):
        rows = []
    if call.params.flag("consolidate_taker", default=True):
        rows = consolidate(rows)
    rows = [t for t in rows if (start is None or t.at_ns > start) and (end is None or t.at_ns <= end)]
    ledgers = call.params.flag("ledgers")
    rows, total = _left_in(call, rows)
    shown: Json = {t.id: trade_object(t, ledgers=ledgers) for t in _page(call, rows)}
    return _counted(call, "trades", shown, total)


def query_trades(call: Call) -> Json:
    """Answer `QueryTrades`; it knows trade ids only."""
    visible: dict[str, Trade] = {t.id: t for t in call.account.seen_trades(call.as_of_ns)}
    wanted = _ids(call.params, "txid", 20)
    if not all(TXID.fullmatch(t) for t in wanted):
        raise Refused("EOrder:Invalid order")
    return {t: trade_object(visible[t]) for t in wanted if t in visible}


def _ledger_object(row: LedgerRow) -> Json:
    decimals = ASSETS[row.asset].decimals
    return {
        "refid": row.refid,
        "time": stamp(row.at_ns),
        "type": row.type,
        "subtype": "",
        "aclass": "currency",
        "asset": row.asset,
        "amount": fixed(row.amount, decimals),
        "fee": fixed(row.fee, decimals),
        "balance": fixed(row.balance, decimals),
    }


def ledgers(call: Call) -> Json:
    """Answer `Ledgers`, newest first."""
    names = call.params.text("asset") or "all"
    wanted = None
    if names != "all":
        found = [find_asset(n) for n in names.split(",")]
        if None in found:
            raise Refused("EQuery:Unknown asset")
        wanted = {a.id for a in found if a is not None}
    kind = call.params.text("type") or "all"
    start, end = _window(call)
    rows = [
        r
        for r in reversed(call.account.purse.rows)
        if (wanted is None or r.asset in wanted)
        and kind in ("all", r.type)
        and (call.as_of_ns is None or r.recorded_ns <= call.as_of_ns)
        and (start is None or r.at_ns > start)
        and (end is None or r.at_ns <= end)
    ]
    shown: Json = {r.id: _ledger_object(r) for r in _page(call, rows)}
    return _counted(call, "ledger", shown, len(rows))


def query_ledgers(call: Call) -> Json:
    """Answer `QueryLedgers`."""
    wanted = set(_ids(call.params, "id", 20))
    return {r.id: _ledger_object(r) for r in call.account.purse.rows if r.id in wanted}


def web_sockets_token(call: Call) -> Json:
    """Answer `GetWebSocketsToken`."""
    state = call.exchange.state
    token = f"{state.next_id('W')}{state.next_id('X')}".replace("-", "")
    until_ns = call.now_ns + TOKEN_SECONDS * NS
    state.tokens = {t: s for t, s in state.tokens.items() if s.until_ns >= call.now_ns}
    state.tokens[token] = StreamToken(call.key.api_key, until_ns)
    return {"token": token, "expires": TOKEN_SECONDS}


def api_key_info(call: Call) -> Json:
    """Answer `GetApiKeyInfo`; times are unix seconds as text."""
    known = call.exchange.state.keys[call.key.api_key]
    created_s = str((call.exchange.state.created_ns // NS) - 30 * 86_400)
    window = call.exchange.plan.standing("nonce_window", "kraken")
    return {
        "apiKeyName": f"rehearsal {call.key.name}",
        "apiKey": call.key.api_key,
        "nonce": str(known.nonce),
        "nonceWindow": 0 if call.rules.hides_nonce_window else window.status if window else call.key.nonce_window,
        "permissions": list(call.key.permissions),
        "iban": call.account.iban,
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": created_s,
        "modifiedTime": created_s,
        "ipAllowlist": [],
        "lastUsed": str(call.now_ns // NS),
    }


READS: Final[dict[str, Callable[[Call], Json]]] = {
    "Balance": balance,
    "BalanceEx": balance_ex,
    "TradeBalance": trade_balance,
    "OpenOrders": open_orders,
    "ClosedOrders": closed_orders,
    "QueryOrders": query_orders,
    "OrderAmends": order_amends,
    "TradesHistory": trades_history,
    "QueryTrades": query_trades,
    "Ledgers": ledgers,
    "QueryLedgers": query_ledgers,
    "GetWebSocketsToken": web_sockets_token,
    "GetApiKeyInfo": api_key_info,
}
