"""Account readiness: can this account and key carry the order. Permissions, funds, open orders, what is missing.

Needs: credentials, or the addresses of account and signer. Makes: ``<venue>_account_readiness``.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from quantlab.evidence.preparatory import AccountReadiness
from quantlab.kernel.result import Result
from quantlab.model.order import OrderIntent, Side
from quantlab.rungs.account_look import look_at_account, write_account
from quantlab.rungs.desk import Desk


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Where to write, and optionally the order to be carried."""

    outdir: Path
    account_label: str | None = None
    account: str | None = None
    signer: str | None = None
    symbol: str | None = None
    side: Side | None = None
    quantity: Decimal | None = None
    notional: Decimal | None = None


def run(desk: Desk, request: Request) -> Result:
    """Look at the account and write what was found, also when it is not ready.

    Raises:
        UsageFault: the symbol can not be understood.
        Denied: no environment or credentials.
    """
    desk.serve(account=request.account, signer=request.signer)
    label = request.account_label or request.account
    look = look_at_account(desk, funds=True, label=label, intent=_intent(desk, request))
    name = desk.corridor.names[AccountReadiness]
    return write_account(desk, request.outdir, look, name=name, schema="quantlab.account_readiness/1")


def _intent(desk: Desk, request: Request) -> OrderIntent | None:
    if request.symbol is None or request.side is None or request.quantity is None:
        return None
    return OrderIntent(
        symbol=desk.reads.parse_symbol(request.symbol),
        side=request.side,
        size_base=request.quantity,
        notional_quote=request.notional or Decimal(0),
        account_label=request.account_label or "",
    )
