"""Signing private requests, and holding the key.

API-Sign is base64(HMAC-SHA512(base64decode(secret), path || SHA256(nonce || body))), over the bytes that
go on the wire. The secret is read when a request is signed and is not kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from quantlab.kernel.errors import Denied
from quantlab.venues.redaction import Redactor

_FINGERPRINT_LENGTH: Final = 32
_SHORTEST_KEY: Final = 8


def api_sign(secret: str, *, path: str, nonce: str, body: bytes) -> str:
    """Return the API-Sign of one request.

    Args:
        secret: The API secret, base64 as the venue hands it out.
        path: The path of the URL, from ``/0/private/`` on.
        nonce: The digits of the nonce, as they stand in the body.
        body: The body, byte for byte.

    Raises:
        ValueError: the secret is not base64.
    """
    key = base64.b64decode(secret, validate=True)
    inner = hashlib.sha256(nonce.encode("ascii") + body).digest()
    mac = hmac.new(key, path.encode("ascii") + inner, hashlib.sha512)
    return base64.b64encode(mac.digest()).decode("ascii")


def fingerprint(api_key: str) -> str:
    """Return the fingerprint of a public API key: the first 32 hex digits of its SHA-256. Safe to record."""
    return hashlib.sha256(api_key.encode("utf-8")).hexdigest()[:_FINGERPRINT_LENGTH]


class KrakenCredentials:
    """A key pair that is read only when it is needed.

    Args:
        read_api_key: Returns the public API key.
        read_api_secret: Returns the API secret, base64.
        redactor: Told every secret before it is used.
    """

    def __init__(
        self,
        *,
        read_api_key: Callable[[], str],
        read_api_secret: Callable[[], str],
        redactor: Redactor,
    ) -> None:
        self._read_api_key = read_api_key
        self._read_api_secret = read_api_secret
        self._redactor = redactor

    def __repr__(self) -> str:
        """Return a text without the key."""
        return "KrakenCredentials()"

    @property
    def signer_id(self) -> str:
        """Return the fingerprint of the public key.

        Raises:
            Denied: the key is missing or malformed. Nothing was sent.
        """
        return fingerprint(self._api_key())

    def is_own_key(self, api_key: str) -> bool:
        """Return whether ``api_key``, as the venue reports it, is the public key in use."""
        return hmac.compare_digest(api_key.encode("utf-8"), self._api_key().encode("utf-8"))

    def headers(self, *, path: str, nonce: str, body: bytes) -> tuple[tuple[str, str], ...]:
        """Return the headers that authenticate one request.

        Raises:
            Denied: the key or the secret is missing or malformed. Nothing was sent.
        """
        api_key = self._api_key()
        secret = self._read_api_secret().strip()
        self._redactor.add(secret)
        try:
            signature = api_sign(secret, path=path, nonce=nonce, body=body)
        except ValueError:
            signature = ""
        if not secret or not signature:
            message = "the Kraken API secret is missing or is not base64; nothing was sent"
            raise Denied(message, code="kraken_secret_malformed")
        return (("API-Key", api_key), ("API-Sign", signature))

    def _api_key(self) -> str:
        api_key = self._read_api_key().strip()
        self._redactor.add(api_key)
        if len(api_key) < _SHORTEST_KEY or not api_key.isascii() or not api_key.isprintable():
            message = "the Kraken API key is missing or malformed; nothing was sent"
            raise Denied(message, code="kraken_key_malformed")
        return api_key
