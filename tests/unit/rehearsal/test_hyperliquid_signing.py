"""Who signed: known answers, envelopes that the real venue accepted, and what the venue hashes."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.rehearsal.hyperliquid_actions import read_envelope
from quantlab.rehearsal.hyperliquid_auth import recover_signer
from quantlab.rehearsal.hyperliquid_knobs import Rules
from quantlab.rehearsal.hyperliquid_signing import action_hash, l1_digest, pack, recover, user_digest
from quantlab.rehearsal.hyperliquid_wire import Refused
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, limit, order_action, sign

RECORDED = Path(__file__).resolve().parents[4] / "shared/venues/hyperliquid_recorded"
SDK_ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
GTC = {
    "type": "order",
    "orders": [{"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}],
    "grouping": "na",
}
DUMMY = {"type": "dummy", "num": 100000000000}
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
BASE = {**GTC, "orders": [{**GTC["orders"][0], "a": 0, "p": "30000", "s": "0.1"}]}
OTHER_VAULT = "0x1234567890123456789012345678901234567890"


def recorded(name: str) -> dict:
    """Read a recording, or skip where they are not at hand."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"the recordings are not at hand: {name}")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("action", "vault", "source", "r", "s", "v"),
    [
        (DUMMY, None, "a", 0x53749D5B30552AEB2FCA34B530185976545BB22D0B3CE6F62E31BE961A59298,
         0x755C40BA9BF05223521753995ABB2F73AB3229BE8EC921F350CB447E384D8ED8, 27),
        (DUMMY, None, "b", 0x542AF61EF1F429707E3C76C5293C80D01F74EF853E34B76EFFFCB57E574F9510,
         0x17B8B32F086E8CDEDE991F1E2C529F5DD5297CBE8128500E00CBAF766204A613, 28),
        (GTC, None, "a", 0xD65369825A9DF5D80099E513CCE430311D7D26DDF477F5B3A33D2806B100D78E,
         0x2B54116FF64054968AA237C20CA9FF68000F977C93289157748A3162B6EA940E, 28),
        (DUMMY, VAULT, "b", 0xE281D2FB5C6E25CA01601F878E4D69C965BB598B88FAC58E475DD1F5E56C362B,
         0x7DDAD27E9A238D045C035BC606349D075D5C5CD00A6CD1DA23AB5C39D4EF0F60, 27),
        ({"type": "scheduleCancel", "time": 123456789}, None, "a",
         0x609CB20C737945D070716DCC696BA030E9976FCF5EDAD87AFA7D877493109D55,
         0x16C685D63B5C7A04512D73F183B3D7A00DA5406FF1F8AAD33F8AE2163BAB758B, 28),
    ],
)  # fmt: skip
def test_published_signatures_recover_to_their_key(action, vault, source, r, s, v):
    """Signatures that the official client's tests publish recover to the key that made them."""
    digest = l1_digest(action_hash(action, 0, vault, None), source)
    assert SDK_ADDRESS == recover(digest, (r, s, v))
    assert SDK_ADDRESS == recover(digest, (r, s, v - 27))
    assert SDK_ADDRESS != recover(l1_digest(action_hash(action, 1, vault, None), source), (r, s, v))


@pytest.mark.parametrize(
    ("vault", "expires", "connection_id"),
    [
        (None, None, "25367e0dba84351148288c2233cd6130ed6cec5967ded0c0b7334f36f957cc90"),
        (OTHER_VAULT, None, "214e2ea3270981b6fd18174216691e69f56872663139d396b10ded319cb4bb1e"),
        (None, 1234567890, "c30b002ba3775e4c31c43c1dfd3291dfc85c6ae06c6b9f393991de86cad5fac7"),
        (OTHER_VAULT, 1234567890, "2d62412aa0fc57441b5189841d81554a6a9680bf07204e1454983a9ca44f0744"),
    ],
)
def test_vault_and_expiry_enter_the_hash(vault, expires, connection_id):
    """Published hashes with and without vault and expiry come out equal."""
    assert connection_id == action_hash(BASE, 1234567890, vault, expires).hex()


def test_recorded_vectors():
    """Every vector at hand has our bytes and hash, and both its signatures recover to its key."""
    vectors = recorded("32_signing_vectors.json")["l1"]
    assert len(vectors) > 20
    for vector in vectors:
        vault, expires = vector["vaultAddress"], vector["expiresAfter"]
        connection_id = action_hash(vector["action"], vector["nonce"], vault, expires)
        assert vector["msgpack_hex"] == "0x" + pack(vector["action"]).hex()
        assert vector["connectionId"] == "0x" + connection_id.hex()
        for network, source in (("mainnet", "a"), ("testnet", "b")):
            made = vector[network]
            signature = (int(made["r"], 16), int(made["s"], 16), made["v"])
            assert vector["address"] == recover(l1_digest(connection_id, source), signature), vector["name"]


def test_envelopes_that_the_venue_accepted():
    """Whole envelopes that the real test network took are read and recover to the account they acted for."""
    found = recorded("28_exchange_signed_transcript_testnet.json")["interactions"]
    checked = [i for i in found if "signer_recovered_by_us" in i]
    assert len(checked) >= 6
    for one in checked:
        envelope = read_envelope(one["request"]["body"])
        assert one["signer_recovered_by_us"] == recover_signer(envelope, Rules()), one["step"]


def test_recorded_user_signed_vectors():
    """Actions that the account itself signs recover to the published key."""
    for vector in recorded("32_signing_vectors.json")["user_signed"]:
        kind = {"usd_send": "usdSend", "withdraw3": "withdraw3"}[vector["name"]]
        made = vector["testnet"]
        digest = user_digest({"type": kind, **vector["message"]})
        assert SDK_ADDRESS == recover(digest, (int(made["r"], 16), int(made["s"], 16), made["v"]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=300),
        lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
        max_leaves=30,
    )
)
@settings(max_examples=200, deadline=None)
def test_packing_equals_a_library(value):
    """Our MessagePack equals that of a library, byte for byte."""
    assert msgspec.msgpack.encode(value) == pack(value)


# --------------------------------------------------------------- what is hashed


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


@pytest.mark.parametrize(
    "change",
    [{"p": "1900.00"}, {"s": "0.2500"}, {"c": CLOID.upper().replace("0X", "0x")}, {"c": CLOID[2:]},
     {"unknown": 1}],
)  # fmt: skip
def test_canonical_form_is_hashed_not_the_text(desk, change):
    """Trailing zeros, the case of a cloid and unknown keys of an order do not count for the signature."""
    signed = order_action(limit(c=CLOID))
    sent = order_action({**limit(c=CLOID), **change})
    assert desk.act(sent, signed=signed)["status"] == "ok"


def test_key_order_on_the_wire_does_not_count(desk):
    """Keys may come in any order."""
    signed = order_action(limit(c=CLOID))
    row = dict(sorted(signed["orders"][0].items()))
    sent = {"grouping": "na", "orders": [row], "type": "order"}
    assert desk.act(sent, signed=signed)["status"] == "ok"


def test_signing_another_form_names_a_stranger(desk):
    """Who hashes trailing zeros is refused under an address that nobody knows."""
    text = desk.refused(order_action(limit("1900")), signed=order_action({**limit(), "p": "1900.00"}))
    assert text.startswith("User or API Wallet 0x")
    assert text.endswith(" does not exist.")
    assert desk.key not in text


@pytest.mark.parametrize("change", [{"v": 99}, {"r": "0x0"}, {"s": "0x0"}, {"r": "0x" + "f" * 64}])
def test_signature_of_nobody(desk, change):
    """A signature that no key can have made is said to be unrecoverable."""
    body = desk.envelope({"type": "noop"})
    body["signature"] |= change
    assert desk.post("/exchange", body).json() == {"status": "err", "response": "Unable to recover signer."}


def test_the_other_network_is_another_signer(desk):
    """A signature for mainnet names a stranger, until the exchange plays mainnet."""
    assert "does not exist." in desk.refused({"type": "noop"}, source="a")
    desk.hl_fault("rules", value={"network": "Mainnet"})
    assert desk.act({"type": "noop"}, source="a")["status"] == "ok"


def test_short_signature_words_are_read(desk):
    """Some r or s among many signatures begins with a zero, is sent short, and is understood."""
    action = {"type": "noop"}
    made = {n: sign(desk.key, action, n) for n in range(desk.now_ms, desk.now_ms + 300)}
    nonce = next(n for n, one in made.items() if min(len(one["r"]), len(one["s"])) < 66)
    assert desk.act(action, nonce=nonce)["status"] == "ok"


def test_missing_field_of_a_user_signed_action():
    """An action without a field of its type has no signer."""
    with pytest.raises(Refused, match="Unable to recover signer"):
        user_digest({"type": "approveAgent", "hyperliquidChain": "Testnet", "signatureChainId": "0x1"})


@pytest.mark.parametrize("value", [1.5, 2**64, -(2**63) - 1, b"x"])
def test_what_no_action_holds_cannot_be_packed(value):
    """Numbers that MessagePack cannot hold, and kinds that JSON has not, have no signer."""
    with pytest.raises(Refused, match="Unable to recover signer"):
        pack({"type": value})


@pytest.mark.parametrize(
    "change",
    [{"signatureChainId": "moon"}, {"signatureChainId": "-0x1"}, {"agentAddress": "0xzz"}, {"nonce": -1},
     {"nonce": "5"}, {"hyperliquidChain": None}],
)  # fmt: skip
def test_malformed_user_signed_action(change):
    """A field that is not of its type leaves no signer."""
    action = {
        "type": "approveAgent", "hyperliquidChain": "Testnet", "signatureChainId": "0x1",
        "agentAddress": VAULT, "agentName": "x", "nonce": 5,
    }  # fmt: skip
    assert user_digest(action) == user_digest(dict(reversed(action.items())))
    with pytest.raises(Refused, match="Unable to recover signer"):
        user_digest(action | change)
