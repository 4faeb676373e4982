"""Wall time from the rehearsal exchange, so that advancing its clock is never skew. Used in rehearsal alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from quantlab.kernel.clock import Clock, from_ns
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import Connector
from quantlab.venues.transport import HttpRequest, Limits, Transport

CLOCK_PATH: Final = "/rehearsal/clock"
_FRESH_NS: Final = 500_000_000
_LIMITS: Final = Limits(connect_ms=1_000, total_ms=2_000)


class _Answer(msgspec.Struct):
    now_ns: str


class RehearsalClock:
    """The machine's clock moved to the rehearsal exchange's time; the machine's own where none answers.

    Args:
        system: The machine's clock.
        connector: Opens connections.
        base_url: The exchange's address.
    """

    def __init__(self, *, system: Clock, connector: Connector, base_url: str) -> None:
        self._system = system
        self._url = base_url.rstrip("/") + CLOCK_PATH
        self._transport = Transport(
            connector=connector,
            clock=system,
            redactor=Redactor(),
            needs_attempt=lambda path, body: path != CLOCK_PATH or bool(body),
            limits=_LIMITS,
        )
        self._offset = timedelta(0)
        self._asked_ns: int | None = None

    def now(self) -> datetime:
        """Return the exchange's time; asked again when the last answer is older than half a second."""
        now_ns = self._system.monotonic_ns()
        if self._asked_ns is None or now_ns - self._asked_ns > _FRESH_NS:
            self._ask()
            self._asked_ns = self._system.monotonic_ns()
        return self._system.now() + self._offset

    def monotonic_ns(self) -> int:
        """Return the machine's monotonic counter."""
        return self._system.monotonic_ns()

    def sleep_ms(self, milliseconds: int) -> None:
        """Wait on the machine's clock."""
        self._system.sleep_ms(milliseconds)

    def _ask(self) -> None:
        answer = self._transport.exchange(HttpRequest(purpose="rehearsal clock", method="GET", url=self._url))
        self._transport.tape.take()
        if not answer.whole:
            return
        try:
            there = from_ns(int(msgspec.json.decode(answer.body, type=_Answer).now_ns))
        except (msgspec.MsgspecError, ValueError):
            return
        self._offset = there - self._system.now()
