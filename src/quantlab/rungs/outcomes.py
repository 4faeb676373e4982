"""How the end of a send is told: first, repeated, or when the disk could not keep it. Shared; sends nothing."""

from __future__ import annotations

from pathlib import Path

from quantlab.evidence.chain import Record
from quantlab.evidence.records import SubmitResponse
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel import canonical
from quantlab.kernel.errors import QuantLabFault, StorageFault, UsageFault
from quantlab.kernel.result import Fact, NextStep, Refusal, Result
from quantlab.rungs.claims import free_own_dead_claim, holder_of, record_dead_send, settle
from quantlab.rungs.desk import Desk, artifact_paths, unverified
from quantlab.rungs.ladder import reconcile_step
from quantlab.storage.ledger import Sent
from quantlab.storage.reader import Session, read_session
from quantlab.storage.writer import SessionWriter

_HEADLINES = {
    "accepted": "Submitted once: the venue accepted the order.",
    "rejected": "The venue rejected the order. Nothing was placed.",
    "unknown": "UNKNOWN: an order may exist. Do not submit again; look for proof.",
    "never_sent": "Never sent: no byte of the order left this machine.",
}
_OUTCOMES = {"accepted": "done", "rejected": "rejected", "unknown": "unknown", "never_sent": "never_sent"}


def outcome_result(
    desk: Desk, writer: SessionWriter, record: Record[SubmitResponse], *, warnings: tuple[str, ...] = ()
) -> Result:
    """Return the result of a send that was just made and recorded."""
    body = record.body
    session = writer.session
    facts = [Fact(label="Outcome", value=body.outcome), Fact(label="Meaning", value=body.message)]
    if body.venue_order_id:
        facts.append(Fact(label="Venue order id", value=body.venue_order_id))
    if body.venue_description:
        facts.append(Fact(label="The venue says", value=body.venue_description))
    return desk.result(
        _OUTCOMES[body.outcome],
        _HEADLINES[body.outcome],
        session=session,
        data=body,
        facts=tuple(facts),
        refusals=_errors(body),
        artifacts=artifact_paths(session, record),
        warnings=warnings,
    )


def repeated_result(desk: Desk, writer: SessionWriter) -> Result | None:
    """Return what was recorded of an earlier send of this session's plan, or None when it was never spent.

    It works on the session itself and on any copy of it: the ledger knows the plan. Nothing is sent.

    Raises:
        Unverified: the session does not verify and nothing says what became of its plan.
    """
    session = writer.session
    if not session.verifies:
        raise unverified(session)
    standing = standing_of(session.chain)
    if standing.plan_sha256 is None:
        return None
    sent = desk.ledger.sent(standing.plan_sha256)
    if sent is None and standing.attempt is None and standing.response is None and not standing.unresolved:
        return None
    if sent is not None and _same_folder(sent, session):
        desk.require_newest(session)
        _free_if_dead(desk, writer, sent)
        standing = standing_of(writer.session.chain)
        settle(desk, standing)
        return _repeat(desk, writer.session, standing)
    original = _original(desk, sent) if sent is not None else None
    if original is not None:
        return _repeat(desk, original, standing_of(original.chain))
    if sent is not None and standing.attempt is None:
        return _from_ledger(desk, session, sent)
    return _repeat(desk, session, standing)


def repeated_of(desk: Desk, sent: Sent) -> Result:
    """Return what was recorded of a send, from the session that it was sent from, or else from the ledger.

    Raises:
        Busy: another process works on that session.
        Unverified: that session does not verify.
    """
    try:
        with desk.write(Path(sent.folder), wait_ms=0) as writer:
            result = repeated_result(desk, writer)
            if result is not None:
                return result
    except (UsageFault, StorageFault) as fault:
        desk.progress(fault.message)
    return _from_ledger(desk, None, sent)


def lost_outcome_result(desk: Desk, writer: SessionWriter, body: SubmitResponse, why: str, *, outcome: str) -> Result:
    """Return the result of a send whose outcome could not be written: it is printed whole, exit 4 if maybe sent."""
    text = canonical.encode(body).decode()
    return desk.result(
        outcome,
        f"The outcome could not be written ({why}) Keep this text: {text}",
        session=writer.session,
        data=body,
        refusals=(Refusal(code="outcome_not_written", message=why, measured=None, limit="a durable record"),),
        next_hint=reconcile_step(str(writer.session.folder)),
    )


def _repeat(desk: Desk, session: Session, standing: Standing) -> Result:
    outcome = standing.outcome or "unknown"
    facts = [
        Fact(label="First session", value=str(session.folder)),
        Fact(label="Recorded outcome", value=outcome),
        Fact(label="Resolution now", value=str(standing.resolution)),
        Fact(label="State", value=standing.state),
    ]
    if standing.venue_order_id:
        facts.append(Fact(label="Venue order id", value=standing.venue_order_id))
    if standing.unresolved:
        result, headline = (
            "unknown",
            "Sent before, and still UNKNOWN: an order may exist. Nothing was sent now.",
        )
    elif standing.resolution == "rejected":
        result, headline = "rejected", "Sent before: the venue rejected it. Nothing was sent now."
    elif standing.resolution == "never_sent":
        result, headline = "never_sent", "This plan was spent without being sent. Nothing was sent now."
    else:
        result, headline = "done", "Sent before. Nothing was sent now."
    return desk.result(
        result,
        headline,
        session=session,
        data=standing.response.body if standing.response else None,
        facts=tuple(facts),
        artifacts=artifact_paths(session, *((standing.response,) if standing.response else ())),
    )


def _from_ledger(desk: Desk, session: Session | None, sent: Sent) -> Result:
    known = sent.resolution or sent.state
    outcomes = {
        "accepted": "done",
        "landed": "done",
        "not_landed": "done",
        "decided_landed": "done",
        "decided_not_landed": "done",
        "rejected": "rejected",
        "never_sent": "never_sent",
    }
    return desk.result(
        outcomes.get(known, "unknown"),
        f"This plan was spent before, by {sent.folder}, which can not be read. Nothing was sent now.",
        session=session,
        facts=(
            Fact(label="First session", value=sent.folder),
            Fact(label="The ledger says", value=known),
            Fact(label="Spent at", value=sent.spent_at),
        ),
        next_hint=NextStep(
            why="look for proof with the session that was sent", verb="reconcile", arguments=(sent.folder,)
        ),
    )


def _free_if_dead(desk: Desk, writer: SessionWriter, sent: Sent) -> None:
    holder = holder_of(desk, sent.account_key)
    if holder is not None and holder.plan_sha256 == sent.plan_sha256:
        free_own_dead_claim(desk, writer, holder)
    else:
        record_dead_send(desk, writer, sent)


def _original(desk: Desk, sent: Sent) -> Session | None:
    try:
        session = read_session(desk.disk, Path(sent.folder))
    except QuantLabFault:
        return None
    standing = standing_of(session.chain)
    return session if session.verifies and standing.plan_sha256 == sent.plan_sha256 else None


def _same_folder(sent: Sent, session: Session) -> bool:
    return Path(sent.folder) == session.folder.absolute()


def _errors(body: SubmitResponse) -> tuple[Refusal, ...]:
    if body.outcome == "accepted":
        return ()
    return tuple(
        Refusal(code=f"venue_{body.outcome}", message=text, measured=text, limit=None) for text in body.venue_errors
    )
