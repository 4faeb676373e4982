"""What the runbook forbids is refused by the program: order of the rungs, names, flags, lifetimes, limits, the halt."""

import pytest

from tests.e2e.operating import LIVE, REVIEW, SESSIONS, Operator

APPROVE = ("--broker-approval-reviewer", "marce", "--broker-approval-note", "reviewed")
RUNGS = {"approve": APPROVE, "bundle": (), "submit-gate": REVIEW, "submit-real": LIVE}


def refused(operator: Operator, session: str, *rungs: str) -> None:
    """Check that each of these rungs is refused with 1 and writes nothing."""
    before = operator.records(session)
    for rung in rungs:
        done = operator.rung(1, rung, session, *RUNGS[rung])
        assert done.refused, done
        assert "denied" == done.envelope["outcome"], done
    assert before == operator.records(session)
    assert [] == operator.sends()


def test_rungs_can_not_be_skipped(operator):
    """An unapproved session is neither bundled nor gated nor sent, an unbundled one not gated, an ungated one not sent.

    What was done is not done twice: an approval is given once.
    """
    session = operator.validated()
    refused(operator, session, "bundle", "submit-gate", "submit-real")
    operator.rung(0, "approve", session, *APPROVE)
    refused(operator, session, "approve", "submit-gate", "submit-real")
    operator.rung(0, "bundle", session)
    refused(operator, session, "submit-real")


def test_rejected_validation_can_not_be_approved(operator):
    """What the venue's validate-only check refused ends with 3 and goes no further."""
    operator.exchange.fault("api_error", "AddOrder", type="validate", value="EOrder:Insufficient funds")
    done = operator.validate(code=3)
    session = f"{SESSIONS}/{done.envelope['session_id']}"
    assert "rejected" == operator.newest(session, "broker_order_validate")["outcome"]
    refused(operator, session, *RUNGS)
    operator.advance(60)
    # A rejected session is no live intent: the same order may be begun again.
    operator.validate()


def test_denied_validation_can_not_be_approved(operator):
    """What our own checks denied ends with 1, is kept as evidence, never reaches the venue, and goes no further."""
    done = operator.must(
        1, "--kraken-order-validate-session", "--broker-symbol", "ETH-USD", "--broker-side", "buy",
        "--broker-quantity", "0.25", "--broker-notional", "600", "--broker-account-id", "acct_demo", "--json",
    )  # fmt: skip
    session = f"{SESSIONS}/{done.envelope['session_id']}"
    assert [] == [one for one in operator.requests() if one["type"] == "validate"]
    refused(operator, session, *RUNGS)


def test_lost_validation_proves_nothing_and_goes_no_further(operator):
    """A validation whose answer was lost ends with 7 and can not be approved."""
    operator.exchange.fault("drop_after_accept", "AddOrder", type="validate")
    done = operator.validate(code=7)
    refused(operator, f"{SESSIONS}/{done.envelope['session_id']}", *RUNGS)


@pytest.mark.parametrize("ending", ["decline", "revoke"])
def test_person_can_end_a_session(operator, ending):
    """A declined or revoked session goes no further, and the same order may be begun again."""
    session = operator.gated() if ending == "revoke" else operator.validated()
    operator.rung(1, ending, session, "--broker-approval-reviewer", "marce")
    operator.rung(1, ending, session, "--broker-approval-note", "no longer wanted")
    operator.rung(0, ending, session, "--broker-approval-reviewer", "marce", "--broker-approval-note", "not wanted")
    refused(operator, session, *RUNGS)
    operator.advance(60)
    operator.validate()


def test_reviewer_has_to_be_named(operator):
    """Approval and gate without a reviewer, and the gate without confirm, are refused and write nothing."""
    session = operator.validated()
    assert {"reviewer_required"} == operator.rung(1, "approve", session).refused
    assert {"reviewer_required"} == operator.rung(1, "approve", session, "--broker-approval-reviewer", " ").refused
    operator.rung(0, "approve", session, *APPROVE)
    operator.rung(0, "bundle", session)
    before = operator.records(session)
    assert {"reviewer_required"} == operator.rung(1, "submit-gate", session, "--broker-submit-confirm").refused
    assert {"confirm_required"} == operator.rung(1, "submit-gate", session, "--broker-submit-reviewer", "marce").refused
    assert before == operator.records(session)


def test_approval_and_gate_run_out(operator):
    """A gate is open for 15 minutes, an approval stands for a day; afterwards the next command names what to repeat."""
    session = operator.gated()
    operator.advance(901)
    late = operator.rung(1, "submit-real", session, *LIVE)
    assert "gate_lifetime" in late.refused
    assert 0 == operator.follow(late.next_line).code
    operator.advance(86_400)
    late = operator.rung(1, "submit-real", session, *LIVE)
    assert late.refused & {"gate_lifetime", "approval_lifetime"}
    assert "approve" in late.next_line
    assert "approval_lifetime" in operator.rung(1, "bundle", session).refused
    assert 0 == operator.follow(late.next_line).code
    assert [] == operator.sends()


def test_same_intent_is_begun_once(operator):
    """A second session of an order is refused while the first is live and when it has landed; another size is not.

    Only the policy's window ends that.
    """
    session = operator.gated()
    assert "same_intent" in operator.validate(code=1).refused
    operator.submit(0, session)
    operator.advance(60)
    again = operator.validate(code=1)
    assert "same_intent" in again.refused
    assert session in again.out
    operator.validate("0.2")
    operator.advance(86_400)
    operator.validate()


def test_market_order_only_by_name(operator):
    """An order without type and price is a limit IOC with a worst price; a market order says it is not bounded."""
    plain = operator.newest(operator.validated("0.1"), "broker_order_validate")["plan"]
    assert ("limit", "ioc") == (plain["order_type"], plain["time_in_force"])
    assert None is not plain["worst_price"]
    session = operator.validated("0.2", "--broker-order-type", "market")
    market = operator.newest(session, "broker_order_validate")
    assert ("market", None) == (market["plan"]["order_type"], market["plan"]["worst_price"])
    assert any("not bounded" in line.lower() for line in market["ticket"])
    operator.rung(0, "approve", session, *APPROVE)
    operator.rung(0, "bundle", session)
    operator.rung(0, "submit-gate", session, *REVIEW)
    operator.submit(0, session)
    assert ["filled"] == [one["status"] for one in operator.exchange.orders()]


def test_halt_stops_every_send(operator):
    """HALTED, nothing is validated, gated or sent; reads go on; resume needs a name and a reason and ends it."""
    session, bundled = operator.gated(), operator.bundled("0.1")
    operator.must(2, "halt", "--reviewer", "marce")
    operator.must(0, "halt", "--reviewer", "marce", "--reason", "a strange market")
    operator.advance(60)
    assert "halt_set" in operator.submit(1, session).refused
    assert "halt_set" in operator.rung(1, "submit-gate", bundled, *REVIEW).refused
    operator.advance(60)
    assert "halt_set" in operator.validate("0.2", code=1).refused
    assert "halt_set" in {code for code, _ in operator.alerts()}
    assert [] == operator.sends()
    operator.must(0, "resume", "--reviewer", "marce", "--reason", "calm again")
    assert 1 == operator.run("resume", "--reviewer", "marce", "--reason", "again").code
    operator.rung(0, "submit-gate", session, *REVIEW)
    operator.advance(60)
    operator.submit(0, session)


def test_halt_file_beside_the_root_is_enough(operator):
    """The file that a halt leaves beside the root halts by itself, also where the ledger knows nothing of it."""
    operator.must(0, "halt", "--reviewer", "marce", "--reason", "try the file")
    (file,) = [path for path in (operator.folder / "outputs").iterdir() if path.is_file()]
    text = file.read_bytes()
    operator.must(0, "resume", "--reviewer", "marce", "--reason", "the file is next")
    assert not file.exists()
    session = operator.gated()
    file.write_bytes(text)
    assert "halt_set" in operator.submit(1, session).refused
    assert [] == operator.sends()


def test_cancel_is_not_halted(operator):
    """HALTED, an open order can still be looked at and canceled."""
    session = operator.gated("0.25", "--broker-limit-price", "1990", "--broker-time-in-force", "gtc")
    operator.submit(0, session)
    operator.must(0, "halt", "--reviewer", "marce", "--reason", "get out")
    operator.rung(0, "status", session)
    operator.rung(0, "cancel", session, "--broker-cancel-reviewer", "marce", "--broker-cancel-confirm")


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ("max_order_notional = 100", "max_order_notional"),
        ("require_promotion = true", "promotion"),
        ('allowed_symbols = ["BTC-USD"]', "symbol_allowed"),
        ("daily_notional = 400", "daily_notional"),
    ],
)
def test_policy_limits_are_checks(operator, policy, code):
    """Each limit of the policy file refuses with its name, what was measured and what is allowed."""
    (operator.folder / "quantlab.toml").write_text(policy + "\n")
    done = operator.validate(code=1)
    (refusal,) = [one for one in done.envelope["refusals"] if code in one["code"]]
    assert refusal["measured"]
    assert refusal["limit"]


def test_changed_policy_shuts_the_gate(operator):
    """A policy file changed after the validation refuses bundle and submit: the order was checked under another."""
    session = operator.gated()
    (operator.folder / "quantlab.toml").write_text("daily_orders = 19\n")
    assert "policy_unchanged" in operator.submit(1, session).refused
    assert "policy_unchanged" in operator.rung(1, "bundle", session).refused
    assert [] == operator.sends()


def test_distinct_reviewers(operator):
    """Where the policy asks for two people, whoever approved can not pass the gate or send; somebody else can."""
    (operator.folder / "quantlab.toml").write_text("require_distinct_reviewers = true\n")
    gate, send = ([word.replace("marce", "ines") for word in line] for line in (REVIEW, LIVE))
    session = operator.bundled()
    assert "distinct_reviewers" in operator.rung(1, "submit-gate", session, *REVIEW).refused
    operator.advance(60)
    operator.rung(0, "submit-gate", session, *gate)
    assert "distinct_reviewers" in operator.submit(1, session).refused
    operator.advance(60)
    operator.rung(0, "submit-gate", session, *gate)
    operator.advance(60)
    operator.rung(0, "submit-real", session, *send)


def test_daily_count_is_a_limit_of_sends(operator):
    """The day's number of orders counts what was sent, unresolved sends included; the next one is refused."""
    (operator.folder / "quantlab.toml").write_text("daily_orders = 1\n")
    first, second = operator.gated("0.1"), operator.gated("0.2")
    operator.advance(60)
    operator.submit(0, first)
    operator.advance(60)
    assert any("daily" in code for code in operator.submit(1, second).refused)
    assert 1 == len(operator.sends())


def test_every_check_is_made_again_at_the_send(operator):
    """A venue that went into maintenance after the gate refuses the send: nothing leaves, and the gate is shut."""
    session = operator.gated()
    operator.exchange.fault("system_status", "*", value="maintenance")
    done = operator.submit(1, session)
    assert "venue_status" in done.refused
    assert "gate_denied" == operator.shown(session)["state"]
    assert [] == operator.sends()
