"""Health: counts by state, latest activity and the alert codes of one root.

Sessions of different environments are never counted together: in a root that holds several, ``by_state`` stays
empty and ``by_environment`` holds the counts of each.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from quantlab.evidence.chain import UNSET_ENVIRONMENT
from quantlab.watch.alerts import Alert
from quantlab.watch.overview import UNREADABLE, Overview


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A root's health. ``by_state`` counts sessions by state; ``broken`` are those that do not verify.

    A session that can not be read counts to the environment ``unreadable``, one without any record to ``unset``.
    """

    schema: str
    generated_at: str
    root: str
    environment: str | None
    status: str
    sessions: int
    by_state: dict[str, int]
    by_environment: dict[str, dict[str, int]]
    broken: int
    latest_activity_at: str | None
    halted: bool
    interlocks_held: int
    alert_codes: tuple[str, ...]


def health_of(overview: Overview, alerts: tuple[Alert, ...]) -> Health:
    """Return the health of a root: ``critical`` or ``warning`` by its worst alert, else ``ok``."""
    severities = {alert.severity for alert in alerts}
    status = next((one for one in ("critical", "warning") if one in severities), "ok")
    counts: dict[str, Counter[str]] = {}
    for seen in overview.seen:
        state = seen.standing.state if seen.standing else "unreadable"
        counts.setdefault(seen.environment, Counter())[state] += 1
    mixed = len(counts.keys() - {UNREADABLE, UNSET_ENVIRONMENT}) > 1
    latest = [seen.standing.latest_at for seen in overview.seen if seen.standing and seen.standing.latest_at]
    return Health(
        schema="quantlab.health/1",
        generated_at=overview.generated_at,
        root=str(overview.root),
        environment=overview.environment,
        status=status,
        sessions=len(overview.seen),
        by_state={} if mixed else dict(sorted(sum(counts.values(), Counter()).items())),
        by_environment={name: dict(sorted(states.items())) for name, states in sorted(counts.items())},
        broken=sum(not seen.verifies for seen in overview.seen),
        latest_activity_at=max(latest, default=None),
        halted=overview.halt is not None or overview.halt_file is not None,
        interlocks_held=len(overview.interlocks),
        alert_codes=tuple(sorted({alert.code for alert in alerts})),
    )
