"""The real rungs against the real rehearsal faces in one process: virtual network and clock, real files."""

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

from quantlab import config, wiring
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.clock import from_ns
from quantlab.kernel.errors import QuantLabFault
from quantlab.kernel.result import NextStep, Result
from quantlab.rehearsal.accounts import profile_env
from quantlab.rehearsal.wire import Close, Send, Wake
from quantlab.rungs.corridors import CORRIDORS
from quantlab.rungs.desk import Desk
from quantlab.rungs.surroundings import VenueSide
from quantlab.storage.durable import Disk, OsDisk, make_folders
from quantlab.storage.ledger import Interlock, Ledger
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.reader import Session, read_session
from quantlab.venues.sockets import ConnectionFault, ConnectionTimedOut
from tests.unit.rehearsal.driving import World

T = TypeVar("T")
MS = 1_000_000
STEP_MS = 50
URL = "http://127.0.0.1:9"
HYPERLIQUID_URL = "http://127.0.0.1:10"
HYPERLIQUID_PORT = 10
URLS = {
    "kraken": {"QUANTLAB_KRAKEN_URL": URL},
    "hyperliquid": {"QUANTLAB_HYPERLIQUID_URL": HYPERLIQUID_URL},
}


class VirtualClock:
    """The exchange's driver clock as the tool's own: sleeping turns it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def now(self):
        return from_ns(self.world.driver_ns)

    def monotonic_ns(self) -> int:
        return self.world.driver_ns

    def sleep_ms(self, milliseconds: int) -> None:
        if milliseconds > 0:
            self.world.pass_seconds(Decimal(milliseconds) / 1000)


class SeededEntropy:
    """Entropy that can be replayed."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.count = 0

    def token_bytes(self, count: int) -> bytes:
        self.count += 1
        return hashlib.sha256(f"{self.seed}:{self.count}".encode()).digest()[:count]


class VirtualConnection:
    """One connection to a face: what it leaves in its outbox is carried out while we receive."""

    def __init__(self, world: World, on_send, face=None) -> None:
        self.world = world
        self.peer = (face or world.kraken).open()
        self.buffer = b""
        self.closed = False
        self.reset = False
        self.wakes_at_ns: list[int] = []
        self.on_send = on_send

    def send(self, data: bytes, *, timeout_ms: int) -> None:
        if self.on_send is not None:
            self.on_send(data)
        if self.closed:
            raise ConnectionFault("connection reset by peer")
        self.peer.receive(data)
        self._carry_out()

    def receive(self, limit_bytes: int, *, timeout_ms: int) -> bytes:
        deadline_ns = self.world.driver_ns + timeout_ms * MS
        while not self.buffer and not self.closed:
            left_ms = (deadline_ns - self.world.driver_ns) // MS
            if left_ms <= 0:
                raise ConnectionTimedOut(f"timed out after {timeout_ms} ms")
            self._let_time_pass(left_ms)
        if not self.buffer and self.reset:
            raise ConnectionFault("connection reset by peer")
        data, self.buffer = self.buffer[:limit_bytes], self.buffer[limit_bytes:]
        return data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.peer.lost()

    def _let_time_pass(self, left_ms: int) -> None:
        step_ns = min(left_ms, STEP_MS) * MS
        if self.wakes_at_ns:
            step_ns = min(step_ns, max(1, self.wakes_at_ns[0] - self.world.driver_ns))
        self.world.driver_ns += step_ns
        self.world.kraken.advance()
        self.world.hyperliquid.advance()
        if self.wakes_at_ns and self.world.driver_ns >= self.wakes_at_ns[0]:
            self.wakes_at_ns.pop(0)
            self.peer.wake()
        else:
            self.peer.tick()
        self._carry_out()

    def _carry_out(self) -> None:
        actions, self.peer.outbox = self.peer.outbox, []
        for action in actions:
            if isinstance(action, Send):
                self.buffer += action.data
            elif isinstance(action, Close):
                self.closed, self.reset = True, action.reset
            elif isinstance(action, Wake):
                self.wakes_at_ns = sorted((*self.wakes_at_ns, self.world.driver_ns + action.after_ns))


class VirtualConnector:
    """Connects to the face of the port; ``on_send`` sees every request's bytes before the venue does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.on_send = None

    def face_of(self, endpoint):
        """Return the face that listens on the endpoint's port."""
        return self.world.hyperliquid if endpoint.port == HYPERLIQUID_PORT else self.world.kraken

    def connect(self, endpoint, *, timeout_ms: int) -> VirtualConnection:
        face = self.face_of(endpoint)
        if face.refuses():
            raise ConnectionFault("connection refused")
        return VirtualConnection(self.world, self.on_send, face)


class AlteredReads:
    """The real reads of a venue; ``alterations`` maps a read to a function of its answer."""

    def __init__(self, reads: Any, alterations: Mapping[str, Callable[[Any], Any]]) -> None:
        self.reads = reads
        self.alterations = alterations

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.reads, name)
        alter = self.alterations.get(name)
        return real if alter is None else lambda *args, **fields: alter(real(*args, **fields))


class Bench:
    """A desk's surroundings that outlive one command: the exchange, the work folder, the state folder."""

    def __init__(
        self,
        folder: Path,
        *,
        profile: str = "trader",
        seed: int = 7,
        corridor: Literal["kraken", "hyperliquid"] = "kraken",
    ) -> None:
        self.folder = folder
        self.corridor = corridor
        self.world = World(seed)
        self.clock = VirtualClock(self.world)
        self.connector = VirtualConnector(self.world)
        self.entropy = SeededEntropy(f"bench {seed}")
        self.disk: Disk = OsDisk()
        self.root = folder / CORRIDORS[corridor].default_root
        self.progress: list[str] = []
        self.alterations: dict[str, Callable[[Any], Any]] = {}
        self.on_progress: Callable[[str], None] | None = None
        self.around_ledger: Callable[[Ledger], Ledger] | None = None
        self.environ: dict[str, str] = {
            "QUANTLAB_ENVIRONMENT": "rehearsal",
            **URLS[corridor],
            "QUANTLAB_STATE_DIR": str(folder / "state"),
            **profile_env(self.world.exchange.keys, profile),
        }

    def use_profile(self, name: str) -> None:
        """Take another key from now on."""
        self.environ.update(profile_env(self.world.exchange.keys, name))

    def desk(self, environ: Mapping[str, str] | None = None) -> Desk:
        """Return the desk of one command, as a new process would build it."""
        settings = config.load_settings(self.environ if environ is None else environ, self.folder)
        desk = wiring.assemble(
            settings,
            corridor=self.corridor,
            progress=self._note,
            spell=spell,
            disk=self.disk,
            clock=self.clock,
            entropy=self.entropy,
            connector=self.connector,
            open_ledger=lambda: self._open_ledger(settings.state_dir),
        )
        real = desk._venue
        desk._venue = lambda own: self._altered(real(own))
        return desk

    def _note(self, line: str) -> None:
        self.progress.append(line)
        if self.on_progress is not None:
            self.on_progress(line)

    def _open_ledger(self, state: Path) -> Ledger:
        make_folders(OsDisk(), state)
        ledger = SqliteLedger(state / wiring.LEDGER_FILE, entropy=self.entropy)
        return self.around_ledger(ledger) if self.around_ledger is not None else ledger

    def _altered(self, side: VenueSide) -> VenueSide:
        side.reads = AlteredReads(side.reads, self.alterations)
        return side

    def policy(self, **values: Any) -> None:
        """Set the policy from now on: the defaults with these values."""
        rows = [f"{key} = {str(value).lower() if isinstance(value, bool) else value}" for key, value in values.items()]
        (self.folder / "quantlab.toml").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def run(self, rung: str, **fields: Any) -> Result:
        """Run one rung as one command; a fault comes back as its result, as the command line would show it."""
        module = import_module(f"quantlab.rungs.{rung}")
        desk = self.desk()
        try:
            return module.run(desk, module.Request(**fields))
        except QuantLabFault as fault:
            return Result(outcome=fault.outcome, headline=fault.message, refusals=fault.refusals, next=fault.next_step)
        finally:
            if "ledger" in desk.__dict__:
                desk.ledger.close()

    # ------------------------------------------------------------------------------------ the seed's walk

    def validate(self, **changes: Any) -> Result:
        """Validate the seed's order, with changes."""
        fields: dict[str, Any] = {
            "root": self.root,
            "symbol": "ETH-USD",
            "side": "buy",
            "quantity": Decimal("0.25"),
            "notional": Decimal(500),
            "account_label": "acct_demo",
        } | changes
        return self.run("validate", **fields)

    def validated(self, **changes: Any) -> Path:
        """Return the folder of an accepted validation."""
        result = self.validate(**changes)
        assert result.outcome == "done", (result.headline, result.refusals)
        return self.root / str(result.session_id)

    def approve(self, session: Path, reviewer: str | None = "marce", note: str | None = "seen") -> Result:
        return self.run("approve", session=session, reviewer=reviewer, note=note)

    def bundle(self, session: Path) -> Result:
        return self.run("bundle", session=session)

    def gate(self, session: Path, **changes: Any) -> Result:
        return self.run(
            "gate", **({"session": session, "reviewer": "marce", "confirm": True, "note": "ready"} | changes)
        )

    def gated(self, **changes: Any) -> Path:
        """Return the folder of a session that may be submitted."""
        session = self.validated(**changes)
        for step in (self.approve, self.bundle, self.gate):
            result = step(session)
            assert result.outcome == "done", (result.headline, result.refusals)
        return session

    def submit(self, session: Path, **changes: Any) -> Result:
        fields = {"session": session, "reviewer": "marce", "confirm": True, "live": True, "note": "once"}
        return self.run("submit", **(fields | changes))

    def submitted(self, **changes: Any) -> Path:
        """Return the folder of a session whose order was accepted."""
        session = self.gated(**changes)
        result = self.submit(session)
        assert result.outcome == "done", (result.headline, result.refusals)
        return session

    def unknown(self, fault: str = "drop_after_accept", value: Any = None, **changes: Any) -> Path:
        """Return the folder of a session whose send ended unknown through a fault on the order."""
        session = self.gated(**changes)
        more = {} if value is None else {"value": value}
        self.world.fault(fault, "AddOrder", type="order", **more)
        result = self.submit(session)
        assert result.outcome == "unknown", (result.headline, result.refusals)
        return session

    def reconcile(self, session: Path, wait_seconds: int = 0) -> Result:
        return self.run("reconcile", session=session, wait_seconds=wait_seconds)

    def status(self, session: Path) -> Result:
        return self.run("status", session=session)

    def cancel(self, session: Path, **changes: Any) -> Result:
        return self.run(
            "cancel", **({"session": session, "reviewer": "marce", "confirm": True, "note": None} | changes)
        )

    def resolve(self, session: Path, decision: str = "not_landed", **changes: Any) -> Result:
        fields = {"session": session, "reviewer": "marce", "confirm": True, "decision": decision, "note": "checked"}
        return self.run("resolve", **(fields | changes))

    def resting(self, **changes: Any) -> Path:
        """Return the folder of an open limit order that does not trade at once."""
        bid, _ = self.world.best()
        price = (bid * Decimal("0.99")).quantize(Decimal("0.01"))
        return self.submitted(order_type="limit", limit_price=price, time_in_force="gtc", **changes)

    def fills(self, session: Path) -> Result:
        return self.run("fills", session=session)

    def supervise(self, session: Path, bound_seconds: int = 60) -> Result:
        return self.run("supervise", session=session, bound_seconds=bound_seconds)

    def free_interlock(self, **changes: Any) -> Result:
        fields = {"action": "resolve", "reviewer": "marce", "reason": "looked at the venue by hand"}
        return self.run("interlocks", **(fields | changes))

    def not_found(self, **changes: Any) -> Path:
        """Return the folder of a session whose order was lost before the venue read it, searched to the end."""
        session = self.unknown("drop_before_read", **changes)
        for seconds in (120, 20):
            self.world.pass_seconds(seconds)
            result = self.reconcile(session)
        assert self.standing(session).state == "not_found", (result.headline, result.facts)
        return session

    def pass_settle_time(self) -> None:
        """Let deadline and settle time pass."""
        self.world.pass_seconds(120)

    # ------------------------------------------------------------------------------------ looking

    def session(self, folder: Path) -> Session:
        return read_session(self.disk, folder)

    def standing(self, folder: Path) -> Standing:
        session = self.session(folder)
        assert session.findings == (), session.findings
        return standing_of(session.chain)

    def orders(self) -> Any:
        return self.world.orders()

    def held(self) -> tuple[Interlock, ...]:
        """Return the held interlocks."""
        return self.ask_ledger(lambda ledger: ledger.interlocks())

    def ask_ledger(self, question: Callable[[Ledger], T]) -> T:
        """Put a question to the ledger of the state folder."""
        state = Path(self.environ["QUANTLAB_STATE_DIR"])
        make_folders(OsDisk(), state)
        ledger = SqliteLedger(state / wiring.LEDGER_FILE, entropy=self.entropy)
        try:
            return question(ledger)
        finally:
            ledger.close()

    def effects(self) -> Any:
        return [row for row in self.world.requests() if row["effect"]]


def spell(step: NextStep) -> str:
    """Write a next command plainly."""
    options = [word for name, value in step.options for word in (f"--{name}", value or "")]
    return " ".join([step.verb, *step.arguments, *options]).strip()


def codes(result: Result) -> list[str]:
    """Return the refusal codes of a result."""
    return [refusal.code for refusal in result.refusals]
