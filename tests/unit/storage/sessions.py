"""Real sessions on the real disk for the storage tests."""

from pathlib import Path
from typing import Any

from quantlab.evidence.standing import derived_files
from quantlab.storage.durable import Disk, OsDisk
from quantlab.storage.ledger import Ledger
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.reader import Session, read_session
from quantlab.storage.writer import SessionStore
from tests.unit.evidence.built import BODIES, SESSION_ID, FixedClock, FixedEntropy

NAMES = {
    "quantlab.validation/1": "broker_order_validate",
    "quantlab.approval/1": "approval",
    "quantlab.pre_submit_bundle/1": "broker_pre_submit_bundle",
}


class Work:
    """A root with a store on it."""

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        self.root = folder / "root"
        self.clock = FixedClock()
        self.ledger: Ledger = SqliteLedger(":memory:", entropy=FixedEntropy())
        self.store = self.store_on(disk or OsDisk())

    def store_on(self, disk: Disk) -> SessionStore:
        """Return a store of this ledger on another disk."""
        return SessionStore(disk=disk, clock=self.clock, ledger=self.ledger, derive=derived_files)

    def session(self, *schemas: str) -> Path:
        """Begin the session and append one record of each schema."""
        with self.store.create(self.root, SESSION_ID, environment="rehearsal") as writer:
            for schema in schemas or tuple(NAMES):
                writer.append(NAMES[schema], schema, BODIES[schema], actor="marce")
        return self.root / SESSION_ID

    def write(self, folder: Path, **options: Any):
        """Open the session for writing."""
        return self.store.write(folder, environment="rehearsal", **options)


def read(folder: Path, **options: Any) -> Session:
    """Read a session from the real disk."""
    return read_session(OsDisk(), folder, **options)


def found(folder: Path, **options: Any) -> list[tuple[str, str]]:
    """Return code and file of every finding."""
    return [(one.code, one.file) for one in read(folder, **options).findings]
