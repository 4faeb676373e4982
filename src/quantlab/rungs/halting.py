"""Halt and resume: the kill switch, in the ledger and as a file beside the roots. HALTED means: nothing is sent.

Reads and cancel go on. Either of the two places halts; resume clears both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from quantlab.kernel.errors import Denied
from quantlab.kernel.result import Fact, NextStep, Result
from quantlab.rungs.checks import halt_file
from quantlab.rungs.desk import Desk, required_text
from quantlab.storage.durable import make_folders, replace_file
from quantlab.storage.ledger import Halt
from quantlab.storage.snapshots import remove_file


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Set or clear, by whom, why."""

    action: Literal["halt", "resume"]
    reviewer: str | None
    reason: str | None


def run(desk: Desk, request: Request) -> Result:
    """Set or clear the kill switch.

    Raises:
        Denied: a name or a reason is missing; nothing was changed.
    """
    reviewer = required_text(request.reviewer, code="reviewer_required", message="Say who: a reviewer is needed.")
    reason = required_text(request.reason, code="reason_required", message="Say why: a reason is needed.")
    file = halt_file(Path(desk.corridor.default_root))
    if request.action == "halt":
        halt = Halt(reviewer=reviewer, reason=reason, halted_at=desk.now_text())
        desk.ledger.set_halt(halt)
        make_folders(desk.disk, file.parent)
        replace_file(desk.disk, file, f"{halt.halted_at} {reviewer}: {reason}\n".encode())
        return desk.result(
            "done",
            "HALTED: nothing is sent from this state folder until a person resumes. Cancel and reads still work.",
            data=halt,
            facts=(Fact(label="By", value=reviewer), Fact(label="Why", value=reason)),
            artifacts=(file,),
            next_hint=NextStep(
                why="when the reason is gone",
                verb="resume",
                options=(("reviewer", "<reviewer>"), ("reason", "<reason>")),
            ),
        )
    if desk.ledger.halt() is None and desk.disk.kind(file) is None:
        raise Denied("There is no halt to clear.", code="not_halted", measured="not set", limit="set")
    desk.ledger.set_halt(None)
    remove_file(desk.disk, file)
    return desk.result(
        "done",
        f"Resumed by {reviewer}: {reason}",
        data={"reviewer": reviewer, "reason": reason, "resumed_at": desk.now_text()},
    )
