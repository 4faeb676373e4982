"""A submit that is killed: at every moment the next command finds the truth, and the order is never sent twice."""

import os
import random
import signal
import time

import pytest

from tests.e2e.operating import LIVE, PASSED_SECONDS, record_files, seated, until, verify

SUBMIT = "--broker-order-validations-submit-real"
ROUNDS = int(os.environ.get("HUNT_ROUNDS", "2"))
HELD_SECONDS = 30
"""Longer than any test waits: what is held at the exchange ends by being killed, not by time."""


@pytest.fixture
def operator(tmp_path):
    """Seat an operator before an exchange of their own."""
    with seated(tmp_path) as one:
        yield one


def start_submit(operator, session):
    """Start the submit line and leave it running."""
    return operator.start(SUBMIT, session, *LIVE, "--json")


def kill(operator, process, number=signal.SIGKILL):
    """End a process of ours by a signal."""
    process.send_signal(number)
    return operator.end(process)


def has(operator, session, name):
    """Return whether a record of this name stands in the session's folder."""
    return name in operator.records(session)


def held_before_the_attempt(operator, session):
    """Start a submit that waits in its last look: the interlock is claimed, nothing is spent."""
    operator.exchange.fault("delay", "Depth", value=HELD_SECONDS)
    process = start_submit(operator, session)
    assert until(operator.fault_is_met, process)
    return process


def held_in_the_send(operator, session):
    """Start a submit whose request waits at the exchange: the attempt is durable, no outcome is known."""
    operator.fault("delay", value=HELD_SECONDS)
    process = start_submit(operator, session)
    assert until(operator.fault_is_met, process)
    assert has(operator, session, "broker_submit_attempt")
    return process


def verified(operator, session):
    """Check that a killed command left a session that verifies."""
    shown = operator.shown(session)
    assert (True, []) == (shown["verifies"], shown["findings"])
    return shown


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_before_the_attempt_may_proceed(operator, number):
    """Killed in the last look, nothing was sent: the session verifies, and the same line sends the order once."""
    session = operator.gated()
    done = kill(operator, held_before_the_attempt(operator, session), number)
    assert -number == done.code
    operator.exchange.control("DELETE", "/faults")
    assert "gated" == verified(operator, session)["state"]
    assert [] == operator.sends()
    operator.submit(0, session)
    assert 1 == len(operator.sends()) == len(operator.attempts(session))
    assert "claim_freed" in {one["code"] for one in verify(operator.path(session)) if "code" in one}


def test_killed_before_the_attempt_does_not_block_the_account(operator):
    """The claim of a command that died in its last look is freed by the next session that meets it."""
    other = operator.bundled("0.1")
    session = operator.gated()
    kill(operator, held_before_the_attempt(operator, session))
    operator.exchange.control("DELETE", "/faults")
    assert 1 == len(operator.interlocks())
    operator.rung(0, "submit-gate", other, "--broker-submit-reviewer", "marce", "--broker-submit-confirm")
    assert [] == operator.interlocks()
    verify(operator.path(session))


def test_interrupted_before_the_attempt_sends_nothing(operator):
    """Ctrl-C in the last look ends with 130, says that nothing was sent, and leaves the account free."""
    session = operator.gated()
    done = kill(operator, held_before_the_attempt(operator, session), signal.SIGINT)
    operator.exchange.control("DELETE", "/faults")
    assert (130, "interrupted") == (done.code, done.envelope["outcome"])
    assert [] == operator.sends()
    assert [] == operator.interlocks()
    operator.submit(0, session)


def test_interrupted_while_sending_is_unknown(operator):
    """Ctrl-C while the request waits at the exchange ends with 4; the outcome is recorded as unknown."""
    session = operator.gated()
    done = kill(operator, held_in_the_send(operator, session), signal.SIGINT)
    operator.exchange.control("DELETE", "/faults")
    assert (4, "unknown") == (done.code, done.envelope["outcome"])
    assert "--broker-order-validations-reconcile" in done.next_line
    assert "unknown" == operator.newest(session, "broker_submit_response")["outcome"]
    assert 1 == len(operator.interlocks())
    operator.submit(4, session)
    settle(operator, session)


def test_killed_while_sending_is_unknown(operator):
    """Killed after the attempt, the missing outcome is unknown: submit again ends with 4 and sends nothing."""
    session = operator.gated()
    kill(operator, held_in_the_send(operator, session))
    operator.exchange.control("DELETE", "/faults")
    assert "unresolved" == verified(operator, session)["state"]
    again = operator.submit(4, session)
    assert "--broker-order-validations-reconcile" in again.next_line
    assert 1 == len(operator.attempts(session))
    assert ("unresolved_send", session.rpartition("/")[2]) in operator.alerts()
    settle(operator, session)
    assert len(operator.sends()) <= 1


def test_killed_while_the_exchange_has_the_bytes_is_found_landed(operator):
    """Killed while the request lies in the exchange's hands, which then carries it out: reconcile finds the order."""
    session = operator.gated()
    operator.fault("delay", value="1.5")
    process = start_submit(operator, session)
    assert until(operator.fault_is_met, process)
    kill(operator, process)
    assert until(lambda: 1 == len(operator.exchange.orders()))
    assert "unresolved" == verified(operator, session)["state"]
    operator.submit(4, session)
    assert "landed" == operator.rung(0, "reconcile", session).envelope["data"]["resolution"]
    operator.submit(0, session)
    assert 1 == len(operator.attempts(session)) == len(operator.sends()) == len(operator.exchange.orders())
    assert [] == operator.interlocks()


def test_killed_after_the_outcome_repeats_it(operator):
    """Killed as soon as the outcome stands, the session verifies and the same line prints the outcome again."""
    session = operator.gated()
    process = start_submit(operator, session)
    assert until(lambda: has(operator, session, "broker_submit_response"), process)
    process.send_signal(signal.SIGKILL)
    operator.end(process)
    assert "landed" == verified(operator, session)["state"]
    assert "accepted" == operator.submit(0, session).envelope["data"]["outcome"]
    assert 1 == len(operator.sends()) == len(operator.exchange.orders())
    assert [] == operator.interlocks()
    verify(operator.path(session))


def test_killed_when_room_for_the_outcome_was_reserved(operator):
    """Killed in the narrow time around the spending of the plan, the next line finds which side of it that was."""
    session = operator.gated()
    process = start_submit(operator, session)
    assert until((operator.path(session) / ".reserve").exists, process)
    process.send_signal(signal.SIGKILL)
    operator.end(process)
    ends_in_truth(operator, session)


def test_killed_reconcile_changes_nothing(operator):
    """A look that is killed leaves a session that verifies, unresolved as before; the next look finds the order."""
    session = operator.gated()
    operator.fault("drop_after_accept")
    operator.submit(4, session)
    operator.exchange.fault("delay", "ClosedOrders", value=HELD_SECONDS)
    process = operator.start("--broker-order-validations-reconcile", session, "--json")
    assert until(operator.fault_is_met, process)
    kill(operator, process)
    operator.exchange.control("DELETE", "/faults")
    assert "unresolved" == verified(operator, session)["state"]
    operator.rung(0, "reconcile", session)
    assert 1 == len(operator.sends())


def settle(operator, session):
    """Bring an unknown to its end, which has to be what the exchange holds."""
    operator.advance(5)
    done = operator.run("--broker-order-validations-reconcile", session, "--json")
    landed = len(operator.exchange.orders(client_order_id=operator.shown(session)["client_order_id"]))
    assert landed <= 1
    if landed:
        assert (0, "landed") == (done.code, done.envelope["data"]["resolution"]), done
    else:
        assert 4 == done.code, done
        assert "not_found" == operator.not_found(session).envelope["data"]["resolution"]
        operator.resolve(0, session)
    assert [] == operator.interlocks()
    verify(operator.path(session))


def ends_in_truth(operator, session):
    """Submit a killed session again: it may proceed, repeat, or be unknown, never send a second order."""
    before = verified(operator, session)
    attempted = has(operator, session, "broker_submit_attempt")
    answered = has(operator, session, "broker_submit_response")
    again = operator.run(SUBMIT, session, *LIVE, "--json")
    if attempted and not answered:
        assert 4 == again.code, again
        settle(operator, session)
    else:
        # 7: the plan was spent and the command died before its attempt; that session is over, nothing was sent.
        assert again.code in ({0} if attempted else {0, 7}), again
        assert ("gated" == before["state"]) is not answered
    assert len(operator.attempts(session)) <= 1
    assert [] == operator.interlocks()
    verify(operator.path(session))
    return again.code


POLICY = "daily_orders = 1000\n"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_random_moments(operator):
    """However often and whenever submit is killed, there is at most one order a session and the truth is found."""
    (operator.folder / "quantlab.toml").write_text(POLICY)
    moments = random.Random(20_000)
    ended: dict[int, int] = {}
    for number in range(ROUNDS):
        operator.advance(PASSED_SECONDS)
        session = operator.gated(f"{0.005 + number / 100_000:.5f}")
        process = start_submit(operator, session)
        files = len(record_files(operator.path(session)))
        # Most of a command is its start: half of the kills aim at the moments around the attempt.
        if number % 2:
            until(lambda s=session, n=files: len(record_files(operator.path(s))) > n, process)
        pause = moments.uniform(0, 0.02 if number % 2 else 0.5)
        deadline = time.monotonic() + pause
        until(lambda end=deadline: time.monotonic() >= end, process)
        process.send_signal(signal.SIGKILL)
        operator.end(process)
        code = ends_in_truth(operator, session)
        ended[code] = ended.get(code, 0) + 1
    orders = operator.exchange.orders()
    assert len(orders) == len({one["client_order_id"] for one in orders})
    assert ROUNDS == sum(ended.values())
