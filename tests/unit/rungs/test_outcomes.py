"""A submit that is repeated: the recorded outcome again, on the session and on every copy, and nothing sent."""

import shutil
from pathlib import Path

import pytest

from quantlab.rehearsal.kraken_face import Outcome
from quantlab.rehearsal.kraken_wire import success
from quantlab.rehearsal.wire import Answer
from tests.support.breaking import QuickDisk
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    bench = Bench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def requests(bench: Bench) -> int:
    """Count all order requests, whatever became of them."""
    return len([row for row in bench.world.requests() if row["type"] == "order"])


def ended(bench: Bench, kind: str) -> Path:
    """Return the folder of a session whose send ended in one way."""
    if kind == "accepted":
        return bench.submitted()
    if kind == "unknown":
        return bench.unknown()
    if kind == "decided":
        session = bench.not_found()
        bench.resolve(session)
        return session
    if kind == "not_found":
        return bench.not_found()
    if kind == "landed":
        session = bench.unknown()
        bench.reconcile(session)
        return session
    session = bench.gated()
    if kind == "rejected":
        bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
    else:
        refuse = {"venue": "kraken", "path": "*", "fault": "refuse_connect"}
        bench.on_progress = lambda line: (
            bench.world.control("POST", "/faults", refuse) if "sending once" in line else None
        )
    bench.submit(session)
    bench.on_progress = None
    bench.world.control("DELETE", "/faults")
    return session


WAYS = [
    ("accepted", "done"),
    ("unknown", "unknown"),
    ("not_found", "unknown"),
    ("landed", "done"),
    ("decided", "done"),
    ("rejected", "rejected"),
    ("never_sent", "never_sent"),
]


@pytest.mark.parametrize(("kind", "outcome"), WAYS)
def test_submit_again_says_what_was_recorded(bench: Bench, kind: str, outcome: str) -> None:
    """Every outcome is repeated with its exit code, and no request is made."""
    session = ended(bench, kind)
    before = requests(bench)
    result = bench.submit(session)
    assert outcome == result.outcome
    assert before == requests(bench)
    if kind == "accepted":
        assert ("Venue order id", bench.orders()[0]["venue_order_id"]) in [(f.label, f.value) for f in result.facts]


@pytest.mark.parametrize(("kind", "outcome"), WAYS)
@pytest.mark.parametrize("older", [False, True])
def test_a_copy_says_what_was_recorded_in_the_original(bench: Bench, kind: str, outcome: str, older: bool) -> None:
    """A copy in another root, made after the send or before it, repeats the original's outcome and sends nothing."""
    session = ended(bench, kind)
    copy = bench.folder / "outputs" / "elsewhere" / session.name
    shutil.copytree(session, copy)
    if older:
        for record in (copy / "records").iterdir():
            if int(record.name[:4]) > 4:
                record.unlink()
        for view in copy.glob("*.json"):
            view.unlink()
    before = requests(bench)
    result = bench.submit(copy)
    assert outcome == result.outcome
    assert ("First session", str(session)) in [(fact.label, fact.value) for fact in result.facts]
    assert before == requests(bench)


@pytest.mark.parametrize(("kind", "outcome"), WAYS)
@pytest.mark.parametrize("harm", ["gone", "damaged"])
@pytest.mark.parametrize("older", [False, True])
def test_a_copy_answers_when_the_original_is_lost(
    bench: Bench, kind: str, outcome: str, harm: str, older: bool
) -> None:
    """With the original gone or damaged, the copy's own records or else the ledger answer; nothing is sent."""
    session = ended(bench, kind)
    copy = bench.folder / "outputs" / "elsewhere" / session.name
    shutil.copytree(session, copy)
    if older:
        for record in (copy / "records").iterdir():
            if int(record.name[:4]) > 4:
                record.unlink()
        for view in copy.glob("*.json"):
            view.unlink()
    if harm == "gone":
        shutil.rmtree(session)
    else:
        record = next((session / "records").glob("0001-*"))
        record.write_bytes(record.read_bytes() + b" ")
    before = requests(bench)
    result = bench.submit(copy)
    assert outcome == result.outcome
    assert before == requests(bench)
    if older:
        assert "can not be read" in result.headline
        assert [str(session)] == list(result.next.arguments)


def test_a_session_shortened_by_its_newest_records_is_unverified(bench: Bench) -> None:
    """Outcome and attempt removed from the session itself: exit 5, nothing sent."""
    session = bench.submitted()
    for record in (session / "records").iterdir():
        if int(record.name[:4]) > 4:
            record.unlink()
    for view in session.glob("broker_submit_[ar]*.json"):
        view.unlink()
    result = bench.submit(session)
    assert result.outcome == "unverified"
    assert codes(result) == ["session_shortened"]
    assert requests(bench) == 1


def test_a_session_restored_from_before_the_send_is_unverified(bench: Bench) -> None:
    """A backup taken before the submit and put back in its place sends nothing: exit 5."""
    session = bench.gated()
    backup = bench.folder / "backup"
    shutil.copytree(session, backup)
    bench.submit(session)
    shutil.rmtree(session)
    shutil.copytree(backup, session)
    result = bench.submit(session)
    assert result.outcome == "unverified"
    assert requests(bench) == 1


def test_a_damaged_session_repeats_nothing(bench: Bench) -> None:
    """One byte changed: exit 5, with the file named, and the way to see more."""
    session = bench.submitted()
    record = next((session / "records").glob("*-approval.json"))
    record.write_bytes(record.read_bytes().replace(b"seen", b"SEEN"))
    result = bench.submit(session)
    assert result.outcome == "unverified"
    assert result.next.verb == "show"
    assert requests(bench) == 1


def test_a_validation_that_was_denied_has_nothing_to_repeat(bench: Bench) -> None:
    """A session without a plan was never sent and may not be."""
    result = bench.validate(symbol="ZZZ-USD")
    session = bench.root / str(result.session_id)
    assert bench.standing(session).plan is None
    assert codes(bench.submit(session)) == ["submit_not_allowed"]


def test_a_validation_answered_as_an_order_is_repeated_as_unknown(bench: Bench) -> None:
    """A validate-only request that was answered with an order id: submit says unknown, and sends nothing."""
    session = answered_as_order(bench)
    result = bench.submit(session)
    assert result.outcome == "unknown"
    assert requests(bench) == 0


def answered_as_order(bench: Bench) -> Path:
    """Return a session whose validate-only request was answered as if an order had been placed."""
    real = bench.world.kraken.process

    def process(request, claim, at_ns=None):
        if request.path.endswith("AddOrder"):
            return Outcome(
                answer=Answer(body=success({"txid": ["OAAAAA-BBBBB-CCCCCC"], "descr": {"order": "buy"}})), note="ok"
            )
        return real(request, claim, at_ns)

    bench.world.kraken.process = process
    result = bench.validate()
    bench.world.kraken.process = real
    return bench.root / str(result.session_id)
