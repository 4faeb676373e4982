"""Approve: a named person, once, for a bounded time, and only an accepted validation that verifies."""

from decimal import Decimal

import pytest

from quantlab.evidence.records import Approval, Validation
from quantlab.kernel.clock import parse_rfc3339
from tests.support.virtual import Bench, codes

DAY = 86_400


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def approvals(bench, session):
    """Return the approvals in a session."""
    return bench.session(session).chain.all(Approval)


def test_an_approval_names_person_plan_and_end(bench):
    """The approval cites plan and validation, says who and how it is known, and runs out after a day."""
    session = bench.validated()
    result = bench.approve(session, reviewer=" marce ", note=" seen ")
    standing = bench.standing(session)
    body = standing.approval.body
    assert ("done", "approved", "bundle") == (result.outcome, standing.state, result.next.verb)
    assert ("marce", "seen", "reviewed", "asserted_name") == (
        body.reviewer,
        body.note,
        body.basis,
        body.identity_proof,
    )
    assert (standing.plan_sha256, standing.validation.sha256) == (body.plan_sha256, body.validation_sha256)
    lifetime = parse_rfc3339(body.expires_at) - parse_rfc3339(body.approved_at)
    assert DAY == lifetime.total_seconds()
    assert "marce" == standing.approval.envelope.actor
    assert {"Plan digest": body.plan_sha256, "Approval runs out": body.expires_at} == {
        fact.label: fact.value for fact in result.facts
    }


def test_an_approval_without_a_note(bench):
    """A note may be left out."""
    session = bench.validated()
    assert "done" == bench.approve(session, note=None).outcome
    assert "" == bench.standing(session).approval.body.note


@pytest.mark.parametrize("reviewer", [None, "", "  "])
def test_an_approval_needs_a_name(bench, reviewer):
    """Without a name nothing is approved and nothing written."""
    session = bench.validated()
    result = bench.approve(session, reviewer=reviewer)
    assert ("denied", ["reviewer_required"]) == (result.outcome, codes(result))
    assert () == approvals(bench, session)


def test_an_approval_is_given_once(bench):
    """While an approval stands a second one is refused and names the first; nothing is written."""
    session = bench.validated()
    bench.approve(session)
    result = bench.approve(session, reviewer="ana")
    assert ("denied", ["already_approved"]) == (result.outcome, codes(result))
    assert "by marce until" in str(result.refusals[0].measured)
    assert 1 == len(approvals(bench, session))


@pytest.mark.parametrize(("late", "outcome"), [(-1, "denied"), (1, "done")])
def test_an_approval_that_ran_out_may_be_given_again(bench, late, outcome):
    """A second before its end an approval still stands; a second after it another may be given."""
    session = bench.validated()
    bench.approve(session)
    end = parse_rfc3339(bench.standing(session).approval.body.expires_at)
    bench.world.pass_seconds(Decimal(int((end - bench.clock.now()).total_seconds()) + late))
    assert outcome == bench.approve(session, reviewer="ana").outcome


def test_a_new_approval_outdates_bundle_and_gate(bench):
    """After an approval was given again the old bundle and gate do not count any more."""
    session = bench.gated()
    bench.world.pass_seconds(DAY + 60)
    assert "approve" == bench.run("listing_session", session=session, report="next").next.verb
    assert "done" == bench.approve(session).outcome
    standing = bench.standing(session)
    assert ("approved", None) == (standing.state, standing.bundle)
    assert ["gate_not_allowed"] == codes(bench.gate(session))
    assert ["submit_not_allowed"] == codes(bench.submit(session))
    bench.bundle(session)
    assert ["submit_not_allowed"] == codes(bench.submit(session))
    assert [] == bench.orders()


@pytest.mark.parametrize("rung", ["decline", "revoke"])
def test_what_a_person_ended_is_not_approved_again(bench, rung):
    """Declined or revoked is final."""
    session = bench.validated()
    bench.approve(session)
    bench.run(rung, session=session, reviewer="marce", note="no")
    result = bench.approve(session)
    assert ("denied", ["approve_not_allowed"]) == (result.outcome, codes(result))


def test_what_was_sent_is_not_approved_again(bench):
    """After a send there is nothing left to approve."""
    result = bench.approve(bench.submitted())
    assert ["approve_not_allowed"] == codes(result)
    assert "it was sent already" in result.headline


def test_signed_approvals_are_refused_as_long_as_none_can_be_verified(bench):
    """Where the policy asks for signatures an asserted name is not enough."""
    session = bench.validated()
    bench.policy(require_signed_approvals=True)
    result = bench.approve(session)
    assert ("denied", ["signature_required"]) == (result.outcome, codes(result))
    assert () == approvals(bench, session)


def test_without_an_environment_nothing_is_approved(bench):
    """No environment: refused before the session is opened."""
    session = bench.validated()
    before = sorted(path.name for path in session.rglob("*"))
    del bench.environ["QUANTLAB_ENVIRONMENT"], bench.environ["QUANTLAB_KRAKEN_URL"]
    assert ["environment_not_set"] == codes(bench.approve(session))
    assert before == sorted(path.name for path in session.rglob("*"))


def test_a_tampered_session_is_not_approved(bench):
    """One byte changed in a view: exit 5, nothing written."""
    session = bench.validated()
    view = session / "broker_order_validate.json"
    view.write_bytes(view.read_bytes().replace(b"accepted", b"acCepted", 1))
    result = bench.approve(session)
    assert ("unverified", ["view_tampered"]) == (result.outcome, codes(result))
    assert (1, Validation) == (
        len(bench.session(session).chain.records),
        type(bench.session(session).chain.records[0].body),
    )


def test_a_path_that_is_no_session(bench):
    """A folder that is none is a usage fault."""
    assert ("usage", ["not_a_session"]) == (
        (result := bench.approve(bench.folder / "nothing")).outcome,
        codes(result),
    )
