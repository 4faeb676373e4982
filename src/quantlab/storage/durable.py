"""The disk port and the durable ways to write: create once, replace, make folders. The only file writer.

A record is written to a temporary file, fsynced, *linked* to its final name, and the folder is fsynced: it is
never torn and never overwritten, and "it exists already" is an answer, not an error.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, Protocol

from quantlab.kernel.errors import StorageFault

TEMPORARY_PREFIX: Final = ".tmp-"
_MOST_TEMPORARIES: Final = 100
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

Kind = Literal["file", "folder", "other"]


class Lock(Protocol):
    """A held lock."""

    def release(self) -> None:
        """Give the lock back. Releasing twice does nothing."""


class Disk(Protocol):
    """The disk port: primitive effects only, so that a simulator can lose each of them on its own."""

    def open_new(self, path: Path, *, mode: int) -> int:
        """Create a file that must not exist and return a handle open for writing."""

    def write(self, handle: int, data: bytes) -> None:
        """Write all of ``data``."""

    def allocate(self, handle: int, size_bytes: int) -> None:
        """Make the file system reserve ``size_bytes`` for the file."""

    def fsync(self, handle: int) -> None:
        """Force the file's content to the medium."""

    def close(self, handle: int) -> None:
        """Close the handle."""

    def link(self, source: Path, target: Path) -> None:
        """Give the file a second name that must not exist."""

    def rename(self, source: Path, target: Path) -> None:
        """Move the file over ``target`` atomically."""

    def unlink(self, path: Path) -> None:
        """Remove a name."""

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Create one folder that must not exist."""

    def fsync_folder(self, path: Path) -> None:
        """Force a folder's names to the medium."""

    def read(self, path: Path, *, at_most: int | None = None) -> bytes:
        """Return a file's bytes, or its first ``at_most`` ones."""

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the names in a folder, sorted."""

    def kind(self, path: Path) -> Kind | None:
        """Return what stands at ``path`` (links are not followed: they are ``other``), None when nothing does."""

    def lock(self, path: Path) -> Lock | None:
        """Take the advisory lock file at ``path`` without waiting; None when another process holds it."""


class _HeldLock:
    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class OsDisk:
    """The operating system's disk."""

    def open_new(self, path: Path, *, mode: int) -> int:
        """See :class:`Disk`. The mode is set whatever the umask is."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        os.fchmod(handle, mode)
        return handle

    def write(self, handle: int, data: bytes) -> None:
        """See :class:`Disk`."""
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]

    def allocate(self, handle: int, size_bytes: int) -> None:
        """See :class:`Disk`. Where the system has no such call, zeros are written."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, size_bytes)
        else:  # pragma: no cover - macOS has no posix_fallocate
            self.write(handle, bytes(size_bytes))

    def fsync(self, handle: int) -> None:
        """See :class:`Disk`. On macOS only F_FULLFSYNC reaches the medium."""
        _force(handle)

    def close(self, handle: int) -> None:
        """See :class:`Disk`."""
        os.close(handle)

    def link(self, source: Path, target: Path) -> None:
        """See :class:`Disk`."""
        os.link(source, target, follow_symlinks=False)

    def rename(self, source: Path, target: Path) -> None:
        """See :class:`Disk`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """See :class:`Disk`."""
        path.unlink()

    def make_folder(self, path: Path, *, mode: int) -> None:
        """See :class:`Disk`. The mode is set whatever the umask is."""
        path.mkdir(mode)
        path.chmod(mode)

    def fsync_folder(self, path: Path) -> None:
        """See :class:`Disk`."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _force(handle)
        finally:
            os.close(handle)

    def read(self, path: Path, *, at_most: int | None = None) -> bytes:
        """See :class:`Disk`. A symbolic link is refused: evidence is never read through one."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            return stream.read(-1 if at_most is None else at_most)

    def names(self, path: Path) -> tuple[str, ...]:
        """See :class:`Disk`."""
        return tuple(sorted(entry.name for entry in path.iterdir()))

    def kind(self, path: Path) -> Kind | None:
        """See :class:`Disk`."""
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(mode):
            return "folder"
        return "file" if stat.S_ISREG(mode) else "other"

    def lock(self, path: Path) -> Lock | None:
        """See :class:`Disk`. The kernel drops the lock when its holder dies, however it dies."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        held = _HeldLock(handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A lock on a file that was removed meanwhile keeps nobody out.
            if os.path.samestat(os.fstat(handle), path.lstat()):
                return held
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            held.release()
            raise
        held.release()
        return None


def make_folders(disk: Disk, path: Path) -> None:
    """Create ``path`` and its missing ancestors (0700), each name durable before the next is made.

    Raises:
        StorageFault: a folder cannot be made; nothing was sent.
    """
    with storage_faults(path):
        missing: list[Path] = []
        current = path
        while not _is_folder(disk, current):
            missing.append(current)
            current = current.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                disk.make_folder(folder, mode=FOLDER_MODE)
            disk.fsync_folder(folder.parent)


def create_once(disk: Disk, path: Path, data: bytes, *, mode: int = FILE_MODE) -> bool:
    """Write ``data`` durably under a name that must not exist yet.

    Returns:
        True when this call made the file, False when the name is taken already.

    Raises:
        StorageFault: the file cannot be written; its final name then does not exist.

    Side effects: a temporary file beside ``path``, removed again; the name is durable when this returns.
    """
    with storage_faults(path):
        temporary = _write_temporary(disk, path, data, mode=mode)
        try:
            disk.link(temporary, path)
            _make_name_durable(disk, path)
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(OSError):
                disk.unlink(temporary)
        return True


def replace_file(disk: Disk, path: Path, data: bytes, *, mode: int = FILE_MODE) -> None:
    """Replace ``path`` atomically by ``data``: a reader sees the old bytes or the new ones, never a mixture.

    Raises:
        StorageFault: the file cannot be written; the old content stands.
    """
    with storage_faults(path):
        temporary = _write_temporary(disk, path, data, mode=mode)
        try:
            disk.rename(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                disk.unlink(temporary)
            raise
        disk.fsync_folder(path.parent)


def reserve(disk: Disk, path: Path, size_bytes: int) -> None:
    """Make the file system hold ``size_bytes`` under ``path``, to be given back just before it is needed.

    Raises:
        StorageFault: there is no room.
    """
    with storage_faults(path):
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(path)
        handle = disk.open_new(path, mode=FILE_MODE)
        try:
            disk.allocate(handle, size_bytes)
            disk.fsync(handle)
        finally:
            disk.close(handle)


def make_private(path: Path) -> None:
    """Make sure that a file which a library will open itself exists with mode 0600, whatever the umask is.

    Raises:
        StorageFault: it cannot be made, or its mode cannot be set.
    """
    with storage_faults(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except FileExistsError:
            # Not opened: closing any handle of a file drops the locks that SQLite holds on it in this process.
            if path.is_symlink():
                raise OSError(errno.ELOOP, "a symbolic link") from None
            path.chmod(FILE_MODE)
            return
        os.fchmod(handle, FILE_MODE)
        os.close(handle)


@contextlib.contextmanager
def storage_faults(path: Path) -> Iterator[None]:
    """Turn an operating system error about ``path`` into a StorageFault that says what to do."""
    try:
        yield
    except OSError as error:
        raise storage_fault(path, error) from error


def storage_fault(path: Path, error: OSError) -> StorageFault:
    """Return the fault of one operating system error, in the operator's words."""
    reasons = {
        errno.ENOSPC: ("disk_full", "the disk is full"),
        errno.EDQUOT: ("disk_full", "the disk quota is used up"),
        errno.EROFS: ("read_only", "the file system is read-only"),
        errno.EACCES: ("no_permission", "permission is missing"),
        errno.EPERM: ("no_permission", "the operation is not permitted there"),
        errno.ENOTDIR: ("not_a_folder", "a part of the path is not a folder"),
        errno.EISDIR: ("not_a_file", "a folder stands where a file is needed"),
        errno.ENOENT: ("missing", "it does not exist"),
        errno.ENAMETOOLONG: ("name_too_long", "the name is too long"),
        errno.ELOOP: (
            "symbolic_link",
            "a symbolic link stands there; evidence is never read through one",
        ),
    }
    code, reason = reasons.get(error.errno or 0, ("io_error", error.strerror or "input or output failed"))
    return StorageFault(f"{path}: {reason}.", code=f"storage_{code}", measured=str(path))


def _is_folder(disk: Disk, path: Path) -> bool:
    # A root or a parent may be a symbolic link that the operator made; only evidence itself may not.
    return disk.kind(path) == "folder" or path.is_dir() or path == path.parent


def _make_name_durable(disk: Disk, path: Path) -> None:
    try:
        disk.fsync_folder(path.parent)
    except OSError:
        # The caller is told that the file does not exist, and may use its number for another one.
        with contextlib.suppress(OSError):
            disk.unlink(path)
        raise


def _write_temporary(disk: Disk, path: Path, data: bytes, *, mode: int) -> Path:
    temporary, handle = _open_temporary(disk, path, mode=mode)
    try:
        disk.write(handle, data)
        disk.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            disk.unlink(temporary)
        raise
    finally:
        disk.close(handle)
    return temporary


def _open_temporary(disk: Disk, path: Path, *, mode: int) -> tuple[Path, int]:
    # The process id is no name of its own: two machines or containers that share a folder may have the same one.
    # So a name that is taken is left alone, whoever made it.
    for number in range(_MOST_TEMPORARIES):
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{number}-{path.name}")
        with contextlib.suppress(FileExistsError):
            return temporary, disk.open_new(temporary, mode=mode)
    raise OSError(errno.EEXIST, f"{_MOST_TEMPORARIES} leftover temporaries stand there")


def _force(handle: int) -> None:
    full_fsync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_fsync is not None:  # pragma: no cover - macOS only
        fcntl.fcntl(handle, full_fsync)
    else:
        os.fsync(handle)
