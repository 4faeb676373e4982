"""Reports as text and as JSON, on every kind of terminal."""

import io
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.cli import terminal
from quantlab.cli.envelope import NextCommand, Report, envelope_line, json_line
from quantlab.cli.render import text_of
from quantlab.cli.terminal import Style
from quantlab.kernel.result import Fact, Refusal, Result

WIDE = Style(width=100, colour=False)
NARROW = Style(width=40, colour=False)
FULL = Result(
    outcome="denied",
    headline="The gate refused the session.",
    session_id="20260102T030405Z-eth-usd-buy-0123456789ab",
    artifacts=("outputs/x/broker_submit_gate.json",),
    refusals=(
        Refusal(
            code="price_drift",
            message="The quote moved further than the policy allows since the plan was made.",
            measured="212 bps",
            limit="100 bps",
        ),
    ),
    facts=(Fact(label="State", value="bundled"), Fact(label="Plan digest", value="ab" * 32)),
    table=(("check", "found"), ("funds", "1000 USD"), ("halt", "none")),
    warnings=("The venue's clock is behind.",),
    data={"size": Decimal("1E+2"), "at": datetime(2026, 1, 2, tzinfo=UTC)},
)
STEP = NextCommand(why="Look at it.", command="quantlab kraken show 'a b'")


def report(result=FULL, environment="rehearsal", step=STEP):
    """Return a report."""
    return Report(command="kraken gate", result=result, environment=environment, next=step)


def test_a_whole_report():
    """Banner, headline, facts, table, files, warnings, refusals and the next command, in order."""
    digest = "ab" * 32
    assert text_of(report(), WIDE) == (
        "REHEARSAL\n"
        "The gate refused the session.\n"
        "State:        bundled\n"
        f"Plan digest:  {digest}\n"
        "\n"
        "check  found\n"
        "-----  --------\n"
        "funds  1000 USD\n"
        "halt   none\n"
        "Artifact: outputs/x/broker_submit_gate.json\n"
        "Warning: The venue's clock is behind.\n"
        "Refused: price_drift: The quote moved further than the policy allows since the plan was"
        " made.\n"
        "  found: 212 bps\n"
        "  limit: 100 bps\n"
        "\n"
        "Next: Look at it.\n"
        "  quantlab kraken show 'a b'\n"
    )


@pytest.mark.parametrize(
    ("environment", "first"),
    [("testnet", "TESTNET"), ("live", "The gate refused"), (None, "The gate refused")],
)
def test_what_is_not_live_says_so_first(environment, first):
    """The first line names the environment unless it is live or none."""
    assert text_of(report(environment=environment), WIDE).startswith(first)


def test_a_narrow_terminal():
    """At 40 columns everything wraps but what is to be copied; wide tables are stacked."""
    table = (("name", "a column that is wide"), ("one", "value " * 6), ("two", "x"))
    text = text_of(report(msgspec.structs.replace(FULL, table=table)), NARROW)
    long = [line.strip() for line in text.splitlines() if len(line) > 40]
    assert [f"Plan digest:  {'ab' * 32}", "Artifact: outputs/x/broker_submit_gate.json"] == long
    assert "\nname:                  one\na column that is wide: value value value\n" in text
    assert "\n\nname:                  two\n" in text
    assert "  quantlab kraken show 'a b'\n" in text


def test_a_table_without_rows():
    """A header alone is shown, and rows may be shorter than the header."""
    alone = msgspec.structs.replace(FULL, table=(("a" * 30, "b" * 30),))
    assert "a" * 30 + "  " + "b" * 30 in text_of(report(alone), NARROW)
    ragged = msgspec.structs.replace(FULL, table=(("a", "b"), ("1",)))
    assert "\na  b\n-  -\n1\n" in text_of(report(ragged), WIDE)


def test_a_plain_result():
    """A result of one sentence is one line; without a headline nothing is said."""
    done = Result(outcome="done", headline="Done.")
    assert "Done.\n" == text_of(report(done, environment="live", step=None), WIDE)
    silent = Result(outcome="done", headline="")
    assert "\n" == text_of(report(silent, environment=None, step=None), WIDE)


def test_a_message_is_said_once():
    """A fault's message that is the headline already is not repeated in its refusal."""
    refusal = Refusal(code="missing", message="It is missing.")
    result = Result(outcome="usage", headline="It is missing.", refusals=(refusal,))
    text = text_of(report(result, environment=None, step=None), WIDE)
    assert "It is missing.\nRefused: missing\n" == text


def test_colours():
    """Colours mark banner, outcome and refusal codes, and only where they are on."""
    text = text_of(report(), Style(width=100, colour=True))
    assert "\x1b[1mREHEARSAL\x1b[0m" in text
    assert "\x1b[31mprice_drift\x1b[0m" in text
    assert "\x1b" not in text_of(report(), WIDE)


def test_no_text_drives_the_terminal():
    """Control characters and lone surrogates of others are spelled out."""
    evil = Result(
        outcome="done",
        headline="\x1b[2Jgone\udc80",
        facts=(Fact(label="\x07", value="\r"),),
        table=(("a\nb",), ("\x9b1m",)),
        artifacts=("\x00",),
    )
    text = text_of(report(evil, step=None), WIDE)
    assert {character for character in text if ord(character) < 32} == {"\n"}
    assert "\\x1b[2Jgone\\xdc80" in text
    assert text.encode("utf-8")


def test_the_envelope():
    """The envelope has exactly its keys, in one line; decimals and times are text."""
    line = envelope_line(report())
    assert "\n" not in line
    envelope = msgspec.json.decode(line)
    assert list(envelope) == [
        "schema",
        "command",
        "environment",
        "outcome",
        "exit_code",
        "session_id",
        "artifacts",
        "refusals",
        "next",
        "data",
    ]
    assert "quantlab.result/1" == envelope["schema"]
    assert 1 == envelope["exit_code"]
    assert list(envelope["refusals"][0]) == ["code", "message", "measured", "limit"]
    assert {"why": "Look at it.", "command": "quantlab kraken show 'a b'"} == envelope["next"]
    assert {"size": "100", "at": "2026-01-02T00:00:00.000000Z"} == envelope["data"]
    assert "null" in envelope_line(report(step=None))


def test_any_document_as_json():
    """Paths, tuples, structs and odd texts have a JSON form; a NaN keeps its name."""
    value = {"p": Path("a/b"), "t": (1, None, True), "r": STEP, "s": "\udc80", "n": Decimal("NaN")}
    found = msgspec.json.decode(json_line(value))
    assert {
        "p": "a/b",
        "t": [1, None, True],
        "r": {"why": "Look at it.", "command": "quantlab kraken show 'a b'"},
        "s": "\\udc80",
        "n": "NaN",
    } == found
    with pytest.raises(NotImplementedError, match="object has no JSON form"):
        json_line({"x": object()})


@given(st.text(), st.text(), st.integers(20, 120))
def test_any_text_is_rendered(headline, value, width):
    """No text of a venue or an operator breaks the report, in any width, as text or as JSON."""
    result = Result(
        outcome="done",
        headline=headline,
        facts=(Fact(label=value, value=headline),),
        table=((headline, value), (value, headline)),
        data={value: headline},
    )
    text_of(report(result), Style(width=width, colour=True)).encode("utf-8")
    assert msgspec.json.decode(envelope_line(report(result)))


@pytest.mark.parametrize(
    ("environ", "is_terminal", "colour"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm"}, False, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(environ, is_terminal, colour, stream):
    """Colour needs a terminal, a TERM that has it, and no NO_COLOR."""
    assert colour == terminal.style_of(stream(terminal=is_terminal), environ).colour


@pytest.mark.parametrize(
    ("columns", "width"),
    [("40", 40), ("5", 20), ("900", 120), ("x", 10_000), ("0", 10_000), ("99999", 10_000)],
)
def test_the_width_is_bounded(columns, width, stream):
    """COLUMNS is believed within bounds; without a terminal the width is fixed."""
    assert width == terminal.style_of(stream(), {"COLUMNS": columns}).width


def test_the_width_of_a_terminal(stream):
    """A terminal is asked for its width; one that does not know gets the fixed one."""
    main, end = os.openpty()
    with os.fdopen(main), os.fdopen(end, "w") as tty:
        assert 10_000 == terminal.style_of(tty, {}).width
        import fcntl
        import struct
        import termios

        fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        assert 60 == terminal.style_of(tty, {}).width
    assert 10_000 == terminal.style_of(tty, {}).width
    assert 10_000 == terminal.style_of(stream(terminal=True), {}).width
    assert 10_000 == terminal.style_of(None, {}).width


def test_an_ascii_terminal(stream):
    """A terminal that is not UTF-8 gets ASCII spellings; JSON stays UTF-8 bytes."""
    plain = stream(encoding="ascii")
    assert terminal.write(plain, "a \u2192 b \u2026 \u00e9\n")
    assert "a -> b ... \\xe9\n" == plain.text
    exact = stream(encoding="ascii")
    assert terminal.write(exact, '"\u00e9"\n', exact=True)
    assert b'"\xc3\xa9"\n' == exact.buffer.getvalue()


def test_streams_that_take_nothing(tmp_path):
    """A closed, broken or missing stream takes nothing, and nothing is raised."""
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as broken:
        assert not terminal.write(broken, "x")
        assert terminal.write(broken, "now it goes nowhere")
    assert not terminal.write(broken, "x")
    assert not terminal.write(None, "x")


def test_a_stream_of_text_only():
    """A stream without bytes below it takes the text."""
    text = io.StringIO()
    assert terminal.write(text, "a \u2192 b")
    assert "a \u2192 b" == text.getvalue()


def test_wrapping_keeps_line_breaks():
    """Line breaks of a text stay; long words are not broken; an empty text is its beginning."""
    assert ["> a", "  ", "  b"] == [
        line if line.strip() else "  " for line in terminal.wrapped("a\n\nb", 40, first="> ", rest="  ")
    ]
    assert ["x" * 60] == terminal.wrapped("x" * 60, 20)
    assert [">"] == terminal.wrapped("", 20, first="> ")
