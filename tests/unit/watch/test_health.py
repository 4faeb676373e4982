"""Health: counts by state and environment, the worst severity, the alert codes."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from quantlab.storage.ledger import Halt, Interlock
from quantlab.watch.alerts import Alert
from quantlab.watch.health import health_of
from quantlab.watch.overview import Overview, Seen, look_over
from tests.support.virtual import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Surroundings of their own for each test."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.validated()
    return bench


def overview(bench, seen=(), **changes):
    """Return a root at one moment."""
    fields = {
        "root": bench.root,
        "generated_at": "2026-09-21T12:00:00.000000Z",
        "environment": "rehearsal",
        "seen": seen,
        "interlocks": (),
        "halt": None,
        "halt_file": None,
    }
    return Overview(**(fields | changes))


def alert(code, severity):
    """Return an alert."""
    return Alert(code=code, severity=severity, session_id=None, since="", message="", step=None)


def in_environment(seen, environment):
    """Return a session as seen, its records of another environment."""
    record = seen.session.chain.records[0]
    there = replace(record, envelope=replace(record.envelope, environment=environment))
    chain = replace(seen.session.chain, records=(there,))
    return replace(seen, session=replace(seen.session, chain=chain))


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ((), "ok"),
        (("notice",), "ok"),
        (("notice", "warning"), "warning"),
        (("warning", "critical", "notice"), "critical"),
    ],
)
def test_the_worst_alert_decides(bench, severities, status):
    """Status is the worst severity; a notice alone is no trouble."""
    rows = tuple(alert(f"c{number}", severity) for number, severity in enumerate(severities))
    assert status == health_of(overview(bench), rows).status


def test_codes_are_named_once(bench):
    """Each alert code stands once, sorted."""
    rows = (alert("b", "notice"), alert("a", "notice"), alert("b", "notice"))
    assert ("a", "b") == health_of(overview(bench), rows).alert_codes


def test_an_empty_root(bench):
    """Nothing there: zero of everything, no latest activity."""
    health = health_of(overview(bench), ())
    assert (0, {}, {}, 0, None, False, 0) == (
        health.sessions,
        health.by_state,
        health.by_environment,
        health.broken,
        health.latest_activity_at,
        health.halted,
        health.interlocks_held,
    )


def test_broken_and_unreadable_sessions_are_counted(bench):
    """An unreadable session has a state of its own and is broken; one environment's counts are the root's."""
    [good] = look_over(bench.disk, bench.root)
    lost = Seen(folder=Path("/x/lost"), session=None, standing=None, unreadable="why")
    outdated = replace(good, outdated="shortened")
    health = health_of(overview(bench, (good, lost, outdated)), ())
    assert (3, 2, {"unreadable": 1, "validated": 2}) == (health.sessions, health.broken, health.by_state)
    assert {"rehearsal": {"validated": 2}, "unreadable": {"unreadable": 1}} == health.by_environment
    assert good.standing.latest_at == health.latest_activity_at


def test_environments_are_never_counted_together(bench):
    """Two environments in one root: each has its own counts, and there are no common ones."""
    [good] = look_over(bench.disk, bench.root)
    unset = in_environment(good, "unset")
    both = health_of(overview(bench, (good, in_environment(good, "live"), unset), environment=None), ())
    assert ({}, ["live", "rehearsal", "unset"]) == (both.by_state, list(both.by_environment))
    one = health_of(overview(bench, (good, unset)), ())
    assert {"validated": 2} == one.by_state


@pytest.mark.parametrize(
    "changes",
    [{"halt": Halt(reviewer="a", reason="b", halted_at="c")}, {"halt_file": Path("HALT")}],
)
def test_either_halt_counts(bench, changes):
    """A halt in the ledger or as a file is halted."""
    assert health_of(overview(bench, **changes), ()).halted


def test_held_interlocks_are_counted(bench):
    """Each held account counts."""
    held = Interlock(account_key="k", session_id="s", folder="f", plan_sha256="p", claimed_at="c")
    assert 2 == health_of(overview(bench, interlocks=(held, held)), ()).interlocks_held
