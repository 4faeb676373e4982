"""Keystore files: the public vectors, files made here by other hands, bounds, and faults that show nothing."""

import hashlib
import json
import subprocess
import sys
import traceback

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import keccak
from Crypto.Util import Counter
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.kernel.errors import Denied
from quantlab.venues.hyperliquid import keystore
from quantlab.venues.hyperliquid.auth import HyperliquidSigner, checksummed
from quantlab.venues.hyperliquid.keystore import decrypt_keystore, keystore_address
from tests.unit.venues.hyperliquid.hyperliquid_fakes import PRIVATE_KEY, SIGNER

PASSPHRASE = "correct h\u00f6rse"
IV = bytes(range(16))
SALT = b"\x5a" * 16
CHEAP = {"scrypt": {"n": 16, "r": 8, "p": 1}, "pbkdf2": {"c": 7, "prf": "hmac-sha256"}}
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

# The two vectors of the Web3 Secret Storage definition.
PUBLIC_KEY_OF_VECTORS = "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
PUBLIC_ADDRESS = "0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b"
PUBLIC_PASSPHRASE = "testpassword"
PUBLIC_VECTORS = {
    "pbkdf2": {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
    "scrypt": {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 262144,
                "r": 1,
                "p": 8,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
}


def keystore_of(key=PRIVATE_KEY, *, kdf="scrypt", address=SIGNER[2:], iv=IV, passphrase=PASSPHRASE, **cost):
    """Return a keystore as a wallet writes it, as a dictionary; no address when it is None."""
    cost = {**CHEAP[kdf], **cost}
    word = passphrase.encode("utf-8")
    if kdf == "scrypt":
        derived = hashlib.scrypt(word, salt=SALT, n=cost["n"], r=cost["r"], p=cost["p"], dklen=32)
    else:
        derived = hashlib.pbkdf2_hmac("sha256", word, SALT, cost["c"], 32)
    counter = Counter.new(128, initial_value=int.from_bytes(iv, "big"), allow_wraparound=True)
    ciphertext = AES.new(derived[:16], AES.MODE_CTR, counter=counter).encrypt(bytes.fromhex(key[2:]))
    mac = keccak.new(digest_bits=256, data=derived[16:32] + ciphertext).hexdigest()
    claimed = {} if address is None else {"address": address}
    return {
        **claimed,
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": kdf,
            "kdfparams": {"dklen": 32, "salt": SALT.hex(), **cost},
            "mac": mac,
        },
        "id": "5e1fc0de-0000-4000-8000-000000000000",
        "version": 3,
    }


def as_bytes(data):
    """Return a keystore as the bytes of its file."""
    return json.dumps(data).encode("utf-8")


def changed(path, value, **made):
    """Return the bytes of a keystore with one member replaced, or left out when the value is None."""
    data = keystore_of(**made)
    *outer, last = path.split(".")
    inside = data
    for name in outer:
        inside = inside[name]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return as_bytes(data)


def denied(call, *secrets):
    """Return the refusal of a call, having looked that neither it nor its traceback shows a secret."""
    with pytest.raises(Denied) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.refusals)
    for secret in (PRIVATE_KEY[2:], PASSPHRASE, *secrets):
        assert secret not in shown
    assert "othing was signed" in caught.value.message
    return caught.value


@pytest.mark.parametrize("kdf", PUBLIC_VECTORS)
def test_the_public_vectors_open(kdf):
    """Both vectors of the definition give their key, also the one whose scrypt settings OpenSSL would not take."""
    text = as_bytes(PUBLIC_VECTORS[kdf])
    assert PUBLIC_KEY_OF_VECTORS == decrypt_keystore(text, PUBLIC_PASSPHRASE)
    assert keystore_address(text) is None
    claiming = as_bytes({**PUBLIC_VECTORS[kdf], "address": PUBLIC_ADDRESS[2:]})
    assert PUBLIC_ADDRESS == keystore_address(claiming)


@pytest.mark.parametrize("kdf", CHEAP)
@pytest.mark.parametrize(
    "address", [SIGNER, SIGNER[2:], checksummed(SIGNER), checksummed(SIGNER)[2:], SIGNER[2:].upper(), None]
)
def test_a_wallets_keystore_opens(kdf, address):
    """Either way of stretching, and every spelling of the address, or none."""
    text = as_bytes(keystore_of(kdf=kdf, address=address))
    assert PRIVATE_KEY == decrypt_keystore(text, PASSPHRASE)
    assert (None if address is None else SIGNER) == keystore_address(text)


def test_the_key_signs_for_its_address():
    """What comes out is what the signer takes."""
    text = as_bytes(keystore_of())
    signer = HyperliquidSigner(address=SIGNER, read_private_key=lambda: decrypt_keystore(text, PASSPHRASE))
    assert signer.sign(bytes(32), network="testnet").v in {27, 28}


def test_spellings_that_wallets_differ_in():
    """`Crypto` with a capital, a byte order mark, hex in capitals, members that are not ours."""
    data = keystore_of(address=None)
    data["Crypto"] = data.pop("crypto")
    data["Crypto"]["mac"] = data["Crypto"]["mac"].upper()
    data["x-wallet"] = {"version": 9}
    assert PRIVATE_KEY == decrypt_keystore(b"\xef\xbb\xbf" + as_bytes(data), PASSPHRASE)


@pytest.mark.parametrize("iv", [b"\0" * 15 + b"\x07", b"\0\x01" * 8, b"\xff" * 16])
def test_a_vector_is_a_number(iv):
    """Some wallets leave leading zero bytes of the vector out; and the counter runs over its end."""
    data = keystore_of(iv=iv)
    assert PRIVATE_KEY == decrypt_keystore(as_bytes(data), PASSPHRASE)
    data["crypto"]["cipherparams"]["iv"] = iv.lstrip(b"\0").hex()
    assert PRIVATE_KEY == decrypt_keystore(as_bytes(data), PASSPHRASE)


@pytest.fixture(scope="module")
def client():
    """Return the reference client's accounts, or skip and say that it is absent."""
    return pytest.importorskip("eth_account", reason="eth_account is not installed").Account


@pytest.mark.oracle
@pytest.mark.parametrize(("kdf", "cost"), [("scrypt", 2), ("scrypt", 1024), ("pbkdf2", 1), ("pbkdf2", 1000)])
def test_the_reference_clients_keystores_open(client, kdf, cost):
    """What the reference client encrypts opens here to the same key, and claims the same address."""
    for number in range(1, 9):
        key = "0x" + hashlib.sha256(bytes((number,))).hexdigest()
        text = as_bytes(client.encrypt(key, PASSPHRASE, kdf=kdf, iterations=cost))
        assert key == decrypt_keystore(text, PASSPHRASE)
        assert client.from_key(key).address.lower() == keystore_address(text)


@pytest.mark.oracle
@settings(max_examples=40)
@given(
    number=st.integers(1, CURVE_ORDER - 1),
    passphrase=st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    iv=st.binary(min_size=16, max_size=16),
    kdf=st.sampled_from(sorted(CHEAP)),
)
def test_the_reference_client_opens_what_we_open(client, number, passphrase, iv, kdf):
    """The same file gives both the same key, whatever key, passphrase and vector."""
    key = f"0x{number:064x}"
    data = keystore_of(key, kdf=kdf, address=None, iv=iv, passphrase=passphrase)
    assert key == decrypt_keystore(as_bytes(data), passphrase) == "0x" + bytes(client.decrypt(data, passphrase)).hex()


@pytest.mark.parametrize("kdf", CHEAP)
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE + " ", PASSPHRASE.upper()])
def test_a_wrong_passphrase(kdf, passphrase):
    """Nothing near the passphrase opens the file."""
    text = as_bytes(keystore_of(kdf=kdf))
    assert "keystore_passphrase_wrong" == denied(lambda: decrypt_keystore(text, passphrase)).code


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("crypto.mac", "00" * 32),
        ("crypto.ciphertext", "00" * 32),
        ("crypto.kdfparams.salt", "00" * 16),
        ("crypto.kdfparams.n", 32),
    ],
)
def test_a_changed_file_does_not_open(path, value):
    """A change under the MAC looks like a wrong passphrase."""
    assert (
        "keystore_passphrase_wrong"
        == denied(lambda: decrypt_keystore(changed(path, value), PASSPHRASE), str(value)).code
    )


def test_a_changed_vector_is_seen_by_the_address():
    """The vector is not under the MAC: the address tells, that of the file or that of the signer."""
    text = changed("crypto.cipherparams.iv", "11" * 16)
    fault = denied(lambda: decrypt_keystore(text, PASSPHRASE))
    assert ("keystore_address_mismatch", SIGNER) == (fault.code, fault.refusals[0].limit)
    silent = changed("crypto.cipherparams.iv", "11" * 16, address=None)
    signer = HyperliquidSigner(address=SIGNER, read_private_key=lambda: decrypt_keystore(silent, PASSPHRASE))
    with pytest.raises(Denied) as caught:
        signer.sign(bytes(32), network="testnet")
    assert "signer_identity_mismatch" == caught.value.code


def test_another_address_than_claimed():
    """A file that claims an address which its key is not of is refused with both."""
    other = "0x" + "ab" * 20
    fault = denied(lambda: decrypt_keystore(as_bytes(keystore_of(address=other)), PASSPHRASE))
    assert ("keystore_address_mismatch", SIGNER, other) == (
        fault.code,
        fault.refusals[0].measured,
        fault.refusals[0].limit,
    )


@pytest.mark.parametrize("number", [0, CURVE_ORDER, 2**256 - 1])
def test_what_is_no_key_of_the_curve(number):
    """A file may open and hold no key."""
    key = f"0x{number:064x}"
    text = as_bytes(keystore_of(key, address=None))
    assert "hyperliquid_key_malformed" == denied(lambda: decrypt_keystore(text, PASSPHRASE), key[2:]).code


MARK = "5eC2e7c0ffee"


@pytest.mark.parametrize(
    ("path", "value", "member"),
    [
        ("version", None, "version"),
        ("version", "3", "version"),
        ("version", True, "version"),
        ("address", "0x" + MARK, "address"),
        ("address", SIGNER[2:] + "\n", "address"),
        ("address", 7, "address"),
        ("crypto", None, "crypto"),
        ("crypto", MARK, "crypto"),
        ("Crypto", keystore_of()["crypto"], "crypto"),
        ("crypto.cipher", None, "crypto.cipher"),
        ("crypto.cipher", 1, "crypto.cipher"),
        ("crypto.cipherparams", [], "crypto.cipherparams"),
        ("crypto.cipherparams.iv", None, "crypto.cipherparams.iv"),
        ("crypto.cipherparams.iv", "", "crypto.cipherparams.iv"),
        ("crypto.cipherparams.iv", "0" * 31, "crypto.cipherparams.iv"),
        ("crypto.cipherparams.iv", "00" * 17, "crypto.cipherparams.iv"),
        ("crypto.ciphertext", "00" * 31, "crypto.ciphertext"),
        ("crypto.ciphertext", "0x" + "00" * 32, "crypto.ciphertext"),
        ("crypto.ciphertext", "00" * 32 + "\n", "crypto.ciphertext"),
        ("crypto.mac", "zz" * 32, "crypto.mac"),
        ("crypto.mac", None, "crypto.mac"),
        ("crypto.kdf", None, "crypto.kdf"),
        ("crypto.kdfparams", None, "crypto.kdfparams"),
        ("crypto.kdfparams", MARK, "crypto.kdfparams"),
        ("crypto.kdfparams.dklen", 31, "crypto.kdfparams.dklen"),
        ("crypto.kdfparams.dklen", 64, "crypto.kdfparams.dklen"),
        ("crypto.kdfparams.salt", MARK + "f", "crypto.kdfparams.salt"),
        ("crypto.kdfparams.salt", "00" * 513, "crypto.kdfparams.salt"),
        ("crypto.kdfparams.salt", "", "crypto.kdfparams.salt"),
        ("crypto.kdfparams.n", "16", "crypto.kdfparams.n"),
        ("crypto.kdfparams.n", None, "crypto.kdfparams.n"),
        ("crypto.kdfparams.n", 0, "crypto.kdfparams.n"),
        ("crypto.kdfparams.n", 1, "crypto.kdfparams.n"),
        ("crypto.kdfparams.n", 24, "crypto.kdfparams.n"),
        ("crypto.kdfparams.n", 10**400, "crypto.kdfparams.n"),
        ("crypto.kdfparams.r", 0, "crypto.kdfparams.r"),
        ("crypto.kdfparams.p", -1, "crypto.kdfparams.p"),
        ("crypto.kdfparams.p", 1.5, "crypto.kdfparams.p"),
    ],
)
def test_a_malformed_file(path, value, member):
    """The refusal names the member that is wrong, and never what stands in it; nobody needs a passphrase for it."""
    fault = denied(lambda: keystore_address(changed(path, value)), MARK)
    assert ("keystore_malformed", member) == (fault.code, fault.refusals[0].measured)
    assert member in fault.message


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"3",
        b"[]",
        b"\xff" + MARK.encode(),
        b'{"version": 3, "address": "' + MARK.encode() + b'\xff"}',
        b'{"version": 3, "x": ' + b"[" * 60_000,
        b"[" * 60_000,
        b'{"version": 3',
    ],
)
def test_what_is_no_json_object(text):
    """Empty, cut, binary or deeply nested: refused, and not shown."""
    fault = denied(lambda: keystore_address(text), MARK)
    assert ("keystore_malformed", None) == (fault.code, fault.refusals[0].measured)
    assert fault.__context__ is None


@pytest.mark.parametrize(
    ("path", "value", "made"),
    [
        ("version", 1, {}),
        ("version", 4, {}),
        ("crypto.cipher", "aes-256-ctr", {}),
        ("crypto.kdf", "argon2id", {}),
        ("crypto.kdfparams.prf", "hmac-sha512", {"kdf": "pbkdf2"}),
    ],
)
def test_another_kind_of_file(path, value, made):
    """Other versions, ciphers and ways of stretching are named as not supported."""
    fault = denied(lambda: decrypt_keystore(changed(path, value, **made), PASSPHRASE), f"{value} ")
    assert "keystore_unsupported" == fault.code
    assert path.removeprefix("crypto.") in fault.message


@pytest.mark.parametrize(
    ("cost", "bearable"),
    [
        ({"n": 1 << 19, "r": 8, "p": 1}, True),
        ({"n": 1 << 20, "r": 8, "p": 1}, False),
        ({"n": 1 << 22, "r": 1, "p": 1}, True),
        ({"n": 1 << 62, "r": 1, "p": 1}, False),
        ({"n": 1 << 80, "r": 1, "p": 1}, False),
        ({"n": 2, "r": 1 << 40, "p": 1}, False),
        ({"n": 2, "r": 1, "p": 1 << 17}, True),
        ({"n": 2, "r": 1, "p": (1 << 17) + 1}, False),
        ({"n": 1 << 18, "r": 8, "p": 8}, True),
        ({"n": 1 << 18, "r": 8, "p": 9}, False),
        ({"c": 10_000_000, "prf": "hmac-sha256"}, True),
        ({"c": 10_000_001, "prf": "hmac-sha256"}, False),
        ({"c": 1 << 63, "prf": "hmac-sha256"}, False),
    ],
)
def test_what_a_file_may_cost(cost, bearable):
    """512 MiB and 10 million iterations are borne, more is refused before anything is computed."""
    kdf = "pbkdf2" if "c" in cost else "scrypt"
    text = changed("crypto.kdfparams", {"dklen": 32, "salt": SALT.hex(), **cost}, kdf=kdf)
    if bearable:
        assert SIGNER == keystore_address(text)
        return
    assert "keystore_too_costly" == denied(lambda: decrypt_keystore(text, PASSPHRASE)).code


def test_a_large_file():
    """64 KiB are read, one byte more is no keystore."""
    text = as_bytes(keystore_of())
    largest = text + b" " * (keystore.LARGEST_KEYSTORE_BYTES - len(text))
    assert PRIVATE_KEY == decrypt_keystore(largest, PASSPHRASE)
    assert "keystore_too_large" == denied(lambda: decrypt_keystore(largest + b" ", PASSPHRASE)).code


def test_a_passphrase_that_is_no_text():
    """What a terminal could not decode is refused without being carried along."""
    typed = MARK + "\udcff"
    fault = denied(lambda: decrypt_keystore(as_bytes(keystore_of()), typed), MARK[:-1])
    assert ("passphrase_malformed", None) == (fault.code, fault.__context__)


SHORT_OF_MEMORY = """
import resource, sys
from quantlab.kernel.errors import Denied
from quantlab.venues.hyperliquid.keystore import decrypt_keystore
text = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
try:
    decrypt_keystore(text, "x")
except Denied as fault:
    print(fault.code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to a bound of its memory")
@pytest.mark.parametrize("cost", [{"n": 1 << 19, "r": 8, "p": 1}, {"n": 1 << 22, "r": 1, "p": 1}])
def test_a_machine_without_the_memory(cost):
    """A process that may not take the memory says so, in either library."""
    text = changed("crypto.kdfparams", {"dklen": 32, "salt": SALT.hex(), **cost})
    done = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], input=text, capture_output=True, check=False)
    assert (b"keystore_stretching_failed\n", b"") == (done.stdout, done.stderr)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)
MEMBERS = [
    "version", "address", "crypto", "crypto.cipher", "crypto.cipherparams", "crypto.cipherparams.iv",
    "crypto.ciphertext", "crypto.kdf", "crypto.kdfparams", "crypto.kdfparams.n", "crypto.kdfparams.r",
    "crypto.kdfparams.p", "crypto.kdfparams.dklen", "crypto.kdfparams.salt", "crypto.mac",
]  # fmt: skip


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    """No bytes raise anything but the refusal."""
    assert denied(lambda: keystore_address(data)).code in {"keystore_malformed", "keystore_unsupported"}


@given(st.sampled_from(MEMBERS), JSON)
def test_any_member_is_read_or_refused(path, value):
    """Whatever stands in a member: an address, none, or the refusal."""
    try:
        found = keystore_address(changed(path, value))
    except Denied:
        return
    assert found is None or len(found) == 42
