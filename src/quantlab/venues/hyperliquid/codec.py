"""Answers about the venue, its markets and the account, as values. Pure. Orders are in `codec_orders`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from quantlab.kernel.clock import from_ns, rfc3339
from quantlab.model.execution import AccountFacts
from quantlab.model.instrument import Balance, Depth, Instrument, Level, Quote, SystemStatus, VenueTime
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import symbols

JSON: Final = ("Content-Type", "application/json")
SIGNIFICANT_FIGURES: Final = 5
_PERP_DECIMALS: Final = 6
_SPOT_DECIMALS: Final = 8
_MINIMUM_COST: Final = Decimal(10)
# The first tier, the highest: 0.045 % on perps and 0.07 % on spot. The account's own tier is not known here.
_PERP_FEE_BPS: Final = Decimal("4.5")
_SPOT_FEE_BPS: Final = Decimal(7)
_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_LATEST_MS: Final = 253_402_300_799_999
DOLLAR: Final = "USDC"


class NotListed(Exception):
    """The venue definitely has no market of that name. The text says what it has instead, where that helps."""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What an address is to the venue. ``owner`` is the master of a sub-account, or the account of an agent."""

    name: str
    owner: str | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A named agent of an account. Unnamed ones are not listed by the venue."""

    name: str
    address: str
    valid_until: datetime


def time_of_ms(value: object, where: str) -> datetime:
    """Return a time of milliseconds since 1970.

    Raises:
        BadAnswer: it is no whole number inside the calendar.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST_MS:
        raise BadAnswer(f"{where} is not a time")
    return from_ns(value * _NANOSECONDS_PER_MILLISECOND)


def parse_time(answer: object, *, asked_at: datetime, answered_at: datetime) -> VenueTime:
    """Return the venue's clock beside ours, ours taken at the middle of the exchange."""
    venue_at = time_of_ms(answers.as_object(answer, "exchangeStatus").get("time"), "time")
    local_at = asked_at + (answered_at - asked_at) / 2
    offset = venue_at - local_at
    offset_ms = (offset.days * 86_400 + offset.seconds) * 1000 + offset.microseconds // 1000
    return VenueTime(venue_at=venue_at, local_at=local_at, offset_ms=offset_ms, resolution_ms=1)


def parse_system_status(answer: object) -> SystemStatus:
    """Return the venue's mode: online without a special status; any such word is unknown to us, and stops a send."""
    row = answers.as_object(answer, "exchangeStatus")
    if "specialStatuses" not in row:
        raise BadAnswer("specialStatuses is missing")
    special = row["specialStatuses"]
    raw = msgspec.json.encode(special).decode("utf-8") if special else "null"
    return SystemStatus(mode="unknown" if special else "online", raw=f"specialStatuses: {raw}")


def parse_perp(meta: object, symbol: str) -> Instrument:
    """Return the rules of a perp; its asset number is its place in the list, delisted entries included.

    Raises:
        NotListed: no perp, or more than one, has this name in upper case.
        BadAnswer: the answer is not as documented.
    """
    universe = answers.as_list(answers.as_object(meta, "meta").get("universe"), "universe")
    rows = [answers.as_object(row, "universe") for row in universe]
    found = [(asset, row) for asset, row in enumerate(rows) if answers.text_in(row, "name").upper() == symbol]
    asset, row = _the_only(found, symbol)
    coin = answers.text_in(row, "name")
    size_decimals = _decimals_in(row, at_most=_PERP_DECIMALS)
    return _instrument(
        symbol=symbol,
        coin=coin,
        asset=asset,
        aliases=(),
        assets=(coin, DOLLAR),
        size_decimals=size_decimals,
        price_decimals=_PERP_DECIMALS - size_decimals,
        taker_fee_bps=_PERP_FEE_BPS,
        is_delisted=row.get("isDelisted") is True,
    )


def parse_spot(meta: object, symbol: str) -> Instrument:
    """Return the rules of a spot market, asked for as ``PURR-USDC`` or ``@107``; the answer bears our spelling.

    Raises:
        NotListed: no spot market, or more than one, has this name.
        BadAnswer: the answer is not as documented.
    """
    top = answers.as_object(meta, "spotMeta")
    tokens = {
        answers.integer_in(token, "index"): token
        for token in (answers.as_object(row, "tokens") for row in answers.as_list(top.get("tokens"), "tokens"))
    }
    found = []
    for row in (answers.as_object(one, "universe") for one in answers.as_list(top.get("universe"), "universe")):
        index = answers.integer_in(row, "index")
        base, quote = _pair_of(row, tokens)
        if base is None or quote is None:
            # A market of unlisted tokens has no name; asked for by its index, its rules can not be told.
            if symbol == f"@{index}":
                raise BadAnswer(f"the tokens of {symbol} are not listed")
            continue
        name = f"{answers.text_in(base, 'name')}-{answers.text_in(quote, 'name')}"
        if symbol in {name.upper(), f"@{index}"}:
            found.append((index, (row, base, quote)))
    index, (row, base, quote) = _the_only(found, symbol)
    base_name, quote_name = answers.text_in(base, "name"), answers.text_in(quote, "name")
    size_decimals = _decimals_in(base, at_most=_SPOT_DECIMALS)
    return _instrument(
        symbol=f"{base_name}-{quote_name}".upper(),
        coin=answers.text_in(row, "name"),
        asset=symbols.SPOT_ASSETS + index,
        aliases=(f"@{index}", f"{base_name}/{quote_name}"),
        assets=(symbols.spot_asset(base_name), symbols.spot_asset(quote_name)),
        size_decimals=size_decimals,
        price_decimals=_SPOT_DECIMALS - size_decimals,
        taker_fee_bps=_SPOT_FEE_BPS,
        is_delisted=False,
    )


def parse_quote(book: object, instrument: Instrument, *, read_at: datetime) -> Quote:
    """Return the best prices of an l2Book answer.

    Raises:
        BadAnswer: a side is empty, the book is crossed, or it is another market's.
    """
    bids, asks = _sides_of(book, instrument)
    bid, ask = _best(bids, "bids"), _best(asks, "asks")
    if bid >= ask or bid <= 0:
        raise BadAnswer(f"the book is crossed: bid {bid}, ask {ask}")
    return Quote(bid=bid, ask=ask, read_at=read_at)


def parse_depth(book: object, instrument: Instrument, *, read_at: datetime) -> Depth:
    """Return the levels of an l2Book answer; an empty side is one without levels.

    Raises:
        BadAnswer: a level is malformed, the book is crossed or in disorder, or it is another market's.
    """
    bids, asks = _sides_of(book, instrument)
    depth = Depth(bids=_levels(bids, "bids"), asks=_levels(asks, "asks"), read_at=read_at)
    flaw = depth.flaw()
    if flaw is not None:
        raise BadAnswer(flaw)
    return depth


def parse_balances(perp: object, spot: object) -> tuple[Balance, ...]:
    """Return margin and positions of the perp side, and the tokens of the spot side.

    ``USDC`` is what perps are paid with: the perp side's own, or the spot side's in an account that joins both, where
    the perp side's figure says nothing. A position stands under its coin, a short one below zero.
    """
    margin = answers.as_object(perp, "clearinghouseState")
    holdings = answers.as_object(spot, "spotClearinghouseState")
    tokens = tuple(_token_balance(row) for row in answers.as_list(holdings.get("balances"), "balances"))
    limits = holdings.get("tokenToAvailableAfterMaintenance")
    if limits is None:
        summary = answers.as_object(margin.get("marginSummary"), "marginSummary")
        total = answers.decimal_in(summary, "accountValue")
        available = min(total, answers.decimal_in(margin, "withdrawable"))
    else:
        dollars = [one for one in tokens if one.asset == DOLLAR]
        total = sum((one.total for one in dollars), Decimal(0))
        available = min(sum((one.available for one in dollars), Decimal(0)), _available_after(limits))
    positions = tuple(
        _position(answers.as_object(row, "assetPositions"))
        for row in answers.as_list(margin.get("assetPositions"), "assetPositions")
    )
    named = (Balance(asset=symbols.spot_asset(one.asset), total=one.total, available=one.available) for one in tokens)
    dollar = Balance(asset=DOLLAR, total=total, available=available)
    return tuple(sorted((dollar, *positions, *named), key=lambda balance: balance.asset))


def parse_role(answer: object) -> Role:
    """Return the answer of userRole."""
    row = answers.as_object(answer, "userRole")
    name = answers.text_in(row, "role")
    member = {"agent": "user", "subAccount": "master"}.get(name)
    if member is None:
        return Role(name=name)
    return Role(name=name, owner=answers.text_in(answers.as_object(row.get("data"), "data"), member).lower())


def parse_vault_leader(answer: object) -> str:
    """Return who leads a vault."""
    return answers.text_in(answers.as_object(answer, "vaultDetails"), "leader").lower()


def parse_agents(answer: object) -> tuple[Agent, ...]:
    """Return the named agents of an account."""
    rows = [answers.as_object(row, "extraAgents") for row in answers.as_list(answer, "extraAgents")]
    return tuple(
        Agent(
            name=answers.text_in(row, "name"),
            address=answers.text_in(row, "address").lower(),
            valid_until=time_of_ms(row.get("validUntil"), "validUntil"),
        )
        for row in rows
    )


def parse_rate_budget(answer: object) -> tuple[int, int]:
    """Return how many requests an account has used, and how many it may make in all."""
    row = answers.as_object(answer, "userRateLimit")
    return answers.integer_in(row, "nRequestsUsed"), answers.integer_in(row, "nRequestsCap")


def account_facts(
    *, account: str, role: Role, master: str, signer: str, signer_role: Role, agents: tuple[Agent, ...], now: datetime
) -> AccountFacts:
    """Return what a signer may do for an account.

    Args:
        account: The account that trades.
        role: What the account is.
        master: Who owns it: itself, or a sub-account's master, or a vault's leader.
        signer: The address that signs.
        signer_role: What the signer is.
        agents: The named agents of the master.
        now: For the agents' expiry. An unnamed agent shows none.
    """
    is_owner = signer in {account, master}
    is_agent = signer_role.name == "agent" and signer_role.owner == master
    named = next((agent for agent in agents if agent.address == signer), None)
    is_expired = named is not None and named.valid_until <= now
    exists = role.name in {"user", "subAccount", "vault"}
    relation = "owner" if is_owner else "agent" if is_agent else "stranger"
    return AccountFacts(
        identity=account,
        identity_source="venue_account",
        key_name=named.name if named is not None else None,
        permissions=(f"account:{role.name}", f"signer:{relation}", f"signer_role:{signer_role.name}"),
        can_trade=exists and (is_owner or (is_agent and not is_expired)),
        can_withdraw=is_owner,
        can_read_open_orders=True,
        can_read_closed_orders=True,
        can_read_funds=True,
        can_stream=True,
        nonce_window=0,
        query_from=None,
        query_to=None,
        valid_until=None if named is None else rfc3339(named.valid_until),
    )


def _instrument(
    *,
    symbol: str,
    coin: str,
    asset: int,
    aliases: tuple[str, ...],
    assets: tuple[str, str],
    size_decimals: int,
    price_decimals: int,
    taker_fee_bps: Decimal,
    is_delisted: bool,
) -> Instrument:
    step = Decimal(1).scaleb(-size_decimals)
    names = {alias for alias in aliases if alias != coin} | {symbols.asset_alias(asset)}
    return Instrument(
        symbol=symbol,
        venue_symbol=coin,
        venue_symbol_aliases=tuple(sorted(names)),
        base_asset=assets[0],
        quote_asset=assets[1],
        price_increment=Decimal(1).scaleb(-price_decimals),
        price_decimals=price_decimals,
        size_increment=step,
        size_decimals=size_decimals,
        minimum_size=step,
        minimum_cost=_MINIMUM_COST,
        taker_fee_bps=taker_fee_bps,
        # A delisted market keeps its place in the list and takes no new orders.
        mode="cancel_only" if is_delisted else "online",
        significant_figures=SIGNIFICANT_FIGURES,
        margined=assets[1] == DOLLAR,
    )


def _the_only(found: list[tuple[int, Any]], symbol: str) -> tuple[int, Any]:
    if not found:
        raise NotListed(f"the venue lists no market {symbol}")
    if len(found) > 1:
        numbers = ", ".join(str(number) for number, _ in found)
        raise NotListed(f"{symbol} names {len(found)} markets of the venue (numbers {numbers})")
    return found[0]


def _pair_of(
    row: Mapping[str, Any], tokens: Mapping[int, Mapping[str, Any]]
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    pair = answers.as_list(row.get("tokens"), "tokens")
    if len(pair) != 2 or not all(isinstance(index, int) for index in pair):
        raise BadAnswer("a spot market is not of two tokens")
    return tokens.get(pair[0]), tokens.get(pair[1])


def _decimals_in(row: Mapping[str, Any], *, at_most: int) -> int:
    count = answers.integer_in(row, "szDecimals")
    if not 0 <= count <= at_most:
        raise BadAnswer("szDecimals is out of range")
    return count


def _sides_of(book: object, instrument: Instrument) -> tuple[Sequence[Any], Sequence[Any]]:
    row = answers.as_object(book, "l2Book")
    coin = answers.text_in(row, "coin")
    if coin not in {instrument.venue_symbol, *instrument.venue_symbol_aliases}:
        raise BadAnswer(f"the book is of {coin}, not of {instrument.venue_symbol}")
    sides = answers.as_list(row.get("levels"), "levels")
    if len(sides) != 2:
        raise BadAnswer("levels has not two sides")
    return answers.as_list(sides[0], "bids"), answers.as_list(sides[1], "asks")


def _levels(side: Sequence[Any], where: str) -> tuple[Level, ...]:
    rows = [answers.as_object(row, where) for row in side]
    return tuple(Level(price=answers.decimal_in(row, "px"), size_base=answers.decimal_in(row, "sz")) for row in rows)


def _best(levels: Sequence[Any], where: str) -> Decimal:
    if not levels:
        raise BadAnswer(f"the book has no {where}")
    return answers.decimal_in(answers.as_object(levels[0], where), "px")


def _token_balance(value: object) -> Balance:
    row = answers.as_object(value, "balances")
    total = answers.decimal_in(row, "total")
    return Balance(asset=answers.text_in(row, "coin"), total=total, available=total - answers.amount_in(row, "hold"))


def _available_after(limits: object) -> Decimal:
    """Return what is left of token 0, the dollar, after maintenance margin; nothing when it is not listed."""
    for pair in answers.as_list(limits, "tokenToAvailableAfterMaintenance"):
        if len(answers.as_list(pair, "tokenToAvailableAfterMaintenance")) == 2 and pair[0] == 0:
            return answers.as_decimal(pair[1], "tokenToAvailableAfterMaintenance")
    return Decimal(0)


def _position(row: Mapping[str, Any]) -> Balance:
    position = answers.as_object(row.get("position"), "position")
    size = answers.decimal_in(position, "szi")
    return Balance(asset=answers.text_in(position, "coin"), total=size, available=size)
