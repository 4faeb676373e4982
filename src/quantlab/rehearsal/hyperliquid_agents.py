"""Approving, replacing and removing API wallets."""

from __future__ import annotations

import re
from typing import Final

from quantlab.rehearsal.hyperliquid_actions import Envelope
from quantlab.rehearsal.hyperliquid_book import Account, Agent, HyperliquidState
from quantlab.rehearsal.hyperliquid_wire import Refused, address

DAY_MS: Final = 86_400_000
DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 180
MOST_NAMED: Final = 3
NOBODY: Final = "0x" + "0" * 40
_UNTIL: Final = re.compile(r"(.*) valid_until ([0-9]{1,15})")


def approve_agent(state: HyperliquidState, account: Account, envelope: Envelope, now_ms: int) -> None:
    """Approve an agent, or remove the one of that name with the zero address.

    Raises:
        Refused: the wallet is used already, there are too many, or its life is over.
    """
    action = envelope.canonical
    if action.get("nonce") != envelope.nonce:
        raise Refused("Nonce mismatch.")
    wallet = address(action.get("agentAddress"))
    name, until_ms = str(action.get("agentName") or ""), now_ms + DEFAULT_DAYS * DAY_MS
    found = _UNTIL.fullmatch(name)
    if found is not None:
        name, until_ms = found[1], int(found[2])
    if not now_ms < until_ms <= now_ms + MOST_DAYS * DAY_MS:
        raise Refused("Agent valid_until already expired.")
    others = [agent for agent in account.agents if agent.name != name]
    if wallet != NOBODY:
        if wallet in known_wallets(state):
            raise Refused("Extra agent already used.")
        if name and sum(bool(agent.name) for agent in others) >= MOST_NAMED:
            raise Refused(f"Too many extra agents for cumulative volume traded. Current limit is {MOST_NAMED}")
        others.append(Agent(address=wallet, name=name, valid_until_ms=until_ms))
    account.agents = others


def known_wallets(state: HyperliquidState) -> set[str]:
    """Return the addresses of all accounts and agents."""
    agents = {agent.address for account in state.accounts.values() for agent in account.agents}
    return agents | set(state.accounts)
