"""Reads of `/info` about one account: balances, orders, fills, roles, allowances."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from quantlab.rehearsal.hyperliquid_book import Account, Fill, Order
from quantlab.rehearsal.hyperliquid_info import Query
from quantlab.rehearsal.hyperliquid_limits import allowance
from quantlab.rehearsal.hyperliquid_markets import BY_COIN, PERP_MAKER, PERP_TAKER, SPOT_MAKER, SPOT_TAKER
from quantlab.rehearsal.hyperliquid_positions import leverage_of, margin_of
from quantlab.rehearsal.hyperliquid_rows import (
    aggregated,
    basic_order,
    clearinghouse,
    fill_row,
    frontend_order,
    spot_balances,
)
from quantlab.rehearsal.hyperliquid_wire import (
    MS,
    address,
    cloid,
    dotted,
    flag,
    plain,
    rounded,
    text,
    whole,
    wrong_shape,
)
from quantlab.rehearsal.wire import Json

MISSING: Final = "missing"


def user(query: Query) -> str:
    """Return the address that is asked about."""
    return address(query.body.get("user"))


def account_of(query: Query) -> Account:
    """Return the account that is asked about; an agent or a stranger has an empty one."""
    return query.state.accounts.get(user(query)) or Account(address=user(query))


def _known_orders(query: Query) -> list[list[Order]]:
    """Return the histories that the venue still keeps, oldest order first: so many by count."""
    found = list(account_of(query).histories(query.as_of_ns))
    return found[-query.limits.orders_kept :] if query.limits.orders_kept else []


def _open(query: Query) -> list[Order]:
    rows = [versions[-1] for versions in account_of(query).histories(query.as_of_ns)]
    return [order for order in reversed(rows) if order.is_open]


def _time_ms(query: Query) -> int:
    """Return the clock of the node that answers: a stale one lags."""
    lag_ns = 0 if query.as_of_ns is None else query.now_ns - query.as_of_ns
    return query.venue_ms - lag_ns // MS


def _clearinghouse_state(query: Query) -> Json:
    query.main_dex()
    account = account_of(query)
    standing = account.standing(query.as_of_ns)
    return clearinghouse(account, standing, lambda a: query.engine.mark(a, query.now_ns), _time_ms(query))


def _spot_state(query: Query) -> Json:
    return spot_balances(account_of(query).standing(query.as_of_ns), _open(query))


def _open_orders(query: Query) -> list[Json]:
    query.main_dex()
    return [basic_order(order) for order in _open(query)]


def _frontend_orders(query: Query) -> list[Json]:
    query.main_dex()
    return [frontend_order(order) for order in _open(query)]


def _order_status(query: Query) -> Json:
    account_of(query)
    wanted = query.body.get("oid")
    key: int | str = cloid(wanted) if isinstance(wanted, str) else whole(wanted)
    # A cloid may have been used again: the newest order answers to it.
    for versions in reversed(_known_orders(query)):
        order = versions[-1]
        if key in (order.oid, order.cloid):
            found = {
                "order": frontend_order(order), "status": order.status, "statusTimestamp": order.status_ms,
            }  # fmt: skip
            return {"status": "order", "order": found}
    return {"status": "unknownOid"}


def _historical_orders(query: Query) -> list[Json]:
    rows = []
    for versions in _known_orders(query):
        status = ""
        for order in versions:
            # One row for each change of status; fills of an open order are none.
            if order.status != status:
                rows.append(order)
            status = order.status
    rows.sort(key=lambda o: (o.recorded_ns, o.oid, not o.is_open), reverse=True)
    return [
        {"order": frontend_order(o), "status": o.status, "statusTimestamp": o.status_ms}
        for o in rows[: query.limits.rows]
    ]


def _kept_fills(query: Query) -> list[Fill]:
    fills = account_of(query).seen_fills(query.as_of_ns)
    return fills[-query.limits.fills_kept :] if query.limits.fills_kept else []


def _described(query: Query, fills: list[Fill]) -> list[Json]:
    joins = query.body.get("aggregateByTime")
    if joins is not None and flag(joins):
        return aggregated(fills)
    return [fill_row(fill) for fill in fills]


def _user_fills(query: Query) -> list[Json]:
    return _described(query, _kept_fills(query)[::-1])[: query.limits.rows]


def _user_fills_by_time(query: Query) -> list[Json]:
    start, end = whole(query.body.get("startTime")), query.body.get("endTime")
    last = query.venue_ms if end is None else whole(end)
    found = [fill for fill in _kept_fills(query) if start <= fill.time_ms <= last]
    reverse = query.body.get("reversed")
    if reverse is not None and flag(reverse):
        found.reverse()
    return _described(query, found)[: query.limits.rows]


def _rate_limit(query: Query) -> Json:
    account = account_of(query)
    return {
        "cumVlm": dotted(account.volume), "nRequestsUsed": account.requests_used,
        "nRequestsCap": allowance(account, query.limits), "nRequestsSurplus": 0,
    }  # fmt: skip


def _role(query: Query) -> Json:
    name = user(query)
    account = query.state.accounts.get(name)
    if account is not None:
        if account.role == "subAccount":
            return {"role": account.role, "data": {"master": account.master}}
        return {"role": account.role}
    for master in query.state.accounts.values():
        if query.removed is None and any(agent.address == name for agent in master.agents):
            return {"role": "agent", "data": {"user": master.address}}
    return {"role": MISSING}


def _extra_agents(query: Query) -> list[Json]:
    if query.removed is not None:
        return []
    return [
        {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until_ms}
        for agent in account_of(query).agents
        if agent.name
    ]


def _sub_accounts(query: Query) -> list[Json] | None:
    name = user(query)
    rows: list[Json] = [
        {
            "name": account.name, "subAccountUser": account.address, "master": name,
            "clearinghouseState": clearinghouse(
                account, account.standing(query.as_of_ns),
                lambda a: query.engine.mark(a, query.now_ns), _time_ms(query),
            ),
            "spotState": spot_balances(account.standing(query.as_of_ns), account.open_orders()),
        }
        for account in query.state.accounts.values()
        if account.role == "subAccount" and account.master == name
    ]  # fmt: skip
    return rows or None


def _active_asset(query: Query) -> Json:
    account, asset = account_of(query), BY_COIN.get(text(query.body.get("coin")))
    if asset is None or asset.is_spot:
        raise wrong_shape()
    mark, leverage = query.engine.mark(asset, query.now_ns), leverage_of(account, asset)
    standing = account.standing(query.as_of_ns)
    free = margin_of(account, standing, lambda a: query.engine.mark(a, query.now_ns)).free
    step = Decimal(1).scaleb(-asset.size_decimals)
    most = dotted(free * leverage.value / mark // step * step)
    usd = dotted(rounded(free, 6))
    return {
        "user": account.address, "coin": asset.coin,
        "leverage": {"type": "cross" if leverage.is_cross else "isolated", "value": leverage.value},
        "maxTradeSzs": [most, most], "availableToTrade": [usd, usd], "markPx": dotted(mark),
    }  # fmt: skip


def _fees(query: Query) -> Json:
    user(query)
    return {
        "dailyUserVlm": [],
        "feeSchedule": {
            "cross": plain(PERP_TAKER), "add": plain(PERP_MAKER), "spotCross": plain(SPOT_TAKER),
            "spotAdd": plain(SPOT_MAKER), "tiers": {"vip": [], "mm": []}, "referralDiscount": "0.04",
            "stakingDiscountTiers": [],
        },
        "userCrossRate": plain(PERP_TAKER), "userAddRate": plain(PERP_MAKER),
        "userSpotCrossRate": plain(SPOT_TAKER), "userSpotAddRate": plain(SPOT_MAKER),
        "activeReferralDiscount": "0.0", "trial": None, "feeTrialReward": "0.0",
        "nextTrialAvailableTimestamp": None, "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }  # fmt: skip


def _max_builder_fee(query: Query) -> int:
    user(query)
    address(query.body.get("builder"))
    return 0


def _abstraction(query: Query) -> str:
    user(query)
    return "disabled"


def _referral(query: Query) -> Json:
    return {
        "referredBy": None, "cumVlm": dotted(account_of(query).volume), "unclaimedRewards": "0.0",
        "claimedRewards": "0.0", "builderRewards": "0.0", "referrerState": None, "rewardHistory": [],
    }  # fmt: skip


def _nothing(query: Query) -> list[object]:
    user(query)
    return []


def _none(query: Query) -> None:
    user(query)


ACCOUNT: Final[dict[str, Callable[[Query], object]]] = {
    "clearinghouseState": _clearinghouse_state,
    "spotClearinghouseState": _spot_state,
    "openOrders": _open_orders,
    "frontendOpenOrders": _frontend_orders,
    "orderStatus": _order_status,
    "historicalOrders": _historical_orders,
    "userFills": _user_fills,
    "userFillsByTime": _user_fills_by_time,
    "userRateLimit": _rate_limit,
    "userRole": _role,
    "extraAgents": _extra_agents,
    "subAccounts": _sub_accounts,
    "activeAssetData": _active_asset,
    "userFees": _fees,
    "maxBuilderFee": _max_builder_fee,
    "userAbstraction": _abstraction,
    "referral": _referral,
    "userToMultiSigSigners": _none,
    **dict.fromkeys(
        ("userFunding", "userNonFundingLedgerUpdates", "userTwapSliceFills", "twapHistory", "portfolio",
         "userVaultEquities", "delegations"),
        _nothing,
    ),
}  # fmt: skip
