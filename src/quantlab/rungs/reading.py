"""What the reading rungs share: open a sent session even when damaged, record what was seen, settle, report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from quantlab.evidence.chain import B, Record
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.clock import age_text, parse_rfc3339
from quantlab.kernel.errors import Unverified
from quantlab.kernel.result import Fact, Refusal, Result
from quantlab.model.key_source import KeySource
from quantlab.model.reconciliation import LATE_WATCH_SECONDS
from quantlab.model.recorded import OrderEvidence
from quantlab.rungs.claims import LATE_FIND, free_own_dead_claim, holder_of, settle
from quantlab.rungs.desk import Desk, artifact_paths, findings_step, unverified
from quantlab.rungs.finding import Sought, note_incident, require_sent, sought_of
from quantlab.storage.writer import SessionWriter


class OpenedSession:
    """A sent session held for one reading rung. ``unverified`` means: works, is marked so, and ends with exit 5."""

    def __init__(self, writer: SessionWriter, standing: Standing, sought: Sought) -> None:
        """Keep what the rung works with."""
        self.writer = writer
        self.standing = standing
        self.sought = sought

    @property
    def unverified(self) -> bool:
        """Return whether the evidence is damaged, or older than what the ledger knows of it."""
        return not self.writer.trusted

    def refresh(self) -> Standing:
        """Derive the standing again after records were appended."""
        self.standing = standing_of(self.writer.session.chain)
        return self.standing


@contextlib.contextmanager
def opened(desk: Desk, folder: Path, *, key_source: KeySource | None = None) -> Iterator[OpenedSession]:
    """Lock a session from which something was sent, and work for its own account from then on.

    Raises:
        Denied: nothing was sent from it.
        Unverified: so much of it is damaged that it does not say what to look for.
        Busy: another process holds it.
    """
    desk.environment  # noqa: B018 - refuses when none is set
    with desk.write(folder) as writer:
        _trust(desk, writer)
        standing = standing_of(writer.session.chain)
        sent = desk.ledger.sent(standing.plan_sha256) if standing.plan_sha256 is not None else None
        if writer.trusted and sent is not None and standing.response is None:
            holder = holder_of(desk, sent.account_key)
            if holder is not None and holder.plan_sha256 == sent.plan_sha256:
                free_own_dead_claim(desk, writer, holder)
                standing = standing_of(writer.session.chain)
        sought = sought_of(writer.session.chain, standing, sent)
        if sought is None and not writer.session.verifies:
            # What can not be read may have been sent.
            raise unverified(writer.session)
        sought = require_sent(sought, standing)
        # Asked of another account, every view would be empty, and that would look like proof.
        desk.serve(account=sought.plan.account_identity, signer=sought.signer_id, key_source=key_source)
        yield OpenedSession(writer, standing, sought)


def _trust(desk: Desk, writer: SessionWriter) -> None:
    if not writer.session.verifies:
        writer.trusted = False
        return
    try:
        desk.require_newest(writer.session)
    except Unverified as fault:
        writer.trusted = False
        desk.progress(fault.message)


def keep(desk: Desk, session: OpenedSession, body: B) -> Record[B]:
    """Append a reading record, raise a late find where it is one, and bring the ledger in line."""
    before = session.standing
    record = desk.append(session.writer, body)
    after = session.refresh()
    if after.order is not None and before.order is None and before.resolution in _NOT_EXPECTED:
        _late_find(desk, session, before, after.order)
    if not session.unverified:
        settle(desk, session.standing)
    return record


_NOT_EXPECTED = frozenset({"decided", "not_landed", "rejected", "never_sent"})


def _late_find(desk: Desk, session: OpenedSession, before: Standing, order: OrderEvidence) -> None:
    note_incident(
        desk,
        session.writer,
        plan_sha256=session.sought.plan_sha256,
        code=LATE_FIND,
        message=(
            f"The venue shows order {order.venue_order_id} although this session stood as {before.state}. "
            "The order landed after all."
        ),
    )
    session.refresh()


def watch_late(desk: Desk, session: OpenedSession) -> bool:
    """Return whether a resolved session still asks for its client order id on every read: for seven days."""
    if session.standing.unresolved or session.standing.resolution is None:
        # Without a resolution the records show no send: the ledger alone knows it.
        return True
    age = desk.clock.now() - session.sought.attempted_at
    return session.standing.resolution in _NOT_EXPECTED and age.total_seconds() <= LATE_WATCH_SECONDS


def report(
    desk: Desk,
    session: OpenedSession,
    record: Record[Any],
    headline: str,
    *,
    unreadable: str | None,
    facts: tuple[Fact, ...] = (),
    warnings: tuple[str, ...] = (),
    refusals: tuple[Refusal, ...] = (),
) -> Result:
    """Return the result of a reading rung, its exit code by the table of design section 9.

    Unverified evidence ends with 5; an unresolved session with 4, also when the venue can not be read; a known
    state with an unreadable venue with 7; everything proven or decided with 0.
    """
    standing = session.standing
    outcome = "done"
    if session.unverified:
        outcome = "unverified"
    elif standing.unresolved:
        outcome = "unknown"
    elif unreadable is not None:
        outcome = "unreadable"
    result = desk.result(
        outcome,
        headline,
        session=session.writer.session,
        data=record.body,
        facts=(*standing_facts(desk, standing), *facts),
        refusals=(*refusals, *_unverified_refusals(session), *_unreadable_refusals(unreadable)),
        warnings=(*warnings, *(one.body.message for one in standing.incidents)),
        artifacts=artifact_paths(session.writer.session, record),
        next_hint=findings_step(session.writer.session.folder) if session.unverified else None,
    )
    return msgspec.structs.replace(result, session_id=session.writer.session.session_id)


def standing_facts(desk: Desk, standing: Standing) -> tuple[Fact, ...]:
    """Return the human facts of a session's standing, each with its source and age."""
    facts = [Fact(label="State", value=standing.state)]
    if standing.resolution is not None:
        facts.append(Fact(label="Resolution", value=standing.resolution))
    order = standing.order
    if order is not None:
        age_seconds = int((desk.clock.now() - parse_rfc3339(order.read_at)).total_seconds())
        facts.extend(
            (
                Fact(label="Order", value=f"{order.venue_order_id} ({order.raw_state} at the venue)"),
                Fact(label="Filled", value=f"{order.filled_base} of {order.size_base}"),
                Fact(label="Source", value=f"{order.source}, read {age_text(max(0, age_seconds))} ago"),
            )
        )
        if order.average_price is not None and order.filled_base != "0":
            facts.append(Fact(label="Average price", value=order.average_price))
        if order.reason:
            facts.append(Fact(label="Reason", value=order.reason))
    elif standing.venue_order_id is not None:
        facts.append(Fact(label="Order", value=f"{standing.venue_order_id} (not yet read)"))
    return tuple(facts)


def _unverified_refusals(session: OpenedSession) -> tuple[Refusal, ...]:
    if session.unverified and session.writer.session.verifies:
        message = "Records are missing at the end: this folder is a copy, a backup, or was shortened."
        return (Refusal(code="session_shortened", message=message),)
    return tuple(
        Refusal(code=finding.code, message=f"{finding.file} {finding.message}", measured=finding.file, limit=None)
        for finding in session.writer.session.findings
    )


def _unreadable_refusals(unreadable: str | None) -> tuple[Refusal, ...]:
    if unreadable is None:
        return ()
    return (
        Refusal(
            code="venue_unreadable",
            message=f"{unreadable} A failed read says nothing about the order.",
            measured=unreadable,
            limit="a usable answer",
        ),
    )
