"""The policy: what an operator allows, its file form, its digest. Pure; config reads the file.

The digest is taken over the resolved values, so that a default written out and a default left out
are the same policy, and so that a changed default is a different one.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, Literal, NoReturn, assert_never

import msgspec

from quantlab.kernel import canonical
from quantlab.kernel.errors import UsageFault

_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,15}(-[A-Z0-9]{1,15})?")
_MOST_SYMBOLS: Final = 200
_MOST_DECIMAL_PLACES: Final = 12
_FINEST: Final = Decimal(1).scaleb(-_MOST_DECIMAL_PLACES)
_LARGEST_TEXT: Final = 64 * 1024
_DAY: Final = 86_400


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits. Money in quote currency, percent and bps as decimals, ages in seconds."""

    require_promotion: bool = False
    require_signed_approvals: bool = False
    require_distinct_reviewers: bool = False
    max_order_notional: Decimal = Decimal(1000)
    notional_tolerance_pct: Decimal = Decimal(10)
    daily_orders: int = 20
    daily_notional: Decimal = Decimal(5000)
    price_collar_bps: Decimal = Decimal(100)
    max_drift_bps: Decimal = Decimal(100)
    same_intent_window_seconds: int = _DAY
    approval_lifetime_seconds: int = _DAY
    gate_lifetime_seconds: int = 900
    signed_action_lifetime_seconds: int = 300
    cancel_needs_status_younger_than_seconds: int = 300
    max_clock_skew_seconds: int = 5
    allowed_symbols: tuple[str, ...] = ("BTC", "BTC-USD", "BTC-USDC", "ETH", "ETH-USD", "ETH-USDC")

    def canonical_values(self) -> dict[str, bool | int | str | list[str]]:
        """Return what the digest is of: every value, decimals as canonical text, symbols sorted."""
        values: dict[str, bool | int | str | list[str]] = {}
        for rule in POLICY_RULES:
            value = getattr(self, rule.key)
            if isinstance(value, Decimal):
                values[rule.key] = canonical.decimal_text(value)
            elif isinstance(value, tuple):
                values[rule.key] = sorted(value)
            else:
                values[rule.key] = value
        return values


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True):
    """What one key of the policy may be, and what it is for."""

    key: str
    kind: Literal["switch", "decimal", "count", "symbols"]
    meaning: str
    least: int = 1
    """Smallest allowed value; decimals must also be above 0 unless this is 0."""
    most: int = 0

    @property
    def limit(self) -> str:
        """Return in words what is allowed."""
        match self.kind:
            case "switch":
                return "true or false"
            case "decimal":
                return f"a number {'from' if self.least == 0 else 'above'} 0 up to {self.most}"
            case "count":
                return f"a whole number from {self.least} to {self.most}"
            case "symbols":
                return 'a list of distinct symbols such as "ETH-USD" or, for a perp, "ETH"'
            case _:
                assert_never(self.kind)


def _rule(key: str, kind: Literal["decimal", "count"], bounds: tuple[int, int], meaning: str) -> PolicyRule:
    return PolicyRule(key=key, kind=kind, least=bounds[0], most=bounds[1], meaning=meaning)


POLICY_RULES: Final = (
    PolicyRule(
        key="require_promotion",
        kind="switch",
        meaning="Refuse an order that cites no promoted paper session; a rationale does not do.",
    ),
    PolicyRule(
        key="require_signed_approvals",
        kind="switch",
        meaning="Refuse an approval that its reviewer has not signed.",
    ),
    PolicyRule(
        key="require_distinct_reviewers",
        kind="switch",
        meaning="Refuse a gate or submit by the person who approved the session.",
    ),
    _rule("max_order_notional", "decimal", (1, 1_000_000), "Largest order, in quote currency."),
    _rule(
        "notional_tolerance_pct",
        "decimal",
        (1, 100),
        "How far the declared notional may be from size times price, in percent.",
    ),
    _rule("daily_orders", "count", (1, 1_000), "Orders per account and day, in-flight included."),
    _rule(
        "daily_notional",
        "decimal",
        (1, 10_000_000),
        "Notional per account and day, in-flight included, in quote currency.",
    ),
    _rule(
        "price_collar_bps",
        "decimal",
        (0, 1_000),
        "How far the worst price may be beyond the venue's quote, in basis points.",
    ),
    _rule(
        "max_drift_bps",
        "decimal",
        (1, 1_000),
        "How far the quote may move between the plan and the send, in basis points.",
    ),
    _rule(
        "same_intent_window_seconds",
        "count",
        (0, 31 * _DAY),
        "How long the same intent is refused while an earlier one is live, unresolved or landed.",
    ),
    _rule("approval_lifetime_seconds", "count", (1, 7 * _DAY), "How long an approval lasts."),
    _rule("gate_lifetime_seconds", "count", (1, 3_600), "How long a passed gate lasts."),
    _rule(
        "signed_action_lifetime_seconds",
        "count",
        (30, 900),
        "How long a signed action may be admitted by the venue.",
    ),
    _rule(
        "cancel_needs_status_younger_than_seconds",
        "count",
        (1, 3_600),
        "A cancel needs a status or reconciliation younger than this.",
    ),
    _rule(
        "max_clock_skew_seconds",
        "count",
        (1, 60),
        "Largest difference between this machine's clock and the venue's.",
    ),
    PolicyRule(
        key="allowed_symbols",
        kind="symbols",
        meaning="Markets that may be traded at all: pairs as BASE-QUOTE, perps by their bare name.",
    ),
)
_RULES_BY_KEY: Final = {rule.key: rule for rule in POLICY_RULES}


def policy_digest(policy: Policy) -> str:
    """Return the SHA-256 of the policy's resolved values in canonical form."""
    return canonical.digest(policy.canonical_values())


def policy_from_toml(text: str) -> Policy:
    """Return the policy of a TOML text: keys at the top or under ``[policy]``, the rest defaults.

    Raises:
        UsageFault: the text is no TOML, or a value is refused; it names key, value and limit.
    """
    values = _toml_values(text)
    parsed: dict[str, Any] = {}
    for key, value in values.items():
        rule = _RULES_BY_KEY.get(key)
        if rule is None:
            _refuse(key, "unknown", f"one of: {', '.join(_RULES_BY_KEY)}", "it is not a policy key")
        parsed[key] = _parse(rule, value)
    return Policy(**parsed)


def policy_to_toml(policy: Policy) -> str:
    """Return the policy as a commented TOML text, which :func:`policy_from_toml` reads back."""
    values = policy.canonical_values()
    lines = ["# QuantLab policy: the checks before a send. Every order's plan cites its digest."]
    for rule in POLICY_RULES:
        lines += ["", f"# {rule.meaning}", f"# Allowed: {rule.limit}."]
        lines.append(f"{rule.key} = {_toml_value(values[rule.key])}")
    return "\n".join(lines) + "\n"


def _toml_value(value: bool | int | str | list[str]) -> str:  # noqa: FBT001 - a value, not a flag
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{symbol}"' for symbol in value) + "]"
    return str(value)


def _toml_values(text: str) -> dict[str, Any]:
    if len(text) > _LARGEST_TEXT:
        message = f"The policy file has more than {_LARGEST_TEXT} characters."
        raise UsageFault(message, code="policy_too_large", limit=str(_LARGEST_TEXT))
    import tomllib

    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        message = f"The policy file is not TOML: {str(error)[:200]}"
        raise UsageFault(message, code="policy_not_toml") from None
    nested = values.pop("policy", {})
    if not isinstance(nested, dict):
        _refuse("policy", _shown(nested), "a table, [policy]", "it must be a table")
    twice = sorted(values.keys() & nested.keys())
    if twice:
        _refuse(twice[0], "twice", "once", "it stands both at the top and under [policy]")
    return {**values, **nested}


def _parse(rule: PolicyRule, value: Any) -> bool | int | Decimal | tuple[str, ...]:
    match rule.kind:
        case "switch":
            return _switch(rule, value)
        case "count":
            return _count(rule, value)
        case "decimal":
            return _decimal(rule, value)
        case "symbols":
            return _symbols(rule, value)
        case _:
            assert_never(rule.kind)


def _switch(rule: PolicyRule, value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse(rule.key, _shown(value), rule.limit, "it is neither true nor false")
    return value


def _count(rule: PolicyRule, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(rule.key, _shown(value), rule.limit, "it is not a whole number")
    if not rule.least <= value <= rule.most:
        _refuse(rule.key, _shown(value), rule.limit, "it is out of bounds")
    return value


def _decimal(rule: PolicyRule, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        _refuse(rule.key, _shown(value), rule.limit, "it is not a number")
    number = Decimal(value)
    if not number.is_finite():
        _refuse(rule.key, _shown(value), rule.limit, "it is not a finite number")
    if number < 0 or (number == 0 and rule.least > 0) or number > rule.most:
        _refuse(rule.key, _shown(value), rule.limit, "it is out of bounds")
    if number != number.quantize(_FINEST):
        limit = f"{rule.limit}, with at most {_MOST_DECIMAL_PLACES} decimal places"
        _refuse(rule.key, _shown(value), limit, "it has too many digits")
    return Decimal(canonical.decimal_text(number))


def _symbols(rule: PolicyRule, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        _refuse(rule.key, _shown(value), rule.limit, "it is not a list with at least one symbol")
    if len(value) > _MOST_SYMBOLS:
        _refuse(rule.key, f"{len(value)} symbols", f"{_MOST_SYMBOLS} symbols", "the list is too long")
    for symbol in value:
        if not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol):
            _refuse(rule.key, _shown(symbol), rule.limit, "one entry is not a symbol")
    if len(set(value)) != len(value):
        _refuse(rule.key, _shown(value), rule.limit, "a symbol stands in it twice")
    return tuple(sorted(value))


def _shown(value: Any) -> str:
    try:
        return ascii(str(value) if isinstance(value, Decimal) else value)[:60].strip("'")
    except ValueError:
        return "a number of thousands of digits"


def _refuse(key: str, measured: str, limit: str, why: str) -> NoReturn:
    shown = ascii(key)[1:-1][:60]
    message = f"The policy key {shown} is refused: {why} (found {measured}; allowed: {limit})."
    raise UsageFault(message, code="policy_value", measured=f"{shown} = {measured}", limit=limit)
