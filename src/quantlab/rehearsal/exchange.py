"""The exchange's core: one clock, one state, one fault plan, one request log."""

from __future__ import annotations

from collections.abc import Callable

from quantlab.rehearsal.accounts import Keys, make_keys
from quantlab.rehearsal.faults import FaultPlan
from quantlab.rehearsal.kraken_wire import rfc3339
from quantlab.rehearsal.matching import PriceWalk
from quantlab.rehearsal.state import RequestRow, State, encode_state


class Exchange:
    """What the faces and the control interface share.

    Args:
        state: The state, fresh from `seeding.seed_state` or read back from disk.
        now_ns: The driver's clock, nanoseconds since 1970; the exchange's time is
            this plus what `POST /clock` has added.
    """

    def __init__(self, state: State, now_ns: Callable[[], int]) -> None:
        self.state = state
        self.driver_ns = now_ns
        self.plan = FaultPlan()
        self.walk = PriceWalk(state.seed)
        self.keys: Keys = make_keys(state.seed)
        self.env: dict[str, str] = {}
        """Addresses and folders that every profile shares; set by the driver."""
        self._changed = True

    @property
    def now_ns(self) -> int:
        """Exchange time in nanoseconds since 1970."""
        return self.driver_ns() + self.state.advance_ns

    def reported_ns(self, venue: str) -> int:
        """Exchange time as a venue reports it, with a scripted skew."""
        fault = self.plan.standing("clock_skew", venue)
        return self.now_ns + (fault.span_ns if fault else 0)

    def mode(self, venue: str) -> str:
        """System mode of a venue: `online` unless scripted otherwise."""
        fault = self.plan.standing("system_status", venue)
        return fault.text if fault else "online"

    def touch(self) -> None:
        """Note that the state has changed and must be written before an answer leaves."""
        self._changed = True

    def log(
        self, venue: str, path: str, kind: str | None, answer: str, *, effect: bool
    ) -> int:  # fmt: skip
        """Append a line to the request log and return its index."""
        self.state.requests.append(
            RequestRow(
                venue=venue,
                path=path,
                type=kind,
                at=rfc3339(self.now_ns),
                answer=answer,
                effect=effect,
            )
        )
        self.touch()
        return len(self.state.requests) - 1

    def take_snapshot(self, *, force: bool = False) -> bytes | None:
        """Return the state as bytes where it has changed since the last call, else None."""
        if not (self._changed or force):
            return None
        self._changed = False
        return encode_state(self.state)
