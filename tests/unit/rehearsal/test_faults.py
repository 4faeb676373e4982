"""Faults: what reaches the engine, what reaches the client, and what the log says of it."""

from decimal import Decimal

import pytest

from quantlab.rehearsal.kraken_wire import rfc3339
from quantlab.rehearsal.wire import Close, Send, Wake
from tests.unit.rehearsal.driving import CLIENT_ID, NS, START_NS, Reply, World, order


@pytest.fixture
def world() -> World:
    """Return an exchange with a standing clock."""
    return World()


def act(world: World, endpoint: str = "AddOrder", params: dict | None = None, **more):
    """Send one call and return the actions it led to."""
    data = world.private_bytes(endpoint, order() if params is None else params, **more)
    actions, connection = world.exchange_bytes(data)
    return list(actions), connection


def last(world: World) -> tuple[str, bool]:
    """Return answer and effect of the last logged request."""
    row = world.requests()[-1]
    return row["answer"], row["effect"]


def test_drop_before_read_has_no_effect(world):
    """The connection is reset, nothing is processed, the nonce is not spent."""
    world.fault("drop_before_read", "AddOrder")
    data = world.private_bytes("AddOrder", order())
    actions, _ = world.exchange_bytes(data)
    assert actions == [Close(reset=True)]
    assert last(world) == ("dropped", False)
    assert world.orders() == []
    assert world.send(data).json()["error"] == []


def test_drop_after_accept_leaves_the_order(world):
    """The order exists and nobody was told."""
    world.fault("drop_after_accept", "/0/private/AddOrder")
    actions, _ = act(world)
    assert actions == [Close(reset=False)]
    assert last(world) == ("dropped", True)
    assert len(world.orders()) == 1


@pytest.mark.parametrize(
    ("value", "status", "placed"),
    [(None, 502, 0), (520, 520, 0), ({"status": 504, "after_accept": True}, 504, 1)],
)
def test_http_error_is_a_page_of_the_edge(world, value, status, placed):
    """An HTML page with the status comes instead of JSON; by default nothing was processed."""
    world.fault("http_error", "AddOrder", value=value)
    [sent] = [a for a in act(world)[0] if isinstance(a, Send)]
    reply = Reply(sent.data)
    assert reply.status == status
    assert reply.headers["content-type"].startswith("text/html")
    assert f"api.kraken.com | {status}:".encode() in reply.body
    assert len(world.orders()) == placed
    assert last(world) == (f"http {status}", bool(placed))


@pytest.mark.parametrize(("value", "placed"), [(None, 1), ({"after_accept": False}, 0)])
def test_garbage_is_no_json(world, value, placed):
    """The answer is HTTP 200 and unreadable; the order exists unless the fault says otherwise."""
    world.fault("garbage", "AddOrder", value=value)
    [sent] = act(world)[0]
    reply = Reply(sent.data)
    assert reply.status == 200
    with pytest.raises(ValueError, match="Expecting"):
        reply.json()
    assert len(world.orders()) == placed


def test_truncate_by_length(world):
    """Fewer bytes come than Content-Length promises, then the connection ends."""
    world.fault("truncate", "AddOrder")
    sent, closed = act(world)[0]
    reply = Reply(sent.data)
    assert len(reply.body) < int(reply.headers["content-length"])
    assert closed == Close()
    assert len(world.orders()) == 1


def test_truncate_inside_valid_http(world):
    """With `json` the HTTP message is whole and its JSON is cut."""
    world.fault("truncate", "AddOrder", value="json")
    [sent] = act(world)[0]
    reply = Reply(sent.data)
    assert len(reply.body) == int(reply.headers["content-length"])
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        reply.json()


def test_duplicate_is_processed_twice(world):
    """The second copy meets the nonce of the first, and its answer is what the client sees."""
    world.fault("duplicate", "AddOrder")
    assert world.refusal("AddOrder", order()) == "EAPI:Invalid nonce"
    assert len(world.orders()) == 1
    assert [(r["answer"], r["effect"]) for r in world.requests()[-2:]] == [
        ("ok", True), ("EAPI:Invalid nonce", False),
    ]  # fmt: skip


def test_duplicate_within_a_nonce_window_places_two_orders_never_with_equal_nonces(world):
    """A window admits older nonces of a key; the rehearsal can violate the nonce fence with it."""
    world.fault("nonce_window", value=10)
    world.fault("duplicate", "AddOrder")
    world.ok("AddOrder", order())
    assert len(world.orders()) == 2


def test_late_request_is_processed_when_the_exchange_clock_gets_there(world):
    """The connection ends at once; the order appears later, also when the clock is turned by hand."""
    world.fault("late", "AddOrder", value=30)
    assert act(world)[0] == [Close(reset=False)]
    assert last(world) == ("late", False)
    world.pass_seconds(29)
    assert world.orders() == []
    world.control("POST", "/clock", {"advance_seconds": 1})
    assert len(world.orders()) == 1
    assert last(world) == ("late: ok", True)


def test_late_request_meets_the_nonce_fence(world):
    """A later nonce that got through in the meantime shuts the late request out."""
    world.fault("late", "AddOrder", value=30)
    act(world)
    world.ok("OpenOrders")
    world.pass_seconds(31)
    assert world.orders() == []
    rows = [r for r in world.requests() if r["path"].endswith("AddOrder")]
    assert [(r["answer"], r["effect"]) for r in rows] == [("late: EAPI:Invalid nonce", False)]


@pytest.mark.parametrize(("deadline", "placed"), [(20, 0), (40, 1)])
def test_late_request_meets_its_deadline_at_its_own_time(world, deadline, placed):
    """Turning the clock far does not make a late request later than it was."""
    world.fault("late", "AddOrder", value=30)
    act(world, params=order(deadline=rfc3339(START_NS + deadline * NS)))
    world.control("POST", "/clock", {"advance_seconds": 3600})
    assert len(world.orders()) == placed


def test_delay_waits_before_processing(world):
    """The request is processed when the driver wakes the connection, not before."""
    world.fault("delay", "AddOrder", value=2.5)
    actions, connection = act(world)
    assert actions == [Wake(2_500_000_000)]
    assert world.orders() == []
    connection.outbox.clear()
    connection.wake()
    assert Reply(connection.outbox[0].data).json()["error"] == []
    assert len(world.orders()) == 1
    connection.wake()
    assert len(world.orders()) == 1


def test_delayed_request_is_processed_even_if_the_client_gives_up(world):
    """A client that hangs up during the delay has sent its order all the same."""
    world.fault("delay", "AddOrder", value=5)
    _, connection = act(world)
    connection.lost()
    connection.wake()
    assert len(world.orders()) == 1


@pytest.mark.parametrize(
    ("value", "error", "placed"),
    [
        ("EService:Busy", "EService:Busy", 0),
        (None, "EService:Unavailable", 0),
        ({"error": "EService:Deadline elapsed", "after_accept": True}, "EService:Deadline elapsed", 1),
    ],
)
def test_api_error_replaces_the_answer(world, value, error, placed):
    """The scripted error is answered; whether the order exists is scripted too."""
    world.fault("api_error", "AddOrder", value=value)
    assert world.refusal("AddOrder", order()) == error
    assert len(world.orders()) == placed


def test_stale_reads_show_the_past(world):
    """Orders, trades and balances are shown as they were, for the path that was named."""
    for path in ("OpenOrders", "ClosedOrders", "QueryOrders", "BalanceEx", "TradesHistory"):
        world.fault("stale_reads", path, value=20)
    before = world.ok("BalanceEx")
    world.pass_seconds(30)
    [resting] = world.ok("AddOrder", order(cl_ord_id=CLIENT_ID))["txid"]
    [filled] = world.ok("AddOrder", order(ordertype="market", price=None))["txid"]

    def seen():
        return (
            resting in world.ok("OpenOrders")["open"],
            filled in world.ok("ClosedOrders")["closed"],
            resting in world.ok("QueryOrders", {"txid": resting}),
            world.ok("BalanceEx") != before,
            world.ok("TradesHistory")["count"] == 2,
        )

    assert seen() == (False,) * 5
    world.pass_seconds(21)
    assert seen() == (True,) * 5


def test_stale_reads_defaults(world):
    """Without a value a minute is hidden; with a count it ends by itself."""
    world.fault("stale_reads", "OpenOrders", count=1)
    world.ok("AddOrder", order())
    assert world.ok("OpenOrders")["open"] == {}
    assert len(world.ok("OpenOrders")["open"]) == 1


def test_clock_skew_is_reported_and_nothing_else(world):
    """Time lies by the skew until cleared; the operator's own clock source does not."""
    world.fault("clock_skew", "Time", value=-30)
    assert world.public("Time")["unixtime"] == START_NS // NS - 30
    assert world.public("Time")["unixtime"] == START_NS // NS - 30
    reply = world.send(b"GET /rehearsal/clock HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.json() == {"now_ns": str(START_NS)}
    world.control("DELETE", "/faults")
    assert world.public("Time")["unixtime"] == START_NS // NS


@pytest.mark.parametrize(
    ("value", "changes", "status", "reason"),
    [
        ("0.4", {}, "open", None),
        ("0.4", {"ordertype": "market", "price": None}, "canceled", "Immediate or cancel"),
        ("0.4", {"price": "2100", "timeinforce": "IOC"}, "canceled", "Immediate or cancel"),
        ({"fraction": "0.4", "then": "cancel"}, {}, "canceled", "User requested"),
        ({"fraction": "0.4"}, {"price": "2100"}, "open", None),
    ],
)
def test_partial_fill(world, value, changes, status, reason):
    """Only the fraction trades; the rest stays open, or is canceled where the order or fault says so."""
    world.fault("partial_fill", "AddOrder", value=value)
    [txid] = world.ok("AddOrder", order(**changes))["txid"]
    row = world.ok("QueryOrders", {"txid": txid})[txid]
    assert (row["status"], row["vol_exec"], row["reason"]) == (status, "0.10000000", reason)
    assert row["misc"] == "partial"
    world.pass_seconds(100)
    assert world.ok("QueryOrders", {"txid": txid})[txid]["vol_exec"] == "0.10000000"
    assert world.orders()[0]["status"] == ("partially_filled" if status == "open" else status)


def test_partial_then_fill(world):
    """With `fill` the rest trades a second later; a validate-only call does not use the fault up."""
    world.fault("partial_fill", "AddOrder", value={"fraction": "0.4", "then": "fill"})
    world.ok("AddOrder", order(validate="true"))
    [txid] = world.ok("AddOrder", order())["txid"]
    assert world.orders()[0]["filled"] == "0.1"
    world.pass_seconds(2)
    row = world.ok("QueryOrders", {"txid": txid, "trades": "true"})[txid]
    assert (row["status"], Decimal(row["vol_exec"]), len(row["trades"])) == ("closed", Decimal("0.25"), 2)


def test_count_and_after(world):
    """The first matching requests pass, then the fault meets its count, then it is gone."""
    world.fault("api_error", "AddOrder", value="EService:Busy", after=1, count=2)
    errors = [world.private("AddOrder", order())["error"] for _ in range(4)]
    assert errors == [[], ["EService:Busy"], ["EService:Busy"], []]


@pytest.mark.parametrize("count", [0, None])
def test_count_without_end(world, count):
    """Count 0 or null never ends."""
    world.fault("api_error", "AddOrder", value="E", count=count)
    assert [world.refusal("AddOrder", order()) for _ in range(3)] == ["E"] * 3


@pytest.mark.parametrize(("kind", "hit"), [("validate", "validate"), ("order", "order"), (None, "both")])
def test_type_tells_validate_from_order(world, kind, hit):
    """`type` singles out validate-only calls or real ones; without it both are met."""
    world.fault("api_error", "AddOrder", value="E", type=kind, count=0)
    dry = world.private("AddOrder", order(validate="true"))["error"] == ["E"]
    real = world.private("AddOrder", order())["error"] == ["E"]
    assert (dry, real) == (hit in ("validate", "both"), hit in ("order", "both"))


def test_other_paths_are_untouched(world):
    """A fault meets its own path only."""
    world.fault("api_error", "CancelOrder", value="E")
    world.ok("AddOrder", order())
    world.fault("api_error", "rder", value="E")
    world.ok("AddOrder", order())


def test_delay_and_fate_compose(world):
    """A request may be delayed and then dropped."""
    world.fault("delay", "AddOrder", value=1)
    world.fault("drop_after_accept", "AddOrder")
    actions, connection = act(world)
    assert actions == [Wake(NS)]
    connection.outbox.clear()
    connection.wake()
    assert connection.outbox == [Close(reset=False)]
    assert len(world.orders()) == 1


def test_refuse_connect_until_cleared(world):
    """Connects are refused from arming on, until cleared; `after` counts connections first."""
    assert not world.kraken.refuses()
    world.fault("refuse_connect", after=1)
    assert not world.kraken.refuses()
    world.public("Time")
    assert world.kraken.refuses()
    world.control("DELETE", "/faults")
    assert not world.kraken.refuses()


def test_refuse_connect_for_seconds(world):
    """With seconds the refusal ends by itself."""
    world.fault("refuse_connect", value=5)
    assert world.kraken.refuses()
    world.driver_ns += 5 * NS
    assert not world.kraken.refuses()
    assert world.control("GET", "/faults") == {"faults": []}


def test_refuse_connect_once_a_path_was_answered(world):
    """The listener closes after the named answer, so that the connect after it is refused."""
    world.fault("refuse_connect", value={"once_answered": "BalanceEx", "seconds": 9}, after=2)
    for expected in (False, True):
        world.ok("OpenOrders")
        assert not world.kraken.refuses()
        world.ok("BalanceEx")
        assert world.kraken.refuses() is expected


WRONG = [
    ([], "JSON object"),
    ({"venue": "kraken", "fault": "delay", "value": 1, "colour": 1}, "colour"),
    ({"venue": "kraken", "fault": "explode"}, "explode"),
    ({"venue": "moon", "fault": "delay", "value": 1}, "moon"),
    ({"venue": "kraken", "fault": "delay", "path": 1}, "texts"),
    ({"venue": "kraken", "fault": "delay"}, "seconds"),
    ({"venue": "kraken", "fault": "delay", "value": True}, "seconds"),
    ({"venue": "kraken", "fault": "delay", "value": "soon"}, "seconds"),
    ({"venue": "kraken", "fault": "late", "value": -1}, "seconds"),
    ({"venue": "kraken", "fault": "delay", "value": 1, "count": -1}, "count"),
    ({"venue": "kraken", "fault": "delay", "value": 1, "after": "x"}, "after"),
    ({"venue": "kraken", "fault": "http_error", "value": 200}, "400 to 599"),
    ({"venue": "kraken", "fault": "http_error", "value": {"code": 502}}, "code"),
    ({"venue": "kraken", "fault": "http_error", "value": {"after_accept": 1}}, "after_accept"),
    ({"venue": "kraken", "fault": "api_error", "value": 5}, "error text"),
    ({"venue": "kraken", "fault": "garbage", "value": 5}, "after_accept"),
    ({"venue": "kraken", "fault": "truncate", "value": "half"}, "half"),
    ({"venue": "kraken", "fault": "partial_fill", "value": "1"}, "between 0 and 1"),
    ({"venue": "kraken", "fault": "partial_fill", "value": "x"}, "between 0 and 1"),
    ({"venue": "kraken", "fault": "partial_fill", "value": {"then": "x"}}, "then"),
    ({"venue": "kraken", "fault": "system_status", "value": "x"}, "cancel_only"),
    ({"venue": "kraken", "fault": "refuse_connect", "value": {"once_answered": 1}}, "path"),
    ({"venue": "kraken", "fault": "drop_before_read", "value": 1}, "takes no value"),
]


@pytest.mark.parametrize(("fault", "word"), WRONG, ids=lambda v: str(v)[:70])
def test_a_fault_that_makes_no_sense_is_refused(world, fault, word):
    """HTTP 400 with a sentence that names what is wrong; nothing is armed."""
    assert word in world.control("POST", "/faults", fault, status=400)["error"]
    assert world.control("GET", "/faults") == {"faults": []}


def test_faults_are_listed(world):
    """What is armed can be seen with what is left of it."""
    world.fault("delay", "AddOrder", value=1, count=3, after=2)
    [row] = world.control("GET", "/faults")["faults"]
    assert row == {
        "venue": "kraken", "path": "AddOrder", "type": None, "fault": "delay", "value": 1, "left": 3,
        "after": 2, "met": 0,
    }  # fmt: skip
