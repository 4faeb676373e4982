"""Before an action acts: accounts, agents, vaults, nonces, expiry and the two rate limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.rehearsal.hyperliquid_auth import admit_nonce
from quantlab.rehearsal.hyperliquid_book import HyperliquidState
from quantlab.rehearsal.hyperliquid_knobs import Rules
from quantlab.rehearsal.hyperliquid_seeding import sub_address, vault_address
from quantlab.rehearsal.hyperliquid_signing import user_digest
from quantlab.rehearsal.hyperliquid_wire import Refused
from tests.unit.rehearsal.hyperliquid_driving import CLOID, Desk, limit, order_action, sign_digest

DAY_MS = 86_400_000
NOOP = {"type": "noop"}
OK = {"status": "ok", "response": {"type": "default"}}
CANCEL = {"type": "cancel", "cancels": [{"a": 1, "o": 1}]}


@pytest.fixture
def desk() -> Desk:
    """Return an exchange with a standing clock."""
    return Desk()


# ---------------------------------------------------------------------- signers


def test_agent_and_master_act_for_the_master(desk):
    """Orders of the agent and of the account itself stand under the account."""
    desk.place(limit(c=CLOID))
    desk.place(limit(), key=desk.exchange.keys.master.private_key)
    assert [desk.user, desk.user] == [o["account"] for o in desk.orders()]


@pytest.mark.parametrize("name", ["expired", "other"])
def test_expired_agent_and_stranger_do_not_exist(desk, name):
    """Both are refused under their own address, without effect and without using the nonce."""
    key = getattr(desk.exchange.keys, name)
    nonce = desk.now_ms
    action = order_action(limit())
    text = desk.refused(action, key=key.private_key, nonce=nonce)
    assert f"User or API Wallet {key.address} does not exist." == text
    assert desk.orders() == []
    assert desk.requests()[-1]["effect"] is False
    assert text == desk.refused(action, key=key.private_key, nonce=nonce)


def test_expired_agent_within_its_grace(desk):
    """The venue was once seen to accept an agent after its time: a knob."""
    desk.hl_fault("rules", value={"agent_grace_seconds": 2 * 86_400})
    assert OK == desk.act(NOOP, key=desk.exchange.keys.expired.private_key)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "User or API Wallet {agent} does not exist."),
     ("replaced", "Must deposit before performing actions. User: {user}")],
)  # fmt: skip
def test_agent_removed_midway(desk, value, words):
    """A removed agent neither signs nor shows in the reads; cleared, it is back."""
    agent = desk.exchange.keys.agent.address
    desk.hl_fault("agent_removed", value=value)
    assert words.format(agent=agent, user=desk.user) == desk.refused(NOOP)
    assert desk.info("userRole", user=agent) == {"role": "missing"}
    assert desk.mine("extraAgents") == []
    desk.control("DELETE", "/faults")
    assert OK == desk.act(NOOP)
    assert desk.info("userRole", user=agent) == {"role": "agent", "data": {"user": desk.user}}


def test_sub_account_and_vault_are_reached_by_vault_address(desk):
    """A master's agent trades for sub-account and vault; reads use their own addresses."""
    for address in (sub_address(7), vault_address(7)):
        [status] = desk.place(limit(size="0.01", c=CLOID), vault=address)
        assert set(status) == {"resting"}
        assert [o["cloid"] for o in desk.info("openOrders", user=address)] == [CLOID]
    assert desk.mine("openOrders") == []
    assert desk.info("userRole", user=sub_address(7)) == {
        "role": "subAccount", "data": {"master": desk.user},
    }  # fmt: skip
    assert [s["subAccountUser"] for s in desk.mine("subAccounts")] == [sub_address(7)]


def test_unknown_vault_is_refused_first_and_uses_no_nonce(desk):
    """The vault is checked before signer and nonce."""
    stranger, nonce = "0x" + "12" * 20, desk.now_ms
    assert f"Vault not registered: {stranger}" == desk.refused(NOOP, vault=stranger, nonce=nonce)
    assert f"Vault not registered: {desk.user}" == desk.refused(NOOP, vault=desk.user, nonce=nonce)
    assert OK == desk.act(NOOP, nonce=nonce)


def test_foreign_sub_account_is_refused(desk):
    """Another master's agent may not act for it."""
    key = desk.exchange.keys.newcomer_agent.private_key
    assert "Vault may not perform this action." == desk.refused(NOOP, key=key, vault=sub_address(7))


# ------------------------------------------------------------- approving agents


def approve(desk: Desk, wallet: str, name: str | None, key: str | None = None) -> str:
    """Approve an agent as the master and return `ok` or the error."""
    nonce = desk.exchange.now_ns // 1_000_000 + desk.exchange.state.hyperliquid.serial + len(desk.requests())
    action = {
        "type": "approveAgent", "hyperliquidChain": "Testnet", "signatureChainId": "0x66eee",
        "agentAddress": wallet, "agentName": name or "", "nonce": nonce,
    }  # fmt: skip
    signature = sign_digest(key or desk.exchange.keys.master.private_key, user_digest(action))
    if name is None:
        del action["agentName"]
    answer = desk.post("/exchange", {"action": action, "nonce": nonce, "signature": signature}).json()
    return "ok" if answer["status"] == "ok" else answer["response"]


def test_master_approves_replaces_and_removes_agents(desk):
    """A new agent signs at once; one replaced or removed does not exist any more."""
    other, zero = desk.exchange.keys.other, "0x" + "0" * 40
    assert "ok" == approve(desk, other.address, "second")
    assert OK == desk.act(NOOP, key=other.private_key)
    assert "second" in [a["name"] for a in desk.mine("extraAgents")]
    assert "Extra agent already used." == approve(desk, other.address, "third")
    assert "ok" == approve(desk, zero, "second")
    assert "does not exist." in desk.refused(NOOP, key=other.private_key)
    assert "ok" == approve(desk, other.address, None)
    assert "second" not in [a["name"] for a in desk.mine("extraAgents")]
    assert OK == desk.act(NOOP, key=other.private_key)


def test_agents_are_limited_and_expire(desk):
    """At most three names; a life over 180 days, or one that is over, is refused."""
    assert "ok" == approve(desk, "0x" + "31" * 20, "three")
    assert approve(desk, "0x" + "34" * 20, "four").startswith("Too many extra agents")
    late = desk.now_ms + 181 * DAY_MS
    assert "Agent valid_until already expired." == approve(
        desk, "0x" + "35" * 20, f"three valid_until {late}"
    )  # fmt: skip


def test_agent_cannot_approve(desk):
    """An action that is signed by the account applies to whoever signed it: an agent has no account."""
    agent = desk.exchange.keys.agent
    text = approve(desk, "0x" + "33" * 20, "more", agent.private_key)
    assert f"Must deposit before performing actions. User: {agent.address}" == text


# ----------------------------------------------------------------------- nonces


def test_nonce_is_used_once(desk):
    """The second copy is told that it is a duplicate, whatever became of the first."""
    for action in (order_action(limit()), order_action(limit("1", "0.25")), CANCEL):
        nonce = desk.now_ms + len(desk.requests())
        desk.act(action, nonce=nonce)
        assert f"Invalid nonce: duplicate nonce {nonce}" == desk.refused(NOOP, nonce=nonce)


def test_noop_burns_a_nonce(desk):
    """After a noop the order of the same nonce can never land, and the other way round the noop says so."""
    nonce = desk.now_ms
    body = desk.envelope(order_action(limit(c=CLOID)), nonce=nonce)
    assert OK == desk.act(NOOP, nonce=nonce)
    answer = desk.post("/exchange", body).json()
    assert answer == {"status": "err", "response": f"Invalid nonce: duplicate nonce {nonce}"}
    assert "unknownOid" == desk.status_by_cloid()


def test_nonces_are_kept_by_signer(desk):
    """Agent and master each have their own set; the sub-account shares the agent's."""
    nonce = desk.now_ms
    assert OK == desk.act(NOOP, nonce=nonce)
    assert OK == desk.act(NOOP, nonce=nonce, key=desk.exchange.keys.master.private_key)
    assert "duplicate" in desk.refused(NOOP, nonce=nonce, vault=sub_address(7))


def test_window_of_nonces(desk):
    """A nonce lies between two days before and one day after the venue's clock, two minutes inside."""
    low, high = desk.now_ms - 2 * DAY_MS + 120_000, desk.now_ms + DAY_MS - 120_000
    assert f"Invalid nonce: nonce too low {low} < {low}" == desk.refused(NOOP, nonce=low)
    assert f"Invalid nonce: nonce too high {high} > {high}" == desk.refused(NOOP, nonce=high)
    assert OK == desk.act(NOOP, nonce=low + 1)
    assert OK == desk.act(NOOP, nonce=high - 1)
    desk.hl_fault("rules", value={"nonce_margin_seconds": 0})
    assert OK == desk.act(NOOP, nonce=low)


def test_floor_of_nonces(desk):
    """Below the hundredth highest an unseen nonce is too low, a seen one still a duplicate."""
    first = desk.now_ms
    for n in range(101):
        assert OK == desk.act(NOOP, nonce=first + 2 * n)
    assert f"Invalid nonce: nonce too low {first + 1} < {first + 2}" == desk.refused(NOOP, nonce=first + 1)
    assert f"Invalid nonce: duplicate nonce {first}" == desk.refused(NOOP, nonce=first)
    assert OK == desk.act(NOOP, nonce=first + 3)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=300))
@settings(max_examples=50, deadline=None)
def test_no_nonce_is_admitted_twice(offsets):
    """Whatever the order of arrival, a signer's nonce is admitted at most once."""
    state, now_ms = HyperliquidState(), 10**12
    admitted = []
    for offset in offsets:
        try:
            admit_nonce(state, "0x", now_ms + offset, now_ms, Rules())
        except Refused:
            continue
        admitted.append(offset)
    assert len(admitted) == len(set(admitted))
    assert set(offsets[:100]) <= set(admitted)


def test_unadmitted_requests_use_no_nonce(desk):
    """What is refused for its shape, signer or vault leaves the nonce free."""
    nonce = desk.now_ms
    body = desk.envelope(order_action(limit()), nonce=nonce)
    assert desk.post("/exchange", {**body, "more": 1}).status == 422
    desk.refused(NOOP, nonce=nonce, key=desk.exchange.keys.other.private_key)
    assert desk.post("/exchange", body).json()["status"] == "ok"


def test_forgotten_nonces_let_a_copy_run_again(desk):
    """The venue warns that pruned agents may be replayed: a condition that the rehearsal can play."""
    desk.hl_fault("nonce_forgotten", "/exchange", type="order")
    body = desk.envelope(order_action(limit()))
    for _ in range(2):
        assert desk.post("/exchange", body).json()["status"] == "ok"
    assert len(desk.orders()) == 2


# ----------------------------------------------------------------------- expiry


def test_expiry_is_measured_on_the_venues_clock(desk):
    """At its last millisecond an action is in time; after it, it costs a nonce and five requests."""
    desk.place(limit(c=CLOID), expires=desk.now_ms)
    used = desk.mine("userRateLimit")["nRequestsUsed"]
    nonce = desk.now_ms + 5
    text = desk.refused(order_action(limit()), expires=desk.now_ms - 1, nonce=nonce)
    assert "Action already expired" == text
    assert used + 5 == desk.mine("userRateLimit")["nRequestsUsed"]
    assert "duplicate" in desk.refused(NOOP, nonce=nonce)
    assert len(desk.orders()) == 1
    assert desk.requests()[-3]["effect"] is False


def test_expiry_follows_the_skewed_clock(desk):
    """A venue whose clock is ahead expires earlier, and says its own time."""
    desk.hl_fault("clock_skew", value=30)
    assert desk.now_ms + 30_000 == desk.info("exchangeStatus")["time"]
    assert "Action already expired" == desk.refused(NOOP, expires=desk.now_ms + 29_999)
    assert OK == desk.act(NOOP, expires=desk.now_ms + 30_000)


def test_expiry_slack_is_a_knob(desk):
    """How the venue rounds the end of an action's life is not known."""
    desk.hl_fault("rules", value={"expiry_slack_ms": 500})
    assert OK == desk.act(NOOP, expires=desk.now_ms - 500)
    assert "Action already expired" == desk.refused(NOOP, expires=desk.now_ms - 501)


# ------------------------------------------------------------------ rate limits


def test_address_limit_in_the_venues_words(desk):
    """Past its allowance an address gets one request in ten seconds; a refusal counts nothing."""
    desk.hl_fault("limits", value={"address_requests": 0})
    traded = desk.mine("userRateLimit")
    assert (traded["cumVlm"], traded["nRequestsCap"]) == ("30.016", 30)
    for _ in range(30):
        assert OK == desk.act(NOOP)
    assert OK == desk.act(NOOP)
    nonce = desk.now_ms + 500
    assert desk.refused(NOOP, nonce=nonce) == (
        "Too many cumulative requests sent (32 > 30) for cumulative volume traded $30.02."
        " Place taker orders to free up 1 request per USDC traded."
    )
    assert desk.mine("userRateLimit")["nRequestsUsed"] == 31
    assert desk.act(CANCEL)["status"] == "ok"
    desk.pass_seconds(10)
    assert OK == desk.act(NOOP, nonce=nonce)


def test_address_limit_may_burn_the_nonce(desk):
    """Whether such a refusal uses the nonce is not known: a knob."""
    desk.hl_fault("limits", value={"address_requests": 0})
    desk.hl_fault("rules", value={"limit_burns_nonce": True})
    for _ in range(31):
        desk.act(NOOP)
    nonce = desk.now_ms + 500
    assert desk.refused(NOOP, nonce=nonce).startswith("Too many cumulative requests")
    desk.pass_seconds(10)
    assert "duplicate" in desk.refused(NOOP, nonce=nonce)


def test_batch_counts_its_parts(desk):
    """A batch of three counts three, failed cancels too."""
    used = desk.mine("userRateLimit")["nRequestsUsed"]
    desk.act({"type": "cancel", "cancels": [{"a": 1, "o": n} for n in (1, 2, 3)]})
    assert used + 3 == desk.mine("userRateLimit")["nRequestsUsed"]


def test_weight_of_one_signature(desk):
    """Over two hundred parts an action is refused whole, its nonce used."""
    nonce = desk.now_ms
    action = {"type": "cancel", "cancels": [{"a": 1, "o": n} for n in range(201)]}
    assert "Signed action over weight limit of 200." == desk.refused(action, nonce=nonce)
    assert "duplicate" in desk.refused(NOOP, nonce=nonce)


def test_weight_of_an_ip_address(desk):
    """1200 weight a minute: userRole costs 60; beyond it 429 with the body null, and nothing is done."""
    for _ in range(20):
        desk.mine("userRole")
    assert b"null" == desk.mine("allMids", status=429)
    body = desk.envelope(order_action(limit()))
    assert desk.post("/exchange", body).status == 429
    desk.pass_seconds(3)
    assert desk.post("/exchange", body).json()["status"] == "ok"
    assert len(desk.orders()) == 1
