"""Bundle: freeze the exact request that the gate and the submit will use, bound to validation and approval.

Needs: a standing ``approval``. Makes: ``broker_pre_submit_bundle``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import Bundle
from quantlab.kernel.canonical import sha256_hex
from quantlab.kernel.errors import Unverified
from quantlab.kernel.result import Fact, Result
from quantlab.model.order import plan_digest
from quantlab.rungs.checks import all_passed, lifetime_check
from quantlab.rungs.desk import Desk, artifact_paths, policy_unchanged, refusals_of
from quantlab.rungs.reviewing import require_approval, require_state


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session to bundle."""

    session: Path


def run(desk: Desk, request: Request) -> Result:
    """Freeze the request of an approved session.

    Raises:
        Denied: the session is not approved, or its approval ran out; nothing was written.
        Unverified: its evidence does not verify, or its plan is not the one that its digest names.
    """
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(request.session) as writer:
        standing = desk.require_verified(writer.session)
        reviewed = require_state(standing, writer.session, "bundle")
        approval = require_approval(standing, writer.session, "bundle")
        plan, plan_sha256 = reviewed.plan, reviewed.plan_sha256
        if plan_digest(plan) != plan_sha256:
            raise Unverified(
                "The plan in this session is not the one that its digest names. Nothing was sent.",
                code="plan_digest",
                measured=plan_digest(plan),
                limit=plan_sha256,
                session_id=writer.session.session_id,
            )
        checks = (
            lifetime_check(
                "approval_lifetime",
                expires_at=approval.body.expires_at,
                now=desk.clock.now(),
                what="approval",
            ),
            policy_unchanged(desk, plan.policy_sha256),
        )
        if not all_passed(checks):
            return desk.result(
                "denied",
                "Not bundled. Nothing was written or sent.",
                session=writer.session,
                refusals=refusals_of(checks),
            )
        record = desk.append(
            writer,
            Bundle(
                plan_sha256=plan_sha256,
                validation_sha256=reviewed.validation.sha256,
                approval_sha256=approval.sha256,
                order_text=plan.order_text,
                order_text_sha256=sha256_hex(plan.order_text.encode()),
                ticket=reviewed.validation.body.ticket,
            ),
        )
        return desk.result(
            "done",
            "Bundled: this is the exact request, but for nonce and deadline.",
            session=writer.session,
            data=record.body,
            facts=(
                Fact(label="Request text", value=plan.order_text),
                Fact(label="Its SHA-256", value=record.body.order_text_sha256),
                Fact(label="Approved by", value=f"{approval.body.reviewer} until {approval.body.expires_at}"),
            ),
            artifacts=artifact_paths(writer.session, record),
        )
