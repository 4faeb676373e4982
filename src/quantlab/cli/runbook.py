"""The runbook's flags, translated into the grouped spelling by the command table. Pure.

``--broker-order-validations-show X`` becomes ``kraken show X``. A line in the grouped spelling comes
back as it is. Everything that the table does not allow ends here, before anything is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from quantlab.cli import table
from quantlab.cli.shape import Command
from quantlab.kernel.errors import UsageFault

_LONGEST_SHOWN: Final = 60


class _Flag(msgspec.Struct, frozen=True):
    """One flag of a line, with its value; None for a switch."""

    name: str
    value: str | None


def uses_flags(argv: Sequence[str]) -> bool:
    """Return whether a line is in the runbook's spelling: its first word of its own is a flag."""
    for word in argv:
        if word not in table.GLOBAL_FLAGS:
            return word.startswith("-")
    return False


def translate(argv: Sequence[str]) -> list[str]:
    """Return the line in the grouped spelling, options of every command last.

    Raises:
        UsageFault: two commands or none, a flag that is unknown, repeated, shortened, without its
            value or of another command, or a word that belongs to no flag.
    """
    if not uses_flags(argv):
        return list(argv)
    flags, everywhere = _scan(argv)
    command, carried = _command(flags)
    options = [flag for flag in flags if flag.name not in table.VERB_FLAGS]
    words = command.name.split()
    for flag in options:
        parameter = table.option_of(command, flag.name)
        if parameter is None:
            raise _not_of(command, flag.name)
        words.append(parameter.spelled if flag.value is None else f"{parameter.spelled}={flag.value}")
    words += everywhere
    return words if carried is None else [*words, "--", carried]


def verb_of(argv: Sequence[str]) -> Command | None:
    """Return the one command that a line in the runbook's spelling names, for its help."""
    named = {word.partition("=")[0] for word in argv} & table.VERB_FLAGS.keys()
    return table.VERB_FLAGS[named.pop()] if len(named) == 1 else None


def _scan(argv: Sequence[str]) -> tuple[list[_Flag], list[str]]:
    flags: list[_Flag] = []
    everywhere: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in table.GLOBAL_FLAGS:
            everywhere.append(word)
            continue
        name, equals, value = word.partition("=")
        takes_value = _takes_value(name)
        if not takes_value:
            if equals:
                message = f"{name} takes no value."
                raise UsageFault(message, code="value_unexpected", measured=shown(word))
            flags.append(_Flag(name, None))
        else:
            flags.append(_Flag(name, value if equals else _next_value(name, rest)))
        if [flag.name for flag in flags].count(name) > 1:
            message = f"{name} stands there twice."
            raise UsageFault(message, code="option_repeated", measured=name)
    return flags, everywhere


def _takes_value(name: str) -> bool:
    """Return whether a known flag takes a value; refuse everything that is not a known flag."""
    verb = table.VERB_FLAGS.get(name)
    if verb is not None:
        return verb.positional is not None
    owners = table.OPTION_FLAGS.get(name)
    if owners is not None:
        parameter = table.option_of(owners[0], name)
        return parameter is not None and parameter.kind != "switch"
    if not name.startswith("-"):
        message = f"{shown(name)} belongs to no flag. Quote a value that holds spaces."
        raise UsageFault(message, code="word_unexpected", measured=shown(name))
    known = table.VERB_FLAGS.keys() | table.OPTION_FLAGS.keys() | table.GLOBAL_FLAGS
    message = f"There is no flag {shown(name)}.{table.nearest(name, known)}"
    raise UsageFault(message, code="option_unknown", measured=shown(name))


def _next_value(name: str, rest: list[str]) -> str:
    """Take the value of ``name``. A negative number is a value; another flag is not."""
    if not rest or rest[0].startswith("--") or rest[0] in table.GLOBAL_FLAGS:
        message = f"{name} needs a value; one that begins with two dashes is written {name}=VALUE."
        raise UsageFault(message, code="value_missing", measured=name)
    return rest.pop(0)


def _command(flags: list[_Flag]) -> tuple[Command, str | None]:
    verbs = [flag for flag in flags if flag.name in table.VERB_FLAGS]
    if len(verbs) > 1:
        names = " and ".join(flag.name for flag in verbs)
        message = f"{names} are commands of their own: give one at a time. Nothing was done."
        raise UsageFault(message, code="two_commands", measured=names, limit="1")
    if not verbs:
        message = "No command was named." + "".join(
            f" {flag.name} belongs to {_owners(flag.name)}." for flag in flags[:1]
        )
        raise UsageFault(message, code="command_missing", measured="none")
    return table.VERB_FLAGS[verbs[0].name], verbs[0].value


def _not_of(command: Command, name: str) -> UsageFault:
    message = f"{name} does not belong to {command.runbook}, but to {_owners(name)}."
    return UsageFault(message, code="option_not_of_command", measured=name, limit=command.runbook)


def _owners(name: str) -> str:
    return " or ".join(str(command.runbook) for command in table.OPTION_FLAGS[name])


def shown(word: str) -> str:
    """Return a word of the line in quotes, short and in ASCII, for a message."""
    text = ascii(word)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
