"""Where a signing key may be read from: a name, never the key."""

from __future__ import annotations

from typing import Literal

import msgspec

KeySourceKind = Literal["environment", "keystore", "keyring"]


class KeySource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a signing key is read when something is signed. It holds no secret and may be recorded and shown."""

    kind: KeySourceKind
    name: str
    """The variable's name; the keystore file's path; or ``service/user`` in the operating system's keyring."""
