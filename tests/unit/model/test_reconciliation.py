"""What ends an unknown: an order that equals the plan, or two clean empty searches far enough apart and late enough."""

from datetime import timedelta

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from quantlab.kernel.clock import rfc3339
from quantlab.model.reconciliation import ProofTerms, judge, mismatches_of
from tests.unit.evidence.built import BEGUN, ORDER, PASS, PLAN

DEADLINE = BEGUN + timedelta(seconds=10)
SETTLE = 60
TERMS = ProofTerms(deadline_at=DEADLINE, settle_seconds=SETTLE)
PROOF = BEGUN + timedelta(seconds=75)


def at(seconds: int) -> str:
    """Return the text of the venue's time, seconds after proof can begin."""
    return rfc3339(PROOF + timedelta(seconds=seconds))


def search(seconds: int, **changes):
    """Return one search pass, clean and empty but for the changes."""
    return msgspec.structs.replace(PASS, venue_at=at(seconds), **changes)


def verdict(*passes, now: int = 100):
    """Return the judgement over passes."""
    return judge(passes, TERMS, now_at=PROOF + timedelta(seconds=now))


def test_proof_begins_after_deadline_margin_and_settle_time():
    """No pass counts before the deadline, five seconds of margin and the settle time are over."""
    assert PROOF == TERMS.counting_from


def test_two_clean_distant_passes_are_not_found():
    """Two clean empty passes at least 15 s apart, both late enough, end the search; nothing is proven by it."""
    found = verdict(search(0), search(15))
    assert ("not_found", None, ("searches_empty",), None, None) == (
        found.resolution,
        found.order,
        found.reasons,
        found.earliest_next_at,
        found.incident,
    )


def test_a_doubtful_newest_look_takes_the_absence_back():
    """After two good passes, a clean one that sees the account changed makes the order unknown again."""
    found = verdict(search(0), search(15), search(40, suspicious=("ETH was 5, is 5.25",)))
    assert ("unknown", ("account_changed_as_if_filled",)) == (found.resolution, found.reasons)


def test_a_failed_newest_look_takes_nothing_back():
    """A read that fails says nothing, so it leaves two good passes as they are."""
    assert "not_found" == verdict(search(0), search(15), search(40, clean=False)).resolution


@pytest.mark.parametrize(
    ("passes", "now", "reasons", "earliest"),
    [
        ((), -80, ("deadline_or_settle_time_not_passed",), at(0)),
        ((search(-1),), -1, ("deadline_or_settle_time_not_passed",), at(0)),
        ((search(-1), search(20)), 20, ("two_clean_passes_needed",), at(35)),
        ((search(0), search(14)), 14, ("passes_too_close_together",), at(29)),
        ((search(0),), 100, ("two_clean_passes_needed",), at(100)),
        ((), 5, ("two_clean_passes_needed",), at(5)),
        ((search(0), search(20, clean=False)), 20, ("reads_failed", "two_clean_passes_needed"), at(20)),
        ((search(0), search(20, full=False)), 20, ("two_clean_passes_needed",), at(20)),
        (
            (search(0), search(20, venue_online=False)),
            20,
            ("venue_not_online", "two_clean_passes_needed"),
            at(20),
        ),
        ((search(0), search(20, fence_set=False)), 20, ("nonce_fence_missing", "two_clean_passes_needed"), at(20)),
        ((search(0), search(20, control_found=None)), 20, ("no_positive_control", "two_clean_passes_needed"), at(20)),
        (
            (search(0), search(20, control_found=False)),
            20,
            ("positive_control_not_found", "two_clean_passes_needed"),
            at(20),
        ),
        (
            (search(0), search(20, suspicious=("ETH 1 is now 1.25",))),
            20,
            ("account_changed_as_if_filled", "two_clean_passes_needed"),
            at(20),
        ),
    ],
)
def test_anything_less_stays_unknown(passes, now, reasons, earliest):
    """Every missing condition keeps the order unknown, is named, and says when another look can help."""
    found = verdict(*passes, now=now)
    assert ("unknown", reasons, earliest) == (found.resolution, found.reasons, found.earliest_next_at)


@hypothesis.given(
    st.lists(
        st.tuples(
            st.integers(-100, 100),
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.sampled_from([None, False, True]),
            st.booleans(),
        ),
        max_size=6,
    ).map(lambda rows: sorted(rows, key=lambda row: row[0]))
)
def test_not_found_always_rests_on_two_good_passes(rows):
    """Not found is never said without two passes that were whole, clean, online, fenced, controlled and late."""
    passes = [
        search(
            seconds,
            full=full,
            clean=clean,
            venue_online=online,
            fence_set=fence,
            control_found=control,
            suspicious=("x",) if doubt else (),
        )
        for seconds, full, clean, online, fence, control, doubt in rows
    ]
    good = [row[0] for row in rows if row[0] >= 0 and row[1:] == (True, True, True, True, True, False)]
    expected = "not_found" if good and good[-1] - good[0] >= 15 else "unknown"
    assert expected == verdict(*passes).resolution


def test_a_match_is_landed_whatever_else_failed():
    """One order under the id, equal to the plan, is landed; its newest reading is kept."""
    newer = msgspec.structs.replace(ORDER, read_at=at(30))
    found = verdict(search(-50, matches=(ORDER,)), search(10, matches=(newer,), clean=False), search(20))
    assert ("landed", newer, ("order_found",)) == (found.resolution, found.order, found.reasons)


def test_two_orders_under_one_id_are_an_incident():
    """More than one venue order under our id is never resolved, and is reported with both ids."""
    other = msgspec.structs.replace(ORDER, venue_order_id="OZZZZZ-ZZZZZ-ZZZZZZ")
    found = verdict(search(0, matches=(ORDER,)), search(20, matches=(other,)))
    assert ("unknown", ("more_than_one_match",)) == (found.resolution, found.reasons)
    assert "2 orders carry this client order id: OABCDE-FGHIJ-KLMNOP, OZZZZZ-ZZZZZ-ZZZZZZ" == found.incident


def test_a_match_that_differs_is_an_incident():
    """An order under our id that is not the planned one stays unknown, also beside clean empty passes."""
    found = verdict(search(0), search(20), search(30, mismatches=("side sell, planned buy",)))
    assert ("unknown", ("match_differs_from_plan",)) == (found.resolution, found.reasons)
    assert "side sell, planned buy" == found.incident


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"venue_symbol": "XBTUSD"}, "market XBTUSD, planned ETH/USD"),
        ({"side": "sell"}, "side sell, planned buy"),
        ({"size_base": "0.26"}, "size 0.26, planned 0.25"),
        ({"order_type": "market"}, "type market, planned limit"),
        ({"limit_price": "2020.3"}, "limit price 2020.3, planned 2020.2"),
        ({"limit_price": None}, "limit price None, planned 2020.2"),
        ({"client_order_id": "f" * 32}, f"client order id {'f' * 32}, planned 0123456789abcdef0123456789abcdef"),
        (
            {"opened_at": rfc3339(BEGUN - timedelta(seconds=120, microseconds=1))},
            "opened at 2026-01-02T03:02:05.678900Z, sent at 2026-01-02T03:04:05.678901Z",
        ),
    ],
)
def test_every_difference_from_the_plan_is_named(changes, words):
    """Market, side, size, type, price, id and time must all be the planned ones."""
    order = msgspec.structs.replace(ORDER, **changes)
    assert (words,) == mismatches_of(PLAN, order, attempted_at=BEGUN)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"venue_symbol": "ETH/USD"},
        {"venue_symbol": "XETHZUSD"},
        {"size_base": "0.2500"},
        {"limit_price": "2020.20"},
        {"client_order_id": None},
        {"opened_at": None},
        {"opened_at": rfc3339(BEGUN - timedelta(seconds=120))},
    ],
)
def test_the_planned_order_under_any_spelling_matches(changes):
    """Another spelling of the market or number, or a view that leaves a value out, is still the order."""
    assert () == mismatches_of(PLAN, msgspec.structs.replace(ORDER, **changes), attempted_at=BEGUN)


def test_a_market_order_has_no_price_to_compare():
    """Where no limit price was planned, none is compared."""
    plan = msgspec.structs.replace(PLAN, order_type="market", limit_price=None)
    order = msgspec.structs.replace(ORDER, order_type="market", limit_price="0")
    assert () == mismatches_of(plan, order, attempted_at=BEGUN)


# ------------------------------------------------------------------ what the venue itself says


UNUSED = ProofTerms(deadline_at=DEADLINE, settle_seconds=SETTLE, closed_at=PROOF, never_admitted="nonce_was_unused")
"""A burn at ``PROOF`` found the nonce unused: ten seconds later the views count."""
REFUSED = ProofTerms(
    deadline_at=DEADLINE, margin_seconds=10, settle_seconds=SETTLE, never_admitted="refused_before_admission"
)
"""The venue refused the order before it admitted it: ten seconds after its expiry it can not come any more."""
REFUSED_FROM = -55
"""Expiry and margin end so many seconds before ``PROOF``."""


def on(terms: ProofTerms, *passes, now: int = 100):
    """Return the judgement over passes on these terms."""
    return judge(passes, terms, now_at=PROOF + timedelta(seconds=now))


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 75),
        ({"margin_seconds": 10}, 80),
        ({"settle_seconds": 0}, 15),
        ({"never_admitted": "refused_before_admission"}, 15),
        ({"closed_at": BEGUN}, 10),
        ({"closed_at": BEGUN, "never_admitted": "nonce_was_unused"}, 10),
        ({"closed_at": BEGUN, "settle_seconds": 3}, 3),
        ({"closed_at": BEGUN + timedelta(seconds=500)}, 510),
    ],
)
def test_from_when_on_empty_searches_count(changes, seconds):
    """Deadline, margin and settle time; no settle time for what was never admitted; soon after a burn that closed."""
    terms = msgspec.structs.replace(TERMS, **changes)
    assert BEGUN + timedelta(seconds=seconds) == terms.counting_from


@pytest.mark.parametrize(("terms", "first"), [(UNUSED, 10), (REFUSED, REFUSED_FROM)])
@pytest.mark.parametrize("control", [True, None])
def test_never_admitted_and_not_there_is_not_landed(terms, first, control):
    """The venue's own statement and two clean empty passes: proven, with or without an earlier order as control."""
    found = on(terms, search(first, control_found=control), search(first + 15, control_found=control))
    assert ("not_landed", None, (terms.never_admitted, "searches_empty"), None, None) == (
        found.resolution,
        found.order,
        found.reasons,
        found.earliest_next_at,
        found.incident,
    )


@pytest.mark.parametrize(("terms", "first"), [(UNUSED, 10), (REFUSED, REFUSED_FROM)])
def test_a_pass_before_the_counting_begins_does_not_count(terms, first):
    """A second too early, the first pass is none, and the pair too close."""
    early, late = search(first - 1), search(first + 14)
    found = on(terms, early, late, now=first + 14)
    assert ("unknown", ("two_clean_passes_needed",), at(first + 29)) == (
        found.resolution,
        found.reasons,
        found.earliest_next_at,
    )
    waiting = on(terms, early, now=first - 1)
    assert (("deadline_or_settle_time_not_passed",), at(first)) == (waiting.reasons, waiting.earliest_next_at)


def test_a_control_that_is_not_found_again_spoils_the_proof():
    """An account with an earlier order that the search does not show is not searched well, whatever a burn said."""
    found = on(UNUSED, search(10, control_found=False), search(25, control_found=False), now=25)
    assert ("unknown", ("positive_control_not_found", "two_clean_passes_needed")) == (found.resolution, found.reasons)


def test_without_a_statement_no_control_is_no_proof():
    """A burn that only closed the nonce says nothing of the past: the searches need their control."""
    closed = msgspec.structs.replace(UNUSED, never_admitted=None)
    found = on(closed, search(10, control_found=None), search(25, control_found=None), now=25)
    assert ("unknown", ("no_positive_control", "two_clean_passes_needed")) == (found.resolution, found.reasons)


def test_a_missing_control_is_no_doubt_beside_a_statement():
    """Where none is needed, its absence is not told as a reason."""
    found = on(UNUSED, search(10, control_found=None), search(12, control_found=None), now=12)
    assert ("unknown", ("passes_too_close_together",)) == (found.resolution, found.reasons)


def test_a_closed_nonce_alone_is_not_found():
    """It can not come any more, and nobody shows it; whether it came and vanished a person decides."""
    closed = msgspec.structs.replace(UNUSED, never_admitted=None)
    found = on(closed, search(10), search(25))
    assert ("not_found", ("searches_empty",)) == (found.resolution, found.reasons)


def test_a_match_after_a_burn_is_landed():
    """An order that a view shows has landed, whatever the burn said."""
    found = on(UNUSED, search(10), search(25), search(40, matches=(ORDER,)))
    assert ("landed", ORDER) == (found.resolution, found.order)


def test_a_match_that_differs_is_an_incident_after_a_burn_too():
    """Another order under our id ends every proof."""
    found = on(UNUSED, search(10), search(25), search(40, mismatches=("side sell, planned buy",)))
    assert ("unknown", "side sell, planned buy") == (found.resolution, found.incident)


TERMS_OF_ANY_KIND = st.builds(
    lambda margin, settle, closed, said: ProofTerms(
        deadline_at=DEADLINE,
        margin_seconds=margin,
        settle_seconds=settle,
        closed_at=None if closed is None else PROOF + timedelta(seconds=closed),
        never_admitted=said,
    ),
    st.integers(0, 20),
    st.integers(0, 60),
    st.none() | st.integers(-100, 50),
    st.sampled_from([None, "nonce_was_unused", "refused_before_admission", "never_sent_by_us"]),
)
PASSES_OF_ANY_KIND = st.lists(
    st.builds(
        lambda seconds, whole, control, doubt, match, other: search(
            seconds,
            full=whole[0],
            clean=whole[1],
            venue_online=whole[2],
            fence_set=whole[3],
            control_found=control,
            suspicious=("x",) if doubt else (),
            matches=(ORDER,) if match else (),
            mismatches=("side sell, planned buy",) if other else (),
        ),
        st.integers(-150, 100),
        st.tuples(*[st.sampled_from([True, True, True, False])] * 4),
        st.sampled_from([None, True, True, False]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, False, True]),
    ),
    max_size=6,
).map(lambda passes: sorted(passes, key=lambda one: one.venue_at))


@hypothesis.given(PASSES_OF_ANY_KIND, TERMS_OF_ANY_KIND)
def test_no_absence_is_claimed_while_a_match_exists(passes, terms):
    """Not landed and not found are never said where any pass saw an order, and not landed never without a statement."""
    found = judge(tuple(passes), terms, now_at=PROOF + timedelta(seconds=100))
    seen = any(one.matches or one.mismatches for one in passes)
    if seen:
        assert found.resolution in {"landed", "unknown"}
        assert (found.resolution == "landed") == (found.order is not None)
    if found.resolution in {"not_landed", "not_found"}:
        assert (found.resolution == "not_landed") == (terms.never_admitted is not None)
        late = [one for one in passes if one.full and one.clean and one.venue_at >= rfc3339(terms.counting_from)]
        assert len(late) >= 2
        assert not late[-1].suspicious
        assert late[-1].control_found is not False


@hypothesis.given(PASSES_OF_ANY_KIND, TERMS_OF_ANY_KIND)
def test_a_further_clean_pass_never_turns_a_find_into_an_absence(passes, terms):
    """What was found stays found, however often nothing is found later."""
    before = judge(tuple(passes), terms, now_at=PROOF + timedelta(seconds=100))
    after = judge((*passes, search(200), search(300)), terms, now_at=PROOF + timedelta(seconds=300))
    if before.resolution == "landed" or before.incident is not None:
        assert (before.resolution, before.order, before.incident) == (after.resolution, after.order, after.incident)
    else:
        assert after.resolution == ("not_found" if terms.never_admitted is None else "not_landed")
