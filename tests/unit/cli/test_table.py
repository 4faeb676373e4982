"""The command table agrees with itself and with the rungs."""

import ast
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from quantlab.cli import table
from quantlab.cli.parsing import parse
from quantlab.cli.sections import SECTIONS
from quantlab.cli.spelling import Spelling


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


SAMPLES = {"text": "E", "optional_text": "who", "decimal": "0.5", "path": "p", "number": "3", "switch": None}


def line_of(command, *, whole):
    """Return a line of a command: with all that it takes, or with what it needs alone."""
    words, positional = command.name.split(), []
    for each in command.parameters:
        if not (whole or each.required):
            continue
        text = each.choices[-1] if each.choices else SAMPLES[each.kind]
        if each.flag is None:
            positional = ["--", str(text)]
        else:
            words.append(f"--{each.flag}" if text is None else f"--{each.flag}={text}")
    return [*words, *positional]


@pytest.mark.parametrize("whole", [False, True], ids=["least", "all"])
@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda command: command.name)
def test_a_row_makes_its_request(command, whole):
    """What a row gives is a request of its runner, in names and types, with all options and with none."""
    module, _, own = command.runner.partition(":")
    request = getattr(import_module(module), own or "Request")
    invocation = parse(line_of(command, whole=whole), Spelling(program="quantlab", flags=False))
    assert command == invocation.command
    made = request(**dict(invocation.values))
    as_typed = msgspec.convert(dict(invocation.values), request, dec_hook=lambda _, value: value)
    assert as_typed == made


@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda command: command.name)
def test_no_row_leaves_out_what_a_person_decides(command):
    """A field of a request that says who, whether or why is given by every row of it, and never by a default."""
    module, _, own = command.runner.partition(":")
    request = getattr(import_module(module), own or "Request")
    given = {each.field for each in command.parameters} | {name for name, _ in command.fixed}
    assert not ({"reviewer", "confirm", "note", "live", "decision", "reason"} & set(request.__struct_fields__)) - given


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
