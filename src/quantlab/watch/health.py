"""Health: counts by state, latest activity and the alert codes of one root. Never sums across environments."""

from __future__ import annotations

from collections import Counter

import msgspec

from quantlab.watch.alerts import Alert
from quantlab.watch.overview import Overview


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A root's health. ``by_state`` counts sessions by state; ``broken`` are those that do not verify."""

    schema: str
    generated_at: str
    root: str
    environment: str | None
    status: str
    sessions: int
    by_state: dict[str, int]
    broken: int
    latest_activity_at: str | None
    halted: bool
    interlocks_held: int
    alert_codes: tuple[str, ...]


def health_of(overview: Overview, alerts: tuple[Alert, ...]) -> Health:
    """Return the health of a root: ``critical`` or ``warning`` by its worst alert, else ``ok``."""
    severities = {alert.severity for alert in alerts}
    status = next((one for one in ("critical", "warning") if one in severities), "ok")
    states = Counter(seen.standing.state if seen.standing else "unreadable" for seen in overview.seen)
    latest = [seen.standing.latest_at for seen in overview.seen if seen.standing and seen.standing.latest_at]
    return Health(
        schema="quantlab.health/1",
        generated_at=overview.generated_at,
        root=str(overview.root),
        environment=overview.environment,
        status=status,
        sessions=len(overview.seen),
        by_state=dict(sorted(states.items())),
        broken=sum(not seen.verifies for seen in overview.seen),
        latest_activity_at=max(latest, default=None),
        halted=overview.halt is not None or overview.halt_file is not None,
        interlocks_held=len(overview.interlocks),
        alert_codes=tuple(sorted({alert.code for alert in alerts})),
    )
