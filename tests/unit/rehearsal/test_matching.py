"""The moving book: bounded, deterministic, and honest about depth."""

from decimal import Decimal

import pytest

from quantlab.rehearsal.kraken_markets import PAIRS
from quantlab.rehearsal.matching import Level, Market, PriceWalk, sweep

NS = 1_000_000_000
ETH = PAIRS["XETHZUSD"].market
START_NS = 1_790_000_000 * NS


@pytest.mark.parametrize("seed", range(6))
def test_eth_never_leaves_its_band(seed):
    """ETH stays within 1 % of 2000, best bid and ask included, over more than a year."""
    walk = PriceWalk(seed)
    for step in range(4_000):
        bid, ask = walk.best(ETH, START_NS + step * 9_973 * NS)
        assert Decimal("1980") < bid < ask < Decimal("2020")


def test_book_moves():
    """Within a minute the middle price takes more than one value."""
    walk = PriceWalk(0)
    assert len({walk.mid(ETH, START_NS + s * NS) for s in range(60)}) > 5


def test_book_is_a_function_of_seed_and_time():
    """Two walks of one seed agree; another seed does not."""
    at_ns = START_NS + 123 * NS
    assert PriceWalk(3).book(ETH, at_ns, 20) == PriceWalk(3).book(ETH, at_ns, 20)
    assert PriceWalk(3).book(ETH, at_ns, 20) != PriceWalk(4).book(ETH, at_ns, 20)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=lambda p: p.altname)
def test_book_is_ordered_on_the_tick(pair):
    """Bids fall, asks rise, nothing crosses, every price lies on the tick."""
    book = PriceWalk(1).book(pair.market, START_NS, 500)
    bids, asks = [b.price for b in book.bids], [a.price for a in book.asks]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(p % pair.tick == 0 for p in bids + asks)
    assert all(level.size > 0 for level in book.bids + book.asks)


def test_first_level_holds_a_small_order():
    """The best level is always worth several thousand: a small order needs no second one."""
    walk = PriceWalk(0)
    for second in range(500):
        best = walk.book(ETH, START_NS + second * NS, 1).asks[0]
        assert best.price * best.size > 5_000


def test_low_market_runs_out_of_bids():
    """Prices never reach zero, however deep the book is asked for."""
    penny = Market(name="P", anchor=Decimal("0.05"), tick=Decimal("0.01"))
    book = PriceWalk(0).book(penny, START_NS, 50)
    assert 0 < len(book.bids) < 10
    assert min(b.price for b in book.bids) > 0


LEVELS = [Level(Decimal(10), Decimal(1)), Level(Decimal(11), Decimal(1)), Level(Decimal(12), Decimal(1))]


@pytest.mark.parametrize(
    ("quantity", "limit", "expected"),
    [
        ("0.5", None, [("10", "0.5")]),
        ("1.5", None, [("10", "1"), ("11", "0.5")]),
        ("9", None, [("10", "1"), ("11", "1"), ("12", "1")]),
        ("9", "11", [("10", "1"), ("11", "1")]),
        ("1", "9.99", []),
    ],
)
def test_sweep_takes_the_best_first(quantity, limit, expected):
    """A buy takes the cheapest levels, never beyond its limit, never more than there is."""
    fills = sweep(LEVELS, "buy", Decimal(quantity), None if limit is None else Decimal(limit))
    assert [(Decimal(p), Decimal(q)) for p, q in expected] == [(f.price, f.size) for f in fills]


def test_sweep_sells_down():
    """A sell takes bids down to its limit."""
    bids = [Level(Decimal(9), Decimal(1)), Level(Decimal(8), Decimal(1))]
    assert [Level(Decimal(9), Decimal(1))] == sweep(bids, "sell", Decimal(2), Decimal("8.5"))


def test_crossing_is_found_at_the_second_it_happens():
    """A resting buy is crossed exactly when the best ask first comes down to it."""
    walk = PriceWalk(0)
    asks = [walk.best(ETH, START_NS + s * NS)[1] for s in range(1, 301)]
    lowest = min(asks)
    expected = START_NS + (asks.index(lowest) + 1) * NS
    assert expected == walk.first_cross(ETH, "buy", lowest, START_NS, START_NS + 300 * NS)
    assert walk.first_cross(ETH, "buy", Decimal(1900), START_NS, START_NS + 300 * NS) is None
    assert walk.first_cross(ETH, "sell", Decimal(2100), START_NS, START_NS + 300 * NS) is None


def test_crossing_search_is_bounded():
    """Years of advanced clock cost a bounded number of looks."""
    walk = PriceWalk(0)
    far_ns = START_NS + 5 * 366 * 86_400 * NS
    assert walk.first_cross(ETH, "buy", Decimal(1000), START_NS, far_ns) is None
