"""Kraken's two rate counters, lowest tier, in millionths of a point so that decay stays exact."""

from __future__ import annotations

from typing import Final

from quantlab.rehearsal.kraken_book import Account, Counter
from quantlab.rehearsal.kraken_wire import Refused

NS: Final = 1_000_000_000
POINT: Final = 1_000_000

CALLS_MAX: Final = 15 * POINT
CALLS_DECAY: Final = 330_000
"""Millionths of a point per second."""
TRADING_MAX: Final = 60 * POINT
TRADING_DECAY: Final = POINT
MAX_OPEN_PER_PAIR: Final = 60

HISTORY: Final = frozenset({"TradesHistory", "Ledgers", "QueryTrades", "QueryLedgers"})
"""Calls that cost two points: ledger and trade history."""
UNCOUNTED: Final = frozenset({
    "AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder", "CancelOrder", "CancelOrderBatch",
    "CancelAll", "CancelAllOrdersAfter",
})  # fmt: skip

CANCEL_COST: Final = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
AMEND_COST: Final = ((5, 3), (10, 2), (15, 1))
EDIT_COST: Final = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))
"""(age in seconds, points) of an order that is touched before it reaches that age."""


def decayed(counter: Counter, now_ns: int, decay_u: int) -> int:
    """Return the value of a counter at a time, in millionths of a point."""
    return max(0, counter.value_u - max(0, now_ns - counter.at_ns) * decay_u // NS)


def count_call(counter: Counter, endpoint: str, now_ns: int) -> None:
    """Count one REST call of a key.

    Raises:
        Refused: the counter stands at its maximum; the call is then not counted.
    """
    if endpoint in UNCOUNTED:
        return
    value = decayed(counter, now_ns, CALLS_DECAY)
    cost = (2 if endpoint in HISTORY else 1) * POINT
    if value + cost > CALLS_MAX:
        raise Refused("EAPI:Rate limit exceeded")
    counter.value_u = value + cost
    counter.at_ns = now_ns


def count_trading(account: Account, pair: str, points_u: int, now_ns: int) -> None:
    """Count one trading action of an account on a pair.

    Raises:
        Refused: the counter would pass its maximum; the action is then not counted.
    """
    counter = account.counters.setdefault(pair, Counter())
    value = decayed(counter, now_ns, TRADING_DECAY)
    if value + points_u > TRADING_MAX:
        raise Refused("EOrder:Rate limit exceeded")
    counter.value_u = value + points_u
    counter.at_ns = now_ns


def penalty(table: tuple[tuple[int, int], ...], age_ns: int) -> int:
    """Return the age-dependent part of an action's cost, in millionths of a point."""
    for seconds, points in table:
        if age_ns < seconds * NS:
            return points * POINT
    return 0
