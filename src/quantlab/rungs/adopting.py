"""From an artifact that holds a signature to the one session that it may be sent from. Shared; sends nothing.

Only the bytes that the ledger kept when they were signed are taken, whichever copy of them is given. The first session
that adopts them keeps them: a second root or a copy leads back to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from quantlab.evidence.chain import parse_record
from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES
from quantlab.evidence.preparatory import SignedOrder
from quantlab.evidence.records import AdoptedAction
from quantlab.kernel.canonical import sha256_hex
from quantlab.kernel.errors import Denied, StorageFault, Unverified, UsageFault
from quantlab.kernel.result import NextStep
from quantlab.model.execution import SignedAction
from quantlab.model.order import Plan, plan_digest
from quantlab.rungs.desk import Desk
from quantlab.storage.durable import storage_faults
from quantlab.storage.ledger import Signing
from quantlab.storage.reader import read_session
from quantlab.storage.writer import SessionWriter

_LARGEST_ARTIFACT_BYTES: Final = MAXIMUM_RECORD_BYTES


class SignedSource(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that is what the ledger kept: its exact text, the order in it, and what was reserved for it."""

    text: str
    sha256: str
    body: SignedOrder
    plan: Plan
    plan_sha256: str
    signed: SignedAction
    burn: SignedAction
    signing: Signing
    signed_by: str
    """Who ran the command that signed it, as the machine named them."""


def read_signed(desk: Desk, path: Path) -> SignedSource:
    """Read the artifact at a path: the file itself, the outdir it stands in, or the session that adopted it.

    Raises:
        UsageFault: there is no such file. Nothing was written or sent.
        Denied: it was never signed, or under another environment or state folder. Nothing was written or sent.
        Unverified: its bytes are not those that were signed. Nothing was written or sent.
    """
    text = _text_of(desk, path)
    sha256 = sha256_hex(text.encode())
    record = parse_record(text.encode(), name=desk.corridor.names[SignedOrder])
    body = None if record is None else record.body
    if record is None or not isinstance(body, SignedOrder):
        raise _changed(desk, path, "it is no signed action that can be read", measured=sha256)
    _require_home(desk, path, environment=record.envelope.environment, state_id=record.envelope.state_id)
    if body.signature_state != "signed" or body.plan is None or body.signed is None or body.burn is None:
        message = f"{path} holds no signature ({body.signature_state}), so there is nothing to send."
        raise Denied(
            message,
            code="not_signed",
            measured=body.signature_state,
            limit="signed",
            next_step=NextStep(why="see why it was not signed", verb="show", arguments=(_folder_of(desk, path),)),
        )
    plan_sha256 = plan_digest(body.plan)
    signing = desk.ledger.signings.find(plan_sha256)
    if signing is None or signing.artifact_sha256 != sha256:
        raise _changed(desk, path, "its bytes are not those that were signed here", measured=sha256)
    return SignedSource(
        text=text,
        sha256=sha256,
        body=body,
        plan=body.plan,
        plan_sha256=plan_sha256,
        signed=body.signed,
        burn=body.burn,
        signing=signing,
        signed_by=record.envelope.actor,
    )


@contextlib.contextmanager
def adopted(desk: Desk, source: SignedSource, root: Path) -> Iterator[SessionWriter]:
    """Hold the session of a signed order: the one that it is bound to, made under ``root`` when there is none.

    Raises:
        Busy: another process holds it. Nothing was sent by this one.
        Denied: the root belongs to another environment.
        StorageFault: it can not be written. Nothing was sent.
    """
    session_id = source.plan.session_id
    folder = _bind(desk, source, root / session_id)
    desk.serve(account=source.plan.account_identity, signer=source.signed.signer_address)
    with desk.store.begin(folder.parent, session_id, environment=desk.environment, wait_ms=0) as writer:
        if writer.session.empty and desk.ledger.head(session_id) is None:
            desk.append(writer, _adopted_body(source))
        yield writer


def _bind(desk: Desk, source: SignedSource, wanted: Path) -> Path:
    book = desk.ledger.signings
    bound = Path(book.bind(source.plan_sha256, folder=str(wanted.absolute()), instead_of=None))
    gone = bound != wanted.absolute() and desk.disk.kind(bound) is None
    if gone and desk.ledger.sent(source.plan_sha256) is None:
        # The folder that it was bound to was never made, or is gone, and nothing was sent from it.
        bound = Path(book.bind(source.plan_sha256, folder=str(wanted.absolute()), instead_of=str(bound)))
    if bound != wanted.absolute():
        desk.progress(f"this order has its session already, in {bound}")
        return bound
    return wanted


def _adopted_body(source: SignedSource) -> AdoptedAction:
    body = source.body
    return AdoptedAction(
        source_sha256=source.sha256,
        source_text=source.text,
        signature_state="signed",
        asked=body.asked,
        plan=source.plan,
        plan_sha256=source.plan_sha256,
        intent_sha256=source.signing.intent_sha256,
        nonce=str(source.signed.nonce),
        expires_at=source.signing.expires_at,
        signed=source.signed,
        burn=source.burn,
        ticket=body.ticket,
    )


def _text_of(desk: Desk, path: Path) -> str:
    kind = desk.disk.kind(path)
    if kind == "folder":
        record = read_session(desk.disk, path, expect_id_of_folder=False).chain.newest(AdoptedAction)
        if record is not None:
            return record.body.source_text
        path = path / f"{desk.corridor.names[SignedOrder]}.json"
        kind = desk.disk.kind(path)
    if kind is None:
        message = f"There is no signed action at {path}. Nothing was written or sent."
        raise UsageFault(message, code="signed_action_missing", measured=str(path))
    try:
        with storage_faults(path):
            return desk.disk.read(path, at_most=_LARGEST_ARTIFACT_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise _changed(desk, path, "it is no text", measured="bytes that are no UTF-8") from None
    except StorageFault as fault:
        raise UsageFault(fault.message, code="signed_action_unreadable", measured=str(path)) from None


def _require_home(desk: Desk, path: Path, *, environment: str, state_id: str) -> None:
    if environment != desk.environment:
        message = (
            f"{path} was signed in the environment {environment}; this one is {desk.environment}. Nothing was sent."
        )
        raise Denied(message, code="session_environment", measured=environment, limit=desk.environment)
    if state_id != desk.ledger.state_id:
        message = (
            f"{path} was signed under another state folder, whose claims this one does not know. Use that state "
            "folder, or sign again when the signature has run out. Nothing was sent."
        )
        raise Denied(message, code="ledger_same", measured=state_id, limit=desk.ledger.state_id)


def _changed(desk: Desk, path: Path, why: str, *, measured: str) -> Unverified:
    message = f"{path} can not be sent: {why}. Nothing was sent. Find out who changed it before you act on it."
    return Unverified(
        message,
        code="signed_action_changed",
        measured=measured,
        limit="the bytes that the ledger kept",
        next_step=NextStep(
            why="look at the folder that it stands in", verb="show", arguments=(_folder_of(desk, path),)
        ),
    )


def _folder_of(desk: Desk, path: Path) -> str:
    return str(path if desk.disk.kind(path) == "folder" else path.parent)
