"""The reading side of a venue: nothing here can place, change or cancel an order.

Every read either returns a value or raises :class:`VenueReadFailed`. A failed read is never "not found". Each
HTTP exchange a read makes lands on the tape of the transport, which the rung puts into its record.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Protocol

from quantlab.kernel.errors import Unreadable
from quantlab.model.execution import AccountFacts, DryCheck, FillReport, OrderReport
from quantlab.model.instrument import Balance, Depth, Instrument, Quote, SystemStatus, VenueTime
from quantlab.model.order import OrderIntent, Plan

ReadFailure = Literal[
    "not_reached",
    "no_answer",
    "bad_answer",
    "venue_fault",
    "rate_limited",
    "credentials_refused",
    "permission_denied",
    "not_known",
    "invalid_nonce",
]


class VenueReadFailed(Unreadable):
    """A read gave no usable answer. ``kind`` says why; ``errors`` are the venue's own words.

    ``not_known`` means that the venue definitely answered that the thing asked for does not exist (an unknown
    pair): the caller may turn it into a refusal. Every other kind says nothing about any order.
    """

    def __init__(self, message: str, *, kind: ReadFailure, errors: tuple[str, ...] = ()) -> None:
        limit = "something that the venue lists" if kind == "not_known" else "a usable answer"
        super().__init__(message, code=f"venue_{kind}", measured="; ".join(errors) or None, limit=limit)
        self.kind: ReadFailure = kind
        self.errors = errors


class KeyTurn(Protocol):
    """One private call's turn on a key: requests of one key reach the venue one after the other."""

    def next_nonce(self) -> int:
        """Return a nonce, durably recorded as used, above every one handed out before for this key."""

    def spend_points(self, points: int, *, capacity: int, decay_per_kilosecond: int) -> None:
        """Count rate points against the key's bucket, shared by all processes; wait until they fit.

        ``capacity`` is the size of the bucket, ``decay_per_kilosecond`` the points that drain in 1000 s.
        """


class KeyTurns(Protocol):
    """Turns on keys across threads and processes. Raises ``Busy`` when a turn does not come in time."""

    def turn(self, signer_id: str) -> AbstractContextManager[KeyTurn]:
        """Hold the key of ``signer_id`` (a fingerprint, no secret) until the context ends."""


class VenueReads(Protocol):
    """Reads of one venue with one set of credentials. Sizes in base units, prices in quote units."""

    @property
    def venue(self) -> str:
        """Return the venue's name, ``kraken`` or ``hyperliquid``."""

    @property
    def signer_id(self) -> str:
        """Return the fingerprint of the key in use, safe to record; raises ``Denied`` when no key is given."""

    @property
    def account_is_public(self) -> bool:
        """Return whether what an account holds can be read without a key."""

    def parse_symbol(self, text: str) -> str:
        """Return our spelling (``ETH-USD``) of a symbol as operators write it. Pure; raises ``UsageFault``."""

    def read_time(self) -> VenueTime:
        """Read the venue's clock."""

    def read_system_status(self) -> SystemStatus:
        """Read whether the venue takes orders."""

    def read_instrument(self, symbol: str) -> Instrument:
        """Read the rules of one market; ``VenueReadFailed(kind="not_known")`` when the venue has no such market."""

    def read_quote(self, instrument: Instrument) -> Quote:
        """Read the best bid and ask of the market's book."""

    def read_depth(self, instrument: Instrument) -> Depth:
        """Read the levels of the market's book, as many as the venue shows at once; an empty side has none."""

    def read_account(self) -> AccountFacts:
        """Read whose key this is and what it may do."""

    def read_account_details(self) -> tuple[tuple[str, str], ...]:
        """Return what else the venue says of account and key, as (label, text) for a person and the record.

        What :meth:`read_account` read already is not asked for again. No check decides by these texts.
        """

    def read_balances(self) -> tuple[Balance, ...]:
        """Read the account's funds."""

    def read_open_orders(self, *, client_order_id: str | None = None) -> tuple[OrderReport, ...]:
        """Read all open orders, or those of one client order id."""

    def read_closed_orders(self, *, since: datetime, client_order_id: str | None = None) -> tuple[OrderReport, ...]:
        """Read every closed order opened or closed after ``since`` (exclusive), all pages."""

    def read_order(self, venue_order_id: str) -> OrderReport | None:
        """Read one order by the venue's id; None when the venue cleanly answers that it shows none."""

    def read_fills(self, order: OrderReport) -> tuple[FillReport, ...]:
        """Read the fills of one order, one row a fill, not merged."""

    def read_account_fills(self, *, since: datetime) -> tuple[FillReport, ...]:
        """Read every fill of the account after ``since``, all pages."""

    def fence_holds(self, signer_id: str | None) -> bool:
        """Return whether a delayed copy of a request of this signer is kept out once its deadline has passed. Pure.

        By an expiry in the request itself, or because the reads of a search carry higher nonces of the same key.
        """

    def assets_moved_by(self, plan: Plan) -> tuple[str, ...]:
        """Return the assets whose holdings an execution of the plan changes and hardly anything else does. Pure."""

    def account_refusals(self) -> tuple[str, ...]:
        """Return why no order can ever be carried by the account given, one sentence each. Pure; asks nobody."""

    def freeze_order_text(self, plan: Plan) -> str:
        """Return the exact request text of the plan's order without nonce and deadline. Pure."""

    def client_order_id_of(self, intent_id: str) -> str:
        """Return the client order id of a 128-bit intent id in the venue's spelling. Pure."""

    def order_shape_refusals(self, intent: OrderIntent) -> tuple[str, ...]:
        """Return why this venue can not carry such an order at all (unsupported flags). Pure."""

    def check_order(self, plan: Plan, *, deadline_at: datetime) -> DryCheck:
        """Ask the venue to validate the plan's order without effect, and compare what it read with the plan."""

    def check_stream(self) -> str:
        """Connect to the public stream, ping it, and return what it answered. Needs no key."""

    def over_stream(self) -> AbstractContextManager[VenueReads] | None:
        """Return reads of the same account that ask over one stream connection; None where a venue has no such thing.

        The context closes the connection. Failures, rate weights and the tape are those of the other reads. Once the
        connection is lost it is not opened again: each further read fails as ``not_reached``.
        """

    def open_stream(self) -> ExecutionStream:
        """Open the private stream of order executions."""


class ExecutionStream(Protocol):
    """The private stream. It yields order reports and fills, or says that it was cut: then REST must backfill."""

    def next_event(self, *, wait_ms: int) -> OrderReport | FillReport | StreamNotice | None:
        """Return the next event, or None when nothing came within ``wait_ms``."""

    def close(self) -> None:
        """Close the stream; never raises."""


class StreamNotice:
    """A gap, a cut or a heartbeat lapse: what was missed is unknown until REST was read."""

    def __init__(self, kind: Literal["subscribed", "gap", "cut"], detail: str) -> None:
        self.kind = kind
        self.detail = detail
