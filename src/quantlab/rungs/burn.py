"""Burn: use up the nonce of a signed order with the action prepared for it when it was signed. No key is needed.

It stops an order that is still in flight, and what the venue answers proves whether the order was ever admitted. It
never places, changes or cancels an order. Of an order that was not sent yet it is the revocation: the artifact is
adopted into its session, revoked, and its nonce burned, unless the signature has run out anyway.

Needs: a signed order. Makes: ``revocation`` when revoking, ``hyperliquid_burn_attempt``,
``hyperliquid_burn_response``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.chain import Record
from quantlab.evidence.records import AdoptedAction, BurnAttempt, BurnResponse, Revocation
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel import canonical
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.kernel.errors import Denied, QuantLabFault
from quantlab.kernel.result import Fact, NextStep, Refusal, Result
from quantlab.model.execution import BurnAnswer
from quantlab.rungs.adopting import adopted, read_signed
from quantlab.rungs.claims import settle
from quantlab.rungs.desk import Desk, artifact_paths, findings_step, required_text, unverified
from quantlab.rungs.ladder import reconcile_step
from quantlab.storage.ledger import Interlock
from quantlab.storage.reader import read_session
from quantlab.storage.writer import SessionWriter
from quantlab.venues.effects import SignedEffects
from quantlab.venues.port import VenueReadFailed

_INTERRUPTED: Final = BurnAnswer(
    outcome="unknown",
    nonce_was="nothing",
    errors=("interrupted by the operator while sending",),
    rule="interrupted",
    reached="bytes_sent",
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, or the artifact that was never sent; who burns and why. ``revoke``: take an unsent order back."""

    session: Path
    reviewer: str | None
    confirm: bool
    note: str | None
    root: Path
    revoke: bool = False


def run(desk: Desk, request: Request) -> Result:
    """Send the burn once and record what it proves.

    Raises:
        Denied: a name or a confirmation is missing, there is no signed order, or it is proven already. Nothing was
            sent.
        Busy: another process holds the session. Nothing was sent.
        Unverified: the artifact is not the one that was signed. Nothing was sent.
    """
    reviewer, note = _confirmed(request)
    desk.environment  # noqa: B018 - refuses when none is set
    with _opened(desk, request) as writer:
        standing = standing_of(writer.session.chain)
        signed = _require_signed(standing, writer)
        if writer.trusted:
            _trust(desk, writer)
        if request.revoke:
            _require_unsent(standing, writer)
        _require_useful(standing, writer)
        body = signed.body
        desk.serve(account=body.plan.account_identity, signer=body.signed.signer_address)
        if request.revoke:
            is_over = _revoke(desk, writer, signed, reviewer=reviewer, note=note)
            if is_over:
                return _revoked(desk, writer, reviewer)
        if standing.attempt is None:
            _hold(desk, writer, signed)
        effects: SignedEffects = desk.side.effects(body.signed)
        attempt, answer = _send(desk, writer, signed, reviewer=reviewer, note=note, effects=effects)
        return _conclude(desk, writer, attempt, answer)


def _confirmed(request: Request) -> tuple[str, str]:
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message=f"Say who {'revokes' if request.revoke else 'burns'}: a reviewer is needed. Nothing was sent.",
    )
    note = (request.note or "").strip()
    if request.revoke:
        note = required_text(request.note, code="reason_required", message="Say why: a reason is recorded with it.")
    elif not request.confirm:
        message = "A burn needs the confirm flag. Nothing was sent."
        raise Denied(message, code="confirm_required", measured="missing", limit="given")
    return reviewer, note


@contextlib.contextmanager
def _opened(desk: Desk, request: Request) -> Iterator[SessionWriter]:
    """Hold the session given, or the one that the artifact given is adopted into."""
    folder = request.session
    if desk.disk.kind(folder) == "folder" and desk.disk.kind(folder / _artifact_name(desk)) is not None:
        session = read_session(desk.disk, folder, expect_id_of_folder=False)
        if session.chain.newest(AdoptedAction) is None:
            folder = folder / _artifact_name(desk)
    if desk.disk.kind(folder) == "folder":
        with desk.write(folder) as writer:
            yield writer
        return
    source = read_signed(desk, folder)
    sent = desk.ledger.sent(source.plan_sha256)
    if sent is not None:
        with desk.write(Path(sent.folder)) as writer:
            yield writer
        return
    with adopted(desk, source, request.root) as writer:
        yield writer


def _artifact_name(desk: Desk) -> str:
    return f"{desk.corridor.names[AdoptedAction]}.json"


def _require_signed(standing: Standing, writer: SessionWriter) -> Record[AdoptedAction]:
    if standing.signed is None:
        if not writer.session.verifies:
            raise unverified(writer.session)
        message = f"{writer.session.folder} holds no signed order, so there is no nonce to burn. Nothing was sent."
        raise Denied(message, code="nothing_signed", session_id=writer.session.session_id)
    return standing.signed


def _trust(desk: Desk, writer: SessionWriter) -> None:
    try:
        desk.require_newest(writer.session)
    except QuantLabFault as fault:
        # A burn is never blocked: it can not do harm, and it may be needed most where evidence is damaged.
        writer.trusted = False
        desk.progress(fault.message)


def _require_unsent(standing: Standing, writer: SessionWriter) -> None:
    if standing.attempt is None and standing.response is None:
        return
    message = (
        f"This order was sent (state {standing.state}), so there is nothing to revoke: burn its nonce, or cancel it."
    )
    raise Denied(
        message,
        code="revoke_not_allowed",
        measured=standing.state,
        limit="nothing sent",
        next_step=reconcile_step(str(writer.session.folder), why="find out what became of it"),
        session_id=writer.session.session_id,
    )


def _require_useful(standing: Standing, writer: SessionWriter) -> None:
    """Refuse a burn that can prove and prevent nothing: the order's end, or its absence, is proven already."""
    resolution = standing.resolution
    if resolution not in {"landed", "rejected", "not_landed"}:
        return
    message = f"The session stands as {standing.state}, which is proven: a burn adds nothing. Nothing was sent."
    raise Denied(
        message,
        code="burn_not_needed",
        measured=standing.state,
        limit="an unknown",
        session_id=writer.session.session_id,
    )


def _revoke(desk: Desk, writer: SessionWriter, signed: Record[AdoptedAction], *, reviewer: str, note: str) -> bool:
    """Record the revocation, so that no copy is submitted any more; return whether the signature is dead by itself."""
    plan_sha256 = signed.body.plan_sha256
    desk.ledger.signings.end(plan_sha256, "revoked")
    desk.ledger.end_intent(writer.session.session_id, state="revoked")
    if writer.chain.newest(Revocation) is None:
        body = Revocation(plan_sha256=plan_sha256, approval_sha256=signed.sha256, reviewer=reviewer, note=note)
        desk.append(writer, body, actor=reviewer)
    margin = timedelta(seconds=desk.corridor.deadline_margin_seconds)
    try:
        return desk.reads.read_time().venue_at > parse_rfc3339(signed.body.expires_at) + margin
    except VenueReadFailed:
        return False


def _hold(desk: Desk, writer: SessionWriter, signed: Record[AdoptedAction]) -> None:
    """Hold the account while the burn is in doubt: the signed bytes could still run. An account held stays so."""
    plan = signed.body.plan
    desk.ledger.claim_interlock(
        Interlock(
            account_key=desk.account_key(plan.account_identity),
            session_id=plan.session_id,
            folder=str(writer.session.folder.absolute()),
            plan_sha256=signed.body.plan_sha256,
            claimed_at=desk.now_text(),
        )
    )


def _send(
    desk: Desk,
    writer: SessionWriter,
    signed: Record[AdoptedAction],
    *,
    reviewer: str,
    note: str,
    effects: SignedEffects,
) -> tuple[Record[BurnAttempt], BurnAnswer]:
    prepared = effects.prepare_burn(signed.body.burn)
    writer.reserve_outcome()
    attempt = desk.append(
        writer,
        BurnAttempt(
            plan_sha256=signed.body.plan_sha256,
            action_sha256=signed.sha256,
            reviewer=reviewer,
            note=note,
            nonce=prepared.nonce,
            signer_id=prepared.signer_id,
            url=prepared.url,
            body_text=prepared.body_text,
            body_sha256=prepared.body_sha256,
            unverified=not writer.trusted,
        ),
        actor=reviewer,
    )
    desk.progress("burn: the attempt is durable; sending once")
    try:
        answer = effects.burn(prepared, writer.receipt(attempt))
    except KeyboardInterrupt:
        answer = _INTERRUPTED
    finally:
        writer.free_reserve()
    return attempt, answer


def _conclude(desk: Desk, writer: SessionWriter, attempt: Record[BurnAttempt], answer: BurnAnswer) -> Result:
    body = BurnResponse(
        plan_sha256=attempt.body.plan_sha256,
        burn_attempt_sha256=attempt.sha256,
        outcome=answer.outcome,
        nonce_was=answer.nonce_was,
        venue_errors=answer.errors,
        rule=answer.rule,
        reached=answer.reached,
        venue_at=rfc3339(_venue_now(desk)),
        exchanges=desk.take_exchanges(),
    )
    folder = str(writer.session.folder)
    try:
        record = desk.append(writer, body)
    except QuantLabFault as fault:
        text = canonical.encode(body).decode()
        return desk.result(
            "unknown",
            f"The burn's answer could not be written ({fault.message}) Keep this text: {text}",
            session=writer.session,
            data=body,
            refusals=fault.refusals,
            next_hint=reconcile_step(folder),
        )
    standing = standing_of(writer.session.chain)
    if writer.trusted:
        if answer.nonce_was == "unused":
            desk.ledger.signings.end(body.plan_sha256, "burned")
        settle(desk, standing)
    outcome, headline, step = _ending(standing, answer, folder)
    if not writer.trusted:
        outcome, step = "unverified", findings_step(writer.session.folder)
        headline = f"The evidence does not verify; the burn is recorded, marked unverified. {headline}"
    return desk.result(
        outcome,
        headline,
        session=writer.session,
        data=record.body,
        facts=(
            Fact(label="State", value=standing.state),
            Fact(label="The nonce was", value=_MEANING[answer.nonce_was]),
            Fact(label="Burn answer", value=answer.outcome),
        ),
        refusals=tuple(
            Refusal(code=f"venue_{answer.outcome}", message=text, measured=text, limit=None) for text in answer.errors
        ),
        artifacts=artifact_paths(writer.session, record),
        next_hint=step,
    )


def _ending(standing: Standing, answer: BurnAnswer, folder: str) -> tuple[str, str, NextStep | None]:
    if not standing.unresolved:
        if standing.state == "revoked":
            return "done", "Revoked: the nonce is used up, and nothing with it was ever admitted.", None
        return "done", f"Burned. The session stands as {standing.state}.", None
    why = {
        "unused": "two clean searches after the burn prove that the order did not land",
        "used": "something with this nonce was admitted before: look for the order",
        "closed": "the order can not be admitted any more: look whether it was",
        "nothing": "the burn proved nothing; look again, or burn again",
    }[answer.nonce_was]
    headline = {
        "unused": "Burned: the venue had admitted nothing with this nonce, and can not any more.",
        "used": "Not burned: the nonce was used before. The order, or an earlier burn, reached the venue.",
        "closed": "Not burned: the venue takes this nonce no more, and shows nothing of its past.",
        "nothing": "UNKNOWN: the burn proved nothing. The order may still run until it expires.",
    }[answer.nonce_was]
    return "unknown", headline, reconcile_step(folder, why=why)


def _revoked(desk: Desk, writer: SessionWriter, reviewer: str) -> Result:
    return desk.result(
        "done",
        f"Revoked by {reviewer}. The signature has run out, so nothing can be sent with it; no burn was needed.",
        session=writer.session,
        facts=(Fact(label="State", value=standing_of(writer.session.chain).state),),
    )


def _venue_now(desk: Desk) -> datetime:
    """Return the venue's clock after a burn; ours where it does not answer, for the answer is recorded all the same."""
    try:
        return desk.reads.read_time().venue_at
    except VenueReadFailed:
        return desk.clock.now()


_MEANING: Final = {
    "unused": "unused until now: the order was never admitted",
    "used": "used before",
    "closed": "past use",
    "nothing": "not told",
}
