"""The order's terms on a quote: type, limit, worst price, and at what price its value is bounded."""

from decimal import Decimal

import pytest

from quantlab.model.policy import Policy
from quantlab.rungs import terms
from tests.support import values

POLICY = Policy()


@pytest.mark.parametrize(
    ("side", "reference", "worst"), [("buy", "2000.03", "2020.03"), ("sell", "1999.03", "1979.04")]
)
def test_without_type_and_price_it_is_a_limit_ioc_at_the_collar(side, reference, worst):
    """The collar moves the quote and the tick grid moves it toward safety, never past the collar."""
    market = values.quote(bid="1999.03", ask="2000.03")
    found = terms.terms_of(values.intent(side=side), values.instrument(), market, POLICY)
    assert ("limit", "ioc") == (found.order_type, found.time_in_force)
    assert (Decimal(reference), Decimal(worst), Decimal(worst)) == (
        found.reference,
        found.limit_price,
        found.worst_price,
    )


def test_a_named_market_order_has_no_price():
    """A plain market order has neither limit nor worst price."""
    found = terms.terms_of(values.intent(order_type="market"), values.instrument(), values.quote(), POLICY)
    assert ("market", None, None, "ioc") == (
        found.order_type,
        found.limit_price,
        found.worst_price,
        found.time_in_force,
    )


@pytest.mark.parametrize(("asked", "given"), [(None, "gtc"), ("gtc", "gtc"), ("ioc", "ioc")])
def test_a_limit_order_rests_unless_told_otherwise(asked, given):
    """A limit price is kept as typed; without a time in force the order is good till canceled."""
    order = values.intent(limit_price=Decimal("1900.5"), time_in_force=asked)
    found = terms.terms_of(order, values.instrument(), values.quote(), POLICY)
    assert (given, Decimal("1900.5"), Decimal("1900.5")) == (found.time_in_force, found.limit_price, found.worst_price)


@pytest.mark.parametrize(
    ("worst", "buying", "value"),
    [("2020", True, "2020"), ("1900", True, "2000"), ("1980", False, "2000"), ("2100", False, "2100")],
)
def test_value_is_bounded_at_the_larger_price(worst, buying, value):
    """Buying and selling, the value that can leave the account is at the larger of quote and limit."""
    priced = values.terms(worst_price=Decimal(worst))
    assert Decimal(value) == terms.worst_value_price(priced, buying=buying, policy=POLICY)


@pytest.mark.parametrize(("buying", "value"), [(True, "2020"), (False, "2000")])
def test_a_market_order_is_valued_at_the_collar_when_buying(buying, value):
    """Without a bound the value is taken a collar above the quote when buying, at the quote when selling."""
    priced = values.terms(order_type="market", worst_price=None)
    assert Decimal(value) == terms.worst_value_price(priced, buying=buying, policy=POLICY)


def test_a_plan_gives_its_intent_back():
    """The intent of a plan carries the same order, so that the same checks can run on it again."""
    found = terms.intent_of(values.plan(post_only=True))
    expected = values.intent(
        order_type="limit", limit_price=Decimal(2000), time_in_force="ioc", post_only=True, reduce_only=False
    )
    assert expected == found


def test_a_market_plan_gives_no_price_back():
    """The plan of a market order has no limit price, and no worst price stands beside the quote of now."""
    market = values.plan(order_type="market", limit_price=None, worst_price=None)
    assert terms.intent_of(market).limit_price is None
    found = terms.terms_of_plan(market, values.quote())
    assert (None, None, Decimal("2000.00")) == (found.limit_price, found.worst_price, found.reference)


def test_a_plan_keeps_its_terms_beside_todays_quote():
    """The terms of a plan are frozen; only the reference is today's, the bid for a sell."""
    found = terms.terms_of_plan(values.plan(side="sell"), values.quote(bid="1500.00"))
    assert (Decimal(2000), Decimal(2000), Decimal("1500.00")) == (
        found.limit_price,
        found.worst_price,
        found.reference,
    )
