"""What a venue said: outcomes of a send, order status reports, fill reports.

Denied means we refused, rejected means the venue said no, unknown means sent or maybe sent without proof.
There is no boolean "submitted".
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec

SubmitOutcome = Literal["accepted", "rejected", "unknown", "never_sent"]
OrderState = Literal[
    "pending",
    "open",
    "partially_filled",
    "filled",
    "canceled",
    "expired",
    "rejected",
    "unrecognised",
]
Reached = Literal["not_connected", "connected", "bytes_sent", "answered"]
"""How far an exchange got. ``connected``: no byte of the request left; ``bytes_sent``: some byte may have left."""

TERMINAL_STATES: frozenset[OrderState] = frozenset({"filled", "canceled", "expired", "rejected"})


NOT_ADMITTED: Final = "not_admitted_"
"""How the ``rule`` of an answer begins when the venue refused a signed action before it admitted it.

Nothing was done, but the signed bytes could still run until they expire, so the outcome of a submit is ``unknown``.
"""


class WireExchange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One request and what came back, exact but for redacted secrets. Times are ours, RFC 3339.

    The method ``WS`` is a question over a stream and the message that answered it: without headers and status.

    A body that is not UTF-8 stands base64-coded in ``response_body_base64``. Bodies over 16 KiB are kept once as
    ``wire/<sha256>`` in the session: the text field is then None and the digest names the file.
    """

    purpose: str
    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: str | None
    request_body_sha256: str | None
    reached: Reached
    status: int | None
    response_headers: tuple[tuple[str, str], ...]
    response_body: str | None
    response_body_base64: str | None
    response_body_sha256: str | None
    fault: str | None
    started_at: str
    ended_at: str
    duration_us: int


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """An order status report: one order as one view of the venue showed it at one time.

    Fills decide whether it traded, never the state: look at ``filled_base``. ``source`` names the venue view,
    ``read_at`` when we read it (our clock). ``raw_state`` is the venue's own word.
    """

    venue_order_id: str
    client_order_id: str | None
    venue_symbol: str
    side: str
    order_type: str
    size_base: Decimal
    limit_price: Decimal | None
    filled_base: Decimal
    average_price: Decimal | None
    cost_quote: Decimal
    fee_quote: Decimal
    state: OrderState
    raw_state: str
    reason: str | None
    opened_at: datetime | None
    closed_at: datetime | None
    fill_ids: tuple[str, ...]
    source: str
    read_at: datetime

    @property
    def terminal(self) -> bool:
        """Return whether the venue will not change this order any more."""
        return self.state in TERMINAL_STATES


class FillReport(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of an order, as the venue reports it."""

    venue_fill_id: str
    venue_order_id: str
    side: str
    price: Decimal
    size_base: Decimal
    cost_quote: Decimal
    fee: Decimal
    fee_asset: str | None
    liquidity: Literal["maker", "taker", "unknown"]
    executed_at: datetime | None
    closed_pnl: Decimal | None = None
    """What closing a position brought, in quote units and before fees; None where the venue does not say."""


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says of the key in use. ``identity`` names the account; ``identity_source`` says how.

    ``permissions`` are the venue's own words. ``nonce_window`` must be 0 for a send: a wider one lets a delayed
    copy of a request pass. ``query_from``/``query_to`` hide history, which would fake an absence.
    """

    identity: str
    identity_source: Literal["venue_account", "public_key_sha256"]
    key_name: str | None
    permissions: tuple[str, ...]
    can_trade: bool
    can_withdraw: bool
    can_read_open_orders: bool
    can_read_closed_orders: bool
    can_read_funds: bool
    can_stream: bool
    nonce_window: int | None
    query_from: str | None
    query_to: str | None
    valid_until: str | None


class DryCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's answer to a validate-only request.

    ``verdict`` ``incident`` means the venue answered as if a real order had been placed: an order may exist.
    ``description`` is the venue's own reading of the order.
    """

    verdict: Literal["accepted", "rejected", "unreadable", "incident"]
    description: str | None
    errors: tuple[str, ...]
    mismatches: tuple[str, ...] = ()


class SubmitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one send ended with. Everything that is not listed as definite is ``unknown``."""

    outcome: SubmitOutcome
    venue_order_ids: tuple[str, ...]
    description: str | None
    errors: tuple[str, ...]
    rule: str
    """Name of the row of the classification table that decided."""
    reached: Reached


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one cancel request ended with. It never proves the order's state: only a later read does."""

    outcome: SubmitOutcome
    errors: tuple[str, ...]
    rule: str
    reached: Reached


class PreparedSend(msgspec.Struct, frozen=True, kw_only=True):
    """The exact bytes of a request that can move money, fixed before it may be sent. Holds no secret.

    ``effect`` says what it can do; ``body_text`` is byte for byte what goes on the wire.
    """

    effect: Literal["submit", "cancel", "burn"]
    url: str
    path: str
    body_text: str
    body_sha256: str
    nonce: str
    deadline_at: str | None
    client_order_id: str
    signer_id: str


class SignedAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action signed before it is sent: whoever holds these bytes can have it executed until it expires.

    ``action_text`` is the unsigned action, ``body_text`` byte for byte the request that carries it with its signature.
    ``vault_address`` is the sub-account or vault that it acts for, where that is not the signer's own account.
    """

    kind: Literal["order", "noop"]
    network: Literal["mainnet", "testnet"]
    action_text: str
    action_hash: str
    nonce: int
    expires_after_ms: int | None
    vault_address: str | None
    signer_address: str
    signature_r: str
    signature_s: str
    signature_v: int
    client_order_id: str
    body_text: str
    body_sha256: str


class BurnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one burn of a nonce ended with, and what it proves of the nonce before this burn.

    ``unused``: no action with it was ever admitted, and none can be from now on. ``used``: one was admitted before,
    which may be an earlier copy of this burn. ``closed``: none was admitted as far as the venue remembers, and none can
    be. ``nothing``: neither. ``outcome`` is ``accepted`` only for ``unused``.
    """

    outcome: SubmitOutcome
    nonce_was: Literal["unused", "used", "closed", "nothing"]
    errors: tuple[str, ...]
    rule: str
    reached: Reached


class AttemptReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Proof, made by the record writer alone, that an attempt record is durable. The transport asks for it."""

    session_id: str
    sequence: int
    record_sha256: str
    body_sha256: str
