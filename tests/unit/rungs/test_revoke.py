"""Revoke: a named person takes an approval back before anything was sent, for good."""

import pytest

from quantlab.evidence.records import Revocation
from tests.support.virtual import Bench, codes
from tests.unit.rungs import ending


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.mark.parametrize("steps", [["approve"], ["approve", "bundle"], ["approve", "bundle", "gate"]])
def test_an_approval_can_be_revoked_until_it_is_used(bench, steps):
    """From approved up to gated an approval can be taken back: recorded, final, citing that approval."""
    session = bench.validated()
    for step in steps:
        getattr(bench, step)(session)
    approval = bench.standing(session).approval
    result = bench.run("revoke", session=session, reviewer="ana", note="second thoughts")
    record = bench.session(session).chain.newest(Revocation)
    assert "done" == result.outcome
    assert ("ana", "second thoughts", approval.sha256) == (
        record.body.reviewer,
        record.body.note,
        record.body.approval_sha256,
    )
    assert "revoked" == ending.intent_state(bench, session)
    ending.final(bench, session)


def test_without_an_approval_there_is_nothing_to_revoke(bench):
    """A session that nobody approved is declined, not revoked."""
    result = bench.run("revoke", session=bench.validated(), reviewer="ana", note="no")
    assert ["revoke_not_allowed"] == codes(result)
    assert "nobody has approved it" in result.headline


def test_name_and_reason_are_needed(bench):
    """Without a name or a reason nothing is revoked and nothing written."""
    session = bench.validated()
    bench.approve(session)
    ending.missing(bench, "revoke", session)


def test_what_was_sent_is_not_revoked(bench):
    """An approval that was used can not be taken back."""
    assert ["revoke_not_allowed"] == codes(bench.run("revoke", session=bench.submitted(), reviewer="ana", note="no"))
