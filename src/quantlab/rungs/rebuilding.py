"""Rebuild: re-import the claims of a root's sessions into the ledger, after the state folder was lost or moved.

Only records that verify are imported; an attempt without proof takes the account's interlock.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.errors import QuantLabFault
from quantlab.kernel.result import Fact, Result
from quantlab.model.order import intent_digest, plan_digest
from quantlab.rungs.claims import settle
from quantlab.rungs.desk import Desk
from quantlab.storage.ledger import Head, Interlock, LiveIntent, SendState, Sent
from quantlab.storage.reader import Session, read_session, session_folders


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The root whose sessions to re-import."""

    root: Path


def run(desk: Desk, request: Request) -> Result:
    """Import every attempt of a root that the ledger does not know.

    Sessions that do not verify are named and left out: their plans stay unknown to the ledger, and a send from this
    root is refused while their attempts stand there.
    """
    imported: list[str] = []
    broken: list[str] = []
    folders = session_folders(desk.disk, request.root)
    for folder in folders:
        try:
            session = read_session(desk.disk, folder)
        except QuantLabFault:
            broken.append(folder.name)
            continue
        if not session.verifies:
            broken.append(folder.name)
        elif _import(desk, session):
            imported.append(folder.name)
    return desk.result(
        "denied" if broken else "done",
        f"{len(imported)} sends imported from {len(folders)} sessions."
        + (f" {len(broken)} sessions do not verify and were left out." if broken else ""),
        data={"imported": imported, "left_out": broken, "state_id": desk.ledger.state_id},
        facts=tuple(Fact(label="Left out", value=name) for name in broken),
    )


def _import(desk: Desk, session: Session) -> bool:
    standing = standing_of(session.chain)
    if session.chain.records:
        desk.ledger.note_head(
            Head(
                session_id=session.session_id,
                folder=str(session.folder.absolute()),
                sequence=session.chain.head_sequence,
                record_sha256=session.chain.head_sha256,
            )
        )
    attempt = standing.attempt
    if attempt is None:
        _hold_unsent(desk, session, standing)
        return False
    plan = attempt.body.plan
    states: dict[str | None, SendState] = {
        "accepted": "accepted",
        "rejected": "rejected",
        "never_sent": "never_sent",
    }
    new = desk.ledger.import_send(
        Sent(
            plan_sha256=attempt.body.plan_sha256,
            client_order_id=plan.client_order_id,
            intent_sha256=intent_digest(plan),
            session_id=session.session_id,
            folder=str(session.folder.absolute()),
            account_key=f"{plan.venue}:{plan.environment}:{plan.account_identity}",
            signer_id=attempt.body.signer_id,
            nonce=int(attempt.body.nonce),
            notional_quote=Decimal(plan.notional_quote),
            state=states.get(standing.outcome, "unknown"),
            resolution=standing.resolution,
            spent_at=attempt.envelope.recorded_at,
        ),
        hold_interlock=standing.unresolved,
    )
    desk.ledger.put_intent(
        LiveIntent(
            intent_sha256=intent_digest(plan),
            session_id=session.session_id,
            folder=str(session.folder.absolute()),
            state="spent",
            planned_at=plan.planned_at,
            expires_at=attempt.envelope.recorded_at,
        )
    )
    settle(desk, standing)
    return new


def _hold_unsent(desk: Desk, session: Session, standing: Standing) -> None:
    """Hold the account of a session that has no attempt and yet may have made an order."""
    if standing.plan is None or not standing.unresolved:
        return
    plan = standing.plan
    desk.ledger.claim_interlock(
        Interlock(
            account_key=f"{plan.venue}:{plan.environment}:{plan.account_identity}",
            session_id=session.session_id,
            folder=str(session.folder.absolute()),
            plan_sha256=plan_digest(plan),
            claimed_at=desk.now_text(),
        )
    )
