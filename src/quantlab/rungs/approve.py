"""Approve: a named person accepts the plan of an accepted validation, for a bounded time.

Refused: a validation that the venue rejected or we denied; a session that was declined, revoked or sent; an
approval that still stands; a policy that asks for signed approvals, which this version can not verify.

Needs: ``broker_order_validate``, accepted. Makes: ``approval``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import Approval
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.kernel.errors import Denied
from quantlab.kernel.result import Fact, Result
from quantlab.rungs.checks import expiry
from quantlab.rungs.claims import remember_intent
from quantlab.rungs.desk import Desk, artifact_paths, required_text
from quantlab.rungs.reviewing import require_state


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, and who approves it with what note."""

    session: Path
    reviewer: str | None
    note: str | None


def run(desk: Desk, request: Request) -> Result:
    """Record the approval of a person.

    Raises:
        Denied: the session may not be approved; nothing was written.
        Unverified: its evidence does not verify.
    """
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message="An approval needs the name of the person who gives it.",
    )
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(request.session) as writer:
        standing = desk.require_verified(writer.session)
        reviewed = require_state(standing, writer.session, "approve")
        now = desk.clock.now()
        if standing.approval is not None and now <= parse_rfc3339(standing.approval.body.expires_at):
            message = "This session is approved already; an approval is given once. Revoke it to take it back."
            raise Denied(
                message,
                code="already_approved",
                measured=f"by {standing.approval.body.reviewer} until {standing.approval.body.expires_at}",
                limit="no standing approval",
                session_id=writer.session.session_id,
            )
        if desk.policy.require_signed_approvals:
            message = "The policy asks for signed approvals, and this version can not verify a signature."
            raise Denied(message, code="signature_required", measured="asserted name", limit="signature")
        record = desk.append(
            writer,
            Approval(
                plan_sha256=reviewed.plan_sha256,
                validation_sha256=reviewed.validation.sha256,
                reviewer=reviewer,
                note=(request.note or "").strip(),
                basis="reviewed",
                identity_proof="asserted_name",
                approved_at=rfc3339(now),
                expires_at=rfc3339(expiry(now, desk.policy.approval_lifetime_seconds)),
            ),
            actor=reviewer,
        )
        remember_intent(desk, writer.session.folder, reviewed.plan, expires_at=record.body.expires_at)
        return desk.result(
            "done",
            f"Approved by {reviewer}. The name is asserted, not proven.",
            session=writer.session,
            data=record.body,
            facts=(
                Fact(label="Plan digest", value=reviewed.plan_sha256),
                Fact(label="Approval runs out", value=record.body.expires_at),
            ),
            artifacts=artifact_paths(writer.session, record),
        )
