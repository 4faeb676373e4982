"""Validate: freeze the plan and let the venue check its shape without effect. The first record of a session.

Checks, in order: venue and market status, clock, key permissions, nonce, account label, halt, interlock, same
intent, symbol, size and price grid, collar, notional, funds, daily limits, promotion. Then the venue's own
validate-only answer. A session is written whatever the answer is, so that a refusal is evidence too.

Needs: nothing. Makes: ``broker_order_validate``.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from quantlab.evidence.records import Asked, Validation
from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.kernel.ids import mint_intent_id, session_id_of
from quantlab.kernel.result import Fact, Refusal, Result
from quantlab.model.execution import DryCheck
from quantlab.model.instrument import Instrument
from quantlab.model.order import OrderIntent, OrderType, Plan, Promotion, Side, intent_digest, plan_digest
from quantlab.model.recorded import Check
from quantlab.rungs import checks as rules
from quantlab.rungs.claims import (
    hold_for_incident,
    interlock_check,
    remember_intent,
    same_intent_check,
)
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of
from quantlab.rungs.mending import mending_step
from quantlab.rungs.terms import Outlook, Terms, read_outlook, terms_of, worst_value_price
from quantlab.rungs.ticket import ticket_lines
from quantlab.storage.reader import read_session
from quantlab.venues.port import VenueReadFailed

DEFINITE_READ_FAILURES = frozenset({"not_known", "credentials_refused", "permission_denied"})
VALIDATE_DEADLINE_SECONDS = 10


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator asks for; sizes in base units, prices and notional in quote units."""

    root: Path
    symbol: str
    side: Side
    quantity: Decimal
    notional: Decimal
    account_label: str
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    time_in_force: str | None = None
    post_only: bool = False
    reduce_only: bool = False
    source_paper_session: Path | None = None
    promotion_rationale: str | None = None


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
    intent = _intent(desk, request)
    promotion = _promotion(desk, request)
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


def _intent(desk: Desk, request: Request) -> OrderIntent:
    intent = OrderIntent(
        symbol=desk.reads.parse_symbol(request.symbol),
        side=request.side,
        size_base=request.quantity,
        notional_quote=request.notional,
        account_label=request.account_label,
        order_type=_order_type(request),
        limit_price=request.limit_price,
        time_in_force="ioc" if request.time_in_force == "ioc" else ("gtc" if request.time_in_force else None),
        post_only=request.post_only,
        reduce_only=request.reduce_only,
    )
    problems = (*_contradictions(intent), *desk.reads.order_shape_refusals(intent))
    if problems:
        raise UsageFault(f"{problems[0]} Nothing was written or sent.", code="order_shape", measured=problems[0])
    return intent


def _order_type(request: Request) -> OrderType | None:
    if request.order_type is None and request.limit_price is not None:
        return "limit"
    return request.order_type


def _contradictions(intent: OrderIntent) -> tuple[str, ...]:
    problems = []
    if intent.order_type == "market" and intent.limit_price is not None:
        problems.append("A market order takes no limit price.")
    if intent.order_type == "market" and intent.time_in_force == "gtc":
        problems.append("A market order can not be good-till-canceled.")
    if intent.order_type == "limit" and intent.limit_price is None:
        problems.append("A limit order needs a limit price.")
    if intent.order_type is None and intent.time_in_force == "gtc":
        problems.append("A good-till-canceled order needs a limit price.")
    if intent.post_only and (intent.limit_price is None or intent.time_in_force == "ioc"):
        problems.append("Post-only needs a limit price and can not be immediate-or-cancel.")
    return tuple(problems)


def _promotion(desk: Desk, request: Request) -> Promotion:
    if request.source_paper_session is not None:
        session = read_session(desk.disk, request.source_paper_session)
        promotions = [record for record in session.chain.records if record.name == "promotion"]
        if not session.verifies or not promotions:
            message = (
                f"{request.source_paper_session} holds no promotion that verifies, so it can not be cited. "
                "Nothing was written or sent."
            )
            raise Denied(message, code="paper_session_not_promoted", measured=str(request.source_paper_session))
        return Promotion(
            source="paper_session", paper_session=session.session_id, promotion_sha256=promotions[-1].sha256
        )
    rationale = (request.promotion_rationale or "").strip()
    return Promotion(source="rationale", rationale=rationale) if rationale else Promotion(source="none")


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
    plan = _plan(desk, intent, terms, outlook, promotion=promotion, identity=identity)
    draft.plan = plan
    draft.ticket = ticket_lines(plan, outlook.instrument)
    draft.checks = _checks(desk, intent, terms, outlook, plan=plan, root=root)
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


def _plan(
    desk: Desk,
    intent: OrderIntent,
    terms: Terms,
    outlook: Outlook,
    *,
    promotion: Promotion,
    identity: tuple[str, str],
) -> Plan:
    intent_id, session_id = identity
    instrument: Instrument = outlook.instrument
    plan = Plan(
        venue=desk.corridor.venue,
        environment=desk.environment,  # type: ignore[arg-type]
        account_identity=outlook.account.identity,
        account_label=intent.account_label,
        symbol=intent.symbol,
        venue_symbol=instrument.venue_symbol,
        venue_symbol_aliases=instrument.venue_symbol_aliases,
        side=intent.side,
        order_type=terms.order_type,
        size_base=decimal_text(intent.size_base),
        limit_price=None if terms.limit_price is None else decimal_text(terms.limit_price),
        worst_price=None if terms.worst_price is None else decimal_text(terms.worst_price),
        time_in_force=terms.time_in_force,
        post_only=intent.post_only,
        reduce_only=intent.reduce_only,
        notional_quote=decimal_text(
            intent.size_base * worst_value_price(terms, buying=intent.side == "buy", policy=desk.policy)
        ),
        reference_price=decimal_text(terms.reference),
        client_order_id=desk.reads.client_order_id_of(intent_id),
        session_id=session_id,
        order_text="",
        policy_sha256=desk.settings.policy_sha256,
        promotion=promotion,
        planned_at=desk.now_text(),
    )
    return msgspec.structs.replace(plan, order_text=desk.reads.freeze_order_text(plan))


def _checks(
    desk: Desk, intent: OrderIntent, terms: Terms, outlook: Outlook, *, plan: Plan, root: Path
) -> tuple[Check, ...]:
    identity = outlook.account.identity
    return (
        *rules.venue_checks(desk, outlook),
        rules.label_check(desk, label=intent.account_label, identity=identity),
        rules.halt_check(desk, root),
        interlock_check(desk, identity, own_session=None),
        same_intent_check(desk, intent_digest(plan), own_session=None),
        rules.symbol_check(desk.policy, intent.symbol),
        *rules.shape_checks(intent, outlook.instrument),
        rules.collar_check(terms, buying=intent.side == "buy", policy=desk.policy),
        *rules.money_checks(intent, terms, outlook, desk.policy),
        *rules.daily_checks(desk, identity=identity, notional=Decimal(plan.notional_quote)),
        rules.promotion_check(plan.promotion, desk.policy),
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
        asked=Asked(
            symbol=intent.symbol,
            side=intent.side,
            size_base=decimal_text(intent.size_base),
            notional_quote=decimal_text(intent.notional_quote),
            account_label=intent.account_label,
            order_type=intent.order_type,
            limit_price=None if intent.limit_price is None else decimal_text(intent.limit_price),
            time_in_force=intent.time_in_force,
            post_only=intent.post_only,
        ),
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
