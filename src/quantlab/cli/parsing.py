"""From a line in the grouped spelling to one command with typed values. Parsing ends here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from quantlab.cli import table
from quantlab.cli.runbook import shown
from quantlab.cli.shape import Command, Parameter
from quantlab.cli.spelling import Spelling
from quantlab.cli.values import Value, parse_value
from quantlab.kernel.errors import UsageFault


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed line: the command and the fields of its request."""

    command: Command
    values: tuple[tuple[str, Value], ...]


class _Parser(argparse.ArgumentParser):
    """A parser that raises the fault of this program instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageFault(f"{self.prog}: {message}.", code="usage")


class _Once(argparse.Action):
    """Stores a value, or the text ``true`` for a switch; refuses an option that stands twice."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the value. Called by argparse."""
        if getattr(namespace, self.dest) is not None:
            message = f"{option_string} stands there twice."
            raise UsageFault(message, code="option_repeated", measured=option_string)
        setattr(namespace, self.dest, "true" if self.nargs == 0 else values)


def build_parser(command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command. It reads texts; :func:`parse_value` makes them values."""
    parser = _Parser(prog=command.name, add_help=False, allow_abbrev=False)
    for parameter in command.parameters:
        if parameter.flag is None:
            parser.add_argument(parameter.field, nargs="?", metavar=parameter.metavar)
        elif parameter.kind == "switch":
            parser.add_argument(f"--{parameter.flag}", dest=parameter.field, action=_Once, nargs=0)
        else:
            parser.add_argument(
                f"--{parameter.flag}",
                dest=parameter.field,
                action=_Once,
                metavar=parameter.metavar or None,
            )
    return parser


def select(argv: Sequence[str]) -> tuple[Command | None, list[str], list[str]]:
    """Return the command that a grouped line names, the words that name it, and all other words.

    Options of every command are taken out. The command is None when the words name none.
    """
    named: list[str] = []
    rest: list[str] = []
    command: Command | None = None
    for position, word in enumerate(argv):
        if word == "--":
            rest += argv[position:]
            break
        if word in table.GLOBAL_FLAGS:
            continue
        if command is None and not rest and len(named) < 2:
            named.append(word)
            command = table.find_command(" ".join(named))
        else:
            rest.append(word)
    return command, named, rest


def parse(argv: Sequence[str], spelling: Spelling) -> Invocation:
    """Return the command and the typed values of a line in the grouped spelling.

    Raises:
        UsageFault: the line names no command, or a parameter is unknown, missing or no value.
    """
    command, named, rest = select(argv)
    if command is None:
        raise _no_command(named)
    texts, extras = build_parser(command).parse_known_args(rest)
    if extras:
        raise _unknown(command, extras[0])
    values = [
        (parameter.field, _value(command, parameter, getattr(texts, parameter.field), spelling))
        for parameter in command.parameters
    ]
    return Invocation(command=command, values=(*values, *command.fixed))


def _value(command: Command, parameter: Parameter, text: str | None, spelling: Spelling) -> Value:
    name = spelling.name(command, parameter)
    if text is None and parameter.required:
        message = f"{name} is missing: {spelling.command_name(command)} needs it."
        raise UsageFault(message, code="option_missing", measured="missing", limit=name)
    text = parameter.default if text is None else text
    if text is None:
        return False if parameter.kind == "switch" else None
    return parse_value(parameter, text, name=name)


def _no_command(named: Sequence[str]) -> UsageFault:
    if not named:
        message = "No command was named. `quantlab --help` lists them."
        return UsageFault(message, code="command_missing", measured="none")
    first = named[0]
    verbs = [command.verb for command in table.commands_of(first)]
    if verbs:
        found = named[1] if len(named) > 1 else None
        known = ", ".join(verbs)
        said = "needs a verb" if found is None else f"has no verb {shown(found)}"
        near = "" if found is None else table.nearest(found, verbs)
        message = f"{first} {said}.{near} Verbs: {known}."
        return UsageFault(message, code="command_unknown", measured=shown(found or ""), limit=known)
    names = {command.name.split()[0] for command in table.COMMANDS}
    message = f"There is no command {shown(first)}.{table.nearest(first, names)}"
    return UsageFault(message, code="command_unknown", measured=shown(first))


def _unknown(command: Command, word: str) -> UsageFault:
    name = word.partition("=")[0]
    if not name.startswith("-"):
        message = f"{command.name} does not take {shown(word)}. Quote a value that holds spaces."
        return UsageFault(message, code="word_unexpected", measured=shown(word))
    for parameter in command.options:
        if parameter.runbook == name:
            message = f"{name} is the runbook's flag: here it is {parameter.spelled}."
            return UsageFault(message, code="option_unknown", measured=name)
    known = [parameter.spelled for parameter in command.options]
    near = table.nearest(name, [*known, *table.GLOBAL_FLAGS])
    message = f"{command.name} has no option {shown(name)}.{near}"
    return UsageFault(message, code="option_unknown", measured=shown(name))
