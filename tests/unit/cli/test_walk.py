"""The walk as data, and what it says at its end."""

import string
from pathlib import Path

import msgspec
import pytest

from quantlab.cli import runbook, walk
from quantlab.cli.parsing import parse
from quantlab.cli.spelling import Spelling
from quantlab.cli.walk import Done, Ended, Walk, result_of
from quantlab.cli.walk_steps import Walked
from tests.unit.cli.test_runbook import LINES

FLAGS = Spelling(program="python main.py", flags=True)
STEPS = [step for _, steps in walk.PARTS for step in steps]
COMMANDS = [step for step in STEPS if step.words]
GIVEN = {"account": "0x1", "signer": "0x2", "price": "1980.5", "perp_price": "1980"}


def names_in(words):
    """Return the names in braces of a line."""
    return {name for word in words for _, name, _, _ in string.Formatter().parse(word) if name}


def invocation_of(step):
    """Return the parsed line of a step, with something in place of each brace."""
    known = {name: f"root/{name}" for name in names_in(step.words)} | GIVEN
    return parse(runbook.translate([word.format_map(known) for word in step.words]), FLAGS)


@pytest.mark.parametrize("step", COMMANDS, ids=lambda step: step.title)
def test_each_line_is_a_line_of_the_program(step):
    """What the walk types is taken word for word, and the program's own fields come of it."""
    assert invocation_of(step).command.runner.startswith("quantlab.rungs.")


def test_each_session_is_kept_before_it_is_named():
    """A line names only sessions of earlier steps, so that a walk that goes well runs every step."""
    kept = set(GIVEN)
    for step in COMMANDS:
        assert names_in(step.words) <= kept, step.title
        kept |= {step.keeps} - {None}
    assert kept - set(GIVEN) == {one.key for one in walk.INTENTS}


def test_each_command_of_the_seed_is_walked():
    """Every command of the seed's 24 lines occurs in the walk, so that practice leaves none out."""
    of_seed = {parse(runbook.translate(line.replace("'", "").split()), FLAGS).command.name for line, _ in LINES[:3]}
    of_seed |= {" ".join(grouped.split()[:2]) for _, grouped in LINES}
    assert of_seed <= {invocation_of(step).command.name for step in COMMANDS}


def test_a_step_is_one_thing():
    """A step is a line, a fault or time that passes; only a line has an exit code and a session."""
    for step in STEPS:
        assert 1 == bool(step.words) + bool(step.fault) + bool(step.advance_seconds), step.title
        assert step.words or (step.expected, step.effects, step.keeps, step.lists) == (0, 0, None, False)


def test_only_what_sends_may_move_money():
    """No step but submit, cancel and certify is allowed a request that moves money, and none more than one."""
    allowed = {invocation_of(step).command.name for step in COMMANDS if step.effects}
    assert {
        "kraken submit",
        "kraken cancel",
        "hyperliquid submit",
        "hyperliquid cancel",
        "certify hyperliquid",
    } == allowed
    assert {0, 1} == {step.effects for step in COMMANDS}


DONE = Done(
    part="Kraken: one order", title="submit once", line="python main.py x", expected=0, code=0, effects_expected=1,
    effects=1, said="done",
)  # fmt: skip
ENDED = Ended(
    venue="hyperliquid", title="one order", folder="outputs/hyperliquid_submits/20260102T030405Z-eth-buy-0123456789ab",
    expected_state="filled", state="filled", expected_orders=1, orders=1,
)  # fmt: skip
ORDER = {
    "venue": "hyperliquid", "account": "0xa", "client_order_id": "0x0123456789ab" + "0" * 20, "venue_order_id": "7",
    "symbol": "ETH", "side": "buy", "size": "0.25", "status": "filled", "filled": "0.25",
}  # fmt: skip


def end(steps=(DONE,), endings=(ENDED,), orders=(ORDER,)):
    """Return the walk's result."""
    return result_of(Path("d"), Path("d/rehearsal.json"), steps, endings, orders)


def test_it_went_well():
    """The end says so, shows how each session stands, and where both roots lie."""
    result = end()
    assert ("done", ()) == (result.outcome, result.refusals)
    assert "1 steps, 1 orders at the exchange, none doubled." in result.headline
    assert ("20260102T030405Z-eth-buy-0123456789ab", "one order", "filled", "1") == result.table[1]
    roots = {"d/outputs/broker_order_validations", "d/outputs/hyperliquid_submits"}
    assert {"d/rehearsal.json", *roots, *(f"{root}/alerts.json" for root in roots)} <= set(result.artifacts)
    assert "buy 0.25 ETH, filled, 0.25 filled (7)" == result.facts[0].value


def changed(one, **fields):
    """Return a struct with other fields."""
    return msgspec.structs.replace(one, **fields)


@pytest.mark.parametrize(
    ("given", "code", "measured"),
    [
        ({"steps": [changed(DONE, code=4)]}, "step_not_as_expected", "exit 4 (done), 1 requests that could move money"),
        ({"steps": [changed(DONE, effects=2)]}, "step_not_as_expected", "exit 0 (done), 2 requests"),
        ({"steps": [changed(DONE, code=None, said="not run")]}, "step_not_as_expected", "no exit (not run)"),
        ({"endings": [changed(ENDED, state="unknown")]}, "intent_not_as_expected", "unknown, 1 orders at the exchange"),
        ({"endings": [changed(ENDED, orders=0)]}, "intent_not_as_expected", "filled, 0 orders at the exchange"),
        ({"endings": [changed(ENDED, folder="", state="no session")]}, "intent_not_as_expected", "no session, 1"),
        ({"orders": [ORDER, ORDER]}, "orders_at_the_exchange", f"2 orders, doubled: {ORDER['client_order_id']}"),
        ({"orders": []}, "orders_at_the_exchange", "0 orders, doubled: none"),
        (
            {"orders": [ORDER, {**ORDER, "client_order_id": "other"}]},
            "orders_at_the_exchange",
            "2 orders, doubled: none",
        ),
    ],
)
def test_it_did_not_go_well(given, code, measured):
    """Any difference, in a step, a session or an order, is told with what was found, and ends in a refusal."""
    result = end(**given)
    assert ("denied", [code]) == (result.outcome, [one.code for one in result.refusals])
    assert "did NOT go" in result.headline
    assert result.refusals[0].measured.startswith(measured)
    assert result.refusals[0].limit


class Silent:
    """An exchange that is never asked."""

    def __init__(self):
        self.env = {}


def test_an_order_belongs_to_the_session_that_minted_its_id(tmp_path):
    """Orders are counted by the bits that session id and client order id share, at their own venue."""
    walked = Walk(tmp_path, Silent(), print)
    intent = Walked(key="a", venue="hyperliquid", title="one order", state="filled", orders=1)
    [missing] = walked.endings([intent], [ORDER])
    assert ("no session", 0) == (missing.state, missing.orders)
    walked.sessions["a"] = ENDED.folder
    walked.states[Path(ENDED.folder).name] = "filled"
    of_another = {**ORDER, "client_order_id": "0x" + "f" * 32}
    at_another = {**ORDER, "venue": "kraken", "client_order_id": "0123456789ab" + "0" * 20}
    [ended] = walked.endings([intent], [ORDER, of_another, at_another])
    assert ENDED == ended
    assert ended.fits
