"""What a row of the command table is: a command, its parameters, and the kind of value each takes."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["text", "optional_text", "choice", "decimal", "path", "number", "switch"]
"""``optional_text`` passes a missing or empty text on as None: the rung refuses it, on the record."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One positional or option of a command, in both spellings.

    ``field`` is the name in the request, ``flag`` the grouped option without dashes (None for the
    positional) and ``runbook`` the runbook's flag. ``default`` is a text and parsed like any other.
    """

    field: str
    kind: Kind
    help: str
    flag: str | None = None
    runbook: str | None = None
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str | None = None
    required: bool = False
    most: int = 86_400
    """Largest number a parameter of kind ``number`` takes."""

    @property
    def spelled(self) -> str:
        """Return how the grouped spelling names this parameter."""
        return f"[{self.metavar}]" if self.flag is None else f"--{self.flag}"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a command, where help lists it, and the module that runs it.

    ``runner`` is a rung's module, or ``module:Class`` for a command that is no rung. ``fixed`` are request fields that
    the verb itself decides. ``runbook`` is the runbook's flag: it carries the positional's value, if any.
    """

    group: str
    verb: str
    section: str
    summary: str
    runner: str
    runbook: str | None = None
    corridor: Literal["kraken", "hyperliquid"] | None = None
    parameters: tuple[Parameter, ...] = ()
    fixed: tuple[tuple[str, str | bool | None], ...] = ()
    always_json: bool = False

    @property
    def name(self) -> str:
        """Return the grouped name, as ``kraken show``."""
        return f"{self.group} {self.verb}".strip()

    @property
    def positional(self) -> Parameter | None:
        """Return the parameter that stands without a flag, if there is one."""
        return next((each for each in self.parameters if each.flag is None), None)

    @property
    def options(self) -> tuple[Parameter, ...]:
        """Return the parameters that have a flag."""
        return tuple(each for each in self.parameters if each.flag is not None)


def positional(field: str, text: str, *, metavar: str, default: str | None = None) -> Parameter:
    """Return the row of a positional path; it is required when it has no default."""
    return Parameter(
        field=field,
        kind="path",
        help=text,
        metavar=metavar,
        default=default,
        required=default is None,
    )


def option(flag: str, runbook: str | None, kind: Kind, text: str, **more: object) -> Parameter:
    """Return the row of an option: grouped name, runbook's flag, kind of value, help, and the rest.

    The request's field is the flag's name unless ``field`` says otherwise.
    """
    row = {"field": flag.replace("-", "_"), "metavar": _METAVARS.get(kind, ""), **more}
    return msgspec.convert({"flag": flag, "runbook": runbook, "kind": kind, "help": text, **row}, Parameter)


_METAVARS: dict[Kind, str] = {
    "text": "TEXT",
    "optional_text": "TEXT",
    "decimal": "DECIMAL",
    "path": "PATH",
    "number": "N",
}
