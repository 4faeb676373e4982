"""Times are aware UTC, exact to the microsecond, and spelt in one way."""

from datetime import UTC, datetime, timedelta, timezone

import hypothesis
import pytest
from hypothesis import strategies as st

from quantlab.kernel import clock
from quantlab.kernel.clock import SystemClock, age_text, from_ns, parse_rfc3339, rfc3339, to_ns

TIMES = st.datetimes(timezones=st.just(UTC))


@hypothesis.given(TIMES)
@hypothesis.example(datetime.min.replace(tzinfo=UTC))
def test_a_time_survives_its_text(at):
    """RFC 3339 text always has 27 characters, ends in Z, sorts like the time, and reads back exactly."""
    text = rfc3339(at)
    assert at == parse_rfc3339(text)
    assert (27, "Z") == (len(text), text[-1])


def test_offsets_are_turned_into_utc():
    """A time of another offset is the same instant in UTC, both ways."""
    east = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert "2026-01-01T00:00:00.000000Z" == rfc3339(east)
    assert datetime(2026, 1, 1, tzinfo=UTC) == parse_rfc3339("2026-01-01T02:00:00+02:00")


def test_naive_times_are_refused():
    """A time without an offset is nobody's time."""
    with pytest.raises(ValueError, match="naive"):
        rfc3339(datetime(2026, 1, 1))  # noqa: DTZ001 - the defect under test
    with pytest.raises(ValueError, match="no offset"):
        parse_rfc3339("2026-01-01T00:00:00")


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_no_time_is_a_value_error(text):
    """What is no time, or lies outside the calendar in UTC, is a ValueError and nothing else."""
    with pytest.raises(ValueError, match=r"Invalid|outside"):
        parse_rfc3339(text)


@hypothesis.given(TIMES)
def test_nanoseconds_are_exact(at):
    """Nanoseconds since 1970 lead back to the same time."""
    assert at == from_ns(to_ns(at))


def test_nanoseconds_of_known_times():
    """The second after 1970 is a thousand million; what is finer than a microsecond is cut."""
    assert 1_000_001_000 == to_ns(datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC))
    assert datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC) == from_ns(1_999)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"), (172_800, "2 d")],
)
def test_ages(seconds, text):
    """An age is told in the largest unit of which there are two."""
    assert text == age_text(seconds)


def test_the_system_clock(monkeypatch):
    """The machine's clock is aware, its counter rises, and it sleeps only for a positive time."""
    slept = []
    monkeypatch.setattr(clock.time, "sleep", slept.append)
    system = SystemClock()
    assert timedelta(0) == system.now().utcoffset()
    first = system.monotonic_ns()
    assert first <= system.monotonic_ns()
    for milliseconds in (-1, 0, 1500):
        system.sleep_ms(milliseconds)
    assert [1.5] == slept
