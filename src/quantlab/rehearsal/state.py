"""Everything that survives a restart, as one value with a JSON form."""

from __future__ import annotations

import base64
import hashlib

import msgspec

from quantlab.rehearsal.hyperliquid_book import HyperliquidState
from quantlab.rehearsal.kraken_book import Account, KeyState, StreamToken

FORMAT = 1


class StateUnreadable(ValueError):
    """The state file is not one of ours, or of a later release."""


class RequestRow(msgspec.Struct, kw_only=True):
    """One line of the request log, as the control interface shows it."""

    venue: str
    path: str
    type: str | None
    at: str
    answer: str
    effect: bool


class HeldRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the exchange will process later (fault `late`)."""

    venue: str = "kraken"
    due_ns: int
    """Exchange time at which it is processed."""
    path: str
    headers: dict[str, str]
    body: bytes
    row: int
    """Its line in the request log."""


class State(msgspec.Struct, kw_only=True):
    """The whole exchange."""

    format: int = FORMAT
    seed: int
    created_ns: int
    advance_ns: int = 0
    serial: int = 0
    """Numbers ids: orders, trades, ledger rows, amends."""
    swept_ns: int = 0
    """Exchange time up to which expiry and matching have been carried out."""
    accounts: dict[str, Account] = msgspec.field(default_factory=dict)
    keys: dict[str, KeyState] = msgspec.field(default_factory=dict)
    tokens: dict[str, StreamToken] = msgspec.field(default_factory=dict)
    requests: list[RequestRow] = msgspec.field(default_factory=list)
    held: list[HeldRequest] = msgspec.field(default_factory=list)
    hyperliquid: HyperliquidState = msgspec.field(default_factory=HyperliquidState)

    def next_number(self) -> int:
        """Return the next serial number."""
        self.serial += 1
        return self.serial

    def next_id(self, letter: str) -> str:
        """Make an id of Kraken's shape, for example `OQCLML-BW3P3-BUCMWZ`."""
        return make_id(self.seed, letter, self.next_number())


def make_id(seed: int, letter: str, number: int) -> str:
    """Make the id of a number: the letter and 15 base-32 characters in three groups."""
    digest = hashlib.blake2b(f"{seed}|{letter}|{number}".encode(), digest_size=10).digest()
    text = base64.b32encode(digest).decode("ascii")
    return f"{letter}{text[:5]}-{text[5:10]}-{text[10:16]}"


def encode_state(state: State) -> bytes:
    """Write the state as JSON."""
    return msgspec.json.encode(state)


def decode_state(data: bytes) -> State:
    """Read a state written by `encode_state`.

    Raises:
        StateUnreadable: the bytes are not a state, or of a later format.
    """
    try:
        state = msgspec.json.decode(data, type=State)
    except msgspec.MsgspecError as error:
        raise StateUnreadable(f"the state file cannot be read: {error}") from error
    if state.format != FORMAT:
        raise StateUnreadable(f"the state file has format {state.format}, known is {FORMAT}")
    return state
