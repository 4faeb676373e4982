"""Looking for one order: what is sought, and what a search pass says."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import SubmitAttempt
from quantlab.evidence.standing import standing_of
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import Denied
from quantlab.rungs import finding
from tests.support import values
from tests.support.virtual import Bench
from tests.support.virtual_hyperliquid import HyperliquidBench
from tests.unit.evidence import signed
from tests.unit.evidence.built import BODIES, LATER, chain_of
from tests.unit.rungs.looking import place, quick_bench
from tests.unit.rungs.test_outcomes import answered_as_order


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    return quick_bench(tmp_path)


@pytest.fixture
def desk(bench: Bench):
    """Return a desk on the bench's folders, its ledger closed at the end."""
    desk = bench.desk()
    yield desk
    desk.ledger.close()


def sought(bench: Bench, session: Path):
    """Return what is looked for in a session."""
    return finding.sought_of(bench.session(session).chain, bench.standing(session))


def test_an_attempt_says_what_is_sought(bench: Bench) -> None:
    """Plan, times on the venue's clock, submitting key, control and snapshot come from the attempt."""
    session = bench.unknown()
    attempt = bench.standing(session).attempt
    found = sought(bench, session)
    assert found.plan == attempt.body.plan
    assert found.attempt_sha256 == attempt.sha256
    assert found.attempted_at == parse_rfc3339(attempt.body.venue_now_at)
    assert found.deadline_at == parse_rfc3339(attempt.body.deadline_at)
    assert found.signer_id == attempt.body.signer_id
    assert found.control == attempt.body.snapshot.control_order


def test_an_attempt_without_a_deadline_has_one_a_minute_later(bench: Bench) -> None:
    """Where the venue takes no deadline, a minute stands in its place."""
    session = bench.unknown()
    chain = bench.session(session).chain
    records = tuple(
        msgspec.structs.replace(one, body=msgspec.structs.replace(one.body, deadline_at=None))
        if isinstance(one.body, SubmitAttempt)
        else one
        for one in chain.records
    )
    found = finding.sought_of(msgspec.structs.replace(chain, records=records), bench.standing(session))
    assert found.deadline_at == found.attempted_at + timedelta(seconds=finding.FALLBACK_DEADLINE_SECONDS)


def test_a_validation_answered_as_an_order_is_sought_by_its_plan(bench: Bench) -> None:
    """No attempt: the plan, from its making on, without control, snapshot or key."""
    session = answered_as_order(bench)
    found = sought(bench, session)
    assert found.plan == bench.standing(session).plan
    assert found.signer_id is None
    assert found.control is None
    assert bench.reconcile(session).outcome == "unknown"


@pytest.mark.parametrize("kind", ["validated", "denied"])
def test_nothing_sent_nothing_sought(bench: Bench, kind: str) -> None:
    """A session that was never sent seeks nothing, with a plan or without, and asking for it is refused."""
    result = bench.validate() if kind == "validated" else bench.validate(symbol="ZZZ-USD")
    session = bench.root / str(result.session_id)
    assert (bench.standing(session).plan is None) == (kind == "denied")
    assert sought(bench, session) is None
    with pytest.raises(Denied) as caught:
        finding.require_sent(None, bench.standing(session))
    assert caught.value.code == "nothing_sent"


def test_an_order_is_named_once_whichever_views_show_it(bench: Bench, desk) -> None:
    """Filtered and unfiltered views show the same order: one match."""
    session = bench.unknown("drop_after_accept")
    bench.world.pass_seconds(100)
    found = finding.full_pass(desk, sought(bench, session))
    assert [bench.orders()[0]["venue_order_id"]] == [one.venue_order_id for one in found.matches]
    assert found.control_found is True
    assert found.suspicious == ()
    assert found.clean


def test_a_control_without_a_time_widens_no_window(bench: Bench, desk) -> None:
    """A control that carries no opening time is looked for in the order's own window."""
    session = bench.unknown("drop_before_read")
    wanted = sought(bench, session)
    wanted = msgspec.structs.replace(wanted, control=msgspec.structs.replace(wanted.control, opened_at=None))
    assert finding.full_pass(desk, wanted).control_found is False


def test_a_key_that_is_busy_makes_the_pass_unclean(bench: Bench, desk) -> None:
    """Another process keeps the key: the pass says so and proves nothing."""
    session = bench.unknown("drop_before_read")
    [lock_file] = (bench.folder / "state" / "keys").iterdir()
    lock = bench.disk.lock(lock_file)
    found = finding.quick_pass(desk, sought(bench, session))
    lock.release()
    assert not found.clean
    assert not found.fence_set


def test_an_incident_is_noted_once(bench: Bench, desk) -> None:
    """The same incident again adds no record; another message does."""
    session = bench.unknown("drop_before_read")
    with desk.write(session) as writer:
        for message in ("one", "one", "two"):
            finding.note_incident(desk, writer, plan_sha256="0" * 64, code="mismatch", message=message)
        assert ["one", "two"] == [
            one.body.message for one in bench.session(session).chain.records if one.name == "incident"
        ]


def test_a_known_order_is_read_by_its_id_and_an_unknown_one_by_ours(bench: Bench, desk) -> None:
    """By the venue's id when it is known; by the client id when exactly one order equals the plan."""
    session = bench.unknown("drop_after_accept")
    standing, wanted = bench.standing(session), sought(bench, session)
    own = bench.orders()[0]["venue_order_id"]
    assert own == finding.read_known_order(desk, standing, wanted).venue_order_id
    bench.status(session)
    assert own == finding.read_known_order(desk, bench.standing(session), wanted).venue_order_id
    place(bench, session)
    assert finding.read_known_order(desk, standing, wanted) is None


# ------------------------------------------------------------------ an order that was signed first


@pytest.fixture
def margin_desk(tmp_path: Path):
    """Return a desk of the Hyperliquid corridor, its ledger closed at the end."""
    desk = HyperliquidBench(tmp_path).desk()
    yield desk
    desk.ledger.close()


ATTEMPT = msgspec.structs.replace(
    BODIES["quantlab.submit_attempt/1"],
    plan_sha256=signed.SIGNED_PLAN_SHA,
    plan=signed.SIGNED_PLAN,
    deadline_at=signed.EXPIRES_AT,
    signer_id=signed.SIGNER,
)


def answered(rule: str, outcome: str = "unknown"):
    """Return the answer to the send, by the rule that decided."""
    body = BODIES["quantlab.submit_response/1"]
    return msgspec.structs.replace(
        body, plan_sha256=signed.SIGNED_PLAN_SHA, outcome=outcome, rule=rule, venue_order_id=None
    )


def burned(nonce_was: str):
    """Return the answer to a burn, a day after the send."""
    return msgspec.structs.replace(signed.BURN_RESPONSE, nonce_was=nonce_was, venue_at=LATER)


@pytest.mark.parametrize(
    ("bodies", "closed", "said"),
    [
        ((ATTEMPT,), False, None),
        ((ATTEMPT, answered("timed_out")), False, None),
        ((ATTEMPT, answered("not_admitted_signer")), False, "refused_before_admission"),
        ((ATTEMPT, answered("timed_out"), signed.BURN_ATTEMPT), False, None),
        ((ATTEMPT, answered("timed_out"), signed.BURN_ATTEMPT, burned("nothing")), False, None),
        ((ATTEMPT, answered("timed_out"), signed.BURN_ATTEMPT, burned("used")), False, None),
        ((ATTEMPT, answered("timed_out"), signed.BURN_ATTEMPT, burned("closed")), True, None),
        ((ATTEMPT, answered("timed_out"), signed.BURN_ATTEMPT, burned("unused")), True, "nonce_was_unused"),
        ((ATTEMPT, answered("not_admitted_signer"), signed.BURN_ATTEMPT, burned("unused")), True, "nonce_was_unused"),
        ((ATTEMPT, answered("not_admitted_signer"), signed.BURN_ATTEMPT, burned("used")), False, None),
        ((signed.BURN_ATTEMPT,), False, "never_sent_by_us"),
        ((signed.BURN_ATTEMPT, burned("used")), False, None),
        ((signed.BURN_ATTEMPT, burned("used"), signed.BURN_ATTEMPT, burned("nothing")), False, None),
        ((signed.BURN_ATTEMPT, burned("used"), signed.BURN_ATTEMPT, burned("closed")), False, None),
        ((signed.BURN_ATTEMPT, burned("unused")), True, "nonce_was_unused"),
        ((signed.BURN_ATTEMPT, burned("closed")), True, "never_sent_by_us"),
    ],
)
def test_what_the_venue_said_sets_the_terms_of_the_proof(margin_desk, bodies, closed, said) -> None:
    """A nonce found unused, a refusal before admission, or nothing sent by us; a burn that closed sets the time."""
    chain = chain_of(signed.ADOPTED, *bodies)
    standing = standing_of(chain)
    terms = finding.proof_terms(margin_desk, standing, finding.sought_of(chain, standing))
    assert (said, parse_rfc3339(LATER) if closed else None) == (terms.never_admitted, terms.closed_at)
    assert (parse_rfc3339(signed.EXPIRES_AT), 10, 60) == (
        terms.deadline_at,
        terms.margin_seconds,
        terms.settle_seconds,
    )


def test_an_attempt_of_the_other_corridor_has_terms_without_a_statement(bench: Bench, desk) -> None:
    """Kraken answers for no nonce: deadline, five seconds, settle time."""
    session = bench.unknown()
    wanted = sought(bench, session)
    terms = finding.proof_terms(desk, bench.standing(session), wanted)
    assert (None, None, 5, 60) == (
        terms.never_admitted,
        terms.closed_at,
        terms.margin_seconds,
        terms.settle_seconds,
    )
    assert wanted.deadline_at == terms.deadline_at


def test_a_signed_order_that_is_being_burned_is_sought_by_its_plan() -> None:
    """Without an attempt: the plan from its making on, until the signature's expiry, by its signer."""
    chain = chain_of(signed.ADOPTED, signed.BURN_ATTEMPT)
    found = finding.sought_of(chain, standing_of(chain))
    assert (signed.SIGNED_PLAN, signed.SIGNED_PLAN_SHA, chain.records[0].sha256, signed.SIGNER, None) == (
        found.plan,
        found.plan_sha256,
        found.attempt_sha256,
        found.signer_id,
        found.control,
    )
    assert parse_rfc3339(signed.SIGNED_PLAN.planned_at) == found.attempted_at
    assert parse_rfc3339(signed.EXPIRES_AT) == found.deadline_at


def test_a_signed_order_that_is_not_burned_and_not_sent_is_not_sought() -> None:
    """Nothing was sent, so there is nothing to look for."""
    chain = chain_of(signed.ADOPTED)
    assert finding.sought_of(chain, standing_of(chain)) is None


def margin_sought(balances: dict[str, str]) -> finding.Sought:
    """Return the signed order as sought, with the account as it stood before."""
    chain = chain_of(signed.ADOPTED, ATTEMPT)
    return msgspec.structs.replace(finding.sought_of(chain, standing_of(chain)), balances=balances)


@pytest.mark.parametrize(
    ("before", "now", "doubts"),
    [
        ({"USDC": "1000", "ETH": "1"}, {"USDC": "900", "ETH": "1"}, ()),
        ({"USDC": "1000"}, {"USDC": "1000"}, ()),
        ({"USDC": "1000", "ETH": "1"}, {"ETH": "1.25"}, ("ETH was 1, is 1.25, and no fill explains it",)),
        ({"USDC": "1000"}, {"USDC": "1000", "ETH": "0.25"}, ("ETH was 0, is 0.25, and no fill explains it",)),
        ({"USDC": "1000", "ETH": "0.25"}, {"USDC": "1000"}, ("ETH was 0.25, is 0, and no fill explains it",)),
        ({"USDC": "1000", "ETH": "1"}, {"USDC": "1000", "ETH": "1.0"}, ()),
        ({}, {"ETH": "0.25"}, ()),
    ],
)
def test_a_position_that_moved_without_a_fill_is_suspicious(margin_desk, before, now, doubts) -> None:
    """Only what an execution of the plan moves is looked at; a position that was not there counts as zero."""
    balances = tuple(values.balance(asset, total) for asset, total in now.items())
    assert doubts == finding._suspicious(margin_desk, margin_sought(before), (), (), balances)


def test_the_fence_is_the_venues_own(margin_desk, desk) -> None:
    """Hyperliquid's actions bear their own expiry; Kraken's fence is the key in use."""
    assert margin_desk.reads.fence_holds(None)
    assert desk.reads.fence_holds(desk.reads.signer_id)
    assert not desk.reads.fence_holds(None)
