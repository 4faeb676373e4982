"""The rehearsal walk: both ladders on an exchange of its own, as an operator would type them.

Every step is a process of its own and a line of the runbook. On each venue it walks one order to its proof, cancels a
resting one, and rehearses the ambiguous submit twice: the answer lost after the order landed, and the order lost before
it did. What it proves at the end, and that nothing is sent where nothing may be, is counted at the exchange, not by us.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from quantlab.cli import walk_hyperliquid, walk_steps
from quantlab.cli.rehearsing import Exchange, in_child_environment, started_exchange
from quantlab.cli.walk_steps import Step, Walked
from quantlab.kernel.canonical import encode
from quantlab.kernel.clock import SystemClock
from quantlab.kernel.result import Fact, Refusal, Result
from quantlab.storage.durable import OsDisk, make_folders, replace_file

ROOT: Final = Path("outputs") / "rehearsal"
STEP_LIMIT_SECONDS: Final = 240
PARTS: Final = (*walk_steps.PARTS, *walk_hyperliquid.PARTS)
INTENTS: Final = (*walk_steps.INTENTS, *walk_hyperliquid.INTENTS)
ROOTS: Final = (walk_steps.ROOT, walk_hyperliquid.ROOT)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One step as it went. ``expected`` and ``code`` are exit codes; ``code`` is None where it could not be run.

    ``effects_expected`` and ``effects`` count the requests that could move money, as the exchange saw them.
    """

    part: str
    title: str
    line: str
    expected: int
    code: int | None
    effects_expected: int
    effects: int
    said: str

    @property
    def fits(self) -> bool:
        """Return whether the step ended as the runbook says and sent what it may, no more and no less."""
        return (self.code, self.effects) == (self.expected, self.effects_expected)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """One order intent at the end: how its session stands, and how many orders of it the exchange holds."""

    venue: str
    title: str
    folder: str
    expected_state: str
    state: str
    expected_orders: int
    orders: int

    @property
    def fits(self) -> bool:
        """Return whether it stands as it should, with one order at most."""
        return (self.state, self.orders) == (self.expected_state, self.expected_orders)


class Walk:
    """One walk through parts of the ladder, on a running exchange, in a folder."""

    def __init__(self, folder: Path, exchange: Exchange, progress: Callable[[str], None]) -> None:
        """Take where to walk and how to say what happens."""
        self.folder = folder
        self.exchange = exchange
        self.progress = progress
        self.environment = in_child_environment(exchange.env)
        self.done: list[Done] = []
        self.sessions: dict[str, str] = {}
        """The folder of each session that a step kept, by its name."""
        self.states: dict[str, str] = {}
        """How each session stood when its root was listed, by its id."""
        self._effects = 0

    def part(self, name: str, steps: Iterable[Step]) -> None:
        """Take the steps of one part.

        Side effects: runs one process a step, in the walk's folder; scripts faults and time at the exchange.
        """
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

    def endings(self, intents: Iterable[Walked], orders: list[dict[str, str]]) -> tuple[Ended, ...]:
        """Return how each intent ended, by the list of its root and the orders at the exchange."""
        return tuple(self._ended(one, orders) for one in intents)

    def _ended(self, intent: Walked, orders: list[dict[str, str]]) -> Ended:
        folder = self.sessions.get(intent.key, "")
        session_id = Path(folder).name
        return Ended(
            venue=intent.venue,
            title=intent.title,
            folder=folder,
            expected_state=intent.state,
            state=self.states.get(session_id, "no session"),
            expected_orders=intent.orders,
            orders=sum(_is_of(session_id, order) for order in orders if order["venue"] == intent.venue),
        )

    def _run(self, part: str, step: Step) -> None:
        try:
            words = [self._filled_in(word) for word in step.words]
        except KeyError as missing:
            self._note(part, step, step.words, code=None, said=f"not run: no session {missing}")
            return
        ended = subprocess.run(  # noqa: S603 - our own program with our own words
            [sys.executable, "-m", "quantlab", "--json", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=STEP_LIMIT_SECONDS,
            check=False,
        )
        self._note(part, step, words, code=ended.returncode, said=self._take(step, ended.stdout))

    def _note(self, part: str, step: Step, words: Sequence[str], *, code: int | None, said: str) -> None:
        done = Done(
            part=part,
            title=step.title,
            line=shlex.join(["python", "main.py", *words]),
            expected=step.expected,
            code=code,
            effects_expected=step.effects,
            effects=self._new_effects(),
            said=said,
        )
        self.done.append(done)
        mark = "ok " if done.fits else "NOT AS EXPECTED"
        ended = "" if code is None else f"exit {code}  "
        self.progress(f"   {mark} {ended}{done.title}: {done.said}")

    def _filled_in(self, word: str) -> str:
        """Return a word of a line with what stands for its braces; the market is asked only where a price is needed."""
        if "{" not in word:
            return word
        env = self.exchange.env
        known = self.sessions | {"account": env["HYPERLIQUID_ACCOUNT"], "signer": env["HYPERLIQUID_SIGNER_ID"]}
        if "price}" in word:
            known |= {"price": self.exchange.resting_price(), "perp_price": self.exchange.resting_perp_price()}
        return word.format_map(known)

    def _new_effects(self) -> int:
        """Return how many requests that could move money the exchange has seen since it was asked last."""
        before, requests = self._effects, self.exchange.control("GET", "/requests")["requests"]
        self._effects = sum(bool(one["effect"]) for one in requests)
        return self._effects - before

    def _take(self, step: Step, printed: str) -> str:
        try:
            envelope: dict[str, Any] = msgspec.json.decode(printed)
        except msgspec.DecodeError:
            return "printed no report"
        session = envelope.get("session_id")
        if step.keeps is not None and session:
            self.sessions[step.keeps] = f"{step.root}/{session}"
        listed = (envelope.get("data") or {}).get("sessions", ()) if step.lists else ()
        self.states |= {row["session_id"]: row["state"] for row in listed}
        refusals = envelope.get("refusals") or []
        if refusals:
            return str(refusals[0]["code"])
        return str(envelope.get("outcome"))


def _is_of(session_id: str, order: dict[str, str]) -> bool:
    """Return whether an order is of a session's intent: both ids begin, or end, with the same 48 bits."""
    return bool(session_id) and order["client_order_id"].removeprefix("0x").startswith(session_id.rpartition("-")[2])


def run(outdir: Path | None, progress: Callable[[str], None]) -> Result:
    """Walk both ladders on a rehearsal exchange of its own, in a new folder with a state of its own.

    Returns:
        ``done`` when every step ended as the runbook says and the exchange holds exactly the orders it should.

    Side effects: starts one exchange process on loopback and ends it; writes under ``outputs/rehearsal/<time>/``.
    """
    folder = outdir or ROOT / SystemClock().now().strftime("%Y%m%dT%H%M%SZ")
    disk = OsDisk()
    make_folders(disk, folder.absolute())
    progress(f"rehearsal: a new exchange and a new state in {folder}")
    with started_exchange(folder.absolute() / "exchange") as exchange:
        walk = Walk(folder.absolute(), exchange, progress)
        for name, steps in PARTS:
            walk.part(name, steps)
        orders = exchange.control("GET", "/orders")["orders"]
    endings = walk.endings(INTENTS, orders)
    report = folder / "rehearsal.json"
    document = {"schema": "quantlab.rehearsal/1", "steps": walk.done, "intents": endings, "orders": orders}
    replace_file(disk, report, encode(document))
    return result_of(folder, report, walk.done, endings, orders)


def result_of(
    folder: Path, report: Path, steps: Sequence[Done], endings: Sequence[Ended], orders: Sequence[dict[str, str]]
) -> Result:
    """Return what the walk comes to: ``denied``, with each difference, where anything is not as it should be."""
    refusals = (*_step_refusals(steps), *_order_refusals(endings, orders))
    went = f"{len(steps)} steps, {len(orders)} orders at the exchange, none doubled."
    headline = f"The rehearsal went as the runbook says: {went}"
    header = ("session", "what happened", "state", "orders")
    return Result(
        outcome="denied" if refusals else "done",
        headline="The rehearsal did NOT go as the runbook says." if refusals else headline,
        environment="rehearsal",
        artifacts=(
            str(report),
            *(str(folder / root) for root in ROOTS),
            *(str(folder / root / f"{name}.json") for root in ROOTS for name in ("health", "alerts")),
        ),
        refusals=refusals,
        facts=tuple(
            Fact(
                label=f"{order['venue'].capitalize()} order",
                value=f"{order['side']} {order['size']} {order['symbol']}, {order['status']}, {order['filled']} filled"
                f" ({order['venue_order_id']})",
            )
            for order in orders
        ),
        table=(header, *((Path(one.folder).name, one.title, one.state, str(one.orders)) for one in endings)),
        data={"folder": str(folder), "steps": steps, "intents": endings, "orders": orders},
    )


def _step_refusals(steps: Iterable[Done]) -> Iterator[Refusal]:
    for one in steps:
        if not one.fits:
            yield Refusal(
                code="step_not_as_expected",
                message=f"{one.part}, {one.title}: {one.line}",
                measured=f"{_exit(one)} ({one.said}), {one.effects} requests that could move money",
                limit=f"exit {one.expected}, {one.effects_expected} requests that could move money",
            )


def _exit(one: Done) -> str:
    return "no exit" if one.code is None else f"exit {one.code}"


def _order_refusals(endings: Sequence[Ended], orders: Sequence[dict[str, str]]) -> Iterator[Refusal]:
    for one in endings:
        if not one.fits:
            yield Refusal(
                code="intent_not_as_expected",
                message=f"{one.venue.capitalize()}, {one.title}: {one.folder or 'no session'}",
                measured=f"{one.state}, {one.orders} orders at the exchange",
                limit=f"{one.expected_state}, {one.expected_orders} orders",
            )
    ids = [(order["venue"], order["client_order_id"]) for order in orders]
    doubled = sorted({name for venue, name in ids if ids.count((venue, name)) > 1})
    expected = sum(one.expected_orders for one in endings)
    if doubled or len(orders) != expected:
        yield Refusal(
            code="orders_at_the_exchange",
            message="The exchange does not hold exactly one order an intent that landed.",
            measured=f"{len(orders)} orders, doubled: {', '.join(doubled) or 'none'}",
            limit=f"{expected} orders, none doubled",
        )
