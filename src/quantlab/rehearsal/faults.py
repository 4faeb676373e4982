"""The fault plan: which request meets which fault, scripted per request.

A fault is a value; the plan only counts. What a fault does to bytes is decided
in the faces, what it does to the listener in the server.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.wire import Json

NS: Final = 1_000_000_000

TERMINAL: Final = frozenset({
    "drop_before_read", "drop_after_accept", "http_error", "garbage", "truncate", "duplicate",
    "late", "api_error",
})  # fmt: skip
"""Faults that decide the fate of one request; at most one of them meets a request."""

STANDING: Final = frozenset({
    "stale_reads", "clock_skew", "refuse_connect", "system_status", "nonce_window", "limits", "rules",
    "agent_removed", "nonce_forgotten",
})  # fmt: skip
"""Faults that describe a condition: without `count` they last until they are cleared."""

CONDITIONS: Final = STANDING - {"stale_reads", "refuse_connect", "clock_skew"}
"""Standing faults that no request uses up; with `after` they begin once so many matching requests were answered."""

KINDS: Final = TERMINAL | STANDING | {"delay", "stream_cut", "partial_fill"}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One scripted fault, its value already read."""

    venue: str
    path: str
    type: str | None = None
    fault: str
    count: int = 1
    """How many matching requests it meets; 0 means all."""
    after: int = 0
    """How many matching requests pass untouched first."""
    value: object = None
    """The value as it was given, for display."""
    span_ns: int = 0
    """Nanoseconds of `delay`, `late`, `stale_reads`, `clock_skew`, `refuse_connect`."""
    status: int = 502
    text: str = ""
    """Error string, way of cutting, system mode, or what becomes of the rest of an order."""
    after_accept: bool = False
    per_order: bool = False
    """`api_error`: the text stands in the status of one order instead of the whole answer."""
    fraction: Decimal = Decimal("0.5")
    once_answered: str = ""
    """`refuse_connect`: the listener closes only after an answer to this path."""

    def matches(self, venue: str, path: str, kind: str | None) -> bool:
        """Tell whether a request is one that this fault is about."""
        if venue != self.venue or (self.type is not None and self.type != kind):
            return False
        return matches_path(self.path, path)


def matches_path(pattern: str, path: str) -> bool:
    """Compare a fault's path (whole, a suffix of whole segments, or `*`) with a request's."""
    return pattern in ("*", "", path) or path.endswith("/" + pattern.lstrip("/"))


class Armed(msgspec.Struct, kw_only=True):
    """A fault in the plan with what is left of it."""

    fault: Fault
    left: int
    skip: int
    since_ns: int
    met: int = 0
    ready: bool = True

    def spend(self) -> bool:
        """Count one matching request; tell whether the fault meets it."""
        if self.skip > 0:
            self.skip -= 1
            return False
        self.met += 1
        if self.left > 0:
            self.left -= 1
            if self.left == 0:
                self.left = -1
        return True

    @property
    def holds(self) -> bool:
        """Tell whether a condition holds already."""
        return self.skip == 0 or self.fault.fault not in CONDITIONS

    @property
    def used_up(self) -> bool:
        """Tell whether no further request can meet it."""
        return self.left < 0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The faults that one request meets."""

    delay_ns: int = 0
    answer_delay_ns: int = 0
    """Time between carrying the request out and answering it."""
    terminal: Fault | None = None
    stale_ns: int = 0


class FaultPlan:
    """The armed faults, oldest first."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []

    def add(self, fault: Fault, now_ns: int) -> None:
        """Arm a fault from `now_ns` (the driver's clock) on."""
        self._armed.append(
            Armed(
                fault=fault,
                left=fault.count,
                skip=fault.after,
                since_ns=now_ns,
                ready=not fault.once_answered,
            )
        )

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def rows(self) -> list[Json]:
        """Describe the armed faults for the control interface."""
        return [
            {
                "venue": a.fault.venue,
                "path": a.fault.path,
                "type": a.fault.type,
                "fault": a.fault.fault,
                "value": a.fault.value,
                "left": None if a.left == 0 else a.left,
                "after": a.skip,
                "met": a.met,
            }
            for a in self._armed
        ]

    def _drop_used(self) -> None:
        self._armed = [a for a in self._armed if not a.used_up]

    def claim(self, venue: str, path: str, kind: str | None) -> Claim:
        """Take the faults that this request meets: delays, one fate, and staleness."""
        delay_ns = answer_delay_ns = stale_ns = 0
        terminal: Fault | None = None
        for armed in self._armed:
            fault = armed.fault
            if not fault.matches(venue, path, kind):
                continue
            if fault.fault == "delay" and armed.spend():
                if fault.after_accept:
                    answer_delay_ns += fault.span_ns
                else:
                    delay_ns += fault.span_ns
            elif fault.fault == "stale_reads" and armed.spend():
                stale_ns = max(stale_ns, fault.span_ns)
            elif fault.fault in TERMINAL and terminal is None and armed.spend():
                terminal = fault
        self._drop_used()
        return Claim(
            delay_ns=delay_ns, answer_delay_ns=answer_delay_ns, terminal=terminal, stale_ns=stale_ns
        )  # fmt: skip

    def take(self, name: str, venue: str, path: str, kind: str | None = None, *, typed: bool = False) -> Fault | None:
        """Take the first fault of one name that meets this request or connection.

        Args:
            name: The fault's name.
            venue: The venue that is met.
            path: The path that is met.
            kind: The variant of the request.
            typed: Take only a fault that names a variant.
        """
        taken = None
        for armed in self._armed:
            wanted = armed.fault.fault == name and armed.fault.matches(venue, path, kind)
            if typed and armed.fault.type is None:
                continue
            if wanted and armed.spend():
                taken = armed.fault
                break
        self._drop_used()
        return taken

    def standing(self, name: str, venue: str) -> Fault | None:
        """Return the newest standing fault of one name, without counting."""
        for armed in reversed(self._armed):
            if armed.fault.fault == name and armed.fault.venue == venue and armed.holds:
                return armed.fault
        return None

    def condition(self, name: str, venue: str, path: str, kind: str | None) -> bool:
        """Tell whether a condition holds for this request, without counting."""
        return any(a.fault.fault == name and a.fault.matches(venue, path, kind) and a.holds for a in self._armed)

    def settings(self, name: str, venue: str) -> Json:
        """Merge the objects of all standing faults of one name; a later one wins key by key."""
        merged: Json = {}
        for armed in self._armed:
            value = armed.fault.value
            if armed.fault.fault == name and armed.fault.venue == venue and armed.holds and isinstance(value, dict):
                merged |= value
        return merged

    def passed(self, venue: str, path: str, kind: str | None) -> None:
        """Count a request that was answered or carried out towards `after` of the conditions."""
        for armed in self._armed:
            if armed.fault.fault in CONDITIONS and armed.fault.matches(venue, path, kind):
                armed.skip = max(0, armed.skip - 1)

    def connection_opened(self, venue: str) -> None:
        """Count an accepted connection towards `after` of `refuse_connect`."""
        for armed in self._armed:
            if armed.fault.fault == "refuse_connect" and armed.fault.venue == venue and armed.ready:
                armed.skip = max(0, armed.skip - 1)

    def answered(self, venue: str, path: str) -> None:
        """Count an answer towards `once_answered` of `refuse_connect`."""
        for armed in self._armed:
            fault = armed.fault
            if fault.fault != "refuse_connect" or fault.venue != venue or armed.ready:
                continue
            if matches_path(fault.once_answered, path):
                armed.skip -= 1
                armed.ready = armed.skip <= 0

    def refuses(self, venue: str, now_ns: int) -> bool:
        """Tell whether connects to a venue are refused at `now_ns` (the driver's clock)."""
        refused = False
        for armed in self._armed:
            fault = armed.fault
            if fault.fault != "refuse_connect" or fault.venue != venue:
                continue
            if not armed.ready or armed.skip > 0:
                armed.since_ns = now_ns
            elif fault.span_ns and now_ns - armed.since_ns >= fault.span_ns:
                armed.left = -1
            else:
                refused = True
        self._drop_used()
        return refused
