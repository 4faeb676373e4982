"""One claim and one spend with fixed values, for the tests of the ledger."""

from decimal import Decimal
from typing import Any

import msgspec

from quantlab.storage.ledger import Interlock, Spend
from tests.unit.evidence.built import AT

ACCOUNT = "kraken:rehearsal:AA00"
CLAIM = Interlock(account_key=ACCOUNT, session_id="s1", folder="f1", plan_sha256="p1", claimed_at=AT)
SPEND = Spend(
    plan_sha256="p1",
    client_order_id="c1",
    intent_sha256="i1",
    session_id="s1",
    folder="f1",
    account_key=ACCOUNT,
    signer_id="k1",
    nonce_floor=1_767_323_045_000_000_000,
    day="2026-01-02",
    notional_quote=Decimal("505.05"),
    daily_orders_limit=20,
    daily_notional_limit=Decimal(5000),
    spent_at=AT,
)


def but(one: Any, **changes: Any) -> Any:
    """Return a value with changes."""
    return msgspec.structs.replace(one, **changes)
