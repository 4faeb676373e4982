"""What an operator asks for, and the plan that freezes it.

The *plan* is one canonical document. Its SHA-256, the plan digest, is cited by every later record of the session;
a record of another digest is refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from quantlab.kernel import canonical

Side = Literal["buy", "sell"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["gtc", "ioc"]
Environment = Literal["live", "testnet", "rehearsal"]


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """One order as asked for, parsed and bounded, before any venue was consulted.

    ``symbol`` is in our spelling (``ETH-USD``). ``order_type`` is None when the operator named none: the order
    then becomes a limit IOC at the worst price of the plan. ``notional_quote`` is the operator's declared value.
    """

    symbol: str
    side: Side
    size_base: Decimal
    notional_quote: Decimal
    account_label: str
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    post_only: bool = False
    reduce_only: bool = False


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """Why this order deserves real money: a verified paper promotion, a person's rationale, or neither."""

    source: Literal["paper_session", "rationale", "none"]
    paper_session: str | None = None
    promotion_sha256: str | None = None
    rationale: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The frozen order. Decimals are canonical text, times RFC 3339; it is hashed and never changed.

    ``order_text`` is the exact request text of the order without nonce and deadline: what was approved is what is
    sent. ``worst_price`` is None only for a plain market order. ``reference_price`` is the quote (ask when buying)
    that the plan was made on. ``client_order_id`` is the 128-bit intent id in the venue's spelling.
    """

    venue: str
    environment: Environment
    account_identity: str
    account_label: str
    symbol: str
    venue_symbol: str
    side: Side
    order_type: OrderType
    size_base: str
    limit_price: str | None
    worst_price: str | None
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    notional_quote: str
    reference_price: str
    client_order_id: str
    session_id: str
    order_text: str
    policy_sha256: str
    promotion: Promotion
    planned_at: str
    venue_symbol_aliases: tuple[str, ...] = ()
    plan_version: int = 1


def plan_digest(plan: Plan) -> str:
    """Return the SHA-256 of the plan's canonical bytes."""
    return canonical.digest(plan)


def intent_digest(plan: Plan) -> str:
    """Return the digest of what makes two intents the same: venue, environment, account, symbol, side, size."""
    return canonical.digest(
        {
            "venue": plan.venue,
            "environment": plan.environment,
            "account": plan.account_identity,
            "symbol": plan.symbol,
            "side": plan.side,
            "size": plan.size_base,
        }
    )
