"""Preflight: what the venue says of itself and of a market, without a key."""

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
    return bench.folder / "outputs" / "broker_preflight" / "demo"


def preflight(bench, outdir, **changes):
    """Run the rung."""
    return bench.run("preflight", **({"outdir": outdir, "symbol": "ETH-USD", "transport": "either"} | changes))


def records(bench, outdir):
    """Return the bodies in an outdir that verifies."""
    session = read_session(bench.disk, outdir, expect_id_of_folder=False)
    assert session.verifies, session.findings
    return [record.body for record in session.chain.all(Preflight)]


def test_an_open_venue_passes_over_both_transports(bench, outdir):
    """Clock, status, symbol, market, quote and stream: found, recorded, and no key was needed."""
    del bench.environ["KRAKEN_API_KEY"], bench.environ["KRAKEN_API_SECRET"]
    result = preflight(bench, outdir)
    [body] = records(bench, outdir)
    assert ("done", True, "ETH-USD", ("rest", "websocket")) == (
        result.outcome,
        body.preflight_passed,
        body.symbol,
        body.transports,
    )
    assert ["clock_skew", "venue_status", "symbol_allowed", "market_status", "websocket"] == [
        check.code for check in body.checks
    ]
    facts = {fact.label: fact.value for fact in result.facts}
    assert ("XETHZUSD", "0.01", "0.002", "online") == (
        facts["venue_symbol"],
        facts["price_increment"],
        facts["minimum_size"],
        facts["mode"],
    )
    assert {"bid", "ask"} <= facts.keys()
    assert [str(outdir / "broker_preflight.json")] == [path for path in result.artifacts if "records" not in path]


def test_without_a_symbol_only_the_venue_is_looked_at(bench, outdir):
    """No symbol: no market, no quote, nothing taken from a default."""
    assert "done" == preflight(bench, outdir, symbol=None, transport="rest").outcome
    [body] = records(bench, outdir)
    assert (None, (), ()) == (body.symbol, body.instrument, body.quote)
    assert ["clock_skew", "venue_status"] == [check.code for check in body.checks]


def test_the_stream_alone(bench, outdir):
    """Asked for the stream alone, REST is not read."""
    assert "done" == preflight(bench, outdir, transport="websocket").outcome
    [body] = records(bench, outdir)
    assert (("websocket",), ["websocket"]) == (body.transports, [check.code for check in body.checks])


def test_a_symbol_that_the_policy_forbids(bench, outdir):
    """A market that is there but not allowed: denied and recorded."""
    result = preflight(bench, outdir, symbol="SOL-USD", transport="rest")
    assert ("denied", ["symbol_allowed"]) == (result.outcome, codes(result))
    assert [False] == [body.preflight_passed for body in records(bench, outdir)]


def test_a_symbol_that_is_none_writes_nothing(bench, outdir):
    """A symbol that can not be read is a usage fault before anything is written."""
    assert "usage" == preflight(bench, outdir, symbol="?!").outcome
    assert not outdir.exists()


def test_a_market_that_the_venue_does_not_have(bench, outdir):
    """The venue's clear word is a denial, not an unreadable venue."""
    bench.policy(allowed_symbols='["NOPE-USD"]')
    result = preflight(bench, outdir, symbol="NOPE-USD", transport="rest")
    assert ("denied", ["venue_not_known"]) == (result.outcome, codes(result))


def test_a_venue_in_maintenance(bench, outdir):
    """Maintenance is recorded with the venue's own word."""
    bench.world.fault("system_status", value="maintenance")
    result = preflight(bench, outdir, transport="rest")
    assert "denied" == result.outcome
    assert ("venue_status", "maintenance") == (result.refusals[0].code, result.refusals[0].measured)


def test_a_read_that_fails_is_recorded_as_unreadable(bench, outdir):
    """A failed read ends the look at REST, is recorded as a failed check, exit 7."""
    bench.world.fault("http_error", "AssetPairs")
    result = preflight(bench, outdir, transport="rest")
    assert ("unreadable", 1) == (result.outcome, len(result.refusals))
    [body] = records(bench, outdir)
    assert () == body.instrument
    assert body.exchanges


def test_a_venue_that_is_not_reached(bench, outdir):
    """Neither transport answers: two failed checks, exit 7, recorded."""
    bench.world.fault("refuse_connect")
    result = preflight(bench, outdir)
    assert ("unreadable", ["venue_not_reached", "websocket"]) == (result.outcome, codes(result))
    assert 1 == len(records(bench, outdir))


def test_without_an_environment_nothing_is_written(bench, outdir):
    """No environment: refused before the venue is asked or the outdir made."""
    del bench.environ["QUANTLAB_ENVIRONMENT"], bench.environ["QUANTLAB_KRAKEN_URL"]
    assert ["environment_not_set"] == codes(preflight(bench, outdir))
    assert not outdir.exists()
