"""Claims on an account: the interlock, who holds it, and how a claim that died is freed. Shared by the rungs."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from quantlab.evidence.records import Incident, SubmitResponse
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import QuantLabFault
from quantlab.model.lifecycle import VALIDATE_INCIDENT
from quantlab.model.order import Plan, intent_digest, plan_digest
from quantlab.model.recorded import Check
from quantlab.rungs.desk import Desk
from quantlab.storage.ledger import Interlock, LiveIntent, SendState, Sent, now_expired
from quantlab.storage.reader import read_session
from quantlab.storage.writer import SessionWriter

LATE_FIND: Final = "late_find"
FREED_BY_PERSON: Final = "interlock_freed_by_person"
_DID_NOT_LAND: Final = frozenset({"not_landed", "rejected", "never_sent", "decided_not_landed"})


def interlock_check(desk: Desk, identity: str, *, own_session: str | None) -> Check:
    """Return the check that no other session holds the account's interlock, freeing a claim that died.

    Side effects: a claim whose command died before its attempt was durable is freed and recorded.
    """
    key = desk.account_key(identity)
    holder = holder_of(desk, key)
    if holder is not None and holder.session_id != own_session and free_dead_claim(desk, holder):
        holder = holder_of(desk, key)
    free = holder is None or holder.session_id == own_session
    where = holder.folder if holder is not None else "free"
    return Check(
        code="interlock_held",
        passed=free,
        measured="free" if free else f"held by {where}",
        limit="free",
        message=(
            "An earlier send of this account is unresolved: an order may exist. Nothing new is validated, gated "
            f"or sent until it is resolved. Reconcile {where} first."
        ),
    )


def holder_of(desk: Desk, account_key: str) -> Interlock | None:
    """Return who holds an account's interlock."""
    return next((one for one in desk.ledger.interlocks() if one.account_key == account_key), None)


def free_dead_claim(desk: Desk, holder: Interlock) -> bool:
    """Free a claim whose command died before its attempt was durable: nothing was sent under it.

    Freed only when the session's lock is free, its evidence verifies and is the newest the ledger knows, and it
    holds no attempt. A missing, damaged or busy session keeps its interlock.

    Returns:
        True when the claim was freed.
    """
    folder = Path(holder.folder)
    try:
        read_session(desk.disk, folder)
        with desk.write(folder, wait_ms=0) as writer:
            return free_own_dead_claim(desk, writer, holder)
    except QuantLabFault:
        return False


def free_own_dead_claim(desk: Desk, writer: SessionWriter, holder: Interlock) -> bool:
    """Free a dead claim of the session that this writer holds; see :func:`free_dead_claim`."""
    session = writer.session
    if not session.verifies or session.empty:
        return False
    desk.require_newest(session)
    sent = desk.ledger.sent(holder.plan_sha256)
    if sent is not None and record_dead_send(desk, writer, sent):
        return True
    standing = standing_of(session.chain)
    if standing.unresolved:
        return False
    if sent is None:
        _record_incident(desk, writer, standing)
        desk.ledger.release_interlock(holder.account_key, holder.session_id)
        return True
    settle(desk, standing)
    return not _held_late(standing)


def record_dead_send(desk: Desk, writer: SessionWriter, sent: Sent) -> bool:
    """Record that a spent plan was never sent, where that is certain; return whether it was.

    Certain when no attempt became durable, or when the ledger remembers it of an attempt whose outcome the disk
    could not take.
    """
    standing = standing_of(writer.session.chain)
    attempt = standing.attempt
    if standing.response is not None or (attempt is not None and sent.state != "never_sent"):
        return False
    message = (
        "The command ended before its attempt was durable: no byte was sent."
        if attempt is None
        else "The ledger remembers that no byte was sent; the disk could not take it then."
    )
    body = never_sent_body(sent.plan_sha256, message, attempt_sha256=attempt.sha256 if attempt else None)
    desk.append(writer, body)
    settle(desk, standing_of(writer.session.chain))
    return True


def never_sent_body(plan_sha256: str, message: str, *, attempt_sha256: str | None = None) -> SubmitResponse:
    """Return the response record of a plan that was spent without a byte being sent."""
    return SubmitResponse(
        plan_sha256=plan_sha256,
        attempt_sha256=attempt_sha256,
        outcome="never_sent",
        venue_order_id=None,
        venue_description=None,
        venue_errors=(),
        rule="nothing_sent",
        reached="not_connected",
        message=message,
        exchanges=(),
    )


def settle(desk: Desk, standing: Standing) -> None:
    """Bring the ledger in line with what a session's records establish. Safe to repeat."""
    if standing.plan_sha256 is None or standing.plan is None:
        return
    states: dict[str, SendState] = {
        "accepted": "accepted",
        "rejected": "rejected",
        "never_sent": "never_sent",
    }
    outcome = standing.outcome or "unknown"
    late = _held_late(standing)
    desk.ledger.settle(
        standing.plan_sha256,
        state=states.get(outcome, "unknown"),
        resolution=standing.state if standing.resolution == "decided" else standing.resolution,
        free_interlock=not standing.unresolved and not late,
    )
    if late and desk.ledger.sent(standing.plan_sha256) is not None:
        desk.ledger.retake_interlock(standing.plan_sha256, claimed_at=desk.now_text())


def _held_late(standing: Standing) -> bool:
    """Return whether a late find keeps the account: it may mean two orders, and waits for a person."""
    codes = [one.body.code for one in standing.incidents if one.body.code in {LATE_FIND, FREED_BY_PERSON}]
    return bool(codes) and codes[-1] == LATE_FIND


def hold_for_incident(desk: Desk, writer: SessionWriter, plan: Plan | None, details: tuple[str, ...]) -> None:
    """Record that a validate-only request was answered with an order id, and hold the account for it."""
    if plan is None:
        return
    plan_sha256 = plan_digest(plan)
    desk.append(
        writer,
        Incident(
            plan_sha256=plan_sha256,
            code=VALIDATE_INCIDENT,
            message="The validate-only request was answered with an order id. A real order may exist.",
            details=details,
        ),
    )
    desk.ledger.claim_interlock(
        Interlock(
            account_key=desk.account_key(plan.account_identity),
            session_id=writer.session.session_id,
            folder=str(writer.session.folder.absolute()),
            plan_sha256=plan_sha256,
            claimed_at=desk.now_text(),
        )
    )


def remember_intent(desk: Desk, folder: Path, plan: Plan, *, expires_at: str) -> None:
    """Note in the ledger that a session of the plan's intent is live until ``expires_at`` (RFC 3339)."""
    desk.ledger.put_intent(
        LiveIntent(
            intent_sha256=intent_digest(plan),
            session_id=plan.session_id,
            folder=str(folder.absolute()),
            state="live",
            planned_at=plan.planned_at,
            expires_at=expires_at,
        )
    )


def same_intent_check(desk: Desk, intent_sha256: str, *, own_session: str | None) -> Check:
    """Return the check that no other session of the same intent is live, unresolved or landed in the window."""
    now = desk.clock.now()
    others = [
        one for one in desk.ledger.intents(intent_sha256) if one.session_id != own_session and one.state != "ended"
    ]
    blocking = next((one for one in others if _blocks(desk, one, now=now)), None)
    measured = f"{blocking.folder} ({blocking.state})" if blocking else "none"
    return Check(
        code="same_intent",
        passed=blocking is None,
        measured=measured,
        limit=f"none within {desk.policy.same_intent_window_seconds} s",
        message=(
            f"The same order has a session already: {measured}. If nothing was sent from it, go on with it or decline "
            "it first; if something was, it is not repeated within the window. Do not make a second order to try again."
        ),
    )


def _blocks(desk: Desk, other: LiveIntent, *, now: datetime) -> bool:
    if other.state in {"declined", "revoked"}:
        return False
    sent = next((one for one in desk.ledger.sends() if one.session_id == other.session_id), None)
    if sent is None:
        # A session whose folder is gone can not go on; a copy of it meets this same check before it is sent.
        gone = desk.disk.kind(Path(other.folder)) is None
        return other.state == "live" and not now_expired(other, now) and not gone
    if sent.state in {"rejected", "never_sent"} or sent.resolution in _DID_NOT_LAND:
        return False
    window = timedelta(seconds=desk.policy.same_intent_window_seconds)
    unresolved = sent.resolution in {None, "unknown", "not_found"} and sent.state != "accepted"
    return unresolved or now <= parse_rfc3339(sent.spent_at) + window


def _record_incident(desk: Desk, writer: SessionWriter, standing: Standing) -> None:
    desk.append(
        writer,
        Incident(
            plan_sha256=standing.plan_sha256,
            code="claim_freed",
            message="A submit command ended before it spent the plan: nothing was sent, its claim was freed.",
            details=(),
        ),
    )
