"""How the operator wrote the line, so that messages and the next command are written the same way."""

from __future__ import annotations

import msgspec

from quantlab.cli import table
from quantlab.cli.shape import Command, Parameter
from quantlab.kernel.result import NextStep


class Spelling(msgspec.Struct, frozen=True, kw_only=True):
    """The program's name as it was called, and whether the line uses the runbook's flags."""

    program: str
    """``quantlab`` or ``python main.py``."""
    flags: bool

    def name(self, command: Command, parameter: Parameter) -> str:
        """Return what this spelling calls a parameter of a command."""
        if self.flags and parameter.flag is None and command.runbook is not None:
            return command.runbook
        if self.flags and parameter.runbook is not None:
            return parameter.runbook
        return parameter.metavar if parameter.flag is None else f"--{parameter.flag}"

    def command_name(self, command: Command) -> str:
        """Return what this spelling calls a command."""
        return command.runbook if self.flags and command.runbook is not None else command.name

    def line(self, step: NextStep, current: Command | None) -> str:
        """Return the next command as a line for a shell.

        A bare verb is completed with the corridor of ``current``. What the runbook has no flag for is
        written in the grouped spelling.
        """
        from shlex import join

        command = _find(step.verb, current)
        if command is None:
            words = [*step.verb.split(), *step.arguments, *_grouped_options(step)]
        elif self.flags and _has_flags(command, step):
            words = _runbook_words(command, step)
        else:
            words = [*command.name.split(), *step.arguments, *_grouped_options(step)]
        return f"{self.program} {join(words)}"


def _find(verb: str, current: Command | None) -> Command | None:
    corridors = (current.corridor,) if current is not None and current.corridor else ()
    for group in ("", *corridors, *table.GROUPS):
        command = table.find_command(f"{group} {verb}".strip())
        if command is not None:
            return command
    return None


def _has_flags(command: Command, step: NextStep) -> bool:
    if command.runbook is None or len(step.arguments) > 1:
        return False
    if bool(_arguments(command, step)) != (command.positional is not None):
        return False
    return all(_runbook_flag(command, name) is not None for name, _ in step.options)


def _arguments(command: Command, step: NextStep) -> tuple[str, ...]:
    """Return the step's arguments; the runbook's flag must carry a value, so a default is written out."""
    positional = command.positional
    default = None if positional is None else positional.default
    return step.arguments or (() if default is None else (default,))


def _runbook_flag(command: Command, name: str) -> str | None:
    return next((each.runbook for each in command.options if each.flag == name), None)


def _runbook_words(command: Command, step: NextStep) -> list[str]:
    arguments = _arguments(command, step)
    words = _valued(str(command.runbook), arguments[0] if arguments else None)
    for name, value in step.options:
        words += _valued(str(_runbook_flag(command, name)), value)
    return words


def _grouped_options(step: NextStep) -> list[str]:
    return [word for name, value in step.options for word in _valued(f"--{name}", value)]


def _valued(flag: str, value: str | None) -> list[str]:
    if value is None:
        return [flag]
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
