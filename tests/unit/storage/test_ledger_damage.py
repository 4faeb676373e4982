"""A ledger that is damaged, newer, held or read-only ends in a clear fault; what was not committed does not stand."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from quantlab.kernel.errors import Busy, StorageFault
from quantlab.storage import ledger_sqlite
from quantlab.storage.ledger import Halt
from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.evidence.built import FixedEntropy
from tests.unit.storage.claims import CLAIM


def sqlite_file(path: Path, *statements: str) -> None:
    """Write a database."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_file_that_is_no_ledger_is_told(tmp_path):
    """Garbage, a folder, a missing folder and a foreign database end in a clear fault and are left as they are."""
    (tmp_path / "garbage").write_bytes(b"not a database, but long enough to look like one " * 20)
    (tmp_path / "folder").mkdir()
    sqlite_file(tmp_path / "foreign", "CREATE TABLE meta (a TEXT)")
    before = (tmp_path / "foreign").read_bytes()
    for name in ("garbage", "folder", "nothing/ledger", "foreign"):
        with pytest.raises(StorageFault) as caught:
            SqliteLedger(tmp_path / name, entropy=FixedEntropy())
        assert caught.value.code in {"ledger_unusable", "storage_missing"}
        assert name in caught.value.message
    assert before == (tmp_path / "foreign").read_bytes()


def test_a_damaged_page_is_told(tmp_path):
    """A ledger whose pages were overwritten is a clear fault at the first read."""
    path = tmp_path / "ledger"
    SqliteLedger(path, entropy=FixedEntropy()).close()
    raw = path.read_bytes()
    path.write_bytes(raw[:4096] + b"\xff" * (len(raw) - 4096))
    with pytest.raises(StorageFault, match="ledger rebuild") as caught:
        SqliteLedger(path, entropy=FixedEntropy())
    assert "ledger_unusable" == caught.value.code


def test_a_newer_ledger_is_refused_and_not_touched(tmp_path):
    """A ledger of a later version is left to that version."""
    path = tmp_path / "ledger"
    SqliteLedger(path, entropy=FixedEntropy()).close()
    sqlite_file(path, "UPDATE meta SET value = '2' WHERE key = 'version'", "DROP TABLE halt")
    with pytest.raises(StorageFault) as caught:
        SqliteLedger(path, entropy=FixedEntropy())
    assert ("ledger_version", "2", "1") == (
        *(caught.value.code, caught.value.refusals[0].measured),
        caught.value.refusals[0].limit,
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert [] == connection.execute("SELECT name FROM sqlite_master WHERE name = 'halt'").fetchall()


def test_a_read_only_ledger_is_told(ledger):
    """A ledger that cannot be written is a clear fault at every claim."""
    ledger._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageFault, match="readonly"):
        ledger.claim_interlock(CLAIM)
    assert () == ledger.interlocks()


def test_a_held_ledger_is_busy(tmp_path, monkeypatch):
    """Another process that holds the file for too long is told as busy; nothing hangs, nothing is half claimed."""
    monkeypatch.setattr(ledger_sqlite, "BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "ledger"
    ledger = SqliteLedger(path, entropy=FixedEntropy())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for act in (lambda: ledger.claim_interlock(CLAIM), ledger.interlocks):
            with pytest.raises(Busy) as caught:
                act()
            assert "ledger_busy" == caught.value.code
        with pytest.raises(Busy):
            SqliteLedger(path, entropy=FixedEntropy())
        other.execute("ROLLBACK")
        # A reader lets the claim begin and keeps its commit out.
        other.execute("BEGIN")
        other.execute("SELECT * FROM interlock").fetchall()
        with pytest.raises(Busy):
            ledger.claim_interlock(CLAIM)
        other.execute("COMMIT")
        assert () == ledger.interlocks()
    assert CLAIM == ledger.claim_interlock(CLAIM)
    ledger.close()


def interrupt(ledger: SqliteLedger, statement: str, error: BaseException) -> None:
    """Carry out a statement in a transaction, and let an error end that."""
    with ledger._transaction() as cursor:
        cursor.execute(statement)
        raise error


def test_an_interruption_inside_a_claim_undoes_it(ledger):
    """Whatever is raised within a transaction, nothing of it stands, and the ledger works on."""
    with pytest.raises(KeyboardInterrupt):
        interrupt(ledger, "INSERT INTO halt VALUES (1, 'a', 'b', 'c')", KeyboardInterrupt())
    assert ledger.halt() is None
    ledger.set_halt(Halt(reviewer="a", reason="b", halted_at="c"))
    assert ledger.halt() is not None


def test_a_transaction_that_sqlite_ended_itself_keeps_its_error(ledger):
    """When the database rolled back on its own the first error is told, not a second about the rollback."""
    with pytest.raises(StorageFault, match="first error"):
        interrupt(ledger, "ROLLBACK", sqlite3.OperationalError("first error"))
