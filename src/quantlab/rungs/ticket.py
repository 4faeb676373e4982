"""The one-screen ticket that a reviewer reads: what will be sent, at worst for how much, for whom."""

from __future__ import annotations

from decimal import Decimal

from quantlab.kernel.canonical import decimal_text
from quantlab.model.instrument import Instrument
from quantlab.model.order import Plan

_BPS = Decimal(10_000)


def ticket_lines(plan: Plan, instrument: Instrument) -> tuple[str, ...]:
    """Return the lines ``label: value`` of the ticket. Money in quote currency, sizes in base currency."""
    quote = instrument.quote_asset
    base = instrument.base_asset
    value = Decimal(plan.notional_quote)
    fee = value * instrument.taker_fee_bps / _BPS
    return (
        f"Environment: {plan.environment}",
        f"Venue: {plan.venue}",
        f"Account: {plan.account_label}"
        + (f" ({plan.account_identity})" if plan.account_identity != plan.account_label else ""),
        f"Order: {plan.side} {plan.size_base} {base} of {plan.symbol}, {plan.order_type} {plan.time_in_force}"
        + (", post-only" if plan.post_only else ""),
        f"Price: {_price(plan, quote)}",
        (
            f"Worst value: {decimal_text(value.quantize(Decimal('0.01')))} {quote} plus about "
            f"{decimal_text(fee.quantize(Decimal('0.01')))} {quote} fee"
        ),
        f"Client order id: {plan.client_order_id}",
        f"Promotion: {_promotion(plan)}",
        f"Request text: {plan.order_text}",
    )


def _price(plan: Plan, quote: str) -> str:
    if plan.worst_price is None:
        return f"NOT BOUNDED: a market order takes any price (quote now {plan.reference_price} {quote})"
    return f"never worse than {plan.worst_price} {quote} (quote now {plan.reference_price} {quote})"


def _promotion(plan: Plan) -> str:
    promotion = plan.promotion
    if promotion.source == "paper_session":
        return f"paper session {promotion.paper_session}"
    if promotion.source == "rationale":
        return f"rationale: {promotion.rationale}"
    return "none given: the floor of the ladder is missing"
