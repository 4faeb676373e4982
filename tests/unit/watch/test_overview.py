"""Looking over a root: every session once, a bad one as what it is."""

from decimal import Decimal

import pytest

from quantlab.storage.durable import OsDisk
from quantlab.watch.overview import Seen, look_over
from tests.support.virtual import Bench


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def test_a_session_is_read_and_derived(bench):
    """A good session is read, derived, and verifies."""
    session = bench.validated()
    [seen] = look_over(bench.disk, bench.root)
    assert (session.name, "validated", True, "rehearsal", None) == (
        seen.session_id,
        seen.standing.state,
        seen.verifies,
        seen.environment,
        seen.unreadable,
    )
    assert seen.session.chain == seen.chain


def test_a_broken_session_is_derived_all_the_same(bench):
    """What does not verify is still derived, and marked."""
    session = bench.validated()
    (session / "broker_order_validate.json").write_bytes(b"{}")
    [seen] = look_over(bench.disk, bench.root)
    assert ("validated", False) == (seen.standing.state, seen.verifies)


def test_an_unreadable_session_says_why_and_hides_no_other(bench):
    """One session that can not be read does not break the rest."""
    good = bench.validated()
    bench.world.pass_seconds(2)
    bad = bench.validated(quantity=Decimal("0.24")).name

    class Blind(OsDisk):
        def read(self, path, **limits):
            if bad in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return super().read(path, **limits)

    first, second = look_over(Blind(), bench.root)
    assert (good.name, True) == (first.session_id, first.verifies)
    assert (bad, False, None, "unreadable") == (second.session_id, second.verifies, second.chain, second.environment)
    assert "permission is missing" in second.unreadable


def test_a_session_without_records_belongs_to_no_environment(bench):
    """A folder without records is seen, in no environment."""
    (bench.root / "20260101T000000Z-a-000000000000" / "records").mkdir(parents=True)
    [seen] = look_over(bench.disk, bench.root)
    assert ("empty", "unset") == (seen.standing.state, seen.environment)


def test_an_outdated_session_does_not_verify(bench):
    """What the ledger knows to be longer does not verify, however whole it looks."""
    bench.validated()
    [seen] = look_over(bench.disk, bench.root)
    outdated = Seen(
        folder=seen.folder, session=seen.session, standing=seen.standing, unreadable=None, outdated="shortened"
    )
    assert not outdated.verifies
