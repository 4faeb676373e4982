"""Who may call: key, signature over the raw bytes, nonce, permission, in the venue's order."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from quantlab.rehearsal.accounts import Keys, KrakenKey
from quantlab.rehearsal.kraken_book import KeyState
from quantlab.rehearsal.kraken_wire import Params, Refused
from quantlab.rehearsal.state import State
from quantlab.rehearsal.wire import Request

MAX_NONCE: Final = 2**64 - 1

PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    "Balance": ("query-funds",),
    "BalanceEx": ("query-funds",),
    "TradeBalance": ("query-funds", "query-open-trades"),
    "OpenOrders": ("query-open-trades",),
    "ClosedOrders": ("query-closed-trades",),
    "QueryOrders": ("query-open-trades", "query-closed-trades"),
    "OrderAmends": ("query-open-trades", "query-closed-trades"),
    "TradesHistory": ("query-closed-trades",),
    "QueryTrades": ("query-closed-trades",),
    "Ledgers": ("query-ledger",),
    "QueryLedgers": ("query-ledger",),
    "AddOrder": ("modify-trades",),
    "AddOrderBatch": ("modify-trades",),
    "EditOrder": ("modify-trades",),
    "AmendOrder": ("modify-trades", "close-trades"),
    "CancelOrder": ("modify-trades", "close-trades"),
    "CancelOrderBatch": ("modify-trades", "close-trades"),
    "CancelAll": ("modify-trades", "close-trades"),
    "CancelAllOrdersAfter": ("modify-trades", "close-trades"),
    "GetWebSocketsToken": ("create-ws-token",),
    "GetApiKeyInfo": (),
}
"""Each private call and the permissions of which one is enough."""


def sign(path: str, nonce: str, body: bytes, secret: str) -> str:
    """Compute `API-Sign` of a request."""
    digest = hashlib.sha256(nonce.encode() + body).digest()
    mac = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512)
    return base64.b64encode(mac.digest()).decode("ascii")


def check_key(request: Request, params: Params, keys: Keys, state: State, *, window: int | None) -> KrakenKey:
    """Verify key, signature and nonce, and move the key's nonce high-water mark.

    Args:
        request: The request; its raw body is what was signed.
        params: Its parameters.
        keys: The keys that exist.
        state: Holds the marks; changed when the nonce is good.
        window: Nonce window to apply instead of the key's own, or None.

    Raises:
        Refused: `EAPI:Invalid key`, `EAPI:Invalid signature` or `EAPI:Invalid nonce`.
    """
    key = keys.by_api_key(request.headers.get("api-key", ""))
    if key is None:
        raise Refused("EAPI:Invalid key")
    nonce_text = params.text("nonce") or ""
    expected = sign(request.path, nonce_text, request.body, key.secret)
    if not hmac.compare_digest(expected.encode(), request.headers.get("api-sign", "").encode()):
        raise Refused("EAPI:Invalid signature")
    if not (nonce_text.isascii() and nonce_text.isdigit()) or int(nonce_text) > MAX_NONCE:
        raise Refused("EAPI:Invalid nonce")
    nonce = int(nonce_text)
    known = state.keys.setdefault(key.api_key, KeyState())
    allowed = known.nonce - (key.nonce_window if window is None else window)
    if nonce <= allowed:
        raise Refused("EAPI:Invalid nonce")
    known.nonce = max(known.nonce, nonce)
    return key


def check_permission(key: KrakenKey, endpoint: str) -> None:
    """Check that a key may make a call.

    Raises:
        Refused: `EGeneral:Permission denied`.
    """
    needed = PERMISSIONS[endpoint]
    if needed and not set(needed) & set(key.permissions):
        raise Refused("EGeneral:Permission denied")
