"""The command table agrees with itself and with the rungs."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from quantlab.cli import table
from quantlab.cli.sections import SECTIONS

BUILT = [command for command in table.COMMANDS if command.runner is not None]
RUNGS = [command for command in BUILT if ":" not in str(command.runner)]


def test_names_and_flags_are_unique():
    """No two commands share a name or a flag; no flag is a verb and an option at once."""
    names = [command.name for command in table.COMMANDS]
    flags = [command.runbook for command in table.COMMANDS if command.runbook]
    assert sorted(set(names)) == sorted(names)
    assert sorted(set(flags)) == sorted(flags)
    assert not table.VERB_FLAGS.keys() & table.OPTION_FLAGS.keys()
    assert not (table.VERB_FLAGS.keys() | table.OPTION_FLAGS.keys()) & table.GLOBAL_FLAGS


def test_every_section_is_known():
    """Help shows every command, once, under a heading of the ladder."""
    shown = [command for _, commands in table.by_section() for command in commands]
    assert sorted(c.name for c in table.COMMANDS) == sorted(c.name for c in shown)
    assert {command.section for command in table.COMMANDS} == set(SECTIONS)


@pytest.mark.parametrize("flag", sorted(table.OPTION_FLAGS))
def test_a_flag_means_the_same_everywhere(flag):
    """A runbook flag takes the same kind of value, with the same choices, in every command."""
    rows = [table.option_of(command, flag) for command in table.OPTION_FLAGS[flag]]
    assert 1 == len({(row.kind, row.choices, row.flag) for row in rows if row is not None})


@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda command: command.name)
def test_a_row_agrees_with_itself(command):
    """Fields, flags and positionals of a row do not collide; every default is readable."""
    fields = [each.field for each in command.parameters] + [name for name, _ in command.fixed]
    assert sorted(set(fields)) == sorted(fields)
    assert 1 >= sum(each.flag is None for each in command.parameters)
    if command.runbook is not None:
        assert all(each.runbook is not None for each in command.options)


@pytest.mark.parametrize("command", BUILT, ids=lambda command: command.name)
def test_a_request_takes_what_the_row_gives(command):
    """The fields of a row are exactly the fields of its runner's request."""
    module, _, own = str(command.runner).partition(":")
    if find_spec(module) is None:
        pytest.skip(f"{module} is not there")
    request = getattr(import_module(module), own or "Request")
    given = {each.field for each in command.parameters} | {name for name, _ in command.fixed}
    assert set(request.__struct_fields__) == given


def test_lookups():
    """A command is found by its full name; what does not exist is None."""
    assert table.find_command("kraken show") in table.commands_of("kraken")
    assert table.find_command("kraken") is None
    assert () == table.commands_of("nothing")
    show = table.VERB_FLAGS["--broker-order-validations-show"]
    assert table.option_of(show, "--broker-approval-note") is None


def test_the_nearest_word():
    """A longer word that begins alike wins over a similar one; nothing near says nothing."""
    assert " Did you mean approve?" == table.nearest("aprove", ["approve", "revoke"])
    assert " Did you mean reviewer or reviews?" == table.nearest("revi" + "ew", ["reviews", "reviewer"])
    assert "" == table.nearest("zzz", ["approve"])


def test_alerts_are_always_json():
    """Only the alerts speak JSON unasked."""
    assert {"alerts"} == {command.verb for command in table.COMMANDS if command.always_json}


def named_steps():
    """Yield where a next step is named in the code, its verb, and the options spelled out there."""
    package = Path(table.__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "NextStep":
                continue
            given = {each.arg: each.value for each in node.keywords}
            if isinstance(given.get("verb"), ast.Constant):
                pairs = getattr(given.get("options"), "elts", [])
                names = [pair.elts[0].value for pair in pairs if isinstance(pair, ast.Tuple)]
                yield f"{path.name}:{node.lineno}", given["verb"].value, names


@pytest.mark.parametrize(("place", "verb", "names"), list(named_steps()))
def test_a_next_step_names_a_command(place, verb, names):
    """Every next step that the code names is a command with these options, in some group."""
    found = [each for each in table.COMMANDS if verb in {each.name, each.verb}]
    assert found, place
    assert any(set(names) <= {each.flag for each in command.options} for command in found), place
