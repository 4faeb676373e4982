"""Answers about the venue, the market and the account, as values. Pure. Orders are in `codec_orders`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import msgspec

from quantlab.model.execution import AccountFacts
from quantlab.model.instrument import (
    Balance,
    Depth,
    Instrument,
    Level,
    MarketMode,
    Quote,
    SystemStatus,
    VenueTime,
)
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.kraken import symbols
from quantlab.venues.kraken.auth import fingerprint

FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
_MODES: Final[dict[str, MarketMode]] = {
    "online": "online",
    "cancel_only": "cancel_only",
    "post_only": "post_only",
    "limit_only": "limit_only",
    "reduce_only": "reduce_only",
    "maintenance": "maintenance",
}
# The venue's clock is read in whole seconds: half of one is the best guess of the rest.
_TIME_RESOLUTION_MS: Final = 1000
_BPS_PER_PERCENT: Final = 100
_MOST_DECIMALS: Final = 18
_UNSET: Final = frozenset({"", "0"})


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The frame of every REST answer: the venue's error texts, and the result if there is one."""

    errors: tuple[str, ...]
    result: Any


def parse_envelope(body: bytes) -> Envelope:
    """Return the frame of an answer.

    Raises:
        BadAnswer: it is no JSON object with a list of texts under ``error``.
    """
    frame = answers.as_object(answers.parse_json(body), "the answer")
    errors = answers.as_texts(frame.get("error"), "error")
    return Envelope(errors=errors, result=frame.get("result"))


def form_text(fields: Mapping[str, str]) -> str:
    """Return form-encoded text, the fields in the order given; ``+`` and spaces are percent-encoded."""
    return "&".join(f"{key}={quote(value, safe='')}" for key, value in fields.items())


def parse_time(result: object, *, asked_at: datetime, answered_at: datetime) -> VenueTime:
    """Return the venue's clock beside ours, both taken at the middle of the exchange."""
    row = answers.as_object(result, "result")
    venue_at = answers.unix_time_in(row, "unixtime")
    if venue_at is None:
        raise BadAnswer("unixtime is missing")
    venue_at += timedelta(milliseconds=_TIME_RESOLUTION_MS // 2)
    local_at = asked_at + (answered_at - asked_at) / 2
    return VenueTime(
        venue_at=venue_at,
        local_at=local_at,
        offset_ms=(venue_at - local_at) // timedelta(milliseconds=1),
        resolution_ms=_TIME_RESOLUTION_MS,
    )


def parse_system_status(result: object) -> SystemStatus:
    """Return the venue's mode; a word we do not know is kept as ``unknown``, which lets nothing through."""
    raw = answers.text_in(answers.as_object(result, "result"), "status")
    return SystemStatus(mode=_MODES.get(raw, "unknown"), raw=raw)


def parse_instrument(result: object, symbol: str) -> Instrument:
    """Return the one market of an AssetPairs answer that was asked for ``symbol``."""
    venue_symbol, row = _only(result, "result")
    base = symbols.asset_of(answers.text_in(row, "base"))
    quote_asset = symbols.asset_of(answers.text_in(row, "quote"))
    if f"{base}-{quote_asset}" != symbol:
        raise BadAnswer(f"the market is {base}-{quote_asset}, not {symbol}")
    price_decimals = _decimals_in(row, "pair_decimals")
    size_decimals = _decimals_in(row, "lot_decimals")
    tick = Decimal(1).scaleb(-price_decimals)
    if row.get("tick_size") is not None:
        tick = answers.decimal_in(row, "tick_size")
    if tick <= 0:
        raise BadAnswer("tick_size is not positive")
    aliases = {
        answers.text_in(row, "altname"),
        answers.optional_text_in(row, "wsname") or venue_symbol,
    } | symbols.spellings_of(symbol, venue_symbol)
    return Instrument(
        symbol=symbol,
        venue_symbol=venue_symbol,
        venue_symbol_aliases=tuple(sorted(aliases - {venue_symbol})),
        base_asset=base,
        quote_asset=quote_asset,
        price_increment=tick,
        price_decimals=price_decimals,
        size_increment=Decimal(1).scaleb(-size_decimals),
        size_decimals=size_decimals,
        minimum_size=answers.amount_in(row, "ordermin"),
        minimum_cost=answers.amount_in(row, "costmin"),
        taker_fee_bps=_highest_fee_bps(row),
        mode=_MODES.get(answers.optional_text_in(row, "status") or "", "unknown"),
    )


def parse_quote(result: object, instrument: Instrument, *, read_at: datetime) -> Quote:
    """Return the best prices of a Depth answer.

    Raises:
        BadAnswer: a side is empty, the book is crossed, or it is another market's.
    """
    row = _book_of(result, instrument)
    bid = _best(row, "bids")
    ask = _best(row, "asks")
    if bid >= ask or bid <= 0:
        raise BadAnswer(f"the book is crossed: bid {bid}, ask {ask}")
    return Quote(bid=bid, ask=ask, read_at=read_at)


def parse_depth(result: object, instrument: Instrument, *, read_at: datetime) -> Depth:
    """Return the levels of a Depth answer; an empty side is one without levels.

    Raises:
        BadAnswer: a level is malformed, the book is crossed or in disorder, or it is another market's.
    """
    row = _book_of(result, instrument)
    depth = Depth(bids=_levels(row, "bids"), asks=_levels(row, "asks"), read_at=read_at)
    flaw = depth.flaw()
    if flaw is not None:
        raise BadAnswer(flaw)
    return depth


def parse_balances(result: object) -> tuple[Balance, ...]:
    """Return the funds of a BalanceEx answer; what open orders hold is not available."""
    balances = []
    for name, value in answers.as_object(result, "result").items():
        row = answers.as_object(value, name)
        total = answers.decimal_in(row, "balance")
        available = total - answers.decimal_in(row, "hold_trade")
        # Plain accounts have no credit line, and then the members are absent.
        if row.get("credit") is not None:
            available += answers.decimal_in(row, "credit")
        if row.get("credit_used") is not None:
            available -= answers.decimal_in(row, "credit_used")
        balances.append(Balance(asset=symbols.asset_of(name), total=total, available=available))
    return tuple(sorted(balances, key=lambda balance: balance.asset))


def parse_account(result: object, *, signer_id: str) -> AccountFacts:
    """Return what GetApiKeyInfo says of the key in use.

    The members are documented in camelCase and seen in snake_case; both are read (kraken.md 1.4).

    Raises:
        BadAnswer: a member is missing, or the answer is about another key.
    """
    row = {_camel(key): value for key, value in answers.as_object(result, "result").items()}
    reported = answers.optional_text_in(row, "apiKey")
    if reported is not None and fingerprint(reported) != signer_id:
        raise BadAnswer("the venue answered about another key")
    permissions = answers.as_texts(row.get("permissions"), "permissions")
    iban = answers.optional_text_in(row, "iban")
    identity = f"key-sha256:{signer_id}"
    if iban is not None:
        compact = "".join(iban.split()).upper()
        identity = f"iban-sha256:{hashlib.sha256(compact.encode('utf-8')).hexdigest()[:32]}"
    return AccountFacts(
        identity=identity,
        identity_source="public_key_sha256" if iban is None else "venue_account",
        key_name=answers.optional_text_in(row, "apiKeyName"),
        permissions=permissions,
        can_trade="modify-trades" in permissions,
        can_withdraw="withdraw-funds" in permissions,
        can_read_open_orders="query-open-trades" in permissions,
        can_read_closed_orders="query-closed-trades" in permissions,
        can_read_funds="query-funds" in permissions,
        can_stream="create-ws-token" in permissions,
        nonce_window=_whole_number(row.get("nonceWindow")),
        query_from=_limit_text(row.get("queryFrom")),
        query_to=_limit_text(row.get("queryTo")),
        valid_until=_limit_text(row.get("validUntil")),
    )


def account_details(facts: AccountFacts) -> tuple[tuple[str, str], ...]:
    """Return what the venue says of the key in use, as labels and texts for a person."""
    window = facts.nonce_window
    return (
        ("key name", facts.key_name or "none"),
        ("key valid until", facts.valid_until or "no end"),
        ("nonce window", "not shown" if window is None else str(window)),
        ("permissions", ", ".join(facts.permissions) or "none"),
    )


def parse_stream_token(result: object) -> str:
    """Return the token of GetWebSocketsToken."""
    token = answers.text_in(answers.as_object(result, "result"), "token")
    if not token:
        raise BadAnswer("token is empty")
    return token


def _only(result: object, where: str) -> tuple[str, Mapping[str, Any]]:
    rows = answers.as_object(result, where)
    if len(rows) != 1:
        raise BadAnswer(f"{where} has {len(rows)} markets where one was asked for")
    name, row = next(iter(rows.items()))
    return name, answers.as_object(row, name)


def _decimals_in(row: Mapping[str, Any], key: str) -> int:
    count = answers.integer_in(row, key)
    if not 0 <= count <= _MOST_DECIMALS:
        raise BadAnswer(f"{key} is out of range")
    return count


def _highest_fee_bps(row: Mapping[str, Any]) -> Decimal:
    """Return the taker fee of the first tier, the highest: the account's own tier is not known here."""
    tiers = answers.as_list(row.get("fees"), "fees")
    if not tiers:
        raise BadAnswer("fees is empty")
    first = answers.as_list(tiers[0], "fees")
    if len(first) != 2:
        raise BadAnswer("fees is not a list of pairs")
    return answers.as_decimal(first[1], "fees") * _BPS_PER_PERCENT


def _book_of(result: object, instrument: Instrument) -> Mapping[str, Any]:
    name, row = _only(result, "result")
    if name not in {instrument.venue_symbol, *instrument.venue_symbol_aliases}:
        raise BadAnswer(f"the book is of {name}, not of {instrument.venue_symbol}")
    return row


def _levels(row: Mapping[str, Any], side: str) -> tuple[Level, ...]:
    levels = [answers.as_list(level, side) for level in answers.as_list(row.get(side), side)]
    if any(len(level) < 2 for level in levels):
        raise BadAnswer(f"a level of {side} has no price and size")
    return tuple(
        Level(price=answers.as_decimal(level[0], side), size_base=answers.as_decimal(level[1], side))
        for level in levels
    )


def _best(row: Mapping[str, Any], side: str) -> Decimal:
    levels = answers.as_list(row.get(side), side)
    if not levels:
        raise BadAnswer(f"the book has no {side}")
    level = answers.as_list(levels[0], side)
    if not level:
        raise BadAnswer(f"a level of {side} is empty")
    return answers.as_decimal(level[0], side)


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _whole_number(value: object) -> int | None:
    """Return an integer that is written as a number or as text; None when the venue does not say."""
    if value is None or value == "":
        return None
    number = answers.as_decimal(value, "nonceWindow")
    if number != number.to_integral_value():
        raise BadAnswer("nonceWindow is not a whole number")
    return int(number)


def _limit_text(value: object) -> str | None:
    """Return a bound of the key as text, unix seconds as RFC 3339; None when there is no such bound."""
    if value is None or str(value) in _UNSET:
        return None
    if isinstance(value, str) and not value.isdigit():
        return value
    seconds = answers.unix_time_in({"bound": value}, "bound")
    if seconds is None:
        return None
    return seconds.strftime("%Y-%m-%dT%H:%M:%SZ")
