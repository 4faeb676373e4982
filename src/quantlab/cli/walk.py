"""The rehearsal walk: the whole ladder on an exchange of its own, as an operator would type it.

Every step is a process of its own and a line of the runbook. It walks one order to its proof, cancels a resting one,
and rehearses the ambiguous submit twice: the answer lost after the order landed, and the order lost before it did.
What it proves at the end is counted at the exchange, not by us.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from quantlab.cli.rehearsing import Exchange, in_child_environment, started_exchange
from quantlab.cli.walk_steps import AMBIGUOUS, CANCELED, FIRST, LAST, Step
from quantlab.kernel.canonical import encode
from quantlab.kernel.clock import SystemClock
from quantlab.kernel.result import Fact, Refusal, Result
from quantlab.storage.durable import OsDisk, make_folders, replace_file

ROOT: Final = Path("outputs") / "rehearsal"
STEP_LIMIT_SECONDS: Final = 240


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One step as it went. ``expected`` and ``code`` are exit codes."""

    part: str
    title: str
    line: str
    expected: int
    code: int
    said: str

    @property
    def fits(self) -> bool:
        """Return whether the step ended as the runbook says."""
        return self.code == self.expected


class _Walk:
    def __init__(self, folder: Path, exchange: Exchange, progress: Callable[[str], None]) -> None:
        self.folder = folder
        self.exchange = exchange
        self.progress = progress
        self.environment = in_child_environment(exchange.env)
        self.done: list[Done] = []
        self.sessions: dict[str, str] = {}

    def part(self, name: str, steps: Iterable[Step]) -> None:
        self.progress("")
        self.progress(f"== {name}")
        for step in steps:
            if step.fault is not None:
                self.exchange.control("POST", "/faults", step.fault)
                self.progress(f"   exchange: {step.title}")
            elif step.advance_seconds:
                self.exchange.control("POST", "/clock", {"advance_seconds": step.advance_seconds})
                self.progress(f"   exchange: {step.title}")
            else:
                self._run(name, step)

    def _run(self, part: str, step: Step) -> None:
        words = [word.format(**self.sessions, price=self._resting_price()) for word in step.words]
        line = f"python main.py {' '.join(words)}"
        ended = subprocess.run(  # noqa: S603 - our own program with our own words
            [sys.executable, "-m", "quantlab", "--json", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=STEP_LIMIT_SECONDS,
            check=False,
        )
        said = self._take(step, ended.stdout)
        done = Done(part=part, title=step.title, line=line, expected=step.expected, code=ended.returncode, said=said)
        self.done.append(done)
        mark = "ok " if done.fits else "NOT AS EXPECTED"
        self.progress(f"   {mark} exit {done.code}  {step.title}: {said}")

    def _take(self, step: Step, printed: str) -> str:
        try:
            envelope: dict[str, Any] = msgspec.json.decode(printed)
        except msgspec.DecodeError:
            return "printed no report"
        session = envelope.get("session_id")
        if step.keeps is not None and session:
            self.sessions[step.keeps] = f"outputs/broker_order_validations/{session}"
        refusals = envelope.get("refusals") or []
        if refusals:
            return str(refusals[0]["code"])
        return str(envelope.get("outcome"))

    def _resting_price(self) -> str:
        return self.exchange.resting_price()


def run(outdir: Path | None, progress: Callable[[str], None]) -> Result:
    """Walk the ladder on a rehearsal exchange of its own, in a new folder with a state of its own.

    Returns:
        ``done`` when every step ended as the runbook says and the exchange holds exactly the orders it should.

    Side effects: starts one exchange process on loopback and ends it; writes under ``outputs/rehearsal/<time>/``.
    """
    folder = outdir or ROOT / SystemClock().now().strftime("%Y%m%dT%H%M%SZ")
    disk = OsDisk()
    make_folders(disk, folder.absolute())
    progress(f"rehearsal: a new exchange and a new state in {folder}")
    with started_exchange(folder.absolute() / "exchange") as exchange:
        walk = _Walk(folder.absolute(), exchange, progress)
        for name, steps in (FIRST, CANCELED, *AMBIGUOUS, LAST):
            walk.part(name, steps)
        orders = exchange.control("GET", "/orders")["orders"]
    report = folder / "rehearsal.json"
    document = {"schema": "quantlab.rehearsal/1", "steps": walk.done, "orders": orders}
    replace_file(disk, report, encode(document))
    return _result(folder, report, walk, orders)


def _result(folder: Path, report: Path, walk: _Walk, orders: list[dict[str, str]]) -> Result:
    unexpected = [one for one in walk.done if not one.fits]
    ids = [order["client_order_id"] for order in orders]
    doubled = sorted({one for one in ids if ids.count(one) > 1})
    expected_orders = 3
    fits = not unexpected and not doubled and len(orders) == expected_orders
    refusals = [
        Refusal(
            code="step_not_as_expected",
            message=f"{one.title}: {one.line}",
            measured=f"exit {one.code} ({one.said})",
            limit=f"exit {one.expected}",
        )
        for one in unexpected
    ]
    if doubled or len(orders) != expected_orders:
        refusals.append(
            Refusal(
                code="orders_at_the_exchange",
                message="The exchange does not hold exactly one order an intent that landed.",
                measured=f"{len(orders)} orders, doubled: {', '.join(doubled) or 'none'}",
                limit=f"{expected_orders} orders, none doubled",
            )
        )
    table = [("part", "step", "exit", "result")]
    table.extend((one.part, one.title, str(one.code), one.said) for one in walk.done)
    return Result(
        outcome="done" if fits else "denied",
        headline=(
            f"The rehearsal went as the runbook says: {len(walk.done)} steps, {len(orders)} orders at the exchange, "
            "none doubled."
            if fits
            else "The rehearsal did NOT go as the runbook says."
        ),
        environment="rehearsal",
        artifacts=(
            str(report),
            *(str(folder / session) for session in walk.sessions.values()),
            str(folder / "outputs" / "broker_order_validations" / "health.json"),
            str(folder / "outputs" / "broker_order_validations" / "alerts.json"),
        ),
        refusals=tuple(refusals),
        facts=tuple(
            Fact(
                label=f"Order {order['venue_order_id']}",
                value=f"{order['side']} {order['size']} {order['symbol']}, {order['status']}, {order['filled']} filled",
            )
            for order in orders
        ),
        table=tuple(table),
        data={"folder": str(folder), "steps": walk.done, "orders": orders},
    )
