"""What the tests of the reading rungs share: ways to leave an order at the exchange, and to look at passes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from quantlab.evidence.records import Reconciliation
from quantlab.kernel.clock import parse_rfc3339, to_ns
from tests.support.breaking import QuickDisk
from tests.support.virtual import Bench


def quick_bench(folder: Path, **options: Any) -> Bench:
    """Return a bench whose disk forces nothing to the medium."""
    bench = Bench(folder, **options)
    bench.disk = QuickDisk()
    return bench


def place(bench: Bench, session: Path, **changes: str) -> None:
    """Let an order under the session's client order id appear at the exchange, as a delayed copy would."""
    plan = bench.standing(session).plan
    fields = dict(pair.split("=") for pair in plan.order_text.split("&"))
    bench.world.ok("AddOrder", fields | changes, profile="other_signer")


def go_to(bench: Bench, session: Path, *, after_deadline_ms: int) -> None:
    """Turn the clock so that it stands so many milliseconds after the order's deadline."""
    deadline = parse_rfc3339(bench.standing(session).attempt.body.deadline_at)
    bench.world.driver_ns = to_ns(deadline + timedelta(milliseconds=after_deadline_ms))
    bench.world.kraken.advance()


def last(bench: Bench, session: Path) -> Reconciliation:
    """Return the newest reconciliation."""
    record = bench.session(session).chain.newest(Reconciliation)
    assert record is not None
    return record.body


def damage(session: Path, name: str = "approval") -> None:
    """Change one byte of a record."""
    [path] = (session / "records").glob(f"*-{name}.json")
    path.write_bytes(path.read_bytes().replace(b"acct_demo", b"acct_demp").replace(b'"seen"', b'"SEEN"'))
