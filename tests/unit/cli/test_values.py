"""Texts become values, or are refused with what was wrong with them."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.cli.shape import Parameter
from quantlab.cli.values import LONGEST_PATH, LONGEST_TEXT, parse_value
from quantlab.kernel import canonical
from quantlab.kernel.errors import UsageFault


def parameter(kind, **more):
    """Return a parameter of one kind."""
    return Parameter(field="f", flag="f", kind=kind, help="", **more)


def read(kind, text, **more):
    """Return the value of a text."""
    return parse_value(parameter(kind, **more), text, name="--f")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "ETH-USD", "ETH-USD"),
        ("text", "two\nlines\tand é", "two\nlines\tand é"),
        ("optional_text", "", None),
        ("optional_text", " \n", None),
        ("optional_text", "marce", "marce"),
        ("decimal", "0.25", Decimal("0.25")),
        ("decimal", " +500 ", Decimal(500)),
        ("decimal", ".5", Decimal("0.5")),
        ("path", "outputs/x", Path("outputs/x")),
        ("number", "0", 0),
        ("number", "86400", 86_400),
        ("switch", "true", True),
    ],
)
def test_read(kind, text, value):
    """Each kind reads its own texts."""
    assert value == read(kind, text)


def test_choice():
    """A choice is one of its words, to the letter."""
    assert "buy" == read("choice", "buy", choices=("buy", "sell"))
    with pytest.raises(UsageFault, match=r"'hold' is not a choice\. Allowed: buy, sell") as caught:
        read("choice", "hold", choices=("buy", "sell"))
    assert ("'hold'", "buy, sell") == (
        caught.value.refusals[0].measured,
        caught.value.refusals[0].limit,
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "is not a number"),
        ("-sNaN12", "is not a number"),
        ("inf", "is infinite"),
        ("-Infinity", "is infinite"),
        ("1e-9", "has an exponent"),
        ("1E5", "has an exponent"),
        ("-1", "is negative"),
        ("0", "is zero"),
        ("-0.00", "is zero"),
        ("1" * 40, f"has more than {canonical.MAXIMUM_DECIMAL_DIGITS} digits"),
        ("", "is not a plain decimal number"),
        ("1,000", "is not a plain decimal number"),
        ("0x10", "is not a plain decimal number"),
        ("\u0661", "is not a plain decimal number"),
        ("1_000", "is not a plain decimal number"),
    ],
)
def test_decimals_that_are_refused(text, why):
    """A quantity says what is wrong with it: NaN, infinite, exponent, sign, zero, digits."""
    with pytest.raises(UsageFault, match=why):
        read("decimal", text)


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        ("text", "", "value_empty"),
        ("text", " ", "value_empty"),
        ("text", "a\x1b[2J", "value_not_text"),
        ("text", "a\udcff", "value_not_text"),
        ("text", "x" * (LONGEST_TEXT + 1), "value_too_long"),
        ("optional_text", "a\0", "value_not_text"),
        ("path", "", "value_empty"),
        ("path", "a\0b", "value_not_text"),
        ("path", "a\udcff", "value_not_text"),
        ("path", "x" * (LONGEST_PATH + 1), "value_too_long"),
        ("number", "-1", "value_not_in_bounds"),
        ("number", "86401", "value_not_in_bounds"),
        ("number", "1.5", "value_not_in_bounds"),
        ("number", "9" * 4000, "value_not_in_bounds"),
    ],
)
def test_refused(kind, text, code):
    """What is no value of its kind is refused by code, in a message of bounded length."""
    with pytest.raises(UsageFault) as caught:
        read(kind, text)
    assert code == caught.value.code
    assert 300 > len(caught.value.message)
    assert caught.value.message.isprintable()


KINDS = st.sampled_from(["text", "optional_text", "choice", "decimal", "path", "number"])


@given(KINDS, st.text())
def test_any_text_is_read_or_refused(kind, text):
    """No text raises anything but the usage fault; a decimal that passes is above zero."""
    try:
        value = read(kind, text)
    except UsageFault:
        return
    if kind == "decimal":
        assert isinstance(value, Decimal)
        assert value.is_finite()
        assert value > 0
