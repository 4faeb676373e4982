"""Kraken's engine in small: funds, counters, matching, fills, cancels, amends, expiry."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.balances import Source
from quantlab.rehearsal.kraken_book import ZERO, Account, Order, Trade
from quantlab.rehearsal.kraken_limits import (
    AMEND_COST,
    CANCEL_COST,
    MAX_OPEN_PER_PAIR,
    POINT,
    count_trading,
    penalty,
)
from quantlab.rehearsal.kraken_markets import MAKER_RATE, PAIRS, TAKER_RATE
from quantlab.rehearsal.kraken_ticket import Event, Partial, Ticket
from quantlab.rehearsal.kraken_wire import Refused, fixed, floor_to
from quantlab.rehearsal.matching import BUY, Level, PriceWalk, sweep
from quantlab.rehearsal.state import State

NS: Final = 1_000_000_000
DEPTH: Final = 500
"""Levels of the book that one order can reach."""


class Engine:
    """The engine over one state; `events` collects what happened until it is taken."""

    def __init__(self, state: State, walk: PriceWalk) -> None:
        self._state = state
        self._walk = walk
        self.events: list[Event] = []

    # ------------------------------------------------------------------ funds

    def hold(self, account: Account, asset: str, as_of_ns: int | None = None) -> Decimal:
        """Return what open orders hold of an asset."""
        total = ZERO
        for order in account.seen(as_of_ns):
            pair = PAIRS[order.pair]
            if not order.is_open or asset not in (pair.base, pair.quote):
                continue
            if order.side == BUY and asset == pair.quote:
                total += order.left * order.price * (1 + TAKER_RATE)
            elif order.side != BUY and asset == pair.base:
                total += order.left
        return total

    def available(self, account: Account, asset: str) -> Decimal:
        """Return what a new order may use of an asset."""
        return account.purse.total(asset) - self.hold(account, asset)

    def _check_funds(self, account: Account, ticket: Ticket, now_ns: int) -> None:
        pair = ticket.pair
        if ticket.side != BUY:
            needed, asset = ticket.volume, pair.base
        else:
            cost = ticket.volume * ticket.price
            if ticket.kind == "market":
                cost = sum((f.price * f.size for f in self._fills(ticket, now_ns)), ZERO)
            needed, asset = cost * (1 + TAKER_RATE), pair.quote
        if needed > self.available(account, asset):
            raise Refused("EOrder:Insufficient funds")

    # ---------------------------------------------------------------- placing

    def charge(self, name: str, pair: str, now_ns: int, points: int = 1) -> Refused | None:
        """Count the fixed part of an action, which counts even where the order is refused later.

        Returns:
            The refusal to raise at its place in the order of checks, or None.
        """
        try:
            count_trading(self._state.accounts[name], pair, points * POINT, now_ns)
        except Refused as refusal:
            return refusal
        return None

    def place(
        self, name: str, ticket: Ticket, now_ns: int, *, partial: Partial | None = None,
        limited: Refused | None = None,
    ) -> Order:  # fmt: skip
        """Accept an order and match it at once.

        Args:
            name: The account.
            ticket: What was asked for.
            now_ns: Exchange time.
            partial: A scripted partial fill.
            limited: What `charge` said about the trading counter.

        Raises:
            Refused: funds, counters, deadline or post-only; nothing was placed then.
        """
        account = self._state.accounts[name]
        self._check_funds(account, ticket, now_ns)
        if limited is not None:
            raise limited
        resting = [o for o in account.open_orders() if o.pair == ticket.pair.id]
        if len(resting) >= MAX_OPEN_PER_PAIR:
            raise Refused("EOrder:Orders limit exceeded")
        if ticket.deadline_ns and now_ns > ticket.deadline_ns:
            raise Refused("EService:Deadline elapsed")
        fills = self._fills(ticket, now_ns)
        if ticket.post_only and fills:
            raise Refused("EOrder:Post only order")
        order = Order(
            txid=self._state.next_id("O"),
            pair=ticket.pair.id,
            side=ticket.side,
            kind=ticket.kind,
            volume=ticket.volume,
            price=ticket.price,
            tif=ticket.tif,
            oflags=ticket.oflags,
            userref=ticket.userref,
            cl_ord_id=ticket.cl_ord_id,
            opened_ns=now_ns,
            expires_ns=ticket.expires_ns,
            recorded_ns=now_ns,
        )
        account.keep(order)
        self._tell(name, "pending_new", order, now_ns)
        self._tell(name, "new", order, now_ns)
        maker = not fills
        if partial is not None:
            fills = self._scripted(ticket, fills, partial)
        elif ticket.tif == "FOK" and sum((f.size for f in fills), ZERO) < ticket.volume:
            fills = []
        order = self._apply(name, order, fills, now_ns, maker=maker)
        return self._settle(name, order, now_ns, partial)

    def _fills(self, ticket: Ticket, now_ns: int) -> list[Level]:
        book = self._walk.book(ticket.pair.market, now_ns, DEPTH)
        limit = ticket.price if ticket.kind == "limit" else None
        return sweep(book.against(ticket.side), ticket.side, ticket.volume, limit)

    @staticmethod
    def _scripted(ticket: Ticket, fills: list[Level], partial: Partial) -> list[Level]:
        part = floor_to(ticket.volume * partial.fraction, ticket.pair.lot_decimals)
        if not fills:
            return [Level(ticket.price, part)]
        return sweep(fills, ticket.side, part, None)

    def _settle(self, name: str, order: Order, now_ns: int, partial: Partial | None) -> Order:
        """Decide what becomes of the part that did not fill."""
        if not order.is_open:
            return order
        then = partial.then if partial else ""
        if then == "cancel":
            return self._end(name, order, "canceled", "User requested", (now_ns, now_ns))
        if order.tif == "IOC" or order.kind == "market":
            return self._end(name, order, "canceled", "Immediate or cancel", (now_ns, now_ns))
        if order.tif == "FOK":
            return self._end(name, order, "canceled", "Fill or kill", (now_ns, now_ns))
        if partial is not None:
            order = msgspec.structs.replace(order, held=True, fill_from_ns=now_ns + NS if then == "fill" else 0)
            self._state.accounts[name].keep(order)
        return order

    # ------------------------------------------------------------------ fills

    def _apply(
        self, name: str, order: Order, fills: list[Level], now_ns: int, *, maker: bool,
        at_ns: int = 0,
    ) -> Order:  # fmt: skip
        for fill in fills:
            if fill.size > 0:
                order = self._fill(name, order, fill, (at_ns or now_ns, now_ns), maker=maker)
        return order

    def _fill(self, name: str, order: Order, fill: Level, times: tuple[int, int], *, maker: bool) -> Order:
        account = self._state.accounts[name]
        trade = self._trade(order, fill, times, maker=maker)
        rows = self._book_trade(account, trade, in_base="fcib" in order.oflags.split(","))
        trade = msgspec.structs.replace(trade, ledgers=rows)
        account.trades[trade.id] = trade
        filled = order.filled + fill.size
        done = filled >= order.volume
        order = msgspec.structs.replace(
            order,
            filled=filled,
            cost=order.cost + trade.cost,
            fee=order.fee + trade.fee,
            trades=(*order.trades, trade.id),
            status="closed" if done else "open",
            closed_ns=times[0] if done else 0,
            recorded_ns=times[1],
        )
        account.keep(order)
        self._tell(name, "trade", order, times[0], trade)
        if done:
            self._tell(name, "filled", order, times[0])
        return order

    def _trade(self, order: Order, fill: Level, times: tuple[int, int], *, maker: bool) -> Trade:
        pair = PAIRS[order.pair]
        cost = Decimal(fixed(fill.price * fill.size, pair.cost_decimals))
        fee = Decimal(fixed(cost * (MAKER_RATE if maker else TAKER_RATE), pair.cost_decimals))
        return Trade(
            id=self._state.next_id("T"),
            number=50_000_000 + self._state.serial,
            txid=order.txid,
            pair=pair.id,
            side=order.side,
            kind=order.kind,
            price=fill.price,
            volume=fill.size,
            cost=cost,
            fee=fee,
            maker=maker,
            at_ns=times[0],
            recorded_ns=times[1],
        )

    def _book_trade(self, account: Account, trade: Trade, *, in_base: bool) -> tuple[str, ...]:
        """Book both legs of a fill; the fee is taken in base units where the order says so."""
        pair = PAIRS[trade.pair]
        way = 1 if trade.side == BUY else -1
        base_fee = trade.fee / trade.price if in_base else ZERO
        rows = []
        for asset, change, fee in (
            (pair.quote, -way * trade.cost, ZERO if in_base else trade.fee),
            (pair.base, way * trade.volume, floor_to(base_fee, 10)),
        ):
            source = Source(
                row_id=self._state.next_id("L"),
                refid=trade.id,
                kind="trade",
                at_ns=trade.at_ns,
                recorded_ns=trade.recorded_ns,
            )
            row = account.purse.post(source, asset, change, fee)
            rows.append(row.id)
        return tuple(rows)

    # ---------------------------------------------------------------- endings

    def _end(self, name: str, order: Order, status: str, reason: str | None, times: tuple[int, int]) -> Order:
        order = msgspec.structs.replace(order, status=status, reason=reason, closed_ns=times[0], recorded_ns=times[1])
        self._state.accounts[name].keep(order)
        self._tell(name, status, order, times[0])
        return order

    def cancel(self, name: str, order: Order, now_ns: int) -> None:
        """Cancel an open order at the user's wish; its age is charged to the trading counter.

        Raises:
            Refused: the order is terminal, or the counter is full.
        """
        if not order.is_open:
            raise Refused("EOrder:Unknown order")
        age_ns = now_ns - max(order.opened_ns, order.amended_ns)
        account = self._state.accounts[name]
        count_trading(account, order.pair, penalty(CANCEL_COST, age_ns), now_ns)
        self._end(name, order, "canceled", "User requested", (now_ns, now_ns))

    def replace(self, name: str, order: Order, now_ns: int) -> None:
        """End an order that an edit replaces; the edit has been charged already."""
        self._end(name, order, "canceled", "Order replaced", (now_ns, now_ns))

    def amend(
        self, name: str, order: Order, *, volume: Decimal | None, price: Decimal | None,
        post_only: bool, now_ns: int,
    ) -> str:  # fmt: skip
        """Change an open order in place and return the amend's id.

        Raises:
            Refused: the order is terminal, funds or counter do not allow it, or
                it is post-only and would take.
        """
        if not order.is_open:
            raise Refused("EOrder:Unknown order")
        account, pair = self._state.accounts[name], PAIRS[order.pair]
        wanted = msgspec.structs.replace(
            order,
            volume=max(volume if volume is not None else order.volume, order.filled),
            price=price if price is not None else order.price,
            amended_ns=now_ns,
            recorded_ns=now_ns,
        )
        ticket = Ticket(pair=pair, side=order.side, kind=order.kind, volume=wanted.left, price=wanted.price)
        fills = self._fills(ticket, now_ns)
        if fills and post_only:
            raise Refused("EOrder:Post only order")
        self._check_amended_funds(account, order, ticket)
        age_ns = now_ns - max(order.opened_ns, order.amended_ns)
        count_trading(account, pair.id, POINT + penalty(AMEND_COST, age_ns), now_ns)
        amend_id = self._state.next_id("T")
        account.amends.setdefault(order.txid, []).append(amend_row(wanted, amend_id))
        account.keep(wanted)
        self._tell(name, "amended", wanted, now_ns)
        if wanted.left <= 0:
            self._end(name, wanted, "canceled", "User requested", (now_ns, now_ns))
        else:
            self._apply(name, wanted, fills, now_ns, maker=False)
        return amend_id

    def _check_amended_funds(self, account: Account, order: Order, ticket: Ticket) -> None:
        pair = ticket.pair
        if ticket.side == BUY:
            more = (ticket.volume * ticket.price - order.left * order.price) * (1 + TAKER_RATE)
            asset = pair.quote
        else:
            more, asset = ticket.volume - order.left, pair.base
        if more > self.available(account, asset):
            raise Refused("EOrder:Insufficient funds")

    # ------------------------------------------------------------------- time

    def advance(self, now_ns: int) -> None:
        """Carry out what time has brought since the last call: fills, expiry, dead man's switch."""
        since_ns, self._state.swept_ns = self._state.swept_ns, now_ns
        for name, account in self._state.accounts.items():
            for order in account.open_orders():
                self._age(name, order, since_ns, now_ns)
            if account.cancel_all_ns and now_ns >= account.cancel_all_ns:
                times = (account.cancel_all_ns, now_ns)
                account.cancel_all_ns = 0
                for order in account.open_orders():
                    self._end(name, order, "canceled", "User requested", times)

    def _age(self, name: str, order: Order, since_ns: int, now_ns: int) -> None:
        stop_ns = self._state.accounts[name].cancel_all_ns or now_ns
        end_ns = min(now_ns, stop_ns, order.expires_ns or now_ns)
        cross_ns: int | None
        if order.held:
            due = order.fill_from_ns
            cross_ns = due if 0 < due <= end_ns else None
        else:
            market = PAIRS[order.pair].market
            first_ns = max(since_ns, order.opened_ns)
            cross_ns = self._walk.first_cross(market, order.side, order.price, first_ns, end_ns)
        if cross_ns is not None:
            rest = [Level(order.price, order.left)]
            self._apply(name, order, rest, now_ns, maker=True, at_ns=cross_ns)
        elif order.expires_ns and now_ns >= order.expires_ns and stop_ns >= order.expires_ns:
            self._end(name, order, "expired", None, (order.expires_ns, now_ns))

    def _tell(self, name: str, kind: str, order: Order, at_ns: int, trade: Trade | None = None) -> None:
        self.events.append(Event(account=name, kind=kind, order=order, trade=trade, at_ns=at_ns))


def amend_row(order: Order, amend_id: str) -> dict[str, str]:
    """Describe an amend for OrderAmends."""
    pair = PAIRS[order.pair]
    return {
        "amend_id": amend_id,
        "order_qty": fixed(order.volume, pair.lot_decimals),
        "remaining_qty": fixed(order.left, pair.lot_decimals),
        "limit_price": fixed(order.price, pair.pair_decimals),
        "timestamp": str(order.amended_ns // 1_000_000),
    }
