"""Auth preflight: does the key work, whose is it, what may it do."""

import pytest

from quantlab.evidence.preparatory import AccountReadiness
from quantlab.storage.reader import read_session
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.fixture
def outdir(bench):
    """Where the rung writes."""
    return bench.folder / "auth"


def body_of(bench, outdir):
    """Return the newest look in an outdir that verifies."""
    session = read_session(bench.disk, outdir, expect_id_of_folder=False)
    assert session.verifies
    return session.chain.newest(AccountReadiness).body


def test_a_fit_key_is_reported_with_its_account(bench, outdir):
    """A fit key: done, the account's identity and permissions recorded, no funds read."""
    result = bench.run("auth_preflight", outdir=outdir)
    body = body_of(bench, outdir)
    assert ("done", True, ()) == (result.outcome, body.readiness_allowed, body.balances)
    facts = {fact.label: fact.value for fact in result.facts}
    assert (body.account_identity, "0") == (facts["Account"], facts["Nonce window"])
    assert (outdir / "kraken_auth_preflight.json").is_file()
    assert not any("BalanceEx" in one.url for one in body.exchanges)


def test_its_outdir_can_be_shown(bench, outdir):
    """The outdir belongs to the corridor: show reads it."""
    bench.run("auth_preflight", outdir=outdir)
    assert "done" == bench.run("listing_session", session=outdir, report="show").outcome


@pytest.mark.parametrize(
    ("profile", "code"),
    [("no_trade", "key_permissions"), ("can_withdraw", "key_can_withdraw"), ("windowed", "nonce_window")],
)
def test_a_key_that_is_not_fit_is_recorded(bench, outdir, profile, code):
    """An unfit key is written down too, with the reason."""
    bench.use_profile(profile)
    result = bench.run("auth_preflight", outdir=outdir)
    assert ("denied", [code]) == (result.outcome, codes(result))
    assert (code,) == body_of(bench, outdir).reasons


def test_a_wrong_secret_is_denied_and_recorded(bench, outdir):
    """A refused signature is definite: denied, in the venue's words, without an account."""
    bench.use_profile("wrong_secret")
    result = bench.run("auth_preflight", outdir=outdir)
    body = body_of(bench, outdir)
    assert ("denied", ("venue_credentials_refused",), None, ()) == (
        result.outcome,
        body.reasons,
        body.account_identity,
        result.facts,
    )


def test_a_lost_answer_is_unreadable_and_recorded(bench, outdir):
    """An answer lost on the way says nothing of the key: exit 7, recorded."""
    bench.world.fault("drop_before_read", "GetApiKeyInfo")
    result = bench.run("auth_preflight", outdir=outdir)
    assert "unreadable" == result.outcome
    assert not body_of(bench, outdir).readiness_allowed


def test_missing_credentials_are_named_in_the_artifact(bench, outdir):
    """Without credentials nobody is asked, and what is missing stands in the record by name."""
    del bench.environ["KRAKEN_API_SECRET"]
    result = bench.run("auth_preflight", outdir=outdir)
    assert ("denied", ["credentials_missing"]) == (result.outcome, codes(result))
    assert "KRAKEN_API_SECRET" == result.refusals[0].measured
    body = body_of(bench, outdir)
    assert (False, ("credentials_missing",), ()) == (body.readiness_allowed, body.reasons, body.exchanges)
    assert [] == bench.world.requests()
