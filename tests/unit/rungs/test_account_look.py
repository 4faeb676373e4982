"""Looking at a key and its account: what is filled in as far as the reads came."""

import pytest

from quantlab.rungs.account_look import look_at_account
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


def test_the_look_stops_at_the_first_failed_read(bench, desk):
    """What was read before the failure is kept, what comes after is not made up."""
    bench.world.fault("http_error", "BalanceEx")
    look = look_at_account(desk, funds=True)
    assert look.account is not None
    assert ((), (), True) == (look.balances, look.open_orders, look.unreadable)
    assert not look.checks[-1].passed


def test_without_a_label_none_is_bound(desk):
    """No label: the label check is left out."""
    look = look_at_account(desk, funds=False)
    assert "account_label" not in [check.code for check in look.checks]
    assert "interlock_held" == look.checks[-1].code


def test_a_sell_is_judged_by_the_base(desk):
    """For a sell the base asset's funds are looked at."""
    look = look_at_account(desk, funds=True, intent=values.intent(side="sell"))
    assert ("funds", True) == (look.checks[-1].code, look.checks[-1].passed)
    assert "ETH available" in look.checks[-1].measured


def test_each_look_begins_with_an_empty_list(desk):
    """Two looks do not share their checks."""
    first = look_at_account(desk, funds=False)
    second = look_at_account(desk, funds=False)
    assert len(first.checks) == len(second.checks)
    assert first.checks is not second.checks
