"""Limits and rules that a test may turn: the documented reading is the default.

Two standing faults carry them, `limits` and `rules`, each with an object as
value. Where several are armed, a later one wins key by key.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Allowances."""

    ip_weight: int = 1200
    """REST weight a minute."""
    address_requests: int = 10_000
    """Actions of an address before any volume."""
    orders_kept: int = 2000
    """Orders that orderStatus and historicalOrders know, by count."""
    rows: int = 2000
    """Most rows of one answer of fills or history."""
    fills_kept: int = 10_000
    open_orders: int = 1000
    action_weight: int = 200
    users: int = 10
    """Unique users over all WebSocket subscriptions."""
    connections: int = 10
    """WebSocket connections at a time."""
    subscriptions: int = 1000
    inflight: int = 100
    """WebSocket posts of one connection that are not answered yet."""
    idle_seconds: int = 60
    """A WebSocket to which nothing was sent for this long is cut off."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Readings of what the venue's documents leave open."""

    network: str = "Testnet"
    """`Testnet` or `Mainnet`: the source that L1 actions must be signed for."""
    band_percent: int = 95
    """How far a price may lie from the reference price, in percent (80 in older texts)."""
    expiry_slack_ms: int = 0
    """An action is expired when the venue's clock is past expiresAfter by more than this."""
    agent_grace_seconds: int = 0
    """How long an expired agent is still accepted (876 s were measured once)."""
    nonce_margin_seconds: int = 120
    """How much narrower than (T - 2 days, T + 1 day) the window is at both ends."""
    nonces_kept: int = 100
    """The floor is the lowest of this many highest nonces."""
    open_cloid: str = ""
    """Error for a cloid that an open order has; empty: such an order is accepted."""
    engine_lag_ms: int = 0
    """How far the engine's clock lies behind the one that reads report (negative: ahead of it)."""
    limit_burns_nonce: bool = False
    """Whether a refusal for the address limit uses the nonce up."""
    refusal_burns_nonce: bool = False
    """Whether a refusal for the signer or the vault uses the nonce up."""
    drops_cloid: bool = False
    """Whether orders are taken without the cloid that they were sent with."""
    minimum_by: str = "limit"
    """Price that values a perpetual order against the minimum: `limit`, `mark` or `lower`."""
    tick_check: str = "runtime"
    """`runtime`: an error and a record for the one order; `static`: one error for the whole batch."""
    partial_ioc_sz: str = "zero"
    """`sz` of an IOC order that filled in part: `zero`, or `rest` for what did not fill."""
    block_delay_ms: int = 0
    """How long an action waits for its block, at most 200."""
    post_only_text: str = "Only post-only orders allowed immediately after network upgrade"


KNOBS: Final[dict[str, type[Limits | Rules]]] = {"limits": Limits, "rules": Rules}
BLOCK_DELAY_MOST_MS: Final = 200

MINIMUM: Final = Decimal(10)
"""Smallest notional of an order, in the quote currency."""
PENALTY: Final = 5
"""How many times its weight an action counts that arrives expired."""


def check_knobs(name: str, value: object) -> None:
    """Check the value of `limits` or `rules`.

    Raises:
        ValueError: an unknown key or a value of the wrong kind; the message names it.
    """
    try:
        found = msgspec.convert(value, KNOBS[name])
    except msgspec.ValidationError as error:
        raise ValueError(f"value of {name} is an object of known keys: {error}") from error
    if isinstance(found, Rules):
        words = (
            (found.network, ("Testnet", "Mainnet")),
            (found.minimum_by, ("limit", "mark", "lower")),
            (found.tick_check, ("runtime", "static")),
            (found.partial_ioc_sz, ("zero", "rest")),
        )
        for word, allowed in words:
            if word not in allowed:
                raise ValueError(f"{word!r} is not one of {', '.join(allowed)}")
        if not 0 < found.band_percent < 100:
            raise ValueError("band_percent must lie between 1 and 99")
        if not 0 <= found.block_delay_ms <= BLOCK_DELAY_MOST_MS:
            raise ValueError(f"block_delay_ms must lie between 0 and {BLOCK_DELAY_MOST_MS}")


def read_limits(values: dict[str, object]) -> Limits:
    """Make the allowances from what the armed faults say."""
    return msgspec.convert(values, Limits)


def read_rules(values: dict[str, object]) -> Rules:
    """Make the readings from what the armed faults say."""
    return msgspec.convert(values, Rules)
