"""Submit a signed order: adopt the artifact into its one session, look once more, and send its bytes exactly once.

The bytes are those that were signed and no others; the ledger kept their digest. The reviewer who confirms on this line
approves them. Whichever copy is given, under whichever root, from however many processes: one request, ever. Running
it again prints what was recorded and sends nothing.

Needs: an artifact that is signed and has at least 20 s left. Makes: ``hyperliquid_signed_action`` (what was adopted),
``approval``, ``hyperliquid_submit_attempt``, ``hyperliquid_submit_response``, or ``hyperliquid_submit_denial``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.records import AdoptedAction, Approval, SubmitDenial
from quantlab.evidence.standing import Standing
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import Denied, Unverified
from quantlab.kernel.result import NextStep, Result
from quantlab.model.execution import PreparedSend
from quantlab.model.recorded import Check
from quantlab.rungs.adopting import SignedSource, adopted, read_signed
from quantlab.rungs.checks import one_check
from quantlab.rungs.claims import remember_intent
from quantlab.rungs.desk import Desk, required_text
from quantlab.rungs.outcomes import repeated_of, repeated_result
from quantlab.rungs.sendonce import Look, Send, send_once
from quantlab.storage.writer import SessionWriter
from quantlab.venues.effects import SignedEffects

TIME_LEFT_SECONDS: Final = 20


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The artifact (or the outdir or session that holds it), who sends it, and the root of the new session."""

    artifact: Path
    reviewer: str | None
    confirm: bool
    note: str | None
    root: Path


def run(desk: Desk, request: Request) -> Result:
    """Send a signed order once, or say why not, or repeat what was recorded of an earlier send.

    Raises:
        UsageFault: there is no such artifact. Nothing was sent.
        Denied: a flag or a name is missing, or it was not signed, has run out, or was revoked. Nothing was sent.
        Unverified: its bytes are not those that were signed. Nothing was sent.
        Busy: another process works on the session. Nothing was sent by this one.
        Unreadable: the venue could not be read. Nothing was sent.
    """
    reviewer = _confirmed(desk, request)
    source = read_signed(desk, request.artifact)
    sent = desk.ledger.sent(source.plan_sha256)
    if sent is not None:
        return repeated_of(desk, sent)
    desk.serve(account=source.plan.account_identity, signer=source.signed.signer_address)
    effects: SignedEffects = desk.side.effects(source.signed)
    _require_sendable(desk, source, effects)
    with adopted(desk, source, request.root) as writer:
        repeated = repeated_result(desk, writer)
        if repeated is not None:
            return repeated
        _require_waiting(desk.require_verified(writer.session), source)
        note = (request.note or "").strip()
        standing = _approve(desk, writer, source, reviewer=reviewer, note=note)
        return send_once(desk, writer, _send(standing, source, effects, reviewer=reviewer, note=note, desk=desk))


def _confirmed(desk: Desk, request: Request) -> str:
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message="A submit needs the name of the person who sends it. Nothing was sent.",
    )
    if not request.confirm:
        message = "A submit needs the confirm flag. Nothing was sent."
        raise Denied(message, code="confirm_required", measured="missing", limit="given")
    desk.environment  # noqa: B018 - refuses when none is set
    if desk.policy.require_signed_approvals:
        message = "The policy asks for signed approvals, and this version can not verify a signature. Nothing was sent."
        raise Denied(message, code="signature_required", measured="asserted name", limit="signature")
    return reviewer


def _require_sendable(desk: Desk, source: SignedSource, effects: SignedEffects) -> None:
    """Refuse what can be refused without asking anybody, before a session is made for it."""
    wrong = (
        *effects.signed_refusals(source.signed, source.plan),
        *effects.signed_refusals(source.burn, source.plan),
    )
    if wrong:
        message = f"The signature is not what it claims: {'; '.join(wrong)}. Nothing was sent."
        raise Unverified(message, code="signature_does_not_hold", measured=wrong[0], limit="the plan, signed")
    if source.signing.state != "signed":
        message = f"This signature was {source.signing.state}: it is not sent any more. Sign again if it is wanted."
        raise Denied(message, code="signed_action_ended", measured=source.signing.state, limit="signed")
    if desk.clock.now() > parse_rfc3339(source.signing.expires_at):
        raise Denied(
            "The signature has run out unsent, so the venue takes it no more. Nothing was sent.",
            code="signature_expired",
            measured=desk.now_text(),
            limit=source.signing.expires_at,
            next_step=NextStep(why="sign again; the same nonce is used", verb="sign", options=_again(source)),
        )


def _again(source: SignedSource) -> tuple[tuple[str, str | None], ...]:
    asked = source.body.asked
    return (
        ("symbol", asked.symbol),
        ("side", asked.side),
        ("quantity", asked.size_base),
        ("notional", asked.notional_quote),
        ("account-id", asked.account_label),
        ("signer", source.body.signer_id),
    )


def _require_waiting(standing: Standing, source: SignedSource) -> None:
    adopted_action = standing.signed
    if adopted_action is None or adopted_action.body.source_sha256 != source.sha256:
        message = "The session of this order holds another artifact. Nothing was sent."
        raise Unverified(message, code="signed_action_changed", measured=source.sha256, limit="the adopted one")
    if standing.state not in {"signed", "approved"}:
        message = f"The session of this order stands as {standing.state}. Nothing was sent."
        raise Denied(message, code="submit_not_allowed", measured=standing.state, limit="signed, approved")


def _approve(desk: Desk, writer: SessionWriter, source: SignedSource, *, reviewer: str, note: str) -> Standing:
    first = writer.chain.newest(AdoptedAction)
    desk.append(
        writer,
        Approval(
            plan_sha256=source.plan_sha256,
            validation_sha256=source.sha256 if first is None else first.sha256,
            reviewer=reviewer,
            note=note,
            basis="confirmed_at_submit",
            identity_proof="asserted_name",
            approved_at=desk.now_text(),
            expires_at=source.signing.expires_at,
        ),
        actor=reviewer,
    )
    remember_intent(desk, writer.session.folder, source.plan, expires_at=source.signing.expires_at)
    return desk.require_verified(writer.session)


def _send(
    standing: Standing, source: SignedSource, effects: SignedEffects, *, reviewer: str, note: str, desk: Desk
) -> Send:
    def own_checks(venue_at: datetime) -> tuple[Check, ...]:
        return (_time_left(source, venue_at), *_reviewer_checks(desk, source, reviewer))

    def denial(look: Look) -> SubmitDenial:
        return SubmitDenial(
            plan_sha256=source.plan_sha256,
            reviewer=reviewer,
            note=note,
            checks=look.checks,
            exchanges=look.exchanges,
        )

    def prepare(nonce: int, venue_now_at: datetime) -> PreparedSend:
        del venue_now_at
        if nonce != source.signed.nonce:
            message = "The ledger spent another nonce than the signed one. No byte was sent."
            raise Denied(message, code="nonce_differs", measured=str(nonce), limit=str(source.signed.nonce))
        return effects.prepare_submit_signed(source.signed)

    return Send(
        standing=standing,
        plan=source.plan,
        plan_sha256=source.plan_sha256,
        reviewer=reviewer,
        note=note,
        gate_sha256=None,
        reserved_nonce=source.signed.nonce,
        own_checks=own_checks,
        denial=denial,
        prepare=prepare,
        send=effects.submit,
    )


def _time_left(source: SignedSource, venue_at: datetime) -> Check:
    left = parse_rfc3339(source.signing.expires_at) - venue_at
    return one_check(
        "signature_time_left",
        left >= timedelta(seconds=TIME_LEFT_SECONDS),
        f"{left.total_seconds():.0f} s",
        f"{TIME_LEFT_SECONDS} s",
        "Too little time is left before the signature runs out. Let it run out, then sign again.",
    )


def _reviewer_checks(desk: Desk, source: SignedSource, reviewer: str) -> tuple[Check, ...]:
    if not desk.policy.require_distinct_reviewers:
        return ()
    return (
        one_check(
            "distinct_reviewers",
            reviewer != source.signed_by,
            reviewer,
            f"somebody other than {source.signed_by}",
            "The policy asks for a second person: whoever signed may not also submit.",
        ),
    )
