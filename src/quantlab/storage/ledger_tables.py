"""The ledger's tables, and the steps that run inside one of its transactions. Used by ``ledger_sqlite`` alone."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any, Final

from quantlab.kernel import canonical
from quantlab.storage.ledger import Interlock, Sent, Spend, SpendRefusal

SCHEMA_VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS interlock (
  account_key TEXT PRIMARY KEY, session_id TEXT NOT NULL, folder TEXT NOT NULL,
  plan_sha256 TEXT NOT NULL, claimed_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  plan_sha256 TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL UNIQUE, intent_sha256 TEXT NOT NULL,
  session_id TEXT NOT NULL, folder TEXT NOT NULL, account_key TEXT NOT NULL, signer_id TEXT NOT NULL,
  nonce TEXT NOT NULL, notional_quote TEXT NOT NULL, state TEXT NOT NULL, resolution TEXT,
  spent_at TEXT NOT NULL, day TEXT NOT NULL, UNIQUE (signer_id, nonce));
CREATE TABLE IF NOT EXISTS signing (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  plan_sha256 TEXT NOT NULL UNIQUE, signer_id TEXT NOT NULL, nonce TEXT NOT NULL, client_order_id TEXT NOT NULL,
  intent_sha256 TEXT NOT NULL, account_key TEXT NOT NULL, session_id TEXT NOT NULL, outdir TEXT NOT NULL,
  expires_at TEXT NOT NULL, reserved_at TEXT NOT NULL, state TEXT NOT NULL, artifact_sha256 TEXT, folder TEXT);
CREATE TABLE IF NOT EXISTS certification (
  venue TEXT NOT NULL, environment TEXT NOT NULL, record_sha256 TEXT NOT NULL, folder TEXT NOT NULL,
  passed INTEGER NOT NULL, certified_at TEXT NOT NULL, PRIMARY KEY (venue, environment)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key_use (
  signer_id TEXT PRIMARY KEY, last_nonce TEXT NOT NULL, points_milli INTEGER NOT NULL, points_at_ns TEXT NOT NULL
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intent (
  session_id TEXT PRIMARY KEY, intent_sha256 TEXT NOT NULL, folder TEXT NOT NULL, state TEXT NOT NULL,
  planned_at TEXT NOT NULL, expires_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (
  session_id TEXT PRIMARY KEY, folder TEXT NOT NULL, sequence INTEGER NOT NULL, record_sha256 TEXT NOT NULL
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS label (
  venue TEXT NOT NULL, environment TEXT NOT NULL, label TEXT NOT NULL, identity TEXT NOT NULL,
  PRIMARY KEY (venue, environment, label)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS halt (
  one INTEGER PRIMARY KEY CHECK (one = 1), reviewer TEXT NOT NULL, reason TEXT NOT NULL, halted_at TEXT NOT NULL);
"""
SENT_COLUMNS: Final = (
    "plan_sha256, client_order_id, intent_sha256, session_id, folder, account_key, signer_id, nonce, "
    "notional_quote, state, resolution, spent_at"
)


def spend_refusal(cursor: sqlite3.Cursor, spend: Spend) -> SpendRefusal | None:
    """Return why a send may not be spent now, or None."""

    def exists(query: str, *values: str) -> bool:
        return cursor.execute(query, values).fetchone() is not None

    if exists("SELECT 1 FROM sent WHERE plan_sha256 = ?", spend.plan_sha256):
        return SpendRefusal(code="plan_already_spent", measured=spend.plan_sha256, limit="a plan is sent once")
    if exists("SELECT 1 FROM sent WHERE client_order_id = ?", spend.client_order_id):
        return SpendRefusal(
            code="client_order_id_already_spent",
            measured=spend.client_order_id,
            limit="an id is sent once",
        )
    if not exists(
        "SELECT 1 FROM interlock WHERE account_key = ? AND session_id = ?",
        spend.account_key,
        spend.session_id,
    ):
        return SpendRefusal(code="interlock_not_held", measured="another session", limit="this session")
    if spend.reserved_nonce is not None:
        row = cursor.execute(
            "SELECT state FROM signing WHERE plan_sha256 = ? AND signer_id = ? AND nonce = ?",
            (spend.plan_sha256, spend.signer_id, str(spend.reserved_nonce)),
        ).fetchone()
        if row is None or row[0] != "signed":
            measured = "no such reservation" if row is None else str(row[0])
            return SpendRefusal(code="signing_not_live", measured=measured, limit="signed")
    if exists("SELECT 1 FROM halt"):
        return SpendRefusal(code="halted", measured="halt set", limit="no halt")
    count, notional = daily_of(cursor, spend.account_key, spend.day)
    if count + 1 > spend.daily_orders_limit:
        return SpendRefusal(code="daily_orders", measured=str(count + 1), limit=str(spend.daily_orders_limit))
    if notional + spend.notional_quote > spend.daily_notional_limit:
        return SpendRefusal(
            code="daily_notional",
            measured=canonical.decimal_text(notional + spend.notional_quote),
            limit=canonical.decimal_text(spend.daily_notional_limit),
        )
    return None


def advance_nonce(cursor: sqlite3.Cursor, signer_id: str, *, floor: int) -> int:
    """Return a nonce above every one of this key and at least ``floor``, and keep it."""
    row = cursor.execute("SELECT last_nonce FROM key_use WHERE signer_id = ?", (signer_id,)).fetchone()
    nonce = max(int(row[0]) + 1, floor) if row else floor
    cursor.execute(
        "INSERT INTO key_use VALUES (?, ?, 0, '0') ON CONFLICT (signer_id) DO UPDATE SET last_nonce = ?",
        (signer_id, str(nonce), str(nonce)),
    )
    return nonce


def daily_of(cursor: sqlite3.Cursor, account_key: str, day: str) -> tuple[int, Decimal]:
    """Return count and notional of an account's sends of a day that reached, or may have reached, the venue."""
    rows = cursor.execute(
        "SELECT notional_quote FROM sent WHERE account_key = ? AND day = ? AND state != 'never_sent' "
        "AND state != 'rejected'",
        (account_key, day),
    ).fetchall()
    return len(rows), sum((Decimal(row[0]) for row in rows), Decimal(0))


def one_row(cursor: sqlite3.Cursor, query: str, *values: str) -> tuple[Any, ...]:
    """Return the one row that is known to be there."""
    row: tuple[Any, ...] = cursor.execute(query, values).fetchone()
    return row


def interlock_of(row: tuple[Any, ...]) -> Interlock:
    """Return the interlock of a row."""
    return Interlock(**dict(zip(Interlock.__struct_fields__, row, strict=True)))


def sent_of(row: tuple[Any, ...]) -> Sent:
    """Return the send of a row."""
    values = dict(zip(Sent.__struct_fields__, row, strict=True))
    return Sent(**values | {"nonce": int(row[7]), "notional_quote": Decimal(row[8])})
