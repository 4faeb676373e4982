"""Revoke: a named person takes an approval back before anything was sent, with a reason. Final for this session.

Needs: a standing approval, nothing sent. Makes: ``revocation``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import Revocation
from quantlab.kernel.result import Result
from quantlab.rungs.desk import Desk, artifact_paths, required_text
from quantlab.rungs.reviewing import require_approval, require_state


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, who revokes it, and why."""

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
        request.reviewer, code="reviewer_required", message="Say who revokes: a reviewer is needed."
    )
    note = required_text(request.note, code="reason_required", message="Say why: a reason is recorded with it.")
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(request.session) as writer:
        standing = desk.require_verified(writer.session)
        reviewed = require_state(standing, writer.session, "revoke")
        approval = require_approval(standing, writer.session, "revoke")
        body = Revocation(
            plan_sha256=reviewed.plan_sha256, approval_sha256=approval.sha256, reviewer=reviewer, note=note
        )
        record = desk.append(writer, body, actor=reviewer)
        desk.ledger.end_intent(writer.session.session_id, state="revoked")
        return desk.result(
            "done",
            f"Revoked by {reviewer}. This session ends here; nothing was sent.",
            session=writer.session,
            data=record.body,
            artifacts=artifact_paths(writer.session, record),
        )
