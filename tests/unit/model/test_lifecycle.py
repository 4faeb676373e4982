"""The tables of states agree with each other."""

from typing import get_args

from quantlab.model.lifecycle import LIVE_ORDER, MAY_FOLLOW, UNRESOLVED, UNSENT_LIVE, Rung, SessionState


def test_tables_name_known_states():
    """No table names a state that does not exist, and the kinds do not overlap."""
    states = set(get_args(SessionState))
    tables = [UNRESOLVED, UNSENT_LIVE, LIVE_ORDER, *MAY_FOLLOW.values()]
    assert all(table <= states for table in tables)
    assert UNRESOLVED.isdisjoint(UNSENT_LIVE | LIVE_ORDER)
    assert UNSENT_LIVE.isdisjoint(LIVE_ORDER)


def test_a_rung_follows_only_its_own_states():
    """Only a gated session is submitted; nothing that was sent, declined or refused by the venue goes on."""
    assert set(get_args(Rung)) == set(MAY_FOLLOW)
    assert {"gated"} == MAY_FOLLOW["submit"]
    assert {"bundled", "gate_denied", "gated"} == MAY_FOLLOW["gate"]
    assert set().union(*MAY_FOLLOW.values()) <= UNSENT_LIVE
    assert "validated" not in MAY_FOLLOW["bundle"]
    assert all("validation_rejected" not in states for states in MAY_FOLLOW.values())
