"""A plan, markets, order objects and ports for Hyperliquid's tests. Keys and ids are made up."""

from __future__ import annotations

import json
from contextlib import contextmanager

import msgspec

from quantlab.model.order import Plan, Promotion
from quantlab.venues.hyperliquid import codec_orders
from quantlab.venues.hyperliquid.auth import HyperliquidSigner
from quantlab.venues.hyperliquid.classify import needs_attempt
from quantlab.venues.redaction import Redactor
from quantlab.venues.transport import Transport
from tests.unit.venues.wire_fakes import START, ManualClock, ScriptedConnector, http_answer

PRIVATE_KEY = "0x" + "5e" * 32
SIGNER = "0xd8291e50e2e68fb2c70d77ccdc707d291a89f209"
ACCOUNT = "0x" + "ac" * 20
MASTER = "0x" + "3a" * 20
CLIENT_ID = "0x0123456789abcdef0123456789abcdef"
ORDER_ID = "77738308"
BASE_URL = "http://127.0.0.1:8081"
NOW_MS = int(START.timestamp()) * 1000

META = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "ETH", "szDecimals": 4, "maxLeverage": 25, "marginTableId": 55},
        {"name": "MATIC", "szDecimals": 1, "maxLeverage": 20, "marginTableId": 20, "isDelisted": True},
        {"name": "kPEPE", "szDecimals": 0, "maxLeverage": 10, "marginTableId": 10},
    ],
    "marginTables": [],
    "collateralToken": 0,
}
SPOT_META = {
    "universe": [
        {"tokens": [1, 0], "name": "PURR/USDC", "index": 0, "isCanonical": True},
        {"tokens": [150, 0], "name": "@107", "index": 107, "isCanonical": False},
        {"tokens": [1, 0], "name": "@9", "index": 9, "isCanonical": False},
    ],
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0},
        {"name": "PURR", "szDecimals": 0, "weiDecimals": 5, "index": 1},
        {"name": "HYPE", "szDecimals": 2, "weiDecimals": 8, "index": 150},
    ],
}


def plan_of(**changes):
    """Return a plan whose order text fits its fields, unless the text is given."""
    fields = {
        "venue": "hyperliquid",
        "environment": "rehearsal",
        "account_identity": ACCOUNT,
        "account_label": ACCOUNT,
        "symbol": "ETH",
        "venue_symbol": "ETH",
        "venue_symbol_aliases": ("asset=1",),
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
    return msgspec.structs.replace(plan, order_text=codec_orders.action_text(codec_orders.order_action(plan)))


def order_row(**changes):
    """Return an order object as the venue writes them."""
    row = {
        "coin": "ETH",
        "side": "B",
        "limitPx": "2010.0",
        "sz": "0.0",
        "oid": int(ORDER_ID),
        "timestamp": NOW_MS,
        "triggerCondition": "N/A",
        "isTrigger": False,
        "triggerPx": "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": False,
        "orderType": "Limit",
        "origSz": "0.25",
        "tif": "Ioc",
        "cloid": CLIENT_ID,
    }
    return row | changes


def record(status="filled", *, at=NOW_MS, **changes):
    """Return an order object with its status."""
    return {"order": order_row(**changes), "status": status, "statusTimestamp": at}


def fill_row(**changes):
    """Return a fill as the venue writes them."""
    row = {
        "coin": "ETH",
        "px": "2000.0",
        "sz": "0.25",
        "side": "B",
        "time": NOW_MS,
        "startPosition": "0.0",
        "dir": "Open Long",
        "closedPnl": "0.0",
        "hash": "0x" + "ab" * 32,
        "oid": int(ORDER_ID),
        "crossed": True,
        "fee": "0.225",
        "tid": 1070455675927460,
        "cloid": CLIENT_ID,
        "feeToken": "USDC",
        "twapId": None,
    }
    return row | changes


def json_answer(value):
    """Return the bytes of a whole answer with a JSON body."""
    return http_answer(json.dumps(value).encode())


class CountingTurn:
    """A turn that notes the weight asked for."""

    def __init__(self):
        self.weights = []

    def next_nonce(self):
        raise AssertionError("a read needs no nonce")

    def spend_points(self, points, *, capacity, decay_per_kilosecond):
        assert (900, 5_000) == (capacity, decay_per_kilosecond)
        self.weights.append(points)


class CountingTurns:
    """One turn for every key."""

    def __init__(self):
        self.shared = CountingTurn()
        self.signers = []

    @contextmanager
    def turn(self, signer_id):
        self.signers.append(signer_id)
        yield self.shared


class Ports:
    """Clock, scripted network, turns and signer of one test."""

    def __init__(self, *scripts):
        self.clock = ManualClock()
        self.connector = ScriptedConnector(self.clock, *scripts)
        self.turns = CountingTurns()
        self.private_key = PRIVATE_KEY
        self.keys_read = 0
        self.signer = HyperliquidSigner(address=SIGNER, read_private_key=self._read_key)
        self.transport = Transport(
            connector=self.connector, clock=self.clock, redactor=Redactor(), needs_attempt=needs_attempt
        )

    def _read_key(self):
        self.keys_read += 1
        return self.private_key

    def sent(self, index=0):
        """Return path and body of a request that went out."""
        head, _, body = self.connector.connections[index].sent.decode().partition("\r\n\r\n")
        return head.split(" ")[1], json.loads(body)

    def asked(self):
        """Return the bodies of all requests that went out."""
        return [self.sent(index)[1] for index in range(len(self.connector.connections))]
