"""Looking at a key and its account, for the two rungs that report on them. Reads only."""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.preparatory import AccountReadiness
from quantlab.kernel.result import Fact, Result
from quantlab.model.execution import AccountFacts, OrderReport
from quantlab.model.instrument import Balance
from quantlab.model.order import OrderIntent
from quantlab.model.recorded import Check, balance_evidence, order_evidence
from quantlab.rungs.checks import all_passed, clock_check, funds_check, label_check, nonce_check, one_check
from quantlab.rungs.checks import permission_checks as key_checks
from quantlab.rungs.claims import interlock_check
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of
from quantlab.rungs.outdirs import outdir_session
from quantlab.rungs.terms import Outlook, read_outlook, terms_of, worst_value_price
from quantlab.venues.port import VenueReadFailed

DEFINITE = frozenset({"credentials_refused", "permission_denied", "not_known"})


class AccountLook(msgspec.Struct, kw_only=True):
    """What was found out about key and account; filled as far as the reads came."""

    checks: list[Check] = []
    account: AccountFacts | None = None
    label: str | None = None
    balances: tuple[Balance, ...] = ()
    open_orders: tuple[OrderReport, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    unreadable: bool = False


def look_at_account(
    desk: Desk, *, funds: bool, label: str | None = None, intent: OrderIntent | None = None
) -> AccountLook:
    """Read key and account, and check what the corridor needs of them; a failed read becomes a failed check.

    An account that can never carry an order is refused before anybody is asked, and so is a missing input.
    """
    look = AccountLook(label=label)
    look.checks.extend(_standing_checks(desk))
    if look.checks:
        return look
    reads = desk.reads
    try:
        time = reads.read_time()
        look.checks.extend((clock_check(desk, time), nonce_check(desk, time)))
        look.account = account = reads.read_account()
        _check_account(desk, look, account)
        look.details = reads.read_account_details()
        if funds:
            look.balances = reads.read_balances()
            look.open_orders = reads.read_open_orders()
        if intent is not None:
            look.checks.append(_funds_of(desk, intent, read_outlook(desk, intent.symbol)))
    except VenueReadFailed as failure:
        look.unreadable = failure.kind not in DEFINITE
        measured = "; ".join(failure.errors) or "failed"
        look.checks.append(one_check(failure.code, False, measured, "an answer", failure.message))
    return look


def look_beside(desk: Desk, outlook: Outlook, *, label: str, intent: OrderIntent) -> AccountLook:
    """Return the same look from what was just read for an order, with the open orders read besides.

    Raises:
        VenueReadFailed: one of these reads gave no usable answer.
    """
    look = AccountLook(label=label, account=outlook.account, balances=outlook.balances)
    look.checks.extend((clock_check(desk, outlook.time), nonce_check(desk, outlook.time)))
    _check_account(desk, look, outlook.account)
    look.checks.append(_funds_of(desk, intent, outlook))
    look.open_orders = desk.reads.read_open_orders()
    return look


def _standing_checks(desk: Desk) -> tuple[Check, ...]:
    side = desk.side
    refused = tuple(
        one_check("account_unusable", False, side.account or "none", "an account of yours", one)
        for one in side.reads.account_refusals()
    )
    if refused or not side.missing:
        return refused
    missing = ", ".join(side.missing)
    message = f"The venue's credentials are missing: {missing}. Nothing was sent."
    return (one_check("credentials_missing", False, missing, "all present", message),)


def _check_account(desk: Desk, look: AccountLook, account: AccountFacts) -> None:
    look.checks.extend(key_checks(account))
    if look.label:
        look.checks.append(label_check(desk, label=look.label, identity=account.identity))
    look.checks.append(interlock_check(desk, account.identity, own_session=None))


def write_account(desk: Desk, outdir: Path, look: AccountLook, *, name: str, schema: str) -> Result:
    """Write the record of a look and report it: exit 0 when ready, 1 when not, 7 when the venue was not read."""
    checks = tuple(look.checks)
    ready = all_passed(checks)
    with outdir_session(desk, outdir) as writer:
        record = writer.append(name, schema, account_body(desk, look), actor=desk.settings.actor)
        outcome = "done" if ready else ("unreadable" if look.unreadable else "denied")
        return desk.result(
            outcome,
            "Key and account are ready." if ready else "Not ready: see the refusals.",
            data=record.body,
            facts=_facts(look),
            refusals=refusals_of(checks),
            artifacts=artifact_paths(writer.session, record),
        )


def account_body(desk: Desk, look: AccountLook) -> AccountReadiness:
    """Return the record of a look, with every exchange since the last record."""
    checks = tuple(look.checks)
    return AccountReadiness(
        readiness_allowed=all_passed(checks),
        venue=desk.corridor.venue,
        account_identity=look.account.identity if look.account else None,
        account_label=look.label,
        permissions=look.account.permissions if look.account else (),
        balances=tuple(balance_evidence(one) for one in look.balances),
        open_orders=tuple(order_evidence(one) for one in look.open_orders),
        reasons=tuple(one.code for one in checks if not one.passed),
        checks=checks,
        exchanges=desk.take_exchanges(),
        details=look.details,
    )


def _funds_of(desk: Desk, intent: OrderIntent, outlook: Outlook) -> Check:
    terms = terms_of(intent, outlook.instrument, outlook.quote, desk.policy)
    price = worst_value_price(terms, buying=intent.side == "buy", policy=desk.policy)
    return funds_check(intent, notional=intent.size_base * price, outlook=outlook)


def _facts(look: AccountLook) -> tuple[Fact, ...]:
    if look.account is None:
        return ()
    facts = [
        Fact(label="Account", value=look.account.identity),
        Fact(label="Identity from", value=look.account.identity_source),
    ]
    facts.extend(Fact(label=label[:1].upper() + label[1:], value=value) for label, value in look.details)
    facts.extend(Fact(label=one.asset, value=f"{one.total}, {one.available} available") for one in look.balances)
    facts.append(Fact(label="Open orders", value=str(len(look.open_orders))))
    return tuple(facts)
