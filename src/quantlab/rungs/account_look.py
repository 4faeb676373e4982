"""Looking at a key and its account, for the two rungs that report on them. Reads only."""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import AccountReadiness
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
from quantlab.rungs.terms import read_outlook, terms_of, worst_value_price
from quantlab.venues.port import VenueReadFailed

DEFINITE = frozenset({"credentials_refused", "permission_denied", "not_known"})


class AccountLook(msgspec.Struct, kw_only=True):
    """What was found out about key and account; filled as far as the reads came."""

    checks: list[Check] = []
    account: AccountFacts | None = None
    label: str | None = None
    balances: tuple[Balance, ...] = ()
    open_orders: tuple[OrderReport, ...] = ()
    unreadable: bool = False


def look_at_account(
    desk: Desk, *, funds: bool, label: str | None = None, intent: OrderIntent | None = None
) -> AccountLook:
    """Read key and account, and check what the corridor needs of them; a failed read becomes a failed check."""
    look = AccountLook(label=label)
    reads = desk.reads
    try:
        time = reads.read_time()
        look.checks.extend((clock_check(desk, time), nonce_check(desk, time)))
        look.account = reads.read_account()
        look.checks.extend(key_checks(look.account))
        if label:
            look.checks.append(label_check(desk, label=label, identity=look.account.identity))
        look.checks.append(interlock_check(desk, look.account.identity, own_session=None))
        if funds:
            look.balances = reads.read_balances()
            look.open_orders = reads.read_open_orders()
        if intent is not None:
            _check_funds(desk, look, intent)
    except VenueReadFailed as failure:
        look.unreadable = failure.kind not in DEFINITE
        measured = "; ".join(failure.errors) or "failed"
        look.checks.append(one_check(failure.code, False, measured, "an answer", failure.message))
    return look


def write_account(desk: Desk, outdir: Path, look: AccountLook, *, name: str, schema: str) -> Result:
    """Write the record of a look and report it: exit 0 when ready, 1 when not, 7 when the venue was not read."""
    checks = tuple(look.checks)
    ready = all_passed(checks)
    with outdir_session(desk, outdir) as writer:
        record = writer.append(
            name,
            schema,
            AccountReadiness(
                readiness_allowed=ready,
                venue=desk.corridor.venue,
                account_identity=look.account.identity if look.account else None,
                account_label=look.label,
                permissions=look.account.permissions if look.account else (),
                balances=tuple(balance_evidence(one) for one in look.balances),
                open_orders=tuple(order_evidence(one) for one in look.open_orders),
                reasons=tuple(one.code for one in checks if not one.passed),
                checks=checks,
                exchanges=desk.take_exchanges(),
            ),
            actor=desk.settings.actor,
        )
        outcome = "done" if ready else ("unreadable" if look.unreadable else "denied")
        return desk.result(
            outcome,
            "Key and account are ready." if ready else "Not ready: see the refusals.",
            data=record.body,
            facts=_facts(look),
            refusals=refusals_of(checks),
            artifacts=artifact_paths(writer.session, record),
        )


def _check_funds(desk: Desk, look: AccountLook, intent: OrderIntent) -> None:
    outlook = read_outlook(desk, intent.symbol)
    terms = terms_of(intent, outlook.instrument, outlook.quote, desk.policy)
    price = worst_value_price(terms, buying=intent.side == "buy", policy=desk.policy)
    look.checks.append(funds_check(intent, notional=intent.size_base * price, outlook=outlook))


def _facts(look: AccountLook) -> tuple[Fact, ...]:
    if look.account is None:
        return ()
    facts = [
        Fact(label="Account", value=look.account.identity),
        Fact(label="Identity from", value=look.account.identity_source),
        Fact(label="Permissions", value=", ".join(look.account.permissions)),
        Fact(label="Nonce window", value=str(look.account.nonce_window)),
    ]
    facts.extend(Fact(label=one.asset, value=f"{one.total}, {one.available} available") for one in look.balances)
    facts.append(Fact(label="Open orders", value=str(len(look.open_orders))))
    return tuple(facts)
