"""Hyperliquid's JSON as it goes over the wire: decimals, refusals, strict reading of bodies."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.wire import Answer, Json

VENUE: Final = "hyperliquid"
NS: Final = 1_000_000_000
MS: Final = 1_000_000
"""Nanoseconds in a millisecond."""

_DECIMAL: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_CLOID: Final = re.compile(r"(0x)?([0-9a-fA-F]{32})")
_ADDRESS: Final = re.compile(r"(0x)?([0-9a-fA-F]{40})")
MOST_DECIMALS: Final = 8


class Refused(Exception):
    """The venue says no to a whole request.

    Attributes:
        error: The error string that goes over the wire, in `{"status":"err"}`.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Unreadable(Exception):
    """The request never becomes an action: a text answer with HTTP 400, 404, 405, 415, 422, 429 or 500.

    Attributes:
        answer: What goes over the wire.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def plain_text(status: int, text: str) -> Answer:
    """Make an answer of plain text."""
    return Answer(status=status, body=text.encode(), content_type="text/plain; charset=utf-8", headers=CORS)


CORS: Final = (("access-control-allow-origin", "*"), ("access-control-expose-headers", "*"))
NOT_JSON: Final = "Failed to parse the request body as JSON"
WRONG_SHAPE: Final = "Failed to deserialize the JSON body into the target type"
WRONG_TYPE: Final = "Expected request with `Content-Type: application/json`"
WORDS: Final = {400: NOT_JSON, 415: WRONG_TYPE, 422: WRONG_SHAPE}
"""What the venue says to a request that never becomes an action, by HTTP status."""


def json_answer(value: object, status: int = 200) -> Answer:
    """Make an answer of JSON."""
    return Answer(status=status, body=msgspec.json.encode(value), content_type="application/json", headers=CORS)


def wrong_shape() -> Unreadable:
    """Make the refusal of JSON that has not the expected shape."""
    return Unreadable(plain_text(422, WRONG_SHAPE))


def failure(error: str) -> Json:
    """Make the reply to an action that was refused whole."""
    return {"status": "err", "response": error}


def success(kind: str, data: object = None) -> Json:
    """Make the reply to an action that was carried out."""
    response: Json = {"type": kind}
    if data is not None:
        response["data"] = data
    return {"status": "ok", "response": response}


def plain(value: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = f"{value.normalize():f}"
    return "0" if text == "-0" else text


def dotted(value: Decimal) -> str:
    """Write a decimal as the read paths do: always with a point, for example `21.0`."""
    text = plain(value)
    return text if "." in text else text + ".0"


def rounded(value: Decimal, decimals: int) -> Decimal:
    """Round half to even to this many decimals."""
    return value.quantize(Decimal(1).scaleb(-decimals))


# ----------------------------------------------------------------------- reading


def parse_body(body: bytes, content_type: str) -> object:
    """Read the first JSON value of a body; what follows it is ignored.

    Raises:
        Unreadable: another content type (415), no JSON (400), or a key that stands twice (422).
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Unreadable(plain_text(415, WRONG_TYPE))
    decoder = json.JSONDecoder(object_pairs_hook=_no_key_twice, parse_float=Decimal)
    try:
        value: object = decoder.raw_decode(body.decode("utf-8").lstrip(" \t\r\n"))[0]
    except (ValueError, RecursionError) as error:
        raise Unreadable(plain_text(400, NOT_JSON)) from error
    return value


def _no_key_twice(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise wrong_shape()
    return found


def fields(value: object, needed: tuple[str, ...], optional: tuple[str, ...] | None = ()) -> Json:
    """Read an object with these keys.

    Args:
        value: What was sent.
        needed: Keys that must be there.
        optional: Keys that may be there; None allows any.

    Raises:
        Unreadable: it is no object, a key is missing, or one is unknown.
    """
    if not isinstance(value, dict) or not set(needed) <= set(value):
        raise wrong_shape()
    if optional is not None and not set(value) <= {*needed, *optional}:
        raise wrong_shape()
    return value


def whole(value: object, most: int = 2**64 - 1) -> int:
    """Read a whole number that is not negative; anything else raises `Unreadable`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise wrong_shape()
    return value


def flag(value: object) -> bool:
    """Read true or false; anything else raises `Unreadable`."""
    if not isinstance(value, bool):
        raise wrong_shape()
    return value


def text(value: object, allowed: tuple[str, ...] | None = None) -> str:
    """Read a text, one of those allowed; anything else raises `Unreadable`."""
    if not isinstance(value, str) or (allowed is not None and value not in allowed):
        raise wrong_shape()
    return value


def rows(value: object) -> list[object]:
    """Read a list; anything else raises `Unreadable`."""
    if not isinstance(value, list):
        raise wrong_shape()
    return value


def decimal(value: object) -> Decimal:
    """Read a decimal text: digits, a point, at most eight decimals that count.

    Raises:
        Unreadable: a JSON number, a sign, an exponent, a ninth decimal, or nothing.
    """
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise wrong_shape()
    if len(value.partition(".")[2].rstrip("0")) > MOST_DECIMALS:
        raise wrong_shape()
    return Decimal(value)


def cloid(value: object) -> str:
    """Read a client order id as the venue hashes it: `0x` and 32 lower-case hex digits."""
    found = _CLOID.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong_shape()
    return "0x" + found[2].lower()


def address(value: object) -> str:
    """Read an address in any case, `0x` or not, as 42 lower-case characters."""
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong_shape()
    return "0x" + found[2].lower()
