"""Looking over a root: every session read once, broken ones included. Never writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.chain import UNSET_ENVIRONMENT, Chain
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.errors import QuantLabFault
from quantlab.storage.durable import Disk
from quantlab.storage.ledger import Halt, Interlock
from quantlab.storage.reader import Session, read_session, session_folders

UNREADABLE: Final = "unreadable"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One session as seen: read and derived, or the reason why it could not be read.

    ``outdated`` says why the folder is not the newest evidence of its session, where the ledger knows better.
    """

    folder: Path
    session: Session | None
    standing: Standing | None
    unreadable: str | None
    outdated: str | None = None

    @property
    def session_id(self) -> str:
        """Return the session's id, as far as the folder tells."""
        return self.session.session_id if self.session is not None else self.folder.name

    @property
    def environment(self) -> str:
        """Return the session's environment, ``unset`` when no record names one, ``unreadable`` when unread."""
        if self.session is None:
            return UNREADABLE
        return self.session.environment or UNSET_ENVIRONMENT

    @property
    def verifies(self) -> bool:
        """Return whether the session was read, nothing was found wrong, and nothing is missing at its end."""
        return self.session is not None and self.session.verifies and self.outdated is None

    @property
    def chain(self) -> Chain | None:
        """Return the session's chain, if it could be read."""
        return self.session.chain if self.session is not None else None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A root at one moment, with what the ledger holds over it."""

    root: Path
    generated_at: str
    environment: str | None
    seen: tuple[Seen, ...]
    interlocks: tuple[Interlock, ...]
    halt: Halt | None
    halt_file: Path | None


def look_over(disk: Disk, root: Path) -> tuple[Seen, ...]:
    """Return every session of a root, oldest id first; one bad session never breaks the others."""
    return tuple(_see(disk, folder) for folder in session_folders(disk, root))


def _see(disk: Disk, folder: Path) -> Seen:
    try:
        session = read_session(disk, folder)
    except QuantLabFault as fault:
        return Seen(folder=folder, session=None, standing=None, unreadable=fault.message)
    return Seen(folder=folder, session=session, standing=standing_of(session.chain), unreadable=None)
