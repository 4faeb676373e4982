"""Decline: a named person refuses the plan, with a reason, for good."""

import pytest

from quantlab.evidence.records import Decline
from tests.support.virtual import Bench, codes
from tests.unit.rungs import ending


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.mark.parametrize("steps", [[], ["approve"], ["approve", "bundle"], ["approve", "bundle", "gate"]])
def test_a_session_can_be_declined_until_it_is_sent(bench, steps):
    """From validated up to gated a person can decline; it is recorded, final, and frees the intent."""
    session = bench.validated()
    for step in steps:
        getattr(bench, step)(session)
    result = bench.run("decline", session=session, reviewer=" ana ", note=" too large ")
    record = bench.session(session).chain.newest(Decline)
    assert ("done", None) == (result.outcome, result.next)
    assert ("ana", "too large", "ana") == (record.body.reviewer, record.body.note, record.envelope.actor)
    assert bench.standing(session).plan_sha256 == record.body.plan_sha256
    assert "declined" == ending.intent_state(bench, session)
    ending.final(bench, session)


def test_name_and_reason_are_needed(bench):
    """Without a name or a reason nothing is declined and nothing written."""
    ending.missing(bench, "decline", bench.validated())


def test_declining_twice_is_refused(bench):
    """What is declined is past that step."""
    session = bench.validated()
    bench.run("decline", session=session, reviewer="ana", note="no")
    result = bench.run("decline", session=session, reviewer="ana", note="no")
    assert ["decline_not_allowed"] == codes(result)
    assert "a reviewer declined it" in result.headline


def test_what_was_sent_is_not_declined(bench):
    """After a send declining would be a false comfort: refused."""
    assert ["decline_not_allowed"] == codes(bench.run("decline", session=bench.submitted(), reviewer="ana", note="no"))


def test_without_an_environment_nothing_is_declined(bench):
    """No environment: refused."""
    session = bench.validated()
    del bench.environ["QUANTLAB_ENVIRONMENT"], bench.environ["QUANTLAB_KRAKEN_URL"]
    assert ["environment_not_set"] == codes(bench.run("decline", session=session, reviewer="ana", note="no"))
