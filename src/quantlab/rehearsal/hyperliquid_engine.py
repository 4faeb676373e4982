"""Hyperliquid's engine in small: placing, matching, fills, cancels, reduce-only, the moving book."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.hyperliquid_actions import Ask
from quantlab.rehearsal.hyperliquid_book import BASE_OID, ZERO, Account, Event, Fill, HyperliquidState, Order
from quantlab.rehearsal.hyperliquid_checks import Rejected, check_order
from quantlab.rehearsal.hyperliquid_knobs import Limits, Rules
from quantlab.rehearsal.hyperliquid_markets import ASSETS, Asset
from quantlab.rehearsal.hyperliquid_positions import apply_fill
from quantlab.rehearsal.hyperliquid_wire import MS, NS, rounded
from quantlab.rehearsal.matching import BUY, Book, Level, PriceWalk, sweep

DEPTH: Final = 100
"""Levels of the book that one order can reach."""
SELL: Final = "sell"
NEVER_PLACED: Final = "Order was never placed, already canceled, or filled."


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """A scripted partial fill."""

    fraction: Decimal
    then: str
    """`rest`, `cancel` or `fill`."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When something happens, and under which readings."""

    now_ns: int
    venue_ms: int
    rules: Rules
    limits: Limits


class Engine:
    """The engine over one state; `events` collects what happened until it is taken."""

    def __init__(self, state: HyperliquidState, walk: PriceWalk, seed: int) -> None:
        self._state = state
        self._walk = walk
        self._seed = seed
        self.events: list[Event] = []

    # ----------------------------------------------------------------- prices

    def book(self, asset: Asset, at_ns: int, depth: int = DEPTH) -> Book:
        """Return the book of an asset; a delisted one has none."""
        if asset.is_delisted:
            return Book(bids=(), asks=())
        return self._walk.book(asset.market, at_ns, depth)

    def mark(self, asset: Asset, at_ns: int) -> Decimal:
        """Return the middle of the book, which is mark and oracle price too."""
        return self._walk.mid(asset.market, at_ns)

    # ---------------------------------------------------------------- placing

    def place(
        self, account: Account, ask: Ask, at: Moment, *, partial: Partial | None = None
    ) -> tuple[Order, Rejected | None]:  # fmt: skip
        """Take an order, match it at once, and keep a record of it also where it is rejected."""
        asset = ASSETS[ask.asset]
        order = Order(
            oid=BASE_OID + self._state.next_number() * 977,
            asset=ask.asset,
            is_buy=ask.is_buy,
            size=ask.size,
            left=ask.size,
            price=ask.price,
            tif=ask.tif,
            reduce_only=ask.reduce_only,
            cloid=ask.cloid,
            opened_ms=at.venue_ms,
            status_ms=at.venue_ms,
            opened_ns=at.now_ns,
            recorded_ns=at.now_ns,
        )
        book = self.book(asset, at.now_ns)
        levels = book.against(side_of(order))
        try:
            order = check_order(account, asset, order, book, lambda a: self.mark(a, at.now_ns), at)
        except Rejected as rejection:
            order = msgspec.structs.replace(order, status=rejection.status)
            self._keep(account, order)
            return order, rejection
        fills = sweep(levels, side_of(order), order.left, order.price)
        self._keep(account, order)
        maker = not fills
        if partial is not None:
            fills = _scripted(order, asset, fills, partial)
        if fills:
            self._cancel_own(account, order, fills[-1].price, at)
        order = self._apply(account, order, fills, at, maker=maker)
        return self._settle(account, order, at, partial), None

    def _settle(self, account: Account, order: Order, at: Moment, partial: Partial | None) -> Order:
        """Decide what becomes of the part that did not fill."""
        if not order.is_open:
            return order
        then = partial.then if partial else ""
        if order.tif == "Ioc":
            left = order.left if at.rules.partial_ioc_sz == "rest" else ZERO
            return self._end(account, order, "filled", at, left=left)
        if then == "cancel":
            return self._end(account, order, "canceled", at, by_user=False)
        if partial is not None:
            fill_ns = at.now_ns + NS if then == "fill" else 0
            order = msgspec.structs.replace(order, held=True, fill_from_ns=fill_ns)
            account.keep(order)
        return order

    def _cancel_own(self, account: Account, taker: Order, worst: Decimal, at: Moment) -> None:
        """Cancel resting orders of the same account that a taker would have met."""
        for other in account.open_orders():
            if other.oid == taker.oid or other.asset != taker.asset or other.is_buy == taker.is_buy:
                continue
            if other.price <= worst if taker.is_buy else other.price >= worst:
                self._end(account, other, "selfTradeCanceled", at, by_user=False)

    # ------------------------------------------------------------------ fills

    def _apply(self, account: Account, order: Order, fills: list[Level], at: Moment, *, maker: bool) -> Order:
        for level in fills:
            if level.size > 0:
                order = self._fill(account, order, level, at, maker=maker)
        if fills:
            self._shrink(account, order, at)
        return order

    def _fill(self, account: Account, order: Order, level: Level, at: Moment, *, maker: bool) -> Order:
        asset = ASSETS[order.asset]
        number = self._state.next_number()
        change = apply_fill(
            account, asset, is_buy=order.is_buy, price=level.price, size=level.size, maker=maker,
            now_ns=at.now_ns,
        )  # fmt: skip
        account.standings.append(change.standing)
        account.volume += rounded(level.price * level.size, 6)
        fill = Fill(
            tid=int.from_bytes(self._digest("tid", number)[:8], "big") >> 14,
            oid=order.oid,
            asset=asset.id,
            is_buy=order.is_buy,
            price=level.price,
            size=level.size,
            time_ms=at.venue_ms,
            start=change.start,
            direction=change.direction,
            closed_pnl=change.closed_pnl,
            fee=change.fee,
            fee_token=change.fee_token,
            crossed=not maker,
            cloid=order.cloid,
            hash="0x" + self._digest("hash", number).hex(),
            recorded_ns=at.now_ns,
        )
        account.fills.append(fill)
        order = msgspec.structs.replace(
            order,
            left=order.left - level.size,
            filled=order.filled + level.size,
            cost=order.cost + level.price * level.size,
            status="open" if order.left > level.size else "filled",
            status_ms=at.venue_ms,
            recorded_ns=at.now_ns,
        )
        self.events.append(Event(account=account.address, fill=fill))
        self._keep(account, order)
        return order

    def _digest(self, label: str, number: int) -> bytes:
        return hashlib.blake2b(f"{self._seed}|{label}|{number}".encode(), digest_size=32).digest()

    def _shrink(self, account: Account, taker: Order, at: Moment) -> None:
        """Shrink resting reduce-only orders to the position, and cancel those without one."""
        held = account.now.positions.get(taker.asset)
        for order in account.open_orders():
            if not order.reduce_only or order.asset != taker.asset or order.oid == taker.oid:
                continue
            room = ZERO if held is None or (held.size > 0) == order.is_buy else abs(held.size)
            if room == 0:
                self._end(account, order, "reduceOnlyCanceled", at, told=False)
            elif room < order.left:
                self._keep(account, msgspec.structs.replace(order, left=room, recorded_ns=at.now_ns))

    # ---------------------------------------------------------------- endings

    def _end(
        self, account: Account, order: Order, status: str, at: Moment, *, left: Decimal | None = None,
        by_user: bool = True, told: bool = True,
    ) -> Order:  # fmt: skip
        order = msgspec.structs.replace(
            order,
            status=status,
            left=order.left if left is None else left,
            status_ms=at.venue_ms,
            recorded_ns=at.now_ns,
        )
        self._keep(account, order, by_user=by_user or not told)
        return order

    def cancel(self, account: Account, asset: int, target: int | str, at: Moment) -> str | None:
        """Cancel an open order by oid or cloid.

        Returns:
            The error of this one cancel, None when it worked.
        """
        order = self.find_open(account, asset, target)
        if order is None:
            return f"{NEVER_PLACED} asset={asset}"
        self._end(account, order, "canceled", at)
        return None

    @staticmethod
    def find_open(account: Account, asset: int | None, target: int | str) -> Order | None:
        """Find an open order by oid or cloid (of several the newest), of an asset or of any."""
        for order in reversed(account.open_orders()):
            if target in (order.oid, order.cloid) and asset in (None, order.asset):
                return order
        return None

    # ------------------------------------------------------------------- time

    def advance(self, at: Moment) -> None:
        """Fill the resting orders that the book has crossed since the last call."""
        since_ns, self._state.swept_ns = self._state.swept_ns, at.now_ns
        if at.now_ns // NS == since_ns // NS:
            return
        for account in self._state.accounts.values():
            for order in account.open_orders():
                # An order before it may have ended this one.
                if order.oid in account.open_oids:
                    self._age(account, account.orders[order.oid][-1], since_ns, at)

    def _age(self, account: Account, order: Order, since_ns: int, at: Moment) -> None:
        asset = ASSETS[order.asset]
        cross_ns: int | None
        if order.held:
            cross_ns = order.fill_from_ns if 0 < order.fill_from_ns <= at.now_ns else None
        elif asset.is_delisted:
            cross_ns = None
        else:
            first_ns = max(since_ns, order.opened_ns)
            cross_ns = self._walk.first_cross(asset.market, side_of(order), order.price, first_ns, at.now_ns)
        if cross_ns is None:
            return
        then = msgspec.structs.replace(at, venue_ms=at.venue_ms - (at.now_ns - cross_ns) // MS)
        self._apply(account, order, [Level(order.price, order.left)], then, maker=True)

    def _keep(self, account: Account, order: Order, *, by_user: bool = True) -> None:
        account.keep(order)
        self.events.append(Event(account=account.address, order=order, by_user=by_user))


def side_of(order: Order) -> str:
    """Return the side in the book's words."""
    return BUY if order.is_buy else SELL


def _scripted(order: Order, asset: Asset, fills: list[Level], partial: Partial) -> list[Level]:
    step = Decimal(1).scaleb(-asset.size_decimals)
    part = max(step, (order.left * partial.fraction) // step * step)
    if not fills:
        return [Level(order.price, part)]
    return sweep(fills, side_of(order), part, None)
