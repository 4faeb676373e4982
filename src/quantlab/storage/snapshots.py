"""Root-level files: the latest health and alerts, changed ones kept, and the index. All replaced atomically."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any, Final

from quantlab.kernel import canonical
from quantlab.storage.durable import (
    TEMPORARY_PREFIX,
    Disk,
    create_once,
    make_folders,
    replace_file,
    storage_faults,
)

SNAPSHOTS_FOLDER: Final = "snapshots"


def keep_snapshot(
    disk: Disk, root: Path, name: str, document: Any, *, generated_at: str, compare: Any
) -> tuple[Path, ...]:
    """Write ``<name>.json`` of a root; when ``compare`` changed since the last one, keep a copy for ever.

    Args:
        disk: The disk port.
        root: The root folder; it exists.
        name: ``health`` or ``alerts``.
        document: What is written.
        generated_at: RFC 3339 time, part of the kept copy's name.
        compare: The part of the document that counts as its content (without times of making).

    Returns:
        The paths written.

    Raises:
        StorageFault: a file cannot be written.
    """
    data = canonical.encode(document)
    latest = root / f"{name}.json"
    replace_file(disk, latest, data)
    digest = canonical.digest(compare)[:12]
    folder = root / SNAPSHOTS_FOLDER
    make_folders(disk, folder)
    with storage_faults(folder):
        kept = [one for one in disk.names(folder) if one.startswith(f"{name}-")]
    if kept and kept[-1].endswith(f"-{digest}.json"):
        return (latest,)
    stamp = re.sub(r"[^0-9TZ]", "", generated_at)
    copy = folder / f"{name}-{stamp}-{digest}.json"
    create_once(disk, copy, data)
    return (latest, copy)


def write_index(disk: Disk, root: Path, files: dict[str, bytes]) -> tuple[Path, ...]:
    """Write the index files of a root; they are derived and can be deleted.

    Raises:
        StorageFault: a file cannot be written.
    """
    for name, data in sorted(files.items()):
        replace_file(disk, root / name, data)
    return tuple(root / name for name in sorted(files))


def probe(disk: Disk, folder: Path) -> tuple[str, ...]:
    """Return what a folder can not do that evidence needs: write, hard-link, replace, lock.

    Side effects: makes the folder, and a few temporary files that are removed again.

    Raises:
        StorageFault: the folder cannot be made or written at all.
    """
    make_folders(disk, folder)
    # Names of this process alone: two commands may probe one folder at once.
    first, second = (folder / f"{TEMPORARY_PREFIX}{os.getpid()}-probe-{number}" for number in (1, 2))
    remove_file(disk, second)
    replace_file(disk, first, b"probe")
    problems = []
    try:
        disk.link(first, second)
    except OSError:
        problems.append("hard links")
    remove_file(disk, second)
    try:
        lock = disk.lock(second)
    except OSError:
        lock = None
    if lock is None:
        problems.append("locks")
    else:
        lock.release()
    remove_file(disk, second)
    remove_file(disk, first)
    return tuple(problems)


def remove_file(disk: Disk, path: Path) -> None:
    """Remove a file that is derived or a person's switch, never evidence; one that is gone already is no fault.

    Raises:
        StorageFault: it cannot be removed.
    """
    with storage_faults(path), contextlib.suppress(FileNotFoundError):
        disk.unlink(path)
