"""The ledger port: the durable book of claims. Records are the evidence; the ledger is the authority on claims.

Its unique constraints are the rules: one unresolved send an account (the *interlock*); a plan, a client order id
and a (signer, nonce) spent once for ever; nonces strictly rising a key. It stands behind a port so that a desk can
later share one database.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

IntentState = Literal["live", "declined", "revoked", "spent", "ended"]
SendState = Literal["in_flight", "accepted", "rejected", "unknown", "never_sent"]
SigningState = Literal["reserved", "signed", "unsigned", "revoked", "burned", "sent"]
"""``unsigned``: reserved, but certainly never signed. ``burned``: its nonce is used up without an order."""


class Interlock(msgspec.Struct, frozen=True, kw_only=True):
    """An account's interlock and who holds it. ``account_key`` is ``venue:environment:identity``."""

    account_key: str
    session_id: str
    folder: str
    plan_sha256: str
    claimed_at: str


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one send claims, in one transaction.

    ``nonce_floor`` is the smallest nonce to use (nanoseconds of our clock); the ledger gives the larger of it and
    the last one plus one. ``reserved_nonce`` is the nonce of an order that was signed before: then that one is spent,
    and only if the same plan reserved it. ``day`` is the UTC date whose count and notional are bounded.
    """

    plan_sha256: str
    client_order_id: str
    intent_sha256: str
    session_id: str
    folder: str
    account_key: str
    signer_id: str
    nonce_floor: int
    day: str
    notional_quote: Decimal
    daily_orders_limit: int
    daily_notional_limit: Decimal
    spent_at: str
    reserved_nonce: int | None = None


class SpendRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a spend was refused; nothing was claimed."""

    code: Literal[
        "plan_already_spent",
        "client_order_id_already_spent",
        "interlock_not_held",
        "signing_not_live",
        "halted",
        "daily_orders",
        "daily_notional",
    ]
    measured: str
    limit: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was spent: where its session is, and how its send and resolution stand."""

    plan_sha256: str
    client_order_id: str
    intent_sha256: str
    session_id: str
    folder: str
    account_key: str
    signer_id: str
    nonce: int
    notional_quote: Decimal
    state: SendState
    resolution: str | None
    spent_at: str


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was, or was about to be, signed: reserved durably before the signature.

    ``outdir`` is where its artifact went, ``folder`` the one session that it may be sent from (None before the first
    submit). ``expires_at`` is on the venue's clock. ``artifact_sha256`` names the only bytes that submit accepts.
    """

    plan_sha256: str
    signer_id: str
    nonce: int
    client_order_id: str
    intent_sha256: str
    account_key: str
    session_id: str
    outdir: str
    expires_at: str
    reserved_at: str
    state: SigningState = "reserved"
    artifact_sha256: str | None = None
    folder: str | None = None


class SigningRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing may be signed now; nothing was reserved."""

    code: Literal["interlock_held", "halted", "signed_action_live"]
    measured: str
    limit: str
    outdir: str | None = None
    """Where the same order is signed already."""


class Certification(msgspec.Struct, frozen=True, kw_only=True):
    """The newest certification of a venue's assumptions in one environment."""

    venue: str
    environment: str
    record_sha256: str
    folder: str
    passed: bool
    certified_at: str


class LiveIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An intent of a validated session that has not ended."""

    intent_sha256: str
    session_id: str
    folder: str
    state: IntentState
    planned_at: str
    expires_at: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The newest record that the ledger saw of a session: an older folder is a copy, a backup, or shortened."""

    session_id: str
    folder: str
    sequence: int
    record_sha256: str


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch: who set it, why, and when."""

    reviewer: str
    reason: str
    halted_at: str


class Signings(Protocol):
    """The book of orders that were signed before they are sent. Every method is one durable transaction."""

    def reserve(self, signing: Signing, *, live_after: str, oldest_nonce: int) -> Signing | SigningRefusal:
        """Reserve nonce, client order id and expiry of an order before it is signed; return it with its nonce.

        ``signing.nonce`` is the smallest nonce to use. Where the newest order of the same intent and signer was never
        sent and is dead (it expired before ``live_after``, on the venue's clock, or was never signed), its nonce and
        client order id must be used again, so that the venue can admit at most one of the two: ``signing`` then bears
        that client order id, and the nonce returned is that one. A nonce below ``oldest_nonce`` is past use.
        """

    def reusable(self, intent_sha256: str, signer_id: str, *, oldest_nonce: int) -> Signing | None:
        """Return the newest order of an intent whose nonce was reserved and certainly not used by a send of ours."""

    def find(self, plan_sha256: str) -> Signing | None:
        """Return what was reserved for a plan, or None."""

    def note_signed(self, plan_sha256: str, artifact_sha256: str) -> None:
        """Keep the digest of the artifact that holds the signature."""

    def end(self, plan_sha256: str, state: SigningState) -> None:
        """Record how a reservation ended."""

    def bind(self, plan_sha256: str, *, folder: str, instead_of: str | None) -> str:
        """Bind a signed order to the session that it is sent from; return the folder that it is bound to.

        The first binding stands, unless it is ``instead_of``: a folder that is gone.
        """


class Ledger(Protocol):
    """The book of claims. Every method is one durable transaction; none is held over a network wait."""

    @property
    def state_id(self) -> str:
        """Return the id that is stamped into every record."""

    @property
    def signings(self) -> Signings:
        """Return the book of signed orders."""

    def claim_interlock(self, claim: Interlock) -> Interlock:
        """Claim an account; return the holder, who is the claimer exactly when the claim succeeded."""

    def release_interlock(self, account_key: str, session_id: str) -> None:
        """Free an account if this session holds it."""

    def interlocks(self) -> tuple[Interlock, ...]:
        """Return every held interlock."""

    def spend(self, spend: Spend) -> int | SpendRefusal:
        """Spend plan, client order id, nonce and daily budget at once; return the nonce."""

    def sent(self, plan_sha256: str) -> Sent | None:
        """Return the send of a plan, or None when the plan was never spent."""

    def sends(self) -> tuple[Sent, ...]:
        """Return every send, oldest first."""

    def settle(self, plan_sha256: str, *, state: SendState, resolution: str | None, free_interlock: bool) -> None:
        """Record how a send stands, and free its interlock in the same transaction when asked to."""

    def retake_interlock(self, plan_sha256: str, *, claimed_at: str) -> Interlock:
        """Give the interlock back to a plan whose order was found late; return the holder."""

    def import_send(self, sent: Sent, *, hold_interlock: bool) -> bool:
        """Re-import a send found in records; return False when the ledger knew it already."""

    def put_certification(self, certification: Certification) -> None:
        """Keep a certification in place of the older one of its venue and environment."""

    def certifications(self) -> tuple[Certification, ...]:
        """Return the newest certification of each venue and environment."""

    def next_nonce(self, signer_id: str, *, floor: int) -> int:
        """Return a nonce above every one handed out for this key, durably recorded."""

    def last_nonce(self, signer_id: str) -> int | None:
        """Return the last nonce handed out for this key."""

    def take_points(self, signer_id: str, *, points: int, capacity: int, decay_per_kilosecond: int, at_ns: int) -> int:
        """Count rate points; return 0, or the milliseconds to wait before they fit (then nothing was counted)."""

    def put_intent(self, intent: LiveIntent) -> None:
        """Record or replace a session's live intent."""

    def end_intent(self, session_id: str, *, state: IntentState) -> None:
        """Record how a session's intent ended."""

    def intents(self, intent_sha256: str) -> tuple[LiveIntent, ...]:
        """Return every session of an intent, oldest first."""

    def daily(self, account_key: str, day: str) -> tuple[int, Decimal]:
        """Return how many orders and how much notional were sent that UTC day, in-flight ones included."""

    def note_head(self, head: Head) -> None:
        """Remember a session's newest record; an older one never replaces a newer one."""

    def head(self, session_id: str) -> Head | None:
        """Return the newest record seen of a session."""

    def bind_label(self, *, venue: str, environment: str, label: str, identity: str) -> str:
        """Bind an operator's account label to an identity; return the identity it is bound to."""

    def set_halt(self, halt: Halt | None) -> None:
        """Set or clear the kill switch."""

    def halt(self) -> Halt | None:
        """Return the kill switch if it is set."""

    def close(self) -> None:
        """Close the database."""


def now_expired(intent: LiveIntent, now: datetime) -> bool:
    """Return whether a live intent's approval or window has run out."""
    return now > datetime.fromisoformat(intent.expires_at)
