"""The side of a venue that moves money. Only the rungs submit, cancel and burn may import this module.

Nothing here retries. A send needs the receipt of a durable attempt record of exactly these bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from quantlab.model.execution import AttemptReceipt, CancelAnswer, PreparedSend, SubmitAnswer
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
