"""What the rungs of review share: may this rung follow this state, and how a session is ended by a person."""

from __future__ import annotations

from quantlab.evidence.standing import Standing
from quantlab.kernel.errors import Denied
from quantlab.model.lifecycle import MAY_FOLLOW, Rung
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


def require_state(standing: Standing, session: Session, rung: Rung) -> str:
    """Return the plan digest of a session in a state from which this rung may begin.

    Raises:
        Denied: the rung may not follow this state; the message says why. Nothing was written or sent.
    """
    if standing.state in MAY_FOLLOW[rung] and standing.plan_sha256 is not None:
        return standing.plan_sha256
    why = _WHY.get(standing.state, f"it was sent already (state {standing.state})")
    message = f"The rung {rung} may not follow: {why}. Nothing was sent."
    raise Denied(
        message,
        code=f"{rung}_not_allowed",
        measured=standing.state,
        limit=", ".join(sorted(MAY_FOLLOW[rung])),
        session_id=session.session_id,
    )
