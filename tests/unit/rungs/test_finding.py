"""Looking for one order: what is sought, and what a search pass says."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import SubmitAttempt
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import Denied
from quantlab.rungs import finding
from tests.support.virtual import Bench
from tests.unit.rungs.looking import place, quick_bench
from tests.unit.rungs.test_outcomes import answered_as_order


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


@pytest.fixture
def desk(bench: Bench):
    """Return a desk on the bench's folders, its ledger closed at the end."""
    desk = bench.desk()
    yield desk
    desk.ledger.close()


def sought(bench: Bench, session: Path):
    """Return what is looked for in a session."""
    return finding.sought_of(bench.session(session).chain, bench.standing(session))


def test_an_attempt_says_what_is_sought(bench: Bench) -> None:
    """Plan, times on the venue's clock, submitting key, control and snapshot come from the attempt."""
    session = bench.unknown()
    attempt = bench.standing(session).attempt
    found = sought(bench, session)
    assert found.plan == attempt.body.plan
    assert found.attempt_sha256 == attempt.sha256
    assert found.attempted_at == parse_rfc3339(attempt.body.venue_now_at)
    assert found.deadline_at == parse_rfc3339(attempt.body.deadline_at)
    assert found.signer_id == attempt.body.signer_id
    assert found.control == attempt.body.snapshot.control_order


def test_an_attempt_without_a_deadline_has_one_a_minute_later(bench: Bench) -> None:
    """Where the venue takes no deadline, a minute stands in its place."""
    session = bench.unknown()
    chain = bench.session(session).chain
    records = tuple(
        msgspec.structs.replace(one, body=msgspec.structs.replace(one.body, deadline_at=None))
        if isinstance(one.body, SubmitAttempt)
        else one
        for one in chain.records
    )
    found = finding.sought_of(msgspec.structs.replace(chain, records=records), bench.standing(session))
    assert found.deadline_at == found.attempted_at + timedelta(seconds=finding.FALLBACK_DEADLINE_SECONDS)


def test_a_validation_answered_as_an_order_is_sought_by_its_plan(bench: Bench) -> None:
    """No attempt: the plan, from its making on, without control, snapshot or key."""
    session = answered_as_order(bench)
    found = sought(bench, session)
    assert found.plan == bench.standing(session).plan
    assert found.signer_id is None
    assert found.control is None
    assert bench.reconcile(session).outcome == "unknown"


@pytest.mark.parametrize("kind", ["validated", "denied"])
def test_nothing_sent_nothing_sought(bench: Bench, kind: str) -> None:
    """A session that was never sent seeks nothing, with a plan or without, and asking for it is refused."""
    result = bench.validate() if kind == "validated" else bench.validate(symbol="ZZZ-USD")
    session = bench.root / str(result.session_id)
    assert (bench.standing(session).plan is None) == (kind == "denied")
    assert sought(bench, session) is None
    with pytest.raises(Denied) as caught:
        finding.require_sent(None, bench.standing(session))
    assert caught.value.code == "nothing_sent"


def test_an_order_is_named_once_whichever_views_show_it(bench: Bench, desk) -> None:
    """Filtered and unfiltered views show the same order: one match."""
    session = bench.unknown("drop_after_accept")
    bench.world.pass_seconds(100)
    found = finding.full_pass(desk, sought(bench, session))
    assert [bench.orders()[0]["venue_order_id"]] == [one.venue_order_id for one in found.matches]
    assert found.control_found is True
    assert found.suspicious == ()
    assert found.clean


def test_a_control_without_a_time_widens_no_window(bench: Bench, desk) -> None:
    """A control that carries no opening time is looked for in the order's own window."""
    session = bench.unknown("drop_before_read")
    wanted = sought(bench, session)
    wanted = msgspec.structs.replace(wanted, control=msgspec.structs.replace(wanted.control, opened_at=None))
    assert finding.full_pass(desk, wanted).control_found is False


def test_a_key_that_is_busy_makes_the_pass_unclean(bench: Bench, desk) -> None:
    """Another process keeps the key: the pass says so and proves nothing."""
    session = bench.unknown("drop_before_read")
    [lock_file] = (bench.folder / "state" / "keys").iterdir()
    lock = bench.disk.lock(lock_file)
    found = finding.quick_pass(desk, sought(bench, session))
    lock.release()
    assert not found.clean
    assert not found.fence_set


def test_an_incident_is_noted_once(bench: Bench, desk) -> None:
    """The same incident again adds no record; another message does."""
    session = bench.unknown("drop_before_read")
    with desk.write(session) as writer:
        for message in ("one", "one", "two"):
            finding.note_incident(desk, writer, plan_sha256="0" * 64, code="mismatch", message=message)
        assert ["one", "two"] == [
            one.body.message for one in bench.session(session).chain.records if one.name == "incident"
        ]


def test_a_known_order_is_read_by_its_id_and_an_unknown_one_by_ours(bench: Bench, desk) -> None:
    """By the venue's id when it is known; by the client id when exactly one order equals the plan."""
    session = bench.unknown("drop_after_accept")
    standing, wanted = bench.standing(session), sought(bench, session)
    own = bench.orders()[0]["venue_order_id"]
    assert own == finding.read_known_order(desk, standing, wanted).venue_order_id
    bench.status(session)
    assert own == finding.read_known_order(desk, bench.standing(session), wanted).venue_order_id
    place(bench, session)
    assert finding.read_known_order(desk, standing, wanted) is None
