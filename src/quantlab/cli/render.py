"""A report as text for people: headline, facts, table, warnings, refusals, and the next command.

Plain text, wrapped to the terminal. What is not live says so in its first line. Lines that are meant
to be copied are never wrapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from quantlab.cli.envelope import NextCommand, Report
from quantlab.cli.terminal import Colour, Style, harmless, wrapped
from quantlab.kernel.result import Fact, Refusal

_BANNERS: Final = {"rehearsal": "REHEARSAL", "testnet": "TESTNET"}
_COLOURS: Final[dict[str, Colour]] = {"done": "green", "unknown": "yellow", "never_sent": "yellow"}
_WIDEST_LABEL: Final = 28
_GAP: Final = "  "


_NOT_REFUSED: Final = frozenset({"unknown", "unreadable", "never_sent", "unverified", "busy", "interrupted", "bug"})
"""Outcomes that nobody refused: what stands under them are reasons."""


def text_of(report: Report, style: Style) -> str:
    """Return the whole report as text that ends with a line break."""
    result = report.result
    banner = _BANNERS.get(report.environment or "")
    lines = [] if banner is None else [style.paint(banner, "bold")]
    colour = _COLOURS.get(result.outcome, "red")
    if result.headline:
        lines += [style.paint(line, colour) for line in wrapped(result.headline, style.width)]
    lines += _facts(result.facts, style.width)
    lines += _table(result.table, style.width)
    lines += _artifacts(result.artifacts)
    for warning in result.warnings:
        lines += wrapped(warning, style.width, first="Warning: ", rest="  ")
    for refusal in result.refusals:
        label = "Why" if result.outcome in _NOT_REFUSED else "Refused"
        lines += _refusal(refusal, style, headline=result.headline, label=label)
    if report.next is not None:
        lines += _next(report.next, style.width)
    return "\n".join(lines) + "\n"


def _facts(facts: Sequence[Fact], width: int) -> list[str]:
    if not facts:
        return []
    longest = min(max(len(harmless(fact.label)) for fact in facts), _WIDEST_LABEL, width // 2)
    indent = " " * (longest + 3)
    lines: list[str] = []
    for fact in facts:
        head = f"{harmless(fact.label)}:".ljust(longest + 3)
        if len(head) > longest + 3:
            lines.append(head.rstrip())
            head = indent
        lines += wrapped(fact.value, width, first=head, rest=indent)
    return lines


def _table(table: Sequence[Sequence[str]], width: int) -> list[str]:
    if not table:
        return []
    rows = [[harmless(cell).replace("\n", " ") for cell in row] for row in table]
    count = max(len(row) for row in rows)
    rows = [row + [""] * (count - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(count)]
    if sum(widths) + len(_GAP) * (count - 1) > width:
        return ["", *_stacked(rows, width)]
    lines = [_GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return ["", lines[0], _GAP.join("-" * each for each in widths), *lines[1:]]


def _stacked(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return a table that is too wide as one block of labelled lines a row."""
    header = rows[0]
    lines: list[str] = []
    for row in rows[1:]:
        pairs = [Fact(label=label, value=cell) for label, cell in zip(header, row, strict=True)]
        lines += [*_facts(pairs, width), ""]
    return lines[:-1] if lines else [_GAP.join(header)]


def _artifacts(paths: Iterable[str]) -> list[str]:
    return [f"Artifact: {harmless(path)}" for path in paths]


def _refusal(refusal: Refusal, style: Style, *, headline: str, label: str) -> list[str]:
    """Return one refusal; a message that the headline has said already is not said again."""
    code = style.paint(harmless(refusal.code), "red")
    if refusal.message == headline:
        lines = [f"{label}: {code}"]
    else:
        lines = wrapped(refusal.message, style.width, first=f"{label}: {refusal.code}: ", rest="  ")
        lines[0] = lines[0].replace(refusal.code, code, 1)
    for name, value in (("found", refusal.measured), ("limit", refusal.limit)):
        if value is not None:
            lines += wrapped(value, style.width, first=f"  {name}: ", rest="    ")
    return lines


def _next(step: NextCommand, width: int) -> list[str]:
    return ["", *wrapped(step.why, width, first="Next: ", rest="  "), f"  {harmless(step.command)}"]
