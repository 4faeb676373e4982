"""Hashes and signatures by the venue's rule, addresses, and a key that gives nothing away."""

import json
from pathlib import Path

import pytest

from quantlab.kernel.errors import Denied, UsageFault
from quantlab.venues.hyperliquid import auth
from quantlab.venues.hyperliquid.auth import BadSignature, HyperliquidSigner, Signature
from tests.unit.venues.hyperliquid.hyperliquid_fakes import PRIVATE_KEY, SIGNER

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "signatures" / "hyperliquid.json").read_text("utf-8"))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HASHED = bytes(range(32))


def _numbers(signature):
    return int(signature.r, 16), int(signature.s, 16), signature.v


def _hash_of(vector):
    return auth.action_hash(
        vector["action"],
        nonce=vector["nonce"],
        vault_address=vector.get("vaultAddress"),
        expires_after_ms=vector.get("expiresAfter"),
    )


@pytest.mark.parametrize("vector", GOLDEN["l1"], ids=lambda vector: vector["name"])
def test_hashes_and_signatures_match_the_vectors(vector):
    """MessagePack, hash, both networks' signatures and the recovered signer are those of the official client."""
    key = bytes.fromhex(vector["private_key"][2:])
    assert vector["msgpack_hex"] == "0x" + auth.action_bytes(vector["action"]).hex()
    hashed = _hash_of(vector)
    assert vector["connectionId"] == "0x" + hashed.hex()
    for network in ("mainnet", "testnet"):
        signature = auth.sign_l1_action(key, hashed, network=network)
        expected = Signature(**vector[network])
        assert _numbers(expected) == _numbers(signature)
        assert (66, 66) == (len(signature.r), len(signature.s))
        assert vector["address"] == auth.recover_signer(expected, hashed, network=network)


@pytest.mark.parametrize("vector", GOLDEN["venue_accepted"], ids=lambda vector: vector["name"])
def test_envelopes_that_the_venue_took_recover_to_their_account(vector):
    """The venue's own signer check passed on these: our hash and our recovery agree with it."""
    hashed = _hash_of(vector)
    assert vector["connectionId"] == "0x" + hashed.hex()
    assert vector["signer"] == auth.recover_signer(Signature(**vector["signature"]), hashed, network="testnet")


def test_the_network_changes_the_signer():
    """A signature for one network is a stranger's on the other."""
    signature = auth.sign_l1_action(bytes.fromhex(PRIVATE_KEY[2:]), HASHED, network="testnet")
    assert SIGNER == auth.recover_signer(signature, HASHED, network="testnet")
    assert SIGNER != auth.recover_signer(signature, HASHED, network="mainnet")
    assert ["mainnet", "testnet", "testnet"] == [auth.network_of(e) for e in ("live", "testnet", "rehearsal")]


def _twin(signature):
    return Signature(r=signature.r, s=hex(ORDER - int(signature.s, 16)), v=55 - signature.v)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda s: Signature(r=s.r, s=s.s, v=s.v - 27), "malformed"),
        (lambda s: Signature(r=s.r[2:], s=s.s, v=s.v), "malformed"),
        (lambda s: Signature(r=s.r, s="0x", v=s.v), "malformed"),
        (_twin, "twins"),
        (lambda s: Signature(r="0x0", s=s.s, v=s.v), "no key"),
        (lambda s: Signature(r="0x" + "f" * 64, s=s.s, v=s.v), "no key"),
    ],
)
def test_a_signature_that_can_not_be_ours_is_refused(change, why):
    """Another v, a bare number, the twin with the larger s, a number outside the curve."""
    signature = auth.sign_l1_action(bytes.fromhex(PRIVATE_KEY[2:]), HASHED, network="testnet")
    with pytest.raises(BadSignature, match=why):
        auth.recover_signer(change(signature), HASHED, network="testnet")


CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize(
    "text",
    [CHECKSUMMED, f" {CHECKSUMMED}\n", CHECKSUMMED.lower(), "0x" + CHECKSUMMED[2:].upper()],
)
def test_every_spelling_of_an_address_is_one(text):
    """Checksummed, lower and upper case lead to lower case, which is what is hashed."""
    assert CHECKSUMMED.lower() == auth.parse_address(text)


def test_the_checksum_is_the_standards():
    """The example of EIP-55 is reproduced."""
    assert CHECKSUMMED == auth.checksummed(CHECKSUMMED.lower())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "address_unusable"),
        ("0xSIGNER_ADDRESS", "address_unusable"),
        (CHECKSUMMED[:-1], "address_unusable"),
        (CHECKSUMMED + "0", "address_unusable"),
        (CHECKSUMMED.upper(), "address_unusable"),
        (CHECKSUMMED[2:], "address_unusable"),
        (CHECKSUMMED.replace("E94", "e94"), "address_checksum"),
    ],
)
def test_what_is_no_address_is_a_usage_fault(text, code):
    """Short, long, placeholder, other prefix, and a checksum that fails: a slip that would lose money."""
    with pytest.raises(UsageFault) as caught:
        auth.parse_address(text)
    assert code == caught.value.code


def test_the_key_is_read_to_sign_and_not_kept():
    """Nothing reads the key before a signature, each signature reads it once, and nobody holds it after."""
    read = []

    def key():
        read.append(1)
        return " " + PRIVATE_KEY[2:].upper() + "\n"

    signer = HyperliquidSigner(address="0x" + SIGNER[2:].upper(), read_private_key=key)
    assert (SIGNER, SIGNER, []) == (signer.signer_id, signer.address, read)
    for _ in range(2):
        signature = signer.sign(HASHED, network="testnet")
    assert [1, 1] == read
    assert SIGNER == auth.recover_signer(signature, HASHED, network="testnet")
    assert {"address": SIGNER, "_read_private_key": key} == vars(signer)
    assert f"HyperliquidSigner({SIGNER})" == repr(signer)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "hyperliquid_key_malformed"),
        ("0x5e", "hyperliquid_key_malformed"),
        ("zz" * 32, "hyperliquid_key_malformed"),
        ("00" * 32, "hyperliquid_key_malformed"),
        ("ff" * 32, "hyperliquid_key_malformed"),
        ("6f" * 32, "signer_identity_mismatch"),
    ],
)
def test_a_key_that_can_not_sign_for_the_signer_is_denied(key, code):
    """Missing, malformed, outside the curve, or another address's: nothing is signed, and the key is not shown."""
    signer = HyperliquidSigner(address=SIGNER, read_private_key=lambda: key)
    with pytest.raises(Denied) as caught:
        signer.sign(HASHED, network="mainnet")
    assert code == caught.value.code
    assert not key or key not in str(caught.value)
