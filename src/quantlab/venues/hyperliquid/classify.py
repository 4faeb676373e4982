"""What the venue's texts prove, as data. Whatever is not listed proves nothing.

Three tables: for an order that was sent, for a cancel, and for a burn. In a row's text ``*`` stands for what the venue
fills in; it may append `` asset=N``, the final point is optional, and case does not matter. Sources: hyperliquid.md 3.1
to 3.4 and 4.8 (texts), 9.1 and 9.3 (what they prove).
"""

from __future__ import annotations

import functools
import re
from typing import Final, Literal

import msgspec

from quantlab.model.execution import NOT_ADMITTED, Reached, SubmitOutcome
from quantlab.venues.port import ReadFailure

INFO_PATH: Final = "/info"
EXCHANGE_PATH: Final = "/exchange"

_STATUS_IN_TEXT: Final = re.compile(r"\b[45][0-9]{2}\b")

NonceWas = Literal["unused", "used", "closed", "nothing"]


class Rule(msgspec.Struct, frozen=True):
    """One row: its name, the venue's text with ``*`` for what varies, what it proves, and where that stands."""

    name: str
    text: str
    outcome: SubmitOutcome
    source: str

    def matches(self, error: str) -> bool:
        """Return whether ``error`` is this row's text."""
        return _pattern_of(self.text).fullmatch(error.strip()) is not None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer proves, and the name of the row that decided."""

    outcome: SubmitOutcome
    rule: str


@functools.cache
def _pattern_of(text: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in text.removesuffix(".").split("*"))
    return re.compile(".+?".join(parts) + r"\.?( asset=[0-9]+)?", re.IGNORECASE)


_4_8: Final = "hyperliquid.md 4.8"

# Refused before the action was admitted: its nonce stays unused, and the signed bytes can run later if the reason goes
# away. On a submit nothing is proven until they have expired.
_BEFORE_ADMISSION: Final = (
    Rule(NOT_ADMITTED + "unknown_signer", "User or API Wallet * does not exist.", "unknown", "3.3, rec 04"),
    Rule(NOT_ADMITTED + "unknown_signer", "L1 error: User or API Wallet * does not exist.", "unknown", "3.3"),
    Rule(NOT_ADMITTED + "no_deposit", "Must deposit before performing actions. User: *", "unknown", "3.3, rec 28"),
    Rule(NOT_ADMITTED + "signer_unrecovered", "Unable to recover signer.", "unknown", "2.3, rec 31"),
    Rule(NOT_ADMITTED + "unknown_vault", "Vault not registered: *", "unknown", "3.4"),
    Rule(NOT_ADMITTED + "vault_refused", "Vault may not perform this action.", "unknown", "3.4"),
    Rule(NOT_ADMITTED + "nonce_too_high", "Invalid nonce: nonce too high * > *", "unknown", "3.1"),
)

# Texts after which another copy of the request may have been carried out, or this one may be.
_AMBIGUOUS: Final = (
    Rule("duplicate_nonce", "Invalid nonce: duplicate nonce *", "unknown", "3.1, 9.3: an action with it was admitted"),
    Rule("nonce_too_low", "Invalid nonce: nonce too low * < *", "unknown", "3.1, 9.3: the memory may be gone"),
    Rule("address_limit", "Too many cumulative requests sent (*) for *", "unknown", "3.1: nonce use not known; rec 29"),
)

_EXPIRED: Final = Rule(
    "already_expired", "Action already expired", "rejected", "9.3: no effect, and none later; rec 28"
)

# The order's own status: it had no effect (9.3).
_ORDER_REFUSED: Final = (
    Rule("tick_size", "Price must be divisible by tick size.", "rejected", _4_8),
    Rule("minimum_value", "Order must have minimum value of *", "rejected", "4.2, 4.8, rec 03"),
    Rule("insufficient_margin", "Insufficient margin to place order.", "rejected", _4_8),
    Rule("reduce_only_increases", "Reduce only order would increase position.", "rejected", "4.3, rec 28"),
    Rule("post_only_crosses", "Post only order would have immediately matched, bbo was *", "rejected", "4.3"),
    Rule("no_match", "Order could not immediately match against any resting orders.", "rejected", "4.3"),
    Rule("no_liquidity", "No liquidity available for market order.", "rejected", _4_8),
    Rule("trigger_price", "Invalid TP/SL price.", "rejected", _4_8),
    Rule("interest_capped", "Order would increase open interest while open interest is capped", "rejected", _4_8),
    Rule(
        "interest_aggressive",
        "Order rejected due to price more aggressive than oracle while at open interest cap",
        "rejected",
        _4_8,
    ),
    Rule("interest_too_quick", "Order would increase open interest too quickly", "rejected", _4_8),
    Rule("spot_balance", "Insufficient spot balance", "rejected", _4_8),
    Rule("spot_balance", "(Spot-only) Order has insufficient spot balance to trade", "rejected", _4_8),
    Rule("oracle_price", "Order price too far from oracle", "rejected", _4_8),
    Rule("oracle_price", "Price too far from oracle", "rejected", "4.5"),
    Rule(
        "margin_tier",
        "Order would cause position to exceed margin tier limit at current leverage",
        "rejected",
        _4_8,
    ),
    Rule("invalid_size", "Order has invalid size.", "rejected", "4.1, 4.8"),
    Rule("zero_size", "Order has zero size.", "rejected", "4.1, 4.8"),
    Rule("invalid_price", "Order has invalid price.", "rejected", "4.1, 4.8"),
    Rule("no_orders", "Orders are empty.", "rejected", _4_8),
    Rule(
        "reference_price",
        "Order price cannot be more than *% away from the reference price",
        "rejected",
        "4.5, 4.8",
    ),
    Rule(
        "upgrade",
        "Only post-only orders allowed immediately after network upgrade",
        "rejected",
        _4_8,
    ),
    Rule(
        "upgrade",
        "Only post-only orders allowed immediately after a network upgrade",
        "rejected",
        _4_8,
    ),
    Rule("value_too_large", "Order value too large. Max is *", "rejected", "4.6, 4.8"),
    Rule("spot_trigger", "Placing trigger orders is not enabled on spot trading yet.", "rejected", _4_8),
    Rule("builder_fee", "Builder fee has not been approved.", "rejected", _4_8),
    Rule("spot_reduce_only", "Reduce-only is invalid for spot trading.", "rejected", _4_8),
    Rule("trigger_count", "Unexpected number of trigger orders", "rejected", _4_8),
)

SUBMIT_RULES: Final = (*_BEFORE_ADMISSION, *_AMBIGUOUS, _EXPIRED, *_ORDER_REFUSED)

CANCEL_RULES: Final = (
    *_BEFORE_ADMISSION,
    *_AMBIGUOUS,
    _EXPIRED,
    Rule(
        "nothing_open",
        "Order was never placed, already canceled, or filled.",
        "rejected",
        "4.8: one text for three cases",
    ),
)

BURN_RULES: Final = (*_BEFORE_ADMISSION, *_AMBIGUOUS)

# What a burn's text says of the nonce before it (9.3).
_NONCE_WAS: Final[dict[str, NonceWas]] = {"duplicate_nonce": "used", "nonce_too_low": "closed"}

# The edge refuses these before it reads an action out of the body (1.2, 9.3).
_NEVER_PARSED: Final = frozenset({400, 415, 422})

_HTTP_KINDS: Final[dict[int, ReadFailure]] = {429: "rate_limited"}


def classify_text(text: str, rules: tuple[Rule, ...]) -> Verdict:
    """Return what an error text proves."""
    rule = next((row for row in rules if row.matches(text)), None)
    if rule is None:
        return Verdict(outcome="unknown", rule="unlisted_error")
    return Verdict(outcome=rule.outcome, rule=rule.name)


def classify_unanswered(reached: Reached) -> Verdict:
    """Return what it proves that no whole answer came: never sent only when no byte of the request was written."""
    if reached in {"not_connected", "connected"}:
        return Verdict(outcome="never_sent", rule=reached)
    return Verdict(outcome="unknown", rule=f"no_whole_answer_{reached}")


def classify_effect_status(status: int) -> Verdict:
    """Return what an HTTP status other than 200 proves of an action.

    A body that was never parsed was not admitted; whether a 429 always comes before processing is not known.
    """
    if status in _NEVER_PARSED:
        return Verdict(outcome="unknown", rule=f"{NOT_ADMITTED}http_{status}")
    return Verdict(outcome="unknown", rule="http_status")


def nonce_was(rule: str) -> NonceWas:
    """Return what the deciding row of a burn says of the nonce before the burn."""
    return _NONCE_WAS.get(rule, "nothing")


def classify_http_status(status: int) -> ReadFailure:
    """Return the kind of failure of a read with an HTTP status other than 200."""
    if status >= 500:
        return "venue_fault"
    return _HTTP_KINDS.get(status, "bad_answer")


def classify_post_error(text: str) -> ReadFailure:
    """Return the kind of failure of a read by post that was answered by an error, whose text holds an HTTP status."""
    status = _STATUS_IN_TEXT.search(text)
    return "bad_answer" if status is None else classify_http_status(int(status.group()))


def needs_attempt(path: str, body: bytes) -> bool:
    """Return whether a request could place, change or cancel an order: all but the information endpoint."""
    del body
    return path != INFO_PATH
