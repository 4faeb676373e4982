"""What goes into the engine and what comes out of it: tickets, scripted fills, events."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from quantlab.rehearsal.kraken_book import ZERO, Order, Trade
from quantlab.rehearsal.kraken_markets import Pair


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was asked for, its arguments already checked."""

    pair: Pair
    side: str
    kind: str
    volume: Decimal
    price: Decimal = ZERO
    tif: str = "GTC"
    oflags: str = "fciq"
    userref: int | None = None
    cl_ord_id: str | None = None
    expires_ns: int = 0
    deadline_ns: int = 0

    @property
    def post_only(self) -> bool:
        """Tell whether the order must not take."""
        return "post" in self.oflags.split(",")


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """A scripted partial fill."""

    fraction: Decimal
    then: str
    """`rest`, `cancel` or `fill`."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the private stream reports."""

    account: str
    kind: str
    """`pending_new`, `new`, `trade`, `filled`, `canceled`, `expired` or `amended`."""
    order: Order
    trade: Trade | None = None
    at_ns: int
