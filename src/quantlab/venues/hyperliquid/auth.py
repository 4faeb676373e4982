"""Signing L1 actions, recovering who signed one, and holding the key.

An action is hashed as MessagePack in the venue's key order, with nonce, vault and expiry behind it; the hash stands in
a typed structure (EIP-712) that names the network, and that is signed with secp256k1 (hyperliquid.md 2.1). The private
key is read when an action is signed and is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from quantlab.kernel.errors import Denied, UsageFault
from quantlab.model.order import Environment

Network = Literal["mainnet", "testnet"]

ZERO_ADDRESS: Final = "0x" + "0" * 40
_SOURCES: Final[dict[Network, bytes]] = {"mainnet": b"a", "testnet": b"b"}
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_KEY: Final = re.compile(r"(0x)?([0-9a-fA-F]{64})")
_SCALAR: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_CHAIN_ID: Final = 1337
_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AGENT_TYPE: Final = b"Agent(string source,bytes32 connectionId)"


class BadSignature(Exception):
    """A signature is malformed, or no key could have made it."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature as it stands on the wire: two 32-byte numbers in hex, and 27 or 28."""

    r: str
    s: str
    v: int


def network_of(environment: Environment) -> Network:
    """Return whose signatures an environment takes.

    Rehearsal takes the testnet's: real clients sign so for every address that is not the mainnet's, and no rehearsed
    signature can then ever be valid with real money.
    """
    return "mainnet" if environment == "live" else "testnet"


def parse_address(text: str) -> str:
    """Return an address in lower case, the one spelling that is hashed and compared.

    Raises:
        UsageFault: it is no address, or is in mixed case with a checksum that fails: a slip of the hand.
    """
    address = text.strip()
    if not _ADDRESS.fullmatch(address):
        message = f"{text[:60]!r} is no address: write 0x and 40 hex digits"
        raise UsageFault(message, code="address_unusable", measured=text[:60], limit="0x and 40 hex digits")
    digits = address[2:]
    if digits not in {digits.lower(), digits.upper()} and address != checksummed(address):
        message = f"{address} is an address with a wrong checksum: one of its characters is not as it should be"
        raise UsageFault(message, code="address_checksum", measured=address, limit=checksummed(address))
    return address.lower()


def checksummed(address: str) -> str:
    """Return an address in the mixed case that carries its checksum (EIP-55)."""
    digits = address[2:].lower()
    marks = _keccak(digits.encode("ascii")).hex()
    cased = (digit.upper() if int(mark, 16) >= 8 else digit for digit, mark in zip(digits, marks, strict=False))
    return "0x" + "".join(cased)


def action_bytes(action: Mapping[str, Any]) -> bytes:
    """Return the MessagePack of an action, the keys in the order given."""
    return msgspec.msgpack.encode(action)


def action_hash(
    action: Mapping[str, Any], *, nonce: int, vault_address: str | None = None, expires_after_ms: int | None = None
) -> bytes:
    """Return what identifies an action with its nonce, its vault and its expiry: 32 bytes.

    Args:
        action: The action, its keys in the venue's order and its texts canonical.
        nonce: Milliseconds since 1970, as a rule.
        vault_address: The sub-account or vault acted for.
        expires_after_ms: The last millisecond at which the venue may take it.
    """
    data = action_bytes(action) + nonce.to_bytes(8, "big")
    data += b"\x00" if vault_address is None else b"\x01" + bytes.fromhex(vault_address[2:])
    if expires_after_ms is not None:
        data += b"\x00" + expires_after_ms.to_bytes(8, "big")
    return _keccak(data)


def sign_l1_action(private_key: bytes, hashed: bytes, *, network: Network) -> Signature:
    """Return the signature of an action's hash: deterministic, with the smaller of the two possible ``s``.

    Raises:
        ValueError: the key is no key of the curve.
    """
    # Loaded here: most commands never sign.
    from coincurve import PrivateKey

    signed: bytes = PrivateKey(private_key).sign_recoverable(_signing_digest(hashed, network), hasher=None)
    return Signature(r="0x" + signed[:32].hex(), s="0x" + signed[32:64].hex(), v=27 + signed[64])


def recover_signer(signature: Signature, hashed: bytes, *, network: Network) -> str:
    """Return the address whose key signed an action's hash. A wrong hash gives a stranger's address.

    Raises:
        BadSignature: the signature is malformed, or is the twin with the larger ``s``, which we never make.
    """
    from coincurve import PublicKey

    if signature.v not in {27, 28} or not _SCALAR.fullmatch(signature.r) or not _SCALAR.fullmatch(signature.s):
        raise BadSignature("the signature is malformed")
    s = int(signature.s, 16)
    if s > _CURVE_ORDER // 2:
        raise BadSignature("the signature is the larger of two twins")
    packed = int(signature.r, 16).to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((signature.v - 27,))
    try:
        key = PublicKey.from_signature_and_message(packed, _signing_digest(hashed, network), hasher=None)
    except ValueError:
        raise BadSignature("no key could have made this signature") from None
    return _address_of(key.format(compressed=False))


def address_of_key(private_key: bytes) -> str:
    """Return the address of a private key.

    Raises:
        ValueError: the key is no key of the curve.
    """
    from coincurve import PrivateKey

    return _address_of(PrivateKey(private_key).public_key.format(compressed=False))


class HyperliquidSigner:
    """A key that signs for one address. The private key is read for each signature, and not kept.

    Args:
        address: The signer's address, as the operator names it: public.
        read_private_key: Returns the private key in hex; may ask a person, and is called only to sign.
    """

    def __init__(self, *, address: str, read_private_key: Callable[[], str]) -> None:
        self.address = parse_address(address)
        self._read_private_key = read_private_key

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"HyperliquidSigner({self.address})"

    @property
    def signer_id(self) -> str:
        """Return the signer's address, which is public. The key is not read for it."""
        return self.address

    def sign(self, hashed: bytes, *, network: Network) -> Signature:
        """Return the signature of an action's hash; see :meth:`sign_all`."""
        return self.sign_all((hashed,), network=network)[0]

    def sign_all(self, hashes: tuple[bytes, ...], *, network: Network) -> tuple[Signature, ...]:
        """Return the signatures of several hashes, the key being read once for all of them.

        Raises:
            Denied: the key is missing, malformed, or another address's. Nothing was signed.
        """
        match = _KEY.fullmatch(self._read_private_key().strip())
        if match is None:
            message = "the Hyperliquid private key is missing or is not 64 hex digits; nothing was signed"
            raise Denied(message, code="hyperliquid_key_malformed")
        private_key = bytes.fromhex(match[2])
        del match
        try:
            found = address_of_key(private_key)
            if found != self.address:
                message = f"the private key is of {found}, not of the signer {self.address}; nothing was signed"
                raise Denied(message, code="signer_identity_mismatch", measured=found, limit=self.address)
            return tuple(sign_l1_action(private_key, hashed, network=network) for hashed in hashes)
        except ValueError:
            message = "the Hyperliquid private key is no key of the curve; nothing was signed"
            raise Denied(message, code="hyperliquid_key_malformed") from None
        finally:
            del private_key


def _keccak(data: bytes) -> bytes:
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()


def _signing_digest(hashed: bytes, network: Network) -> bytes:
    """Return the EIP-712 digest of the structure that stands for an action."""
    domain = _keccak(
        _keccak(_DOMAIN_TYPE) + _keccak(b"Exchange") + _keccak(b"1") + _CHAIN_ID.to_bytes(32, "big") + bytes(32)
    )
    agent = _keccak(_keccak(_AGENT_TYPE) + _keccak(_SOURCES[network]) + hashed)
    return _keccak(b"\x19\x01" + domain + agent)


def _address_of(public_key: bytes) -> str:
    """Return the address of an uncompressed public key."""
    return "0x" + _keccak(public_key[1:])[-20:].hex()
