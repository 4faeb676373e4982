"""What a send claims and checks in the ledger."""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from quantlab.rungs import sending
from tests.support.breaking import Breaker, Killed, QuickDisk, break_bench, mend_bench
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    bench = Bench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def kill_at(bench: Bench, session: Path, effect: str) -> None:
    """Kill a submit at the first effect of one name."""

    class AtEffect(Breaker):
        def meet(self, name: str) -> None:
            if self.broken or name.startswith(effect):
                self.broken = True
                raise Killed

    break_bench(bench, AtEffect(0, Killed(), kinds=()))
    with pytest.raises(Killed):
        bench.submit(session)
    mend_bench(bench)


def two_gated(bench: Bench) -> tuple[Path, Path]:
    """Return two gated sessions of one account."""
    return bench.gated(), bench.gated(quantity=Decimal("0.2"), notional=Decimal(400))


def test_a_claim_that_died_before_the_spend_is_freed_by_its_own_session(bench: Bench) -> None:
    """Killed between claim and spend: submit again records the freed claim and sends."""
    session = bench.gated()
    kill_at(bench, session, "ledger.spend")
    assert len(bench.held()) == 1
    assert bench.submit(session).outcome == "done"
    assert [one.body.code for one in bench.standing(session).incidents] == ["claim_freed"]
    assert len(bench.orders()) == 1


def test_a_claim_that_died_before_the_spend_is_freed_by_another_session(bench: Bench) -> None:
    """The same, met by a second session of the account: it is freed, recorded in the first, and the second sends."""
    first, second = two_gated(bench)
    kill_at(bench, first, "ledger.spend")
    assert bench.submit(second).outcome == "done"
    assert [one.body.code for one in bench.standing(first).incidents] == ["claim_freed"]
    assert bench.standing(first).state == "gated"


@pytest.mark.parametrize("own", [True, False])
def test_a_claim_that_died_after_the_spend_is_recorded_as_never_sent(bench: Bench, own: bool) -> None:
    """Killed between spend and attempt: whoever meets it records never_sent; the plan is never sent."""
    first, second = two_gated(bench)
    kill_at(bench, first, "disk.open_new .tmp-")
    if own:
        assert bench.submit(first).outcome == "never_sent"
        assert bench.held() == ()
    else:
        assert bench.submit(second).outcome == "done"
    assert bench.standing(first).state == "never_sent"
    assert bench.standing(first).response.body.attempt_sha256 is None
    assert bench.submit(first).outcome == "never_sent"
    assert (0 if own else 1) == len(bench.orders())


def test_a_claim_whose_attempt_is_durable_keeps_the_account(bench: Bench) -> None:
    """Killed after the attempt: the second session is refused and the first is unknown."""
    first, second = two_gated(bench)
    kill_at(bench, first, "disk.rename broker_submit_attempt")
    result = bench.submit(second)
    assert codes(result) == ["interlock_held"]
    assert bench.submit(first).outcome == "unknown"
    assert result.next.verb == "reconcile"


@pytest.mark.parametrize("harm", ["missing", "damaged", "busy", "emptied"])
def test_a_claim_whose_session_can_not_be_read_keeps_the_account(bench: Bench, harm: str) -> None:
    """A dead claim of a session that is missing, damaged, emptied or in use is never freed by a machine."""
    first, second = two_gated(bench)
    kill_at(bench, first, "ledger.spend")
    lock = None
    if harm == "missing":
        shutil.rmtree(first)
    elif harm == "damaged":
        record = next((first / "records").glob("0001-*"))
        record.write_bytes(record.read_bytes().replace(b"0.25", b"0.26"))
    elif harm == "emptied":
        for record in (first / "records").iterdir():
            record.unlink()
    else:
        lock = bench.disk.lock(first / ".lock")
    assert codes(bench.submit(second)) == ["interlock_held"]
    assert len(bench.held()) == 1
    if lock is not None:
        lock.release()


def test_a_gated_copy_is_sent_from_no_other_folder(bench: Bench) -> None:
    """A gated copy in another root is refused, whoever holds the claim; the original is sent, once."""
    session = bench.gated()
    copy = bench.folder / "outputs" / "elsewhere" / session.name
    kill_at(bench, session, "ledger.spend")
    shutil.copytree(session, copy)
    result = bench.submit(copy)
    assert codes(result) == ["session_is_a_copy"]
    assert [str(session)] == list(result.next.arguments)
    assert bench.orders() == []
    assert bench.submit(session).outcome == "done"
    assert len(bench.orders()) == 1


def test_a_gated_session_that_was_moved_is_sent(bench: Bench) -> None:
    """Moved as a whole to another root, the session is the only one of its kind, and is sent once."""
    session = bench.gated()
    moved = bench.folder / "outputs" / "elsewhere" / session.name
    moved.parent.mkdir()
    session.rename(moved)
    assert bench.submit(moved).outcome == "done"
    assert len(bench.orders()) == 1


def test_a_copy_does_not_take_the_claim_of_its_own_name(bench: Bench) -> None:
    """The original's dead claim, met by a moved copy once the original is gone, stays until a person frees it."""
    session = bench.gated()
    kill_at(bench, session, "ledger.spend")
    moved = bench.folder / "outputs" / "elsewhere" / session.name
    moved.parent.mkdir()
    session.rename(moved)
    assert codes(bench.submit(moved)) == ["interlock_held"]
    assert bench.free_interlock().outcome == "done"
    assert bench.submit(moved).outcome == "done"
    assert len(bench.orders()) == 1


def test_another_state_folder_sends_nothing(bench: Bench) -> None:
    """Under another ledger, which does not know the session's claims, the send is refused."""
    session = bench.gated()
    bench.environ["QUANTLAB_STATE_DIR"] = str(bench.folder / "other-state")
    bench.world.pass_seconds(1)
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert "ledger_same" in codes(result)
    assert bench.orders() == []


def test_an_attempt_that_the_ledger_does_not_know_stops_every_send_of_the_root(bench: Bench) -> None:
    """A foreign attempt in the root, readable or not: the send is refused until the ledger is rebuilt."""
    sent = bench.submitted()
    other = bench.gated(quantity=Decimal("0.2"), notional=Decimal(400))
    strange = bench.root / "strange" / "records"
    strange.mkdir(parents=True)
    for name, data in (
        ("0001-broker_submit_attempt.json", b'{"plan_sha256":"00"}'),
        ("0002-broker_submit_attempt.json", b"torn"),
        ("0003-broker_submit_attempt.json", b'{"plan_sha256":"\xff\xfe"}'),
        ("0004-broker_submit_attempt.json", b"[" * 100_000),
    ):
        (strange / name).write_bytes(data)
    desk = bench.desk()
    unknown = sending.unknown_attempts(desk, bench.root)
    desk.ledger.close()
    assert [f"000{number}-broker_submit_attempt.json" for number in (1, 2, 3, 4)] == [path.name for path in unknown]
    result = bench.submit(other)
    assert result.outcome == "denied"
    assert "ledger_complete" in codes(result)
    assert sent.exists()
    assert len(bench.orders()) == 1


def test_a_spend_claims_todays_budget_in_the_accounts_name(bench: Bench) -> None:
    """What is spent carries day, notional and limits of the policy."""
    session = bench.submitted()
    [sent] = bench.ask_ledger(lambda ledger: ledger.sends())
    plan = bench.standing(session).plan
    assert Decimal(plan.notional_quote) == sent.notional_quote
    assert plan.client_order_id == sent.client_order_id
    assert str(session) == sent.folder
    day = sent.spent_at[:10]
    assert (1, sent.notional_quote) == bench.ask_ledger(lambda ledger: ledger.daily(sent.account_key, day))
