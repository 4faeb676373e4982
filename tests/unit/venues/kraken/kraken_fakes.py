"""A plan, an order object and ports for Kraken's tests. Keys and ids are made up."""

from __future__ import annotations

import base64

import msgspec

from quantlab.model.order import Plan, Promotion
from quantlab.venues.kraken import codec_orders
from quantlab.venues.kraken.auth import KrakenCredentials
from quantlab.venues.kraken.classify import needs_attempt
from quantlab.venues.redaction import Redactor
from quantlab.venues.transport import Transport
from tests.unit.venues.wire_fakes import CountingTurns, ManualClock, ScriptedConnector

API_KEY = "made-up-public-key-of-a-test"
API_SECRET = base64.b64encode(b"made-up secret of a test, 32 byte").decode()
CLIENT_ID = "0123456789abcdef0123456789abcdef"
ORDER_ID = "OAAAAA-BBBBB-CCCCCC"
BASE_URL = "http://127.0.0.1:8080"
DESCRIPTION = "buy 0.25000000 ETHUSD @ limit 2010.00"


def plan_of(**changes):
    """Return a plan whose order text fits its fields, unless the text is given."""
    fields = {
        "venue": "kraken",
        "environment": "rehearsal",
        "account_identity": "key-sha256:0",
        "account_label": "acct_demo",
        "symbol": "ETH-USD",
        "venue_symbol": "XETHZUSD",
        "side": "buy",
        "order_type": "limit",
        "size_base": "0.25",
        "limit_price": None,
        "worst_price": "2010",
        "time_in_force": "ioc",
        "post_only": False,
        "reduce_only": False,
        "notional_quote": "500",
        "reference_price": "2000",
        "client_order_id": CLIENT_ID,
        "session_id": "s",
        "order_text": "",
        "policy_sha256": "0" * 64,
        "promotion": Promotion(source="none"),
        "planned_at": "2026-09-03T06:00:00.000000Z",
    }
    plan = Plan(**fields | changes)
    if plan.order_text:
        return plan
    return msgspec.structs.replace(plan, order_text=codec_orders.order_text(plan))


def order_row(**changes):
    """Return an order object as the venue writes them."""
    row = {
        "refid": None,
        "userref": None,
        "cl_ord_id": CLIENT_ID,
        "status": "closed",
        "opentm": 1788415303.123456,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": "ETHUSD",
            "aclass": "forex",
            "type": "buy",
            "ordertype": "limit",
            "price": "2010.00",
            "price2": "0",
            "leverage": "none",
            "order": DESCRIPTION,
            "close": "",
        },
        "vol": "0.25000000",
        "vol_exec": "0.25000000",
        "cost": "500.00000",
        "fee": "2.00000",
        "price": "2000.00000",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
        "reason": None,
        "trades": ["TAAAAA-BBBBB-CCCCCC"],
        "closetm": 1788415304.5,
    }
    return row | changes


def trade_row(**changes):
    """Return a trade object as the venue writes them."""
    row = {
        "ordertxid": ORDER_ID,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": "XETHZUSD",
        "time": 1788415304.5,
        "type": "buy",
        "ordertype": "limit",
        "price": "2000.00000",
        "cost": "500.00000",
        "fee": "2.00000",
        "vol": "0.25000000",
        "margin": "0.00000",
        "misc": "",
        "trade_id": 68230622,
        "maker": False,
    }
    return row | changes


class Ports:
    """Clock, scripted network, turns and credentials of one test."""

    def __init__(self, *scripts):
        self.clock = ManualClock()
        self.connector = ScriptedConnector(self.clock, *scripts)
        self.redactor = Redactor()
        self.turns = CountingTurns()
        self.api_key = API_KEY
        self.api_secret = API_SECRET
        self.credentials = KrakenCredentials(
            read_api_key=lambda: self.api_key,
            read_api_secret=lambda: self.api_secret,
            redactor=self.redactor,
        )
        self.transport = Transport(
            connector=self.connector,
            clock=self.clock,
            redactor=self.redactor,
            needs_attempt=needs_attempt,
        )

    def sent(self, index=0):
        """Return path and body of a request that went out."""
        head, _, body = self.connector.connections[index].sent.decode().partition("\r\n\r\n")
        return head.split(" ")[1], body
