"""What every command reports: one typed result, rendered as text or as the JSON envelope by the command line."""

from __future__ import annotations

from typing import Any

import msgspec


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One check that refused, with the measured value and the limit as text."""

    code: str
    message: str
    measured: str | None = None
    limit: str | None = None


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """The exact next command, kept abstract until the command line spells it the way the operator does.

    ``verb`` is a name of the command table: a rung's bare verb (``reconcile``), which the command line completes
    with the corridor, or a full one (``rehearsal serve``). ``options`` are pairs of grouped option name (without
    dashes, as ``reviewer``) and value; a value of ``None`` is a bare switch. Values in angle brackets are for the
    operator to fill in.
    """

    why: str
    verb: str
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, str | None], ...] = ()


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the human report: a label and a plain value."""

    label: str
    value: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a command.

    ``outcome`` decides the exit code (``kernel.errors.EXIT_CODES``). ``data`` is the machine's view: a msgspec
    Struct or builtins, without floats. ``headline``, ``facts`` and ``table`` are the person's view.
    """

    outcome: str
    headline: str
    session_id: str | None = None
    environment: str | None = None
    artifacts: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    next: NextStep | None = None
    data: Any = None
    facts: tuple[Fact, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    """Rows of a table, the first being its header."""
    warnings: tuple[str, ...] = ()
