"""Orders: checks in the venue's words, matching, positions, balances, cancels, modifies, the moving book."""

from decimal import Decimal

import pytest

from quantlab.rehearsal.hyperliquid_markets import ASSETS, BY_COIN, PERPS
from tests.unit.rehearsal.hyperliquid_driving import (
    BTC,
    CLOID,
    DELISTED,
    ETH,
    HYPE,
    PURR,
    Desk,
    limit,
    order_action,
)

NEVER = "Order was never placed, already canceled, or filled. asset=1"


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


def position(desk: Desk, coin: str = "ETH") -> str:
    """Return the size of a position, `0` when flat."""
    rows = desk.mine("clearinghouseState")["assetPositions"]
    return next((r["position"]["szi"] for r in rows if r["position"]["coin"] == coin), "0")


# ---------------------------------------------------------------------- placing


def test_resting_order(desk):
    """A buy below the market rests; the answer has oid and cloid, every read the same order."""
    [status] = desk.place(limit(c=CLOID))
    oid = status["resting"]["oid"]
    assert {"resting": {"oid": oid, "cloid": CLOID}} == status
    [row] = desk.mine("openOrders")
    assert row == {
        "coin": "ETH", "side": "B", "limitPx": "1900.0", "sz": "0.25", "oid": oid,
        "timestamp": desk.now_ms, "origSz": "0.25", "cloid": CLOID,
    }  # fmt: skip
    for key in (oid, CLOID, CLOID[2:].upper()):
        assert desk.mine("orderStatus", oid=key)["order"]["order"]["oid"] == oid
    [frontend] = desk.mine("frontendOpenOrders")
    assert (frontend["orderType"], frontend["tif"], frontend["reduceOnly"]) == ("Limit", "Gtc", False)


def test_marketable_order_fills_at_the_book(desk):
    """An IOC buy above the market fills at the best ask, with fee, position and fill row."""
    _, ask = desk.bbo()
    [status] = desk.place(limit("2100", "0.25", "Ioc", c=CLOID))
    assert (status["filled"]["totalSz"], Decimal(status["filled"]["avgPx"])) == ("0.25", ask)
    [fill] = [f for f in desk.mine("userFills") if f["coin"] == "ETH"]
    assert (fill["cloid"], fill["dir"], fill["crossed"], fill["startPosition"]) == (
        CLOID, "Open Long", True, "0.0",
    )  # fmt: skip
    assert Decimal(fill["fee"]) == (ask * Decimal("0.25") * Decimal("0.00045")).quantize(Decimal("1e-6"))
    assert position(desk) == "0.25"
    found = desk.mine("orderStatus", oid=CLOID)["order"]
    assert (found["status"], found["order"]["sz"], found["order"]["origSz"]) == ("filled", "0.0", "0.25")


def test_whole_seed_order(desk):
    """The order of the runbook, 0.25 ETH for 500, is within 1 % of 2000 also years later."""
    for _ in range(3):
        _, ask = desk.bbo()
        assert 1980 <= ask <= 2020
        desk.control("POST", "/clock", {"advance_seconds": 200 * 86_400})


def test_gtc_that_takes_in_part_rests_with_the_rest(desk):
    """A GTC order over the depth inside its limit answers resting, though part of it has filled."""
    desk.act({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 25})
    _, asks = desk.info("l2Book", coin="ETH")["levels"]
    first = Decimal(asks[0]["sz"])
    [status] = desk.place(limit(asks[0]["px"], str(first + 1), "Gtc", c=CLOID))
    assert set(status) == {"resting"}
    order = desk.mine("orderStatus", oid=CLOID)["order"]["order"]
    assert (Decimal(order["sz"]), Decimal(order["origSz"])) == (1, first + 1)
    [row] = desk.orders()
    assert (row["status"], Decimal(row["filled"])) == ("partially_filled", first)


def test_ioc_that_fills_in_part_says_filled(desk):
    """An IOC order drops its rest silently: the ack is `filled` with a smaller size."""
    desk.act({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 25})
    _, asks = desk.info("l2Book", coin="ETH")["levels"]
    first = Decimal(asks[0]["sz"])
    [status] = desk.place(limit(asks[0]["px"], str(first + 1), "Ioc", c=CLOID))
    assert Decimal(status["filled"]["totalSz"]) == first
    assert desk.mine("orderStatus", oid=CLOID)["order"]["order"]["sz"] == "0.0"
    desk.hl_fault("rules", value={"partial_ioc_sz": "rest"})
    _, asks = desk.info("l2Book", coin="ETH")["levels"]
    desk.place(limit(asks[0]["px"], str(first + 1), "Ioc", c="0x" + "2" * 32))
    assert desk.mine("orderStatus", oid="0x" + "2" * 32)["order"]["order"]["sz"] == "1.0"


# ------------------------------------------------------------------------ checks


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (limit(size="0.00001"), "Order has invalid size."),
        (limit(size="0"), "Order has zero size."),
        (limit(price="0"), "Order has invalid price."),
        (limit(price="100"), "Order price cannot be more than 95% away from the reference price"),
        (limit(price="90000"), "Order price cannot be more than 95% away from the reference price"),
        (limit("0.15", "200", asset=PURR, reduce=True), "Reduce-only is invalid for spot trading."),
        ({**limit(), "t": {"trigger": {"isMarket": True, "triggerPx": "1800", "tpsl": "sl"}}},
         "Unexpected number of trigger orders"),
    ],
)  # fmt: skip
def test_static_error_stands_for_the_whole_batch(desk, row, text):
    """One bad order refuses the batch with one status; no record stays, the nonce is used."""
    nonce = desk.now_ms
    statuses = desk.place(limit(), {**row, "c": CLOID}, limit(), nonce=nonce)
    assert [{"error": text}] == statuses
    assert desk.orders() == []
    assert "unknownOid" == desk.status_by_cloid()
    assert "duplicate" in desk.refused({"type": "noop"}, nonce=nonce)


@pytest.mark.parametrize(
    ("row", "text", "status"),
    [
        (limit("1900.05"), "Price must be divisible by tick size. asset=1", "tickRejected"),
        (limit("1900.123"), "Price must be divisible by tick size. asset=1", "tickRejected"),
        (limit("1900", "0.005"), "Order must have minimum value of $10. asset=1", "minTradeNtlRejected"),
        (limit("1900", "500"), "Insufficient margin to place order. asset=1", "perpMarginRejected"),
        (limit("1900", "0.25", reduce=True), "Reduce only order would increase position. asset=1",
         "reduceOnlyRejected"),
        (limit("1900", "0.25", "Ioc"),
         "Order could not immediately match against any resting orders. asset=1", "iocCancelRejected"),
        (limit("0.4", "100", asset=DELISTED), "Trading is halted. asset=3", "rejected"),
        (limit("0.15", "50", asset=PURR), "Order must have minimum value of 10 USDC. asset=10000",
         "minTradeSpotNtlRejected"),
        (limit("0.14", "100000", asset=PURR), "Insufficient spot balance asset=10000",
         "insufficientSpotBalanceRejected"),
        (limit("41", "21", asset=HYPE, buy=False), "Insufficient spot balance asset=10107",
         "insufficientSpotBalanceRejected"),
    ],
)  # fmt: skip
def test_runtime_rejection_is_for_one_order_and_keeps_a_record(desk, row, text, status):
    """Other orders of the batch stand; the rejected one has a record but was never accepted."""
    first, second = desk.place({**row, "c": CLOID}, limit())
    assert ({"error": text}, {"resting"}) == (first, set(second))
    assert status == desk.status_by_cloid()
    assert [None] == [o["client_order_id"] for o in desk.orders()]
    assert desk.requests()[0]["answer"] == text


def test_post_only_that_would_take(desk):
    """An ALO order that crosses is rejected with the best prices of the moment; elsewhere it rests."""
    bid, ask = desk.bbo()
    [status] = desk.place(limit("2100", tif="Alo", c=CLOID))
    text = f"Post only order would have immediately matched, bbo was {bid.normalize():f}@{ask.normalize():f}. asset=1"
    assert {"error": text} == status
    assert "badAloPxRejected" == desk.status_by_cloid()
    [status] = desk.place(limit(tif="Alo"))
    assert {"resting"} == set(status)


def test_upgrade_mode_takes_post_only_orders_alone(desk):
    """After a network upgrade other orders are refused without a record; a noop still works."""
    desk.hl_fault("system_status", value="post_only")
    text = "Only post-only orders allowed immediately after network upgrade"
    assert [{"error": text}] == desk.place(limit(c=CLOID))
    assert {"resting"} == set(desk.place(limit(tif="Alo"))[0])
    assert desk.info("exchangeStatus")["specialStatuses"] == "post_only"
    assert desk.act({"type": "noop"})["status"] == "ok"
    assert "unknownOid" == desk.status_by_cloid()


@pytest.mark.parametrize("asset", sorted(ASSETS))
def test_price_and_size_rules_of_every_asset(asset):
    """Five significant figures, so many decimals, whole prices always: for each asset of the universe."""
    one = ASSETS[asset]
    most = (8 if one.is_spot else 6) - one.size_decimals
    assert one.is_price(Decimal("123456"))
    assert not one.is_price(Decimal("12345.6"))
    assert not one.is_price(1 + Decimal(1).scaleb(-most - 1))
    finest = Decimal(1).scaleb(-most) if most else Decimal(1)
    assert one.is_price(finest)
    assert one.is_size(Decimal(1).scaleb(-one.size_decimals))
    assert not one.is_size(Decimal(1).scaleb(-one.size_decimals - 1))
    assert one.is_price(one.tick + one.anchor)


def test_unknown_assets_are_refused_whole(desk):
    """An asset that does not exist refuses the action."""
    assert desk.refused(order_action(limit(asset=9_000))) == "Unknown coin 9000"
    assert desk.refused(order_action(limit(asset=10_555))) == "Invalid spot"
    assert desk.refused(order_action(limit(asset=110_000))) == "Invalid spot"


def test_empty_batch(desk):
    """No orders at all is an error of the batch."""
    assert [{"error": "Orders are empty."}] == desk.place()


def test_builder_and_grouping_are_refused(desk):
    """No builder fee was approved, and there are no trigger orders to group."""
    action = order_action(limit()) | {"builder": {"b": "0x" + "1" * 40, "f": 10}}
    assert "Builder fee has not been approved." in str(desk.act(action))
    assert "Unexpected number" in str(desk.act(order_action(limit()) | {"grouping": "normalTpsl"}))
    assert desk.orders() == []


@pytest.mark.parametrize(
    ("rules", "row", "text"),
    [
        ({"band_percent": 80}, limit("300"), "Order price cannot be more than 80% away from the reference price"),
        ({"tick_check": "static"}, limit("1900.05"), "Order has invalid price."),
        ({"minimum_by": "mark"}, limit("2100", "0.0049", "Ioc"), "Order must have minimum value of $10. asset=1"),
        ({"minimum_by": "lower"}, limit("2100", "0.0049", "Ioc"), "Order must have minimum value of $10. asset=1"),
        ({"post_only_text": "Only post-only orders allowed"}, limit(), "Only post-only orders allowed"),
    ],
)
def test_open_questions_are_knobs(desk, rules, row, text):
    """Where the documents leave something open, the other reading can be played."""
    if "post_only_text" in rules:
        desk.hl_fault("system_status", value="post_only")
    desk.hl_fault("rules", value=rules)
    assert [{"error": text}] == desk.place(row)
    desk.control("DELETE", "/faults")
    [status] = desk.place(row)
    assert status != {"error": text}


def test_cloid_may_be_used_again(desk):
    """A cloid may take a second order, which then answers to it; a knob forbids an open order's cloid."""
    [first] = desk.place(limit("2100", tif="Ioc", c=CLOID))
    [second] = desk.place(limit(c=CLOID))
    assert desk.mine("orderStatus", oid=CLOID)["order"]["order"]["oid"] == second["resting"]["oid"]
    assert desk.mine("orderStatus", oid=first["filled"]["oid"])["order"]["status"] == "filled"
    assert {"resting"} == set(desk.place(limit(c=CLOID))[0])
    desk.hl_fault("rules", value={"open_cloid": "Cloid is in use."})
    assert [{"error": "Cloid is in use. asset=1"}] == desk.place(limit(c=CLOID))


# ----------------------------------------------------------- positions, balances


def test_positions_average_close_and_flip(desk):
    """Two buys average, a part is closed with a result, and selling more turns the position round."""
    for size in ("0.1", "0.3"):
        desk.place(limit("2100", size, "Ioc"))
    desk.place(limit("1900", "0.1", "Ioc", buy=False))
    desk.place(limit("1900", "0.4", "Ioc", buy=False))
    fills = [f for f in desk.mine("userFills") if f["coin"] == "ETH"][::-1]
    assert [f["dir"] for f in fills] == ["Open Long", "Open Long", "Close Long", "Long > Short"]
    bid, ask = desk.bbo()
    assert Decimal(fills[2]["closedPnl"]) == (bid - ask) * Decimal("0.1")
    assert Decimal(fills[3]["closedPnl"]) == (bid - ask) * Decimal("0.3")
    assert position(desk) == "-0.1"
    state = desk.mine("clearinghouseState")
    paid = sum(Decimal(f["closedPnl"]) - Decimal(f["fee"]) for f in fills)
    held = state["assetPositions"][0]["position"]
    value = 10_000 + paid + Decimal(held["unrealizedPnl"])
    assert value == Decimal(state["marginSummary"]["accountValue"])


def test_spot_fees_are_taken_from_what_is_received(desk):
    """A buy pays its fee in the base token, a sell in the quote token."""
    before = {b["coin"]: Decimal(b["total"]) for b in desk.mine("spotClearinghouseState")["balances"]}
    [status] = desk.place(limit("0.16", "100", "Ioc", asset=PURR))
    price = Decimal(status["filled"]["avgPx"])
    after = {b["coin"]: Decimal(b["total"]) for b in desk.mine("spotClearinghouseState")["balances"]}
    assert after["PURR"] - before["PURR"] == 100 - Decimal("0.07")
    assert before["USDC"] - after["USDC"] == 100 * price
    assert [f["feeToken"] for f in desk.mine("userFills")[:1]] == ["PURR"]
    desk.place(limit("39", "1", "Ioc", asset=HYPE, buy=False))
    [fill] = desk.mine("userFills")[:1]
    assert (fill["coin"], fill["feeToken"], fill["dir"]) == ("@107", "USDC", "Sell")


def test_resting_spot_order_holds_its_token(desk):
    """What an open order may pay is shown as held."""
    desk.place(limit("42", "20", asset=HYPE, buy=False))
    holds = {b["coin"]: b["hold"] for b in desk.mine("spotClearinghouseState")["balances"]}
    assert (holds["HYPE"], holds["USDC"]) == ("20.0", "0.0")


def test_reduce_only_shrinks_and_ends_with_the_position(desk):
    """An oversize reduce-only order shows what it can fill, and is canceled when the position closes."""
    desk.place(limit("2100", "0.25", "Ioc"))
    [status] = desk.place(limit("2100", "1", buy=False, reduce=True, c=CLOID))
    assert {"resting"} == set(status)
    order = desk.mine("orderStatus", oid=CLOID)["order"]["order"]
    assert (order["sz"], order["origSz"], order["reduceOnly"]) == ("0.25", "1.0", True)
    desk.place(limit("1900", "0.1", "Ioc", buy=False))
    assert desk.mine("orderStatus", oid=CLOID)["order"]["order"]["sz"] == "0.15"
    [status] = desk.place(limit("1900", "1", "Ioc", buy=False, reduce=True))
    assert status["filled"]["totalSz"] == "0.15"
    assert (position(desk), desk.status_by_cloid()) == ("0", "reduceOnlyCanceled")


def test_closing_the_whole_position_is_exempt_from_the_minimum(desk):
    """A whole close below $10 is taken, a partial one is not."""
    desk.place(limit("2100", "0.006", "Ioc"))
    desk.place(limit("1900", "0.003", "Ioc", buy=False))
    assert position(desk) == "0.006"
    desk.place(limit("2100", "0.005", "Ioc"), limit("1900", "0.007", "Ioc", buy=False))
    assert position(desk) == "0.004"
    [status] = desk.place(limit("1900", "0.002", "Ioc", buy=False, reduce=True))
    assert status == {"error": "Order must have minimum value of $10. asset=1"}
    assert "filled" in desk.place(limit("1900", "0.004", "Ioc", buy=False))[0]
    assert position(desk) == "0"


def test_own_resting_order_is_canceled_by_an_own_taker(desk):
    """A taker that reaches an own resting order ends it and goes on."""
    desk.act({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 25})
    _, asks = desk.info("l2Book", coin="ETH")["levels"]
    desk.place(limit(asks[1]["px"], "0.25", buy=False, c=CLOID))
    size = Decimal(asks[0]["sz"]) + 1
    assert "filled" in desk.place(limit(asks[2]["px"], str(size), "Ioc"))[0]
    assert "selfTradeCanceled" == desk.status_by_cloid()


def test_leverage(desk):
    """Leverage binds margin; its bounds and the switch with an open position are refused."""
    action = {"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 5}
    assert desk.act(action)["response"] == {"type": "default"}
    assert desk.mine("activeAssetData", coin="ETH")["leverage"] == {"type": "cross", "value": 5}
    assert "Insufficient margin" in str(desk.place(limit("1900", "30")))
    assert desk.refused(action | {"leverage": 26}) == "Invalid leverage value"
    desk.place(limit("2100", "0.25", "Ioc"))
    text = desk.refused(action | {"isCross": False})
    assert text == "Cannot switch leverage type with open position."


# ------------------------------------------------------------ cancel and modify


def test_cancel_by_oid_and_cloid(desk):
    """Both answer `success` under type `cancel`; again, or for a stranger, one text says it all."""
    [first] = desk.place(limit())
    desk.place(limit(c=CLOID))
    action = {"type": "cancel", "cancels": [{"a": ETH, "o": first["resting"]["oid"]}]}
    by_name = {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": CLOID}]}
    for one in (action, by_name):
        for statuses in (["success"], [{"error": NEVER}]):
            assert {"type": "cancel", "data": {"statuses": statuses}} == desk.act(one)["response"]
    assert "canceled" == desk.status_by_cloid()
    assert ["canceled", "canceled"] == [o["status"] for o in desk.orders()]


def test_cancel_needs_the_right_asset(desk):
    """An oid under another asset was never placed."""
    desk.place(limit(c=CLOID))
    action = {"type": "cancelByCloid", "cancels": [{"asset": BTC, "cloid": CLOID}]}
    assert "never placed" in str(desk.act(action))
    assert "open" == desk.status_by_cloid()


def test_modify_gives_a_new_oid_and_forces_post_only(desk):
    """The old order ends, the new one is ALO and keeps the cloid; the answer tells nothing of it."""
    [status] = desk.place(limit(c=CLOID))
    oid = status["resting"]["oid"]
    action = {"type": "modify", "oid": oid, "order": limit("1910", c=CLOID)}
    assert desk.act(action) == {"status": "ok", "response": {"type": "default"}}
    order = desk.mine("orderStatus", oid=CLOID)["order"]["order"]
    assert (order["limitPx"], order["tif"], order["oid"] != oid) == ("1910.0", "Alo", True)
    assert desk.mine("orderStatus", oid=oid)["order"]["status"] == "canceled"
    assert desk.refused(action) == "Cannot modify canceled or filled order"
    crossing = {"type": "modify", "oid": CLOID, "order": limit("2100", c=CLOID)}
    assert desk.refused(crossing) == "Attempted to modify to invalid new order"
    assert "open" == desk.status_by_cloid()


def test_batch_modify_answers_per_order(desk):
    """A stale oid is an error of its part; always_place places in spite of it."""
    modify = {"oid": 1, "order": limit(c=CLOID)}
    action = {"type": "batchModify", "modifies": [modify]}
    assert "Cannot modify canceled or filled order" in str(desk.act(action)["response"])
    assert desk.orders() == []
    assert "resting" in str(desk.act(action | {"a": True}))
    assert "open" == desk.status_by_cloid()


def test_schedule_cancel_is_not_for_small_accounts(desk):
    """Both setting and clearing it need volume."""
    text = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $30.02."
    assert text == desk.refused({"type": "scheduleCancel"})
    assert text == desk.refused({"type": "scheduleCancel", "time": desk.now_ms + 60_000})


@pytest.mark.parametrize("kind", ["createSubAccount", "vaultTransfer", "twapOrder", "updateIsolatedMargin"])
def test_actions_that_are_not_played_out_are_refused(desk, kind):
    """They are checked like any other and then refused; they cannot move an order."""
    assert desk.refused({"type": kind, "name": "x"})
    assert desk.requests()[-1]["effect"] is False


# --------------------------------------------------------------- the moving book


def test_resting_order_fills_when_the_book_crosses_it(desk):
    """An order close to the market is filled as maker at its limit, in the second of the crossing."""
    bid, _ = desk.bbo()
    desk.place(limit(str(bid - 1), c=CLOID))
    for _ in range(600):
        desk.pass_seconds(60)
        if desk.status_by_cloid() == "filled":
            break
    [fill] = [f for f in desk.mine("userFills") if f["coin"] == "ETH"]
    assert (fill["crossed"], Decimal(fill["px"])) == (False, bid - 1)
    assert Decimal(fill["fee"]) == ((bid - 1) * Decimal("0.25") * Decimal("0.00015")).quantize(Decimal("1e-6"))
    assert desk.now_ms - 60_000 <= fill["time"] <= desk.now_ms


@pytest.mark.parametrize("coin", [a.coin for a in PERPS if not a.is_delisted] + ["PURR/USDC", "@107"])
def test_books_stand_on_the_tick(desk, coin):
    """Every shown price is one that an order could have, and bids stand below asks."""
    asset = BY_COIN[coin]
    for _ in range(3):
        bids, asks = desk.info("l2Book", coin=coin)["levels"]
        prices = [Decimal(level["px"]) for level in bids[::-1] + asks]
        assert len(prices) == 40
        assert all(asset.is_price(p) for p in prices)
        assert prices == sorted(set(prices))
        assert all(asset.is_size(Decimal(level["sz"])) for level in bids + asks)
        desk.control("POST", "/clock", {"advance_seconds": 86_400 * 11 + 7})
