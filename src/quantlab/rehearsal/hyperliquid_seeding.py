"""The Hyperliquid side of a new exchange: accounts, agents, funds, one old filled order."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Final

import msgspec

from quantlab.rehearsal.accounts import AgentKey, Keys
from quantlab.rehearsal.hyperliquid_actions import Ask
from quantlab.rehearsal.hyperliquid_book import Account, Agent, HyperliquidState
from quantlab.rehearsal.hyperliquid_engine import Engine, Moment
from quantlab.rehearsal.hyperliquid_knobs import Limits, Rules
from quantlab.rehearsal.hyperliquid_markets import BY_COIN, USDC
from quantlab.rehearsal.hyperliquid_positions import deposit
from quantlab.rehearsal.hyperliquid_wire import MS, NS
from quantlab.rehearsal.matching import PriceWalk

DAY_NS: Final = 86_400 * NS
DEPOSIT_AGE_NS: Final = 10 * DAY_NS
ORDER_AGE_NS: Final = 3 * DAY_NS
AGENT_LIFE_NS: Final = 180 * DAY_NS

PERP_FUNDS: Final = Decimal(10_000)
SMALL_FUNDS: Final = Decimal(1_000)
TOKENS: Final = {USDC: Decimal(5_000), 1: Decimal(1_000), 150: Decimal(20)}


def seed_hyperliquid(state: HyperliquidState, keys: Keys, seed: int, now_ns: int) -> None:
    """Fill a new state: a funded master with its agents, a sub-account, a vault, and a newcomer."""
    state.swept_ns = now_ns
    start_ns = now_ns - DEPOSIT_AGE_NS
    master = keys.master.address
    old = _agent(keys.expired, "quantlab old", now_ns - DAY_NS)
    accounts = (
        Account(address=master, agents=[old, _agent(keys.agent, "quantlab", now_ns + AGENT_LIFE_NS)]),
        Account(address=sub_address(seed), role="subAccount", master=master, name="rehearsal"),
        Account(address=vault_address(seed), role="vault", master=master, name="rehearsal vault"),
        Account(
            address=keys.newcomer.address,
            agents=[_agent(keys.newcomer_agent, "quantlab", now_ns + AGENT_LIFE_NS)],
        ),
    )
    for account in accounts:
        state.accounts[account.address] = account
        first = account.role == "user"
        tokens = TOKENS if account.address == master else {USDC: Decimal(0)}
        deposit(account, start_ns, cash=PERP_FUNDS if first else SMALL_FUNDS, tokens=tokens)
    _old_order(state, state.accounts[master], seed, now_ns - ORDER_AGE_NS)


def sub_address(seed: int) -> str:
    """Return the address of the master's sub-account; no key exists for it."""
    return _address(seed, "sub")


def vault_address(seed: int) -> str:
    """Return the address of the vault that the master leads; no key exists for it."""
    return _address(seed, "vault")


def control_cloid(seed: int) -> str:
    """Return the cloid of the old filled order."""
    return f"0x{seed & (2**64 - 1):016x}" + "5eed" * 4


def _address(seed: int, name: str) -> str:
    return "0x" + hashlib.sha256(f"quantlab rehearsal {name}|{seed}".encode()).hexdigest()[:40]


def _agent(key: AgentKey, name: str, until_ns: int) -> Agent:
    return Agent(address=key.address, name=name, valid_until_ms=until_ns // MS)


def _old_order(state: HyperliquidState, account: Account, seed: int, at_ns: int) -> None:
    """Let the master have bought a little on the spot side once, so that it holds no position."""
    engine = Engine(state, PriceWalk(seed), seed)
    asset = BY_COIN["PURR/USDC"]
    ask = Ask(
        asset=asset.id,
        is_buy=True,
        price=Decimal("0.16"),
        size=Decimal(200),
        reduce_only=False,
        tif="Ioc",
        cloid=control_cloid(seed),
    )
    at = Moment(now_ns=at_ns, venue_ms=at_ns // MS, rules=Rules(), limits=Limits())
    order, _ = engine.place(account, ask, at)
    account.orders[order.oid] = [msgspec.structs.replace(v, seeded=True) for v in account.orders[order.oid]]
