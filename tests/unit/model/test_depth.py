"""A book as it was shown: how far a taker reaches into it, and what can be no book."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.model.instrument import Depth, Level

NOW = datetime(2026, 9, 3, 6, 0, tzinfo=UTC)


def _levels(*rows):
    return tuple(Level(price=Decimal(price), size_base=Decimal(size)) for price, size in rows)


def _depth(bids=(("2000", "1"), ("1999", "2")), asks=(("2001", "0.5"), ("2002.5", "0.25"), ("2010", "3"))):
    return Depth(bids=_levels(*bids), asks=_levels(*asks), read_at=NOW)


@pytest.mark.parametrize(
    ("size", "buying", "worst"),
    [
        ("0.1", True, "2001"),
        ("0.5", True, "2001"),
        ("0.500001", True, "2002.5"),
        ("0.75", True, "2002.5"),
        ("3.75", True, "2010"),
        ("3.750001", True, None),
        ("1", False, "2000"),
        ("3", False, "1999"),
        ("4", False, None),
    ],
)
def test_the_worst_price_is_that_of_the_last_level_touched(size, buying, worst):
    """A buyer takes asks, a seller bids; a book that is too thin has no worst price."""
    assert (None if worst is None else Decimal(worst)) == _depth().worst_price(Decimal(size), buying=buying)


def test_an_empty_side_has_no_price():
    """Nothing is shown to take."""
    depth = _depth(asks=())
    assert (None, None) == (depth.worst_price(Decimal(1), buying=True), depth.flaw())


def test_sizes_are_summed_exactly():
    """Where the usual 28 digits would round what is left to nothing."""
    depth = _depth(asks=(("1", "10000000000000000000000000000"), ("2", "1")))
    assert Decimal(2) == depth.worst_price(Decimal("10000000000000000000000000000.1"), buying=True)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 60))
def test_what_is_shown_up_to_the_worst_price_is_enough(sizes, wanted):
    """And what is shown before it is not."""
    depth = _depth(asks=[(str(100 + number), str(size)) for number, size in enumerate(sizes)])
    worst = depth.worst_price(Decimal(wanted), buying=True)
    if worst is None:
        assert sum(sizes) < wanted
    else:
        reach = int(worst) - 99
        assert sum(sizes[: reach - 1]) < wanted <= sum(sizes[:reach])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"bids": (), "asks": ()}, None),
        ({"bids": (("2000", "1"), ("2000", "1"))}, None),
        ({"bids": (("2001", "1"),)}, "crossed: bid 2001, ask 2001"),
        ({"bids": (("2002", "1"),)}, "crossed: bid 2002, ask 2001"),
        ({"bids": (("1999", "1"), ("2000", "1"))}, "not best first"),
        ({"asks": (("2002", "1"), ("2001", "1"))}, "not best first"),
        ({"asks": (("2001", "0"),)}, "not above zero"),
        ({"bids": (("0", "1"),)}, "not above zero"),
        ({"bids": (("2000", "-1"),)}, "not above zero"),
    ],
)
def test_what_is_no_book(changes, words):
    """Crossed, out of order, or with a level of nothing."""
    flaw = _depth(**changes).flaw()
    assert words is flaw if words is None else words in flaw
