"""Turns on keys: one private call at a time a key, nonces and rate points kept across processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from quantlab.kernel.clock import Clock, to_ns
from quantlab.kernel.errors import Busy
from quantlab.storage.durable import Disk, Lock, make_folders, storage_faults
from quantlab.storage.ledger import Ledger

_POLL_MS: Final = 10
TURN_WAIT_MS: Final = 60_000
POINTS_WAIT_MS: Final = 90_000
_WORTH_TELLING_MS: Final = 1_000


class LedgerKeyTurn:
    """A held turn; see :class:`quantlab.venues.port.KeyTurn`."""

    def __init__(
        self, *, ledger: Ledger, clock: Clock, signer_id: str, nonce_unit_ns: int, say: Callable[[str], None]
    ) -> None:
        """Keep the ports; the caller holds the key's lock. ``say`` tells the operator of a wait."""
        self._say = say
        self._nonce_unit_ns = nonce_unit_ns
        self._ledger = ledger
        self._clock = clock
        self._signer_id = signer_id

    def next_nonce(self) -> int:
        """Return max(last + 1, now in the venue's unit), recorded before it is used."""
        floor = to_ns(self._clock.now()) // self._nonce_unit_ns
        return self._ledger.next_nonce(self._signer_id, floor=floor)

    def spend_points(self, points: int, *, capacity: int, decay_per_kilosecond: int) -> None:
        """Count rate points, waiting until they fit.

        Raises:
            Busy: they do not fit within the bound: other processes use the key's budget up.
        """
        waited_ms = 0
        while True:
            wait_ms = self._ledger.take_points(
                self._signer_id,
                points=points,
                capacity=capacity,
                decay_per_kilosecond=decay_per_kilosecond,
                at_ns=to_ns(self._clock.now()),
            )
            if wait_ms == 0:
                return
            if waited_ms > POINTS_WAIT_MS:
                message = "The key's rate budget stays used up. Wait a minute; nothing was sent by this command."
                raise Busy(
                    message,
                    code="rate_budget",
                    measured=f"{wait_ms} ms to wait",
                    limit=f"{capacity} points",
                )
            if waited_ms == 0 and wait_ms >= _WORTH_TELLING_MS:
                self._say(f"waiting about {-(-wait_ms // 1000)} s: the venue's rate budget is used up")
            step_ms = min(wait_ms + 1, 1_000)
            self._clock.sleep_ms(step_ms)
            waited_ms += step_ms


class LedgerKeyTurns:
    """Turns by a lock file a key in the state folder; see :class:`quantlab.venues.port.KeyTurns`."""

    def __init__(
        self,
        *,
        disk: Disk,
        clock: Clock,
        ledger: Ledger,
        folder: Path,
        nonce_unit_ns: int = 1,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Keep the ports; ``folder`` is made when the first turn is taken. Nonces count our clock in the unit given."""
        self._say = say
        self._nonce_unit_ns = nonce_unit_ns
        self._disk = disk
        self._clock = clock
        self._ledger = ledger
        self._folder = folder

    @contextlib.contextmanager
    def turn(self, signer_id: str) -> Iterator[LedgerKeyTurn]:
        """Hold the key until the context ends.

        Raises:
            Busy: another process keeps the key for longer than a minute.
        """
        make_folders(self._disk, self._folder)
        lock = self._take(self._folder / f"key-{signer_id[:32]}.lock")
        try:
            yield LedgerKeyTurn(
                ledger=self._ledger,
                clock=self._clock,
                signer_id=signer_id,
                nonce_unit_ns=self._nonce_unit_ns,
                say=self._say,
            )
        finally:
            lock.release()

    def _take(self, path: Path) -> Lock:
        deadline_ns = self._clock.monotonic_ns() + TURN_WAIT_MS * 1_000_000
        while True:
            with storage_faults(path):
                lock = self._disk.lock(path)
            if lock is not None:
                return lock
            if self._clock.monotonic_ns() >= deadline_ns:
                message = "Another QuantLab process keeps using this key. Nothing was sent by this command."
                raise Busy(message, code="key_busy", measured=str(path))
            self._clock.sleep_ms(_POLL_MS)
