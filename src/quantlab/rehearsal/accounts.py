"""Made-up accounts and keys, derived from the seed, and the profiles that name them.

No key here was ever known to a venue: Kraken keys begin with `REHEARSAL`, and
the private keys for Hyperliquid are hashes of words.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import msgspec

TRADER: Final = "trader"
NEWCOMER: Final = "newcomer"

QUERY: Final = ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger")
TRADE: Final = ("modify-trades", "close-trades", "create-ws-token")


class KrakenKey(msgspec.Struct, frozen=True, kw_only=True):
    """One API key that the Kraken face knows."""

    name: str
    api_key: str
    secret: str
    """Base64, as the venue hands it out."""
    account: str
    permissions: tuple[str, ...]
    nonce_window: int = 0


class AgentKey(msgspec.Struct, frozen=True, kw_only=True):
    """One signing key for Hyperliquid."""

    name: str
    private_key: str
    """`0x` and 64 lower-case hex digits."""
    address: str
    """`0x` and 40 lower-case hex digits."""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """All made-up keys of one seed."""

    kraken: dict[str, KrakenKey]
    """By profile name."""
    master: AgentKey
    """The funded account itself; its private key is never handed out."""
    agent: AgentKey
    expired: AgentKey
    other: AgentKey
    newcomer: AgentKey
    """A second funded account, without any earlier order."""
    newcomer_agent: AgentKey
    wrong_secret: str

    def by_api_key(self, api_key: str) -> KrakenKey | None:
        """Find a key by what the client sends in `API-Key`."""
        return next((k for k in self.kraken.values() if k.api_key == api_key), None)


def make_keys(seed: int) -> Keys:
    """Derive all keys of a seed."""
    kraken = {
        name: KrakenKey(
            name=name,
            api_key=_api_key(seed, name),
            secret=_secret(seed, name),
            account=NEWCOMER if name == NEWCOMER else TRADER,
            permissions=permissions,
            nonce_window=window,
        )
        for name, permissions, window in (
            ("trader", QUERY + TRADE, 0),
            ("no_trade", QUERY, 0),
            ("can_withdraw", QUERY + TRADE + ("add-funds", "withdraw-funds"), 0),
            ("expired_agent", QUERY + TRADE, 0),
            ("other_signer", QUERY + TRADE, 0),
            ("wrong_secret", QUERY + TRADE, 0),
            ("windowed", QUERY + TRADE, 10_000_000_000),
            (NEWCOMER, QUERY + TRADE, 0),
        )
    }
    return Keys(
        kraken=kraken,
        master=_agent(seed, "master"),
        agent=_agent(seed, "agent"),
        expired=_agent(seed, "expired"),
        other=_agent(seed, "other"),
        newcomer=_agent(seed, "newcomer"),
        newcomer_agent=_agent(seed, "newcomer agent"),
        wrong_secret=_secret(seed, "not the secret"),
    )


def make_iban(seed: int, account: str) -> str:
    """Make the account's identity as Kraken prints it, for example `AA12 N84G ABCD EFGH`."""
    digest = hashlib.blake2b(f"iban|{seed}|{account}".encode(), digest_size=5).digest()
    text = base64.b32encode(digest).decode("ascii")
    return f"AA00 N84G {text[:4]} {text[4:8]}"


def profile_env(keys: Keys, name: str) -> dict[str, str]:
    """Return the key part of a profile's environment.

    Args:
        keys: All keys of the seed.
        name: A profile; `expired_agent` and `other_signer` differ from `trader`
            on Hyperliquid only and share the trader's Kraken account.
    """
    kraken = keys.kraken[name]
    secret = keys.wrong_secret if name == "wrong_secret" else kraken.secret
    others = {"expired_agent": keys.expired, "other_signer": keys.other, NEWCOMER: keys.newcomer_agent}
    signer = others.get(name, keys.agent)
    # Of `other_signer` only the private key differs: the declared signer stays the agent.
    declared = keys.agent if name == "other_signer" else signer
    return {
        "KRAKEN_API_KEY": kraken.api_key,
        "KRAKEN_API_SECRET": secret,
        "HYPERLIQUID_PRIVATE_KEY": signer.private_key,
        "HYPERLIQUID_ACCOUNT": (keys.newcomer if name == NEWCOMER else keys.master).address,
        "HYPERLIQUID_SIGNER_ID": declared.address,
    }


PROFILES: Final = (
    "trader",
    "no_trade",
    "can_withdraw",
    "wrong_secret",
    "expired_agent",
    "other_signer",
)
EXTRA_PROFILES: Final = ("windowed", NEWCOMER)
"""Shown with `?extra=1`: a key with a nonce window, and an account without any earlier order."""


def _api_key(seed: int, name: str) -> str:
    digest = hashlib.sha512(f"quantlab rehearsal api key|{seed}|{name}".encode()).digest()
    words = "REHEARSAL" + name.replace("_", "").upper()
    text = base64.b32encode(digest).decode("ascii").rstrip("=")
    return (words + text)[:56]


def _secret(seed: int, name: str) -> str:
    digest = hashlib.sha512(f"quantlab rehearsal secret|{seed}|{name}".encode()).digest()
    return base64.b64encode(digest).decode("ascii")


def _agent(seed: int, name: str) -> AgentKey:
    # Imported here: the two packages cost time that a command without keys should not pay.
    from coincurve import PrivateKey
    from Crypto.Hash import keccak

    secret = hashlib.sha256(f"quantlab rehearsal agent|{seed}|{name}".encode()).digest()
    public = PrivateKey(secret).public_key.format(compressed=False)[1:]
    digest = keccak.new(digest_bits=256, data=public).digest()
    return AgentKey(
        name=name,
        private_key="0x" + secret.hex(),
        address="0x" + digest[-20:].hex(),
    )
