"""Opening an encrypted Web3 keystore file (version 3) that holds the signing key. Pure: no file, no terminal.

The format is Ethereum's Web3 Secret Storage: a passphrase is stretched (scrypt, or PBKDF2 with HMAC-SHA-256) into an
encryption key and a MAC key; the private key stands encrypted with AES-128-CTR, and a Keccak-256 MAC tells a wrong
passphrase apart. A hostile file can neither exhaust the memory nor keep us for long. No fault shows what a file holds
but the address that it claims, which is public.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Annotated, Any, Final, TypeVar

import msgspec

from quantlab.kernel.errors import Denied
from quantlab.venues.hyperliquid.auth import address_of_key

LARGEST_KEYSTORE_BYTES: Final = 64 * 1024
LARGEST_SCRYPT_MEMORY_BYTES: Final = 512 * 1024 * 1024
LARGEST_SCRYPT_BLOCKS: Final = 1 << 24
"""How many blocks scrypt may mix: n times r times p. Wallets use 2 million, which takes about a second."""
LARGEST_PBKDF2_ITERATIONS: Final = 10_000_000

_VERSION: Final = 3
_CIPHER: Final = "aes-128-ctr"
_PRF: Final = "hmac-sha256"
_IV_BYTES: Final = 16
_DERIVED_BYTES: Final = 32
_LARGEST_SCRYPT_LANES_BYTES: Final = 16 * 1024 * 1024
# Beside the table: the lanes, and two blocks to work in, each of which is no larger than the lanes.
_SCRYPT_WHOLE_BYTES: Final = LARGEST_SCRYPT_MEMORY_BYTES + 3 * _LARGEST_SCRYPT_LANES_BYTES

_Address = Annotated[str, msgspec.Meta(pattern=r"\A(0x)?[0-9a-fA-F]{40}\Z")]
_Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-fA-F]{64}\Z")]
# Some writers count with the vector as a number and leave out its leading zeros.
_HexVector = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-fA-F]{2}){1,16}\Z")]
_HexSalt = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-fA-F]{2}){1,512}\Z")]
_Positive = Annotated[int, msgspec.Meta(gt=0)]
_DerivedBytes = Annotated[int, msgspec.Meta(ge=_DERIVED_BYTES, le=_DERIVED_BYTES)]


class _Header(msgspec.Struct, frozen=True):
    version: int


class _CipherParams(msgspec.Struct, frozen=True):
    iv: _HexVector


class _Crypto(msgspec.Struct, frozen=True):
    cipher: str
    cipherparams: _CipherParams
    ciphertext: _Hex32
    kdf: str
    kdfparams: msgspec.Raw
    mac: _Hex32


class _File(msgspec.Struct, frozen=True):
    address: _Address | None = None
    crypto: _Crypto | None = None
    crypto_capital: _Crypto | None = msgspec.field(name="Crypto", default=None)


class _Scrypt(msgspec.Struct, frozen=True):
    dklen: _DerivedBytes
    salt: _HexSalt
    n: _Positive
    r: _Positive
    p: _Positive


class _Pbkdf2(msgspec.Struct, frozen=True):
    dklen: _DerivedBytes
    salt: _HexSalt
    c: _Positive
    prf: str


class _Keystore(msgspec.Struct, frozen=True):
    address: str | None
    iv: bytes
    ciphertext: bytes
    stretching: _Scrypt | _Pbkdf2
    mac: bytes


def keystore_address(text: bytes) -> str | None:
    """Return the address that a keystore file claims, in lower case; None when it claims none.

    Nothing is decrypted, so the claim is not proven; the whole file is checked for its form.

    Raises:
        Denied: the file is no keystore that can be opened here (codes as in :func:`decrypt_keystore`).
    """
    return _read_keystore(text).address


def decrypt_keystore(text: bytes, passphrase: str) -> str:
    """Return the private key of a keystore file: 64 hex digits behind ``0x``. Takes seconds, as the file wants it.

    Args:
        text: The file, at most 64 KiB.
        passphrase: What the person typed, taken as UTF-8.

    Raises:
        Denied: the file is too large or no keystore, is of a kind that is not supported, wants more than 512 MiB or
            10 million iterations, or its key is another address's than it claims; or the passphrase does not open it.
            Nothing was signed.
    """
    keystore = _read_keystore(text)
    derived = _stretch(keystore.stretching, _passphrase_bytes(passphrase))
    if not hmac.compare_digest(_keccak(derived[16:] + keystore.ciphertext), keystore.mac):
        message = (
            "The passphrase does not open the keystore file (or the file was changed). Nothing was signed: try again"
            " with the passphrase that it was made with."
        )
        raise Denied(message, code="keystore_passphrase_wrong")
    private_key = _decrypt(derived[:16], keystore.iv, keystore.ciphertext)
    # The MAC does not cover the vector: a changed one gives another key, which only the address shows.
    found = _address_or_none(private_key)
    if found is None:
        message = "The keystore file opened, but what it holds is no key of the curve. Nothing was signed."
        raise Denied(message, code="hyperliquid_key_malformed")
    if keystore.address not in {None, found}:
        message = (
            f"The keystore file claims {keystore.address}, but its key is of {found}: the file was changed or damaged."
            " Nothing was signed."
        )
        raise Denied(message, code="keystore_address_mismatch", measured=found, limit=keystore.address)
    return "0x" + private_key.hex()


def _read_keystore(text: bytes) -> _Keystore:
    """Return the checked parts of a keystore file."""
    if len(text) > LARGEST_KEYSTORE_BYTES:
        limit = f"{LARGEST_KEYSTORE_BYTES} bytes"
        message = f"The keystore file is larger than {limit}, so it is no keystore. Nothing was signed."
        raise Denied(message, code="keystore_too_large", limit=limit)
    data = text.removeprefix(b"\xef\xbb\xbf")
    if _decode(data, _Header, "").version != _VERSION:
        raise _unsupported("version", str(_VERSION))
    file = _decode(data, _File, "")
    named = [crypto for crypto in (file.crypto, file.crypto_capital) if crypto is not None]
    if len(named) != 1:
        raise _malformed("crypto")
    [crypto] = named
    if crypto.cipher != _CIPHER:
        raise _unsupported("cipher", _CIPHER)
    address = None if file.address is None else "0x" + file.address.lower().removeprefix("0x")
    return _Keystore(
        address=address,
        iv=bytes.fromhex(crypto.cipherparams.iv).rjust(_IV_BYTES, b"\0"),
        ciphertext=bytes.fromhex(crypto.ciphertext),
        stretching=_read_stretching(crypto),
        mac=bytes.fromhex(crypto.mac),
    )


def _read_stretching(crypto: _Crypto) -> _Scrypt | _Pbkdf2:
    """Return how the passphrase is stretched, within bounds."""
    place = "crypto.kdfparams"
    if crypto.kdf == "scrypt":
        scrypt = _decode(bytes(crypto.kdfparams), _Scrypt, place)
        if scrypt.n < 2 or scrypt.n & (scrypt.n - 1):
            raise _malformed(f"{place}.n")
        # A block has 128 bytes times r. The table holds n of them, and each lane is one.
        table_bytes, lanes_bytes = 128 * scrypt.r * scrypt.n, 128 * scrypt.r * scrypt.p
        if table_bytes > LARGEST_SCRYPT_MEMORY_BYTES or lanes_bytes > _LARGEST_SCRYPT_LANES_BYTES:
            raise _too_costly(f"{LARGEST_SCRYPT_MEMORY_BYTES // 1024 // 1024} MiB of memory")
        if scrypt.n * scrypt.r * scrypt.p > LARGEST_SCRYPT_BLOCKS:
            raise _too_costly(f"{LARGEST_SCRYPT_BLOCKS} blocks of work (n times r times p)")
        return scrypt
    if crypto.kdf == "pbkdf2":
        pbkdf2 = _decode(bytes(crypto.kdfparams), _Pbkdf2, place)
        if pbkdf2.prf != _PRF:
            raise _unsupported("kdfparams.prf", _PRF)
        if pbkdf2.c > LARGEST_PBKDF2_ITERATIONS:
            raise _too_costly(f"{LARGEST_PBKDF2_ITERATIONS} iterations")
        return pbkdf2
    raise _unsupported("kdf", "scrypt or pbkdf2")


_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def _decode(data: bytes, shape: type[_Shape], place: str) -> _Shape:
    """Return ``data`` as ``shape``; the refusal names the member that is wrong, never what stands in it."""
    # Raised below, outside of the handlers: some of these errors carry the text that they stumbled over.
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError as error:
        where = _member_of(str(error), place)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        where = ""
    raise _malformed(where)


def _member_of(error: str, place: str) -> str:
    path = re.search(r"at `\$\.([A-Za-z.]+)`", error)
    missing = re.search(r"missing required field `(\w+)`", error)
    return ".".join(part for part in (place, path and path[1], missing and missing[1]) if part)


def _malformed(member: str) -> Denied:
    where = f"its member {member} is missing or malformed" if member else "it cannot be read as one JSON object"
    message = f"The file is no Web3 keystore of version 3: {where}. Nothing was signed."
    return Denied(message, code="keystore_malformed", measured=member or None)


def _unsupported(member: str, limit: str) -> Denied:
    message = (
        f"The keystore file is of a kind that is not supported: its {member} must be {limit}. Nothing was signed:"
        " write the key into a keystore of version 3 with your wallet's own tool."
    )
    return Denied(message, code="keystore_unsupported", measured=member, limit=limit)


def _too_costly(limit: str) -> Denied:
    message = (
        f"Opening the keystore file would take more than {limit}, which no wallet asks for. It was not opened."
        " Nothing was signed."
    )
    return Denied(message, code="keystore_too_costly", limit=limit)


def _passphrase_bytes(passphrase: str) -> bytes:
    # Raised below, outside of the handler: the codec's error carries the passphrase.
    try:
        return passphrase.encode("utf-8")
    except UnicodeEncodeError:
        pass
    message = "The passphrase holds bytes that are no UTF-8 text: check the terminal's encoding. Nothing was signed."
    raise Denied(message, code="passphrase_malformed")


def _stretch(stretching: _Scrypt | _Pbkdf2, passphrase: bytes) -> bytes:
    """Return the encryption key and the MAC key, 16 bytes each."""
    salt = bytes.fromhex(stretching.salt)
    if isinstance(stretching, _Pbkdf2):
        return hashlib.pbkdf2_hmac("sha256", passphrase, salt, stretching.c, dklen=_DERIVED_BYTES)
    try:
        return _scrypt(passphrase, salt, stretching)
    except (ValueError, MemoryError):
        message = (
            "This machine did not have the memory that opening the keystore file takes, or its cryptographic library"
            " refused the file's scrypt settings. Nothing was signed."
        )
        raise Denied(message, code="keystore_stretching_failed") from None


def _scrypt(passphrase: bytes, salt: bytes, cost: _Scrypt) -> bytes:
    if cost.n >= 1 << (16 * cost.r):
        # Beyond the standard's bound on n, which OpenSSL holds to; early wallets wrote such files (r is 1).
        from Crypto.Protocol.KDF import scrypt

        # Its annotations know of texts only; its documentation and its code take bytes.
        take_bytes: Any = scrypt
        derived: bytes = take_bytes(passphrase, salt, _DERIVED_BYTES, N=cost.n, r=cost.r, p=cost.p)
        return derived
    return hashlib.scrypt(
        passphrase,
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=_SCRYPT_WHOLE_BYTES,
        dklen=_DERIVED_BYTES,
    )


def _decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    from Crypto.Cipher import AES

    plain: bytes = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv).decrypt(ciphertext)
    return plain


def _keccak(data: bytes) -> bytes:
    from Crypto.Hash import keccak

    digest: bytes = keccak.new(digest_bits=256, data=data).digest()
    return digest


def _address_or_none(private_key: bytes) -> str | None:
    try:
        return address_of_key(private_key)
    except ValueError:
        return None
