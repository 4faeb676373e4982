"""What a send claims and checks in the ledger. Shared by submit and its kin; sends nothing itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES
from quantlab.kernel.errors import Denied
from quantlab.kernel.result import NextStep
from quantlab.model.order import Plan, intent_digest, plan_digest
from quantlab.model.recorded import Check
from quantlab.rungs.checks import one_check
from quantlab.rungs.claims import free_dead_claim, free_own_dead_claim, holder_of
from quantlab.rungs.desk import Desk
from quantlab.storage.durable import storage_faults
from quantlab.storage.ledger import Interlock, Spend
from quantlab.storage.reader import Session, attempt_files, session_folders
from quantlab.storage.writer import SessionWriter


class _CitesPlan(msgspec.Struct):
    plan_sha256: str


def claim_account(desk: Desk, writer: SessionWriter, plan: Plan) -> None:
    """Claim the account's interlock for this session, freeing a claim that died before its attempt.

    Raises:
        Denied: another session holds it: an order of that session may exist. Nothing was sent.
    """
    claim = Interlock(
        account_key=desk.account_key(plan.account_identity),
        session_id=plan.session_id,
        folder=str(writer.session.folder.absolute()),
        plan_sha256=plan_digest(plan),
        claimed_at=desk.now_text(),
    )
    before = holder_of(desk, claim.account_key)
    if before is not None:
        own = before.session_id == plan.session_id and before.folder == claim.folder
        if own:
            free_own_dead_claim(desk, writer, before)
        else:
            free_dead_claim(desk, before)
    holder = desk.ledger.claim_interlock(claim)
    if holder != claim:
        message = (
            f"An earlier send of this account is unresolved, in {holder.folder}: an order may exist. "
            "Nothing was sent by this command."
        )
        raise Denied(
            message,
            code="interlock_held",
            measured=f"held by {holder.folder} since {holder.claimed_at}",
            limit="free",
            next_step=NextStep(why="end the unknown first", verb="reconcile", arguments=(holder.folder,)),
            session_id=plan.session_id,
        )


def require_original(desk: Desk, session: Session) -> None:
    """Check that this is no copy of a session that still stands where it was made: one walk, one folder."""
    head = desk.ledger.head(session.session_id)
    if head is None or Path(head.folder) == session.folder.absolute() or desk.disk.kind(Path(head.folder)) is None:
        return
    message = f"{session.folder} is a copy of {head.folder}. Submit there. Nothing was sent."
    step = NextStep(why="submit the session itself", verb="show", arguments=(head.folder,))
    raise Denied(
        message,
        code="session_is_a_copy",
        measured=str(session.folder.absolute()),
        limit=head.folder,
        next_step=step,
        session_id=session.session_id,
    )


def release(desk: Desk, plan: Plan) -> None:
    """Free the interlock after a refusal, in the same command."""
    desk.ledger.release_interlock(desk.account_key(plan.account_identity), plan.session_id)


def spend_of(desk: Desk, writer: SessionWriter, plan: Plan, *, floor: int, reserved_nonce: int | None = None) -> Spend:
    """Return the claim of one send; ``floor`` is the smallest nonce, our clock in the venue's unit of nonces."""
    now = desk.now_text()
    return Spend(
        plan_sha256=plan_digest(plan),
        client_order_id=plan.client_order_id,
        intent_sha256=intent_digest(plan),
        session_id=plan.session_id,
        folder=str(writer.session.folder.absolute()),
        account_key=desk.account_key(plan.account_identity),
        signer_id=desk.reads.signer_id,
        nonce_floor=floor,
        day=now[:10],
        notional_quote=Decimal(plan.notional_quote),
        daily_orders_limit=desk.policy.daily_orders,
        daily_notional_limit=desk.policy.daily_notional,
        spent_at=now,
        reserved_nonce=reserved_nonce,
    )


def ledger_checks(desk: Desk, writer: SessionWriter) -> tuple[Check, ...]:
    """Check that this ledger knows every attempt of the root."""
    unknown = unknown_attempts(desk, writer.session.folder.parent)
    return (
        one_check(
            "ledger_complete",
            not unknown,
            ", ".join(str(path) for path in unknown) or "complete",
            "every attempt of the root known",
            "The root holds attempts that the ledger does not know. Run `quantlab ledger rebuild --root "
            f"{writer.session.folder.parent}` first.",
        ),
    )


def unknown_attempts(desk: Desk, root: Path) -> tuple[Path, ...]:
    """Return the attempt files of a root whose plan this ledger never spent, unreadable ones included."""
    unknown: list[Path] = []
    for folder in session_folders(desk.disk, root):
        for path in attempt_files(desk.disk, folder):
            try:
                with storage_faults(path):
                    plan_sha256 = msgspec.json.decode(
                        desk.disk.read(path, at_most=MAXIMUM_RECORD_BYTES), type=_CitesPlan
                    ).plan_sha256
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                unknown.append(path)
                continue
            if desk.ledger.sent(plan_sha256) is None:
                unknown.append(path)
    return tuple(unknown)
