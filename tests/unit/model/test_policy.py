"""The policy: its fixed names and defaults, its digest, and what a file may say."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.kernel.errors import UsageFault
from quantlab.model.policy import (
    POLICY_RULES,
    Policy,
    policy_digest,
    policy_from_toml,
    policy_to_toml,
)

DEFAULTS = {
    "require_promotion": False,
    "require_signed_approvals": False,
    "require_distinct_reviewers": False,
    "max_order_notional": "1000",
    "notional_tolerance_pct": "10",
    "daily_orders": 20,
    "daily_notional": "5000",
    "price_collar_bps": "100",
    "max_drift_bps": "100",
    "same_intent_window_seconds": 86_400,
    "approval_lifetime_seconds": 86_400,
    "gate_lifetime_seconds": 900,
    "signed_action_lifetime_seconds": 300,
    "cancel_needs_status_younger_than_seconds": 300,
    "max_clock_skew_seconds": 5,
    "allowed_symbols": ["BTC", "BTC-USD", "BTC-USDC", "ETH", "ETH-USD", "ETH-USDC"],
}


def test_the_defaults_are_fixed():
    """Names and defaults are those of the design, and their digest never changes by accident."""
    assert DEFAULTS == Policy().canonical_values()
    assert list(DEFAULTS) == [rule.key for rule in POLICY_RULES]
    assert set(DEFAULTS) == set(Policy.__struct_fields__)
    digest = "6fb15d0beaf49834c24219bfa1291f2d3568f42f9b0029d10d2599003db5a4d6"
    assert digest == policy_digest(Policy())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[policy]\n",
        "max_order_notional = 1000.00",
        "max_order_notional = 1e3",
        "[policy]\nmax_order_notional = 1_000",
        'allowed_symbols = ["ETH-USDC", "ETH", "BTC", "BTC-USD", "BTC-USDC", "ETH-USD"]',
    ],
)
def test_one_policy_has_one_digest(text):
    """A default left out or written out, a number in any spelling, symbols in any order: the same."""
    assert policy_digest(Policy()) == policy_digest(policy_from_toml(text))


@pytest.mark.parametrize("rule", POLICY_RULES, ids=lambda rule: rule.key)
def test_each_key_changes_the_digest(rule):
    """No key is left out of the digest."""
    other = {"switch": "true", "decimal": "0.5", "count": "37", "symbols": '["SOL-USD"]'}[rule.kind]
    changed = policy_from_toml(f"{rule.key} = {other}")
    assert policy_digest(changed) != policy_digest(Policy())
    assert changed == policy_from_toml(policy_to_toml(changed))


def test_the_file_explains_itself():
    """The written file has a comment and the bounds for each key, and reads back as the policy."""
    text = policy_to_toml(Policy())
    for rule in POLICY_RULES:
        assert f"# {rule.meaning}\n# Allowed: {rule.limit}.\n{rule.key} = " in text
    assert Policy().canonical_values() == policy_from_toml(text).canonical_values()


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("max_order_notional = nan", "max_order_notional = NaN"),
        ("max_order_notional = -inf", "max_order_notional = -Infinity"),
        ("max_order_notional = -1", "max_order_notional = -1"),
        ("max_order_notional = 0", "max_order_notional = 0"),
        ("max_order_notional = 1000000.01", "max_order_notional = 1000000.01"),
        ("max_order_notional = 1e400", "max_order_notional = 1E+400"),
        ("max_order_notional = 1e-13", "max_order_notional = 1E-13"),
        ("max_order_notional = 1e-99999", "max_order_notional = 1E-99999"),
        ("max_order_notional = true", "max_order_notional = True"),
        ('max_order_notional = "1000"', "max_order_notional = 1000"),
        ("max_order_notional = 2020-01-01", "max_order_notional = datetime.date(2020, 1, 1)"),
        ("price_collar_bps = -0.1", "price_collar_bps = -0.1"),
        ("daily_orders = 0", "daily_orders = 0"),
        ("daily_orders = 1.0", "daily_orders = 1.0"),
        ("daily_orders = true", "daily_orders = True"),
        ("gate_lifetime_seconds = 3601", "gate_lifetime_seconds = 3601"),
        ("signed_action_lifetime_seconds = 901", "signed_action_lifetime_seconds = 901"),
        ("require_promotion = 1", "require_promotion = 1"),
        ("allowed_symbols = []", "allowed_symbols = []"),
        ('allowed_symbols = "ETH-USD"', "allowed_symbols = ETH-USD"),
        ('allowed_symbols = ["eth-usd"]', "allowed_symbols = eth-usd"),
        ("allowed_symbols = [1]", "allowed_symbols = 1"),
        ('allowed_symbols = ["ETH", "ETH"]', "allowed_symbols = ['ETH', 'ETH']"),
        (
            "allowed_symbols = [" + ",".join(f'"A{n}"' for n in range(201)) + "]",
            "allowed_symbols = 201 symbols",
        ),
        ("max_notional = 1", "max_notional = unknown"),
        ('"a\\u001b\\u00e9" = 1', "a\\x1b\\xe9 = unknown"),
        ("policy = 3", "policy = 3"),
        ("daily_orders = 1\n[policy]\ndaily_orders = 1", "daily_orders = twice"),
        ("daily_orders = 0x" + "f" * 9000, "daily_orders = a number of thousands of digits"),
    ],
)
def test_refused(text, measured):
    """What a key may not be is refused with the key, the value and the limit."""
    with pytest.raises(UsageFault) as caught:
        policy_from_toml(text)
    [refusal] = caught.value.refusals
    assert ("policy_value", measured) == (refusal.code, refusal.measured)
    assert refusal.limit
    assert measured.split(" = ")[0] in refusal.message


@pytest.mark.parametrize(
    "text",
    ["=", "a = " + "[" * 5000, "a = " + "9" * 5000, "daily_notional = 1e99999999999999999999", "\0"],
)
def test_not_toml(text):
    """What is no TOML at all is refused as such."""
    with pytest.raises(UsageFault, match="not TOML") as caught:
        policy_from_toml(text)
    assert "policy_not_toml" == caught.value.code


def test_too_large():
    """A file of another kind is refused by its size."""
    with pytest.raises(UsageFault) as caught:
        policy_from_toml("#" * 70_000)
    assert "policy_too_large" == caught.value.code


@pytest.mark.parametrize(
    "text", ["price_collar_bps = 0", "same_intent_window_seconds = 0", "max_drift_bps = 0.000000000001"]
)
def test_bounds_that_are_allowed(text):
    """A collar or window of nothing makes sense, and so does the finest fraction."""
    assert policy_from_toml(text) != Policy()


def test_a_policy_is_frozen():
    """A policy in force cannot be changed."""
    with pytest.raises(AttributeError):
        Policy().daily_orders = 1
    assert Decimal(1000) == msgspec.structs.replace(Policy(), daily_orders=1).max_order_notional


@given(st.text())
def test_any_text_is_read_or_refused(text):
    """No text raises anything but the usage fault."""
    try:
        policy_from_toml(text)
    except UsageFault:
        return


LITERALS = st.one_of(
    st.integers().map(str),
    st.decimals().map(lambda number: str(number).lower().replace("infinity", "inf").replace("snan", "nan")),
    st.sampled_from(["true", "[]", '["ETH"]', '""', "{}", "1e5", "+0.0"]),
)


@given(st.sampled_from([rule.key for rule in POLICY_RULES]), LITERALS)
def test_any_value_is_read_or_refused(key, literal):
    """No value of a key raises anything but the usage fault; what passes has a digest."""
    try:
        policy = policy_from_toml(f"{key} = {literal}")
    except UsageFault:
        return
    assert 64 == len(policy_digest(policy))
    assert policy == policy_from_toml(policy_to_toml(policy))
