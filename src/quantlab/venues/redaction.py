"""Keeping secrets out of evidence: literal secrets and the shapes they could take on a wire.

A :class:`Redactor` is told every secret before it is used. What it returns may be recorded, shown and logged.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote, quote_plus

REDACTED: Final = "[redacted]"
SHORTEST_SECRET: Final = 8
SECRET_HEADERS: Final = frozenset(
    {"api-key", "api-sign", "authorization", "cookie", "proxy-authorization", "set-cookie"}
)


class Redactor:
    """Replaces known secrets by ``[redacted]``.

    It knows each secret literally, percent-encoded, JSON-escaped, in hex and inside base64 at any alignment.
    """

    def __init__(self, *secrets: str) -> None:
        self._forms: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        """Return a text without any secret in it."""
        return f"Redactor({len(self._forms)} forms)"

    def add(self, secret: str) -> None:
        """Remember ``secret``. Texts of fewer than 8 characters are no secrets and are left alone."""
        if len(secret) < SHORTEST_SECRET:
            return
        for form in _forms_of(secret):
            self._forms.setdefault(form)
        # Longest first, so that a form inside another never leaves the rest of the longer one behind.
        ordered = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(form) for form in ordered), re.IGNORECASE)

    def with_header_secrets(self, headers: tuple[tuple[str, str], ...]) -> Redactor:
        """Return a redactor that also knows what the secret ones of ``headers`` hold."""
        wider = Redactor()
        wider._forms = dict(self._forms)
        wider._pattern = self._pattern
        for name, value in headers:
            if name.lower() in SECRET_HEADERS:
                wider.add(value)
        return wider

    def redact(self, text: str) -> str:
        """Return ``text`` without any known secret."""
        if self._pattern is None:
            return text
        return self._pattern.sub(REDACTED, text)

    def redact_bytes(self, data: bytes) -> bytes:
        """Return ``data`` without any known secret, other bytes untouched."""
        text = data.decode("utf-8", "surrogateescape")
        return self.redact(text).encode("utf-8", "surrogateescape")

    def redact_headers(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return ``headers`` with secret ones blanked whole and the others redacted."""
        return tuple(
            (name, REDACTED if name.lower() in SECRET_HEADERS else self.redact(value)) for name, value in headers
        )

    def add_json_fields(self, body: bytes, fields: tuple[str, ...]) -> None:
        """Remember the text values of the JSON members called ``fields`` in an answer that was just received.

        A token is first known when the answer that brings it arrives: it must be hidden before that is
        recorded.
        """
        text = body.decode("utf-8", "surrogateescape")
        for field in fields:
            for match in re.finditer(rf'"{re.escape(field)}"\s*:\s*"((?:[^"\\]|\\.)*)', text):
                self.add(match.group(1))
                self.add(match.group(1).replace("\\/", "/"))


def _forms_of(secret: str) -> list[str]:
    encoded = secret.encode("utf-8")
    forms = [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        secret.replace("/", "\\/"),
        encoded.hex(),
    ]
    for offset in range(3):
        middle = _base64_middle(encoded, offset=offset)
        forms += [middle, middle.replace("+", "-").replace("/", "_")]
    return forms


def _base64_middle(encoded: bytes, *, offset: int) -> str:
    """Return the base64 characters that depend on ``encoded`` alone, starting at ``offset`` mod 3."""
    text = base64.b64encode(bytes(offset) + encoded).decode("ascii").rstrip("=")
    head = (0, 2, 3)[offset]
    whole = (offset + len(encoded)) * 8 // 6
    return text[head:whole]
