"""Validate: freeze the plan and let the venue check its shape without effect. The first record of a session.

Checks, in order: venue and market status, clock, key permissions, nonce, account label, halt, interlock, same
intent, symbol, size and price grid, collar, notional, funds, daily limits, promotion. Then the venue's own
validate-only answer. A session is written whatever the answer is, so that a refusal is evidence too.

Needs: nothing. Makes: ``broker_order_validate``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import Validation
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.kernel.ids import mint_intent_id, session_id_of
from quantlab.kernel.result import Fact, Refusal, Result
from quantlab.model.execution import DryCheck
from quantlab.model.order import OrderIntent, Plan, Promotion, intent_digest, plan_digest
from quantlab.model.recorded import Check
from quantlab.rungs import checks as rules
from quantlab.rungs.claims import (
    hold_for_incident,
    remember_intent,
)
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of
from quantlab.rungs.mending import mending_step
from quantlab.rungs.planning import OrderRequest, asked_of, first_checks, intent_of_request, plan_of, promotion_of
from quantlab.rungs.terms import read_outlook, terms_of
from quantlab.rungs.ticket import ticket_lines
from quantlab.venues.port import VenueReadFailed

DEFINITE_READ_FAILURES = frozenset({"not_known", "credentials_refused", "permission_denied"})
VALIDATE_DEADLINE_SECONDS = 10


class Request(OrderRequest, frozen=True, kw_only=True):
    """What the operator asks for, for which account, and the root that the new session goes to."""

    root: Path
    account_label: str


class _Draft(msgspec.Struct, kw_only=True):
    """What is known of the session while the rung runs; becomes the validation record."""

    outcome: str = "unreadable"
    checks: tuple[Check, ...] = ()
    plan: Plan | None = None
    description: str | None = None
    errors: tuple[str, ...] = ()
    ticket: tuple[str, ...] = ()
    failure: Refusal | None = None


def run(desk: Desk, request: Request) -> Result:
    """Validate one order and open its session.

    Raises:
        UsageFault: the order can not be understood; nothing was written.
        Denied: no environment, credentials or promotion; nothing was written.
    """
    intent = intent_of_request(desk, request, account_label=request.account_label)
    promotion = promotion_of(desk, request)
    intent_id = mint_intent_id(desk.entropy)
    session_id = session_id_of(
        intent_id, minted_at=desk.clock.now(), label=f"{desk.corridor.venue} {intent.symbol} {intent.side}"
    )
    desk.store.bind_root(request.root, environment=desk.environment)
    draft = _Draft()
    desk.progress(f"validate: asking {desk.corridor.venue} about {intent.symbol}")
    try:
        _examine(desk, intent, promotion, draft, identity=(intent_id, session_id), root=request.root)
    except VenueReadFailed as failure:
        draft.outcome = "denied" if failure.kind in DEFINITE_READ_FAILURES else "unreadable"
        draft.failure = failure.refusals[0]
        draft.errors = failure.errors
    return _record(desk, request, intent, draft, session_id)


def _examine(
    desk: Desk,
    intent: OrderIntent,
    promotion: Promotion,
    draft: _Draft,
    *,
    identity: tuple[str, str],
    root: Path,
) -> None:
    outlook = read_outlook(desk, intent.symbol)
    terms = terms_of(intent, outlook.instrument, outlook.quote, desk.policy)
    plan = plan_of(desk, intent, terms, outlook, promotion=promotion, identity=identity)
    draft.plan = plan
    draft.ticket = ticket_lines(plan, outlook.instrument)
    draft.checks = first_checks(desk, intent, terms, outlook, plan=plan, root=root)
    if not rules.all_passed(draft.checks):
        draft.outcome = "denied"
        return
    desk.progress("validate: the venue checks the order without effect")
    deadline_at = rules.expiry(outlook.time.venue_at, VALIDATE_DEADLINE_SECONDS)
    answer = desk.reads.check_order(plan, deadline_at=deadline_at)
    _take_answer(draft, answer)


def _take_answer(draft: _Draft, answer: DryCheck) -> None:
    outcomes = {
        "accepted": "accepted",
        "rejected": "rejected",
        "unreadable": "unreadable",
        "incident": "unknown",
    }
    draft.outcome = outcomes[answer.verdict]
    draft.description = answer.description
    draft.errors = (*answer.errors, *answer.mismatches)
    if answer.mismatches and answer.description is not None and answer.verdict in {"accepted", "unreadable"}:
        draft.outcome = "denied"
        draft.failure = Refusal(
            code="venue_reads_another_order",
            message="The venue read another order than the one that was asked for.",
            measured="; ".join(answer.mismatches),
            limit=draft.plan.order_text if draft.plan else None,
        )
    elif answer.verdict != "accepted":
        draft.failure = Refusal(
            code={
                "rejected": "venue_rejected",
                "unreadable": "venue_no_answer",
                "incident": "validate_incident",
            }[answer.verdict],
            message={
                "rejected": "The venue's validate-only check refused this order.",
                "unreadable": "The venue gave no usable answer to the validate-only check. No order was placed.",
                "incident": "The venue answered the validate-only check as if it had placed a real order.",
            }[answer.verdict],
            measured="; ".join(answer.errors) or answer.description,
            limit="accepted",
        )


def _record(desk: Desk, request: Request, intent: OrderIntent, draft: _Draft, session_id: str) -> Result:
    with desk.store.create(request.root, session_id, environment=desk.environment) as writer:
        record = desk.append(writer, _body(desk, intent, draft))
        if draft.outcome == "unknown":
            hold_for_incident(desk, writer, draft.plan, draft.errors)
        if draft.outcome == "accepted" and draft.plan is not None:
            window = desk.policy.same_intent_window_seconds
            expires_at = rfc3339(rules.expiry(parse_rfc3339(draft.plan.planned_at), window))
            remember_intent(desk, writer.session.folder, draft.plan, expires_at=expires_at)
        refusals = (*refusals_of(draft.checks), *((draft.failure,) if draft.failure else ()))
        outcome = {"accepted": "done", "unknown": "unknown", "rejected": "rejected", "denied": "denied"}.get(
            draft.outcome, "unreadable"
        )
        return desk.result(
            outcome,
            _headline(draft.outcome),
            session=writer.session,
            data=record.body,
            facts=tuple(
                Fact(label=label, value=value) for label, _, value in (line.partition(": ") for line in draft.ticket)
            ),
            refusals=refusals,
            artifacts=artifact_paths(writer.session, record),
            next_hint=mending_step(
                desk, refusals, writer.session, identity=draft.plan.account_identity if draft.plan else None
            ),
        )


def _body(desk: Desk, intent: OrderIntent, draft: _Draft) -> Validation:
    plan = draft.plan
    return Validation(
        outcome=draft.outcome,  # type: ignore[arg-type]
        asked=asked_of(intent),
        plan=plan,
        plan_sha256=plan_digest(plan) if plan else None,
        intent_sha256=intent_digest(plan) if plan else None,
        checks=draft.checks,
        venue_description=draft.description,
        venue_errors=draft.errors,
        ticket=draft.ticket,
        exchanges=desk.take_exchanges(),
    )


def _headline(outcome: str) -> str:
    return {
        "accepted": "Validated: the venue accepts this order's shape. Nothing was placed.",
        "denied": "Denied by a check of ours. Nothing was placed.",
        "rejected": "The venue rejected this order's shape. Nothing was placed.",
        "unknown": "UNKNOWN: the venue answered a validate-only request as if an order was placed.",
    }.get(outcome, "The venue gave no usable answer. Nothing was placed.")
