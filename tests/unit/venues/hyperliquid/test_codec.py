"""Answers about venue, markets and account: exact, by our names, and refused when they are not as documented."""

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import codec
from quantlab.venues.hyperliquid.codec import Agent, NotListed, Role
from tests.unit.venues.hyperliquid.hyperliquid_fakes import ACCOUNT, MASTER, META, NOW_MS, SIGNER, SPOT_META
from tests.unit.venues.hyperliquid.recordings import answer_of
from tests.unit.venues.wire_fakes import START

LATER = START + timedelta(days=90)


def _changed(value, *path, to):
    changed = copy.deepcopy(value)
    spot = changed
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = to
    return changed


def test_the_clock_is_compared_in_the_middle():
    """Venue minus ours, ours halfway between question and answer."""
    status = {"time": NOW_MS + 150, "specialStatuses": None}
    read = codec.parse_time(status, asked_at=START, answered_at=START + timedelta(milliseconds=100))
    assert (100, 1) == (read.offset_ms, read.resolution_ms)
    early = codec.parse_time({**status, "time": NOW_MS - 1500}, asked_at=START, answered_at=START)
    assert -1500 == early.offset_ms


@pytest.mark.parametrize("time", [None, "1", True, -1, 253_402_300_800_000, Decimal(1)])
def test_a_time_is_whole_milliseconds(time):
    """Anything else is no time."""
    with pytest.raises(BadAnswer, match="time is not a time"):
        codec.parse_time({"time": time}, asked_at=START, answered_at=START)


def test_a_special_status_stops():
    """Without one the venue is online; a word that we do not know lets nothing through."""
    online = codec.parse_system_status({"time": 1, "specialStatuses": None})
    assert ("online", "specialStatuses: null") == (online.mode, online.raw)
    special = codec.parse_system_status({"time": 1, "specialStatuses": "upgrade"})
    assert ("unknown", 'specialStatuses: "upgrade"') == (special.mode, special.raw)
    with pytest.raises(BadAnswer):
        codec.parse_system_status({"time": 1})


def test_a_perp_and_its_rules():
    """Its number is its place, its steps come from szDecimals, and prices have five figures."""
    eth = codec.parse_perp(META, "ETH")
    assert ("ETH", "ETH", ("asset=1",), "ETH", "USDC") == (
        eth.symbol,
        eth.venue_symbol,
        eth.venue_symbol_aliases,
        eth.base_asset,
        eth.quote_asset,
    )
    assert (Decimal("0.0001"), Decimal("0.01"), Decimal(10), 5) == (
        eth.size_increment,
        eth.price_increment,
        eth.minimum_cost,
        eth.significant_figures,
    )
    assert ("online", Decimal("4.5")) == (eth.mode, eth.taker_fee_bps)
    assert (Decimal("2010.5"), Decimal("2010.6")) == eth.nearest_prices(Decimal("2010.57"))


def test_a_delisted_perp_keeps_its_number_and_takes_no_orders():
    """The list keeps its place, so later numbers hold."""
    assert ("cancel_only", ("asset=2",)) == (
        codec.parse_perp(META, "MATIC").mode,
        codec.parse_perp(META, "MATIC").venue_symbol_aliases,
    )
    pepe = codec.parse_perp(META, "KPEPE")
    assert ("kPEPE", ("asset=3",), Decimal(1)) == (pepe.venue_symbol, pepe.venue_symbol_aliases, pepe.size_increment)


@pytest.mark.parametrize("symbol", ["HYPE-USDC", "@107"])
def test_a_spot_market_by_name_or_index(symbol):
    """The answer bears our spelling of the pair; its number starts at 10000, its price has eight decimals."""
    hype = codec.parse_spot(SPOT_META, symbol)
    assert ("HYPE-USDC", "@107", ("HYPE/USDC", "asset=10107")) == (
        hype.symbol,
        hype.venue_symbol,
        hype.venue_symbol_aliases,
    )
    assert ("HYPE.spot", "USDC.spot", 2, 6) == (
        hype.base_asset,
        hype.quote_asset,
        hype.size_decimals,
        hype.price_decimals,
    )
    assert ("PURR/USDC", ("@0", "asset=10000")) == (
        codec.parse_spot(SPOT_META, "@0").venue_symbol,
        codec.parse_spot(SPOT_META, "@0").venue_symbol_aliases,
    )


@pytest.mark.parametrize(
    ("parse", "meta", "symbol", "why"),
    [
        (codec.parse_perp, META, "NOPE", "lists no market NOPE"),
        (codec.parse_perp, _changed(META, "universe", 0, "name", to="Eth"), "ETH", r"2 markets .*numbers 0, 1"),
        (codec.parse_spot, SPOT_META, "NOPE-USDC", "lists no market"),
        (codec.parse_spot, _changed(SPOT_META, "universe", 1, "tokens", to=[77, 0]), "HYPE-USDC", "lists no market"),
        (codec.parse_spot, SPOT_META, "PURR-USDC", r"2 markets .*numbers 0, 9"),
    ],
)
def test_no_market_or_two_of_a_name_is_not_listed(parse, meta, symbol, why):
    """A name that could mean two markets names none."""
    with pytest.raises(NotListed, match=why):
        parse(meta, symbol)


@pytest.mark.parametrize(
    ("parse", "meta", "symbol"),
    [
        (codec.parse_perp, [], "ETH"),
        (codec.parse_perp, {}, "ETH"),
        (codec.parse_perp, _changed(META, "universe", 1, "szDecimals", to=7), "ETH"),
        (codec.parse_perp, _changed(META, "universe", 1, "szDecimals", to=-1), "ETH"),
        (codec.parse_perp, _changed(META, "universe", 1, "szDecimals", to="4"), "ETH"),
        (codec.parse_spot, _changed(SPOT_META, "universe", 1, "tokens", to=[150]), "HYPE-USDC"),
        (codec.parse_spot, _changed(SPOT_META, "universe", 1, "tokens", to=[150, 77]), "@107"),
        (codec.parse_spot, _changed(SPOT_META, "universe", 1, "tokens", to=[77, 0]), "@107"),
        (codec.parse_spot, _changed(SPOT_META, "universe", 1, "tokens", to=[150, "0"]), "HYPE-USDC"),
        (codec.parse_spot, _changed(SPOT_META, "tokens", 2, "szDecimals", to=9), "HYPE-USDC"),
    ],
)
def test_a_broken_universe_is_a_bad_answer(parse, meta, symbol):
    """Out of range, of the wrong type, or naming tokens that are not there."""
    with pytest.raises(BadAnswer):
        parse(meta, symbol)


def _prices_hold(instrument):
    for text in ("0.000123456", "1.234567", "98765.4", "123456.7"):
        price = instrument.price_toward_safety(Decimal(text), buying=True)
        figures = len(price.normalize().as_tuple().digits)
        decimals = max(-price.normalize().as_tuple().exponent, 0)
        assert decimals <= instrument.price_decimals
        assert figures <= 5 or price == price.to_integral_value()


def test_the_recorded_universes_are_read_whole():
    """Every market of the recorded answers has rules that its own prices keep."""
    meta, spot = answer_of("24_info_meta.json"), answer_of("26_info_spotMeta.json")
    perps = [row["name"].upper() for row in meta["universe"]]
    for number, name in enumerate(perps):
        instrument = codec.parse_perp(meta, name)
        assert (f"asset={number}",) == instrument.venue_symbol_aliases
        assert ("isDelisted" in meta["universe"][number]) is (instrument.mode == "cancel_only")
        _prices_hold(instrument)
    listed = {token["index"] for token in spot["tokens"]}
    for row in (row for row in spot["universe"] if listed.issuperset(row["tokens"])):
        instrument = codec.parse_spot(spot, f"@{row['index']}")
        assert row["name"] == instrument.venue_symbol
        _prices_hold(instrument)


BOOK = {
    "coin": "ETH",
    "time": 1,
    "levels": [[{"px": "2000.0", "sz": "1", "n": 1}], [{"px": "2000.1", "sz": "1", "n": 1}]],
}


def test_the_best_prices():
    """The first level of each side, exactly."""
    quote = codec.parse_quote(BOOK, codec.parse_perp(META, "ETH"), read_at=START)
    assert (Decimal("2000.0"), Decimal("2000.1"), START) == (quote.bid, quote.ask, quote.read_at)


@pytest.mark.parametrize(
    "book",
    [
        None,
        {**BOOK, "coin": "BTC"},
        {**BOOK, "levels": [BOOK["levels"][0]]},
        {**BOOK, "levels": [[], BOOK["levels"][1]]},
        {**BOOK, "levels": [BOOK["levels"][1], BOOK["levels"][0]]},
        {**BOOK, "levels": [[{"px": "0"}], BOOK["levels"][1]]},
        {**BOOK, "levels": [[{"px": "NaN"}], BOOK["levels"][1]]},
    ],
)
def test_a_book_without_two_sides_is_a_bad_answer(book):
    """Unknown coin (null), another market, a side that is missing or empty, a crossed book."""
    with pytest.raises(BadAnswer):
        codec.parse_quote(book, codec.parse_perp(META, "ETH"), read_at=START)


def test_all_levels_of_a_book():
    """Best first, exactly; a side may be empty."""
    market = codec.parse_perp(META, "ETH")
    depth = codec.parse_depth(
        _changed(BOOK, "levels", 0, to=[{"px": "2000.0", "sz": "1"}, {"px": "1999", "sz": "0.25", "n": 3}]),
        market,
        read_at=START,
    )
    assert [("2000.0", "1"), ("1999", "0.25")] == [(str(one.price), str(one.size_base)) for one in depth.bids]
    assert (Decimal("2000.1"), START) == (depth.asks[0].price, depth.read_at)
    assert ((), 1) == (
        codec.parse_depth(_changed(BOOK, "levels", 0, to=[]), market, read_at=START).bids,
        len(depth.asks),
    )
    recorded = codec.parse_depth(
        answer_of("17_info_l2Book.json"), msgspec.structs.replace(market, venue_symbol="DYDX"), read_at=START
    )
    assert (20, 20) == (len(recorded.bids), len(recorded.asks))
    assert Decimal("2.1105") == recorded.worst_price(Decimal("134.5"), buying=False)


@pytest.mark.parametrize(
    "book",
    [
        None,
        {**BOOK, "coin": "BTC"},
        {**BOOK, "levels": [[]]},
        {**BOOK, "levels": [None, []]},
        {**BOOK, "levels": [[None], []]},
        {**BOOK, "levels": [[{"px": "1"}], []]},
        {**BOOK, "levels": [[{"px": "1", "sz": "x"}], []]},
        {**BOOK, "levels": [[{"px": "1", "sz": "0"}], []]},
        {**BOOK, "levels": [BOOK["levels"][1], BOOK["levels"][0]]},
    ],
)
def test_levels_that_are_no_book_are_a_bad_answer(book):
    """Another market's, malformed, or crossed."""
    with pytest.raises(BadAnswer):
        codec.parse_depth(book, codec.parse_perp(META, "ETH"), read_at=START)


def test_the_rate_budget():
    """Used and allowed, with or without the newer member."""
    assert (36589831368, 170043731737) == codec.parse_rate_budget(answer_of("20_info_userRateLimit.json"))
    for value in (None, {}, {"nRequestsUsed": 1, "nRequestsCap": "2"}):
        with pytest.raises(BadAnswer):
            codec.parse_rate_budget(value)


PERP = {
    "marginSummary": {"accountValue": "100.5"},
    "withdrawable": "60.25",
    "assetPositions": [{"type": "oneWay", "position": {"coin": "ETH", "szi": "-0.25"}}],
}
SPOT = {
    "balances": [
        {"coin": "USDC", "token": 0, "total": "20", "hold": "5"},
        {"coin": "PURR", "token": 1, "total": "3", "hold": "0.0"},
    ]
}


def _balances(perp, spot):
    return {one.asset: (str(one.total), str(one.available)) for one in codec.parse_balances(perp, spot)}


def test_margin_positions_and_tokens():
    """Perps are paid with the perp side's dollars; tokens of the spot side bear their suffix."""
    assert {
        "ETH": ("-0.25", "-0.25"),
        "PURR.spot": ("3", "3.0"),
        "USDC": ("100.5", "60.25"),
        "USDC.spot": ("20", "15"),
    } == _balances(PERP, SPOT)
    poor = {**PERP, "marginSummary": {"accountValue": "-1"}}
    assert ("-1", "-1") == _balances(poor, SPOT)["USDC"]


@pytest.mark.parametrize(
    ("limits", "available"), [([[0, "12"]], "12"), ([[0, "18"]], "15"), ([[7, "9"], [1]], "0"), ([], "0")]
)
def test_a_joined_account_pays_perps_from_the_spot_side(limits, available):
    """There the perp side's own figures say nothing, and maintenance margin bounds what is free."""
    spot = {**SPOT, "tokenToAvailableAfterMaintenance": limits}
    assert ("20", available) == _balances(PERP, spot)["USDC"]


def test_recorded_balances_are_read():
    """A unified account of 2026 with positions, and a hold of 2025."""
    perp, spot = answer_of("35_info_account_reads_2026.json"), answer_of("35_info_account_reads_2026.json", 1)
    balances = _balances(perp, spot)
    assert ("985.710641", "960.525757") == balances["USDC"]
    assert ("0.13", "0.00297") == (balances["SOL"][0], balances["BTC"][0])
    held = {row["coin"]: row for row in answer_of("15_info_spotClearinghouseState.json")["balances"]}
    assert "0.2" == held["HYPE"]["hold"]


@pytest.mark.parametrize(
    ("perp", "spot"),
    [
        (None, SPOT),
        (PERP, {}),
        ({**PERP, "withdrawable": None}, SPOT),
        ({**PERP, "assetPositions": [{}]}, SPOT),
        (PERP, {"balances": [{"coin": "USDC", "total": "1", "hold": "-1"}]}),
    ],
)
def test_broken_funds_are_a_bad_answer(perp, spot):
    """Nothing is taken for zero that is not there."""
    with pytest.raises(BadAnswer):
        codec.parse_balances(perp, spot)


def test_roles():
    """Each role with its owner, addresses in lower case."""
    upper = "0x" + MASTER[2:].upper()
    assert Role(name="agent", owner=MASTER) == codec.parse_role({"role": "agent", "data": {"user": upper}})
    assert Role(name="subAccount", owner=MASTER) == codec.parse_role({"role": "subAccount", "data": {"master": upper}})
    assert Role(name="missing") == codec.parse_role({"role": "missing"})
    assert MASTER == codec.parse_vault_leader({"leader": upper})
    assert Role(name="vault") == codec.parse_role(answer_of("21_info_userRole.json"))
    with pytest.raises(BadAnswer):
        codec.parse_role({"role": "agent"})


def test_recorded_agents_are_read():
    """Names, addresses and expiries."""
    agents = codec.parse_agents(answer_of("22_info_extraAgents.json"))
    assert ["ok", "new"] == [agent.name for agent in agents]
    assert datetime(2026, 1, 7, 8, 55, 20, 478000, tzinfo=UTC) == agents[0].valid_until


OWNER, AGENT, STRANGER = Role(name="user"), Role(name="agent", owner=MASTER), Role(name="agent", owner=ACCOUNT)
SUB = Role(name="subAccount", owner=MASTER)
NAMED = Agent(name="desk", address=SIGNER, valid_until=LATER)
OVER = Agent(name="desk", address=SIGNER, valid_until=START)
OTHER = Agent(name="other", address=ACCOUNT, valid_until=START)


@pytest.mark.parametrize(
    ("account", "role", "signer", "signer_role", "agents", "trade", "withdraw", "relation"),
    [
        (MASTER, OWNER, MASTER, OWNER, (), True, True, "owner"),
        (MASTER, OWNER, SIGNER, AGENT, (OTHER, NAMED), True, False, "agent"),
        (MASTER, OWNER, SIGNER, AGENT, (OTHER,), True, False, "agent"),
        (MASTER, OWNER, SIGNER, AGENT, (OVER,), False, False, "agent"),
        (MASTER, OWNER, SIGNER, STRANGER, (), False, False, "stranger"),
        (MASTER, OWNER, SIGNER, Role(name="missing"), (), False, False, "stranger"),
        (MASTER, Role(name="missing"), SIGNER, AGENT, (), False, False, "agent"),
        (ACCOUNT, SUB, SIGNER, AGENT, (NAMED,), True, False, "agent"),
        (ACCOUNT, SUB, MASTER, OWNER, (), True, True, "owner"),
        (ACCOUNT, Role(name="vault"), SIGNER, AGENT, (NAMED,), True, False, "agent"),
    ],
)
def test_what_a_signer_may_do(account, role, signer, signer_role, agents, trade, withdraw, relation):
    """An owner trades and withdraws; an agent of the master trades until it expires; nobody else does anything."""
    facts = codec.account_facts(
        account=account, role=role, master=MASTER, signer=signer, signer_role=signer_role, agents=agents, now=START
    )
    assert (account, "venue_account", trade, withdraw) == (
        facts.identity,
        facts.identity_source,
        facts.can_trade,
        facts.can_withdraw,
    )
    assert (f"account:{role.name}", f"signer:{relation}", f"signer_role:{signer_role.name}") == facts.permissions
    known = next((agent for agent in agents if agent.address == signer), None)
    assert (known.name if known else None) == facts.key_name
    assert (None if known is None else known.valid_until.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) == facts.valid_until
    assert 0 == facts.nonce_window
