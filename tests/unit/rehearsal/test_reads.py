"""Reads of the Kraken face: paging, filters, limits, public data, the positive control."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.rehearsal.driving import CLIENT_ID, NS, START_NS, World, order

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "venues" / "kraken_recorded"


@pytest.fixture
def world() -> World:
    """Return an exchange with a standing clock."""
    return World()


def recorded(number: str):
    """Return the recorded result of a number, or skip with the reason."""
    found = sorted(RECORDED.glob(f"{number}_*.json"))
    if not found:
        pytest.skip(f"recording {number} is not on this machine")
    data = json.loads(found[0].read_text())
    body = data.get("response_wire", data["response"])["body"]
    return body.get("result", body)


def shape(value):
    """Reduce a value to the kinds of its parts."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float | Decimal) else type(value).__name__


def closed_row(world: World) -> dict:
    """Return the one closed order."""
    [row] = world.ok("ClosedOrders", {"trades": "true"})["closed"].values()
    return row


# ------------------------------------------------------------- recorded shapes


def test_order_has_the_recorded_shape(world):
    """A filled order has the recorded keys in the recorded order, with the recorded kinds.

    `cl_ord_id` and `descr.aclass` came after that recording.
    """
    [theirs] = recorded("20").values()
    ours = closed_row(world)
    ours["descr"].pop("aclass")
    assert ours.pop("cl_ord_id").endswith("5eed")
    ours["userref"] = 0
    assert list(shape(ours).items()) == list(shape(theirs).items())


@pytest.mark.parametrize(
    ("number", "target", "key"),
    [("01", "Time", None), ("02", "SystemStatus", None), ("07", "Ticker?pair=XBTUSD", "XXBTZUSD"),
     ("09", "Depth?pair=XBTUSDC&count=5", "pair"), ("10", "Trades?pair=XBTUSDC&count=5", "pair"),
     ("08", "OHLC?pair=XBTUSD&interval=1", "XXBTZUSD"), ("03", "Assets?asset=XXBT", "XXBT")],
)  # fmt: skip
def test_public_reply_has_the_recorded_shape(world, number, target, key):
    """A public reply has the recorded keys and kinds."""
    theirs, ours = recorded(number), world.public(target)
    if key is not None:
        theirs = theirs["XBTUSDT" if key == "pair" else key]
        ours = ours["XBTUSDC" if key == "pair" else key]
    assert shape(theirs) == shape(ours)


@pytest.mark.parametrize(("number", "pair"), [("04", "XXBTZUSD"), ("06", "XETHZUSD")])
def test_pair_rows_equal_the_recording(world, number, pair):
    """Increments, minimums and names of BTC/USD and ETH/USD are the recorded ones."""
    theirs, ours = recorded(number)[pair], world.public(f"AssetPairs?pair={pair}")[pair]
    for name in theirs.keys() - {"fees", "fees_maker", "long_position_limit", "short_position_limit"}:
        assert theirs[name] == ours[name], name


def test_trade_has_the_recorded_keys(world):
    """A trade row has every recorded key of a plain trade."""
    theirs = recorded("29")["cases"][0]
    [ours] = world.ok("TradesHistory")["trades"].values()
    assert set(theirs) <= set(ours)
    assert shape(theirs) == {k: shape(ours)[k] for k in theirs}


# ------------------------------------------------------------------ order reads


def test_positive_control_is_there(world):
    """A new account has one filled order, some days old, with its trade."""
    row = closed_row(world)
    assert (row["status"], row["vol_exec"]) == ("closed", "0.05000000")
    assert int(row["closetm"]) == START_NS // NS - 3 * 86_400
    [trade_id] = row["trades"]
    assert list(world.ok("TradesHistory")["trades"]) == [trade_id]
    assert list(world.ok("ClosedOrders", {"cl_ord_id": row["cl_ord_id"]})["closed"])
    assert world.orders() == []
    assert world.control("GET", "/orders?seeded=1")["orders"][0]["status"] == "filled"


def test_newcomer_has_no_earlier_order(world):
    """The account of the profile `newcomer` has funds and no history of orders."""
    assert world.ok("ClosedOrders", profile="newcomer") == {"closed": {}, "count": 0}
    assert Decimal(world.ok("BalanceEx", profile="newcomer")["ZUSD"]["balance"]) == 25_000


def test_query_orders_of_nothing(world):
    """Unknown is an empty result, malformed is an error, no txid is an argument error."""
    assert world.ok("QueryOrders", {"txid": "OVXMMC-66C7M-TB6MYC"}) == {}
    assert world.refusal("QueryOrders", {"txid": "nonsense"}) == "EOrder:Invalid order"
    assert world.refusal("QueryOrders") == "EGeneral:Invalid arguments"
    assert world.refusal("QueryOrders", {"cl_ord_id": "x"}) == "EGeneral:Invalid arguments"
    many = ",".join(["OVXMMC-66C7M-TB6MYC"] * 51)
    assert world.refusal("QueryOrders", {"txid": many}) == "EGeneral:Invalid arguments:txid"


def test_query_orders_filters_by_client_order_id(world):
    """With a txid, a client order id is a filter."""
    [txid] = world.ok("AddOrder", order(cl_ord_id=CLIENT_ID))["txid"]
    assert list(world.ok("QueryOrders", {"txid": txid, "cl_ord_id": CLIENT_ID})) == [txid]
    assert world.ok("QueryOrders", {"txid": txid, "cl_ord_id": "other"}) == {}


def test_closed_orders_page_by_fifty(world):
    """Pages hold 50, `ofs` goes on, `count` counts all, newest come first."""
    for _ in range(54):
        world.ok("AddOrder", order(timeinforce="IOC"))
        world.pass_seconds(5)
    first = world.ok("ClosedOrders")
    second = world.ok("ClosedOrders", {"ofs": 50})
    assert (len(first["closed"]), len(second["closed"])) == (50, 5)
    assert first["count"] == second["count"] == 55
    times = [r["closetm"] for r in (first["closed"] | second["closed"]).values()]
    assert times == sorted(times, reverse=True)
    assert "count" not in world.ok("ClosedOrders", {"without_count": "true"})
    assert world.refusal("ClosedOrders", {"ofs": -1}) == "EGeneral:Invalid arguments:ofs"


def test_window_is_open_at_its_start_and_closed_at_its_end(world):
    """`start` excludes its own time and `end` includes it; an id stands for its time."""
    [txid] = world.ok("AddOrder", order())["txid"]
    world.pass_seconds(10)
    world.ok("CancelOrder", {"txid": txid})
    opened, closed = START_NS // NS, START_NS // NS + 10

    def found(**params):
        return txid in world.ok("ClosedOrders", params)["closed"]

    assert found(start=opened - 1, end=opened, closetime="open")
    assert not found(start=opened, closetime="open")
    assert found(start=opened, closetime="close")
    assert found(start=opened)
    assert not found(start=closed)
    assert found(end=closed, start=f"{closed}.0".replace(str(closed), str(closed - 1)))
    assert not found(end=opened - 1)
    world.pass_seconds(60)
    assert not found(start=txid, closetime="open")
    assert world.refusal("ClosedOrders", {"start": "soon"}) == "EGeneral:Invalid arguments:start"
    assert world.refusal("ClosedOrders", {"start": "OAAAAA-AAAAA-AAAAAA"}) == ("EGeneral:Invalid arguments:start")
    assert world.refusal("ClosedOrders", {"closetime": "x"}) == "EGeneral:Invalid arguments:closetime"


def test_taker_fills_are_merged_unless_asked_apart(world):
    """An order over several levels is one trade by default and several with `consolidate_taker=false`."""
    while Decimal(world.public("Depth?pair=XBTUSD&count=1")["XXBTZUSD"]["asks"][0][1]) > Decimal("0.3"):
        world.pass_seconds(1)
    [txid] = world.ok("AddOrder", order(volume="0.4", pair="XBTUSD", ordertype="market", price=None))["txid"]
    apart = {"consolidate_taker": "false", "trades": "true"}
    merged = [t for t in world.ok("TradesHistory")["trades"].values() if t["ordertxid"] == txid]
    fills = [t for t in world.ok("TradesHistory", apart)["trades"].values() if t["ordertxid"] == txid]
    assert len(merged) == 1
    assert len(fills) > 1
    assert sum(Decimal(f["vol"]) for f in fills) == Decimal(merged[0]["vol"]) == Decimal("0.4")
    assert sum(Decimal(f["cost"]) for f in fills) == Decimal(merged[0]["cost"])
    world.pass_seconds(60)
    assert len(world.ok("QueryOrders", {"txid": txid, **apart})[txid]["trades"]) == len(fills)
    assert len(world.ok("QueryOrders", {"txid": txid, "trades": "true"})[txid]["trades"]) == 1


def test_trades_history_filters(world):
    """Positions there are none; times bound the window; an unknown type is refused."""
    start = START_NS // NS
    assert world.ok("TradesHistory", {"type": "closed position"}) == {"trades": {}, "count": 0}
    assert world.ok("TradesHistory", {"start": start})["count"] == 0
    assert world.ok("TradesHistory", {"end": start, "ledgers": "true"})["count"] == 1
    assert world.refusal("TradesHistory", {"type": "x"}) == "EGeneral:Invalid arguments:type"


def test_ledgers_filter_and_query(world):
    """Ledger rows can be filtered by asset and type, and asked for by id."""
    rows = world.ok("Ledgers", {"asset": "ZUSD"})["ledger"]
    assert {r["type"] for r in rows.values()} == {"deposit", "trade"}
    trades = world.ok("Ledgers", {"type": "trade"})["ledger"]
    assert len(trades) == 2
    world.pass_seconds(60)
    wanted = next(iter(trades))
    assert list(world.ok("QueryLedgers", {"id": wanted})) == [wanted]
    assert world.refusal("Ledgers", {"asset": "NIX"}) == "EQuery:Unknown asset"


def test_balances(world):
    """Balance, BalanceEx and TradeBalance agree; amounts are padded to the asset's decimals."""
    plain, extended = world.ok("Balance"), world.ok("BalanceEx")
    assert plain == {a: row["balance"] for a, row in extended.items()}
    assert plain["XXBT"] == "0.5000000000"
    worth = Decimal(world.ok("TradeBalance")["eb"])
    assert 70_000 < worth < 90_000
    assert world.refusal("TradeBalance", {"asset": "NIX"}) == "EQuery:Unknown asset"


# ----------------------------------------------------------------------- limits


def test_call_counter_is_enforced_and_decays(world):
    """Fifteen calls fill the lowest tier; 0.33 a second flow off; history costs two."""
    for _ in range(15):
        world.ok("OpenOrders")
    assert world.refusal("OpenOrders") == "EAPI:Rate limit exceeded"
    world.pass_seconds(4)
    world.ok("OpenOrders")
    assert world.refusal("TradesHistory") == "EAPI:Rate limit exceeded"
    world.pass_seconds(6)
    world.ok("TradesHistory")
    world.ok("OpenOrders", profile="no_trade")


def test_trading_does_not_count_as_calls(world):
    """Orders are counted by the trading counter alone."""
    for _ in range(15):
        world.ok("OpenOrders")
    world.ok("AddOrder", order())


def test_trading_counter_is_enforced(world):
    """Placing and canceling at once costs nine points of sixty; they decay by one a second."""
    for _ in range(6):
        [txid] = world.ok("AddOrder", order())["txid"]
        world.ok("CancelOrder", {"txid": txid})
    [txid] = world.ok("AddOrder", order())["txid"]
    assert world.refusal("CancelOrder", {"txid": txid}) == "EOrder:Rate limit exceeded"
    for _ in range(5):
        world.ok("AddOrder", order())
    assert world.refusal("AddOrder", order()) == "EOrder:Rate limit exceeded"
    world.ok("AddOrder", order(pair="XBTUSD", price="50000", volume="0.001"))
    world.pass_seconds(1)
    world.ok("AddOrder", order())


def test_refused_orders_count_too(world):
    """The fixed point counts even where the order is refused."""
    for _ in range(60):
        assert world.refusal("AddOrder", order(volume="0.0001")) == "EOrder:Order minimum not met"
    assert world.refusal("AddOrder", order()) == "EOrder:Rate limit exceeded"


def test_open_orders_are_limited(world):
    """Sixty orders may rest on a pair."""
    for _ in range(60):
        world.ok("AddOrder", order(volume="0.002"))
        world.pass_seconds(1)
    assert world.refusal("AddOrder", order(volume="0.002")) == "EOrder:Orders limit exceeded"


# ----------------------------------------------------------------------- public


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("Ticker?pair=NOTAPAIR", "EQuery:Unknown asset pair"),
        ("OHLC?pair=XBTUSD&interval=360", "EGeneral:Invalid arguments"),
        ("Depth", "EGeneral:Invalid arguments"),
        ("Depth?pair=XBTUSD&count=501", "EGeneral:Invalid arguments:count"),
        ("Trades?pair=XBTUSD&count=0", "EGeneral:Invalid arguments:count"),
        ("Assets?asset=NIX", "EQuery:Unknown asset"),
        ("AssetPairs?pair=ETHUSD&info=x", "EGeneral:Invalid arguments:info"),
    ],
)
def test_public_refusals(world, target, error):
    """Public calls are refused over HTTP 200 with the recorded strings."""
    assert world.public_answer(target) == {"error": [error]}


def test_time_is_the_exchanges_time(world):
    """Time follows the clock that the control interface turns."""
    world.control("POST", "/clock", {"advance_seconds": 90})
    assert world.public("Time") == {
        "unixtime": START_NS // NS + 90, "rfc1123": "Mon, 21 Sep 26 14:14:50 +0000",
    }  # fmt: skip


def test_tape_and_candles(world):
    """The tape goes on from `last`, candles end with the running one, spreads carry both sides."""
    first = world.public("Trades?pair=ETHUSD&count=10")
    assert len(first["XETHZUSD"]) == 10
    world.pass_seconds(30)
    more = world.public(f"Trades?pair=ETHUSD&since={first['last']}")
    ids = [row[6] for row in first["XETHZUSD"] + more["XETHZUSD"]]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    candles = world.public("OHLC?pair=ETHUSD&interval=60")["XETHZUSD"]
    assert len(candles) == 721
    since = candles[-3][0]
    assert world.public(f"OHLC?pair=ETHUSD&interval=60&since={since}")["XETHZUSD"] == candles[-3:]
    rows = world.public("Spread?pair=ETHUSD")["XETHZUSD"]
    assert len(rows) == 200
    assert all(Decimal(bid) < Decimal(ask) for _, bid, ask in rows)


def test_pair_rows_in_parts(world):
    """`info` cuts a pair row down."""
    assert set(world.public("AssetPairs?pair=ETH/USD&info=margin")["XETHZUSD"]) == {
        "margin_call", "margin_stop",
    }  # fmt: skip
    assert len(world.public("AssetPairs")) == len(world.public("Ticker")) == 6
    assert len(world.public("Assets")) == 6
