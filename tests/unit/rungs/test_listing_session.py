"""Show and next: one session as its records tell it, also a broken one; nothing is written."""

import shutil
from decimal import Decimal

import pytest

from quantlab.evidence.records import Incident
from quantlab.storage.ledger import Halt
from tests.support.virtual import Bench, codes
from tests.support.virtual_hyperliquid import HyperliquidBench


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def look(bench, session, report="show"):
    """Run the rung and check that it changed nothing in the session."""
    before = {path: path.read_bytes() for path in session.rglob("*.json")}
    result = bench.run("listing_session", session=session, report=report)
    assert before == {path: path.read_bytes() for path in session.rglob("*.json")}
    return result


def test_show_tells_the_whole_session(bench):
    """State, ticket, approval, order, records with author, artifacts and what is next."""
    session = bench.submitted()
    result = look(bench, session)
    standing = bench.standing(session)
    assert ("done", True, standing.state) == (result.outcome, result.data.verifies, result.data.state)
    assert f"{session.name} stands as {standing.state}." == result.headline
    facts = {fact.label: fact.value for fact in result.facts}
    assert (standing.plan_sha256, "landed") == (facts["Plan digest"], facts["Resolution"])
    assert facts["Approved"].startswith("by marce until ")
    assert ("record", "at", "by") == result.table[0]
    assert 7 == len(result.table)
    assert "marce" == result.table[2][2]
    assert 6 == len(result.artifacts)
    assert (session.name, "rehearsal", ()) == (result.session_id, result.environment, result.refusals)
    assert standing.venue_order_id == result.data.venue_order_id


def test_next_tells_only_what_is_next(bench):
    """Next names state and command."""
    session = bench.validated()
    result = look(bench, session, "next")
    assert ("approve", f"{session.name} stands as validated.") == (result.next.verb, result.headline)
    assert ((), ()) == (result.facts, result.table)


def test_a_denied_validation_shows_its_refusals(bench):
    """Show repeats which check refused, with measured value and limit."""
    result = bench.validate(notional=Decimal(700))
    shown = look(bench, bench.root / str(result.session_id))
    assert result.refusals == shown.refusals
    assert "Plan digest" in {fact.label for fact in shown.facts}


def test_a_rejected_validation_shows_the_venues_words(bench):
    """Show repeats the venue's own words."""
    bench.world.fault("api_error", "AddOrder", value="EOrder:Insufficient funds")
    result = bench.validate()
    shown = look(bench, bench.root / str(result.session_id))
    assert [("venue_answer", "EOrder:Insufficient funds")] == [(one.code, one.message) for one in shown.refusals]


def test_a_validation_without_a_plan_is_shown(bench):
    """A session that never got a plan is shown without one."""
    bench.world.fault("http_error", "Time")
    result = bench.validate()
    shown = look(bench, bench.root / str(result.session_id))
    assert (None, None, ()) == (shown.data.plan_sha256, shown.data.client_order_id, shown.data.ticket)
    assert "validate" == shown.next.verb


def test_a_shut_gate_shows_its_refusals(bench):
    """Show repeats what the gate refused."""
    session = bench.validated()
    bench.approve(session)
    bench.bundle(session)
    bench.world.fault("nonce_window", value=5)
    bench.gate(session)
    assert ["nonce_window"] == codes(look(bench, session))


def test_an_incident_is_a_warning(bench):
    """What should not have happened stands in the warnings."""
    session = bench.validated()
    desk = bench.desk()
    with desk.write(session) as writer:
        desk.append(writer, Incident(plan_sha256=None, code="odd", message="Something odd.", details=()))
    desk.ledger.close()
    assert ("Something odd.",) == look(bench, session).warnings


@pytest.mark.parametrize("report", ["show", "next"])
def test_a_tampered_session_is_named_so(bench, report):
    """A changed view: reported with every finding, exit 0; unsent, the root's alerts are next."""
    session = bench.validated()
    (session / "broker_order_validate.json").write_bytes(b"{}")
    result = look(bench, session, report)
    assert ("done", ["view_tampered"], False) == (result.outcome, codes(result), result.data.verifies)
    assert ("alerts", (str(bench.root),)) == (result.next.verb, result.next.arguments)


def test_show_shouts_that_evidence_does_not_verify(bench):
    """The headline of a tampered session says so before anything else."""
    session = bench.validated()
    (session / "broker_order_validate.json").write_bytes(b"{}")
    assert look(bench, session).headline.startswith("THE EVIDENCE DOES NOT VERIFY.")


def test_a_tampered_session_that_was_sent_is_reconciled(bench):
    """Where an attempt was recorded, looking for the truth at the venue is next."""
    session = bench.submitted()
    (session / "approval.json").write_bytes(b"{}")
    result = look(bench, session)
    assert ("reconcile", (str(session),)) == (result.next.verb, result.next.arguments)


def test_a_shortened_session_is_named_so(bench):
    """A session without its newest record does not look whole; who holds the account is next."""
    session = bench.submitted()
    newest = sorted((session / "records").iterdir())[-1]
    newest.unlink()
    (session / "broker_submit_response.json").unlink()
    result = look(bench, session)
    assert (["session_shortened"], False) == (codes(result), result.data.verifies)
    assert "interlock list" == result.next.verb
    assert result.headline.startswith("THE EVIDENCE DOES NOT VERIFY.")


def test_an_emptied_session_is_named_so(bench):
    """A session of which every record was taken away is shortened too, not empty."""
    session = bench.validated()
    shutil.rmtree(session / "records")
    (session / "records").mkdir()
    (session / "broker_order_validate.json").unlink()
    assert ["session_shortened"] == codes(look(bench, session))


def test_an_old_copy_points_to_the_newest_folder(bench):
    """A copy that is older than the ledger's memory leads to where the newest evidence was seen."""
    session = bench.validated()
    copy = bench.folder / "backup" / session.name
    shutil.copytree(session, copy)
    bench.approve(session)
    result = look(bench, copy)
    assert (["session_shortened"], "show", (str(session),)) == (
        codes(result),
        result.next.verb,
        result.next.arguments,
    )


def test_a_session_without_any_record_is_shown(bench):
    """A folder that a killed command left is shown as empty, with nothing to do."""
    folder = bench.root / "20260921T000000Z-kraken-eth-usd-buy-000000000000"
    (folder / "records").mkdir(parents=True)
    result = look(bench, folder)
    assert ("empty", None, None, ()) == (
        result.data.state,
        result.data.environment,
        result.next,
        result.refusals,
    )


def test_a_clock_that_went_backward_is_reported(bench):
    """A record dated before its predecessor is a fact, never a failure."""
    session = bench.validated()
    bench.world.driver_ns -= 60 * 10**9
    bench.environ["QUANTLAB_REHEARSAL_SETTLE_SECONDS"] = "1"
    assert "done" == bench.approve(session).outcome
    result = look(bench, session)
    assert result.data.verifies
    assert "0002-approval.json" == {fact.label: fact.value for fact in result.facts}["Clock went backward at"]


def test_a_path_that_is_no_session(bench):
    """A path that is none is a usage fault."""
    assert "usage" == bench.run("listing_session", session=bench.folder, report="show").outcome


def test_a_signed_action_is_inspected_in_its_outdir(tmp_path):
    """Ticket, signer, signature and expiry of the artifact, and its submit as the next command."""
    bench = HyperliquidBench(tmp_path)
    artifact = bench.signed()
    result = look(bench, artifact.parent)
    facts = {fact.label: fact.value for fact in result.facts}
    assert f"{artifact.parent} holds a signed action: signed." == result.headline
    assert ("buy 0.25 ETH of ETH, limit ioc", "allowed", "signed") == (
        facts["Order"], facts["Readiness"], facts["Signature"],
    )  # fmt: skip
    assert facts["Runs out at"].endswith("(venue's clock)")
    assert ("submit", (str(artifact),)) == (result.next.verb, result.next.arguments)
    assert "submit" == look(bench, artifact.parent, "next").next.verb


def test_a_signed_action_that_ran_out_or_was_sent_is_not_submitted_from_its_outdir(tmp_path):
    """What ran out names nothing, what has its session names that: never a submit."""
    bench = HyperliquidBench(tmp_path)
    artifact = bench.signed()
    bench.world.pass_seconds(301)
    assert look(bench, artifact.parent).next is None
    artifact = bench.signed(quantity=Decimal("0.1"), notional=Decimal(200))
    session = bench.root / str(bench.submit(artifact).session_id)
    step = look(bench, artifact.parent).next
    assert ("show", (str(session),)) == (step.verb, step.arguments)


def test_an_artifact_that_was_not_signed_shows_why(tmp_path):
    """The refusals of its checks, no expiry, nothing to submit."""
    bench = HyperliquidBench(tmp_path)
    signed = bench.sign(notional=Decimal(700))
    shown = look(bench, bench.folder / "outputs" / "signed" / "1")
    assert ["notional_tolerance"] == codes(shown) == codes(signed)
    assert "Runs out at" not in {fact.label for fact in shown.facts}
    assert shown.next is None


def test_a_signed_order_that_the_last_look_refused_shows_why(tmp_path):
    """The denial of the last look is what blocks the session: its refusals are shown again."""
    bench = HyperliquidBench(tmp_path)
    artifact = bench.signed()
    halt = Halt(reviewer="marce", reason="storm", halted_at="2026-01-01T00:00:00.000000Z")
    bench.ask_ledger(lambda ledger: ledger.set_halt(halt))
    denied = bench.submit(artifact)
    shown = look(bench, bench.root / str(denied.session_id))
    assert ["halt_set"] == codes(denied) == codes(shown)
