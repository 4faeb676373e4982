"""The state of a new exchange: funds, and one old filled order as a positive control."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.accounts import NEWCOMER, TRADER, make_iban
from quantlab.rehearsal.balances import Source
from quantlab.rehearsal.kraken_book import Account
from quantlab.rehearsal.kraken_engine import Engine
from quantlab.rehearsal.kraken_markets import PAIRS
from quantlab.rehearsal.kraken_ticket import Ticket
from quantlab.rehearsal.matching import PriceWalk
from quantlab.rehearsal.state import State

NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * NS
DEPOSIT_AGE_NS: Final = 10 * DAY_NS
ORDER_AGE_NS: Final = 3 * DAY_NS

FUNDS: Final = (
    ("ZUSD", Decimal(25_000)),
    ("XETH", Decimal(5)),
    ("XXBT", Decimal("0.5")),
    ("USDC", Decimal(10_000)),
    ("XXDG", Decimal(10_000)),
    ("SOL", Decimal(20)),
)
"""What each account was paid in; the trader's old order has moved a little of it since."""


def seed_state(seed: int, now_ns: int) -> State:
    """Make the state of a new exchange.

    Args:
        seed: Names keys, books and ids.
        now_ns: Exchange time in nanoseconds since 1970.
    """
    state = State(seed=seed, created_ns=now_ns, swept_ns=now_ns)
    for name in (TRADER, NEWCOMER):
        state.accounts[name] = Account(iban=make_iban(seed, name))
    engine = Engine(state, PriceWalk(seed))
    for name in (TRADER, NEWCOMER):
        _deposit(state, name, FUNDS, now_ns - DEPOSIT_AGE_NS)
    _old_order(state, engine, now_ns - ORDER_AGE_NS)
    return state


def _deposit(
    state: State, name: str, funds: tuple[tuple[str, Decimal], ...], at_ns: int
) -> None:  # fmt: skip
    for asset, value in funds:
        source = Source(
            row_id=state.next_id("L"),
            refid=state.next_id("Q"),
            kind="deposit",
            at_ns=at_ns,
            recorded_ns=at_ns,
        )
        state.accounts[name].purse.post(source, asset, value)


def _old_order(state: State, engine: Engine, at_ns: int) -> None:
    """Let the trader have bought a little once."""
    ticket = Ticket(
        pair=PAIRS["XETHZUSD"],
        side="buy",
        kind="limit",
        volume=Decimal("0.05"),
        price=Decimal("2100.00"),
        tif="IOC",
        cl_ord_id=f"{state.seed & (2**64 - 1):016x}" + "5eed" * 4,
    )
    order = engine.place(TRADER, ticket, at_ns)
    engine.events.clear()
    account = state.accounts[TRADER]
    account.orders[order.txid] = [msgspec.structs.replace(v, seeded=True) for v in account.orders[order.txid]]
    account.counters.clear()
