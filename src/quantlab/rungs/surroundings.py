"""What a desk is made of: its plain settings, and the venue's side of it. Values without behaviour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from quantlab.model.execution import SignedAction, WireExchange
from quantlab.model.key_source import KeySource
from quantlab.model.policy import Policy
from quantlab.venues.port import VenueReads


class NamedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A credential or setting by name, present or missing."""

    name: str
    present: bool


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Plain settings of a desk: what the configuration resolved to, without any secret."""

    environment: str | None
    environment_source: str
    ignored_file_names: tuple[str, ...]
    state_folder: Path
    policy: Policy
    policy_sha256: str
    policy_source: str
    all_inputs: tuple[NamedInput, ...]
    settle_seconds: int
    actor: str


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a command works for, where it says so itself: account, signer, and where the signer's key is.

    None leaves account and signer to the settings. A venue whose keys name their account takes no notice of any.
    """

    account: str | None = None
    signer: str | None = None
    key_source: KeySource = KeySource(kind="environment", name="HYPERLIQUID_PRIVATE_KEY")


class VenueSide:
    """The venue's side of a desk: reads for every rung, effects that only the rungs which send may take out.

    The effects are kept as an opaque factory: a rung that may send imports ``venues.effects`` and says so by that
    import, which the import contracts allow to those rungs alone.
    """

    def __init__(
        self,
        *,
        reads: VenueReads,
        effects: Callable[[SignedAction | None], Any],
        take_exchanges: Callable[[], tuple[WireExchange, ...]],
        missing: tuple[str, ...],
        account: str | None = None,
        key_present: Callable[[KeySource], bool] | None = None,
    ) -> None:
        """Keep the two sides, the tape, and the names of the inputs without which no account can be read.

        ``account`` is the account as named, None where the key names it. ``key_present`` tells whether a source seems
        to hold the signing key, without reading it.
        """
        self.key_present = key_present or (lambda source: True)
        self.reads = reads
        self._effects = effects
        self.take_exchanges = take_exchanges
        self.missing = missing
        self.account = account

    def effects(self, signed: SignedAction | None = None) -> Any:
        """Return the side that moves money, for the account that ``signed`` acts for, where one is given.

        Raises:
            Denied: credentials are missing; nothing was sent.
            VenueReadFailed: the venue had to be asked for whom the signer acts, and gave no usable answer.
        """
        return self._effects(signed)
