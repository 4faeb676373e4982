"""Ids: the entropy port, the 128-bit intent id, and what derives from it."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Final, Protocol

INTENT_ID: Final = re.compile(r"[0-9a-f]{32}")
SESSION_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{12}")


class Entropy(Protocol):
    """A source of unpredictable bytes. Injected, so that a simulator can replay it."""

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes."""


class SystemEntropy:
    """The operating system's entropy."""

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes of the operating system's generator."""
        return os.urandom(count)


def mint_intent_id(entropy: Entropy) -> str:
    """Return a new 128-bit id as 32 lower-case hex digits; session id and client order id derive from it."""
    return entropy.token_bytes(16).hex()


def session_id_of(intent_id: str, *, minted_at: datetime, label: str) -> str:
    """Return the session id of an intent: time, a readable label, and the first 48 bits of the id.

    ``label`` is free text such as a symbol and side; everything but letters and digits becomes a dash.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    stamp = minted_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return "-".join(part for part in (stamp, slug, intent_id[:12]) if part)
