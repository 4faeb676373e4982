"""The corridors as a table: where their sessions stand, what their records are called, and their venue's figures."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from quantlab.evidence.preparatory import (
    AccountReadiness,
    Body,
    Certification,
    Preflight,
    ProbeAttempt,
    Readiness,
    SignedOrder,
)
from quantlab.evidence.records import (
    AdoptedAction,
    Approval,
    Bundle,
    BurnAttempt,
    BurnResponse,
    CancelAttempt,
    CancelResponse,
    Decline,
    Divergence,
    FillSummary,
    Gate,
    Incident,
    Reconciliation,
    Resolution,
    Revocation,
    StatusReport,
    SubmitAttempt,
    SubmitDenial,
    SubmitResponse,
    Supervision,
    Validation,
)


class Corridor(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's corridor: where its sessions stand, and the file name of each record type."""

    venue: str
    default_root: str
    names: dict[type[Body], str]
    further_names: frozenset[str] = frozenset()
    """Names of records that share a body type with another."""
    begins_with: Literal["validate", "sign"]
    """The rung that freezes the plan."""
    nonce_unit_ns: int
    """Nonces count our clock in this unit."""
    deadline_margin_seconds: int
    """How far apart the venue's own clocks may be when it judges a deadline."""
    absence_rests_on: tuple[str, ...]
    """Numbers of docs/assumptions.md that a ``not_found`` cites."""
    proof_rests_on: tuple[str, ...] = ()
    """Numbers of docs/assumptions.md that a ``not_landed`` cites."""


KRAKEN: Final = Corridor(
    venue="kraken",
    default_root="outputs/broker_order_validations",
    names={
        Validation: "broker_order_validate",
        Approval: "approval",
        Decline: "decline",
        Revocation: "revocation",
        Bundle: "broker_pre_submit_bundle",
        Gate: "broker_submit_gate",
        SubmitAttempt: "broker_submit_attempt",
        SubmitResponse: "broker_submit_response",
        Reconciliation: "broker_reconciliation",
        StatusReport: "broker_order_status",
        FillSummary: "broker_fill_summary",
        Supervision: "broker_supervision",
        CancelAttempt: "broker_cancel_attempt",
        CancelResponse: "broker_cancel_response",
        Resolution: "resolution",
        Incident: "incident",
        Divergence: "divergence",
        Preflight: "broker_preflight",
        AccountReadiness: "kraken_account_readiness",
        Readiness: "broker_evidence_readiness",
    },
    further_names=frozenset({"kraken_auth_preflight"}),
    begins_with="validate",
    nonce_unit_ns=1,
    deadline_margin_seconds=5,
    absence_rests_on=("K1", "K2", "K3", "K4", "K5", "K6"),
)

HYPERLIQUID: Final = Corridor(
    venue="hyperliquid",
    default_root="outputs/hyperliquid_submits",
    names={
        SignedOrder: "hyperliquid_signed_action",
        AdoptedAction: "hyperliquid_signed_action",
        Approval: "approval",
        SubmitDenial: "hyperliquid_submit_denial",
        Revocation: "revocation",
        SubmitAttempt: "hyperliquid_submit_attempt",
        SubmitResponse: "hyperliquid_submit_response",
        Reconciliation: "hyperliquid_reconciliation",
        StatusReport: "hyperliquid_order_status",
        FillSummary: "hyperliquid_fill_summary",
        Supervision: "hyperliquid_supervision",
        CancelAttempt: "hyperliquid_cancel_attempt",
        CancelResponse: "hyperliquid_cancel_response",
        BurnAttempt: "hyperliquid_burn_attempt",
        BurnResponse: "hyperliquid_burn_response",
        Resolution: "resolution",
        Incident: "incident",
        Divergence: "divergence",
        Preflight: "broker_preflight",
        AccountReadiness: "hyperliquid_account_readiness",
        Readiness: "broker_evidence_readiness",
        ProbeAttempt: "hyperliquid_certification_attempt",
        Certification: "hyperliquid_certification",
    },
    begins_with="sign",
    nonce_unit_ns=1_000_000,
    deadline_margin_seconds=10,
    absence_rests_on=("H1", "H2", "H5", "H6", "H8", "H9"),
    proof_rests_on=("H1", "H2", "H3", "H4", "H5", "H8", "H9", "H10"),
)

CORRIDORS: Final[dict[str, Corridor]] = {one.venue: one for one in (KRAKEN, HYPERLIQUID)}
