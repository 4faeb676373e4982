"""The ledger's book of signed orders. Used by ``ledger_sqlite`` alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from quantlab.storage.ledger import Certification, Signing, SigningRefusal, SigningState
from quantlab.storage.ledger_tables import advance_nonce, one_row

_COLUMNS: Final = (
    "plan_sha256, signer_id, nonce, client_order_id, intent_sha256, account_key, session_id, outdir, expires_at, "
    "reserved_at, state, artifact_sha256, folder"
)


class SqliteSignings:
    """See :class:`quantlab.storage.ledger.Signings`. ``transaction`` opens one on the ledger's database."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[sqlite3.Cursor]]) -> None:
        """Keep the way to a transaction."""
        self._transaction = transaction

    def reserve(self, signing: Signing, *, live_after: str, oldest_nonce: int) -> Signing | SigningRefusal:
        """See the port."""
        with self._transaction() as cursor:
            return _reserve(cursor, signing, live_after=live_after, oldest_nonce=oldest_nonce)

    def reusable(self, intent_sha256: str, signer_id: str, *, oldest_nonce: int) -> Signing | None:
        """See the port."""
        with self._transaction() as cursor:
            return _reusable(cursor, intent_sha256, signer_id, oldest_nonce=oldest_nonce)

    def find(self, plan_sha256: str) -> Signing | None:
        """See the port."""
        query = f"SELECT {_COLUMNS} FROM signing WHERE plan_sha256 = ?"  # noqa: S608 - a constant
        with self._transaction() as cursor:
            row = cursor.execute(query, (plan_sha256,)).fetchone()
            return None if row is None else signing_of(row)

    def note_signed(self, plan_sha256: str, artifact_sha256: str) -> None:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE signing SET state = 'signed', artifact_sha256 = ? WHERE plan_sha256 = ? AND state = 'reserved'",
                (artifact_sha256, plan_sha256),
            )

    def end(self, plan_sha256: str, state: SigningState) -> None:
        """See the port."""
        with self._transaction() as cursor:
            # A send is never undone: its nonce must not look free again. A burn only tells more of it.
            cursor.execute(
                "UPDATE signing SET state = ? WHERE plan_sha256 = ? AND (state != 'sent' OR ? = 'burned')",
                (state, plan_sha256, state),
            )

    def bind(self, plan_sha256: str, *, folder: str, instead_of: str | None) -> str:
        """See the port."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE signing SET folder = ? WHERE plan_sha256 = ? AND (folder IS NULL OR folder = ?)",
                (folder, plan_sha256, instead_of),
            )
            return str(one_row(cursor, "SELECT folder FROM signing WHERE plan_sha256 = ?", plan_sha256)[0])


def signing_of(row: tuple[Any, ...]) -> Signing:
    """Return the reservation of a row."""
    values = dict(zip(Signing.__struct_fields__, row, strict=True))
    return Signing(**values | {"nonce": int(row[2])})


def certification_of(row: tuple[Any, ...]) -> Certification:
    """Return the certification of a row."""
    values = dict(zip(Certification.__struct_fields__, row, strict=True))
    return Certification(**values | {"passed": bool(row[4])})


def _reserve(
    cursor: sqlite3.Cursor, signing: Signing, *, live_after: str, oldest_nonce: int
) -> Signing | SigningRefusal:
    refusal = _refusal(cursor, signing, live_after=live_after)
    if refusal is not None:
        return refusal
    dead = _reusable(cursor, signing.intent_sha256, signing.signer_id, oldest_nonce=oldest_nonce)
    if dead is None:
        nonce = advance_nonce(cursor, signing.signer_id, floor=signing.nonce)
    elif dead.client_order_id != signing.client_order_id:
        # Somebody else reserved this intent since the caller looked.
        return SigningRefusal(code="signed_action_live", measured=dead.session_id, limit="no other order of the intent")
    else:
        nonce = dead.nonce
    reserved = msgspec.structs.replace(signing, nonce=nonce, state="reserved", artifact_sha256=None, folder=None)
    cursor.execute(
        f"INSERT INTO signing ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        [str(value) if isinstance(value, int) else value for value in msgspec.structs.astuple(reserved)],
    )
    return reserved


def _reusable(cursor: sqlite3.Cursor, intent_sha256: str, signer_id: str, *, oldest_nonce: int) -> Signing | None:
    row = cursor.execute(
        f"SELECT {_COLUMNS} FROM signing WHERE intent_sha256 = ? AND signer_id = ? "  # noqa: S608 - a constant
        "ORDER BY number DESC LIMIT 1",
        (intent_sha256, signer_id),
    ).fetchone()
    found = None if row is None else signing_of(row)
    if found is None or found.state in {"burned", "sent"} or found.nonce < oldest_nonce:
        return None
    return found


def _refusal(cursor: sqlite3.Cursor, signing: Signing, *, live_after: str) -> SigningRefusal | None:
    if cursor.execute("SELECT 1 FROM halt").fetchone() is not None:
        return SigningRefusal(code="halted", measured="halt set", limit="no halt")
    held = cursor.execute("SELECT folder FROM interlock WHERE account_key = ?", (signing.account_key,)).fetchone()
    if held is not None:
        return SigningRefusal(code="interlock_held", measured=f"held by {held[0]}", limit="free")
    # A plan that was never sent can still be sent by whoever holds its bytes, until they expire.
    live = cursor.execute(
        "SELECT signing.outdir, signing.expires_at FROM signing LEFT JOIN sent USING (plan_sha256) "
        "WHERE signing.intent_sha256 = ? AND signing.expires_at > ? AND (signing.state IN ('reserved', 'signed', "
        "'revoked') OR (signing.state = 'sent' AND sent.state = 'never_sent'))",
        (signing.intent_sha256, live_after),
    ).fetchone()
    if live is not None:
        return SigningRefusal(
            code="signed_action_live", measured=f"{live[0]} until {live[1]}", limit="none", outdir=str(live[0])
        )
    return None
