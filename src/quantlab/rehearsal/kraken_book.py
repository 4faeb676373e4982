"""What the Kraken side of the exchange remembers: orders, trades, keys, counters.

Orders are kept as lists of versions. Each version carries the time at which it
was recorded, so that a stale read can show the account as it stood earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from quantlab.rehearsal.balances import Purse

ZERO = Decimal(0)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an order. Times are nanoseconds of the exchange's clock, 0 when unset."""

    txid: str
    pair: str
    side: str
    kind: str
    """`limit` or `market`."""
    volume: Decimal
    price: Decimal
    """Limit price; 0 for a market order."""
    tif: str = "GTC"
    oflags: str = "fciq"
    userref: int | None = None
    cl_ord_id: str | None = None
    status: str = "open"
    opened_ns: int
    expires_ns: int = 0
    closed_ns: int = 0
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    reason: str | None = None
    trades: tuple[str, ...] = ()
    amended_ns: int = 0
    recorded_ns: int
    seeded: bool = False
    held: bool = False
    """The rest is kept from matching (after a scripted partial fill)."""
    fill_from_ns: int = 0
    """A held rest fills at its limit from this time on; 0 means never."""

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still trade."""
        return self.status == "open"

    @property
    def left(self) -> Decimal:
        """Volume not yet filled."""
        return self.volume - self.filled

    @property
    def average(self) -> Decimal:
        """Average fill price, 0 before any fill."""
        return self.cost / self.filled if self.filled else ZERO


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One fill."""

    id: str
    number: int
    txid: str
    pair: str
    side: str
    kind: str
    price: Decimal
    volume: Decimal
    cost: Decimal
    fee: Decimal
    maker: bool
    at_ns: int
    recorded_ns: int
    ledgers: tuple[str, ...] = ()


class Counter(msgspec.Struct):
    """A counter that decays, in millionths of a point."""

    value_u: int = 0
    at_ns: int = 0


class KeyState(msgspec.Struct):
    """What the exchange remembers of one API key."""

    nonce: int = 0
    calls: Counter = msgspec.field(default_factory=Counter)
    last_used_ns: int = 0


class StreamToken(msgspec.Struct, frozen=True):
    """A WebSocket token and the key that asked for it."""

    api_key: str
    until_ns: int


class Account(msgspec.Struct, kw_only=True):
    """One trading account."""

    iban: str
    purse: Purse = msgspec.field(default_factory=Purse)
    orders: dict[str, list[Order]] = msgspec.field(default_factory=dict)
    trades: dict[str, Trade] = msgspec.field(default_factory=dict)
    open_ids: list[str] = msgspec.field(default_factory=list)
    counters: dict[str, Counter] = msgspec.field(default_factory=dict)
    """Trading counters by pair."""
    cancel_all_ns: int = 0
    """Dead man's switch of CancelAllOrdersAfter; 0 when off."""
    amends: dict[str, list[dict[str, str]]] = msgspec.field(default_factory=dict)

    def latest(self, txid: str) -> Order | None:
        """Return the newest version of an order."""
        versions = self.orders.get(txid)
        return versions[-1] if versions else None

    def open_orders(self) -> list[Order]:
        """Return the orders that can still trade, oldest first."""
        return [self.orders[txid][-1] for txid in self.open_ids]

    def seen(self, as_of_ns: int | None) -> Iterator[Order]:
        """Yield each order as it stood at a time (None: now), oldest first."""
        for versions in self.orders.values():
            if as_of_ns is None:
                yield versions[-1]
                continue
            known = [v for v in versions if v.recorded_ns <= as_of_ns]
            if known:
                yield known[-1]

    def seen_trades(self, as_of_ns: int | None) -> list[Trade]:
        """Return the trades recorded up to a time (None: all), newest first."""
        rows = [t for t in self.trades.values() if as_of_ns is None or t.recorded_ns <= as_of_ns]
        rows.sort(key=lambda t: (t.at_ns, t.number), reverse=True)
        return rows

    def keep(self, order: Order) -> None:
        """Append a version, and the list of open orders with it."""
        self.orders.setdefault(order.txid, []).append(order)
        if order.is_open and order.txid not in self.open_ids:
            self.open_ids.append(order.txid)
        elif not order.is_open and order.txid in self.open_ids:
            self.open_ids.remove(order.txid)


def same_client_id(left: str | None, right: str | None) -> bool:
    """Compare two client order ids as the venue does: a UUID is a number, however it is written."""
    if left is None or right is None:
        return False
    return client_id_key(left) == client_id_key(right)


def client_id_key(text: str) -> str:
    """Return the form in which client order ids are compared."""
    bare = text.replace("-", "")
    if len(text) in (32, 36) and len(bare) == 32:
        return bare.lower()
    return text
