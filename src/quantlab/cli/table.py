"""The one table of commands, and how a command is found in it.

Parsers, help, completion, the reference page and the translation of the runbook's flags are all made
from it. Each row holds both spellings side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from quantlab.cli.hyperliquid_rows import HYPERLIQUID_ROWS
from quantlab.cli.kraken_rows import KRAKEN_ROWS
from quantlab.cli.own_rows import OWN_ROWS
from quantlab.cli.sections import SECTIONS
from quantlab.cli.shape import Command, Parameter

COMMANDS: Final[tuple[Command, ...]] = (*KRAKEN_ROWS, *OWN_ROWS, *HYPERLIQUID_ROWS)


class GlobalOption(msgspec.Struct, frozen=True, kw_only=True):
    """An option of every command, the same in both spellings."""

    flag: str
    text: str


GLOBAL_OPTIONS: Final = (
    GlobalOption(flag="--json", text="Print one JSON document on standard output."),
    GlobalOption(flag="--verbose", text="Say more on standard error."),
    GlobalOption(flag="--help", text="Show help and end."),
    GlobalOption(flag="--version", text="Show the version and end."),
)
GLOBAL_FLAGS: Final = frozenset({"-h", *(each.flag for each in GLOBAL_OPTIONS)})
GROUPS: Final = tuple(dict.fromkeys(each.group for each in COMMANDS if each.group))
VERB_FLAGS: Final = {each.runbook: each for each in COMMANDS if each.runbook is not None}

_BY_NAME: Final = {each.name: each for each in COMMANDS}


def _runbook_options() -> dict[str, tuple[Command, ...]]:
    found: dict[str, tuple[Command, ...]] = {}
    for command in COMMANDS:
        for parameter in command.options:
            if parameter.runbook is not None and command.runbook is not None:
                found[parameter.runbook] = (*found.get(parameter.runbook, ()), command)
    return found


OPTION_FLAGS: Final = _runbook_options()
"""Every runbook flag that is no verb, with the commands that take it."""


def find_command(name: str) -> Command | None:
    """Return the command of a full grouped name such as ``kraken show``."""
    return _BY_NAME.get(name)


def commands_of(group: str) -> tuple[Command, ...]:
    """Return the commands of one group, in the table's order."""
    return tuple(each for each in COMMANDS if each.group == group)


def by_section() -> tuple[tuple[str, tuple[Command, ...]], ...]:
    """Return the commands under their headings, in the ladder's order."""
    return tuple((section, tuple(each for each in COMMANDS if each.section == section)) for section in SECTIONS)


def option_of(command: Command, runbook: str) -> Parameter | None:
    """Return the command's option that the runbook calls ``runbook``."""
    return next((each for each in command.options if each.runbook == runbook), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word nearest to ``word``; empty when none is near."""
    from difflib import get_close_matches

    choices = sorted(known)
    longer = [each for each in choices if len(word) > 3 and each.startswith(word)]
    close = longer[:3] or get_close_matches(word, choices, n=1, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""
