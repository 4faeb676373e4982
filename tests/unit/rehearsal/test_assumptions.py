"""Each numbered assumption of docs/assumptions.md holds on the rehearsal exchange, until it is told to break it.

A case looks whether one assumption holds. It is asked twice: of an exchange as it is, and of one with the faults that
break it armed.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from quantlab.rehearsal.kraken_wire import rfc3339
from tests.unit.rehearsal.driving import CLIENT_ID, NS, START_NS, order
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, limit, order_action

PAGE = Path(__file__).resolve().parents[3] / "docs/assumptions.md"
NOOP = {"type": "noop"}
LATE = {"venue": "hyperliquid", "path": "/exchange", "type": "order", "fault": "late"}


def hyperliquid(fault: str, value: Any = None, path: str = "*", **more: Any) -> dict[str, Any]:
    """Return a fault of Hyperliquid."""
    return {"venue": "hyperliquid", "path": path, "fault": fault, **more, **({} if value is None else {"value": value})}


def kraken(fault: str, value: Any = None, path: str = "*", **more: Any) -> dict[str, Any]:
    """Return a fault of Kraken."""
    return {**hyperliquid(fault, value, path, **more), "venue": "kraken"}


def arm(desk: Desk, *faults: dict[str, Any]) -> None:
    """Arm faults."""
    for fault in faults:
        desk.control("POST", "/faults", fault)


def place(desk: Desk, **options: Any) -> Any:
    """Send an order with the cloid; return the answer, or None where none came."""
    reply = desk.post("/exchange", desk.envelope(order_action(limit(c=CLOID)), **options))
    return reply.json() if reply else None


def count(desk: Desk) -> int:
    """Return how many orders the exchange has taken."""
    return len(desk.orders())


# ------------------------------------------------------------------- Hyperliquid


def h1(desk: Desk) -> bool:
    """An action that arrives after its end has no effect."""
    arm(desk, {**LATE, "value": 61})
    place(desk, expires=desk.now_ms + 60_000)
    desk.pass_seconds(120)
    return count(desk) == 0


def h2(desk: Desk) -> bool:
    """The same bytes run once."""
    body = desk.envelope(order_action(limit()))
    for _ in range(2):
        desk.post("/exchange", body)
    return count(desk) == 1


def h3(desk: Desk) -> bool:
    """After a noop that is answered ok no order of its nonce can be taken."""
    nonce = desk.now_ms
    assert desk.act(NOOP, nonce=nonce)["status"] == "ok"
    place(desk, nonce=nonce)
    return count(desk) == 0


def h3_before(desk: Desk) -> bool:
    """A noop of the nonce of an order that was taken is not answered ok."""
    nonce = desk.now_ms
    place(desk, nonce=nonce)
    return bool(desk.act(NOOP, nonce=nonce)["status"] == "err")


def h4(desk: Desk) -> bool:
    """An order that was refused before it was admitted has not used its nonce: a noop of it is answered ok."""
    nonce = desk.now_ms
    assert desk.refused(order_action(limit()), nonce=nonce, vault="0x" + "1" * 40).startswith("Vault not registered")
    return bool(desk.act(NOOP, nonce=nonce)["status"] == "ok")


def h4_effect(desk: Desk) -> bool:
    """An order whose answer names an unknown signer was not taken."""
    keys = desk.exchange.keys
    refused = [place(desk, key=key.private_key)["status"] == "err" for key in (keys.other, keys.agent)]
    return count(desk) == refused.count(False)


def h5(desk: Desk) -> bool:
    """A minute after an order was taken every read shows it."""
    desk.hl_fault("partial_fill", "/exchange", value="0.4")
    place(desk)
    desk.pass_seconds(60)
    kinds = ("openOrders", "frontendOpenOrders", "historicalOrders", "userFills")
    found = [CLOID in str(desk.mine(kind)) for kind in kinds]
    found += [CLOID in str(desk.mine("userFillsByTime", startTime=0)), desk.status_by_cloid() == "open"]
    assert len(set(found)) == 1
    return found[0]


def h6(desk: Desk) -> bool:
    """An ended order is still on record when a few newer ones were made."""
    place(desk)
    desk.act({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]})
    for _ in range(3):
        desk.place(limit())
    known = CLOID in str(desk.mine("historicalOrders"))
    assert known == (desk.status_by_cloid() == "canceled")
    return known


def h7(desk: Desk) -> bool:
    """An order whose status is an error was not taken."""
    statuses = [desk.place(limit(size=size))[0] for size in ("0.001", "0.25")]
    assert "error" in statuses[0]
    return count(desk) == sum("error" not in status for status in statuses)


def h8(desk: Desk) -> bool:
    """An order that was taken is found by its cloid."""
    place(desk)
    assert count(desk) == 1
    return desk.status_by_cloid() == "open"


def h9(desk: Desk) -> bool:
    """When the venue says that a time has passed, an action that ends then is refused."""
    ends = desk.now_ms + 5_000
    desk.pass_seconds(6)
    assert desk.info("exchangeStatus")["time"] > ends
    return place(desk, expires=ends) == {"status": "err", "response": "Action already expired"}


def h10(desk: Desk) -> bool:
    """An agent that the reads do not know any more can not act."""
    agent = desk.exchange.keys.agent.address
    if desk.info("userRole", user=agent)["role"] == "agent":
        desk.hl_fault("agent_removed")
    assert desk.info("userRole", user=agent) == {"role": "missing"}
    place(desk)
    return count(desk) == 0


# ------------------------------------------------------------------------ Kraken


def k1(desk: Desk) -> bool:
    """An order that arrives after its deadline is refused."""
    desk.fault("late", "AddOrder", value=30)
    params = order(deadline=rfc3339(START_NS + 20 * NS))
    desk.exchange_bytes(desk.private_bytes("AddOrder", params))
    desk.pass_seconds(60)
    return count(desk) == 0


def k2(desk: Desk) -> bool:
    """A higher nonce that was accepted keeps a delayed request out."""
    desk.fault("late", "AddOrder", value=30)
    desk.exchange_bytes(desk.private_bytes("AddOrder", order()))
    desk.ok("OpenOrders")
    desk.pass_seconds(60)
    return count(desk) == 0


def k3(desk: Desk) -> bool:
    """A minute after an order was taken every read shows it."""
    [txid] = desk.ok("AddOrder", order())["txid"]
    desk.pass_seconds(60)
    found = [txid in desk.ok("OpenOrders")["open"], txid in desk.ok("QueryOrders", {"txid": txid})]
    assert len(set(found)) == 1
    return found[0]


def k4(desk: Desk) -> bool:
    """Orders that are asked for by their client order id are there, open and closed."""
    [txid] = desk.ok("AddOrder", order(cl_ord_id=CLIENT_ID))["txid"]
    found = [txid in desk.ok("OpenOrders", {"cl_ord_id": CLIENT_ID})["open"]]
    assert txid in desk.ok("OpenOrders")["open"]
    desk.ok("CancelOrder", {"txid": txid})
    found += [txid in desk.ok("ClosedOrders", {"cl_ord_id": CLIENT_ID})["closed"]]
    assert txid in desk.ok("ClosedOrders")["closed"]
    assert len(set(found)) == 1
    return found[0]


def k5(desk: Desk) -> bool:
    """A second open order with the client order id of a first one is refused."""
    for _ in range(2):
        desk.private("AddOrder", order(cl_ord_id=CLIENT_ID))
    return count(desk) == 1


def k6(desk: Desk) -> bool:
    """Lists hold every row, and as many as their count says."""
    [txid] = desk.ok("AddOrder", order(ordertype="market", price=None))["txid"]
    closed, trades = desk.ok("ClosedOrders"), desk.ok("TradesHistory")
    assert (closed["count"], trades["count"]) == (len(closed["closed"]), len(trades["trades"]))
    found = [txid in closed["closed"], txid in {t["ordertxid"] for t in trades["trades"].values()}]
    assert len(set(found)) == 1
    return found[0]


def k7(desk: Desk) -> bool:
    """A request with validate=true places nothing."""
    assert set(desk.ok("AddOrder", order(validate="true"))) == {"descr"}
    desk.ok("Balance")
    rows = [r for r in desk.requests() if r["type"] == "validate"]
    assert [bool(count(desk))] == [r["effect"] for r in rows]
    return count(desk) == 0


def k8(desk: Desk) -> bool:
    """A refusal means that nothing was done."""
    errors = [desk.private("AddOrder", order(volume=volume))["error"] for volume in ("5000", "0.25")]
    assert errors[0] == ["EOrder:Insufficient funds"]
    return count(desk) == errors.count([])


def k9(desk: Desk) -> bool:
    """A key that says it has no nonce window has none."""
    says_none = desk.ok("GetApiKeyInfo")["nonceWindow"] == 0
    desk.ok("Balance", nonce=10**18 + 100)
    admits_older = desk.private("Balance", nonce=10**18 + 50)["error"] == []
    return not (says_none and admits_older)


def k10(desk: Desk) -> bool:
    """When the venue's time call says that a deadline has passed, an order of that deadline is refused."""
    deadline = START_NS + 5 * NS
    while desk.public("Time")["unixtime"] * NS <= deadline:
        desk.pass_seconds(1)
    return bool(desk.private("AddOrder", order(deadline=rfc3339(deadline)))["error"])


# ------------------------------------------------------------------------- cases


class Case(NamedTuple):
    """One assumption: its number, whether it holds, and what breaks it."""

    number: str
    holds: Callable[[Desk], bool]
    broken_by: list[dict[str, Any]]


UNKNOWN_SIGNER = {"error": "User or API Wallet 0x does not exist.", "after_accept": True}
MINIMUM = {"error": "Order must have minimum value of $10. asset=1", "per_order": True, "after_accept": True}
REFUSED = {"error": "EOrder:Insufficient funds", "after_accept": True}
CASES = [
    Case("H1", h1, [hyperliquid("rules", {"expiry_slack_ms": 5000})]),
    Case("H2", h2, [hyperliquid("nonce_forgotten")]),
    Case("H3", h3, [hyperliquid("nonce_forgotten", path="/exchange", type="order")]),
    Case("H3", h3_before, [hyperliquid("nonce_forgotten", path="/exchange", type="noop")]),
    Case("H4", h4, [hyperliquid("rules", {"refusal_burns_nonce": True})]),
    Case("H4", h4_effect, [hyperliquid("api_error", UNKNOWN_SIGNER, "/exchange", after=1)]),
    Case("H5", h5, [hyperliquid("stale_reads", 3600, "/info")]),
    Case("H6", h6, [hyperliquid("limits", {"orders_kept": 3})]),
    Case("H7", h7, [hyperliquid("api_error", MINIMUM, "/exchange", after=1)]),
    Case("H8", h8, [hyperliquid("rules", {"drops_cloid": True})]),
    Case("H9", h9, [hyperliquid("rules", {"engine_lag_ms": 3000})]),
    Case("H10", h10, [hyperliquid("agent_removed", "unenforced")]),
    Case("K1", k1, [kraken("rules", {"deadline_slack_seconds": 20})]),
    Case("K2", k2, [kraken("nonce_window", 10)]),
    Case("K3", k3, [kraken("stale_reads", 3600)]),
    Case("K4", k4, [kraken("rules", {"filter_finds_nothing": True})]),
    Case("K5", k5, [kraken("rules", {"shares_client_ids": True})]),
    Case("K6", k6, [kraken("rules", {"rows_left_out": 1})]),
    Case("K7", k7, [kraken("rules", {"validate_places": True})]),
    Case("K8", k8, [kraken("api_error", REFUSED, "AddOrder", after=1)]),
    Case("K9", k9, [kraken("nonce_window", 1000), kraken("rules", {"hides_nonce_window": True})]),
    Case("K10", k10, [kraken("clock_skew", 30)]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.holds.__name__)
def test_assumption_holds_until_it_is_broken(case):
    """As it is the exchange keeps the assumption; with its faults armed it does not."""
    assert case.holds(Desk())
    desk = Desk()
    arm(desk, *case.broken_by)
    assert not case.holds(desk)


def test_every_assumption_can_be_broken():
    """Each numbered assumption of the page has a case here, in the page's order."""
    numbers = re.findall(r"^### ([KH][0-9]+) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(numbers) == {case.number for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.holds.__name__)
def test_every_breaking_is_named_on_the_page(case):
    """The section of an assumption names each fault and each key that breaks it."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition(f"\n### {case.number} ")[2].partition("\n#")[0]
    for fault in case.broken_by:
        value = fault.get("value")
        keys = value if fault["fault"] in ("rules", "limits") else {}
        keys = [*keys, fault["fault"], *([value] if isinstance(value, str) else [])]
        assert [key for key in keys if f"`{key}`" not in section] == []


def test_rows_left_out_may_still_be_counted():
    """With `counts_left_out` the count is of all rows, so that a reader can notice what is missing."""
    desk = Desk()
    desk.fault("rules", value={"rows_left_out": 1, "counts_left_out": True})
    desk.ok("AddOrder", order(ordertype="market", price=None))
    for name, rows in (("ClosedOrders", "closed"), ("TradesHistory", "trades")):
        answer = desk.ok(name)
        assert answer["count"] == len(answer[rows]) + 1


def test_a_validation_that_places_may_tell_its_order():
    """With `validate_tells` the answer has the id of the order that a validation has placed."""
    desk = Desk()
    desk.fault("rules", value={"validate_places": True, "validate_tells": True})
    [txid] = desk.ok("AddOrder", order(validate="true"))["txid"]
    assert [txid] == [row["venue_order_id"] for row in desk.orders()]


@pytest.mark.parametrize("action", [order_action(limit()), NOOP])
def test_a_nonce_that_nobody_can_use_is_not_burned(action):
    """A refusal that burns nonces leaves a signature without a signer, and a nonce that was used, as they are."""
    desk = Desk()
    desk.hl_fault("rules", value={"refusal_burns_nonce": True})
    nonce, vault = desk.now_ms, "0x" + "1" * 40
    body = desk.envelope(action, nonce=nonce) | {"signature": {"r": "0x0", "s": "0x0", "v": 27}}
    assert desk.post("/exchange", body).json()["response"] == "Unable to recover signer."
    assert desk.act(NOOP, nonce=nonce)["status"] == "ok"
    assert desk.refused(action, nonce=nonce, vault=vault).startswith("Vault not registered")


@pytest.mark.parametrize(
    ("value", "word"),
    [({"deadline_slack_seconds": -1}, "negative"), ({"rows_left_out": -1}, "negative"), ({"x": 1}, "rules"),
     ({"validate_places": 1}, "rules"), (5, "rules"), ({"network": "Mainnet"}, "network")],
)  # fmt: skip
def test_rules_that_make_no_sense(value, word):
    """A rule of Kraken that cannot be understood is refused with a sentence, and nothing is armed."""
    desk = Desk()
    assert word in desk.control("POST", "/faults", kraken("rules", value), status=400)["error"]
    assert desk.control("GET", "/faults") == {"faults": []}


def test_conditions_begin_after_so_many_answers():
    """`after` of a condition counts matching requests that were answered; the fault list shows what is left."""
    desk = Desk()
    desk.hl_fault("system_status", "/info", type="meta", after=2, value="post_only")
    desk.fault("rules", "Balance", after=1, value={"validate_places": True})
    for expected in (None, None, "post_only"):
        assert expected == desk.info("exchangeStatus")["specialStatuses"]
        desk.info("meta")
    assert [0, 1] == [row["after"] for row in desk.control("GET", "/faults")["faults"]]
    desk.ok("AddOrder", order(validate="true"))
    assert desk.orders() == []
    desk.ok("Balance")
    desk.ok("AddOrder", order(validate="true"))
    assert len(desk.orders()) == 1
