"""A process that dies at any primitive of the disk leaves no record or the whole record, and never a broken session."""

import contextlib
from pathlib import Path

import pytest

from quantlab.evidence.standing import derived_files
from quantlab.storage.durable import TEMPORARY_PREFIX, OsDisk, create_once, replace_file
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.reader import read_session, session_folders
from quantlab.storage.writer import INLINE_BODY_BYTES, SessionStore
from tests.faults.failing_disk import Crash, FailingDisk, content
from tests.unit.evidence.built import BODIES, EXCHANGE, SESSION_ID, FixedClock, FixedEntropy

VALIDATION = BODIES["quantlab.validation/1"]
APPROVAL = BODIES["quantlab.approval/1"]
DEATHS = ("before", "torn", "after")
MOST_CALLS = 200


@pytest.fixture
def ledger():
    """A ledger in memory."""
    made = SqliteLedger(":memory:", entropy=FixedEntropy())
    yield made
    made.close()


def store(disk, ledger) -> SessionStore:
    """Return a store on a disk."""
    return SessionStore(disk=disk, clock=FixedClock(), ledger=ledger, derive=derived_files)


def large(body):
    """Return a body with a response too large to stand in the record."""
    import msgspec

    from quantlab.kernel import canonical

    text = "x" * (INLINE_BODY_BYTES + 1)
    exchange = msgspec.structs.replace(
        EXCHANGE, response_body=text, response_body_sha256=canonical.sha256_hex(text.encode())
    )
    return msgspec.structs.replace(body, exchanges=(exchange,))


def walk(disk, root: Path, ledger) -> None:
    """Begin a session, write two records, reserve room, and end."""
    with store(disk, ledger).create(root, SESSION_ID, environment="rehearsal") as writer:
        writer.append("broker_order_validate", "quantlab.validation/1", large(VALIDATION), actor="marce")
        writer.reserve_outcome()
        writer.append("approval", "quantlab.approval/1", APPROVAL, actor="marce")
        writer.free_reserve()


def count_calls(tmp_path: Path) -> int:
    """Return how many primitives an undisturbed walk needs."""
    disk = FailingDisk()
    made = SqliteLedger(":memory:", entropy=FixedEntropy())
    walk(disk, tmp_path / "whole" / "root", made)
    made.close()
    return len(disk.done)


@pytest.mark.parametrize("how", DEATHS)
def test_a_death_at_any_primitive_leaves_a_session_that_verifies(tmp_path, how):
    """For every n: after a death at call n a fresh reader finds whole records only, and the next writer goes on."""
    calls = count_calls(tmp_path)
    assert 30 < calls < MOST_CALLS
    whole = content(tmp_path / "whole" / "root")
    for n in range(1, calls + 1):
        ledger = SqliteLedger(":memory:", entropy=FixedEntropy())
        root = tmp_path / f"{how}{n}" / "root"
        disk = FailingDisk(at=n, how=how)
        with pytest.raises(Crash):
            walk(disk, root, ledger)
        folders = session_folders(OsDisk(), root)
        assert len(folders) <= 1
        if folders:
            session = read_session(OsDisk(), folders[0])
            assert () == session.findings, (n, disk.done[-1])
            for record in session.chain.records:
                assert whole[f"{SESSION_ID}/records/{record.file_name}"] == record.raw
            repair(folders[0], ledger, records=len(session.chain.records))
        ledger.close()


def repair(folder: Path, ledger, *, records: int) -> None:
    """Let the next writer in, and look at what it left."""
    with store(OsDisk(), ledger).write(folder, environment="rehearsal") as writer:
        assert records == len(writer.chain.records)
        assert () == writer.session.stale_views
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if name.startswith(TEMPORARY_PREFIX)]
    session = read_session(OsDisk(), folder)
    assert (True, ()) == (session.verifies, session.stale_views)
    for record in session.chain.records:
        assert record.raw == (folder / f"{record.name}.json").read_bytes()


@pytest.mark.parametrize("how", DEATHS)
def test_create_once_never_tears_nor_overwrites(tmp_path, how):
    """For every n: the name is absent or holds every byte; a second writer never replaces what stands."""
    n = 0
    while True:
        n += 1
        assert n < MOST_CALLS
        path = tmp_path / f"{how}-{n}"
        disk = FailingDisk(at=n, how=how)
        with contextlib.suppress(Crash):
            create_once(disk, path, b"first")
        assert not path.exists() or b"first" == path.read_bytes()
        taken = path.exists()
        assert (not taken) is create_once(OsDisk(), path, b"second")
        assert (b"first" if taken else b"second") == path.read_bytes()
        if not disk.dead:
            break
    assert n == 8


@pytest.mark.parametrize("how", DEATHS)
def test_replace_shows_old_or_new(tmp_path, how):
    """For every n: a reader sees the old bytes or the new ones, never a mixture."""
    n = 0
    while True:
        n += 1
        assert n < MOST_CALLS
        path = tmp_path / f"{how}-{n}"
        path.write_bytes(b"old")
        disk = FailingDisk(at=n, how=how)
        with contextlib.suppress(Crash):
            replace_file(disk, path, b"new bytes")
        assert path.read_bytes() in {b"old", b"new bytes"}
        if not disk.dead:
            assert b"new bytes" == path.read_bytes()
            break
    assert n == 7


def test_a_record_is_durable_before_its_temporary_goes(tmp_path):
    """The order is fixed: content forced, linked, folder forced, temporary removed."""
    disk = FailingDisk()
    assert create_once(disk, tmp_path / "record", b"x")
    assert ["open_new", "write", "fsync", "close", "link", "fsync_folder", "unlink"] == disk.done


def test_new_folders_are_durable_one_by_one(tmp_path, ledger):
    """Every newly made ancestor is forced into its parent before the next is made."""
    disk = FailingDisk()
    with store(disk, ledger).create(tmp_path / "a" / "b", SESSION_ID, environment="rehearsal"):
        pass
    assert ["make_folder", "fsync_folder"] * 2 == disk.done[:4]
    assert 4 == disk.done.count("make_folder")
