"""Where the signing key is, as a line names it. Shared by the rungs that sign; the key itself is read elsewhere."""

from __future__ import annotations

from typing import Protocol

import msgspec

from quantlab.kernel.errors import UsageFault
from quantlab.model.key_source import KeySource


class NamesKey(Protocol):
    """A request that names where the key is."""

    @property
    def private_key_env(self) -> str | None:
        """Return the name of a variable."""

    @property
    def keystore(self) -> str | None:
        """Return the path of an encrypted keystore file."""

    @property
    def keyring(self) -> str | None:
        """Return ``service/user`` of the operating system's keyring."""


class KeyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One of three places, or none: then the variable that the runbook names. Other venues take no notice."""

    private_key_env: str | None = None
    keystore: str | None = None
    keyring: str | None = None


def key_source_of(options: NamesKey) -> KeySource:
    """Return the place that a line names.

    Raises:
        UsageFault: it names more than one. Nothing was read, written or sent.
    """
    given: list[KeySource] = []
    if options.private_key_env is not None:
        given.append(KeySource(kind="environment", name=options.private_key_env))
    if options.keystore is not None:
        given.append(KeySource(kind="keystore", name=options.keystore))
    if options.keyring is not None:
        given.append(KeySource(kind="keyring", name=options.keyring))
    if len(given) > 1:
        message = "The key can come from one place only: a variable, a keystore file, or the keyring."
        raise UsageFault(message, code="key_sources", measured=", ".join(one.kind for one in given), limit="1")
    return given[0] if given else KeySource(kind="environment", name="HYPERLIQUID_PRIVATE_KEY")
