"""The WebSocket: acknowledgements, snapshots, updates, posts, limits, silence, and being cut off."""

import pytest

from quantlab.rehearsal.wire import Close
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, Wire, limit, order_action

NOOP = {"type": "noop"}


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


@pytest.fixture
def wire(desk) -> Wire:
    """Return a client that is connected."""
    return Wire(desk)


def channels(frames: list) -> list[str]:
    """Return the channels of frames."""
    return [f["channel"] for f in frames]


def test_ping(wire):
    """A ping gets a pong."""
    assert [{"channel": "pong"}] == wire.say("ping")


def test_acknowledgement_is_normalised(desk, wire):
    """The echo has the address in lower case and no unknown keys."""
    user = "0x" + desk.user[2:].upper()
    [ack] = wire.subscribe("orderUpdates", user=user, more=1)
    echo = {"type": "orderUpdates", "user": desk.user}
    assert {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": echo}} == ack
    [again] = wire.subscribe("orderUpdates", user=desk.user)
    assert again["channel"] == "error"
    assert again["data"].startswith("Already subscribed: {")
    [gone] = wire.say("unsubscribe", subscription=echo)
    assert gone["data"]["method"] == "unsubscribe"
    [twice] = wire.say("unsubscribe", subscription=echo)
    assert twice["data"].startswith("Already unsubscribed: {")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "5", '{"method": "dance"}', '{"method": "post", "id": 1}',
     '{"method": "post", "id": "1", "request": {"type": "info", "payload": {}}}'],
)  # fmt: skip
def test_nonsense_is_answered(wire, text):
    """What is no request is echoed in an error; the connection stays."""
    wire.text(text)
    [frame] = wire.take()
    assert frame == {
        "channel": "error", "data": f"Error parsing JSON into valid websocket request: {text}",
    }  # fmt: skip
    assert [{"channel": "pong"}] == wire.say("ping")


@pytest.mark.parametrize(
    "subscription",
    [None, {}, {"type": "webData2", "user": "0x" + "1" * 40}, {"type": "l2Book", "coin": "NONE"},
     {"type": "orderUpdates"}, {"type": "candle", "coin": "ETH", "interval": "7m"}],
)  # fmt: skip
def test_unknown_subscriptions(wire, subscription):
    """What cannot be subscribed is said to be invalid."""
    [frame] = wire.say("subscribe", subscription=subscription)
    assert frame["data"].startswith("Invalid subscription ")


# --------------------------------------------------------------- account streams


def test_taker_is_told_in_one_frame(desk, wire):
    """An order that fills at once is one frame of two entries, `open` with the whole size, then `filled`."""
    wire.subscribe("orderUpdates", user=desk.user)
    desk.place(limit("2100", tif="Ioc", c=CLOID))
    [frame] = wire.take()
    first, second = frame["data"]
    assert (first["status"], first["order"]["sz"]) == ("open", "0.25")
    assert (second["status"], second["order"]["sz"]) == ("filled", "0.0")
    assert {first["order"]["cloid"], second["order"]["cloid"]} == {CLOID}
    assert first["statusTimestamp"] == second["statusTimestamp"] == desk.now_ms
    assert "user" not in frame


def test_rejections_and_cancels_are_told(desk, wire):
    """A runtime rejection appears with its status, a static one does not, a cancel does."""
    wire.subscribe("orderUpdates", user=desk.user)
    desk.place(limit(tif="Ioc", c=CLOID))
    [frame] = wire.take()
    assert ["iocCancelRejected"] == [row["status"] for row in frame["data"]]
    desk.place(limit(size="0"))
    assert wire.take() == []
    desk.place(limit(c=CLOID))
    desk.act({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]})
    assert [["open"], ["canceled"]] == [[row["status"] for row in f["data"]] for f in wire.take()]


def test_user_fills_begin_with_a_snapshot(desk, wire):
    """The first frame is marked as snapshot and holds what was filled before; later ones are not marked."""
    desk.place(limit("2100", tif="Ioc", c=CLOID))
    _, snapshot = wire.subscribe("userFills", user=desk.user)
    assert snapshot["data"]["isSnapshot"] is True
    assert desk.mine("userFills") == snapshot["data"]["fills"]
    desk.place(limit("1900", "0.1", "Ioc", buy=False))
    [frame] = wire.take()
    assert (frame["channel"], "isSnapshot" in frame["data"]) == ("userFills", False)
    assert [("ETH", "0.1", "Close Long")] == [(f["coin"], f["sz"], f["dir"]) for f in frame["data"]["fills"]]


def test_user_events_come_on_the_channel_user(desk, wire):
    """Fills and cancels that nobody asked for are told; a reduce-only order that ends is not."""
    wire.subscribe("userEvents", user=desk.user)
    desk.place(limit("2100", tif="Ioc"))
    [frame] = wire.take()
    assert (frame["channel"], set(frame["data"])) == ("user", {"fills"})
    desk.place(limit("2100", buy=False, reduce=True))
    desk.place(limit("1900", tif="Ioc", buy=False))
    assert [{"fills"}] == [set(f["data"]) for f in wire.take()]
    desk.hl_fault("partial_fill", "/exchange", value={"then": "cancel"})
    desk.place(limit("2100", c=CLOID))
    assert [{"fills"}, {"nonUserCancel"}] == [set(f["data"]) for f in wire.take()]


def test_streams_are_scoped_by_account(desk, wire):
    """Another account's orders are not told."""
    newcomer = desk.exchange.keys.newcomer
    wire.subscribe("orderUpdates", user=newcomer.address)
    desk.place(limit())
    assert wire.take() == []
    desk.place(limit(), key=newcomer.private_key)
    assert channels(wire.take()) == ["orderUpdates"]


@pytest.mark.parametrize("kind", ["openOrders", "clearinghouseState", "spotState"])
def test_account_states_are_pushed_when_they_change(desk, wire, kind):
    """The state comes at once, and again only after something has changed."""
    ack, first = wire.subscribe(kind, user=desk.user)
    assert (ack["channel"], first["channel"]) == ("subscriptionResponse", kind)
    assert wire.tick() == []
    orders = [limit("2100", tif="Ioc")] if kind == "clearinghouseState" else [
        limit("0.14", "100", asset=10_000)]  # fmt: skip
    desk.place(*orders)
    [changed] = wire.take()
    assert first["data"] != changed["data"]


# ---------------------------------------------------------------- market streams


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("l2Book", {"coin": "ETH"}), ("allMids", {}), ("candle", {"coin": "ETH", "interval": "1m"}),
     ("activeAssetCtx", {"coin": "ETH"}), ("bbo", {"coin": "BTC"})],
)  # fmt: skip
def test_market_streams_follow_the_clock(desk, wire, kind, fields):
    """What is subscribed comes at once, and again when the book has moved, at most once a second."""
    frames = wire.subscribe(kind, **fields)
    assert channels(frames) == ["subscriptionResponse", kind]
    assert wire.tick() == []
    seen = [frames[1]]
    for _ in range(60):
        desk.pass_seconds(1)
        seen += wire.tick()
        assert wire.tick() == []
    assert {kind} == set(channels(seen))
    assert len(seen) > 5


def test_spot_context_has_its_own_channel(wire):
    """A spot pair's context comes as activeSpotAssetCtx."""
    frames = wire.subscribe("activeAssetCtx", coin="@107")
    assert channels(frames) == ["subscriptionResponse", "activeSpotAssetCtx"]


def test_trades_show_the_tape_and_own_fills(desk, wire):
    """Made-up trades come with time, own fills at once with their account."""
    _, first = wire.subscribe("trades", coin="ETH")
    assert {t["coin"] for t in first["data"]} == {"ETH"}
    desk.place(limit("2100", tif="Ioc"))
    [own] = wire.take()
    assert (own["data"][0]["side"], own["data"][0]["users"][0]) == ("B", desk.user)
    desk.pass_seconds(5)
    assert channels(wire.tick()) == ["trades"]


# ------------------------------------------------------------------------ posts


def test_info_and_actions_by_post(desk, wire):
    """Answers carry the id; an info answer its type; a refusal is an answer like over HTTP."""
    [frame] = wire.post("info", {"type": "userRole", "user": desk.user}, 7)
    assert frame["data"] == {
        "id": 7,
        "response": {"type": "info", "payload": {"type": "userRole", "data": {"role": "user"}}},
    }
    body = desk.envelope(order_action(limit(c=CLOID)))
    [frame] = wire.post("action", body, 8)
    assert "resting" in frame["data"]["response"]["payload"]["response"]["data"]["statuses"][0]
    [frame] = wire.post("action", body, 9)
    assert frame["data"]["response"]["type"] == "action"
    assert "duplicate nonce" in frame["data"]["response"]["payload"]["response"]
    assert [("/ws", "userRole", False), ("/ws", "order", True), ("/ws", "order", False)] == [
        (r["path"], r["type"], r["effect"]) for r in desk.requests()
    ]


def test_http_errors_by_post(desk, wire):
    """A request without a shape is an error with HTTP's status and words."""
    [frame] = wire.post("info", {"type": "nothing"})
    assert frame["data"]["response"] == {
        "type": "error",
        "payload": "422 Unprocessable Entity: Failed to deserialize the JSON body into the target type",
    }
    desk.hl_fault("limits", value={"ip_weight": 1})
    [frame] = wire.post("info", {"type": "allMids"})
    assert frame["data"]["response"]["payload"].startswith("429 Too Many Requests")


@pytest.mark.parametrize(("status", "words"), [(429, "429 Too Many Requests: null"), (502, "502 Bad Gateway: <html>")])
def test_pages_of_the_edge_by_post(desk, wire, status, words):
    """What stands in front of the venue answers as text, for either kind; nothing is placed."""
    desk.hl_fault("http_error", "/ws", count=2, value=status)
    for kind, body in (("info", {"type": "allMids"}), ("action", desk.envelope(order_action(limit())))):
        [frame] = wire.post(kind, body, 4)
        assert (4, "error") == (frame["data"]["id"], frame["data"]["response"]["type"])
        assert frame["data"]["response"]["payload"].startswith(words)
    assert desk.orders() == []


@pytest.mark.parametrize(
    ("name", "end", "placed"),
    [("drop_before_read", Close(reset=True), 0), ("drop_after_accept", Close(), 1), ("late", Close(), 0)],
)
def test_lost_answers_of_posts(desk, wire, name, end, placed):
    """A post meets the same fates as a request over HTTP; with its answer the connection is lost."""
    desk.hl_fault(name, "/ws", type="order", **({"value": 5} if name == "late" else {}))
    assert wire.post("action", desk.envelope(order_action(limit()))) == []
    assert ([end], placed) == (wire.ends, len(desk.orders()))
    desk.pass_seconds(6)
    assert (1 if name == "late" else placed) == len(desk.orders())


@pytest.mark.parametrize("name", ["garbage", "truncate"])
def test_unreadable_answers_of_posts(desk, wire, name):
    """The frame is no JSON; the order exists."""
    desk.hl_fault(name, "/ws", **({"value": "json"} if name == "truncate" else {}))
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        wire.post("action", desk.envelope(order_action(limit())))
    assert len(desk.orders()) == 1


@pytest.mark.parametrize(("value", "placed"), [(2, 0), ({"seconds": 2, "after_accept": True}, 1)])
def test_delayed_posts(desk, wire, value, placed):
    """A post waits before or after it is carried out; other messages are answered meanwhile."""
    desk.hl_fault("delay", "/ws", type="order", value=value)
    assert wire.post("action", desk.envelope(order_action(limit())), 3) == []
    assert (1, placed) == (wire.wakes, len(desk.orders()))
    assert [{"channel": "pong"}] == wire.say("ping")
    [frame] = wire.wake()
    assert frame["data"]["id"] == 3
    assert len(desk.orders()) == 1


# ---------------------------------------------------------------- limits and ends


def test_pending_posts_are_limited(desk, wire):
    """Beyond so many posts in flight the next is refused by its id."""
    desk.hl_fault("limits", value={"inflight": 1})
    desk.hl_fault("delay", "/ws", value=2)
    wire.post("info", {"type": "allMids"}, 1)
    [frame] = wire.post("info", {"type": "allMids"}, 2)
    assert frame == {"channel": "error", "data": "too many pending post requests id=2"}


def test_a_hundred_posts_may_wait(desk, wire):
    """Of both kinds together; once one is answered there is room again."""
    desk.hl_fault("delay", "/ws", count=101, value=2)
    for number in range(99):
        assert wire.post("info", {"type": "exchangeStatus"}, number) == []
    assert wire.post("action", desk.envelope(NOOP), 99) == []
    [frame] = wire.post("info", {"type": "exchangeStatus"}, 100)
    assert frame == {"channel": "error", "data": "too many pending post requests id=100"}
    assert [0] == [frame["data"]["id"] for frame in wire.wake()]
    assert wire.post("info", {"type": "exchangeStatus"}, 101) == []


def test_users_are_limited_over_all_connections(desk, wire):
    """The limit counts different users of all connections."""
    desk.hl_fault("limits", value={"users": 1})
    wire.subscribe("orderUpdates", user=desk.user)
    other = Wire(desk)
    assert len(other.subscribe("userEvents", user=desk.user)) == 1
    [frame] = other.subscribe("orderUpdates", user="0x" + "1" * 40)
    assert frame == {"channel": "error", "data": "Cannot track more than 1 total users."}


def test_connections_are_limited(desk):
    """One connection more than allowed is not upgraded."""
    desk.hl_fault("limits", value={"connections": 1})
    first = Wire(desk)
    assert [{"channel": "pong"}] == first.say("ping")
    second = desk.hyperliquid.open()
    head = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    second.receive(f"GET /ws HTTP/1.1\r\n{head}Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n\r\n".encode())
    assert second.outbox[0].data.startswith(b"HTTP/1.1 429 ")


def test_silence_ends_the_connection(desk, wire):
    """After a minute without a word from the venue the connection ends without a handshake."""
    desk.pass_seconds(59)
    assert [{"channel": "pong"}] == wire.say("ping")
    desk.pass_seconds(59)
    assert (wire.tick(), wire.ends) == ([], [])
    desk.pass_seconds(1)
    assert (wire.tick(), wire.ends) == ([], [Close()])


def test_stream_cut_now(desk, wire):
    """An untyped cut breaks every stream off at once, and the next connection when it is upgraded."""
    desk.hl_fault("stream_cut", "/ws")
    wire.pump()
    assert wire.ends == [Close(reset=True)]
    assert Wire(desk).ends == [Close(reset=True)]
    assert Wire(desk).ends == []


@pytest.mark.parametrize("kind", ["orderUpdates", "userFills"])
def test_stream_cut_in_the_middle_of_a_fill(desk, wire, kind):
    """A typed cut lets the connection live until a frame of that kind, which breaks off half-way."""
    wire.subscribe(kind, user=desk.user)
    desk.hl_fault("stream_cut", "/ws", type=kind)
    assert [{"channel": "pong"}] == wire.say("ping")
    desk.place(limit("2100", tif="Ioc", c=CLOID))
    assert (wire.take(), wire.ends) == ([], [Close(reset=True)])
    assert "filled" == desk.status_by_cloid()


def test_closing_handshake(desk, wire):
    """A client that closes is answered, and forgotten once its socket is gone."""
    from wsproto import events as ws

    wire.connection.receive(wire.machine.send(ws.CloseConnection(code=1000)))
    wire.pump()
    assert wire.ends == [Close()]
    wire.connection.lost()
    assert desk.hyperliquid.connections == []


def test_pings_of_the_protocol_and_pieces(desk, wire):
    """A ping frame gets a pong frame, and a message may come in pieces."""
    from wsproto import events as ws

    wire.connection.receive(wire.machine.send(ws.Ping(payload=b"x")))
    [sent] = wire.connection.outbox
    assert sent.data == b"\x8a\x01x"
    wire.connection.outbox.clear()
    for text, done in (('{"method"', False), (': "ping"}', True)):
        wire.connection.receive(wire.machine.send(ws.TextMessage(data=text, message_finished=done)))
    assert [{"channel": "pong"}] == wire.take()


def test_bytes_that_are_no_frames_end_the_connection(desk, wire):
    """What breaks the protocol ends this connection and no other."""
    wire.connection.receive(b"\xff\xff\xff\xff")
    wire.pump()
    assert wire.ends == [Close()]
    assert [{"channel": "pong"}] == Wire(desk).say("ping")


def test_aggregated_fills_are_one_row(desk, wire):
    """With aggregateByTime an order that took several levels is told as one fill."""
    desk.act({"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 25})
    wire.subscribe("userFills", user=desk.user, aggregateByTime=True)
    desk.place(limit("2100", "20", "Ioc"))
    [frame] = wire.take()
    assert ["20.0"] == [fill["sz"] for fill in frame["data"]["fills"]]


@pytest.mark.parametrize(
    ("kind", "key"), [("userFundings", "fundings"), ("userNonFundingLedgerUpdates", "nonFundingLedgerUpdates")]
)
def test_streams_without_news_begin_empty(desk, wire, kind, key):
    """Streams of things that do not happen here begin with an empty snapshot."""
    _, snapshot = wire.subscribe(kind, user=desk.user)
    assert snapshot == {"channel": kind, "data": {"isSnapshot": True, "user": desk.user, key: []}}


def test_active_asset_data_follows_the_clock(desk, wire):
    """What can be traded of an asset is pushed for the account."""
    _, first = wire.subscribe("activeAssetData", user=desk.user, coin="ETH")
    assert first["data"]["leverage"] == {"type": "cross", "value": 20}
    desk.pass_seconds(1)
    assert channels(wire.tick()) == ["activeAssetData"]


def test_limited_subscriptions(desk, wire):
    """Beyond so many subscriptions the next is refused."""
    desk.hl_fault("limits", value={"subscriptions": 1})
    wire.subscribe("allMids")
    [frame] = wire.subscribe("trades", coin="ETH")
    assert frame["channel"] == "error"
