"""The states a session can be in, and which rung may follow which. Pure tables."""

from __future__ import annotations

from typing import Final, Literal

ResolutionState = Literal["landed", "rejected", "not_landed", "not_found", "decided", "unknown", "never_sent"]

SessionState = Literal[
    "empty",
    "validation_denied",
    "validation_rejected",
    "validation_unreadable",
    "validated",
    "signed",
    "declined",
    "revoked",
    "approved",
    "bundled",
    "gate_denied",
    "gated",
    "never_sent",
    "unresolved",
    "not_found",
    "rejected",
    "landed",
    "pending",
    "open",
    "partially_filled",
    "filled",
    "canceled",
    "expired",
    "not_landed",
    "decided_landed",
    "decided_not_landed",
]

UNRESOLVED: Final[frozenset[SessionState]] = frozenset({"unresolved", "not_found"})
"""An order may exist and nothing proves or decides it: the account's interlock is held."""

VALIDATE_INCIDENT: Final = "validate_answered_as_order"
"""Incident code: a validate-only request was answered with an order id, so an order may exist without an attempt."""

UNSENT_LIVE: Final[frozenset[SessionState]] = frozenset(
    {"validated", "signed", "approved", "bundled", "gate_denied", "gated"}
)
"""Nothing was sent, and the session can still go on."""

LIVE_ORDER: Final[frozenset[SessionState]] = frozenset({"landed", "pending", "open", "partially_filled"})
"""The order is at the venue and, as far as proven, has not ended."""

Rung = Literal["approve", "decline", "revoke", "bundle", "gate", "submit"]

MAY_FOLLOW: Final[dict[Rung, frozenset[SessionState]]] = {
    "approve": frozenset({"validated", "approved", "bundled", "gate_denied", "gated"}),
    "decline": frozenset({"validated", "approved", "bundled", "gate_denied", "gated"}),
    "revoke": frozenset({"approved", "bundled", "gate_denied", "gated"}),
    "bundle": frozenset({"approved", "bundled", "gate_denied", "gated"}),
    "gate": frozenset({"bundled", "gate_denied", "gated"}),
    "submit": frozenset({"gated"}),
}
"""From which states a rung may begin. Approve again only after the approval ran out; the rung checks that."""
