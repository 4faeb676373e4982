"""The side of a venue that moves money. Only the rungs submit, cancel and burn may import this module.

Nothing here retries. A send needs the receipt of a durable attempt record of exactly these bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from quantlab.model.execution import (
    AttemptReceipt,
    BurnAnswer,
    CancelAnswer,
    PreparedSend,
    SignedAction,
    SubmitAnswer,
)
from quantlab.model.order import Plan


class OrderEffects(Protocol):
    """Placing and canceling orders at one venue with one set of credentials."""

    def prepare_submit(self, plan: Plan, *, nonce: int, deadline_at: datetime) -> PreparedSend:
        """Return the exact bytes of the plan's order with its nonce and deadline. Pure; sends nothing."""

    def prepare_cancel(self, plan: Plan, *, venue_order_id: str | None, nonce: int) -> PreparedSend:
        """Return the exact bytes of a cancel, by the venue's order id or else by the client order id. Pure."""

    def submit(self, prepared: PreparedSend, receipt: AttemptReceipt) -> SubmitAnswer:
        """Send the order once. Never raises for anything the network or the venue does."""

    def cancel(self, prepared: PreparedSend, receipt: AttemptReceipt) -> CancelAnswer:
        """Send the cancel once. Never raises for anything the network or the venue does."""


class SignedEffects(OrderEffects, Protocol):
    """A venue whose orders are signed first and sent later, and whose nonces can be burned."""

    def sign_order(self, plan: Plan, *, nonce: int, expires_at: datetime) -> SignedAction:
        """Return the plan's order, signed. The key is read for this alone. Sends nothing; raises ``Denied``."""

    def sign_noop(self, plan: Plan, *, nonce: int) -> SignedAction:
        """Return an action without effect on the plan's nonce, signed: it burns the nonce. Sends nothing."""

    def sign_order_and_burn(self, plan: Plan, *, nonce: int, expires_at: datetime) -> tuple[SignedAction, SignedAction]:
        """Return the order and the noop that burns its nonce, both signed; the key is read once."""

    def signed_refusals(self, signed: SignedAction, plan: Plan) -> tuple[str, ...]:
        """Return how signed bytes differ from what they claim and from the plan, one sentence each. Pure."""

    def prepare_submit_signed(self, signed: SignedAction) -> PreparedSend:
        """Return the signed order as a request. Pure; needs no key."""

    def prepare_burn(self, signed: SignedAction) -> PreparedSend:
        """Return the signed noop as a request. Pure; needs no key."""

    def burn(self, prepared: PreparedSend, receipt: AttemptReceipt) -> BurnAnswer:
        """Send the noop once. Never raises for anything the network or the venue does."""
