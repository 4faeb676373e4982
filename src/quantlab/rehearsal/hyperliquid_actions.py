"""Envelopes of `/exchange`: read strictly, then written again the way the venue hashes them.

The venue parses an action into its own types and hashes those: the order of
keys on the wire, trailing zeros and the case of hex digits do not count.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.hyperliquid_signing import USER_SIGNED
from quantlab.rehearsal.hyperliquid_wire import (
    address,
    cloid,
    decimal,
    fields,
    flag,
    plain,
    rows,
    text,
    whole,
    wrong_shape,
)
from quantlab.rehearsal.wire import Json

MOST_ASSET: Final = 2**32 - 1
TIFS: Final = ("Gtc", "Ioc", "Alo", "FrontendMarket")
GROUPINGS: Final = ("na", "normalTpsl", "positionTpsl")
_HEX: Final = re.compile(r"(0x)?([0-9a-fA-F]{1,64})")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it was asked for."""

    asset: int
    is_buy: bool
    price: Decimal
    size: Decimal
    reduce_only: bool
    tif: str = ""
    """Empty for a trigger order."""
    cloid: str | None = None


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """One order that is to take the place of another."""

    target: int | str
    """oid or cloid."""
    ask: Ask


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One request to `/exchange`, its shape already checked."""

    kind: str
    canonical: Json
    """The action in the key order that is hashed."""
    nonce: int
    signature: tuple[int, int, int]
    vault: str | None = None
    expires_ms: int | None = None
    asks: tuple[Ask, ...] = ()
    grouping: str = "na"
    has_builder: bool = False
    cancels: tuple[tuple[int, int | str], ...] = ()
    """(asset, oid or cloid)."""
    replacements: tuple[Replacement, ...] = ()
    always_place: bool = False

    @property
    def weight(self) -> int:
        """How many requests the action counts as."""
        return max(1, len(self.asks), len(self.cancels), len(self.replacements))


def read_envelope(data: object) -> Envelope:
    """Read the body of a request to `/exchange`.

    Raises:
        Unreadable: the shape is not the venue's (HTTP 422).
    """
    body = fields(data, ("action", "nonce", "signature"), ("vaultAddress", "expiresAfter"))
    given = fields(body["action"], ("type",), None)
    kind = text(given["type"])
    reader = _READERS.get(kind)
    if reader is None:
        raise wrong_shape()
    vault, expires = body.get("vaultAddress"), body.get("expiresAfter")
    envelope = Envelope(
        kind=kind,
        canonical={},
        nonce=whole(body["nonce"]),
        signature=_signature(body["signature"]),
        vault=None if vault is None else address(vault),
        expires_ms=None if expires is None else whole(expires),
    )
    return reader(envelope, given)


def _signature(value: object) -> tuple[int, int, int]:
    given = fields(value, ("r", "s", "v"), None)
    halves = []
    for name in ("r", "s"):
        found = _HEX.fullmatch(text(given[name]))
        if found is None:
            raise wrong_shape()
        halves.append(int(found[2], 16))
    return halves[0], halves[1], whole(given["v"], 255)


# ------------------------------------------------------------------------ orders


def _ask(value: object) -> tuple[Ask, Json]:
    given = fields(value, ("a", "b", "p", "s", "r", "t"), None)
    name = given.get("c")
    ask = Ask(
        asset=whole(given["a"], MOST_ASSET),
        is_buy=flag(given["b"]),
        price=decimal(given["p"]),
        size=decimal(given["s"]),
        reduce_only=flag(given["r"]),
        cloid=None if name is None else cloid(name),
    )
    tif, kind = _order_type(given["t"])
    canonical: Json = {
        "a": ask.asset, "b": ask.is_buy, "p": plain(ask.price), "s": plain(ask.size),
        "r": ask.reduce_only, "t": kind,
    }  # fmt: skip
    if ask.cloid is not None:
        canonical["c"] = ask.cloid
    return msgspec.structs.replace(ask, tif=tif), canonical


def _order_type(value: object) -> tuple[str, Json]:
    given = fields(value, (), ("limit", "trigger"))
    if len(given) != 1:
        raise wrong_shape()
    if "limit" in given:
        tif = text(fields(given["limit"], ("tif",))["tif"], TIFS)
        return tif, {"limit": {"tif": tif}}
    trigger = fields(given["trigger"], ("isMarket", "triggerPx", "tpsl"))
    return "", {
        "trigger": {
            "isMarket": flag(trigger["isMarket"]),
            "triggerPx": plain(decimal(trigger["triggerPx"])),
            "tpsl": text(trigger["tpsl"], ("tp", "sl")),
        }
    }


def _read_order(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type", "orders", "grouping"), ("builder",))
    asks = [_ask(row) for row in rows(action["orders"])]
    grouping, builder = action["grouping"], action.get("builder")
    paid = isinstance(grouping, dict)
    grouping = {"p": whole(fields(grouping, ("p",))["p"])} if paid else text(grouping, GROUPINGS)
    canonical: Json = {"type": "order", "orders": [c for _, c in asks], "grouping": grouping}
    if builder is not None:
        given = fields(builder, ("b", "f"))
        canonical["builder"] = {"b": address(given["b"]), "f": whole(given["f"])}
    return msgspec.structs.replace(
        envelope,
        canonical=canonical,
        asks=tuple(ask for ask, _ in asks),
        grouping=grouping if isinstance(grouping, str) else "p",
        has_builder=builder is not None,
    )


def _with_flag(action: Json, name: str, canonical: Json) -> Json:
    """Add an optional flag; given as false it is hashed as false, which no client may do."""
    if name in action:
        canonical[name] = flag(action[name])
    return canonical


def _read_cancel(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type", "cancels"), ("f",))
    cancels, written = [], []
    for row in rows(action["cancels"]):
        given = fields(row, ("a", "o"), None)
        asset, oid = whole(given["a"], MOST_ASSET), whole(given["o"])
        cancels.append((asset, oid))
        written.append({"a": asset, "o": oid})
    canonical = _with_flag(action, "f", {"type": "cancel", "cancels": written})
    return msgspec.structs.replace(envelope, canonical=canonical, cancels=tuple(cancels))


def _read_cancel_by_cloid(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type", "cancels"), ("f",))
    cancels, written = [], []
    for row in rows(action["cancels"]):
        given = fields(row, ("asset", "cloid"), None)
        asset, name = whole(given["asset"], MOST_ASSET), cloid(given["cloid"])
        cancels.append((asset, name))
        written.append({"asset": asset, "cloid": name})
    canonical = _with_flag(action, "f", {"type": "cancelByCloid", "cancels": written})
    return msgspec.structs.replace(envelope, canonical=canonical, cancels=tuple(cancels))


def _replacement(value: object) -> tuple[Replacement, Json]:
    given = fields(value, ("oid", "order"), None)
    target = given["oid"]
    target = cloid(target) if isinstance(target, str) else whole(target)
    ask, written = _ask(given["order"])
    return Replacement(target=target, ask=ask), {"oid": target, "order": written}


def _read_modify(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type", "oid", "order"), ("a",))
    one, written = _replacement(action)
    canonical = _with_flag(action, "a", {"type": "modify", **written})
    return msgspec.structs.replace(
        envelope, canonical=canonical, replacements=(one,), always_place=canonical.get("a") is True
    )


def _read_batch_modify(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type", "modifies"), ("a",))
    pairs = [_replacement(row) for row in rows(action["modifies"])]
    canonical = _with_flag(action, "a", {"type": "batchModify", "modifies": [c for _, c in pairs]})
    return msgspec.structs.replace(
        envelope,
        canonical=canonical,
        replacements=tuple(one for one, _ in pairs),
        always_place=canonical.get("a") is True,
    )


# ----------------------------------------------------------------- other actions


def _read_noop(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type",))
    return msgspec.structs.replace(envelope, canonical={"type": "noop"})


def _read_schedule(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type",), ("time",))
    canonical: Json = {"type": "scheduleCancel"}
    if action.get("time") is not None:
        canonical["time"] = whole(action["time"])
    return msgspec.structs.replace(envelope, canonical=canonical)


def _read_leverage(envelope: Envelope, action: Json) -> Envelope:
    fields(action, ("type", "asset", "isCross", "leverage"))
    canonical: Json = {
        "type": "updateLeverage",
        "asset": whole(action["asset"], MOST_ASSET),
        "isCross": flag(action["isCross"]),
        "leverage": whole(action["leverage"], MOST_ASSET),
    }
    return msgspec.structs.replace(envelope, canonical=canonical)


def _read_as_sent(envelope: Envelope, action: Json) -> Envelope:
    """Keep an action that the rehearsal only refuses in the order in which it was sent."""
    return msgspec.structs.replace(envelope, canonical=dict(action))


UNSUPPORTED: Final = {
    "updateIsolatedMargin": "Position does not use isolated margin.",
    "createSubAccount": "Too many sub-accounts.",
    "subAccountTransfer": "Invalid send",
    "subAccountSpotTransfer": "Invalid send",
    "vaultTransfer": "Invalid send",
    "agentSendAsset": "Agent can only send asset to same user or their sub-accounts.",
    "twapOrder": "Invalid TWAP order.",
    "twapCancel": "TWAP was never placed, already canceled, or filled.",
    "setReferrer": "Referrer already set.",
    "reserveRequestWeight": "Insufficient balance.",
    "multiSig": "Multi-sig required",
    "usdSend": "Invalid send",
    "spotSend": "Invalid send",
    "withdraw3": "Invalid send",
    "sendAsset": "Invalid send",
    "usdClassTransfer": "Invalid send",
    "approveBuilderFee": "Invalid builder fee.",
}
"""Actions that are understood, checked like any other, and then refused with these words."""

_READERS: Final = {
    "order": _read_order,
    "cancel": _read_cancel,
    "cancelByCloid": _read_cancel_by_cloid,
    "modify": _read_modify,
    "batchModify": _read_batch_modify,
    "noop": _read_noop,
    "scheduleCancel": _read_schedule,
    "updateLeverage": _read_leverage,
    **dict.fromkeys((*UNSUPPORTED, *USER_SIGNED), _read_as_sent),
}
