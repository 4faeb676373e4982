"""The envelope stands beside the body in one object, and its keys are its own."""

import msgspec
import pytest

from quantlab.evidence.envelope import ENVELOPE_KEYS, record_bytes, record_file_name
from quantlab.evidence.preparatory import Body
from quantlab.evidence.records import BODY_TYPES, Incident
from quantlab.kernel.canonical import NotCanonical
from tests.unit.evidence.built import BODIES, envelope


def test_the_fixed_keys():
    """The envelope has exactly the keys that other checks rely on."""
    assert {
        *("schema", "session_id", "sequence", "recorded_at", "environment"),
        *("actor", "producer", "state_id", "previous_sha256"),
    } == ENVELOPE_KEYS


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_no_body_takes_an_envelope_key(schema):
    """No record type collides with the envelope, and its record holds the keys of both."""
    keys = msgspec.json.decode(record_bytes(envelope(schema), BODIES[schema])).keys()
    assert ENVELOPE_KEYS | set(BODY_TYPES[schema].__struct_fields__) == keys


def test_a_collision_is_refused():
    """A body that would overwrite the envelope is a defect, said before anything is written."""

    class Colliding(Body, frozen=True, kw_only=True):
        sequence: int
        actor: str

    with pytest.raises(NotCanonical, match=r"\['actor', 'sequence'\]"):
        record_bytes(envelope("quantlab.approval/1"), Colliding(sequence=9, actor="x"))


def test_text_without_bytes_is_refused():
    """A note with a lone surrogate is refused instead of being written in a spelling of its own."""
    body = Incident(plan_sha256=None, code="c", message="\udcff", details=())
    with pytest.raises(NotCanonical, match="message: text with a lone surrogate"):
        record_bytes(envelope("quantlab.incident/1"), body)


def test_file_names():
    """Numbers have four digits, so that names sort like numbers."""
    assert "0001-broker_order_validate.json" == record_file_name(1, "broker_order_validate")
    assert "9999-a.json" == record_file_name(9999, "a")
