"""Balances as a ledger: every change is a row, the balance is the sum of the rows.

What open orders hold is not kept here; it follows from the orders.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one asset."""

    id: str
    refid: str
    """Trade id, or the id of the deposit."""
    at_ns: int
    recorded_ns: int
    type: str
    asset: str
    amount: Decimal
    """Signed change in units of the asset, before the fee."""
    fee: Decimal
    balance: Decimal
    """Balance after the change."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a ledger row comes from."""

    row_id: str
    refid: str
    kind: str
    """`trade` or `deposit`."""
    at_ns: int
    recorded_ns: int


class Purse(msgspec.Struct, kw_only=True):
    """All balances of one account."""

    rows: list[LedgerRow] = msgspec.field(default_factory=list)
    totals: dict[str, Decimal] = msgspec.field(default_factory=dict)

    def total(self, asset: str, as_of_ns: int | None = None) -> Decimal:
        """Return the balance of an asset, as recorded up to a time (None: now)."""
        if as_of_ns is None:
            return self.totals.get(asset, Decimal(0))
        changes = (r.amount - r.fee for r in self.rows if r.asset == asset and r.recorded_ns <= as_of_ns)
        return sum(changes, Decimal(0))

    def post(
        self,
        source: Source,
        asset: str,
        amount: Decimal,
        fee: Decimal = Decimal(0),
    ) -> LedgerRow:
        """Book one change of one asset, in units of the asset."""
        balance = self.totals.get(asset, Decimal(0)) + amount - fee
        self.totals[asset] = balance
        row = LedgerRow(
            id=source.row_id,
            refid=source.refid,
            at_ns=source.at_ns,
            recorded_ns=source.recorded_ns,
            type=source.kind,
            asset=asset,
            amount=amount,
            fee=fee,
            balance=balance,
        )
        self.rows.append(row)
        return row
