"""Untyped answers are read by name and type, and never guessed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer


@pytest.mark.parametrize("text", ["", "{", "nul", "[1,]", "NaN", "{} {}", "\xff", "[" * 5000])
def test_what_is_not_json_is_a_bad_answer(text):
    """Garbage never becomes a value."""
    with pytest.raises(BadAnswer, match="not JSON"):
        answers.parse_json(text.encode("latin-1"))


def test_fractions_are_decimals():
    """A JSON fraction keeps every digit the venue wrote."""
    assert {"a": Decimal("0.10000000000000000001"), "b": 3} == answers.parse_json(b'{"a":0.10000000000000000001,"b":3}')


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (answers.as_object, []),
        (answers.as_object, None),
        (answers.as_list, {}),
        (answers.as_texts, ["a", 1]),
        (answers.as_texts, "a"),
        (answers.as_decimal, True),
        (answers.as_decimal, None),
        (answers.as_decimal, "1e5"),
        (answers.as_decimal, "NaN"),
        (answers.as_decimal, ""),
        (answers.as_decimal, Decimal("Infinity")),
        (answers.as_decimal, Decimal("1E+999")),
        (answers.as_decimal, [1]),
    ],
)
def test_values_of_another_type_are_bad_answers(read, value):
    """A value of another type names its place and is refused."""
    with pytest.raises(BadAnswer, match="the place"):
        read(value, "the place")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (answers.text_in, 1),
        (answers.optional_text_in, 1),
        (answers.integer_in, "1"),
        (answers.integer_in, True),
        (answers.integer_in, Decimal(1)),
        (answers.decimal_in, None),
        (answers.amount_in, "-1"),
        (answers.unix_time_in, -1),
        (answers.unix_time_in, 253_402_300_800),
        (answers.rfc3339_time_in, "2026-09-03"),
        (answers.rfc3339_time_in, "yesterday"),
        (answers.rfc3339_time_in, "0001-01-01T00:00:00+14:00"),
    ],
)
def test_members_of_another_type_are_bad_answers(read, value):
    """A member of another type is refused by its name."""
    with pytest.raises(BadAnswer, match="member"):
        read({"member": value}, "member")


def test_good_members_are_read_exactly():
    """Each reader returns what stands there."""
    row = {"text": "a", "none": None, "empty": "", "count": 3, "price": "1.50", "at": Decimal("1.25")}
    assert "a" == answers.text_in(row, "text")
    assert [None, None, None] == [answers.optional_text_in(row, k) for k in ("none", "empty", "gone")]
    assert 3 == answers.integer_in(row, "count")
    assert Decimal("1.50") == answers.amount_in(row, "price")
    assert Decimal(3) == answers.decimal_in(row, "count")
    assert datetime(1970, 1, 1, 0, 0, 1, 250_000, UTC) == answers.unix_time_in(row, "at")
    assert None is answers.unix_time_in(row, "gone")
    assert None is answers.unix_time_in({"at": 0}, "at")
    assert ("a", "b") == answers.as_texts(["a", "b"], "texts")
    read = answers.rfc3339_time_in({"at": "2026-09-03T06:00:00.5Z"}, "at")
    assert datetime(2026, 9, 3, 6, 0, 0, 500_000, UTC) == read
