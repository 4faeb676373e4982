"""Submit and cancel, broken at each of their effects in turn: what they leave behind leads to the truth, once."""

from pathlib import Path

import pytest

from quantlab.evidence.records import SubmitAttempt
from quantlab.kernel.result import Result
from tests.support.breaking import Breaker, Killed, Moment, break_bench, disk_full, mend_bench
from tests.support.virtual import Bench

PLACES = (("disk",), ("ledger",), ("net", "clock"))
MOST_POINTS = 400


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench in a folder that can be put back."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Bench(folder)


def sent_orders(bench: Bench) -> int:
    """Count the order requests that reached the exchange's order handling."""
    return len([row for row in bench.effects() if row["path"].endswith("AddOrder")])


def walk_to_the_end(bench: Bench, session: Path) -> None:
    """Follow the runbook: reconcile, let the exchange's clock run, reconcile twice, decide where nothing is proven."""
    for seconds in (0, 120, 20):
        bench.world.control("POST", "/clock", {"advance_seconds": seconds})
        bench.reconcile(session)
    if bench.standing(session).unresolved:
        result = bench.resolve(session)
        assert result.outcome == "done", (result.headline, result.refusals)


def check_the_end(bench: Bench, session: Path) -> None:
    """Check that the session stands as the exchange does, and that the account is free."""
    placed = len(bench.orders())
    assert placed <= 1
    standing = bench.standing(session)
    assert not standing.unresolved
    assert bench.held() == ()
    if placed:
        assert standing.resolution == "landed"
    else:
        assert standing.state in {"never_sent", "decided_not_landed", "gated", "gate_denied"}


def points(bench: Bench, session: Path, command, error: BaseException, kinds: tuple[str, ...], **more):
    """Run a command from the same moment, broken at its first effect, its second, and so on until it runs through."""
    moment = Moment(bench)
    for number in range(1, MOST_POINTS):
        moment.restore()
        breaker = Breaker(number, error, kinds=kinds, **more)
        break_bench(bench, breaker)
        ended: Result | BaseException
        try:
            ended = command(session)
        except (Killed, KeyboardInterrupt) as stop:
            ended = stop
        if not breaker.broken:
            assert number > 10
            return
        yield breaker.where, ended
    pytest.fail(f"the command still has effects after {MOST_POINTS}")


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PLACES)
def test_a_submit_killed_anywhere_never_sends_twice_and_ends_in_the_truth(bench: Bench, kinds: tuple[str, ...]) -> None:
    """Killed before any effect: the evidence verifies, submit again sends nothing twice, and the end is proven."""
    session = bench.gated()
    seen = set()
    for where, ended in points(bench, session, bench.submit, Killed(), kinds):
        assert isinstance(ended, Killed), where
        mend_bench(bench)
        read = bench.session(session)
        assert read.findings == (), where
        tried = read.chain.newest(SubmitAttempt) is not None
        before = sent_orders(bench)
        assert before <= 1, where
        assert not before or tried, f"{where}: sent before the attempt was durable"
        again = bench.submit(session)
        if tried:
            assert again.outcome in {"unknown", "done"}, (where, again.headline)
            assert sent_orders(bench) == before, where
        else:
            assert again.outcome in {"done", "never_sent"}, (where, again.headline, again.refusals)
        seen.add((tried, again.outcome))
        walk_to_the_end(bench, session)
        check_the_end(bench, session)
    assert (False, "done") in seen


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PLACES)
def test_an_interrupted_submit_says_nothing_sent_only_when_no_attempt_exists(
    bench: Bench, kinds: tuple[str, ...]
) -> None:
    """Ctrl-C anywhere: it escapes only while no attempt is on the disk; after it the operator gets an outcome."""
    session = bench.gated()
    escaped = told = 0
    for where, ended in points(bench, session, bench.submit, KeyboardInterrupt(), kinds):
        mend_bench(bench)
        assert bench.session(session).findings == (), where
        if isinstance(ended, KeyboardInterrupt):
            escaped += 1
            assert bench.session(session).chain.newest(SubmitAttempt) is None, where
            assert sent_orders(bench) == 0, where
        else:
            told += 1
            assert ended.outcome in {"unknown", "done", "denied", "never_sent"}, (where, ended.headline)
            if sent_orders(bench):
                assert ended.outcome in {"unknown", "done"}, (where, ended.headline)
        bench.submit(session)
        walk_to_the_end(bench, session)
        check_the_end(bench, session)
    assert escaped and told


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
def test_a_disk_that_fails_anywhere_in_a_submit_hides_no_order(bench: Bench, lasting: bool) -> None:
    """A full disk, for one write or from then on: an order that was sent is never reported as not sent."""
    session = bench.gated()
    for where, ended in points(bench, session, bench.submit, disk_full(), ("disk",), lasting=lasting):
        assert isinstance(ended, Result)
        mend_bench(bench)
        assert bench.session(session).findings == (), where
        if sent_orders(bench):
            assert ended.outcome in {"unknown", "done"}, (where, ended.headline)
        else:
            assert ended.outcome in {"denied", "never_sent"}, (where, ended.headline)
        before = sent_orders(bench)
        again = bench.submit(session)
        assert sent_orders(bench) - before in ({0} if before else {0, 1}), (where, again.headline)
        walk_to_the_end(bench, session)
        check_the_end(bench, session)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PLACES)
def test_a_cancel_killed_anywhere_can_be_repeated_to_its_proven_end(bench: Bench, kinds: tuple[str, ...]) -> None:
    """Killed before any effect of a cancel: the evidence verifies, and look and cancel again end it, once."""
    session = bench.resting()
    bench.status(session)
    for where, ended in points(bench, session, bench.cancel, Killed(), kinds):
        assert isinstance(ended, Killed), where
        mend_bench(bench)
        assert bench.session(session).findings == (), where
        bench.status(session)
        again = bench.cancel(session)
        assert again.outcome == "done", (where, again.headline, again.refusals)
        assert bench.standing(session).state == "canceled", where
        assert [order["status"] for order in bench.orders()] == ["canceled"], where
        assert bench.held() == ()


@pytest.mark.slow
def test_an_interrupted_cancel_that_was_sent_is_told(bench: Bench) -> None:
    """Ctrl-C in a cancel: once the request may have left, a result comes back and says what is proven."""
    session = bench.resting()
    bench.status(session)
    for where, ended in points(bench, session, bench.cancel, KeyboardInterrupt(), ("net",)):
        mend_bench(bench)
        assert bench.session(session).findings == (), where
        canceled = bench.orders()[0]["status"] == "canceled"
        if canceled:
            assert isinstance(ended, Result), where
            assert ended.outcome in {"done", "unknown"}, (where, ended.headline)
