"""Each fault on the order and on the reads that look for it: what the client sees, and what the books then hold.

A burn is a noop of the same signer with the order's nonce: `ok` says that the nonce was free, else it was used.
"""

from typing import Any, NamedTuple

import pytest

from quantlab.rehearsal.faults import CONDITIONS, KINDS
from quantlab.rehearsal.wire import Close, Send, Wake
from tests.unit.rehearsal.driving import Reply
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, Wire, limit, order_action

NOOP = {"type": "noop"}
LIFE_SECONDS = 60
EXPIRED = "Action already expired"
GONE = "User or API Wallet {agent} does not exist."
DUPLICATE = "Invalid nonce: duplicate nonce {nonce}"
UPGRADE = "Only post-only orders allowed immediately after network upgrade"
LIMITED = "Too many cumulative requests sent"
ADMITTED_NOT = [
    "Unable to recover signer.", "Must deposit before performing actions. User: 0x" + "1" * 40,
    "User or API Wallet 0x" + "1" * 40 + " does not exist.", "Vault not registered: 0x" + "1" * 40,
    "Vault may not perform this action.",
]  # fmt: skip
WHOLE = [
    *ADMITTED_NOT, EXPIRED, "Action does not support expires_after", "Invalid nonce: duplicate nonce 5",
    "Invalid nonce: nonce too low 4 < 5", "Invalid nonce: nonce too high 6 > 5", "Multi-sig required",
    "Signed action over weight limit of 200.", "Invalid spot", "Unknown coin 9000", "A text that nobody lists",
]  # fmt: skip
PER_ORDER = [
    "Price must be divisible by tick size. asset=1", "Order must have minimum value of $10. asset=1",
    "Order must have minimum value of 10 USDC. asset=10000", "Insufficient margin to place order. asset=1",
    "Reduce only order would increase position. asset=1",
    "Post only order would have immediately matched, bbo was 1999.9@2000.1. asset=1",
    "Order could not immediately match against any resting orders. asset=1", "Invalid TP/SL price. asset=1",
    "No liquidity available for market order. asset=1",
    "Order would increase open interest while open interest is capped asset=1",
    "Order rejected due to price more aggressive than oracle while at open interest cap asset=1",
    "Order would increase open interest too quickly asset=1", "Insufficient spot balance asset=10000",
    "Price too far from oracle asset=4",
    "Order would cause position to exceed margin tier limit at current leverage asset=1",
    "Order has invalid size.", "Order has zero size.", "Order has invalid price.", "Orders are empty.",
    "Order price cannot be more than 95% away from the reference price", UPGRADE,
    "Order value too large. Max is $5000000.", "A text that nobody lists",
]  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


class Row(NamedTuple):
    """One fault on the order, and what it comes to."""

    name: str
    fault: str
    value: Any
    wire: str
    """What the client sees, see `seen`."""
    now: str
    """Status of the order in the exchange's own books when the client has seen that; `none` where there is none."""
    later: str
    """What orderStatus by cloid says two minutes later, when everything that waited has come."""
    burn: str
    """Whether the nonce was free then: `ok` or `duplicate`."""
    log: str
    """Start of the last answer in the request log, two minutes later."""


def after_accept(**fields: Any) -> dict[str, Any]:
    """Return a fault's value that lets the order be taken first."""
    return {**fields, "after_accept": True}


ROWS = [
    Row("nothing", "", None, "resting", "open", "open", "duplicate", "ok"),
    Row("connect refused", "refuse_connect", None, "refused", "none", "none", "ok", ""),
    Row("delay before", "delay", 2, "waits", "none", "open", "duplicate", "ok"),
    Row("delay after", "delay", after_accept(seconds=2), "waits", "open", "open", "duplicate", "ok"),
    Row("dropped before", "drop_before_read", None, "reset", "none", "none", "ok", "dropped"),
    Row("dropped after", "drop_after_accept", None, "ended", "open", "open", "duplicate", "dropped"),
    Row("429", "http_error", 429, "http 429: null", "none", "none", "ok", "http 429"),
    Row("429 after", "http_error", after_accept(status=429), "http 429: null", "open", "open", "duplicate", "http 429"),
    Row("500", "http_error", 500, "http 500: null", "none", "none", "ok", "http 500"),
    Row("502", "http_error", None, "http 502: <html>", "none", "none", "ok", "http 502"),
    Row("502 after", "http_error", after_accept(), "http 502: <html>", "open", "open", "duplicate", "http 502"),
    Row("503", "http_error", 503, "http 503: <html>", "none", "none", "ok", "http 503"),
    Row("504 after", "http_error", after_accept(status=504), "http 504: <html>", "open", "open", "duplicate", "http"),
    Row("400", "http_error", 400, "http 400: Failed", "none", "none", "ok", "http 400"),
    Row("415", "http_error", 415, "http 415: Expected", "none", "none", "ok", "http 415"),
    Row("422", "http_error", 422, "http 422: Failed", "none", "none", "ok", "http 422"),
    Row("422 after", "http_error", after_accept(status=422), "http 422: Failed", "open", "open", "duplicate", "http"),
    Row("garbage", "garbage", None, "unreadable", "open", "open", "duplicate", "garbage"),
    Row("garbage before", "garbage", {"after_accept": False}, "unreadable", "none", "none", "ok", "garbage"),
    Row("cut answer", "truncate", None, "cut", "open", "open", "duplicate", "truncated"),
    Row("cut JSON", "truncate", "json", "unreadable", "open", "open", "duplicate", "truncated"),
    Row("duplicate", "duplicate", None, DUPLICATE, "open", "open", "duplicate", "Invalid nonce: duplicate"),
    Row("late in time", "late", 59, "ended", "none", "open", "duplicate", "late: ok"),
    Row("late at its end", "late", LIFE_SECONDS, "ended", "none", "open", "duplicate", "late: ok"),
    Row("late and expired", "late", 61, "ended", "none", "none", "duplicate", f"late: {EXPIRED}"),
    Row("stale reads", "stale_reads", 30, "resting", "open", "open", "duplicate", "ok"),
    Row("stream cut", "stream_cut", None, "resting", "open", "open", "duplicate", "ok"),
    Row("clock ahead", "clock_skew", 61, EXPIRED, "none", "none", "duplicate", EXPIRED),
    Row("clock behind", "clock_skew", -61, "resting", "open", "open", "duplicate", "ok"),
    Row("filled in part", "partial_fill", "0.4", "resting", "partially_filled", "open", "duplicate", "ok"),
    Row("filled in two", "partial_fill", {"then": "fill"}, "resting", "partially_filled", "filled", "duplicate", "ok"),
    Row("filled and ended", "partial_fill", {"then": "cancel"}, "resting", "canceled", "canceled", "duplicate", "ok"),
    Row("agent removed", "agent_removed", None, GONE, "none", "none", "ok", "User or API Wallet"),
    Row("agent replaced", "agent_removed", "replaced", "Must deposit", "none", "none", "ok", "Must deposit"),
    Row("agent unenforced", "agent_removed", "unenforced", "resting", "open", "open", "duplicate", "ok"),
    Row("upgrade", "system_status", "post_only", UPGRADE, "none", "none", "duplicate", UPGRADE),
    Row("address limit", "limits", {"address_requests": -100}, LIMITED, "none", "none", "ok", LIMITED),
    Row("rate limit", "limits", {"ip_weight": 3}, "http 429: null", "none", "none", "ok", "http 429"),
    Row("nothing kept", "limits", {"orders_kept": 0}, "resting", "open", "none", "duplicate", "ok"),
    Row("cloid dropped", "rules", {"drops_cloid": True}, "resting", "open", "none", "duplicate", "ok"),
    Row("nonce forgotten", "nonce_forgotten", None, "resting", "open", "open", "ok", "ok"),
    *(Row(text, "api_error", text, text, "none", "none", "ok", text) for text in WHOLE),
    *(Row(f"{text} after", "api_error", after_accept(error=text), text, "open", "open", "duplicate", text)
      for text in WHOLE),
    *(Row(text, "api_error", {"error": text, "per_order": True}, text, "none", "none", "ok", text)
      for text in PER_ORDER),
    *(Row(f"{text} after", "api_error", after_accept(error=text, per_order=True), text, "open", "open", "duplicate",
          text) for text in PER_ORDER),
]  # fmt: skip


def seen(actions: list[Any]) -> str:
    """Say in a few words what a client sees of its request."""
    data = b"".join(a.data for a in actions if isinstance(a, Send))
    if not data:
        if any(isinstance(a, Wake) for a in actions):
            return "waits"
        return {(True,): "reset", (False,): "ended"}[tuple(a.reset for a in actions if isinstance(a, Close))]
    reply = Reply(data)
    if reply.status != 200:
        return f"http {reply.status}: {reply.body.decode()}"
    if len(reply.body) < int(reply.headers["content-length"]):
        return "cut"
    try:
        answer = reply.json()
    except ValueError:
        return "unreadable"
    return first_word(answer) if isinstance(answer, dict) and "response" in answer else "answered"


def first_word(answer: Any) -> str:
    """Return the error of an action's answer, or the name of its first status."""
    if answer["status"] == "err":
        return str(answer["response"])
    [status] = answer["response"]["data"]["statuses"]
    return str(status["error"]) if "error" in status else str(next(iter(status)))


def sent(desk: Desk, data: bytes) -> tuple[str, Any]:
    """Send a request, unless connects are refused; return what the client sees, and the connection."""
    if desk.hyperliquid.refuses():
        return "refused", None
    actions, connection = desk.exchange_bytes(data, desk.hyperliquid)
    return seen(actions), connection


def in_books(desk: Desk) -> str:
    """Return the status of the order as the exchange itself knows it, or `none` where it has no order at all."""
    [*rows] = desk.orders()
    assert len(rows) <= 1, "never two orders"
    return str(rows[0]["status"]) if rows else "none"


def arm(desk: Desk, row: Row) -> None:
    """Arm the fault of a row against the order; conditions and connects have no request of their own."""
    more: dict[str, Any] = {} if row.value is None else {"value": row.value}
    if row.fault == "stream_cut":
        desk.hl_fault(row.fault, "/ws", **more)
    elif row.fault == "stale_reads":
        desk.hl_fault(row.fault, "/info", type="orderStatus", **more)
    elif row.fault == "nonce_forgotten":
        desk.hl_fault(row.fault, "/exchange", type="order")
    elif row.fault in CONDITIONS | {"clock_skew", "refuse_connect"}:
        desk.hl_fault(row.fault, **more)
    elif row.fault:
        desk.hl_fault(row.fault, "/exchange", type="order", **more)
    if row.fault == "limits":
        # An allowance must be used up before it can be missing.
        desk.act(NOOP)
        desk.status_by_cloid()


def test_every_fault_stands_in_the_table():
    """No fault can be added to the exchange without a row here."""
    assert {row.fault for row in ROWS} - {""} == KINDS - {"nonce_window"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_fault_on_the_order(desk, row):
    """What the client sees, what is in the books at once and later, whether the nonce is used, what was logged."""
    arm(desk, row)
    before, nonce = len(desk.requests()), desk.now_ms + 7
    data = desk.post_bytes("/exchange", desk.envelope(
        order_action(limit(c=CLOID)), nonce=nonce, expires=desk.now_ms + LIFE_SECONDS * 1000
    ))  # fmt: skip
    wire, connection = sent(desk, data)
    words = row.wire.format(nonce=nonce, agent=desk.exchange.keys.agent.address)
    assert wire.startswith(words), wire
    assert in_books(desk) == row.now
    if wire == "waits":
        connection.outbox.clear()
        connection.wake()
        assert seen(connection.outbox) == "resting"
    desk.pass_seconds(120)
    assert desk.status_by_cloid().replace("unknownOid", "none") == row.later
    answers = [r["answer"] for r in desk.requests()[before:] if r["type"] == "order"] or [""]
    assert answers[-1].startswith(row.log)
    desk.control("DELETE", "/faults")
    burned = desk.act(NOOP, nonce=nonce)
    expected = "ok" if row.burn == "ok" else DUPLICATE.format(nonce=nonce)
    assert (burned["status"] if burned["status"] == "ok" else burned["response"]) == expected
    # What was free is burned now, what was used stays used: the same bytes can do nothing more.
    assert sent(desk, data)[0] == DUPLICATE.format(nonce=nonce)
    in_books(desk)


# --------------------------------------------------------------- between requests


def test_cancel_overtakes_a_delayed_order(desk):
    """A cancel sent after an order can be carried out before it: it proves nothing, and the order then rests."""
    desk.hl_fault("delay", "/exchange", type="order", value=1)
    connection = desk.exchange_bytes(
        desk.post_bytes("/exchange", desk.envelope(order_action(limit(c=CLOID)))), desk.hyperliquid
    )[1]
    cancel = {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]}
    assert first_word(desk.act(cancel)) == "Order was never placed, already canceled, or filled. asset=1"
    connection.wake()
    assert "open" == desk.status_by_cloid()


@pytest.mark.parametrize(("fault", "value"), [("delay", 2), ("late", 10)])
def test_burn_stops_an_order_in_flight(desk, fault, value):
    """A noop that comes first is answered ok, and the order behind it meets its nonce."""
    desk.hl_fault(fault, "/exchange", type="order", value=value)
    nonce = desk.now_ms
    body = desk.envelope(order_action(limit(c=CLOID)), nonce=nonce)
    actions, connection = desk.exchange_bytes(desk.post_bytes("/exchange", body), desk.hyperliquid)
    assert seen(actions) == {"delay": "waits", "late": "ended"}[fault]
    assert desk.act(NOOP, nonce=nonce) == {"status": "ok", "response": {"type": "default"}}
    connection.outbox.clear()
    connection.wake()
    desk.pass_seconds(60)
    answers = [r["answer"].removeprefix("late: ") for r in desk.requests() if r["type"] == "order"]
    assert answers == [DUPLICATE.format(nonce=nonce)]
    assert (in_books(desk), desk.status_by_cloid()) == ("none", "unknownOid")


def test_burn_whose_answer_is_lost(desk):
    """The same noop again says duplicate: it no longer tells whether the order or the first noop used the nonce."""
    nonce = desk.now_ms
    burn = desk.envelope(NOOP, nonce=nonce)
    desk.hl_fault("drop_after_accept", "/exchange", type="noop")
    assert desk.post("/exchange", burn) is None
    assert first_word(desk.post("/exchange", burn).json()) == DUPLICATE.format(nonce=nonce)


def test_burn_too_low(desk):
    """Below the hundredth highest nonce a burn says too low, and so does the order for ever after."""
    nonce = desk.now_ms
    for n in range(1, 101):
        desk.act(NOOP, nonce=nonce + n)
    text = f"Invalid nonce: nonce too low {nonce} < {nonce + 1}"
    assert text == desk.refused(NOOP, nonce=nonce)
    assert text == desk.refused(order_action(limit()), nonce=nonce)


def test_agent_removed_between_two_requests(desk):
    """With `after` the agent is gone as soon as its role was read: the look was good, the order behind it is not."""
    agent = desk.exchange.keys.agent.address
    desk.hl_fault("agent_removed", "/info", type="userRole", after=2)
    for user in (desk.user, agent):
        assert desk.info("userRole", user=user)["role"] in ("user", "agent")
        desk.mine("openOrders")
    assert GONE.format(agent=agent) == desk.refused(order_action(limit(c=CLOID)))
    assert desk.info("userRole", user=agent) == {"role": "missing"}
    assert [False] == [r["effect"] for r in desk.requests() if r["type"] == "order"]
    assert "none" == in_books(desk)


def test_order_of_checks(desk):
    """An envelope that is wrong in every way is told of shape, vault, signer, nonce, life and size in this order."""
    agent, other, used = desk.key, desk.exchange.keys.other.private_key, desk.now_ms
    desk.act(NOOP, nonce=used)
    order, late = order_action(limit(size="0")), desk.now_ms - 1
    stranger = "0x" + "12" * 20
    wrong = desk.envelope(order, key=other, nonce=used, vault=stranger, expires=late)
    steps = [
        (wrong | {"more": 1}, "http 422"),
        (wrong, "Vault not registered"),
        (desk.envelope(order, key=other, nonce=used, expires=late), "User or API Wallet"),
        (desk.envelope(order, key=agent, nonce=used, expires=late), "Invalid nonce: duplicate"),
        (desk.envelope(order, key=agent, nonce=used + 1, expires=late), EXPIRED),
        (desk.envelope(order, key=agent, nonce=used + 2), "Order has zero size."),
        (desk.envelope(order_action(limit(size="0.001")), key=agent, nonce=used + 3), "Order must have minimum"),
        (desk.envelope(order_action(limit()), key=agent, nonce=used + 4), "resting"),
    ]
    for body, word in steps:
        actions, _ = desk.exchange_bytes(desk.post_bytes("/exchange", body), desk.hyperliquid)
        assert seen(actions).startswith(word)


@pytest.mark.parametrize("kind", ["orderUpdates", "userFills"])
@pytest.mark.parametrize("then", ["rest", "fill"])
def test_stream_is_cut_in_the_middle_of_a_fill(desk, kind, then):
    """The frame breaks off half-way; a new connection and the reads tell the whole fill, once."""
    wire = Wire(desk)
    wire.subscribe(kind, user=desk.user)
    desk.hl_fault("stream_cut", "/ws", type=kind)
    desk.hl_fault("partial_fill", "/exchange", type="order", value={"fraction": "0.4", "then": then})
    desk.place(limit("2100", c=CLOID))
    assert (wire.take(), wire.ends) == ([], [Close(reset=True)])
    desk.pass_seconds(2)
    sizes = ["0.1"] if then == "rest" else ["0.15", "0.1"]
    assert sizes == [f["sz"] for f in desk.mine("userFills") if f.get("cloid") == CLOID]
    _, snapshot = Wire(desk).subscribe("userFills", user=desk.user)
    assert sizes == [f["sz"] for f in snapshot["data"]["fills"] if f.get("cloid") == CLOID]


def test_idle_stream_ends_without_a_close_frame(desk):
    """After a minute of the venue's silence the socket is simply gone."""
    wire = Wire(desk)
    desk.pass_seconds(60)
    wire.connection.tick()
    assert wire.connection.outbox == [Close()]


# ------------------------------------------------------------------------- reads


class Read(NamedTuple):
    """One fault on a read of the order, and what the client sees."""

    name: str
    fault: str
    value: Any
    wire: str


READS = [
    Read("connect refused", "refuse_connect", None, "refused"),
    Read("delay before", "delay", 2, "waits"),
    Read("delay after", "delay", after_accept(seconds=2), "waits"),
    Read("dropped before", "drop_before_read", None, "reset"),
    Read("dropped after", "drop_after_accept", None, "ended"),
    Read("429", "http_error", 429, "http 429: null"),
    Read("500", "http_error", 500, "http 500: null"),
    Read("502", "http_error", None, "http 502: <html>"),
    Read("422", "http_error", 422, "http 422: Failed"),
    Read("garbage", "garbage", None, "unreadable"),
    Read("cut answer", "truncate", None, "cut"),
    Read("cut JSON", "truncate", "json", "unreadable"),
    Read("duplicate", "duplicate", None, "found"),
    Read("late", "late", 5, "ended"),
    Read("stale", "stale_reads", 30, "absent"),
    Read("error", "api_error", "Internal error", "Internal error"),
]


def query(desk: Desk, kind: str) -> dict[str, Any]:
    """Return the body of a read that finds the order, where nothing is wrong."""
    more = {"orderStatus": {"oid": CLOID}, "userFillsByTime": {"startTime": desk.now_ms - 60_000}}
    return {"type": kind, "user": desk.user, **more.get(kind, {})}


def look(desk: Desk, body: dict[str, Any]) -> tuple[str, Any]:
    """Read, and say whether the order was `found`, is `absent`, or what the client saw in place of an answer."""
    wire, connection = sent(desk, desk.post_bytes("/info", body))
    if wire != "answered":
        return wire, connection
    return ("found" if CLOID in str(Reply(connection.outbox[0].data).json()) else "absent"), connection


KINDS_READ = ["orderStatus", "openOrders", "frontendOpenOrders", "historicalOrders", "userFills", "userFillsByTime"]


@pytest.mark.parametrize("kind", KINDS_READ)
@pytest.mark.parametrize("row", READS, ids=lambda row: row.name)
def test_fault_on_a_read(desk, kind, row):
    """The read shows the fault and changes nothing; other reads find the order, and this one does again after it."""
    desk.pass_seconds(60)
    desk.hl_fault("partial_fill", "/exchange", value="0.4")
    desk.place(limit(c=CLOID))
    books, body = desk.orders(), query(desk, kind)
    assert look(desk, body)[0] == "found"
    more = {} if row.value is None else {"value": row.value}
    count = {"count": 1} if row.fault == "stale_reads" else {}
    scope = {} if row.fault == "refuse_connect" else {"type": kind}
    desk.hl_fault(row.fault, "/info", **scope, **more, **count)
    if row.fault != "refuse_connect":
        for other in set(KINDS_READ) - {kind}:
            assert look(desk, query(desk, other))[0] == "found"
    wire, connection = look(desk, body)
    assert wire.startswith(row.wire)
    if wire == "waits":
        connection.outbox.clear()
        connection.wake()
        assert CLOID.encode() in connection.outbox[0].data
    if row.fault == "refuse_connect":
        desk.control("DELETE", "/faults")
    desk.pass_seconds(6)
    assert look(desk, body)[0] == "found"
    assert books == desk.orders()
    assert [False] == sorted({r["effect"] for r in desk.requests() if r["path"] == "/info"})


def test_reads_may_go_back_in_time(desk):
    """A node that knows the order and one that does not yet may answer in turns."""
    desk.place(limit(c=CLOID))
    desk.hl_fault("stale_reads", "/info", type="orderStatus", value=30, after=1, count=1)
    assert ["open", "unknownOid", "open"] == [desk.status_by_cloid() for _ in range(3)]


def test_stale_reads_still_show_a_canceled_order(desk):
    """A node that lags shows as open what has ended."""
    desk.place(limit(c=CLOID))
    desk.pass_seconds(10)
    desk.act({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]})
    desk.hl_fault("stale_reads", "/info", value=5)
    assert "open" == desk.status_by_cloid()
    assert [CLOID] == [o["cloid"] for o in desk.mine("frontendOpenOrders")]
    desk.pass_seconds(5)
    assert ("canceled", []) == (desk.status_by_cloid(), desk.mine("frontendOpenOrders"))
