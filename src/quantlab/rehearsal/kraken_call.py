"""What a private call of the Kraken face is given to work with."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from quantlab.rehearsal.accounts import KrakenKey
from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.kraken_book import Account, Order
from quantlab.rehearsal.kraken_engine import Engine
from quantlab.rehearsal.kraken_knobs import Rules, read_rules
from quantlab.rehearsal.kraken_ticket import Partial
from quantlab.rehearsal.kraken_wire import Params, Refused

VENUE: Final = "kraken"
TXID: Final = re.compile(r"[A-Z][A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")
"""Shape of order, trade and ledger ids."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticated call."""

    exchange: Exchange
    engine: Engine
    key: KrakenKey
    params: Params
    now_ns: int
    as_of_ns: int | None = None
    """Time as of which reads look at the account; None is now."""

    @property
    def account(self) -> Account:
        """The account that the key belongs to."""
        return self.exchange.state.accounts[self.key.account]

    @property
    def rules(self) -> Rules:
        """Readings in force."""
        return read_rules(self.exchange.plan.settings("rules", VENUE))

    def seen_order(self, txid: str) -> Order | None:
        """Return an order of the account as this call sees it.

        Raises:
            Refused: the text is no id at all.
        """
        if not TXID.fullmatch(txid):
            raise Refused("EOrder:Invalid order")
        return next((o for o in self.account.seen(self.as_of_ns) if o.txid == txid), None)

    def partial(self) -> Partial | None:
        """Take the scripted partial fill that meets this order, if there is one."""
        fault = self.exchange.plan.take("partial_fill", VENUE, "/0/private/AddOrder", "order")
        return Partial(fraction=fault.fraction, then=fault.text) if fault else None
