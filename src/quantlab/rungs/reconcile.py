"""Reconcile: look for proof of what became of a send. It only reads; it never sends an order.

Each run asks at once for our client order id, and makes one full pass when the deadline and the settle time have
passed on the venue's clock. Passes of all runs count together. Without proof it ends with exit 4, the earliest time
at which another look can help, and the line to run then. ``--wait`` repeats within a bound.

Needs: an attempt. Makes: ``broker_reconciliation``.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from quantlab.evidence.records import Reconciliation
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.result import Fact, Result
from quantlab.model.lifecycle import ResolutionState
from quantlab.model.reconciliation import (
    PASS_GAP_SECONDS,
    SearchPass,
    Verdict,
    judge,
)
from quantlab.rungs.desk import Desk
from quantlab.rungs.finding import full_pass, note_incident, proof_terms, quick_pass
from quantlab.rungs.reading import OpenedSession, keep, opened, report

POLL_MS = 1_000


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, and how long to keep looking."""

    session: Path
    wait_seconds: int = 0


def run(desk: Desk, request: Request) -> Result:
    """Make the passes that are due and record what they establish.

    Raises:
        Denied: nothing was sent from this session.
        Busy: another process holds it.
    """
    end_ns = desk.clock.monotonic_ns() + request.wait_seconds * 1_000_000_000
    while True:
        result, earliest = _once(desk, request.session)
        if result.outcome != "unknown" or desk.clock.monotonic_ns() >= end_ns:
            return result
        _wait(desk, earliest, end_ns=end_ns)


def _once(desk: Desk, folder: Path) -> tuple[Result, str | None]:
    with opened(desk, folder) as session:
        desk.progress("reconcile: asking for the client order id")
        found = quick_pass(desk, session.sought)
        passes = _earlier(session)
        if not found.matches and _due(desk, session, found, passes):
            desk.progress("reconcile: one full pass over every view")
            found = full_pass(desk, session.sought)
        verdict = judge(
            (*passes, found),
            proof_terms(desk, session.standing, session.sought),
            now_at=parse_rfc3339(found.venue_at),
        )
        return _record(desk, session, found, verdict), verdict.earliest_next_at


def _earlier(session: OpenedSession) -> tuple[SearchPass, ...]:
    """Return the passes of earlier runs. Empty ones from before a burn that ended the order's chance do not count."""
    burn = session.standing.burn
    is_closed = burn is not None and burn.body.nonce_was in {"unused", "closed"}
    since = burn.envelope.sequence if burn is not None and is_closed else 0
    return tuple(
        one
        for record in session.writer.session.chain.all(Reconciliation)
        for one in record.body.passes
        if record.envelope.sequence > since or one.matches or one.mismatches
    )


def _due(desk: Desk, session: OpenedSession, found: SearchPass, passes: tuple[SearchPass, ...]) -> bool:
    if not session.standing.unresolved or not found.clean:
        return False
    now = parse_rfc3339(found.venue_at)
    if now < proof_terms(desk, session.standing, session.sought).counting_from:
        return False
    last = next((parse_rfc3339(one.venue_at) for one in reversed(passes) if one.full and one.clean), None)
    return last is None or (now - last).total_seconds() >= PASS_GAP_SECONDS


def _record(desk: Desk, session: OpenedSession, found: SearchPass, verdict: Verdict) -> Result:
    before = session.standing
    resolution: ResolutionState = verdict.resolution
    if verdict.resolution != "landed" and not before.unresolved and before.resolution is not None:
        resolution = before.resolution
    record = keep(
        desk,
        session,
        Reconciliation(
            plan_sha256=session.sought.plan_sha256,
            attempt_sha256=session.sought.attempt_sha256,
            resolution=resolution,
            order=verdict.order,
            reasons=verdict.reasons,
            assumptions=_rests_on(desk, resolution),
            passes=(found,),
            earliest_next_at=verdict.earliest_next_at if session.standing.unresolved else None,
            unverified=session.unverified,
            exchanges=desk.take_exchanges(),
            certification_sha256=_certification(desk) if resolution == "not_landed" else None,
        ),
    )
    if verdict.incident is not None:
        note_incident(
            desk,
            session.writer,
            plan_sha256=session.sought.plan_sha256,
            code="mismatch",
            message=f"Orders under our client order id differ from the plan: {verdict.incident}",
        )
        session.refresh()
    unreadable = "; ".join(found.failures) or None
    if unreadable is None and before.resolution == "landed" and not found.matches:
        unreadable = "The venue does not show the order under its client order id just now."
    return report(
        desk,
        session,
        record,
        _headline(session, verdict),
        unreadable=unreadable,
        facts=_facts(desk, verdict, unresolved=session.standing.unresolved),
    )


def _rests_on(desk: Desk, resolution: ResolutionState) -> tuple[str, ...]:
    rests = {"not_found": desk.corridor.absence_rests_on, "not_landed": desk.corridor.proof_rests_on}
    return rests.get(resolution, ())


def _certification(desk: Desk) -> str | None:
    """Return the digest of the newest certification of this venue that passed: of a trial network where live."""
    found = [one for one in desk.ledger.certifications() if one.venue == desk.corridor.venue and one.passed]
    own = [one for one in found if one.environment == desk.environment]
    newest = max(own or found, key=lambda one: one.certified_at, default=None)
    return None if newest is None else newest.record_sha256


def _headline(session: OpenedSession, verdict: Verdict) -> str:
    state = session.standing.state
    if session.unverified:
        return "The evidence of this session does not verify; what the venue shows is recorded, marked unverified."
    if verdict.resolution == "landed":
        return "Proven: the order landed."
    if verdict.resolution == "not_landed":
        return "Proven: the order never landed, and can not any more. Nothing was traded."
    if state == "not_found":
        return "Not found by the whole protocol. A person has to decide; nothing new is sent until then."
    if session.standing.unresolved:
        return "Still UNKNOWN: no proof yet. An order may exist; nothing new is sent for this account."
    return f"The session stands as {state}."


def _facts(desk: Desk, verdict: Verdict, *, unresolved: bool) -> tuple[Fact, ...]:
    if verdict.resolution == "not_landed":
        return (
            Fact(label="Proven by", value=", ".join(verdict.reasons)),
            Fact(label="Rests on", value=f"{', '.join(desk.corridor.proof_rests_on)} of the venue assumptions"),
            Fact(label="Certification", value=_certification(desk) or "none: run `quantlab certify` where no money is"),
        )
    if not unresolved:
        return ()
    facts = [Fact(label="Why", value=", ".join(verdict.reasons))]
    if verdict.earliest_next_at is not None:
        facts.append(Fact(label="Earliest useful look", value=f"{verdict.earliest_next_at} (venue's clock)"))
    return tuple(facts)


def _wait(desk: Desk, earliest: str | None, *, end_ns: int) -> None:
    """Wait until another look can help, in small steps: in rehearsal the venue's clock can be advanced meanwhile."""
    target: datetime | None = parse_rfc3339(earliest) if earliest else None
    while desk.clock.monotonic_ns() < end_ns:
        desk.clock.sleep_ms(POLL_MS)
        if target is None or desk.clock.now() >= target:
            return
