"""Who signed: action hash, EIP-712 digest and public key recovery, from the venue's documents.

MessagePack is packed here by hand, so that a fault in a library that the client
uses too cannot cancel itself out.
"""

from __future__ import annotations

from typing import Final

from quantlab.rehearsal.hyperliquid_wire import Refused
from quantlab.rehearsal.wire import Json

L1_CHAIN: Final = 1337
SOURCES: Final = {"Mainnet": "a", "Testnet": "b"}
NO_SIGNER: Final = "Unable to recover signer."
_CURVE_BYTES: Final = 32

USER_SIGNED: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "usdSend": ("UsdSend", (("destination", "string"), ("amount", "string"), ("time", "uint64"))),
    "spotSend": ("SpotSend", (("destination", "string"), ("token", "string"), ("amount", "string"),
                              ("time", "uint64"))),
    "withdraw3": ("Withdraw", (("destination", "string"), ("amount", "string"), ("time", "uint64"))),
    "usdClassTransfer": ("UsdClassTransfer", (("amount", "string"), ("toPerp", "bool"),
                                              ("nonce", "uint64"))),
    "sendAsset": ("SendAsset", (("destination", "string"), ("sourceDex", "string"),
                                ("destinationDex", "string"), ("token", "string"), ("amount", "string"),
                                ("fromSubAccount", "string"), ("nonce", "uint64"))),
    "approveAgent": ("ApproveAgent", (("agentAddress", "address"), ("agentName", "string"),
                                      ("nonce", "uint64"))),
    "approveBuilderFee": ("ApproveBuilderFee", (("maxFeeRate", "string"), ("builder", "address"),
                                                ("nonce", "uint64"))),
}  # fmt: skip
"""Actions that the account itself signs: name of the EIP-712 type, and its fields after the chain."""


def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 hash, 32 bytes."""
    from Crypto.Hash import keccak as library

    return bytes(library.new(digest_bits=256, data=data).digest())


def pack(value: object) -> bytes:
    """Write a value as MessagePack, integers and lengths in their shortest form.

    Raises:
        Refused: a value that no action holds.
    """
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return _pack_int(value)
        case str():
            data = value.encode()
            return _length(len(data), (0xA0, 32), ((0xD9, 1), (0xDA, 2), (0xDB, 4))) + data
        case list():
            head = _length(len(value), (0x90, 16), ((0xDC, 2), (0xDD, 4)))
            return head + b"".join(pack(item) for item in value)
        case dict():
            head = _length(len(value), (0x80, 16), ((0xDE, 2), (0xDF, 4)))
            return head + b"".join(pack(str(k)) + pack(v) for k, v in value.items())
        case _:
            raise Refused(NO_SIGNER)


def _length(count: int, short: tuple[int, int], longer: tuple[tuple[int, int], ...]) -> bytes:
    if count < short[1]:
        return bytes([short[0] | count])
    for mark, size in longer:
        if count < 256**size:
            return bytes([mark]) + count.to_bytes(size, "big")
    raise Refused(NO_SIGNER)


def _pack_int(value: int) -> bytes:
    if -32 <= value < 0:
        return value.to_bytes(1, "big", signed=True)
    if 0 <= value < 128:
        return bytes([value])
    marks = (0xCC, 0xCD, 0xCE, 0xCF) if value > 0 else (0xD0, 0xD1, 0xD2, 0xD3)
    for mark, size in zip(marks, (1, 2, 4, 8), strict=True):
        try:
            return bytes([mark]) + value.to_bytes(size, "big", signed=value < 0)
        except OverflowError:
            continue
    raise Refused(NO_SIGNER)


def action_hash(action: Json, nonce: int, vault: str | None, expires_ms: int | None) -> bytes:
    """Return the connection id of an L1 action whose keys stand in the hashed order."""
    try:
        data = pack(action)
    except (UnicodeEncodeError, RecursionError) as error:
        # Half a character, or nesting without end: JSON can say it, an action cannot.
        raise Refused(NO_SIGNER) from error
    data += nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault[2:])
    if expires_ms is not None:
        data += b"\x00" + expires_ms.to_bytes(8, "big")
    return keccak(data)


def l1_digest(connection_id: bytes, source: str) -> bytes:
    """Return what is signed for an L1 action; `source` is `a` on mainnet and `b` elsewhere."""
    kind = keccak(b"Agent(string source,bytes32 connectionId)")
    message = keccak(kind + keccak(source.encode()) + connection_id)
    return keccak(b"\x19\x01" + _domain("Exchange", L1_CHAIN) + message)


def user_digest(action: Json) -> bytes:
    """Return what is signed for an action that the account itself signs.

    Raises:
        Refused: a field is missing or not of its type.
    """
    name, listed = USER_SIGNED[str(action.get("type"))]
    typed = (("hyperliquidChain", "string"), *listed)
    written = ",".join(f"{kind} {field}" for field, kind in typed)
    data = keccak(f"HyperliquidTransaction:{name}({written})".encode())
    for field, kind in typed:
        # An unnamed agent is signed with an empty name and sent without one.
        data += _word(kind, action.get(field, "" if field == "agentName" else None))
    chain = action.get("signatureChainId")
    try:
        number = int(str(chain), 16)
    except ValueError as error:
        raise Refused(NO_SIGNER) from error
    return keccak(b"\x19\x01" + _domain("HyperliquidSignTransaction", number) + keccak(data))


def _word(kind: str, value: object) -> bytes:
    try:
        if kind == "string" and isinstance(value, str):
            return keccak(value.encode())
        if kind == "address" and isinstance(value, str):
            return bytes.fromhex(value.removeprefix("0x")).rjust(_CURVE_BYTES, b"\x00")
        if kind in ("uint64", "bool") and isinstance(value, int):
            return int(value).to_bytes(_CURVE_BYTES, "big")
    except (ValueError, OverflowError) as error:
        raise Refused(NO_SIGNER) from error
    raise Refused(NO_SIGNER)


def _domain(name: str, chain: int) -> bytes:
    kind = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    try:
        number = chain.to_bytes(_CURVE_BYTES, "big")
    except OverflowError as error:
        raise Refused(NO_SIGNER) from error
    return keccak(kind + keccak(name.encode()) + keccak(b"1") + number + bytes(_CURVE_BYTES))


def recover(digest: bytes, signature: tuple[int, int, int]) -> str:
    """Return the address whose key signed a digest.

    Args:
        digest: 32 bytes.
        signature: r, s and v (27 or 28; 0 and 1 mean the same).

    Raises:
        Refused: no key can have made this signature.
    """
    from coincurve import PublicKey

    r, s, v = signature
    parity = v - 27 if v >= 27 else v
    if parity not in (0, 1):
        raise Refused(NO_SIGNER)
    try:
        data = r.to_bytes(_CURVE_BYTES, "big") + s.to_bytes(_CURVE_BYTES, "big")
        key = PublicKey.from_signature_and_message(data + bytes([parity]), digest, hasher=None)
    except (ValueError, OverflowError) as error:
        raise Refused(NO_SIGNER) from error
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()
