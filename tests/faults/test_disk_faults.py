"""A disk that refuses: the command ends with a clear fault, what stood still stands, and nothing is half said."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from quantlab.evidence.standing import derived_files
from quantlab.kernel.errors import Busy, StorageFault
from quantlab.storage.durable import OsDisk, create_once, make_folders, make_private, replace_file, reserve
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.reader import read_session
from quantlab.storage.writer import SessionStore
from tests.faults.failing_disk import FailingDisk, content
from tests.unit.evidence.built import BODIES, SESSION_ID, FixedClock, FixedEntropy

VALIDATION = BODIES["quantlab.validation/1"]
APPROVAL = BODIES["quantlab.approval/1"]
INCIDENT = BODIES["quantlab.incident/1"]


@pytest.fixture
def ledger():
    """A ledger in memory."""
    made = SqliteLedger(":memory:", entropy=FixedEntropy())
    yield made
    made.close()


def store(disk, ledger) -> SessionStore:
    """Return a store on a disk."""
    return SessionStore(disk=disk, clock=FixedClock(), ledger=ledger, derive=derived_files)


def begun(root: Path, ledger) -> Path:
    """Return a session with one record."""
    with store(OsDisk(), ledger).create(root, SESSION_ID, environment="rehearsal") as writer:
        writer.append("broker_order_validate", "quantlab.validation/1", VALIDATION, actor="marce")
    return root / SESSION_ID


@pytest.mark.parametrize("n", range(1, 8))
def test_create_once_that_fails_leaves_no_name(tmp_path, n):
    """Wherever the disk fails, the final name does not exist afterwards, unless only the tidying failed."""
    disk = FailingDisk(at=n)
    path = tmp_path / "record"
    if n == 7:
        assert create_once(disk, path, b"x")
        assert b"x" == path.read_bytes()
        return
    with pytest.raises(StorageFault, match=r"record: planted\.") as caught:
        create_once(disk, path, b"x")
    assert "storage_io_error" == caught.value.code
    assert {} == {name: data for name, data in content(tmp_path).items() if not name.startswith(".tmp-")}
    assert create_once(OsDisk(), path, b"y")


@pytest.mark.parametrize("n", range(1, 7))
def test_replace_that_fails_keeps_the_old(tmp_path, n):
    """Wherever the disk fails before the move, the old content stands."""
    path = tmp_path / "view"
    path.write_bytes(b"old")
    with pytest.raises(StorageFault):
        replace_file(FailingDisk(at=n), path, b"new")
    assert (b"new" if n == 6 else b"old") == path.read_bytes()


def attempt_append(writer) -> str | None:
    """Append an approval; return the fault's code when that failed."""
    try:
        writer.append("approval", "quantlab.approval/1", APPROVAL, actor="marce")
    except StorageFault as fault:
        return fault.code
    return None


def test_a_failed_append_can_be_followed_by_another_record(tmp_path, ledger):
    """A record whose name could not be made durable does not exist: its number is free for the next one."""
    folder = begun(tmp_path, ledger)
    for n in range(1, 30):
        disk = FailingDisk(code=errno.ENOSPC)
        with store(disk, ledger).write(folder, environment="rehearsal") as writer:
            before = len(writer.chain.records)
            disk.at = len(disk.done) + n
            code = attempt_append(writer)
            if code is not None:
                assert ("storage_disk_full", before) == (code, len(writer.chain.records))
                writer.append("incident", "quantlab.incident/1", INCIDENT, actor="marce")
            assert before + 1 == len(writer.chain.records)
        session = read_session(OsDisk(), folder)
        assert (True, before + 1) == (session.verifies, len(session.chain.records)), n
        if len(disk.done) < disk.at:
            break
    else:
        pytest.fail("the walk never ran through")


def test_a_view_that_cannot_follow_is_stale_and_stops_nobody(tmp_path, ledger):
    """A record is durable although its views fail; the view is stale until a writer can replace it."""
    folder = begun(tmp_path, ledger)
    failing = FailingDisk(at=0, calls=("rename",))
    with store(failing, ledger).write(folder, environment="rehearsal") as writer:
        failing.at = 1
        record = writer.append("approval", "quantlab.approval/1", APPROVAL, actor="marce")
    session = read_session(OsDisk(), folder)
    assert (True, ("approval.json",)) == (session.verifies, session.stale_views)
    assert record.raw == (folder / "records" / record.file_name).read_bytes()
    failing = FailingDisk(at=1, calls=("rename",))
    with store(failing, ledger).write(folder, environment="rehearsal") as writer:
        assert ("approval.json",) == writer.session.stale_views
        writer.append("incident", "quantlab.incident/1", INCIDENT, actor="marce")
        assert ("approval.json",) == writer.session.stale_views
    with store(OsDisk(), ledger).write(folder, environment="rehearsal") as writer:
        assert () == writer.session.stale_views
    assert () == read_session(OsDisk(), folder).stale_views


@pytest.mark.parametrize("fault", [StorageFault("full", code="ledger_unusable"), Busy("held", code="ledger_busy")])
def test_a_ledger_that_cannot_note_the_head_does_not_deny_the_record(tmp_path, ledger, monkeypatch, fault):
    """Once the record is durable, nothing says that it does not exist; the next one is noted as the head."""
    folder = begun(tmp_path, ledger)

    def refuse(_):
        raise fault

    with store(OsDisk(), ledger).write(folder, environment="rehearsal") as writer:
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "note_head", refuse)
            writer.append("approval", "quantlab.approval/1", APPROVAL, actor="marce")
        assert 1 == ledger.head(SESSION_ID).sequence
        writer.append("incident", "quantlab.incident/1", INCIDENT, actor="marce")
    assert 3 == ledger.head(SESSION_ID).sequence


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (errno.ENOSPC, "storage_disk_full", "the disk is full"),
        (errno.EDQUOT, "storage_disk_full", "quota"),
        (errno.EROFS, "storage_read_only", "read-only"),
        (errno.EACCES, "storage_no_permission", "permission is missing"),
        (errno.EPERM, "storage_no_permission", "not permitted"),
        (errno.EIO, "storage_io_error", "planted"),
    ],
)
def test_faults_are_told_in_the_operators_words(tmp_path, code, name, words):
    """Each kind of refusal has its code, its words and its path."""
    with pytest.raises(StorageFault, match=words) as caught:
        make_folders(FailingDisk(at=1, code=code), tmp_path / "a" / "b")
    assert (name, str(tmp_path / "a" / "b")) == (caught.value.code, caught.value.refusals[0].measured)


def test_a_path_that_cannot_be(tmp_path):
    """A name too long, a file for a folder and a folder for a file are told, not raised."""
    (tmp_path / "file").write_bytes(b"")
    for path, code in (
        (tmp_path / ("n" * 300), "storage_name_too_long"),
        (tmp_path / "file" / "below", "storage_not_a_folder"),
    ):
        with pytest.raises(StorageFault) as caught:
            make_folders(OsDisk(), path)
        assert code == caught.value.code
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageFault) as caught:
        replace_file(OsDisk(), tmp_path / "folder", b"x")
    assert "storage_not_a_file" == caught.value.code
    assert {"file": b""} == content(tmp_path)


def test_a_full_disk_refuses_the_reserve(tmp_path):
    """Room that cannot be had is refused before the send, at every step of it; room that is had is really held."""
    for n in range(2, 6):
        with pytest.raises(StorageFault):
            reserve(FailingDisk(at=n, code=errno.ENOSPC), tmp_path / ".reserve", 4096)
    reserve(OsDisk(), tmp_path / ".reserve", 8192)
    reserve(OsDisk(), tmp_path / ".reserve", 4096)
    assert 4096 == (tmp_path / ".reserve").stat().st_size


def test_leftover_temporaries_never_stop_a_writer(tmp_path):
    """Temporaries of a process with our id, dead or on another machine, are left alone and worked around."""
    for number in range(99):
        (tmp_path / f".tmp-{os.getpid()}-{number}-record").write_bytes(b"theirs")
    assert create_once(OsDisk(), tmp_path / "record", b"x")
    assert {b"theirs"} == {path.read_bytes() for path in tmp_path.glob(".tmp-*")}
    (tmp_path / f".tmp-{os.getpid()}-99-other").write_bytes(b"theirs")
    for number in range(99):
        (tmp_path / f".tmp-{os.getpid()}-{number}-other").write_bytes(b"theirs")
    with pytest.raises(StorageFault, match="100 leftover temporaries"):
        create_once(OsDisk(), tmp_path / "other", b"x")


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path, umask):
    """Folders are 0700 and files 0600 under any umask, the ledger included."""
    program = (
        "import os, sys; os.umask(int(sys.argv[2]))\n"
        "from pathlib import Path\n"
        "from quantlab.evidence.standing import derived_files\n"
        "from quantlab.storage.durable import OsDisk, make_folders\n"
        "from quantlab.storage.ledger_sqlite import SqliteLedger\n"
        "from quantlab.storage.writer import SessionStore\n"
        "from tests.unit.evidence.built import *\n"
        "base = Path(sys.argv[1])\n"
        "make_folders(OsDisk(), base / 'state')\n"
        "ledger = SqliteLedger(base / 'state' / 'ledger', entropy=FixedEntropy())\n"
        "store = SessionStore(disk=OsDisk(), clock=FixedClock(), ledger=ledger, derive=derived_files)\n"
        "with store.create(base / 'outputs' / 'root', SESSION_ID, environment='rehearsal') as writer:\n"
        "    writer.append('a', 'quantlab.approval/1', BODIES['quantlab.approval/1'], actor='marce')\n"
        "    writer.reserve_outcome()\n"
    )
    base = tmp_path / "base"
    run_python(program, str(base), str(umask))
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in [base, *base.rglob("*")]}
    assert {0o700} == {mode for path, mode in found.items() if path.is_dir()}
    assert {0o600} == {mode for path, mode in found.items() if path.is_file() and path.name != ".lock"}
    lock = base / "outputs" / "root" / SESSION_ID / ".lock"
    assert 0o600 & ~umask == found[lock]
    assert 8 <= len(found)


def run_python(program: str, *arguments: str) -> None:
    """Run a program of this checkout to its end."""
    checkout = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, cwd=checkout, timeout=60)


def test_an_existing_private_file_gets_its_mode(tmp_path):
    """A ledger that another tool left readable is made private; a link in its place is refused."""
    path = tmp_path / "ledger"
    path.write_bytes(b"")
    path.chmod(0o644)
    make_private(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(StorageFault) as caught:
        make_private(tmp_path / "link")
    assert "storage_symbolic_link" == caught.value.code


HOLDER = """
import sys
from pathlib import Path
from quantlab.storage.durable import OsDisk
held = OsDisk().lock(Path(sys.argv[1]))
print("held" if held else "busy", flush=True)
sys.stdin.read()
"""


def test_a_lock_dies_with_its_holder(tmp_path):
    """Another process is kept out while the holder lives, and let in the moment it is killed."""
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert b"held\n" == holder.stdout.readline()
        assert OsDisk().lock(path) is None
        holder.send_signal(signal.SIGKILL)
        assert -signal.SIGKILL == holder.wait(timeout=30)
        lock = OsDisk().lock(path)
        assert lock is not None
        assert OsDisk().lock(path) is None
        lock.release()
        lock.release()
        again = OsDisk().lock(path)
        assert again is not None
        again.release()


APPENDER = """
import sys
from pathlib import Path
from quantlab.evidence.standing import derived_files
from quantlab.kernel.clock import SystemClock
from quantlab.storage.durable import OsDisk
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.writer import SessionStore
from tests.unit.evidence.built import BODIES, FixedEntropy
ledger = SqliteLedger(Path(sys.argv[2]), entropy=FixedEntropy())
store = SessionStore(disk=OsDisk(), clock=SystemClock(), ledger=ledger, derive=derived_files)
for _ in range(12):
    with store.write(Path(sys.argv[1]), environment="rehearsal", wait_ms=60_000) as writer:
        writer.append("incident", "quantlab.incident/1", BODIES["quantlab.incident/1"], actor=sys.argv[3])
"""


def test_two_processes_append_to_one_session(tmp_path):
    """The lock holds: all records of both stand in one whole chain, and the ledger knows the newest."""
    ledger_file = tmp_path / "ledger"
    ledger = SqliteLedger(ledger_file, entropy=FixedEntropy())
    folder = begun(tmp_path / "root", ledger)
    checkout = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", APPENDER, str(folder), str(ledger_file)]
    running = [subprocess.Popen([*command, name], cwd=checkout) for name in ("one", "two")]
    assert [0, 0] == [process.wait(timeout=100) for process in running]
    session = read_session(OsDisk(), folder)
    assert ((), (), 25) == (session.findings, session.stale_views, len(session.chain.records))
    actors = [record.envelope.actor for record in session.chain.records]
    assert (12, 12) == (actors.count("one"), actors.count("two"))
    head = ledger.head(SESSION_ID)
    assert (25, session.chain.head_sha256) == (head.sequence, head.record_sha256)
    ledger.close()
