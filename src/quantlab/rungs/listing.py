"""List, index, health, alerts: reports over a root. One broken session never breaks the report for the others."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

import msgspec

from quantlab.kernel import canonical
from quantlab.kernel.clock import age_text, parse_rfc3339
from quantlab.kernel.errors import StorageFault, Unverified
from quantlab.kernel.result import Fact, NextStep, Result
from quantlab.rungs.checks import halt_file
from quantlab.rungs.desk import Desk
from quantlab.storage.snapshots import keep_snapshot, write_index
from quantlab.watch.alerts import Alert, alerts_of
from quantlab.watch.health import health_of
from quantlab.watch.overview import Overview, Seen, look_over


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The root, and which report."""

    root: Path
    report: Literal["list", "index", "health", "alerts"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One session in a list. ``next`` is the next command, None when nothing is left to do."""

    session_id: str
    folder: str
    environment: str | None
    state: str
    verifies: bool
    symbol: str | None
    side: str | None
    size_base: str | None
    venue_order_id: str | None
    filled_base: str | None
    latest_at: str | None


def run(desk: Desk, request: Request) -> Result:
    """Report over a root.

    Raises:
        UsageFault: the root is no folder.
    """
    overview = overview_of(desk, request.root)
    if request.report == "list":
        return _list(desk, overview)
    if request.report == "index":
        return _index(desk, overview)
    alerts = alerts_of(overview)
    if request.report == "health":
        return _health(desk, overview, alerts)
    return _alerts(desk, overview, alerts)


def overview_of(desk: Desk, root: Path) -> Overview:
    """Return a root as it stands, with the ledger's interlocks of this corridor and the halt."""
    seen = tuple(_remembered(desk, one) for one in look_over(desk.disk, root))
    environments = {one.session.environment for one in seen if one.session is not None and one.session.environment}
    bound = environments.pop() if len(environments) == 1 else None
    file = halt_file(root)
    named = bound or desk.settings.environment
    prefix = f"{desk.corridor.venue}:{named}:" if named else f"{desk.corridor.venue}:"
    return Overview(
        root=root,
        generated_at=desk.now_text(),
        environment=bound,
        seen=seen,
        interlocks=tuple(one for one in desk.ledger.interlocks() if one.account_key.startswith(prefix)),
        halt=desk.ledger.halt(),
        halt_file=file if desk.disk.kind(file) is not None else None,
    )


def _remembered(desk: Desk, seen: Seen) -> Seen:
    """Return a session with what the ledger remembers of it: a shortened one must not look whole."""
    if seen.session is None or not seen.session.verifies:
        return seen
    try:
        desk.require_newest(seen.session)
    except Unverified as fault:
        return msgspec.structs.replace(seen, outdated=fault.message)
    return seen


def _list(desk: Desk, overview: Overview) -> Result:
    rows = tuple(_row(seen) for seen in overview.seen)
    table = tuple(
        (
            row.session_id,
            row.state if row.verifies else f"{row.state} (DOES NOT VERIFY)",
            _what(row),
            _age(desk, row),
        )
        for row in rows
    )
    return desk.result(
        "done",
        f"{len(rows)} sessions in {overview.root}.",
        data={"root": str(overview.root), "environment": overview.environment, "sessions": rows},
        table=(("session", "state", "order", "age"), *table) if rows else (),
        next_hint=NextStep(why="see what needs attention", verb="alerts", arguments=(str(overview.root),)),
    )


def _index(desk: Desk, overview: Overview) -> Result:
    rows = tuple(_row(seen) for seen in overview.seen)
    document = {
        "schema": "quantlab.index/1",
        "generated_at": overview.generated_at,
        "root": str(overview.root),
        "sessions": rows,
    }
    paths: tuple[Path, ...] = ()
    if desk.disk.kind(overview.root) is not None:
        paths = write_index(
            desk.disk,
            overview.root,
            {"index.json": canonical.encode(document), "index.csv": _csv(rows)},
        )
    return desk.result(
        "done",
        f"Indexed {len(rows)} sessions of {overview.root}.",
        data=document,
        artifacts=paths,
    )


def _health(desk: Desk, overview: Overview, alerts: tuple[Alert, ...]) -> Result:
    health = health_of(overview, alerts)
    compare = msgspec.structs.replace(health, generated_at="")
    paths, warnings = _keep(desk, overview, "health", health, compare=compare)
    return desk.result(
        "done",
        f"{overview.root}: {health.status}.",
        data=health,
        facts=(
            Fact(label="Sessions", value=str(health.sessions)),
            *(
                Fact(label=f"  {environment} {state}", value=str(count))
                for environment, states in health.by_environment.items()
                for state, count in states.items()
            ),
            Fact(label="Do not verify", value=str(health.broken)),
            Fact(label="Interlocks held", value=str(health.interlocks_held)),
            Fact(label="Halted", value="yes" if health.halted else "no"),
            Fact(label="Latest activity", value=health.latest_activity_at or "none"),
            Fact(label="Alerts", value=", ".join(health.alert_codes) or "none"),
        ),
        artifacts=paths,
        warnings=warnings,
        next_hint=NextStep(why="see the alerts", verb="alerts", arguments=(str(overview.root),)),
    )


def _keep(
    desk: Desk, overview: Overview, name: str, document: Any, *, compare: Any
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Keep a snapshot beside the sessions; a root that can not be written is a warning, never a lost report."""
    if desk.disk.kind(overview.root) is None:
        return (), ()
    generated_at = overview.generated_at
    try:
        paths = keep_snapshot(desk.disk, overview.root, name, document, generated_at=generated_at, compare=compare)
    except StorageFault as fault:
        return (), (f"The snapshot was not kept: {fault.message}",)
    return paths, ()


def _alerts(desk: Desk, overview: Overview, alerts: tuple[Alert, ...]) -> Result:
    rows = [_alert_row(desk, alert) for alert in alerts]
    document = {"generated_at": overview.generated_at, "alerts": rows}
    paths, warnings = _keep(desk, overview, "alerts", document, compare=rows)
    return desk.result(
        "done",
        f"{len(alerts)} alerts for {overview.root}." if alerts else f"No alert for {overview.root}.",
        data=document,
        artifacts=paths,
        warnings=warnings,
        next_hint=alerts[0].step if alerts else None,
    )


def _alert_row(desk: Desk, alert: Alert) -> dict[str, Any]:
    return {
        "code": alert.code,
        "severity": alert.severity,
        "session_id": alert.session_id,
        "since": alert.since,
        "message": alert.message,
        "next": desk.spell(alert.step) if alert.step is not None else None,
    }


def _row(seen: Seen) -> Row:
    standing = seen.standing
    if standing is None or seen.session is None:
        return Row(
            session_id=seen.session_id,
            folder=str(seen.folder),
            environment=None,
            state="unreadable",
            verifies=False,
            symbol=None,
            side=None,
            size_base=None,
            venue_order_id=None,
            filled_base=None,
            latest_at=None,
        )
    plan = standing.plan
    return Row(
        session_id=seen.session_id,
        folder=str(seen.folder),
        environment=seen.session.environment,
        state=standing.state,
        verifies=seen.verifies,
        symbol=plan.symbol if plan else None,
        side=plan.side if plan else None,
        size_base=plan.size_base if plan else None,
        venue_order_id=standing.venue_order_id,
        filled_base=standing.order.filled_base if standing.order else None,
        latest_at=standing.latest_at,
    )


def _what(row: Row) -> str:
    if row.symbol is None:
        return "-"
    filled = f", {row.filled_base} filled" if row.filled_base is not None else ""
    return f"{row.side} {row.size_base} {row.symbol}{filled}"


def _age(desk: Desk, row: Row) -> str:
    if row.latest_at is None:
        return "-"
    return age_text(max(0, int((desk.clock.now() - parse_rfc3339(row.latest_at)).total_seconds())))


def _csv(rows: tuple[Row, ...]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(Row.__struct_fields__)
    for row in rows:
        writer.writerow(["" if value is None else value for value in msgspec.structs.astuple(row)])
    return buffer.getvalue().encode()
