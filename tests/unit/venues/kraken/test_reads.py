"""Reads: one exchange a call, pages to the end, and never an empty answer where there was none."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from quantlab.kernel.errors import Denied, UsageFault
from quantlab.model.order import OrderIntent
from quantlab.venues.kraken import calls, codec, codec_orders
from quantlab.venues.kraken.reads import KrakenReads
from quantlab.venues.port import StreamNotice, VenueReadFailed
from quantlab.venues.sockets import ConnectionFault
from tests.unit.venues.kraken.kraken_fakes import (
    API_KEY,
    BASE_URL,
    CLIENT_ID,
    DESCRIPTION,
    ORDER_ID,
    Ports,
    order_row,
    plan_of,
    trade_row,
)
from tests.unit.venues.kraken.test_codec import ACCOUNT, PAIR
from tests.unit.venues.kraken.test_stream import ACK
from tests.unit.venues.websocket_peer import PeerConnection, PeerConnector
from tests.unit.venues.wire_fakes import START, http_answer, kraken_answer

SINCE = datetime(2026, 9, 3, 5, 0, 0, 900_000, tzinfo=UTC)
DEADLINE = datetime(2026, 9, 3, 6, 0, 10, tzinfo=UTC)


def _reads(*answers, credentials=True, connector=None):
    ports = Ports(*([answer] if isinstance(answer, bytes) else answer for answer in answers))
    reads = KrakenReads(
        transport=ports.transport,
        base_url=BASE_URL,
        credentials=ports.credentials if credentials else None,
        turns=ports.turns,
        clock=ports.clock,
        stream_url="ws://127.0.0.1:8080/v2",
        connector=connector or ports.connector,
        redactor=ports.redactor,
    )
    return reads, ports


def _json_row(row):
    return {key: float(value) if isinstance(value, Decimal) else value for key, value in row.items()}


def _pair_answer():
    return kraken_answer({"XETHZUSD": {**PAIR, "fees": [[0, 0.4]]}})


def _failed(kind, read):
    with pytest.raises(VenueReadFailed) as caught:
        read()
    assert (kind, f"venue_{kind}") == (caught.value.kind, caught.value.code)
    assert "says nothing about any order" in caught.value.message
    return caught.value


def test_who_it_is():
    """Venue, fingerprint, and the pure questions."""
    reads, ports = _reads()
    assert ("kraken", ports.credentials.signer_id) == (reads.venue, reads.signer_id)
    assert "ETH-USD" == reads.parse_symbol("xethzusd")
    assert CLIENT_ID == reads.client_order_id_of(CLIENT_ID)
    assert plan_of().order_text == reads.freeze_order_text(plan_of())
    intent = OrderIntent(
        symbol="ETH-USD",
        side="buy",
        size_base=Decimal(1),
        notional_quote=Decimal(1),
        account_label="a",
        reduce_only=True,
    )
    assert 1 == len(reads.order_shape_refusals(intent))
    with pytest.raises(UsageFault):
        reads.parse_symbol("?")


def test_without_a_key_only_public_reads_work():
    """A private read without a key is denied before anything is sent."""
    reads, ports = _reads(kraken_answer({"status": "online"}), credentials=False)
    assert "online" == reads.read_system_status().mode
    with pytest.raises(Denied) as caught:
        _ = reads.signer_id
    assert "kraken_key_missing" == caught.value.code
    with pytest.raises(Denied):
        reads.read_balances()
    assert 1 == len(ports.connector.endpoints)


def test_public_reads_take_no_turn():
    """Time, market and quote are asked by GET, without key, nonce or points."""
    reads, ports = _reads(
        kraken_answer({"unixtime": int(START.timestamp())}),
        _pair_answer(),
        kraken_answer({"XETHZUSD": {"asks": [["2001", "1", 1]], "bids": [["2000", "1", 1]]}}),
    )
    assert 500 == reads.read_time().offset_ms
    instrument = reads.read_instrument("ETH-USD")
    assert Decimal(2001) == reads.read_quote(instrument).ask
    assert [
        ("/0/public/Time", ""),
        ("/0/public/AssetPairs?pair=ETHUSD", ""),
        ("/0/public/Depth?pair=ETHUSD&count=1", ""),
    ] == [ports.sent(index) for index in range(3)]
    assert [] == ports.turns.signers
    purposes = [exchange.purpose for exchange in ports.transport.tape.take()]
    assert ["read_time", "read_instrument", "read_quote"] == purposes


def test_an_unknown_market_is_known_to_be_unknown():
    """The one failure that a caller may turn into a refusal."""
    reads, _ = _reads(kraken_answer({}, errors=["EQuery:Unknown asset pair"]))
    fault = _failed("not_known", lambda: reads.read_instrument("ABC-USD"))
    assert ("EQuery:Unknown asset pair",) == fault.errors


def test_a_book_by_levels():
    """A hundred levels, asked without a key."""
    book = {"asks": [["2001", "1", 1], ["2002", "1", 1]], "bids": [["2000", "1", 1]]}
    reads, ports = _reads(_pair_answer(), kraken_answer({"XETHZUSD": book}), credentials=False)
    depth = reads.read_depth(reads.read_instrument("ETH-USD"))
    assert (Decimal(2002), None, START) == (
        depth.worst_price(Decimal(2), buying=True),
        depth.worst_price(Decimal(2), buying=False),
        depth.read_at,
    )
    assert "/0/public/Depth?pair=ETHUSD&count=100" == ports.sent(1)[0]
    assert ["read_instrument", "read_depth"] == [exchange.purpose for exchange in ports.transport.tape.take()]


def test_details_of_the_key_are_read_once():
    """What the account's read told is told again, without a request; alone they make that read."""
    reads, ports = _reads(kraken_answer({**ACCOUNT, "apiKey": API_KEY}))
    reads.read_account()
    assert ("key name", "desk") == reads.read_account_details()[0] == reads.read_account_details()[0]
    assert 1 == len(ports.connector.endpoints)
    reads, ports = _reads(kraken_answer({**ACCOUNT, "apiKey": API_KEY}))
    assert ("nonce window", "0") == reads.read_account_details()[2]
    assert "/0/private/GetApiKeyInfo" == ports.sent()[0]
    reads, _ = _reads(kraken_answer(errors=["EAPI:Invalid key"]))
    _failed("credentials_refused", reads.read_account_details)


def test_the_stream_answers_no_questions():
    """There are no reads over it."""
    reads, ports = _reads()
    assert None is reads.over_stream()
    assert [] == ports.connector.endpoints


def test_private_reads_take_their_turn():
    """Key, points, nonce, and one signed exchange each."""
    reads, ports = _reads(
        kraken_answer({**ACCOUNT, "apiKey": API_KEY}),
        kraken_answer({"ZUSD": {"balance": "1", "hold_trade": "0"}}),
    )
    assert reads.read_account().can_trade
    assert "USD" == reads.read_balances()[0].asset
    assert [("/0/private/GetApiKeyInfo", "nonce=1"), ("/0/private/BalanceEx", "nonce=2")] == [
        ports.sent(0),
        ports.sent(1),
    ]
    assert [1, 1] == ports.turns.shared.points
    tape = repr(ports.transport.tape.take())
    assert API_KEY not in tape
    assert "N84G" not in tape


def test_open_orders():
    """All of them, or those of one client order id."""
    row = order_row(status="open", vol_exec="0")
    reads, ports = _reads(kraken_answer({"open": {ORDER_ID: row}}), kraken_answer({"open": {}}))
    (report,) = reads.read_open_orders()
    assert ("open", "OpenOrders", START) == (report.state, report.source, report.read_at)
    assert () == reads.read_open_orders(client_order_id=CLIENT_ID)
    assert "nonce=1&trades=true" == ports.sent(0)[1]
    assert f"nonce=2&trades=true&cl_ord_id={CLIENT_ID}" == ports.sent(1)[1]


def test_a_filter_that_was_not_kept_to_is_a_bad_answer():
    """Orders of another id under our filter show that the filter is broken; one without an id may be ours."""
    others = kraken_answer({"open": {ORDER_ID: order_row(cl_ord_id="another")}})
    reads, _ = _reads(others)
    _failed("bad_answer", lambda: reads.read_open_orders(client_order_id=CLIENT_ID))
    nameless = kraken_answer({"open": {ORDER_ID: order_row(cl_ord_id=None)}})
    reads, _ = _reads(nameless)
    assert 1 == len(reads.read_open_orders(client_order_id=CLIENT_ID))


def _page(start, stop, count, member="closed", row=None):
    rows = {f"O{number:05}": row or order_row() for number in range(start, stop)}
    return kraken_answer({member: rows, "count": count})


def test_closed_orders_are_read_to_the_last_page():
    """Fifty a page, until the count is reached."""
    reads, ports = _reads(_page(0, 50, 120), _page(50, 100, 120), _page(100, 120, 120))
    assert 120 == len(reads.read_closed_orders(since=SINCE))
    bodies = [ports.sent(index)[1] for index in range(3)]
    start = int(SINCE.timestamp())
    assert f"nonce=1&trades=true&start={start}&closetime=both&consolidate_taker=false&ofs=0" == bodies[0]
    assert ["0", "50", "100"] == [re.search(r"ofs=(\d+)", body)[1] for body in bodies]


def test_an_empty_list_is_one_page():
    """Nothing closed is a clean answer."""
    reads, ports = _reads(_page(0, 0, 0))
    assert () == reads.read_closed_orders(since=SINCE, client_order_id=CLIENT_ID)
    assert f"cl_ord_id={CLIENT_ID}" in ports.sent()[1]


CHANGES = {
    "count": (_page(0, 50, 60), _page(50, 60, 61)),
    "overlap": (_page(0, 50, 60), _page(49, 59, 60)),
    "early end": (_page(0, 50, 60), _page(0, 0, 60)),
    "more than counted": (_page(0, 50, 40),),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_list_that_changes_is_read_again(name):
    """Twice more at most, and then it is no answer."""
    pages = CHANGES[name]
    reads, _ = _reads(*pages, *pages, _page(0, 10, 10))
    assert 10 == len(reads.read_closed_orders(since=SINCE))
    reads, ports = _reads(*pages * 3)
    _failed("bad_answer", lambda: reads.read_closed_orders(since=SINCE))
    assert 3 * len(pages) == len(ports.connector.endpoints)


def test_a_list_without_end_is_a_bad_answer(monkeypatch):
    """Pages are bounded."""
    monkeypatch.setattr(calls, "_MOST_PAGES", 2)
    reads, _ = _reads(_page(0, 50, 500), _page(50, 100, 500))
    fault = _failed("bad_answer", lambda: reads.read_closed_orders(since=SINCE))
    assert "more than 2 pages" in fault.message


@pytest.mark.parametrize("result", [{"closed": {}}, {"closed": [], "count": 0}, {"count": 0}, None])
def test_a_list_without_count_or_rows_is_a_bad_answer(result):
    """A page in another shape is not an empty page."""
    reads, _ = _reads(kraken_answer(result))
    _failed("bad_answer", lambda: reads.read_closed_orders(since=SINCE))


def test_account_fills_cost_history_points():
    """Two points a page, and four once the venue said that we were too fast."""
    page = _page(0, 1, 1, member="trades", row=trade_row())
    too_fast = kraken_answer({}, errors=["EAPI:Rate limit exceeded"])
    reads, ports = _reads(page, too_fast, page)
    (fill,) = reads.read_account_fills(since=SINCE)
    assert "O00000" == fill.venue_fill_id
    assert "/0/private/TradesHistory" == ports.sent()[0]
    assert ports.sent()[1].endswith("&consolidate_taker=false&ofs=0")
    _failed("rate_limited", reads.read_balances)
    reads.read_account_fills(since=SINCE)
    assert [2, 1, 4] == ports.turns.shared.points


def test_one_order():
    """Shown, cleanly not shown, or another one."""
    reads, ports = _reads(
        kraken_answer({ORDER_ID: order_row()}), kraken_answer({}), kraken_answer({"OTHER": order_row()})
    )
    assert ORDER_ID == reads.read_order(ORDER_ID).venue_order_id
    assert None is reads.read_order(ORDER_ID)
    _failed("bad_answer", lambda: reads.read_order(ORDER_ID))
    assert f"nonce=1&txid={ORDER_ID}&trades=true&consolidate_taker=false" == ports.sent()[1]


def test_an_empty_result_that_is_no_object_is_not_an_absence():
    """A missing result never means that there is no order."""
    reads, _ = _reads(kraken_answer(None))
    _failed("bad_answer", lambda: reads.read_order(ORDER_ID))


def _report(**changes):
    row = order_row(**changes)
    row = {key: Decimal(str(value)) if isinstance(value, float) else value for key, value in row.items()}
    return codec_orders.parse_order(ORDER_ID, row, source="x", read_at=START)


def test_fills_of_an_order_are_asked_for_in_twenties():
    """At most twenty trades a call, none lost."""
    ids = [f"T{number}" for number in range(21)]
    first = kraken_answer({name: trade_row() for name in ids[:20]})
    second = kraken_answer({ids[20]: trade_row()})
    reads, ports = _reads(first, second)
    assert 21 == len(reads.read_fills(_report(trades=ids)))
    assert ("/0/private/QueryTrades", "nonce=2&txid=T20") == ports.sent(1)


def test_fills_of_a_report_without_ids_are_looked_up_first():
    """A stream's report names no fills: the order is read for them."""
    reads, _ = _reads(kraken_answer({ORDER_ID: order_row()}), kraken_answer({"TAAAAA-BBBBB-CCCCCC": trade_row()}))
    assert 1 == len(reads.read_fills(_report(trades=None)))


def test_an_order_that_did_not_trade_has_no_fills():
    """No fills is an answer where nothing was filled."""
    reads, _ = _reads(kraken_answer({ORDER_ID: order_row(trades=None, vol_exec="0")}))
    assert () == reads.read_fills(_report(trades=None, vol_exec="0"))


FILL_FAULTS = {
    "order not shown": (_report(trades=None), [kraken_answer({})]),
    "traded without fills": (
        _report(trades=None),
        [kraken_answer({ORDER_ID: order_row(trades=None)})],
    ),
    "fills missing": (_report(), [kraken_answer({})]),
    "other fills": (_report(), [kraken_answer({"TOTHER": trade_row()})]),
    "fill of another order": (
        _report(),
        [kraken_answer({"TAAAAA-BBBBB-CCCCCC": trade_row(ordertxid="OTHER")})],
    ),
}


@pytest.mark.parametrize("name", FILL_FAULTS)
def test_fills_that_do_not_fit_are_a_bad_answer(name):
    """Lag or mix-up is never taken for the whole truth."""
    report, answers = FILL_FAULTS[name]
    reads, _ = _reads(*answers)
    _failed("bad_answer", lambda: reads.read_fills(report))


FAULTS = {
    "refused": (ConnectionFault("connection refused"), "not_reached"),
    "no answer": ([], "no_answer"),
    "cut short": ([kraken_answer({})[:-3]], "bad_answer"),
    "garbage": ([http_answer(b"<html>")], "bad_answer"),
    "520": ([http_answer(b"", status="520 Odd")], "venue_fault"),
    "429": ([http_answer(b"", status="429 Slow down")], "rate_limited"),
    "403": ([http_answer(b"", status="403 Forbidden")], "bad_answer"),
    "key": ([kraken_answer({}, errors=["EAPI:Invalid key"])], "credentials_refused"),
    "permission": ([kraken_answer({}, errors=["EGeneral:Permission denied"])], "permission_denied"),
    "nonce": ([kraken_answer({}, errors=["EAPI:Invalid nonce"])], "invalid_nonce"),
    "service": ([kraken_answer({}, errors=["EService:Unavailable"])], "venue_fault"),
    "warning": ([kraken_answer({}, errors=["WDatabase:No change"])], "venue_fault"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_failure_has_its_kind(name):
    """A failed read says why, and never looks like an answer."""
    script, kind = FAULTS[name]
    reads, ports = _reads(script)
    _failed(kind, reads.read_balances)
    assert 1 == len(ports.connector.endpoints)


def test_a_time_that_was_not_reached_fails_as_a_read():
    """The clock's read fails like every other."""
    reads, _ = _reads(ConnectionFault("connection refused"))
    _failed("not_reached", reads.read_time)


def test_a_validation_that_fits():
    """The venue read what was planned; no points are spent on it."""
    reads, ports = _reads(kraken_answer({"descr": {"order": DESCRIPTION}}))
    check = reads.check_order(plan_of(), deadline_at=DEADLINE)
    assert ("accepted", DESCRIPTION, (), ()) == (
        check.verdict,
        check.description,
        check.errors,
        check.mismatches,
    )
    path, body = ports.sent()
    assert "/0/private/AddOrder" == path
    assert body.startswith(f"nonce=1&{plan_of().order_text}&deadline=")
    assert body.endswith("&validate=true")
    assert [] == ports.turns.shared.points


CHECKS = {
    "another reading": (
        [kraken_answer({"descr": {"order": DESCRIPTION.replace("buy", "sell")}})],
        "unreadable",
        1,
    ),
    "no reading": ([kraken_answer({})], "unreadable", 1),
    "null": ([kraken_answer(None)], "unreadable", 1),
    "odd result": ([kraken_answer({"txid": "O"})], "unreadable", 0),
    "rejected": ([kraken_answer({}, errors=["EOrder:Cost minimum not met"])], "rejected", 0),
    "too fast": ([kraken_answer({}, errors=["EAPI:Rate limit exceeded"])], "unreadable", 0),
    "lost": ([], "unreadable", 0),
    "refused": (ConnectionFault("connection refused"), "unreadable", 0),
    "garbage": ([http_answer(b"{}")], "unreadable", 0),
}


@pytest.mark.parametrize("name", CHECKS)
def test_other_validations(name):
    """Only a clean, equal reading is accepted."""
    script, verdict, mismatches = CHECKS[name]
    reads, _ = _reads(script)
    check = reads.check_order(plan_of(), deadline_at=DEADLINE)
    assert (verdict, mismatches) == (check.verdict, len(check.mismatches))
    assert mismatches or check.errors


@pytest.mark.parametrize("errors", [[], ["EOrder:Insufficient funds"]])
def test_an_order_id_in_a_validation_is_an_incident(errors):
    """A validation that placed an order is said at once, with the id."""
    placed = {"txid": [ORDER_ID], "descr": {"order": DESCRIPTION}}
    reads, _ = _reads(kraken_answer(placed, errors=errors))
    check = reads.check_order(plan_of(), deadline_at=DEADLINE)
    assert ("incident", DESCRIPTION) == (check.verdict, check.description)
    assert ORDER_ID in check.errors[-1]


def test_a_stream_is_opened_with_a_fresh_token():
    """The token is read, hidden, and used to subscribe."""
    ports = Ports()
    peer = PeerConnection(ports.clock, [ACK])
    reads, ports = _reads(kraken_answer({"token": "made-up-token", "expires": 900}), connector=PeerConnector(peer))
    stream = reads.open_stream()
    event = stream.next_event(wait_ms=10)
    assert isinstance(event, StreamNotice)
    assert "subscribed" == event.kind
    assert "made-up-token" in peer.heard[0]
    assert "made-up-token" not in repr(ports.transport.tape.take())
    stream.close()


def test_a_stream_that_can_not_be_opened_is_a_failed_read():
    """No connection, no stream; and no token in the message."""
    refused = PeerConnector(ConnectionFault("connection refused for made-up-token"))
    reads, _ = _reads(kraken_answer({"token": "made-up-token"}), connector=refused)
    fault = _failed("not_reached", reads.open_stream)
    assert "made-up-token" not in fault.message
    reads, _ = _reads(kraken_answer({"token": ""}))
    _failed("bad_answer", reads.open_stream)


def test_the_deadline_of_a_validation_is_the_one_given():
    """The caller measures on the venue's clock; nothing is added here."""
    reads, ports = _reads(kraken_answer({"descr": {"order": DESCRIPTION}}))
    at = DEADLINE + timedelta(seconds=5)
    reads.check_order(plan_of(), deadline_at=at)
    assert "&deadline=2026-09-03T06%3A00%3A15.000000Z&" in ports.sent()[1]
    assert codec.FORM[0] == "Content-Type"


def test_the_public_stream_is_checked_without_a_key():
    """A ping of the public stream needs no credentials; a refusal is a failed read."""
    ports = Ports()
    connector = PeerConnector(PeerConnection(ports.clock, [{"method": "pong"}]))
    reads, _ = _reads(credentials=False, connector=connector)
    assert "connected, ping answered" == reads.check_stream()
    reads, _ = _reads(credentials=False, connector=PeerConnector(ConnectionFault("connection refused")))
    _failed("not_reached", reads.check_stream)
