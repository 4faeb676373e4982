"""Evidence that somebody changed: nothing is done on it, everything says so, and the other sessions go on."""

import hashlib
import json
import shutil

import pytest

from tests.e2e.operating import LIVE, REVIEW, SESSIONS, record_files, seated

VIEWS = (
    "approval", "broker_order_validate", "broker_pre_submit_bundle", "broker_submit_gate", "broker_submit_attempt",
    "broker_submit_response", "broker_reconciliation", "broker_order_status",
)  # fmt: skip
WRITING = (
    ("approve", ("--broker-approval-reviewer", "marce")),
    ("decline", ("--broker-approval-reviewer", "marce", "--broker-approval-note", "no")),
    ("bundle", ()),
    ("submit-gate", REVIEW),
    ("submit-real", LIVE),
)
READING = ("status", "reconcile", "fills")


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Walk one session to its end, begin another, and keep a copy of the first as it was."""
    with seated(tmp_path_factory.mktemp("tampering")) as operator:
        session = operator.gated()
        operator.submit(0, session)
        operator.rung(0, "reconcile", session)
        operator.rung(0, "status", session)
        operator.advance(60)
        healthy = operator.validated("0.1")
        kept = operator.folder.parent / "kept"
        shutil.copytree(operator.path(session), kept)
        yield operator, session, healthy, kept


@pytest.fixture
def tampered(walked):
    """Return the walked session as it was, its rate budget full; put it back afterwards."""
    operator, session, healthy, kept = walked
    operator.advance(60)
    sends = len(operator.sends())
    yield operator, session, healthy
    assert sends == len(operator.sends())
    shutil.rmtree(operator.path(session))
    shutil.copytree(kept, operator.path(session))


@pytest.fixture
def operator(tmp_path):
    """Seat an operator before an exchange of their own."""
    with seated(tmp_path) as one:
        yield one


def flip(path):
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def is_reported(operator, session, healthy):
    """Check that show, list, health and alerts report the damaged session and go on for the other one."""
    shown = operator.rung(0, "show", session).envelope
    assert shown["data"]["verifies"] is False
    assert shown["refusals"]
    rows = operator.must(0, "--broker-order-validations-list", SESSIONS, "--json").envelope["data"]["sessions"]
    verifies = {row["session_id"]: row["verifies"] for row in rows}
    assert {session.rpartition("/")[2]: False, healthy.rpartition("/")[2]: True} == verifies
    operator.must(0, "--broker-order-validations-health", SESSIONS)
    assert {("unverifiable_session", session.rpartition("/")[2])} <= operator.alerts()
    assert operator.shown(healthy)["verifies"] is True


@pytest.mark.parametrize("number", range(1, 9))
def test_one_bit_of_a_record(tampered, number):
    """One bit changed in any record: submit is refused with 5, and show names the session as not verifying."""
    operator, session, _ = tampered
    flip(record_files(operator.path(session))[number - 1])
    operator.submit(5, session)
    assert operator.shown(session)["verifies"] is False


@pytest.mark.parametrize("name", VIEWS)
def test_one_bit_of_a_view(tampered, name):
    """One bit changed in any view: submit is refused with 5, and show names the session as not verifying."""
    operator, session, _ = tampered
    flip(operator.path(session) / f"{name}.json")
    operator.submit(5, session)
    assert operator.shown(session)["verifies"] is False


@pytest.mark.parametrize("name", ["records/0001-broker_order_validate.json", "broker_order_status.json"])
def test_nothing_is_done_on_changed_evidence(tampered, name):
    """Every writing rung is refused with 5; the reports go on for the rest and report it."""
    operator, session, healthy = tampered
    flip(operator.path(session) / name)
    for rung, words in WRITING:
        done = operator.rung(5, rung, session, *words)
        assert "unverified" == done.envelope["outcome"]
        assert name.rpartition("/")[2] in done.out
    is_reported(operator, session, healthy)


@pytest.mark.parametrize(
    "name", ["records/0002-approval.json", "records/0005-broker_submit_attempt.json", "broker_submit_attempt.json"]
)
def test_reads_still_work_marked_unverified(tampered, name):
    """Status, reconcile and fills still ask the venue from a readable attempt, mark what they write, and end with 5."""
    operator, session, _ = tampered
    flip(operator.path(session) / name)
    for rung in READING:
        done = operator.rung(5, rung, session)
        assert "unverified" == done.envelope["outcome"]
        assert done.envelope["data"]["unverified"] is True


def test_lost_attempt_is_never_told_as_nothing_sent(operator):
    """With every trace of a send in the session damaged, no look claims that nothing was sent: 5, and still held."""
    session = operator.gated()
    operator.fault("drop_before_read")
    operator.submit(4, session)
    for name in ("0005-broker_submit_attempt.json", "0006-broker_submit_response.json"):
        (operator.path(session) / "records" / name).write_bytes(b"rubbish")
    for rung in ("status", "reconcile", "fills", "submit-real"):
        done = operator.rung(5, rung, session, *(LIVE if rung == "submit-real" else ()))
        assert "nothing_sent" not in done.refused
    assert 1 == len(operator.interlocks())
    assert "interlock_held" in operator.validate("0.1", code=1).refused
    assert 1 == len(operator.sends())


def test_changed_digit_of_the_size_is_found(tampered):
    """A size changed by a careful hand, in the record and in its view alike, is found by the next record's digest."""
    operator, session, healthy = tampered
    record = record_files(operator.path(session))[0]
    for path in (record, operator.path(session) / "broker_order_validate.json"):
        path.write_bytes(path.read_bytes().replace(b'"size_base":"0.25"', b'"size_base":"0.35"'))
    operator.submit(5, session)
    is_reported(operator, session, healthy)


def test_forged_chain_is_found(tampered):
    """A chain recomputed to its end by a forger verifies in itself and differs from what the ledger saw: 5."""
    operator, session, _ = tampered
    previous = None
    for path in record_files(operator.path(session)):
        document = json.loads(path.read_bytes())
        if previous is None:
            document["actor"] = "somebody else"
        else:
            document["previous_sha256"] = previous
        raw = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        path.write_bytes(raw)
        (operator.path(session) / f"{path.stem.partition('-')[2]}.json").write_bytes(raw)
        previous = hashlib.sha256(raw).hexdigest()
    operator.submit(5, session)
    assert operator.shown(session)["verifies"] is False


def test_removed_record_is_found(tampered):
    """A record taken out of the middle breaks the chain: 5."""
    operator, session, healthy = tampered
    record_files(operator.path(session))[2].unlink()
    operator.submit(5, session)
    is_reported(operator, session, healthy)


def test_added_record_is_found(tampered):
    """A file that is no record of the chain is found: 5."""
    operator, session, _ = tampered
    added = operator.path(session) / "records" / "0009-approval.json"
    added.write_text("{}")
    operator.submit(5, session)
    assert operator.shown(session)["verifies"] is False
    # Taken out again, the session is what it was: looking at the forgery did not make it evidence.
    added.unlink()
    assert operator.shown(session)["verifies"] is True


def test_missing_or_older_view_is_stale_not_tampering(tampered):
    """A view that is missing is computed by readers and replaced by the next writer; nothing is refused."""
    operator, session, _ = tampered
    for name in ("broker_order_validate.json", "session_status.json", "approval.json"):
        (operator.path(session) / name).unlink()
    assert operator.shown(session)["verifies"] is True
    assert not (operator.path(session) / "approval.json").exists()
    operator.submit(0, session)
    record = record_files(operator.path(session))[1]
    assert record.read_bytes() == (operator.path(session) / "approval.json").read_bytes()


def test_unreadable_session_is_reported_and_others_go_on(tampered):
    """Records replaced by rubbish: list, health and alerts end with 0, name the session, and show the other one."""
    operator, session, healthy = tampered
    for path in record_files(operator.path(session)):
        path.write_bytes(b"\x00\xff rubbish")
    operator.must(0, "--broker-order-validations-list", SESSIONS)
    operator.must(0, "--broker-order-validations-index", SESSIONS)
    operator.must(0, "--broker-order-validations-health", SESSIONS)
    assert session.rpartition("/")[2] in {named for _, named in operator.alerts()}
    operator.submit(5, session)
    operator.rung(0, "show", session)
    assert operator.shown(healthy)["verifies"] is True


def test_approved_session_with_a_changed_plan_is_never_sent(tampered):
    """A gated session whose approval was edited is refused at the send; nothing reaches the exchange."""
    operator, _, _ = tampered
    session = operator.gated("0.05")
    record = operator.path(session) / "records" / "0002-approval.json"
    record.write_bytes(record.read_bytes().replace(b"marce", b"maria"))
    operator.submit(5, session)
    assert [] == operator.attempts(session)
    shutil.rmtree(operator.path(session))
