"""The control interface, the state that survives, and HTTP that is not HTTP."""

import pytest

from quantlab.rehearsal.accounts import make_keys
from quantlab.rehearsal.state import StateUnreadable, decode_state
from quantlab.rehearsal.wire import Close, Send
from tests.unit.rehearsal.driving import CLIENT_ID, NS, START_NS, World, order, request_bytes


@pytest.fixture
def world() -> World:
    """Return an exchange with a standing clock."""
    return World()


def test_order_rows_have_exactly_the_agreed_keys(world):
    """Rows of /orders carry the agreed keys, decimals as strings, our words for states."""
    [txid] = world.ok("AddOrder", order(cl_ord_id=CLIENT_ID))["txid"]
    assert world.orders() == [
        {
            "venue": "kraken",
            "account": world.ok("GetApiKeyInfo")["iban"],
            "client_order_id": CLIENT_ID,
            "venue_order_id": txid,
            "symbol": "ETH-USD",
            "side": "buy",
            "size": "0.25",
            "status": "open",
            "filled": "0",
        }
    ]


def test_request_rows_have_exactly_the_agreed_keys(world):
    """Rows of /requests carry the agreed keys; effect is true for a real order only."""
    world.ok("AddOrder", order(validate="true"))
    world.ok("AddOrder", order())
    world.public("Time")
    rows = world.requests()
    assert [set(r) for r in rows] == [{"venue", "path", "type", "at", "answer", "effect"}] * 3
    assert [r["effect"] for r in rows] == [False, True, False]
    assert [r["type"] for r in rows] == ["validate", "order", None]
    assert rows[0]["at"] == "2026-09-21T14:13:20.000000Z"


def test_refused_order_had_its_chance(world):
    """An order that reached the checks of trading counts as effect, one stopped by its key does not."""
    world.refusal("AddOrder", order(volume="100"))
    world.refusal("AddOrder", order(), profile="no_trade")
    assert [r["effect"] for r in world.requests()] == [True, False]


def test_clock_helper_is_neither_logged_nor_faulted(world):
    """Our own clock source works whatever is scripted, and leaves no line."""
    world.fault("drop_before_read", count=0)
    reply = world.send(b"GET /rehearsal/clock HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.json() == {"now_ns": str(START_NS)}
    assert world.requests() == []


@pytest.mark.parametrize("body", [None, [], {}, {"advance_seconds": "1"}, {"advance_seconds": -1},
                                  {"advance_seconds": True}, {"advance_seconds": 10**12},
                                  {"advance_seconds": 1, "x": 1}])  # fmt: skip
def test_clock_refuses_nonsense(world, body):
    """The clock is turned by a number of seconds that is not negative, or not at all."""
    assert "error" in world.control("POST", "/clock", body, status=400)
    assert world.exchange.now_ns == START_NS


def test_clock_turns_by_fractions(world):
    """Half a second is half a second."""
    answer = world.control("POST", "/clock", {"advance_seconds": 0.5})
    assert answer == {"now_ns": str(START_NS + NS // 2), "advanced_seconds": "0.5"}


def test_profiles(world):
    """The six agreed profiles, whole sets of strings; two more on request."""
    world.exchange.env = {"QUANTLAB_ENVIRONMENT": "rehearsal"}
    profiles = world.control("GET", "/profiles")
    assert list(profiles) == [
        "trader", "no_trade", "can_withdraw", "wrong_secret", "expired_agent", "other_signer",
    ]  # fmt: skip
    assert all(isinstance(v, str) for env in profiles.values() for v in env.values())
    assert profiles["trader"]["QUANTLAB_ENVIRONMENT"] == "rehearsal"
    assert {"windowed", "newcomer"} <= set(world.control("GET", "/profiles?extra=1"))
    trader = profiles["trader"]
    assert profiles["expired_agent"]["HYPERLIQUID_SIGNER_ID"] != trader["HYPERLIQUID_SIGNER_ID"]
    other = profiles["other_signer"]
    assert other["HYPERLIQUID_SIGNER_ID"] == trader["HYPERLIQUID_SIGNER_ID"]
    assert other["HYPERLIQUID_PRIVATE_KEY"] != trader["HYPERLIQUID_PRIVATE_KEY"]


def test_keys_are_made_up_recognisable_and_stable():
    """The same seed gives the same keys, another seed others; the API key says what it is."""
    one, again, other = make_keys(1), make_keys(1), make_keys(2)
    assert one == again
    assert one.kraken["trader"].api_key != other.kraken["trader"].api_key
    assert all(k.api_key.startswith("REHEARSAL") for k in one.kraken.values())
    assert len({k.api_key for k in one.kraken.values()}) == len(one.kraken)


def test_addresses_belong_to_their_private_keys():
    """An address is the last twenty bytes of the Keccak hash of the public key."""
    # A pair that is published in many places: private key 1.
    from unittest.mock import patch

    with patch("quantlab.rehearsal.accounts.hashlib.sha256") as sha256:
        sha256.return_value.digest.return_value = (1).to_bytes(32, "big")
        from quantlab.rehearsal.accounts import _agent

        assert _agent(0, "x").address == "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"


def test_unknown_control_path(world):
    """An unknown path is told with the known ones."""
    assert "GET /orders" in world.control("GET", "/nothing", status=404)["error"]


def test_state_survives(world):
    """Orders, fills, balances, nonces, counters, clock, log and held requests come back whole."""
    world.ok("AddOrder", order(ordertype="market", price=None))
    world.ok("AddOrder", order(cl_ord_id=CLIENT_ID), nonce=2 * 10**18)
    world.fault("late", "AddOrder", value=50)
    world.exchange_bytes(world.private_bytes("AddOrder", order(), nonce=2 * 10**18 + 1))
    world.control("POST", "/clock", {"advance_seconds": 40})
    before = (world.orders(), world.requests(), world.exchange.now_ns, world.exchange.state.accounts)
    again = World(seed=99, state=world.exchange.take_snapshot())
    after = (again.orders(), again.requests(), again.exchange.now_ns, again.exchange.state.accounts)
    assert before == after
    assert again.best() == world.best()
    again.driver_ns += 10 * NS
    assert len(again.orders()) == 3
    assert again.refusal("Balance", nonce=2 * 10**18 + 1) == "EAPI:Invalid nonce"


def test_snapshot_only_when_something_has_changed(world):
    """A public clock read or an idle tick writes nothing."""
    assert world.exchange.take_snapshot() is not None
    world.send(b"GET /rehearsal/clock HTTP/1.1\r\nHost: x\r\n\r\n")
    world.pass_seconds(1)
    assert world.exchange.take_snapshot() is None
    world.ok("Balance")
    assert world.exchange.take_snapshot() is not None


@pytest.mark.parametrize("data", [b"{}", b"[", b'{"format":9,"seed":1,"created_ns":1}'])
def test_state_that_is_not_ours_is_refused(data):
    """A state file that cannot be read is never replaced by a new one in silence."""
    with pytest.raises(StateUnreadable):
        decode_state(data)


# ------------------------------------------------------------------------- HTTP


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x00\xa5 hello\r\n\r\n", b"GET /\r\n\r\n\r\n" * 3,
     b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n"],
)  # fmt: skip
@pytest.mark.parametrize("face", ["kraken", "control", "hyperliquid"])
def test_malformed_http_is_answered_and_closed(world, data, face):
    """What is no HTTP gets a 400 and the end of its connection."""
    faces = {"kraken": world.kraken, "control": world.control_face, "hyperliquid": world.hyperliquid}
    actions, connection = world.exchange_bytes(data, faces[face])
    assert actions[0].data.startswith(b"HTTP/1.1 400 ")
    assert actions[-1] == Close()
    connection.receive(b"more")
    assert len(actions) == 2


def test_long_bodies_are_refused(world):
    """A body over a megabyte is refused with 413."""
    fields = {"Host": "x", "Content-Length": str(1 << 21)}
    actions, _ = world.exchange_bytes(request_bytes("POST", "/0/private/Balance", fields, b"x" * (1 << 21)))
    assert actions[0].data.startswith(b"HTTP/1.1 413 ")


def test_requests_arrive_in_pieces_and_in_rows(world):
    """A request split anywhere is one request, and two in a row are two."""
    data = request_bytes("GET", "/0/public/Time", {"Host": "x"})
    connection = world.kraken.open()
    for byte in data + data:
        connection.receive(bytes([byte]))
    assert len(connection.outbox) == 2
    assert all(isinstance(a, Send) for a in connection.outbox)


def test_connection_close_is_honoured(world):
    """A client that wants to close after the answer gets its wish."""
    data = request_bytes("GET", "/0/public/Time", {"Host": "x", "Connection": "close"})
    actions, _ = world.exchange_bytes(data)
    assert actions[-1] == Close()


def test_expect_continue(world):
    """A client that waits for 100 Continue gets it."""
    fields = {"Host": "x", "Expect": "100-continue", "Content-Length": "2"}
    connection = world.kraken.open()
    connection.receive(request_bytes("POST", "/0/private/Balance", fields))
    assert connection.outbox[0].data.startswith(b"HTTP/1.1 100 ")
    connection.receive(b"a=")
    assert b"EAPI:Invalid key" in connection.outbox[-1].data


def test_end_of_stream_is_quiet(world):
    """A peer that ends its side without a request is no fault."""
    connection = world.kraken.open()
    connection.receive(b"")
    assert connection.outbox == []
    connection.lost()
    assert world.kraken.connections == []
