"""What the reading rungs share: opening a sent session, and the exit codes of the design's table."""

from pathlib import Path

import pytest

from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, quick_bench
from tests.unit.rungs.test_sending import kill_at, two_gated

RUNGS = ("reconcile", "status", "fills")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


@pytest.mark.parametrize("rung", RUNGS)
def test_a_dead_claim_after_the_spend_is_recorded_by_the_reader_that_meets_it(bench: Bench, rung: str) -> None:
    """Killed between spend and attempt: the reader records never_sent, frees the account, and ends with 0."""
    session = bench.gated()
    kill_at(bench, session, "disk.open_new .tmp-")
    assert len(bench.held()) == 1
    result = getattr(bench, rung)(session)
    assert result.outcome == "done"
    assert bench.standing(session).state == "never_sent"
    assert bench.held() == ()


def test_a_spent_plan_held_by_nobody_is_looked_for(bench: Bench) -> None:
    """Spent, no attempt, and another session holds the account: the reader looks for the plan and frees nothing."""
    first, second = two_gated(bench)
    kill_at(bench, first, "disk.open_new .tmp-")
    [holder] = bench.held()
    bench.ask_ledger(lambda ledger: ledger.release_interlock(holder.account_key, holder.session_id))
    result = bench.status(first)
    assert result.outcome == "done"
    assert bench.submit(first).outcome == "never_sent"
    assert bench.submit(second).outcome == "done"


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(
    ("kind", "readable", "outcome"),
    [
        ("accepted", True, "done"),
        ("accepted", False, "unreadable"),
        ("unresolved", True, "unknown"),
        ("unresolved", False, "unknown"),
        ("not_found", True, "unknown"),
        ("not_found", False, "unknown"),
        ("decided", True, "done"),
        ("decided", False, "unreadable"),
        ("rejected", True, "done"),
        ("damaged", True, "unverified"),
        ("damaged", False, "unverified"),
    ],
)
def test_the_exit_of_a_read_follows_the_table(bench: Bench, rung: str, kind: str, readable: bool, outcome: str) -> None:
    """State proven 0, unresolved 4 also when unreadable, known but unreadable 7, unverified 5."""
    if kind == "rejected":
        session = bench.gated()
        bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
        bench.submit(session)
    elif kind == "unresolved":
        session = bench.unknown("drop_before_read")
    elif kind in {"not_found", "decided"}:
        session = bench.not_found()
        if kind == "decided":
            bench.resolve(session)
    else:
        session = bench.submitted()
        if kind == "damaged":
            damage(session)
    if not readable:
        bench.world.fault("http_error", "*", count=0)
    assert outcome == getattr(bench, rung)(session).outcome


@pytest.mark.parametrize("rung", RUNGS)
def test_a_session_that_can_not_be_read_at_all_is_never_told_as_unsent(bench: Bench, rung: str) -> None:
    """With every record rubbish nothing says what to look for: exit 5, not a claim that nothing was sent."""
    session = bench.submitted()
    for path in (session / "records").iterdir():
        path.write_bytes(b"rubbish")
    result = getattr(bench, rung)(session)
    assert ("unverified", "show") == (result.outcome, result.next.verb)
    assert "nothing_sent" not in codes(result)


def test_a_session_in_use_is_busy(bench: Bench) -> None:
    """Another process holds the session: exit 6 after the wait."""
    session = bench.submitted()
    lock = bench.disk.lock(session / ".lock")
    result = bench.status(session)
    lock.release()
    assert codes(result) == ["session_busy"]
