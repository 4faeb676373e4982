"""Canonical bytes: RFC 8785 restricted to text, integers, booleans, null, lists and objects with ASCII keys.

Decimals are text. Floats, NaN, integers beyond 2**53 - 1 and lone surrogates are refused, so the sorted encoder
of msgspec writes exactly the bytes that RFC 8785 asks for (the tests compare it with a separate implementation).
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import msgspec

_LARGEST_INTEGER: Final = 2**53 - 1
_PLAIN_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
MAXIMUM_DECIMAL_DIGITS: Final = 28
_KEPT: Final = (Decimal, bytes, bytearray, memoryview, datetime, date, time, timedelta, UUID)
"""Types that msgspec would quietly turn into text, a decimal NaN included; here they have no canonical form."""
ZERO_SHA256: Final = "0" * 64


class NotCanonical(ValueError):
    """A value has no canonical form: a float, NaN, a huge integer, a lone surrogate, a key that is not ASCII."""


def encode(value: Any) -> bytes:
    """Return the canonical bytes of ``value`` (a msgspec Struct or builtins), without a trailing newline.

    Raises:
        NotCanonical: the value holds something that has no single exact spelling, or is nested too deeply.
    """
    try:
        builtins = msgspec.to_builtins(value, builtin_types=_KEPT, order="sorted")
        _check(builtins, path="$")
    except (TypeError, RecursionError) as error:
        raise NotCanonical(str(error)) from None
    return msgspec.json.encode(builtins, order="sorted")


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes of ``value``."""
    return sha256_hex(encode(value))


def decimal_text(value: Decimal) -> str:
    """Return the plain text of a finite decimal: no exponent, no trailing zeros behind the point, no ``-0``.

    Raises:
        NotCanonical: the value is NaN or infinite.
    """
    if not value.is_finite():
        message = f"{value} is not a finite number"
        raise NotCanonical(message)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def parse_decimal(text: str) -> Decimal:
    """Return the decimal of a plain number written by a person or a venue: digits, one point, one sign.

    Raises:
        ValueError: exponents, NaN, infinities, separators, empty text, or more than 28 digits.
    """
    stripped = text.strip()
    if not stripped.isascii() or not _PLAIN_NUMBER.fullmatch(stripped):
        message = f"{text[:60]!r} is not a plain decimal number such as 0.25"
        raise ValueError(message)
    if sum(character.isdigit() for character in stripped) > MAXIMUM_DECIMAL_DIGITS:
        message = f"a number of more than {MAXIMUM_DECIMAL_DIGITS} digits is not an order's size or price"
        raise ValueError(message)
    try:
        return Decimal(stripped)
    except InvalidOperation:  # pragma: no cover - the pattern above admits only what Decimal reads
        raise ValueError(text) from None


def _check(value: Any, *, path: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path=path)
    elif isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            message = f"{path}: an integer beyond 2**53 - 1 must be written as text"
            raise NotCanonical(message)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                message = f"{path}: a key is not ASCII text"
                raise NotCanonical(message)
            _check(item, path=f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check(item, path=f"{path}[{position}]")
    else:
        message = f"{path}: {type(value).__name__} has no canonical form"
        raise NotCanonical(message)


def _check_text(value: str, *, path: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        message = f"{path}: text with a lone surrogate has no UTF-8 bytes"
        raise NotCanonical(message) from None
