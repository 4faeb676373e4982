"""The repeated checks fail closed where what they are about is missing."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quantlab.kernel.clock import parse_rfc3339
from quantlab.rungs import recheck
from tests.support import values
from tests.support.virtual import Bench


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.fixture
def desk(bench):
    """The desk of one command."""
    desk = bench.desk()
    yield desk
    desk.ledger.close()


def test_without_a_plan_nothing_passes(bench, desk):
    """A standing without a plan gives one refusal, never an empty list that would pass."""
    standing = replace(bench.standing(bench.gated()), plan=None)
    [check] = recheck.repeated_checks(desk, standing, values.outlook(), root=bench.root)
    assert (False, "plan") == (check.passed, check.code)


def test_without_an_approval_nothing_passes(bench, desk):
    """A standing without an approval gives one refusal."""
    standing = replace(bench.standing(bench.gated()), approval=None)
    [check] = recheck.reviewer_checks(desk, standing, "marce")
    assert (False, "approval_lifetime") == (check.passed, check.code)


class StandingClock:
    """A clock that shows one time."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at


@pytest.mark.parametrize(("late_us", "passed"), [(0, True), (1, False)])
def test_an_approval_stands_to_its_last_moment(bench, desk, late_us, passed):
    """At the very end it stands, a microsecond later it does not."""
    standing = bench.standing(bench.gated())
    end = parse_rfc3339(standing.approval.body.expires_at)
    desk.clock = StandingClock(end + timedelta(microseconds=late_us))
    [check] = recheck.reviewer_checks(desk, standing, "marce")
    assert passed == check.passed
