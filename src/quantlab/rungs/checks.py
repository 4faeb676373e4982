"""The checks before a send, each with its measured value and its limit, passed or not. Shared by the rungs.

Numbers of the checks follow design section 7; validate, gate and submit all run them. Nothing is rounded: a size or
price off the grid is refused with the nearest valid values.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.clock import NANOSECONDS_PER_SECOND, parse_rfc3339, to_ns
from quantlab.model.execution import AccountFacts
from quantlab.model.instrument import Instrument, Quote, VenueTime
from quantlab.model.order import OrderIntent, Plan, Promotion
from quantlab.model.policy import Policy
from quantlab.model.recorded import Check
from quantlab.rungs.desk import Desk
from quantlab.rungs.terms import BPS, Outlook, Terms, worst_value_price

_HUNDRED = Decimal(100)
NONCE_AHEAD_LIMIT_SECONDS = 60


def venue_checks(desk: Desk, outlook: Outlook) -> tuple[Check, ...]:
    """Check venue status, market status, clock, key permissions and nonce."""
    return (
        one_check(
            "venue_status",
            outlook.status.mode == "online",
            outlook.status.raw,
            "online",
            "The venue does not take every order now.",
        ),
        market_check(outlook.instrument),
        clock_check(desk, outlook.time),
        *permission_checks(outlook.account),
        nonce_check(desk, outlook.time),
    )


def market_check(instrument: Instrument) -> Check:
    """Check that the market takes orders."""
    return one_check(
        "market_status",
        instrument.mode == "online",
        instrument.mode,
        "online",
        "This market does not take every order now.",
    )


def clock_check(desk: Desk, time: VenueTime) -> Check:
    """Check that our clock and the venue's agree; an offset below the venue clock's resolution is no skew."""
    skew_ms = max(0, abs(time.offset_ms) - time.resolution_ms)
    limit_ms = desk.policy.max_clock_skew_seconds * 1000
    return one_check(
        "clock_skew",
        skew_ms <= limit_ms,
        f"{time.offset_ms} ms",
        f"{limit_ms} ms",
        "This machine's clock and the venue's disagree: deadlines and nonces would be wrong. Set the clock.",
    )


def permission_checks(account: AccountFacts) -> tuple[Check, ...]:
    """Check that the key may do what the corridor needs, and can not do what it must never do."""
    needed = {
        "trade": account.can_trade,
        "read open orders": account.can_read_open_orders,
        "read closed orders": account.can_read_closed_orders,
        "read funds": account.can_read_funds,
    }
    missing = ", ".join(name for name, present in needed.items() if not present)
    window = account.nonce_window
    dates = [text for text in (account.query_from, account.query_to) if text]
    return (
        one_check(
            "key_permissions",
            not missing,
            f"missing: {missing}" if missing else "all present",
            "trade, read open orders, read closed orders, read funds",
            "The key lacks permissions that this corridor needs.",
        ),
        one_check(
            "key_can_withdraw",
            not account.can_withdraw,
            "can withdraw" if account.can_withdraw else "can not withdraw",
            "can not withdraw",
            "The key can withdraw funds. Make a key without that permission.",
        ),
        one_check(
            "nonce_window",
            window == 0,
            "not stated" if window is None else str(window),
            "0",
            "A nonce window lets a delayed copy of a request pass. Set the key's window to 0.",
        ),
        one_check(
            "key_query_dates",
            not dates,
            ", ".join(dates) or "none",
            "none",
            "The key hides history outside a date range, which would fake an absence.",
        ),
    )


def nonce_check(desk: Desk, time: VenueTime) -> Check:
    """Check that the key's last nonce is not far ahead of the venue's time."""
    last = desk.ledger.last_nonce(desk.reads.signer_id) or 0
    ahead_seconds = (last * desk.corridor.nonce_unit_ns - to_ns(time.venue_at)) // NANOSECONDS_PER_SECOND
    return one_check(
        "nonce_ahead",
        ahead_seconds <= NONCE_AHEAD_LIMIT_SECONDS,
        f"{max(0, ahead_seconds)} s",
        f"{NONCE_AHEAD_LIMIT_SECONDS} s",
        "The last nonce of this key lies far ahead of the venue's time: a clock was wrong. Make a new key.",
    )


def label_check(desk: Desk, *, label: str, identity: str) -> Check:
    """Check that the typed account label names this account, binding it on first use."""
    bound = desk.ledger.bind_label(
        venue=desk.corridor.venue, environment=desk.environment, label=label, identity=identity
    )
    return one_check(
        "account_label",
        bound == identity,
        identity,
        bound,
        f"The label {label!r} is bound to another account than the one this key belongs to.",
    )


def symbol_check(policy: Policy, symbol: str) -> Check:
    """Check that the policy allows the symbol."""
    return one_check(
        "symbol_allowed",
        symbol in policy.allowed_symbols,
        symbol,
        ", ".join(policy.allowed_symbols),
        "The policy does not allow this symbol.",
    )


def shape_checks(intent: OrderIntent, instrument: Instrument) -> tuple[Check, ...]:
    """Check size and price against the market's grid and minimums; never round."""
    below, above = instrument.nearest_sizes(intent.size_base)
    size = intent.size_base
    checks = [
        one_check(
            "size_increment",
            size in {below, above} or size < instrument.minimum_size,
            decimal_text(size),
            f"a multiple of {decimal_text(instrument.size_increment)}",
            f"The size is not on the market's grid. Nearest: {decimal_text(below)} or {decimal_text(above)}.",
        ),
        one_check(
            "minimum_size",
            size >= instrument.minimum_size,
            decimal_text(size),
            decimal_text(instrument.minimum_size),
            f"The size is below the market's minimum of {decimal_text(instrument.minimum_size)}.",
        ),
    ]
    if intent.limit_price is not None:
        low, high = instrument.nearest_prices(intent.limit_price)
        checks.append(
            one_check(
                "price_increment",
                low == high == intent.limit_price,
                decimal_text(intent.limit_price),
                # Where significant figures bound the price, the ticks around it are wider than the finest.
                f"a multiple of {decimal_text(high - low or instrument.price_increment)}",
                f"The price is not on the tick grid. Nearest: {decimal_text(low)} or {decimal_text(high)}.",
            )
        )
    return tuple(checks)


def money_checks(intent: OrderIntent, terms: Terms, outlook: Outlook, policy: Policy) -> tuple[Check, ...]:
    """Check notional, cost minimum and funds, at the worse of quote and limit."""
    buying = intent.side == "buy"
    worst = worst_value_price(terms, buying=buying, policy=policy)
    notional = intent.size_base * worst
    return (
        one_check(
            "minimum_cost",
            notional >= outlook.instrument.minimum_cost,
            decimal_text(notional),
            decimal_text(outlook.instrument.minimum_cost),
            "The order's value is below the market's minimum.",
        ),
        tolerance_check(intent.notional_quote, notional, policy),
        one_check(
            "max_order_notional",
            max(notional, intent.notional_quote) <= policy.max_order_notional,
            decimal_text(max(notional, intent.notional_quote)),
            decimal_text(policy.max_order_notional),
            "The order's value at its worst price is above the policy's limit.",
        ),
        funds_check(intent, notional=notional, outlook=outlook),
    )


def collar_check(terms: Terms, *, buying: bool, policy: Policy) -> Check:
    """Check that a limit price is not worse than the quote by more than the collar.

    Asked once, on the quote that the plan is made on; afterwards the drift check bounds how far the quote moves.
    """
    if terms.worst_price is None:
        return one_check("price_collar", True, "market order", "named market orders have no price bound", "")
    beyond = terms.worst_price - terms.reference if buying else terms.reference - terms.worst_price
    beyond_bps = beyond / terms.reference * BPS
    return one_check(
        "price_collar",
        beyond_bps <= policy.price_collar_bps,
        f"{beyond_bps:.2f} bps beyond the quote of {decimal_text(terms.reference)}",
        f"{decimal_text(policy.price_collar_bps)} bps",
        "The limit price is worse than the venue's quote by more than the policy's collar.",
    )


def tolerance_check(declared: Decimal, notional: Decimal, policy: Policy) -> Check:
    """Check the declared notional against size times price."""
    away_pct = abs(declared - notional) / notional * _HUNDRED
    return one_check(
        "notional_tolerance",
        away_pct <= policy.notional_tolerance_pct,
        f"declared {decimal_text(declared)}, size times price is {notional:.2f} ({away_pct:.2f} % apart)",
        f"{decimal_text(policy.notional_tolerance_pct)} %",
        "The declared notional is far from size times price: one of the two is a slip.",
    )


def funds_check(intent: OrderIntent, *, notional: Decimal, outlook: Outlook) -> Check:
    """Check funds, fee included when buying: the venue's validate-only check does not.

    Where orders are carried by margin, free margin must cover the whole value, as if there were no leverage; of an
    order that only makes a position smaller it must cover the fee.
    """
    instrument = outlook.instrument
    buying = intent.side == "buy"
    fee = notional * instrument.taker_fee_bps / BPS
    asset, needed = (instrument.quote_asset, notional + fee) if buying else (instrument.base_asset, intent.size_base)
    if instrument.margined:
        asset, needed = instrument.quote_asset, fee if _reduces(intent, outlook) else notional + fee
    held = sum((one.available for one in outlook.balances if one.asset == asset), Decimal(0))
    return one_check(
        "funds",
        held >= needed,
        f"{decimal_text(held)} {asset} available",
        f"{needed:.8f} {asset} needed",
        "The account does not hold enough to carry the order.",
    )


def _reduces(intent: OrderIntent, outlook: Outlook) -> bool:
    """Return whether the order can only make the account's position smaller."""
    asset = outlook.instrument.base_asset
    position = sum((one.total for one in outlook.balances if one.asset == asset), Decimal(0))
    against = position < 0 if intent.side == "buy" else position > 0
    return against and intent.size_base <= abs(position)


def daily_checks(desk: Desk, *, identity: str, notional: Decimal) -> tuple[Check, ...]:
    """Check today's count and notional of this account, in-flight orders included (UTC day)."""
    day = desk.now_text()[:10]
    count, sent = desk.ledger.daily(desk.account_key(identity), day)
    policy = desk.policy
    return (
        one_check(
            "daily_orders",
            count + 1 <= policy.daily_orders,
            str(count + 1),
            str(policy.daily_orders),
            "The policy's number of orders for one day is used up.",
        ),
        one_check(
            "daily_notional",
            sent + notional <= policy.daily_notional,
            decimal_text(sent + notional),
            decimal_text(policy.daily_notional),
            "The policy's notional for one day would be exceeded.",
        ),
    )


def halt_check(desk: Desk, root: Path) -> Check:
    """Check the kill switch, in the ledger and as a file beside the root."""
    reason = halt_reason(desk, root)
    return one_check(
        "halt_set",
        reason is None,
        reason or "not set",
        "not set",
        "The kill switch is set. A person clears it with `quantlab resume`.",
    )


def halt_reason(desk: Desk, root: Path) -> str | None:
    """Return why trading is halted, or None."""
    halt = desk.ledger.halt()
    if halt is not None:
        return f"set by {halt.reviewer} at {halt.halted_at}: {halt.reason}"
    file = halt_file(root)
    return f"the file {file} exists" if desk.disk.kind(file) is not None else None


def halt_file(root: Path) -> Path:
    """Return the halt file beside a root."""
    return root.absolute().parent / "HALT"


def drift_check(plan: Plan, quote: Quote, policy: Policy) -> Check:
    """Check that the quote has not moved against the plan, in either direction, beyond the policy."""
    reference = Decimal(plan.reference_price)
    now = quote.taking(buying=plan.side == "buy")
    drift_bps = abs(now - reference) / reference * BPS
    return one_check(
        "price_drift",
        drift_bps <= policy.max_drift_bps,
        f"{drift_bps:.2f} bps: planned on {decimal_text(reference)}, now {decimal_text(now)}",
        f"{decimal_text(policy.max_drift_bps)} bps",
        "The market moved since the plan was made. Take this plan back and begin again on today's price.",
    )


def promotion_check(promotion: Promotion, policy: Policy) -> Check:
    """Check that the order says why it deserves real money, where the policy demands it."""
    return one_check(
        "promotion",
        promotion.source == "paper_session" or not policy.require_promotion,
        promotion.source,
        "a promoted paper session" if policy.require_promotion else "not required",
        "The policy demands a promoted paper session for every order.",
    )


def lifetime_check(code: str, *, expires_at: str, now: datetime, what: str) -> Check:
    """Check that an approval or a gate has not run out."""
    return one_check(
        code,
        now <= parse_rfc3339(expires_at),
        f"now {now:%Y-%m-%dT%H:%M:%SZ}",
        expires_at,
        f"The {what} has run out.",
    )


def expiry(now: datetime, lifetime_seconds: int) -> datetime:
    """Return when something made now runs out."""
    return now + timedelta(seconds=lifetime_seconds)


def all_passed(checks: tuple[Check, ...]) -> bool:
    """Return whether no check refused."""
    return all(check.passed for check in checks)


def one_check(code: str, passed: bool, measured: str, limit: str, message: str) -> Check:  # noqa: FBT001
    """Return one check; ``message`` is what a refusal says."""
    return Check(code=code, passed=passed, measured=measured, limit=limit, message=message)
