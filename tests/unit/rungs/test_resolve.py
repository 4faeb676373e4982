"""Resolve: a person's recorded decision, when it may be made and what it changes."""

from pathlib import Path

import pytest

from quantlab.evidence.records import Resolution
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, go_to, place, quick_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


@pytest.mark.parametrize(("decision", "state"), [("not_landed", "decided_not_landed"), ("landed", "decided_landed")])
def test_a_decision_from_not_found_frees_the_account(bench: Bench, decision: str, state: str) -> None:
    """After not_found a person decides: recorded with name, reason and basis; it shows as decided; account free."""
    session = bench.not_found()
    result = bench.resolve(session, decision)
    assert result.outcome == "done"
    assert "a decision, not a proof" in result.headline
    standing = bench.standing(session)
    assert state == standing.state
    assert standing.resolution == "decided"
    body = bench.session(session).chain.newest(Resolution).body
    assert (body.reviewer, body.note, body.from_resolution) == ("marce", "checked", "not_found")
    assert body.basis_sha256 is not None
    assert bench.held() == ()


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"reviewer": None}, "reviewer_required"),
        ({"note": " "}, "reason_required"),
        ({"decision": None}, "decision_required"),
        ({"decision": "maybe"}, "decision_required"),
        ({"confirm": False}, "confirm_required"),
    ],
)
def test_each_part_of_a_decision_is_needed(bench: Bench, missing, code: str) -> None:
    """Without name, reason, decision or confirmation nothing is written."""
    session = bench.not_found()
    assert codes(bench.resolve(session, **missing)) == [code]
    assert bench.standing(session).state == "not_found"
    assert len(bench.held()) == 1


def test_a_decision_before_any_look_is_too_early(bench: Bench) -> None:
    """Unknown and never looked for: refused; reconcile is next."""
    session = bench.unknown("drop_before_read")
    bench.world.pass_seconds(600)
    result = bench.resolve(session)
    assert codes(result) == ["too_early_to_decide"]
    assert "none" in result.refusals[0].measured
    assert result.next.verb == "reconcile"


@pytest.mark.parametrize(("milliseconds", "outcome"), [(64_000, "denied"), (66_000, "done")])
def test_a_decision_from_unknown_needs_a_look_after_the_settle_time(
    bench: Bench, milliseconds: int, outcome: str
) -> None:
    """A look one second before the settle time has passed is too early; one second after it is enough."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=milliseconds)
    bench.reconcile(session)
    bench.world.pass_seconds(600)
    assert outcome == bench.resolve(session).outcome


def test_an_incident_can_be_decided(bench: Bench) -> None:
    """Two orders under one id stay unknown until a person decides."""
    session = bench.unknown("drop_after_accept")
    place(bench, session)
    go_to(bench, session, after_deadline_ms=66_000)
    bench.reconcile(session)
    assert bench.resolve(session, "landed").outcome == "done"
    assert bench.standing(session).state == "decided_landed"


@pytest.mark.parametrize("kind", ["accepted", "decided"])
def test_what_is_known_is_not_decided(bench: Bench, kind: str) -> None:
    """A session that is not unresolved has nothing to decide."""
    session = bench.submitted() if kind == "accepted" else bench.not_found()
    if kind == "decided":
        bench.resolve(session)
    assert codes(bench.resolve(session)) == ["nothing_to_decide"]


def test_a_damaged_session_is_not_decided_here(bench: Bench) -> None:
    """Unverified evidence: exit 5, nothing is written, the account stays held."""
    session = bench.not_found()
    damage(session)
    before = len(list((session / "records").iterdir()))
    assert bench.resolve(session).outcome == "unverified"
    assert before == len(list((session / "records").iterdir()))
    assert len(bench.held()) == 1


def test_a_shortened_session_is_not_decided_here(bench: Bench) -> None:
    """Records missing at the end: exit 5, the account stays held."""
    session = bench.not_found()
    sorted((session / "records").iterdir())[-1].unlink()
    (session / "broker_reconciliation.json").unlink()
    assert codes(bench.resolve(session)) == ["session_shortened"]
    assert len(bench.held()) == 1
