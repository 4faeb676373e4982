"""Bodies of the evidence that prepares an order: readiness, preflight, account, and the order signed beforehand.

They stand in outdirs, apart from the sessions of orders. What both kinds share stands here too.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from quantlab.model.execution import SignedAction, WireExchange
from quantlab.model.order import Plan
from quantlab.model.recorded import BalanceEvidence, Check, OrderEvidence


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all record bodies; the schema name and version stand beside each type in ``BODY_TYPES``."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator typed, as parsed."""

    symbol: str
    side: str
    size_base: str
    notional_quote: str
    account_label: str
    order_type: str | None
    limit_price: str | None
    time_in_force: str | None
    post_only: bool
    reduce_only: bool = False


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A credential, signer input or file by name: present or missing, never its value."""

    name: str
    present: bool
    needed: bool


class Readiness(Body, frozen=True, kw_only=True):
    """Whether this machine is set up to begin a corridor. Offline: it asks no venue."""

    ready: bool
    corridor: str
    corridor_chosen_by: str
    environment_source: str
    state_folder: str
    ledger_id: str | None
    interlocks: tuple[str, ...]
    unresolved_sessions: tuple[str, ...]
    halted: bool
    halt_reason: str | None
    policy_source: str
    policy_sha256: str | None
    inputs: tuple[Input, ...]
    runbook_sha256: str | None
    checks: tuple[Check, ...]


class Preflight(Body, frozen=True, kw_only=True):
    """Whether the venue can be reached and its market is found, with the rules an order must keep."""

    preflight_passed: bool
    venue: str
    transports: tuple[str, ...]
    symbol: str | None
    instrument: tuple[tuple[str, str], ...]
    quote: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]
    exchanges: tuple[WireExchange, ...]
    details: tuple[tuple[str, str], ...] = ()
    """What the venue says of account and signer, where they are known, as (label, value)."""


class AccountReadiness(Body, frozen=True, kw_only=True):
    """Whether the key and the account can carry the order: permissions, funds, open orders, what is missing."""

    readiness_allowed: bool
    venue: str
    account_identity: str | None
    account_label: str | None
    permissions: tuple[str, ...]
    balances: tuple[BalanceEvidence, ...]
    open_orders: tuple[OrderEvidence, ...]
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    exchanges: tuple[WireExchange, ...]
    details: tuple[tuple[str, str], ...] = ()
    """What the venue says of account and signer besides, as (label, value)."""


class SignedOrder(Body, frozen=True, kw_only=True):
    """An order signed before it is sent, with the prepared burn of its nonce; or why it was not signed.

    ``signature_state``: ``signed``; ``pending_signer_backend`` (no signature was made: no key, or a check refused);
    ``signer_identity_mismatch`` (the key belongs to another signer). ``expires_at`` is on the venue's clock: until then
    whoever holds these bytes can have the order executed. ``account`` is the account readiness of the same moment.
    The digest of the plan is not called ``plan_sha256`` here, for one outdir can hold several plans.
    """

    signature_state: Literal["signed", "pending_signer_backend", "signer_identity_mismatch"]
    outcome: Literal["signed", "denied", "unreadable", "rejected"]
    readiness_allowed: bool
    asked: Asked
    plan: Plan | None
    signed_plan_sha256: str | None
    intent_sha256: str | None
    account: AccountReadiness | None
    key_source: str
    signer_id: str
    nonce: str | None
    expires_at: str | None
    signed: SignedAction | None
    burn: SignedAction | None
    checks: tuple[Check, ...]
    venue_description: str | None
    venue_errors: tuple[str, ...]
    ticket: tuple[str, ...]
    exchanges: tuple[WireExchange, ...]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One test of a venue assumption: what was sent, what was expected, what the venue answered."""

    assumption: str
    what: str
    expected: str
    answered: str
    holds: bool


class Certification(Body, frozen=True, kw_only=True):
    """Which of the venue's assumptions held when they were tested; a ``not_landed`` cites it by its digest."""

    venue: str
    passed: bool
    reviewer: str
    probes: tuple[Probe, ...]
    exchanges: tuple[WireExchange, ...]


class ProbeAttempt(Body, frozen=True, kw_only=True):
    """Durable before a probe of a certification is sent: its exact bytes. No probe can place an order that stays."""

    venue: str
    reviewer: str
    what: str
    url: str
    body_text: str
    body_sha256: str
