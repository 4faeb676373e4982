"""Claims on an account: who holds it, how a dead claim ends, and which intents stand in the way."""

import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import Incident
from quantlab.model.order import plan_digest
from quantlab.rungs import claims
from quantlab.storage.ledger import Interlock
from tests.support.breaking import QuickDisk
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    bench = Bench(tmp_path)
    bench.disk = QuickDisk()
    return bench


@pytest.fixture
def desk(bench: Bench):
    """Return a desk on the bench's folders, its ledger closed at the end."""
    desk = bench.desk()
    yield desk
    desk.ledger.close()


def hold(bench: Bench, session: Path) -> Interlock:
    """Hold the account in the name of a session, as a submit that died before its spend."""
    plan = bench.standing(session).plan
    claim = Interlock(
        account_key=f"kraken:rehearsal:{plan.account_identity}",
        session_id=session.name,
        folder=str(session),
        plan_sha256=plan_digest(plan),
        claimed_at="2026-01-01T00:00:00.000000Z",
    )
    bench.ask_ledger(lambda ledger: ledger.claim_interlock(claim))
    return claim


def test_a_free_account_passes_the_check(bench: Bench, desk) -> None:
    """Nobody holds the account."""
    bench.validated()
    check = claims.interlock_check(desk, "AA00 0000", own_session=None)
    assert check.passed
    assert check.measured == "free"


def test_the_holder_itself_passes_the_check(bench: Bench, desk) -> None:
    """The session that holds the account is not in its own way, and its claim is not touched."""
    session = bench.unknown()
    plan = bench.standing(session).plan
    assert claims.interlock_check(desk, plan.account_identity, own_session=session.name).passed
    assert len(bench.held()) == 1


def test_an_unresolved_session_fails_the_check_by_name(bench: Bench, desk) -> None:
    """Another session holds the account: the check names its folder and says to reconcile it."""
    session = bench.unknown()
    plan = bench.standing(session).plan
    check = claims.interlock_check(desk, plan.account_identity, own_session="another")
    assert not check.passed
    assert f"held by {session}" == check.measured
    assert f"Reconcile {session} first" in check.message


def test_a_dead_claim_is_freed_by_the_check(bench: Bench, desk) -> None:
    """A claim that died before the spend is freed and recorded by the check that meets it."""
    session = bench.gated()
    claim = hold(bench, session)
    plan = bench.standing(session).plan
    assert claims.interlock_check(desk, plan.account_identity, own_session="another").passed
    assert bench.held() == ()
    assert [one.body.code for one in bench.standing(session).incidents] == ["claim_freed"]
    assert claim.session_id == session.name


def test_an_unresolved_holder_is_not_dead(bench: Bench, desk) -> None:
    """A session whose send is unresolved keeps its claim."""
    bench.unknown()
    [holder] = bench.held()
    assert not claims.free_dead_claim(desk, holder)
    assert len(bench.held()) == 1


def test_a_settled_session_that_still_holds_is_freed(bench: Bench, desk) -> None:
    """A claim that outlived a recorded outcome (a command died before it told the ledger) is freed."""
    session = bench.submitted()
    hold(bench, session)
    [holder] = bench.held()
    assert claims.free_dead_claim(desk, holder)
    assert bench.held() == ()


def test_a_late_find_is_not_freed_by_a_machine(bench: Bench, desk) -> None:
    """A claim that a late find took back waits for a person."""
    found_late(bench)
    [holder] = bench.held()
    assert not claims.free_dead_claim(desk, holder)
    assert len(bench.held()) == 1


def found_late(bench: Bench) -> Path:
    """Return a session that was decided not landed, and whose order was found afterwards."""
    session = bench.unknown("late", value=400)
    plan = bench.standing(session).plan
    for seconds in (120, 20):
        bench.world.pass_seconds(seconds)
        bench.reconcile(session)
    assert bench.resolve(session).outcome == "done"
    bench.world.exchange.state.held.clear()
    place(bench, plan)
    assert bench.reconcile(session).outcome == "done"
    return session


def place(bench: Bench, plan, **changes) -> None:
    """Let an order under the plan's client order id appear at the exchange, sent by no command."""
    fields = dict(pair.split("=") for pair in plan.order_text.split("&"))
    bench.world.ok("AddOrder", fields | changes, profile="other_signer")


@pytest.mark.parametrize("harm", ["missing", "damaged", "shortened", "busy", "empty"])
def test_a_claim_that_can_not_be_judged_stays(bench: Bench, desk, harm: str) -> None:
    """Missing, damaged, shortened, emptied or busy: the claim stays."""
    session = bench.gated()
    lock = None
    hold(bench, session)
    records = sorted((session / "records").iterdir())
    if harm == "missing":
        shutil.rmtree(session)
    elif harm == "damaged":
        records[0].write_bytes(records[0].read_bytes() + b" ")
    elif harm == "shortened":
        records[-1].unlink()
        (session / "broker_submit_gate.json").unlink()
    elif harm == "empty":
        for path in records:
            path.unlink()
        for view in session.glob("*.json"):
            view.unlink()
    else:
        lock = bench.disk.lock(session / ".lock")
    [holder] = bench.held()
    assert not claims.free_dead_claim(desk, holder)
    assert len(bench.held()) == 1
    if lock is not None:
        lock.release()


def test_settling_a_session_without_a_plan_does_nothing(bench: Bench, desk) -> None:
    """A denied validation has nothing that the ledger could settle."""
    result = bench.validate(symbol="ZZZ-USD")
    session = bench.root / str(result.session_id)
    assert bench.standing(session).plan is None
    claims.settle(desk, bench.standing(session))
    assert bench.ask_ledger(lambda ledger: ledger.sends()) == ()


def test_a_late_find_without_a_send_takes_nothing_back(bench: Bench, desk) -> None:
    """A late find of a plan that this ledger never spent can not hold an account in it."""
    session = bench.gated()
    plan = bench.standing(session).plan
    with desk.write(session) as writer:
        desk.append(writer, Incident(plan_sha256=plan_digest(plan), code=claims.LATE_FIND, message="found", details=()))
    claims.settle(desk, bench.standing(session))
    assert bench.held() == ()


def test_a_validation_answered_as_an_order_holds_the_account(bench: Bench, desk) -> None:
    """The account is held for the session, and the incident is recorded with the venue's words."""
    session = bench.validated()
    plan = bench.standing(session).plan
    with desk.write(session) as writer:
        claims.hold_for_incident(desk, writer, plan, ("OAAAAA-BBBBB-CCCCCC",))
    [holder] = bench.held()
    assert str(session) == holder.folder
    [incident] = bench.standing(session).incidents
    assert ("OAAAAA-BBBBB-CCCCCC",) == incident.body.details
    assert not claims.free_dead_claim(desk, holder)


def test_without_a_plan_there_is_nothing_to_hold(bench: Bench, desk) -> None:
    """No plan, no account: nothing is recorded or held."""
    session = bench.validated()
    with desk.write(session) as writer:
        claims.hold_for_incident(desk, writer, None, ())
    assert bench.standing(session).incidents == ()
    assert bench.held() == ()


# --------------------------------------------------------------------------------------- the same intent


def blocking(bench: Bench) -> str | None:
    """Return what stands in the way of a second session of the seed's order, if anything."""
    result = bench.validate()
    found = [one for one in result.refusals if one.code == "same_intent"]
    return found[0].measured if found else None


def test_a_live_session_of_the_same_intent_stands_in_the_way(bench: Bench) -> None:
    """Validated and alive: a second one is refused, naming the first."""
    session = bench.validated()
    assert f"{session} (live)" == blocking(bench)


def test_an_order_of_the_same_intent_stands_in_the_way_within_the_window(bench: Bench) -> None:
    """Landed less than a day ago it blocks; a day later it does not."""
    session = bench.submitted()
    assert f"{session} (spent)" == blocking(bench)
    bench.world.pass_seconds(86_400 - 60)
    assert f"{session} (spent)" == blocking(bench)
    bench.world.pass_seconds(120)
    assert blocking(bench) is None


def test_an_unresolved_session_of_the_same_intent_stands_in_the_way_for_ever(bench: Bench) -> None:
    """Unresolved, it blocks also after the window."""
    session = bench.unknown("drop_before_read")
    bench.world.pass_seconds(3 * 86_400)
    assert f"{session} (spent)" == blocking(bench)


@pytest.mark.parametrize("how", ["declined", "rejected", "decided", "never_sent", "gone", "expired"])
def test_an_intent_that_did_not_land_stands_in_nobodys_way(bench: Bench, how: str) -> None:
    """Declined, rejected, decided not landed, never sent, folder gone or expired: a new session may begin."""
    if how == "decided":
        bench.resolve(bench.not_found())
    elif how == "declined":
        bench.run("decline", session=bench.validated(), reviewer="marce", note="too big")
    elif how == "gone":
        shutil.rmtree(bench.validated())
    elif how == "expired":
        bench.validated()
        bench.world.pass_seconds(86_401)
    else:
        session = bench.gated()
        if how == "rejected":
            bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
        else:
            refuse = {"venue": "kraken", "path": "*", "fault": "refuse_connect"}
            bench.on_progress = lambda line: (
                bench.world.control("POST", "/faults", refuse) if "sending once" in line else None
            )
        bench.submit(session)
        bench.on_progress = None
        bench.world.control("DELETE", "/faults")
    assert blocking(bench) is None


def test_a_second_session_is_refused_while_an_account_is_unresolved(bench: Bench) -> None:
    """Another order of the same account is refused at validate and at gate while one is unresolved."""
    other = {"quantity": Decimal("0.2"), "notional": Decimal(400)}
    second = bench.validated(**other)
    bench.approve(second)
    bench.bundle(second)
    bench.unknown("drop_before_read")
    assert codes(bench.gate(second)) == ["interlock_held"]
    assert "interlock_held" in codes(bench.validate(quantity=Decimal("0.3"), notional=Decimal(600)))
    assert msgspec.structs.asdict(bench.held()[0])["folder"] != str(second)
