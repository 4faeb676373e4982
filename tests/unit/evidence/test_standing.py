"""How a session stands follows from its records alone, and never claims more than they prove."""

import itertools

import msgspec
import pytest

from quantlab.evidence.chain import read_chain
from quantlab.evidence.standing import derived_files, standing_of
from quantlab.kernel import canonical
from quantlab.model.lifecycle import VALIDATE_INCIDENT
from tests.unit.evidence import signed
from tests.unit.evidence.built import AT, BODIES, LATER, ORDER, PLAN, PLAN_SHA, SESSION_ID, SHA, chain_of

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


# ------------------------------------------------------------------ an order that was signed first


def of_plan(body, **changes):
    """Return a body that follows the signed order's plan."""
    return but(body, plan_sha256=signed.SIGNED_PLAN_SHA, **changes)


ADOPTED = signed.ADOPTED
CONFIRMED = of_plan(APPROVAL, validation_sha256=SHA, basis="confirmed_at_submit")
DENIED = signed.SUBMIT_DENIAL
SIGNED_ATTEMPT = of_plan(ATTEMPT, plan=signed.SIGNED_PLAN, gate_sha256=None)
BURNING = signed.BURN_ATTEMPT
UNKNOWN = of_plan(ACCEPTED, outcome="unknown", venue_order_id=None)
NEVER_SENT = of_plan(ACCEPTED, outcome="never_sent", venue_order_id=None)
LOOKED = of_plan(SEARCH, resolution="unknown", reasons=("two_clean_passes_needed",))
GONE = of_plan(SEARCH, resolution="not_found")
PROVEN = of_plan(SEARCH, resolution="not_landed", reasons=("nonce_was_unused", "searches_empty"))
FOUND = of_plan(SEARCH, resolution="landed", order=ORDER)
TAKEN = (ADOPTED, CONFIRMED, SIGNED_ATTEMPT)


def burned(nonce_was):
    """Return the answer to a burn."""
    return but(signed.BURN_RESPONSE, nonce_was=nonce_was, outcome="accepted" if nonce_was == "unused" else "rejected")


@pytest.mark.parametrize(
    ("bodies", "state", "resolution"),
    [
        ((ADOPTED,), "signed", None),
        ((ADOPTED, CONFIRMED), "approved", None),
        ((ADOPTED, CONFIRMED, DENIED), "approved", None),
        ((ADOPTED, CONFIRMED, DENIED, CONFIRMED), "approved", None),
        ((ADOPTED, CONFIRMED, of_plan(REVOCATION)), "revoked", None),
        ((ADOPTED, of_plan(REVOCATION)), "revoked", None),
        # Burned without a send of ours: only a nonce that was unused is proof by itself.
        ((ADOPTED, BURNING), "unresolved", "unknown"),
        ((ADOPTED, BURNING, burned("nothing")), "unresolved", "unknown"),
        ((ADOPTED, BURNING, burned("used")), "unresolved", "unknown"),
        ((ADOPTED, BURNING, burned("closed")), "unresolved", "unknown"),
        ((ADOPTED, BURNING, burned("unused")), "revoked", "not_landed"),
        ((ADOPTED, CONFIRMED, DENIED, BURNING, burned("unused")), "revoked", "not_landed"),
        ((ADOPTED, BURNING, burned("closed"), LOOKED), "unresolved", "unknown"),
        ((ADOPTED, BURNING, burned("closed"), GONE), "not_found", "not_found"),
        ((ADOPTED, BURNING, burned("closed"), PROVEN), "revoked", "not_landed"),
        ((ADOPTED, BURNING, burned("unused"), FOUND), "filled", "landed"),
        ((ADOPTED, BURNING, burned("used"), FOUND), "filled", "landed"),
        ((ADOPTED, BURNING, burned("nothing"), of_plan(DECISION)), "decided_not_landed", "decided"),
        # Sent and burned: the burn alone ends nothing, the searches after it do.
        (TAKEN, "unresolved", "unknown"),
        ((*TAKEN, UNKNOWN), "unresolved", "unknown"),
        ((*TAKEN, UNKNOWN, BURNING), "unresolved", "unknown"),
        *(
            ((*TAKEN, UNKNOWN, BURNING, burned(was)), "unresolved", "unknown")
            for was in ("unused", "used", "closed", "nothing")
        ),
        ((*TAKEN, UNKNOWN, BURNING, burned("unused"), LOOKED), "unresolved", "unknown"),
        ((*TAKEN, UNKNOWN, BURNING, burned("unused"), PROVEN), "not_landed", "not_landed"),
        ((*TAKEN, UNKNOWN, BURNING, burned("closed"), GONE), "not_found", "not_found"),
        ((*TAKEN, UNKNOWN, BURNING, burned("unused"), PROVEN, LOOKED), "unresolved", "unknown"),
        ((*TAKEN, UNKNOWN, BURNING, burned("unused"), FOUND), "filled", "landed"),
        ((*TAKEN, UNKNOWN, BURNING, burned("unused"), PROVEN, FOUND), "filled", "landed"),
        ((*TAKEN, UNKNOWN, FOUND, BURNING, burned("used")), "filled", "landed"),
        ((*TAKEN, of_plan(ACCEPTED, outcome="accepted"), BURNING, burned("used")), "landed", "landed"),
        ((*TAKEN, of_plan(ACCEPTED, outcome="rejected"), BURNING, burned("unused")), "rejected", "rejected"),
        ((*TAKEN, NEVER_SENT), "never_sent", "never_sent"),
        ((*TAKEN, UNKNOWN, GONE, of_plan(DECISION)), "decided_not_landed", "decided"),
        # A claim that was never followed by an attempt.
        ((ADOPTED, CONFIRMED, NEVER_SENT), "never_sent", "never_sent"),
        ((ADOPTED, CONFIRMED, NEVER_SENT, BURNING, burned("unused")), "never_sent", "never_sent"),
        ((ADOPTED, CONFIRMED, NEVER_SENT, BURNING, burned("used"), FOUND), "filled", "landed"),
        ((ADOPTED, CONFIRMED, NEVER_SENT, FOUND), "filled", "landed"),
    ],
)
def test_the_state_of_an_order_signed_first(bodies, state, resolution):
    """Signed, submitted, burned: a burn proves alone only what was never sent, and an order that is seen has landed."""
    chain = chain_of(*bodies)
    assert () == chain.findings
    standing = standing_of(chain)
    assert (state, resolution) == (standing.state, standing.resolution)
    assert (state in {"unresolved", "not_found"}) == standing.unresolved


def test_a_signed_order_gives_plan_ticket_and_what_was_typed():
    """What a validation gives in one corridor, the signed order gives in the other; neither gives nothing."""
    standing = standing_of(chain_of(ADOPTED, CONFIRMED))
    assert (signed.SIGNED_PLAN, signed.SIGNED_PLAN_SHA) == (standing.plan, standing.plan_sha256)
    assert (signed.ASKED, signed.TICKET) == (standing.asked, standing.ticket)
    assert (None, ADOPTED, CONFIRMED) == (standing.validation, standing.signed.body, standing.approval.body)
    validated = standing_of(chain_of(VALIDATION))
    assert (VALIDATION.asked, VALIDATION.ticket, None) == (validated.asked, validated.ticket, validated.signed)
    empty = standing_of(chain_of(INCIDENT))
    assert (None, (), None, None) == (empty.asked, empty.ticket, empty.signed, empty.plan)


def test_whether_a_reconciliation_has_looked():
    """A search counts, whatever it found; a status read does not."""
    assert not standing_of(chain_of(*TAKEN, UNKNOWN, of_plan(STATUS, order=None))).searched
    assert standing_of(chain_of(*TAKEN, UNKNOWN, LOOKED)).searched


@pytest.mark.parametrize("order", list(itertools.permutations(("nothing", "used", "closed", "unused"))))
def test_the_burn_that_tells_most_stands(order):
    """The first that tells of the nonce's past, else one that says it is closed, else the last answer."""
    answers = [but(burned(was), venue_at=at) for was, at in zip(order, (AT, LATER, AT, LATER), strict=True)]
    for left in range(1, 5):
        chain = chain_of(*TAKEN, UNKNOWN, *itertools.chain(*((BURNING, one) for one in answers[:left])))
        seen = order[:left]
        of_the_past = [was for was in seen if was in {"unused", "used"}]
        expected = next(iter(of_the_past), "closed" if "closed" in seen else seen[-1])
        assert expected == standing_of(chain).burn.body.nonce_was
    assert standing_of(chain_of(*TAKEN, UNKNOWN, BURNING)).burn is None


def test_the_first_burn_that_proved_something_stands():
    """A copy of the burn later finds the nonce used by itself; the time of the first proof is kept."""
    first, second = but(burned("closed"), venue_at=AT), but(burned("closed"), venue_at=LATER)
    assert AT == standing_of(chain_of(*TAKEN, BURNING, first, BURNING, second)).burn.body.venue_at
