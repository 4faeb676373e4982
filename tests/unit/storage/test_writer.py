"""Writing a session: one writer at a time, records that never change, views that follow."""

import shutil

import msgspec
import pytest

from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES
from quantlab.evidence.preparatory import Body
from quantlab.kernel import canonical
from quantlab.kernel.errors import Busy, Denied, StorageFault, UsageFault
from quantlab.storage.durable import OsDisk
from quantlab.storage.writer import schema_of
from tests.faults.failing_disk import FailingDisk, content
from tests.unit.evidence.built import AT, BODIES, SESSION_ID, STATE_ID
from tests.unit.storage.sessions import found, read

APPROVAL = BODIES["quantlab.approval/1"]
INCIDENT = BODIES["quantlab.incident/1"]


def append(writer, note: str = "seen"):
    """Append an approval."""
    return writer.append("approval", "quantlab.approval/1", msgspec.structs.replace(APPROVAL, note=note), actor="marce")


def test_what_a_record_carries(work):
    """The envelope names session, number, time, environment, actor, producer, ledger and the record before."""
    folder = work.session()
    first, second, third = read(folder).chain.records
    assert (SESSION_ID, 2, AT, "rehearsal", "marce", STATE_ID, first.sha256) == (
        *(second.envelope.session_id, second.envelope.sequence, second.envelope.recorded_at),
        *(second.envelope.environment, second.envelope.actor, second.envelope.state_id),
        second.envelope.previous_sha256,
    )
    assert (canonical.ZERO_SHA256, second.sha256) == (first.envelope.previous_sha256, third.envelope.previous_sha256)
    for record in (first, second, third):
        assert record.raw == (folder / "records" / record.file_name).read_bytes()
        assert record.raw == (folder / f"{record.name}.json").read_bytes()
        assert record.raw == canonical.encode(msgspec.json.decode(record.raw))


def test_records_never_change(work):
    """Whatever is appended later, the bytes of earlier records stay."""
    folder = work.session()
    before = content(folder / "records")
    with work.write(folder) as writer:
        append(writer)
        append(writer, "again")
    after = content(folder / "records")
    assert 5 == len(after)
    assert before == {name: after[name] for name in before}


def test_only_one_writer_at_a_time(work):
    """While one writer holds the session another is told so after the wait it allows."""
    folder = work.session()
    with work.write(folder):
        with pytest.raises(Busy) as caught, work.write(folder, wait_ms=100):
            pass
        assert ("session_busy", 100) == (caught.value.code, work.clock.slept_ms)
        with pytest.raises(Busy), work.write(folder, wait_ms=0):
            pass
        assert 100 == work.clock.slept_ms
    with work.write(folder):
        pass


def test_a_lock_file_that_was_removed_keeps_its_promise(work):
    """A lock on a removed file is no lock: it is taken again on the file that stands there."""
    folder = work.session()

    class Removing(OsDisk):
        def lock(self, path):
            held = super().lock(path)
            if held is not None:
                path.unlink()
                path.write_bytes(b"")
            return held

    first = Removing().lock(folder / ".lock")
    second = OsDisk().lock(folder / ".lock")
    assert (True, True) == (first is not None, second is not None)
    assert OsDisk().lock(folder / ".lock") is None


@pytest.mark.parametrize("swap", [True, False])
def test_a_lock_file_swapped_in_between_is_not_taken(work, monkeypatch, swap):
    """When the file disappears, or is another, between opening and locking, the lock is not held."""
    import fcntl

    path = work.session() / ".lock"
    real = fcntl.flock

    def flock(handle, operation):
        real(handle, operation)
        path.unlink()
        if swap:
            path.write_bytes(b"")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert OsDisk().lock(path) is None


def test_a_system_without_locks_is_told(work, monkeypatch):
    """A file system that cannot lock is a storage fault, not an unlocked session."""
    import fcntl

    folder = work.session()

    def flock(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageFault, match="No locks available"), work.write(folder):
        pass


def test_a_session_is_begun_once(work):
    """A second session of the same id is refused, whether it stands there or appears in between."""
    folder = work.session()
    with pytest.raises(Busy) as caught, work.store.create(work.root, SESSION_ID, environment="rehearsal"):
        pass
    assert "session_exists" == caught.value.code
    shutil.move(folder, work.root / "aside")

    class Racing(OsDisk):
        def kind(self, path):
            answer = super().kind(path)
            if path == folder and answer is None:
                shutil.copytree(work.root / "aside", folder)
            return answer

    racing = work.store_on(Racing())
    with pytest.raises(Busy) as caught, racing.create(work.root, SESSION_ID, environment="rehearsal"):
        pass
    assert "session_exists" == caught.value.code
    assert 3 == len(read(folder).chain.records)


def test_a_writer_past_the_lock_overwrites_nothing(work):
    """A record of the next number that appeared meanwhile stands; the second writer is told."""
    folder = work.session()
    with work.write(folder) as writer:
        (folder / "records" / "0004-approval.json").write_bytes(b"theirs")
        with pytest.raises(Busy) as caught:
            append(writer)
    assert "record_exists" == caught.value.code
    assert b"theirs" == (folder / "records" / "0004-approval.json").read_bytes()


def test_an_empty_session_can_be_gone_on_with(work):
    """A folder whose command died before its first record takes that record later."""
    with work.store.create(work.root, SESSION_ID, environment="rehearsal"):
        pass
    assert read(work.root / SESSION_ID).empty
    with work.write(work.root / SESSION_ID) as writer:
        append(writer)
    assert [] == found(work.root / SESSION_ID)


def test_stale_views_are_replaced_by_the_next_writer(work):
    """A missing view and an older one are brought up to date under the lock, before anything else."""
    folder = work.session()
    old = (folder / "approval.json").read_bytes()
    with work.write(folder) as writer:
        append(writer)
    new = (folder / "approval.json").read_bytes()
    (folder / "approval.json").write_bytes(old)
    (folder / "broker_order_validate.json").unlink()
    (folder / "session_status.json").unlink()
    with work.write(folder) as writer:
        assert () == writer.session.stale_views
        assert new == (folder / "approval.json").read_bytes()
        assert (folder / "session_status.json").exists()
    assert () == read(folder).stale_views


def test_an_outdirs_stale_views_are_replaced_too(work, tmp_path):
    """In an outdir a view of another rung is repaired as well."""
    outdir = tmp_path / "outdir"
    for name in ("first", "second"):
        with work.store.create_outdir(outdir, session_id="out", environment="rehearsal") as writer:
            assert () == writer.session.stale_views
            writer.append(name, "quantlab.incident/1", INCIDENT, actor="marce")
        (outdir / "first.json").unlink()
    with work.store.create_outdir(outdir, session_id="other", environment="rehearsal") as writer:
        assert "out" == writer.session.session_id
    assert ((), ()) == (
        read(outdir, expect_id_of_folder=False).stale_views,
        read(outdir, expect_id_of_folder=False).findings,
    )


def test_a_broken_session_keeps_its_views(work):
    """On a session that does not verify records can follow, but views and head stay: they are evidence."""
    folder = work.session()
    (folder / "approval.json").write_bytes(b"changed")
    (folder / "broker_order_validate.json").unlink()
    before = {name: data for name, data in content(folder).items() if "/" not in name}
    with work.write(folder) as writer:
        record = append(writer)
        assert not writer.session.verifies
    assert before == {name: data for name, data in content(folder).items() if "/" not in name}
    assert record.raw == (folder / "records" / record.file_name).read_bytes()
    assert 3 == work.ledger.head(SESSION_ID).sequence
    assert [("view_tampered", "approval.json")] == found(folder)


def test_a_foreign_file_does_not_spoil_what_follows(work):
    """Records appended beside a foreign file verify once it is taken away."""
    folder = work.session()
    (folder / "records" / "zz-notes.txt").write_bytes(b"mine")
    with work.write(folder) as writer:
        append(writer)
    assert [("foreign_file", "zz-notes.txt")] == found(folder)
    (folder / "records" / "zz-notes.txt").unlink()
    assert [] == found(folder)


def test_temporaries_are_swept_by_the_next_writer(work):
    """What a dead writer left is removed under the lock; what cannot be removed stops nobody."""
    folder = work.session()
    (folder / "wire").mkdir()
    for place in (folder, folder / "records", folder / "wire"):
        (place / ".tmp-1-0-x").write_bytes(b"torn")
    (folder / ".tmp-folder").mkdir()
    with work.write(folder):
        pass
    assert [".tmp-folder"] == [path.name for path in folder.rglob(".tmp-*")]


def test_a_view_in_the_way_of_derived_files_stops_nobody(work):
    """A folder where a derived file belongs keeps views stale; the session can still be written."""
    folder = work.session()
    (folder / "session_status.json").unlink()
    (folder / "session_status.json").mkdir()
    (folder / "approval.json").unlink()
    with work.write(folder) as writer:
        append(writer)
    assert [] == found(folder)
    assert 4 == len(read(folder).chain.records)


def test_a_root_is_bound_to_its_first_environment(work):
    """Another environment is refused a root, and a session, with a suggestion; the marker is never changed."""
    folder = work.session()
    before = content(work.root)
    with pytest.raises(Denied) as caught:
        work.store.bind_root(work.root, environment="live")
    assert ("root_environment", "rehearsal", "live") == (
        *(caught.value.code, caught.value.refusals[0].measured),
        caught.value.refusals[0].limit,
    )
    assert str(work.root.with_name("root_live")) in caught.value.message
    with pytest.raises(Denied) as caught, work.store.write(folder, environment="live"):
        pass
    assert "session_environment" == caught.value.code
    work.store.bind_root(work.root, environment="rehearsal")
    assert before == content(work.root)


@pytest.mark.parametrize("marker", [b"", b"{", b"[]", b"{}", b"\xff", b'{"environment":1}', b"x" * 5000])
def test_a_marker_that_cannot_be_read_belongs_to_nobody(work, marker):
    """A root whose marker is damaged is refused to every environment."""
    work.root.mkdir()
    (work.root / ".quantlab-root.json").write_bytes(marker)
    with pytest.raises(Denied) as caught:
        work.store.bind_root(work.root, environment="live")
    assert "unreadable" == caught.value.refusals[0].measured


def test_a_marker_that_is_a_link_is_refused(work, tmp_path):
    """A marker is never read through a link."""
    work.root.mkdir()
    (tmp_path / "marker").write_bytes(b'{"environment":"live"}')
    (work.root / ".quantlab-root.json").symlink_to(tmp_path / "marker")
    with pytest.raises(StorageFault) as caught:
        work.store.bind_root(work.root, environment="live")
    assert "storage_symbolic_link" == caught.value.code


def test_an_outdir_belongs_to_one_environment(work, tmp_path):
    """An outdir of one environment is refused to another; without any environment it can be written by all."""
    outdir = tmp_path / "outdir"
    for environment in ("unset", "rehearsal", "unset", "rehearsal"):
        with work.store.create_outdir(outdir, session_id="out", environment=environment) as writer:
            writer.append("first", "quantlab.incident/1", INCIDENT, actor="marce")
    with (
        pytest.raises(Denied, match=r"Use another outdir: .*outdir_live"),
        work.store.create_outdir(outdir, session_id="out", environment="live"),
    ):
        pass
    assert [] == found(outdir, expect_id_of_folder=False)


def test_a_full_session_takes_no_more(work):
    """After 9999 records nothing is written that no reader would find."""
    folder = work.session()
    with work.write(folder) as writer:
        chain = msgspec.structs.replace(writer.session.chain, head_sequence=9999)
        writer.session = msgspec.structs.replace(writer.session, chain=chain)
        with pytest.raises(StorageFault) as caught:
            append(writer)
    assert "storage_session_full" == caught.value.code
    assert [] == found(folder)


def test_a_record_that_no_reader_accepts_is_not_written(work):
    """A record larger than the reader's bound is refused before it exists."""
    folder = work.session()
    with work.write(folder) as writer, pytest.raises(StorageFault) as caught:
        append(writer, "x" * MAXIMUM_RECORD_BYTES)
    assert "storage_record_too_large" == caught.value.code
    assert [] == found(folder)


def test_a_receipt_is_of_a_durable_record(work):
    """The receipt names the record and the bytes that it allows to be sent."""
    folder = work.session("quantlab.validation/1")
    body = BODIES["quantlab.submit_attempt/1"]
    with work.write(folder) as writer:
        record = writer.append("broker_submit_attempt", "quantlab.submit_attempt/1", body, actor="marce")
        receipt = writer.receipt(record)
    assert (SESSION_ID, 2, record.sha256, body.body_sha256) == (
        *(receipt.session_id, receipt.sequence),
        *(receipt.record_sha256, receipt.body_sha256),
    )
    assert canonical.sha256_hex((folder / "records" / record.file_name).read_bytes()) == receipt.record_sha256


def test_the_reserve(work):
    """Room is held beside the attempt and given back; giving it back twice is nothing."""
    folder = work.session()
    with work.write(folder) as writer:
        writer.reserve_outcome()
        assert 256 * 1024 == (folder / ".reserve").stat().st_size
        writer.free_reserve()
        writer.free_reserve()
    assert not (folder / ".reserve").exists()
    assert [] == found(folder)


def test_what_is_no_session_is_not_locked(work, tmp_path):
    """A path that is no session is refused before anything is made in it."""
    with pytest.raises(UsageFault), work.write(tmp_path):
        pass
    assert {} == content(tmp_path)


def test_the_schema_of_a_body():
    """Each body type has one newest schema; a type that is no record is a defect of ours."""
    assert "quantlab.approval/1" == schema_of(APPROVAL)
    assert "quantlab.account_readiness/1" == schema_of(BODIES["quantlab.account_readiness/1"])
    with pytest.raises(KeyError, match="Body"):
        schema_of(Body())


def test_a_session_whose_folder_cannot_be_looked_at(work):
    """A disk that fails at the first look at the folder is told, and nothing is begun."""
    work.store.bind_root(work.root, environment="rehearsal")
    for n in range(1, 4):
        disk = FailingDisk(at=n, calls=("kind",))
        with pytest.raises(StorageFault), work.store_on(disk).create(work.root, SESSION_ID, environment="rehearsal"):
            pass


def test_a_session_is_begun_once_and_opened_again(work):
    """The folder is made when there is none, and an empty or begun one is opened: its records go on."""
    for count in range(3):
        with work.store.begin(work.root, SESSION_ID, environment="rehearsal", wait_ms=0) as writer:
            assert count == len(writer.session.chain.records)
            append(writer)
    assert [] == found(work.root / SESSION_ID)
    assert 0o700 == (work.root / SESSION_ID).stat().st_mode & 0o777


def test_a_session_of_an_id_is_begun_by_one_at_a_time(work):
    """While one process holds it, another is told at once; another environment's root is refused."""
    with work.store.begin(work.root, SESSION_ID, environment="rehearsal", wait_ms=0):
        with (
            pytest.raises(Busy) as caught,
            work.store.begin(work.root, SESSION_ID, environment="rehearsal", wait_ms=0),
        ):
            pass
        assert ("session_busy", 0) == (caught.value.code, work.clock.slept_ms)
    with pytest.raises(Denied) as refused, work.store.begin(work.root, SESSION_ID, environment="live", wait_ms=0):
        pass
    assert "root_environment" == refused.value.code
    assert (work.root / SESSION_ID / "records").is_dir()
