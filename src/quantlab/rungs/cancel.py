"""Cancel: an explicit, supervised request to end the order. Its own attempt and response records, every time.

It needs a status or reconcile record younger than the policy's bound, or a failed read inside that bound with a
stated reason. It works for an order known only by its client order id. It never ends an unknown, and "canceled"
comes only from an order read afterwards.

Needs: an attempt and a fresh look. Makes: ``broker_cancel_attempt``, ``broker_cancel_response``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from quantlab.evidence.chain import Record
from quantlab.evidence.records import CancelAttempt, CancelResponse, Reconciliation, StatusReport, Supervision
from quantlab.kernel import canonical
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import Busy, Denied, QuantLabFault
from quantlab.kernel.result import Fact, NextStep, Refusal, Result
from quantlab.model.execution import TERMINAL_STATES, CancelAnswer
from quantlab.model.recorded import OrderEvidence
from quantlab.rungs.desk import Desk, artifact_paths, findings_step, required_text
from quantlab.rungs.finding import read_known_order
from quantlab.rungs.key_options import KeyOptions, key_source_of
from quantlab.rungs.reading import OpenedSession, keep, opened, standing_facts
from quantlab.venues.effects import OrderEffects
from quantlab.venues.port import VenueReadFailed

READ_BACK_TRIES: Final = 3
READ_BACK_PAUSE_MS: Final = 500
_INTERRUPTED: Final = CancelAnswer(
    outcome="unknown",
    errors=("interrupted by the operator while sending",),
    rule="interrupted",
    reached="bytes_sent",
)


class Request(KeyOptions, frozen=True, kw_only=True):
    """The session, who cancels, their confirmation, why, and where the key is."""

    session: Path
    reviewer: str | None
    confirm: bool
    note: str | None


def run(desk: Desk, request: Request) -> Result:
    """Send one cancel request, then read the order back.

    Raises:
        Denied: a name, a confirmation or a fresh look is missing; nothing was sent.
        Busy: another process holds the session or the key.
    """
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message="A cancel needs the name of the person who orders it.",
    )
    if not request.confirm:
        message = "A cancel needs the confirm flag. Nothing was sent."
        raise Denied(message, code="confirm_required", measured="missing", limit="given")
    with opened(desk, request.session, key_source=key_source_of(request)) as session:
        basis = _require_fresh_look(desk, session, request)
        signed = session.standing.signed
        effects: OrderEffects = desk.side.effects(None if signed is None else signed.body.signed)
        attempt, answer = _send(desk, session, request, basis=basis, reviewer=reviewer, effects=effects)
        order, failure = _read_back(desk, session)
        body = CancelResponse(
            plan_sha256=session.sought.plan_sha256,
            cancel_attempt_sha256=attempt.sha256,
            outcome=answer.outcome,
            venue_errors=answer.errors,
            rule=answer.rule,
            reached=answer.reached,
            order=order,
            read_failure=failure,
            exchanges=desk.take_exchanges(),
        )
        try:
            record = keep(desk, session, body)
        except QuantLabFault as fault:
            return _lost(desk, session, body, fault)
        return _report(desk, session, record, answer)


def _lost(desk: Desk, session: OpenedSession, body: CancelResponse, fault: QuantLabFault) -> Result:
    """Return the result of a cancel whose answer could not be written: it was sent, so it is printed whole."""
    text = canonical.encode(body).decode()
    folder = str(session.writer.session.folder)
    return desk.result(
        "unknown",
        f"The cancel's answer could not be written ({fault.message}) Keep this text: {text}",
        session=session.writer.session,
        data=body,
        refusals=fault.refusals,
        next_hint=NextStep(why="prove the order's state by reading it", verb="status", arguments=(folder,)),
    )


def _require_fresh_look(desk: Desk, session: OpenedSession, request: Request) -> Record[Any]:
    bound = desk.policy.cancel_needs_status_younger_than_seconds
    chain = session.writer.session.chain
    looks: list[Record[Any]] = [
        *chain.all(StatusReport),
        *chain.all(Reconciliation),
        *chain.all(Supervision),
    ]
    newest = max(looks, key=lambda one: one.envelope.sequence, default=None)
    folder = str(session.writer.session.folder)
    step = NextStep(why="look at the order before canceling it", verb="status", arguments=(folder,))
    if newest is None:
        message = "Look at the order first: there is no status or reconciliation yet. Nothing was sent."
        raise Denied(
            message,
            code="cancel_needs_status",
            measured="none",
            limit=f"younger than {bound} s",
            next_step=step,
        )
    age_seconds = int((desk.clock.now() - parse_rfc3339(newest.envelope.recorded_at)).total_seconds())
    if age_seconds > bound:
        message = "The last look at the order is too old. Nothing was sent."
        raise Denied(
            message,
            code="cancel_needs_status",
            measured=f"{age_seconds} s old",
            limit=f"younger than {bound} s",
            next_step=step,
        )
    if _failed(newest) and not (request.note or "").strip():
        message = "The last look could not read the order: canceling now needs a stated reason. Nothing was sent."
        raise Denied(message, code="reason_required", measured="missing", limit="a note", next_step=step)
    return newest


def _failed(record: Record[Any]) -> bool:
    body = record.body
    if isinstance(body, Reconciliation):
        return any(not one.clean for one in body.passes)
    if isinstance(body, Supervision):
        return body.ended == "unreadable"
    return getattr(body, "read_failure", None) is not None


def _send(
    desk: Desk,
    session: OpenedSession,
    request: Request,
    *,
    basis: Record[Any],
    reviewer: str,
    effects: OrderEffects,
) -> tuple[Record[CancelAttempt], CancelAnswer]:
    venue_order_id = session.standing.venue_order_id
    writer = session.writer
    with desk.turns.turn(desk.reads.signer_id) as turn:
        prepared = effects.prepare_cancel(session.sought.plan, venue_order_id=venue_order_id, nonce=turn.next_nonce())
        writer.reserve_outcome()
        attempt = desk.append(
            writer,
            CancelAttempt(
                plan_sha256=session.sought.plan_sha256,
                attempt_sha256=session.sought.attempt_sha256,
                reviewer=reviewer,
                note=(request.note or "").strip(),
                basis_sha256=basis.sha256,
                venue_order_id=venue_order_id,
                client_order_id=session.sought.plan.client_order_id,
                nonce=prepared.nonce,
                signer_id=prepared.signer_id,
                url=prepared.url,
                body_text=prepared.body_text,
                body_sha256=prepared.body_sha256,
                unverified=session.unverified,
            ),
            actor=reviewer,
        )
        desk.progress("cancel: the attempt is durable; sending once")
        try:
            answer = effects.cancel(prepared, writer.receipt(attempt))
        except KeyboardInterrupt:
            answer = _INTERRUPTED
        finally:
            writer.free_reserve()
        return attempt, answer


def _read_back(desk: Desk, session: OpenedSession) -> tuple[OrderEvidence | None, str | None]:
    """Read the order until it shows an end, a few times: a cancel can be asynchronous at the venue."""
    order: OrderEvidence | None = None
    failure: str | None = None
    for number in range(READ_BACK_TRIES):
        try:
            if number:
                desk.clock.sleep_ms(READ_BACK_PAUSE_MS)
            order = read_known_order(desk, session.standing, session.sought) or order
            failure = None
        except (VenueReadFailed, Busy) as fault:
            failure = fault.message
            continue
        except KeyboardInterrupt:
            failure = "interrupted by the operator while reading the order back"
            break
        if order is not None and order.state in TERMINAL_STATES:
            break
    return order, failure


def _report(desk: Desk, session: OpenedSession, record: Record[CancelResponse], answer: CancelAnswer) -> Result:
    order = session.standing.order
    ended = order is not None and order.state in TERMINAL_STATES
    if session.unverified:
        outcome, headline = (
            "unverified",
            "The evidence does not verify; the cancel is recorded, marked unverified.",
        )
    elif ended and order is not None:
        outcome = "done"
        headline = f"The order has ended: {order.state}, {order.filled_base} of {order.size_base} filled."
    elif answer.outcome == "rejected" and not session.standing.unresolved:
        outcome, headline = (
            "rejected",
            "The venue refused the cancel; whether the order has ended is not proven.",
        )
    elif answer.outcome == "never_sent":
        outcome, headline = "unknown", "The cancel was not sent; the order stands as it was."
    else:
        outcome, headline = (
            "unknown",
            "Not proven: the order may still be open. Look again, then cancel again.",
        )
    folder = str(session.writer.session.folder)
    step = findings_step(session.writer.session.folder) if session.unverified else None
    if outcome in {"unknown", "rejected"}:
        verb = "reconcile" if session.standing.unresolved else "status"
        step = NextStep(why="prove the order's state by reading it", verb=verb, arguments=(folder,))
    return desk.result(
        outcome,
        headline,
        session=session.writer.session,
        data=record.body,
        facts=(*standing_facts(desk, session.standing), Fact(label="Cancel answer", value=answer.outcome)),
        refusals=tuple(
            Refusal(code=f"venue_{answer.outcome}", message=text, measured=text, limit=None) for text in answer.errors
        ),
        artifacts=artifact_paths(session.writer.session, record),
        next_hint=step,
    )
