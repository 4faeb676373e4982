"""Independent Hyperliquid clients, pointed at the rehearsal exchange, work without special handling."""

import queue
import random
from typing import Any

import pytest

from quantlab.rehearsal.accounts import make_keys
from quantlab.rehearsal.hyperliquid_signing import action_hash, l1_digest, recover
from tests.e2e.exchange_process import SECONDS, ExchangeProcess

pytestmark = pytest.mark.oracle

CLOID = "0x0123456789abcdef0123456789abcdef"
MISSING = "hyperliquid-python-sdk is not installed"


@pytest.fixture
def exchange(tmp_path):
    """Return a running exchange without faults and with full rate budgets."""
    with ExchangeProcess(tmp_path / "state") as running:
        yield running


def official(exchange: ExchangeProcess, **options: Any) -> tuple[Any, Any]:
    """Make the official client's Info and Exchange for the environment that the server has printed."""
    sdk = pytest.importorskip("hyperliquid.exchange", reason=MISSING)
    info = pytest.importorskip("hyperliquid.info", reason=MISSING)
    accounts = pytest.importorskip("eth_account", reason=MISSING)
    env, url = exchange.env, exchange.line["hyperliquid_url"]
    wallet = accounts.Account.from_key(env["HYPERLIQUID_PRIVATE_KEY"])
    assert env["HYPERLIQUID_SIGNER_ID"] == wallet.address.lower()
    trader = sdk.Exchange(wallet, url, account_address=env["HYPERLIQUID_ACCOUNT"], timeout=SECONDS, **options)
    return info.Info(url, skip_ws=True, timeout=SECONDS), trader


def statuses(answer: Any) -> list[Any]:
    """Return the statuses of an accepted action."""
    assert answer["status"] == "ok", answer
    return list(answer["response"]["data"]["statuses"])


def test_official_client_trades(exchange):
    """The official client places, finds and cancels orders by oid and cloid, and reads the account."""
    info, trader = official(exchange)
    types = pytest.importorskip("hyperliquid.utils.types", reason=MISSING)
    user, cloid = exchange.env["HYPERLIQUID_ACCOUNT"], types.Cloid.from_str(CLOID)
    assert 1980 < float(info.all_mids()["ETH"]) < 2020
    gtc = {"limit": {"tif": "Gtc"}}
    [first] = statuses(trader.order("ETH", True, 0.25, 1900, gtc, cloid=cloid))
    [second] = statuses(trader.order("ETH", True, 0.25, 1890.5, gtc))
    oid = second["resting"]["oid"]
    assert {oid, first["resting"]["oid"]} == {o["oid"] for o in info.open_orders(user)}
    assert info.query_order_by_cloid(user, cloid)["order"]["status"] == "open"
    assert statuses(trader.cancel_by_cloid("ETH", cloid)) == ["success"]
    assert statuses(trader.cancel("ETH", oid)) == ["success"]
    assert "never placed" in statuses(trader.cancel("ETH", oid))[0]["error"]
    assert info.query_order_by_oid(user, oid)["order"]["status"] == "canceled"
    assert trader.update_leverage(5, "ETH") == {"status": "ok", "response": {"type": "default"}}
    [bought] = statuses(trader.market_open("ETH", True, 0.25))
    assert bought["filled"]["totalSz"] == "0.25"
    assert info.user_state(user)["assetPositions"][0]["position"]["szi"] == "0.25"
    [closed] = statuses(trader.market_close("ETH"))
    assert closed["filled"]["totalSz"] == "0.25"
    assert ["Close Long", "Open Long"] == [f["dir"] for f in info.user_fills(user)[:2]]
    [spot] = statuses(trader.order("PURR/USDC", True, 100, 0.16, {"limit": {"tif": "Ioc"}}))
    assert spot["filled"]["totalSz"] == "100"
    assert [o["status"] for o in exchange.orders(CLOID)] == ["canceled"]


def test_official_client_modifies_expires_and_burns(exchange):
    """Modify, expiresAfter and noop of the official client are understood."""
    info, trader = official(exchange)
    gtc = {"limit": {"tif": "Gtc"}}
    [status] = statuses(trader.order("ETH", True, 0.25, 1900, gtc))
    [modified] = statuses(trader.modify_order(status["resting"]["oid"], "ETH", True, 0.25, 1910, gtc))
    assert set(modified) == {"resting"}
    nonce = info.post("/info", {"type": "exchangeStatus"})["time"]
    assert trader.noop(nonce)["status"] == "ok"
    assert trader.noop(nonce) == {"status": "err", "response": f"Invalid nonce: duplicate nonce {nonce}"}
    trader.set_expires_after(nonce - 1000)
    expired = {"status": "err", "response": "Action already expired"}
    assert expired == trader.order("ETH", True, 0.25, 1900, gtc)


def test_official_client_trades_in_batches(exchange):
    """Bulk orders and cancels, every read that looks for an order, and the account's roles and allowance."""
    info, trader = official(exchange)
    types = pytest.importorskip("hyperliquid.utils.types", reason=MISSING)
    user, cloid = exchange.env["HYPERLIQUID_ACCOUNT"], types.Cloid.from_str(CLOID)
    began_ms = info.post("/info", {"type": "exchangeStatus"})["time"]
    rows = [
        {"coin": coin, "is_buy": True, "sz": size, "limit_px": price, "reduce_only": False,
         "order_type": {"limit": {"tif": tif}}, "cloid": name}
        for coin, size, price, tif, name in (
            ("ETH", 0.25, 1900, "Gtc", cloid), ("BTC", 0.001, 50_000, "Alo", None), ("ETH", 0.001, 1900, "Gtc", None),
            ("ETH", 0.25, 1900, "Ioc", None), ("ETH", 0.25, 2100, "Alo", None), ("ETH", 0.1, 2100, "Ioc", None),
        )
    ]  # fmt: skip
    answers = statuses(trader.bulk_orders(rows))
    names = ["resting", "resting", "minimum value", "could not immediately match", "bbo was", "filled"]
    assert [name for name, answer in zip(names, answers, strict=True) if name not in str(answer)] == []
    assert {"ETH", "BTC"} == {o["coin"] for o in info.frontend_open_orders(user)}
    history = {r["order"]["oid"]: r["status"] for r in info.historical_orders(user)[::-1]}
    assert [answers[0]["resting"]["oid"], answers[1]["resting"]["oid"]] == [o for o in history if history[o] == "open"]
    assert {"minTradeNtlRejected", "iocCancelRejected", "badAloPxRejected", "filled"} <= set(history.values())
    assert ["0.1"] == [f["sz"] for f in info.user_fills_by_time(user, began_ms)]
    assert statuses(trader.bulk_cancel_by_cloid([{"coin": "ETH", "cloid": cloid}])) == ["success"]
    [done, gone] = statuses(
        trader.bulk_cancel([{"coin": "BTC", "oid": answers[1]["resting"]["oid"]}, {"coin": "BTC", "oid": 1}])
    )
    assert (done, set(gone)) == ("success", {"error"})
    agent = exchange.env["HYPERLIQUID_SIGNER_ID"]
    assert info.user_role(agent) == {"role": "agent", "data": {"user": user}}
    assert agent in {a["address"] for a in info.extra_agents(user)}
    assert info.user_rate_limit(user)["nRequestsUsed"] == 9


def test_official_client_sets_leverage(exchange):
    """Leverage and margin mode are set, read back, and kept apart by asset; what is not allowed is told."""
    info, trader = official(exchange)
    user, ok = exchange.env["HYPERLIQUID_ACCOUNT"], {"status": "ok", "response": {"type": "default"}}
    assert [ok, ok] == [trader.update_leverage(7, "ETH"), trader.update_leverage(3, "BTC", is_cross=False)]
    kinds = [
        info.post("/info", {"type": "activeAssetData", "user": user, "coin": c})["leverage"] for c in ("ETH", "BTC")
    ]
    assert [("cross", 7), ("isolated", 3)] == [(one["type"], one["value"]) for one in kinds]
    statuses(trader.market_open("BTC", True, 0.01))
    [held] = info.user_state(user)["assetPositions"]
    assert (held["position"]["leverage"]["type"], held["position"]["leverage"]["value"]) == ("isolated", 3)
    refused = [trader.update_leverage(99, "ETH"), trader.update_leverage(3, "BTC", is_cross=True)]
    texts = ["Invalid leverage value", "Cannot switch leverage type with open position."]
    assert texts == [one["response"] for one in refused]


def test_official_client_approves_an_agent(exchange):
    """The account itself approves an agent that then trades; the agent's predecessor of that name can not any more."""
    info, _ = official(exchange)
    sdk = pytest.importorskip("hyperliquid.exchange", reason=MISSING)
    accounts = pytest.importorskip("eth_account", reason=MISSING)
    keys, url, user = make_keys(0), exchange.line["hyperliquid_url"], exchange.env["HYPERLIQUID_ACCOUNT"]
    master = sdk.Exchange(accounts.Account.from_key(keys.master.private_key), url, timeout=SECONDS)
    before = {a["address"] for a in info.extra_agents(user)}
    answers = [master.approve_agent("second") for _ in range(2)]
    assert [{"status": "ok", "response": {"type": "default"}}] * 2 == [answer for answer, _ in answers]
    old, new = (accounts.Account.from_key(key) for _, key in answers)
    assert {a["address"] for a in info.extra_agents(user)} - before == {new.address.lower()}
    traders = [sdk.Exchange(one, url, account_address=user, timeout=SECONDS) for one in (old, new)]
    refused, taken = (one.order("ETH", True, 0.25, 1900, {"limit": {"tif": "Gtc"}}) for one in traders)
    assert refused == {"status": "err", "response": f"User or API Wallet {old.address.lower()} does not exist."}
    assert set(statuses(taken)[0]) == {"resting"}


def test_official_hash_and_signature():
    """For generated actions, vaults and expiries the official hash is ours, and its signature recovers."""
    signing = pytest.importorskip("hyperliquid.utils.signing", reason=MISSING)
    accounts = pytest.importorskip("eth_account", reason=MISSING)
    wallet = accounts.Account.from_key("0x" + "01" * 32)
    draw = random.Random(7)
    for _ in range(2000):
        action = generated(draw)
        nonce, expires = draw.randrange(2**43), draw.choice([None, draw.randrange(2**43)])
        vault = draw.choice([None, "0x" + f"{draw.getrandbits(160):040x}"])
        ours = action_hash(action, nonce, vault, expires)
        assert signing.action_hash(action, vault, nonce, expires) == ours
        mainnet = draw.choice([True, False])
        made = signing.sign_l1_action(wallet, action, vault, nonce, expires, mainnet)
        signature = (int(made["r"], 16), int(made["s"], 16), made["v"])
        assert wallet.address.lower() == recover(l1_digest(ours, "a" if mainnet else "b"), signature)


def generated(draw: random.Random) -> dict[str, Any]:
    """Make an action up."""
    asset, cloid = draw.choice([0, 1, 127, 128, 10_107, 110_000]), f"0x{draw.getrandbits(128):032x}"
    order = {
        "a": asset, "b": draw.choice([True, False]), "p": str(draw.randrange(1, 10**6)),
        "s": f"0.{draw.randrange(1, 10**5)}", "r": draw.choice([True, False]),
        "t": {"limit": {"tif": draw.choice(["Gtc", "Ioc", "Alo"])}},
    }  # fmt: skip
    if draw.choice([True, False]):
        order["c"] = cloid
    return draw.choice([
        {"type": "order", "orders": [order] * draw.randrange(1, 20), "grouping": "na"},
        {"type": "cancel", "cancels": [{"a": asset, "o": draw.randrange(2**40)}]},
        {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": cloid}]},
        {"type": "noop"},
    ])  # fmt: skip


def test_official_client_acts_for_the_sub_account(exchange):
    """With a vault address the official client trades for the sub-account."""
    info, _ = official(exchange)
    [sub] = info.query_sub_accounts(exchange.env["HYPERLIQUID_ACCOUNT"])
    _, trader = official(exchange, vault_address=sub["subAccountUser"])
    statuses(trader.order("ETH", True, 0.01, 1900, {"limit": {"tif": "Alo"}}))
    assert [o["coin"] for o in info.open_orders(sub["subAccountUser"])] == ["ETH"]


def test_official_client_streams(exchange):
    """The official client's WebSocket gets orderUpdates and userFills of an order."""
    _, trader = official(exchange)
    module = pytest.importorskip("hyperliquid.info", reason=MISSING)
    info = module.Info(exchange.line["hyperliquid_url"], timeout=SECONDS)
    try:
        user, told = exchange.env["HYPERLIQUID_ACCOUNT"], queue.Queue()
        # Subscriptions are answered in order: the snapshot of the second proves that both stand.
        for kind in ("orderUpdates", "userFills"):
            info.subscribe({"type": kind, "user": user}, told.put)
        assert told.get(timeout=SECONDS)["data"]["isSnapshot"] is True
        statuses(trader.market_open("ETH", True, 0.25))
        frames = {m["channel"]: m["data"] for m in (told.get(timeout=SECONDS) for _ in range(2))}
        assert ["open", "filled"] == [row["status"] for row in frames["orderUpdates"]]
        assert ["0.25"] == [fill["sz"] for fill in frames["userFills"]["fills"]]
    finally:
        info.disconnect_websocket()


def test_official_client_streams_an_orders_life(exchange):
    """A resting order, its cancel by cloid, a rejection and a fill of another are told in turn, all with the cloid."""
    info, trader = official(exchange)
    module = pytest.importorskip("hyperliquid.info", reason=MISSING)
    types = pytest.importorskip("hyperliquid.utils.types", reason=MISSING)
    streaming = module.Info(exchange.line["hyperliquid_url"], timeout=SECONDS)
    try:
        user, told, cloid = exchange.env["HYPERLIQUID_ACCOUNT"], queue.Queue(), types.Cloid.from_str(CLOID)
        for kind in ("orderUpdates", "userEvents", "userFills"):
            streaming.subscribe({"type": kind, "user": user}, told.put)
        assert told.get(timeout=SECONDS)["data"]["isSnapshot"] is True
        gtc, ioc = {"limit": {"tif": "Gtc"}}, {"limit": {"tif": "Ioc"}}
        statuses(trader.order("ETH", True, 0.25, 1900, gtc, cloid=cloid))
        statuses(trader.cancel_by_cloid("ETH", cloid))
        statuses(trader.order("ETH", True, 0.25, 1900, ioc, cloid=cloid))
        statuses(trader.order("ETH", True, 0.25, 2100, ioc, cloid=cloid))
        frames = [told.get(timeout=SECONDS) for _ in range(6)]
        rows = [row for f in frames if f["channel"] == "orderUpdates" for row in f["data"]]
        assert ["open", "canceled", "iocCancelRejected", "open", "filled"] == [row["status"] for row in rows]
        assert {CLOID} == {row["order"]["cloid"] for row in rows}
        fills = {f["channel"]: f["data"]["fills"] for f in frames if f["channel"] != "orderUpdates"}
        assert {"user", "userFills"} == set(fills)
        assert fills["user"] == fills["userFills"] == info.user_fills(user)[:1]
    finally:
        streaming.disconnect_websocket()


@pytest.fixture
def trader(exchange):
    """Return ccxt's client of the exchange, or skip and say that it is absent."""
    ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed")
    env, url = exchange.env, exchange.line["hyperliquid_url"]
    client = ccxt.hyperliquid({
        "walletAddress": env["HYPERLIQUID_ACCOUNT"], "privateKey": env["HYPERLIQUID_PRIVATE_KEY"],
        "options": {"sandboxMode": True, "builderFee": False, "fetchMarkets": {"types": ["spot", "swap"]}},
    })  # fmt: skip
    client.enableRateLimit = False  # a pause between calls would only make the test slow
    client.urls["api"] = {"public": url, "private": url}
    yield client
    client.session.close()


def test_ccxt(exchange, trader):
    """Ccxt loads markets, places, fetches and cancels orders, and reads balances."""
    import ccxt

    client, symbol = trader, "ETH/USDC:USDC"
    assert {symbol, "BTC/USDC:USDC", "PURR/USDC"} <= set(client.load_markets())
    assert 1980 < client.fetch_order_book(symbol)["asks"][0][0] < 2020
    assert client.fetch_balance()["USDC"]["total"] == 10_000
    made = client.create_order(symbol, "limit", "buy", 0.25, 1900, {"clientOrderId": CLOID})
    assert client.fetch_order(made["id"], symbol)["status"] == "open"
    assert [o["id"] for o in client.fetch_open_orders(symbol)] == [made["id"]]
    client.cancel_order(made["id"], symbol)
    assert client.fetch_order(made["id"], symbol)["status"] == "canceled"
    taken = client.create_order(symbol, "market", "buy", 0.25, 2000)
    assert taken["id"] in {t["order"] for t in client.fetch_my_trades(symbol)}
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(made["id"], symbol)
    assert [o["status"] for o in exchange.orders(CLOID)] == ["canceled"]


def test_ccxt_trades_by_client_order_id_and_reads_positions(exchange, trader):
    """Ccxt sets leverage, cancels by cloid and in batches, edits, and reads balances, positions, trades and history."""
    import ccxt

    client, symbol = trader, "ETH/USDC:USDC"
    assert client.fetch_time() > 0
    assert client.fetch_positions() == []
    assert client.set_leverage(7, symbol)["status"] == "ok"
    named = {"clientOrderId": CLOID}
    client.create_order(symbol, "limit", "buy", 0.25, 1900, named)
    assert client.fetch_order(None, symbol, named)["clientOrderId"] == CLOID
    client.cancel_order(None, symbol, named)
    assert client.fetch_order(None, symbol, named)["status"] == "canceled"
    wanted = {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.25}
    first, second = client.create_orders([wanted | {"price": price} for price in (1900, 1890)])
    edited = client.edit_order(first["id"], symbol, "limit", "buy", 0.3, 1895)
    assert {edited["id"], second["id"]} == {o["id"] for o in client.fetch_open_orders(symbol)}
    client.cancel_orders([edited["id"], second["id"]], symbol)
    assert client.fetch_open_orders(symbol) == []
    bought = client.create_order(symbol, "market", "buy", 0.25, 2000)
    [held] = client.fetch_positions([symbol])
    assert (held["side"], held["contracts"], held["leverage"], held["marginMode"]) == ("long", 0.25, 7, "cross")
    assert bought["id"] in {o["id"] for o in client.fetch_closed_orders(symbol)}
    assert first["id"] in {o["id"] for o in client.fetch_canceled_orders(symbol)}
    client.create_order(symbol, "market", "sell", 0.25, 2000, {"reduceOnly": True})
    assert client.fetch_positions([symbol]) == []
    client.create_order("PURR/USDC", "limit", "buy", 100, 0.14)
    spot = client.fetch_balance({"type": "spot"})
    assert (spot["USDC"]["used"], spot["PURR"]["free"] > 1000) == (14, True)
    for size, error in ((500, ccxt.InsufficientFunds), (0.001, ccxt.InvalidOrder)):
        with pytest.raises(error):
            client.create_order(symbol, "limit", "buy", size, 1900)
    assert [o["status"] for o in exchange.orders(CLOID)] == ["canceled"]
