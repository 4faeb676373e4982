"""Reading sessions: open, verify, list. Never writes, never locks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from quantlab.evidence.chain import UNSET_ENVIRONMENT, Chain, Finding, read_chain, shown, view_findings
from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES, RECORD_FILE, Envelope
from quantlab.kernel import canonical
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.kernel.ids import SESSION_ID
from quantlab.storage.durable import TEMPORARY_PREFIX, Disk, storage_faults

RECORDS_FOLDER: Final = "records"
WIRE_FOLDER: Final = "wire"
DERIVED_FILES: Final = frozenset({"session_metadata.json", "session_status.json"})
MAXIMUM_WIRE_BYTES: Final = 16 * 1024 * 1024
_VIEW_FILE: Final = re.compile(r"([a-z][a-z0-9_]*)\.json")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session folder as read at one moment: its chain, its findings, and which views are stale.

    ``findings`` holds the chain's findings, tampered views, missing or changed wire bodies. ``stale_views`` are file
    names of views that are missing or older than the newest record of their name.
    """

    folder: Path
    session_id: str
    chain: Chain
    findings: tuple[Finding, ...]
    stale_views: tuple[str, ...]

    @property
    def verifies(self) -> bool:
        """Return whether nothing was found wrong."""
        return not self.findings

    @property
    def empty(self) -> bool:
        """Return whether the folder holds no record at all (a command died before its first one)."""
        return not self.chain.records and not self.findings

    @property
    def environment(self) -> str | None:
        """Return the environment of the records; what was written while none was set belongs to none."""
        named = (record.envelope.environment for record in self.chain.records)
        return next((one for one in named if one != UNSET_ENVIRONMENT), None)


def read_session(disk: Disk, folder: Path, *, expect_id_of_folder: bool = True) -> Session:
    """Read and verify one session folder.

    Args:
        disk: The disk port.
        folder: The session's folder.
        expect_id_of_folder: False for an outdir, whose records carry an id of their own.

    Raises:
        UsageFault: the path is no session folder.
        StorageFault: a file cannot be read.
    """
    with storage_faults(folder):
        if disk.kind(folder) != "folder" or disk.kind(folder / RECORDS_FOLDER) != "folder":
            message = f"{folder} is no session folder: it has no {RECORDS_FOLDER}/ in it."
            raise UsageFault(message, code="not_a_session", measured=str(folder), limit="a session folder")
        files, odd = _record_files(disk, folder / RECORDS_FOLDER)
        expected = _expected_id(folder) if expect_id_of_folder else None
        chain = read_chain(files, expected_session_id=expected)
        views, misplaced = _views(disk, folder, chain)
        session_id = expected or (chain.records[0].envelope.session_id if chain.records else shown(folder.name))
        orphans = _orphan_findings(disk, folder, files, session_id=session_id)
        wire = _wire_findings(disk, folder, chain)
    newest = {record.name: record.raw for record in chain.records}
    return Session(
        folder=folder,
        session_id=session_id,
        chain=chain,
        findings=(*chain.findings, *odd, *view_findings(views, chain), *misplaced, *orphans, *wire),
        stale_views=tuple(f"{name}.json" for name in sorted(newest) if views.get(name) != newest[name]),
    )


def session_folders(disk: Disk, root: Path) -> tuple[Path, ...]:
    """Return the session folders of a root, oldest id first. A root that does not exist yet has none.

    Raises:
        UsageFault: the root is a file.
        Denied: the root is a session, not a root.
        StorageFault: the root cannot be read.
    """
    with storage_faults(root):
        if disk.kind(root) is None:
            return ()
        if not root.is_dir():
            raise UsageFault(f"{root} is no folder.", code="not_a_root", measured=str(root))
        if disk.kind(root / RECORDS_FOLDER) == "folder":
            message = f"{root} is a session; its root is {root.parent}."
            raise Denied(message, code="session_given_for_root", measured=str(root), limit=str(root.parent))
        return tuple(
            root / name
            for name in disk.names(root)
            if disk.kind(root / name) == "folder" and disk.kind(root / name / RECORDS_FOLDER) == "folder"
        )


def attempt_files(disk: Disk, folder: Path) -> tuple[Path, ...]:
    """Return the files of submit attempts in a session, by name only, so that damage elsewhere hides none."""
    records = folder / RECORDS_FOLDER
    with storage_faults(records):
        return tuple(
            records / name
            for name in disk.names(records)
            if (match := RECORD_FILE.fullmatch(name)) and match.group(2).endswith("_submit_attempt")
        )


def _expected_id(folder: Path) -> str | None:
    # A copied session may have been given any folder name; only a name that looks like a session id must match.
    return folder.name if SESSION_ID.fullmatch(folder.name) else None


def _record_files(disk: Disk, records: Path) -> tuple[list[tuple[str, bytes]], list[Finding]]:
    files: list[tuple[str, bytes]] = []
    odd: list[Finding] = []
    for name in disk.names(records):
        if name.startswith(TEMPORARY_PREFIX):
            continue
        if disk.kind(records / name) != "file":
            odd.append(Finding(code="foreign_file", file=shown(name), message="is no plain file"))
            continue
        files.append((name, disk.read(records / name, at_most=MAXIMUM_RECORD_BYTES + 1)))
    return files, odd


def _views(disk: Disk, folder: Path, chain: Chain) -> tuple[Mapping[str, bytes], list[Finding]]:
    views: dict[str, bytes] = {}
    misplaced: list[Finding] = []
    for name in sorted({record.name for record in chain.records}):
        path = folder / f"{name}.json"
        kind = disk.kind(path)
        if kind == "file":
            views[name] = disk.read(path, at_most=MAXIMUM_RECORD_BYTES + 1)
        elif kind is not None:
            misplaced.append(Finding(code="view_tampered", file=path.name, message="is no plain file"))
    return views, misplaced


def _orphan_findings(
    disk: Disk, folder: Path, files: list[tuple[str, bytes]], *, session_id: str
) -> tuple[Finding, ...]:
    """Return a finding for each view of this session whose record is gone: records are never removed."""
    known = {match[2] for name, _ in files if (match := RECORD_FILE.fullmatch(name))}
    orphans = []
    for file_name in disk.names(folder):
        match = _VIEW_FILE.fullmatch(file_name)
        if match is None or match[1] in known or file_name in DERIVED_FILES or disk.kind(folder / file_name) != "file":
            continue
        try:
            view = msgspec.json.decode(disk.read(folder / file_name, at_most=MAXIMUM_RECORD_BYTES), type=Envelope)
        except (ValueError, RecursionError):
            continue
        if view.session_id == session_id:
            message = "is a view of a record that is missing: somebody removed it"
            orphans.append(Finding(code="view_tampered", file=file_name, message=message))
    return tuple(orphans)


def _wire_findings(disk: Disk, folder: Path, chain: Chain) -> list[Finding]:
    findings = []
    wire = folder / WIRE_FOLDER
    for digest in sorted(_cited_bodies(chain)):
        path = wire / digest
        name = f"{WIRE_FOLDER}/{shown(digest)}"
        # A digest is text of a record, so it may be no file name of ours; and nothing is read through a link.
        if not _SHA256.fullmatch(digest) or disk.kind(wire) != "folder" or disk.kind(path) != "file":
            findings.append(Finding(code="wire_missing", file=name, message="is cited by a record and missing"))
        elif canonical.sha256_hex(disk.read(path, at_most=MAXIMUM_WIRE_BYTES + 1)) != digest:
            findings.append(Finding(code="wire_changed", file=name, message="is not what its name says"))
    return findings


def _cited_bodies(chain: Chain) -> set[str]:
    cited: set[str] = set()
    for record in chain.records:
        exchanges: tuple[Any, ...] = getattr(record.body, "exchanges", ())
        for exchange in exchanges:
            if exchange.request_body is None and exchange.request_body_sha256 is not None:
                cited.add(exchange.request_body_sha256)
            texts = (exchange.response_body, exchange.response_body_base64)
            if texts == (None, None) and exchange.response_body_sha256 is not None:
                cited.add(exchange.response_body_sha256)
    return cited
