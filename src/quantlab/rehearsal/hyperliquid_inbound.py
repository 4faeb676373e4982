"""One request to the Hyperliquid face, whether it came over HTTP or over the WebSocket."""

from __future__ import annotations

from typing import Final

import msgspec

from quantlab.rehearsal.hyperliquid_wire import Unreadable, parse_body
from quantlab.rehearsal.wire import Request

EXCHANGE_PATH: Final = "/exchange"
INFO_PATH: Final = "/info"
STREAM_PATH: Final = "/ws"
MOST_NAME: Final = 64


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One request, whether it came over HTTP or as a `post` of the WebSocket."""

    path: str
    """Where it came in, for faults and the request log: `/info`, `/exchange` or `/ws`."""
    route: str
    """What it asks for: `/info` or `/exchange`."""
    method: str = "POST"
    content_type: str = "application/json"
    body: bytes

    @classmethod
    def of_http(cls, request: Request) -> Inbound:
        """Take a request that came over HTTP."""
        return cls(
            path=request.path,
            route=request.path,
            method=request.method,
            content_type=request.headers.get("content-type", ""),
            body=request.body,
        )

    @property
    def kind(self) -> str | None:
        """Name the variant of a request: its info or action type, None when it cannot be read."""
        try:
            data = parse_body(self.body, "application/json")
        except Unreadable:
            return None
        if isinstance(data, dict) and self.route == EXCHANGE_PATH:
            data = data.get("action")
        found = data.get("type") if isinstance(data, dict) else None
        # The name is kept in the request log: only a plain word is one.
        return found if isinstance(found, str) and found.isascii() and len(found) < MOST_NAME else None
