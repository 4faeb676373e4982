"""The ledger: what is claimed once is claimed for ever, by one alone, on any crash and race."""

import stat
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from quantlab.kernel.errors import StorageFault
from quantlab.storage.ledger import Halt, Head, LiveIntent, Sent, Spend, SpendRefusal, now_expired
from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.evidence.built import AT, LATER, STATE_ID, FixedEntropy
from tests.unit.storage.claims import ACCOUNT, CLAIM, SPEND, but


def sent_again(number: int, **changes) -> Spend:
    """Return the spend of another plan."""
    return but(SPEND, plan_sha256=f"p{number}", client_order_id=f"c{number}", **changes)


def test_the_id_stays(tmp_path):
    """The id is made once and is the same for whoever opens the file later; memory has its own."""
    first = SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy())

    class Other:
        def token_bytes(self, count):
            return bytes(count)

    second = SqliteLedger(tmp_path / "ledger", entropy=Other())
    memory = SqliteLedger(":memory:", entropy=Other())
    assert (STATE_ID, STATE_ID, "0" * 32) == (first.state_id, second.state_id, memory.state_id)
    assert 0o600 == stat.S_IMODE((tmp_path / "ledger").stat().st_mode)
    for one in (first, second, memory):
        one.close()


def test_one_holder_an_account(ledger):
    """The first claim holds; every other claimer learns the holder; another account is free."""
    other = but(CLAIM, session_id="s2", folder="f2", plan_sha256="p2")
    elsewhere = but(other, account_key="kraken:live:AA00")
    assert CLAIM == ledger.claim_interlock(CLAIM)
    assert CLAIM == ledger.claim_interlock(other)
    assert elsewhere == ledger.claim_interlock(elsewhere)
    assert {CLAIM, elsewhere} == set(ledger.interlocks())
    ledger.release_interlock(ACCOUNT, "s2")
    assert CLAIM == ledger.claim_interlock(other)
    ledger.release_interlock(ACCOUNT, "s1")
    assert other == ledger.claim_interlock(other)


def test_a_spend_claims_everything_at_once(ledger):
    """Plan, client order id, nonce, budget and intent are spent together and can be read back exactly."""
    intent = LiveIntent(intent_sha256="i1", session_id="s1", folder="f1", state="live", planned_at=AT, expires_at=LATER)
    ledger.put_intent(intent)
    ledger.claim_interlock(CLAIM)
    assert ledger.sent("p1") is None
    nonce = ledger.spend(SPEND)
    assert SPEND.nonce_floor == nonce == ledger.last_nonce("k1")
    expected = Sent(
        **{name: getattr(SPEND, name) for name in Sent.__struct_fields__ if hasattr(SPEND, name)},
        nonce=nonce,
        state="in_flight",
        resolution=None,
    )
    assert expected == ledger.sent("p1")
    assert (expected,) == ledger.sends()
    assert (1, Decimal("505.05")) == ledger.daily(ACCOUNT, "2026-01-02")
    assert (but(intent, state="spent"),) == ledger.intents("i1")


@pytest.mark.parametrize(
    ("prepare", "spend", "code", "measured", "limit"),
    [
        (lambda _: None, SPEND, "plan_already_spent", "p1", "a plan is sent once"),
        (lambda _: None, but(SPEND, plan_sha256="p2"), "client_order_id_already_spent", "c1", "an id is sent once"),
        (
            lambda ledger: ledger.release_interlock(ACCOUNT, "s1"),
            sent_again(2),
            "interlock_not_held",
            "another session",
            "this session",
        ),
        (
            lambda ledger: ledger.set_halt(Halt(reviewer="marce", reason="drill", halted_at=AT)),
            sent_again(2),
            "halted",
            "halt set",
            "no halt",
        ),
        (lambda _: None, sent_again(2, daily_orders_limit=1), "daily_orders", "2", "1"),
        (
            lambda _: None,
            sent_again(2, daily_notional_limit=Decimal("1010.09")),
            "daily_notional",
            "1010.1",
            "1010.09",
        ),
    ],
)
def test_a_refused_spend_claims_nothing(ledger, prepare, spend, code, measured, limit):
    """Each rule refuses by name with its figures, and neither nonce nor budget moves."""
    ledger.claim_interlock(CLAIM)
    ledger.spend(SPEND)
    prepare(ledger)
    before = (ledger.sends(), ledger.last_nonce("k1"), ledger.daily(ACCOUNT, SPEND.day))
    assert SpendRefusal(code=code, measured=measured, limit=limit) == ledger.spend(spend)
    assert before == (ledger.sends(), ledger.last_nonce("k1"), ledger.daily(ACCOUNT, SPEND.day))


def test_daily_limits_are_reached_exactly(ledger):
    """The limit itself is allowed, one more is not; another day and another account count for themselves."""
    ledger.claim_interlock(CLAIM)
    limits = {"daily_orders_limit": 2, "daily_notional_limit": Decimal("1010.10")}
    assert isinstance(ledger.spend(sent_again(1, **limits)), int)
    assert isinstance(ledger.spend(sent_again(2, **limits)), int)
    assert "daily_orders" == ledger.spend(sent_again(3, **limits)).code
    assert isinstance(ledger.spend(sent_again(4, day="2026-01-03", **limits)), int)
    assert (2, Decimal("1010.10")) == ledger.daily(ACCOUNT, "2026-01-02")
    assert (0, Decimal(0)) == ledger.daily("kraken:live:AA00", "2026-01-02")


@pytest.mark.parametrize(
    ("state", "counted"),
    [("in_flight", 1), ("unknown", 1), ("accepted", 1), ("rejected", 0), ("never_sent", 0)],
)
def test_only_what_surely_had_no_effect_leaves_the_budget(ledger, state, counted):
    """An unknown send counts as sent; a rejected or never sent one does not."""
    ledger.claim_interlock(CLAIM)
    ledger.spend(SPEND)
    ledger.settle("p1", state=state, resolution="x", free_interlock=False)
    assert counted == ledger.daily(ACCOUNT, SPEND.day)[0]
    assert (state, "x") == (ledger.sent("p1").state, ledger.sent("p1").resolution)
    assert (CLAIM,) == ledger.interlocks()


def test_settling_frees_only_its_own_interlock(ledger):
    """The interlock goes with the plan that holds it, when it is asked to, and the plan stays spent for ever."""
    ledger.claim_interlock(CLAIM)
    ledger.spend(SPEND)
    ledger.settle("another", state="accepted", resolution=None, free_interlock=True)
    assert (CLAIM,) == ledger.interlocks()
    ledger.settle("p1", state="rejected", resolution="rejected", free_interlock=True)
    assert () == ledger.interlocks()
    ledger.claim_interlock(CLAIM)
    assert "plan_already_spent" == ledger.spend(SPEND).code


def test_a_late_find_takes_the_interlock_back(ledger):
    """The plan's account is held again by its session, unless another holds it: then that one is named."""
    ledger.claim_interlock(CLAIM)
    ledger.spend(SPEND)
    ledger.settle("p1", state="unknown", resolution="decided", free_interlock=True)
    again = but(CLAIM, claimed_at=LATER)
    assert again == ledger.retake_interlock("p1", claimed_at=LATER)
    assert again == ledger.retake_interlock("p1", claimed_at=AT)
    ledger.release_interlock(ACCOUNT, "s1")
    other = but(CLAIM, session_id="s2", plan_sha256="p2")
    ledger.claim_interlock(other)
    assert other == ledger.retake_interlock("p1", claimed_at=LATER)
    with pytest.raises(StorageFault) as caught:
        ledger.retake_interlock("nothing", claimed_at=LATER)
    assert "ledger_plan_unknown" == caught.value.code


def imported(number: int = 1, **changes) -> Sent:
    """Return a send as found in records."""
    fields = {name: getattr(SPEND, name) for name in Sent.__struct_fields__ if hasattr(SPEND, name)}
    fields |= {"plan_sha256": f"p{number}", "client_order_id": f"c{number}"}
    return Sent(**(fields | {"nonce": 100 + number, "state": "unknown", "resolution": None} | changes))


def test_a_send_is_imported_once(ledger):
    """A send from records is as spent as one of our own, with its nonce, day and interlock."""
    assert ledger.import_send(imported(), hold_interlock=True)
    assert not ledger.import_send(imported(state="rejected"), hold_interlock=False)
    assert imported() == ledger.sent("p1")
    assert (but(CLAIM, claimed_at=AT),) == ledger.interlocks()
    assert (101, (1, Decimal("505.05"))) == (ledger.last_nonce("k1"), ledger.daily(ACCOUNT, "2026-01-02"))
    assert "plan_already_spent" == ledger.spend(SPEND).code
    assert ledger.import_send(imported(2, state="rejected"), hold_interlock=False)
    assert 102 == ledger.last_nonce("k1")
    assert 1 == len(ledger.interlocks())


def test_an_older_import_never_lowers_a_nonce(ledger):
    """Importing an old send leaves the key's nonces rising."""
    last = ledger.next_nonce("k1", floor=10**18)
    ledger.import_send(imported(), hold_interlock=False)
    assert last < ledger.next_nonce("k1", floor=0)


@pytest.mark.parametrize("changes", [{"client_order_id": "c1"}, {"nonce": 101}])
def test_an_import_that_contradicts_is_refused(ledger, changes):
    """Two plans with one client order id, or one key's nonce, are told apart from a damaged ledger."""
    ledger.import_send(imported(), hold_interlock=False)
    with pytest.raises(StorageFault) as caught:
        ledger.import_send(imported(2, **changes), hold_interlock=True)
    assert "ledger_conflict" == caught.value.code
    assert (imported(),) == ledger.sends()
    assert () == ledger.interlocks()


def test_nonces_rise(ledger):
    """A nonce is the floor or one above the last, for each key on its own."""
    assert ledger.last_nonce("k1") is None
    drawn = [ledger.next_nonce("k1", floor=floor) for floor in (5, 5, 3, 100, 99)]
    assert [5, 6, 7, 100, 101] == drawn
    assert 1 == ledger.next_nonce("k2", floor=1)
    assert (101, 1) == (ledger.last_nonce("k1"), ledger.last_nonce("k2"))


def test_rate_points_fill_and_decay(ledger):
    """Points fill a bucket that empties with time; what does not fit is not counted, and its wait is exact."""

    def take(points, at_ms, capacity=15, decay=330):
        return ledger.take_points(
            "k1", points=points, capacity=capacity, decay_per_kilosecond=decay, at_ns=at_ms * 10**6
        )

    assert [0, 0, 0] == [take(5, 0), take(5, 0), take(5, 0)]
    assert ledger.last_nonce("k1") is None
    wait = take(1, 0)
    assert -(-1000 * 1000 // 330) == wait
    assert 0 < take(1, wait - 1)
    assert 0 == take(1, wait)
    assert 0 < take(1, 0), "a clock that went back gives no points"
    assert 0 == take(15, wait + 60_000)
    assert 0 < take(16, 10**9), "more than the bucket never fits"
    assert 7 == ledger.next_nonce("k1", floor=7)
    assert 0 < take(15, wait + 60_001), "a nonce does not empty the bucket"


def test_a_clock_that_went_back_empties_no_bucket(ledger):
    """Points counted at an earlier time than the last are not given back when the clock is right again."""

    def take(points, at_ms):
        return ledger.take_points("k1", points=points, capacity=10, decay_per_kilosecond=1000, at_ns=at_ms * 10**6)

    assert [0, 0] == [take(5, 60_000), take(5, 0)]
    assert 1000 == take(1, 60_000)


def test_a_full_bucket_drains_again_after_the_clock_went_back(ledger):
    """With no point free and a clock set back an hour, the wait is that of the bucket, not of the clock."""

    def take(at_ms: int) -> int:
        return ledger.take_points("k2", points=10, capacity=10, decay_per_kilosecond=1000, at_ns=at_ms * 10**6)

    hour_ms = 3_600_000
    assert 0 == take(2 * hour_ms)
    assert 10_000 == take(hour_ms)
    assert 0 == take(hour_ms + 10_000)


def test_intents_are_listed_oldest_first(ledger):
    """A session has one intent, replaced by a newer plan; its end is recorded; others stay."""

    def intent(session, at, state="live"):
        return LiveIntent(
            intent_sha256="i1", session_id=session, folder="f", state=state, planned_at=at, expires_at=LATER
        )

    ledger.put_intent(intent("s2", LATER))
    ledger.put_intent(intent("s1", LATER))
    ledger.put_intent(intent("s1", AT))
    ledger.put_intent(but(intent("s3", AT), intent_sha256="other"))
    ledger.end_intent("s2", state="declined")
    assert (intent("s1", AT), intent("s2", LATER, "declined")) == ledger.intents("i1")
    assert () == ledger.intents("nothing")


def test_an_intent_runs_out():
    """An intent is over after its own time, not at it."""
    one = LiveIntent(intent_sha256="i", session_id="s", folder="f", state="live", planned_at=AT, expires_at=LATER)
    at = datetime(2026, 1, 3, 3, 4, 5, 678901, tzinfo=UTC)
    assert not now_expired(one, at)
    assert now_expired(one, at.replace(microsecond=678902))


def test_an_older_head_never_replaces_a_newer(ledger):
    """The newest record seen of a session is remembered, whatever order it was seen in."""
    assert ledger.head("s1") is None
    newest = Head(session_id="s1", folder="f1", sequence=5, record_sha256="b")
    for head in (
        but(newest, sequence=3),
        newest,
        but(newest, sequence=4, folder="copy"),
        but(newest, record_sha256="x"),
    ):
        ledger.note_head(head)
    assert newest == ledger.head("s1")


def test_a_label_is_bound_to_the_first_identity(ledger):
    """An operator's label never moves to another account; venues and environments have labels of their own."""

    def bind(identity, environment="live"):
        return ledger.bind_label(venue="kraken", environment=environment, label="main", identity=identity)

    assert ["A", "A", "B"] == [bind("A"), bind("B"), bind("B", "rehearsal")]


def test_the_halt(ledger):
    """One halt stands until it is cleared; a later one replaces it."""
    first = Halt(reviewer="marce", reason="drill", halted_at=AT)
    second = but(first, reason="really")
    assert ledger.halt() is None
    for halt in (first, second, None):
        ledger.set_halt(halt)
        assert halt == ledger.halt()
