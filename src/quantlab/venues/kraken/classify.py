"""What the venue's error texts prove, as data. Whatever is not listed proves nothing.

Three tables: for an order that was sent, for a cancel, and for reads. Each row is an exact text or, where
the venue appends a detail, a text followed by ``:``. Sources: kraken.md 4.1 and 4.4 (the official error
pages of 2026-05 and 2026-08), 3.4 and 4.2 (measured on the live venue), 9.1 (incident reports).
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from quantlab.model.execution import Reached, SubmitOutcome
from quantlab.venues.port import ReadFailure

PRIVATE_PREFIX: Final = "/0/private/"
PUBLIC_PREFIX: Final = "/0/public/"
ADD_ORDER_PATH: Final = "/0/private/AddOrder"
CANCEL_ORDER_PATH: Final = "/0/private/CancelOrder"

_FREE_PATHS: Final = frozenset(
    {
        *(PUBLIC_PREFIX + name for name in ("Time", "SystemStatus", "AssetPairs", "Depth")),
        *(
            PRIVATE_PREFIX + name
            for name in (
                "BalanceEx",
                "ClosedOrders",
                "GetApiKeyInfo",
                "GetWebSocketsToken",
                "OpenOrders",
                "QueryOrders",
                "QueryTrades",
                "TradesHistory",
            )
        ),
    }
)
# A flat form with plain keys and nothing else: no JSON, no encoded key, no bracket can hide a second meaning.
_PLAIN_FORM: Final = re.compile(rb"[a-z0-9_]+=[A-Za-z0-9._~%-]*(&[a-z0-9_]+=[A-Za-z0-9._~%-]*)*")


class Rule(msgspec.Struct, frozen=True):
    """One row: the venue's text, what it proves, where that stands, and whether a detail may follow ``:``."""

    name: str
    text: str
    outcome: SubmitOutcome
    source: str
    detail: bool = False

    def matches(self, error: str) -> bool:
        """Return whether ``error`` is this row's text."""
        return error == self.text or (self.detail and error.startswith(self.text + ":"))


class ReadRule(msgspec.Struct, frozen=True):
    """One row for reads: the venue's text, and the kind of failure it means."""

    text: str
    kind: ReadFailure
    detail: bool = False

    def matches(self, error: str) -> bool:
        """Return whether ``error`` is this row's text."""
        return error == self.text or (self.detail and error.startswith(self.text + ":"))


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer proves, and the name of the row that decided."""

    outcome: SubmitOutcome
    rule: str


_LISTED: Final = "kraken.md 4.1, 4.4"

# Texts that name a request which never reached order handling, whatever was asked.
_REQUEST_REFUSED: Final = (
    Rule("permission_denied", "EGeneral:Permission denied", "rejected", _LISTED),
    Rule("unknown_method", "EGeneral:Unknown method", "rejected", _LISTED),
    Rule("temporary_lockout", "EGeneral:Temporary lockout", "rejected", _LISTED),
    Rule("invalid_key", "EAPI:Invalid key", "rejected", _LISTED),
    Rule("invalid_signature", "EAPI:Invalid signature", "rejected", _LISTED),
    Rule("api_rate_limit", "EAPI:Rate limit exceeded", "rejected", _LISTED),
    Rule("bad_request", "EAPI:Bad request", "rejected", _LISTED),
    Rule("feature_disabled", "EAPI:Feature disabled", "rejected", _LISTED),
    Rule("account_disabled", "EAuth:Account temporary disabled", "rejected", _LISTED),
    Rule("account_unconfirmed", "EAuth:Account unconfirmed", "rejected", _LISTED),
    Rule("auth_failed", "EAuth:Failed", "rejected", _LISTED),
    Rule("auth_rate_limit", "EAuth:Rate limit exceeded", "rejected", _LISTED),
    Rule("auth_too_many", "EAuth:Too many requests", "rejected", _LISTED),
    Rule("account_permissions", "EAccount:Invalid permissions", "rejected", _LISTED, detail=True),
    Rule("order_rate_limit", "EOrder:Rate limit exceeded", "rejected", _LISTED),
    Rule("domain_rate_limit", "EOrder:Domain rate limit exceeded", "rejected", _LISTED),
)

# Texts after which the request may have been carried out, or another copy of it may have been.
_AMBIGUOUS: Final = (
    Rule("invalid_nonce", "EAPI:Invalid nonce", "unknown", "kraken.md 2.2, 4.4, 9.1 blackbird#529"),
    Rule("unavailable", "EService:Unavailable", "unknown", _LISTED),
    Rule("busy", "EService:Busy", "unknown", _LISTED),
    Rule("service_timeout", "EService:Timeout", "unknown", _LISTED),
    Rule("deadline_elapsed", "EService:Deadline elapsed", "unknown", "kraken.md 3.5, 4.4"),
    Rule("throttled", "EService:Throttled", "unknown", _LISTED, detail=True),
    Rule("internal_error", "EGeneral:Internal error", "unknown", _LISTED, detail=True),
    Rule("database_error", "EDatabase:Internal error", "unknown", _LISTED),
    Rule("too_many_requests", "EGeneral:Too many requests", "unknown", _LISTED),
)

_CLIENT_ID_IN_USE: Final = Rule(
    "client_id_in_use",
    "EGeneral:Invalid arguments:cl_ord_id not unique",
    "unknown",
    "kraken.md 3.4: an open order holds this id, and it may be this very order",
)

_NAMES_REFUSED: Final = (
    Rule("unknown_pair", "EQuery:Unknown asset pair", "rejected", _LISTED),
    Rule("unknown_asset", "EQuery:Unknown asset", "rejected", _LISTED),
    Rule("invalid_pair", "EQuery:Invalid asset pair", "rejected", _LISTED),
)

_ORDER_REFUSED: Final = (
    Rule("invalid_arguments", "EGeneral:Invalid arguments", "rejected", _LISTED, detail=True),
    Rule("insufficient_funds", "EOrder:Insufficient funds", "rejected", _LISTED),
    Rule("minimum_size", "EOrder:Order minimum not met", "rejected", _LISTED),
    Rule("minimum_cost", "EOrder:Cost minimum not met", "rejected", _LISTED),
    Rule("tick_size", "EOrder:Tick size check failed", "rejected", _LISTED),
    Rule("invalid_price", "EOrder:Invalid price", "rejected", "kraken.md 3.2", detail=True),
    Rule("invalid_order", "EOrder:Invalid order", "rejected", _LISTED),
    Rule("orders_limit", "EOrder:Orders limit exceeded", "rejected", _LISTED),
    Rule("scheduled_limit", "EOrder:Scheduled orders limit exceeded", "rejected", _LISTED),
    Rule("positions_limit", "EOrder:Positions limit exceeded", "rejected", _LISTED),
    Rule("post_only", "EOrder:Post only order", "rejected", _LISTED),
    Rule("reduce_non_pc", "EOrder:Reduce only:Non-PC", "rejected", _LISTED),
    Rule("reduce_no_position", "EOrder:Reduce only:No position exists", "rejected", _LISTED),
    Rule("cannot_open", "EOrder:Cannot open position", "rejected", _LISTED),
    Rule("cannot_oppose", "EOrder:Cannot open opposing position", "rejected", _LISTED),
    Rule("margin_allowance", "EOrder:Margin allowance exceeded", "rejected", _LISTED),
    Rule("margin_level", "EOrder:Margin level too low", "rejected", _LISTED),
    Rule("margin_size", "EOrder:Margin position size exceeded", "rejected", _LISTED),
    Rule("margin_missing", "EOrder:Insufficient margin", "rejected", _LISTED),
    Rule("unknown_position", "EOrder:Unknown position", "rejected", _LISTED),
    Rule("trading_agreement", "EOrder:Trading agreement required", "rejected", _LISTED),
    Rule("cancel_only", "EService:Market in cancel_only mode", "rejected", _LISTED),
    Rule("post_only_mode", "EService:Market in post_only mode", "rejected", _LISTED),
    Rule("limit_only", "EService:Market in limit_only mode", "rejected", _LISTED),
    Rule("trade_invalid", "ETrade:Invalid request", "rejected", _LISTED),
    Rule("trade_locked", "ETrade:User Locked", "rejected", _LISTED),
    Rule("purchase_limit", "EBM:limit exceeded:CAL", "rejected", _LISTED),
    Rule(
        "reduce_closed",
        "EOrder:Reduce only:Position is closed",
        "unknown",
        "kraken.md 4.1: it may come after a partial fill",
    ),
)

SUBMIT_RULES: Final = (
    _CLIENT_ID_IN_USE,
    *_REQUEST_REFUSED,
    *_AMBIGUOUS,
    *_NAMES_REFUSED,
    *_ORDER_REFUSED,
)

CANCEL_RULES: Final = (
    *_REQUEST_REFUSED,
    *_AMBIGUOUS,
    Rule("invalid_arguments", "EGeneral:Invalid arguments", "rejected", _LISTED, detail=True),
    Rule("nothing_open", "EOrder:Unknown order", "rejected", "kraken.md 4.2: canceled or filled"),
    Rule("no_such_order", "EOrder:Invalid order", "rejected", "kraken.md 4.2: never minted"),
)

READ_RULES: Final = (
    ReadRule("EAPI:Rate limit exceeded", "rate_limited"),
    ReadRule("EGeneral:Too many requests", "rate_limited"),
    ReadRule("EAuth:Rate limit exceeded", "rate_limited"),
    ReadRule("EAuth:Too many requests", "rate_limited"),
    ReadRule("EService:Throttled", "rate_limited", detail=True),
    ReadRule("EAPI:Invalid nonce", "invalid_nonce"),
    ReadRule("EAPI:Invalid key", "credentials_refused"),
    ReadRule("EAPI:Invalid signature", "credentials_refused"),
    ReadRule("EGeneral:Temporary lockout", "credentials_refused"),
    ReadRule("EAuth:Account temporary disabled", "credentials_refused"),
    ReadRule("EAuth:Account unconfirmed", "credentials_refused"),
    ReadRule("EAuth:Failed", "credentials_refused"),
    ReadRule("EGeneral:Permission denied", "permission_denied"),
    ReadRule("EAccount:Invalid permissions", "permission_denied", detail=True),
    ReadRule("EQuery:Unknown asset pair", "not_known"),
    ReadRule("EQuery:Invalid asset pair", "not_known"),
    ReadRule("EQuery:Unknown asset", "not_known"),
    ReadRule("EOrder:Invalid order", "not_known"),
)

_HTTP_KINDS: Final[dict[int, ReadFailure]] = {429: "rate_limited"}


def classify_errors(errors: tuple[str, ...], rules: tuple[Rule, ...]) -> Verdict:
    """Return what a non-empty list of error texts proves: rejected only when every one of them does."""
    rejected = ""
    for error in errors:
        rule = next((row for row in rules if row.matches(error)), None)
        if rule is None:
            return Verdict(outcome="unknown", rule="unlisted_error")
        if rule.outcome != "rejected":
            return Verdict(outcome=rule.outcome, rule=rule.name)
        rejected = rejected or rule.name
    return Verdict(outcome="rejected", rule=rejected)


def classify_unanswered(reached: Reached) -> Verdict:
    """Return what it proves that no whole answer came.

    Never sent only when no byte of the request was written.
    """
    if reached in {"not_connected", "connected"}:
        return Verdict(outcome="never_sent", rule=reached)
    return Verdict(outcome="unknown", rule=f"no_whole_answer_{reached}")


def classify_dry_errors(errors: tuple[str, ...]) -> Literal["rejected", "unreadable"]:
    """Return what error texts mean for a validate-only request, which can have no effect.

    An id in use is a plain no there. A text about our pace or our nonce says nothing about the order.
    """
    if errors and all(_CLIENT_ID_IN_USE.matches(error) for error in errors):
        return "rejected"
    if classify_read_errors(errors) in {"rate_limited", "invalid_nonce"}:
        return "unreadable"
    verdict = classify_errors(errors, SUBMIT_RULES)
    return "rejected" if verdict.outcome == "rejected" else "unreadable"


def classify_read_errors(errors: tuple[str, ...]) -> ReadFailure:
    """Return the kind of failure of the first listed error text; an unlisted one is the venue's fault."""
    for error in errors:
        for row in READ_RULES:
            if row.matches(error):
                return row.kind
    return "venue_fault"


def classify_http_status(status: int) -> ReadFailure:
    """Return the kind of failure of an HTTP status other than 200: the edge answered, not the application."""
    if status >= 500:
        return "venue_fault"
    return _HTTP_KINDS.get(status, "bad_answer")


def needs_attempt(path: str, body: bytes) -> bool:
    """Return whether a request could place, change or cancel an order.

    Only known reads are free, and an AddOrder whose flat form says ``validate=true`` exactly once.
    Everything else, known or not, needs a durable attempt.
    """
    if path in _FREE_PATHS:
        return False
    if path != ADD_ORDER_PATH or not _PLAIN_FORM.fullmatch(body):
        return True
    keys = [pair.partition(b"=")[0] for pair in body.split(b"&")]
    if len(set(keys)) != len(keys):
        return True
    return b"validate=true" not in body.split(b"&")
