"""Ending unknown by proof: what counts as the order, and when its absence is established. Pure.

The rules follow the absence protocol of the venue dossiers. "Not found" is never "proven absent": it means that
every clean search of the protocol came back empty, and it still needs a person's decision. "Not landed" is proven:
the venue itself said that it never admitted the order, it can not admit it any more, and the searches agree.
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
BURN_SETTLE_SECONDS: Final = 10


class ProofTerms(msgspec.Struct, frozen=True, kw_only=True):
    """From when on empty searches count, and what stands beside them. Times are on the venue's clock.

    ``deadline_at`` is when the venue stops to take the order, ``margin_seconds`` how far its clocks may differ,
    ``settle_seconds`` how long a view may lag behind the engine. ``closed_at`` is when a burn made sure that the order
    can not be admitted any more. ``never_admitted`` names the venue's own statement that it never was: a burn of the
    nonce that found it unused, or a refusal before admission.
    """

    deadline_at: datetime
    margin_seconds: int = DEADLINE_MARGIN_SECONDS
    settle_seconds: int
    closed_at: datetime | None = None
    never_admitted: str | None = None

    @property
    def counting_from(self) -> datetime:
        """Return the venue time from which a clean empty search counts."""
        if self.closed_at is None:
            # What the venue never admitted was in no view's way: only its clocks can differ.
            settle_seconds = self.settle_seconds if self.never_admitted is None else 0
            return self.deadline_at + timedelta(seconds=self.margin_seconds + settle_seconds)
        # Nothing is in flight any more once the nonce is used up: only the views can lag.
        return self.closed_at + timedelta(seconds=min(BURN_SETTLE_SECONDS, self.settle_seconds))


class SearchPass(msgspec.Struct, frozen=True, kw_only=True):
    """One search of every view of the venue for the order.

    ``venue_at`` is on the venue's clock. ``clean`` means that every read of the pass was usable. ``fence_set`` means
    that a delayed copy of the request can no longer pass once the counting began: the venue accepted a higher nonce of
    the submitting key, or the request bears an expiry of its own. ``control_found`` is None when the account has no
    earlier order to prove the search with.
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

    resolution: Literal["landed", "not_landed", "not_found", "unknown"]
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


def judge(passes: tuple[SearchPass, ...], terms: ProofTerms, *, now_at: datetime) -> Verdict:
    """Return what all passes of a session together establish.

    Args:
        passes: Every pass of every run, oldest first.
        terms: From when on empty passes count, and what the venue itself said of the order.
        now_at: The venue's clock now.
    """
    landed = _landed(passes)
    if landed is not None:
        return landed
    counting_from = terms.counting_from
    # A statement of the venue needs no earlier order of the account to prove the searches with.
    proven = terms.never_admitted is not None
    good = [
        one
        for one in passes
        if _is_empty_proof(one, control_needed=not proven) and parse_rfc3339(one.venue_at) >= counting_from
    ]
    # A doubtful look after two good ones takes the absence back: stale never beats fresh.
    if _distant_pair(good) and good[-1] is _newest_full(passes):
        if terms.never_admitted is not None:
            return Verdict(
                resolution="not_landed",
                order=None,
                reasons=(terms.never_admitted, "searches_empty"),
                earliest_next_at=None,
            )
        return Verdict(resolution="not_found", order=None, reasons=("searches_empty",), earliest_next_at=None)
    reasons = _reasons(passes, good=good, counting_from=counting_from, now_at=now_at, control_needed=not proven)
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


def _is_empty_proof(one: SearchPass, *, control_needed: bool) -> bool:
    return (
        one.full
        and one.clean
        and one.venue_online
        and one.fence_set
        and (one.control_found is True or (one.control_found is None and not control_needed))
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
    passes: tuple[SearchPass, ...],
    *,
    good: list[SearchPass],
    counting_from: datetime,
    now_at: datetime,
    control_needed: bool,
) -> tuple[str, ...]:
    reasons: list[str] = []
    last = passes[-1] if passes else None
    if last is not None and not last.clean:
        reasons.append("reads_failed")
    if last is not None and last.clean and last.full:
        reasons.extend(_doubts(last, control_needed=control_needed))
    if now_at < counting_from:
        reasons.append("deadline_or_settle_time_not_passed")
    elif len(good) < 2:
        reasons.append("two_clean_passes_needed")
    elif not _distant_pair(good):
        reasons.append("passes_too_close_together")
    return tuple(reasons)


def _doubts(one: SearchPass, *, control_needed: bool) -> list[str]:
    doubts = []
    if not one.venue_online:
        doubts.append("venue_not_online")
    if not one.fence_set:
        doubts.append("nonce_fence_missing")
    if one.control_found is None and control_needed:
        doubts.append("no_positive_control")
    if one.control_found is False:
        doubts.append("positive_control_not_found")
    if one.suspicious:
        doubts.append("account_changed_as_if_filled")
    return doubts


def _differs(found: str | None, planned: str) -> bool:
    return found is None or Decimal(found) != Decimal(planned)
