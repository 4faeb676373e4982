"""Independent Hyperliquid clients, pointed at the rehearsal exchange, work without special handling."""

import queue
import random
from typing import Any

import pytest

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


def test_official_hash_and_signature():
    """For generated actions, vaults and expiries the official hash is ours, and its signature recovers."""
    signing = pytest.importorskip("hyperliquid.utils.signing", reason=MISSING)
    accounts = pytest.importorskip("eth_account", reason=MISSING)
    wallet = accounts.Account.from_key("0x" + "01" * 32)
    draw = random.Random(7)
    for _ in range(300):
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


def test_ccxt(exchange):
    """Ccxt loads markets, places, fetches and cancels orders, and reads balances."""
    ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed")
    env, url = exchange.env, exchange.line["hyperliquid_url"]
    client = ccxt.hyperliquid({
        "walletAddress": env["HYPERLIQUID_ACCOUNT"], "privateKey": env["HYPERLIQUID_PRIVATE_KEY"],
        "options": {"sandboxMode": True, "builderFee": False, "fetchMarkets": {"types": ["spot", "swap"]}},
    })  # fmt: skip
    client.enableRateLimit = False  # a pause between calls would only make the test slow
    client.urls["api"] = {"public": url, "private": url}
    try:
        symbol = "ETH/USDC:USDC"
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
    finally:
        client.session.close()
