"""Help texts, made from the command table: all commands by rung, one group, one command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quantlab.cli import table
from quantlab.cli.shape import Command, Parameter
from quantlab.cli.terminal import wrapped

_COLUMN: Final = 34
_PURPOSE: Final = (
    "One small order, walked up the ladder: validate, approve, bundle, gate (at Hyperliquid: sign), submit once,"
    " reconcile before acting again."
)


def help_text(command: Command | None, named: Sequence[str], *, width: int) -> str:
    """Return the help of a command, else of the group that ``named`` begins with, else of all."""
    if command is not None:
        return command_help(command, width=width)
    if named and named[0] in table.GROUPS:
        rows = [each for each in table.COMMANDS if named[0] in {each.group, each.corridor}]
        lines = [f"usage: quantlab {named[0]} VERB [OPTIONS]", "", *_listing(rows, width)]
        return "\n".join(lines) + "\n"
    return _overview(width)


def usage_line(command: Command) -> str:
    """Return a command in the grouped spelling with everything it takes."""
    words = [f"quantlab {command.name}"]
    words += [_usage(parameter) for parameter in command.parameters]
    return " ".join(words)


def runbook_line(command: Command) -> str | None:
    """Return a command in the runbook's spelling with everything it takes; None if it has none."""
    if command.runbook is None:
        return None
    positional = command.positional
    words = [f"python main.py {command.runbook}"]
    words += [] if positional is None else [positional.metavar]
    words += [_usage(each, str(each.runbook)) for each in command.options if each.runbook]
    return " ".join(words)


def command_help(command: Command, *, width: int) -> str:
    """Return the help of one command, in both spellings."""
    lines = wrapped(usage_line(command), width, first="usage: ", rest="         ")
    runbook = runbook_line(command)
    if runbook is not None:
        lines += wrapped(runbook, width, first="or:    ", rest="         ")
    lines += ["", *wrapped(command.summary, width), ""]
    for parameter in command.parameters:
        name = parameter.metavar if parameter.flag is None else f"--{parameter.flag}"
        lines += _entry(name, describe(parameter), width)
        if command.runbook is not None and parameter.runbook is not None:
            lines.append(f"      {parameter.runbook}")
    lines += _everywhere(width)
    return "\n".join(lines) + "\n"


def describe(parameter: Parameter) -> str:
    """Return what a parameter is for, what it may be, and its default."""
    parts = [parameter.help]
    if parameter.choices:
        parts.append(f"One of {', '.join(parameter.choices)}.")
    if parameter.required:
        parts.append("Required.")
    elif parameter.default is not None:
        parts.append(f"Default: {parameter.default}.")
    return " ".join(parts)


def _usage(parameter: Parameter, flag: str | None = None) -> str:
    if parameter.flag is None:
        return parameter.metavar if parameter.required else f"[{parameter.metavar}]"
    word = flag or f"--{parameter.flag}"
    value = "|".join(parameter.choices) or parameter.metavar
    text = f"{word} {value}" if parameter.kind != "switch" else word
    return text if parameter.required else f"[{text}]"


def _overview(width: int) -> str:
    lines = [
        "usage: quantlab COMMAND [OPTIONS]",
        "or:    python main.py --RUNBOOK-FLAG [OPTIONS]",
        "",
        *wrapped(_PURPOSE, width),
    ]
    for section, commands in table.by_section():
        lines += ["", section, *_listing(commands, width)]
    lines += ["", "Every command", *_everywhere(width)[1:]]
    lines += ["", "`quantlab COMMAND --help` shows the options of one command, in both spellings."]
    return "\n".join(lines) + "\n"


def _listing(commands: Sequence[Command], width: int) -> list[str]:
    lines: list[str] = []
    for command in commands:
        positional = command.positional
        name = command.name if positional is None else f"{command.name} {_usage(positional)}"
        lines += _entry(name, command.summary, width)
        if command.runbook is not None:
            lines.append(f"      {command.runbook}")
    return lines


def _everywhere(width: int) -> list[str]:
    lines = [""]
    for each in table.GLOBAL_OPTIONS:
        lines += _entry(each.flag, each.text, width)
    return lines


def _entry(name: str, text: str, width: int) -> list[str]:
    """Return a name with its text beside it, or below it where the line is too narrow."""
    head = f"  {name}"
    if width < 2 * _COLUMN or len(head) > _COLUMN - 2:
        return [head, *wrapped(text, width, first="      ", rest="      ")]
    return wrapped(text, width, first=head.ljust(_COLUMN), rest=" " * _COLUMN)
