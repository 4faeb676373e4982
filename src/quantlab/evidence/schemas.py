"""The JSON Schema of every released record, made from the types that the reader decodes with. Pure.

Envelope and body keys stand side by side at the top level. Further keys are not forbidden: a later writer may add one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quantlab.evidence.envelope import MAXIMUM_SEQUENCE, Envelope
from quantlab.evidence.preparatory import Body
from quantlab.evidence.records import BODY_TYPES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "sequence": {"minimum": 1, "maximum": MAXIMUM_SEQUENCE},
    "recorded_at": {"pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"},
    "previous_sha256": {"pattern": "^[0-9a-f]{64}$"},
}
"""What the reader asks of envelope keys beyond their type."""


def documents() -> dict[str, str]:
    """Return the text of each schema file by its path from the checkout's root."""
    return {schema_path(schema): _text(_document(schema, body)) for schema, body in sorted(BODY_TYPES.items())}


def schema_path(schema: str) -> str:
    """Return the path of a schema's file: ``schemas/approval/v1.json`` for ``quantlab.approval/1``."""
    name, version = schema.removeprefix("quantlab.").split("/")
    return f"schemas/{name}/v{version}.json"


def _document(schema: str, body_type: type[Body]) -> dict[str, Any]:
    (_, body), definitions = msgspec.json.schema_components((Envelope, body_type), ref_template="#/$defs/{name}")
    head = definitions.pop(Envelope.__name__)
    own = definitions.pop(str(body["$ref"]).removeprefix("#/$defs/"))
    properties = head["properties"] | own["properties"]
    for key, shape in _SHAPES.items():
        properties[key] = properties[key] | shape
    return {
        "$schema": DIALECT,
        "$defs": definitions,
        "title": schema,
        "description": own["description"],
        "type": "object",
        "properties": properties | {"schema": {"const": schema}},
        "required": sorted([*head["required"], *own["required"]]),
    }


def _text(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2).decode() + "\n"
