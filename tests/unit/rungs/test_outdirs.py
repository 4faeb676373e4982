"""Outdirs: one kind of evidence, appended to, never in a session's or a root's place."""

import pytest

from quantlab.evidence.preparatory import Preflight
from quantlab.storage.reader import read_session
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.fixture
def outdir(bench):
    """Where the rung writes."""
    return bench.folder / "out"


def preflight(bench, outdir):
    """Run a rung that writes into an outdir, over the wire's shortest way."""
    return bench.run("preflight", outdir=outdir, symbol=None, transport="rest")


def chain(bench, outdir):
    """Return the session of an outdir."""
    return read_session(bench.disk, outdir, expect_id_of_folder=False)


def test_a_new_run_appends(bench, outdir):
    """Two runs are two records of one chain, and the view is the newest."""
    preflight(bench, outdir)
    preflight(bench, outdir)
    session = chain(bench, outdir)
    assert session.verifies
    first, second = session.chain.all(Preflight)
    assert first.sha256 == second.envelope.previous_sha256
    assert second.raw == (outdir / "broker_preflight.json").read_bytes()


def test_different_kinds_stand_side_by_side(bench, outdir):
    """An auth preflight may follow a preflight in one outdir."""
    preflight(bench, outdir)
    assert "done" == bench.run("auth_preflight", outdir=outdir).outcome
    assert ["broker_preflight", "kraken_auth_preflight"] == [one.name for one in chain(bench, outdir).chain.records]


def test_a_stale_view_is_replaced(bench, outdir):
    """A view that went missing stands again after the next run, also one of another kind."""
    bench.run("auth_preflight", outdir=outdir)
    (outdir / "kraken_auth_preflight.json").unlink()
    preflight(bench, outdir)
    assert () == chain(bench, outdir).stale_views


def test_a_damaged_outdir_is_refused(bench, outdir):
    """An outdir that does not verify is refused with exit 5 and left as it is."""
    preflight(bench, outdir)
    view = outdir / "broker_preflight.json"
    view.write_bytes(b"{}")
    result = preflight(bench, outdir)
    assert ("unverified", ["view_tampered"]) == (result.outcome, codes(result))
    assert (b"{}", 1) == (view.read_bytes(), len(chain(bench, outdir).chain.records))


def test_a_session_of_orders_is_no_outdir(bench):
    """Preparatory evidence is never appended to a session of orders."""
    session = bench.validated()
    result = preflight(bench, session)
    assert ("denied", ["outdir_is_session"]) == (result.outcome, codes(result))
    assert 1 == len(bench.session(session).chain.records)


def test_a_root_of_sessions_is_no_outdir(bench):
    """A root stays a root: records in it would hide every session from list and alerts."""
    bench.validated()
    result = preflight(bench, bench.root)
    assert ("denied", ["outdir_is_root"]) == (result.outcome, codes(result))
    assert not (bench.root / "records").exists()


def test_an_outdir_of_another_environment_is_refused(bench, outdir):
    """An outdir that was begun in rehearsal is refused in live, with another suggested."""
    preflight(bench, outdir)
    live = {name: text for name, text in bench.environ.items() if "URL" not in name}
    bench.environ = live | {"QUANTLAB_ENVIRONMENT": "live"}
    result = bench.run("readiness", outdir=outdir, corridor="kraken")
    assert ("denied", ["root_environment"]) == (result.outcome, codes(result))
    assert "out_live" in result.headline


def test_a_file_in_its_place_is_refused(bench, outdir):
    """Where a file stands no outdir can be made: said so, nothing overwritten."""
    outdir.write_text("mine")
    result = preflight(bench, outdir)
    assert ("denied", ["storage_not_a_folder"]) == (result.outcome, codes(result))
    assert "mine" == outdir.read_text()
