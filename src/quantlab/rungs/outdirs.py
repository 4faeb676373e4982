"""Outdirs: folders given by the operator that hold one kind of preparatory evidence, chained like a session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from quantlab.evidence.chain import UNSET_ENVIRONMENT
from quantlab.evidence.preparatory import (
    AccountReadiness,
    Certification,
    Preflight,
    ProbeAttempt,
    Readiness,
    SignedOrder,
)
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import Denied
from quantlab.kernel.ids import mint_intent_id, session_id_of
from quantlab.kernel.result import NextStep
from quantlab.rungs.desk import Desk, unverified
from quantlab.storage.writer import ROOT_FILE, SessionWriter

_PREPARATORY = (Readiness, Preflight, AccountReadiness, SignedOrder, ProbeAttempt, Certification)


@contextlib.contextmanager
def outdir_session(desk: Desk, outdir: Path) -> Iterator[SessionWriter]:
    """Open an outdir for one more record; a new run appends.

    Raises:
        Denied: it belongs to another environment, is a session or a root of sessions, or holds a live signature.
        Unverified: what stands in it does not verify.
        StorageFault: it can not be written.
    """
    if desk.disk.kind(outdir / ROOT_FILE) is not None:
        message = f"{outdir} is a root of sessions. Preparatory evidence in it would hide them: name another outdir."
        raise Denied(message, code="outdir_is_root", measured=str(outdir), limit="a folder of its own")
    session_id = session_id_of(mint_intent_id(desk.entropy), minted_at=desk.clock.now(), label=outdir.name)
    environment = desk.settings.environment or UNSET_ENVIRONMENT
    with desk.store.create_outdir(outdir, session_id=session_id, environment=environment) as writer:
        if not writer.session.verifies:
            raise unverified(writer.session)
        foreign = next((one for one in writer.chain.records if not isinstance(one.body, _PREPARATORY)), None)
        if foreign is not None:
            message = f"{outdir} holds a session of orders, not preparatory evidence: name another outdir."
            raise Denied(message, code="outdir_is_session", measured=foreign.name, limit="preparatory evidence")
        _require_no_live_signature(desk, writer)
        yield writer


def _require_no_live_signature(desk: Desk, writer: SessionWriter) -> None:
    """Refuse an outdir whose newest signature can still be sent: its view must stay what was signed."""
    newest = writer.chain.newest(SignedOrder)
    if newest is None or newest.body.signed_plan_sha256 is None or newest.body.expires_at is None:
        return
    signing = desk.ledger.signings.find(newest.body.signed_plan_sha256)
    if signing is None or signing.state != "signed" or desk.clock.now() > parse_rfc3339(newest.body.expires_at):
        return
    folder = writer.session.folder
    artifact = folder / f"{newest.name}.json"
    message = f"{folder} holds a signature that is live until {newest.body.expires_at}: submit it, or revoke it first."
    raise Denied(
        message,
        code="outdir_holds_live_signature",
        measured=str(artifact),
        limit="no live signature",
        next_step=NextStep(
            why="submit it once, or revoke it",
            verb="submit",
            arguments=(str(artifact),),
            options=(("reviewer", "<reviewer>"), ("confirm", None)),
        ),
    )
