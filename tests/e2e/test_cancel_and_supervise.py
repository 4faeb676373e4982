"""An order that rests: watched over the WebSocket, canceled by a person, and never called canceled without a read."""

import signal
from decimal import Decimal

from tests.e2e.operating import PASSED_SECONDS, until, verify

RESTING = ("--broker-limit-price", "1990", "--broker-time-in-force", "gtc")
CANCEL = ("--broker-cancel-reviewer", "marce", "--broker-cancel-confirm")
SUPERVISE = "--broker-order-validations-supervise"


def resting(operator, size="0.25"):
    """Return a session whose order rests in the book."""
    session = operator.gated(size, *RESTING)
    operator.submit(0, session)
    operator.advance(PASSED_SECONDS)
    return session


def watching(operator, session, seconds="40"):
    """Start to supervise and return the process as soon as it listens to the stream."""
    process = operator.start(SUPERVISE, session, "--broker-supervise-seconds", seconds, "--json")
    for line in process.stderr:
        if "subscribed" in line:
            return process
    raise AssertionError(operator.end(process))


def told_by(done, source):
    """Return what a watch was told by one source: the stream, or a read."""
    return [what for _, where, what in done.envelope["data"]["events"] if where == source]


def cancels(operator):
    """Return the cancel requests that the exchange saw."""
    return [one for one in operator.requests() if one["path"] == "/0/private/CancelOrder"]


def test_cancel_needs_a_name_a_confirmation_and_a_fresh_look(operator):
    """Without reviewer, confirm, or a status younger than the policy's bound, no cancel is sent."""
    session = resting(operator)
    assert {"reviewer_required"} == operator.rung(1, "cancel", session, "--broker-cancel-confirm").refused
    assert {"confirm_required"} == operator.rung(1, "cancel", session, "--broker-cancel-reviewer", "marce").refused
    blind = operator.rung(1, "cancel", session, *CANCEL)
    assert {"cancel_needs_status"} == blind.refused
    operator.follow(blind.next_line)
    operator.advance(301)
    assert {"cancel_needs_status"} == operator.rung(1, "cancel", session, *CANCEL).refused
    assert [] == cancels(operator)
    operator.rung(0, "status", session)
    done = operator.rung(0, "cancel", session, *CANCEL)
    assert "canceled" == done.envelope["data"]["order"]["state"]
    assert ["broker_cancel_attempt", "broker_cancel_response"] == operator.records(session)[-2:]
    assert ["canceled"] == [one["status"] for one in operator.exchange.orders()]
    verify(operator.path(session))


def test_cancel_of_an_order_known_by_client_order_id_only(operator):
    """An order whose answer was lost is canceled by its client order id, found afterwards by reading, and proven so."""
    session = operator.gated("0.25", *RESTING)
    operator.fault("drop_after_accept")
    operator.submit(4, session)
    for path in ("OpenOrders", "ClosedOrders"):
        operator.exchange.fault("http_error", path, value=502, count=0)
    operator.rung(4, "status", session)
    assert {"reason_required"} == operator.rung(1, "cancel", session, *CANCEL).refused
    operator.exchange.control("DELETE", "/faults")
    done = operator.rung(0, "cancel", session, *CANCEL, "--broker-cancel-note", "the reads fail")
    attempt = operator.newest(session, "broker_cancel_attempt")
    plan = operator.newest(session, "broker_order_validate")["plan"]
    assert None is attempt["venue_order_id"]
    assert f"cl_ord_id={plan['client_order_id']}" in attempt["body_text"]
    assert "canceled" == done.envelope["data"]["order"]["state"]
    assert [] == operator.interlocks()


def test_repeated_cancel_has_its_own_attempt(operator):
    """A cancel whose answer was lost is unproven until read; each further cancel is an attempt of its own."""
    session = resting(operator)
    operator.rung(0, "status", session)
    operator.exchange.fault("drop_before_read", "CancelOrder")
    done = operator.rung(4, "cancel", session, *CANCEL)
    assert "open" == done.envelope["data"]["order"]["state"]
    assert "--broker-order-validations-status" in done.next_line
    assert "open" == operator.shown(session)["state"]
    operator.advance(60)
    operator.rung(0, "cancel", session, *CANCEL)
    assert 2 == operator.records(session).count("broker_cancel_attempt")
    assert 2 == operator.records(session).count("broker_cancel_response")
    assert "canceled" == operator.shown(session)["state"]
    operator.rung(0, "cancel", session, *CANCEL)
    assert 3 == operator.records(session).count("broker_cancel_attempt")
    verify(operator.path(session))


def test_cancel_whose_answer_was_lost_is_told_by_the_read(operator):
    """A cancel that worked though its answer was lost ends with 0, because the order was read afterwards."""
    session = resting(operator)
    operator.rung(0, "status", session)
    operator.exchange.fault("drop_after_accept", "CancelOrder")
    done = operator.rung(0, "cancel", session, *CANCEL)
    assert ("unknown", "canceled") == (done.envelope["data"]["outcome"], done.envelope["data"]["order"]["state"])


def test_canceled_never_comes_from_the_cancel_answer(operator):
    """Where the venue takes the cancel and no read works afterwards, the order is not called canceled: exit 4."""
    session = resting(operator)
    operator.rung(0, "status", session)
    operator.advance(60)
    operator.exchange.fault("http_error", "QueryOrders", value=502, count=0)
    done = operator.rung(4, "cancel", session, *CANCEL)
    assert None is done.envelope["data"]["order"]
    assert "open" == operator.shown(session)["state"]
    operator.exchange.control("DELETE", "/faults")
    operator.advance(60)
    operator.rung(0, "status", session)
    assert "canceled" == operator.shown(session)["state"]


def test_interrupted_cancel_is_unproven(operator):
    """Ctrl-C while the cancel waits at the exchange ends with 4: never "nothing was sent", never canceled."""
    session = resting(operator)
    operator.rung(0, "status", session)
    operator.exchange.fault("delay", "CancelOrder", value=30)
    process = operator.start("--broker-order-validations-cancel", session, *CANCEL, "--json")
    assert until(operator.fault_is_met, process)
    process.send_signal(signal.SIGINT)
    done = operator.end(process)
    assert (4, "unknown") == (done.code, done.envelope["outcome"]), done
    assert ["broker_cancel_attempt", "broker_cancel_response"] == operator.records(session)[-2:]
    assert "open" == operator.shown(session)["state"]


def test_partial_fill_then_cancel(operator):
    """A partly filled order that is canceled is canceled with its traded part, which the fills then add up to."""
    session = operator.gated("0.25", "--broker-limit-price", "2010", "--broker-time-in-force", "gtc")
    operator.fault("partial_fill", value={"fraction": "0.4", "then": "rest"})
    operator.submit(0, session)
    order = operator.rung(0, "status", session).envelope["data"]["order"]
    assert ("partially_filled", "0.1") == (order["state"], order["filled_base"])
    assert "partial_fill" in {code for code, _ in operator.alerts()}
    operator.advance(60)
    done = operator.rung(0, "cancel", session, *CANCEL)
    assert ("canceled", "0.1") == (
        done.envelope["data"]["order"]["state"],
        done.envelope["data"]["order"]["filled_base"],
    )
    assert "0.1" == operator.rung(0, "fills", session).envelope["data"]["filled_base"]


def test_supervise_sees_what_happens_while_it_watches(operator):
    """A watch sees a resting order being canceled by another process: cancel is never locked out by it."""
    session = resting(operator)
    operator.rung(0, "status", session)
    operator.advance(60)
    process = watching(operator, session)
    operator.rung(0, "cancel", session, *CANCEL)
    done = operator.end(process)
    assert (0, "terminal") == (done.code, done.envelope["data"]["ended"]), done
    assert "canceled" == done.envelope["data"]["order"]["state"]
    assert any("canceled" in what for what in told_by(done, "stream")), done
    verify(operator.path(session))


def test_supervise_sees_a_fill_over_the_stream(operator):
    """An order that the moving market fills while it is watched is told by the stream and proven by a read."""
    depth = operator.exchange.get(operator.exchange.line["kraken_url"] + "/0/public/Depth?pair=XETHZUSD&count=1")
    (book,) = depth["result"].values()
    price = Decimal(book["bids"][0][0]) - Decimal(2)
    words = ("--broker-limit-price", f"{price:.2f}", "--broker-time-in-force", "gtc", "--broker-post-only")
    session = operator.gated("0.25", *words)
    operator.submit(0, session)
    assert ["open"] == [one["status"] for one in operator.exchange.orders()]
    process = watching(operator, session)
    for _ in range(500):
        operator.advance(60)
        if operator.exchange.orders()[0]["status"] == "filled":
            break
    done = operator.end(process)
    assert (0, "terminal") == (done.code, done.envelope["data"]["ended"]), done
    order = done.envelope["data"]["order"]
    assert ("filled", "0.25") == (order["state"], order["filled_base"])
    assert any(what.startswith("fill ") for what in told_by(done, "stream")), done


def test_supervise_survives_a_cut_stream(operator):
    """A stream that is cut is a gap that is counted, bridged by a read, and opened again."""
    session = resting(operator)
    operator.rung(0, "status", session)
    operator.advance(60)
    process = watching(operator, session)
    before = len(operator.requests())
    operator.exchange.fault("stream_cut", "*")
    operator.exchange.control("DELETE", "/faults")
    token = "/0/private/GetWebSocketsToken"
    assert until(lambda: token in [one["path"] for one in operator.requests()[before:]], process)
    operator.rung(0, "cancel", session, *CANCEL)
    done = operator.end(process)
    assert (0, "terminal") == (done.code, done.envelope["data"]["ended"]), done
    assert 1 == done.envelope["data"]["stream_gaps"]
    assert "canceled" == done.envelope["data"]["order"]["state"]


def test_supervise_ends_at_its_bound_with_the_order_open(operator):
    """A watch that reaches its bound ends with 0 and says that the order is open."""
    session = resting(operator)
    done = operator.rung(0, "supervise", session, "--broker-supervise-seconds", "2")
    assert ("bound_reached", "open") == (done.envelope["data"]["ended"], done.envelope["data"]["order"]["state"])


def test_interrupted_watch_is_recorded(operator):
    """Ctrl-C ends a watch with what was seen so far on record."""
    session = resting(operator)
    process = watching(operator, session)
    process.send_signal(signal.SIGINT)
    done = operator.end(process)
    assert (0, "interrupted") == (done.code, done.envelope["data"]["ended"]), done
    assert "broker_supervision" == operator.records(session)[-1]


def test_open_order_without_a_look_raises_an_alert(operator):
    """An accepted order that nobody read, and later an open one that nobody watches, are alerts with the next line."""
    session = resting(operator)
    named = session.rpartition("/")[2]
    assert ("no_status_after_submit", named) in operator.alerts()
    operator.rung(0, "status", session)
    assert set() == operator.alerts()
    operator.advance(601)
    assert {("open_unsupervised", named)} == operator.alerts()
