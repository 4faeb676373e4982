"""What is told of an account and its signer beside what decides."""

import pytest

from quantlab.kernel.errors import Denied
from quantlab.venues.hyperliquid import codec
from quantlab.venues.hyperliquid.accounts import Standing
from quantlab.venues.hyperliquid.codec import Agent, Role
from quantlab.venues.sockets import ConnectionFault
from tests.unit.venues.hyperliquid.hyperliquid_fakes import ACCOUNT, MASTER, NOW_MS, SIGNER
from tests.unit.venues.hyperliquid.test_codec import PERP, SPOT
from tests.unit.venues.hyperliquid.test_reads import _failed, _reads
from tests.unit.venues.wire_fakes import START, http_answer

ROLES = (
    {"role": "agent", "data": {"user": ACCOUNT}},
    [{"name": "desk", "address": SIGNER, "validUntil": NOW_MS + 1}],
)
BUDGET = {"cumVlm": "1.5", "nRequestsUsed": 31, "nRequestsCap": 10_001}
USER, AGENT = Role(name="user"), Role(name="agent", owner=MASTER)
DESK = Agent(name="desk", address=SIGNER, valid_until=codec.time_of_ms(NOW_MS + 1, "end"))
OTHER = Agent(name="other", address=ACCOUNT, valid_until=START)


def _standing(**changes):
    fields = {
        "account": ACCOUNT,
        "role": Role(name="subAccount", owner=MASTER),
        "master": MASTER,
        "signer": SIGNER,
        "signer_role": AGENT,
        "agents": (OTHER, DESK),
    }
    return Standing(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the agent desk, valid until 2026-09-03T06:00:00.001000Z"),
        (
            {"agents": (Agent(name="old", address=SIGNER, valid_until=START),)},
            "the agent old, ended 2026-09-03T06:00:00.000000Z",
        ),
        ({"agents": (OTHER,)}, "an agent without a name: the venue lists no such agent and shows no end of it"),
        ({"signer": ACCOUNT, "signer_role": USER}, "the account itself"),
        ({"signer": MASTER, "signer_role": USER}, "the account's master"),
        ({"signer_role": USER}, "no agent of this account"),
        ({"signer_role": Role(name="missing")}, "no agent of this account"),
        ({"signer_role": Role(name="agent", owner=SIGNER)}, f"an agent of {SIGNER}, not of this account"),
    ],
)
def test_what_a_signer_is_in_words(changes, words):
    """Each relation has its own words, and they agree with what the signer may do."""
    standing = _standing(**changes)
    assert words == standing.relation(START)
    facts = standing.facts(START)
    assert facts.can_trade is ("ended" not in words and " not of " not in words and not words.startswith("no "))


def test_the_details_of_an_account():
    """Roles, mode, budget and margin, all asked of the account's address; roles that were read are not read again."""
    reads, ports = _reads(*ROLES, "unifiedAccount", BUDGET, PERP, SPOT)
    reads.read_account()
    assert (
        ("account role", "user"),
        ("master", ACCOUNT),
        ("signer role", "agent"),
        ("signer is", "the agent desk, valid until 2026-09-03T06:00:00.001000Z"),
        ("account mode", "unified (unifiedAccount)"),
        ("requests used", "31 of 10001"),
        ("account value", "100.5 USDC"),
        ("withdrawable margin", "60.25 USDC"),
    ) == reads.read_account_details()
    asked = ports.asked()[2:]
    assert ["userAbstraction", "userRateLimit", "clearinghouseState", "spotClearinghouseState"] == [
        one["type"] for one in asked
    ]
    assert {ACCOUNT} == {one["user"] for one in asked}
    assert [20, 20, 2, 2] == ports.turns.shared.weights[2:]
    alone, ports = _reads(*ROLES, "disabled", BUDGET, PERP, SPOT)
    assert "standard (disabled)" == dict(alone.read_account_details())["account mode"]
    assert 6 == len(ports.connector.endpoints)


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        ("dexAbstraction", "dexAbstraction"),
        ("", "not shown"),
        (None, "not shown"),
        ({}, "not shown"),
        ((http_answer(b"Failed", status="422 Unprocessable"),), "not shown"),
        ((http_answer(b"null", status="429 Slow down"),), "not shown"),
        (ConnectionFault("connection refused"), "not shown"),
    ],
)
def test_an_account_mode_is_kept_as_told(answer, mode):
    """A word that we do not know is shown as it is; without one the other details stand."""
    reads, _ = _reads(*ROLES, answer, BUDGET, PERP, SPOT)
    details = dict(reads.read_account_details())
    assert (mode, "31 of 10001") == (details["account mode"], details["requests used"])


def test_details_that_fail():
    """What is not optional fails the read."""
    for script, kind in (({}, "bad_answer"), ((http_answer(b"null", status="502 Bad gateway"),), "venue_fault")):
        reads, _ = _reads(*ROLES, "disabled", script)
        _failed(kind, reads.read_account_details)
    reads, ports = _reads(signer=None)
    with pytest.raises(Denied):
        reads.read_account_details()
    assert [] == ports.connector.endpoints
