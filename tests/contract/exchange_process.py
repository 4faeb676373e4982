"""The rehearsal exchange in a process of its own, and what a test needs to talk to it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from quantlab.kernel.clock import Clock, SystemClock, from_ns, to_ns


@dataclass(frozen=True)
class Exchange:
    """A running exchange: its URLs, its keys, and its control door."""

    kraken_url: str
    hyperliquid_url: str
    control_url: str
    env: dict[str, str]

    def get(self, path: str) -> Any:
        """Return what the control door answers to a GET."""
        with urllib.request.urlopen(self.control_url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, value: object, *, method: str = "POST") -> Any:
        """Send JSON to the control door."""
        request = urllib.request.Request(
            self.control_url + path,
            data=json.dumps(value).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def fault(self, **fields: object) -> None:
        """Plan one fault of the exchange."""
        self.post("/faults", fields)

    def clear_faults(self) -> None:
        """Forget every planned fault."""
        self.post("/faults", {}, method="DELETE")

    def advance_clock(self, seconds: int) -> None:
        """Move the exchange's time forward."""
        self.post("/clock", {"advance_seconds": seconds})

    def orders(self, *, client_order_id: str) -> list[dict[str, Any]]:
        """Return the orders ever accepted under one client order id."""
        rows = self.get("/orders")["orders"]
        return [row for row in rows if row["client_order_id"] == client_order_id]


@contextmanager
def running_exchange(folder: Path, *options: str) -> Iterator[Exchange]:
    """Start the exchange on free ports, wait until it answers, and end it afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "quantlab.rehearsal", "--state", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            _, errors = process.communicate(timeout=10)
            raise AssertionError(f"the rehearsal exchange did not start: {errors[-2000:]}")
        yield Exchange(**json.loads(line))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


class ExchangeClock(SystemClock):
    """Our clock, set to the exchange's: in rehearsal a moved clock is never skew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._offset = timedelta()
        self.refresh()

    def refresh(self) -> None:
        """Take the exchange's time again, as after it was advanced."""
        with urllib.request.urlopen(self._url + "/rehearsal/clock", timeout=10) as answer:
            theirs = from_ns(int(json.load(answer)["now_ns"]))
        self._offset = theirs - super().now()

    def now(self) -> datetime:
        """Return the exchange's time."""
        return super().now() + self._offset


class MemoryTurn:
    """A turn on a key that counts nonces in memory and notes the rate points asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self.points: list[int] = []

    def next_nonce(self) -> int:
        """Return the time in ns, or one above the last nonce."""
        self._last = max(self._last + 1, to_ns(self._clock.now()))
        return self._last

    def spend_points(self, points: int, *, capacity: int, decay_per_kilosecond: int) -> None:
        """Note the points; the exchange under test has room for them or the test clears it."""
        assert (15, 330) == (capacity, decay_per_kilosecond)
        self.points.append(points)


class MemoryTurns:
    """Turns for a single process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.by_key: dict[str, MemoryTurn] = {}

    @contextmanager
    def turn(self, signer_id: str) -> Iterator[MemoryTurn]:
        """Give the turn of a key."""
        yield self.by_key.setdefault(signer_id, MemoryTurn(self._clock))
