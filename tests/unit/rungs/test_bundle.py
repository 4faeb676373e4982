"""Bundle: the exact request of an approved plan, to the byte."""

from decimal import Decimal

import pytest

from quantlab.evidence.records import Approval, Bundle, Gate
from quantlab.kernel.canonical import sha256_hex
from tests.support.virtual import Bench, codes

DAY = 86_400


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def test_a_bundle_holds_the_plans_request_to_the_byte(bench):
    """Request text and digest are the plan's; plan, validation and approval are cited; the ticket is repeated."""
    session = bench.validated()
    bench.approve(session)
    result = bench.bundle(session)
    standing = bench.standing(session)
    body = standing.bundle.body
    assert ("done", "bundled", "gate") == (result.outcome, standing.state, result.next.verb)
    assert standing.plan.order_text == body.order_text
    assert sha256_hex(standing.plan.order_text.encode()) == body.order_text_sha256
    assert (standing.plan_sha256, standing.validation.sha256, standing.approval.sha256) == (
        body.plan_sha256,
        body.validation_sha256,
        body.approval_sha256,
    )
    assert standing.validation.body.ticket == body.ticket
    facts = {fact.label: fact.value for fact in result.facts}
    assert (body.order_text, body.order_text_sha256) == (facts["Request text"], facts["Its SHA-256"])
    assert facts["Approved by"].startswith("marce until ")


def test_an_unapproved_session_is_not_bundled(bench):
    """Nobody approved it: refused, nothing written."""
    session = bench.validated()
    result = bench.bundle(session)
    assert ("denied", ["bundle_not_allowed"]) == (result.outcome, codes(result))
    assert 1 == len(bench.session(session).chain.records)


def test_an_approval_that_ran_out_is_not_bundled(bench):
    """After the approval's end nothing is written, and the next command is to approve again."""
    session = bench.validated()
    bench.approve(session)
    bench.world.pass_seconds(DAY + 1)
    result = bench.bundle(session)
    assert ("denied", ["approval_lifetime"]) == (result.outcome, codes(result))
    assert "approve" == result.next.verb
    assert bench.session(session).chain.newest(Bundle) is None


def test_a_changed_policy_is_not_bundled(bench):
    """A policy that changed since the validation refuses; a default written out is the same policy."""
    session = bench.validated()
    bench.approve(session)
    bench.policy(max_order_notional=1000)
    assert "done" == bench.bundle(session).outcome
    bench.policy(max_order_notional=900)
    result = bench.bundle(session)
    assert ("denied", ["policy_unchanged"]) == (result.outcome, codes(result))
    assert result.refusals[0].measured != result.refusals[0].limit


def test_bundling_again_is_possible_and_outdates_the_gate(bench):
    """A second bundle stands beside the first; the gate has to be passed again."""
    session = bench.gated()
    assert "done" == bench.bundle(session).outcome
    standing = bench.standing(session)
    assert ("bundled", None) == (standing.state, standing.gate)
    assert ["submit_not_allowed"] == codes(bench.submit(session))


def write_by_hand(bench, session, *bodies):
    """Append records past the rungs, as a program with a defect would."""
    desk = bench.desk()
    with desk.write(session) as writer:
        for body in bodies:
            desk.append(writer, body)
    desk.ledger.close()


def forged(bench, session, plan_sha256):
    """Return a bundle and a gate that no rung would have written."""
    bundle = Bundle(
        plan_sha256=plan_sha256,
        validation_sha256="0" * 64,
        approval_sha256="0" * 64,
        order_text="",
        order_text_sha256="",
        ticket=(),
    )
    gate = Gate(
        plan_sha256=plan_sha256,
        bundle_sha256="0" * 64,
        approval_sha256="0" * 64,
        reviewer="x",
        note="",
        gate_allowed=True,
        expires_at="2099-01-01T00:00:00.000000Z",
        checks=(),
        venue_description=None,
        venue_errors=(),
        exchanges=(),
    )
    return bundle, gate


def test_a_bundle_without_any_approval_leads_nowhere(bench):
    """Records that skip the approval are refused by bundle, revoke, gate and submit alike."""
    session = bench.validated()
    bundle, gate = forged(bench, session, bench.standing(session).plan_sha256)
    write_by_hand(bench, session, bundle, gate)
    assert "gated" == bench.standing(session).state
    assert ["bundle_not_allowed"] == codes(bench.bundle(session))
    assert ["revoke_not_allowed"] == codes(bench.run("revoke", session=session, reviewer="a", note="b"))
    assert ["bundle_outdated"] == codes(bench.gate(session))
    assert ["gate_outdated"] == codes(bench.submit(session))
    assert [] == bench.orders()


def test_a_plan_under_another_digest_is_unverified(bench):
    """A validation whose digest does not name its plan is not bundled: exit 5."""
    folder = bench.root / "forged"
    body = bench.standing(bench.validated()).validation.body
    approval = bench.standing(bench.gated(quantity=Decimal("0.24"))).approval.body
    desk = bench.desk()
    wrong = "1" * 64
    with desk.store.create(bench.root, "forged", environment="rehearsal") as writer:
        desk.append(writer, type(body)(**(as_fields(body) | {"plan_sha256": wrong})))
        desk.append(writer, Approval(**(as_fields(approval) | {"plan_sha256": wrong})))
    desk.ledger.close()
    result = bench.bundle(folder)
    assert ("unverified", ["plan_digest"]) == (result.outcome, codes(result))
    assert wrong == result.refusals[0].limit


def as_fields(body):
    """Return a body's fields."""
    return {name: getattr(body, name) for name in body.__struct_fields__}
