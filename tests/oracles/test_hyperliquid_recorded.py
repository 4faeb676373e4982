"""Recorded envelopes and vectors: adapter, rehearsal exchange and official client agree on who signed.

The recordings lie beside the repository, in ../shared/venues/hyperliquid_recorded; without them the tests are skipped.
"""

import json

import msgspec
import pytest

from quantlab.rehearsal import hyperliquid_signing as rehearsal
from quantlab.rehearsal.hyperliquid_actions import read_envelope
from quantlab.rehearsal.hyperliquid_auth import recover_signer
from quantlab.rehearsal.hyperliquid_knobs import Rules
from quantlab.venues.hyperliquid import auth
from quantlab.venues.hyperliquid.auth import Signature
from tests.unit.venues.hyperliquid.recordings import recording

pytestmark = pytest.mark.oracle

TRANSCRIPT = "28_exchange_signed_transcript_testnet.json"
VECTORS = "32_signing_vectors.json"
SOURCES = {"mainnet": "a", "testnet": "b"}


@pytest.fixture(scope="module")
def client():
    """Return the official client's signing module, or skip and say that it is absent."""
    return pytest.importorskip("hyperliquid.utils.signing", reason="hyperliquid-python-sdk is not installed")


def numbers(signature):
    """Return r, s and v as numbers; their texts may be short."""
    return int(signature["r"], 16), int(signature["s"], 16), signature["v"]


def account_of(one, document):
    """Return the account or agent that an envelope of the transcript acted as, as the venue's own words tell it."""
    signer = one["signer_recovered_by_us"]
    told = [document["info_answers"], [each["response"] for each in document["interactions"]]]
    assert signer in json.dumps(told), "the venue itself names it"
    return signer


def test_every_recorded_envelope_recovers_to_its_account(client):
    """No envelope of the transcript is left out; all three read the same signer, one that the venue itself names."""
    document = recording(TRANSCRIPT)
    user_signed = 0
    for one in document["interactions"]:
        body = one["request"]["body"]
        account = account_of(one, document)
        assert account == recover_signer(read_envelope(body), Rules()), one["step"]
        action, signature = body["action"], body["signature"]
        vault, expires = body.get("vaultAddress"), body.get("expiresAfter")
        if action["type"] in rehearsal.USER_SIGNED:
            user_signed += 1
            continue
        theirs = client.recover_agent_or_user_from_l1_action(action, signature, vault, body["nonce"], expires, False)
        assert account == theirs.lower(), one["step"]
        hashed = auth.action_hash(action, nonce=body["nonce"], vault_address=vault, expires_after_ms=expires)
        assert one["connectionId_computed_by_us"] == "0x" + hashed.hex()
        assert account == auth.recover_signer(Signature(**signature), hashed, network="testnet"), one["step"]
    assert (len(document["interactions"]), user_signed) == (6, 2)


def test_every_recorded_vector_is_signed_and_recovered_alike(client):
    """MessagePack, hash, both networks' signatures and the signer, by all three, for every vector of the file."""
    import eth_account
    import msgpack

    vectors = recording(VECTORS)["l1"]
    assert len(vectors) == 30
    for vector in vectors:
        action, nonce = vector["action"], vector["nonce"]
        vault, expires = vector["vaultAddress"], vector["expiresAfter"]
        packed = {msgpack.packb(action), auth.action_bytes(action), rehearsal.pack(action)}
        assert {vector["msgpack_hex"]} == {"0x" + one.hex() for one in packed}, vector["name"]
        hashes = {
            client.action_hash(action, vault, nonce, expires),
            auth.action_hash(action, nonce=nonce, vault_address=vault, expires_after_ms=expires),
            rehearsal.action_hash(action, nonce, vault, expires),
        }
        assert {vector["connectionId"]} == {"0x" + one.hex() for one in hashes}, vector["name"]
        [hashed] = hashes
        key = bytes.fromhex(vector["private_key"][2:])
        wallet = eth_account.Account.from_key(key)
        for network, source in SOURCES.items():
            expected = numbers(vector[network])
            made = client.sign_l1_action(wallet, action, vault, nonce, expires, network == "mainnet")
            ours = msgspec.structs.asdict(auth.sign_l1_action(key, hashed, network=network))
            assert expected == numbers(made) == numbers(ours), vector["name"]
            assert vector["address"] == rehearsal.recover(rehearsal.l1_digest(hashed, source), expected)
            assert vector["address"] == auth.recover_signer(Signature(**vector[network]), hashed, network=network)


def test_the_kept_vectors_are_the_recorded_ones():
    """What the repository keeps of the vectors, for where the recordings are not at hand, was not changed."""
    from tests.unit.venues.hyperliquid.test_auth import GOLDEN

    document, transcript = recording(VECTORS), recording(TRANSCRIPT)
    fields = ("action", "nonce", "vaultAddress", "expiresAfter", "msgpack_hex", "connectionId", "mainnet", "testnet")
    recorded = {one["name"]: one for one in document["l1"]}
    for kept in GOLDEN["l1"]:
        for field in fields:
            assert recorded[kept["name"]].get(field) == kept.get(field), (kept["name"], field)
    envelopes = [one["request"]["body"] for one in transcript["interactions"]]
    for kept in GOLDEN["venue_accepted"]:
        assert any((kept["action"], kept["nonce"]) == (one["action"], one["nonce"]) for one in envelopes), kept["name"]
