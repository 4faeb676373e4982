"""Gate: every check once more on today's market, recorded whether it opens or not."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from quantlab.evidence.records import Gate, Incident
from quantlab.kernel.clock import parse_rfc3339
from quantlab.model.execution import DryCheck
from quantlab.rehearsal.accounts import profile_env
from tests.support.virtual import Bench, codes

DAY = 86_400


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.fixture
def bundled(bench):
    """A session that is ready for the gate."""
    session = bench.validated()
    bench.approve(session)
    bench.bundle(session)
    return session


def shut(bench, session, result, outcome="denied"):
    """Check that a refusal at the gate is recorded and that nothing can be submitted; return the gate's body."""
    standing = bench.standing(session)
    assert (outcome, "gate_denied") == (result.outcome, standing.state)
    body = standing.gate.body
    assert not body.gate_allowed
    assert ["submit_not_allowed"] == codes(bench.submit(session))
    assert [] == bench.orders()
    return body


def not_written(bench, session):
    """Check that the gate left no record."""
    assert bench.session(session).chain.newest(Gate) is None


def test_an_open_gate_cites_everything_and_runs_out(bench, bundled):
    """Every check passed and the venue's validate-only check repeated: open for a quarter of an hour."""
    result = bench.gate(bundled, reviewer=" ana ", note=" go ")
    standing = bench.standing(bundled)
    body = standing.gate.body
    assert ("done", "gated", "submit") == (result.outcome, standing.state, result.next.verb)
    assert ("ana", "go", "ana") == (body.reviewer, body.note, standing.gate.envelope.actor)
    assert (standing.plan_sha256, standing.bundle.sha256, standing.approval.sha256) == (
        body.plan_sha256,
        body.bundle_sha256,
        body.approval_sha256,
    )
    assert all(check.passed for check in body.checks)
    assert ["venue_validate_only", "venue_reads_the_plan"] == [check.code for check in body.checks[-2:]]
    lifetime = parse_rfc3339(body.expires_at) - parse_rfc3339(standing.gate.envelope.recorded_at)
    assert 900 == round(lifetime.total_seconds())
    assert f"{len(body.checks)} of {len(body.checks)}" == result.facts[0].value
    asked = [one for one in body.exchanges if "validate=true" in str(one.request_body)]
    assert 1 == len(asked)
    assert [] == bench.effects()


def test_the_gate_repeats_every_check_of_validate(bench, bundled):
    """What validate checked is checked again; collar and tolerance are held by the plan and by drift."""
    bench.gate(bundled)
    standing = bench.standing(bundled)
    first = {check.code for check in standing.validation.body.checks}
    again = {check.code for check in standing.gate.body.checks}
    assert {"price_collar"} == first - again
    assert {"approval_lifetime", "account_identity", "policy_unchanged", "price_drift"} <= again


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"reviewer": None}, "reviewer_required"), ({"confirm": False}, "confirm_required")],
)
def test_name_and_confirmation_are_needed(bench, bundled, changes, code):
    """Without a name or the confirm flag nothing is looked at and nothing written."""
    result = bench.gate(bundled, **changes)
    assert ("denied", [code]) == (result.outcome, codes(result))
    not_written(bench, bundled)


@pytest.mark.parametrize(("steps", "why"), [([], "nobody has approved it"), (["approve"], "it is not bundled")])
def test_only_a_bundled_session_is_gated(bench, steps, why):
    """An unapproved or unbundled session is refused with the reason; nothing is written."""
    session = bench.validated()
    for step in steps:
        getattr(bench, step)(session)
    result = bench.gate(session)
    assert ["gate_not_allowed"] == codes(result)
    assert why in result.headline
    not_written(bench, session)


def test_without_a_note(bench, bundled):
    """A note may be left out."""
    assert "done" == bench.gate(bundled, note=None).outcome
    assert "" == bench.standing(bundled).gate.body.note


# ------------------------------------------------------------------------- the world moved: recorded


def moved(bps, side="ask"):
    """Return an alteration that moves the quote by basis points."""

    def alter(quote):
        factor = 1 + Decimal(bps) / 10_000
        return replace(quote, bid=quote.bid * factor, ask=quote.ask * factor)

    return alter


@pytest.mark.parametrize("bps", [101, -101])
def test_a_quote_that_drifted_shuts_the_gate(bench, bundled, bps):
    """Beyond the policy's drift the gate is shut in either direction, and the next command is to decline."""
    bench.alterations["read_quote"] = moved(bps)
    result = bench.gate(bundled)
    body = shut(bench, bundled, result)
    assert "price_drift" in codes(result)
    assert ("decline", None) == (result.next.verb, body.venue_description)


def test_after_the_cause_is_gone_the_gate_opens(bench, bundled):
    """A shut gate can be tried again, and the newest one counts."""
    bench.alterations["read_quote"] = moved(150)
    bench.gate(bundled)
    bench.alterations.clear()
    assert "done" == bench.gate(bundled).outcome
    assert (2, "gated") == (len(bench.session(bundled).chain.all(Gate)), bench.standing(bundled).state)


def test_a_gate_that_is_shut_again_takes_the_open_one_back(bench, bundled):
    """A later refusal outdates an earlier open gate."""
    bench.gate(bundled)
    bench.alterations["read_quote"] = moved(150)
    shut(bench, bundled, bench.gate(bundled))


@pytest.mark.parametrize(
    ("fault", "value", "code"),
    [
        ("system_status", "maintenance", "venue_status"),
        ("clock_skew", 300, "clock_skew"),
        ("nonce_window", 5, "nonce_window"),
    ],
)
def test_a_venue_or_key_that_changed_shuts_the_gate(bench, bundled, fault, value, code):
    """Maintenance, a skewed clock or a nonce window since the validation shut the gate."""
    bench.world.fault(fault, value=value)
    result = bench.gate(bundled)
    shut(bench, bundled, result)
    assert code == codes(result)[0]


def test_another_account_shuts_the_gate(bench, bundled):
    """A key of another account than the plan's is refused by identity and by label."""
    bench.environ.update(profile_env(bench.world.exchange.keys, "newcomer"))
    result = bench.gate(bundled)
    shut(bench, bundled, result)
    assert {"account_identity", "account_label"} <= set(codes(result))


def test_an_approval_that_ran_out_shuts_the_gate(bench, bundled):
    """The approval must still stand when the gate is passed."""
    bench.world.pass_seconds(DAY + 1)
    result = bench.gate(bundled)
    assert "approval_lifetime" in codes(result)
    shut(bench, bundled, result)


def test_a_changed_policy_shuts_the_gate(bench, bundled):
    """A plan made under another policy is not gated."""
    bench.policy(daily_orders=19)
    result = bench.gate(bundled)
    shut(bench, bundled, result)
    assert ["policy_unchanged"] == codes(result)


def test_the_kill_switch_shuts_the_gate(bench, bundled):
    """A halt that was set after the bundle shuts the gate, and resume is the next command."""
    (bench.folder / "outputs" / "HALT").write_text("")
    result = bench.gate(bundled)
    assert ["halt_set"] == codes(result)
    assert "resume" == result.next.verb
    shut(bench, bundled, result)


def test_another_unresolved_send_shuts_the_gate(bench):
    """While another session of the account is unresolved nothing passes the gate."""
    session = bench.validated(quantity=Decimal("0.24"))
    bench.approve(session)
    bench.bundle(session)
    unknown = bench.unknown()
    result = bench.gate(session)
    assert ["interlock_held"] == codes(result)
    assert str(unknown) in str(result.refusals[0].measured)
    assert "gate_denied" == bench.standing(session).state


def test_another_session_of_the_intent_shuts_the_gate(bench):
    """Two live sessions of one intent stand in each other's way at the gate."""
    bench.policy(same_intent_window_seconds=60)
    first = bench.validated()
    bench.world.pass_seconds(61)
    second = bench.validated()
    for session in (first, second):
        bench.approve(session)
        bench.bundle(session)
    for session in (first, second):
        result = bench.gate(session)
        assert ["same_intent"] == codes(result)
        shut(bench, session, result)


def test_funds_that_went_shut_the_gate(bench, bundled):
    """Funds are looked at again."""
    bench.alterations["read_balances"] = lambda rows: ()
    result = bench.gate(bundled)
    shut(bench, bundled, result)
    assert ["funds"] == codes(result)


def test_the_day_is_counted_again(bench):
    """A daily limit that another order used up since shuts the gate."""
    bench.policy(daily_orders=1)
    session = bench.validated(quantity=Decimal("0.24"))
    bench.approve(session)
    bench.bundle(session)
    bench.submitted()
    result = bench.gate(session)
    assert ["daily_orders"] == codes(result)


@pytest.mark.parametrize(("reviewer", "outcome"), [("marce", "denied"), ("ana", "done")])
def test_maker_is_not_checker_where_the_policy_says(bench, reviewer, outcome):
    """With distinct reviewers whoever approved may not pass the gate; another person may."""
    bench.policy(require_distinct_reviewers=True)
    session = bench.validated()
    bench.approve(session)
    bench.bundle(session)
    result = bench.gate(session, reviewer=reviewer)
    assert outcome == result.outcome
    assert ([] if outcome == "done" else ["distinct_reviewers"]) == codes(result)


# ------------------------------------------------------------------------------- the venue's answer


def test_the_venue_rejects_at_the_gate(bench, bundled):
    """The venue's no to the repeated validate-only check is recorded; the gate stays shut."""
    bench.world.fault("api_error", "AddOrder", value="EOrder:Insufficient funds")
    result = bench.gate(bundled)
    body = shut(bench, bundled, result)
    assert ["venue_validate_only"] == codes(result)
    assert ("EOrder:Insufficient funds",) == body.venue_errors


def test_a_lost_answer_at_the_gate_is_unreadable(bench, bundled):
    """An answer lost on the way is no rejection: exit 7, recorded, shut."""
    bench.world.fault("drop_after_accept", "AddOrder")
    result = bench.gate(bundled)
    shut(bench, bundled, result, "unreadable")
    assert "The gate refused. Nothing was sent." == result.headline


def test_another_reading_shuts_the_gate(bench, bundled):
    """A venue that accepts but reads another order is not passed."""
    bench.alterations["check_order"] = lambda _: DryCheck(
        verdict="accepted", description="buy 2.5", errors=(), mismatches=("volume",)
    )
    result = bench.gate(bundled)
    shut(bench, bundled, result)
    assert ["venue_reads_the_plan"] == codes(result)


def test_a_gate_answered_with_an_order_id_is_an_incident(bench, bundled):
    """A validate-only request answered as a real order: unknown, an incident recorded, the account held."""
    bench.alterations["check_order"] = lambda _: DryCheck(verdict="incident", description=None, errors=("OABC",))
    result = bench.gate(bundled)
    standing = bench.standing(bundled)
    assert ("unknown", "unresolved") == (result.outcome, standing.state)
    assert result.headline.startswith("UNKNOWN")
    assert ("OABC",) == bench.session(bundled).chain.newest(Incident).body.details
    bench.alterations.clear()
    assert ["interlock_held"] == codes(bench.validate(quantity=Decimal("0.24")))


@pytest.mark.parametrize("path", ["Time", "SystemStatus", "AssetPairs", "GetApiKeyInfo", "BalanceEx", "Depth"])
def test_a_venue_that_can_not_be_read_leaves_the_gate_as_it_was(bench, bundled, path):
    """A failed read says nothing: exit 7 and no record."""
    bench.world.fault("http_error", path)
    result = bench.gate(bundled)
    assert ("unreadable", 1) == (result.outcome, len(result.refusals))
    assert "nothing was sent" in result.refusals[0].message
    not_written(bench, bundled)


def test_a_refused_key_at_the_gate_is_denied(bench, bundled):
    """A definite refusal of the key is a denial, not an unreadable venue."""
    bench.use_profile("wrong_secret")
    result = bench.gate(bundled)
    assert ("denied", ["venue_credentials_refused"]) == (result.outcome, codes(result))


def test_a_gate_runs_out(bench, bundled):
    """After a quarter of an hour the gate is not enough to send, and passing it again is next."""
    bench.gate(bundled)
    bench.world.pass_seconds(901)
    assert "gate" == bench.run("listing_session", session=bundled, report="next").next.verb
    assert "gate_lifetime" in codes(bench.submit(bundled))
    assert [] == bench.orders()
