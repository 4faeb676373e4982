"""Refusals and rows that the other tests do not meet: each in the venue's words, from what really happened."""

from decimal import Decimal

import pytest

from quantlab.rehearsal.hyperliquid_seeding import sub_address
from quantlab.rehearsal.hyperliquid_signing import user_digest
from tests.unit.rehearsal.hyperliquid_driving import (
    BTC,
    CLOID,
    ETH,
    PURR,
    Desk,
    limit,
    order_action,
    sign_digest,
)

NOOP = {"type": "noop"}
LEVERAGE = {"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 5}


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


def approved(desk: Desk, nonce: int, /, **changes) -> str:
    """Let the master approve an agent with changes to the envelope, and return the refusal."""
    action = {
        "type": "approveAgent", "hyperliquidChain": "Testnet", "signatureChainId": "0x66eee",
        "agentAddress": "0x" + "31" * 20, "agentName": "more", "nonce": nonce,
    }  # fmt: skip
    signature = sign_digest(desk.exchange.keys.master.private_key, user_digest(action))
    body = {"action": action, "nonce": nonce, "signature": signature, **changes}
    answer = desk.post("/exchange", body).json()
    assert answer["status"] == "err"
    return str(answer["response"])


def test_what_the_account_itself_signs_has_no_vault_expiry_or_second_nonce(desk):
    """Each is refused with its own words; of the three only the vault leaves the nonce free."""
    nonce, key = desk.now_ms, desk.exchange.keys.master.private_key
    assert approved(desk, nonce, vaultAddress=sub_address(7)) == "Vault may not perform this action."
    assert desk.act(NOOP, nonce=nonce, key=key)["status"] == "ok"
    text = "Action does not support expires_after"
    assert approved(desk, nonce + 1, expiresAfter=desk.now_ms + 60_000) == text
    assert "duplicate" in desk.refused(NOOP, nonce=nonce + 1, key=key)
    assert approved(desk, nonce + 2, nonce=nonce + 3) == "Nonce mismatch."
    assert "duplicate" in desk.refused(NOOP, nonce=nonce + 3, key=key)
    assert desk.act(NOOP, nonce=nonce + 2, key=key)["status"] == "ok"


def test_open_orders_are_limited(desk):
    """Beyond so many open orders the next is rejected with a record."""
    desk.hl_fault("limits", value={"open_orders": 1})
    first, second = desk.place(limit(), limit(c=CLOID))
    assert ({"resting"}, {"error": "Too many open orders. asset=1"}) == (set(first), second)
    assert "tooManyOpenOrdersRejected" == desk.status_by_cloid()


def test_modify_that_fails(desk):
    """A new order that is wrong in itself leaves the old one; one that the engine rejects has ended it already."""
    [status] = desk.place(limit(c=CLOID))
    oid = status["resting"]["oid"]
    wrong = {"type": "modify", "oid": oid, "order": limit(size="0")}
    assert desk.refused(wrong) == "Attempted to modify to invalid new order"
    assert "open" == desk.status_by_cloid()
    small = {"type": "modify", "oid": oid, "order": limit(size="0.001")}
    text = "Error placing new order during modify: Order must have minimum value of $10. asset=1"
    assert desk.refused(small) == text
    assert "canceled" == desk.status_by_cloid()


def test_schedule_cancel_of_a_large_account(desk):
    """With volume enough it is refused for its time."""
    desk.exchange.state.hyperliquid.accounts[desk.user].volume = Decimal(1_000_000)
    text = "Scheduled cancel time too early, must be at least 5 seconds from now."
    assert text == desk.refused({"type": "scheduleCancel", "time": desk.now_ms})


@pytest.mark.parametrize("asset", [PURR, 9_000])
def test_leverage_is_for_perpetuals(desk, asset):
    """A spot pair and an asset that does not exist have none."""
    assert f"Unknown coin {asset}" == desk.refused(LEVERAGE | {"asset": asset})


def test_isolated_position(desk):
    """An isolated position says what was put in for it."""
    desk.act(LEVERAGE | {"isCross": False})
    desk.place(limit("2100", "0.25", "Ioc"))
    [row] = desk.mine("clearinghouseState")["assetPositions"]
    leverage, entry = row["position"]["leverage"], Decimal(row["position"]["entryPx"])
    assert (leverage["type"], leverage["value"]) == ("isolated", 5)
    worth = Decimal(row["position"]["positionValue"])
    assert Decimal(leverage["rawUsd"]) == Decimal(row["position"]["marginUsed"]) - worth
    assert 1980 < entry < 2020


def test_open_order_says_that_it_is_reduce_only(desk):
    """The key is there when it is true, and only then."""
    desk.place(limit("2100", "0.25", "Ioc"))
    desk.place(limit("2100", "0.25", buy=False, reduce=True), limit())
    assert [None, True] == [row.get("reduceOnly") for row in desk.mine("openOrders")]


def test_orders_of_other_assets_and_sides_are_left_alone(desk):
    """A taker ends own orders that it would meet, no others: not of its side, another asset, or a worse price."""
    _, ask = desk.bbo()
    far = str(ask + 100)
    desk.place(limit(far, "0.1", buy=False), limit("1900", "0.1"), limit("50000", "0.001", asset=BTC))
    desk.place(limit("2100", "0.1", "Ioc"))
    assert len(desk.mine("openOrders")) == 3


def test_fills_by_time_can_be_turned_round(desk):
    """With `reversed` the newest fill is first."""
    for _ in range(2):
        desk.place(limit("2100", "0.01", "Ioc"))
        desk.pass_seconds(1)
    rows = [desk.mine("userFillsByTime", startTime=0, reversed=turned) for turned in (False, True)]
    assert rows[0] == rows[1][::-1]
    assert rows[0] != rows[1]


@pytest.mark.parametrize(
    ("kind", "fields", "status", "answer"),
    [
        ("activeAssetData", {"user": "0x" + "1" * 40, "coin": "PURR/USDC"}, 422, None),
        ("activeAssetData", {"user": "0x" + "1" * 40, "coin": "NONE"}, 422, None),
        ("fundingHistory", {"coin": "NONE", "startTime": 0}, 422, None),
        ("recentTrades", {"coin": "NONE"}, 200, None),
        ("recentTrades", {"coin": "MATIC"}, 200, []),
        ("candleSnapshot", {"req": {"coin": "NONE", "interval": "1h", "startTime": 0}}, 200, None),
        ("perpCategories", {}, 200, []),
        ("userToMultiSigSigners", {"user": "0x" + "1" * 40}, 200, None),
    ],
)
def test_reads_of_what_there_is_not(desk, kind, fields, status, answer):
    """Unknown coins are null or HTTP 422, a delisted one has nothing to show."""
    found = desk.info(kind, status=status, **fields)
    assert found == (answer if status == 200 else b"Failed to deserialize the JSON body into the target type")


@pytest.mark.parametrize(
    "change",
    [{"action": {"type": "order", "orders": {}, "grouping": "na"}}, {"action": {"type": "cancel", "cancels": 5}},
     {"signature": {"r": "0xzz", "s": "0x1", "v": 27}}, {"signature": {"r": "0x" + "1" * 65, "s": "0x1", "v": 27}},
     {"signature": {"r": 1, "s": "0x1", "v": 27}}, {"signature": {"r": "0x1", "s": "0x1", "v": 256}}],
)  # fmt: skip
def test_envelopes_of_wrong_kinds(desk, change):
    """A list that is none, and words of a signature that are no hex digits, are HTTP 422."""
    assert desk.post("/exchange", {**desk.envelope(NOOP), **change}).status == 422


def test_two_hundred_orders_are_one_too_many_at_201(desk):
    """The weight of one signature is counted for orders too; its nonce is used, nothing is placed."""
    nonce = desk.now_ms
    text = "Signed action over weight limit of 200."
    assert text == desk.refused(order_action(*[limit(size="0.01")] * 201), nonce=nonce)
    assert "duplicate" in desk.refused(NOOP, nonce=nonce)
    assert desk.orders() == []
