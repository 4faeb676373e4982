"""Resolve: record a person's decision about an order that could not be proven. It is a decision, not a proof.

Allowed from ``not_found``, and from unknown once the deadline and the settle time have passed on the venue's clock
and a reconciliation was made after that. It shows as ``decided``; for seven days every read keeps asking the venue.

Needs: a reconciliation. Makes: ``resolution``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import Reconciliation, Resolution
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.kernel.errors import Denied
from quantlab.kernel.result import Result
from quantlab.rungs.desk import Desk, artifact_paths, required_text, unverified
from quantlab.rungs.finding import proof_terms
from quantlab.rungs.ladder import reconcile_step
from quantlab.rungs.reading import OpenedSession, keep, opened


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, who decides what, and why."""

    session: Path
    reviewer: str | None
    confirm: bool
    decision: str | None
    note: str | None


def run(desk: Desk, request: Request) -> Result:
    """Record the decision and free the account's interlock.

    Raises:
        Denied: something is missing, or it is too early to decide; nothing was written.
        Unverified: the evidence does not verify; `quantlab interlock resolve` is the way then.
    """
    reviewer, note = _confirmed(request)
    with opened(desk, request.session) as session:
        if session.writer.session.verifies:
            desk.require_newest(session.writer.session)
        else:
            raise unverified(session.writer.session)
        basis = _require_decidable(desk, session)
        record = keep(
            desk,
            session,
            Resolution(
                plan_sha256=session.sought.plan_sha256,
                attempt_sha256=session.sought.attempt_sha256,
                decision="landed" if request.decision == "landed" else "not_landed",
                reviewer=reviewer,
                note=note,
                from_resolution=session.standing.resolution or "unknown",
                basis_sha256=basis,
            ),
        )
        return desk.result(
            "done",
            f"Decided by {reviewer}: {record.body.decision}. This is a decision, not a proof; the venue is asked "
            "again on every read for seven days.",
            session=session.writer.session,
            data=record.body,
            artifacts=artifact_paths(session.writer.session, record),
        )


def _confirmed(request: Request) -> tuple[str, str]:
    reviewer = required_text(
        request.reviewer, code="reviewer_required", message="Say who decides: a reviewer is needed."
    )
    note = required_text(request.note, code="reason_required", message="Say why: a reason is recorded with it.")
    if request.decision not in {"landed", "not_landed"}:
        raise Denied(
            "Say what you decide: landed or not_landed.",
            code="decision_required",
            measured=request.decision or "missing",
            limit="landed or not_landed",
        )
    if not request.confirm:
        raise Denied("A decision needs the confirm flag.", code="confirm_required", measured="missing", limit="given")
    return reviewer, note


def _require_decidable(desk: Desk, session: OpenedSession) -> str | None:
    standing = session.standing
    session_id = session.writer.session.session_id
    if not standing.unresolved:
        raise Denied(
            f"There is nothing to decide: the session stands as {standing.state}.",
            code="nothing_to_decide",
            measured=standing.state,
            limit="unresolved or not_found",
            session_id=session_id,
        )
    last = session.writer.session.chain.newest(Reconciliation)
    if standing.state == "not_found" and last is not None:
        return last.sha256
    since = proof_terms(desk, standing, session.sought).counting_from
    looked_at = last.body.passes[-1].venue_at if last is not None and last.body.passes else None
    if looked_at is None or parse_rfc3339(looked_at) < since:
        raise Denied(
            "It is too early to decide: reconcile once after the deadline and the settle time have passed.",
            code="too_early_to_decide",
            measured=f"last look at {looked_at or 'none'}",
            limit=f"a look after {rfc3339(since)} (venue's clock)",
            next_step=reconcile_step(str(session.writer.session.folder)),
            session_id=session_id,
        )
    return last.sha256 if last is not None else None
