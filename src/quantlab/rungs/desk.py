"""The desk: everything a rung is handed. Ports, policy, ledger, one corridor; no concrete venue, no environment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from quantlab.evidence.chain import B, Record
from quantlab.evidence.standing import Standing, derived_files, standing_of
from quantlab.kernel.clock import Clock, rfc3339
from quantlab.kernel.errors import Denied, QuantLabFault, Unverified
from quantlab.kernel.ids import Entropy
from quantlab.kernel.result import Fact, NextStep, Refusal, Result
from quantlab.model.execution import WireExchange
from quantlab.model.key_source import KeySource
from quantlab.model.policy import Policy
from quantlab.model.recorded import Check
from quantlab.rungs.corridors import Corridor
from quantlab.rungs.ladder import begin_step, next_step
from quantlab.rungs.surroundings import DeskSettings, Served, VenueSide
from quantlab.storage.durable import Disk
from quantlab.storage.ledger import Head, Ledger
from quantlab.storage.reader import Session, read_session
from quantlab.storage.turns import LedgerKeyTurns
from quantlab.storage.writer import SessionStore, SessionWriter, schema_of
from quantlab.venues.port import VenueReads


class Desk:
    """What a rung works with. Ports are injected; the ledger is opened when it is first needed."""

    def __init__(
        self,
        *,
        settings: DeskSettings,
        corridor: Corridor,
        disk: Disk,
        clock: Clock,
        entropy: Entropy,
        open_ledger: Callable[[], Ledger],
        progress: Callable[[str], None],
        venue: Callable[[Desk], VenueSide] | None,
        spell: Callable[[NextStep], str],
    ) -> None:
        """Keep the ports. ``venue`` builds the venue's side on first use; ``spell`` writes a next command."""
        self.settings = settings
        self.corridor = corridor
        self.disk = disk
        self.clock = clock
        self.entropy = entropy
        self.progress = progress
        self.spell = spell
        self.served = Served()
        self._open_ledger = open_ledger
        self._venue = venue

    @cached_property
    def ledger(self) -> Ledger:
        """Return the ledger, opened and created on first use."""
        return self._open_ledger()

    @cached_property
    def store(self) -> SessionStore:
        """Return the session store."""
        return SessionStore(disk=self.disk, clock=self.clock, ledger=self.ledger, derive=derived_files)

    @cached_property
    def turns(self) -> LedgerKeyTurns:
        """Return the turns on keys."""
        folder = self.settings.state_folder / "keys"
        return LedgerKeyTurns(
            disk=self.disk,
            clock=self.clock,
            ledger=self.ledger,
            folder=folder,
            nonce_unit_ns=self.corridor.nonce_unit_ns,
            say=self.progress,
        )

    @cached_property
    def side(self) -> VenueSide:
        """Return the venue's side of the desk, with or without credentials.

        Raises:
            Denied: no environment is set, or this command has no venue; nothing was sent.
        """
        self.environment  # noqa: B018 - its refusal comes before any other
        if self._venue is None:
            raise Denied("This command speaks to no venue.", code="no_venue")
        return self._venue(self)

    def serve(self, *, account: str | None, signer: str | None, key_source: KeySource | None = None) -> None:
        """Work for this account and signer from now on, in place of those that the settings name."""
        source = key_source or self.served.key_source
        served = Served(account=account, signer=signer, key_source=source)
        if served != self.served:
            self.served = served
            self.__dict__.pop("side", None)

    @property
    def reads(self) -> VenueReads:
        """Return the reading side of the venue, for rungs that need the account.

        Raises:
            Denied: no environment is set, or credentials are missing; nothing was sent.
        """
        side = self.side
        if side.missing:
            missing = ", ".join(side.missing)
            message = f"The venue's credentials are missing: {missing}. Nothing was written or sent."
            raise Denied(
                message,
                code="credentials_missing",
                measured=missing,
                limit="all present",
                next_step=NextStep(why="see what is set and what is missing", verb="evidence readiness"),
            )
        return side.reads

    @property
    def public_reads(self) -> VenueReads:
        """Return the reading side of the venue for reads that need no key.

        Raises:
            Denied: no environment is set; nothing was sent.
        """
        return self.side.reads

    @property
    def environment(self) -> str:
        """Return the environment.

        Raises:
            Denied: none is set: no rung that talks to a venue runs without one.
        """
        if self.settings.environment is None:
            message = (
                "QUANTLAB_ENVIRONMENT is not set, so no venue is spoken to and nothing was sent. "
                "Set it to live or rehearsal."
            )
            raise Denied(
                message,
                code="environment_not_set",
                measured="unset",
                limit="live or rehearsal",
                next_step=NextStep(why="see what is set and what is missing", verb="evidence readiness"),
            )
        return self.settings.environment

    @property
    def policy(self) -> Policy:
        """Return the policy in force."""
        return self.settings.policy

    def now_text(self) -> str:
        """Return the wall time as recorded."""
        return rfc3339(self.clock.now())

    def account_key(self, identity: str) -> str:
        """Return the ledger's key of an account."""
        return f"{self.corridor.venue}:{self.environment}:{identity}"

    def take_exchanges(self) -> tuple[WireExchange, ...]:
        """Return the wire exchanges since the last call and forget them."""
        return self.side.take_exchanges()

    def read(self, folder: Path) -> Session:
        """Read a session without locking it and check that it belongs here.

        Raises:
            UsageFault: the path is no session.
            Denied: the session belongs to another venue or environment.
        """
        session = read_session(self.disk, folder)
        self._check_home(session)
        return session

    @contextlib.contextmanager
    def write(self, folder: Path, *, wait_ms: int = 5_000) -> Iterator[SessionWriter]:
        """Lock a session for writing and check that it belongs here."""
        with self.store.write(folder, environment=self.environment, wait_ms=wait_ms) as writer:
            self._check_home(writer.session)
            yield writer

    def append(self, writer: SessionWriter, body: B, *, actor: str | None = None) -> Record[B]:
        """Append a record under the corridor's name for its type."""
        name = self.corridor.names[type(body)]
        return writer.append(name, schema_of(body), body, actor=actor or self.settings.actor)

    def require_verified(self, session: Session) -> Standing:
        """Return the standing of a session that verifies and is not older than the ledger's memory of it.

        Raises:
            Unverified: it does not verify, or records are missing at its end. Nothing was sent.
            Denied: it holds no record yet.
        """
        if session.empty and self.ledger.head(session.session_id) is None:
            message = f"{session.folder} holds no record: a command ended before its first one. Begin a new session."
            raise Denied(message, code="session_empty", session_id=session.session_id)
        if not session.verifies:
            raise unverified(session)
        self.require_newest(session)
        self._require_own_ledger(session)
        return standing_of(session.chain)

    def require_newest(self, session: Session) -> None:
        """Check the session against the newest record that the ledger saw of it.

        Raises:
            Unverified: the folder is a copy, a backup or shortened: the ledger knows a newer record.
        """
        head = self.ledger.head(session.session_id)
        if head is None:
            return
        records = session.chain.records
        known = records[head.sequence - 1].sha256 if len(records) >= head.sequence else None
        if known == head.record_sha256:
            self._catch_up(session, head)
            return
        message = (
            f"{session.folder} is not the newest evidence of its session: the ledger knows record "
            f"{head.sequence} of it, last seen in {head.folder}. It is a copy, a backup, or was shortened. "
            "Nothing was sent."
        )
        raise Unverified(
            message,
            code="session_shortened",
            measured=f"{len(records)} records",
            limit=f"record {head.sequence} with SHA-256 {head.record_sha256}",
            session_id=session.session_id,
        )

    def _require_own_ledger(self, session: Session) -> None:
        """Refuse a session begun under another state folder: its claims are unknown here, and nothing may be added."""
        state_ids = {record.envelope.state_id for record in session.chain.records}
        if state_ids <= {self.ledger.state_id}:
            return
        message = (
            f"{session.folder} was begun under another state folder, whose claims this one does not know. Use that "
            "state folder, or begin a new session. Nothing was written or sent."
        )
        raise Denied(
            message,
            code="ledger_same",
            measured=", ".join(sorted(state_ids)),
            limit=self.ledger.state_id,
            next_step=begin_step(standing_of(session.chain), why="begin a new session under this state folder"),
            session_id=session.session_id,
        )

    def _catch_up(self, session: Session, head: Head) -> None:
        """Let the ledger know records that a killed command made durable but could not report any more.

        Only of a session that verifies: a look at forged records must not make them the newest evidence.
        """
        if session.verifies and session.chain.head_sequence > head.sequence:
            self.ledger.note_head(
                Head(
                    session_id=session.session_id,
                    folder=str(session.folder.absolute()),
                    sequence=session.chain.head_sequence,
                    record_sha256=session.chain.head_sha256,
                )
            )

    def result(  # noqa: PLR0913 - the end of a rung has this many parts
        self,
        outcome: str,
        headline: str,
        *,
        session: Session | None = None,
        data: Any = None,
        facts: tuple[Fact, ...] = (),
        refusals: tuple[Refusal, ...] = (),
        artifacts: tuple[Path, ...] = (),
        next_hint: NextStep | None = None,
        warnings: tuple[str, ...] = (),
        table: tuple[tuple[str, ...], ...] = (),
    ) -> Result:
        """Return a rung's result, with the session's next step unless another is given."""
        step = next_hint
        if session is not None and step is None:
            step = next_step(standing_of(session.chain), session.folder, now=self.clock.now())
        return Result(
            outcome=outcome,
            headline=headline,
            session_id=session.session_id if session else None,
            environment=self.settings.environment,
            artifacts=tuple(str(path) for path in artifacts),
            refusals=refusals,
            next=step,
            data=data,
            facts=facts,
            warnings=warnings,
            table=table,
        )

    def _check_home(self, session: Session) -> None:
        environment = self.settings.environment
        if session.environment not in {None, environment} and environment is not None:
            message = (
                f"{session.folder} is a session of the environment {session.environment}; "
                f"this one is {environment}. Nothing was sent."
            )
            raise Denied(message, code="session_environment", measured=session.environment, limit=environment)
        known = {*self.corridor.names.values(), *self.corridor.further_names}
        foreign = next((record for record in session.chain.records if record.name not in known), None)
        if foreign is not None:
            message = f"{session.folder} is no session of the {self.corridor.venue} corridor."
            raise Denied(message, code="session_of_another_venue", measured=foreign.name, limit=self.corridor.venue)


def unverified(session: Session) -> Unverified:
    """Return the fault of a session that does not verify, naming the first finding."""
    first = session.findings[0]
    more = f" and {len(session.findings) - 1} more findings" if len(session.findings) > 1 else ""
    message = (
        f"The evidence in {session.folder} does not verify: {first.file} {first.message}{more}. "
        "Nothing was sent. Do not act on this session before you know who changed it."
    )
    return Unverified(
        message,
        code=first.code,
        measured=first.file,
        limit="unchanged evidence",
        next_step=findings_step(session.folder),
        session_id=session.session_id,
    )


def findings_step(folder: Path) -> NextStep:
    """Return the line that shows what does not verify."""
    why = "see every finding; do not act on this session before you know who changed it"
    return NextStep(why=why, verb="show", arguments=(str(folder),))


def suggested_step(desk: Desk, folder: Path) -> NextStep | None:
    """Return what to run next for a session after a command on it was refused; None when nothing can be said."""
    try:
        session = desk.read(folder)
        if not session.verifies:
            return unverified(session).next_step
        return next_step(standing_of(session.chain), folder, now=desk.clock.now())
    except QuantLabFault:
        return None


def artifact_paths(session: Session, *records: Record[Any]) -> tuple[Path, ...]:
    """Return the paths of records and their views for a report."""
    paths: list[Path] = []
    for record in records:
        paths.extend((session.folder / f"{record.name}.json", session.folder / "records" / record.file_name))
    return tuple(paths)


def refusals_of(checks: tuple[Check, ...]) -> tuple[Refusal, ...]:
    """Return the refusals among checks."""
    return tuple(
        Refusal(code=check.code, message=check.message, measured=check.measured, limit=check.limit)
        for check in checks
        if not check.passed
    )


def required_text(value: str | None, *, code: str, message: str) -> str:
    """Return text that a person had to give.

    Raises:
        Denied: it is missing or blank. Nothing was written or sent.
    """
    if value is None or not value.strip():
        raise Denied(message, code=code, measured="missing", limit="given")
    return value.strip()


def policy_unchanged(desk: Desk, plan_policy_sha256: str) -> Check:
    """Return the check that the policy in force is the one that the plan was made under."""
    return Check(
        code="policy_unchanged",
        passed=plan_policy_sha256 == desk.settings.policy_sha256,
        measured=desk.settings.policy_sha256,
        limit=plan_policy_sha256,
        message="The policy file changed since this order was planned: begin again under the new one.",
    )
