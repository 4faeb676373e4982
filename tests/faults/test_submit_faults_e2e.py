"""What goes wrong on the wire while the order is sent, and how each ends: by proof, or by a person's decision."""

import pytest

from tests.e2e.operating import LIVE, PASSED_SECONDS, REVIEW, SESSIONS, seated, verify


def errors(text, *, after_accept):
    """Return an error of the venue's, told before or after it had taken the order."""
    return ("api_error", {"value": {"error": text, "after_accept": after_accept}})


AMBIGUOUS = ("EService:Busy", "EGeneral:Internal error", "EAPI:Invalid nonce", "EService:Deadline elapsed")
LANDED = {
    "drop_after_accept": ("drop_after_accept", {}),
    "502_after_accept": ("http_error", {"value": {"status": 502, "after_accept": True}}),
    "garbage_after_accept": ("garbage", {}),
    "truncated_length": ("truncate", {"value": "length"}),
    "truncated_json": ("truncate", {"value": "json"}),
    "duplicate": ("duplicate", {}),
    **{f"{text}_after_accept": errors(text, after_accept=True) for text in AMBIGUOUS},
}
NOT_LANDED = {
    "drop_before_read": ("drop_before_read", {}),
    "502": ("http_error", {"value": 502}),
    "garbage": ("garbage", {"value": {"after_accept": False}}),
    "late_after_the_deadline": ("late", {"value": 30}),
    **{text: errors(text, after_accept=False) for text in AMBIGUOUS},
}


@pytest.fixture
def operator(tmp_path):
    """Seat an operator before an exchange of their own."""
    with seated(tmp_path) as one:
        yield one


def submit_unproven(operator, session):
    """Submit against an armed fault: unknown, exit 4, and the operator is told to look for proof."""
    done = operator.submit(4, session)
    envelope = done.envelope
    assert ("unknown", "unknown") == (envelope["outcome"], envelope["data"]["outcome"]), done
    assert f"python main.py --broker-order-validations-reconcile {session}" == done.next_line
    assert ["broker_submit_attempt", "broker_submit_response"] == operator.records(session)[-2:]
    return done


def sent_once(operator, session, *, copies=1):
    """Check that one attempt was made, one request left, and at most one order came of it."""
    assert 1 == len(operator.attempts(session))
    assert copies == len(operator.sends())
    assert len(operator.exchange.orders()) <= 1


@pytest.mark.parametrize("name", LANDED)
def test_lost_answer_to_an_order_that_landed(operator, name):
    """Whatever becomes of the answer, it is unknown until reconcile finds the order, which is never sent again."""
    fault, more = LANDED[name]
    session = operator.gated()
    operator.fault(fault, **more)
    submit_unproven(operator, session)
    operator.submit(4, session)
    found = operator.rung(0, "reconcile", session)
    assert "landed" == found.envelope["data"]["resolution"]
    assert "filled" == operator.shown(session)["state"]
    assert "unknown" == operator.submit(0, session).envelope["data"]["outcome"]
    sent_once(operator, session, copies=2 if name == "duplicate" else 1)
    assert 1 == len(operator.exchange.orders())
    assert [] == operator.interlocks()
    verify(operator.path(session))


@pytest.mark.parametrize("name", NOT_LANDED)
def test_lost_order_stays_unknown_until_a_person_decides(operator, name):
    """An order that never landed is unknown, then not found by two clean passes, then decided; each step says the next.

    Until then a look ends with 4 and a decision is refused as too early; afterwards the account is free again.
    """
    fault, more = NOT_LANDED[name]
    session = operator.gated()
    operator.fault(fault, **more)
    submit_unproven(operator, session)
    looked = operator.rung(4, "reconcile", session)
    assert "unknown" == looked.envelope["data"]["resolution"]
    assert looked.envelope["data"]["earliest_next_at"]
    assert f"python main.py --broker-order-validations-reconcile {session}" == looked.next_line
    early = operator.resolve(1, session)
    assert {"too_early_to_decide"} == early.refused
    assert f"python main.py --broker-order-validations-reconcile {session}" == early.next_line
    found = operator.not_found(session)
    assert "not_found" == found.envelope["data"]["resolution"]
    assert "--broker-order-validations-resolve" in found.next_line
    operator.submit(4, session)
    decided = operator.follow(found.next_line)
    assert 0 == decided.code, decided
    assert "decided_not_landed" == operator.shown(session)["state"]
    assert [] == operator.interlocks()
    sent_once(operator, session)
    assert [] == operator.exchange.orders()
    operator.submit(0, session)
    if name == "drop_before_read":
        # The account is free, and what did not land may be begun again.
        operator.validate("0.25")
    verify(operator.path(session))


def test_late_order_inside_the_deadline_is_found_when_it_lands(operator):
    """An order carried out late, inside its deadline, is unknown at first and landed as soon as it shows."""
    session = operator.gated()
    operator.fault("late", value=8)
    submit_unproven(operator, session)
    assert [] == operator.exchange.orders()
    operator.advance(9)
    assert "landed" == operator.rung(0, "reconcile", session).envelope["data"]["resolution"]
    sent_once(operator, session)
    assert 1 == len(operator.exchange.orders())


def test_a_look_shuts_the_door_on_a_request_still_on_its_way(operator):
    """A look carries a higher nonce: a request that is still on its way can not land any more."""
    session = operator.gated()
    operator.fault("late", value=8)
    submit_unproven(operator, session)
    operator.rung(4, "reconcile", session)
    operator.advance(9)
    assert "unknown" == operator.rung(4, "reconcile", session).envelope["data"]["resolution"]
    assert "not_found" == operator.not_found(session).envelope["data"]["resolution"]
    assert [] == operator.exchange.orders()


def test_refused_connection_is_never_sent(operator):
    """Where the connection for the order itself is refused, no byte left: never sent, exit 7, the account free."""
    session = operator.gated()
    operator.exchange.fault("refuse_connect", "*", value={"once_answered": "ClosedOrders"})
    done = operator.submit(7, session)
    assert "never_sent" == done.envelope["data"]["outcome"]
    operator.exchange.control("DELETE", "/faults")
    assert [] == operator.sends()
    assert [] == operator.interlocks()
    again = operator.submit(7, session)
    assert "never_sent" == again.envelope["outcome"]
    assert [] == operator.sends()
    assert 0 == operator.follow(again.next_line).code
    verify(operator.path(session))


def test_rejection_is_definite(operator):
    """A listed refusal of the venue's ends with 3 at once, frees the account and is repeated with 3."""
    session = operator.gated()
    operator.fault("api_error", value="EOrder:Insufficient funds")
    assert "rejected" == operator.submit(3, session).envelope["outcome"]
    operator.submit(3, session)
    assert [] == operator.interlocks()
    assert [] == operator.exchange.orders()
    assert 1 == len(operator.sends())
    operator.validate("0.25")


def test_unresolved_send_blocks_everything_new(operator):
    """While a send is unresolved no other session of the account is validated, gated or sent; reads stay open."""
    ready = operator.gated("0.1")
    bundled = operator.bundled("0.11")
    session = operator.gated()
    operator.fault("drop_before_read")
    submit_unproven(operator, session)
    assert [session.rpartition("/")[2]] == [one["session_id"] for one in operator.interlocks()]
    operator.advance(PASSED_SECONDS)
    refusals = {
        "validate": operator.validate("0.12", code=1),
        "gate": operator.rung(1, "submit-gate", bundled, *REVIEW),
        "submit": operator.submit(1, ready),
    }
    for rung, done in refusals.items():
        assert "interlock_held" in done.refused, (rung, done)
        assert session in done.out, (rung, done)
        assert "econcile" in done.out, (rung, done)
    operator.rung(4, "status", session)
    operator.rung(4, "fills", session)
    operator.rung(0, "show", session)
    operator.must(0, "--broker-order-validations-health", SESSIONS)
    codes = {code for code, _ in operator.alerts()}
    assert {"unresolved_send", "interlock_held"} <= codes
    operator.advance(PASSED_SECONDS)
    # The venue knows no such order and refuses the cancel: that proves nothing, and the session says so.
    canceled = operator.rung(4, "cancel", session, "--broker-cancel-reviewer", "marce", "--broker-cancel-confirm")
    assert "--broker-order-validations-reconcile" in canceled.next_line
    assert None is canceled.envelope["data"]["order"]
    assert "unresolved" == operator.shown(session)["state"]
    assert 1 == len(operator.sends())


def test_cancel_and_reads_work_on_an_unproven_order_that_landed(operator):
    """Reads are never blocked: the first status finds a resting order by its client order id, cancel ends it."""
    session = operator.gated("0.25", "--broker-limit-price", "1990", "--broker-time-in-force", "gtc")
    operator.fault("drop_after_accept")
    submit_unproven(operator, session)
    assert 0 == operator.rung(0, "status", session).code
    done = operator.rung(0, "cancel", session, "--broker-cancel-reviewer", "marce", "--broker-cancel-confirm")
    assert "canceled" == done.envelope["data"]["order"]["state"]
    assert [] == operator.interlocks()


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("--broker-resolve-reviewer", "reviewer_required"),
        ("--broker-resolve-confirm", "confirm_required"),
        ("--broker-resolve-note", "reason_required"),
    ],
)
def test_decision_needs_a_name_a_confirmation_and_a_reason(operator, missing, code):
    """A decision without reviewer, confirm or note is refused and frees nothing."""
    session = operator.gated()
    operator.fault("drop_before_read")
    submit_unproven(operator, session)
    words = {
        "--broker-resolve-reviewer": ["marce"], "--broker-resolve-confirm": [], "--broker-resolve-note": ["why"],
        "--broker-resolve-decision": ["not_landed"],
    }  # fmt: skip
    line = [word for name, values in words.items() if name != missing for word in (name, *values)]
    assert {code} == operator.rung(1, "resolve", session, *line).refused
    assert 1 == len(operator.interlocks())


def test_decision_is_open_to_a_person_when_the_proof_is_not_complete(operator):
    """After deadline and settle time one look is enough for a person to decide, with the name and reason recorded."""
    session = operator.gated()
    operator.fault("drop_before_read")
    submit_unproven(operator, session)
    operator.advance(PASSED_SECONDS)
    operator.rung(4, "reconcile", session)
    operator.resolve(0, session)
    record = operator.newest(session, "resolution")
    assert ("marce", "not_landed", "unknown") == (record["reviewer"], record["decision"], record["from_resolution"])
    assert {"nothing_to_decide"} == operator.resolve(1, session).refused


def test_stale_reads_are_no_proof_of_absence(operator):
    """While reads lag behind, a landed order stays unknown; when they catch up it is landed."""
    session = operator.gated()
    operator.fault("drop_after_accept")
    operator.exchange.fault("stale_reads", "OpenOrders", value=600)
    operator.exchange.fault("stale_reads", "ClosedOrders", value=600)
    submit_unproven(operator, session)
    operator.rung(4, "reconcile", session)
    for _ in range(2):
        # Deadline and settle time are over, and still: funds and fills show that something traded.
        operator.advance(PASSED_SECONDS)
        assert "unknown" == operator.rung(4, "reconcile", session).envelope["data"]["resolution"]
    operator.exchange.control("DELETE", "/faults")
    operator.advance(PASSED_SECONDS)
    assert "landed" == operator.rung(0, "reconcile", session).envelope["data"]["resolution"]
    sent_once(operator, session)


def test_failed_reads_are_no_proof_of_absence(operator):
    """Passes in which any read failed do not count: the session stays unknown, exit 4, however many there are."""
    session = operator.gated()
    operator.fault("drop_before_read")
    submit_unproven(operator, session)
    operator.exchange.fault("http_error", "TradesHistory", value=502, count=0)
    for _ in range(3):
        operator.advance(PASSED_SECONDS)
        assert "unknown" == operator.rung(4, "reconcile", session).envelope["data"]["resolution"]
    operator.exchange.control("DELETE", "/faults")
    assert "not_found" == operator.not_found(session).envelope["data"]["resolution"]


def test_late_find_takes_the_interlock_back(operator):
    """An order that shows after a person decided that it had not landed is landed, an incident, and blocks again."""
    session = operator.gated()
    operator.fault("drop_after_accept")
    operator.exchange.fault("stale_reads", "*", value=3600)
    submit_unproven(operator, session)
    found = operator.not_found(session)
    assert "not_found" == found.envelope["data"]["resolution"], found
    operator.resolve(0, session)
    assert [] == operator.interlocks()
    operator.exchange.control("DELETE", "/faults")
    operator.advance(PASSED_SECONDS)
    operator.rung(0, "status", session)
    assert "filled" == operator.shown(session)["state"]
    assert 1 == len(operator.interlocks())
    assert "late_find" in {code for code, _ in operator.alerts()}
    assert "interlock_held" in operator.validate("0.1", code=1).refused
    operator.must(
        0, "interlock", "resolve", "--reviewer", "marce", "--reason", "seen and understood", "--account",
        operator.interlocks()[0]["account_key"],
    )  # fmt: skip
    assert [] == operator.interlocks()
    operator.validate("0.1")


def test_partial_fill_is_never_told_as_filled(operator):
    """An order of which the venue cancels the rest is canceled with what traded, by reconcile, status and fills."""
    session = operator.gated()
    operator.fault("partial_fill", value={"fraction": "0.4", "then": "cancel"})
    operator.submit(0, session)
    order = operator.rung(0, "status", session).envelope["data"]["order"]
    assert ("canceled", "0.1") == (order["state"], order["filled_base"])
    assert {("canceled", session.rpartition("/")[2]), ("partial_fill", session.rpartition("/")[2])} == operator.alerts()
    fills = operator.rung(0, "fills", session).envelope["data"]
    assert "0.1" == fills["filled_base"]
    assert set() == operator.alerts()


def test_unknown_survives_an_exchange_that_is_gone(operator):
    """With no venue to read, an unresolved session ends with 4: a failed read is never "not found"."""
    session = operator.gated()
    operator.fault("drop_after_accept")
    submit_unproven(operator, session)
    operator.exchange.stop()
    operator.rung(4, "reconcile", session)
    operator.rung(4, "supervise", session, "--broker-supervise-seconds", "1")
    assert "unresolved" == operator.shown(session)["state"]


def test_known_state_survives_an_exchange_that_is_gone(operator):
    """With no venue to read, a session whose state is known ends with 7 and keeps that state."""
    session = operator.gated()
    operator.submit(0, session)
    operator.rung(0, "status", session)
    operator.exchange.stop()
    operator.rung(7, "reconcile", session)
    operator.rung(7, "status", session)
    assert "filled" == operator.shown(session)["state"]


def test_without_the_live_flag_nothing_is_sent(operator):
    """Each of reviewer, confirm and live is needed; a line without one is refused before anything happens."""
    session = operator.gated()
    before = operator.records(session)
    for missing in ("--broker-submit-reviewer", "--broker-submit-confirm", "--broker-submit-live"):
        words = list(LIVE)
        at = words.index(missing)
        del words[at : at + (2 if missing.endswith("reviewer") else 1)]
        done = operator.rung(1, "submit-real", session, *words)
        assert {f"{missing.removeprefix('--broker-submit-')}_required"} == done.refused
    assert before == operator.records(session)
    assert [] == operator.sends()
