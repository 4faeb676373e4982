"""Diagnostics: appending to the operator's log, and silencing a stream that nobody reads any more.

Neither is evidence: nothing here is durable, and nothing here may ever end a command.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_FILE_MODE: Final = 0o600


def append_text(path: Path, text: str) -> bool:
    """Append text (already redacted) to a log of mode 0600; return whether that worked.

    Side effects: the file is created when it is missing; its folder is not.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, _FILE_MODE)
    except OSError:
        return False
    try:
        os.write(handle, text.encode("utf-8", "backslashreplace"))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def silence(descriptor: int) -> None:
    """Point an open descriptor at nothing, so that what is still buffered for it goes nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, descriptor)
    finally:
        os.close(nothing)
