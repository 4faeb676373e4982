"""Reads: one exchange a request, pages to the end, and never an empty answer where there was none."""

from datetime import timedelta
from decimal import Decimal

import pytest

from quantlab.kernel.errors import Denied, QuantLabFault, UsageFault
from quantlab.model.order import OrderIntent
from quantlab.venues.hyperliquid import codec
from quantlab.venues.hyperliquid.calls import WEIGHT_BUCKET
from quantlab.venues.hyperliquid.reads import HyperliquidReads
from quantlab.venues.port import StreamNotice, VenueReadFailed
from quantlab.venues.sockets import ConnectionFault
from tests.unit.venues.hyperliquid.hyperliquid_fakes import (
    ACCOUNT,
    BASE_URL,
    CLIENT_ID,
    MASTER,
    META,
    NOW_MS,
    ORDER_ID,
    SIGNER,
    SPOT_META,
    Ports,
    fill_row,
    json_answer,
    order_row,
    plan_of,
    record,
)
from tests.unit.venues.hyperliquid.test_codec import BOOK, PERP, SPOT
from tests.unit.venues.hyperliquid.test_codec_stream import ACKS, MIDS_ACK
from tests.unit.venues.websocket_peer import PeerConnection, PeerConnector
from tests.unit.venues.wire_fakes import START, http_answer

SINCE = START - timedelta(minutes=2)
SINCE_MS = NOW_MS - 120_000
DEADLINE = START + timedelta(minutes=5)
OTHER_ID = "0x" + "9" * 32


def _reads(*answers, account=ACCOUNT, signer=SIGNER, connector=None):
    # A tuple is a script of the wire, anything else a JSON answer.
    ports = Ports(*[one if isinstance(one, tuple | ConnectionFault) else (json_answer(one),) for one in answers])
    reads = HyperliquidReads(
        transport=ports.transport,
        base_url=BASE_URL + "/",
        account=account,
        signer=signer,
        turns=ports.turns,
        clock=ports.clock,
        stream_url="ws://127.0.0.1:8081/ws",
        connector=connector or ports.connector,
    )
    return reads, ports


def _failed(kind, read):
    with pytest.raises(VenueReadFailed) as caught:
        read()
    assert (kind, f"venue_{kind}") == (caught.value.kind, caught.value.code)
    assert "says nothing about any order" in caught.value.message
    return caught.value


def test_who_it_is():
    """Venue, addresses in one spelling, and the pure questions."""
    reads, ports = _reads(account="0x" + ACCOUNT[2:].upper(), signer="0x" + SIGNER[2:].upper())
    assert ("hyperliquid", ACCOUNT, SIGNER) == (reads.venue, reads.account, reads.signer_id)
    assert "PURR-USDC" == reads.parse_symbol("purr/usdc")
    assert CLIENT_ID == reads.client_order_id_of(CLIENT_ID[2:])
    assert plan_of().order_text == reads.freeze_order_text(plan_of())
    intent = OrderIntent(
        symbol="ETH",
        side="buy",
        size_base=Decimal(1),
        notional_quote=Decimal(1),
        account_label="a",
        order_type="market",
    )
    assert 1 == len(reads.order_shape_refusals(intent))
    with pytest.raises(UsageFault):
        _reads(account="0xSIGNER_ADDRESS")
    assert [] == ports.connector.endpoints


def test_without_addresses_only_public_reads_work():
    """A read of an account without its address is denied before anything is sent."""
    reads, ports = _reads({"time": NOW_MS, "specialStatuses": None}, account=None, signer=None)
    assert "online" == reads.read_system_status().mode
    for read, code in ((lambda: reads.signer_id, "signer"), (lambda: reads.account, "account")):
        with pytest.raises(Denied) as caught:
            read()
        assert f"hyperliquid_{code}_missing" == caught.value.code
    with pytest.raises(Denied):
        reads.read_balances()
    assert 1 == len(ports.connector.endpoints)


def test_public_reads():
    """Time, market and quote, each one question, their weight counted on the machine's own bucket."""
    reads, ports = _reads({"time": NOW_MS + 7, "specialStatuses": None}, META, BOOK, SPOT_META)
    assert 7 == reads.read_time().offset_ms
    instrument = reads.read_instrument("ETH")
    assert Decimal("2000.1") == reads.read_quote(instrument).ask
    assert "HYPE-USDC" == reads.read_instrument("@107").symbol
    assert [{"type": "exchangeStatus"}, {"type": "meta"}, {"type": "l2Book", "coin": "ETH"}, {"type": "spotMeta"}] == (
        ports.asked()
    )
    assert ("/info", [2, 20, 2, 20], {WEIGHT_BUCKET}) == (
        ports.sent()[0],
        ports.turns.shared.weights,
        set(ports.turns.signers),
    )
    purposes = [exchange.purpose for exchange in ports.transport.tape.take()]
    assert ["read_time", "read_instrument", "read_quote", "read_instrument"] == purposes


@pytest.mark.parametrize(("symbol", "meta"), [("NOPE", META), ("NOPE-USDC", SPOT_META)])
def test_an_unknown_market_is_known_to_be_unknown(symbol, meta):
    """The one failure that a caller may turn into a refusal."""
    reads, _ = _reads(meta)
    assert f"lists no market {symbol}" in _failed("not_known", lambda: reads.read_instrument(symbol)).message


def test_an_unknown_coin_has_no_book():
    """The venue answers null, which is no quote and no depth."""
    reads, _ = _reads(None, None)
    _failed("bad_answer", lambda: reads.read_quote(codec.parse_perp(META, "ETH")))
    _failed("bad_answer", lambda: reads.read_depth(codec.parse_perp(META, "ETH")))


def test_a_book_by_levels():
    """One light question, and the time of reading it."""
    reads, ports = _reads(BOOK)
    depth = reads.read_depth(codec.parse_perp(META, "ETH"))
    assert (Decimal("2000.0"), START) == (depth.worst_price(Decimal(1), buying=False), depth.read_at)
    assert ([{"type": "l2Book", "coin": "ETH"}], [2]) == (ports.asked(), ports.turns.shared.weights)
    assert ["read_depth"] == [exchange.purpose for exchange in ports.transport.tape.take()]


BROKEN = {
    "refused": (ConnectionFault("connection refused"), "not_reached"),
    "no answer": ((), "no_answer"),
    "slow": ((60_000,), "no_answer"),
    "cut": ((json_answer([])[:-1],), "bad_answer"),
    "not JSON": ((http_answer(b"<html>"),), "bad_answer"),
    "another shape": ({}, "bad_answer"),
    "null": (None, "bad_answer"),
    "422": ((http_answer(b"Failed", status="422 Unprocessable"),), "bad_answer"),
    "429": ((http_answer(b"null", status="429 Slow down"),), "rate_limited"),
    "502": ((http_answer(b"<html>", status="502 Bad gateway"),), "venue_fault"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_read_without_a_clean_answer_fails(name):
    """It never looks like an empty list, whichever list was asked for, and is not repeated."""
    script, kind = BROKEN[name]
    for read in (lambda r: r.read_open_orders(), lambda r: r.read_closed_orders(since=SINCE)):
        reads, ports = _reads(script)
        _failed(kind, lambda reads=reads, read=read: read(reads))
        assert 1 == len(ports.connector.endpoints)


def test_an_agents_account():
    """An agent names its master, so one role and the master's agents are asked for, their weight counted."""
    reads, ports = _reads(
        {"role": "agent", "data": {"user": ACCOUNT}},
        [{"name": "desk", "address": SIGNER, "validUntil": NOW_MS + 1}],
    )
    facts = reads.read_account()
    assert (ACCOUNT, True, False, "desk", 0) == (
        facts.identity,
        facts.can_trade,
        facts.can_withdraw,
        facts.key_name,
        facts.nonce_window,
    )
    assert [
        {"type": "userRole", "user": SIGNER},
        {"type": "extraAgents", "user": ACCOUNT},
    ] == ports.asked()
    assert [60, 20] == ports.turns.shared.weights
    assert None is reads.vault_address()
    assert 2 == len(ports.connector.endpoints)


def test_an_owner_needs_no_agents():
    """The account itself signs: it may withdraw, which a rung refuses."""
    reads, ports = _reads({"role": "user"}, account=SIGNER)
    facts = reads.read_account()
    assert (True, True, 1) == (facts.can_trade, facts.can_withdraw, len(ports.connector.endpoints))


def test_a_sub_account_is_its_masters():
    """Agents are the master's; actions must name the sub-account."""
    reads, ports = _reads(
        {"role": "agent", "data": {"user": MASTER}}, {"role": "subAccount", "data": {"master": MASTER}}, []
    )
    assert reads.read_account().can_trade
    assert {"type": "extraAgents", "user": MASTER} == ports.asked()[2]
    assert ACCOUNT == reads.vault_address()


def test_a_vault_is_its_leaders():
    """Who leads it is asked of the vault."""
    reads, ports = _reads({"role": "agent", "data": {"user": MASTER}}, {"role": "vault"}, {"leader": MASTER}, [])
    assert reads.read_account().can_trade
    assert {"type": "vaultDetails", "vaultAddress": ACCOUNT} == ports.asked()[2]
    asked_alone, ports = _reads({"role": "vault"})
    assert (ACCOUNT, ACCOUNT, 1) == (
        asked_alone.vault_address(),
        asked_alone.vault_address(),
        len(ports.connector.endpoints),
    )


def test_an_agents_own_address_is_no_account():
    """It would show an empty account: it can not trade."""
    reads, _ = _reads({"role": "agent", "data": {"user": MASTER}}, account=SIGNER)
    reads_other, _ = _reads({"role": "user"}, {"role": "agent", "data": {"user": MASTER}})
    assert not reads_other.read_account().can_trade
    with pytest.raises(IndexError):
        reads.read_account()


def test_balances_ask_both_sides():
    """Margin and positions, then tokens."""
    reads, ports = _reads(PERP, SPOT)
    assert ["ETH", "PURR.spot", "USDC", "USDC.spot"] == [one.asset for one in reads.read_balances()]
    assert ["clearinghouseState", "spotClearinghouseState"] == [asked["type"] for asked in ports.asked()]
    assert {ACCOUNT} == {asked["user"] for asked in ports.asked()}


def test_open_orders_with_and_without_fills():
    """Fills are asked for only where less remains than was asked for."""
    untouched = order_row(sz="0.25", oid=1, cloid=None)
    reads, ports = _reads([untouched])
    assert ["open"] == [order.state for order in reads.read_open_orders()]
    assert 1 == len(ports.connector.endpoints)
    reads, ports = _reads([untouched, order_row(sz="0.15")], [fill_row(sz="0.1")])
    assert [("open", Decimal(0)), ("partially_filled", Decimal("0.1"))] == [
        (order.state, order.filled_base) for order in reads.read_open_orders()
    ]
    assert {"type": "userFillsByTime", "user": ACCOUNT, "startTime": NOW_MS - 60_000} == ports.asked()[1]


@pytest.mark.parametrize("status", ["open", "triggered"])
def test_open_orders_of_one_id_are_asked_of_two_views(status):
    """What the list does not show yet, the order's own record may; what both show is one order."""
    found = {"status": "order", "order": record(status, sz="0.25")}
    foreign = order_row(sz="0.25", oid=1, cloid=None)
    reads, ports = _reads([foreign], found)
    (order,) = reads.read_open_orders(client_order_id=CLIENT_ID)
    assert (ORDER_ID, "open", status, "orderStatus") == (
        order.venue_order_id,
        order.state,
        order.raw_state,
        order.source,
    )
    assert {"type": "orderStatus", "user": ACCOUNT, "oid": CLIENT_ID} == ports.asked()[1]
    assert [20, 2] == ports.turns.shared.weights
    reads, ports = _reads([foreign, order_row(sz="0.25")], found)
    assert [(ORDER_ID, "frontendOpenOrders")] == [
        (order.venue_order_id, order.source) for order in reads.read_open_orders(client_order_id=CLIENT_ID)
    ]
    assert 2 == len(ports.connector.endpoints)


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        ({"status": "unknownOid"}, [order_row(sz="0.25")]),
        ({"status": "unknownOid"}, []),
        ({"status": "order", "order": record("canceled", sz="0.25")}, []),
        ({"status": "order", "order": record("scheduledCancel", sz="0.25")}, [order_row(sz="0.25")]),
    ],
)
def test_an_order_of_one_id_is_open_when_a_view_says_so(answer, listed):
    """An ended order is none of the open ones; what the list still shows is shown, for its end stands elsewhere."""
    reads, _ = _reads(listed, answer)
    assert len(listed) == len(reads.read_open_orders(client_order_id=CLIENT_ID))


def test_open_orders_of_one_id_need_both_views():
    """One view that fails is a failed read, and an order of another id is no answer to the question."""
    reads, _ = _reads([order_row(sz="0.25")], (http_answer(b"<html>", status="502 Bad gateway"),))
    _failed("venue_fault", lambda: reads.read_open_orders(client_order_id=CLIENT_ID))
    reads, _ = _reads([], {"status": "order", "order": record("open", sz="0.25", cloid=OTHER_ID)})
    _failed("bad_answer", lambda: reads.read_open_orders(client_order_id=CLIENT_ID))


def test_an_open_order_that_only_its_record_shows_has_its_fills():
    """Part of it traded: the fills are asked for, as of every order of ours."""
    found = {"status": "order", "order": record("open", sz="0.15")}
    reads, _ = _reads([], found, [fill_row(sz="0.1")])
    (order,) = reads.read_open_orders(client_order_id=CLIENT_ID)
    assert ("partially_filled", Decimal("0.1")) == (order.state, order.filled_base)


def _closed(*answers, client_order_id=None, since=SINCE):
    reads, ports = _reads(*answers)
    return reads.read_closed_orders(since=since, client_order_id=client_order_id), ports


def test_closed_orders_are_one_row_each_with_their_fills():
    """Several records of one order are one order; open ones and older ones are left out."""
    history = [
        record(),
        record("open", sz="0.25"),
        record("canceled", oid=2, cloid=None, sz="0.25"),
        record("open", oid=3, cloid=None),
        record("rejected", oid=4, timestamp=SINCE_MS - 9, at=SINCE_MS - 1),
        record("iocCancelRejected", oid=5, timestamp=SINCE_MS - 9, at=SINCE_MS),
    ]
    orders, ports = _closed(history, [fill_row()], since=SINCE + timedelta(microseconds=900))
    assert [(ORDER_ID, "filled"), ("2", "canceled"), ("5", "rejected")] == [
        (order.venue_order_id, order.state) for order in orders
    ]
    assert {"historicalOrders"} == {order.source for order in orders}
    assert {
        "type": "userFillsByTime",
        "user": ACCOUNT,
        "startTime": NOW_MS - 60_000,
        "endTime": NOW_MS + 60_000,
    } == ports.asked()[1]
    assert ((), 1) == (_closed([])[0], len(_closed([])[1].connector.endpoints))


def test_closed_orders_of_one_id_are_asked_of_two_views():
    """What the list does not show yet, the order's own record may."""
    unknown = {"status": "unknownOid"}
    found = {"status": "order", "order": record()}
    orders, ports = _closed([record(oid=9, cloid=OTHER_ID)], found, [fill_row()], client_order_id=CLIENT_ID)
    assert [ORDER_ID] == [order.venue_order_id for order in orders]
    assert {"type": "orderStatus", "user": ACCOUNT, "oid": CLIENT_ID} == ports.asked()[1]
    orders, _ = _closed([record()], unknown, [fill_row()], client_order_id=CLIENT_ID)
    assert [ORDER_ID] == [order.venue_order_id for order in orders]
    assert () == _closed([record()], unknown, client_order_id=OTHER_ID)[0]
    reads, _ = _reads([], {"status": "order", "order": record(cloid=OTHER_ID)})
    _failed("bad_answer", lambda: reads.read_closed_orders(since=SINCE, client_order_id=CLIENT_ID))


def test_a_filled_order_of_ours_without_fills_fails_the_read():
    """Then one view is behind, and is asked a few times; of all orders the venue's own figure stands."""
    unknown = {"status": "unknownOid"}
    reads, ports = _reads([record()], unknown, *[[]] * 6)
    _failed("bad_answer", lambda: reads.read_closed_orders(since=SINCE, client_order_id=CLIENT_ID))
    assert (8, 10_000) == (len(ports.connector.endpoints), ports.clock.elapsed_ns // 1_000_000)
    reads, ports = _reads({"status": "order", "order": record(at=NOW_MS - 10_000)}, [])
    _failed("bad_answer", lambda: reads.read_order(ORDER_ID))
    assert 0 == ports.clock.elapsed_ns
    (order,), _ = _closed([record()], [])
    assert (Decimal("0.25"), ()) == (order.filled_base, order.fill_ids)


def test_fills_on_their_way_are_waited_for():
    """Until they show all that the record says, or can no longer be on their way."""
    found = {"status": "order", "order": record()}
    reads, ports = _reads(found, [], [fill_row(sz="0.1")], [fill_row(sz="0.1"), fill_row(sz="0.15", tid=2)])
    assert (Decimal("0.25"), 4_000) == (
        reads.read_order(ORDER_ID).filled_base,
        ports.clock.elapsed_ns // 1_000_000,
    )
    reads, ports = _reads(found, *[[fill_row(sz="0.1")]] * 6)
    assert (Decimal("0.1"), 10_000) == (
        reads.read_order(ORDER_ID).filled_base,
        ports.clock.elapsed_ns // 1_000_000,
    )


def test_a_full_list_of_records_that_may_be_cut_fails():
    """The venue shows 2000: when none of them is older than asked for, older ones may be missing."""
    full = [record("rejected", oid=number, at=SINCE_MS + number) for number in range(2000)]
    reads, ports = _reads(full)
    _failed("bad_answer", lambda: reads.read_closed_orders(since=SINCE))
    assert [20, 100] == ports.turns.shared.weights
    full[-1] = record("rejected", oid=1999, timestamp=SINCE_MS - 1, at=SINCE_MS - 1)
    assert 1999 == len(_closed(full)[0])


def test_an_order_by_either_id():
    """Found with its fills; cleanly not shown is None; another one than asked for is a bad answer."""
    found = {"status": "order", "order": record()}
    for read, wanted, asked in (
        ("read_order", ORDER_ID, int(ORDER_ID)),
        ("read_order_by_client_id", CLIENT_ID, CLIENT_ID),
    ):
        reads, ports = _reads(found, [fill_row()])
        order = getattr(reads, read)(wanted)
        assert (ORDER_ID, "filled", Decimal("0.25"), "orderStatus") == (
            order.venue_order_id,
            order.state,
            order.filled_base,
            order.source,
        )
        assert {"type": "orderStatus", "user": ACCOUNT, "oid": asked} == ports.asked()[0]
        reads, _ = _reads({"status": "unknownOid"})
        assert None is getattr(reads, read)(wanted)
        reads, _ = _reads({"status": "order", "order": record(oid=1, cloid=None)})
        _failed("bad_answer", lambda reads=reads, read=read, wanted=wanted: getattr(reads, read)(wanted))
    reads, ports = _reads()
    with pytest.raises(QuantLabFault):
        reads.read_order("O1")
    assert [] == ports.connector.endpoints


def _order(*answers):
    reads, _ = _reads({"status": "order", "order": record(sz="0.1", status="open")}, *answers)
    return reads.read_order(ORDER_ID), reads


def test_the_fills_of_one_order():
    """One row a fill, those of other orders left out, from the order's opening on."""
    order, reads = _order([fill_row(sz="0.15")], [fill_row(sz="0.15"), fill_row(sz="0.1", tid=2), fill_row(oid=4)])
    assert ["0.15", "0.1"] == [str(fill.size_base) for fill in reads.read_fills(order)]


@pytest.mark.parametrize("rows", [[], [fill_row(sz="0.01")], [fill_row(tid=5, sz="0.15")]])
def test_fewer_fills_than_known_fail_the_read(rows):
    """A fill that was seen does not go away: this view is behind."""
    order, reads = _order([fill_row(sz="0.15")], rows)
    _failed("bad_answer", lambda: reads.read_fills(order))


def test_fills_need_an_opening_time():
    """A report without one can not bound the search."""
    import msgspec

    order, reads = _order([fill_row(sz="0.15")])
    _failed("bad_answer", lambda: reads.read_fills(msgspec.structs.replace(order, opened_at=None)))


def _page(first, count, *, ms=1):
    return [fill_row(time=NOW_MS + (first + number) * ms, tid=first + number, oid=1) for number in range(count)]


def test_account_fills_are_read_to_the_end_of_the_pages():
    """The next page starts where the last one ended; what both show is one fill; older ones are left out."""
    reads, ports = _reads(_page(0, 500), _page(499, 300))
    fills = reads.read_account_fills(since=START + timedelta(milliseconds=1))
    assert (798, f"{NOW_MS + 1}:ETH:1") == (len(fills), fills[0].venue_fill_id)
    assert [NOW_MS + 1, NOW_MS + 499] == [asked["startTime"] for asked in ports.asked()]
    assert [20, 25, 20, 15] == ports.turns.shared.weights


def test_a_list_of_fills_that_does_not_go_on_fails():
    """More fills in one millisecond than a page holds can not be told apart from the end."""
    reads, _ = _reads(_page(0, 500, ms=0), _page(0, 500, ms=0))
    _failed("bad_answer", lambda: reads.read_account_fills(since=START))


def test_more_fills_than_the_venue_keeps_fail():
    """It shows the last 10000: then the first of them may be missing."""
    pages = [_page(page * 2000, 2000) for page in range(5)]
    reads, ports = _reads(*pages)
    _failed("bad_answer", lambda: reads.read_account_fills(since=START))
    assert 5 == len(ports.connector.endpoints)


def test_an_endless_list_of_fills_ends():
    """Pages that overlap by all but one are read a bounded number of times."""
    reads, ports = _reads(*[_page(page, 500) for page in range(40)])
    _failed("bad_answer", lambda: reads.read_account_fills(since=START))
    assert 21 == len(ports.connector.endpoints)


def test_a_check_is_by_the_static_rules():
    """The venue validates nothing: its rules are read, and the action is told in words."""
    reads, ports = _reads(META)
    check = reads.check_order(plan_of(), deadline_at=DEADLINE)
    assert ("accepted", (), ()) == (check.verdict, check.errors, check.mismatches)
    assert f"buy 0.25 ETH (asset 1) @ limit 2010, Ioc, cloid {CLIENT_ID}" == check.description
    assert ["/info"] == [ports.sent()[0]]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"size_base": "0.0001"}, "rejected"),
        ({"order_text": "{}"}, "unreadable"),
        ({"venue_symbol_aliases": ("asset=0",)}, "unreadable"),
        ({"symbol": "NOPE"}, "unreadable"),
    ],
)
def test_a_check_that_does_not_pass(changes, verdict):
    """Broken rules reject; a text or a number that is not the plan's own is not readable."""
    reads, _ = _reads(META)
    check = reads.check_order(plan_of(**changes), deadline_at=DEADLINE)
    assert verdict == check.verdict
    assert check.errors or check.mismatches


def _streaming(*says):
    ports = Ports()
    peer = PeerConnection(ports.clock, says)
    return _reads(connector=PeerConnector(peer))[0], peer


def test_the_stream_is_opened_for_the_account():
    """Subscribed to the account's orders and fills; without an answer there is no stream."""
    reads, peer = _streaming(*ACKS)
    stream = reads.open_stream()
    event = stream.next_event(wait_ms=1)
    assert isinstance(event, StreamNotice)
    assert "subscribed" == event.kind
    assert all(ACCOUNT in text for text in peer.heard)
    reads, _ = _streaming(b"")
    _failed("not_reached", reads.open_stream)


def test_the_public_stream_is_checked():
    """Subscription and ping are answered, or the read fails."""
    reads, _ = _streaming(MIDS_ACK, {"channel": "pong"})
    assert "connected, subscribed, ping answered" == reads.check_stream()
    reads, _ = _streaming(b"")
    _failed("not_reached", reads.check_stream)


def test_the_fence_is_in_every_signed_action():
    """Each bears its own expiry, so no later nonce has to be seen: nothing is asked."""
    reads, ports = _reads()
    assert (True, True) == (reads.fence_holds(SIGNER), reads.fence_holds(None))
    assert [] == ports.connector.endpoints
