"""Every spelling of a market leads to one name."""

import pytest

from quantlab.kernel.errors import UsageFault
from quantlab.venues.kraken import symbols


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("ETH-USD", "ETH-USD"),
        ("ETH/USD", "ETH-USD"),
        ("ETHUSD", "ETH-USD"),
        ("XETHZUSD", "ETH-USD"),
        ("ethusd", "ETH-USD"),
        (" eth-usd ", "ETH-USD"),
        ("XXBTZUSD", "BTC-USD"),
        ("XBTUSD", "BTC-USD"),
        ("BTC/USD", "BTC-USD"),
        ("xbt-usd", "BTC-USD"),
        ("XDGUSD", "DOGE-USD"),
        ("DOGE-USD", "DOGE-USD"),
        ("XXDGZUSD", "DOGE-USD"),
        ("XETHXXBT", "ETH-BTC"),
        ("ETHXBT", "ETH-BTC"),
        ("XBTUSDT", "BTC-USDT"),
        ("BTC-USDC", "BTC-USDC"),
        ("ZEURZUSD", "EUR-USD"),
        ("XTZUSD", "XTZ-USD"),
        ("0GEUR", "0G-EUR"),
    ],
)
def test_spellings(text, symbol):
    """The venue's names, the operator's names, in any case."""
    assert symbol == symbols.parse_symbol(text)


@pytest.mark.parametrize("text", ["", "ETH", "USD", "ETH-", "-USD", "A-B-C", "ETH USD", "ETH-ETH", "É-USD"])
def test_unusable_texts_are_usage_faults(text):
    """A text without base and quote is refused with an example."""
    with pytest.raises(UsageFault, match="such as ETH-USD") as caught:
        symbols.parse_symbol(text)
    assert "symbol_unusable" == caught.value.code


def test_names_for_asking_and_for_the_stream():
    """REST is asked by the alternative name, streams show the slashed one."""
    assert "XBTUSD" == symbols.altname_of("BTC-USD")
    assert "ETHXBT" == symbols.altname_of("ETH-BTC")
    assert "BTC/USD" == symbols.stream_name_of("BTC-USD")
    assert {"XXBTZUSD", "XBTUSD", "BTC/USD", "XBT/USD"} == symbols.spellings_of("BTC-USD", "XXBTZUSD")


def test_assets():
    """Old prefixes go, staked variants stay apart."""
    pairs = {"XXBT": "BTC", "XBT": "BTC", "ZUSD": "USD", "XETH": "ETH", "SUI": "SUI", "XBT.M": "BTC.M"}
    assert list(pairs.values()) == [symbols.asset_of(name) for name in pairs]
