"""Values as a venue would give them, each to be changed where a test is about it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from quantlab.model.execution import AccountFacts
from quantlab.model.instrument import Balance, Instrument, Quote, SystemStatus, VenueTime
from quantlab.model.order import OrderIntent, Plan, Promotion
from quantlab.rungs.terms import Outlook, Terms

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)


def instrument(**changes: Any) -> Instrument:
    """Return a market."""
    fields: dict[str, Any] = {
        "symbol": "ETH-USD",
        "venue_symbol": "XETHZUSD",
        "venue_symbol_aliases": ("ETHUSD",),
        "base_asset": "ETH",
        "quote_asset": "USD",
        "price_increment": Decimal("0.01"),
        "price_decimals": 2,
        "size_increment": Decimal("0.001"),
        "size_decimals": 3,
        "minimum_size": Decimal("0.002"),
        "minimum_cost": Decimal("0.5"),
        "taker_fee_bps": Decimal(40),
        "mode": "online",
    }
    return Instrument(**(fields | changes))


def quote(bid: str = "1999.00", ask: str = "2000.00") -> Quote:
    """Return a quote."""
    return Quote(bid=Decimal(bid), ask=Decimal(ask), read_at=NOON)


def intent(**changes: Any) -> OrderIntent:
    """Return the seed's order."""
    fields: dict[str, Any] = {
        "symbol": "ETH-USD",
        "side": "buy",
        "size_base": Decimal("0.25"),
        "notional_quote": Decimal(500),
        "account_label": "acct_demo",
    }
    return OrderIntent(**(fields | changes))


def terms(**changes: Any) -> Terms:
    """Return terms."""
    fields: dict[str, Any] = {
        "order_type": "limit",
        "limit_price": Decimal(2000),
        "worst_price": Decimal(2000),
        "time_in_force": "ioc",
        "reference": Decimal(2000),
    }
    return Terms(**(fields | changes))


def account(**changes: Any) -> AccountFacts:
    """Return what a key may do."""
    fields: dict[str, Any] = {
        "identity": "iban-sha256:00",
        "identity_source": "venue_account",
        "key_name": "desk",
        "permissions": ("modify-trades",),
        "can_trade": True,
        "can_withdraw": False,
        "can_read_open_orders": True,
        "can_read_closed_orders": True,
        "can_read_funds": True,
        "can_stream": True,
        "nonce_window": 0,
        "query_from": None,
        "query_to": None,
        "valid_until": None,
    }
    return AccountFacts(**(fields | changes))


def venue_time(*, offset_ms: int = 0, resolution_ms: int = 0, at: datetime = NOON) -> VenueTime:
    """Return the venue's clock."""
    return VenueTime(venue_at=at, local_at=at, offset_ms=offset_ms, resolution_ms=resolution_ms)


def balance(asset: str, available: str, total: str | None = None) -> Balance:
    """Return funds of one asset."""
    return Balance(asset=asset, total=Decimal(total or available), available=Decimal(available))


def outlook(**changes: Any) -> Outlook:
    """Return a look at the venue."""
    fields: dict[str, Any] = {
        "time": venue_time(),
        "status": SystemStatus(mode="online", raw="online"),
        "instrument": instrument(),
        "quote": quote(),
        "account": account(),
        "balances": (balance("USD", "1000"), balance("ETH", "1")),
    }
    return Outlook(**(fields | changes))


def plan(**changes: Any) -> Plan:
    """Return a plan."""
    fields: dict[str, Any] = {
        "venue": "kraken",
        "environment": "rehearsal",
        "account_identity": "iban-sha256:00",
        "account_label": "acct_demo",
        "symbol": "ETH-USD",
        "venue_symbol": "XETHZUSD",
        "side": "buy",
        "order_type": "limit",
        "size_base": "0.25",
        "limit_price": "2000",
        "worst_price": "2000",
        "time_in_force": "ioc",
        "post_only": False,
        "reduce_only": False,
        "notional_quote": "500",
        "reference_price": "2000",
        "client_order_id": "0" * 32,
        "session_id": "20260921T120000Z-kraken-eth-usd-buy-000000000000",
        "order_text": "pair=XETHZUSD",
        "policy_sha256": "0" * 64,
        "promotion": Promotion(source="none"),
        "planned_at": "2026-09-21T12:00:00.000000Z",
    }
    return Plan(**(fields | changes))
