"""What the rungs of review share: may this rung follow this state, and how a session is ended by a person."""

from __future__ import annotations

import msgspec

from quantlab.evidence.chain import Record
from quantlab.evidence.records import Approval, Validation
from quantlab.evidence.standing import Standing
from quantlab.kernel.errors import Denied
from quantlab.model.lifecycle import MAY_FOLLOW, Rung
from quantlab.model.order import Plan
from quantlab.storage.reader import Session

_WHY: dict[str, str] = {
    "validation_rejected": "the venue rejected its validation",
    "validation_denied": "a check of ours denied its validation",
    "validation_unreadable": "its validation was never answered",
    "unresolved": "an order may exist and is unresolved",
    "validated": "nobody has approved it",
    "declined": "a reviewer declined it",
    "revoked": "its approval was revoked",
    "approved": "it is not bundled",
    "bundled": "it has not passed the gate",
    "gate_denied": "the gate refused it",
    "gated": "it is past that step",
}


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """What a review is about: the accepted validation, the plan in it, and the plan's digest."""

    validation: Record[Validation]
    plan: Plan
    plan_sha256: str


def require_state(standing: Standing, session: Session, rung: Rung) -> Reviewed:
    """Return what is under review in a session whose state this rung may follow.

    Raises:
        Denied: the rung may not follow this state; the message says why. Nothing was written or sent.
    """
    validation, plan, digest = standing.validation, standing.plan, standing.plan_sha256
    if standing.state in MAY_FOLLOW[rung] and validation is not None and plan is not None and digest is not None:
        return Reviewed(validation=validation, plan=plan, plan_sha256=digest)
    why = _WHY.get(standing.state, f"it was sent already (state {standing.state})")
    message = f"The rung {rung} may not follow: {why}. Nothing was sent."
    raise Denied(
        message,
        code=f"{rung}_not_allowed",
        measured=standing.state,
        limit=", ".join(sorted(MAY_FOLLOW[rung])),
        session_id=session.session_id,
    )


def require_approval(standing: Standing, session: Session, rung: Rung) -> Record[Approval]:
    """Return the approval that stands over a session.

    Raises:
        Denied: its records hold none. Nothing was written or sent.
    """
    if standing.approval is not None:
        return standing.approval
    message = f"The rung {rung} may not follow: no record approves this session. Nothing was sent."
    raise Denied(
        message, code=f"{rung}_not_allowed", measured="no approval", limit="approval", session_id=session.session_id
    )
