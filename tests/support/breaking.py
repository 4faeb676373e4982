"""Doubles that end a command at its n-th effect: killed, interrupted, or told by the system that it failed."""

import errno
import shutil
from pathlib import Path
from typing import Any

from quantlab.rehearsal.state import encode_state
from quantlab.storage.durable import OsDisk
from tests.support.virtual import Bench, VirtualClock, VirtualConnection, VirtualConnector
from tests.unit.rehearsal.driving import World


class Killed(BaseException):
    """The process is gone: no later effect of it takes place."""


class Breaker:
    """Counts effects and breaks at one of them. A killed command can do nothing afterwards; others go on."""

    def __init__(self, at: int, error: BaseException, *, kinds: tuple[str, ...], lasting: bool = False) -> None:
        self.at = at
        self.error = error
        self.kinds = kinds
        self.lasting = lasting or isinstance(error, Killed)
        self.count = 0
        self.broken = False
        self.last = ""
        self.where = ""

    def meet(self, name: str) -> None:
        """Let an effect take place, or break."""
        kind = name.partition(".")[0]
        if self.broken:
            if self.lasting and (kind in self.kinds or isinstance(self.error, Killed)):
                raise self.error
            return
        if kind not in self.kinds or (kind == "clock" and self.last == "clock"):
            # Between two effects that leave a trace, one look at the clock is like another.
            return
        self.last = kind
        self.count += 1
        if self.count == self.at:
            self.broken, self.where = True, name
            raise self.error


class BreakingDisk(OsDisk):
    """A disk whose changes can break; a write that breaks has written half. Nothing is forced to the medium."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker

    def open_new(self, path: Path, *, mode: int) -> int:
        self.breaker.meet(f"disk.open_new {path.name}")
        return super().open_new(path, mode=mode)

    def write(self, handle: int, data: bytes) -> None:
        try:
            self.breaker.meet("disk.write")
        except BaseException:
            super().write(handle, data[: len(data) // 2])
            raise
        super().write(handle, data)

    def allocate(self, handle: int, size_bytes: int) -> None:
        self.breaker.meet("disk.allocate")

    def fsync(self, handle: int) -> None:
        self.breaker.meet("disk.fsync")

    def link(self, source: Path, target: Path) -> None:
        self.breaker.meet(f"disk.link {target.name}")
        super().link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        self.breaker.meet(f"disk.rename {target.name}")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self.breaker.meet(f"disk.unlink {path.name}")
        super().unlink(path)

    def make_folder(self, path: Path, *, mode: int) -> None:
        self.breaker.meet(f"disk.make_folder {path.name}")
        super().make_folder(path, mode=mode)

    def fsync_folder(self, path: Path) -> None:
        self.breaker.meet(f"disk.fsync_folder {path.name}")


class BreakingLedger:
    """A ledger each of whose transactions can break, before it and after it."""

    def __init__(self, ledger: Any, breaker: Breaker) -> None:
        self._ledger = ledger
        self._breaker = breaker

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._ledger, name)
        if name in {"close", "state_id"}:
            return value

        def transaction(*arguments: Any, **options: Any) -> Any:
            self._breaker.meet(f"ledger.{name}")
            answer = value(*arguments, **options)
            self._breaker.meet(f"ledger.{name} done")
            return answer

        return transaction


class BreakingClock(VirtualClock):
    """A clock at which a command can break."""

    def __init__(self, world: World, breaker: Breaker) -> None:
        super().__init__(world)
        self.breaker = breaker

    def now(self):
        self.breaker.meet("clock.now")
        return super().now()

    def sleep_ms(self, milliseconds: int) -> None:
        self.breaker.meet("clock.sleep_ms")
        super().sleep_ms(milliseconds)


class BreakingConnection(VirtualConnection):
    """A connection that can break before and after it sends, and before it receives."""

    breaker: Breaker

    def send(self, data: bytes, *, timeout_ms: int) -> None:
        self.breaker.meet("net.send")
        super().send(data, timeout_ms=timeout_ms)
        self.breaker.meet("net.sent")

    def receive(self, limit_bytes: int, *, timeout_ms: int) -> bytes:
        self.breaker.meet("net.receive")
        return super().receive(limit_bytes, timeout_ms=timeout_ms)


class BreakingConnector(VirtualConnector):
    """A connector whose connections can break."""

    def __init__(self, world: World, breaker: Breaker) -> None:
        super().__init__(world)
        self.breaker = breaker

    def connect(self, endpoint, *, timeout_ms: int) -> VirtualConnection:
        self.breaker.meet("net.connect")
        connection = BreakingConnection(self.world, self.on_send)
        connection.breaker = self.breaker
        return connection


def break_bench(bench: Bench, breaker: Breaker) -> None:
    """Let the bench's next commands meet the breaker."""
    bench.disk = BreakingDisk(breaker)
    bench.clock = BreakingClock(bench.world, breaker)
    bench.connector = BreakingConnector(bench.world, breaker)
    bench.around_ledger = lambda ledger: BreakingLedger(ledger, breaker)


def mend_bench(bench: Bench) -> None:
    """Give the bench whole ports again: what follows runs in new processes."""
    bench.disk = QuickDisk()
    bench.clock = VirtualClock(bench.world)
    bench.connector = VirtualConnector(bench.world)
    bench.around_ledger = None


class QuickDisk(OsDisk):
    """A disk that forces nothing to the medium, for runs by the hundred."""

    def fsync(self, handle: int) -> None:
        pass

    def fsync_folder(self, path: Path) -> None:
        pass


class Moment:
    """A bench's files and exchange at one moment, to which it can be put back as often as is wanted."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.kept = bench.folder.with_name(f"{bench.folder.name}-kept")
        shutil.copytree(bench.folder, self.kept)
        self.state = encode_state(bench.world.exchange.state)
        self.driver_ns = bench.world.driver_ns
        self.entropy_count = bench.entropy.count

    def restore(self) -> Bench:
        """Put files and exchange back, and return the bench with whole ports."""
        bench = self.bench
        shutil.rmtree(bench.folder)
        shutil.copytree(self.kept, bench.folder)
        bench.world = World(state=self.state)
        bench.world.driver_ns = self.driver_ns
        bench.entropy.count = self.entropy_count
        bench.progress.clear()
        mend_bench(bench)
        return bench


def disk_full() -> OSError:
    """Return the system's word for a full disk."""
    return OSError(errno.ENOSPC, "No space left on device")
