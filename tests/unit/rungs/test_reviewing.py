"""May this rung follow this state: the whole table, with the reason in words."""

from typing import get_args

import pytest
from msgspec.structs import replace

from quantlab.kernel.errors import Denied
from quantlab.model.lifecycle import MAY_FOLLOW, Rung, SessionState
from quantlab.rungs import reviewing
from tests.support.virtual import Bench


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """A gated session, read once for all tests."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    folder = bench.gated()
    return bench.session(folder), bench.standing(folder)


@pytest.mark.parametrize("rung", get_args(Rung))
@pytest.mark.parametrize("state", get_args(SessionState))
def test_every_rung_in_every_state(gated, rung, state):
    """Exactly the states of the table let a rung begin; every other is refused with state, limit and a reason."""
    session, standing = gated
    there = replace(standing, state=state)
    if state in MAY_FOLLOW[rung]:
        found = reviewing.require_state(there, session, rung)
        assert (standing.plan_sha256, standing.plan, standing.validation) == (
            found.plan_sha256,
            found.plan,
            found.validation,
        )
        return
    with pytest.raises(Denied) as caught:
        reviewing.require_state(there, session, rung)
    [refusal] = caught.value.refusals
    assert (f"{rung}_not_allowed", state) == (refusal.code, refusal.measured)
    assert ", ".join(sorted(MAY_FOLLOW[rung])) == refusal.limit
    assert session.session_id == caught.value.session_id
    assert refusal.message.endswith(". Nothing was sent.")


@pytest.mark.parametrize("lost", ["validation", "plan", "plan_sha256"])
def test_a_state_without_its_plan_is_refused(gated, lost):
    """No rung of review begins where the plan itself is missing."""
    session, standing = gated
    with pytest.raises(Denied):
        reviewing.require_state(replace(standing, **{lost: None}), session, "bundle")


def test_a_missing_approval_is_named(gated):
    """Where no record approves the session, the rung is refused."""
    session, standing = gated
    assert standing.approval == reviewing.require_approval(standing, session, "bundle")
    with pytest.raises(Denied) as caught:
        reviewing.require_approval(replace(standing, approval=None), session, "bundle")
    assert ("bundle_not_allowed", "no approval") == (caught.value.code, caught.value.refusals[0].measured)
