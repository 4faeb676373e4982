"""Interlocks: list who holds an account, and free one by a person's recorded decision when its session is lost.

A session that can be read is resolved by its own rungs; this way is for sessions that are missing or damaged, and
for the interlock that a late find took back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from quantlab.evidence.records import Incident
from quantlab.evidence.standing import standing_of
from quantlab.kernel.errors import Denied, QuantLabFault
from quantlab.kernel.result import Fact, NextStep, Result
from quantlab.rungs.claims import FREED_BY_PERSON, LATE_FIND
from quantlab.rungs.desk import Desk, required_text
from quantlab.storage.ledger import Interlock
from quantlab.storage.reader import read_session


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """List, or resolve one account's interlock by a named person for a stated reason."""

    action: Literal["list", "resolve"]
    reviewer: str | None = None
    reason: str | None = None
    account: str | None = None


def run(desk: Desk, request: Request) -> Result:
    """List the interlocks or free one.

    Raises:
        Denied: a name, a reason or the account is missing, or the session can still be resolved by its own rungs.
    """
    held = desk.ledger.interlocks()
    if request.action == "list":
        return _list(desk, held)
    reviewer = required_text(request.reviewer, code="reviewer_required", message="Say who: a reviewer is needed.")
    reason = required_text(request.reason, code="reason_required", message="Say why: a reason is needed.")
    lock = _chosen(held, request.account)
    _require_lost(desk, lock)
    desk.ledger.settle(lock.plan_sha256, state="unknown", resolution="decided_by_interlock", free_interlock=True)
    desk.ledger.release_interlock(lock.account_key, lock.session_id)
    noted = _note(desk, lock, reviewer=reviewer, reason=reason)
    return desk.result(
        "done",
        f"The interlock of {lock.account_key} is free by the decision of {reviewer}. An order may still exist.",
        data=lock,
        facts=(
            Fact(label="Session", value=lock.folder),
            Fact(label="Reason", value=reason),
            Fact(label="Recorded in the session", value="yes" if noted else "no: it can not be written"),
        ),
    )


def _list(desk: Desk, held: tuple[Interlock, ...]) -> Result:
    rows = tuple((one.account_key, one.session_id, one.folder, one.claimed_at) for one in held)
    first = held[0] if held else None
    step = NextStep(why="end the unknown", verb="reconcile", arguments=(first.folder,)) if first else None
    return desk.result(
        "done",
        f"{len(held)} interlocks are held." if held else "No interlock is held.",
        data={"interlocks": held},
        table=(("account", "session", "folder", "since"), *rows) if rows else (),
        next_hint=step,
    )


def _chosen(held: tuple[Interlock, ...], account: str | None) -> Interlock:
    matching = [one for one in held if account is None or account in {one.account_key, one.session_id}]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(one.account_key for one in held) or "none"
    message = "Name the account whose interlock to free." if held else "No interlock is held."
    raise Denied(message, code="account_required", measured=account or "missing", limit=names)


def _require_lost(desk: Desk, lock: Interlock) -> None:
    try:
        session = read_session(desk.disk, Path(lock.folder))
        if not session.verifies:
            return
        desk.require_newest(session)
    except QuantLabFault:
        return
    standing = standing_of(session.chain)
    if any(one.body.code == LATE_FIND for one in standing.incidents):
        return
    message = f"{lock.folder} can be read: resolve it by its own rungs, which record more than this would."
    raise Denied(
        message,
        code="session_can_be_resolved",
        measured=standing.state,
        limit="missing, damaged or found late",
        next_step=NextStep(why="end the unknown", verb="reconcile", arguments=(lock.folder,)),
    )


def _note(desk: Desk, lock: Interlock, *, reviewer: str, reason: str) -> bool:
    try:
        with desk.write(Path(lock.folder)) as writer:
            desk.append(
                writer,
                Incident(
                    plan_sha256=lock.plan_sha256,
                    code=FREED_BY_PERSON,
                    message=f"{reviewer} freed the account's interlock: {reason}",
                    details=(),
                ),
                actor=reviewer,
            )
    except QuantLabFault:
        return False
    return True
