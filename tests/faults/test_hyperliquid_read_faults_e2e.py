"""What goes wrong at the reads while an unproven Hyperliquid send is looked for, and what follows a decision."""

import pytest

from tests.e2e.operating_hyperliquid import APART_SECONDS, DEAD_SECONDS, ROOT, sent_once, submit_unproven, trading


@pytest.fixture
def trader(tmp_path):
    """Seat a trader before an exchange of their own."""
    with trading(tmp_path) as one:
        yield one


@pytest.mark.parametrize("kind", ["orderStatus", "frontendOpenOrders", "historicalOrders", "userFillsByTime"])
def test_failed_reads_are_no_proof_of_absence(trader, kind):
    """Passes in which a read failed do not count: the session stays unknown, exit 4, however many there are."""
    signed = trader.signed()
    trader.fault("drop_before_read")
    submit_unproven(trader, signed)
    trader.read_fault("http_error", kind, value=502, count=0)
    trader.advance(DEAD_SECONDS)
    for _ in range(2):
        assert "unknown" == trader.look(4, signed.session)
        trader.advance(APART_SECONDS)
    trader.mend()
    assert "unknown" == trader.look(4, signed.session)
    trader.advance(APART_SECONDS)
    assert "not_found" == trader.look(4, signed.session)
    sent_once(trader, signed, orders=0)


@pytest.mark.parametrize("kind", ["orderStatus", "historicalOrders", None])
def test_stale_reads_are_no_proof_of_absence(trader, kind):
    """While reads lag behind, a landed order is unknown or landed, never absent; when they catch up it is landed."""
    signed = trader.signed()
    trader.fault("drop_after_accept")
    trader.read_fault("stale_reads", kind, value=50)
    submit_unproven(trader, signed)
    assert trader.run("--hyperliquid-submit-sessions-reconcile", signed.session, "--json").code in {0, 4}
    trader.advance(DEAD_SECONDS)
    assert "landed" == trader.look(0, signed.session)
    sent_once(trader, signed, orders=1)


def test_cloid_that_the_venue_dropped_is_never_told_as_absent(trader):
    """An order that the venue took without its client order id moves funds: unknown, never proven absent."""
    signed = trader.signed()
    trader.fault_at("rules", "*", value={"drops_cloid": True})
    trader.fault("drop_after_accept")
    submit_unproven(trader, signed)
    trader.advance(DEAD_SECONDS)
    for _ in range(3):
        assert trader.look(4, signed.session) in {"unknown", "not_found"}
        trader.advance(APART_SECONDS)
    assert "used" == trader.burn(4, signed.session).envelope["data"]["nonce_was"]
    for _ in range(3):
        assert trader.look(4, signed.session) in {"unknown", "not_found"}
        trader.advance(APART_SECONDS)
    assert 1 == len(trader.interlocks())
    sent_once(trader, signed, orders=1)


def test_late_find_takes_the_interlock_back(trader):
    """An order that shows after a person decided that it had not landed is landed, an incident, and blocks again."""
    signed = trader.signed()
    trader.fault("drop_after_accept")
    trader.read_fault("stale_reads", value=36_000)
    submit_unproven(trader, signed)
    trader.searched(signed.session, 4, "not_found")
    trader.resolve(0, signed.session)
    assert [] == trader.interlocks()
    trader.mend()
    trader.rung(0, "status", signed.session)
    assert "filled" == trader.shown(signed.session)["state"]
    assert 1 == len(trader.interlocks())
    assert "late_find" in {code for code, _ in trader.alerts()}
    assert "interlock_held" in trader.sign("outputs/next", size="0.1", code=1).refused
    sent_once(trader, signed, orders=1)


def test_partial_fill_is_never_told_as_filled(trader):
    """This venue says filled and drops the rest of an IOC: what traded is told, and an alert names the difference."""
    signed = trader.signed()
    trader.fault("partial_fill", value={"fraction": "0.4", "then": "cancel"})
    trader.submit(0, signed.artifact)
    # Fills may be late for ten seconds; nobody waits for them here.
    trader.advance(11)
    done = trader.rung(0, "status", signed.session)
    order = done.envelope["data"]["order"]
    assert ("filled", "0.1", "0.25") == (order["raw_state"], order["filled_base"], order["size_base"])
    assert "0.1 of 0.25" in trader.must(0, "--hyperliquid-submit-sessions-status", signed.session).out
    assert "partial_fill" in {code for code, _ in trader.alerts()}
    assert "0.1" == trader.rung(0, "fills", signed.session).envelope["data"]["filled_base"]
    assert set() == trader.alerts()


def test_stream_cut_in_the_middle_of_a_fill_tells_no_false_fill(trader):
    """A stream that breaks off while the order fills: the watch goes on by reads, and what filled is told once."""
    signed = trader.signed("--broker-limit-price", "1990", "--broker-time-in-force", "gtc")
    trader.submit(0, signed.artifact)
    trader.fault_at("stream_cut", "/ws", type="userFills")
    done = trader.rung(
        0, "supervise", signed.session, "--hyperliquid-supervision-polls", "2",
        "--hyperliquid-supervision-interval-seconds", "1", "--execution-transport-preference", "websocket",
    )  # fmt: skip
    assert "open" == trader.shown(signed.session)["state"], done
    assert "0" == trader.rung(0, "fills", signed.session).envelope["data"]["filled_base"]
    sent_once(trader, signed, orders=1)


def test_unresolved_send_blocks_everything_new(trader):
    """While a send is unresolved nothing else of the account is signed or sent; reads stay open, and a cancel."""
    other = trader.signed("--execution-expires-after", "300", size="0.1")
    signed = trader.signed()
    trader.fault("drop_before_read")
    submit_unproven(trader, signed)
    for done in (trader.sign("outputs/next", size="0.2", code=1), trader.submit(1, other.artifact)):
        assert "interlock_held" in done.refused, done
        assert signed.session in done.out, done
        assert "econcile" in done.next_line, done
    trader.rung(4, "status", signed.session)
    trader.rung(4, "fills", signed.session)
    trader.rung(0, "show", signed.session)
    trader.must(0, "--hyperliquid-submit-sessions-health", ROOT)
    assert {"unresolved_send", "interlock_held"} <= {code for code, _ in trader.alerts()}
    assert 1 == len(trader.sends())
    assert [] == trader.exchange.orders()


def test_unknown_survives_an_exchange_that_is_gone(trader):
    """With no venue to read, an unresolved session ends with 4: a failed read is never "not found"."""
    signed = trader.signed()
    trader.fault("drop_after_accept")
    submit_unproven(trader, signed)
    trader.exchange.stop()
    trader.rung(4, "reconcile", signed.session)
    burned = trader.burn(4, signed.session)
    assert ("never_sent", "nothing") == (burned.envelope["data"]["outcome"], burned.envelope["data"]["nonce_was"])
    assert "unresolved" == trader.shown(signed.session)["state"]


def test_known_state_survives_an_exchange_that_is_gone(trader):
    """With no venue to read, a session whose state is known ends with 7 and keeps that state."""
    signed = trader.signed()
    trader.submit(0, signed.artifact)
    trader.rung(0, "status", signed.session)
    trader.exchange.stop()
    trader.rung(7, "reconcile", signed.session)
    trader.rung(7, "status", signed.session)
    assert "filled" == trader.shown(signed.session)["state"]
