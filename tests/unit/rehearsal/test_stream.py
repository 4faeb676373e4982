"""WebSocket v2 of the Kraken face: frames, sequence, tokens, and what cuts it off."""

import zlib
from decimal import Decimal

import pytest

from quantlab.rehearsal.kraken_feeds import checksum
from quantlab.rehearsal.kraken_markets import PAIRS
from quantlab.rehearsal.matching import Level
from tests.unit.rehearsal.driving import CLIENT_ID, NS, Socket, World, order


@pytest.fixture
def world() -> World:
    """Return an exchange with a standing clock."""
    return World()


@pytest.fixture
def socket(world) -> Socket:
    """Return a WebSocket that has been greeted."""
    opened = Socket(world)
    opened.greeting = opened.take()
    return opened


def token(world: World, **options) -> str:
    """Return a fresh stream token."""
    answer = world.ok("GetWebSocketsToken", **options)
    assert answer["expires"] == 900
    return answer["token"]


def subscribe(world: World, socket: Socket, **params):
    """Subscribe to executions; return acknowledgement and snapshot."""
    socket.say("subscribe", {"channel": "executions", "token": token(world), **params}, req_id=1)
    ack, snapshot = socket.take()
    assert ack["success"] is True
    return ack, snapshot


def test_greeting(socket):
    """The first frame is the status, with a connection id beyond 63 bits."""
    [frame] = socket.greeting
    assert (frame["channel"], frame["type"]) == ("status", "update")
    [status] = frame["data"]
    assert (status["system"], status["api_version"]) == ("online", "v2")
    assert status["connection_id"] >= 2**63


def test_ping(socket):
    """Ping is answered with pong, the request id echoed only when it was sent."""
    socket.say("ping", req_id=7)
    socket.say("ping")
    first, second = socket.take()
    assert (first["method"], first["req_id"]) == ("pong", 7)
    assert "req_id" not in second
    assert first["time_in"].endswith("Z")


@pytest.mark.parametrize("text", ["not json", "[1]", '"x"'])
def test_what_is_no_message_is_told(socket, text):
    """A frame that is no JSON object gets an error and the connection lives on."""
    socket.text(text)
    assert socket.take()[0]["success"] is False
    socket.say("ping")
    assert socket.take()[0]["method"] == "pong"


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("dance", {}, "Unsupported event"),
        ("subscribe", {}, "Channel is missing"),
        ("subscribe", {"channel": "weather"}, "Unsupported channel"),
        ("subscribe", {"channel": "ticker"}, "Symbol(s) missing"),
        ("subscribe", {"channel": "ticker", "symbol": ["XBT/USD"]}, "Currency pair not supported XBT/USD"),
        ("subscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": 7}, "Depth not supported 7"),
        ("subscribe", {"channel": "executions", "token": "x"}, "ESession:Invalid session"),
        ("subscribe", {"channel": "balances"}, "ESession:Invalid session"),
        ("add_order", {"token": "x"}, "ESession:Invalid session"),
    ],
)
def test_refusals(socket, method, params, error):
    """What cannot be done is answered with one error string."""
    socket.say(method, params, req_id=3)
    [reply] = socket.take()
    assert (reply["success"], reply["error"], reply["req_id"]) == (False, error, 3)


def test_snapshot_shows_open_orders_and_fills(world, socket):
    """One message shows what is open and the last fills, under sequence 1."""
    [resting] = world.ok("AddOrder", order(cl_ord_id=CLIENT_ID))["txid"]
    [filled] = world.ok("AddOrder", order(ordertype="market", price=None))["txid"]
    ack, snapshot = subscribe(world, socket, snap_trades=True)
    assert ack["result"]["snap_trades"] is True
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 1)
    kinds = {item["order_id"]: item["exec_type"] for item in snapshot["data"]}
    assert (kinds[resting], kinds[filled]) == ("new", "trade")
    [item] = [i for i in snapshot["data"] if i["order_id"] == resting]
    assert (item["cl_ord_id"], item["symbol"], item["order_qty"]) == (CLIENT_ID, "ETH/USD", Decimal("0.25"))
    assert item["time_in_force"] == "GTC"


def test_updates_follow_an_order_placed_over_rest(world, socket):
    """Accepted, new, traded, filled: in this order, the sequence without a gap."""
    subscribe(world, socket)
    world.ok("AddOrder", order(ordertype="market", price=None, cl_ord_id=CLIENT_ID))
    frames = socket.take()
    assert [f["data"][0]["exec_type"] for f in frames] == ["pending_new", "new", "trade", "filled"]
    assert [f["sequence"] for f in frames] == [2, 3, 4, 5]
    trade = frames[2]["data"][0]
    assert (trade["last_qty"], trade["liquidity_ind"], trade["order_status"]) == (
        Decimal("0.25"), "t", "filled",
    )  # fmt: skip
    assert trade["fees"][0]["asset"] == "USD"


def test_end_is_terse(world, socket):
    """A cancel says which order and why, and names no symbol."""
    [txid] = world.ok("AddOrder", order(userref=9))["txid"]
    subscribe(world, socket)
    world.ok("CancelOrder", {"txid": txid})
    [frame] = socket.take()
    [item] = frame["data"]
    assert (item["order_id"], item["exec_type"], item["reason"]) == (txid, "canceled", "User requested")
    assert (item["order_userref"], "symbol" in item) == (9, False)


def test_fewer_updates_on_request(world, socket):
    """Without `order_status` only the turning points are told."""
    subscribe(world, socket, order_status=False, snap_orders=False)
    world.ok("AddOrder", order(ordertype="market", price=None))
    assert [f["data"][0]["exec_type"] for f in socket.take()] == ["new", "filled"]


def test_other_accounts_stay_private(world, socket):
    """Another account's orders are not told."""
    subscribe(world, socket)
    world.ok("AddOrder", order(), profile="newcomer")
    assert socket.take() == []


def test_one_subscription_each(world, socket):
    """A second subscription is refused; after unsubscribing there are no more updates."""
    subscribe(world, socket)
    given = {"channel": "executions", "token": token(world)}
    socket.say("subscribe", given)
    assert socket.take()[0]["error"] == "Already subscribed"
    socket.say("unsubscribe", given)
    assert socket.take()[0]["success"] is True
    world.ok("AddOrder", order())
    assert socket.take() == []


def test_token_expires_unless_subscribed(world, socket):
    """After 15 minutes a token opens nothing; on a live subscription it still trades."""
    old = token(world)
    socket.say("subscribe", {"channel": "executions", "token": old})
    socket.take()
    world.control("POST", "/clock", {"advance_seconds": 901})
    socket.take()
    socket.say("cancel_all", {"token": old})
    assert socket.take()[0]["result"] == {"count": 0}
    other = Socket(world)
    other.take()
    other.say("subscribe", {"channel": "executions", "token": old})
    assert other.take()[0]["error"] == "ESession:Invalid session"


def test_trading_methods(world, socket):
    """Orders can be placed, validated, amended and canceled; REST sees the same orders."""
    given = {"token": token(world), "symbol": "ETH/USD", "order_type": "limit", "side": "buy"}
    given |= {"order_qty": 0.25, "limit_price": 1900.5, "cl_ord_id": CLIENT_ID, "time_in_force": "gtc"}
    socket.say("add_order", {**given, "validate": True}, req_id=1)
    assert socket.take()[0]["result"] == {"cl_ord_id": CLIENT_ID}
    assert world.orders() == []
    socket.say("add_order", {**given, "post_only": True}, req_id=2)
    [reply] = socket.take()
    txid = reply["result"]["order_id"]
    assert world.ok("OpenOrders")["open"][txid]["oflags"] == "post,fciq"
    socket.say("add_order", {**given, "price": 1})
    assert socket.take()[0]["error"] == "Unsupported field: 'price' for the given msg type: add order"
    socket.say("add_order", {**given, "symbol": "XBT/USD"})
    assert socket.take()[0]["error"] == "Currency pair not supported XBT/USD"
    socket.say("add_order", {**given, "limit_price_type": "pct"})
    assert "limit_price_type" in socket.take()[0]["error"]
    socket.say("amend_order", {"token": given["token"], "order_id": txid, "limit_price": 1890})
    assert socket.take()[0]["result"]["order_id"] == txid
    socket.say("cancel_order", {"token": given["token"], "cl_ord_id": [CLIENT_ID]})
    assert socket.take()[0]["result"] == {"order_id": txid, "cl_ord_id": CLIENT_ID}
    socket.say("cancel_order", {"token": given["token"], "order_id": [txid]})
    assert socket.take()[0]["error"] == "EOrder:Unknown order"
    socket.say("cancel_order", {"token": given["token"], "order_userref": [1], "order_id": [txid]})
    assert socket.take()[0]["error"] == "EGeneral:Invalid arguments"
    rows = [r for r in world.requests() if r["path"] == "/v2"]
    assert [r["effect"] for r in rows][:2] == [False, True]


def test_userref_cancels_over_the_stream(world, socket):
    """Orders that share a userref get a reply each."""
    for _ in range(2):
        world.ok("AddOrder", order(userref=5))
    socket.say("cancel_order", {"token": token(world), "order_userref": [5]})
    assert len(socket.take()) == 2


def test_a_key_without_trading_may_not_trade_here_either(world, socket):
    """The stream checks the permissions of the key behind the token."""
    given = {"token": token(world), "symbol": "ETH/USD"}
    world.exchange.keys.kraken["trader"] = __import__("msgspec").structs.replace(
        world.exchange.keys.kraken["trader"], permissions=("create-ws-token",)
    )
    socket.say("add_order", given)
    assert socket.take()[0]["error"] == "EGeneral:Permission denied"
    assert world.requests()[-1]["effect"] is False


def test_ticker_and_book_move(world, socket):
    """Public channels begin with a snapshot and follow the moving book; the checksum fits."""
    for channel in ("ticker", "book"):
        socket.say("subscribe", {"channel": channel, "symbol": ["ETH/USD"]})
    ticker_ack, ticker, book_ack, book = socket.take()
    assert (ticker_ack["result"]["channel"], book_ack["result"]["depth"]) == ("ticker", 10)
    assert ticker["data"][0]["bid"] < ticker["data"][0]["ask"]
    assert len(book["data"][0]["asks"]) == 10
    world.driver_ns += NS
    socket.connection.tick()
    updates = socket.take()
    assert {f["channel"] for f in updates} == {"ticker", "book"}
    [update] = [f["data"][0] for f in updates if f["channel"] == "book"]
    levels = {row["price"]: row["qty"] for row in book["data"][0]["asks"]}
    for row in update["asks"]:
        levels[row["price"]] = row["qty"]
    kept = sorted(p for p, q in levels.items() if q)
    current = world.exchange.walk.book(PAIRS["XETHZUSD"].market, world.exchange.now_ns, 10)
    assert kept == [level.price for level in current.asks]
    assert update["checksum"] == checksum(PAIRS["XETHZUSD"], current.asks, current.bids)
    socket.say("unsubscribe", {"channel": "ticker", "symbol": ["ETH/USD"]})
    socket.take()
    world.driver_ns += NS
    socket.connection.tick()
    assert {f["channel"] for f in socket.take()} == {"book"}


def test_checksum_is_over_digits_without_leading_zeros():
    """Price then size of each level, dot removed, leading zeros stripped, asks before bids."""
    pair = PAIRS["XXBTZUSD"]
    asks, bids = (
        (Level(Decimal("45285.2"), Decimal("0.00100000")),),
        (Level(Decimal("45283.5"), Decimal("0.1")),),
    )
    assert zlib.crc32(b"45285210000045283510000000") == checksum(pair, asks, bids)


def test_balances_channel(world, socket):
    """Balances begin with a snapshot and follow each ledger row."""
    socket.say("subscribe", {"channel": "balances", "token": token(world)})
    _, snapshot = socket.take()
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 1)
    assert {r["asset"] for r in snapshot["data"]} >= {"USD", "BTC", "DOGE"}
    world.ok("AddOrder", order(ordertype="market", price=None))
    frames = socket.take()
    assert [f["sequence"] for f in frames] == [2, 3]
    assert {f["data"][0]["asset"] for f in frames} == {"USD", "ETH"}
    socket.connection.tick()
    assert socket.take() == []


def test_heartbeat_when_nothing_else_is_said(world, socket):
    """A subscribed connection hears from the venue at least once a second."""
    subscribe(world, socket)
    world.driver_ns += NS
    socket.connection.tick()
    assert socket.take() == [{"channel": "heartbeat"}]
    socket.connection.tick()
    assert socket.take() == []


def test_idle_connection_is_closed(world, socket):
    """A minute without subscription and message ends the connection."""
    world.driver_ns += 60 * NS - 1
    socket.connection.tick()
    assert not socket.closed
    world.driver_ns += 1
    socket.connection.tick()
    socket.pump()
    assert socket.closed


def test_stream_cut_cuts_now_and_the_next(world, socket):
    """Existing connections are reset at once, and so is the next one."""
    world.fault("stream_cut")
    socket.pump()
    assert (socket.closed, socket.reset) == (True, True)
    assert Socket(world).reset
    assert not Socket(world).closed


def test_peers_end_is_an_end(world, socket):
    """A peer that just goes away ends the stream without a word."""
    socket.connection.receive(b"")
    socket.pump()
    assert socket.closed
    socket.connection.lost()
    world.ok("AddOrder", order())
    assert world.kraken.connections == [c for c in world.kraken.connections if c is not socket.connection]


def test_a_broken_frame_ends_the_connection(world, socket):
    """Bytes that are no frame end the stream, not the venue."""
    socket.connection.receive(b"\xff\xff\xff\xff")
    socket.pump()
    assert socket.closed
    world.ok("Balance")
