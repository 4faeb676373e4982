"""Start the exchange as a process of its own, and find one that runs.

The event loop is imported when serving begins, not with this module.
"""

from __future__ import annotations

import http.client
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from quantlab.rehearsal.fault_reader import FaultRefused, read_fault
from quantlab.rehearsal.faults import Fault

SERVE_FILE: Final = "serve.json"
LOCK_FILE: Final = "serve.lock"
STATE_FILE: Final = "state.json"
OPERATOR_FOLDER: Final = "operator"
EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_BUSY: Final = 6
PROBE_SECONDS: Final = 2


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve."""

    state: Path | None = None
    """Folder of the exchange's state; None is `default_state()`."""
    seed: int = 0
    """Names books, keys and ids of a new state; a state that exists keeps its own."""
    faults: Path | None = None
    """JSON list of faults that are armed from the start."""
    kraken_port: int = 0
    hyperliquid_port: int = 0
    control_port: int = 0
    """Ports on loopback; 0 takes a free one."""
    tls: bool = False
    """Serve both venues under a throwaway certificate authority."""


class ServeLine(msgspec.Struct, frozen=True, kw_only=True):
    """The line that is printed once everything answers; also the content of `serve.json`."""

    kraken_url: str
    hyperliquid_url: str
    control_url: str
    env: dict[str, str]


class ServeRefused(Exception):
    """Serving cannot begin.

    Attributes:
        exit_code: What the process ends with.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def default_state() -> Path:
    """Return the folder used when none is given, beside the user's state folder."""
    # The one setting read here: this module stands below quantlab.config.
    root = os.environ.get("XDG_STATE_HOME", "")  # noqa: TID251
    base = Path(root) if root.startswith("/") else Path.home() / ".local" / "state"
    return base / "quantlab-rehearsal"


def read_serve_file(state: Path | None) -> ServeLine | None:
    """Find the server that runs on a state folder.

    Args:
        state: The folder, or None for the default one.

    Returns:
        What it printed, or None when no server answers on its control address.
    """
    path = (state or default_state()) / SERVE_FILE
    try:
        line = msgspec.json.decode(path.read_bytes(), type=ServeLine)
    except (OSError, msgspec.MsgspecError):
        return None
    address = line.control_url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/clock")
        answers = connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        answers = False
    finally:
        connection.close()
    return line if answers else None


def read_faults(path: Path | None) -> list[Fault]:
    """Read a faults file.

    Raises:
        ServeRefused: it cannot be read, or a fault in it cannot be understood.
    """
    if path is None:
        return []
    try:
        data = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        message = f"the faults file {path} cannot be read: {error.strerror}"
        raise ServeRefused(message, EXIT_USAGE) from error
    except msgspec.DecodeError as error:
        raise ServeRefused(f"the faults file {path} is not JSON: {error}", EXIT_USAGE) from error
    if not isinstance(data, list):
        raise ServeRefused(f"the faults file {path} must hold a JSON list", EXIT_USAGE)
    try:
        return [read_fault(row) for row in data]
    except FaultRefused as error:
        raise ServeRefused(f"the faults file {path}: {error}", EXIT_USAGE) from error


def guarded(action: Callable[[], None]) -> bool:
    """Do one step of the server; a fault of ours is printed and ends the step, never the server.

    Returns:
        Whether the step came to its end.
    """
    try:
        action()
    except Exception:  # noqa: BLE001  the one top-level guard of the server
        traceback.print_exc(file=sys.stderr)
        return False
    return True


def serve(options: ServeOptions) -> int:
    """Serve until SIGTERM or SIGINT.

    Prints one JSON line on stdout when all faces answer; messages go to stderr.

    Returns:
        0 after a signal, 1 when the machine cannot do it, 2 for a bad option,
        6 when another server holds the folder.

    Side effects:
        Creates the state folder and writes in it.
    """
    from quantlab.rehearsal.loop import run

    try:
        return run(options)
    except ServeRefused as refusal:
        sys.stderr.write(f"quantlab rehearsal serve: {refusal}\n")
        return refusal.exit_code
