"""Sign: freeze the plan, reserve its nonce, and sign the order with the burn of that nonce. The point of no return.

Whoever holds the signed bytes can have the order executed until they expire, so everything is checked before: account
and signer, halt, interlock, same intent, symbol, size and price grid, collar, notional, margin, daily limits, the
venue's own rules, the client order id unused at the venue. Nonce, client order id and expiry are durable in the ledger
before the key is read. An artifact is written whatever the end is; only one that says ``signed`` can be submitted.

Needs: nothing. Makes: ``hyperliquid_signed_action`` in an outdir.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec

from quantlab.evidence.preparatory import AccountReadiness, SignedOrder
from quantlab.kernel.clock import rfc3339, to_ns
from quantlab.kernel.errors import QuantLabFault, UsageFault
from quantlab.kernel.ids import mint_intent_id, session_id_of
from quantlab.kernel.result import Fact, NextStep, Refusal, Result
from quantlab.model.execution import SignedAction
from quantlab.model.key_source import KeySource
from quantlab.model.order import OrderIntent, Plan, Promotion, intent_digest, plan_digest
from quantlab.model.recorded import Check
from quantlab.rungs import checks as rules
from quantlab.rungs.account_look import account_body, look_at_account, look_beside
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of
from quantlab.rungs.key_options import key_source_of
from quantlab.rungs.mending import mending_step
from quantlab.rungs.outdirs import outdir_session
from quantlab.rungs.planning import OrderRequest, asked_of, first_checks, intent_of_request, plan_of, promotion_of
from quantlab.rungs.sendonce import unused_check
from quantlab.rungs.terms import Outlook, read_outlook, terms_of
from quantlab.rungs.ticket import ticket_lines
from quantlab.storage.ledger import Signing, SigningRefusal
from quantlab.storage.writer import SessionWriter
from quantlab.venues.effects import SignedEffects
from quantlab.venues.port import VenueReadFailed

SHORTEST_LIFETIME_SECONDS: Final = 30
LONGEST_LIFETIME_SECONDS: Final = 900
NONCE_REUSE_SECONDS: Final = 86_400
CLIENT_ID_LOOKBACK: Final = timedelta(days=7)
_DEFINITE: Final = frozenset({"credentials_refused", "permission_denied", "not_known"})
_MISMATCH: Final = "signer_identity_mismatch"

SignatureState = Literal["signed", "pending_signer_backend", "signer_identity_mismatch"]


class Request(OrderRequest, frozen=True, kw_only=True):
    """What is asked for, for which account and signer (None: as the settings name them), and where the key is."""

    outdir: Path
    account: str | None = None
    signer: str | None = None
    private_key_env: str | None = None
    keystore: str | None = None
    keyring: str | None = None
    expires_after_seconds: int | None = None
    nonce: int | None = None


class _Draft(msgspec.Struct, kw_only=True):
    """What is known while the rung runs; becomes the record."""

    outcome: Literal["signed", "denied", "unreadable"] = "denied"
    signature_state: SignatureState = "pending_signer_backend"
    account: AccountReadiness | None = None
    plan: Plan | None = None
    nonce: int | None = None
    expires_at: datetime | None = None
    signed: SignedAction | None = None
    burn: SignedAction | None = None
    checks: tuple[Check, ...] = ()
    ticket: tuple[str, ...] = ()
    description: str | None = None
    errors: tuple[str, ...] = ()
    failure: Refusal | None = None
    live_outdir: str | None = None
    """Where the same order is signed already, where that is why this one is not."""

    def deny(self, code: str, message: str, *, measured: str | None = None, limit: str | None = None) -> None:
        self.outcome = "denied"
        self.failure = Refusal(code=code, message=message, measured=measured, limit=limit)


def run(desk: Desk, request: Request) -> Result:
    """Sign one order, or write why not.

    Raises:
        UsageFault: the order, an address or an option can not be understood; nothing was written.
        Denied: no environment, no account or no signer is named, or the outdir can not be used; nothing was written.
        Unverified: what stands in the outdir does not verify.
        StorageFault: the artifact could not be written. What was signed then exists nowhere.
    """
    source = key_source_of(request)
    lifetime_seconds = _lifetime(desk, request)
    desk.serve(account=request.account, signer=request.signer, key_source=source)
    signer = desk.reads.signer_id
    # A place that can not be one is a slip in the line, found before anything is asked or written.
    desk.side.key_present(source)
    intent = intent_of_request(desk, request, account_label=desk.side.account or "")
    promotion = promotion_of(desk, request)
    with outdir_session(desk, request.outdir) as writer:
        draft = _Draft()
        try:
            _examine(desk, request, intent, promotion, draft, writer=writer)
            if draft.failure is None and rules.all_passed(draft.checks) and draft.plan is not None:
                _sign(desk, request, draft, draft.plan, writer=writer, lifetime_seconds=lifetime_seconds)
        except VenueReadFailed as failure:
            draft.outcome = "denied" if failure.kind in _DEFINITE else "unreadable"
            draft.failure, draft.errors = failure.refusals[0], failure.errors
        return _record(desk, writer, request, intent, draft, signer=signer, source=source)


def _lifetime(desk: Desk, request: Request) -> int:
    asked = request.expires_after_seconds
    seconds = desk.policy.signed_action_lifetime_seconds if asked is None else asked
    if not SHORTEST_LIFETIME_SECONDS <= seconds <= LONGEST_LIFETIME_SECONDS:
        limit = f"{SHORTEST_LIFETIME_SECONDS} to {LONGEST_LIFETIME_SECONDS} s"
        message = f"A signature that lives {seconds} s is not made: {limit}. Nothing was written."
        raise UsageFault(message, code="lifetime", measured=f"{seconds} s", limit=limit)
    return seconds


def _examine(
    desk: Desk, request: Request, intent: OrderIntent, promotion: Promotion, draft: _Draft, *, writer: SessionWriter
) -> None:
    """Look at everything that can be looked at without the key, and freeze the plan."""
    if desk.reads.account_refusals():
        draft.account = account_body(desk, look_at_account(desk, funds=False))
        draft.checks = draft.account.checks
        return
    desk.progress(f"sign: asking {desk.corridor.venue} about {intent.symbol}, account and signer")
    outlook = _outlook(desk, intent, draft)
    if outlook is None:
        return
    terms = terms_of(intent, outlook.instrument, outlook.quote, desk.policy)
    plan = _plan(desk, intent, promotion, outlook=outlook)
    draft.plan, draft.ticket = plan, ticket_lines(plan, outlook.instrument)
    look = look_beside(desk, outlook, label=intent.account_label, intent=intent)
    answer = desk.reads.check_order(plan, deadline_at=outlook.time.venue_at)
    draft.description, draft.errors = answer.description, (*answer.errors, *answer.mismatches)
    wrong = "; ".join(draft.errors)
    root = Path(desk.corridor.default_root)
    draft.checks = (
        *first_checks(desk, intent, terms, outlook, plan=plan, root=root),
        rules.one_check(
            "venue_rules", answer.verdict == "accepted", wrong or answer.verdict, "accepted",
            "The market's own rules refuse this order.",
        ),
        unused_check(_orders_with(desk, plan, venue_at=outlook.time.venue_at)),
        *_nonce_checks(desk, request, plan),
    )  # fmt: skip
    draft.account = account_body(desk, look)


def _outlook(desk: Desk, intent: OrderIntent, draft: _Draft) -> Outlook | None:
    """Return what the venue says now; None, with the refusal in the draft, when the market is not open."""
    try:
        return read_outlook(desk, intent.symbol)
    except VenueReadFailed as failure:
        market = None if failure.kind != "bad_answer" else rules.market_check(desk.reads.read_instrument(intent.symbol))
        if market is None or market.passed:
            raise
        # A market that was closed has an empty book, which no read takes for a quote.
        draft.checks, draft.errors = (market,), failure.errors
        return None


def _orders_with(desk: Desk, plan: Plan, *, venue_at: datetime) -> int:
    """Return how many orders of the plan's client order id the venue shows."""
    cloid = plan.client_order_id
    open_orders = desk.reads.read_open_orders(client_order_id=cloid)
    closed = desk.reads.read_closed_orders(since=venue_at - CLIENT_ID_LOOKBACK, client_order_id=cloid)
    return len({one.venue_order_id for one in (*open_orders, *closed)})


def _plan(desk: Desk, intent: OrderIntent, promotion: Promotion, *, outlook: Outlook) -> Plan:
    terms = terms_of(intent, outlook.instrument, outlook.quote, desk.policy)
    label = f"{desk.corridor.venue} {intent.symbol} {intent.side}"

    def planned(intent_id: str) -> Plan:
        identity = (intent_id, session_id_of(intent_id, minted_at=desk.clock.now(), label=label))
        return plan_of(desk, intent, terms, outlook, promotion=promotion, identity=identity)

    plan = planned(mint_intent_id(desk.entropy))
    dead = _reusable(desk, plan)
    # Nonce and id of an order that was signed and never sent are used again: the venue admits at most one of the two.
    return plan if dead is None else planned(dead.client_order_id.removeprefix("0x"))


def _reusable(desk: Desk, plan: Plan) -> Signing | None:
    return desk.ledger.signings.reusable(intent_digest(plan), desk.reads.signer_id, oldest_nonce=_oldest_nonce(desk))


def _oldest_nonce(desk: Desk) -> int:
    """Return the nonce below which none is used again: it could leave the venue's window before the order does."""
    oldest = desk.clock.now() - timedelta(seconds=NONCE_REUSE_SECONDS)
    return to_ns(oldest) // desk.corridor.nonce_unit_ns


def _nonce_checks(desk: Desk, request: Request, plan: Plan) -> tuple[Check, ...]:
    if request.nonce is None:
        return ()
    dead = _reusable(desk, plan)
    known = "none" if dead is None else str(dead.nonce)
    message = "A nonce can only repeat the one reserved for the same order, signed before and never sent."
    return (rules.one_check("nonce_reserved", known == str(request.nonce), str(request.nonce), known, message),)


def _sign(
    desk: Desk, request: Request, draft: _Draft, plan: Plan, *, writer: SessionWriter, lifetime_seconds: int
) -> None:
    """Reserve nonce, id and expiry, then read the key and sign. Nothing is signed without the reservation."""
    source = desk.served.key_source
    if not desk.side.key_present(source):
        draft.deny(
            "signer_backend_missing",
            "There is no key to sign with: set the variable, or name a keystore file or a keyring entry.",
            measured=f"{source.kind} {source.name}: empty",
            limit="a private key",
        )
        return
    effects: SignedEffects = desk.side.effects()
    time = desk.reads.read_time()
    expires_at = _whole_millisecond(time.venue_at) + timedelta(seconds=lifetime_seconds)
    dead_after = time.venue_at - timedelta(seconds=desk.corridor.deadline_margin_seconds)
    reserved = desk.ledger.signings.reserve(
        _signing(desk, plan, outdir=request.outdir, expires_at=expires_at),
        live_after=rfc3339(dead_after),
        oldest_nonce=_oldest_nonce(desk),
    )
    if isinstance(reserved, SigningRefusal):
        draft.deny(reserved.code, _REFUSED_BY_LEDGER[reserved.code], measured=reserved.measured, limit=reserved.limit)
        draft.live_outdir = reserved.outdir
        return
    desk.progress("sign: nonce, client order id and expiry are reserved; reading the key")
    try:
        signed, burn = effects.sign_order_and_burn(plan, nonce=reserved.nonce, expires_at=expires_at)
    except QuantLabFault as fault:
        desk.ledger.signings.end(reserved.plan_sha256, "unsigned")
        draft.signature_state = "signer_identity_mismatch" if fault.code == _MISMATCH else "pending_signer_backend"
        draft.failure = fault.refusals[0]
        return
    draft.outcome, draft.signature_state = "signed", "signed"
    draft.nonce, draft.expires_at, draft.signed, draft.burn = reserved.nonce, expires_at, signed, burn


def _signing(desk: Desk, plan: Plan, *, outdir: Path, expires_at: datetime) -> Signing:
    return Signing(
        plan_sha256=plan_digest(plan),
        signer_id=desk.reads.signer_id,
        nonce=to_ns(desk.clock.now()) // desk.corridor.nonce_unit_ns,
        client_order_id=plan.client_order_id,
        intent_sha256=intent_digest(plan),
        account_key=desk.account_key(plan.account_identity),
        session_id=plan.session_id,
        outdir=str(outdir.absolute()),
        expires_at=rfc3339(expires_at),
        reserved_at=desk.now_text(),
    )


def _whole_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _record(
    desk: Desk,
    writer: SessionWriter,
    request: Request,
    intent: OrderIntent,
    draft: _Draft,
    *,
    signer: str,
    source: KeySource,
) -> Result:
    plan = draft.plan
    record = desk.append(
        writer,
        SignedOrder(
            signature_state=draft.signature_state,
            outcome=draft.outcome,
            readiness_allowed=draft.account is not None and draft.account.readiness_allowed,
            asked=asked_of(intent),
            plan=plan,
            signed_plan_sha256=plan_digest(plan) if plan else None,
            intent_sha256=intent_digest(plan) if plan else None,
            account=draft.account,
            key_source=f"{source.kind} {source.name}",
            signer_id=signer,
            nonce=None if draft.nonce is None else str(draft.nonce),
            expires_at=None if draft.expires_at is None else rfc3339(draft.expires_at),
            signed=draft.signed,
            burn=draft.burn,
            checks=draft.checks,
            venue_description=draft.description,
            venue_errors=draft.errors,
            ticket=draft.ticket,
            exchanges=desk.take_exchanges(),
        ),
    )
    if draft.signed is not None and record.body.signed_plan_sha256 is not None:
        desk.ledger.signings.note_signed(record.body.signed_plan_sha256, record.sha256)
    refusals = (*refusals_of(draft.checks), *((draft.failure,) if draft.failure else ()))
    result = desk.result(
        {"signed": "done", "denied": "denied"}.get(draft.outcome, "unreadable"),
        _HEADLINES[draft.outcome],
        data=record.body,
        facts=_facts(record.body),
        refusals=refusals,
        artifacts=artifact_paths(writer.session, record),
        next_hint=_next(desk, writer, draft, refusals),
    )
    return msgspec.structs.replace(result, session_id=plan.session_id if plan else None)


def _next(desk: Desk, writer: SessionWriter, draft: _Draft, refusals: tuple[Refusal, ...]) -> NextStep | None:
    name = f"{desk.corridor.names[SignedOrder]}.json"
    if draft.live_outdir is not None:
        why, artifact = "submit the one that is signed, once, or revoke it", Path(draft.live_outdir) / name
    elif draft.signed is None:
        identity = draft.plan.account_identity if draft.plan else None
        return mending_step(desk, refusals, writer.session, identity=identity)
    else:
        why, artifact = "inspect the artifact, then submit it once, before it runs out", writer.session.folder / name
    return NextStep(
        why=why,
        verb="submit",
        arguments=(str(artifact),),
        options=(("reviewer", "<reviewer>"), ("confirm", None)),
    )


def _facts(body: SignedOrder) -> tuple[Fact, ...]:
    facts = [Fact(label=label, value=value) for label, _, value in (line.partition(": ") for line in body.ticket)]
    facts.append(Fact(label="Signature", value=body.signature_state))
    facts.append(Fact(label="Signer", value=body.signer_id))
    if body.expires_at is not None:
        facts.append(Fact(label="Runs out at", value=f"{body.expires_at} (venue's clock)"))
    if body.nonce is not None:
        facts.append(Fact(label="Nonce", value=body.nonce))
    return tuple(facts)


_HEADLINES: Final = {
    "signed": "Signed. Nothing was sent; until it runs out these bytes can place the order, so guard the artifact.",
    "denied": "Not signed: see the refusals. Nothing was signed and nothing was sent.",
    "unreadable": "The venue gave no usable answer. Nothing was signed and nothing was sent.",
}
_REFUSED_BY_LEDGER: Final = {
    "halted": "The kill switch is set. Nothing was signed.",
    "interlock_held": "An earlier send of this account is unresolved: an order may exist. Nothing was signed.",
    "signed_action_live": (
        "The same order is signed already and that signature has not run out. Submit it, or revoke it; a second one "
        "is not made to see whether it lands."
    ),
}
