"""Fills: read every fill of the order, one row a fill, and compare their sums with the order itself.

Needs: an attempt. Makes: ``broker_fill_summary``.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import msgspec

from quantlab.evidence.records import FillSummary
from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.result import Fact, Result
from quantlab.model.execution import FillReport, OrderReport
from quantlab.model.recorded import fill_evidence, order_evidence
from quantlab.rungs.desk import Desk
from quantlab.rungs.finding import read_known_order
from quantlab.rungs.reading import OpenedSession, keep, opened, report, watch_late
from quantlab.venues.port import VenueReadFailed


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session to look at."""

    session: Path


def run(desk: Desk, request: Request) -> Result:
    """Read the order's fills and record them with their sums.

    Raises:
        Denied: nothing was sent from this session.
        Busy: another process holds it.
    """
    with opened(desk, request.session) as session:
        order, fills, failure = _read(desk, session)
        record = keep(desk, session, _summary(desk, session, order, fills, failure))
        table = (
            ("fill", "price", "size", "fee", "liquidity", "executed at"),
            *(
                (one.venue_fill_id, one.price, one.size_base, one.fee, one.liquidity, one.executed_at or "?")
                for one in record.body.fills
            ),
        )
        result = report(
            desk,
            session,
            record,
            _headline(record.body),
            unreadable=failure,
            facts=_facts(record.body),
        )
        return msgspec.structs.replace(result, table=table if record.body.fills else ())


def _read(desk: Desk, session: OpenedSession) -> tuple[OrderReport | None, tuple[FillReport, ...] | None, str | None]:
    standing = session.standing
    if standing.venue_order_id is None and not watch_late(desk, session):
        return None, None, None
    try:
        known = read_known_order(desk, standing, session.sought)
        if known is None:
            missing = "The venue does not show the order just now." if standing.venue_order_id else None
            return None, None, missing
        order = desk.reads.read_order(known.venue_order_id)
        if order is None:
            return None, None, "The venue does not show the order just now."
        return order, desk.reads.read_fills(order), None
    except VenueReadFailed as failure:
        return None, None, failure.message


def _summary(
    desk: Desk,
    session: OpenedSession,
    order: OrderReport | None,
    fills: tuple[FillReport, ...] | None,
    failure: str | None,
) -> FillSummary:
    filled = sum((one.size_base for one in fills), Decimal(0)) if fills is not None else None
    cost = sum((one.cost_quote for one in fills), Decimal(0)) if fills is not None else None
    return FillSummary(
        plan_sha256=session.sought.plan_sha256,
        attempt_sha256=session.sought.attempt_sha256,
        order=order_evidence(order) if order is not None else None,
        fills=tuple(fill_evidence(one) for one in fills or ()),
        filled_base=None if filled is None else decimal_text(filled),
        average_price=decimal_text(cost / filled) if filled and cost is not None else None,
        cost_quote=None if cost is None else decimal_text(cost),
        fees=_fees(fills or ()),
        complete=filled == order.filled_base if order is not None and filled is not None else None,
        read_failure=failure,
        unverified=session.unverified,
        exchanges=desk.take_exchanges(),
        closed_pnl_quote=_closed_pnl(fills or ()),
        requested_base=session.sought.plan.size_base,
    )


def _closed_pnl(fills: tuple[FillReport, ...]) -> str | None:
    told = [one.closed_pnl for one in fills if one.closed_pnl is not None]
    # Of some fills alone the sum would be a figure of nothing.
    return decimal_text(sum(told, Decimal(0))) if fills and len(told) == len(fills) else None


def _fees(fills: tuple[FillReport, ...]) -> tuple[tuple[str, str], ...]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in fills:
        sums[one.fee_asset or "?"] += one.fee
    return tuple((asset, decimal_text(total)) for asset, total in sorted(sums.items()))


def _headline(body: FillSummary) -> str:
    if body.filled_base is None:
        return "The fills could not be read; that says nothing about whether the order traded."
    if not body.fills:
        return "The venue shows no fill of this order."
    whole = "" if body.complete else " The sum differs from the order's own figure: look again."
    count = "1 fill" if len(body.fills) == 1 else f"{len(body.fills)} fills"
    part = "" if body.filled_base == body.requested_base else f" {_filled(body)}."
    return f"{count}, {body.filled_base} in all at {body.average_price}.{part}{whole}"


def _filled(body: FillSummary) -> str:
    return f"Filled {body.filled_base} of {body.requested_base} asked for"


def _facts(body: FillSummary) -> tuple[Fact, ...]:
    if body.filled_base is None:
        return ()
    pnl = () if body.closed_pnl_quote is None else (Fact(label="Closed PnL", value=body.closed_pnl_quote),)
    return (
        Fact(label="Size", value=_filled(body)),
        Fact(label="Cost", value=f"{body.cost_quote}"),
        Fact(label="Fees", value=", ".join(_fee(*one) for one in body.fees) or "none"),
        *pnl,
        Fact(label="Sum equals the order", value="yes" if body.complete else "no"),
    )


def _fee(asset: str, amount: str) -> str:
    return f"{amount} (the venue names no asset)" if asset == "?" else f"{amount} {asset}"
