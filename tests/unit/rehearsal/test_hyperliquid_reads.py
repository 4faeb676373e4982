"""Reads: shapes as recorded, HTTP errors, history, retention, stale nodes, what survives a restart."""

import json
from pathlib import Path

import pytest

from quantlab.rehearsal.hyperliquid_seeding import control_cloid
from quantlab.rehearsal.state import decode_state
from tests.unit.rehearsal.driving import request_bytes
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, limit, order_action

RECORDED = Path(__file__).resolve().parents[4] / "shared/venues/hyperliquid_recorded"
OTHER = "0x" + "2" * 32


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


def recorded(name: str) -> list:
    """Return the recorded answers of a file, or skip where they are not at hand."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"the recordings are not at hand: {name}")
    return [i["response"]["body"] for i in json.loads(path.read_text())["interactions"]]


def shape(value: object) -> object:
    """Reduce a value to its keys and kinds; of a list the first row speaks for all."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_positive_control(desk):
    """Exactly one old filled order with a cloid, of the master alone; the newcomer has none."""
    [row] = desk.control("GET", "/orders?seeded=1")["orders"][-1:]
    seeded = [o for o in desk.control("GET", "/orders?seeded=1")["orders"] if o["venue"] == "hyperliquid"]
    assert [row] == seeded
    assert (row["client_order_id"], row["status"]) == (control_cloid(7), "filled")
    assert "filled" == desk.status_by_cloid(control_cloid(7))
    assert [control_cloid(7)] == [f["cloid"] for f in desk.mine("userFills")]
    assert desk.mine("clearinghouseState")["assetPositions"] == []
    newcomer = desk.control("GET", "/profiles?extra=1")["newcomer"]["HYPERLIQUID_ACCOUNT"]
    assert desk.info("historicalOrders", user=newcomer) == []
    assert desk.info("clearinghouseState", user=newcomer)["withdrawable"] == "10000.0"


def test_shapes_as_recorded(desk):
    """Keys and kinds of our answers equal those that the real venue gave."""
    desk.place(limit("2100", "0.25", "Ioc"))
    state = recorded("35_info_account_reads_2026.json")
    assert shape(state[0]) == shape(desk.mine("clearinghouseState"))
    assert shape(state[1]["balances"]) == shape(desk.mine("spotClearinghouseState")["balances"])
    assert shape(state[2]) == shape(desk.mine("userFills"))
    assert shape(state[3]) == shape(desk.mine("userRateLimit"))
    assert shape(state[5]) == shape(desk.mine("activeAssetData", coin="BTC"))
    assert shape(recorded("24_info_meta.json")[0]) == shape(
        {k: v for k, v in desk.info("meta").items() if k != "collateralToken"}
    )
    # The first asset's context, and the first rows of the spot universe.
    assert shape(recorded("25_info_metaAndAssetCtxs.json")[0][1]) == shape(desk.info("metaAndAssetCtxs")[1])
    ours, theirs = desk.info("spotMeta"), recorded("26_info_spotMeta.json")[0]
    assert shape(theirs["universe"]) == shape(ours["universe"])
    assert shape(theirs["tokens"]) == shape(ours["tokens"])
    assert shape(recorded("22_info_extraAgents.json")[0]) == shape(desk.mine("extraAgents"))
    assert shape(recorded("17_info_l2Book.json")[0]) == shape(desk.info("l2Book", coin="ETH"))


def test_order_status_as_recorded(desk):
    """A found order has exactly the recorded keys; an unknown one is `unknownOid`."""
    desk.place(limit("2100", "0.25", "Ioc", c=CLOID))
    found = recorded("09_info_orderStatus_unknown_and_filled.json")
    assert found[0] == desk.mine("orderStatus", oid=1)
    known = next(f for f in found if f["status"] == "order")
    ours = desk.mine("orderStatus", oid=CLOID)
    assert set(known["order"]["order"]) == set(ours["order"]["order"])
    assert set(known["order"]) == set(ours["order"])


# ------------------------------------------------------------------ HTTP errors


@pytest.mark.parametrize("path", ["/info", "/exchange"])
@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"{", {}, 400, b"Failed to parse the request body as JSON"),
        (b"", {}, 400, b"Failed to parse the request body as JSON"),
        (b"\xff\xfe", {}, 400, b"Failed to parse the request body as JSON"),
        (b"[" * 100_000, {}, 400, b"Failed to parse the request body as JSON"),
        (b"{}", {"Content-Type": "text/plain"}, 415, b"Expected request with `Content-Type: application/json`"),
        (b"{}", {}, 422, b"Failed to deserialize the JSON body into the target type"),
        (b'{"type": "nothing"}', {}, 422, b"Failed to deserialize the JSON body into the target type"),
        (b'{"type": "meta", "type": "meta"}', {}, 422, b"Failed to deserialize the JSON body into the target type"),
        (b"null", {}, 422, b"Failed to deserialize the JSON body into the target type"),
    ],
)
def test_requests_without_a_shape(desk, path, body, headers, status, text):
    """What is no request gets the venue's text and status, and is logged without effect."""
    reply = desk.post(path, body, **headers)
    assert (status, text) == (reply.status, reply.body)
    assert reply.headers["content-type"].startswith("text/plain")
    assert desk.requests()[-1]["answer"] == f"http {status}"
    assert desk.requests()[-1]["effect"] is False


@pytest.mark.parametrize(
    "change",
    [{"p": 1900}, {"p": "1.9e3"}, {"p": "-1900"}, {"p": ""}, {"p": "NaN"}, {"s": "0.123456789"}, {"a": "1"},
     {"a": True}, {"a": -1}, {"b": 1}, {"t": {}}, {"t": {"limit": {"tif": "Fok"}}}, {"c": "0x12"}, {"c": 5},
     {"t": {"limit": {"tif": "Gtc", "x": 1}}}],
)  # fmt: skip
def test_orders_without_a_shape(desk, change):
    """An order field of the wrong kind is HTTP 422, and uses no nonce."""
    body = desk.envelope(order_action({**limit(), **change}), signed={"type": "noop"})
    assert desk.post("/exchange", body).status == 422
    assert desk.post("/exchange", {**body, "action": {"type": "noop"}}).json()["status"] == "ok"


@pytest.mark.parametrize("text", ['"\\ud800"', "[" * 400 + "]" * 400, '"' + "x" * 10_000 + '"'])
@pytest.mark.parametrize("place", ["type", "name"])
def test_what_json_can_say_and_nobody_means(desk, text, place):
    """Half a character, deep nesting and long names are refused, and the state can still be written."""
    body = desk.envelope({"type": "noop"})
    name = '{"type": "createSubAccount", "name": ' + text + "}"
    action = '{"type": ' + text + "}" if place == "type" else name
    raw = json.dumps({**body, "action": None}).replace('"action": null', f'"action": {action}')
    reply = desk.post("/exchange", raw.encode())
    assert (422 if place == "type" else 200) == reply.status
    assert desk.post("/info", f'{{"type": {text}}}'.encode()).status == 422
    assert decode_state(desk.exchange.take_snapshot(force=True)).requests


def test_ninth_decimal_may_be_zero(desk):
    """Zeros after the eighth decimal pass."""
    assert desk.act(order_action({**limit(), "p": "1900.000000000"}), signed=order_action(limit()))


@pytest.mark.parametrize("change", [{"nonce": "1"}, {"nonce": -1}, {"signature": {"r": "0x1", "s": "0x1"}},
                                    {"vaultAddress": "0X" + "1" * 40}, {"expiresAfter": "1"}, {"extra": 1},
                                    {"action": {"type": "noop", "x": 1}}, {"action": []}])  # fmt: skip
def test_envelopes_without_a_shape(desk, change):
    """An unknown or malformed field of envelope or action is HTTP 422."""
    assert desk.post("/exchange", {**desk.envelope({"type": "noop"}), **change}).status == 422


def test_bytes_after_the_json_value_are_ignored(desk):
    """Only the first JSON value is read, and other JSON content types pass."""
    reply = desk.post("/info", b'  {"type": "allMids"} and more', **{"Content-Type": "application/x+json; a=b"})
    assert "ETH" in reply.json()


@pytest.mark.parametrize("user", ["0x12", None, 5, "0X" + "1" * 40, "0x" + "g" * 40])
def test_malformed_addresses(desk, user):
    """An address is forty hex digits in any case, with `0x` or without."""
    desk.info("openOrders", status=422, user=user)
    assert desk.info("userRole", user=desk.user[2:].upper()) == {"role": "user"}


def test_other_methods_and_paths(desk):
    """GET is 405, an unknown path 404."""
    for method, path, status in (("GET", "/info", 405), ("POST", "/nothing", 404)):
        reply = desk.send(request_bytes(method, path, {"Host": "x"}), desk.hyperliquid)
        assert status == reply.status


def test_clock_helper_is_neither_logged_nor_faulted(desk):
    """Our own clock source works whatever is scripted, and leaves no line."""
    desk.hl_fault("drop_before_read", count=0)
    reply = desk.send(request_bytes("GET", "/rehearsal/clock", {"Host": "x"}), desk.hyperliquid)
    assert reply.json() == {"now_ns": str(desk.exchange.now_ns)}
    assert desk.requests() == []


@pytest.mark.parametrize("fields", [{"nSigFigs": 6}, {"nSigFigs": 5, "mantissa": 3}, {"mantissa": 2}])
def test_unsupported_aggregation_is_500_null(desk, fields):
    """The venue answers an aggregation that it does not have with 500 and the body null."""
    assert desk.info("l2Book", status=500, coin="ETH", **fields) == b"null"


def test_unknown_coin_has_a_null_book(desk):
    """An unknown coin is 200 with null, and a delisted one has empty sides."""
    assert desk.info("l2Book", coin="NONE") is None
    assert desk.info("l2Book", coin="MATIC")["levels"] == [[], []]
    assert "MATIC" not in desk.info("allMids")
    assert "spread" in desk.info("l2Book", coin="ETH", nSigFigs=5)


# ---------------------------------------------------------------------- history


def test_strangers_and_agents_have_empty_accounts(desk):
    """The agent's address gives empty results, not an error."""
    desk.place(limit())
    agent = desk.exchange.keys.agent.address
    assert desk.info("openOrders", user=agent) == []
    assert desk.info("orderStatus", user=agent, oid=CLOID) == {"status": "unknownOid"}
    assert desk.info("clearinghouseState", user=agent)["marginSummary"]["accountValue"] == "0.0"
    assert desk.info("userRole", user="0x" + "9" * 40) == {"role": "missing"}


def test_history_has_a_row_for_each_status(desk):
    """An order that rested and was canceled has two rows, the newer first."""
    desk.place(limit(c=CLOID))
    desk.pass_seconds(1)
    desk.act({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]})
    rows = [r for r in desk.mine("historicalOrders") if r["order"]["cloid"] == CLOID]
    assert [r["status"] for r in rows] == ["canceled", "open"]
    assert rows[0]["statusTimestamp"] == rows[1]["statusTimestamp"] + 1000


def test_fills_by_time_are_inclusive_and_oldest_first(desk):
    """Both bounds count; userFills is the other way round."""
    times = []
    for _ in range(3):
        desk.place(limit("2100", "0.01", "Ioc"))
        times.append(desk.now_ms)
        desk.pass_seconds(1)
    found = desk.mine("userFillsByTime", startTime=times[0], endTime=times[1])
    assert times[:2] == [f["time"] for f in found]
    assert times == [f["time"] for f in desk.mine("userFillsByTime", startTime=times[0])]
    assert times[::-1] == [f["time"] for f in desk.mine("userFills")[:3]]
    assert desk.mine("userFillsByTime", startTime=times[0] - 2, endTime=times[0] - 1) == []


def test_fills_of_one_order_are_joined_on_request(desk):
    """With aggregateByTime there is one row for several levels."""
    desk.act({"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 25})
    desk.place(limit("2100", "20", "Ioc"))
    apart = [f for f in desk.mine("userFills") if f["coin"] == "ETH"]
    joined = [f for f in desk.mine("userFills", aggregateByTime=True) if f["coin"] == "ETH"]
    assert len(apart) > 1
    assert [f["sz"] for f in joined] == ["20.0"]


def test_retention_is_by_count(desk):
    """Beyond so many newer orders a record is gone under oid and cloid; its fills stay."""
    desk.place(limit("2100", "0.25", "Ioc", c=CLOID))
    desk.place(limit(c=OTHER))
    desk.hl_fault("limits", value={"orders_kept": 1})
    assert ("unknownOid", "open") == (desk.status_by_cloid(), desk.status_by_cloid(OTHER))
    assert [OTHER] == [r["order"]["cloid"] for r in desk.mine("historicalOrders")]
    assert CLOID in [f.get("cloid") for f in desk.mine("userFills")]
    assert len(desk.mine("openOrders")) == 1


def test_stale_reads_lag_behind(desk):
    """A node that lags does not know a new order yet, and its own clock says so."""
    desk.hl_fault("stale_reads", "/info", type="orderStatus", value=5)
    desk.place(limit(c=CLOID))
    assert "unknownOid" == desk.status_by_cloid()
    assert len(desk.mine("openOrders")) == 1
    desk.pass_seconds(5)
    assert "open" == desk.status_by_cloid()
    desk.hl_fault("stale_reads", "/info", value=5)
    desk.place(limit("2100", "0.25", "Ioc"))
    state = desk.mine("clearinghouseState")
    assert (state["assetPositions"], state["time"]) == ([], desk.now_ms - 5000)


def test_candles_and_trades(desk):
    """Candles cover the time asked for, the last one still forming; trades are newest first."""
    start = desk.now_ms - 3_600_000
    rows = desk.info("candleSnapshot", req={"coin": "ETH", "interval": "15m", "startTime": start})
    assert [r["T"] - r["t"] for r in rows] == [899_999] * len(rows)
    assert rows[0]["t"] <= start <= rows[0]["T"]
    assert rows[-1]["t"] <= desk.now_ms <= rows[-1]["T"]
    trades = desk.info("recentTrades", coin="ETH")
    assert [t["time"] for t in trades] == sorted((t["time"] for t in trades), reverse=True)


@pytest.mark.parametrize("kind", ["userFees", "subAccounts", "userAbstraction", "referral", "userFunding", "portfolio"])
def test_other_account_reads_answer(desk, kind):
    """Reads that no rung needs still answer in the venue's shape."""
    assert isinstance(desk.mine(kind), dict | list | str)


def test_other_public_reads_answer(desk):
    """No builder dexes, no builder fee; one funding rate an hour."""
    assert desk.info("perpDexs") == [None]
    assert desk.mine("maxBuilderFee", builder="0x" + "1" * 40) == 0
    rows = desk.info("fundingHistory", coin="ETH", startTime=desk.now_ms - 7_200_000)
    assert len(rows) == 2
    assert desk.info("meta", status=500, dex="xyz") == b"null"
    assert len(desk.info("spotMetaAndAssetCtxs")[1]) == 2


# ---------------------------------------------------------------------- restart


def test_everything_survives_a_restart(desk):
    """Orders, fills, balances, nonces and held requests are the same after the state was read back."""
    body = desk.envelope(order_action(limit("2100", "0.25", "Ioc", c=CLOID)))
    assert desk.post("/exchange", body).json()["status"] == "ok"
    desk.place(limit(c=OTHER))
    desk.hl_fault("late", "/exchange", type="noop", value=10)
    assert desk.post("/exchange", desk.envelope({"type": "noop"})) is None
    again = Desk(state=desk.exchange.take_snapshot(force=True))
    for kind in ("openOrders", "userFills", "historicalOrders", "clearinghouseState", "userRateLimit"):
        assert desk.mine(kind) == again.mine(kind)
    assert "duplicate nonce" in again.post("/exchange", body).json()["response"]
    again.pass_seconds(10)
    assert "late: ok" in [r["answer"] for r in again.requests()]


def test_state_of_an_older_release_gets_its_accounts(desk):
    """A state without this venue's part is read, and the accounts are seeded."""
    kept = json.loads(desk.exchange.take_snapshot(force=True))
    del kept["hyperliquid"]
    again = Desk(state=json.dumps(kept).encode())
    assert again.mine("userRole") == {"role": "user"}
    assert decode_state(again.exchange.take_snapshot()).hyperliquid.accounts
