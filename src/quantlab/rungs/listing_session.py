"""Show and next: one session as its records tell it, and the exact next command. Reads only, writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from quantlab.evidence.chain import Record, backward_clock
from quantlab.evidence.preparatory import Body, SignedOrder
from quantlab.evidence.records import SubmitDenial
from quantlab.evidence.standing import Standing, standing_of
from quantlab.kernel.clock import parse_rfc3339
from quantlab.kernel.errors import Unverified
from quantlab.kernel.result import Fact, NextStep, Refusal, Result
from quantlab.rungs.desk import Desk, refusals_of
from quantlab.rungs.ladder import next_step
from quantlab.rungs.reading import standing_facts
from quantlab.storage.reader import Session, attempt_files


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The session, and which report."""

    session: Path
    report: Literal["show", "next"]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One session for machines."""

    session_id: str
    folder: str
    environment: str | None
    state: str
    outcome: str | None
    resolution: str | None
    verifies: bool
    findings: tuple[tuple[str, str, str], ...]
    plan_sha256: str | None
    client_order_id: str | None
    venue_order_id: str | None
    records: tuple[tuple[str, str], ...]
    ticket: tuple[str, ...]


def run(desk: Desk, request: Request) -> Result:
    """Report one session. A broken one is reported too, and named so.

    Raises:
        UsageFault: the path is no session.
    """
    session = desk.read(request.session)
    standing = standing_of(session.chain)
    shortened = _shortened(desk, session)
    step = _broken_step(desk, session) if shortened or not session.verifies else None
    artifact = session.chain.newest(SignedOrder)
    if artifact is not None:
        step = step or _artifact_step(desk, session, artifact)
    step = step or next_step(standing, session.folder, now=desk.clock.now())
    shown = _shown(session, standing, verifies=session.verifies and not shortened)
    if request.report == "next":
        return desk.result(
            "done",
            _name(session, standing, artifact) + ("" if step else " Nothing is left to do."),
            data=shown,
            next_hint=step,
            refusals=_findings(session, shortened),
        )
    result = desk.result(
        "done",
        _headline(session, standing, shortened, artifact=artifact),
        data=shown,
        facts=_facts(desk, session, standing) if artifact is None else _artifact_facts(artifact.body),
        table=(("record", "at", "by"), *_record_rows(session)),
        refusals=(*_findings(session, shortened), *_last_refusals(session, standing, artifact)),
        artifacts=tuple(session.folder / f"{name}.json" for name in _names(session)),
        next_hint=step,
        warnings=tuple(one.body.message for one in standing.incidents),
    )
    return msgspec.structs.replace(result, session_id=session.session_id, environment=session.environment)


def _shortened(desk: Desk, session: Session) -> str | None:
    try:
        desk.require_newest(session)
    except Unverified as fault:
        return fault.message
    return None


def _headline(
    session: Session, standing: Standing, shortened: str | None, *, artifact: Record[SignedOrder] | None
) -> str:
    if not session.verifies or shortened:
        return f"THE EVIDENCE DOES NOT VERIFY. As far as it can be read, the session stands as {standing.state}."
    return _name(session, standing, artifact)


def _name(session: Session, standing: Standing, artifact: Record[SignedOrder] | None) -> str:
    if artifact is not None:
        return f"{session.folder} holds a signed action: {artifact.body.signature_state}."
    return f"{session.session_id} stands as {standing.state}."


def _artifact_facts(body: SignedOrder) -> tuple[Fact, ...]:
    """Return what a person inspects of an artifact before they submit it."""
    facts = [Fact(label=label, value=value) for label, _, value in (line.partition(": ") for line in body.ticket)]
    facts.append(Fact(label="Readiness", value="allowed" if body.readiness_allowed else "NOT ALLOWED"))
    facts.append(Fact(label="Signature", value=body.signature_state))
    facts.append(Fact(label="Signer", value=body.signer_id))
    if body.expires_at is not None:
        facts.append(Fact(label="Runs out at", value=f"{body.expires_at} (venue's clock)"))
    return tuple(facts)


def _artifact_step(desk: Desk, session: Session, artifact: Record[SignedOrder]) -> NextStep | None:
    """Return the submit of an artifact that can still be sent, or the session that it went to."""
    body = artifact.body
    if body.signed_plan_sha256 is None or body.expires_at is None:
        return None
    signing = desk.ledger.signings.find(body.signed_plan_sha256)
    if signing is not None and signing.folder is not None:
        return NextStep(why="this order has its session", verb="show", arguments=(signing.folder,))
    if signing is None or signing.state != "signed" or desk.clock.now() > parse_rfc3339(body.expires_at):
        return None
    return NextStep(
        why="submit once, before the signature runs out",
        verb="submit",
        arguments=(str(session.folder / f"{artifact.name}.json"),),
        options=(("reviewer", "<reviewer>"), ("confirm", None)),
    )


def _facts(desk: Desk, session: Session, standing: Standing) -> tuple[Fact, ...]:
    facts = [Fact(label=label, value=value) for label, _, value in (line.partition(": ") for line in standing.ticket)]
    if standing.plan_sha256:
        facts.append(Fact(label="Plan digest", value=standing.plan_sha256))
    if standing.approval:
        body = standing.approval.body
        facts.append(Fact(label="Approved", value=f"by {body.reviewer} until {body.expires_at}"))
    facts.extend(standing_facts(desk, standing))
    backward = backward_clock(session.chain)
    if backward:
        facts.append(Fact(label="Clock went backward at", value=", ".join(backward)))
    return tuple(facts)


def _findings(session: Session, shortened: str | None) -> tuple[Refusal, ...]:
    found = [
        Refusal(code=one.code, message=f"{one.file} {one.message}", measured=one.file, limit="unchanged evidence")
        for one in session.findings
    ]
    if shortened:
        found.append(Refusal(code="session_shortened", message=shortened))
    return tuple(found)


def _last_refusals(session: Session, standing: Standing, artifact: Record[SignedOrder] | None) -> tuple[Refusal, ...]:
    if artifact is not None:
        return refusals_of(artifact.body.checks)
    denial = session.chain.newest(SubmitDenial)
    if standing.state == "approved" and denial is not None and denial is session.chain.records[-1]:
        return refusals_of(denial.body.checks)
    if standing.state == "gate_denied" and standing.gate is not None:
        return refusals_of(standing.gate.body.checks)
    if standing.validation is None or standing.validation.body.outcome == "accepted":
        return ()
    body = standing.validation.body
    venue = tuple(Refusal(code="venue_answer", message=text) for text in body.venue_errors)
    return (*refusals_of(body.checks), *venue)


def _shown(session: Session, standing: Standing, *, verifies: bool) -> Shown:
    plan = standing.plan
    return Shown(
        session_id=session.session_id,
        folder=str(session.folder),
        environment=session.environment,
        state=standing.state,
        outcome=standing.outcome,
        resolution=standing.resolution,
        verifies=verifies,
        findings=tuple((one.code, one.file, one.message) for one in session.findings),
        plan_sha256=standing.plan_sha256,
        client_order_id=plan.client_order_id if plan else None,
        venue_order_id=standing.venue_order_id,
        records=tuple((record.file_name, record.sha256) for record in session.chain.records),
        ticket=standing.ticket,
    )


def _record_rows(session: Session) -> tuple[tuple[str, str, str], ...]:
    def row(record: Record[Body]) -> tuple[str, str, str]:
        return (record.file_name, record.envelope.recorded_at, record.envelope.actor)

    return tuple(row(record) for record in session.chain.records)


def _names(session: Session) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.name for record in session.chain.records))


def _broken_step(desk: Desk, session: Session) -> NextStep:
    head = desk.ledger.head(session.session_id)
    if session.verifies and head is not None and Path(head.folder) != session.folder.absolute():
        why = "this folder is older than the ledger's memory of the session: the newest evidence stands there"
        return NextStep(why=why, verb="show", arguments=(head.folder,))
    if session.verifies:
        return NextStep(why="records are missing at its end; see whether it holds an account", verb="interlock list")
    if attempt_files(desk.disk, session.folder):
        why = "find out who changed it before acting; reads still work and are marked unverified"
        return NextStep(why=why, verb="reconcile", arguments=(str(session.folder),))
    why = "find out who changed it; no record says that anything was sent from it"
    return NextStep(why=why, verb="alerts", arguments=(str(session.folder.parent),))
