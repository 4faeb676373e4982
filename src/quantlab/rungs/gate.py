"""Gate: the last look before a send. Every check is repeated, and the venue's validate-only check too.

The gate is written whether it allows or refuses, with every measured value. It runs out after the policy's time.

Needs: a bundle of a standing approval. Makes: ``broker_submit_gate``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.chain import Record
from quantlab.evidence.records import Approval, Bundle, Gate
from quantlab.kernel.clock import rfc3339
from quantlab.kernel.errors import Denied
from quantlab.kernel.result import Fact, Refusal, Result
from quantlab.model.execution import DryCheck
from quantlab.model.order import Plan
from quantlab.model.recorded import Check
from quantlab.rungs.checks import all_passed, expiry, one_check
from quantlab.rungs.claims import hold_for_incident
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of, required_text
from quantlab.rungs.mending import mending_step
from quantlab.rungs.recheck import repeated_checks, reviewer_checks
from quantlab.rungs.reviewing import require_state
from quantlab.rungs.terms import Outlook, read_outlook
from quantlab.storage.writer import SessionWriter
from quantlab.venues.port import VenueReadFailed

VALIDATE_DEADLINE_SECONDS = 10


class _Bundled(msgspec.Struct, frozen=True, kw_only=True):
    """A bundled session as the gate found it, and who passes it with what note."""

    plan: Plan
    bundle: Record[Bundle]
    approval: Record[Approval]
    reviewer: str
    note: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, who passes the gate, and their confirmation."""

    session: Path
    reviewer: str | None
    confirm: bool
    note: str | None


def run(desk: Desk, request: Request) -> Result:
    """Run every check again and record whether the order may be submitted now.

    Raises:
        Denied: reviewer or confirmation is missing, or the session is not bundled; nothing was written.
        Unverified: its evidence does not verify.
    """
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message="The gate needs the name of the person who passes it.",
    )
    if not request.confirm:
        raise Denied(
            "The gate needs the confirm flag. Nothing was written or sent.",
            code="confirm_required",
            measured="missing",
            limit="given",
        )
    with desk.write(request.session) as writer:
        standing = desk.require_verified(writer.session)
        require_state(standing, writer.session, "gate")
        if standing.plan is None or standing.bundle is None or standing.approval is None:
            message = "The bundle is older than the approval: bundle again. Nothing was sent."
            raise Denied(message, code="bundle_outdated", session_id=writer.session.session_id)
        bundled = _Bundled(
            plan=standing.plan,
            bundle=standing.bundle,
            approval=standing.approval,
            reviewer=reviewer,
            note=(request.note or "").strip(),
        )
        desk.progress("gate: every check once more")
        try:
            outlook = read_outlook(desk, bundled.plan.symbol)
        except VenueReadFailed as failure:
            return _unreadable(desk, writer, failure)
        checks = (
            *reviewer_checks(desk, standing, reviewer),
            *repeated_checks(desk, standing, outlook, root=writer.session.folder.parent),
        )
        answer = _ask(desk, bundled.plan, outlook) if all_passed(checks) else None
        if answer is not None:
            checks = (*checks, *_answer_checks(answer))
        return _record(desk, writer, bundled, checks=checks, answer=answer)


def _ask(desk: Desk, plan: Plan, outlook: Outlook) -> DryCheck:
    desk.progress("gate: the venue checks the order once more, without effect")
    deadline_at = expiry(outlook.time.venue_at, VALIDATE_DEADLINE_SECONDS)
    return desk.reads.check_order(plan, deadline_at=deadline_at)


def _answer_checks(answer: DryCheck) -> tuple[Check, ...]:
    return (
        one_check(
            "venue_validate_only",
            answer.verdict == "accepted",
            "; ".join(answer.errors) or answer.verdict,
            "accepted",
            "The venue's validate-only check did not accept the order.",
        ),
        one_check(
            "venue_reads_the_plan",
            not answer.mismatches,
            "; ".join(answer.mismatches) or str(answer.description),
            "the plan",
            "The venue read another order than the one that was approved.",
        ),
    )


def _record(
    desk: Desk,
    writer: SessionWriter,
    bundled: _Bundled,
    *,
    checks: tuple[Check, ...],
    answer: DryCheck | None,
) -> Result:
    allowed = all_passed(checks)
    now = desk.clock.now()
    record = desk.append(
        writer,
        Gate(
            plan_sha256=bundled.bundle.body.plan_sha256,
            bundle_sha256=bundled.bundle.sha256,
            approval_sha256=bundled.approval.sha256,
            reviewer=bundled.reviewer,
            note=bundled.note,
            gate_allowed=allowed,
            expires_at=rfc3339(expiry(now, desk.policy.gate_lifetime_seconds)),
            checks=checks,
            venue_description=answer.description if answer else None,
            venue_errors=answer.errors if answer else (),
            exchanges=desk.take_exchanges(),
        ),
        actor=bundled.reviewer,
    )
    if answer is not None and answer.verdict == "incident":
        hold_for_incident(desk, writer, bundled.plan, answer.errors)
    refusals = refusals_of(checks)
    return desk.result(
        _outcome(allowed=allowed, answer=answer),
        _headline(allowed=allowed, answer=answer),
        session=writer.session,
        data=record.body,
        facts=(
            Fact(label="Checks passed", value=f"{sum(one.passed for one in checks)} of {len(checks)}"),
            Fact(label="Gate runs out", value=record.body.expires_at),
        ),
        refusals=refusals,
        artifacts=artifact_paths(writer.session, record),
        next_hint=mending_step(desk, refusals, writer.session, identity=bundled.plan.account_identity),
    )


def _outcome(*, allowed: bool, answer: DryCheck | None) -> str:
    if allowed:
        return "done"
    verdicts = {"unreadable": "unreadable", "incident": "unknown"}
    return verdicts.get(answer.verdict, "denied") if answer is not None else "denied"


def _headline(*, allowed: bool, answer: DryCheck | None) -> str:
    if allowed:
        return "The gate is open: submit once before it runs out."
    if answer is not None and answer.verdict == "incident":
        return "UNKNOWN: the venue answered a validate-only request as if an order was placed."
    return "The gate refused. Nothing was sent."


def _unreadable(desk: Desk, writer: SessionWriter, failure: VenueReadFailed) -> Result:
    definite = failure.kind in {"not_known", "credentials_refused", "permission_denied"}
    refusal = Refusal(
        code=failure.code,
        message=f"{failure.message} The gate stays shut; nothing was sent.",
        measured="; ".join(failure.errors) or None,
        limit="a usable answer",
    )
    desk.take_exchanges()
    return desk.result(
        "denied" if definite else "unreadable",
        "The gate could not look at the venue. Nothing was written or sent.",
        session=writer.session,
        refusals=(refusal,),
    )
