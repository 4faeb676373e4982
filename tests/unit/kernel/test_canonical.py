"""Canonical bytes: exactly those of RFC 8785, for everything that has one spelling, and for nothing else."""

import contextlib
import datetime as dt
import uuid
from decimal import Decimal

import hypothesis
import msgspec
import pytest
import rfc8785
from hypothesis import strategies as st

from quantlab.kernel import canonical
from tests.strategies import DECIMALS, DOCUMENTS, TEXTS


@hypothesis.given(DOCUMENTS)
@hypothesis.example({"\x7f": "\x7f", "\x00": '\x00\b\f\n\r\t\x1f"\\/', "a": ["\u2028", "\U0001f4c8", "é", "\ufeff"]})
@hypothesis.example({"b": {"B": 1, "a": {}}, "a": [], "": [2**53 - 1, -(2**53) + 1, 0]})
def test_bytes_equal_rfc_8785(document):
    """The bytes of any document without floats equal those of a separate implementation of RFC 8785."""
    assert rfc8785.dumps(document) == canonical.encode(document)


@hypothesis.given(DOCUMENTS)
def test_canonical_bytes_are_a_fixed_point(document):
    """What was decoded from canonical bytes encodes to the same bytes again."""
    raw = canonical.encode(document)
    assert raw == canonical.encode(msgspec.json.decode(raw))
    assert canonical.sha256_hex(raw) == canonical.digest(document)


def test_digest_is_plain_sha256():
    """The digest is the lower-case hex SHA-256 that any other tool gives for the bytes."""
    assert "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" == canonical.digest({})
    assert 64 * "0" == canonical.ZERO_SHA256


class Pair(msgspec.Struct):
    b: str
    a: tuple[int, ...]


def test_structs_and_sets():
    """A Struct is its fields by name; a set is a sorted list, so that no run gives other bytes."""
    assert b'{"a":[1,2],"b":"x"}' == canonical.encode(Pair(b="x", a=(1, 2)))
    assert b'["a","b","c"]' == canonical.encode({"c", "a", "b"})


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        0.1,
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        10**30,
        "\ud800",
        "a\udfff",
        {"\ud800": 1},
        {"é": 1},
        {1: "a"},
        {1.5: "a"},
        {None: "a"},
        Decimal("0.1"),
        Decimal("NaN"),
        b"bytes",
        bytearray(b"bytes"),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.date(2026, 1, 1),
        dt.timedelta(1),
        uuid.UUID(int=1),
        object(),
        1j,
    ],
)
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"a": [1, one]}, lambda one: [{"deep": {"a": one}}]])
def test_what_has_no_single_spelling_is_refused(value, wrap):
    """Floats, NaN, huge integers, lone surrogates, keys beyond ASCII and unwritten types are refused, at any depth."""
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(wrap(value))


def test_a_refusal_names_the_place():
    """The message says where in the document it stands."""
    with pytest.raises(canonical.NotCanonical, match=r"^\$\.a\[1\]\.b: float has no canonical form$"):
        canonical.encode({"a": [0, {"b": 0.5}]})


def test_a_document_too_deep_is_refused():
    """Nesting without end is refused, not a crash."""
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(deep)


@hypothesis.given(DECIMALS)
@hypothesis.example(Decimal("-0"))
@hypothesis.example(Decimal("-0.00"))
@hypothesis.example(Decimal("1E+5"))
@hypothesis.example(Decimal("1E-9"))
@hypothesis.example(Decimal("100"))
def test_decimal_text_is_exact_and_plain(value):
    """The text of a decimal is the same number, without exponent, sign of zero or trailing zeros."""
    text = canonical.decimal_text(value)
    assert value == Decimal(text)
    assert set(text) <= set("-.0123456789")
    assert "-0" != text
    assert not ("." in text and text.endswith("0"))
    assert canonical.decimal_text(Decimal(text)) == text


@pytest.mark.parametrize(("value", "text"), [("100", "100"), ("1E+2", "100"), ("0.2500", "0.25"), ("-0.0", "0")])
def test_decimal_texts(value, text):
    """Equal numbers have one text."""
    assert text == canonical.decimal_text(Decimal(value))


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_decimal_that_is_no_number_has_no_text(value):
    """NaN and infinities are refused."""
    with pytest.raises(canonical.NotCanonical, match="finite"):
        canonical.decimal_text(Decimal(value))


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.25", "0.25"), (" 7\n", "7"), ("+1.", "1"), (".5", "0.5"), ("-2", "-2"), ("9" * 28, "9" * 28)],
)
def test_plain_numbers_are_parsed(text, number):
    """Digits with one sign and one point are read exactly."""
    assert Decimal(number) == canonical.parse_decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "+",
        "1e3",
        "NaN",
        "nan",
        "inf",
        "-Infinity",
        "1_000",
        "1,5",
        "0x10",
        "1 2",
        "--1",
        "٣",
        "½",
        "9" * 29,
    ],
)
def test_other_numbers_are_refused(text):
    """Exponents, NaN, infinities, separators, foreign digits and more than 28 digits are refused."""
    with pytest.raises(ValueError, match=r"decimal number|28 digits"):
        canonical.parse_decimal(text)


@hypothesis.given(TEXTS | st.text())
def test_parsing_a_number_gives_a_finite_number_or_a_value_error(text):
    """Whatever is typed: a finite decimal, or a ValueError, never anything else."""
    with contextlib.suppress(ValueError):
        assert canonical.parse_decimal(text).is_finite()
