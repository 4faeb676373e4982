"""Root-level files: the latest one stands, every changed one is kept, and a probe leaves nothing behind."""

import errno
import json
import os

import pytest

from quantlab.kernel.errors import StorageFault
from quantlab.storage.durable import OsDisk
from quantlab.storage.snapshots import keep_snapshot, probe, remove_file, write_index
from tests.faults.failing_disk import FailingDisk, content


def keep(root, at: str, alerts: list[str], disk=None):
    """Write an alerts snapshot; return the names of what was written."""
    paths = keep_snapshot(
        disk or OsDisk(),
        root,
        "alerts",
        {"generated_at": at, "alerts": alerts},
        generated_at=at,
        compare=alerts,
    )
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_changed_snapshot_is_kept(tmp_path):
    """The latest is always replaced; a copy is kept for ever whenever the content changed, also back again."""
    first, second, third = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3))
    assert 2 == len(keep(tmp_path, first, ["a"]))
    assert ["alerts.json"] == keep(tmp_path, second, ["a"])
    assert second == json.loads((tmp_path / "alerts.json").read_bytes())["generated_at"]
    assert 2 == len(keep(tmp_path, second, ["b"]))
    written = keep(tmp_path, third, ["a"])
    assert written[1].startswith("snapshots/alerts-20260103T000000000000Z-")
    assert (tmp_path / written[1]).read_bytes() == (tmp_path / "alerts.json").read_bytes()
    assert 3 == len(list((tmp_path / "snapshots").iterdir()))


def test_a_snapshot_that_cannot_be_kept_is_told(tmp_path):
    """A disk that fails anywhere ends in a storage fault, never in an error of the system."""
    calls = FailingDisk(calls=("open_new", "write", "fsync", "link", "rename", "fsync_folder", "make_folder", "names"))
    root = tmp_path / "whole"
    root.mkdir()
    keep(root, "2026-01-01T00:00:00.000000Z", ["a"], disk=calls)
    for n in range(1, len(calls.done) + 1):
        root = tmp_path / f"{n}"
        root.mkdir()
        with pytest.raises(StorageFault):
            keep(root, "2026-01-01T00:00:00.000000Z", ["a"], disk=FailingDisk(at=n, calls=calls.calls))


def test_the_index_is_replaced(tmp_path):
    """Index files are written by name, private, and replaced as a whole."""
    for data in (b"1", b"22"):
        paths = write_index(OsDisk(), tmp_path, {"index.json": data, "index.csv": b"x"})
    assert [tmp_path / "index.csv", tmp_path / "index.json"] == list(paths)
    assert {"index.json": b"22", "index.csv": b"x"} == content(tmp_path)


def test_a_good_folder_has_no_problem(tmp_path):
    """A probe makes the folder, finds nothing, and leaves nothing, also after one that died."""
    folder = tmp_path / "outputs" / "root"
    assert () == probe(OsDisk(), folder)
    for number in (1, 2):
        (folder / f".tmp-{os.getpid()}-probe-{number}").write_bytes(b"left")
    assert () == probe(OsDisk(), folder)
    assert {} == content(folder)


@pytest.mark.parametrize(("call", "problems"), [("link", ("hard links",)), ("lock", ("locks",)), ("nothing", ())])
def test_what_a_folder_cannot_do_is_named(tmp_path, call, problems):
    """A file system without hard links or without locks is named as such, and left clean."""
    assert problems == probe(FailingDisk(at=1, code=errno.ENOTSUP, calls=(call,)), tmp_path)
    assert {} == content(tmp_path)


def test_a_lock_that_somebody_holds_counts_as_missing(tmp_path):
    """Where a fresh lock cannot be taken, locks do not work."""

    class Held(OsDisk):
        def lock(self, path):
            return None

    assert ("locks",) == probe(Held(), tmp_path)
    assert {} == content(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """A folder in which nothing can be made is a storage fault."""
    for call in ("open_new", "rename", "unlink"):
        with pytest.raises(StorageFault) as caught:
            probe(FailingDisk(at=1, code=errno.EROFS, calls=(call,)), tmp_path)
        assert "storage_read_only" == caught.value.code


def test_a_removed_file_may_be_gone_already(tmp_path):
    """Removing what is gone is no fault; what cannot be removed is told."""
    (tmp_path / "file").write_bytes(b"")
    for _ in range(2):
        remove_file(OsDisk(), tmp_path / "file")
    assert {} == content(tmp_path)
    with pytest.raises(StorageFault) as caught:
        remove_file(FailingDisk(at=1, code=errno.EPERM), tmp_path / "file")
    assert "storage_no_permission" == caught.value.code
