"""What a desk is made of: its plain settings, and the venue's side of it. Values without behaviour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from quantlab.model.execution import WireExchange
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
    inputs: tuple[NamedInput, ...]
    all_inputs: tuple[NamedInput, ...]
    settle_seconds: int
    actor: str
    credentials_present: bool


class VenueSide:
    """The venue's side of a desk: reads for every rung, effects that only submit and cancel may take out.

    The effects are kept as an opaque factory: a rung that may send imports ``venues.effects`` and says so by that
    import, which the import contracts allow to submit and cancel alone.
    """

    def __init__(
        self,
        *,
        reads: VenueReads,
        effects: Callable[[], Any],
        take_exchanges: Callable[[], tuple[WireExchange, ...]],
    ) -> None:
        """Keep the two sides and the tape."""
        self.reads = reads
        self.effects = effects
        self.take_exchanges = take_exchanges
