"""How a session stands follows from its records alone, and never claims more than they prove."""

import msgspec
import pytest

from quantlab.evidence.chain import read_chain
from quantlab.evidence.standing import derived_files, standing_of
from quantlab.kernel import canonical
from quantlab.model.lifecycle import VALIDATE_INCIDENT
from tests.unit.evidence.built import BODIES, ORDER, PLAN, PLAN_SHA, SESSION_ID, chain_of

VALIDATION = BODIES["quantlab.validation/1"]
APPROVAL = BODIES["quantlab.approval/1"]
DECLINE = BODIES["quantlab.decline/1"]
REVOCATION = BODIES["quantlab.revocation/1"]
BUNDLE = BODIES["quantlab.pre_submit_bundle/1"]
GATE = BODIES["quantlab.submit_gate/1"]
ATTEMPT = BODIES["quantlab.submit_attempt/1"]
ACCEPTED = BODIES["quantlab.submit_response/1"]
SEARCH = BODIES["quantlab.reconciliation/1"]
STATUS = BODIES["quantlab.order_status/1"]
FILLS = BODIES["quantlab.fill_summary/1"]
DECISION = BODIES["quantlab.resolution/1"]
INCIDENT = BODIES["quantlab.incident/1"]


def but(body, **changes):
    """Return a body with changes."""
    return msgspec.structs.replace(body, **changes)


def answered(outcome, order_id=None):
    """Return the response of a send."""
    return but(ACCEPTED, outcome=outcome, venue_order_id=order_id)


def seen(state, filled="0"):
    """Return a status record that shows the order in a state."""
    return but(STATUS, order=but(ORDER, state=state, filled_base=filled))


UNPROVEN = but(SEARCH, resolution="unknown", reasons=("reads_failed",))
BEFORE = (VALIDATION, APPROVAL, BUNDLE, GATE)
SENT = (*BEFORE, ATTEMPT)


@pytest.mark.parametrize(
    ("bodies", "state", "resolution"),
    [
        ((), "empty", None),
        ((INCIDENT,), "empty", None),
        ((VALIDATION,), "validated", None),
        ((but(VALIDATION, outcome="denied"),), "validation_denied", None),
        ((but(VALIDATION, outcome="rejected"),), "validation_rejected", None),
        ((but(VALIDATION, outcome="unreadable"),), "validation_unreadable", None),
        ((but(VALIDATION, outcome="unknown"),), "unresolved", "unknown"),
        ((VALIDATION, but(INCIDENT, code=VALIDATE_INCIDENT)), "unresolved", "unknown"),
        ((VALIDATION, DECLINE), "declined", None),
        ((VALIDATION, APPROVAL), "approved", None),
        ((VALIDATION, APPROVAL, REVOCATION), "revoked", None),
        ((VALIDATION, APPROVAL, BUNDLE), "bundled", None),
        (BEFORE, "gated", None),
        ((*BEFORE, but(GATE, gate_allowed=False)), "gate_denied", None),
        ((*BEFORE, APPROVAL), "approved", None),
        (SENT, "unresolved", "unknown"),
        ((*BEFORE, answered("never_sent")), "never_sent", "never_sent"),
        ((*SENT, answered("unknown")), "unresolved", "unknown"),
        ((*SENT, answered("accepted", "O1")), "landed", "landed"),
        ((*SENT, answered("rejected")), "rejected", "rejected"),
        ((*SENT, answered("never_sent")), "never_sent", "never_sent"),
        ((*SENT, UNPROVEN), "unresolved", "unknown"),
        ((*SENT, SEARCH), "not_found", "not_found"),
        ((*SENT, SEARCH, UNPROVEN), "unresolved", "unknown"),
        ((*SENT, but(SEARCH, resolution="not_landed")), "not_landed", "not_landed"),
        ((*SENT, SEARCH, DECISION), "decided_not_landed", "decided"),
        ((*SENT, but(DECISION, decision="landed")), "decided_landed", "decided"),
        ((*SENT, SEARCH, DECISION, seen("filled", "0.25")), "filled", "landed"),
        ((*SENT, answered("rejected"), seen("open")), "open", "landed"),
        *(
            ((*SENT, seen(state)), state, "landed")
            for state in ("pending", "open", "partially_filled", "filled", "canceled", "expired", "rejected")
        ),
        ((*SENT, seen("unrecognised")), "landed", "landed"),
        ((*SENT, seen("canceled"), seen("open")), "canceled", "landed"),
        ((*SENT, but(STATUS, order=None)), "unresolved", "unknown"),
    ],
)
def test_the_state_follows_from_the_records(bodies, state, resolution):
    """Each walk has its state; an attempt without proof is unresolved, and only proof or a decision ends that."""
    chain = chain_of(*bodies)
    assert () == chain.findings
    standing = standing_of(chain)
    assert (state, resolution) == (standing.state, standing.resolution)
    assert (state in {"unresolved", "not_found"}) == standing.unresolved


def test_what_a_standing_gives():
    """A standing hands out the records it rests on."""
    standing = standing_of(chain_of(*SENT, ACCEPTED, STATUS, FILLS, INCIDENT))
    assert (PLAN, PLAN_SHA, "accepted") == (standing.plan, standing.plan_sha256, standing.outcome)
    assert [VALIDATION, APPROVAL, BUNDLE, GATE, ATTEMPT, ACCEPTED] == [
        record.body
        for record in (
            *(standing.validation, standing.approval, standing.bundle),
            *(standing.gate, standing.attempt, standing.response),
        )
    ]
    assert (ORDER, "OABCDE-FGHIJ-KLMNOP", None) == (standing.order, standing.venue_order_id, standing.decided)
    assert [INCIDENT] == [record.body for record in standing.incidents]
    assert "2026-01-02T03:04:05.678901Z" == standing.latest_at


def test_the_venue_order_id_is_known_from_the_response_alone():
    """Before any read the response names the order; without either nothing is invented."""
    assert "O1" == standing_of(chain_of(*SENT, answered("accepted", "O1"))).venue_order_id
    assert standing_of(chain_of(*SENT)).venue_order_id is None


def test_a_bundle_or_gate_of_an_older_approval_does_not_count():
    """After a new approval the old bundle is void, and with it the gate that looked at it."""
    again = standing_of(chain_of(*BEFORE, APPROVAL))
    assert (None, None) == (again.bundle, again.gate)
    bundled = standing_of(chain_of(*BEFORE, APPROVAL, BUNDLE))
    assert bundled.bundle is not None
    assert bundled.gate is None
    assert standing_of(chain_of(*BEFORE, APPROVAL, BUNDLE, GATE)).gate is not None
    assert standing_of(chain_of(VALIDATION, BUNDLE, GATE)).gate is None


@pytest.mark.parametrize(
    ("bodies", "complete"),
    [
        ((STATUS,), False),
        ((FILLS,), True),
        ((but(FILLS, complete=False),), False),
        ((but(FILLS, complete=None),), False),
        ((but(FILLS, filled_base="0.2"),), False),
        ((but(FILLS, order=None), seen("open")), False),
        ((but(FILLS, order=None),), False),
    ],
)
def test_fills_are_complete_only_by_proof(bodies, complete):
    """Fills are complete when a whole summary equals the figure of an order that has ended."""
    assert complete is standing_of(chain_of(*SENT, *bodies)).fills_complete


def test_derived_files_are_rebuilt_from_the_records():
    """Metadata and status say what the records say, have canonical bytes, and name every record."""
    chain = chain_of(*SENT, ACCEPTED, STATUS, INCIDENT)
    files = derived_files(chain)
    assert ["session_metadata.json", "session_status.json"] == sorted(files)
    metadata, status = files["session_metadata.json"], files["session_status.json"]
    assert (SESSION_ID, "rehearsal", "kraken", "ETH-USD", "0.25") == tuple(
        metadata[key] for key in ("session_id", "environment", "venue", "symbol", "size_base")
    )
    assert ("filled", "accepted", "landed", False, ["late_find"], []) == tuple(
        status[key] for key in ("state", "outcome", "resolution", "unresolved", "incidents", "clock_went_backward_at")
    )
    assert [{"file": record.file_name, "sha256": record.sha256} for record in chain.records] == status["records"]
    for document in files.values():
        canonical.encode(document)


def test_derived_files_of_nothing():
    """An empty session has derived files that claim nothing."""
    files = derived_files(read_chain([], expected_session_id=None))
    assert {"quantlab.session_metadata/1", None} == set(files["session_metadata.json"].values())
    assert ("empty", None, False) == tuple(
        files["session_status.json"][key] for key in ("state", "resolution", "unresolved")
    )
