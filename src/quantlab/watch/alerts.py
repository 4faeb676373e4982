"""Alerts: what needs a person's attention now, each with a code, since when, and the next command.

An alert clears when what it asks for was done, or, for ended orders, after a day: old news is not an alarm. An
incident is dealt with when a person recorded a decision after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from quantlab.evidence.chain import Chain, Record
from quantlab.evidence.records import FillSummary, Incident, Reconciliation, Resolution, StatusReport, Supervision
from quantlab.evidence.standing import Standing
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.result import NextStep
from quantlab.model.execution import TERMINAL_STATES
from quantlab.model.lifecycle import LIVE_ORDER
from quantlab.watch.overview import Overview, Seen

Severity = Literal["critical", "warning", "notice"]
Options = tuple[tuple[str, str | None], ...]
SUPERVISION_GAP: Final = timedelta(minutes=10)
OLD_NEWS: Final = timedelta(days=1)
LOOKS: Final = (StatusReport, Reconciliation, Supervision, FillSummary)
DECIDED_BY_PERSON: Final = "interlock_freed_by_person"
LATE_FIND: Final = "late_find"
QUIET_INCIDENTS: Final = frozenset({"claim_freed", DECIDED_BY_PERSON})


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. ``since`` is RFC 3339 UTC; ``session_id`` is None for alerts about the whole desk."""

    code: str
    severity: Severity
    session_id: str | None
    since: str
    message: str
    step: NextStep | None


def alerts_of(overview: Overview) -> tuple[Alert, ...]:
    """Return the alerts of a root, most severe first, then oldest first."""
    now = parse_rfc3339(overview.generated_at)
    found = [*_desk_alerts(overview)]
    for seen in overview.seen:
        found.extend(_session_alerts(seen, now=now))
    order = {"critical": 0, "warning": 1, "notice": 2}
    return tuple(sorted(found, key=lambda one: (order[one.severity], one.since, one.code)))


def _desk_alerts(overview: Overview) -> Iterator[Alert]:
    if overview.halt is not None:
        halt = overview.halt
        yield _desk("halt_set", "warning", halt.halted_at, f"Halted by {halt.reviewer}: {halt.reason}", _RESUME)
    elif overview.halt_file is not None:
        # Nobody knows since when: a time of ours would make every report look like news.
        yield _desk("halt_set", "warning", "", f"Halted by {overview.halt_file}", _RESUME)
    found_late = {one.session_id for one in overview.seen if _found_late(one)}
    for lock in overview.interlocks:
        step = NextStep(why="end the unknown", verb="reconcile", arguments=(lock.folder,))
        if lock.session_id in found_late:
            why = "the order was found late: a person looks at it, then frees the account"
            step = NextStep(why=why, verb="interlock resolve", options=(*_PERSON, ("account", lock.account_key)))
        text = f"The account {lock.account_key} is held by {lock.folder}: nothing new is sent for it."
        yield Alert(
            code="interlock_held",
            severity="critical",
            session_id=lock.session_id,
            since=lock.claimed_at,
            message=text,
            step=step,
        )


def _found_late(seen: Seen) -> bool:
    standing = seen.standing
    return standing is not None and any(one.body.code == LATE_FIND for one in standing.incidents)


def _session_alerts(seen: Seen, *, now: datetime) -> Iterator[Alert]:
    if seen.session is None or seen.standing is None:
        yield _of(seen, "unreadable_session", "critical", "", str(seen.unreadable), verb="show")
        return
    if not seen.verifies:
        first = next((f"{one.file} {one.message}." for one in seen.session.findings), seen.outdated)
        text = f"The evidence does not verify: {first}"
        yield _of(seen, "unverifiable_session", "critical", seen.standing.latest_at or "", text, verb="show")
    yield from _send_alerts(seen, seen.standing, now=now)
    decided = _decided_sequence(seen.session.chain)
    for incident in seen.standing.incidents:
        if incident.envelope.sequence > decided and incident.body.code not in QUIET_INCIDENTS:
            yield _incident_alert(seen, incident)


def _send_alerts(seen: Seen, standing: Standing, *, now: datetime) -> Iterator[Alert]:
    since = _sent_at(standing)
    if standing.unresolved:
        text = "An order may exist and nothing proves or decides it. Never send again; look for proof."
        options = _RESOLVE if standing.state == "not_found" else ()
        verb = "resolve" if options else "reconcile"
        yield _of(seen, "unresolved_send", "critical", since, text, verb=verb, options=options)
        return
    looks = _looks_after(seen, standing)
    if standing.outcome == "accepted" and not looks:
        text = "The order was accepted and nobody has read its state since."
        yield _of(seen, "no_status_after_submit", "warning", since, text, verb="status")
    if standing.state in LIVE_ORDER:
        yield from _open_alerts(seen, standing, looks, since=since, now=now)
    yield from _ended_alerts(seen, standing, looks, now=now)


def _open_alerts(
    seen: Seen, standing: Standing, looks: list[Record[Any]], *, since: str, now: datetime
) -> Iterator[Alert]:
    last = looks[-1].envelope.recorded_at if looks else since
    if now - parse_rfc3339(last) > SUPERVISION_GAP:
        text = f"The order is open and nobody has looked at it since {last}."
        yield _of(seen, "open_unsupervised", "critical", last, text, verb="supervise")
    if standing.state == "partially_filled" and standing.order is not None:
        text = f"{standing.order.filled_base} of {standing.order.size_base} is filled; the rest is open."
        yield _of(seen, "partial_fill", "warning", standing.order.read_at, text, verb="supervise")


def _ended_alerts(seen: Seen, standing: Standing, looks: list[Record[Any]], *, now: datetime) -> Iterator[Alert]:
    if standing.state == "rejected":
        since = _sent_at(standing)
        if not looks and now - parse_rfc3339(since) <= OLD_NEWS:
            yield _of(seen, "rejected", "warning", since, "The venue refused the order.", verb="status")
        return
    order = standing.order
    if order is None or order.state not in TERMINAL_STATES:
        return
    if now - parse_rfc3339(order.read_at) > OLD_NEWS or _fills_read(seen, order.read_at):
        return
    text = f"The order is {order.state}; {order.filled_base} of {order.size_base} traded. Read its fills."
    if order.state in {"canceled", "expired"}:
        yield _of(seen, order.state, "notice", order.read_at, text, verb="fills")
    # A venue may call an order filled of which it dropped the rest.
    if Decimal(0) < Decimal(order.filled_base) < Decimal(order.size_base):
        yield _of(seen, "partial_fill", "warning", order.read_at, text, verb="fills")


def _incident_alert(seen: Seen, incident: Record[Incident]) -> Alert:
    code = "mismatch" if incident.body.code == "venue_reads_another_order" else incident.body.code
    return _of(seen, code, "critical", incident.envelope.recorded_at, incident.body.message, verb="show")


def _decided_sequence(chain: Chain) -> int:
    """Return the sequence of the newest decision of a person in a session, 0 when there is none."""
    decisions = [one.envelope.sequence for one in chain.all(Resolution)]
    freed = [one.envelope.sequence for one in chain.all(Incident) if one.body.code == DECIDED_BY_PERSON]
    return max(decisions + freed, default=0)


def _looks_after(seen: Seen, standing: Standing) -> list[Record[Any]]:
    chain = seen.chain
    after = standing.response or standing.attempt
    if chain is None or after is None:
        return []
    return [
        record
        for record in chain.records
        if isinstance(record.body, LOOKS) and record.envelope.sequence > after.envelope.sequence
    ]


def _fills_read(seen: Seen, since: str) -> bool:
    chain = seen.chain
    newest = chain.newest(FillSummary) if chain is not None else None
    return newest is not None and newest.body.read_failure is None and newest.envelope.recorded_at >= since


def _sent_at(standing: Standing) -> str:
    record = standing.attempt or standing.response
    if record is not None:
        return record.envelope.recorded_at
    return standing.latest_at or ""


def _of(
    seen: Seen, code: str, severity: Severity, since: str, message: str, *, verb: str, options: Options = ()
) -> Alert:
    why = "see what is known" if verb == "show" else "do this next"
    return Alert(
        code=code,
        severity=severity,
        session_id=seen.session_id,
        since=since,
        message=message,
        step=NextStep(why=why, verb=verb, arguments=(str(seen.folder),), options=options),
    )


def _desk(code: str, severity: Severity, since: str, message: str, step: NextStep) -> Alert:
    return Alert(code=code, severity=severity, session_id=None, since=since, message=message, step=step)


_PERSON: Final[Options] = (("reviewer", "<reviewer>"), ("reason", "<reason>"))
_RESUME: Final = NextStep(why="when the reason is gone", verb="resume", options=_PERSON)
_RESOLVE: Final[Options] = (
    ("reviewer", "<reviewer>"),
    ("confirm", None),
    ("decision", "<landed|not_landed>"),
    ("note", "<reason>"),
)
