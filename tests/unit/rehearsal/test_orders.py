"""Orders on the Kraken face: what is checked, what fills, what is shown afterwards."""

import json
from decimal import Decimal

import msgspec
import pytest

from quantlab.rehearsal import kraken_markets as markets
from quantlab.rehearsal.kraken_wire import rfc3339
from tests.unit.rehearsal.driving import CLIENT_ID, NS, START_NS, World, order


@pytest.fixture
def world() -> World:
    """Return an exchange with a standing clock."""
    return World()


def place(world: World, **changes) -> str:
    """Place an order and return its txid."""
    [txid] = world.ok("AddOrder", order(**changes))["txid"]
    return txid


def shown(world: World, txid: str, **more):
    """Return an order as QueryOrders shows it."""
    return world.ok("QueryOrders", {"txid": txid, **more})[txid]


REFUSED = [
    ({"ordertype": "iceberg"}, "EGeneral:Invalid arguments:ordertype"),
    ({"ordertype": "stop-loss"}, "EGeneral:Invalid arguments:ordertype"),
    ({"type": "hold"}, "EGeneral:Invalid arguments:type"),
    ({"volume": "-1"}, "EGeneral:Invalid arguments:volume"),
    ({"volume": "1e1"}, "EGeneral:Invalid arguments:volume"),
    ({"volume": "NaN"}, "EGeneral:Invalid arguments:volume"),
    ({"volume": None}, "EGeneral:Invalid arguments:volume"),
    ({"price": None}, "EGeneral:Invalid arguments:price"),
    ({"pair": None}, "EGeneral:Invalid arguments:pair"),
    ({"pair": "ETH-USD"}, "EQuery:Unknown asset pair"),
    ({"timeinforce": "GTX"}, "EGeneral:Invalid arguments:timeinforce"),
    ({"timeinforce": "GTD"}, "EGeneral:Invalid arguments:expiretm"),
    ({"timeinforce": "IOC", "expiretm": "+60"}, "EGeneral:Invalid arguments:expiretm"),
    ({"timeinforce": "GTD", "expiretm": "+4"}, "EGeneral:Invalid arguments:expiretm"),
    ({"timeinforce": "GTD", "expiretm": "+9999999"}, "EGeneral:Invalid arguments:expiretm"),
    ({"timeinforce": "GTD", "expiretm": "soon"}, "EGeneral:Invalid arguments:expiretm"),
    ({"oflags": "viqc"}, "EGeneral:Invalid arguments:oflags"),
    ({"oflags": "fcib,fciq"}, "EGeneral:Invalid arguments:oflags"),
    ({"oflags": "post", "ordertype": "market"}, "EGeneral:Invalid arguments:oflags"),
    ({"stptype": "cancel-all"}, "EGeneral:Invalid arguments:stptype"),
    ({"leverage": "2:1"}, "EGeneral:Invalid arguments:leverage"),
    ({"reduce_only": "true"}, "EGeneral:Invalid arguments:reduce_only"),
    ({"close[ordertype]": "limit"}, "EGeneral:Invalid arguments:close"),
    ({"validate": "maybe"}, "EGeneral:Invalid arguments:validate"),
    ({"userref": "x"}, "EGeneral:Invalid arguments:userref"),
    ({"userref": "2147483648"}, "EGeneral:Invalid arguments:userref"),
    ({"userref": "1", "cl_ord_id": CLIENT_ID}, "EGeneral:Invalid arguments"),
    ({"deadline": "tomorrow"}, "EGeneral:Invalid arguments:deadline"),
    ({"deadline": "2026-09-22T00:00:00"}, "EGeneral:Invalid arguments:deadline"),
    ({"deadline": rfc3339(START_NS + 61 * NS)}, "EGeneral:Invalid arguments:deadline"),
    ({"deadline": rfc3339(START_NS - 1_000)}, "EService:Deadline elapsed"),
    (
        {"price": "1900.123"},
        "EOrder:Invalid price:ETHUSD price can only be specified up to 2 decimals.",
    ),
    (
        {"pair": "ETH/USD", "price": "1900.123"},
        "EOrder:Invalid price:ETH/USD price can only be specified up to 2 decimals.",
    ),
    ({"price": "0"}, "EOrder:Invalid price:Invalid price argument"),
    ({"price": "-1"}, "EOrder:Invalid price:Invalid price argument"),
    ({"price": "+1"}, "EOrder:Invalid price:Invalid price argument"),
    ({"price": "1.9e3"}, "EOrder:Invalid price:Invalid price argument"),
    ({"volume": "0.0019"}, "EOrder:Order minimum not met"),
    ({"volume": "0.002", "price": "200"}, "EOrder:Cost minimum not met"),
    ({"volume": "100"}, "EOrder:Insufficient funds"),
    ({"type": "sell", "volume": "5.1", "price": "2100"}, "EOrder:Insufficient funds"),
    ({"oflags": "post", "price": "2100"}, "EOrder:Post only order"),
]


@pytest.mark.parametrize(("changes", "error"), REFUSED, ids=lambda v: str(v)[:60])
def test_a_wrong_order_is_refused_with_the_venues_words(world, changes, error):
    """Each rule answers with its own string over HTTP 200, and no order exists afterwards."""
    assert world.refusal("AddOrder", order(**changes)) == error
    assert world.orders() == []


CLIENT_IDS = [
    (CLIENT_ID, True),
    (CLIENT_ID.upper(), True),
    ("01234567-89ab-cdef-0123-456789abcdef", True),
    ("p5669_1", True),
    ("arb-20240509-00010", True),
    ("meme-20240509-00010", False),
    ("Upper", False),
    (CLIENT_ID + "0", False),
    ("0123456789abcdef0123456789abcdeg", False),
]


@pytest.mark.parametrize(("name", "good"), CLIENT_IDS)
def test_client_order_id_forms(world, name, good):
    """UUIDs, 32 hex digits and at most 18 lower-case characters are ids; nothing else is."""
    answer = world.private("AddOrder", order(cl_ord_id=name, validate="true"))
    assert answer["error"] == ([] if good else ["EGeneral:Invalid arguments:cl_ord_id"])


def test_validate_names_the_order_and_places_none(world):
    """Validate-only answers with the description, without txid, and leaves no order."""
    answer = world.ok("AddOrder", order(validate="true"))
    assert answer == {"descr": {"order": "buy 0.25000000 ETHUSD @ limit 1900.00"}}
    assert world.orders() == []


def test_validate_stops_before_funds_and_engine(world):
    """Neither funds nor deadline nor post-only are looked at by validate."""
    late = rfc3339(START_NS - NS)
    world.ok("AddOrder", order(volume="5000", deadline=late, validate="true"))
    world.ok("AddOrder", order(oflags="post", price="2100", validate="true"))


@pytest.mark.parametrize("word", ["false", "False", "0"])
def test_validate_false_is_a_real_order(world, word):
    """A client that sends `validate=false` has sent a real order."""
    assert "txid" in world.ok("AddOrder", order(validate=word))


def test_txid_comes_first(world):
    """The reply of an accepted order begins with txid, as on the wire."""
    raw = world.send(world.private_bytes("AddOrder", order())).body
    assert raw.startswith(b'{"error":[],"result":{"txid":["O')


def test_resting_order_is_shown_as_the_venue_shows_it(world):
    """Key order, padding, null userref and six decimals are those of the recordings."""
    txid = place(world, cl_ord_id=CLIENT_ID, oflags="post")
    raw = world.send(world.private_bytes("OpenOrders", {"trades": "true"})).body
    row = json.loads(raw)["result"]["open"][txid]
    assert list(row) == [
        "refid", "userref", "cl_ord_id", "status", "opentm", "starttm", "expiretm", "descr", "vol",
        "vol_exec", "cost", "fee", "price", "stopprice", "limitprice", "misc", "oflags",
    ]  # fmt: skip
    assert row["userref"] is None
    assert row["descr"]["price"] == "1900.00"
    assert row["descr"]["pair"] == "ETHUSD"
    assert (row["vol"], row["vol_exec"], row["oflags"]) == ("0.25000000", "0.00000000", "post,fciq")
    assert b'"opentm":1790000000.000000,"starttm":0,"expiretm":0,' in raw


def test_reason_is_in_the_closed_and_query_views_only(world):
    """QueryOrders carries `reason` even for an open order, OpenOrders never."""
    txid = place(world)
    assert "reason" not in world.ok("OpenOrders")["open"][txid]
    assert shown(world, txid)["reason"] is None
    assert shown(world, txid)["userref"] == 0


def test_marketable_order_fills_at_once(world):
    """A market order trades at the best ask, pays the taker fee, and is closed."""
    _, ask = world.best()
    txid = place(world, ordertype="market", price=None)
    row = shown(world, txid, trades="true")
    assert row["status"] == "closed"
    assert (row["vol_exec"], Decimal(row["price"])) == ("0.25000000", ask)
    assert Decimal(row["fee"]) == (Decimal(row["cost"]) * Decimal("0.004")).quantize(Decimal("0.00001"))
    assert row["descr"]["order"] == "buy 0.25000000 ETHUSD @ market"
    [trade_id] = row["trades"]
    trade = world.ok("QueryTrades", {"txid": trade_id})[trade_id]
    assert (trade["ordertxid"], trade["pair"], trade["maker"]) == (txid, "XETHZUSD", False)


def test_query_trades_does_not_know_orders(world):
    """QueryTrades takes trade ids; an order id finds nothing."""
    txid = place(world, ordertype="market", price=None)
    assert world.ok("QueryTrades", {"txid": txid}) == {}


def test_fill_moves_balances_and_ledger(world):
    """What was bought is there, what it cost is gone, and two ledger rows say so."""
    before = world.ok("BalanceEx")
    txid = place(world, ordertype="market", price=None)
    after, row = world.ok("BalanceEx"), shown(world, txid, trades="true")
    paid = Decimal(before["ZUSD"]["balance"]) - Decimal(after["ZUSD"]["balance"])
    assert abs(paid - Decimal(row["cost"]) - Decimal(row["fee"])) <= Decimal("0.0001")
    got = Decimal(after["XETH"]["balance"]) - Decimal(before["XETH"]["balance"])
    assert got == Decimal("0.25")
    rows = world.ok("Ledgers")["ledger"]
    assert sorted(r["asset"] for r in rows.values() if r["refid"] == row["trades"][0]) == ["XETH", "ZUSD"]


def test_resting_order_holds_funds(world):
    """An open buy holds its cost and fee; canceled, it holds nothing."""
    txid = place(world)
    hold = Decimal(world.ok("BalanceEx")["ZUSD"]["hold_trade"])
    assert hold == Decimal("475") * Decimal("1.004")
    world.ok("CancelOrder", {"txid": txid})
    assert Decimal(world.ok("BalanceEx")["ZUSD"]["hold_trade"]) == 0


def test_sell_holds_the_base_and_fee_can_be_in_base(world):
    """An open sell holds its volume; `fcib` takes the fee of a buy from what was bought."""
    place(world, type="sell", price="2100.00")
    assert Decimal(world.ok("BalanceEx")["XETH"]["hold_trade"]) == Decimal("0.25")
    before = Decimal(world.ok("BalanceEx")["XETH"]["balance"])
    place(world, ordertype="market", price=None, oflags="fcib")
    got = Decimal(world.ok("BalanceEx")["XETH"]["balance"]) - before
    assert got == Decimal("0.25") - Decimal("0.25") * Decimal("0.004")


def test_ioc_residue_is_canceled(world):
    """What an IOC order cannot fill is canceled, with the venue's reason."""
    txid = place(world, timeinforce="IOC")
    row = shown(world, txid)
    assert (row["status"], row["reason"], row["vol_exec"]) == (
        "canceled", "Immediate or cancel", "0.00000000",
    )  # fmt: skip
    assert "closetm" in row


def test_fok_fills_whole_or_not_at_all(world):
    """A FOK order larger than the levels inside its limit trades nothing."""
    bid, ask = world.best()
    whole = place(world, timeinforce="FOK", price=str(ask))
    part = place(world, timeinforce="FOK", type="sell", volume="4.9", price=str(bid + 1))
    assert shown(world, whole)["status"] == "closed"
    assert shown(world, part)["vol_exec"] == "0.00000000"
    assert shown(world, part)["status"] == "canceled"


def test_volume_is_cut_to_lot_decimals_and_echoed(world):
    """Too many decimals are cut, and the description shows what is left."""
    answer = world.ok("AddOrder", order(volume="0.123456789", validate="true"))
    assert answer["descr"]["order"] == "buy 0.12345678 ETHUSD @ limit 1900.00"


def test_resting_order_fills_when_the_book_comes_to_it(world):
    """A limit just below the best ask rests, and fills as maker at its own price later."""
    walk, eth = world.exchange.walk, markets.PAIRS["XETHZUSD"].market
    asks = [walk.best(eth, START_NS + s * NS)[1] for s in range(1, 121)]
    price = min(asks)
    assert price < walk.best(eth, START_NS)[1]
    txid = place(world, price=str(price))
    assert shown(world, txid)["status"] == "open"
    world.pass_seconds(120)
    row = shown(world, txid, trades="true")
    assert (row["status"], Decimal(row["price"])) == ("closed", price)
    trades = world.ok("TradesHistory")["trades"].values()
    [trade] = [t for t in trades if t["ordertxid"] == txid]
    assert trade["maker"] is True
    assert int(trade["time"]) == START_NS // NS + asks.index(price) + 1


def test_good_till_date_expires_on_the_exchange_clock(world):
    """A GTD order is gone at its time, also when the clock is turned by hand."""
    txid = place(world, timeinforce="GTD", expiretm="+60")
    world.control("POST", "/clock", {"advance_seconds": 3600})
    row = shown(world, txid)
    assert row["status"] == "expired"
    assert row["closetm"] == row["expiretm"] == Decimal("1790000060.000000")
    assert world.orders()[0]["status"] == "expired"


def test_client_order_id_is_unique_among_open_orders_only(world):
    """A second order with the id of an open one is refused; after its end both exist."""
    first = place(world, cl_ord_id=CLIENT_ID)
    dashed = "01234567-89AB-cdef-0123-456789abcdef"
    error = "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert world.refusal("AddOrder", order(cl_ord_id=dashed)) == error
    world.ok("CancelOrder", {"cl_ord_id": CLIENT_ID})
    second = place(world, cl_ord_id=CLIENT_ID)
    world.ok("CancelOrder", {"txid": second})
    found = world.ok("ClosedOrders", {"cl_ord_id": CLIENT_ID})
    assert set(found["closed"]) == {first, second}
    assert found["count"] == 2


def test_cancel_answers(world):
    """Terminal is `Unknown order`; never minted and malformed are `Invalid order`."""
    txid = place(world)
    assert world.ok("CancelOrder", {"txid": txid}) == {"count": 1}
    assert shown(world, txid)["reason"] == "User requested"
    assert world.refusal("CancelOrder", {"txid": txid}) == "EOrder:Unknown order"
    assert world.refusal("CancelOrder", {"txid": "OAAAAA-AAAAA-AAAAAA"}) == "EOrder:Invalid order"
    assert world.refusal("CancelOrder", {"txid": "what"}) == "EOrder:Invalid order"
    assert world.refusal("CancelOrder", {"cl_ord_id": CLIENT_ID}) == "EOrder:Unknown order"
    assert world.refusal("CancelOrder", {"txid": "42"}) == "EOrder:Unknown order"
    assert world.refusal("CancelOrder") == "EGeneral:Invalid arguments"


def test_userref_cancels_all_that_share_it(world):
    """One userref may name many orders, and cancels them together."""
    place(world, userref=42)
    place(world, userref=42)
    place(world, userref=43)
    assert len(world.ok("OpenOrders", {"userref": 42})["open"]) == 2
    assert world.ok("CancelOrder", {"txid": "42"}) == {"count": 2}
    assert [o["userref"] for o in world.ok("OpenOrders")["open"].values()] == [43]


def test_cancel_batches_and_all(world):
    """Batch and all count what they ended and pass over what they cannot."""
    first, second = place(world), place(world, cl_ord_id=CLIENT_ID)
    wanted = {"orders": [first, "OAAAAA-AAAAA-AAAAAA"], "cl_ord_ids": [CLIENT_ID]}
    assert world.ok("CancelOrderBatch", wanted, as_json=True) == {"count": 2}
    assert world.refusal("CancelOrder", {"txid": second}) == "EOrder:Unknown order"
    assert world.refusal("CancelOrderBatch", {"orders": []}, as_json=True) == ("EGeneral:Invalid arguments:orders")
    place(world)
    assert world.ok("CancelAll") == {"count": 1}
    assert world.ok("OpenOrders") == {"open": {}}


def test_dead_mans_switch(world):
    """CancelAllOrdersAfter cancels when it is not renewed in time, and 0 turns it off."""
    txid = place(world)
    answer = world.ok("CancelAllOrdersAfter", {"timeout": 60})
    assert answer == {"currentTime": "2026-09-21T14:13:20Z", "triggerTime": "2026-09-21T14:14:20Z"}
    assert world.ok("CancelAllOrdersAfter", {"timeout": 0})["triggerTime"] == "0"
    world.pass_seconds(100)
    assert shown(world, txid)["status"] == "open"
    world.ok("CancelAllOrdersAfter", {"timeout": 60})
    world.pass_seconds(61)
    assert shown(world, txid)["status"] == "canceled"
    assert world.refusal("CancelAllOrdersAfter", {"timeout": -1}) == "EGeneral:Invalid arguments:timeout"


def test_amend_keeps_the_order(world):
    """An amend changes price and size under the same txid, and can end the rest."""
    txid = place(world, cl_ord_id=CLIENT_ID)
    answer = world.ok("AmendOrder", {"cl_ord_id": CLIENT_ID, "limit_price": "1890.5", "order_qty": "0.3"})
    assert answer["amend_id"].startswith("T")
    row = shown(world, txid)
    assert (row["descr"]["price"], row["vol"], row["misc"]) == ("1890.50", "0.30000000", "amended")
    amends = world.ok("OrderAmends", {"order_id": txid})
    assert (amends["count"], amends["amends"][0]["limit_price"]) == (1, "1890.50")
    for changes, error in (
        ({"txid": txid}, "EGeneral:Invalid arguments"),
        ({"txid": txid, "order_qty": "x"}, "EGeneral:Invalid arguments:order_qty"),
        ({"txid": txid, "order_qty": "0.001"}, "EOrder:Order minimum not met"),
        ({"txid": txid, "order_qty": "500"}, "EOrder:Insufficient funds"),
        ({"txid": txid, "limit_price": "2100", "post_only": "true"}, "EOrder:Post only order"),
        ({"txid": txid, "limit_price": "1", "deadline": rfc3339(START_NS - NS)}, "EService:Deadline elapsed"),
    ):
        assert world.refusal("AmendOrder", changes) == error
    world.pass_seconds(20)
    world.ok("AmendOrder", {"txid": txid, "limit_price": "2100"})
    assert shown(world, txid)["status"] == "closed"
    assert world.refusal("AmendOrder", {"txid": txid, "limit_price": "1"}) == "EOrder:Unknown order"


def test_edit_cancels_and_places_anew(world):
    """EditOrder ends the old order and answers with a new txid, without the client order id."""
    old = place(world, cl_ord_id=CLIENT_ID)
    dry = world.ok("EditOrder", {"txid": old, "pair": "ETHUSD", "price": "1880", "validate": "true"})
    assert "txid" not in dry
    done = world.ok("EditOrder", {"txid": old, "pair": "ETHUSD", "price": "1880", "volume": "0.2"})
    assert (done["originaltxid"], done["price"], done["status"]) == (old, "1880.00", "ok")
    assert shown(world, old)["status"] == "canceled"
    new = shown(world, done["txid"])
    assert "cl_ord_id" not in new
    assert (new["status"], new["vol"]) == ("open", "0.20000000")
    wrong = {"txid": done["txid"], "pair": "XBTUSD", "price": "1880"}
    assert world.refusal("EditOrder", wrong) == "EQuery:Unknown asset pair"


def test_batches(world):
    """A batch is refused whole for an argument, and order by order for funds."""
    rows = [
        {"ordertype": "limit", "type": "buy", "volume": "0.1", "price": "1900"},
        {"ordertype": "limit", "type": "buy", "volume": "50", "price": "1900"},
    ]
    body = {"pair": "ETHUSD", "orders": rows}
    dry = world.ok("AddOrderBatch", {**body, "validate": True}, as_json=True)
    assert [list(o) for o in dry["orders"]] == [["descr"], ["descr"]]
    done = world.ok("AddOrderBatch", body, as_json=True)["orders"]
    assert isinstance(done[0]["txid"], str)
    assert done[1] == {"error": "EOrder:Insufficient funds"}
    for orders, error in (
        (rows[:1], "EGeneral:Invalid arguments:orders"),
        (["x", "y"], "EGeneral:Invalid arguments:orders"),
        ([rows[0], rows[0] | {"type": "hold"}], "EGeneral:Invalid arguments:type"),
        ([rows[0] | {"cl_ord_id": "a"}] * 2, "EGeneral:Invalid arguments:cl_ord_id not unique"),
    ):
        body = {"pair": "ETHUSD", "orders": orders}
        assert world.refusal("AddOrderBatch", body, as_json=True) == error
    assert world.refusal("AddOrderBatch", {"pair": "ETHUSD", "orders": "x"}, as_json=True) == (
        "EGeneral:Invalid arguments:orders"
    )


@pytest.mark.parametrize(
    ("mode", "good", "bad"),
    [
        ("cancel_only", None, {}),
        ("post_only", {"oflags": "post"}, {}),
        ("limit_only", {}, {"ordertype": "market", "price": None}),
    ],
)
def test_modes(world, mode, good, bad):
    """Each mode lets through what it says, cancels included, and SystemStatus shows it."""
    txid = place(world)
    world.fault("system_status", value=mode)
    assert world.public("SystemStatus")["status"] == mode
    assert world.public("AssetPairs?pair=ETHUSD")["XETHZUSD"]["status"] == mode
    assert world.refusal("AddOrder", order(**bad)) == f"EService:Market in {mode} mode"
    if good is not None:
        place(world, **good)
    assert world.ok("CancelOrder", {"txid": txid}) == {"count": 1}


def test_maintenance_serves_no_trading(world):
    """In maintenance neither orders nor cancels are served."""
    txid = place(world)
    world.fault("system_status", value="maintenance")
    assert world.refusal("AddOrder", order()) == "EService:Unavailable"
    assert world.refusal("CancelOrder", {"txid": txid}) == "EService:Unavailable"


def test_dogecoin_has_its_own_minimum_and_names(world):
    """XDG is DOGE on the stream and in our words; `xdgusd` in lower case is understood."""
    changes = {"pair": "xdgusd", "price": "0.1", "volume": "12"}
    assert world.refusal("AddOrder", order(**changes)) == "EOrder:Order minimum not met"
    place(world, pair="xdgusd", price="0.1", volume="20")
    assert world.orders()[0]["symbol"] == "DOGE-USD"


def test_tick_size_is_checked(world, monkeypatch):
    """Where the tick is coarser than the decimals, an off-tick price is refused by its own name."""
    coarse = msgspec.structs.replace(markets.PAIRS["SOLUSD"], tick=Decimal("0.05"))
    monkeypatch.setitem(markets._BY_NAME, "SOLUSD", coarse)
    changes = {"pair": "SOLUSD", "price": "100.01", "volume": "1"}
    assert world.refusal("AddOrder", order(**changes)) == "EOrder:Tick size check failed"
    world.ok("AddOrder", order(pair="SOLUSD", price="100.05", volume="1", validate="true"))
