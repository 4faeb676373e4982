"""The outcomes a command can end with, and the faults that carry them to the top.

    QuantLabFault
    ├── UsageFault        2   the command line or a setting is wrong; nothing was written or sent
    ├── Denied            1   a check of ours refused; nothing was sent
    ├── StorageFault      1   a file could not be read or written; nothing was sent
    ├── Unverified        5   the evidence does not verify
    ├── Busy              6   another process holds the session, the key or the folder
    └── Unreadable        7   the venue was not reached or gave no usable answer to a read

There is no fault for "the venue rejected" or "unknown": those are outcomes of a rung, and are recorded before
they are reported.
"""

from __future__ import annotations

from typing import Final, Literal

from quantlab.kernel.result import NextStep, Refusal

Outcome = Literal[
    "done",
    "denied",
    "usage",
    "rejected",
    "unknown",
    "never_sent",
    "unverified",
    "busy",
    "unreadable",
    "interrupted",
    "bug",
]

EXIT_CODES: Final[dict[Outcome, int]] = {
    "done": 0,
    "denied": 1,
    "usage": 2,
    "rejected": 3,
    "unknown": 4,
    "unverified": 5,
    "busy": 6,
    "never_sent": 7,
    "unreadable": 7,
    "interrupted": 130,
    "bug": 70,
}


class QuantLabFault(Exception):
    """A fault that ends a command in a documented way.

    Args:
        message: What happened and what it means for the operator's money, in one or two sentences.
        code: Stable machine name of the fault.
        measured: What was found, as text.
        limit: What would have been accepted, as text.
        next_step: The exact next command, where one helps.
        session_id: The session concerned, where there is one.
    """

    outcome: Outcome = "bug"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        measured: str | None = None,
        limit: str | None = None,
        next_step: NextStep | None = None,
        session_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.refusals: tuple[Refusal, ...] = (Refusal(code=code, message=message, measured=measured, limit=limit),)
        self.next_step = next_step
        self.session_id = session_id


class UsageFault(QuantLabFault):
    """The command line, a setting or a file given by the operator is wrong. Nothing was written or sent."""

    outcome: Outcome = "usage"


class Denied(QuantLabFault):
    """A check of ours refused. Nothing was sent to the venue that could move money."""

    outcome: Outcome = "denied"


class StorageFault(QuantLabFault):
    """A file or folder could not be read or written before anything was sent. Money is untouched."""

    outcome: Outcome = "denied"


class Unverified(QuantLabFault):
    """The session's evidence does not verify. Stop, and look at what changed before acting."""

    outcome: Outcome = "unverified"


class Busy(QuantLabFault):
    """Another process holds what this command needs. Wait for it, or inspect it; nothing was sent."""

    outcome: Outcome = "busy"


class Unreadable(QuantLabFault):
    """The venue was not reached, or gave no usable answer to a read. It says nothing about any order."""

    outcome: Outcome = "unreadable"
