"""Our hashes, bytes and signatures are those of the official client, over generated actions."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.model.order import Plan, Promotion
from quantlab.venues.hyperliquid import auth, codec_orders
from quantlab.venues.hyperliquid.auth import HyperliquidSigner
from quantlab.venues.hyperliquid.signed import Draft, sign_drafts

pytestmark = pytest.mark.oracle

KEYS = st.integers(1, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364140)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
# Up to a million: the client prints binary fractions with eight decimals, which differ from ours beyond that.
AMOUNTS = st.integers(0, 8).flatmap(
    lambda places: st.integers(1, 10 ** (6 + places)).map(lambda digits: Decimal(digits).scaleb(-places))
)


@pytest.fixture(scope="module")
def client():
    """Return the official client's signing module, or skip and say that it is absent."""
    return pytest.importorskip("hyperliquid.utils.signing", reason="hyperliquid-python-sdk is not installed")


@st.composite
def plans(draw):
    """Return a plan of any order that can be carried."""
    is_limit = draw(st.booleans())
    post_only = is_limit and draw(st.booleans())
    price = format(draw(AMOUNTS), "f")
    return Plan(
        venue="hyperliquid",
        environment="rehearsal",
        account_identity="0x" + "ac" * 20,
        account_label="a",
        symbol="ETH",
        venue_symbol="ETH",
        venue_symbol_aliases=(f"asset={draw(st.one_of(st.integers(0, 300), st.integers(10_000, 120_000)))}",),
        side=draw(st.sampled_from(["buy", "sell"])),
        order_type="limit",
        size_base=format(draw(AMOUNTS), "f"),
        limit_price=price if is_limit else None,
        worst_price=price,
        time_in_force="gtc" if post_only else draw(st.sampled_from(["gtc", "ioc"])),
        post_only=post_only,
        reduce_only=draw(st.booleans()),
        notional_quote="1",
        reference_price="1",
        client_order_id="0x" + draw(st.binary(min_size=16, max_size=16)).hex(),
        session_id="s",
        order_text="",
        policy_sha256="0" * 64,
        promotion=Promotion(source="none"),
        planned_at="2026-09-03T06:00:00.000000Z",
    )


def _client_order(client, plan):
    """Return the plan's order as the client builds it from numbers."""
    from hyperliquid.utils.types import Cloid

    tif = "Alo" if plan.post_only else plan.time_in_force.capitalize()
    request = {
        "coin": "ETH",
        "is_buy": plan.side == "buy",
        "sz": float(plan.size_base),
        "limit_px": float(plan.worst_price),
        "order_type": {"limit": {"tif": tif}},
        "reduce_only": plan.reduce_only,
        "cloid": Cloid.from_str(plan.client_order_id),
    }
    wire = client.order_request_to_order_wire(request, codec_orders.asset_of(plan))
    return client.order_wires_to_order_action([wire])


def _client_actions(client, plan, oid):
    asset = codec_orders.asset_of(plan)
    return (
        (codec_orders.order_action(plan), _client_order(client, plan)),
        (
            codec_orders.cancel_action(plan, venue_order_id=str(oid)),
            {"type": "cancel", "cancels": [{"a": asset, "o": oid}]},
        ),
        (
            codec_orders.cancel_action(plan, venue_order_id=None),
            {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": plan.client_order_id}]},
        ),
        (codec_orders.noop_action(), {"type": "noop"}),
    )


@settings(max_examples=1000, deadline=None)
@given(
    plan=plans(),
    key=KEYS,
    oid=st.integers(0, 2**53 - 1),
    nonce=st.integers(1, 9_999_999_999_999),
    expiry=st.none() | st.integers(1, 9_999_999_999_999),
    vault=st.none() | ADDRESSES,
    network=st.sampled_from(["mainnet", "testnet"]),
)
def test_every_action_is_signed_as_the_client_signs_it(client, plan, key, oid, nonce, expiry, vault, network):
    """Bytes, hash and signature are equal, for every kind of action, vault, expiry and network."""
    import eth_account
    import msgpack

    private_key = key.to_bytes(32, "big")
    wallet = eth_account.Account.from_key(private_key)
    signer = HyperliquidSigner(address=wallet.address, read_private_key=private_key.hex)
    pairs = _client_actions(client, plan, oid)
    drafts = tuple(
        Draft(action=ours, kind="order", nonce=nonce, expires_after_ms=expiry, vault_address=vault) for ours, _ in pairs
    )
    made = sign_drafts(drafts, plan, signer=signer, network=network)
    for (ours, theirs), signed in zip(pairs, made, strict=True):
        assert msgpack.packb(theirs) == auth.action_bytes(ours)
        hashed = auth.action_hash(ours, nonce=nonce, vault_address=vault, expires_after_ms=expiry)
        assert client.action_hash(theirs, vault, nonce, expiry) == hashed
        expected = client.sign_l1_action(wallet, theirs, vault, nonce, expiry, network == "mainnet")
        assert (int(expected["r"], 16), int(expected["s"], 16), expected["v"]) == (
            int(signed.signature_r, 16),
            int(signed.signature_s, 16),
            signed.signature_v,
        )
        body = msgspec.json.decode(signed.body_text)
        assert wallet.address == client.recover_agent_or_user_from_l1_action(
            body["action"], body["signature"], vault, nonce, expiry, network == "mainnet"
        )


@settings(max_examples=2000, deadline=None)
@given(value=AMOUNTS)
def test_numbers_are_spelled_as_the_client_spells_them(client, value):
    """Sizes and prices without a binary fraction on the way."""
    text = format(value, "f")
    assert client.float_to_wire(float(text)) == codec_orders.wire_decimal(text)
