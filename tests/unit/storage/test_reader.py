"""Reading a session: everything that was changed is found, nothing is followed, nothing is written."""

import base64
import os
import shutil

import msgspec
import pytest

from quantlab.evidence.chain import UNSET_ENVIRONMENT
from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES
from quantlab.kernel import canonical
from quantlab.kernel.errors import Denied, StorageFault, UsageFault
from quantlab.storage.durable import OsDisk
from quantlab.storage.reader import attempt_files, read_session, session_folders
from quantlab.storage.writer import INLINE_BODY_BYTES
from tests.faults.failing_disk import EFFECTS, LOOKS, FailingDisk, content
from tests.unit.evidence.built import BODIES, EXCHANGE, SESSION_ID
from tests.unit.storage.sessions import found, read

RECORDS = [
    "0001-broker_order_validate.json",
    "0002-approval.json",
    "0003-broker_pre_submit_bundle.json",
]


def test_a_whole_session(work):
    """A session that nobody touched verifies, has fresh views, and reading it changes nothing."""
    folder = work.session()
    before = content(work.root)
    session = read(folder)
    assert (True, False, (), "rehearsal", SESSION_ID) == (
        *(session.verifies, session.empty, session.stale_views),
        *(session.environment, session.session_id),
    )
    assert RECORDS == [record.file_name for record in session.chain.records]
    assert before == content(work.root)


def test_a_reader_has_no_effects(work):
    """Reading calls nothing of the disk that writes or locks."""
    folder = work.session()
    disk = FailingDisk(calls=EFFECTS)
    read_session(disk, folder)
    session_folders(disk, work.root)
    attempt_files(disk, folder)
    assert [] == disk.done


@pytest.mark.parametrize("place", ["records/000{}-{}", "{1}"])
def test_every_one_byte_change_is_found(work, place):
    """Any byte of any record or view of a session of three, changed, is found: the newest one's by its view."""
    with work.store.create(work.root, SESSION_ID, environment="rehearsal") as writer:
        for name in ("approval", "decline", "incident"):
            writer.append(name, f"quantlab.{name}/1", BODIES[f"quantlab.{name}/1"], actor="marce")
    folder = work.root / SESSION_ID
    for number, name in enumerate(("approval", "decline", "incident"), start=1):
        file = folder / f"{place.format(number, name)}.json"
        raw = file.read_bytes()
        for offset in range(len(raw)):
            file.write_bytes(raw[:offset] + bytes([raw[offset] ^ 4]) + raw[offset + 1 :])
            assert found(folder), (name, offset)
        file.write_bytes(raw)
        assert [] == found(folder)


@pytest.mark.parametrize("cut", ["shorter", "longer", "empty"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_cut_or_extended_is_found(work, name, cut):
    """A record that lost or gained bytes is found."""
    folder = work.session()
    file = folder / "records" / name
    raw = file.read_bytes()
    file.write_bytes({"shorter": raw[:-1], "longer": raw + b"\n", "empty": b""}[cut])
    assert found(folder)


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_removed_record_is_found(work, removed):
    """A missing record is found by its number, its successor's digest, or the view that it left behind."""
    folder = work.session()
    (folder / "records" / RECORDS[removed]).unlink()
    assert ("view_tampered", RECORDS[removed][5:]) in found(folder)


def test_the_newest_record_removed_with_its_view_is_shorter_than_the_head(work):
    """Who removes the newest record and its view leaves a whole chain, shorter than the ledger remembers."""
    folder = work.session()
    head = work.ledger.head(SESSION_ID)
    assert (3, read(folder).chain.head_sha256) == (head.sequence, head.record_sha256)
    for name in (f"records/{RECORDS[2]}", RECORDS[2][5:]):
        (folder / name).unlink()
    session = read(folder)
    assert session.verifies
    assert (2, 3) == (session.chain.head_sequence, head.sequence)
    assert head.record_sha256 not in {record.sha256 for record in session.chain.records}


def test_missing_and_older_views_are_stale_only(work):
    """A view that is missing or shows an older record of its name is named as stale, and is no finding."""
    folder = work.session()
    old = (folder / "approval.json").read_bytes()
    with work.write(folder) as writer:
        writer.append("approval", "quantlab.approval/1", BODIES["quantlab.approval/1"], actor="other")
    (folder / "approval.json").write_bytes(old)
    (folder / "broker_pre_submit_bundle.json").unlink()
    session = read(folder)
    assert ((), ("approval.json", "broker_pre_submit_bundle.json")) == (session.findings, session.stale_views)


def test_derived_files_are_never_compared(work):
    """Changed, missing or absurd derived files are no finding."""
    folder = work.session()
    (folder / "session_status.json").write_bytes(b"anything")
    (folder / "session_metadata.json").unlink()
    shutil.copy(folder / "approval.json", folder / "session_metadata.json")
    assert [] == found(folder)


def test_foreign_files_beside_the_views_are_no_finding(work):
    """Notes and documents that claim nothing of this session stand beside the views without harm."""
    folder = work.session()
    (folder / "notes.json").write_bytes(b"{}")
    (folder / "deep.json").write_bytes(b"[" * 100_000)
    (folder / "bytes.json").write_bytes(b"\xff")
    (folder / "Other.txt").write_bytes(b"")
    (folder / "sub.json").mkdir()
    other = (folder / "approval.json").read_bytes().replace(SESSION_ID.encode(), b"another")
    (folder / "other.json").write_bytes(other)
    assert [] == found(folder)


def test_leftover_temporaries_are_ignored(work):
    """What a dead writer left half written is not looked at."""
    folder = work.session()
    for place in (folder, folder / "records"):
        (place / ".tmp-1-0-x.json").write_bytes(b'{"torn')
    assert [] == found(folder)


def plant(path, kind: str) -> None:
    """Put something that is no plain file at a path."""
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nowhere")
    else:
        target = path.with_name("target-of-link")
        target.write_bytes(b"{}")
        path.symlink_to(target)


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling", "link"])
def test_a_record_that_is_no_plain_file_is_found(work, kind):
    """A pipe, a folder or a link in place of a record is a finding, and nothing waits for it or follows it."""
    folder = work.session()
    plant(folder / "records" / RECORDS[1], kind)
    assert ("foreign_file", RECORDS[1]) in found(folder)


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling", "link"])
def test_a_view_that_is_no_plain_file_is_found(work, kind):
    """A pipe, a folder or a link in place of a view is tampering; a link to the right record too."""
    folder = work.session()
    plant(folder / "approval.json", kind)
    assert [("view_tampered", "approval.json")] == found(folder)


def test_a_file_swapped_for_a_link_after_the_look_is_refused(work, tmp_path):
    """What was a file when it was looked at and is a link when it is read is never followed."""
    folder = work.session()
    target = tmp_path / "elsewhere"
    target.write_bytes((folder / "approval.json").read_bytes())
    (folder / "approval.json").unlink()
    (folder / "approval.json").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        OsDisk().read(folder / "approval.json")


@pytest.mark.parametrize("name", ["\udcff\udcfe", "line\nbreak", "\x1b[31m", "0002-approval.json.bak", "..."])
def test_odd_names_are_found_and_can_be_printed(work, name):
    """Names of any bytes are findings whose text can be encoded and printed on one line."""
    folder = work.session()
    (folder / "records" / name).write_bytes(b"")
    ((code, shown),) = found(folder)
    assert "foreign_file" == code
    assert shown.isprintable()
    assert shown.encode()


def test_a_session_folder_of_an_odd_name(work):
    """A copy under a name of any bytes is read, and an empty one has an id that can be printed."""
    folder = work.session()
    odd = work.root / "copy\udcff"
    shutil.copytree(folder, odd)
    assert (SESSION_ID, []) == (read(odd).session_id, found(odd))
    empty = work.root / "empty\udcff"
    (empty / "records").mkdir(parents=True)
    session = read(empty)
    assert ("empty\\udcff", True, None) == (session.session_id, session.empty, session.environment)
    assert {"copy\udcff", "empty\udcff", SESSION_ID} == {path.name for path in session_folders(OsDisk(), work.root)}


def test_a_copy_under_another_session_id_is_found(work):
    """A folder that claims a session id holds records of that session."""
    folder = work.session()
    other = work.root / "20260102T030405Z-eth-usd-buy-ffffffffffff"
    shutil.copytree(folder, other)
    assert 3 == [code for code, _ in found(other)].count("session_mismatch")
    assert [] == found(other, expect_id_of_folder=False)


def test_a_huge_record_is_never_read_whole(work):
    """A record file of 100 MB is refused by its size; no more than the largest record is read of it."""
    folder = work.session()
    asked = []

    class Watching(OsDisk):
        def read(self, path, *, at_most=None):
            data = super().read(path, at_most=at_most)
            asked.append(len(data))
            return data

    for path in (folder / "records" / RECORDS[2], folder / "approval.json", folder / "huge.json"):
        with path.open("ab") as stream:
            stream.truncate(100 * 1024 * 1024)
    session = read_session(Watching(), folder)
    codes = {(one.code, one.file) for one in session.findings}
    assert {("record_too_large", RECORDS[2]), ("view_tampered", "approval.json")} <= codes
    assert MAXIMUM_RECORD_BYTES + 1 == max(asked)


def with_wire(work, text: str, **changes):
    """Return a session whose gate cites one body kept beside it, and that body's digest."""
    digest = canonical.sha256_hex(text.encode())
    exchange = msgspec.structs.replace(EXCHANGE, response_body=text, response_body_sha256=digest, **changes)
    body = msgspec.structs.replace(BODIES["quantlab.submit_gate/1"], exchanges=(exchange,))
    folder = work.session("quantlab.validation/1")
    with work.write(folder) as writer:
        writer.append("broker_submit_gate", "quantlab.submit_gate/1", body, actor="marce")
    return folder, digest


def test_a_large_body_is_kept_once_beside_the_records(work):
    """A body over 16 KiB stands in wire/ under its digest, and is cited; missing or changed it is found."""
    text = "ü" * INLINE_BODY_BYTES
    folder, digest = with_wire(work, text)
    kept = folder / "wire" / digest
    assert text.encode() == kept.read_bytes()
    assert [] == found(folder)
    kept.write_bytes(b"x" + text.encode())
    assert [("wire_changed", f"wire/{digest}")] == found(folder)
    kept.unlink()
    assert [("wire_missing", f"wire/{digest}")] == found(folder)
    plant(kept, "fifo")
    assert [("wire_missing", f"wire/{digest}")] == found(folder)


def test_bodies_are_not_read_through_a_linked_folder(work, tmp_path):
    """A wire folder that is a link is as good as missing, and the writer does not write through it."""
    folder, digest = with_wire(work, "x" * (INLINE_BODY_BYTES + 1))
    shutil.move(folder / "wire", tmp_path / "elsewhere")
    (folder / "wire").symlink_to(tmp_path / "elsewhere")
    assert [("wire_missing", f"wire/{digest}")] == found(folder)
    body = read(folder).chain.records[1].body
    exchange = msgspec.structs.replace(EXCHANGE, request_body="y" * 20_000, request_body_sha256="cd" * 32)
    again = msgspec.structs.replace(body, exchanges=(exchange,))
    with work.write(folder) as writer, pytest.raises(StorageFault) as caught:
        writer.append("broker_submit_gate", "quantlab.submit_gate/1", again, actor="marce")
    assert "storage_symbolic_link" == caught.value.code
    assert [digest] == [path.name for path in (tmp_path / "elsewhere").iterdir()]


@pytest.mark.parametrize("digest", ["../../outside", "/etc/hostname", "n" * 300, "", "nul\x00", "AB" * 32])
def test_a_digest_that_is_none_is_never_a_path(work, digest):
    """A record that cites something that is no digest gets a finding; no file outside is looked at."""
    exchange = msgspec.structs.replace(EXCHANGE, response_body=None, response_body_sha256=digest)
    body = msgspec.structs.replace(BODIES["quantlab.submit_gate/1"], exchanges=(exchange,))
    folder = work.session("quantlab.validation/1")
    with work.write(folder) as writer:
        writer.append("broker_submit_gate", "quantlab.submit_gate/1", body, actor="marce")
    ((code, name),) = found(folder)
    assert "wire_missing" == code
    assert name.isprintable()


def test_a_request_kept_beside_and_a_body_that_is_no_text(work):
    """Requests and bodies that are not UTF-8 are kept and cited in the same way."""
    request, response = "r" * 20_000, b"\xff" * 20_000
    exchange = msgspec.structs.replace(
        EXCHANGE,
        request_body=request,
        request_body_sha256=canonical.sha256_hex(request.encode()),
        response_body=None,
        response_body_base64=base64.b64encode(response).decode(),
        response_body_sha256=canonical.sha256_hex(response),
    )
    body = msgspec.structs.replace(BODIES["quantlab.submit_gate/1"], exchanges=(exchange, EXCHANGE))
    folder = work.session("quantlab.validation/1")
    with work.write(folder) as writer:
        writer.append("broker_submit_gate", "quantlab.submit_gate/1", body, actor="marce")
    assert {request.encode(), response} == {path.read_bytes() for path in (folder / "wire").iterdir()}
    kept = read(folder).chain.records[1].body.exchanges
    assert (None, None, None, EXCHANGE) == (
        *(kept[0].request_body, kept[0].response_body, kept[0].response_body_base64),
        kept[1],
    )
    assert [] == found(folder)


def test_what_is_no_session_is_usage(work, tmp_path):
    """A missing path, a file, a folder without records and a link are no sessions."""
    folder = work.session()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "bare").mkdir()
    (tmp_path / "link").symlink_to(folder)
    shutil.copytree(folder, tmp_path / "linked")
    shutil.rmtree(tmp_path / "linked" / "records")
    (tmp_path / "linked" / "records").symlink_to(folder / "records")
    for name in ("nothing", "file", "file/below", "bare", "link", "linked"):
        with pytest.raises(UsageFault) as caught:
            read(tmp_path / name)
        assert "not_a_session" == caught.value.code


def test_a_path_that_cannot_be_looked_at_is_a_storage_fault(work, tmp_path):
    """A path too long and a disk that fails at any look end in a clear fault."""
    for look in (read, lambda path: session_folders(OsDisk(), path)):
        with pytest.raises(StorageFault) as caught:
            look(tmp_path / ("n" * 300))
        assert "storage_name_too_long" == caught.value.code
    folder = work.session()
    calls = FailingDisk(calls=LOOKS)
    read_session(calls, folder)
    for n in range(1, len(calls.done) + 1):
        with pytest.raises(StorageFault):
            read_session(FailingDisk(at=n, calls=LOOKS), folder)


def test_the_sessions_of_a_root(work, tmp_path):
    """A root's sessions are its folders with records in them; links, files and bare folders are none."""
    folder = work.session()
    (work.root / "bare").mkdir()
    (work.root / "file").write_bytes(b"")
    (work.root / "link").symlink_to(folder)
    assert (folder,) == session_folders(OsDisk(), work.root)
    (tmp_path / "linked").symlink_to(work.root)
    assert (tmp_path / "linked" / SESSION_ID,) == session_folders(OsDisk(), tmp_path / "linked")
    assert () == session_folders(OsDisk(), tmp_path / "nothing")
    with pytest.raises(UsageFault, match="is no folder"):
        session_folders(OsDisk(), work.root / "file")
    with pytest.raises(Denied) as caught:
        session_folders(OsDisk(), folder)
    assert ("session_given_for_root", str(work.root)) == (caught.value.code, caught.value.refusals[0].limit)


def test_attempts_are_found_by_name_alone(work):
    """Attempt files are listed whatever they hold, so that damage hides none."""
    folder = work.session()
    for name in (
        "0004-broker_submit_attempt.json",
        "0005-broker_submit_attempt.json~",
        "0006-hyperliquid_submit_attempt.json",
    ):
        (folder / "records" / name).write_bytes(b"damaged")
    assert ["0004-broker_submit_attempt.json", "0006-hyperliquid_submit_attempt.json"] == [
        path.name for path in attempt_files(OsDisk(), folder)
    ]


def test_the_environment_of_a_session_is_the_first_that_was_set(work, tmp_path):
    """What readiness wrote while none was set belongs to no environment."""
    outdir = tmp_path / "outdir"
    for environment, expected in (
        (UNSET_ENVIRONMENT, None),
        ("rehearsal", "rehearsal"),
        (UNSET_ENVIRONMENT, "rehearsal"),
    ):
        with work.store.create_outdir(outdir, session_id="out", environment=environment) as writer:
            writer.append("incident", "quantlab.incident/1", BODIES["quantlab.incident/1"], actor="marce")
        assert expected == read(outdir, expect_id_of_folder=False).environment
