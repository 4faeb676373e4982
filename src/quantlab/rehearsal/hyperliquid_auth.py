"""Who may act for whom, and which nonces a signer may still use."""

from __future__ import annotations

from bisect import bisect_left, insort
from contextlib import suppress
from typing import Final

from quantlab.rehearsal.hyperliquid_actions import Envelope
from quantlab.rehearsal.hyperliquid_book import Account, Agent, HyperliquidState
from quantlab.rehearsal.hyperliquid_knobs import Rules
from quantlab.rehearsal.hyperliquid_signing import (
    SOURCES,
    USER_SIGNED,
    action_hash,
    l1_digest,
    recover,
    user_digest,
)
from quantlab.rehearsal.hyperliquid_wire import Refused

DAY_MS: Final = 86_400_000
NOT_FOR_VAULTS: Final = frozenset({*USER_SIGNED, "createSubAccount", "setReferrer"})


def recover_signer(envelope: Envelope, rules: Rules) -> str:
    """Return the address that signed an envelope.

    Raises:
        Refused: there is none.
    """
    if envelope.kind in USER_SIGNED:
        return recover(user_digest(envelope.canonical), envelope.signature)
    connection_id = action_hash(envelope.canonical, envelope.nonce, envelope.vault, envelope.expires_ms)
    return recover(l1_digest(connection_id, SOURCES[rules.network]), envelope.signature)


def check_vault(state: HyperliquidState, envelope: Envelope) -> None:
    """Check the account that is acted for, before anything is known of the signer.

    Raises:
        Refused: it is no sub-account or vault, or the action is not for one.
    """
    if envelope.vault is None:
        return
    account = state.accounts.get(envelope.vault)
    if account is None or not account.master:
        raise Refused(f"Vault not registered: {envelope.vault}")
    if envelope.kind in NOT_FOR_VAULTS:
        raise Refused("Vault may not perform this action.")


def find_account(
    state: HyperliquidState, envelope: Envelope, signer: str, now_ms: int, rules: Rules,
    *, removed: str | None = None,
) -> Account:  # fmt: skip
    """Find the account that a signer acts for.

    Args:
        state: The venue's state.
        envelope: What was signed.
        signer: Who signed.
        now_ms: The venue's clock.
        rules: Readings in force.
        removed: While agents are scripted away: `removed` or `replaced`.

    Raises:
        Refused: the venue does not know the signer, or it may not act for the vault.
    """
    master = state.accounts.get(signer)
    if envelope.kind in USER_SIGNED:
        # The action is for whoever signed it: an agent's own account holds nothing.
        if master is None:
            raise Refused(f"Must deposit before performing actions. User: {signer}")
        return master
    if master is None:
        master = _master_of(state, signer, now_ms, rules, removed)
    if envelope.vault is None:
        return master
    account = state.accounts[envelope.vault]
    if account.master != master.address:
        raise Refused("Vault may not perform this action.")
    return account


def _master_of(state: HyperliquidState, signer: str, now_ms: int, rules: Rules, removed: str | None) -> Account:
    for account in state.accounts.values():
        for agent in account.agents:
            if agent.address != signer:
                continue
            if removed == "replaced":
                raise Refused(f"Must deposit before performing actions. User: {account.address}")
            if not removed and is_live(agent, now_ms, rules):
                return account
    raise Refused(f"User or API Wallet {signer} does not exist.")


def is_live(agent: Agent, now_ms: int, rules: Rules) -> bool:
    """Tell whether an agent may still sign."""
    return now_ms <= agent.valid_until_ms + rules.agent_grace_seconds * 1000


def admit_nonce(state: HyperliquidState, signer: str, nonce: int, now_ms: int, rules: Rules) -> None:
    """Use a nonce of a signer.

    Raises:
        Refused: it was used, or it lies outside the window or below the floor.
    """
    margin_ms = rules.nonce_margin_seconds * 1000
    low, high = now_ms - 2 * DAY_MS + margin_ms, now_ms + DAY_MS - margin_ms
    if nonce <= low:
        raise Refused(f"Invalid nonce: nonce too low {nonce} < {low}")
    if nonce >= high:
        raise Refused(f"Invalid nonce: nonce too high {nonce} > {high}")
    seen = state.nonces.setdefault(signer, [])
    del seen[: bisect_left(seen, now_ms - 2 * DAY_MS)]
    place = bisect_left(seen, nonce)
    if place < len(seen) and seen[place] == nonce:
        raise Refused(f"Invalid nonce: duplicate nonce {nonce}")
    if len(seen) >= rules.nonces_kept and nonce < seen[-rules.nonces_kept]:
        raise Refused(f"Invalid nonce: nonce too low {nonce} < {seen[-rules.nonces_kept]}")
    insort(seen, nonce)


def burn_nonce(state: HyperliquidState, envelope: Envelope, now_ms: int, rules: Rules) -> None:
    """Use the nonce of an action up that is refused before it is admitted; one that cannot be used stays as it is."""
    with suppress(Refused):
        admit_nonce(state, recover_signer(envelope, rules), envelope.nonce, now_ms, rules)


def check_expiry(envelope: Envelope, now_ms: int, rules: Rules) -> bool:
    """Tell whether an action arrives in time; the end of its life is still in time.

    Raises:
        Refused: the action is not one that can expire.
    """
    if envelope.expires_ms is None:
        return True
    if envelope.kind in USER_SIGNED:
        raise Refused("Action does not support expires_after")
    return now_ms <= envelope.expires_ms + rules.expiry_slack_ms
