"""Small text files that an operator writes: read whole, bounded, never written.

Messages name files, never contents: a file may hold a key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from quantlab.kernel.errors import UsageFault

_LARGEST_FILE_BYTES: Final = 64 * 1024


class FileText(msgspec.Struct, frozen=True):
    """The text of a file, and whether others on this machine may open the file."""

    text: str
    open_to_others: bool

    def __repr__(self) -> str:
        """Return a text without the file's."""
        return f"FileText(open_to_others={self.open_to_others})"


def read_text(path: Path, code: str) -> FileText | None:
    """Return the text of a small file; None when there is none (a folder of that name is none).

    Raises:
        UsageFault: the file cannot be read, is larger than 64 KiB or is no UTF-8. The fault's code begins with
            ``code``.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise UsageFault(message, code=f"{code}_unreadable") from None
    if len(data) > _LARGEST_FILE_BYTES:
        message = f"{path} is larger than {_LARGEST_FILE_BYTES} bytes, so it is not such a file."
        raise UsageFault(message, code=f"{code}_too_large", limit=str(_LARGEST_FILE_BYTES))
    try:
        return FileText(data.decode("utf-8"), open_to_others=bool(mode & 0o077))
    except UnicodeDecodeError:
        message = f"{path} is not UTF-8 text."
        raise UsageFault(message, code=f"{code}_not_text") from None
