"""What the Hyperliquid side of the exchange remembers: accounts, agents, orders, fills, nonces.

Orders are kept as lists of versions and balances as a list of standings. Each
carries the exchange time at which it was recorded, so that a stale read can
show the account as it stood earlier. Times in `_ms` are of the venue's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

ZERO = Decimal(0)
BASE_OID = 37_000_000_000


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an order."""

    oid: int
    asset: int
    is_buy: bool
    size: Decimal
    """Size that was asked for (`origSz`)."""
    left: Decimal
    """What can still fill (`sz`)."""
    price: Decimal
    tif: str
    """`Gtc`, `Ioc` or `Alo`."""
    reduce_only: bool = False
    cloid: str | None = None
    status: str = "open"
    opened_ms: int
    status_ms: int
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    """Sum of price times size of the fills."""
    opened_ns: int
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
    def is_rejected(self) -> bool:
        """Tell whether the engine refused it and only kept a record."""
        return self.status.endswith(("Rejected", "rejected"))


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One fill."""

    tid: int
    oid: int
    asset: int
    is_buy: bool
    price: Decimal
    size: Decimal
    time_ms: int
    start: Decimal
    """Position, or balance of the base token, before the fill; signed."""
    direction: str
    closed_pnl: Decimal
    fee: Decimal
    fee_token: str
    crossed: bool
    cloid: str | None
    hash: str
    recorded_ns: int


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A perpetual position; `entry` is the average price."""

    size: Decimal
    entry: Decimal


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Balances and positions from a time on."""

    recorded_ns: int
    cash: Decimal = ZERO
    """Perpetual side: deposits plus realised result minus fees, in USDC."""
    positions: dict[int, Position] = msgspec.field(default_factory=dict)
    """By asset; a flat asset has no entry."""
    tokens: dict[int, Decimal] = msgspec.field(default_factory=dict)
    """Spot side: balance by token index."""
    entries: dict[int, Decimal] = msgspec.field(default_factory=dict)
    """Spot side: what the balance of a token was bought for (`entryNtl`)."""


class Leverage(msgspec.Struct, frozen=True):
    """How an asset is margined."""

    value: int
    is_cross: bool = True


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An approved API wallet."""

    address: str
    name: str
    """Empty for the unnamed one, which `extraAgents` does not list."""
    valid_until_ms: int


class Account(msgspec.Struct, kw_only=True):
    """One master account, sub-account or vault."""

    address: str
    role: str = "user"
    """`user`, `subAccount` or `vault`."""
    master: str = ""
    """Who may sign for a sub-account or vault."""
    name: str = ""
    agents: list[Agent] = msgspec.field(default_factory=list)
    standings: list[Standing] = msgspec.field(default_factory=list)
    leverages: dict[int, Leverage] = msgspec.field(default_factory=dict)
    orders: dict[int, list[Order]] = msgspec.field(default_factory=dict)
    open_oids: list[int] = msgspec.field(default_factory=list)
    fills: list[Fill] = msgspec.field(default_factory=list)
    """Oldest first."""
    volume: Decimal = ZERO
    requests_used: int = 0
    limited_ns: int = 0
    """When the last request beyond the allowance got through."""

    @property
    def now(self) -> Standing:
        """The newest standing."""
        return self.standings[-1] if self.standings else Standing(recorded_ns=0)

    def standing(self, as_of_ns: int | None) -> Standing:
        """Return the standing at a time (None: now)."""
        if as_of_ns is None:
            return self.now
        known = [s for s in self.standings if s.recorded_ns <= as_of_ns]
        return known[-1] if known else Standing(recorded_ns=0)

    def keep(self, order: Order) -> None:
        """Append a version, and the list of open orders with it."""
        self.orders.setdefault(order.oid, []).append(order)
        if order.is_open and order.oid not in self.open_oids:
            self.open_oids.append(order.oid)
        elif not order.is_open and order.oid in self.open_oids:
            self.open_oids.remove(order.oid)

    def open_orders(self) -> list[Order]:
        """Return the orders that can still trade, oldest first."""
        return [self.orders[oid][-1] for oid in self.open_oids]

    def histories(self, as_of_ns: int | None) -> Iterator[list[Order]]:
        """Yield the versions of each order as known at a time (None: now), oldest order first."""
        for versions in self.orders.values():
            known = versions if as_of_ns is None else [v for v in versions if v.recorded_ns <= as_of_ns]
            if known:
                yield known

    def seen_fills(self, as_of_ns: int | None) -> list[Fill]:
        """Return the fills recorded up to a time (None: all), oldest first."""
        return [f for f in self.fills if as_of_ns is None or f.recorded_ns <= as_of_ns]


class Meter(msgspec.Struct):
    """A counter that drains, in millionths of a point."""

    value_u: int = 0
    at_ns: int = 0


class HyperliquidState(msgspec.Struct, kw_only=True):
    """The venue's part of the exchange's state."""

    serial: int = 0
    swept_ns: int = 0
    accounts: dict[str, Account] = msgspec.field(default_factory=dict)
    """By address."""
    nonces: dict[str, list[int]] = msgspec.field(default_factory=dict)
    """Every nonce seen inside the window, rising, by signer."""
    meter: Meter = msgspec.field(default_factory=Meter)

    def next_number(self) -> int:
        """Return the next serial number."""
        self.serial += 1
        return self.serial


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the user streams report."""

    account: str
    order: Order | None = None
    fill: Fill | None = None
    by_user: bool = True
    """Whether a cancel was asked for; one that was not is also a `nonUserCancel`."""
