"""Submit: send the approved order exactly once, and record what came of it.

In this order: the session's lock, the interlock, every check under both, then in one ledger transaction plan, client
order id and nonce are spent, then the attempt record is durable, then one request, then the outcome. No layer
retries. From the attempt on, anything but a definite answer is *unknown*: exit 4, look for proof, never send again.

Needs: an open gate. Makes: ``broker_submit_attempt``, ``broker_submit_response``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.chain import Record
from quantlab.evidence.records import Gate
from quantlab.evidence.standing import Standing
from quantlab.kernel.errors import Denied
from quantlab.kernel.result import Result
from quantlab.model.execution import PreparedSend
from quantlab.model.order import Plan
from quantlab.model.recorded import Check
from quantlab.rungs.checks import lifetime_check
from quantlab.rungs.desk import Desk, required_text
from quantlab.rungs.outcomes import repeated_result
from quantlab.rungs.recheck import reviewer_checks
from quantlab.rungs.reviewing import require_state
from quantlab.rungs.sending import require_original
from quantlab.rungs.sendonce import Look, Send, send_once
from quantlab.venues.effects import OrderEffects

ORDER_DEADLINE_SECONDS: Final = 10


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, who sends it, and both confirmations."""

    session: Path
    reviewer: str | None
    confirm: bool
    live: bool
    note: str | None


def run(desk: Desk, request: Request) -> Result:
    """Send the order of a gated session once, or say why not, or repeat what was recorded of an earlier send.

    Raises:
        Denied: a flag, a name or a state is missing. Nothing was sent.
        Unverified: the evidence does not verify. Nothing was sent.
        Busy: another process works on the session. Nothing was sent by this one.
        Unreadable: the venue could not be read. Nothing was sent.
    """
    reviewer = _confirmed(request)
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(request.session, wait_ms=0) as writer:
        repeated = repeated_result(desk, writer)
        if repeated is not None:
            return repeated
        standing = desk.require_verified(writer.session)
        require_state(standing, writer.session, "submit")
        if standing.plan is None or standing.gate is None:
            message = "The gate is older than the bundle: pass it again. Nothing was sent."
            raise Denied(message, code="gate_outdated", session_id=writer.session.session_id)
        require_original(desk, writer.session)
        note = (request.note or "").strip()
        send = _send(desk, standing, standing.plan, standing.gate, reviewer=reviewer, note=note)
        return send_once(desk, writer, send)


def _confirmed(request: Request) -> str:
    reviewer = required_text(
        request.reviewer,
        code="reviewer_required",
        message="A submit needs the name of the person who sends it. Nothing was sent.",
    )
    for given, code in ((request.confirm, "confirm_required"), (request.live, "live_required")):
        if not given:
            message = f"A submit needs the {code.removesuffix('_required')} flag. Nothing was sent."
            raise Denied(message, code=code, measured="missing", limit="given")
    return reviewer


def _send(desk: Desk, standing: Standing, plan: Plan, gate: Record[Gate], *, reviewer: str, note: str) -> Send:
    effects: OrderEffects = desk.side.effects()

    def own_checks(venue_at: datetime) -> tuple[Check, ...]:
        del venue_at
        return (
            lifetime_check("gate_lifetime", expires_at=gate.body.expires_at, now=desk.clock.now(), what="gate"),
            *reviewer_checks(desk, standing, reviewer),
        )

    def denial(look: Look) -> Gate:
        return msgspec.structs.replace(
            gate.body,
            reviewer=reviewer,
            note=f"refused at submit: {note}".strip(),
            gate_allowed=False,
            checks=look.checks,
            exchanges=look.exchanges,
        )

    def prepare(nonce: int, venue_now_at: datetime) -> PreparedSend:
        deadline_at = venue_now_at + timedelta(seconds=ORDER_DEADLINE_SECONDS)
        prepared = effects.prepare_submit(plan, nonce=nonce, deadline_at=deadline_at)
        _require_approved_bytes(plan, prepared)
        return prepared

    return Send(
        standing=standing,
        plan=plan,
        plan_sha256=gate.body.plan_sha256,
        reviewer=reviewer,
        note=note,
        gate_sha256=gate.sha256,
        reserved_nonce=None,
        own_checks=own_checks,
        denial=denial,
        prepare=prepare,
        send=effects.submit,
    )


def _require_approved_bytes(plan: Plan, prepared: PreparedSend) -> None:
    if f"&{plan.order_text}&" not in prepared.body_text or "validate" in prepared.body_text:
        message = "The request to send is not the one that was approved. No byte was sent."
        raise Denied(message, code="bytes_differ_from_plan", measured=prepared.body_text, limit=plan.order_text)
