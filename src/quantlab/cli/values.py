"""From the text of a value to the value itself, refused with what was wrong with it. Pure.

``name`` is what the operator called the parameter, so that a message speaks the line's own spelling.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Final, assert_never

from quantlab.cli.shape import Parameter
from quantlab.kernel import canonical
from quantlab.kernel.errors import UsageFault

Value = str | Decimal | Path | int | bool | None

LONGEST_TEXT: Final = 4_000
LONGEST_PATH: Final = 4_000
_LONGEST_SHOWN: Final = 60
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff]")
_INFINITE: Final = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_NAN: Final = re.compile(r"[+-]?s?nan[0-9]*", re.IGNORECASE)
_EXPONENT: Final = re.compile(r"[+-]?[0-9.]+e[+-]?[0-9]+", re.IGNORECASE)
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


def parse_value(parameter: Parameter, text: str, *, name: str) -> Value:
    """Return the value of ``text``.

    Raises:
        UsageFault: the text is no value of this kind; the message says why, with value and limit.
    """
    value: Value
    match parameter.kind:
        case "text":
            value = _text(text, name)
        case "optional_text":
            value = _text(text, name) if text.strip() else None
        case "choice":
            value = _choice(text, name, parameter.choices)
        case "decimal":
            value = _positive_decimal(text, name)
        case "path":
            value = _path(text, name)
        case "number":
            value = _number(text, name, most=parameter.most)
        case "switch":
            value = text == "true"
        case _:
            assert_never(parameter.kind)
    return value


def _text(text: str, name: str) -> str:
    if not text.strip():
        raise _fault(name, text, why="is empty", limit="some text", code="value_empty")
    if _NOT_TEXT.search(text):
        why = "holds control characters or bytes that are no UTF-8 text"
        raise _fault(name, text, why=why, limit="plain text", code="value_not_text")
    if len(text) > LONGEST_TEXT:
        limit = f"{LONGEST_TEXT} characters"
        raise _fault(name, text, why="is too long", limit=limit, code="value_too_long")
    return text


def _choice(text: str, name: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        limit = ", ".join(choices)
        raise _fault(name, text, why="is not a choice", limit=limit, code="value_not_a_choice")
    return text


def _positive_decimal(text: str, name: str) -> Decimal:
    limit = "a plain decimal number above 0, such as 0.25"
    stripped = text.strip()
    for pattern, why in (
        (_NAN, "is not a number"),
        (_INFINITE, "is infinite"),
        (_EXPONENT, "has an exponent"),
    ):
        if pattern.fullmatch(stripped):
            raise _fault(name, text, why=why, limit=limit, code="value_not_decimal")
    try:
        number = canonical.parse_decimal(text)
    except ValueError:
        digits = sum(character.isdigit() for character in stripped)
        most = canonical.MAXIMUM_DECIMAL_DIGITS
        why = f"has more than {most} digits" if digits > most else "is not a plain decimal number"
        raise _fault(name, text, why=why, limit=limit, code="value_not_decimal") from None
    if number <= 0:
        why = "is negative" if number < 0 else "is zero"
        raise _fault(name, text, why=why, limit=limit, code="value_not_positive")
    return number


def _path(text: str, name: str) -> Path:
    if not text.strip():
        raise _fault(name, text, why="is empty", limit="a path", code="value_empty")
    if _NOT_TEXT.search(text):
        why = "holds control characters or bytes that are no UTF-8 text"
        raise _fault(name, text, why=why, limit="a path", code="value_not_text")
    if len(text) > LONGEST_PATH:
        limit = f"{LONGEST_PATH} characters"
        raise _fault(name, text, why="is too long", limit=limit, code="value_too_long")
    return Path(text)


def _number(text: str, name: str, *, most: int) -> int:
    if not _WHOLE.fullmatch(text) or int(text) > most:
        limit = f"a whole number from 0 to {most}"
        raise _fault(name, text, why="is out of bounds", limit=limit, code="value_not_in_bounds")
    return int(text)


def _fault(name: str, text: str, *, why: str, limit: str, code: str) -> UsageFault:
    shown = ascii(text)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "..."
    message = f"{name} {shown} {why}. Allowed: {limit}."
    return UsageFault(message, code=code, measured=shown, limit=limit)
