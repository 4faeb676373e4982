"""Answers about venue, market and account become values, or are refused by the member that is wrong."""

import copy
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from quantlab.model.instrument import Balance
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken import codec
from quantlab.venues.kraken.auth import fingerprint
from tests.unit.venues.kraken.recordings import body_bytes, recording

NOW = datetime(2026, 9, 3, 6, 0, tzinfo=UTC)
PAIR = {
    "altname": "ETHUSD",
    "wsname": "ETH/USD",
    "base": "XETH",
    "quote": "ZUSD",
    "pair_decimals": 2,
    "lot_decimals": 8,
    "fees": [[0, Decimal("0.4")], [10000, Decimal("0.35")]],
    "ordermin": "0.002",
    "costmin": "0.5",
    "tick_size": "0.01",
    "status": "online",
}
ACCOUNT = {
    "apiKeyName": "desk",
    "apiKey": "made-up-public-key",
    "nonce": "17",
    "nonceWindow": 0,
    "permissions": ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades"],
    "iban": "AA00 N84G MADE UPXX",
    "validUntil": "0",
    "queryFrom": None,
    "queryTo": "",
    "ipAllowlist": [],
}
SIGNER = fingerprint("made-up-public-key")


def _instrument(**changes):
    return codec.parse_instrument({"XETHZUSD": PAIR | changes}, "ETH-USD")


def test_the_frame_of_an_answer():
    """Errors are texts; a result may be missing, null or empty beside them."""
    for text in ('{"error":["E"]}', '{"error":["E"],"result":null}', '{"error":["E"],"result":{}}'):
        envelope = codec.parse_envelope(text.encode())
        assert ("E",) == envelope.errors
        assert not envelope.result


@pytest.mark.parametrize("text", ["[]", "{}", '{"error":"E"}', '{"error":[1]}', '{"error":null}', "<html>"])
def test_what_is_no_frame(text):
    """An answer without a list of texts under ``error`` is bad."""
    with pytest.raises(BadAnswer):
        codec.parse_envelope(text.encode())


def test_form_text_keeps_order_and_encodes():
    """Plus and colon never travel bare."""
    assert "b=%2B60&a=10%3A00" == codec.form_text({"b": "+60", "a": "10:00"})


def test_time_is_taken_at_the_middle_of_second_and_exchange():
    """Half a second is added, and the local time is the middle of the exchange."""
    read = codec.parse_time({"unixtime": 1788415200}, asked_at=NOW, answered_at=NOW + timedelta(milliseconds=400))
    assert datetime.fromtimestamp(1788415200, UTC) + timedelta(milliseconds=500) == read.venue_at
    assert NOW + timedelta(milliseconds=200) == read.local_at
    assert (300, 1000) == (read.offset_ms, read.resolution_ms)


@pytest.mark.parametrize("row", [{}, {"unixtime": 0}, {"unixtime": "soon"}, []])
def test_time_without_seconds_is_bad(row):
    """No second, no clock."""
    with pytest.raises(BadAnswer):
        codec.parse_time(row, asked_at=NOW, answered_at=NOW)


@pytest.mark.parametrize(
    ("raw", "mode"),
    [("online", "online"), ("maintenance", "maintenance"), ("post_only", "post_only"), ("odd", "unknown")],
)
def test_system_status(raw, mode):
    """A word nobody knows is unknown, with the word kept."""
    read = codec.parse_system_status({"status": raw})
    assert (mode, raw) == (read.mode, read.raw)


def test_an_instrument():
    """The rules of a market, sizes in base and prices in quote units."""
    read = _instrument()
    assert ("ETH-USD", "XETHZUSD") == (read.symbol, read.venue_symbol)
    assert ("ETH/USD", "ETHUSD") == read.venue_symbol_aliases
    assert (Decimal("0.01"), Decimal("0.00000001")) == (read.price_increment, read.size_increment)
    assert (Decimal("0.002"), Decimal("0.5")) == (read.minimum_size, read.minimum_cost)
    assert Decimal(40) == read.taker_fee_bps
    assert ("online", 2, 8) == (read.mode, read.price_decimals, read.size_decimals)


def test_an_instrument_without_tick_uses_the_decimals():
    """An older row has no tick size: the decimals are the grid then."""
    row = copy.deepcopy(PAIR)
    del row["tick_size"], row["wsname"], row["status"]
    read = codec.parse_instrument({"XETHZUSD": row}, "ETH-USD")
    assert (Decimal("0.01"), "unknown") == (read.price_increment, read.mode)


@pytest.mark.parametrize(
    "changes",
    [
        {"base": "XXBT"},
        {"altname": None},
        {"pair_decimals": 19},
        {"lot_decimals": -1},
        {"lot_decimals": "8"},
        {"tick_size": "0"},
        {"ordermin": None},
        {"costmin": "-1"},
        {"fees": []},
        {"fees": [[0]]},
        {"fees": [["0", "a"]]},
    ],
)
def test_a_market_with_a_wrong_member_is_bad(changes):
    """No rule of a market is ever filled in."""
    with pytest.raises(BadAnswer):
        _instrument(**changes)


@pytest.mark.parametrize("result", [{}, {"A": PAIR, "B": PAIR}, None])
def test_one_market_is_asked_for(result):
    """An answer with none or two markets is not the answer to our question."""
    with pytest.raises(BadAnswer):
        codec.parse_instrument(result, "ETH-USD")


def test_a_quote():
    """The best prices, under any name of the market."""
    book = {"asks": [["2000.10000", "1.000", 1]], "bids": [["2000.00000", "2.000", 1]]}
    for name in ("XETHZUSD", "ETHUSD"):
        quote = codec.parse_quote({name: book}, _instrument(), read_at=NOW)
        assert (Decimal("2000"), Decimal("2000.1"), NOW) == (quote.bid, quote.ask, quote.read_at)


@pytest.mark.parametrize(
    ("name", "asks", "bids"),
    [
        ("XXBTZUSD", [["2"]], [["1"]]),
        ("XETHZUSD", [], [["1"]]),
        ("XETHZUSD", [["2"]], []),
        ("XETHZUSD", [["1"]], [["1"]]),
        ("XETHZUSD", [["1"]], [["2"]]),
        ("XETHZUSD", [["1"]], [["0"]]),
        ("XETHZUSD", [[]], [["1"]]),
        ("XETHZUSD", [["x"]], [["1"]]),
        ("XETHZUSD", None, [["1"]]),
    ],
)
def test_a_book_that_can_not_be_trusted_is_bad(name, asks, bids):
    """Empty, crossed, another market's, malformed."""
    with pytest.raises(BadAnswer):
        codec.parse_quote({name: {"asks": asks, "bids": bids}}, _instrument(), read_at=NOW)


def test_all_levels_of_a_book():
    """Best first, exactly; a side may be empty."""
    bids = [["2000.00000", "2.000", 1], ["1999.50000", "0.125", 1]]
    depth = codec.parse_depth({"ETHUSD": {"asks": [], "bids": bids}}, _instrument(), read_at=NOW)
    assert [("2000.00000", "2.000"), ("1999.50000", "0.125")] == [(str(b.price), str(b.size_base)) for b in depth.bids]
    assert ((), NOW) == (depth.asks, depth.read_at)


@pytest.mark.parametrize(
    ("name", "asks", "bids"),
    [
        ("XXBTZUSD", [], []),
        ("XETHZUSD", None, []),
        ("XETHZUSD", [["2"]], []),
        ("XETHZUSD", [["2", "x"]], []),
        ("XETHZUSD", [[None, "1"]], []),
        ("XETHZUSD", ["2"], []),
        ("XETHZUSD", [["2", "0"]], []),
        ("XETHZUSD", [["2", "1"]], [["2", "1"]]),
        ("XETHZUSD", [], [["1", "1"], ["2", "1"]]),
    ],
)
def test_levels_that_are_no_book_are_bad(name, asks, bids):
    """Another market's, malformed, crossed, or in disorder."""
    with pytest.raises(BadAnswer):
        codec.parse_depth({name: {"asks": asks, "bids": bids}}, _instrument(), read_at=NOW)


def test_what_is_told_of_a_key():
    """Each detail in words, also where the venue does not say."""
    facts = codec.parse_account(ACCOUNT, signer_id=SIGNER)
    assert (
        ("key name", "desk"),
        ("key valid until", "no end"),
        ("nonce window", "0"),
        ("permissions", "query-funds, query-open-trades, query-closed-trades, modify-trades"),
    ) == codec.account_details(facts)
    bare = {"apiKeyName": "", "nonceWindow": None, "permissions": [], "validUntil": "1790000000"}
    told = dict(codec.account_details(codec.parse_account(ACCOUNT | bare, signer_id=SIGNER)))
    assert {
        "key name": "none",
        "key valid until": "2026-09-21T14:13:20Z",
        "nonce window": "not shown",
        "permissions": "none",
    } == told


def test_balances_count_holds_and_credit():
    """Available is balance and credit less what orders and credit lines hold."""
    read = codec.parse_balances(
        {
            "ZUSD": {"balance": "100", "hold_trade": "30", "credit": "10", "credit_used": "5"},
            "XXBT": {"balance": "1.5", "hold_trade": "0"},
        }
    )
    assert (
        Balance(asset="BTC", total=Decimal("1.5"), available=Decimal("1.5")),
        Balance(asset="USD", total=Decimal(100), available=Decimal(75)),
    ) == read


@pytest.mark.parametrize("row", [{"ZUSD": "1"}, {"ZUSD": {"balance": "1"}}, []])
def test_balances_without_holds_are_bad(row):
    """A missing hold is never taken for none."""
    with pytest.raises(BadAnswer):
        codec.parse_balances(row)


def test_an_account():
    """Who the key is of and what it may do; the account's number is kept as a digest alone."""
    facts = codec.parse_account(ACCOUNT, signer_id=SIGNER)
    assert facts.identity.startswith("iban-sha256:")
    assert 32 == len(facts.identity.partition(":")[2])
    assert "N84G" not in repr(facts)
    assert ("venue_account", "desk", 0) == (facts.identity_source, facts.key_name, facts.nonce_window)
    assert facts.can_trade
    assert not facts.can_withdraw
    assert not facts.can_stream
    assert (True, True, True) == (
        facts.can_read_open_orders,
        facts.can_read_closed_orders,
        facts.can_read_funds,
    )
    assert (None, None, None) == (facts.query_from, facts.query_to, facts.valid_until)


def test_an_account_in_snake_case_is_the_same():
    """The two spellings of the members name one identity, however the number is spaced."""
    snake = {
        "api_key_name": "desk",
        "api_key": "made-up-public-key",
        "nonce_window": "0",
        "permissions": ACCOUNT["permissions"],
        "iban": "aa00n84gmadeupxx",
        "valid_until": "0",
        "query_from": "0",
        "query_to": 0,
    }
    assert codec.parse_account(ACCOUNT, signer_id=SIGNER) == codec.parse_account(snake, signer_id=SIGNER)


def test_a_key_without_account_is_named_by_itself():
    """Where the venue names no account, the key's fingerprint is the identity."""
    facts = codec.parse_account({"permissions": ["withdraw-funds", "create-ws-token"]}, signer_id=SIGNER)
    assert (f"key-sha256:{SIGNER}", "public_key_sha256") == (facts.identity, facts.identity_source)
    assert (None, True, True) == (facts.nonce_window, facts.can_withdraw, facts.can_stream)


def test_bounds_of_a_key_are_shown():
    """A bound that hides history comes as unix seconds or as text."""
    facts = codec.parse_account(
        ACCOUNT
        | {
            "queryFrom": "1788415303",
            "queryTo": 1788415303,
            "validUntil": "2026-12-31T00:00:00Z",
            "nonceWindow": "15",
        },
        signer_id=SIGNER,
    )
    assert "2026-09-03T06:01:43Z" == facts.query_from == facts.query_to
    assert ("2026-12-31T00:00:00Z", 15) == (facts.valid_until, facts.nonce_window)


def test_a_bound_of_zero_as_number_text_is_none():
    """Zero seconds, however written, is no bound."""
    assert None is codec.parse_account(ACCOUNT | {"validUntil": "00"}, signer_id=SIGNER).valid_until


@pytest.mark.parametrize(
    "changes",
    [
        {"apiKey": "another-key-entirely"},
        {"permissions": None},
        {"permissions": "query-funds"},
        {"nonceWindow": "wide"},
        {"nonceWindow": Decimal("0.5")},
        {"iban": 7},
        {"validUntil": []},
    ],
)
def test_an_account_with_a_wrong_member_is_bad(changes):
    """Another key's facts, or facts in another shape, are no facts."""
    with pytest.raises(BadAnswer):
        codec.parse_account(ACCOUNT | changes, signer_id=SIGNER)


def test_the_stream_token():
    """A token is a text, and not an empty one."""
    assert "made-up" == codec.parse_stream_token({"token": "made-up", "expires": 900})
    for row in ({}, {"token": ""}, {"token": 1}, None):
        with pytest.raises(BadAnswer):
            codec.parse_stream_token(row)


def test_recorded_markets():
    """Real rows, also of a listing with other decimals."""
    rows = recording("06_asset_pairs_ethusd.json")["response"]["body"]
    envelope = codec.parse_envelope(body_bytes(rows))
    ether = codec.parse_instrument({"XETHZUSD": envelope.result["XETHZUSD"]}, "ETH-USD")
    assert (Decimal("0.01"), Decimal("0.5")) == (ether.price_increment, ether.minimum_cost)
    other = codec.parse_instrument({"0GEUR": envelope.result["0GEUR"]}, "0G-EUR")
    assert (Decimal("0.00001"), Decimal(35)) == (other.size_increment, other.minimum_size)


def test_recorded_time_status_book_and_balances():
    """Real answers of the public reads, and a real BalanceEx."""
    time = recording("01_time.json")["response"]["body"]["result"]
    assert 1000 == codec.parse_time(time, asked_at=NOW, answered_at=NOW).resolution_ms
    status = recording("02_system_status.json")["response"]["body"]["result"]
    assert "online" == codec.parse_system_status(status).mode
    pairs = recording("05_asset_pairs_xbtusdt_full.json")["response"]["body"]
    market = codec.parse_instrument(codec.parse_envelope(body_bytes(pairs)).result, "BTC-USDT")
    book = recording("09_depth_xbtusdt.json")["response"]["body"]["result"]
    quote = codec.parse_quote(book, market, read_at=NOW)
    assert quote.bid < quote.ask
    depth = codec.parse_depth(book, market, read_at=NOW)
    assert (quote.bid, quote.ask) == (depth.bids[0].price, depth.asks[0].price)
    cases = recording("28_balances.json")["response"]["body"]["cases"]
    balances = {b.asset: b for b in codec.parse_balances(cases[1]["result"])}
    assert Decimal("4.7050") == balances["USD"].available


def test_recorded_errors():
    """Real error answers have the frame we expect."""
    for case in recording("11_errors_public_and_key.json")["response"]["body"]["cases"]:
        envelope = codec.parse_envelope(json.dumps({"error": case["error"]}).encode())
        assert tuple(case["error"]) == envelope.errors


def test_numbers_of_the_wire_stay_exact():
    """The decoder hands fractions over as decimals, so a fee is exact."""
    rows = answers.parse_json(b'{"XETHZUSD":' + json.dumps(PAIR, default=str).encode() + b"}")
    rows["XETHZUSD"]["fees"] = answers.parse_json(b"[[0,0.26]]")
    assert Decimal(26) == codec.parse_instrument(rows, "ETH-USD").taker_fee_bps
