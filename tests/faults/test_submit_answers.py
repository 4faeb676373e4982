"""Every fault of the rehearsal exchange on the one order: what submit says, what is proven, what the exchange holds."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from quantlab.kernel.errors import EXIT_CODES
from quantlab.rehearsal.faults import KINDS
from tests.support.breaking import QuickDisk
from tests.support.virtual import Bench


class Row(NamedTuple):
    """One fault on the order, and what must come of it."""

    name: str
    fault: str
    value: Any
    exit_code: int
    resolution: str
    orders: int


def error(text: str, *, after_accept: bool = False) -> dict[str, Any]:
    """Return the value of an ``api_error``."""
    return {"error": text, "after_accept": after_accept}


ROWS = [
    # An answer that is lost, or is no answer: unknown; the search proves which.
    Row("answer lost, order placed", "drop_after_accept", None, 4, "landed", 1),
    Row("request lost", "drop_before_read", None, 4, "not_found", 0),
    Row("late, inside the deadline", "late", 3, 4, "landed", 1),
    Row("late, after the deadline", "late", 30, 4, "not_found", 0),
    Row("garbage, order placed", "garbage", None, 4, "landed", 1),
    Row("garbage, nothing placed", "garbage", {"after_accept": False}, 4, "not_found", 0),
    Row("cut short of its length", "truncate", "length", 4, "landed", 1),
    Row("cut inside the JSON", "truncate", "json", 4, "landed", 1),
    Row("two copies delivered", "duplicate", None, 4, "landed", 1),
    *(
        Row(f"page {status}, {'order placed' if placed else 'nothing placed'}", "http_error",
            {"status": status, "after_accept": placed}, 4, "landed" if placed else "not_found", int(placed))
        for status in (400, 403, 404, 429, 500, 502, 503, 504, 520)
        for placed in (False, True)
    ),
    # Error texts that prove nothing.
    *(
        Row(f"{text}, {'order placed' if placed else 'nothing placed'}", "api_error",
            error(text, after_accept=placed), 4, "landed" if placed else "not_found", int(placed))
        for text in (
            "EService:Unavailable", "EService:Busy", "EService:Timeout", "EService:Deadline elapsed",
            "EGeneral:Internal error", "EAPI:Invalid nonce", "EGeneral:Invalid arguments:cl_ord_id not unique",
            "EOrder:A text nobody listed",
        )
        for placed in (False, True)
    ),
    # Error texts that are a definite no; where the venue lies, the order is a late find.
    *(
        Row(text, "api_error", error(text), 3, "rejected", 0)
        for text in (
            "EOrder:Insufficient funds", "EOrder:Order minimum not met", "EGeneral:Permission denied",
            "EAPI:Invalid signature", "EAPI:Rate limit exceeded", "EService:Market in cancel_only mode",
        )
    ),
    Row("a no, order placed", "api_error", error("EOrder:Insufficient funds", after_accept=True), 3, "landed", 1),
    # Faults that do not touch the answer.
    Row("delayed", "delay", 3, 0, "landed", 1),
    Row("delayed beyond patience", "delay", 30, 4, "not_found", 0),
    Row("filled in part", "partial_fill", {"fraction": 0.5, "then": "cancel"}, 0, "landed", 1),
    Row("no connection", "refuse_connect", None, 7, "never_sent", 0),
    Row("stale reads", "stale_reads", 3600, 0, "landed", 1),
    Row("clock skew", "clock_skew", 3, 0, "landed", 1),
    Row("maintenance", "system_status", "maintenance", 4, "not_found", 0),
    Row("cancel only", "system_status", "cancel_only", 3, "rejected", 0),
    Row("a nonce window", "nonce_window", 10**10, 0, "landed", 1),
    Row("stream cut", "stream_cut", None, 0, "landed", 1),
]  # fmt: skip


OF_THE_OTHER_VENUE = {"limits", "rules", "agent_removed", "nonce_forgotten"}


def test_every_fault_of_the_exchange_stands_in_the_table() -> None:
    """No fault of this venue can be added to the exchange without a row here."""
    assert {row.fault for row in ROWS} == KINDS - OF_THE_OTHER_VENUE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_on_the_order_ends_in_the_truth(tmp_path: Path, row: Row) -> None:
    """Outcome and exit as listed; never a second request; after the runbook's steps the truth of the exchange."""
    bench = Bench(tmp_path)
    bench.disk = QuickDisk()
    session = bench.gated()
    fault: dict[str, Any] = {"venue": "kraken", "path": "AddOrder", "fault": row.fault}
    if row.fault in {"refuse_connect", "stale_reads", "clock_skew", "system_status", "nonce_window"}:
        fault |= {"path": "*"}
    elif row.fault not in {"partial_fill", "stream_cut"}:
        fault |= {"type": "order"}
    if row.value is not None:
        fault |= {"value": row.value}
    # Armed when every check has passed: the fault meets the order, not the looks before it.
    bench.on_progress = lambda line: bench.world.control("POST", "/faults", fault) if "sending once" in line else None
    result = bench.submit(session)
    bench.on_progress = None
    assert row.exit_code == EXIT_CODES[result.outcome], (result.outcome, result.headline, result.refusals)
    assert len([one for one in bench.world.requests() if one["type"] == "order"]) <= 1 + (row.fault == "duplicate")

    again = bench.submit(session)
    assert again.outcome == result.outcome
    bench.world.control("DELETE", "/faults")
    if row.fault == "late":
        bench.world.pass_seconds(4)
    bench.status(session)
    for seconds in (0, 120, 20):
        bench.world.control("POST", "/clock", {"advance_seconds": seconds})
        bench.world.driver_ns += 10**9
        bench.reconcile(session)
    standing = bench.standing(session)
    assert row.resolution == standing.resolution
    assert row.orders == len(bench.orders())
    assert (standing.resolution == "landed") == bool(bench.orders())
    if row.name == "a no, order placed":
        assert [one.body.code for one in standing.incidents] == ["late_find"]
        assert bench.free_interlock().outcome == "done"
    if standing.unresolved:
        assert len(bench.held()) == 1
        assert bench.resolve(session).outcome == "done"
    assert bench.held() == ()
    assert len([one for one in bench.world.requests() if one["type"] == "order"]) <= 1 + (row.fault == "duplicate")
