"""Names of markets: one spelling of ours for every spelling of the venue's."""

import pytest

from quantlab.kernel.errors import UsageFault
from quantlab.venues.hyperliquid import symbols


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("ETH", "ETH"),
        (" eth\n", "ETH"),
        ("kPEPE", "KPEPE"),
        ("PURR/USDC", "PURR-USDC"),
        ("purr-usdc", "PURR-USDC"),
        ("@107", "@107"),
    ],
)
def test_every_spelling_leads_to_one_name(text, symbol):
    """Perps are coins, spot markets pairs; an index stays until the venue names its pair."""
    assert symbol == symbols.parse_symbol(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "symbol_unusable"),
        ("?", "symbol_unusable"),
        ("A B", "symbol_unusable"),
        ("A-B-C", "symbol_unusable"),
        ("ETH-", "symbol_unusable"),
        ("ETH-ETH", "symbol_unusable"),
        ("@", "symbol_unusable"),
        ("@07", "symbol_unusable"),
        ("É", "symbol_unusable"),
        ("xyz:TSLA", "symbol_builder_dex"),
        ("#10", "symbol_outcome"),
    ],
)
def test_what_names_no_market_is_a_usage_fault(text, code):
    """Nonsense, and markets of kinds that are not supported, each by its own code."""
    with pytest.raises(UsageFault) as caught:
        symbols.parse_symbol(text)
    assert code == caught.value.code


def test_perps_and_spot_are_told_apart():
    """In our spelling and in the venue's."""
    assert [False, True, True] == [symbols.is_spot(text) for text in ("ETH", "PURR-USDC", "@107")]
    assert [False, True, True] == [symbols.is_spot_coin(text) for text in ("ETH", "PURR/USDC", "@107")]
    assert "USDC.spot" == symbols.spot_asset("USDC")


def test_the_asset_number_stands_among_the_names():
    """As the venue's error texts spell it; none or two of them are no answer."""
    assert 10107 == symbols.asset_in(("@107", symbols.asset_alias(10107), "HYPE/USDC"))
    assert None is symbols.asset_in(("@107",))
    assert None is symbols.asset_in(("asset=1", "asset=2"))
