"""Validate: the plan is frozen, every check is recorded, and only an accepted answer can go on."""

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantlab.evidence.records import Incident, Validation
from quantlab.kernel.canonical import sha256_hex
from quantlab.model.execution import DryCheck
from quantlab.model.order import plan_digest
from quantlab.rehearsal.accounts import profile_env
from tests.support.virtual import Bench, codes

TWO_DAYS = 2 * 86_400


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def folder_of(bench, result):
    """Return the session folder of a result."""
    return bench.root / str(result.session_id)


def refused(bench, result, outcome="denied"):
    """Return the standing of a validation that was not accepted, and check that it can not be approved."""
    folder = folder_of(bench, result)
    assert outcome == result.outcome
    approval = bench.approve(folder)
    assert ("denied", ["approve_not_allowed"]) == (approval.outcome, codes(approval))
    return bench.standing(folder)


def answer_with(bench, answer):
    """Let the venue's validate-only check be answered as given."""
    bench.alterations["check_order"] = lambda _: answer


# ------------------------------------------------------------------------------------------ accepted


def test_an_accepted_validation_freezes_the_plan(bench):
    """The first record holds the plan, its digest, every check passed, the ticket and the venue's own reading."""
    result = bench.validate()
    standing = bench.standing(folder_of(bench, result))
    body = standing.validation.body
    assert ("done", "accepted", "validated") == (result.outcome, body.outcome, standing.state)
    assert plan_digest(body.plan) == body.plan_sha256 == standing.plan_sha256
    assert all(check.passed for check in body.checks)
    assert body.plan.session_id == result.session_id
    assert "buy 0.25000000 ETHUSD @ limit" in str(body.venue_description)
    assert dict(line.split(": ", 1) for line in body.ticket) == {fact.label: fact.value for fact in result.facts}
    assert "approve" == result.next.verb
    assert [] == bench.orders()
    assert [] == bench.effects()


def test_the_request_and_answer_are_in_the_record_without_the_key(bench):
    """The record keeps every exchange; neither key nor secret stands in any file."""
    folder = bench.validated()
    exchanges = bench.standing(folder).validation.body.exchanges
    assert any("validate=true" in str(one.request_body) for one in exchanges)
    texts = "".join(path.read_text() for path in folder.rglob("*.json"))
    for name in ("KRAKEN_API_KEY", "KRAKEN_API_SECRET"):
        assert bench.environ[name] not in texts


def test_what_was_typed_is_kept(bench):
    """A limit order's terms are recorded as typed, and the plan carries them."""
    bid, _ = bench.world.best()
    price = (bid * Decimal("0.995")).quantize(Decimal("0.01"))
    folder = bench.validated(limit_price=price, time_in_force="gtc", post_only=True)
    body = bench.standing(folder).validation.body
    assert ("limit", str(price.normalize()), "gtc", True) == (
        body.asked.order_type,
        body.asked.limit_price,
        body.asked.time_in_force,
        body.asked.post_only,
    )
    assert ("limit", "gtc", True) == (body.plan.order_type, body.plan.time_in_force, body.plan.post_only)


def test_a_market_order_by_name_has_no_bound_in_its_plan(bench):
    """A plain market order is possible only by name, and its ticket says that the price is not bounded."""
    folder = bench.validated(order_type="market", time_in_force="ioc")
    body = bench.standing(folder).validation.body
    assert (None, None, "market") == (body.plan.worst_price, body.plan.limit_price, body.plan.order_type)
    assert any("NOT BOUNDED" in line for line in body.ticket)


def test_a_sell_is_validated_too(bench):
    """A sell carries its worst price below the quote."""
    plan = bench.standing(bench.validated(side="sell")).plan
    assert Decimal(plan.worst_price) < Decimal(plan.reference_price)


# ---------------------------------------------------------------------- nothing written, nothing sent


@pytest.mark.parametrize(
    "changes",
    [
        {"order_type": "market", "limit_price": Decimal(2000)},
        {"order_type": "market", "time_in_force": "gtc"},
        {"order_type": "limit"},
        {"time_in_force": "gtc"},
        {"post_only": True},
        {"post_only": True, "limit_price": Decimal(2000), "time_in_force": "ioc"},
        {"reduce_only": True},
    ],
)
def test_a_contradiction_is_a_usage_fault(bench, changes):
    """An order that contradicts itself, or that the venue can not carry, is refused before anything is written."""
    result = bench.validate(**changes)
    assert ("usage", ["order_shape"]) == (result.outcome, codes(result))
    assert not bench.root.exists()


def test_a_symbol_that_is_none_is_a_usage_fault(bench):
    """A symbol that can not be read ends the command before anything is written."""
    assert "usage" == bench.validate(symbol="").outcome
    assert not bench.root.exists()


def test_without_an_environment_nothing_is_written(bench):
    """No environment: refused, nothing written, the venue never asked."""
    del bench.environ["QUANTLAB_ENVIRONMENT"], bench.environ["QUANTLAB_KRAKEN_URL"]
    result = bench.validate()
    assert ("denied", ["environment_not_set"]) == (result.outcome, codes(result))
    assert not bench.root.exists()
    assert [] == bench.world.requests()


@pytest.mark.parametrize("name", ["KRAKEN_API_KEY", "KRAKEN_API_SECRET"])
def test_a_missing_credential_is_named_and_none_is_shown(bench, name):
    """The missing credential is named; the one that is given is never shown."""
    del bench.environ[name]
    result = bench.validate()
    assert ("denied", ["credentials_missing"]) == (result.outcome, codes(result))
    assert name == result.refusals[0].measured
    assert "REHEARSAL" not in str(result)
    assert not bench.root.exists()


def test_a_paper_session_that_is_none_is_refused(bench):
    """A path that is no session can not be cited; nothing is written."""
    assert "usage" == bench.validate(source_paper_session=bench.folder / "no").outcome
    assert not bench.root.exists()


def test_a_session_without_promotion_can_not_be_cited(bench):
    """A verified session that holds no promotion is refused as a paper session."""
    other = bench.validated()
    result = bench.validate(quantity=Decimal("0.24"), source_paper_session=other)
    assert ("denied", ["paper_session_not_promoted"]) == (result.outcome, codes(result))


def promoted(bench):
    """Return a session folder that holds a record named promotion."""
    folder = bench.folder / "paper"
    desk = bench.desk()
    source = bench.standing(bench.validated(quantity=Decimal("0.24"))).validation
    with desk.store.create_outdir(folder, session_id="paper-1", environment="rehearsal") as writer:
        record = writer.append("promotion", "quantlab.validation/1", source.body, actor="marce")
    desk.ledger.close()
    return folder, record


def test_a_promoted_paper_session_is_cited_by_digest(bench):
    """The plan names the paper session and the digest of its promotion."""
    folder, record = promoted(bench)
    plan = bench.standing(bench.validated(source_paper_session=folder)).plan
    assert ("paper_session", "paper-1", record.sha256) == (
        plan.promotion.source,
        plan.promotion.paper_session,
        plan.promotion.promotion_sha256,
    )


def test_a_changed_promotion_can_not_be_cited(bench):
    """A paper session that does not verify is refused, promotion or not."""
    folder, record = promoted(bench)
    (folder / "promotion.json").write_bytes(record.raw + b" ")
    assert ["paper_session_not_promoted"] == codes(bench.validate(source_paper_session=folder))


def test_promotion_by_rationale_and_its_demand(bench):
    """A rationale is recorded; where the policy demands a paper session it does not do."""
    plan = bench.standing(bench.validated(promotion_rationale=" it held up ")).plan
    assert ("rationale", "it held up") == (plan.promotion.source, plan.promotion.rationale)
    bench.policy(require_promotion=True)
    result = bench.validate(quantity=Decimal("0.24"), promotion_rationale="again")
    assert ["promotion"] == codes(result)
    assert "policy show" == result.next.verb


def test_a_root_belongs_to_one_environment(bench):
    """A root that was begun in another environment is refused, with a root of its own suggested."""
    bench.validated()
    (bench.root / ".quantlab-root.json").write_text('{"environment":"live","schema":"quantlab.root/1"}')
    before = sorted(bench.root.iterdir())
    result = bench.validate(quantity=Decimal("0.24"))
    assert ("denied", ["root_environment"]) == (result.outcome, codes(result))
    assert "broker_order_validations_rehearsal" in result.headline
    assert before == sorted(bench.root.iterdir())


# ------------------------------------------------------------------------------- denied by our checks


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"notional": Decimal(700)}, ["notional_tolerance"]),
        ({"quantity": Decimal("0.51"), "notional": Decimal(1020)}, ["max_order_notional"]),
        ({"symbol": "DOGE-USD", "quantity": Decimal(100), "notional": Decimal(20)}, ["symbol_allowed"]),
        ({"quantity": Decimal("0.1234567891"), "notional": Decimal(250)}, ["size_increment"]),
        ({"quantity": Decimal("0.0019"), "notional": Decimal(4)}, ["minimum_size"]),
        ({"limit_price": Decimal("2000.001")}, ["price_increment"]),
        ({"limit_price": Decimal(2100)}, ["price_collar"]),
    ],
)
def test_a_refused_order_is_recorded_and_ends_there(bench, changes, expected):
    """A check that refuses is recorded with measured value and limit; the session can not be approved."""
    result = bench.validate(**changes)
    standing = refused(bench, result)
    assert expected == codes(result)
    assert "validation_denied" == standing.state
    assert expected == [check.code for check in standing.validation.body.checks if not check.passed]
    assert all(refusal.measured and refusal.limit for refusal in result.refusals)
    assert not any("validate=true" in str(one.request_body) for one in standing.validation.body.exchanges)


@pytest.mark.parametrize(
    ("profile", "code"),
    [("no_trade", "key_permissions"), ("can_withdraw", "key_can_withdraw"), ("windowed", "nonce_window")],
)
def test_a_key_that_is_not_fit_is_refused(bench, profile, code):
    """A key that lacks, or has, a permission it should not is refused by name."""
    bench.use_profile(profile)
    result = bench.validate()
    refused(bench, result)
    assert [code] == codes(result)


def test_a_label_of_another_account_is_refused(bench):
    """The label that was used for one account can not be used for another."""
    bench.validated()
    bench.environ.update(profile_env(bench.world.exchange.keys, "newcomer"))
    result = bench.validate()
    refused(bench, result)
    assert "account_label" in codes(result)


@pytest.mark.parametrize(("skew", "outcome"), [(5, "done"), (300, "denied")])
def test_a_clock_minutes_off_is_refused(bench, skew, outcome):
    """A venue's clock within the bound passes, one five minutes off is refused."""
    bench.world.fault("clock_skew", value=skew)
    result = bench.validate()
    assert outcome == result.outcome
    assert ([] if outcome == "done" else ["clock_skew"]) == codes(result)


def test_a_venue_in_maintenance_is_refused(bench):
    """A venue in maintenance takes no order: denied by its status, not asked further."""
    bench.world.fault("system_status", value="maintenance")
    result = bench.validate()
    refused(bench, result)
    assert "venue_status" in codes(result)


def test_an_account_without_funds_is_refused(bench):
    """The venue's own check does not look at funds: ours does."""
    bench.alterations["read_balances"] = lambda rows: tuple(replace(one, available=Decimal(0)) for one in rows)
    result = bench.validate()
    refused(bench, result)
    assert ["funds"] == codes(result)


def test_an_unknown_pair_is_denied_not_unreadable(bench):
    """The venue's clear word that it has no such pair is a refusal, recorded without a plan."""
    bench.policy(allowed_symbols='["NOPE-USD"]')
    result = bench.validate(symbol="NOPE-USD")
    standing = refused(bench, result)
    assert (None, None) == (standing.plan, standing.validation.body.intent_sha256)
    assert ["venue_not_known"] == codes(result)


def test_wrong_keys_are_denied(bench):
    """A key that the venue refuses is a refusal of ours, in the venue's words."""
    bench.use_profile("wrong_secret")
    result = bench.validate()
    refused(bench, result)
    assert ["venue_credentials_refused"] == codes(result)
    assert ("EAPI:Invalid signature",) == bench.standing(folder_of(bench, result)).validation.body.venue_errors


def test_a_halt_refuses(bench):
    """While the kill switch is set nothing is validated for submit, and the next command is to resume."""
    (bench.folder / "outputs").mkdir()
    (bench.folder / "outputs" / "HALT").write_text("")
    result = bench.validate()
    assert ["halt_set"] == codes(result)
    assert "resume" == result.next.verb


def test_while_a_send_is_unresolved_nothing_else_is_validated(bench):
    """Another order of the account is refused while an earlier send may exist, and reconcile of that is next."""
    unknown = bench.unknown()
    result = bench.validate(quantity=Decimal("0.24"))
    assert ["interlock_held"] == codes(result)
    assert ("reconcile", (str(unknown),)) == (result.next.verb, result.next.arguments)


# ------------------------------------------------------------------------------------ the same intent


def test_the_same_intent_is_refused_while_one_is_live(bench):
    """A second session for a live intent is refused and names the first; another size is another intent."""
    first = bench.validated()
    result = bench.validate()
    refused(bench, result)
    assert ["same_intent"] == codes(result)
    assert str(first) in str(result.refusals[0].measured)
    assert ("list", (str(bench.root),)) == (result.next.verb, result.next.arguments)
    bench.validated(quantity=Decimal("0.24"))


@pytest.mark.parametrize("rung", ["decline", "revoke"])
def test_declined_and_revoked_free_the_intent(bench, rung):
    """What a person ended does not stand in the way of the same order again."""
    first = bench.validated()
    bench.approve(first)
    assert "done" == bench.run(rung, session=first, reviewer="marce", note="no").outcome
    bench.validated()


def test_an_expired_session_frees_the_intent(bench):
    """A session nobody approved blocks the intent until the window has passed, to the second."""
    bench.validated()
    bench.world.pass_seconds(86_300)
    assert ["same_intent"] == codes(bench.validate())
    bench.world.pass_seconds(120)
    bench.validated()


def test_an_approval_holds_the_intent_for_its_own_lifetime(bench):
    """Approved late, the intent is held until the approval runs out."""
    bench.policy(approval_lifetime_seconds=TWO_DAYS, same_intent_window_seconds=600)
    first = bench.validated()
    bench.approve(first)
    bench.world.pass_seconds(86_400)
    assert ["same_intent"] == codes(bench.validate())
    bench.world.pass_seconds(86_401)
    bench.validated()


def test_a_session_whose_folder_is_gone_frees_the_intent(bench):
    """A folder that was moved away can not go on, so it does not block."""
    first = bench.validated()
    first.rename(bench.folder / "away")
    bench.validated()


def test_a_landed_intent_is_refused_inside_the_window(bench):
    """An order that landed blocks the same intent for the policy's window, then no longer."""
    bench.submitted()
    assert ["same_intent"] == codes(bench.validate())
    bench.world.pass_seconds(86_500)
    bench.validated()


# ------------------------------------------------------------------------------- the venue's answers


def test_the_venue_rejects(bench):
    """The venue's definite no is rejected, exit 3, with its own words, and can not be approved."""
    bench.world.fault("api_error", "AddOrder", value="EOrder:Insufficient funds")
    result = bench.validate()
    standing = refused(bench, result, "rejected")
    assert "validation_rejected" == standing.state
    assert ("EOrder:Insufficient funds",) == standing.validation.body.venue_errors
    assert [("venue_rejected", "EOrder:Insufficient funds")] == [(one.code, one.measured) for one in result.refusals]
    assert "show" == result.next.verb


@pytest.mark.parametrize("fault", ["drop_before_read", "drop_after_accept", "http_error", "garbage", "truncate"])
def test_a_lost_answer_is_unreadable_not_rejected(bench, fault):
    """Whatever happens to the validate-only answer on the way, it is unreadable: never a claim of the venue."""
    bench.world.fault(fault, "AddOrder")
    result = bench.validate()
    standing = refused(bench, result, "unreadable")
    assert "validation_unreadable" == standing.state
    assert ["venue_no_answer"] == codes(result)
    assert "validate" == result.next.verb
    assert ("symbol", "ETH-USD") in result.next.options


@pytest.mark.parametrize("path", ["Time", "SystemStatus", "AssetPairs", "GetApiKeyInfo", "BalanceEx", "Depth"])
def test_a_failed_read_leaves_an_unreadable_session(bench, path):
    """A read before the checks that fails is recorded as unreadable; nothing is concluded from it."""
    bench.world.fault("http_error", path)
    result = bench.validate()
    standing = refused(bench, result, "unreadable")
    assert (None, ()) == (standing.plan, standing.validation.body.checks)
    assert 1 == len(result.refusals)


def test_a_venue_that_is_not_reached_is_unreadable(bench):
    """No connection: exit 7, and the session says so."""
    bench.world.fault("refuse_connect")
    assert "unreadable" == bench.validate().outcome


def test_another_reading_of_the_order_is_denied(bench):
    """The venue accepts but reads another order than was asked for: denied, with what it read."""
    mismatch = "volume: asked 0.25, the venue reads 2.5"
    for verdict in ("accepted", "unreadable"):
        answer_with(bench, DryCheck(verdict=verdict, description="buy 2.5 ETHUSD", errors=(), mismatches=(mismatch,)))
        result = bench.validate()
        standing = refused(bench, result)
        assert [("venue_reads_another_order", mismatch)] == [(one.code, one.measured) for one in result.refusals]
        assert standing.plan.order_text == result.refusals[0].limit
        assert (mismatch,) == standing.validation.body.venue_errors


def test_an_answer_without_a_reading_is_unreadable(bench):
    """An answer that shows no order at all proves nothing: unreadable."""
    answer_with(bench, DryCheck(verdict="unreadable", description=None, errors=(), mismatches=("no description",)))
    result = bench.validate()
    refused(bench, result, "unreadable")
    assert ["venue_no_answer"] == codes(result)


def test_a_validation_answered_with_an_order_id_is_an_incident(bench):
    """A validate-only request answered as a real order: unknown, the account held, an incident recorded."""
    answer_with(bench, DryCheck(verdict="incident", description="buy", errors=("order OABC may exist",)))
    result = bench.validate()
    folder = folder_of(bench, result)
    session, standing = bench.session(folder), bench.standing(folder)
    assert ("unknown", ["validate_incident"]) == (result.outcome, codes(result))
    assert (Validation, Incident) == tuple(type(record.body) for record in session.chain.records)
    assert ("unresolved", "validate_answered_as_order") == (standing.state, standing.incidents[0].body.code)
    assert ["approve_not_allowed"] == codes(bench.approve(folder))
    bench.alterations.clear()
    assert ["interlock_held"] == codes(bench.validate(quantity=Decimal("0.24")))


def test_each_session_has_its_own_folder_and_client_order_id(bench):
    """Two sessions in the same second differ in id, folder and client order id."""
    first, second = bench.validated(), bench.validated(quantity=Decimal("0.24"))
    ids = {bench.standing(one).plan.client_order_id for one in (first, second)}
    assert 2 == len(ids)
    assert {first.name[-12:], second.name[-12:]} == {one[:12] for one in ids}


def test_record_and_view_are_the_same_bytes(bench):
    """The view is the newest record of its name byte for byte, and the artifacts name both."""
    result = bench.validate()
    view, record = (Path(path) for path in result.artifacts)
    assert view.read_bytes() == record.read_bytes()
    standing = bench.standing(folder_of(bench, result))
    assert sha256_hex(record.read_bytes()) == standing.validation.sha256
