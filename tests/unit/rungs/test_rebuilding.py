"""Rebuild: the claims of a root's records back in a new ledger."""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, place, quick_bench
from tests.unit.rungs.test_outcomes import answered_as_order

OTHER = {"quantity": Decimal("0.2"), "notional": Decimal(400)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


def lose_state(bench: Bench) -> None:
    """Lose the state folder."""
    shutil.rmtree(bench.folder / "state")
    bench.world.pass_seconds(1)


def rebuild(bench: Bench):
    """Rebuild the ledger from the bench's root."""
    return bench.run("rebuilding", root=bench.root)


def test_an_empty_root_gives_nothing(bench: Bench) -> None:
    """A root that does not exist: done, nothing imported."""
    result = rebuild(bench)
    assert result.outcome == "done"
    assert result.data["imported"] == []


def test_sends_are_imported_once(bench: Bench) -> None:
    """A landed order is known again: not to be sent again, counted today; a second rebuild imports nothing."""
    session = bench.submitted()
    bench.validated(**OTHER)
    [before] = bench.ask_ledger(lambda ledger: ledger.sends())
    lose_state(bench)
    result = rebuild(bench)
    assert result.data["imported"] == [session.name]
    [sent] = bench.ask_ledger(lambda ledger: ledger.sends())
    assert (before.plan_sha256, before.nonce, before.state) == (sent.plan_sha256, sent.nonce, sent.state)
    assert (1, sent.notional_quote) == bench.ask_ledger(
        lambda ledger: ledger.daily(sent.account_key, sent.spent_at[:10])
    )
    assert bench.submit(session).outcome == "done"
    assert len(bench.orders()) == 1
    assert rebuild(bench).data["imported"] == []
    assert "same_intent" in codes(bench.validate())


def test_an_unresolved_send_holds_the_account_again(bench: Bench) -> None:
    """Imported unresolved: the interlock is held; reconcile proves and frees it."""
    session = bench.unknown("drop_after_accept")
    lose_state(bench)
    rebuild(bench)
    assert [str(session)] == [one.folder for one in bench.held()]
    assert "interlock_held" in codes(bench.validate(**OTHER))
    assert bench.reconcile(session).outcome == "done"
    assert bench.held() == ()


def test_a_validation_answered_as_an_order_holds_the_account_again(bench: Bench) -> None:
    """No attempt, and yet an order may exist: the account is held again."""
    session = answered_as_order(bench)
    assert len(bench.held()) == 1
    lose_state(bench)
    rebuild(bench)
    assert [str(session)] == [one.folder for one in bench.held()]


def test_a_late_find_holds_the_account_again(bench: Bench) -> None:
    """Found late and not freed by a person: held again."""
    session = bench.not_found()
    bench.resolve(session)
    place(bench, session)
    bench.status(session)
    lose_state(bench)
    rebuild(bench)
    assert [str(session)] == [one.folder for one in bench.held()]


def test_an_empty_session_is_left_alone(bench: Bench) -> None:
    """A folder whose first record was never written gives nothing."""
    (bench.root / "20260101T000000Z-empty" / "records").mkdir(parents=True)
    result = rebuild(bench)
    assert result.outcome == "done"
    assert result.data["imported"] == []


def test_broken_sessions_are_named_and_left_out(bench: Bench) -> None:
    """One damaged and one unreadable session: named, exit 1, the rest imported; a send from the root is refused."""
    broken = bench.unknown("drop_after_accept")
    bench.reconcile(broken)
    fine = bench.submitted(**OTHER)
    damage(broken)
    strange = bench.root / "strange"
    (strange / "records").mkdir(parents=True)
    (strange / "records" / "0001-broker_order_validate.json").write_bytes(b"{}")
    locked = bench.root / "locked"
    (locked / "records").mkdir(parents=True)
    lose_state(bench)
    real = bench.disk.names

    def names(path):
        if path == locked / "records":
            raise PermissionError(13, "no")
        return real(path)

    bench.disk.names = names
    result = rebuild(bench)
    bench.disk.names = real
    shutil.rmtree(locked)
    assert result.outcome == "denied"
    assert sorted([broken.name, "strange", "locked"]) == sorted(result.data["left_out"])
    assert result.data["imported"] == [fine.name]
    bench.world.pass_seconds(60)
    third = bench.gated(quantity=Decimal("0.1"), notional=Decimal(200))
    assert "ledger_complete" in codes(bench.submit(third))
