"""Kraken's JSON as it goes over the wire: numbers, times, order and trade objects, parameters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from urllib.parse import parse_qsl

import msgspec

from quantlab.rehearsal.kraken_book import ZERO, Order, Trade
from quantlab.rehearsal.kraken_markets import PAIRS, Pair
from quantlab.rehearsal.wire import Json

NS = 1_000_000_000


class Refused(Exception):
    """The venue says no.

    Attributes:
        error: The error string that goes over the wire.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


def invalid(field: str = "") -> Refused:
    """Make the refusal of a bad argument."""
    return Refused("EGeneral:Invalid arguments" + (f":{field}" if field else ""))


def number(text: str) -> msgspec.Raw:
    """Wrap text that must stand in the JSON as a number, digit for digit."""
    return msgspec.Raw(text.encode("ascii"))


def amount(value: Decimal) -> msgspec.Raw:
    """Write a decimal as a JSON number without exponent and without trailing zeros."""
    text = f"{value:f}"
    return number(text.rstrip("0").rstrip(".") if "." in text else text)


def stamp(at_ns: int) -> msgspec.Raw:
    """Write a time as seconds with six decimals, or 0 when unset."""
    if at_ns == 0:
        return number("0")
    micros = at_ns // 1_000
    return number(f"{micros // 1_000_000}.{micros % 1_000_000:06d}")


def fixed(value: Decimal, decimals: int) -> str:
    """Write a decimal with exactly this many decimals."""
    return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN):f}"


def floor_to(value: Decimal, decimals: int) -> Decimal:
    """Cut a decimal down to this many decimals."""
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)


def moment(at_ns: int) -> datetime:
    """Turn nanoseconds since 1970 into an aware time, cut to microseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1_000)


def rfc3339(at_ns: int) -> str:
    """Write a time as RFC 3339 UTC with microseconds."""
    return moment(at_ns).isoformat(timespec="microseconds").replace("+00:00", "Z")


def rfc3339_seconds(at_ns: int) -> str:
    """Write a time as RFC 3339 UTC with whole seconds."""
    return moment(at_ns).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_rfc3339(text: str) -> int | None:
    """Read an RFC 3339 time with an offset as nanoseconds; None when it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


def success(result: object) -> bytes:
    """Write the reply of a call that worked."""
    return msgspec.json.encode({"error": [], "result": result})


def failure(error: str) -> bytes:
    """Write the reply of a call that was refused."""
    return msgspec.json.encode({"error": [error]})


class Params:
    """The parameters of one call, form-encoded or JSON; empty text counts as absent."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    @classmethod
    def of_form(cls, text: str) -> Params:
        """Read a query string or form body; of a repeated name the last one counts."""
        return cls(dict(parse_qsl(text, keep_blank_values=True)))

    @classmethod
    def of_body(cls, body: bytes, content_type: str) -> Params:
        """Read a request body by its content type.

        Raises:
            Refused: the body is not UTF-8, or said to be JSON and is not an object.
        """
        if "json" not in content_type:
            try:
                return cls.of_form(body.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise Refused("EAPI:Bad request") from error
        try:
            data = msgspec.json.Decoder(float_hook=Decimal).decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused("EAPI:Bad request") from error
        if not isinstance(data, dict):
            raise Refused("EAPI:Bad request")
        return cls({str(k): v for k, v in data.items()})

    def has(self, name: str) -> bool:
        """Tell whether a parameter is present and not empty."""
        return self._values.get(name) not in (None, "")

    def text(self, name: str) -> str | None:
        """Return a parameter as text.

        Raises:
            Refused: it is a list or an object.
        """
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Decimal):
            return f"{value:f}"
        if isinstance(value, str | int):
            return str(value)
        raise invalid(name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean parameter.

        Raises:
            Refused: it is neither a true nor a false word.
        """
        text = self.text(name)
        if text is None:
            return default
        if text.lower() in ("true", "1", "yes"):
            return True
        if text.lower() in ("false", "0", "no"):
            return False
        raise invalid(name)

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number.

        Raises:
            Refused: it is none.
        """
        text = self.text(name)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise invalid(name) from error

    def items(self, name: str) -> list[object]:
        """Return a JSON list, empty when absent.

        Raises:
            Refused: it is no list.
        """
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise invalid(name)
        return list(value)

    def nested(self, name: str) -> Params:
        """Return the parameters `name[...]` of a form, or the JSON object `name`."""
        value = self._values.get(name)
        if isinstance(value, dict):
            return Params({str(k): v for k, v in value.items()})
        prefix = f"{name}["
        return Params({
            k.removeprefix(prefix).removesuffix("]"): v
            for k, v in self._values.items()
            if k.startswith(prefix)
        })  # fmt: skip


def plain_decimal(text: str) -> Decimal | None:
    """Read a decimal without exponent; None when it is none."""
    if not text or "e" in text.lower() or "_" in text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def describe(order: Order) -> str:
    """Write the order text, for example `buy 0.25000000 ETHUSD @ limit 2000.00`."""
    pair = PAIRS[order.pair]
    text = f"{order.side} {fixed(order.volume, pair.lot_decimals)} {pair.altname} @ {order.kind}"
    return text + (f" {fixed(order.price, pair.pair_decimals)}" if order.kind == "limit" else "")


def order_object(order: Order, *, reason: bool, trades: tuple[str, ...] | None = None) -> Json:
    """Write an order as OpenOrders, ClosedOrders and QueryOrders show it.

    Args:
        order: The version to show.
        reason: Whether this view carries `reason` (OpenOrders does not).
        trades: Ids to list, or None to leave the key out.
    """
    pair = PAIRS[order.pair]
    money = pair.cost_decimals
    limit = order.kind == "limit"
    default_ref = 0 if order.cl_ord_id is None else None
    row: Json = {
        "refid": None,
        "userref": order.userref if order.userref is not None else default_ref,
    }
    if order.cl_ord_id is not None:
        row["cl_ord_id"] = order.cl_ord_id
    row |= {
        "status": order.status,
        "opentm": stamp(order.opened_ns),
        "starttm": stamp(0),
        "expiretm": stamp(order.expires_ns),
        "descr": {
            "pair": pair.altname,
            "aclass": "forex",
            "type": order.side,
            "ordertype": order.kind,
            "price": fixed(order.price, pair.pair_decimals) if limit else "0",
            "price2": "0",
            "leverage": "none",
            "order": describe(order),
            "close": "",
        },
        "vol": fixed(order.volume, pair.lot_decimals),
        "vol_exec": fixed(order.filled, pair.lot_decimals),
        "cost": fixed(order.cost, money),
        "fee": fixed(order.fee, money),
        "price": fixed(order.average, money),
        "stopprice": fixed(ZERO, money),
        "limitprice": fixed(ZERO, money),
        "misc": _misc(order),
        "oflags": order.oflags,
    }
    if trades:
        row["trades"] = list(trades)
    if reason:
        row["reason"] = order.reason
    if order.closed_ns:
        row["closetm"] = stamp(order.closed_ns)
    return row


def _misc(order: Order) -> str:
    words = []
    if order.filled and order.filled < order.volume:
        words.append("partial")
    if order.amended_ns:
        words.append("amended")
    return ",".join(words)


def trade_object(trade: Trade, *, ledgers: bool = False) -> Json:
    """Write a trade as TradesHistory and QueryTrades show it."""
    pair = PAIRS[trade.pair]
    row: Json = {
        "ordertxid": trade.txid,
        "postxid": trade.id.replace("T", "P", 1),
        "pair": pair.id,
        "time": stamp(trade.at_ns),
        "type": trade.side,
        "ordertype": trade.kind,
        "price": fixed(trade.price, pair.shown_decimals),
        "cost": fixed(trade.cost, pair.cost_decimals),
        "fee": fixed(trade.fee, pair.cost_decimals),
        "vol": fixed(trade.volume, pair.lot_decimals),
        "margin": fixed(ZERO, pair.cost_decimals),
        "leverage": "0",
        "misc": "",
        "trade_id": trade.number,
        "maker": trade.maker,
    }
    if ledgers:
        row["ledgers"] = list(trade.ledgers)
    return row


def consolidate(trades: Iterable[Trade]) -> list[Trade]:
    """Merge the taker fills of each order into one trade, as the venue shows them by default."""
    kept: dict[str, Trade] = {}
    for trade in trades:
        key = trade.id if trade.maker else f"taker {trade.txid}"
        earlier = kept.get(key)
        if earlier is None:
            kept[key] = trade
            continue
        volume = earlier.volume + trade.volume
        cost = earlier.cost + trade.cost
        first = min(earlier, trade, key=lambda t: t.number)
        kept[key] = msgspec.structs.replace(
            first,
            volume=volume,
            cost=cost,
            price=cost / volume,
            fee=earlier.fee + trade.fee,
            ledgers=(*earlier.ledgers, *trade.ledgers),
        )
    return list(kept.values())


def pair_price(pair: Pair, price: Decimal) -> str:
    """Write a price as Ticker, Depth and Trades show it."""
    return fixed(price, pair.shown_decimals)
