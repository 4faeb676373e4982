"""Cancel: an explicit act after a fresh look; "canceled" comes only from a later read."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import CancelAttempt, CancelResponse
from quantlab.kernel.errors import Busy
from quantlab.venues.kraken.orders import KrakenOrders
from quantlab.venues.port import VenueReadFailed
from tests.support.breaking import QuickDisk, disk_full
from tests.support.virtual import Bench, codes
from tests.unit.rungs.looking import damage, quick_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


@pytest.fixture
def resting(bench: Bench) -> Path:
    """Return an open order's session with a fresh status."""
    session = bench.resting()
    assert bench.status(session).outcome == "done"
    return session


def cancels(bench: Bench) -> int:
    """Count the cancel requests at the exchange."""
    return len([row for row in bench.world.requests() if row["path"].endswith("CancelOrder")])


def test_an_open_order_is_canceled_and_read_back(bench: Bench, resting: Path) -> None:
    """Sent once with a durable attempt of exactly its bytes; canceled by the read; next the fills."""
    seen = []
    bench.connector.on_send = lambda data: seen.append(
        (data, bench.session(resting).chain.newest(CancelAttempt)) if b"CancelOrder" in data or seen else None
    )
    result = bench.cancel(resting)
    assert result.outcome == "done"
    assert bench.standing(resting).state == "canceled"
    assert bench.orders()[0]["status"] == "canceled"
    sent = [one for one in seen if one is not None]
    assert sent[0][1] is not None
    assert sent[0][1].body.body_text.encode() == sent[1][0]
    assert result.next.verb == "fills"
    assert cancels(bench) == 1


@pytest.mark.parametrize(
    ("missing", "code"),
    [({"reviewer": None}, "reviewer_required"), ({"confirm": False}, "confirm_required")],
)
def test_each_flag_is_needed(bench: Bench, resting: Path, missing, code: str) -> None:
    """Without a reviewer or the confirmation nothing is sent."""
    assert codes(bench.cancel(resting, **missing)) == [code]
    assert cancels(bench) == 0


def test_a_look_is_needed_first(bench: Bench) -> None:
    """Neither status nor reconcile yet: refused, and the next command is status."""
    session = bench.resting()
    result = bench.cancel(session)
    assert codes(result) == ["cancel_needs_status"]
    assert result.next.verb == "status"
    assert cancels(bench) == 0


@pytest.mark.parametrize(("seconds", "outcome"), [(300, "done"), (301, "denied")])
def test_the_look_must_be_fresh(bench: Bench, resting: Path, seconds: int, outcome: str) -> None:
    """Three hundred seconds old is fresh enough, one more is not."""
    bench.world.pass_seconds(seconds)
    assert outcome == bench.cancel(resting).outcome


@pytest.mark.parametrize("look", ["status", "reconcile", "supervise"])
def test_a_failed_look_needs_a_reason(bench: Bench, look: str) -> None:
    """The last look could not read: without a reason refused, with one the cancel is sent."""
    session = bench.resting()
    bench.world.fault("http_error", "*", count=0)
    if look == "supervise":
        bench.supervise(session, bound_seconds=5)
    else:
        getattr(bench, look)(session)
    bench.world.control("DELETE", "/faults")
    result = bench.cancel(session)
    assert codes(result) == ["reason_required"]
    assert cancels(bench) == 0
    assert bench.cancel(session, note="the venue does not answer and the price runs").outcome == "done"


@pytest.mark.parametrize("look", ["reconcile", "supervise"])
def test_other_good_looks_serve_too(bench: Bench, look: str) -> None:
    """A reconcile or a watch is a look."""
    session = bench.resting()
    if look == "supervise":
        bench.supervise(session, bound_seconds=2)
    else:
        bench.reconcile(session)
    assert bench.cancel(session).outcome == "done"


def test_an_order_known_only_by_its_client_id_is_canceled(bench: Bench) -> None:
    """The send is unknown: the cancel goes by the client id; the read afterwards proves landed and canceled."""
    bid, _ = bench.world.best()
    price = (bid * Decimal("0.99")).quantize(Decimal("0.01"))
    session = bench.unknown("drop_after_accept", order_type="limit", limit_price=price, time_in_force="gtc")
    bench.alterations |= {"read_open_orders": lambda orders: (), "read_closed_orders": lambda orders: ()}
    bench.reconcile(session)
    bench.alterations.clear()
    result = bench.cancel(session)
    assert result.outcome == "done"
    attempt = bench.session(session).chain.newest(CancelAttempt).body
    assert attempt.venue_order_id is None
    assert f"cl_ord_id={attempt.client_order_id}" in attempt.body_text
    assert bench.standing(session).state == "canceled"
    assert bench.held() == ()


def test_a_cancel_never_ends_an_unknown(bench: Bench) -> None:
    """The order does not show and the venue knows no such order: still unknown, exit 4, next reconcile, held."""
    session = bench.unknown("drop_before_read")
    bench.reconcile(session)
    result = bench.cancel(session)
    assert result.outcome == "unknown"
    assert result.next.verb == "reconcile"
    assert bench.standing(session).state == "unresolved"
    assert len(bench.held()) == 1


def test_a_lost_answer_is_settled_by_the_read(bench: Bench, resting: Path) -> None:
    """The answer to the cancel is lost, the order was canceled: the read proves it."""
    bench.world.fault("drop_after_accept", "CancelOrder")
    result = bench.cancel(resting)
    assert result.outcome == "done"
    assert bench.session(resting).chain.newest(CancelResponse).body.outcome == "unknown"
    assert bench.standing(resting).state == "canceled"


def test_a_lost_request_is_unproven_and_may_be_repeated(bench: Bench, resting: Path) -> None:
    """The request is lost: exit 4, the order stands open; a second cancel has its own records and works."""
    bench.world.fault("drop_before_read", "CancelOrder")
    result = bench.cancel(resting)
    assert result.outcome == "unknown"
    assert result.next.verb == "status"
    assert bench.standing(resting).state == "open"
    assert bench.cancel(resting).outcome == "done"
    chain = bench.session(resting).chain
    attempts = [one.sha256 for one in chain.all(CancelAttempt)]
    assert len(attempts) == 2
    assert attempts == [one.body.cancel_attempt_sha256 for one in chain.all(CancelResponse)]


def test_no_connection_for_the_cancel_leaves_the_order(bench: Bench, resting: Path) -> None:
    """Not a byte left: exit 4, said so, the order stands as it was."""
    refuse = {"venue": "kraken", "path": "*", "fault": "refuse_connect"}
    bench.on_progress = lambda line: bench.world.control("POST", "/faults", refuse) if "sending once" in line else None
    result = bench.cancel(resting)
    assert result.outcome == "unknown"
    assert "was not sent" in result.headline
    assert bench.orders()[0]["status"] == "open"


def test_a_refused_cancel_is_exit_3(bench: Bench, resting: Path) -> None:
    """The venue refuses and the order stays open: exit 3, its words shown."""
    bench.world.fault("api_error", "CancelOrder", value="EGeneral:Permission denied")
    result = bench.cancel(resting)
    assert result.outcome == "rejected"
    assert codes(result) == ["venue_rejected"]


def test_an_order_that_filled_meanwhile_has_ended_as_filled(bench: Bench) -> None:
    """The venue no longer knows it as open, the read says filled: exit 0, filled, not canceled."""
    session = bench.submitted()
    bench.status(session)
    result = bench.cancel(session)
    assert result.outcome == "done"
    assert bench.standing(session).state == "filled"


@pytest.mark.parametrize("error", [VenueReadFailed("no answer.", kind="no_answer"), Busy("key.", code="key_busy")])
def test_a_read_back_that_fails_proves_nothing(bench: Bench, resting: Path, error) -> None:
    """Accepted, but it can not be read back: exit 4, recorded with the reason, never canceled by assumption."""

    def failing(order):
        raise error

    bench.alterations["read_order"] = failing
    result = bench.cancel(resting)
    assert result.outcome == "unknown"
    body = bench.session(resting).chain.newest(CancelResponse).body
    assert body.outcome == "accepted"
    assert error.message == body.read_failure
    assert bench.standing(resting).state == "open"


def test_a_cancel_that_shows_late_is_read_again(bench: Bench, resting: Path) -> None:
    """The venue shows the end only at the third read: that read counts."""
    count = []

    def late(order):
        count.append(1)
        return order if len(count) > 2 else None

    bench.alterations["read_order"] = late
    assert bench.cancel(resting).outcome == "done"
    assert len(count) == 3


def test_an_order_that_stays_open_is_not_proven(bench: Bench, resting: Path) -> None:
    """Each read still shows it open: exit 4."""
    desk = bench.desk()
    still = desk.reads.read_order(bench.orders()[0]["venue_order_id"])
    desk.ledger.close()
    bench.alterations["read_order"] = lambda order: still
    assert bench.cancel(resting).outcome == "unknown"
    assert bench.standing(resting).state == "open"


def test_ctrl_c_while_canceling_is_recorded(bench: Bench, resting: Path, monkeypatch) -> None:
    """Interrupted while the answer is awaited: recorded as unknown; the read back still tells."""
    real = KrakenOrders.cancel

    def interrupted(self, prepared, receipt):
        real(self, prepared, receipt)
        raise KeyboardInterrupt

    monkeypatch.setattr(KrakenOrders, "cancel", interrupted)
    result = bench.cancel(resting)
    assert result.outcome == "done"
    assert bench.session(resting).chain.newest(CancelResponse).body.rule == "interrupted"
    assert not (resting / ".reserve").exists()


def test_ctrl_c_while_reading_back_is_recorded(bench: Bench, resting: Path) -> None:
    """Interrupted after the cancel was answered: the answer is recorded, exit 4."""

    def interrupted(order):
        raise KeyboardInterrupt

    bench.alterations["read_order"] = interrupted
    result = bench.cancel(resting)
    assert result.outcome == "unknown"
    assert "interrupted" in bench.session(resting).chain.newest(CancelResponse).body.read_failure


def test_an_answer_that_can_not_be_written_is_printed_whole(bench: Bench, resting: Path) -> None:
    """Disk full after the cancel was sent: exit 4, the answer is in the headline."""

    class Full(QuickDisk):
        def open_new(self, path, *, mode):
            if "cancel_response" in path.name:
                raise disk_full()
            return super().open_new(path, mode=mode)

    bench.disk = Full()
    result = bench.cancel(resting)
    assert result.outcome == "unknown"
    printed = msgspec.json.decode(result.headline.partition("Keep this text: ")[2], type=CancelResponse)
    assert result.data == printed
    assert result.next.verb == "status"


def test_a_cancel_that_can_not_be_recorded_is_not_sent(bench: Bench, resting: Path) -> None:
    """No room for its attempt: denied, nothing sent."""

    class Full(QuickDisk):
        def open_new(self, path, *, mode):
            if "cancel_attempt" in path.name:
                raise disk_full()
            return super().open_new(path, mode=mode)

    bench.disk = Full()
    assert bench.cancel(resting).outcome == "denied"
    assert cancels(bench) == 0


def test_an_unresolved_account_does_not_block_a_cancel(bench: Bench, resting: Path) -> None:
    """Another session of the account is unknown: cancel works."""
    bench.unknown("drop_before_read", quantity=Decimal("0.2"), notional=Decimal(400))
    assert bench.cancel(resting).outcome == "done"


def test_a_damaged_session_can_be_canceled(bench: Bench, resting: Path) -> None:
    """Unverified: the cancel is sent and recorded as such, exit 5."""
    damage(resting)
    result = bench.cancel(resting)
    assert result.outcome == "unverified"
    assert bench.session(resting).chain.newest(CancelAttempt).body.unverified
    assert bench.orders()[0]["status"] == "canceled"


def test_nothing_sent_nothing_to_cancel(bench: Bench) -> None:
    """A gated session has nothing to cancel."""
    assert codes(bench.cancel(bench.gated())) == ["nothing_sent"]
