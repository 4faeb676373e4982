"""The next command of every state, complete and spelled so that the command table knows it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from quantlab.cli import table
from quantlab.evidence.records import BODY_TYPES
from quantlab.kernel.clock import parse_rfc3339
from quantlab.model.lifecycle import SessionState
from quantlab.rungs import ladder
from tests.support.virtual import Bench

ENDED = {"not_landed", "declined", "revoked", "empty"}
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


def known(step):
    """Check that a step is a command with exactly these options, every required one among them."""
    given = {name for name, _ in step.options}
    for command in table.COMMANDS:
        if step.verb not in {command.name, command.verb} or command.group in {"hyperliquid", "paper"}:
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
    """Every state names its verb, the session, and options that the command table takes; ended ones name none."""
    session, standing, now = gated
    step = ladder.next_step(replace(standing, state=state), session, now=now)
    if state in ENDED:
        assert step is None
        return
    assert VERBS[state] == step.verb
    assert step.why
    assert known(step), step
    assert (() if state in {"validation_unreadable", "never_sent"} else (str(session),)) == step.arguments


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
    ) == ladder.validate_options(plain)
    full = bench.standing(
        bench.validated(quantity=Decimal("0.24"), limit_price=price, time_in_force="gtc", post_only=True)
    )
    assert (
        ("order-type", "limit"),
        ("limit-price", f"{price.normalize():f}"),
        ("time-in-force", "gtc"),
        ("post-only", None),
    ) == ladder.validate_options(full)[5:]
    step = ladder.next_step(replace(full, state="never_sent"), Path("x"), now=bench.clock.now())
    assert known(step)


def test_without_a_validation_there_is_nothing_to_repeat(gated):
    """A session without its validation gives no options."""
    assert () == ladder.validate_options(replace(gated[1], validation=None))


def test_every_body_has_a_file_name():
    """The corridor names each record type once, and no two types share a name."""
    names = ladder.KRAKEN.names
    assert set(BODY_TYPES.values()) <= names.keys()
    assert len(names) == len(set(names.values()))
    assert not ladder.KRAKEN.further_names & set(names.values())
