"""A record of every released version is read as it was written, for ever."""

from pathlib import Path

import pytest

from quantlab.evidence.chain import read_chain
from quantlab.evidence.envelope import record_bytes
from quantlab.evidence.records import BODY_TYPES
from tests.unit.evidence.built import BODIES, SESSION_ID, envelope

RECORDS = Path(__file__).parent / "records"


def released() -> list[str]:
    """Return every released schema that has a file."""
    return sorted(f"quantlab.{path.parent.name}/{path.stem[1:]}" for path in RECORDS.rglob("v*.json"))


def path_of(schema: str) -> Path:
    """Return the file of a schema."""
    name, version = schema.removeprefix("quantlab.").split("/")
    return RECORDS / name / f"v{version}.json"


def test_every_schema_has_its_file():
    """There is one real file of every released version, and none of a version that no reader knows."""
    assert sorted(BODY_TYPES) == released()


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_a_released_record_is_accepted_byte_for_byte(schema):
    """Today's reader finds nothing wrong with a record of that version and reads the values it was made of."""
    raw = path_of(schema).read_bytes()
    chain = read_chain([("0001-kept.json", raw)], expected_session_id=SESSION_ID)
    assert () == chain.findings
    assert [(raw, BODIES[schema])] == [(record.raw, record.body) for record in chain.records]


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_what_is_written_today_is_the_released_form(schema):
    """The writer of today writes the newest version exactly as it was released: a change needs a new version."""
    assert path_of(schema).read_bytes() == record_bytes(envelope(schema), BODIES[schema])
