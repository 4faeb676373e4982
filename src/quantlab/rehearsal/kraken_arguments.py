"""Reading the arguments of an order, in the venue's order of checks."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from quantlab.rehearsal.kraken_book import Account, client_id_key, same_client_id
from quantlab.rehearsal.kraken_markets import Pair, find_pair
from quantlab.rehearsal.kraken_ticket import Ticket
from quantlab.rehearsal.kraken_wire import (
    Params,
    Refused,
    floor_to,
    invalid,
    plain_decimal,
    read_rfc3339,
)

NS: Final = 1_000_000_000
MAX_DEADLINE_NS: Final = 60 * NS
MONTH_NS: Final = 31 * 86_400 * NS
INT32: Final = 2**31

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
_FREE: Final = re.compile(r"[a-z0-9_-]{1,18}")
_FLAGS: Final = frozenset({"post", "fcib", "fciq", "nompp"})
_UNSUPPORTED: Final = ("price2", "displayvol", "trigger", "leverage", "starttm", "asset_class")
"""Arguments of order kinds that this exchange does not have; refused when they say something."""


def client_id(params: Params) -> str | None:
    """Read `cl_ord_id`: a UUID, 32 hex digits, or at most 18 lower-case characters.

    Raises:
        Refused: any other form.
    """
    text = params.text("cl_ord_id")
    if text is None:
        return None
    if not (_UUID.fullmatch(text) or _HEX.fullmatch(text) or _FREE.fullmatch(text)):
        raise invalid("cl_ord_id")
    return text


def read_deadline(params: Params, now_ns: int) -> int:
    """Read `deadline` as nanoseconds, 0 when absent; only its upper bound is an argument error.

    Raises:
        Refused: no RFC 3339 time, or more than 60 seconds ahead.
    """
    text = params.text("deadline")
    if text is None:
        return 0
    at_ns = read_rfc3339(text)
    if at_ns is None or at_ns > now_ns + MAX_DEADLINE_NS:
        raise invalid("deadline")
    return at_ns


def read_ticket(params: Params, pair_name: str | None, now_ns: int) -> Ticket:
    """Read the arguments of one order.

    Args:
        params: The order's own parameters.
        pair_name: The pair as it was sent.
        now_ns: Exchange time.

    Raises:
        Refused: the first argument that is wrong, then an unknown pair.
    """
    kind, side = params.text("ordertype"), params.text("type")
    if kind not in ("limit", "market"):
        raise invalid("ordertype")
    if side not in ("buy", "sell"):
        raise invalid("type")
    volume = plain_decimal(params.text("volume") or "")
    if volume is None or volume <= 0:
        raise invalid("volume")
    _refuse_unsupported(params)
    userref = params.whole("userref")
    if userref is not None and not -INT32 <= userref < INT32:
        raise invalid("userref")
    name = client_id(params)
    if userref is not None and name is not None:
        raise invalid()
    tif, expires_ns = _read_time_in_force(params, now_ns)
    oflags = _read_flags(params, kind)
    if pair_name is None:
        raise invalid("pair")
    deadline_ns = read_deadline(params, now_ns)
    pair = find_pair(pair_name)
    if pair is None:
        raise Refused("EQuery:Unknown asset pair")
    return Ticket(
        pair=pair,
        side=side,
        kind=kind,
        volume=floor_to(volume, pair.lot_decimals),
        tif=tif,
        oflags=oflags,
        userref=userref,
        cl_ord_id=name,
        expires_ns=expires_ns,
        deadline_ns=deadline_ns,
    )


def _refuse_unsupported(params: Params) -> None:
    for name in _UNSUPPORTED:
        if params.text(name) not in (None, "0", "none", "last"):
            raise invalid(name)
    if params.flag("reduce_only"):
        raise invalid("reduce_only")
    if params.text("stptype") not in (None, "cancel-newest", "cancel-oldest", "cancel-both"):
        raise invalid("stptype")
    if params.nested("close").has("ordertype"):
        raise invalid("close")


def _read_time_in_force(params: Params, now_ns: int) -> tuple[str, int]:
    tif = (params.text("timeinforce") or "GTC").upper()
    if tif not in ("GTC", "IOC", "GTD", "FOK"):
        raise invalid("timeinforce")
    text = params.text("expiretm")
    if text in (None, "0"):
        if tif == "GTD":
            raise invalid("expiretm")
        return tif, 0
    seconds = plain_decimal(text.removeprefix("+")) if text else None
    if seconds is None or tif not in ("GTC", "GTD"):
        raise invalid("expiretm")
    relative = bool(text) and str(text).startswith("+")
    at_ns = int(seconds * NS) + (now_ns if relative else 0)
    if not now_ns + (5 * NS if relative else 0) <= at_ns <= now_ns + MONTH_NS:
        raise invalid("expiretm")
    return "GTD", at_ns


def _read_flags(params: Params, kind: str) -> str:
    words = [w for w in (params.text("oflags") or "").split(",") if w]
    if not set(words) <= _FLAGS or {"fcib", "fciq"} <= set(words):
        raise invalid("oflags")
    if "post" in words and kind != "limit":
        raise invalid("oflags")
    fee = "fcib" if "fcib" in words else "fciq"
    return f"post,{fee}" if "post" in words else fee


def check_price(text: str | None, pair: Pair, pair_name: str) -> Decimal:
    """Read a limit price and check its decimals and tick.

    Args:
        text: The price as it was sent.
        pair: The pair traded.
        pair_name: The pair as it was sent, for the message.

    Raises:
        Refused: `EOrder:Invalid price…` or `EOrder:Tick size check failed`.
    """
    if text is None:
        raise invalid("price")
    price = plain_decimal(text)
    if price is None or price <= 0 or text[0] == "+":
        raise Refused("EOrder:Invalid price:Invalid price argument")
    exponent = price.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > pair.pair_decimals:
        raise Refused(
            f"EOrder:Invalid price:{pair_name} price can only be specified up to {pair.pair_decimals} decimals."
        )
    if price % pair.tick:
        raise Refused("EOrder:Tick size check failed")
    return price


def check_size(ticket: Ticket, worth_price: Decimal) -> None:
    """Check minimum volume and minimum cost.

    Raises:
        Refused: `EOrder:Order minimum not met` or `EOrder:Cost minimum not met`.
    """
    if ticket.volume < ticket.pair.ordermin:
        raise Refused("EOrder:Order minimum not met")
    if ticket.volume * worth_price < ticket.pair.costmin:
        raise Refused("EOrder:Cost minimum not met")


def check_unique(account: Account, name: str | None) -> None:
    """Check that no open order carries a client order id.

    Raises:
        Refused: an open order has it; a terminal one does not count.
    """
    if name is None:
        return
    if any(same_client_id(o.cl_ord_id, name) for o in account.open_orders()):
        raise invalid("cl_ord_id not unique")


def check_unlike(names: list[str | None]) -> None:
    """Check that the orders of one batch do not share a client order id.

    Raises:
        Refused: two of them do.
    """
    keys = [client_id_key(n) for n in names if n is not None]
    if len(keys) != len(set(keys)):
        raise invalid("cl_ord_id not unique")
