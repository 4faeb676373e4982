"""Submit: send the approved order exactly once, and record what came of it.

In this order: the session's lock, the interlock, every check under both, then in one ledger transaction plan, client
order id and nonce are spent, then the attempt record is durable, then one request, then the outcome. No layer
retries. From the attempt on, anything but a definite answer is *unknown*: exit 4, look for proof, never send again.

Needs: an open gate. Makes: ``broker_submit_attempt``, ``broker_submit_response``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.chain import Record
from quantlab.evidence.records import Gate, Incident, Snapshot, SubmitAttempt, SubmitResponse
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.clock import rfc3339, to_ns
from quantlab.kernel.errors import Denied, QuantLabFault
from quantlab.kernel.result import NextStep, Result
from quantlab.model.execution import OrderReport, PreparedSend, SubmitAnswer, WireExchange
from quantlab.model.order import Plan
from quantlab.model.recorded import Check, OrderEvidence, balance_evidence, order_evidence
from quantlab.rungs import checks as rules
from quantlab.rungs.checks import all_passed, lifetime_check, one_check
from quantlab.rungs.claims import never_sent_body, settle
from quantlab.rungs.desk import Desk, refusals_of, required_text
from quantlab.rungs.mending import mending_step
from quantlab.rungs.outcomes import lost_outcome_result, outcome_result, repeated_result
from quantlab.rungs.recheck import repeated_checks, reviewer_checks
from quantlab.rungs.reviewing import require_state
from quantlab.rungs.sending import claim_account, ledger_checks, release, spend_of
from quantlab.rungs.terms import Outlook, read_outlook
from quantlab.storage.ledger import SpendRefusal
from quantlab.storage.reader import Session, read_session
from quantlab.storage.writer import SessionWriter
from quantlab.venues.effects import OrderEffects

ORDER_DEADLINE_SECONDS: Final = 10
CONTROL_LOOKBACK: Final = timedelta(days=7)
CONTROL_LONG_LOOKBACK: Final = timedelta(days=90)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, who sends it, and both confirmations."""

    session: Path
    reviewer: str | None
    confirm: bool
    live: bool
    note: str | None


_INTERRUPTED: Final = SubmitAnswer(
    outcome="unknown",
    venue_order_ids=(),
    description=None,
    errors=("interrupted by the operator while sending",),
    rule="interrupted",
    reached="bytes_sent",
)


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A gated session with what it takes to send it, and who sends it."""

    standing: Standing
    plan: Plan
    gate: Record[Gate]
    reviewer: str
    note: str


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """The last look before the send: checks, the account's snapshot, and every exchange it took."""

    outlook: Outlook
    checks: tuple[Check, ...]
    snapshot: Snapshot
    exchanges: tuple[WireExchange, ...]


def run(desk: Desk, request: Request) -> Result:
    """Send the order of a gated session once, or say why not, or repeat what was recorded of an earlier send.

    Raises:
        Denied: a flag, a name or a state is missing. Nothing was sent.
        Unverified: the evidence does not verify. Nothing was sent.
        Busy: another process works on the session. Nothing was sent by this one.
        Unreadable: the venue could not be read. Nothing was sent.
    """
    reviewer = _confirmed(request)
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(request.session, wait_ms=0) as writer:
        repeated = repeated_result(desk, writer)
        if repeated is not None:
            return repeated
        standing = desk.require_verified(writer.session)
        require_state(standing, writer.session, "submit")
        if standing.plan is None or standing.gate is None:
            message = "The gate is older than the bundle: pass it again. Nothing was sent."
            raise Denied(message, code="gate_outdated", session_id=writer.session.session_id)
        _require_original(desk, writer.session)
        ready = _Ready(
            standing=standing,
            plan=standing.plan,
            gate=standing.gate,
            reviewer=reviewer,
            note=(request.note or "").strip(),
        )
        return _send_once(desk, writer, ready)


def _confirmed(request: Request) -> str:
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message="A submit needs the name of the person who sends it. Nothing was sent.",
    )
    for given, code in ((request.confirm, "confirm_required"), (request.live, "live_required")):
        if not given:
            message = f"A submit needs the {code.removesuffix('_required')} flag. Nothing was sent."
            raise Denied(message, code=code, measured="missing", limit="given")
    return reviewer


def _require_original(desk: Desk, session: Session) -> None:
    """Check that this is no copy of a session that still stands where it was made: one walk, one folder."""
    head = desk.ledger.head(session.session_id)
    if head is None or Path(head.folder) == session.folder.absolute() or desk.disk.kind(Path(head.folder)) is None:
        return
    message = f"{session.folder} is a copy of {head.folder}. Submit there. Nothing was sent."
    step = NextStep(why="submit the session itself", verb="show", arguments=(head.folder,))
    raise Denied(
        message,
        code="session_is_a_copy",
        measured=str(session.folder.absolute()),
        limit=head.folder,
        next_step=step,
        session_id=session.session_id,
    )


def _send_once(desk: Desk, writer: SessionWriter, ready: _Ready) -> Result:
    plan = ready.plan
    effects: OrderEffects = desk.side.effects()
    claim_account(desk, writer, plan)
    spent = False
    try:
        look = _look(desk, writer, ready)
        if not all_passed(look.checks):
            return _refuse(desk, writer, ready, look)
        writer.reserve_outcome()
        desk.progress("submit: every check passed; taking the key's turn")
        with desk.turns.turn(desk.reads.signer_id):
            spend = spend_of(desk, writer, plan, floor=to_ns(desk.clock.now()))
            nonce = desk.ledger.spend(spend)
            if isinstance(nonce, SpendRefusal):
                return _spend_refused(desk, writer, nonce)
            spent = True
            return _attempt(desk, writer, ready, look=look, effects=effects, nonce=nonce)
    finally:
        if not spent:
            writer.free_reserve()
            release(desk, plan)


def _look(desk: Desk, writer: SessionWriter, ready: _Ready) -> _Look:
    plan = ready.plan
    desk.progress("submit: every check once more")
    outlook = read_outlook(desk, plan.symbol)
    reads = desk.reads
    open_orders = reads.read_open_orders()
    closed_orders = reads.read_closed_orders(since=outlook.time.venue_at - CONTROL_LOOKBACK)
    if not closed_orders:
        closed_orders = reads.read_closed_orders(since=outlook.time.venue_at - CONTROL_LONG_LOOKBACK)
    everything = (*open_orders, *closed_orders)
    same_id = [one for one in everything if one.client_order_id == plan.client_order_id]
    checks = (
        lifetime_check("gate_lifetime", expires_at=ready.gate.body.expires_at, now=desk.clock.now(), what="gate"),
        *reviewer_checks(desk, ready.standing, ready.reviewer),
        *ledger_checks(desk, writer),
        *repeated_checks(desk, ready.standing, outlook, root=writer.session.folder.parent),
        one_check(
            "client_order_id_unused",
            not same_id,
            f"{len(same_id)} orders" if same_id else "unused",
            "unused",
            "The venue shows an order with this client order id already.",
        ),
    )
    snapshot = Snapshot(
        balances=tuple(balance_evidence(one) for one in outlook.balances),
        open_orders=tuple(order_evidence(one) for one in open_orders),
        control_order=_control(closed_orders),
    )
    return _Look(outlook=outlook, checks=checks, snapshot=snapshot, exchanges=desk.take_exchanges())


def _control(closed_orders: tuple[OrderReport, ...]) -> OrderEvidence | None:
    dated = [(one.opened_at, one) for one in closed_orders if one.opened_at is not None]
    newest = max(dated, key=lambda pair: pair[0], default=None)
    return None if newest is None else order_evidence(newest[1])


def _refuse(desk: Desk, writer: SessionWriter, ready: _Ready, look: _Look) -> Result:
    body = msgspec.structs.replace(
        ready.gate.body,
        reviewer=ready.reviewer,
        note=f"refused at submit: {ready.note}".strip(),
        gate_allowed=False,
        checks=look.checks,
        exchanges=look.exchanges,
    )
    desk.append(writer, body, actor=body.reviewer)
    return desk.result(
        "denied",
        "Denied: a check refused at the last look. Nothing was sent; the gate is shut.",
        session=writer.session,
        data=body,
        refusals=refusals_of(look.checks),
        next_hint=mending_step(desk, refusals_of(look.checks), writer.session, identity=look.outlook.account.identity),
    )


def _spend_refused(desk: Desk, writer: SessionWriter, refusal: SpendRefusal) -> Result:
    check = one_check(
        refusal.code,
        False,
        refusal.measured,
        refusal.limit,
        "The ledger refused the send. Nothing was sent.",
    )
    return desk.result(
        "denied",
        "Denied by the ledger. Nothing was sent.",
        session=writer.session,
        refusals=refusals_of((check,)),
    )


def _attempt(
    desk: Desk, writer: SessionWriter, ready: _Ready, *, look: _Look, effects: OrderEffects, nonce: int
) -> Result:
    venue_now_at = desk.clock.now() + timedelta(milliseconds=look.outlook.time.offset_ms)
    deadline_at = venue_now_at + timedelta(seconds=ORDER_DEADLINE_SECONDS)
    attempt: Record[SubmitAttempt] | None = None
    try:
        prepared = effects.prepare_submit(ready.plan, nonce=nonce, deadline_at=deadline_at)
        _require_approved_bytes(ready.plan, prepared)
        body = _attempt_body(ready, look=look, prepared=prepared, venue_now_at=venue_now_at)
        attempt = desk.append(writer, body, actor=ready.reviewer)
        halt = rules.halt_reason(desk, writer.session.folder.parent)
        if halt is not None:
            return _never_sent(desk, writer, ready, message=f"Halted ({halt}): no byte was sent.")
        desk.progress("submit: the attempt is durable; sending once")
        answer = effects.submit(prepared, writer.receipt(attempt))
    except QuantLabFault as fault:
        # It comes from before the send: the sender itself never raises.
        return _never_sent(desk, writer, ready, message=fault.message)
    except KeyboardInterrupt:
        attempt = attempt or _attempt_on_disk(desk, writer)
        if attempt is None:
            raise
        answer = _INTERRUPTED
    return _conclude(desk, writer, attempt, answer)


def _attempt_on_disk(desk: Desk, writer: SessionWriter) -> Record[SubmitAttempt] | None:
    """Look at the disk itself: a write that was broken off may have made the attempt durable all the same."""
    writer.session = read_session(desk.disk, writer.session.folder)
    return writer.chain.newest(SubmitAttempt)


def _attempt_body(ready: _Ready, *, look: _Look, prepared: PreparedSend, venue_now_at: datetime) -> SubmitAttempt:
    plan, gate = ready.plan, ready.gate
    return SubmitAttempt(
        plan_sha256=gate.body.plan_sha256,
        plan=plan,
        gate_sha256=gate.sha256,
        reviewer=ready.reviewer,
        note=ready.note,
        account_identity=plan.account_identity,
        signer_id=prepared.signer_id,
        client_order_id=plan.client_order_id,
        nonce=prepared.nonce,
        venue_now_at=rfc3339(venue_now_at),
        deadline_at=prepared.deadline_at,
        clock_offset_ms=look.outlook.time.offset_ms,
        url=prepared.url,
        body_text=prepared.body_text,
        body_sha256=prepared.body_sha256,
        snapshot=look.snapshot,
        checks=look.checks,
        exchanges=look.exchanges,
    )


def _require_approved_bytes(plan: Plan, prepared: PreparedSend) -> None:
    if f"&{plan.order_text}&" not in prepared.body_text or "validate" in prepared.body_text:
        message = "The request to send is not the one that was approved. No byte was sent."
        raise Denied(message, code="bytes_differ_from_plan", measured=prepared.body_text, limit=plan.order_text)


def _never_sent(desk: Desk, writer: SessionWriter, ready: _Ready, *, message: str) -> Result:
    writer.free_reserve()
    attempt = _attempt_on_disk(desk, writer)
    body = never_sent_body(ready.gate.body.plan_sha256, message, attempt_sha256=attempt.sha256 if attempt else None)
    try:
        record = desk.append(writer, body)
    except QuantLabFault as fault:
        # The ledger can say it when the disk can not. An attempt without an outcome keeps the account all the
        # same: evidence reads it as unknown until the next command writes what the ledger remembers.
        desk.ledger.settle(body.plan_sha256, state="never_sent", resolution=None, free_interlock=attempt is None)
        return lost_outcome_result(desk, writer, body, fault.message, outcome="never_sent")
    settle(desk, standing_of(writer.session.chain))
    return outcome_result(desk, writer, record)


def _conclude(desk: Desk, writer: SessionWriter, attempt: Record[SubmitAttempt], answer: SubmitAnswer) -> Result:
    body = SubmitResponse(
        plan_sha256=attempt.body.plan_sha256,
        attempt_sha256=attempt.sha256,
        outcome=answer.outcome,
        venue_order_id=answer.venue_order_ids[0] if len(answer.venue_order_ids) == 1 else None,
        venue_description=answer.description,
        venue_errors=answer.errors,
        rule=answer.rule,
        reached=answer.reached,
        message=_MEANING[answer.outcome],
        exchanges=desk.take_exchanges(),
    )
    record: Record[SubmitResponse] | None = None
    try:
        writer.free_reserve()
        record = desk.append(writer, body)
        if answer.outcome == "accepted" and answer.errors:
            _note_difference(desk, writer, body)
        settle(desk, standing_of(writer.session.chain))
        return outcome_result(desk, writer, record)
    except (QuantLabFault, KeyboardInterrupt) as stop:
        # Something was sent: whatever stops us now, the operator is told what came of it.
        why = stop.message if isinstance(stop, QuantLabFault) else "Interrupted."
        if record is None:
            return lost_outcome_result(desk, writer, body, why, outcome="unknown")
        return outcome_result(desk, writer, record, warnings=(f"The outcome is recorded; then: {why}",))


def _note_difference(desk: Desk, writer: SessionWriter, body: SubmitResponse) -> None:
    desk.append(
        writer,
        Incident(
            plan_sha256=body.plan_sha256,
            code="venue_reads_another_order",
            message="The venue accepted the order but describes it differently from the plan.",
            details=body.venue_errors,
        ),
    )


_MEANING: Final[dict[str, str]] = {
    "accepted": "The venue accepted the order.",
    "rejected": "The venue refused the order: nothing was placed.",
    "unknown": "No proof either way: an order may exist. Reconcile; never send again.",
    "never_sent": "No byte of the request left this machine.",
}
