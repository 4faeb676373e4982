"""The kill switch: set and cleared by a named person, in the ledger and as a file."""

import pytest

from quantlab.rungs.checks import halt_file
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Surroundings of their own for each test."""
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


def turn(bench, action, reviewer="marce", reason="odd fills"):
    """Run the rung."""
    return bench.run("halting", action=action, reviewer=reviewer, reason=reason)


def halt_of(bench):
    """Return the ledger's halt."""
    desk = bench.desk()
    halt = desk.ledger.halt()
    desk.ledger.close()
    return halt


def test_halt_is_kept_in_both_places(bench):
    """The ledger and the file say who and why; validate is refused; resume is the next command."""
    result = turn(bench, "halt")
    assert ("done", "resume") == (result.outcome, result.next.verb)
    assert ("marce", "odd fills") == (halt_of(bench).reviewer, halt_of(bench).reason)
    text = halt_file(bench.root).read_text()
    assert f"{halt_of(bench).halted_at} marce: odd fills\n" == text
    assert ["halt_set"] == codes(bench.validate())


def test_resume_clears_both(bench):
    """After resume nothing is halted."""
    turn(bench, "halt")
    assert "done" == turn(bench, "resume", reviewer="ana", reason="explained").outcome
    assert halt_of(bench) is None
    assert not halt_file(bench.root).exists()
    bench.validated()


def test_resume_of_either_place_alone(bench):
    """A file that somebody made by hand, or a halt whose file was deleted, is cleared all the same."""
    turn(bench, "halt")
    halt_file(bench.root).unlink()
    assert "done" == turn(bench, "resume").outcome
    halt_file(bench.root).write_text("")
    assert "done" == turn(bench, "resume").outcome
    assert not halt_file(bench.root).exists()


def test_there_is_nothing_to_resume(bench):
    """Where no halt is set, resume is refused."""
    result = turn(bench, "resume")
    assert ("denied", ["not_halted"]) == (result.outcome, codes(result))


@pytest.mark.parametrize("action", ["halt", "resume"])
@pytest.mark.parametrize(
    ("changes", "code"), [({"reviewer": None}, "reviewer_required"), ({"reason": " "}, "reason_required")]
)
def test_name_and_reason_are_needed(bench, action, changes, code):
    """Without a name or a reason nothing changes."""
    assert [code] == codes(turn(bench, action, **changes))
    assert halt_of(bench) is None


def test_halting_needs_no_environment(bench):
    """The kill switch works whatever the environment is, also unset."""
    del bench.environ["QUANTLAB_ENVIRONMENT"], bench.environ["QUANTLAB_KRAKEN_URL"]
    assert "done" == turn(bench, "halt").outcome
