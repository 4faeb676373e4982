"""Reading untyped answers: each member is asked for by name and type, and nothing is guessed.

JSON numbers become ``int`` or ``Decimal``, never a binary fraction. Whatever is missing or of another
type raises :class:`BadAnswer`, which a read turns into ``VenueReadFailed(kind="bad_answer")``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from quantlab.kernel import canonical
from quantlab.kernel.clock import NANOSECONDS_PER_SECOND, from_ns, parse_rfc3339

_LARGEST_EXPONENT: Final = 36
_LATEST_UNIX_SECONDS: Final = 253_402_300_799
_NUMBERS: Final = msgspec.json.Decoder(float_hook=Decimal)


class BadAnswer(Exception):
    """An answer lacks a member or has it in another type than documented. The text names the place."""


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text, fractions as ``Decimal``.

    Raises:
        BadAnswer: the bytes are no JSON text.
    """
    try:
        return _NUMBERS.decode(body)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
        raise BadAnswer("the answer is not JSON") from None


def as_object(value: object, where: str) -> Mapping[str, Any]:
    """Return ``value`` as a JSON object."""
    if not isinstance(value, dict):
        raise BadAnswer(f"{where} is not an object")
    return value


def as_list(value: object, where: str) -> Sequence[Any]:
    """Return ``value`` as a JSON array."""
    if not isinstance(value, list):
        raise BadAnswer(f"{where} is not a list")
    return value


def as_texts(value: object, where: str) -> tuple[str, ...]:
    """Return ``value`` as an array of texts."""
    items = as_list(value, where)
    if not all(isinstance(item, str) for item in items):
        raise BadAnswer(f"{where} is not a list of texts")
    return tuple(items)


def text_in(row: Mapping[str, Any], key: str) -> str:
    """Return the member ``key``, a text."""
    value = row.get(key)
    if not isinstance(value, str):
        raise BadAnswer(f"{key} is not a text")
    return value


def optional_text_in(row: Mapping[str, Any], key: str) -> str | None:
    """Return the member ``key``, a text; None when it is absent, null or empty."""
    if row.get(key) is None:
        return None
    return text_in(row, key) or None


def integer_in(row: Mapping[str, Any], key: str) -> int:
    """Return the member ``key``, a JSON integer."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadAnswer(f"{key} is not an integer")
    return value


def decimal_in(row: Mapping[str, Any], key: str) -> Decimal:
    """Return the member ``key``, a number or the text of one, exactly."""
    return as_decimal(row.get(key), key)


def amount_in(row: Mapping[str, Any], key: str) -> Decimal:
    """Return the member ``key``, a number that is not negative."""
    value = decimal_in(row, key)
    if value < 0:
        raise BadAnswer(f"{key} is negative")
    return value


def as_decimal(value: object, where: str) -> Decimal:
    """Return a number, or the text of one, exactly."""
    if isinstance(value, bool):
        raise BadAnswer(f"{where} is not a number")
    if isinstance(value, int):
        value = Decimal(value)
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _LARGEST_EXPONENT:
            raise BadAnswer(f"{where} is not a usable number")
        return value
    if not isinstance(value, str):
        raise BadAnswer(f"{where} is not a number")
    try:
        return canonical.parse_decimal(value)
    except ValueError:
        raise BadAnswer(f"{where} is not a number") from None


def unix_time_in(row: Mapping[str, Any], key: str) -> datetime | None:
    """Return the member ``key``, unix seconds with a fraction, as a time; None when 0 or absent."""
    if row.get(key) is None:
        return None
    seconds = decimal_in(row, key)
    if not 0 <= seconds <= _LATEST_UNIX_SECONDS:
        raise BadAnswer(f"{key} is not a time")
    return from_ns(int(seconds * NANOSECONDS_PER_SECOND)) if seconds else None


def rfc3339_time_in(row: Mapping[str, Any], key: str) -> datetime:
    """Return the member ``key``, RFC 3339 text, as a time."""
    try:
        return parse_rfc3339(text_in(row, key))
    except (ValueError, OverflowError):
        raise BadAnswer(f"{key} is not a time") from None
