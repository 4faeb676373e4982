"""The ledger on SQLite: rollback journal, ``synchronous=EXTRA``, one short immediate transaction a method.

No write-ahead log: the SQLite that ships with supported Pythons may carry the fault of its log reset (ADR 0006).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from quantlab.kernel import canonical
from quantlab.kernel.errors import Busy, StorageFault
from quantlab.kernel.ids import Entropy
from quantlab.storage.durable import make_private
from quantlab.storage.ledger import (
    Certification,
    Halt,
    Head,
    IntentState,
    Interlock,
    LiveIntent,
    SendState,
    Sent,
    Spend,
    SpendRefusal,
)
from quantlab.storage.ledger_signing import SqliteSignings, certification_of
from quantlab.storage.ledger_tables import (
    SCHEMA,
    SCHEMA_VERSION,
    SENT_COLUMNS,
    advance_nonce,
    daily_of,
    interlock_of,
    one_row,
    sent_of,
    spend_refusal,
)

BUSY_TIMEOUT_MS: Final = 20_000


class SqliteLedger:
    """See :class:`quantlab.storage.ledger.Ledger`. ``location`` is a file path, or ``:memory:`` in a simulator."""

    def __init__(self, location: Path | str, *, entropy: Entropy) -> None:
        """Open the ledger, creating it with a new id when there is none.

        Raises:
            StorageFault: the file is no ledger, is of a newer version, or cannot be opened.
        """
        self._location = str(location)
        if isinstance(location, Path):
            make_private(location)
        with self._faults():
            self._connection = sqlite3.connect(
                self._location,
                timeout=BUSY_TIMEOUT_MS / 1000,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._faults():
                self._connection.execute("PRAGMA journal_mode=DELETE")
                self._connection.execute("PRAGMA synchronous=EXTRA")
            self._state_id = self._prepare(entropy)
        except BaseException:
            self._connection.close()
            raise

    @property
    def state_id(self) -> str:
        """See the port."""
        return self._state_id

    @property
    def signings(self) -> SqliteSignings:
        """See the port."""
        return SqliteSignings(self._transaction)

    def close(self) -> None:
        """See the port."""
        self._connection.close()

    def claim_interlock(self, claim: Interlock) -> Interlock:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO interlock VALUES (?, ?, ?, ?, ?)",
                msgspec.structs.astuple(claim),
            )
            return interlock_of(one_row(cursor, "SELECT * FROM interlock WHERE account_key = ?", claim.account_key))

    def release_interlock(self, account_key: str, session_id: str) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "DELETE FROM interlock WHERE account_key = ? AND session_id = ?",
                (account_key, session_id),
            )

    def interlocks(self) -> tuple[Interlock, ...]:
        """See the port."""
        rows = self._rows("SELECT * FROM interlock ORDER BY claimed_at, account_key")
        return tuple(interlock_of(row) for row in rows)

    def spend(self, spend: Spend) -> int | SpendRefusal:
        """See the port."""
        with self._transaction() as cursor:
            refusal = spend_refusal(cursor, spend)
            if refusal is not None:
                return refusal
            nonce = spend.reserved_nonce
            if nonce is None:
                nonce = advance_nonce(cursor, spend.signer_id, floor=spend.nonce_floor)
            cursor.execute(
                f"INSERT INTO sent ({SENT_COLUMNS}, day) "  # noqa: S608 - a constant of this module
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'in_flight', NULL, ?, ?)",
                (
                    spend.plan_sha256,
                    spend.client_order_id,
                    spend.intent_sha256,
                    spend.session_id,
                    spend.folder,
                    spend.account_key,
                    spend.signer_id,
                    str(nonce),
                    canonical.decimal_text(spend.notional_quote),
                    spend.spent_at,
                    spend.day,
                ),
            )
            cursor.execute("UPDATE intent SET state = 'spent' WHERE session_id = ?", (spend.session_id,))
            cursor.execute("UPDATE signing SET state = 'sent' WHERE plan_sha256 = ?", (spend.plan_sha256,))
            return nonce

    def sent(self, plan_sha256: str) -> Sent | None:
        """See the port."""
        rows = self._rows(f"SELECT {SENT_COLUMNS} FROM sent WHERE plan_sha256 = ?", plan_sha256)  # noqa: S608
        return sent_of(rows[0]) if rows else None

    def sends(self) -> tuple[Sent, ...]:
        """See the port."""
        rows = self._rows(f"SELECT {SENT_COLUMNS} FROM sent ORDER BY number")  # noqa: S608
        return tuple(sent_of(row) for row in rows)

    def settle(self, plan_sha256: str, *, state: SendState, resolution: str | None, free_interlock: bool) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE sent SET state = ?, resolution = ? WHERE plan_sha256 = ?",
                (state, resolution, plan_sha256),
            )
            if free_interlock:
                cursor.execute("DELETE FROM interlock WHERE plan_sha256 = ?", (plan_sha256,))

    def retake_interlock(self, plan_sha256: str, *, claimed_at: str) -> Interlock:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO interlock "
                "SELECT account_key, session_id, folder, plan_sha256, ? FROM sent WHERE plan_sha256 = ?",
                (claimed_at, plan_sha256),
            )
            row = cursor.execute(
                "SELECT interlock.* FROM interlock JOIN sent USING (account_key) WHERE sent.plan_sha256 = ?",
                (plan_sha256,),
            ).fetchone()
            if row is None:
                message = f"The ledger {self._location} knows no send of the plan {plan_sha256}: rebuild it first."
                raise StorageFault(message, code="ledger_plan_unknown", measured=plan_sha256)
            return interlock_of(row)

    def import_send(self, sent: Sent, *, hold_interlock: bool) -> bool:
        """See the port."""
        with self._transaction() as cursor:
            known = cursor.execute("SELECT 1 FROM sent WHERE plan_sha256 = ?", (sent.plan_sha256,)).fetchone()
            if known is not None:
                return False
            cursor.execute(
                f"INSERT INTO sent ({SENT_COLUMNS}, day) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (
                    *msgspec.structs.astuple(sent)[:7],
                    str(sent.nonce),
                    canonical.decimal_text(sent.notional_quote),
                    sent.state,
                    sent.resolution,
                    sent.spent_at,
                    sent.spent_at[:10],
                ),
            )
            advance_nonce(cursor, sent.signer_id, floor=sent.nonce)
            if hold_interlock:
                cursor.execute(
                    "INSERT OR IGNORE INTO interlock VALUES (?, ?, ?, ?, ?)",
                    (
                        sent.account_key,
                        sent.session_id,
                        sent.folder,
                        sent.plan_sha256,
                        sent.spent_at,
                    ),
                )
            return True

    def put_certification(self, certification: Certification) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO certification VALUES (?, ?, ?, ?, ?, ?)",
                msgspec.structs.astuple(certification),
            )

    def certifications(self) -> tuple[Certification, ...]:
        """See the port."""
        rows = self._rows("SELECT * FROM certification ORDER BY venue, environment")
        return tuple(certification_of(row) for row in rows)

    def next_nonce(self, signer_id: str, *, floor: int) -> int:
        """See the port."""
        with self._transaction() as cursor:
            return advance_nonce(cursor, signer_id, floor=floor)

    def last_nonce(self, signer_id: str) -> int | None:
        """See the port."""
        rows = self._rows("SELECT last_nonce FROM key_use WHERE signer_id = ?", signer_id)
        # A key that only used rate points stands there with no nonce yet.
        return int(rows[0][0]) or None if rows else None

    def take_points(self, signer_id: str, *, points: int, capacity: int, decay_per_kilosecond: int, at_ns: int) -> int:
        """See the port. The bucket is kept in thousandths of a point."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR IGNORE INTO key_use VALUES (?, '0', 0, ?)", (signer_id, str(at_ns)))
            row = one_row(
                cursor,
                "SELECT points_milli, points_at_ns FROM key_use WHERE signer_id = ?",
                signer_id,
            )
            elapsed_ms = max(0, at_ns - int(row[1])) // 1_000_000
            level_milli = max(0, int(row[0]) - elapsed_ms * decay_per_kilosecond // 1000)
            excess_milli = level_milli + points * 1000 - capacity * 1000
            if excess_milli > 0:
                if at_ns < int(row[1]):
                    # The clock went back: drain from here, or the bucket stands full until the clock catches up.
                    cursor.execute("UPDATE key_use SET points_at_ns = ? WHERE signer_id = ?", (str(at_ns), signer_id))
                return -(-excess_milli * 1000 // decay_per_kilosecond)
            cursor.execute(
                "UPDATE key_use SET points_milli = ?, points_at_ns = ? WHERE signer_id = ?",
                (level_milli + points * 1000, str(max(at_ns, int(row[1]))), signer_id),
            )
            return 0

    def put_intent(self, intent: LiveIntent) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO intent (intent_sha256, session_id, folder, state, planned_at, expires_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                msgspec.structs.astuple(intent),
            )

    def end_intent(self, session_id: str, *, state: IntentState) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute("UPDATE intent SET state = ? WHERE session_id = ?", (state, session_id))

    def intents(self, intent_sha256: str) -> tuple[LiveIntent, ...]:
        """See the port."""
        rows = self._rows(
            "SELECT intent_sha256, session_id, folder, state, planned_at, expires_at FROM intent "
            "WHERE intent_sha256 = ? ORDER BY planned_at, session_id",
            intent_sha256,
        )
        names = LiveIntent.__struct_fields__
        return tuple(LiveIntent(**dict(zip(names, row, strict=True))) for row in rows)

    def daily(self, account_key: str, day: str) -> tuple[int, Decimal]:
        """See the port."""
        with self._transaction() as cursor:
            return daily_of(cursor, account_key, day)

    def note_head(self, head: Head) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO head VALUES (?, ?, ?, ?) ON CONFLICT (session_id) DO UPDATE SET "
                "folder = excluded.folder, sequence = excluded.sequence, record_sha256 = excluded.record_sha256 "
                "WHERE excluded.sequence > head.sequence",
                msgspec.structs.astuple(head),
            )

    def head(self, session_id: str) -> Head | None:
        """See the port."""
        rows = self._rows("SELECT * FROM head WHERE session_id = ?", session_id)
        return Head(**dict(zip(Head.__struct_fields__, rows[0], strict=True))) if rows else None

    def bind_label(self, *, venue: str, environment: str, label: str, identity: str) -> str:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO label VALUES (?, ?, ?, ?)",
                (venue, environment, label, identity),
            )
            query = "SELECT identity FROM label WHERE venue = ? AND environment = ? AND label = ?"
            return str(one_row(cursor, query, venue, environment, label)[0])

    def set_halt(self, halt: Halt | None) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM halt")
            if halt is not None:
                cursor.execute("INSERT INTO halt VALUES (1, ?, ?, ?)", msgspec.structs.astuple(halt))

    def halt(self) -> Halt | None:
        """See the port."""
        rows = self._rows("SELECT reviewer, reason, halted_at FROM halt")
        return Halt(**dict(zip(Halt.__struct_fields__, rows[0], strict=True))) if rows else None

    def _prepare(self, entropy: Entropy) -> str:
        with self._faults():
            self._connection.execute("BEGIN EXCLUSIVE")
            self._connection.execute("COMMIT")
        with self._transaction() as cursor:
            for statement in SCHEMA.split(";\n"):
                cursor.execute(statement)
            cursor.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(SCHEMA_VERSION),))
            cursor.execute(
                "INSERT OR IGNORE INTO meta VALUES ('state_id', ?)",
                (entropy.token_bytes(16).hex(),),
            )
            version = one_row(cursor, "SELECT value FROM meta WHERE key = 'version'")[0]
            if version != str(SCHEMA_VERSION):
                message = f"{self._location} was written by a newer QuantLab. Use that version; nothing was sent."
                raise StorageFault(message, code="ledger_version", measured=version, limit=str(SCHEMA_VERSION))
            return str(one_row(cursor, "SELECT value FROM meta WHERE key = 'state_id'")[0])

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._faults():
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._faults():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                # A commit that failed may have ended the transaction already, or left it open and holding the file.
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                message = "The ledger is held by another QuantLab process for longer than expected. Try again."
                raise Busy(message, code="ledger_busy", measured=self._location) from error
            raise self._fault(error) from error
        except sqlite3.IntegrityError as error:
            message = (
                f"The ledger {self._location} already holds another claim on the same client order id or nonce "
                f"({error}). One of the two was copied or changed; nothing was claimed."
            )
            raise StorageFault(message, code="ledger_conflict", measured=str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StorageFault:
        message = (
            f"The ledger {self._location} cannot be used ({error}). Nothing is sent without it. "
            "If it is damaged, move it away and run `quantlab ledger rebuild --root ROOT` for every root."
        )
        return StorageFault(message, code="ledger_unusable", measured=str(error))
