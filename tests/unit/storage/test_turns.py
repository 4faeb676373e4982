"""Turns on a key: one call at a time, nonces that rise with the clock, points that are waited for."""

import pytest

from quantlab.kernel.clock import to_ns
from quantlab.kernel.errors import Busy, StorageFault
from quantlab.storage.durable import OsDisk
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.turns import POINTS_WAIT_MS, TURN_WAIT_MS, LedgerKeyTurns
from tests.unit.evidence.built import BEGUN, FixedClock, FixedEntropy

KEY = "ab" * 32


class Turning:
    """Turns with a clock and a ledger of their own."""

    def __init__(self, folder):
        self.clock = FixedClock()
        self.ledger = SqliteLedger(":memory:", entropy=FixedEntropy())
        self.folder = folder
        self.said: list[str] = []
        self.turns = LedgerKeyTurns(
            disk=OsDisk(), clock=self.clock, ledger=self.ledger, folder=folder, say=self.said.append
        )


@pytest.fixture
def turning(tmp_path):
    """Turns in a folder that does not exist yet."""
    made = Turning(tmp_path / "state" / "keys")
    yield made
    made.ledger.close()


def test_nonces_follow_the_clock_and_always_rise(turning):
    """A nonce is the clock in nanoseconds, or one above the last when the clock stands or goes back."""
    with turning.turns.turn(KEY) as turn:
        first = turn.next_nonce()
        assert to_ns(BEGUN) == first
        assert first + 1 == turn.next_nonce()
        turning.clock.at = BEGUN.replace(year=2025)
        assert first + 2 == turn.next_nonce()
    assert first + 2 == turning.ledger.last_nonce(KEY)


def test_one_turn_at_a_time(turning):
    """A second turn on the key waits a minute and is then told; another key is free at once."""
    with turning.turns.turn(KEY):
        with pytest.raises(Busy) as caught, turning.turns.turn(KEY):
            pass
        assert ("key_busy", TURN_WAIT_MS) == (caught.value.code, turning.clock.slept_ms)
        with turning.turns.turn("cd" * 32):
            pass
    with turning.turns.turn(KEY):
        pass
    assert TURN_WAIT_MS == turning.clock.slept_ms


def test_a_turn_ends_with_its_context(turning):
    """Whatever happens in a turn, the key is free afterwards."""
    with pytest.raises(KeyboardInterrupt), turning.turns.turn(KEY):
        raise KeyboardInterrupt
    with turning.turns.turn(KEY):
        pass
    assert 0 == turning.clock.slept_ms


def test_points_are_waited_for_exactly_as_long_as_needed(turning):
    """Points that fit are taken at once; the rest wait until the bucket has emptied, and no longer."""
    with turning.turns.turn(KEY) as turn:
        for _ in range(3):
            turn.spend_points(5, capacity=15, decay_per_kilosecond=500)
        assert 0 == turning.clock.slept_ms
        turn.spend_points(5, capacity=15, decay_per_kilosecond=500)
    assert 10_000 <= turning.clock.slept_ms <= 10_020
    assert ["waiting about 10 s: the venue's rate budget is used up"] == turning.said


def test_a_short_wait_is_not_worth_a_word(turning):
    """Below a second nothing is said."""
    with turning.turns.turn(KEY) as turn:
        for _ in range(2):
            turn.spend_points(15, capacity=15, decay_per_kilosecond=15_100)
    assert 0 < turning.clock.slept_ms < 1_000
    assert [] == turning.said


def test_nonces_count_in_the_venues_unit(tmp_path):
    """Where a venue counts milliseconds, so do its nonces."""
    ledger = SqliteLedger(":memory:", entropy=FixedEntropy())
    folder = tmp_path / "keys"
    turns = LedgerKeyTurns(disk=OsDisk(), clock=FixedClock(), ledger=ledger, folder=folder, nonce_unit_ns=1_000_000)
    with turns.turn(KEY) as turn:
        assert to_ns(BEGUN) // 1_000_000 == turn.next_nonce()
    ledger.close()


def test_points_that_never_fit_are_told(turning):
    """When the budget stays used up the wait is bounded, and the fault says how long it would take."""
    with turning.turns.turn(KEY) as turn, pytest.raises(Busy) as caught:
        turn.spend_points(16, capacity=15, decay_per_kilosecond=500)
    assert ("rate_budget", "2000 ms to wait", "15 points") == (
        *(caught.value.code, caught.value.refusals[0].measured),
        caught.value.refusals[0].limit,
    )
    assert POINTS_WAIT_MS < turning.clock.slept_ms <= POINTS_WAIT_MS + 1_001


def test_a_folder_that_cannot_be_made_is_told(turning):
    """A file where the keys' folder belongs is a storage fault."""
    turning.folder.parent.parent.mkdir(exist_ok=True)
    turning.folder.parent.write_bytes(b"")
    with pytest.raises(StorageFault), turning.turns.turn(KEY):
        pass
