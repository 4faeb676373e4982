"""Reconcile: proof of what became of a send, by the protocol's rules at their limits. It only reads."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import Reconciliation
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.model.reconciliation import ProofTerms, judge, mismatches_of
from quantlab.rungs.corridors import KRAKEN
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, go_to, last, place, quick_bench

SETTLED_MS = 65_000


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


def test_an_order_that_landed_is_proven_at_once(bench: Bench) -> None:
    """Answer lost after the order landed: the first look proves it, exit 0, interlock free, no order sent."""
    session = bench.unknown("drop_after_accept")
    result = bench.reconcile(session)
    assert result.outcome == "done"
    assert result.headline == "Proven: the order landed."
    assert last(bench, session).resolution == "landed"
    assert len(bench.orders()) == 1
    assert bench.held() == ()
    assert [False] == [one.full for one in last(bench, session).passes]


def test_an_order_that_lands_late_is_proven_when_it_shows(bench: Bench) -> None:
    """Executed three seconds after the send, inside its deadline: unknown first, then landed."""
    session = bench.unknown("late", value=3)
    bench.world.fault("nonce_window", value=10**11)
    assert bench.reconcile(session).outcome == "unknown"
    bench.world.pass_seconds(4)
    assert bench.reconcile(session).outcome == "done"
    assert len(bench.orders()) == 1


def test_a_look_shuts_the_door_on_a_delayed_copy(bench: Bench) -> None:
    """A read of the submitting key carries a higher nonce: the copy that comes later is refused by the venue."""
    session = bench.unknown("late", value=3)
    bench.reconcile(session)
    bench.world.pass_seconds(4)
    assert bench.reconcile(session).outcome == "unknown"
    assert last(bench, session).passes[-1].fence_set
    assert bench.orders() == []


def test_an_order_that_landed_late_before_the_first_look_is_proven(bench: Bench) -> None:
    """Executed late and looked for only afterwards: landed at once."""
    session = bench.unknown("late", value=3)
    bench.world.pass_seconds(4)
    assert bench.reconcile(session).outcome == "done"
    assert len(bench.orders()) == 1


def test_an_order_that_comes_after_its_deadline_is_not_found(bench: Bench) -> None:
    """Executed after its deadline, the venue refuses it: the protocol ends in not_found, exit 4."""
    session = bench.unknown("late", value=30)
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.reconcile(session)
    bench.world.pass_seconds(15)
    result = bench.reconcile(session)
    assert result.outcome == "unknown"
    assert result.next.verb == "resolve"
    assert bench.standing(session).state == "not_found"
    assert last(bench, session).assumptions == KRAKEN.absence_rests_on
    assert bench.orders() == []
    assert len(bench.held()) == 1


def test_before_the_settle_time_no_full_pass_is_made(bench: Bench) -> None:
    """One second before deadline, margin and settle time have passed: a quick look, and when to look again."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS - 1_000)
    result = bench.reconcile(session)
    body = last(bench, session)
    assert [False] == [one.full for one in body.passes]
    assert body.reasons == ("deadline_or_settle_time_not_passed",)
    deadline = parse_rfc3339(bench.standing(session).attempt.body.deadline_at)
    assert body.earliest_next_at == rfc3339(ProofTerms(deadline_at=deadline, settle_seconds=60).counting_from)
    assert result.outcome == "unknown"


def test_from_the_settle_time_on_a_full_pass_is_made(bench: Bench) -> None:
    """Exactly when the settle time has passed on the venue's clock, the first full pass is made and counts."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS)
    bench.reconcile(session)
    body = last(bench, session)
    # The venue tells its time in whole seconds: what it shows may lie up to one second back.
    if not body.passes[-1].full:
        bench.world.pass_seconds(1)
        bench.reconcile(session)
        body = last(bench, session)
    assert body.passes[-1].full
    assert body.reasons == ("two_clean_passes_needed",)


@pytest.mark.parametrize(("gap", "state"), [(13, "unresolved"), (15, "not_found")])
def test_two_passes_need_their_distance(bench: Bench, gap: int, state: str) -> None:
    """Thirteen seconds apart is one pass; fifteen seconds apart are two."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.reconcile(session)
    bench.world.pass_seconds(gap)
    bench.reconcile(session)
    assert state == bench.standing(session).state


def test_passes_count_across_runs_and_a_failed_one_between_them_does_not_matter(bench: Bench) -> None:
    """Clean, failed, clean: the two clean ones count together."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.reconcile(session)
    bench.world.fault("http_error", "OpenOrders")
    bench.world.pass_seconds(16)
    assert bench.reconcile(session).outcome == "unknown"
    assert "reads_failed" in last(bench, session).reasons
    bench.world.pass_seconds(1)
    bench.reconcile(session)
    assert bench.standing(session).state == "not_found"
    assert len(bench.session(session).chain.all(Reconciliation)) == 3


@pytest.mark.parametrize("path", ["OpenOrders", "ClosedOrders", "TradesHistory", "BalanceEx", "SystemStatus", "Time"])
def test_a_read_that_fails_is_never_absence(bench: Bench, path: str) -> None:
    """Any one view unreadable in every pass: unknown for ever, exit 4, with the reason."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.world.fault("http_error", path, count=0)
    for _ in range(3):
        result = bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert result.outcome == "unknown"
    assert bench.standing(session).state == "unresolved"
    assert "reads_failed" in last(bench, session).reasons
    assert last(bench, session).passes[-1].failures


def test_an_account_without_an_earlier_order_stays_unknown(tmp_path: Path) -> None:
    """No positive control: unknown with that reason, and a person may decide."""
    bench = quick_bench(tmp_path, profile="newcomer")
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    for _ in range(3):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert "no_positive_control" in last(bench, session).reasons
    assert bench.standing(session).state == "unresolved"
    assert bench.resolve(session).outcome == "done"


def test_a_control_that_is_not_found_makes_the_search_worthless(bench: Bench) -> None:
    """The unfiltered search no longer shows the known earlier order: unknown."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.alterations["read_closed_orders"] = lambda orders: ()
    for _ in range(3):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert "positive_control_not_found" in last(bench, session).reasons
    assert bench.standing(session).state == "unresolved"


def test_another_key_of_the_account_sets_no_fence(bench: Bench) -> None:
    """Reads with another key do not shut the door on a delayed copy: unknown, with that reason."""
    session = bench.unknown("drop_before_read")
    bench.use_profile("other_signer")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    for _ in range(3):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert last(bench, session).reasons == ("nonce_fence_missing", "two_clean_passes_needed")
    assert bench.standing(session).state == "unresolved"


def test_a_venue_that_is_not_online_proves_nothing(bench: Bench) -> None:
    """In post-only mode the passes do not count."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.world.fault("system_status", value="post_only")
    for _ in range(3):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert "venue_not_online" in last(bench, session).reasons
    assert bench.standing(session).state == "unresolved"


def test_a_balance_that_moved_without_a_fill_is_a_doubt(bench: Bench) -> None:
    """The base balance changed and no fill explains it: unknown, with that reason."""
    session = bench.unknown("drop_before_read")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    bench.alterations["read_balances"] = lambda found: tuple(
        msgspec.structs.replace(one, total=one.total + 1) if one.asset == "ETH" else one for one in found
    )
    for _ in range(3):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert "account_changed_as_if_filled" in last(bench, session).reasons
    assert bench.standing(session).state == "unresolved"
    assert any("ETH was" in text for text in last(bench, session).passes[-1].suspicious)


def test_a_fill_of_an_order_that_no_view_shows_is_a_doubt(bench: Bench) -> None:
    """A fill after the send whose order is in no list: unknown, with that reason."""
    session = bench.unknown("drop_after_accept")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    own = bench.orders()[0]["venue_order_id"]
    hide = lambda orders: tuple(one for one in orders if one.venue_order_id != own)  # noqa: E731
    bench.alterations |= {"read_closed_orders": hide, "read_open_orders": hide}
    for _ in range(3):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert bench.standing(session).state == "unresolved"
    assert any(own in text for text in last(bench, session).passes[-1].suspicious)


def test_foreign_orders_are_listed_and_do_not_hinder(bench: Bench) -> None:
    """Somebody else's order on the account since the send: listed, and not_found is reached all the same."""
    session = bench.unknown("drop_before_read")
    bench.world.ok(
        "AddOrder",
        {"ordertype": "limit", "type": "buy", "volume": "0.01", "pair": "ETHUSD", "price": "1500.00"},
        profile="other_signer",
    )
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    for _ in range(2):
        bench.reconcile(session)
        bench.world.pass_seconds(20)
    assert bench.standing(session).state == "not_found"
    [text] = last(bench, session).passes[-1].foreign_changes
    assert "buy 0.01" in text


def test_two_orders_under_one_id_are_an_incident_and_stay_unknown(bench: Bench) -> None:
    """Two orders carry our id: never landed, never not_found; recorded once, exit 4, account held."""
    session = bench.unknown("drop_after_accept")
    place(bench, session)
    assert len(bench.orders()) == 2
    for _ in range(2):
        result = bench.reconcile(session)
        assert result.outcome == "unknown"
        assert last(bench, session).reasons == ("more_than_one_match",)
    standing = bench.standing(session)
    assert [one.body.code for one in standing.incidents] == ["mismatch"]
    assert standing.state == "unresolved"
    assert len(bench.held()) == 1
    assert bench.status(session).outcome == "unknown"
    assert bench.standing(session).state == "unresolved"


@pytest.mark.parametrize("changes", [{"volume": "0.26"}, {"type": "sell", "price": "2300.00"}])
def test_an_order_that_differs_from_the_plan_is_an_incident_and_stays_unknown(bench: Bench, changes) -> None:
    """One order carries our id but another size or side: unknown, an incident, account held."""
    session = bench.unknown("drop_before_read")
    place(bench, session, **changes)
    result = bench.reconcile(session)
    assert result.outcome == "unknown"
    assert last(bench, session).reasons == ("match_differs_from_plan",)
    assert bench.status(session).outcome == "unknown"
    assert bench.standing(session).state == "unresolved"
    assert len(bench.held()) == 1


def test_a_differing_order_found_by_the_full_pass_is_an_incident_too(bench: Bench) -> None:
    """The filter hides it and the unfiltered list shows it: it counts all the same."""
    session = bench.unknown("drop_before_read")
    place(bench, session, volume="0.26")
    go_to(bench, session, after_deadline_ms=SETTLED_MS + 1_000)
    real = bench.desk

    def desk(environ=None):
        made = real(environ)
        reads = made.side.reads
        for name in ("read_closed_orders", "read_open_orders"):
            whole = getattr(reads, name)
            setattr(
                reads,
                name,
                lambda whole=whole, **fields: () if fields.get("client_order_id") else whole(**fields),
            )
        return made

    bench.desk = desk
    assert bench.reconcile(session).outcome == "unknown"
    assert last(bench, session).passes[-1].full
    assert last(bench, session).reasons == ("match_differs_from_plan",)


def test_a_known_state_is_never_turned_back(bench: Bench) -> None:
    """The order is hidden by stale reads afterwards: it stays landed; exit 7 says that it could not be seen now."""
    session = bench.unknown("drop_after_accept")
    bench.reconcile(session)
    before = bench.standing(session)
    bench.world.fault("stale_reads", value=3600)
    result = bench.reconcile(session)
    assert result.outcome == "unreadable"
    assert codes(result) == ["venue_unreadable"]
    after = bench.standing(session)
    assert before.state == after.state
    assert before.order == after.order
    assert last(bench, session).resolution == "landed"


def test_a_known_state_with_a_failed_read_is_exit_7(bench: Bench) -> None:
    """The venue can not be read now, the state is known: exit 7, state unchanged."""
    session = bench.submitted()
    bench.world.fault("http_error", "*", count=0)
    result = bench.reconcile(session)
    assert result.outcome == "unreadable"
    assert bench.standing(session).resolution == "landed"


def test_a_rejected_order_stands_as_rejected(bench: Bench) -> None:
    """Reconciling a rejected order proves nothing new: exit 0, state rejected."""
    session = bench.gated()
    bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
    bench.submit(session)
    result = bench.reconcile(session)
    assert result.outcome == "done"
    assert result.headline == "The session stands as rejected."
    assert last(bench, session).resolution == "rejected"


def test_waiting_finds_a_late_order_in_one_run(bench: Bench) -> None:
    """``--wait`` looks again until the order shows."""
    session = bench.unknown("late", value=4)
    bench.world.fault("nonce_window", value=10**11)
    result = bench.reconcile(session, wait_seconds=120)
    assert result.outcome == "done"
    assert len(bench.orders()) == 1


def test_waiting_ends_at_its_bound(bench: Bench) -> None:
    """Without proof ``--wait`` ends when its seconds are over, exit 4."""
    session = bench.unknown("drop_before_read")
    begin_ns = bench.world.driver_ns
    result = bench.reconcile(session, wait_seconds=30)
    assert result.outcome == "unknown"
    assert 30 <= (bench.world.driver_ns - begin_ns) / 10**9 < 40


def test_waiting_long_enough_makes_the_whole_protocol(bench: Bench) -> None:
    """Two hundred seconds hold both passes; not_found is not proof, so the wait goes on to its end."""
    session = bench.unknown("drop_before_read")
    assert bench.reconcile(session, wait_seconds=200).outcome == "unknown"
    assert bench.standing(session).state == "not_found"


def test_waiting_on_an_incident_has_no_earliest_time(bench: Bench) -> None:
    """Nothing that time brings ends an incident: the wait looks again each second within its bound."""
    session = bench.unknown("drop_after_accept")
    place(bench, session)
    assert bench.reconcile(session, wait_seconds=2).outcome == "unknown"
    assert len(bench.session(session).chain.all(Reconciliation)) >= 2


def test_nothing_sent_nothing_to_reconcile(bench: Bench) -> None:
    """A gated session has nothing to look for."""
    result = bench.reconcile(bench.gated())
    assert result.outcome == "denied"
    assert codes(result) == ["nothing_sent"]


def test_a_damaged_session_is_reconciled_from_its_attempt(bench: Bench) -> None:
    """One byte changed elsewhere: the order is found and recorded, marked unverified; exit 5, interlock untouched."""
    session = bench.unknown("drop_after_accept")
    damage(session)
    result = bench.reconcile(session)
    assert result.outcome == "unverified"
    assert "does not verify" in result.headline
    body = last(bench, session)
    assert body.unverified
    assert body.resolution == "landed"
    assert len(bench.held()) == 1


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("venue_symbol", "XXBTZUSD", "market"),
        ("side", "sell", "side"),
        ("size_base", Decimal("0.2501"), "size"),
        ("order_type", "stop-loss", "type"),
        ("limit_price", None, "limit price"),
        ("limit_price", Decimal(1), "limit price"),
        ("opened_at", -121, "opened at"),
    ],
)
def test_each_difference_from_the_plan_is_an_incident(bench: Bench, name: str, change, word: str) -> None:
    """Market, side, size, type, price or time differs: never ours, unknown, and named in the incident."""
    session = bench.unknown("drop_after_accept")
    sent_at = parse_rfc3339(bench.standing(session).attempt.body.venue_now_at)
    value = sent_at + timedelta(seconds=change) if name == "opened_at" else change

    def differing(orders):
        return tuple(msgspec.structs.replace(one, **{name: value}) for one in orders)

    bench.alterations |= {"read_open_orders": differing, "read_closed_orders": differing}
    assert bench.reconcile(session).outcome == "unknown"
    [incident] = bench.standing(session).incidents
    assert word in incident.body.message


def test_an_order_opened_just_inside_the_window_is_ours(bench: Bench) -> None:
    """Opened exactly 120 seconds before the attempt by the venue's clock: still ours."""
    session = bench.unknown("drop_after_accept")
    sent_at = parse_rfc3339(bench.standing(session).attempt.body.venue_now_at)

    def early(orders):
        return tuple(msgspec.structs.replace(one, opened_at=sent_at - timedelta(seconds=120)) for one in orders)

    bench.alterations |= {"read_open_orders": early, "read_closed_orders": early}
    assert bench.reconcile(session).outcome == "done"


def test_an_id_that_is_not_ours_is_a_difference(bench: Bench) -> None:
    """An order that a view shows under another client order id is never the plan's."""
    session = bench.submitted()
    bench.status(session)
    standing = bench.standing(session)
    other = msgspec.structs.replace(standing.order, client_order_id="0" * 32)
    attempted_at = parse_rfc3339(standing.attempt.body.venue_now_at)
    [text] = mismatches_of(standing.plan, other, attempted_at=attempted_at)
    assert text.startswith("client order id")


def test_two_passes_that_lie_too_close_are_said_to(bench: Bench) -> None:
    """Two whole clean passes ten seconds apart prove nothing yet, and the reason says why."""
    session = bench.not_found()
    passes = [one for record in bench.session(session).chain.all(Reconciliation) for one in record.body.passes]
    full = [one for one in passes if one.full]
    first_at = parse_rfc3339(full[0].venue_at)
    close = msgspec.structs.replace(full[-1], venue_at=rfc3339(first_at + timedelta(seconds=10)))
    deadline_at = parse_rfc3339(bench.standing(session).attempt.body.deadline_at)
    terms = ProofTerms(deadline_at=deadline_at, settle_seconds=60)
    verdict = judge((full[0], close), terms, now_at=first_at + timedelta(seconds=10))
    assert verdict.resolution == "unknown"
    assert verdict.reasons == ("passes_too_close_together",)
    assert verdict.earliest_next_at == rfc3339(first_at + timedelta(seconds=25))
