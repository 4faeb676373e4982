"""Texts that an operator writes as settings: lines of a `.env` file, loopback URLs. Pure.

Messages name line numbers, never contents: a line may hold a key.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NoReturn

from quantlab.kernel.errors import UsageFault

PRINTABLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")
"""What keys, addresses and URLs are made of: no spaces, no line breaks."""

_NAMED: Final = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_TAIL: Final = r"(?:[ \t]+#.*|[ \t]*)"
_BARE: Final = re.compile(rf"([^\s'\"`$\\#]*){_TAIL}")
_SINGLE_QUOTED: Final = re.compile(rf"'([^']*)'{_TAIL}")
_DOUBLE_QUOTED: Final = re.compile(rf"\"((?:[^\"\\$`]|\\[\"\\$`])*)\"{_TAIL}")


def parse_env(text: str, names: Collection[str]) -> dict[str, str]:
    """Return the settings of ``names`` in the text of a `.env` file.

    A line is ``NAME=VALUE``, optionally after ``export``, the value bare or in quotes; ``#`` begins
    a comment. Values are never expanded. The values of other names are not looked at.

    Raises:
        UsageFault: naming the number of the first line that is none of that.
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        named = _NAMED.fullmatch(line)
        if named is None:
            _refuse_line(number, "it is not NAME=VALUE")
        name, rest = named[1], named[2]
        if name not in names:
            continue
        if name in found:
            _refuse_line(number, f"{name} stands in the file twice")
        found[name] = _value(rest, number)
    return found


def _value(rest: str, number: int) -> str:
    exact = _BARE.fullmatch(rest) or _SINGLE_QUOTED.fullmatch(rest)
    if exact is not None:
        return exact[1]
    quoted = _DOUBLE_QUOTED.fullmatch(rest)
    if quoted is None:
        _refuse_line(
            number,
            "its value is neither one bare word nor one whole quoted text (nothing is expanded;"
            " single quotes keep special characters)",
        )
    return re.sub(r"\\(.)", r"\1", quoted[1])


def _refuse_line(number: int, why: str) -> NoReturn:
    message = f"Line {number} of .env cannot be read: {why}."
    raise UsageFault(message, code="env_file_line", measured=f"line {number}")


def loopback_url(text: str) -> str | None:
    """Return a bare loopback URL rebuilt from its parsed parts; None when it is anything else.

    Loopback is 127.0.0.0/8, ``::1`` and ``localhost``. A user, a path, a query or a fragment is
    refused, so that nobody reads another host into the text than we do.
    """
    from ipaddress import AddressValueError, IPv4Address
    from urllib.parse import urlsplit

    if not PRINTABLE_ASCII.fullmatch(text) or any(sign in text for sign in "\\@?#"):
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"}:
        return None
    if host not in {"localhost", "::1"}:
        try:
            if not IPv4Address(host).is_loopback:
                return None
        except AddressValueError:
            return None
    shown = f"[{host}]" if host == "::1" else host
    return f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
