"""Certify: each assumption that can be tried is tried, and one that does not hold is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from quantlab.evidence.preparatory import Certification, ProbeAttempt
from quantlab.storage.reader import read_session
from tests.support.breaking import QuickDisk
from tests.support.virtual import Bench, codes
from tests.support.virtual_hyperliquid import PATH, HyperliquidBench


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def chain(bench: HyperliquidBench) -> Any:
    """Return the records of the outdir, which verify."""
    session = read_session(bench.disk, bench.folder / "certification", expect_id_of_folder=False)
    assert session.verifies, session.findings
    return session.chain


def kept(bench: HyperliquidBench) -> Any:
    """Return what the ledger knows of certifications."""
    return bench.ask_ledger(lambda ledger: ledger.certifications())


def test_on_the_exchange_every_assumption_holds(bench):
    """Burns, an order that had run out, one that nobody takes: answered as assumed, recorded, and nothing is left."""
    result = bench.certify()
    assert ("done", []) == (result.outcome, codes(result))
    record = chain(bench).newest(Certification)
    body = record.body
    assert (True, "marce", "hyperliquid") == (body.passed, body.reviewer, body.venue)
    assert [
        ("H3", "unused"),
        ("H2", "used"),
        ("H1", "already_expired"),
        ("H2", "used"),
        ("H1", "absent"),
        ("H7", "no_match"),
        ("H3", "used"),
    ] == [(one.assumption, one.expected) for one in body.probes]
    assert all(one.holds and one.answered.startswith(one.expected) for one in body.probes)
    assert 1 + len(body.probes) == len(result.table)
    [known] = kept(bench)
    assert (record.sha256, True, "rehearsal") == (known.record_sha256, known.passed, known.environment)
    assert [] == bench.orders(), "nothing that was tried is left in the book"
    assert () == bench.held()


def test_each_probe_is_durable_before_it_is_sent(bench):
    """Every request stands in the outdir, byte for byte, before the venue sees it."""
    seen = []

    def check(data: bytes) -> None:
        if data.startswith(b'{"action"'):
            newest = chain(bench).newest(ProbeAttempt)
            seen.append((newest.body.body_text, data.decode()))

    bench.connector.on_send = check
    bench.certify()
    assert 6 == len(seen)
    assert all(kept == sent for kept, sent in seen)
    assert len({json.loads(sent)["nonce"] for _, sent in seen}) == 3


BROKEN = {
    "H1, an expiry is not kept": (("rules", "*", {"value": {"expiry_slack_ms": 120_000}}), {("H1", "no_match")}),
    "H2, a nonce is forgotten": (
        ("nonce_forgotten", PATH, {"type": "noop"}),
        {("H2", "unused"), ("H3", "unused")},
    ),
    "H3, a nonce that was not used is refused": (
        ("api_error", PATH, {"type": "noop", "value": "Invalid nonce: nonce too low 5 < 6"}),
        {("H3", "closed")},
    ),
    "H3, a text that nobody lists": (("api_error", PATH, {"type": "noop", "value": "New text"}), {("H3", "nothing")}),
    "H7, another text than the one listed": (
        (
            "api_error",
            PATH,
            {"type": "order", "after": 1, "value": {"error": "Try later. asset=1", "per_order": True}},
        ),
        {("H7", "unlisted_error")},
    ),
    "H1, the look gives no answer": (
        ("http_error", "/info", {"type": "frontendOpenOrders", "value": 502}),
        {("H1", "unreadable")},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_assumption_that_does_not_hold_is_said(bench, name):
    """It is denied with what was expected and what was answered, recorded as not passed, and cited by nothing."""
    (fault, path, more), broken = BROKEN[name]
    bench.fault(fault, path, **more)
    result = bench.certify()
    assert ("denied", {"assumption_broken"}) == (result.outcome, set(codes(result)))
    body = chain(bench).newest(Certification).body
    failed = [one for one in body.probes if not one.holds]
    found = {(one.assumption, one.answered.partition(":")[0]) for one in failed}
    assert broken <= found, found
    assert not body.passed
    assert [False] == [one.passed for one in kept(bench)]
    assert [(one.answered, one.expected) for one in failed] == [(one.measured, one.limit) for one in result.refusals]
    bench.world.control("DELETE", "/faults")
    session = bench.unknown("drop_before_read")
    bench.burn(session)
    for seconds in (10, 15):
        bench.world.pass_seconds(seconds)
        last = bench.reconcile(session)
    assert ("not_landed", None) == (last.data.resolution, last.data.certification_sha256)


def test_the_newest_certification_is_the_one_cited(bench):
    """One that failed takes an earlier one back; one that passes later stands again, and is cited by its digest."""
    bench.certify()
    bench.world.pass_seconds(60)
    bench.fault("nonce_forgotten", PATH, type="noop")
    bench.certify(outdir=bench.folder / "failed")
    assert [False] == [one.passed for one in kept(bench)]
    bench.world.control("DELETE", "/faults")
    bench.world.pass_seconds(60)
    bench.certify(outdir=bench.folder / "again")
    session = bench.unknown("drop_before_read")
    bench.burn(session)
    for seconds in (10, 15):
        bench.world.pass_seconds(seconds)
        last = bench.reconcile(session)
    newest = read_session(bench.disk, bench.folder / "again", expect_id_of_folder=False).chain.newest(Certification)
    assert ("not_landed", newest.sha256) == (last.data.resolution, last.data.certification_sha256)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"confirm": False}, "confirm_required"), ({"reviewer": " "}, "reviewer_required")],
)
def test_it_needs_a_name_and_a_confirmation(bench, changes, code):
    """Without one nothing is written and nothing is sent."""
    result = bench.certify(**changes)
    assert ("denied", [code]) == (result.outcome, codes(result))
    assert not (bench.folder / "certification").exists()
    assert [] == bench.sent()


def test_it_is_refused_live(bench):
    """Real requests of that kind are tried where no money is at stake; nobody is asked anything."""
    bench.environ["QUANTLAB_ENVIRONMENT"] = "live"
    del bench.environ["QUANTLAB_HYPERLIQUID_URL"]
    result = bench.certify()
    assert ("denied", ["certify_live"]) == (result.outcome, codes(result))
    assert not (bench.folder / "certification").exists()


def test_a_corridor_that_does_not_sign_has_nothing_to_try(tmp_path):
    """Kraken's assumptions are not of this kind."""
    result = Bench(tmp_path).run("certify", outdir=tmp_path / "out", reviewer="marce", confirm=True)
    assert ("denied", ["certify_nothing"]) == (result.outcome, codes(result))


def test_a_missing_key_is_refused_before_anything_is_sent(bench):
    """The variable that holds it is empty."""
    del bench.environ["HYPERLIQUID_PRIVATE_KEY"]
    result = bench.certify()
    assert result.outcome != "done", result
    assert [] == [row for row in bench.world.requests() if row["path"] == PATH]


def test_a_venue_that_can_not_be_read_leaves_what_was_sent(bench):
    """The clock is not answered before the first order: exit 7, and the probes made stand in the outdir."""
    bench.fault("http_error", "/info", type="exchangeStatus", after=2, count=0, value=502)
    result = bench.certify()
    assert "unreadable" == result.outcome
    assert 2 == len(chain(bench).all(ProbeAttempt))
    assert () == kept(bench)
