"""Status: the order's state from the venue now, whatever state the session is in; and the late watch."""

from decimal import Decimal
from pathlib import Path

import pytest

from quantlab.evidence.records import StatusReport
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, place, quick_bench

WEEK = 7 * 86_400


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


def test_a_filled_order_is_shown_with_source_and_age(bench: Bench) -> None:
    """Filled: exit 0, the figures, where they come from and how old they are; next the fills."""
    session = bench.submitted()
    result = bench.status(session)
    assert result.outcome == "done"
    assert bench.standing(session).state == "filled"
    facts = {fact.label: fact.value for fact in result.facts}
    assert facts["Filled"] == "0.25 of 0.25"
    assert "read 0 s ago" in facts["Source"]
    assert "Average price" in facts
    assert result.next.verb == "fills"


def test_an_open_order_is_shown_open(bench: Bench) -> None:
    """Resting: open, nothing filled, next supervise."""
    session = bench.resting()
    result = bench.status(session)
    assert bench.standing(session).state == "open"
    assert result.next.verb == "supervise"
    assert "Average price" not in {fact.label for fact in result.facts}


def test_a_canceled_order_says_why(bench: Bench) -> None:
    """Canceled at the venue: the venue's reason is shown."""
    session = bench.resting()
    bench.world.ok("CancelOrder", {"txid": bench.orders()[0]["venue_order_id"]}, profile="other_signer")
    result = bench.status(session)
    assert bench.standing(session).state == "canceled"
    assert ("Reason", "User requested") in [(fact.label, fact.value) for fact in result.facts]


def test_an_accepted_order_that_is_not_read_yet_is_known_by_its_id(bench: Bench) -> None:
    """The venue can not be read: exit 7, and the id that it gave at the send is still shown."""
    session = bench.submitted()
    bench.world.fault("http_error", "QueryOrders", count=9)
    result = bench.status(session)
    assert result.outcome == "unreadable"
    assert codes(result) == ["venue_unreadable"]
    assert any(fact.value.endswith("(not yet read)") for fact in result.facts)
    assert bench.standing(session).state == "landed"


def test_an_accepted_order_that_the_venue_does_not_show_is_exit_7(bench: Bench) -> None:
    """An empty answer about an order that was accepted proves nothing: exit 7, state unchanged."""
    session = bench.submitted()
    bench.world.fault("stale_reads", value=3600)
    result = bench.status(session)
    assert result.outcome == "unreadable"
    assert bench.standing(session).resolution == "landed"


def test_an_older_picture_never_replaces_a_newer_one(bench: Bench) -> None:
    """A stale view shows the order open again after it was filled: the filled one stands, with a warning."""
    bid, ask = bench.world.best()
    del bid
    bench.world.fault("partial_fill", "AddOrder", type="order", value={"fraction": 0.5, "then": "rest"})
    session = bench.submitted(order_type="limit", limit_price=ask, time_in_force="gtc")
    bench.status(session)
    bench.world.pass_seconds(5)
    order_id = bench.orders()[0]["venue_order_id"]
    bench.world.ok("CancelOrder", {"txid": order_id}, profile="other_signer")
    bench.status(session)
    assert bench.standing(session).state == "canceled"
    bench.world.fault("stale_reads", value=3, count=1)
    result = bench.status(session)
    assert result.outcome == "done"
    assert "older picture" in result.warnings[0]
    assert bench.standing(session).state == "canceled"


def test_an_unknown_order_that_shows_is_landed(bench: Bench) -> None:
    """Known by its client id only: status finds it, the session is landed, the account free."""
    session = bench.unknown("drop_after_accept")
    result = bench.status(session)
    assert result.outcome == "done"
    assert bench.standing(session).resolution == "landed"
    assert bench.held() == ()


def test_an_unknown_order_that_does_not_show_stays_unknown(bench: Bench) -> None:
    """Not shown: exit 4, never a not found, also when the read fails."""
    session = bench.unknown("drop_before_read")
    assert bench.status(session).outcome == "unknown"
    bench.world.fault("http_error", "ClosedOrders", count=9)
    result = bench.status(session)
    assert result.outcome == "unknown"
    assert codes(result) == ["venue_unreadable"]
    newest = bench.session(session).chain.newest(StatusReport)
    assert newest.body.read_failure is not None
    assert newest.body.resolution == "unknown"


def test_a_late_find_takes_the_account_back(bench: Bench) -> None:
    """Decided not landed, found afterwards: landed, an incident, interlock held again until a person frees it."""
    session = bench.not_found()
    bench.resolve(session)
    assert bench.held() == ()
    place(bench, session)
    result = bench.status(session)
    assert result.outcome == "done"
    standing = bench.standing(session)
    assert standing.resolution == "landed"
    assert [one.body.code for one in standing.incidents] == ["late_find"]
    assert "landed after all" in result.warnings[0]
    assert [str(session)] == [one.folder for one in bench.held()]
    bench.status(session)
    bench.reconcile(session)
    assert len(bench.held()) == 1
    assert bench.free_interlock().outcome == "done"
    assert bench.held() == ()
    bench.status(session)
    assert bench.held() == ()


def test_a_late_find_waits_for_the_account_when_another_session_holds_it(bench: Bench) -> None:
    """Found late while another send is unresolved: once that one has ended, the next read holds the account."""
    session = bench.not_found()
    bench.resolve(session)
    other = bench.unknown("drop_after_accept", quantity=Decimal("0.2"), notional=Decimal(400))
    place(bench, session)
    bench.status(session)
    assert [str(other)] == [one.folder for one in bench.held()]
    bench.reconcile(other)
    assert bench.held() == ()
    bench.status(session)
    assert [str(session)] == [one.folder for one in bench.held()]


def test_a_rejected_order_that_shows_is_a_late_find_too(bench: Bench) -> None:
    """The venue said no and shows the order all the same: landed, an incident, account held."""
    session = bench.gated()
    error = {"error": "EOrder:Insufficient funds", "after_accept": True}
    bench.world.fault("api_error", "AddOrder", type="order", value=error)
    assert bench.submit(session).outcome == "rejected"
    assert bench.status(session).outcome == "done"
    assert bench.standing(session).resolution == "landed"
    assert len(bench.held()) == 1


@pytest.mark.parametrize(("seconds", "asks"), [(WEEK - 60, True), (WEEK + 60, False)])
def test_the_late_watch_lasts_seven_days(bench: Bench, seconds: int, asks: bool) -> None:
    """Up to seven days after the send every read asks for the client id; after that a settled session asks nothing."""
    session = bench.not_found()
    bench.resolve(session)
    sent_ns = bench.world.driver_ns - 140 * 10**9
    bench.world.driver_ns = sent_ns + seconds * 10**9
    bench.world.kraken.advance()
    before = len(bench.world.requests())
    for look in (bench.status, bench.fills):
        assert look(session).outcome == "done"
    assert asks == any(row["path"].endswith("OpenOrders") for row in bench.world.requests()[before:])


def test_a_never_sent_session_is_watched_by_its_plan(bench: Bench) -> None:
    """Without an attempt record there is still the plan: status asks for its client id."""
    session = bench.gated()
    bench.ask_ledger(lambda ledger: None)
    real = bench.disk.open_new

    def open_new(path, *, mode):
        if "submit_attempt" in path.name:
            raise OSError(28, "full")
        return real(path, mode=mode)

    bench.disk.open_new = open_new
    assert bench.submit(session).outcome == "never_sent"
    bench.disk.open_new = real
    assert bench.status(session).outcome == "done"
    assert bench.standing(session).state == "never_sent"


def test_nothing_sent_no_status(bench: Bench) -> None:
    """A session from which nothing was sent has no status."""
    assert codes(bench.status(bench.validated())) == ["nothing_sent"]


def test_no_environment_no_status(bench: Bench) -> None:
    """Without an environment no venue is asked."""
    session = bench.submitted()
    del bench.environ["QUANTLAB_ENVIRONMENT"]
    del bench.environ["QUANTLAB_KRAKEN_URL"]
    assert codes(bench.status(session)) == ["environment_not_set"]


def test_a_damaged_session_is_read_and_marked(bench: Bench) -> None:
    """Status works from one readable attempt: exit 5, marked unverified, findings named, ledger untouched."""
    session = bench.unknown("drop_after_accept")
    damage(session)
    result = bench.status(session)
    assert result.outcome == "unverified"
    assert "chain_broken" in codes(result)
    newest = bench.session(session).chain.newest(StatusReport).body
    assert newest.unverified
    assert newest.order is not None
    assert len(bench.held()) == 1


def test_a_shortened_session_is_read_and_marked(bench: Bench) -> None:
    """Records missing at the end: the read works, exit 5, and nothing is settled."""
    session = bench.unknown("drop_after_accept")
    newest = sorted((session / "records").iterdir())[-1]
    newest.unlink()
    (session / "broker_submit_response.json").unlink()
    result = bench.status(session)
    assert result.outcome == "unverified"
    assert codes(result) == ["session_shortened"]
    assert len(bench.held()) == 1


def test_a_session_without_its_attempt_is_looked_for_by_what_the_ledger_knows(bench: Bench) -> None:
    """The attempt removed too: the plan was spent, so its client id is asked for."""
    session = bench.unknown("drop_after_accept")
    for newest in sorted((session / "records").iterdir())[-2:]:
        newest.unlink()
    for view in session.glob("broker_submit_[ar]*.json"):
        view.unlink()
    result = bench.status(session)
    assert result.outcome == "unverified"
    assert result.data.order is not None
    assert len(bench.held()) == 1
