"""The one send of an order, and what came of it. Shared by the rungs that submit; it sends only through them.

In this order: the interlock, every check under it and under the session's lock, then in one ledger transaction plan,
client order id and nonce are spent, then the attempt record is durable, then one request, then the outcome. No layer
retries. From the attempt on, anything but a definite answer is *unknown*: exit 4, look for proof, never send again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from quantlab.evidence.chain import Record
from quantlab.evidence.preparatory import Body
from quantlab.evidence.records import Incident, Snapshot, SubmitAttempt, SubmitResponse
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.clock import rfc3339, to_ns
from quantlab.kernel.errors import QuantLabFault
from quantlab.kernel.result import Result
from quantlab.model.execution import AttemptReceipt, OrderReport, PreparedSend, SubmitAnswer, WireExchange
from quantlab.model.order import Plan
from quantlab.model.recorded import Check, OrderEvidence, balance_evidence, order_evidence
from quantlab.rungs import checks as rules
from quantlab.rungs.checks import all_passed, one_check
from quantlab.rungs.claims import never_sent_body, settle
from quantlab.rungs.desk import Desk, refusals_of
from quantlab.rungs.mending import mending_step
from quantlab.rungs.outcomes import lost_outcome_result, outcome_result
from quantlab.rungs.recheck import repeated_checks
from quantlab.rungs.sending import claim_account, ledger_checks, release, spend_of
from quantlab.rungs.terms import Outlook, read_outlook
from quantlab.storage.ledger import SpendRefusal
from quantlab.storage.reader import read_session
from quantlab.storage.writer import SessionWriter

CONTROL_LOOKBACK: Final = timedelta(days=7)
CONTROL_LONG_LOOKBACK: Final = timedelta(days=90)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The last look before the send: checks, the account's snapshot, and every exchange it took."""

    outlook: Outlook
    checks: tuple[Check, ...]
    snapshot: Snapshot
    exchanges: tuple[WireExchange, ...]


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """One send: its plan, who sends it, and the steps that differ from venue to venue.

    ``reserved_nonce`` is set when the order was signed before. ``own_checks`` are the rung's further checks at the last
    look, told what the venue's clock says now. ``denial`` is the record of a last look that refused. ``prepare`` makes
    the exact bytes of a nonce at a venue time, ``send`` sends them once and tells what came back.
    """

    standing: Standing
    plan: Plan
    plan_sha256: str
    reviewer: str
    note: str
    gate_sha256: str | None
    reserved_nonce: int | None
    own_checks: Callable[[datetime], tuple[Check, ...]]
    denial: Callable[[Look], Body]
    prepare: Callable[[int, datetime], PreparedSend]
    send: Callable[[PreparedSend, AttemptReceipt], SubmitAnswer]


def send_once(desk: Desk, writer: SessionWriter, send: Send) -> Result:
    """Send the order once, or say why not.

    Raises:
        Denied: another session holds the account. Nothing was sent.
        Busy: another process holds the key. Nothing was sent.
        Unreadable: the venue could not be read. Nothing was sent.
    """
    claim_account(desk, writer, send.plan)
    spent = False
    try:
        look = _look(desk, writer, send)
        if not all_passed(look.checks):
            return _refuse(desk, writer, send, look)
        writer.reserve_outcome()
        desk.progress("submit: every check passed; taking the key's turn")
        with desk.turns.turn(desk.reads.signer_id):
            floor = to_ns(desk.clock.now()) // desk.corridor.nonce_unit_ns
            spend = spend_of(desk, writer, send.plan, floor=floor, reserved_nonce=send.reserved_nonce)
            nonce = desk.ledger.spend(spend)
            if isinstance(nonce, SpendRefusal):
                return _spend_refused(desk, writer, nonce)
            spent = True
            return _attempt(desk, writer, send, look=look, nonce=nonce)
    finally:
        if not spent:
            writer.free_reserve()
            release(desk, send.plan)


def _look(desk: Desk, writer: SessionWriter, send: Send) -> Look:
    plan = send.plan
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
        *send.own_checks(outlook.time.venue_at),
        *ledger_checks(desk, writer),
        *repeated_checks(desk, send.standing, outlook, root=writer.session.folder.parent),
        unused_check(len(same_id)),
    )
    snapshot = Snapshot(
        balances=tuple(balance_evidence(one) for one in outlook.balances),
        open_orders=tuple(order_evidence(one) for one in open_orders),
        control_order=_control(closed_orders),
    )
    return Look(outlook=outlook, checks=checks, snapshot=snapshot, exchanges=desk.take_exchanges())


def unused_check(count: int) -> Check:
    """Return the check that the venue shows no order with our client order id; ``count`` is how many it shows."""
    return one_check(
        "client_order_id_unused",
        count == 0,
        f"{count} orders" if count else "unused",
        "unused",
        "The venue shows an order with this client order id already.",
    )


def _control(closed_orders: tuple[OrderReport, ...]) -> OrderEvidence | None:
    dated = [(one.opened_at, one) for one in closed_orders if one.opened_at is not None]
    newest = max(dated, key=lambda pair: pair[0], default=None)
    return None if newest is None else order_evidence(newest[1])


def _refuse(desk: Desk, writer: SessionWriter, send: Send, look: Look) -> Result:
    refusals = refusals_of(look.checks)
    record = desk.append(writer, send.denial(look), actor=send.reviewer)
    return desk.result(
        "denied",
        "Denied: a check refused at the last look. Nothing was sent.",
        session=writer.session,
        data=record.body,
        refusals=refusals,
        next_hint=mending_step(desk, refusals, writer.session, identity=look.outlook.account.identity),
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


def _attempt(desk: Desk, writer: SessionWriter, send: Send, *, look: Look, nonce: int) -> Result:
    venue_now_at = desk.clock.now() + timedelta(milliseconds=look.outlook.time.offset_ms)
    attempt: Record[SubmitAttempt] | None = None
    try:
        prepared = send.prepare(nonce, venue_now_at)
        body = _attempt_body(send, look=look, prepared=prepared, venue_now_at=venue_now_at)
        attempt = desk.append(writer, body, actor=send.reviewer)
        halt = rules.halt_reason(desk, writer.session.folder.parent)
        if halt is not None:
            return _never_sent(desk, writer, send, message=f"Halted ({halt}): no byte was sent.")
        desk.progress("submit: the attempt is durable; sending once")
        receipt = writer.receipt(attempt)
    except QuantLabFault as fault:
        return _never_sent(desk, writer, send, message=fault.message)
    except KeyboardInterrupt:
        attempt = attempt or _attempt_on_disk(desk, writer)
        if attempt is None:
            raise
        return _conclude(desk, writer, attempt, _without_answer("interrupted", "interrupted by the operator"))
    return _conclude(desk, writer, attempt, _answer(send, prepared, receipt))


def _answer(send: Send, prepared: PreparedSend, receipt: AttemptReceipt) -> SubmitAnswer:
    """Send once. Whatever stops the sender from telling how it ended leaves the order unknown."""
    try:
        return send.send(prepared, receipt)
    except KeyboardInterrupt:
        return _without_answer("interrupted", "interrupted by the operator while sending")
    except QuantLabFault as fault:
        return _without_answer("sender_fault", fault.message)


def _without_answer(rule: str, error: str) -> SubmitAnswer:
    return SubmitAnswer(
        outcome="unknown", venue_order_ids=(), description=None, errors=(error,), rule=rule, reached="bytes_sent"
    )


def _attempt_on_disk(desk: Desk, writer: SessionWriter) -> Record[SubmitAttempt] | None:
    """Look at the disk itself: a write that was broken off may have made the attempt durable all the same."""
    writer.session = read_session(desk.disk, writer.session.folder)
    return writer.chain.newest(SubmitAttempt)


def _attempt_body(send: Send, *, look: Look, prepared: PreparedSend, venue_now_at: datetime) -> SubmitAttempt:
    plan = send.plan
    return SubmitAttempt(
        plan_sha256=send.plan_sha256,
        plan=plan,
        gate_sha256=send.gate_sha256,
        reviewer=send.reviewer,
        note=send.note,
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


def _never_sent(desk: Desk, writer: SessionWriter, send: Send, *, message: str) -> Result:
    writer.free_reserve()
    attempt = _attempt_on_disk(desk, writer)
    body = never_sent_body(send.plan_sha256, message, attempt_sha256=attempt.sha256 if attempt else None)
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
