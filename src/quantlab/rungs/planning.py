"""From what an operator asks for to the frozen plan and its first checks. Shared by the rungs that freeze a plan."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from quantlab.evidence.preparatory import Asked
from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.model.instrument import Instrument
from quantlab.model.order import OrderIntent, OrderType, Plan, Promotion, Side, intent_digest
from quantlab.model.recorded import Check
from quantlab.rungs import checks as rules
from quantlab.rungs.claims import interlock_check, same_intent_check
from quantlab.rungs.desk import Desk
from quantlab.rungs.terms import Outlook, Terms, worst_value_price
from quantlab.storage.reader import read_session


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order as asked for; sizes in base units, prices and notional in quote units."""

    symbol: str
    side: Side
    quantity: Decimal
    notional: Decimal
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    time_in_force: str | None = None
    post_only: bool = False
    reduce_only: bool = False
    source_paper_session: Path | None = None
    promotion_rationale: str | None = None


def intent_of_request(desk: Desk, request: OrderRequest, *, account_label: str) -> OrderIntent:
    """Return the parsed intent. Raises ``UsageFault`` when the venue can not carry such an order at all."""
    intent = OrderIntent(
        symbol=desk.reads.parse_symbol(request.symbol),
        side=request.side,
        size_base=request.quantity,
        notional_quote=request.notional,
        account_label=account_label,
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


def promotion_of(desk: Desk, request: OrderRequest) -> Promotion:
    """Return why the order deserves real money. Raises ``Denied`` for a paper session that can not be cited."""
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


def plan_of(
    desk: Desk,
    intent: OrderIntent,
    terms: Terms,
    outlook: Outlook,
    *,
    promotion: Promotion,
    identity: tuple[str, str],
) -> Plan:
    """Return the frozen plan. ``identity`` is the 128-bit intent id and the session id."""
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


def first_checks(
    desk: Desk, intent: OrderIntent, terms: Terms, outlook: Outlook, *, plan: Plan, root: Path
) -> tuple[Check, ...]:
    """Return every check of a plan about to be frozen, on today's market. The halt file stands beside ``root``."""
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


def asked_of(intent: OrderIntent) -> Asked:
    """Return what the operator typed, in the form that records keep."""
    return Asked(
        symbol=intent.symbol,
        side=intent.side,
        size_base=decimal_text(intent.size_base),
        notional_quote=decimal_text(intent.notional_quote),
        account_label=intent.account_label,
        order_type=intent.order_type,
        limit_price=None if intent.limit_price is None else decimal_text(intent.limit_price),
        time_in_force=intent.time_in_force,
        post_only=intent.post_only,
        reduce_only=intent.reduce_only,
    )


def _order_type(request: OrderRequest) -> OrderType | None:
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
