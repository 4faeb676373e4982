"""The JSON Schemas describe what the writer writes, for a reader that has only them."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from quantlab.evidence.envelope import ENVELOPE_KEYS, record_bytes
from quantlab.evidence.records import BODY_TYPES
from quantlab.evidence.schemas import documents, schema_path
from quantlab.storage.durable import OsDisk
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.storage.writer import SessionStore
from tests.unit.evidence.built import (
    BODIES,
    LATER_KEYS,
    SESSION_ID,
    WITH_LATER_KEYS,
    FixedClock,
    FixedEntropy,
    envelope,
    name_of,
)

ROOT = Path(__file__).resolve().parents[3]


def validator(schema: str):
    """Return the draft 2020-12 validator of a schema."""
    return jsonschema_rs.Draft202012Validator(json.loads(documents()[schema_path(schema)]))


def test_the_committed_files_are_these():
    """The committed schemas are exactly the generated ones, one a record type."""
    committed = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "schemas").rglob("*.json")}
    assert documents() == committed
    assert len(BODY_TYPES) == len(committed)
    assert "schemas/submit_attempt/v1.json" in committed


def test_the_text_is_deterministic():
    """Keys are sorted, the last byte is a newline, and two runs give the same."""
    for text in documents().values():
        assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert documents() == documents()


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_each_schema_is_valid_itself(schema):
    """Each document is a draft 2020-12 schema."""
    document = json.loads(documents()[schema_path(schema)])
    assert "https://json-schema.org/draft/2020-12/schema" == document["$schema"]
    assert jsonschema_rs.meta.is_valid(document)


def test_what_the_real_writer_writes_validates(tmp_path):
    """Every record type, written by the writer into a session, validates against its committed schema."""
    ledger = SqliteLedger(":memory:", entropy=FixedEntropy())
    store = SessionStore(disk=OsDisk(), clock=FixedClock(), ledger=ledger, derive=lambda _: {})
    with store.create(tmp_path, SESSION_ID, environment="rehearsal") as writer:
        for schema, body in BODIES.items():
            writer.append(name_of(schema), schema, body, actor="marce")
    written = sorted((tmp_path / SESSION_ID / "records").iterdir())
    assert len(BODY_TYPES) == len(written)
    for path in written:
        document = json.loads(path.read_bytes())
        committed = json.loads((ROOT / schema_path(document["schema"])).read_text())
        jsonschema_rs.Draft202012Validator(committed).validate(document)
    ledger.close()


@pytest.mark.parametrize("schema", sorted(BODY_TYPES))
def test_every_key_is_required(schema):
    """A record that lacks a key of the envelope or of its body does not validate, but for keys that came later."""
    record = json.loads(record_bytes(envelope(schema), BODIES[schema]))
    check = validator(schema)
    check.validate(record)
    assert ENVELOPE_KEYS < record.keys()
    for key in record:
        is_later = key in LATER_KEYS.get(schema, ())
        assert is_later == check.is_valid({name: value for name, value in record.items() if name != key}), key


def test_a_later_key_inside_of_a_value_is_not_required():
    """What was typed may lack the key that came later, and no other."""
    record = json.loads(record_bytes(envelope("quantlab.validation/1"), BODIES["quantlab.validation/1"]))
    asked = record["asked"]
    for key in asked:
        less = record | {"asked": {name: value for name, value in asked.items() if name != key}}
        is_later = f"asked.{key}" in LATER_KEYS["quantlab.validation/1"]
        assert is_later == validator("quantlab.validation/1").is_valid(less), key


def test_a_later_key_inside_of_a_row_is_not_required():
    """A fill may lack the key that came later, and no other."""
    record = json.loads(record_bytes(envelope("quantlab.fill_summary/1"), BODIES["quantlab.fill_summary/1"]))
    [fill] = record["fills"]
    for key in fill:
        less = record | {"fills": [{name: value for name, value in fill.items() if name != key}]}
        is_later = f"fills.{key}" in LATER_KEYS["quantlab.fill_summary/1"]
        assert is_later == validator("quantlab.fill_summary/1").is_valid(less), key


@pytest.mark.parametrize("schema", sorted(WITH_LATER_KEYS))
def test_a_later_key_with_a_value_validates(schema):
    """The schema knows every key that came later."""
    validator(schema).validate(json.loads(record_bytes(envelope(schema), WITH_LATER_KEYS[schema])))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "quantlab.approval/2"),
        ("sequence", 0),
        ("sequence", 1.5),
        ("sequence", 10_000),
        ("recorded_at", "2026-01-02 03:04:05"),
        ("previous_sha256", "AB" * 32),
        ("actor", None),
        ("producer", {"version": "1"}),
        ("basis", "guessed"),
    ],
)
def test_a_wrong_value_does_not_validate(key, value):
    """The schema holds envelope and body to their forms."""
    record = json.loads(record_bytes(envelope("quantlab.approval/1"), BODIES["quantlab.approval/1"]))
    assert not validator("quantlab.approval/1").is_valid(record | {key: value})


def test_a_further_key_validates():
    """A key that a later writer adds does not break a reader that has only the schema."""
    record = json.loads(record_bytes(envelope("quantlab.approval/1"), BODIES["quantlab.approval/1"]))
    validator("quantlab.approval/1").validate(record | {"added": 1})
