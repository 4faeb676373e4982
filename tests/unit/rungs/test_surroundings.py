"""What a desk is made of: whom a command works for, and the venue's two sides."""

import pytest

from quantlab.model.key_source import KeySource
from quantlab.rungs.surroundings import Served, VenueSide
from tests.unit.evidence.signed import SIGNED_ACTION


def side(**changes):
    """Return a venue's side whose effects say what they were made for."""
    fields = {"reads": "reads", "effects": lambda signed: ("effects", signed), "take_exchanges": tuple, "missing": ()}
    return VenueSide(**(fields | changes))


def test_a_command_that_says_nothing_works_for_the_settings():
    """Account and signer are left to the settings, and the key to the runbook's variable."""
    assert (None, None, KeySource(kind="environment", name="HYPERLIQUID_PRIVATE_KEY")) == (
        Served().account,
        Served().signer,
        Served().key_source,
    )


def test_the_effects_are_made_for_the_account_that_was_signed_for():
    """With a signed action they are its account's; without one they are the desk's own."""
    assert ("effects", None) == side().effects()
    assert ("effects", SIGNED_ACTION) == side().effects(SIGNED_ACTION)


def test_what_is_missing_stands_by_name():
    """The names are kept as they were told."""
    assert ("HYPERLIQUID_ACCOUNT",) == side(missing=("HYPERLIQUID_ACCOUNT",)).missing
    assert (None, "0xac") == (side().account, side(account="0xac").account)


@pytest.mark.parametrize("holds", [True, False])
def test_a_venue_tells_whether_a_source_holds_a_key(holds):
    """It is asked for the source given; a venue whose keys come from the settings alone has nothing to tell."""
    asked = []
    source = KeySource(kind="keyring", name="quantlab/agent")
    one = side(key_present=lambda given: asked.append(given) or holds)
    assert holds == one.key_present(source)
    assert [source] == asked
    assert side().key_present(source)
