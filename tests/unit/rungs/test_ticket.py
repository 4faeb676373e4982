"""The ticket says what will be sent, at worst for how much, and for whom."""

from quantlab.model.order import Promotion
from quantlab.rungs.ticket import ticket_lines
from tests.support import values


def lines(**changes):
    """Return the ticket's lines by label."""
    found = ticket_lines(values.plan(**changes), values.instrument())
    return dict(line.split(": ", 1) for line in found)


def test_the_ticket_of_a_limit_order():
    """Every line of the ticket of the plan, money with its fee."""
    assert {
        "Environment": "rehearsal",
        "Venue": "kraken",
        "Account": "acct_demo (iban-sha256:00)",
        "Order": "buy 0.25 ETH of ETH-USD, limit ioc",
        "Price": "never worse than 2000 USD (quote now 2000 USD)",
        "Worst value": "500 USD plus about 2 USD fee",
        "Client order id": "0" * 32,
        "Promotion": "none given: the floor of the ladder is missing",
        "Request text": "pair=XETHZUSD",
    } == lines()


def test_a_market_order_is_named_unbounded():
    """The ticket of a plain market order shouts that its price is not bounded."""
    assert "NOT BOUNDED: a market order takes any price (quote now 2000 USD)" == lines(worst_price=None)["Price"]


def test_post_only_is_shown():
    """Post-only stands beside the order."""
    assert "buy 0.25 ETH of ETH-USD, limit ioc, post-only" == lines(post_only=True)["Order"]


def test_where_the_order_comes_from():
    """A paper session is named by its id, a rationale word for word."""
    paper = Promotion(source="paper_session", paper_session="p1", promotion_sha256="0" * 64)
    assert "paper session p1" == lines(promotion=paper)["Promotion"]
    assert "rationale: it worked" == lines(promotion=Promotion(source="rationale", rationale="it worked"))["Promotion"]
