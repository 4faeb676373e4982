"""Random walks over the ladder, with faults, kills, copies and clock jumps: what must hold after every step."""

import hashlib
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from quantlab.evidence.records import Resolution, SubmitAttempt
from quantlab.evidence.standing import standing_of
from quantlab.rungs.claims import FREED_BY_PERSON
from quantlab.storage.ledger import Halt
from quantlab.storage.reader import read_session
from tests.support.breaking import Breaker, Killed, QuickDisk, break_bench, mend_bench
from tests.support.virtual import Bench

SIZES = (("0.25", 500), ("0.2", 400), ("0.1", 200))
ORDER_FAULTS: tuple[tuple[str, str, Any], ...] = (
    ("drop_after_accept", "AddOrder", None),
    ("drop_before_read", "AddOrder", None),
    ("late", "AddOrder", 3),
    ("late", "AddOrder", 40),
    ("duplicate", "AddOrder", None),
    ("http_error", "AddOrder", {"status": 502, "after_accept": True}),
    ("api_error", "AddOrder", "EOrder:Insufficient funds"),
    ("api_error", "AddOrder", "EService:Busy"),
    ("garbage", "AddOrder", None),
    ("partial_fill", "AddOrder", {"fraction": 0.4, "then": "rest"}),
)
OTHER_FAULTS: tuple[tuple[str, str, Any], ...] = (
    ("http_error", "OpenOrders", 502),
    ("http_error", "ClosedOrders", 502),
    ("stale_reads", "QueryOrders", 30),
    ("drop_after_accept", "CancelOrder", None),
    ("drop_before_read", "CancelOrder", None),
)


class LadderMachine(RuleBasedStateMachine):
    """One bench; every command may be tried on every session at any time."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.work = Path(tempfile.mkdtemp(prefix="quantlab-ladder-"))
        self.folders: list[Path] = []
        self.digests: dict[Path, str] = {}

    def teardown(self) -> None:
        """Leave no folder behind."""
        shutil.rmtree(self.work)

    @initialize(target=sessions, resting=st.booleans(), mishap=st.sampled_from([None, *ORDER_FAULTS]))
    def open(self, resting: bool, mishap: Any) -> Any:
        """Begin with one order that was sent, on a bench that checks every order's bytes as they leave."""
        self.bench = Bench(self.work)
        self.whole()
        return self.venture_with(SIZES[0], resting=resting, mishap=mishap, killed=None, at=0)

    def whole(self) -> None:
        """Give the bench whole ports that watch the order's bytes."""
        mend_bench(self.bench)
        self.bench.connector.on_send = self.check_sent

    def check_sent(self, data: bytes) -> None:
        """No order's body leaves without a durable attempt record of exactly these bytes."""
        if data.startswith(b"nonce=") and b"ordertype=" in data and b"validate=true" not in data:
            attempts = (
                read_session(QuickDisk(), folder).chain.newest(SubmitAttempt)
                for folder in self.folders
                if folder.exists()
            )
            assert data in [one.body.body_text.encode() for one in attempts if one is not None]

    # ------------------------------------------------------------------------------------------ commands

    def begin(self, size: tuple[str, int], *, resting: bool) -> Path:
        """Validate an order, to rest or to trade at once; return its folder, or one that is no session."""
        changes: dict[str, Any] = {"quantity": Decimal(size[0]), "notional": Decimal(size[1])}
        if resting:
            bid, _ = self.bench.world.best()
            price = (bid * Decimal("0.99")).quantize(Decimal("0.01"))
            changes |= {"order_type": "limit", "limit_price": price, "time_in_force": "gtc"}
        result = self.bench.validate(**changes)
        folder = self.bench.root / str(result.session_id)
        if result.session_id is None or not folder.exists():
            return self.bench.root / "none"
        self.folders.append(folder)
        return folder

    @rule(target=sessions, size=st.sampled_from(SIZES), resting=st.booleans())
    def validate(self, size: tuple[str, int], resting: bool) -> Any:
        """Validate, allowed or not."""
        return self.begin(size, resting=resting)

    @rule(
        target=sessions,
        size=st.sampled_from(SIZES),
        resting=st.booleans(),
        mishap=st.sampled_from([None, *ORDER_FAULTS]),
        killed=st.sampled_from([None, None, "disk", "ledger", "net"]),
        at=st.integers(1, 60),
    )
    def venture(self, size: tuple[str, int], resting: bool, mishap: Any, killed: str | None, at: int) -> Any:
        """A day later: walk a fresh order up to its submit, which meets a fault or is killed."""
        self.jump(90_000)
        return self.venture_with(size, resting=resting, mishap=mishap, killed=killed, at=at)

    def venture_with(self, size: Any, *, resting: bool, mishap: Any, killed: str | None, at: int) -> Path:
        """Walk a fresh order up to its submit."""
        folder = self.begin(size, resting=resting)
        for step in (self.bench.approve, self.bench.bundle, self.bench.gate):
            step(folder)
        if mishap is not None:
            self.arm(mishap)
        if killed is None:
            self.bench.submit(folder)
        else:
            self.killed(folder, at, killed)
        return folder

    @rule(session=sessions, name=st.sampled_from(["approve", "bundle", "gate"]))
    def prepare(self, session: Path, name: str) -> None:
        """Take one step toward the gate, allowed or not."""
        getattr(self.bench, name)(session)

    @rule(session=sessions)
    def submit(self, session: Path) -> None:
        """Submit, allowed or not."""
        self.bench.submit(session)

    @rule(session=sessions, name=st.sampled_from(["reconcile", "status", "fills", "cancel"]))
    def look(self, session: Path, name: str) -> None:
        """Look, or cancel."""
        getattr(self.bench, name)(session)

    @rule(session=sessions)
    def supervise(self, session: Path) -> None:
        """Watch for a few seconds."""
        self.bench.supervise(session, bound_seconds=3)

    @rule(session=sessions)
    def free_interlock(self, session: Path) -> None:
        """Look, and try the person's way to free the account."""
        self.bench.status(session)
        self.bench.free_interlock()

    @rule(session=sessions, decision=st.sampled_from(["landed", "not_landed"]))
    def resolve(self, session: Path, decision: str) -> None:
        """Decide, allowed or not."""
        self.bench.resolve(session, decision)

    @rule(decides=st.booleans())
    def to_the_end(self, decides: bool) -> None:
        """Take what is unresolved through the whole protocol, and decide it or not."""
        for session in self.folders:
            if standing_of(read_session(self.bench.disk, session).chain).unresolved:
                for seconds in (0, 100, 20):
                    self.bench.world.pass_seconds(seconds)
                    self.bench.reconcile(session)
                if decides:
                    self.bench.resolve(session)

    # ------------------------------------------------------------------------------------------ mishaps

    @rule(session=sessions, at=st.integers(1, 60), kind=st.sampled_from(["disk", "ledger", "net"]))
    def killed(self, session: Path, at: int, kind: str) -> None:
        """Kill a submit at one of its effects."""
        break_bench(self.bench, Breaker(at, Killed(), kinds=(kind,)))
        self.bench.connector.on_send = self.check_sent
        try:
            self.bench.submit(session)
        except Killed:
            pass
        finally:
            self.whole()

    @rule(fault=st.sampled_from(ORDER_FAULTS + OTHER_FAULTS))
    def arm(self, fault: tuple[str, str, Any]) -> None:
        """Arm one fault for one request."""
        name, path, value = fault
        more = {} if value is None else {"value": value}
        kind = {"type": "order"} if path == "AddOrder" and name != "partial_fill" else {}
        self.bench.world.fault(name, path, count=1, **kind, **more)

    @rule()
    def calm(self) -> None:
        """Clear every fault."""
        self.bench.world.control("DELETE", "/faults")

    @rule(seconds=st.sampled_from([1, 16, 70, 400, 90_000]))
    def jump(self, seconds: int) -> None:
        """Let the clock run."""
        self.bench.world.control("POST", "/clock", {"advance_seconds": seconds})
        self.bench.world.driver_ns += 10**9

    @rule(session=sessions, halted=st.booleans())
    def halt(self, session: Path, halted: bool) -> None:
        """Set the kill switch under a submit, or clear it."""
        halt = Halt(reviewer="marce", reason="storm", halted_at="2026-01-01T00:00:00.000000Z") if halted else None
        self.bench.ask_ledger(lambda ledger: ledger.set_halt(halt))
        self.bench.submit(session)
        self.bench.ask_ledger(lambda ledger: ledger.set_halt(None))

    @rule(session=sessions)
    def submit_a_copy(self, session: Path) -> None:
        """Copy a session to another root and submit it there."""
        if not session.exists():
            return
        copy = self.work / "outputs" / "copies" / f"{len(self.digests)}" / session.name
        shutil.copytree(session, copy, dirs_exist_ok=True)
        self.bench.submit(copy)
        shutil.rmtree(copy.parent)

    @rule(session=consumes(sessions))
    def forget(self, session: Path) -> None:
        """Leave a session alone from now on."""
        assert session.name

    # ------------------------------------------------------------------------------------------ invariants

    @invariant()
    def one_order_each(self) -> None:
        """At most one order a client order id, and one a session."""
        ids = [order["client_order_id"] for order in self.bench.orders()]
        assert len(set(ids)) == len(ids)

    @invariant()
    def records_never_change(self) -> None:
        """No record file changes or goes once it is there."""
        for folder in self.folders:
            for path in (folder / "records").iterdir():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                assert self.digests.setdefault(path, digest) == digest
        assert all(path.exists() for path in self.digests)

    @invariant()
    def nothing_is_claimed_without_the_exchange(self) -> None:
        """What a session says of its order is what the exchange says; an unresolved one is held or was freed."""
        at_venue = {order["client_order_id"]: order for order in self.bench.orders()}
        held = {one.folder for one in self.bench.held()}
        unresolved = []
        for folder in self.folders:
            session = read_session(self.bench.disk, folder)
            assert session.findings == ()
            chain = session.chain
            standing = standing_of(chain)
            if standing.plan is None:
                continue
            order = at_venue.get(standing.plan.client_order_id)
            if standing.state in {"rejected", "not_landed", "never_sent"}:
                assert order is None, (standing.state, order)
            if standing.state in {"filled", "canceled"}:
                assert order is not None
                assert standing.state == order["status"], order
            if standing.resolution == "landed":
                assert order is not None
            if standing.unresolved:
                unresolved.append(folder)
                assert chain.newest(Resolution) is None
                freed = [one for one in standing.incidents if one.body.code == FREED_BY_PERSON]
                assert str(folder) in held or freed, folder
        assert len(unresolved) <= 1


GATE = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    # A failure is replayed by its steps; shrinking one would take longer than the gate has.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def test_the_ladder_keeps_its_promises_on_every_walk() -> None:
    """Whatever commands, faults, kills, copies and clock jumps come in whatever order, every invariant holds."""
    run_state_machine_as_test(LadderMachine, settings=GATE)
