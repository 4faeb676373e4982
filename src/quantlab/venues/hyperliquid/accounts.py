"""What an account is to the venue, what its signer is to the account, and what else the venue tells of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from quantlab.kernel.clock import rfc3339
from quantlab.model.execution import AccountFacts
from quantlab.model.instrument import Balance
from quantlab.venues import answers
from quantlab.venues.hyperliquid import codec
from quantlab.venues.hyperliquid.calls import HyperliquidCalls, decoded
from quantlab.venues.port import VenueReadFailed

NOT_SHOWN: Final = "not shown"
_ROLES: Final = "read_account"
_DETAILS: Final = "read_account_details"
_MODE: Final = "userAbstraction"
_MODES: Final = {"disabled": "standard", "portfolioMargin": "portfolio margin", "unifiedAccount": "unified"}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An account and its signer as the venue knows them. ``agents`` are the named ones of ``master``.

    ``master`` is the account itself, or a sub-account's master, or a vault's leader. The agents were only asked for
    where the signer is one.
    """

    account: str
    role: codec.Role
    master: str
    signer: str
    signer_role: codec.Role
    agents: tuple[codec.Agent, ...]

    def facts(self, now: datetime) -> AccountFacts:
        """Return what the signer may do for the account; ``now`` is for the agents' expiry."""
        return codec.account_facts(
            account=self.account,
            role=self.role,
            master=self.master,
            signer=self.signer,
            signer_role=self.signer_role,
            agents=self.agents,
            now=now,
        )

    def relation(self, now: datetime) -> str:
        """Return in words what the signer is to the account."""
        if self.signer == self.account:
            return "the account itself"
        if self.signer == self.master:
            return "the account's master"
        if self.signer_role.name != "agent":
            return "no agent of this account"
        if self.signer_role.owner != self.master:
            return f"an agent of {self.signer_role.owner}, not of this account"
        named = next((agent for agent in self.agents if agent.address == self.signer), None)
        if named is None:
            return "an agent without a name: the venue lists no such agent and shows no end of it"
        end = rfc3339(named.valid_until)
        return f"the agent {named.name}, " + (f"ended {end}" if named.valid_until <= now else f"valid until {end}")


def read_standing(calls: HyperliquidCalls, *, account: str, signer: str) -> Standing:
    """Read what the account is, and what the signer is to it.

    Which agents there are is the master's to show; their names and expiries stand there, not with the agent. Asking for
    a role weighs most of all questions, so the account's is asked for only where the signer's does not tell it: the
    master of an agent is an account of its own.
    """
    signer_role = read_role(calls, signer)
    if signer == account:
        role = signer_role
    elif signer_role.name == "agent" and signer_role.owner == account:
        role = codec.Role(name="user")
    else:
        role = read_role(calls, account)
    master = _read_master(calls, account, role)
    agents: tuple[codec.Agent, ...] = ()
    if signer_role.name == "agent":
        answer = calls.info("extraAgents", {"user": master}, purpose=_ROLES)
        agents = decoded(_ROLES, lambda: codec.parse_agents(answer))
    return Standing(account=account, role=role, master=master, signer=signer, signer_role=signer_role, agents=agents)


def read_role(calls: HyperliquidCalls, address: str) -> codec.Role:
    """Read what an address is to the venue."""
    answer = calls.info("userRole", {"user": address}, purpose=_ROLES)
    return decoded(_ROLES, lambda: codec.parse_role(answer))


def read_funds(calls: HyperliquidCalls, account: str, *, purpose: str) -> tuple[Balance, ...]:
    """Read margin, positions and spot tokens; see :func:`quantlab.venues.hyperliquid.codec.parse_balances`."""
    user = {"user": account}
    perp = calls.info("clearinghouseState", user, purpose=purpose)
    spot = calls.info("spotClearinghouseState", user, purpose=purpose)
    return decoded(purpose, lambda: codec.parse_balances(perp, spot))


def read_details(calls: HyperliquidCalls, standing: Standing, *, now: datetime) -> tuple[tuple[str, str], ...]:
    """Return roles, account mode, rate budget and margin, as labels and texts for a person. ``now`` is for expiries."""
    mode = _read_mode(calls, standing.account)
    answer = calls.info("userRateLimit", {"user": standing.account}, purpose=_DETAILS)
    used, cap = decoded(_DETAILS, lambda: codec.parse_rate_budget(answer))
    funds = read_funds(calls, standing.account, purpose=_DETAILS)
    dollar = next(one for one in funds if one.asset == codec.DOLLAR)
    return (
        ("account role", standing.role.name),
        ("master", standing.master),
        ("signer role", standing.signer_role.name),
        ("signer is", standing.relation(now)),
        ("account mode", mode),
        ("requests used", f"{used} of {cap}"),
        ("account value", f"{dollar.total.normalize():f} {dollar.asset}"),
        ("withdrawable margin", f"{dollar.available.normalize():f} {dollar.asset}"),
    )


def _read_master(calls: HyperliquidCalls, account: str, role: codec.Role) -> str:
    if role.name == "vault":
        answer = calls.info("vaultDetails", {"vaultAddress": account}, purpose=_ROLES)
        return decoded(_ROLES, lambda: codec.parse_vault_leader(answer))
    # An agent has an owner too, but is no account: nothing can be signed for it.
    if role.name == "subAccount" and role.owner is not None:
        return role.owner
    return account


def _read_mode(calls: HyperliquidCalls, account: str) -> str:
    """Return the account's mode. It decides nothing, so its absence fails no read."""
    try:
        answer = calls.info(_MODE, {"user": account}, purpose=_DETAILS)
        word = decoded(_DETAILS, lambda: answers.text_in({_MODE: answer}, _MODE))
    except VenueReadFailed:
        return NOT_SHOWN
    known = _MODES.get(word)
    return f"{known} ({word})" if known is not None else word or NOT_SHOWN
