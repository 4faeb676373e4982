"""The clock port and the system clock: the only place that reads time or sleeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NANOSECONDS_PER_SECOND: Final = 1_000_000_000


class Clock(Protocol):
    """Wall time in aware UTC, a monotonic counter, and a way to wait. Injected everywhere."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""

    def monotonic_ns(self) -> int:
        """Return a counter in nanoseconds that never goes backward within a process."""

    def sleep_ms(self, milliseconds: int) -> None:
        """Wait. A simulator returns at once and moves its own time."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's wall time in UTC, microsecond resolution."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Return the machine's monotonic counter in nanoseconds."""
        return time.monotonic_ns()

    def sleep_ms(self, milliseconds: int) -> None:
        """Sleep for ``milliseconds``; nothing when it is not positive."""
        if milliseconds > 0:
            time.sleep(milliseconds / 1000)


def rfc3339(at: datetime) -> str:
    """Return ``at`` as RFC 3339 UTC text with exactly six fractional digits.

    Raises:
        ValueError: ``at`` is naive. A naive time is a defect of ours, never of the operator.
    """
    if at.tzinfo is None:
        message = "a naive time was given where aware UTC is needed"
        raise ValueError(message)
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> datetime:
    """Return the aware UTC time of an RFC 3339 text.

    Raises:
        ValueError: the text is no RFC 3339 time, names no offset, or lies outside the calendar.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        message = f"{text!r} names no offset from UTC"
        raise ValueError(message)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        message = f"{text!r} lies outside the calendar"
        raise ValueError(message) from None


def to_ns(at: datetime) -> int:
    """Return nanoseconds since 1970 (UTC) of an aware time, exactly."""
    delta = at - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NANOSECONDS_PER_SECOND + delta.microseconds * 1000


def from_ns(nanoseconds: int) -> datetime:
    """Return the aware UTC time of nanoseconds since 1970, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def age_text(seconds: int) -> str:
    """Return an age for people: ``12 s``, ``4 min``, ``3 h``, ``2 d``."""
    for unit_seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_seconds:
            return f"{seconds // unit_seconds} {unit}"
    return f"{seconds} s"
