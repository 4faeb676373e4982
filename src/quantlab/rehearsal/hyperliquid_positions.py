"""Positions, margin and spot balances: what a fill changes, and what an order may still use."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.hyperliquid_book import ZERO, Account, Leverage, Order, Position, Standing
from quantlab.rehearsal.hyperliquid_markets import (
    ASSETS,
    BY_TOKEN,
    DEFAULT_LEVERAGE,
    Asset,
    fee_rate,
)
from quantlab.rehearsal.hyperliquid_wire import rounded

Mark = Callable[[Asset], Decimal]
"""Gives the mark price of an asset."""

FEE_DECIMALS: Final = 6
TOKEN_DECIMALS: Final = 8
PNL_DECIMALS: Final = 8


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one fill did to an account."""

    standing: Standing
    start: Decimal
    direction: str
    closed_pnl: Decimal
    fee: Decimal
    fee_token: str


def leverage_of(account: Account, asset: Asset) -> Leverage:
    """Return how an account margins an asset; unset it is 20x, or the asset's most."""
    default = Leverage(min(DEFAULT_LEVERAGE, asset.most_leverage), is_cross=not asset.only_isolated)
    return account.leverages.get(asset.id, default)


def apply_fill(
    account: Account, asset: Asset, *, is_buy: bool, price: Decimal, size: Decimal, maker: bool, now_ns: int
) -> Change:  # fmt: skip
    """Work out what a fill does to balances and positions."""
    if asset.is_spot:
        return _spot_fill(account, asset, is_buy=is_buy, price=price, size=size, maker=maker, now_ns=now_ns)
    standing = account.now
    held = standing.positions.get(asset.id, Position(size=ZERO, entry=ZERO))
    signed = size if is_buy else -size
    after = held.size + signed
    closed = min(abs(held.size), size) if held.size * signed < 0 else ZERO
    way = 1 if held.size > 0 else -1
    pnl = rounded(closed * (price - held.entry) * way, PNL_DECIMALS)
    fee = rounded(price * size * fee_rate(asset, maker=maker), FEE_DECIMALS)
    positions = dict(standing.positions)
    if after == 0:
        positions.pop(asset.id, None)
    else:
        positions[asset.id] = Position(size=after, entry=_entry(held, signed, after, price))
    return Change(
        standing=msgspec.structs.replace(
            standing, recorded_ns=now_ns, cash=standing.cash + pnl - fee, positions=positions
        ),
        start=held.size,
        direction=_direction(held.size, after, is_buy=is_buy),
        closed_pnl=pnl,
        fee=fee,
        fee_token="USDC",  # noqa: S106  a token of a chain, no secret
    )


def _entry(held: Position, signed: Decimal, after: Decimal, price: Decimal) -> Decimal:
    if held.size * after <= 0:
        return price
    if held.size * signed < 0:
        return held.entry
    return (held.entry * abs(held.size) + price * abs(signed)) / abs(after)


def _direction(before: Decimal, after: Decimal, *, is_buy: bool) -> str:
    if before * after < 0:
        return "Long > Short" if before > 0 else "Short > Long"
    if is_buy:
        return "Close Short" if before < 0 else "Open Long"
    return "Close Long" if before > 0 else "Open Short"


def _spot_fill(
    account: Account, asset: Asset, *, is_buy: bool, price: Decimal, size: Decimal, maker: bool, now_ns: int
) -> Change:  # fmt: skip
    """Swap two tokens; the fee is taken from the one received."""
    standing = account.now
    tokens, entries = dict(standing.tokens), dict(standing.entries)
    base, quote = tokens.get(asset.base, ZERO), tokens.get(asset.quote, ZERO)
    entry = entries.get(asset.base, ZERO)
    worth, rate = price * size, fee_rate(asset, maker=maker)
    pnl = ZERO
    if is_buy:
        fee, name = rounded(size * rate, TOKEN_DECIMALS), BY_TOKEN[asset.base].name
        tokens[asset.base], tokens[asset.quote] = base + size - fee, quote - worth
        entries[asset.base] = entry + worth
    else:
        fee, name = rounded(worth * rate, TOKEN_DECIMALS), BY_TOKEN[asset.quote].name
        tokens[asset.base], tokens[asset.quote] = base - size, quote + worth - fee
        share = rounded(entry * size / base, PNL_DECIMALS) if base else ZERO
        entries[asset.base] = entry - share
        pnl = rounded(worth - share, PNL_DECIMALS)
    return Change(
        standing=msgspec.structs.replace(standing, recorded_ns=now_ns, tokens=tokens, entries=entries),
        start=base,
        direction="Buy" if is_buy else "Sell",
        closed_pnl=pnl,
        fee=fee,
        fee_token=name,
    )


# -------------------------------------------------------------------- allowances


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """The perpetual side of an account at given prices."""

    value: Decimal
    notional: Decimal
    used: Decimal
    maintenance: Decimal
    raw: Decimal
    """Value without what the positions are worth (`totalRawUsd`)."""

    @property
    def free(self) -> Decimal:
        """What is not bound by positions."""
        return max(ZERO, self.value - self.used)


def margin_of(account: Account, standing: Standing, mark: Mark) -> Margin:
    """Value the perpetual side of an account."""
    value, notional, used, maintenance, signed = standing.cash, ZERO, ZERO, ZERO, ZERO
    for number, position in standing.positions.items():
        asset = ASSETS[number]
        price = mark(asset)
        worth = abs(position.size) * price
        value += position.size * (price - position.entry)
        notional += worth
        signed += position.size * price
        used += worth / leverage_of(account, asset).value
        maintenance += worth / (2 * asset.most_leverage)
    return Margin(value=value, notional=notional, used=used, maintenance=maintenance, raw=value - signed)


def bound_by_orders(account: Account) -> Decimal:
    """Return the margin that open perpetual orders bind."""
    total = ZERO
    for order in account.open_orders():
        asset = ASSETS[order.asset]
        if not asset.is_spot and not order.reduce_only:
            total += order.left * order.price / leverage_of(account, asset).value
    return total


def spot_holds(orders: list[Order]) -> dict[int, Decimal]:
    """Return what open spot orders hold, by token."""
    holds: dict[int, Decimal] = {}
    for order in orders:
        asset = ASSETS[order.asset]
        if not asset.is_spot:
            continue
        token = asset.quote if order.is_buy else asset.base
        amount = order.left * order.price if order.is_buy else order.left
        holds[token] = holds.get(token, ZERO) + amount
    return holds


def has_margin(account: Account, asset: Asset, order: Order, mark: Mark) -> bool:
    """Tell whether an account can carry a perpetual order on top of what it has."""
    held = account.now.positions.get(asset.id)
    signed = order.left if order.is_buy else -order.left
    opening = order.left
    if held is not None and held.size * signed < 0:
        opening = max(ZERO, order.left - abs(held.size))
    if order.reduce_only or opening == 0:
        return True
    needed = opening * order.price / leverage_of(account, asset).value
    free = margin_of(account, account.now, mark).free - bound_by_orders(account)
    return needed <= free


def has_balance(account: Account, asset: Asset, order: Order) -> bool:
    """Tell whether an account holds what a spot order may pay."""
    token = asset.quote if order.is_buy else asset.base
    needed = order.left * order.price if order.is_buy else order.left
    held = spot_holds(account.open_orders()).get(token, ZERO)
    return needed <= account.now.tokens.get(token, ZERO) - held


def deposit(account: Account, now_ns: int, *, cash: Decimal, tokens: dict[int, Decimal]) -> None:
    """Pay money in."""
    standing = account.now
    summed = {t: standing.tokens.get(t, ZERO) + amount for t, amount in tokens.items()}
    account.standings.append(
        msgspec.structs.replace(
            standing, recorded_ns=now_ns, cash=standing.cash + cash, tokens={**standing.tokens, **summed}
        )
    )
