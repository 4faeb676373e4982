"""Writing sessions: the lock, records, views. One writer a session; a record is durable before this returns."""

from __future__ import annotations

import base64
import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from quantlab.evidence.chain import UNSET_ENVIRONMENT, Chain, Record
from quantlab.evidence.envelope import (
    MAXIMUM_RECORD_BYTES,
    MAXIMUM_SEQUENCE,
    PRODUCER,
    Envelope,
    record_bytes,
    record_file_name,
)
from quantlab.evidence.preparatory import Body
from quantlab.evidence.records import BODY_TYPES
from quantlab.kernel import canonical
from quantlab.kernel.clock import Clock, rfc3339
from quantlab.kernel.errors import Busy, Denied, StorageFault
from quantlab.model.execution import AttemptReceipt, WireExchange
from quantlab.storage.durable import (
    TEMPORARY_PREFIX,
    Disk,
    Lock,
    create_once,
    make_folders,
    replace_file,
    reserve,
    storage_faults,
)
from quantlab.storage.ledger import Head, Ledger
from quantlab.storage.reader import RECORDS_FOLDER, WIRE_FOLDER, Session, read_session

LOCK_FILE: Final = ".lock"
RESERVE_FILE: Final = ".reserve"
RESERVE_BYTES: Final = 256 * 1024
ROOT_FILE: Final = ".quantlab-root.json"
INLINE_BODY_BYTES: Final = 16 * 1024
_LOCK_POLL_MS: Final = 20
_MAXIMUM_MARKER_BYTES: Final = 4096

B = TypeVar("B", bound=Body)
Derive = Callable[[Chain], dict[str, Any]]


class SessionWriter:
    """Appends records to one session while its lock is held. Made by :class:`SessionStore`."""

    def __init__(self, store: SessionStore, session: Session, *, environment: str) -> None:
        """Begin writing; the caller holds the session's lock."""
        self._store = store
        self._environment = environment
        self.session = session
        self.trusted = session.verifies
        """False once the session is known to be damaged or not the newest: views and heads then stay as they are."""

    @property
    def chain(self) -> Chain:
        """Return the chain as it stands now."""
        return self.session.chain

    def append(self, name: str, schema: str, body: B, *, actor: str) -> Record[B]:
        """Write the next record of the session and bring its views up to date.

        The record is durable when this returns. A failure to refresh a view is not a failure of the record: the
        view is stale and the next writer replaces it.

        Raises:
            StorageFault: the record could not be written; it does not exist.
            Busy: a record of this sequence exists already: somebody wrote past the lock.
        """
        store = self._store
        chain = self.session.chain
        envelope = Envelope(
            schema=schema,
            session_id=self.session.session_id,
            sequence=chain.head_sequence + 1,
            recorded_at=rfc3339(store.clock.now()),
            environment=self._environment,
            actor=actor,
            producer=PRODUCER,
            state_id=store.ledger.state_id,
            previous_sha256=chain.head_sha256,
        )
        slim, spilled = _without_large_bodies(body)
        raw = record_bytes(envelope, slim)
        _require_readable(envelope, raw, folder=self.session.folder)
        if spilled:
            self._spill(spilled)
        file_name = record_file_name(envelope.sequence, name)
        if not create_once(store.disk, self.session.folder / RECORDS_FOLDER / file_name, raw):
            message = f"{file_name} exists already in {self.session.folder}: another writer got past the lock."
            raise Busy(
                message,
                code="record_exists",
                measured=file_name,
                session_id=self.session.session_id,
            )
        record = Record(name=name, envelope=envelope, body=slim, raw=raw, sha256=canonical.sha256_hex(raw))
        self._accept(record)
        return record

    def _spill(self, bodies: list[tuple[str, bytes]]) -> None:
        disk, wire = self._store.disk, self.session.folder / WIRE_FOLDER
        with storage_faults(wire):
            if disk.kind(wire) == "other":
                raise OSError(errno.ELOOP, "no plain folder")
        make_folders(disk, wire)
        for digest, data in bodies:
            create_once(disk, wire / digest, data)

    def _accept(self, record: Record[Any]) -> None:
        chain = msgspec.structs.replace(
            self.session.chain,
            records=(*self.session.chain.records, record),
            head_sequence=record.envelope.sequence,
            head_sha256=record.sha256,
        )
        self.session = msgspec.structs.replace(self.session, chain=chain)
        store = self._store
        if not self.trusted:
            # Views of a broken session stay as they are: they are evidence of what was changed.
            return
        # The record stands, so nothing from here on may say that it does not: the next record is noted as the
        # newer head, and a view that could not follow is stale until the next writer replaces it.
        with contextlib.suppress(StorageFault, Busy):
            store.ledger.note_head(
                Head(
                    session_id=self.session.session_id,
                    folder=str(self.session.folder.absolute()),
                    sequence=record.envelope.sequence,
                    record_sha256=record.sha256,
                )
            )
        with contextlib.suppress(StorageFault):
            self.refresh_views(only=record.name)

    def repair(self) -> None:
        """Replace what is stale in a session that verifies. What cannot be replaced stays stale: it stops nobody."""
        if self.session.verifies and self.session.stale_views:
            with contextlib.suppress(StorageFault):
                self.refresh_views()

    def refresh_views(self, *, only: str | None = None) -> None:
        """Replace stale views by the newest records, and rebuild the derived files.

        Raises:
            StorageFault: a view could not be written. The records are untouched by it.
        """
        newest = {record.name: record.raw for record in self.chain.records}
        stale = {only} if only else {view.removesuffix(".json") for view in self.session.stale_views}
        for name in sorted(stale):
            replace_file(self._store.disk, self.session.folder / f"{name}.json", newest[name])
        for file_name, document in self._store.derive(self.chain).items():
            replace_file(self._store.disk, self.session.folder / file_name, canonical.encode(document))
        left = () if only is None else tuple(view for view in self.session.stale_views if view != f"{only}.json")
        self.session = msgspec.structs.replace(self.session, stale_views=left)

    def receipt(self, record: Record[Any]) -> AttemptReceipt:
        """Return the proof that an attempt record is durable; the transport asks for it before it sends."""
        return AttemptReceipt(
            session_id=record.envelope.session_id,
            sequence=record.envelope.sequence,
            record_sha256=record.sha256,
            body_sha256=record.body.body_sha256,
        )

    def reserve_outcome(self) -> None:
        """Reserve room for the outcome before the send, so that a full disk can not swallow it."""
        reserve(self._store.disk, self.session.folder / RESERVE_FILE, RESERVE_BYTES)

    def free_reserve(self) -> None:
        """Give the reserved room back."""
        with contextlib.suppress(OSError):
            self._store.disk.unlink(self.session.folder / RESERVE_FILE)


class SessionStore:
    """Creates, opens and locks sessions on one disk with one ledger."""

    def __init__(self, *, disk: Disk, clock: Clock, ledger: Ledger, derive: Derive) -> None:
        """Keep the ports. ``derive`` computes the derived files of a chain: pure, names to documents."""
        self.disk = disk
        self.clock = clock
        self.ledger = ledger
        self.derive = derive

    def bind_root(self, root: Path, *, environment: str) -> None:
        """Bind a root to the first environment that is written into it.

        Raises:
            Denied: the root belongs to another environment: practice never colours live evidence.
            StorageFault: the root cannot be made or read.
        """
        make_folders(self.disk, root)
        marker = root / ROOT_FILE
        document = {"schema": "quantlab.root/1", "environment": environment}
        if create_once(self.disk, marker, canonical.encode(document)):
            return
        with storage_faults(marker):
            bound = _bound_environment(self.disk.read(marker, at_most=_MAXIMUM_MARKER_BYTES))
        if bound != environment:
            suggestion = root.with_name(f"{root.name}_{environment}")
            message = f"{root} belongs to the environment {bound}. Use another root for {environment}: {suggestion}"
            raise Denied(message, code="root_environment", measured=bound, limit=environment)

    @contextlib.contextmanager
    def create(self, root: Path, session_id: str, *, environment: str) -> Iterator[SessionWriter]:
        """Create a new session folder under a bound root and hold its lock.

        Raises:
            Denied: the root belongs to another environment.
            Busy: the folder exists already.
        """
        self.bind_root(root, environment=environment)
        folder = root / session_id
        with storage_faults(folder):
            taken = self.disk.kind(folder) is not None
        if not taken:
            make_folders(self.disk, folder / RECORDS_FOLDER)
            with self.write(folder, environment=environment) as writer:
                # Under the lock: another process may have begun a session of this id between look and making.
                if writer.session.empty:
                    yield writer
                    return
        raise Busy(f"{folder} exists already.", code="session_exists", measured=str(folder))

    @contextlib.contextmanager
    def begin(self, root: Path, session_id: str, *, environment: str, wait_ms: int) -> Iterator[SessionWriter]:
        """Open the session of an id under a bound root, making its folder when there is none; see :meth:`write`.

        Its records may be none: a command can end before its first one.
        """
        self.bind_root(root, environment=environment)
        make_folders(self.disk, root / session_id / RECORDS_FOLDER)
        with self.write(root / session_id, environment=environment, wait_ms=wait_ms) as writer:
            yield writer

    @contextlib.contextmanager
    def create_outdir(self, outdir: Path, *, session_id: str, environment: str) -> Iterator[SessionWriter]:
        """Open or create an outdir, which is a session folder whose records carry an id of their own."""
        make_folders(self.disk, outdir / RECORDS_FOLDER)
        with self.locked(outdir, wait_ms=5_000):
            session = read_session(self.disk, outdir, expect_id_of_folder=False)
            if not session.chain.records and not session.findings:
                session = msgspec.structs.replace(session, session_id=session_id)
            if environment != UNSET_ENVIRONMENT and session.environment not in {None, environment}:
                suggestion = outdir.with_name(f"{outdir.name}_{environment}")
                message = f"{outdir} belongs to {session.environment}. Use another outdir: {suggestion}"
                raise Denied(
                    message,
                    code="root_environment",
                    measured=session.environment,
                    limit=environment,
                )
            self._sweep(outdir)
            writer = SessionWriter(self, session, environment=environment)
            writer.repair()
            yield writer

    @contextlib.contextmanager
    def write(self, folder: Path, *, environment: str, wait_ms: int = 5_000) -> Iterator[SessionWriter]:
        """Lock an existing session, read and verify it under the lock, refresh stale views, and yield its writer.

        A session that does not verify is yielded too, its views untouched: the rung decides.

        Raises:
            Busy: another process holds the session.
            Denied: the session belongs to another environment.
        """
        read_session(self.disk, folder)
        with self.locked(folder, wait_ms=wait_ms):
            session = read_session(self.disk, folder)
            if session.environment not in {None, environment}:
                message = f"{folder} is a session of the environment {session.environment}, not of {environment}."
                raise Denied(
                    message,
                    code="session_environment",
                    measured=session.environment,
                    limit=environment,
                )
            self._sweep(folder)
            writer = SessionWriter(self, session, environment=environment)
            writer.repair()
            yield writer

    @contextlib.contextmanager
    def locked(self, folder: Path, *, wait_ms: int) -> Iterator[None]:
        """Hold the lock of a folder, waiting at most ``wait_ms``.

        Raises:
            Busy: another process holds it.
        """
        lock = self.try_lock(folder)
        deadline_ns = self.clock.monotonic_ns() + wait_ms * 1_000_000
        while lock is None and self.clock.monotonic_ns() < deadline_ns:
            self.clock.sleep_ms(_LOCK_POLL_MS)
            lock = self.try_lock(folder)
        if lock is None:
            message = f"Another QuantLab process is working on {folder}. Nothing was sent by this one."
            raise Busy(message, code="session_busy", measured=str(folder))
        try:
            yield
        finally:
            lock.release()

    def try_lock(self, folder: Path) -> Lock | None:
        """Take the lock of a folder without waiting; None when another process holds it."""
        with storage_faults(folder):
            return self.disk.lock(folder / LOCK_FILE)

    def _sweep(self, folder: Path) -> None:
        for place in (folder, folder / RECORDS_FOLDER, folder / WIRE_FOLDER):
            if self.disk.kind(place) != "folder":
                continue
            for name in self.disk.names(place):
                if name.startswith(TEMPORARY_PREFIX):
                    with contextlib.suppress(OSError):
                        self.disk.unlink(place / name)


def schema_of(body: Body) -> str:
    """Return the newest schema of a body type.

    Raises:
        KeyError: the type is no record body. A defect of ours.
    """
    found = [schema for schema, body_type in BODY_TYPES.items() if body_type is type(body)]
    if not found:
        raise KeyError(type(body).__name__)
    return found[-1]


def _bound_environment(data: bytes) -> str:
    try:
        document = msgspec.json.decode(data, type=dict[str, str])
        return document["environment"]
    except (ValueError, KeyError):
        return "unreadable"


def _require_readable(envelope: Envelope, raw: bytes, *, folder: Path) -> None:
    if envelope.sequence > MAXIMUM_SEQUENCE:
        message = f"{folder} holds {MAXIMUM_SEQUENCE} records and takes no more."
        raise StorageFault(message, code="storage_session_full", limit=str(MAXIMUM_SEQUENCE))
    if len(raw) > MAXIMUM_RECORD_BYTES:
        message = f"A record of {len(raw)} bytes for {folder} is larger than any reader accepts; it was not written."
        raise StorageFault(
            message, code="storage_record_too_large", measured=str(len(raw)), limit=str(MAXIMUM_RECORD_BYTES)
        )


def _without_large_bodies(body: B) -> tuple[B, list[tuple[str, bytes]]]:
    exchanges: tuple[WireExchange, ...] = getattr(body, "exchanges", ())
    spilled: list[tuple[str, bytes]] = []
    slim: list[WireExchange] = []
    for exchange in exchanges:
        kept = exchange
        if exchange.request_body is not None and len(exchange.request_body.encode()) > INLINE_BODY_BYTES:
            spilled.append((str(exchange.request_body_sha256), exchange.request_body.encode()))
            kept = msgspec.structs.replace(kept, request_body=None)
        data = _response_bytes(exchange)
        if data is not None and len(data) > INLINE_BODY_BYTES:
            spilled.append((str(exchange.response_body_sha256), data))
            kept = msgspec.structs.replace(kept, response_body=None, response_body_base64=None)
        slim.append(kept)
    if not spilled:
        return body, []
    return msgspec.structs.replace(body, exchanges=tuple(slim)), spilled


def _response_bytes(exchange: WireExchange) -> bytes | None:
    if exchange.response_body is not None:
        return exchange.response_body.encode()
    if exchange.response_body_base64 is not None:
        return base64.b64decode(exchange.response_body_base64)
    return None
