"""Status: read the order's state from the venue now, with its source and time.

Needs: an attempt. Makes: ``broker_order_status``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.evidence.records import StatusReport
from quantlab.kernel.result import Result
from quantlab.model.recorded import OrderEvidence
from quantlab.rungs.desk import Desk
from quantlab.rungs.finding import read_known_order
from quantlab.rungs.reading import OpenedSession, keep, opened, report, watch_late
from quantlab.venues.port import VenueReadFailed


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session to look at."""

    session: Path


def run(desk: Desk, request: Request) -> Result:
    """Read the order and record its state, or that it could not be read.

    Raises:
        Denied: nothing was sent from this session.
        Busy: another process holds it.
    """
    with opened(desk, request.session) as session:
        order, failure = look(desk, session)
        record = keep(
            desk,
            session,
            StatusReport(
                plan_sha256=session.sought.plan_sha256,
                attempt_sha256=session.sought.attempt_sha256,
                resolution="landed" if order is not None else (session.standing.resolution or "unknown"),
                order=order,
                read_failure=failure,
                unverified=session.unverified,
                exchanges=desk.take_exchanges(),
            ),
        )
        return report(
            desk,
            session,
            record,
            _headline(session, order),
            unreadable=failure,
            warnings=_warnings(session, order),
        )


def look(desk: Desk, session: OpenedSession) -> tuple[OrderEvidence | None, str | None]:
    """Return the order as the venue shows it, or why it could not be read.

    A session that is settled without an order asks nothing once its week of late watch is over.
    """
    standing = session.standing
    if standing.venue_order_id is None and not watch_late(desk, session):
        return None, None
    try:
        order = read_known_order(desk, standing, session.sought)
    except VenueReadFailed as failure:
        return None, failure.message
    if order is None and standing.venue_order_id is not None:
        return None, "The venue does not show this order just now."
    return order, None


def _headline(session: OpenedSession, order: OrderEvidence | None) -> str:
    standing = session.standing
    if standing.unresolved:
        return "UNKNOWN: an order may exist. Reconcile; never send again."
    if order is None:
        return f"The session stands as {standing.state}."
    return f"The order is {standing.state}: {order.filled_base} of {order.size_base} filled."


def _warnings(session: OpenedSession, order: OrderEvidence | None) -> tuple[str, ...]:
    newest = session.standing.order
    if order is None or newest is None or newest == order:
        return ()
    return (
        (
            f"The venue just showed an older picture ({order.raw_state}, {order.filled_base} filled) than one already "
            "recorded; the recorded one stands."
        ),
    )
