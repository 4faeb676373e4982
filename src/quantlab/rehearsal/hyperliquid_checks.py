"""Checks of orders: static ones that refuse a whole batch, runtime ones that reject one order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from quantlab.rehearsal.hyperliquid_actions import Ask, Envelope
from quantlab.rehearsal.hyperliquid_book import Account, Order
from quantlab.rehearsal.hyperliquid_knobs import MINIMUM, Rules
from quantlab.rehearsal.hyperliquid_markets import ASSETS, BY_TOKEN, SPOT_BASE, Asset
from quantlab.rehearsal.hyperliquid_positions import Mark, has_balance, has_margin
from quantlab.rehearsal.hyperliquid_wire import Refused, plain
from quantlab.rehearsal.matching import BUY, Book

if TYPE_CHECKING:
    from quantlab.rehearsal.hyperliquid_engine import Moment

HUNDRED: Final = 100


class Rejected(Exception):
    """The engine rejects one order.

    Attributes:
        error: The text of its status, with the asset.
        status: The status of the record that stays.
    """

    def __init__(self, error: str, status: str, asset: int) -> None:
        super().__init__(error)
        self.error = f"{error} asset={asset}"
        self.status = status


# ------------------------------------------------------------------------ static


def check_batch(asks: tuple[Ask, ...], mode: str, rules: Rules, mark: Mark) -> str | None:
    """Check a batch of orders as a whole.

    Returns:
        The one error for all of them, None when each goes on to the engine.

    Raises:
        Refused: an order names an asset that does not exist.
    """
    if not asks:
        return "Orders are empty."
    for ask in asks:
        if ask.asset not in ASSETS:
            raise Refused("Invalid spot" if ask.asset >= SPOT_BASE else f"Unknown coin {ask.asset}")
    if mode == "post_only" and any(ask.tif != "Alo" for ask in asks):
        return rules.post_only_text
    for ask in asks:
        error = _static(ask, ASSETS[ask.asset], rules, mark)
        if error is not None:
            return error
    return None


def _static(ask: Ask, asset: Asset, rules: Rules, mark: Mark) -> str | None:
    if asset.is_spot and ask.reduce_only:
        return "Reduce-only is invalid for spot trading."
    if not ask.tif:
        spot = "Placing trigger orders is not enabled on spot trading yet."
        return spot if asset.is_spot else "Unexpected number of trigger orders"
    if ask.size == 0:
        return "Order has zero size."
    if not asset.is_size(ask.size):
        return "Order has invalid size."
    if ask.price == 0 or (rules.tick_check == "static" and not asset.is_price(ask.price)):
        return "Order has invalid price."
    reference, near = mark(asset), Decimal(HUNDRED - rules.band_percent) / HUNDRED
    if not reference * near < ask.price <= reference / near:
        return f"Order price cannot be more than {rules.band_percent}% away from the reference price"
    return None


def check_envelope(envelope: Envelope, rules_weight: int) -> None:
    """Check what no batch may have, before anything of it is placed.

    Raises:
        Refused: too many parts for one signature.
    """
    if envelope.weight > rules_weight:
        raise Refused(f"Signed action over weight limit of {rules_weight}.")


# ----------------------------------------------------------------------- runtime


def check_order(
    account: Account, asset: Asset, order: Order, book: Book, mark: Mark, at: Moment
) -> Order:  # fmt: skip
    """Check one order at its turn in the engine.

    Returns:
        The order, a reduce-only one shrunk to the position.

    Raises:
        Rejected: with the text and the status of the record that stays.
    """
    if not asset.is_price(order.price):
        raise Rejected("Price must be divisible by tick size.", "tickRejected", asset.id)
    if asset.is_delisted:
        raise Rejected("Trading is halted.", "rejected", asset.id)
    _check_cloid(account, order, at.rules)
    if len(account.open_oids) >= at.limits.open_orders:
        raise Rejected("Too many open orders.", "tooManyOpenOrdersRejected", asset.id)
    whole = _closes_all(account, asset, order)
    if order.reduce_only:
        order = _shrunk(account, asset, order)
    crossing = _crosses(order, book)
    if asset.is_spot:
        _check_spot(account, asset, order, book, crossing=crossing)
    else:
        _check_perp(account, asset, order, mark, at.rules, exempt=whole)
    if order.tif == "Alo" and crossing:
        best = f"{plain(book.bids[0].price)}@{plain(book.asks[0].price)}"
        text = f"Post only order would have immediately matched, bbo was {best}."
        raise Rejected(text, "badAloPxRejected", asset.id)
    if order.tif == "Ioc" and not crossing:
        text = "Order could not immediately match against any resting orders."
        raise Rejected(text, "iocCancelRejected", asset.id)
    return order


def _check_cloid(account: Account, order: Order, rules: Rules) -> None:
    if order.cloid is None or not rules.open_cloid:
        return
    if any(other.cloid == order.cloid for other in account.open_orders()):
        raise Rejected(rules.open_cloid, "rejected", order.asset)


def _crosses(order: Order, book: Book) -> bool:
    levels = book.against(BUY if order.is_buy else "sell")
    if not levels:
        return False
    best = levels[0].price
    return best <= order.price if order.is_buy else best >= order.price


def _closes_all(account: Account, asset: Asset, order: Order) -> bool:
    """Tell whether an order closes the whole position (or, reduce-only, more than it)."""
    held = account.now.positions.get(asset.id)
    if held is None or (held.size > 0) == order.is_buy:
        return False
    return order.size >= abs(held.size) if order.reduce_only else order.size == abs(held.size)


def _shrunk(account: Account, asset: Asset, order: Order) -> Order:
    held = account.now.positions.get(asset.id)
    if held is None or (held.size > 0) == order.is_buy:
        text = "Reduce only order would increase position."
        raise Rejected(text, "reduceOnlyRejected", asset.id)
    return msgspec.structs.replace(order, left=min(order.left, abs(held.size)))


def _check_perp(
    account: Account, asset: Asset, order: Order, mark: Mark, rules: Rules, *, exempt: bool
) -> None:  # fmt: skip
    readings: dict[str, Callable[[], Decimal]] = {
        "limit": lambda: order.price,
        "mark": lambda: mark(asset),
        "lower": lambda: min(order.price, mark(asset)),
    }
    price = readings[rules.minimum_by]()
    if not exempt and order.size * price < MINIMUM:
        text = f"Order must have minimum value of ${MINIMUM}."
        raise Rejected(text, "minTradeNtlRejected", asset.id)
    if not has_margin(account, asset, order, mark):
        raise Rejected("Insufficient margin to place order.", "perpMarginRejected", asset.id)


def _check_spot(
    account: Account, asset: Asset, order: Order, book: Book, *, crossing: bool
) -> None:  # fmt: skip
    levels = book.against(BUY if order.is_buy else "sell")
    price = levels[0].price if crossing else order.price
    if (crossing or order.tif != "Ioc") and order.size * price < MINIMUM:
        quote = BY_TOKEN[asset.quote].name
        text = f"Order must have minimum value of {MINIMUM} {quote}."
        raise Rejected(text, "minTradeSpotNtlRejected", asset.id)
    if not has_balance(account, asset, order):
        raise Rejected("Insufficient spot balance", "insufficientSpotBalanceRejected", asset.id)
