"""A record of every released version is read as it was written, for ever.

``v1.json`` is a version as it was first released. Where a key was added later, with a default, ``v1-later-keys.json``
beside it is a record with a value in each of those keys.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantlab.evidence.chain import read_chain
from quantlab.evidence.envelope import record_bytes
from quantlab.evidence.records import BODY_TYPES
from quantlab.kernel import canonical
from tests.unit.evidence.built import BODIES, LATER_KEYS, SESSION_ID, WITH_LATER_KEYS, envelope

RECORDS = Path(__file__).parent / "records"
LATER = "-later-keys"


def released(suffix: str = "") -> list[str]:
    """Return every released schema that has a file of this suffix."""
    stems = [(path.parent.name, path.stem) for path in RECORDS.rglob("v*.json")]
    return sorted(
        f"quantlab.{name}/{stem.removesuffix(LATER)[1:]}"
        for name, stem in stems
        if stem.endswith(LATER) == bool(suffix)
    )


def path_of(schema: str, suffix: str = "") -> Path:
    """Return the file of a schema."""
    name, version = schema.removeprefix("quantlab.").split("/")
    return RECORDS / name / f"v{version}{suffix}.json"


def take_out(document: dict[str, Any], key: str) -> Any:
    """Take a key out of a document and return its value; a dot leads into a value, or into the one of a list."""
    outer, _, inner = key.rpartition(".")
    value = document[outer] if outer else document
    if isinstance(value, list):
        [value] = value
    return value.pop(inner)


def test_every_schema_has_its_file():
    """There is one real file of every released version, and none of a version that no reader knows."""
    assert sorted(BODY_TYPES) == released()
    assert sorted(LATER_KEYS) == sorted(WITH_LATER_KEYS) == released(LATER)


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_a_released_record_is_accepted_byte_for_byte(schema):
    """Today's reader finds nothing wrong with a record of that version and reads the values it was made of."""
    raw = path_of(schema).read_bytes()
    chain = read_chain([("0001-kept.json", raw)], expected_session_id=SESSION_ID)
    assert () == chain.findings
    assert [(raw, BODIES[schema])] == [(record.raw, record.body) for record in chain.records]


@pytest.mark.parametrize("schema", sorted(LATER_KEYS))
def test_a_record_with_later_keys_is_accepted_byte_for_byte(schema):
    """The values of keys that came later are read too, and the writer of today writes them so."""
    raw = path_of(schema, LATER).read_bytes()
    chain = read_chain([("0001-kept.json", raw)], expected_session_id=SESSION_ID)
    assert () == chain.findings
    assert [(raw, WITH_LATER_KEYS[schema])] == [(record.raw, record.body) for record in chain.records]
    assert raw == record_bytes(envelope(schema), WITH_LATER_KEYS[schema])


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_what_is_written_today_is_the_released_form(schema):
    """The writer of today writes a version exactly as it was released, but for keys that came later, at their default.

    Any other change needs a new version.
    """
    written = record_bytes(envelope(schema), BODIES[schema])
    document = msgspec.json.decode(written)
    kept = msgspec.json.decode(path_of(schema).read_bytes())
    values = [take_out(document, key) for key in LATER_KEYS.get(schema, ())]
    assert path_of(schema).read_bytes() == (canonical.encode(document) if values else written)
    assert all(value in ([], None, False) for value in values)
    for key in LATER_KEYS.get(schema, ()):
        with pytest.raises(KeyError):
            take_out(kept, key)
