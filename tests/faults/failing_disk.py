"""A disk that does as it should until one chosen primitive call, and fails or dies there. Real files underneath."""

import errno
import os
from pathlib import Path
from typing import Any, Literal

from quantlab.storage.durable import OsDisk

EFFECTS = (
    *("open_new", "write", "allocate", "fsync", "close", "link", "rename", "unlink", "make_folder", "fsync_folder"),
    "lock",
)
LOOKS = ("read", "names", "kind")


class Crash(BaseException):
    """The process died here."""


def release(made: Any) -> None:
    """Give back what the kernel takes back from a dead process: its locks and handles."""
    if isinstance(made, int):
        os.close(made)
    elif made is not None:
        made.release()


class FailingDisk:
    """Counts calls; at call number ``at`` it fails once, or dies before, within or after the effect.

    A dead disk carries out nothing more, as a dead process would: tidying up must not hide a crash.
    """

    def __init__(
        self,
        *,
        at: int = 0,
        how: Literal["fail", "before", "torn", "after"] = "fail",
        code: int = errno.EIO,
        calls: tuple[str, ...] = EFFECTS,
    ) -> None:
        self.real = OsDisk()
        self.at = at
        self.how = how
        self.code = code
        self.calls = calls
        self.done: list[str] = []
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self.real, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if self.dead:
                raise Crash(name)
            if name not in self.calls:
                return effect(*arguments, **options)
            self.done.append(name)
            if len(self.done) != self.at:
                return effect(*arguments, **options)
            if self.how == "fail":
                raise OSError(self.code, "planted")
            self.dead = True
            if self.how == "after":
                release(effect(*arguments, **options))
            elif self.how == "torn" and name == "write":
                handle, data = arguments
                self.real.write(handle, data[: len(data) // 2])
            raise Crash(name)

        return call


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
