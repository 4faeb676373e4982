"""Rules of the Kraken face that a test may break: the documented reading is the default.

The standing fault `rules` carries them, with an object as value. Where several
are armed, a later one wins key by key. Each breaks one assumption that the
program makes of the venue.
"""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Readings of what the venue's documents promise."""

    deadline_slack_seconds: int = 0
    """An order is still taken when its deadline is past by this much."""
    filter_finds_nothing: bool = False
    """Open and closed orders that are asked for by `cl_ord_id` come back empty."""
    shares_client_ids: bool = False
    """A second open order may carry the `cl_ord_id` of a first one."""
    rows_left_out: int = 0
    """So many of the newest closed orders and trades are missing from their lists."""
    counts_left_out: bool = False
    """`count` still counts the rows that are missing."""
    validate_places: bool = False
    """`validate=true` answers as ever and places the order all the same."""
    validate_tells: bool = False
    """The answer then has the order's id in it."""
    hides_nonce_window: bool = False
    """`GetApiKeyInfo` says that there is no nonce window, whatever is in force."""


def check_rules(value: object) -> None:
    """Check the value of `rules`.

    Raises:
        ValueError: an unknown key or a value of the wrong kind; the message names it.
    """
    try:
        found = msgspec.convert(value, Rules)
    except msgspec.ValidationError as error:
        raise ValueError(f"value of rules is an object of known keys: {error}") from error
    if found.deadline_slack_seconds < 0 or found.rows_left_out < 0:
        raise ValueError("deadline_slack_seconds and rows_left_out must not be negative")


def read_rules(values: dict[str, object]) -> Rules:
    """Make the readings from what the armed faults say."""
    return msgspec.convert(values, Rules)
