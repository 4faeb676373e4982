"""Every check once more on a frozen plan and today's market. Gate and submit share it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from quantlab.evidence.standing import Standing
from quantlab.model.order import intent_digest
from quantlab.model.recorded import Check
from quantlab.rungs.checks import (
    daily_checks,
    drift_check,
    halt_check,
    label_check,
    lifetime_check,
    money_checks,
    one_check,
    promotion_check,
    shape_checks,
    symbol_check,
    venue_checks,
)
from quantlab.rungs.claims import interlock_check, same_intent_check
from quantlab.rungs.desk import Desk, policy_unchanged
from quantlab.rungs.terms import Outlook, intent_of, terms_of_plan


def repeated_checks(desk: Desk, standing: Standing, outlook: Outlook, *, root: Path) -> tuple[Check, ...]:
    """Run every check again on a frozen plan and today's market; gate and submit share this.

    The declared notional is compared again only through the plan's own value; drift bounds how far it can move.
    """
    plan = standing.plan
    if plan is None:
        return (one_check("plan", False, "none", "a plan", "There is no plan in this session."),)
    intent = intent_of(plan)
    terms = terms_of_plan(plan, outlook.quote)
    own = plan.session_id
    identity = outlook.account.identity
    return (
        *venue_checks(desk, outlook),
        one_check(
            "account_identity",
            identity == plan.account_identity,
            identity,
            plan.account_identity,
            "The key in use belongs to another account than the one this order was validated for.",
        ),
        label_check(desk, label=plan.account_label, identity=identity),
        halt_check(desk, root),
        interlock_check(desk, identity, own_session=own),
        same_intent_check(desk, intent_digest(plan), own_session=own),
        policy_unchanged(desk, plan.policy_sha256),
        symbol_check(desk.policy, plan.symbol),
        *shape_checks(intent, outlook.instrument),
        drift_check(plan, outlook.quote, desk.policy),
        *money_checks(intent, terms, outlook, desk.policy),
        *daily_checks(desk, identity=identity, notional=Decimal(plan.notional_quote)),
        promotion_check(plan.promotion, desk.policy),
    )


def reviewer_checks(desk: Desk, standing: Standing, reviewer: str) -> tuple[Check, ...]:
    """Check that approval still stands and, where the policy says so, that maker is not checker."""
    approval = standing.approval
    if approval is None:
        return (one_check("approval_lifetime", False, "no approval", "an approval", "Nobody approved this session."),)
    checks = [
        lifetime_check(
            "approval_lifetime",
            expires_at=approval.body.expires_at,
            now=desk.clock.now(),
            what="approval",
        )
    ]
    if desk.policy.require_distinct_reviewers:
        checks.append(
            one_check(
                "distinct_reviewers",
                reviewer != approval.body.reviewer,
                reviewer,
                f"somebody other than {approval.body.reviewer}",
                "The policy asks for a second person: whoever approved may not also gate or submit.",
            )
        )
    return tuple(checks)
