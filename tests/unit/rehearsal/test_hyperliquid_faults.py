"""Faults on this venue: what reaches the engine, what reaches the client, what the log says of it."""

import json

import pytest

from quantlab.rehearsal.wire import Close, Send, Wake
from tests.unit.rehearsal.driving import NS, Reply
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, limit, order_action

NOOP = {"type": "noop"}


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


def send(desk: Desk, action=None, **options):
    """Send one action and return what the connection did, and the connection."""
    body = desk.envelope(action or order_action(limit(c=CLOID)), **options)
    actions, connection = desk.exchange_bytes(desk.post_bytes("/exchange", body), desk.hyperliquid)
    return list(actions), connection


def last(desk: Desk) -> tuple[str, str, bool]:
    """Return type, answer and effect of the last logged request."""
    row = desk.requests()[-1]
    return row["type"], row["answer"], row["effect"]


def test_drop_before_read_has_no_effect(desk):
    """The connection is reset, nothing is processed, the nonce is free."""
    desk.hl_fault("drop_before_read", "/exchange", type="order")
    nonce = desk.now_ms
    assert [Close(reset=True)] == send(desk, nonce=nonce)[0]
    assert last(desk) == ("order", "dropped", False)
    assert desk.orders() == []
    assert desk.act(NOOP, nonce=nonce)["status"] == "ok"


def test_drop_after_accept_leaves_the_order(desk):
    """The order exists, its nonce is used, and nobody was told."""
    desk.hl_fault("drop_after_accept", "/exchange")
    nonce = desk.now_ms
    assert [Close()] == send(desk, nonce=nonce)[0]
    assert last(desk) == ("order", "dropped", True)
    assert "open" == desk.status_by_cloid()
    assert "duplicate" in desk.refused(NOOP, nonce=nonce)


def test_faults_are_scripted_by_type(desk):
    """A fault for orders leaves noops and reads alone, one for a read leaves actions alone."""
    desk.hl_fault("drop_before_read", "/exchange", type="order")
    desk.hl_fault("http_error", "/info", type="orderStatus")
    assert desk.act(NOOP)["status"] == "ok"
    assert desk.mine("openOrders") == []
    desk.mine("orderStatus", status=502, oid=CLOID)
    assert [Close(reset=True)] == send(desk)[0]


@pytest.mark.parametrize(
    ("value", "status", "body", "placed"),
    [(None, 502, b"<html>", 0), (504, 504, b"<html>", 0), (429, 429, b"null", 0), (500, 500, b"null", 0),
     ({"status": 502, "after_accept": True}, 502, b"<html>", 1),
     ({"status": 429, "after_accept": True}, 429, b"null", 1)],
)  # fmt: skip
def test_http_error(desk, value, status, body, placed):
    """Gateway errors are pages, 429 and 500 the venue's null; by default nothing was processed."""
    desk.hl_fault("http_error", "/exchange", value=value)
    [sent] = send(desk)[0]
    reply = Reply(sent.data)
    assert (status, body) == (reply.status, reply.body[: len(body)])
    assert (last(desk)[1], placed) == (f"http {status}", len(desk.orders()))


@pytest.mark.parametrize(("value", "placed"), [(None, 1), ({"after_accept": False}, 0)])
def test_garbage_is_no_json(desk, value, placed):
    """The answer is HTTP 200 and unreadable; the order exists unless the fault says otherwise."""
    desk.hl_fault("garbage", "/exchange", value=value)
    [sent] = send(desk)[0]
    reply = Reply(sent.data)
    assert (200, placed) == (reply.status, len(desk.orders()))
    with pytest.raises(ValueError, match="Expecting"):
        reply.json()


@pytest.mark.parametrize("value", ["length", "json"])
def test_truncate(desk, value):
    """Half of the answer comes; the order exists."""
    desk.hl_fault("truncate", "/exchange", value=value)
    actions, _ = send(desk)
    reply = Reply(actions[0].data)
    assert (value == "json") == (len(reply.body) == int(reply.headers["content-length"]))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        reply.json()
    assert len(desk.orders()) == 1


def test_duplicate_is_admitted_once(desk):
    """The second copy meets the nonce of the first, and its answer is what the client sees."""
    desk.hl_fault("duplicate", "/exchange")
    nonce = desk.now_ms
    text = f"Invalid nonce: duplicate nonce {nonce}"
    assert text == desk.refused(order_action(limit()), nonce=nonce)
    assert len(desk.orders()) == 1
    assert [("ok", True), (text, False)] == [(r["answer"], r["effect"]) for r in desk.requests()[-2:]]


@pytest.mark.parametrize(
    ("value", "answer", "placed"),
    [
        (None, {"status": "err", "response": "Internal error"}, 0),
        ("Unable to recover signer.", {"status": "err", "response": "Unable to recover signer."}, 0),
        ({"error": "Some text. asset=1", "per_order": True, "after_accept": True},
         {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"error": "Some text. asset=1"}]}}},
         1),
    ],
)  # fmt: skip
def test_api_error(desk, value, answer, placed):
    """The text stands in the whole answer or in the status of one order."""
    desk.hl_fault("api_error", "/exchange", value=value)
    assert answer == desk.act(order_action(limit()))
    assert placed == len(desk.orders())


# ------------------------------------------------------------------------- late


@pytest.mark.parametrize(("seconds", "placed"), [(29, 0), (30, 1)])
def test_late_action_meets_its_expiry(desk, seconds, placed):
    """A held order runs when the exchange's clock gets there, if it has not expired by then."""
    desk.hl_fault("late", "/exchange", value=30)
    assert [Close()] == send(desk, expires=desk.now_ms + seconds * 1000)[0]
    assert last(desk) == ("order", "late", False)
    desk.control("POST", "/clock", {"advance_seconds": 300})
    assert placed == len(desk.orders())
    assert last(desk)[1:] == ((("late: ok", True)) if placed else ("late: Action already expired", False))


def test_late_action_is_stopped_by_a_noop(desk):
    """A noop with its nonce burns a held order."""
    desk.hl_fault("late", "/exchange", type="order", value=30)
    nonce = desk.now_ms
    send(desk, nonce=nonce)
    assert desk.act(NOOP, nonce=nonce)["status"] == "ok"
    desk.pass_seconds(31)
    assert desk.orders() == []
    assert f"late: Invalid nonce: duplicate nonce {nonce}" in [r["answer"] for r in desk.requests()]


def test_late_actions_of_both_venues_do_not_mix(desk):
    """Each face carries out what it has held itself."""
    desk.hl_fault("late", "/exchange", value=30)
    desk.fault("late", "AddOrder", value=30)
    send(desk)
    params = {"ordertype": "limit", "type": "buy", "volume": "0.25", "pair": "ETHUSD", "price": "1900"}
    desk.exchange_bytes(desk.private_bytes("AddOrder", params))
    desk.pass_seconds(30)
    assert ["hyperliquid", "kraken"] == sorted(o["venue"] for o in desk.orders())


# ------------------------------------------------------------------------ delays


def test_delay_comes_before_processing(desk):
    """While it waits the order does not exist; the peer may be gone by then."""
    desk.hl_fault("delay", "/exchange", value=2)
    actions, connection = send(desk)
    assert [Wake(2 * NS)] == actions
    assert desk.orders() == []
    connection.lost()
    connection.wake()
    assert len(desk.orders()) == 1


def test_delay_after_accept(desk):
    """The order exists before its answer leaves."""
    desk.hl_fault("delay", "/exchange", value={"seconds": 2, "after_accept": True})
    actions, connection = send(desk)
    assert [Wake(2 * NS)] == actions
    assert "open" == desk.status_by_cloid()
    connection.outbox.clear()
    connection.wake()
    assert b"resting" in connection.outbox[0].data


def test_block_delay(desk):
    """With a block delay every action waits for its block, reads do not."""
    desk.hl_fault("rules", value={"block_delay_ms": 200})
    assert [Wake(NS // 5)] == send(desk)[0]
    assert desk.mine("openOrders") == []


# ------------------------------------------------------------------ partial fills


@pytest.mark.parametrize(
    ("tif", "then", "status"),
    [("Gtc", "rest", "open"), ("Gtc", "cancel", "canceled"), ("Gtc", "fill", "filled"), ("Ioc", "rest", "filled")],
)
def test_partial_fill(desk, tif, then, status):
    """A marketable order fills in part; the rest stands, ends or fills a second later."""
    desk.hl_fault("partial_fill", "/exchange", type="order", value={"fraction": 0.4, "then": then})
    desk.place(limit("2100", tif=tif, c=CLOID))
    assert [f["sz"] for f in desk.mine("userFills") if f["coin"] == "ETH"] == ["0.1"]
    desk.pass_seconds(2)
    assert status == desk.status_by_cloid()
    [row] = desk.orders()
    assert row["filled"] == ("0.25" if then == "fill" else "0.1")


def test_partial_fill_of_a_resting_order(desk):
    """An order away from the market fills in part as maker, at its limit."""
    desk.hl_fault("partial_fill", "/exchange", value=0.5)
    desk.place(limit("1900", "0.5", c=CLOID))
    [fill] = [f for f in desk.mine("userFills") if f["coin"] == "ETH"]
    assert (fill["px"], fill["sz"], fill["crossed"]) == ("1900.0", "0.25", False)
    order = desk.mine("orderStatus", oid=CLOID)["order"]
    assert (order["status"], order["order"]["sz"], order["order"]["origSz"]) == ("open", "0.25", "0.5")


# -------------------------------------------------------------------- conditions


def test_refused_connect(desk):
    """The listener is to close for this venue alone, as long as the fault says."""
    desk.hl_fault("refuse_connect", value=5)
    assert (True, False) == (desk.hyperliquid.refuses(), desk.kraken.refuses())
    desk.pass_seconds(5)
    assert desk.hyperliquid.refuses() is False


def test_refused_connect_once_an_action_was_answered(desk):
    """The listener closes after the answer to a path."""
    desk.hl_fault("refuse_connect", value={"once_answered": "/exchange"})
    desk.info("meta")
    assert desk.hyperliquid.refuses() is False
    desk.act(NOOP)
    assert desk.hyperliquid.refuses() is True


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"fault": "limits", "value": {"x": 1}}, "limits"),
        ({"fault": "limits", "value": 5}, "limits"),
        ({"fault": "rules", "value": {"network": "Moon"}}, "Moon"),
        ({"fault": "rules", "value": {"block_delay_ms": 201}}, "block_delay_ms"),
        ({"fault": "rules", "value": {"band_percent": 100}}, "band_percent"),
        ({"fault": "agent_removed", "value": "x"}, "agent_removed"),
        ({"fault": "system_status", "value": "maintenance"}, "system_status"),
        ({"fault": "nonce_window", "value": 1}, "kraken alone"),
        ({"fault": "delay", "value": {"after_accept": True}}, "delay"),
        ({"fault": "api_error", "value": {"per_order": 1}}, "per_order"),
        ({"fault": "limits", "value": {}, "venue": "kraken"}, "hyperliquid alone"),
        ({"fault": "delay", "value": {"seconds": 1}, "venue": "kraken"}, "seconds"),
        ({"fault": "api_error", "value": {"per_order": True}, "venue": "kraken"}, "per_order"),
    ],
)
def test_faults_that_make_no_sense(desk, fault, word):
    """A fault that cannot be understood is refused with a sentence, and nothing is armed."""
    answer = desk.control("POST", "/faults", {"venue": "hyperliquid", **fault}, status=400)
    assert word in answer["error"]
    assert desk.control("GET", "/faults") == {"faults": []}


def test_knobs_of_several_faults_add_up(desk):
    """A later fault of the same name wins key by key, and clearing brings the defaults back."""
    desk.hl_fault("limits", value={"ip_weight": 7, "users": 1})
    desk.hl_fault("limits", value={"users": 2})
    assert (7, 2, 10) == (desk.hyperliquid.limits.ip_weight, desk.hyperliquid.limits.users,
                          desk.hyperliquid.limits.connections)  # fmt: skip
    desk.control("DELETE", "/faults")
    assert desk.hyperliquid.limits.ip_weight == 1200


def test_request_log_names_types(desk):
    """Rows carry the info or action type, and effect only where an order could be touched."""
    desk.mine("openOrders")
    for action in (NOOP, order_action(limit()), {"type": "cancel", "cancels": [{"a": 1, "o": 1}]}):
        desk.act(action)
    rows = [(r["venue"], r["path"], r["type"], r["effect"]) for r in desk.requests()]
    assert rows == [
        ("hyperliquid", "/info", "openOrders", False),
        ("hyperliquid", "/exchange", "noop", False),
        ("hyperliquid", "/exchange", "order", True),
        ("hyperliquid", "/exchange", "cancel", True),
    ]


def test_order_rows_have_exactly_the_agreed_keys(desk):
    """Rows of /orders carry the agreed keys, decimals as strings, the cloid as client order id."""
    [status] = desk.place(limit(c=CLOID))
    assert desk.orders() == [
        {
            "venue": "hyperliquid",
            "account": desk.user,
            "client_order_id": CLOID,
            "venue_order_id": str(status["resting"]["oid"]),
            "symbol": "ETH",
            "side": "buy",
            "size": "0.25",
            "status": "open",
            "filled": "0",
        }
    ]


def test_keep_alive_and_pieces(desk):
    """A request split anywhere is one request, and two in a row are two."""
    data = desk.post_bytes("/info", {"type": "exchangeStatus"})
    connection = desk.hyperliquid.open()
    for byte in data + data:
        connection.receive(bytes([byte]))
    assert [200, 200] == [Reply(a.data).status for a in connection.outbox if isinstance(a, Send)]
    assert json.loads(Reply(connection.outbox[0].data).body)["time"] == desk.now_ms
