"""The next command of every state, complete and spelled so that the command table knows it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from quantlab.cli import table
from quantlab.evidence.preparatory import Certification, ProbeAttempt, SignedOrder
from quantlab.evidence.records import (
    BODY_TYPES,
    AdoptedAction,
    Bundle,
    BurnAttempt,
    BurnResponse,
    Decline,
    Gate,
    SubmitDenial,
    Validation,
)
from quantlab.evidence.standing import standing_of
from quantlab.kernel.clock import parse_rfc3339
from quantlab.model.lifecycle import SessionState
from quantlab.rungs import corridors, ladder
from tests.support.virtual import Bench
from tests.unit.evidence import signed
from tests.unit.evidence.built import BEGUN, BODIES, chain_of

ENDED = {"signed", "declined", "revoked", "empty"}
BEGINNING = {"validation_unreadable", "never_sent", "not_landed"}
VERBS = {
    "validated": "approve",
    "validation_rejected": "show",
    "validation_denied": "show",
    "validation_unreadable": "validate",
    "approved": "bundle",
    "bundled": "gate",
    "gate_denied": "gate",
    "gated": "submit",
    "never_sent": "validate",
    "not_landed": "validate",
    "unresolved": "reconcile",
    "not_found": "resolve",
    "landed": "status",
    "pending": "supervise",
    "open": "supervise",
    "partially_filled": "supervise",
    "filled": "fills",
    "canceled": "fills",
    "expired": "fills",
    "rejected": "show",
    "decided_landed": "status",
    "decided_not_landed": "status",
}


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """A gated session, read once for all tests."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    session = bench.gated()
    return session, bench.standing(session), bench.clock.now()


def known(step, corridor="kraken"):
    """Check that a step is a command with exactly these options, every required one among them."""
    given = {name for name, _ in step.options}
    for command in table.COMMANDS:
        if step.verb not in {command.name, command.verb} or command.corridor not in {None, corridor}:
            continue
        flags = {each.flag for each in command.options}
        required = {each.flag for each in command.options if each.required}
        if given <= flags and required <= given:
            return True
    return False


def test_every_state_is_in_the_table():
    """No state is forgotten: each has a verb, or is ended."""
    assert set(get_args(SessionState)) == VERBS.keys() | ENDED


@pytest.mark.parametrize("state", get_args(SessionState))
def test_the_next_command_of_a_state(gated, state):
    """Every state names its verb, the session, and options that the command table takes; ended ones name none.

    An order that was signed first is one that this corridor does not have.
    """
    session, standing, now = gated
    step = ladder.next_step(replace(standing, state=state), session, now=now)
    if state in ENDED:
        assert step is None
        return
    assert VERBS[state] == step.verb
    assert step.why
    assert known(step), step
    assert (() if state in BEGINNING else (str(session),)) == step.arguments


def test_a_complete_walk_ends_at_the_alerts(gated):
    """Once every fill of an ended order is read, the root's alerts are all that is left."""
    session, standing, now = gated
    step = ladder.next_step(replace(standing, state="filled", fills_complete=True), session, now=now)
    assert ("alerts", (str(session.parent),)) == (step.verb, step.arguments)


@pytest.mark.parametrize("state", ["approved", "bundled", "gated", "gate_denied"])
@pytest.mark.parametrize("late_us", [0, 1])
def test_an_approval_that_ran_out_comes_first(gated, state, late_us):
    """At its last moment the approval still stands; a microsecond later approving again is next."""
    session, standing, _ = gated
    end = parse_rfc3339(standing.approval.body.expires_at)
    there = replace(standing, state=state, gate=None)
    step = ladder.next_step(there, session, now=end + timedelta(microseconds=late_us))
    assert ("approve" if late_us else VERBS[state]) == step.verb
    assert known(step)


@pytest.mark.parametrize("late_us", [0, 1])
def test_a_gate_that_ran_out_is_passed_again(gated, late_us):
    """At its last moment the gate is open; a microsecond later passing it again is next."""
    session, standing, _ = gated
    end = parse_rfc3339(standing.gate.body.expires_at)
    step = ladder.next_step(standing, session, now=end + timedelta(microseconds=late_us))
    assert ("gate" if late_us else "submit") == step.verb


def test_without_an_approval_nothing_has_run_out(gated):
    """A state of review without an approval falls back to the table."""
    session, standing, now = gated
    step = ladder.next_step(replace(standing, state="bundled", approval=None), session, now=now)
    assert "gate" == step.verb


def test_a_fresh_validate_line_asks_for_the_same_order(tmp_path):
    """The line repeats what was typed: every option that was given, none that was not."""
    bench = Bench(tmp_path)
    bid, _ = bench.world.best()
    price = (bid * Decimal("0.995")).quantize(Decimal("0.01"))
    plain = bench.standing(bench.validated())
    assert (
        ("symbol", "ETH-USD"),
        ("side", "buy"),
        ("quantity", "0.25"),
        ("notional", "500"),
        ("account-id", "acct_demo"),
    ) == ladder.begin_step(plain, why="again").options
    full = bench.standing(
        bench.validated(quantity=Decimal("0.24"), limit_price=price, time_in_force="gtc", post_only=True)
    )
    assert (
        ("order-type", "limit"),
        ("limit-price", f"{price.normalize():f}"),
        ("time-in-force", "gtc"),
        ("post-only", None),
    ) == ladder.begin_step(full, why="again").options[5:]
    step = ladder.next_step(replace(full, state="never_sent"), Path("x"), now=bench.clock.now())
    assert known(step)


def test_without_a_validation_there_is_nothing_to_repeat(gated):
    """A session without its validation gives no options."""
    assert () == ladder.begin_step(replace(gated[1], validation=None), why="again").options


# ------------------------------------------------------------------ an order that is signed first

SESSION = Path("outputs/hyperliquid_submits/s1")
EXPIRES_AT = parse_rfc3339(signed.EXPIRES_AT)
SIGNED_VERBS = {
    "unresolved": "reconcile",
    "not_found": "resolve",
    "never_sent": "sign",
    "not_landed": "sign",
    "landed": "status",
    "pending": "supervise",
    "open": "supervise",
    "partially_filled": "supervise",
    "filled": "fills",
    "canceled": "fills",
    "expired": "fills",
    "rejected": "show",
    "decided_landed": "status",
    "decided_not_landed": "status",
}
BURNT = BODIES["quantlab.burn_response/1"]


def of_signed(*bodies, **changes):
    """Return how a session stands that began with a signed order."""
    return replace(standing_of(chain_of(signed.ADOPTED, *bodies)), **changes)


@pytest.mark.parametrize("state", ["signed", "approved"])
@pytest.mark.parametrize("late_us", [0, 1])
def test_a_signed_order_is_submitted_while_the_venue_takes_it(state, late_us):
    """At the last moment of its signature submitting is next; a microsecond later signing the same order again."""
    step = ladder.next_step(of_signed(state=state), SESSION, now=EXPIRES_AT + timedelta(microseconds=late_us))
    assert known(step, "hyperliquid"), step
    if late_us:
        assert ("sign", ()) == (step.verb, step.arguments)
        assert "run out" in step.why
    else:
        assert ("submit", (str(SESSION),)) == (step.verb, step.arguments)
        assert (("reviewer", "<reviewer>"), ("confirm", None)) == step.options


@pytest.mark.parametrize("state", sorted(SIGNED_VERBS))
def test_the_next_command_of_a_signed_order(state):
    """Every state after the send names its verb as the Hyperliquid rows of the command table take it."""
    step = ladder.next_step(of_signed(state=state), SESSION, now=EXPIRES_AT + timedelta(days=1))
    assert SIGNED_VERBS[state] == step.verb
    assert known(step, "hyperliquid"), step


@pytest.mark.parametrize("state", ["revoked", "empty"])
def test_a_revoked_signature_has_no_next_command(state):
    """Nothing is left to do."""
    assert ladder.next_step(of_signed(state=state), SESSION, now=BEGUN) is None


@pytest.mark.parametrize(
    ("searched", "burn", "verb"),
    [(False, False, "reconcile"), (True, False, "burn"), (True, True, "reconcile"), (False, True, "reconcile")],
)
def test_after_the_first_search_a_burn_is_offered_once(searched, burn, verb):
    """Look first; what is then still unknown is burned; after the burn only looking helps."""
    bodies = (signed.BURN_ATTEMPT, replace(BURNT, nonce_was="nothing")) if burn else ()
    standing = of_signed(*bodies, state="unresolved", searched=searched)
    step = ladder.next_step(standing, SESSION, now=BEGUN)
    assert (verb, (str(SESSION),)) == (step.verb, step.arguments)
    assert known(step, "hyperliquid"), step


def test_no_burn_without_a_signed_order(gated):
    """Kraken has no nonce to burn: after a search that found nothing, another search."""
    session, standing, now = gated
    step = ladder.next_step(replace(standing, state="unresolved", searched=True), session, now=now)
    assert "reconcile" == step.verb


def test_signing_again_asks_for_the_same_order():
    """The line repeats what was typed, and names the signer that signed."""
    plain = (
        ("symbol", "ETH"),
        ("side", "buy"),
        ("quantity", "0.25"),
        ("notional", "500"),
        ("account-id", signed.ACCOUNT),
        ("signer", signed.SIGNER),
    )
    assert plain == ladder.begin_step(of_signed(), why="again").options
    asked = replace(signed.ASKED, limit_price="1999.5", time_in_force="gtc", reduce_only=True)
    full = standing_of(chain_of(replace(signed.ADOPTED, asked=asked)))
    step = ladder.begin_step(full, why="again")
    assert (*plain, ("limit-price", "1999.5"), ("time-in-force", "gtc"), ("reduce-only", None)) == step.options
    assert known(step, "hyperliquid"), step


# ------------------------------------------------------------------ the corridors' names


@pytest.mark.parametrize("corridor", corridors.CORRIDORS.values(), ids=lambda one: one.venue)
def test_every_body_has_a_file_name(corridor):
    """A corridor names each record type that it can write, and no two types that can stand together share a name."""
    elsewhere = {
        "kraken": {SignedOrder, AdoptedAction, SubmitDenial, BurnAttempt, BurnResponse, ProbeAttempt, Certification},
        "hyperliquid": {Validation, Decline, Bundle, Gate},
    }[corridor.venue]
    names = corridor.names
    assert set(BODY_TYPES.values()) - elsewhere == names.keys()
    shared = {SignedOrder, AdoptedAction} if corridor.venue == "hyperliquid" else set()
    alone = [name for body, name in names.items() if body not in shared]
    assert len(alone) == len(set(alone))
    assert {names[body] for body in shared}.isdisjoint(alone)
    assert not corridor.further_names & set(names.values())


def test_a_corridor_is_found_by_its_venue():
    """The table's keys are the venues, and their sessions stand apart."""
    assert ["kraken", "hyperliquid"] == list(corridors.CORRIDORS)
    assert all(name == one.venue for name, one in corridors.CORRIDORS.items())
    assert 2 == len({one.default_root for one in corridors.CORRIDORS.values()})


def test_proof_rests_on_more_than_absence():
    """Only a venue that answers for its nonces can prove that an order never landed."""
    assert () == corridors.KRAKEN.proof_rests_on
    assert corridors.HYPERLIQUID.proof_rests_on
