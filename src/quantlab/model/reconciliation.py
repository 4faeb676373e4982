"""Ending unknown by proof: what counts as the order, and when its absence is established. Pure.

The rules follow the absence protocol of the venue dossiers. "Not found" is never "proven absent": it means that
every clean search of the protocol came back empty, and it still needs a person's decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.model.order import Plan
from quantlab.model.recorded import OrderEvidence

MATCH_WINDOW_SECONDS: Final = 120
DEADLINE_MARGIN_SECONDS: Final = 5
PASS_GAP_SECONDS: Final = 15
LIVE_SETTLE_SECONDS: Final = 60
LATE_WATCH_SECONDS: Final = 7 * 86_400
ASSUMPTIONS: Final = ("K1", "K2", "K3", "K4", "K5", "K6")
"""The numbered venue assumptions of docs/assumptions.md that a "not found" rests on."""


class SearchPass(msgspec.Struct, frozen=True, kw_only=True):
    """One search of every view of the venue for the order.

    ``venue_at`` is on the venue's clock. ``clean`` means that every read of the pass was usable. ``fence_set``
    means that the venue accepted a higher nonce of the submitting key, so that a delayed copy of the request can
    no longer pass. ``control_found`` is None when the account has no earlier order to prove the search with.
    """

    venue_at: str
    full: bool
    clean: bool
    venue_online: bool
    fence_set: bool
    matches: tuple[OrderEvidence, ...]
    mismatches: tuple[str, ...]
    control_found: bool | None
    suspicious: tuple[str, ...]
    foreign_changes: tuple[str, ...]
    failures: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the passes so far establish, why not more, and when another look can help (venue's clock)."""

    resolution: Literal["landed", "not_found", "unknown"]
    order: OrderEvidence | None
    reasons: tuple[str, ...]
    earliest_next_at: str | None
    incident: str | None = None


def mismatches_of(plan: Plan, order: OrderEvidence, *, attempted_at: datetime) -> tuple[str, ...]:
    """Return how an order found by our client order id differs from the plan; empty when it is the order.

    ``attempted_at`` is on the venue's clock. An order opened more than 120 s before it is another one.
    """
    found: list[str] = []
    names = {plan.venue_symbol, *plan.venue_symbol_aliases}
    if order.venue_symbol not in names:
        found.append(f"market {order.venue_symbol}, planned {plan.venue_symbol}")
    if order.side != plan.side:
        found.append(f"side {order.side}, planned {plan.side}")
    if Decimal(order.size_base) != Decimal(plan.size_base):
        found.append(f"size {order.size_base}, planned {plan.size_base}")
    if order.order_type != plan.order_type:
        found.append(f"type {order.order_type}, planned {plan.order_type}")
    if plan.limit_price is not None and _differs(order.limit_price, plan.limit_price):
        found.append(f"limit price {order.limit_price}, planned {plan.limit_price}")
    if order.client_order_id not in {None, plan.client_order_id}:
        found.append(f"client order id {order.client_order_id}, planned {plan.client_order_id}")
    earliest = attempted_at - timedelta(seconds=MATCH_WINDOW_SECONDS)
    if order.opened_at is not None and parse_rfc3339(order.opened_at) < earliest:
        found.append(f"opened at {order.opened_at}, sent at {rfc3339(attempted_at)}")
    return tuple(found)


def proof_from(*, deadline_at: datetime, settle_seconds: int) -> datetime:
    """Return the venue time from which a clean empty pass counts toward "not found"."""
    return deadline_at + timedelta(seconds=DEADLINE_MARGIN_SECONDS + settle_seconds)


def judge(passes: tuple[SearchPass, ...], *, deadline_at: datetime, settle_seconds: int, now_at: datetime) -> Verdict:
    """Return what all passes of a session together establish.

    Args:
        passes: Every pass of every run, oldest first.
        deadline_at: The order's deadline on the venue's clock.
        settle_seconds: How long a view may lag behind the engine.
        now_at: The venue's clock now.
    """
    landed = _landed(passes)
    if landed is not None:
        return landed
    counting_from = proof_from(deadline_at=deadline_at, settle_seconds=settle_seconds)
    good = [one for one in passes if _is_empty_proof(one) and parse_rfc3339(one.venue_at) >= counting_from]
    # A doubtful look after two good ones takes the absence back: stale never beats fresh.
    if _distant_pair(good) and good[-1] is _newest_full(passes):
        return Verdict(resolution="not_found", order=None, reasons=("searches_empty",), earliest_next_at=None)
    reasons = _reasons(passes, good=good, counting_from=counting_from, now_at=now_at)
    earliest = counting_from
    if good:
        earliest = parse_rfc3339(good[-1].venue_at) + timedelta(seconds=PASS_GAP_SECONDS)
    return Verdict(
        resolution="unknown",
        order=None,
        reasons=reasons,
        earliest_next_at=rfc3339(max(earliest, now_at)),
    )


def _landed(passes: tuple[SearchPass, ...]) -> Verdict | None:
    mismatched = tuple(text for one in passes for text in one.mismatches)
    ids = {order.venue_order_id for one in passes for order in one.matches}
    if mismatched or len(ids) > 1:
        text = "; ".join(mismatched) or f"{len(ids)} orders carry this client order id: {', '.join(sorted(ids))}"
        return Verdict(
            resolution="unknown",
            order=None,
            reasons=("more_than_one_match" if len(ids) > 1 else "match_differs_from_plan",),
            earliest_next_at=None,
            incident=text,
        )
    if not ids:
        return None
    newest = next(one.matches[-1] for one in reversed(passes) if one.matches)
    return Verdict(resolution="landed", order=newest, reasons=("order_found",), earliest_next_at=None)


def _is_empty_proof(one: SearchPass) -> bool:
    return (
        one.full
        and one.clean
        and one.venue_online
        and one.fence_set
        and one.control_found is True
        and not one.matches
        and not one.mismatches
        and not one.suspicious
    )


def _distant_pair(good: list[SearchPass]) -> bool:
    if not good:
        return False
    first, last = parse_rfc3339(good[0].venue_at), parse_rfc3339(good[-1].venue_at)
    return last - first >= timedelta(seconds=PASS_GAP_SECONDS)


def _newest_full(passes: tuple[SearchPass, ...]) -> SearchPass | None:
    return next((one for one in reversed(passes) if one.full and one.clean), None)


def _reasons(
    passes: tuple[SearchPass, ...], *, good: list[SearchPass], counting_from: datetime, now_at: datetime
) -> tuple[str, ...]:
    reasons: list[str] = []
    last = passes[-1] if passes else None
    if last is not None and not last.clean:
        reasons.append("reads_failed")
    if last is not None and last.clean and last.full:
        reasons.extend(_doubts(last))
    if now_at < counting_from:
        reasons.append("deadline_or_settle_time_not_passed")
    elif len(good) < 2:
        reasons.append("two_clean_passes_needed")
    elif not _distant_pair(good):
        reasons.append("passes_too_close_together")
    return tuple(reasons)


def _doubts(one: SearchPass) -> list[str]:
    doubts = []
    if not one.venue_online:
        doubts.append("venue_not_online")
    if not one.fence_set:
        doubts.append("nonce_fence_missing")
    if one.control_found is None:
        doubts.append("no_positive_control")
    if one.control_found is False:
        doubts.append("positive_control_not_found")
    if one.suspicious:
        doubts.append("account_changed_as_if_filled")
    return doubts


def _differs(found: str | None, planned: str) -> bool:
    return found is None or Decimal(found) != Decimal(planned)
