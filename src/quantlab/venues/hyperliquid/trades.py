"""An account's fills, and its orders with theirs: pages to the end, and never fewer than a record speaks of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from quantlab.kernel.clock import Clock, to_ns
from quantlab.model.execution import OrderReport
from quantlab.venues.hyperliquid import codec_orders
from quantlab.venues.hyperliquid.calls import HyperliquidCalls, decoded, failed
from quantlab.venues.hyperliquid.codec_orders import Fill, OrderRow

# Fills of an order stand between its birth and its end; the slack is for clocks of different machines.
SLACK: Final = timedelta(seconds=60)
_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
# The shorter of the two caps that are documented for one answer: a list of this length may go on.
_FULL_PAGE: Final = 500
_MOST_FILLS: Final = 10_000
_MOST_PAGES: Final = _MOST_FILLS // _FULL_PAGE + 1
_LOOKS_AGAIN: Final = 5
_LOOK_AGAIN_MS: Final = 2_000


class AccountTrades:
    """Reads what an account traded.

    Args:
        calls: Asks the venue.
        account: The account's address.
        clock: Our time, and the wait between two looks.
    """

    def __init__(self, calls: HyperliquidCalls, account: str, clock: Clock) -> None:
        self._calls = calls
        self._account = account
        self._clock = clock

    def reports(self, purpose: str, source: str, rows: Sequence[OrderRow], *, is_ours: bool) -> tuple[OrderReport, ...]:
        """Return the reports of orders, their fills read where there can be any.

        Fills of ours that may still be on their way to this view are asked for again, for ten seconds at most.
        """
        fills = self._fills_of(purpose, rows)
        for _ in range(_LOOKS_AGAIN):
            now = self._clock.now()
            if not is_ours or not any(codec_orders.awaits_fills(row, fills, read_at=now) for row in rows):
                break
            self._clock.sleep_ms(_LOOK_AGAIN_MS)
            fills = self._fills_of(purpose, rows)
        now = self._clock.now()
        return decoded(
            purpose,
            lambda: tuple(
                codec_orders.report_of(row, fills, source=source, read_at=now, by_fills=is_ours) for row in rows
            ),
        )

    def fills_between(self, purpose: str, since: datetime, until: datetime | None) -> tuple[Fill, ...]:
        """Return every fill from ``since`` to ``until``, all pages, oldest first. Bounds are inclusive at the venue."""
        fields: dict[str, Any] = {"user": self._account}
        if until is not None:
            fields["endTime"] = _to_ms(until)
        found: dict[str, Fill] = {}
        start = since
        for _ in range(_MOST_PAGES):
            answer = self._calls.info("userFillsByTime", fields | {"startTime": _to_ms(start)}, purpose=purpose)
            page = decoded(purpose, functools.partial(codec_orders.parse_fills, answer, "userFillsByTime"))
            known = len(found)
            found.update((f"{fill.report.venue_order_id} {fill.report.venue_fill_id}", fill) for fill in page)
            if len(found) >= _MOST_FILLS:
                break
            if len(page) < _FULL_PAGE:
                return tuple(sorted((fill for fill in found.values() if fill.at >= since), key=lambda fill: fill.at))
            if len(found) == known:
                raise failed(purpose, "bad_answer", "the list of fills does not go on")
            start = max(fill.at for fill in page)
        raise failed(purpose, "bad_answer", f"there are more than {len(found)} fills, which the venue may not all show")

    def _fills_of(self, purpose: str, rows: Sequence[OrderRow]) -> tuple[Fill, ...]:
        traded = [row for row in rows if row.may_have_traded]
        if not traded:
            return ()
        is_over = all(row.state not in {"open", "unrecognised"} for row in traded)
        until = max(row.status_at for row in traded) + SLACK if is_over else None
        return self.fills_between(purpose, min(row.opened_at for row in traded) - SLACK, until)


def _to_ms(at: datetime) -> int:
    return max(to_ns(at) // _NANOSECONDS_PER_MILLISECOND, 0)
