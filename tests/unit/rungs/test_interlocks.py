"""Interlocks: who holds an account, and the person's way to free one whose session is lost."""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from quantlab.storage.ledger import Interlock
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, place, quick_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


def test_no_interlock_is_listed_as_none(bench: Bench) -> None:
    """Nothing held: said so, without a table or a next command."""
    result = bench.run("interlocks", action="list")
    assert result.headline == "No interlock is held."
    assert result.table == ()
    assert result.next is None


def test_a_held_interlock_is_listed_with_its_way_out(bench: Bench) -> None:
    """Held: account, session, folder and since; next is its reconcile."""
    session = bench.unknown()
    result = bench.run("interlocks", action="list")
    assert result.table[1][2] == str(session)
    assert result.next.verb == "reconcile"
    assert list(result.next.arguments) == [str(session)]


@pytest.mark.parametrize(
    ("missing", "code"), [({"reviewer": None}, "reviewer_required"), ({"reason": ""}, "reason_required")]
)
def test_a_name_and_a_reason_are_needed(bench: Bench, missing, code: str) -> None:
    """Without a name or a reason nothing is freed."""
    bench.unknown()
    assert codes(bench.free_interlock(**missing)) == [code]
    assert len(bench.held()) == 1


def test_nothing_held_nothing_freed(bench: Bench) -> None:
    """No interlock: refused, and the message says so."""
    result = bench.free_interlock()
    assert codes(result) == ["account_required"]
    assert result.headline == "No interlock is held."


def test_with_two_held_the_account_must_be_named(bench: Bench) -> None:
    """Two accounts held: one must be named, by account or session, and an unknown name is refused."""
    session = bench.unknown()
    other = Interlock(
        account_key="kraken:rehearsal:other", session_id="s", folder=str(bench.folder / "gone"), plan_sha256="0" * 64,
        claimed_at="2026-01-01T00:00:00.000000Z",
    )  # fmt: skip
    bench.ask_ledger(lambda ledger: ledger.claim_interlock(other))
    assert codes(bench.free_interlock()) == ["account_required"]
    assert codes(bench.free_interlock(account="nobody")) == ["account_required"]
    assert bench.free_interlock(account="s").outcome == "done"
    assert [str(session)] == [one.folder for one in bench.held()]


def test_a_readable_session_is_resolved_by_its_own_rungs(bench: Bench) -> None:
    """The session can be read: refused, next is its reconcile."""
    session = bench.unknown()
    result = bench.free_interlock()
    assert codes(result) == ["session_can_be_resolved"]
    assert list(result.next.arguments) == [str(session)]
    assert len(bench.held()) == 1


@pytest.mark.parametrize("harm", ["gone", "damaged", "shortened"])
def test_a_lost_session_is_freed_by_a_person(bench: Bench, harm: str) -> None:
    """Missing, damaged or shortened: freed by name and reason, recorded in the session where that is possible."""
    session = bench.unknown("drop_before_read")
    if harm == "gone":
        shutil.rmtree(session)
    elif harm == "damaged":
        damage(session)
    else:
        sorted((session / "records").iterdir())[-1].unlink()
        (session / "broker_submit_response.json").unlink()
    result = bench.free_interlock()
    assert result.outcome == "done"
    assert "may still exist" in result.headline
    assert bench.held() == ()
    noted = {fact.label: fact.value for fact in result.facts}["Recorded in the session"]
    assert noted.startswith("no" if harm == "gone" else "yes")
    if harm != "gone":
        [path] = (session / "records").glob("*-incident.json")
        assert b"interlock_freed_by_person" in path.read_bytes()
    [sent] = bench.ask_ledger(lambda ledger: ledger.sends())
    assert sent.resolution == "decided_by_interlock"
    assert bench.validated(quantity=Decimal("0.2"), notional=Decimal(400)).exists()


def test_the_interlock_of_a_late_find_is_freed_by_a_person(bench: Bench) -> None:
    """Found late: the session can be read, and yet only this way frees the account."""
    session = bench.not_found()
    bench.resolve(session)
    place(bench, session)
    bench.status(session)
    assert len(bench.held()) == 1
    assert bench.free_interlock().outcome == "done"
    assert bench.held() == ()
    assert "interlock_freed_by_person" in [one.body.code for one in bench.standing(session).incidents]
