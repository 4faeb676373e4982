"""Account readiness: can this account and key carry the order."""

from decimal import Decimal

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
    return bench.folder / "account"


def body_of(bench, outdir):
    """Return the newest look in an outdir that verifies."""
    session = read_session(bench.disk, outdir, expect_id_of_folder=False)
    assert session.verifies
    return session.chain.newest(AccountReadiness).body


ORDER = {"symbol": "ETH-USD", "side": "buy", "quantity": Decimal("0.25"), "notional": Decimal(500)}


def test_an_account_that_can_carry_the_order(bench, outdir):
    """Key, funds and open orders are recorded; funds are checked against the order."""
    result = bench.run("account", outdir=outdir, account_label="acct_demo", **ORDER)
    body = body_of(bench, outdir)
    assert ("done", True, "acct_demo") == (result.outcome, body.readiness_allowed, body.account_label)
    assert "funds" in [check.code for check in body.checks]
    assert "USD" in [one.asset for one in body.balances]
    assert "USD" in [fact.label for fact in result.facts]


def test_an_order_that_is_too_large_is_denied(bench, outdir):
    """An order that the funds do not carry is refused with what is held and what is needed."""
    result = bench.run("account", outdir=outdir, **(ORDER | {"quantity": Decimal(50), "notional": None}))
    assert ("denied", ["funds"]) == (result.outcome, codes(result))
    assert "USD available" in str(result.refusals[0].measured)


@pytest.mark.parametrize("left_out", [(), ("symbol",), ("side",), ("quantity",)])
def test_without_a_whole_order_funds_are_only_listed(bench, outdir, left_out):
    """Without symbol, side or quantity there is no order to carry: funds are listed, not judged."""
    order = {} if not left_out else {name: value for name, value in ORDER.items() if name not in left_out}
    assert "done" == bench.run("account", outdir=outdir, **order).outcome
    body = body_of(bench, outdir)
    assert "funds" not in [check.code for check in body.checks]
    assert body.balances


def test_open_orders_are_listed(bench, outdir):
    """An open order of the account is part of the report."""
    session = bench.resting()
    result = bench.run("account", outdir=outdir)
    [order] = body_of(bench, outdir).open_orders
    assert bench.standing(session).plan.client_order_id == order.client_order_id
    assert "1" == {fact.label: fact.value for fact in result.facts}["Open orders"]


def test_a_market_that_is_not_there_is_denied(bench, outdir):
    """An unknown pair is the venue's definite word."""
    result = bench.run("account", outdir=outdir, **(ORDER | {"symbol": "NOPE-USD"}))
    assert ("denied", ["venue_not_known"]) == (result.outcome, codes(result))


def test_an_interlock_is_seen(bench, outdir):
    """An account with an unresolved send is not ready."""
    unknown = bench.unknown()
    result = bench.run("account", outdir=outdir)
    assert ["interlock_held"] == codes(result)
    assert str(unknown) in str(result.refusals[0].measured)


def test_a_label_of_another_account_is_seen(bench, outdir):
    """A label that is bound to another account makes it not ready."""
    bench.validated()
    bench.use_profile("newcomer")
    assert ["account_label"] == codes(bench.run("account", outdir=outdir, account_label="acct_demo"))


def test_a_symbol_that_is_none_writes_nothing(bench, outdir):
    """A symbol that can not be read is a usage fault before anything is written."""
    assert "usage" == bench.run("account", outdir=outdir, **(ORDER | {"symbol": "?"})).outcome
    assert not outdir.exists()
