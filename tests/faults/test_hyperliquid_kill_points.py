"""Sign, submit and burn that are killed: at every moment the next command finds the truth, and one request left."""

import os
import random
import signal
import time

import pytest

from tests.e2e.operating import PASSED_SECONDS, record_files, until, verify
from tests.e2e.operating_hyperliquid import (
    APART_SECONDS,
    ARTIFACT,
    BURN,
    DEAD_SECONDS,
    document,
    sent_once,
    sign_words,
    submit_words,
    trading,
)

ROUNDS = int(os.environ.get("HUNT_ROUNDS", "2"))
HELD_SECONDS = 30
"""Longer than any test waits: what is held at the exchange ends by being killed, not by time."""


@pytest.fixture
def trader(tmp_path):
    """Seat a trader before an exchange of their own."""
    with trading(tmp_path) as one:
        yield one


def kill(trader, process, number=signal.SIGKILL):
    """End a process of ours by a signal."""
    process.send_signal(number)
    return trader.end(process)


def held(trader, words, path, kind):
    """Start a line whose request of this kind waits at the exchange."""
    trader.fault_at("delay", path, type=kind, value=HELD_SECONDS)
    process = trader.start(*words)
    assert until(trader.fault_is_met, process)
    return process


def verified(trader, session):
    """Check that a killed command left a session that verifies; return its state."""
    shown = trader.shown(session)
    assert (True, []) == (shown["verifies"], shown["findings"])
    return shown["state"]


def settle(trader, signed):
    """Bring an unknown to its end, which has to be what the exchange holds."""
    trader.advance(5)
    done = trader.run("--hyperliquid-submit-sessions-reconcile", signed.session, "--json")
    client_order_id = trader.newest(signed.session, "hyperliquid_signed_action")["plan"]["client_order_id"]
    landed = len(trader.exchange.orders(client_order_id=client_order_id))
    assert landed <= 1
    if landed:
        assert (0, "landed") == (done.code, done.envelope["data"]["resolution"]), done
    else:
        assert 4 == done.code, done
        assert "unused" == trader.burn(4, signed.session).envelope["data"]["nonce_was"]
        trader.advance(APART_SECONDS)
        assert "unknown" == trader.look(4, signed.session)
        trader.advance(APART_SECONDS)
        assert "not_landed" == trader.look(0, signed.session)
    assert [] == trader.interlocks()
    verify(trader.path(signed.session))


# ------------------------------------------------------------------------------------------- submit


@pytest.mark.parametrize("kind", ["meta", "userRole", "userFillsByTime"])
def test_killed_before_the_attempt_may_proceed(trader, kind):
    """Killed at any read of the last look, nothing was sent: the same line sends the order once."""
    signed = trader.signed()
    kill(trader, held(trader, submit_words(signed.artifact), "/info", kind))
    trader.mend()
    assert verified(trader, signed.session) in {"signed", "approved"}
    assert [] == trader.sends()
    trader.submit(0, signed.artifact)
    assert [] == trader.interlocks()
    sent_once(trader, signed, orders=1)


def test_killed_before_the_attempt_does_not_block_the_account(trader):
    """The claim of a command that died in its last look is freed by the next order that meets it."""
    other = trader.signed("--execution-expires-after", "300", size="0.1")
    signed = trader.signed()
    kill(trader, held(trader, submit_words(signed.artifact), "/info", "userFillsByTime"))
    trader.mend()
    assert 1 == len(trader.interlocks())
    trader.submit(0, other.artifact)
    assert [] == trader.interlocks()
    verify(trader.path(signed.session))


def test_interrupted_before_the_attempt_sends_nothing(trader):
    """Ctrl-C in the last look ends with 130, says that nothing was sent, and leaves the account free."""
    signed = trader.signed()
    process = held(trader, submit_words(signed.artifact), "/info", "userFillsByTime")
    done = kill(trader, process, signal.SIGINT)
    trader.mend()
    assert (130, "interrupted") == (done.code, done.envelope["outcome"])
    assert [] == trader.sends()
    assert [] == trader.interlocks()
    trader.submit(0, signed.artifact)


def test_interrupted_while_sending_is_unknown(trader):
    """Ctrl-C while the request waits at the exchange ends with 4; the outcome is recorded as unknown."""
    signed = trader.signed()
    done = kill(trader, held(trader, submit_words(signed.artifact), "/exchange", "order"), signal.SIGINT)
    trader.mend()
    assert (4, "unknown") == (done.code, done.envelope["outcome"])
    assert "--hyperliquid-submit-sessions-reconcile" in done.next_line
    assert "unknown" == trader.newest(signed.session, "hyperliquid_submit_response")["outcome"]
    assert 1 == len(trader.interlocks())
    trader.submit(4, signed.artifact)
    settle(trader, signed)
    assert 1 == len(trader.attempts(signed.session))
    assert len(trader.sends()) <= 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_sending_is_unknown(trader, number):
    """Killed after the attempt, the missing outcome is unknown: submit again ends with 4 and sends nothing."""
    signed = trader.signed()
    kill(trader, held(trader, submit_words(signed.artifact), "/exchange", "order"), number)
    trader.mend()
    assert "unresolved" == verified(trader, signed.session)
    again = trader.submit(4, signed.artifact)
    assert "--hyperliquid-submit-sessions-reconcile" in again.next_line
    assert ("unresolved_send", signed.session.rpartition("/")[2]) in trader.alerts()
    settle(trader, signed)
    assert 1 == len(trader.attempts(signed.session))
    assert len(trader.sends()) <= 1


def test_killed_while_the_exchange_has_the_bytes_is_found_landed(trader):
    """Killed while the request lies in the exchange's hands, which then carries it out: reconcile finds the order."""
    signed = trader.signed()
    trader.fault("delay", value="1.5")
    process = trader.start(*submit_words(signed.artifact))
    assert until(trader.fault_is_met, process)
    kill(trader, process)
    assert until(lambda: 1 == len(trader.exchange.orders()))
    assert "unresolved" == verified(trader, signed.session)
    trader.submit(4, signed.artifact)
    assert "landed" == trader.look(0, signed.session)
    trader.submit(0, signed.artifact)
    assert [] == trader.interlocks()
    sent_once(trader, signed, orders=1)


@pytest.mark.parametrize("name", ["hyperliquid_signed_action", "approval", "hyperliquid_submit_response"])
def test_killed_as_soon_as_a_record_stands(trader, name):
    """Killed right after a record was written, the session verifies and the same line ends it with one order."""
    signed = trader.signed()
    process = trader.start(*submit_words(signed.artifact))
    folder = trader.path(signed.session)
    assert until(lambda: folder.exists() and name in trader.records(signed.session), process)
    kill(trader, process)
    verified(trader, signed.session)
    ends_in_truth(trader, signed)


def test_killed_when_room_for_the_outcome_was_reserved(trader):
    """Killed in the narrow time around the spending of the plan, the next line finds which side of it that was."""
    signed = trader.signed()
    process = trader.start(*submit_words(signed.artifact))
    assert until((trader.path(signed.session) / ".reserve").exists, process)
    kill(trader, process)
    ends_in_truth(trader, signed)


def ends_in_truth(trader, signed):
    """Submit a killed order again: it may proceed, repeat, or be unknown, never send a second time."""
    folder = trader.path(signed.session)
    names = trader.records(signed.session) if folder.exists() else []
    attempted, answered = "hyperliquid_submit_attempt" in names, "hyperliquid_submit_response" in names
    again = trader.run(*submit_words(signed.artifact))
    if attempted and not answered:
        assert 4 == again.code, again
        settle(trader, signed)
    else:
        # 7: the plan was spent and the command died before its attempt; that session is over, nothing was sent.
        assert again.code in ({0} if attempted else {0, 7}), again
    assert len(trader.attempts(signed.session)) <= 1
    assert [] == trader.interlocks()
    verify(trader.path(signed.session))
    return again.code


# --------------------------------------------------------------------------------- sign and burn


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("kind", ["meta", "orderStatus"])
def test_sign_killed_before_the_reservation_leaves_nothing_behind(trader, kind, number):
    """Killed at a read before the nonce was reserved, the same line signs; no signature is about."""
    done = kill(trader, held(trader, sign_words("outputs/s"), "/info", kind), number)
    trader.mend()
    assert {signal.SIGKILL: -9, signal.SIGINT: 130}[number] == done.code
    assert not trader.path(f"outputs/s/{ARTIFACT}").exists()
    trader.sign("outputs/s")
    trader.submit(0, f"outputs/s/{ARTIFACT}")
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


def test_sign_killed_around_the_signature_is_signed_once(trader):
    """Killed when the key is read, whatever was signed is gone or stands whole: one nonce, and one order at most.

    Where the bytes may have existed, the same order waits until they would have run out, and then uses their nonce.
    """
    process = trader.start(*sign_words("outputs/s", "--execution-expires-after", "60"))
    for line in process.stderr:
        if "reading the key" in line:
            break
    kill(trader, process)
    artifact = trader.path(f"outputs/s/{ARTIFACT}")
    first = document(artifact) if artifact.exists() else None
    again = trader.sign("outputs/t", "--execution-expires-after", "60", code=1)
    assert {"signed_action_live"} == again.refused
    trader.advance(DEAD_SECONDS)
    fresh = trader.sign("outputs/u").envelope["data"]
    if first is not None:
        assert (first["nonce"], first["plan"]["client_order_id"]) == (
            fresh["nonce"], fresh["plan"]["client_order_id"],
        )  # fmt: skip
    trader.submit(0, f"outputs/u/{ARTIFACT}")
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_burn_proves_nothing_and_may_be_repeated(trader, number):
    """A burn that was stopped while it was sent proves nothing; burned again, what the venue says is what counts."""
    signed = trader.signed()
    trader.fault("drop_before_read")
    trader.submit(4, signed.artifact)
    line = ("--hyperliquid-submit-sessions-burn", signed.session, *BURN, "--json")
    done = kill(trader, held(trader, line, "/exchange", "noop"), number)
    trader.mend()
    assert {signal.SIGKILL: -9, signal.SIGINT: 4}[number] == done.code
    assert "unresolved" == verified(trader, signed.session)
    assert "hyperliquid_burn_attempt" in trader.records(signed.session)
    settle(trader, signed)
    sent_once(trader, signed, orders=0)


def test_killed_reconcile_changes_nothing(trader):
    """A look that is killed leaves a session that verifies, unresolved as before; the next look finds the order."""
    signed = trader.signed()
    trader.fault("drop_after_accept")
    trader.submit(4, signed.artifact)
    line = ("--hyperliquid-submit-sessions-reconcile", signed.session, "--json")
    kill(trader, held(trader, line, "/info", "orderStatus"))
    trader.mend()
    assert "unresolved" == verified(trader, signed.session)
    assert "landed" == trader.look(0, signed.session)
    sent_once(trader, signed, orders=1)


POLICY = "daily_orders = 1000\n"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_random_moments(trader):
    """However often and whenever submit is killed, there is one request an order at most and the truth is found."""
    (trader.folder / "quantlab.toml").write_text(POLICY)
    moments = random.Random(20_000)
    ended = {}
    for number in range(ROUNDS):
        signed = trader.signed(size=f"{0.006 + number / 10_000:.4f}")
        process = trader.start(*submit_words(signed.artifact))
        folder = trader.path(signed.session)
        # Most of a command is its start: half of the kills aim at the moments around the attempt.
        if number % 2:
            until(lambda f=folder: len(record_files(f)) > 1, process)
        deadline = time.monotonic() + moments.uniform(0, 0.05 if number % 2 else 0.5)
        until(lambda end=deadline: time.monotonic() >= end, process)
        kill(trader, process)
        code = ends_in_truth(trader, signed)
        ended[code] = ended.get(code, 0) + 1
        trader.advance(PASSED_SECONDS)
    orders = trader.exchange.orders()
    assert len(orders) == len({one["client_order_id"] for one in orders})
    assert ROUNDS == sum(ended.values())
