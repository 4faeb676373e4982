"""The headings that help groups commands under, in the order an operator climbs the ladder."""

from __future__ import annotations

from typing import Final

BEFORE: Final = "Before the first order"
REVIEW: Final = "Validate or sign, and review"
GATE: Final = "Bundle and gate"
SUBMIT: Final = "Submit once"
RECONCILE: Final = "Reconcile before acting again"
SUPERVISED: Final = "Explicit supervised actions"
WATCH: Final = "Watch a root"
SAFETY: Final = "Halt, interlocks, ledger"
PRACTICE: Final = "Settings and rehearsal"
SECTIONS: Final = (
    BEFORE,
    REVIEW,
    GATE,
    SUBMIT,
    RECONCILE,
    SUPERVISED,
    WATCH,
    SAFETY,
    PRACTICE,
)
