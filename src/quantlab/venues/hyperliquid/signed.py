"""Signed actions: made of an action, and checked against what they claim without any key. Pure but for the key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from quantlab.kernel.errors import QuantLabFault
from quantlab.model.execution import SignedAction
from quantlab.model.order import Plan
from quantlab.venues.answers import BadAnswer, as_object, parse_json
from quantlab.venues.hyperliquid import auth, codec_orders
from quantlab.venues.hyperliquid.auth import BadSignature, HyperliquidSigner, Network, Signature

# 13 digits: a nonce in another unit, as nanoseconds, would lie outside the venue's window of days.
_LARGEST_MS: Final = 9_999_999_999_999


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An action before it is signed: nonce and expiry in milliseconds, and whom it acts for."""

    action: Mapping[str, Any]
    kind: Literal["order", "noop"]
    nonce: int
    expires_after_ms: int | None
    vault_address: str | None


def sign_drafts(
    drafts: tuple[Draft, ...], plan: Plan, *, signer: HyperliquidSigner, network: Network
) -> tuple[SignedAction, ...]:
    """Return actions with their signatures and the exact bodies that carry both. The key is read once.

    Raises:
        QuantLabFault: a nonce or an expiry is not in milliseconds. A bug of ours.
        Denied: the key is missing, malformed or another's. Nothing was signed.
    """
    for draft in drafts:
        require_milliseconds(draft.nonce, draft.expires_after_ms)
    hashes = tuple(
        auth.action_hash(
            draft.action,
            nonce=draft.nonce,
            vault_address=draft.vault_address,
            expires_after_ms=draft.expires_after_ms,
        )
        for draft in drafts
    )
    signatures = signer.sign_all(hashes, network=network)
    return tuple(
        _signed(draft, plan, hashed=hashed, signature=signature, signer=signer, network=network)
        for draft, hashed, signature in zip(drafts, hashes, signatures, strict=True)
    )


def _signed(
    draft: Draft, plan: Plan, *, hashed: bytes, signature: Signature, signer: HyperliquidSigner, network: Network
) -> SignedAction:
    text = codec_orders.action_text(draft.action)
    body = body_text(
        text,
        nonce=draft.nonce,
        signature=signature,
        vault_address=draft.vault_address,
        expires_after_ms=draft.expires_after_ms,
    )
    return SignedAction(
        kind=draft.kind,
        network=network,
        action_text=text,
        action_hash="0x" + hashed.hex(),
        nonce=draft.nonce,
        expires_after_ms=draft.expires_after_ms,
        vault_address=draft.vault_address,
        signer_address=signer.address,
        signature_r=signature.r,
        signature_s=signature.s,
        signature_v=signature.v,
        client_order_id=plan.client_order_id,
        body_text=body,
        body_sha256=hashlib.sha256(body.encode("utf-8")).hexdigest(),
    )


def body_text(
    action_text: str, *, nonce: int, signature: Signature, vault_address: str | None, expires_after_ms: int | None
) -> str:
    """Return the body of a request that carries a signed action. What is not set is left out."""
    tail = {"nonce": nonce, "signature": {"r": signature.r, "s": signature.s, "v": signature.v}}
    if vault_address is not None:
        tail["vaultAddress"] = vault_address
    if expires_after_ms is not None:
        tail["expiresAfter"] = expires_after_ms
    return f'{{"action":{action_text},' + msgspec.json.encode(tail).decode("utf-8")[1:]


def require_milliseconds(nonce: int, expires_after_ms: int | None) -> None:
    """Check the unit of a nonce and an expiry.

    Raises:
        QuantLabFault: one of them is not in milliseconds. A bug of ours; nothing was signed.
    """
    for name, value in (("nonce", nonce), ("expiry", expires_after_ms)):
        if value is not None and not 0 < value <= _LARGEST_MS:
            message = f"the {name} is not in milliseconds; nothing was signed"
            raise QuantLabFault(message, code="hyperliquid.unit", measured=str(value))


def claim_faults(signed: SignedAction, *, network: Network) -> tuple[str, ...]:
    """Return how signed bytes differ from what they claim, one sentence each; empty when all of it holds.

    The signature is recovered from the action's own text, nonce, vault and expiry: a changed byte of any of them gives
    a stranger's address.
    """
    signature = Signature(r=signed.signature_r, s=signed.signature_s, v=signed.signature_v)
    try:
        action = as_object(parse_json(signed.action_text.encode("utf-8")), "the action")
        hashed = auth.action_hash(
            action,
            nonce=signed.nonce,
            vault_address=signed.vault_address,
            expires_after_ms=signed.expires_after_ms,
        )
        found = auth.recover_signer(signature, hashed, network=signed.network)
        is_canonical = codec_orders.action_text(action) == signed.action_text
    except (BadAnswer, BadSignature, ValueError, OverflowError, TypeError) as error:
        return (f"the signed action can not be read: {error}",)
    body = body_text(
        signed.action_text,
        nonce=signed.nonce,
        signature=signature,
        vault_address=signed.vault_address,
        expires_after_ms=signed.expires_after_ms,
    )
    sha256 = hashlib.sha256(signed.body_text.encode("utf-8")).hexdigest()
    checks = (
        (found == signed.signer_address, f"the signature is of {found}, not of {signed.signer_address}"),
        (is_canonical, "the action's text is not in its one spelling"),
        ("0x" + hashed.hex() == signed.action_hash, "the action's hash is another one"),
        (body == signed.body_text, "the body is not the action with its signature"),
        (sha256 == signed.body_sha256, "the body's digest is another one"),
        (signed.network == network, f"it is signed for the {signed.network}, not for the {network}"),
    )
    return tuple(sentence for holds, sentence in checks if not holds)
