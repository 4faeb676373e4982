"""What the venue says now, and the order's terms on it. Shared by the rungs that look before a send."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from quantlab.model.execution import AccountFacts
from quantlab.model.instrument import Balance, Instrument, Quote, SystemStatus, VenueTime
from quantlab.model.order import OrderIntent, OrderType, Plan, TimeInForce
from quantlab.model.policy import Policy
from quantlab.rungs.desk import Desk

BPS: Final = Decimal(10_000)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """An order's terms on one quote. ``reference`` is the price a taker meets."""

    order_type: OrderType
    limit_price: Decimal | None
    worst_price: Decimal | None
    time_in_force: TimeInForce
    reference: Decimal


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says just now of itself, the market and the account."""

    time: VenueTime
    status: SystemStatus
    instrument: Instrument
    quote: Quote
    account: AccountFacts
    balances: tuple[Balance, ...]


def read_outlook(desk: Desk, symbol: str) -> Outlook:
    """Read everything the checks need. Raises ``VenueReadFailed`` at the first read without a usable answer."""
    reads = desk.reads
    instrument = reads.read_instrument(symbol)
    return Outlook(
        time=reads.read_time(),
        status=reads.read_system_status(),
        instrument=instrument,
        account=reads.read_account(),
        balances=reads.read_balances(),
        quote=reads.read_quote(instrument),
    )


def terms_of(intent: OrderIntent, instrument: Instrument, quote: Quote, policy: Policy) -> Terms:
    """Return the order's terms on the current quote: type, limit price, worst price, time in force.

    Without a named type and price the order is a limit IOC at the quote moved by the price collar, on the tick
    grid toward safety. A plain market order has no worst price.
    """
    buying = intent.side == "buy"
    reference = quote.taking(buying=buying)
    if intent.order_type == "market":
        return Terms(order_type="market", limit_price=None, worst_price=None, time_in_force="ioc", reference=reference)
    if intent.limit_price is not None:
        return Terms(
            order_type="limit",
            limit_price=intent.limit_price,
            worst_price=intent.limit_price,
            time_in_force=intent.time_in_force or "gtc",
            reference=reference,
        )
    factor = policy.price_collar_bps / BPS
    raw = reference * (1 + factor) if buying else reference * (1 - factor)
    worst = instrument.price_toward_safety(raw, buying=buying)
    return Terms(order_type="limit", limit_price=worst, worst_price=worst, time_in_force="ioc", reference=reference)


def worst_value_price(terms: Terms, *, buying: bool, policy: Policy) -> Decimal:
    """Return the price at which the order's value is bounded: the worse of quote and limit when buying.

    Selling, the worth of the base is at the better of the two: that is what leaves the account.
    """
    if terms.worst_price is None:
        return terms.reference * (1 + policy.price_collar_bps / BPS) if buying else terms.reference
    return max(terms.reference, terms.worst_price)


def intent_of(plan: Plan) -> OrderIntent:
    """Return the intent that a plan froze, so that the same checks can run on it again."""
    return OrderIntent(
        symbol=plan.symbol,
        side=plan.side,
        size_base=Decimal(plan.size_base),
        notional_quote=Decimal(plan.notional_quote),
        account_label=plan.account_label,
        order_type=plan.order_type,
        limit_price=None if plan.limit_price is None else Decimal(plan.limit_price),
        time_in_force=plan.time_in_force,
        post_only=plan.post_only,
        reduce_only=plan.reduce_only,
    )


def terms_of_plan(plan: Plan, quote: Quote) -> Terms:
    """Return the plan's frozen terms beside the quote of now."""
    return Terms(
        order_type=plan.order_type,
        limit_price=None if plan.limit_price is None else Decimal(plan.limit_price),
        worst_price=None if plan.worst_price is None else Decimal(plan.worst_price),
        time_in_force=plan.time_in_force,
        reference=quote.taking(buying=plan.side == "buy"),
    )
