"""Where text goes: width, colour and encoding of a stream, and writing that never raises."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Final, Literal, TextIO

import msgspec

Colour = Literal["bold", "red", "yellow", "green"]

NARROWEST: Final = 20
WITHOUT_TERMINAL: Final = 10_000
"""Width where no person reads along: a sentence is one line, so that it can be searched for."""
_WIDEST: Final = 120
_CODES: Final[dict[Colour, str]] = {"bold": "1", "red": "31", "yellow": "33", "green": "32"}
_HARMFUL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff]")
_ASCII: Final = str.maketrans(
    {
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2026": "...",
        "\u2022": "*",
        "\u00b7": "*",
        "\u00d7": "x",
        "\u2192": "->",
        "\u2190": "<-",
        "\u2194": "<->",
        "\u2264": "<=",
        "\u2265": ">=",
        "\u00a0": " ",
    }
)


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """How text is laid out for one stream."""

    width: int
    colour: bool

    def paint(self, text: str, colour: Colour) -> str:
        """Return the text in a colour, or as it is where colours are off."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour else text


def style_of(stream: TextIO | None, environ: Mapping[str, str]) -> Style:
    """Return the layout for a stream: colour only on a terminal that wants it, a bounded width."""
    terminal = _is_terminal(stream)
    wanted = not environ.get("NO_COLOR") and environ.get("TERM", "") not in {"", "dumb"}
    return Style(width=_width(stream, environ, terminal=terminal), colour=terminal and wanted)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # the stream was closed
        return False


def _width(stream: TextIO | None, environ: Mapping[str, str], *, terminal: bool) -> int:
    said = environ.get("COLUMNS", "")
    if re.fullmatch(r"[1-9][0-9]{0,3}", said):
        return min(max(int(said), NARROWEST), _WIDEST)
    if stream is None or not terminal:
        return WITHOUT_TERMINAL
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return WITHOUT_TERMINAL
    return min(max(columns, NARROWEST), _WIDEST) if columns else WITHOUT_TERMINAL


def harmless(text: str) -> str:
    """Return the text with control characters and lone surrogates spelled out.

    No text of a venue or a file drives the terminal, and every text has UTF-8 bytes.
    """
    return _HARMFUL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def wrapped(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """Return the text as lines of at most ``width``, each line break of its own kept.

    ``first`` begins the first line and ``rest`` every other. Long words (paths, ids) are not broken.
    """
    from textwrap import wrap

    lines: list[str] = []
    for paragraph in harmless(text).split("\n"):
        head = rest if lines else first
        lines += wrap(
            paragraph,
            max(width, len(head) + 8, len(rest) + 8),
            initial_indent=head,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [head.rstrip()]
    return lines


def write(stream: TextIO | None, text: str, *, exact: bool = False) -> bool:
    """Write text and flush; return whether it arrived. Never raises for anything a stream does.

    ``exact`` text is written as UTF-8 whatever the terminal reads (JSON); other text falls back to
    ASCII spellings where the stream's encoding lacks a character.
    """
    if stream is None:
        return False
    try:
        encoding = "utf-8" if exact else (stream.encoding or "utf-8")
        data = _encoded(text, encoding)
        buffer = getattr(stream, "buffer", None)
        if buffer is None:
            stream.write(data.decode(encoding))
        else:
            stream.flush()
            buffer.write(data)
        stream.flush()
    except (OSError, ValueError):
        _abandon(stream)
        return False
    return True


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace")


def _abandon(stream: TextIO) -> None:
    from quantlab.storage.diagnostics import silence

    with contextlib.suppress(OSError, ValueError):
        silence(stream.fileno())
