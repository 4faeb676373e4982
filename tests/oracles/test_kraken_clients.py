"""Independent Kraken clients, pointed at the rehearsal exchange, work without special handling."""

from decimal import Decimal

import pytest

from tests.e2e.exchange_process import ExchangeProcess

pytestmark = pytest.mark.oracle


@pytest.fixture
def exchange(tmp_path):
    """Return a running exchange without faults and with full rate budgets."""
    with ExchangeProcess(tmp_path / "state") as running:
        yield running


def test_python_kraken_sdk(exchange):
    """python-kraken-sdk validates, places, finds, cancels and reads orders and balances."""
    spot = pytest.importorskip("kraken.spot")
    url, env = exchange.line["kraken_url"], exchange.env
    keys = {"key": env["KRAKEN_API_KEY"], "secret": env["KRAKEN_API_SECRET"], "url": url}
    market, trade, user = spot.Market(url=url), spot.Trade(**keys), spot.User(**keys)
    assert Decimal(market.get_ticker(pair="ETHUSD")["XETHZUSD"]["a"][0]) > 1900
    wanted = {"ordertype": "limit", "side": "buy", "pair": "ETHUSD", "volume": 0.25, "price": 1900}
    assert set(trade.create_order(**wanted, validate=True)) == {"descr"}
    assert exchange.orders() == []
    [txid] = trade.create_order(**wanted, cl_ord_id="oracle-1")["txid"]
    assert list(user.get_open_orders()["open"]) == [txid]
    assert user.get_orders_info(txid=txid)[txid]["status"] == "open"
    assert trade.cancel_order(txid=txid) == {"count": 1}
    assert user.get_closed_orders()["closed"][txid]["status"] == "canceled"
    [filled] = trade.create_order(ordertype="market", side="sell", pair="ETHUSD", volume=0.25)["txid"]
    trades = user.get_trades_history()["trades"].values()
    assert filled in {t["ordertxid"] for t in trades}
    assert {o["venue_order_id"]: o["status"] for o in exchange.orders()} == {
        txid: "canceled", filled: "filled",
    }  # fmt: skip
    with pytest.raises(Exception, match="nsufficient"):
        trade.create_order(**{**wanted, "volume": 5000})


def test_python_kraken_sdk_batch(exchange):
    """python-kraken-sdk signs and sends JSON bodies that are understood."""
    spot = pytest.importorskip("kraken.spot")
    env = exchange.env
    trade = spot.Trade(key=env["KRAKEN_API_KEY"], secret=env["KRAKEN_API_SECRET"], url=exchange.line["kraken_url"])
    row = {"ordertype": "limit", "type": "buy", "volume": "0.1", "price": "1900"}
    made = trade.create_order_batch(orders=[row, row], pair="ETHUSD")
    assert len(made["orders"]) == 2
    assert trade.cancel_order_batch(orders=[o["txid"] for o in made["orders"]]) == {"count": 2}


def test_ccxt(exchange):
    """Ccxt loads markets, validates, places, fetches and cancels orders, and reads balances."""
    ccxt = pytest.importorskip("ccxt")
    env, url = exchange.env, exchange.line["kraken_url"]
    client = ccxt.kraken({"apiKey": env["KRAKEN_API_KEY"], "secret": env["KRAKEN_API_SECRET"]})
    client.enableRateLimit = False  # a second between calls would only make the test slow
    client.urls["api"]["public"] = client.urls["api"]["private"] = url
    try:
        markets = client.load_markets()
        assert {"ETH/USD", "BTC/USD", "DOGE/USD", "SOL/USD", "ETH/USDC", "BTC/USDC"} <= set(markets)
        assert markets["ETH/USD"]["limits"]["amount"]["min"] == 0.002
        assert 1980 < client.fetch_ticker("ETH/USD")["ask"] < 2020
        assert len(client.fetch_order_book("ETH/USD", 10)["asks"]) == 10
        assert client.fetch_balance()["ETH"]["total"] == 5.05
        dry = client.create_order("ETH/USD", "limit", "buy", 0.25, 1900, {"validate": True})
        assert dry["id"] is None
        assert exchange.orders() == []
        made = client.create_order("ETH/USD", "limit", "buy", 0.25, 1900)
        assert client.fetch_order(made["id"], "ETH/USD")["status"] == "open"
        assert [o["id"] for o in client.fetch_open_orders("ETH/USD")] == [made["id"]]
        client.cancel_order(made["id"], "ETH/USD")
        assert client.fetch_order(made["id"], "ETH/USD")["status"] == "canceled"
        market = client.create_order("ETH/USD", "market", "buy", 0.25)
        bought = client.fetch_order(market["id"], "ETH/USD")
        assert (bought["status"], bought["filled"]) == ("closed", 0.25)
        assert market["id"] in {t["order"] for t in client.fetch_my_trades("ETH/USD")}
        with pytest.raises(ccxt.InsufficientFunds):
            client.create_order("ETH/USD", "limit", "buy", 5000, 1900)
        with pytest.raises(ccxt.OrderNotFound):
            client.cancel_order(made["id"], "ETH/USD")
    finally:
        client.session.close()
