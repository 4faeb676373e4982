"""The two rate limits: weight per IP address, and requests per account address."""

from __future__ import annotations

from typing import Final

from quantlab.rehearsal.hyperliquid_book import Account, Meter
from quantlab.rehearsal.hyperliquid_knobs import Limits
from quantlab.rehearsal.hyperliquid_wire import Refused, plain, rounded

NS: Final = 1_000_000_000
POINT: Final = 1_000_000
BREATH_NS: Final = 10 * NS
"""Beyond its allowance an address gets one request through in this time."""
CANCEL_EXTRA: Final = 100_000
CANCELS: Final = frozenset({"cancel", "cancelByCloid"})

_LIGHT: Final = frozenset({
    "l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus",
})  # fmt: skip
_BY_ROWS: Final = {
    "recentTrades": 20, "historicalOrders": 20, "userFills": 20, "userFillsByTime": 20,
    "fundingHistory": 20, "userFunding": 20, "twapHistory": 20, "userTwapSliceFills": 20,
    "candleSnapshot": 60,
}  # fmt: skip
"""One more point for so many rows of the answer."""


def info_weight(kind: str) -> int:
    """Return what a read costs before its rows are counted."""
    if kind in _LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def rows_weight(kind: str, answer: object) -> int:
    """Return what the rows of an answer cost on top."""
    rows = len(answer) if isinstance(answer, list) else 0
    return rows // _BY_ROWS[kind] if kind in _BY_ROWS else 0


def action_weight(batch: int) -> int:
    """Return what an action costs an IP address."""
    return 1 + batch // 40


def count_ip(meter: Meter, weight: int, now_ns: int, limits: Limits, *, always: bool = False) -> bool:
    """Count weight of an IP address, which drains over a minute.

    Returns:
        Whether it fits; what does not fit is not counted, unless `always`.
    """
    drained = max(0, now_ns - meter.at_ns) * limits.ip_weight * POINT // (60 * NS)
    value = max(0, meter.value_u - drained)
    fits = value + weight * POINT <= limits.ip_weight * POINT
    if fits or always:
        meter.value_u = value + weight * POINT
        meter.at_ns = now_ns
    return fits


def allowance(account: Account, limits: Limits) -> int:
    """Return how many requests an address may make in all."""
    return limits.address_requests + int(account.volume)


def check_address(account: Account, kind: str, weight: int, now_ns: int, limits: Limits) -> None:
    """Refuse an action of an address that has used its allowance up; counts nothing itself.

    Raises:
        Refused: the allowance is used up, and the last request beyond it is not ten seconds old.
    """
    most = allowance(account, limits)
    if kind in CANCELS:
        most = min(most + CANCEL_EXTRA, 2 * most)
    wanted = account.requests_used + weight
    if wanted <= most:
        return
    if account.limited_ns == 0 or now_ns - account.limited_ns >= BREATH_NS:
        account.limited_ns = now_ns
        return
    raise Refused(
        f"Too many cumulative requests sent ({wanted} > {most}) for cumulative volume traded"
        f" ${plain(rounded(account.volume, 2))}. Place taker orders to free up 1 request per USDC traded."
    )
