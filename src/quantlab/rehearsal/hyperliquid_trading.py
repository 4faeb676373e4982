"""What each action of `/exchange` does once signer, nonce and expiry have been checked."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.exchange import Exchange
from quantlab.rehearsal.hyperliquid_actions import UNSUPPORTED, Ask, Envelope, Replacement
from quantlab.rehearsal.hyperliquid_agents import approve_agent
from quantlab.rehearsal.hyperliquid_book import Account, HyperliquidState, Leverage, Order
from quantlab.rehearsal.hyperliquid_checks import check_batch
from quantlab.rehearsal.hyperliquid_engine import Engine, Moment, Partial
from quantlab.rehearsal.hyperliquid_markets import ASSETS, Asset
from quantlab.rehearsal.hyperliquid_positions import leverage_of
from quantlab.rehearsal.hyperliquid_wire import VENUE, Refused, plain, rounded, success
from quantlab.rehearsal.matching import sweep
from quantlab.rehearsal.wire import Json

PRICE_FIGURES: Final = 5
MODIFY_TERMINAL: Final = "Cannot modify canceled or filled order"
MODIFY_INVALID: Final = "Attempted to modify to invalid new order"
SCHEDULE_VOLUME: Final = 1_000_000


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One admitted action."""

    exchange: Exchange
    engine: Engine
    state: HyperliquidState
    account: Account
    envelope: Envelope
    at: Moment

    def mark(self, asset: Asset) -> Decimal:
        """Return the mark price of an asset at the time of the action."""
        return self.engine.mark(asset, self.at.now_ns)

    def partial(self) -> Partial | None:
        """Take the scripted partial fill that meets this order, if there is one."""
        fault = self.exchange.plan.take("partial_fill", VENUE, "/exchange", self.envelope.kind)
        return Partial(fraction=fault.fraction, then=fault.text) if fault else None


def status_of(order: Order) -> Json:
    """Describe an order in the answer that accepts it."""
    name: Json = {} if order.cloid is None else {"cloid": order.cloid}
    if order.status == "filled":
        average = order.cost / order.filled
        done = {"totalSz": plain(order.filled), "avgPx": plain(_figures(average)), "oid": order.oid}
        return {"filled": {**done, **name}}
    return {"resting": {"oid": order.oid, **name}}


def _figures(price: Decimal) -> Decimal:
    """Round an average price to five significant figures, as acks show it."""
    exponent = price.adjusted() - PRICE_FIGURES + 1
    return rounded(price, max(0, -exponent))


def _place(act: Act, ask: Ask) -> Json:
    # The web UI's market order is an IOC order in all that matters here.
    tif = "Ioc" if ask.tif == "FrontendMarket" else ask.tif
    asked = msgspec.structs.replace(ask, tif=tif, cloid=None if act.at.rules.drops_cloid else ask.cloid)
    order, rejection = act.engine.place(act.account, asked, act.at, partial=act.partial())
    return {"error": rejection.error} if rejection is not None else status_of(order)


def order(act: Act) -> Json:
    """Carry out `order`: one error for the whole batch, or a status for each order."""
    envelope = act.envelope
    error = check_batch(envelope.asks, act.exchange.mode(VENUE), act.at.rules, act.mark)
    if error is None and envelope.has_builder:
        error = "Builder fee has not been approved."
    if error is None and envelope.grouping not in ("na", "p"):
        error = "Unexpected number of trigger orders"
    statuses = [{"error": error}] if error is not None else [_place(act, ask) for ask in envelope.asks]
    return success("order", {"statuses": statuses})


def cancel(act: Act) -> Json:
    """Carry out `cancel` and `cancelByCloid`, each part on its own."""
    statuses: list[object] = []
    for asset, target in act.envelope.cancels:
        error = act.engine.cancel(act.account, asset, target, act.at)
        statuses.append("success" if error is None else {"error": error})
    return success("cancel", {"statuses": statuses})


def _replace(act: Act, one: Replacement) -> Json:
    """Cancel an order and place another.

    Raises:
        Refused: with the text that `modify` answers whole and `batchModify` per part.
    """
    old = act.engine.find_open(act.account, None, one.target)
    if old is None and not act.envelope.always_place:
        raise Refused(MODIFY_TERMINAL)
    if check_batch((one.ask,), act.exchange.mode(VENUE), act.at.rules, act.mark) is not None:
        raise Refused(MODIFY_INVALID)
    ask = one.ask
    if not act.envelope.always_place:
        if ask.tif == "Ioc" or (ask.tif == "Gtc" and _would_take(act, ask)):
            raise Refused(MODIFY_INVALID)
        ask = msgspec.structs.replace(ask, tif="Alo")
    if old is not None:
        act.engine.cancel(act.account, old.asset, old.oid, act.at)
    return _place(act, ask)


def _would_take(act: Act, ask: Ask) -> bool:
    book = act.engine.book(ASSETS[ask.asset], act.at.now_ns, 1)
    side = "buy" if ask.is_buy else "sell"
    return bool(sweep(book.against(side), side, ask.size, ask.price))


def modify(act: Act) -> Json:
    """Carry out `modify`: the answer tells neither oid nor status of the new order."""
    [one] = act.envelope.replacements
    placed = _replace(act, one)
    if "error" in placed:
        raise Refused(f"Error placing new order during modify: {placed['error']}")
    return success("default")


def batch_modify(act: Act) -> Json:
    """Carry out `batchModify`, each part on its own."""
    statuses: list[Json] = []
    for one in act.envelope.replacements:
        try:
            statuses.append(_replace(act, one))
        except Refused as refusal:
            statuses.append({"error": refusal.error})
    return success("order", {"statuses": statuses})


def noop(_act: Act) -> Json:
    """Carry out `noop`: the nonce is used, nothing else happens."""
    return success("default")


def schedule_cancel(act: Act) -> Json:
    """Refuse `scheduleCancel`, which small accounts do not have."""
    if act.account.volume >= SCHEDULE_VOLUME:
        raise Refused("Scheduled cancel time too early, must be at least 5 seconds from now.")
    traded = plain(rounded(act.account.volume, 2))
    raise Refused(
        f"Cannot set scheduled cancel time until enough volume traded. Required: ${SCHEDULE_VOLUME}. Traded: ${traded}."
    )


def update_leverage(act: Act) -> Json:
    """Carry out `updateLeverage`."""
    action = act.envelope.canonical
    number, value, is_cross = action["asset"], action["leverage"], action["isCross"]
    asset = ASSETS.get(number) if isinstance(number, int) else None
    if asset is None or asset.is_spot:
        raise Refused(f"Unknown coin {number}")
    if not isinstance(value, int) or not 1 <= value <= asset.most_leverage:
        raise Refused("Invalid leverage value")
    wanted = Leverage(value, is_cross=is_cross is True and not asset.only_isolated)
    if wanted.is_cross != leverage_of(act.account, asset).is_cross and asset.id in act.account.now.positions:
        raise Refused("Cannot switch leverage type with open position.")
    act.account.leverages[asset.id] = wanted
    return success("default")


def approve(act: Act) -> Json:
    """Carry out `approveAgent`."""
    approve_agent(act.state, act.account, act.envelope, act.at.venue_ms)
    return success("default")


def unsupported(act: Act) -> Json:
    """Refuse an action that the rehearsal does not play out."""
    raise Refused(UNSUPPORTED[act.envelope.kind])


TRADING: Final = frozenset({"order", "cancel", "cancelByCloid", "modify", "batchModify", "scheduleCancel"})
"""Actions that could place, change or cancel an order."""

ACTIONS: Final[dict[str, Callable[[Act], Json]]] = {
    "order": order,
    "cancel": cancel,
    "cancelByCloid": cancel,
    "modify": modify,
    "batchModify": batch_modify,
    "noop": noop,
    "scheduleCancel": schedule_cancel,
    "updateLeverage": update_leverage,
    "approveAgent": approve,
    **dict.fromkeys(UNSUPPORTED, unsupported),
}
