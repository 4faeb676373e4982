"""Where the key is, as a line names it: one place, or the runbook's variable."""

from itertools import combinations

import pytest

from quantlab.kernel.errors import UsageFault
from quantlab.model.key_source import KeySource
from quantlab.rungs.key_options import KeyOptions, key_source_of

PLACES = {"private_key_env": "MY_KEY", "keystore": "agent.json", "keyring": "quantlab/agent"}


def test_no_place_is_the_runbooks_variable() -> None:
    """A line that names none means the variable of the runbook."""
    assert key_source_of(KeyOptions()) == KeySource(kind="environment", name="HYPERLIQUID_PRIVATE_KEY")


@pytest.mark.parametrize(
    ("option", "kind"), [("private_key_env", "environment"), ("keystore", "keystore"), ("keyring", "keyring")]
)
def test_one_place_is_taken(option: str, kind: str) -> None:
    """Each place is taken by its name."""
    source = key_source_of(KeyOptions(**{option: PLACES[option]}))
    assert (source.kind, source.name) == (kind, PLACES[option])


@pytest.mark.parametrize("names", [*combinations(PLACES, 2), tuple(PLACES)])
def test_two_places_are_one_too_many(names: tuple[str, ...]) -> None:
    """Nobody guesses which of two keys was meant."""
    with pytest.raises(UsageFault) as caught:
        key_source_of(KeyOptions(**{name: PLACES[name] for name in names}))
    [refusal] = caught.value.refusals
    assert (refusal.code, refusal.limit) == ("key_sources", "1")
    assert len(names) == len(refusal.measured.split(", "))


@pytest.mark.parametrize("option", list(PLACES))
def test_an_empty_name_is_still_a_place(option: str) -> None:
    """An option given without a value is not taken for the usual variable."""
    assert key_source_of(KeyOptions(**{option: ""})).name == ""
