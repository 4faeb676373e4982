"""The envelope: the keys that every record carries, and how a record becomes bytes.

A record file is its canonical bytes (RFC 8785 without floats), UTF-8, without a trailing newline. The envelope's
keys and the body's keys stand side by side at the top level of one object.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from quantlab.kernel import canonical
from quantlab.kernel.build_info import COMMIT, VERSION

RECORD_FILE: Final = re.compile(r"([0-9]{4})-([a-z][a-z0-9_]*)\.json")
MAXIMUM_RECORD_BYTES: Final = 8 * 1024 * 1024
MAXIMUM_SEQUENCE: Final = 9999


class Producer(msgspec.Struct, frozen=True, kw_only=True):
    """Which QuantLab wrote the record. ``commit`` is null when the build does not know it."""

    version: str
    commit: str | None


PRODUCER: Final = Producer(version=VERSION, commit=COMMIT)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of every record.

    ``schema`` is ``quantlab.<name>/<version>``; ``sequence`` counts from 1; ``recorded_at`` is RFC 3339 UTC with
    microseconds; ``actor`` is the operating system's user or the reviewer that the rung was given; ``state_id`` is
    the id of the ledger; ``previous_sha256`` is of the previous file's bytes, zeros for the first.
    """

    schema: str
    session_id: str
    sequence: int
    recorded_at: str
    environment: str
    actor: str
    producer: Producer
    state_id: str
    previous_sha256: str


ENVELOPE_KEYS: Final = frozenset(Envelope.__struct_fields__)


def record_bytes(envelope: Envelope, body: Any) -> bytes:
    """Return the canonical bytes of one record.

    Raises:
        NotCanonical: a value has no exact spelling, or a body key collides with the envelope. A defect of ours.
    """
    head = msgspec.structs.asdict(envelope)
    fields = msgspec.structs.asdict(body)
    collisions = head.keys() & fields.keys()
    if collisions:
        message = f"body keys collide with the envelope: {sorted(collisions)}"
        raise canonical.NotCanonical(message)
    return canonical.encode(head | fields)


def record_file_name(sequence: int, name: str) -> str:
    """Return the file name of a record, such as ``0001-broker_order_validate.json``."""
    return f"{sequence:04d}-{name}.json"
