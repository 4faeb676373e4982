"""How records form a chain, and what breaks it. Pure: the bytes of a session in, findings out.

The chain shows a change to anyone who knows a later digest: the next record, the view, or the ledger's head. It
does not stop somebody who rewrites all of them at once; only a digest kept elsewhere does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from quantlab.evidence.envelope import (
    MAXIMUM_RECORD_BYTES,
    MAXIMUM_SEQUENCE,
    RECORD_FILE,
    Envelope,
    record_file_name,
)
from quantlab.evidence.preparatory import Body
from quantlab.evidence.records import BODY_TYPES
from quantlab.kernel import canonical
from quantlab.kernel.clock import parse_rfc3339, rfc3339

UNSET_ENVIRONMENT: Final = "unset"
"""What readiness writes while no environment is set; it mixes with any."""
B = TypeVar("B", bound=Body)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not verify: a stable code, the file concerned, and what is wrong with it."""

    code: str
    file: str
    message: str


class Record(msgspec.Struct, Generic[B], frozen=True, kw_only=True):
    """One verified record: its name (as in the file name), envelope, typed body, exact bytes and digest."""

    name: str
    envelope: Envelope
    body: B
    raw: bytes
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the record's file name."""
        return f"{self.envelope.sequence:04d}-{self.name}.json"


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The readable records of one session in order, and every finding. It verifies when there is no finding.

    ``head_sequence`` and ``head_sha256`` are of the newest file, readable or not: the next record follows it.
    """

    records: tuple[Record[Body], ...]
    findings: tuple[Finding, ...]
    head_sequence: int = 0
    head_sha256: str = canonical.ZERO_SHA256

    @property
    def verifies(self) -> bool:
        """Return whether nothing was found wrong."""
        return not self.findings

    def newest(self, body_type: type[B]) -> Record[B] | None:
        """Return the newest record with a body of this type, or None."""
        records = self.all(body_type)
        return records[-1] if records else None

    def all(self, body_type: type[B]) -> tuple[Record[B], ...]:
        """Return every record with a body of this type, oldest first."""
        return tuple(cast("Record[B]", record) for record in self.records if isinstance(record.body, body_type))

    def named(self, name: str) -> tuple[Record[Body], ...]:
        """Return every record of a file name, oldest first."""
        return tuple(record for record in self.records if record.name == name)


class _Numbered(msgspec.Struct):
    sequence: int


def read_chain(files: Sequence[tuple[str, bytes]], *, expected_session_id: str | None) -> Chain:
    """Verify the record files of one session.

    Args:
        files: File names and exact bytes of everything in ``records/`` but temporaries.
        expected_session_id: The id the folder claims; None for an outdir, whose first record decides.

    Returns:
        The readable records, in order, with every finding; records behind a break are still read.
    """
    findings: list[Finding] = []
    records: list[Record[Body]] = []
    previous_sha256 = canonical.ZERO_SHA256
    session_id = expected_session_id
    named = [(name, raw) for name, raw in sorted(files) if RECORD_FILE.fullmatch(name)]
    # A foreign file takes no place in the chain: the chain is whole again once it is removed.
    findings.extend(
        Finding(code="foreign_file", file=shown(name), message="is no record file name")
        for name, _ in sorted(files)
        if not RECORD_FILE.fullmatch(name)
    )
    for position, (file_name, raw) in enumerate(named, start=1):
        record, problems = _read_record(file_name, raw)
        findings.extend(problems)
        sha256 = canonical.sha256_hex(raw)
        if record is not None:
            session_id = session_id or record.envelope.session_id
            findings.extend(
                _link_findings(
                    record,
                    position=position,
                    previous_sha256=previous_sha256,
                    session_id=session_id,
                )
            )
            records.append(record)
        previous_sha256 = sha256
    findings.extend(_constancy_findings(records))
    return Chain(
        records=tuple(records),
        findings=tuple(findings),
        head_sequence=max((int(name[:4]) for name, _ in named), default=0),
        head_sha256=previous_sha256,
    )


def parse_record(raw: bytes, *, name: str) -> Record[Body] | None:
    """Return the record in the bytes of a view or a copy of one, apart from its chain; None when anything is wrong."""
    try:
        sequence = msgspec.json.decode(raw, type=_Numbered).sequence
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(raw) > MAXIMUM_RECORD_BYTES or not 0 < sequence <= MAXIMUM_SEQUENCE:
        return None
    record, findings = _read_record(record_file_name(sequence, name), raw)
    return None if findings else record


def view_findings(views: Mapping[str, bytes], chain: Chain) -> tuple[Finding, ...]:
    """Return a finding for each view that equals no record of its name: that is tampering, not staleness.

    ``views`` maps view names (without ``.json``) to bytes. A missing view is only stale.
    """
    return tuple(
        Finding(
            code="view_tampered",
            file=f"{name}.json",
            message="equals no record of its name: somebody changed it",
        )
        for name, data in sorted(views.items())
        if all(record.raw != data for record in chain.named(name))
    )


def backward_clock(chain: Chain) -> tuple[str, ...]:
    """Return the file names of records dated before their predecessor: reported, never a failure."""
    return tuple(
        later.file_name
        for earlier, later in zip(chain.records, chain.records[1:], strict=False)
        if later.envelope.recorded_at < earlier.envelope.recorded_at
    )


def shown(text: str) -> str:
    """Return text found on a disk so that it can be printed and encoded: what is not printable is spelled out."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _read_record(file_name: str, raw: bytes) -> tuple[Record[Body] | None, list[Finding]]:
    if len(raw) > MAXIMUM_RECORD_BYTES:
        return None, [Finding(code="record_too_large", file=file_name, message="is larger than any record")]
    try:
        document: Any = msgspec.json.decode(raw)
        envelope = msgspec.convert(document, Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return None, [Finding(code="record_unreadable", file=file_name, message=_short(error))]
    findings: list[Finding] = []
    if not _is_canonical(document, raw):
        findings.append(
            Finding(
                code="record_not_canonical",
                file=file_name,
                message="its bytes are not the canonical ones",
            )
        )
    if int(file_name[:4]) != envelope.sequence:
        message = f"carries sequence {envelope.sequence} under another number"
        findings.append(Finding(code="sequence_broken", file=file_name, message=message))
    body_type = BODY_TYPES.get(envelope.schema)
    if body_type is None:
        message = f"has the schema {envelope.schema!r}, which this version does not know"
        return None, [*findings, Finding(code="schema_unknown", file=file_name, message=message)]
    try:
        body = msgspec.convert(document, body_type)
    except (msgspec.MsgspecError, RecursionError) as error:
        return None, [
            *findings,
            Finding(code="record_invalid", file=file_name, message=_short(error)),
        ]
    if not _is_recorded_time(envelope.recorded_at):
        message = "carries a time that is not RFC 3339 UTC with microseconds"
        return None, [*findings, Finding(code="record_invalid", file=file_name, message=message)]
    name = file_name[5:].removesuffix(".json")
    record = Record(name=name, envelope=envelope, body=body, raw=raw, sha256=canonical.sha256_hex(raw))
    return record, findings


def _link_findings(record: Record[Body], *, position: int, previous_sha256: str, session_id: str) -> list[Finding]:
    findings = []
    file_name = record.file_name
    if record.envelope.sequence != position:
        message = f"carries sequence {record.envelope.sequence} at position {position}: one is missing or added"
        findings.append(Finding(code="sequence_broken", file=file_name, message=message))
    if record.envelope.previous_sha256 != previous_sha256:
        message = "does not cite the digest of the record before it: one of the two was changed"
        findings.append(Finding(code="chain_broken", file=file_name, message=message))
    if record.envelope.session_id != session_id:
        message = f"belongs to session {shown(record.envelope.session_id)}"
        findings.append(Finding(code="session_mismatch", file=file_name, message=message))
    return findings


def _constancy_findings(records: Sequence[Record[Body]]) -> list[Finding]:
    findings = []
    plans = {
        digest: record.file_name
        for record in reversed(records)
        if (digest := getattr(record.body, "plan_sha256", None)) is not None
    }
    if len(plans) > 1:
        message = "the records cite more than one plan: this session was put together from several"
        findings.append(Finding(code="plan_mismatch", file=records[-1].file_name, message=message))
    environments = {record.envelope.environment for record in records} - {UNSET_ENVIRONMENT}
    if len(environments) > 1:
        message = f"the records come from several environments: {shown(', '.join(sorted(environments)))}"
        findings.append(Finding(code="environment_mixed", file=records[-1].file_name, message=message))
    return findings


def _is_canonical(document: Any, raw: bytes) -> bool:
    try:
        return canonical.encode(document) == raw
    except canonical.NotCanonical:
        return False


def _is_recorded_time(text: str) -> bool:
    try:
        return rfc3339(parse_rfc3339(text)) == text
    except ValueError:
        return False


def _short(error: Exception) -> str:
    return shown(str(error)[:200]) or type(error).__name__
