"""Decline: a named person refuses the plan, with a reason. Final for this session; a new order needs a new session.

Needs: an accepted validation. Makes: ``decline``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import Decline
from quantlab.kernel.result import Result
from quantlab.rungs.desk import Desk, artifact_paths, required_text
from quantlab.rungs.reviewing import require_state


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, who declines it, and why."""

    session: Path
    reviewer: str | None
    note: str | None


def run(desk: Desk, request: Request) -> Result:
    """Record it and free the intent.

    Raises:
        Denied: reviewer or reason is missing, or the session is past this; nothing was written.
        Unverified: its evidence does not verify.
    """
    reviewer = required_text(
        request.reviewer, code="reviewer_required", message="Say who declines: a reviewer is needed."
    )
    note = required_text(request.note, code="reason_required", message="Say why: a reason is recorded with it.")
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(request.session) as writer:
        standing = desk.require_verified(writer.session)
        reviewed = require_state(standing, writer.session, "decline")
        body = Decline(plan_sha256=reviewed.plan_sha256, reviewer=reviewer, note=note)
        record = desk.append(writer, body, actor=reviewer)
        desk.ledger.end_intent(writer.session.session_id, state="declined")
        return desk.result(
            "done",
            f"Declined by {reviewer}. This session ends here; nothing was sent.",
            session=writer.session,
            data=record.body,
            artifacts=artifact_paths(writer.session, record),
        )
