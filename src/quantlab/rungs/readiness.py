"""Readiness: is this machine set up to begin a corridor. Offline; it asks no venue and prints no secret.

It writes its artifact also when not ready, and then ends with exit 1.

Needs: nothing. Makes: ``broker_evidence_readiness``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from quantlab.evidence.preparatory import Input, Readiness
from quantlab.kernel.canonical import sha256_hex
from quantlab.kernel.errors import QuantLabFault, StorageFault
from quantlab.kernel.result import Fact, NextStep, Result
from quantlab.model.recorded import Check
from quantlab.rungs.checks import all_passed, halt_reason, one_check
from quantlab.rungs.corridors import CORRIDORS
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of
from quantlab.rungs.outdirs import outdir_session
from quantlab.storage.ledger import Interlock
from quantlab.storage.snapshots import probe
from quantlab.watch.overview import look_over

RUNBOOK: Final = Path(__file__).parent.parent / "data" / "runbook.md"
_ENVIRONMENTS: Final = {"kraken": "live or rehearsal", "hyperliquid": "live, testnet or rehearsal"}
_NEEDED: Final = {
    "kraken": ("KRAKEN_API_KEY", "KRAKEN_API_SECRET"),
    "hyperliquid": ("HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID", "HYPERLIQUID_PRIVATE_KEY"),
}
_INSTEAD: Final = {
    "HYPERLIQUID_PRIVATE_KEY": (
        " The key that signs is read from this variable, or, named on the sign line, from another variable, an"
        " encrypted keystore file or the operating system's keyring."
    )
}
"""What may stand in an input's place: a reason to begin all the same, which only a person can know."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Where to write, and which corridor is to be begun."""

    outdir: Path
    corridor: Literal["auto", "kraken", "hyperliquid"] = "auto"


def run(desk: Desk, request: Request) -> Result:
    """Report whether a corridor can be begun from here.

    Raises:
        StorageFault: the outdir or the state folder can not be written, so that nothing can be recorded.
    """
    corridor = "hyperliquid" if request.corridor == "auto" else request.corridor
    chosen_by = "auto: hyperliquid is the preferred first corridor" if request.corridor == "auto" else "the operator"
    root = Path(CORRIDORS[corridor].default_root)
    body = _body(desk, corridor=corridor, chosen_by=chosen_by, root=root)
    with outdir_session(desk, request.outdir) as writer:
        record = desk.append(writer, body)
        return desk.result(
            "done" if body.ready else "denied",
            f"Ready to begin the {corridor} corridor." if body.ready else f"Not ready for the {corridor} corridor.",
            data=record.body,
            facts=(*_facts(body), *_look_first(desk, body)),
            refusals=refusals_of(body.checks),
            artifacts=artifact_paths(writer.session, record),
            next_hint=_BEGIN[corridor] if body.ready else None,
        )


def _body(desk: Desk, *, corridor: str, chosen_by: str, root: Path) -> Readiness:
    interlocks = desk.ledger.interlocks()
    unresolved, unread = _unresolved(desk, root)
    halt = halt_reason(desk, root)
    inputs = _inputs(desk, corridor)
    runbook = RUNBOOK.read_bytes() if RUNBOOK.is_file() else None
    checks = (
        *_environment_checks(desk, corridor),
        *(_input_check(one) for one in inputs if one.needed),
        _folder_check(desk, "state_folder", desk.settings.state_folder),
        _folder_check(desk, "root_folder", root),
        *_claim_checks(interlocks, unresolved=unresolved, unread=unread),
        one_check("halt_set", halt is None, halt or "not set", "not set", "The kill switch is set."),
        one_check(
            "runbook_document",
            runbook is not None,
            sha256_hex(runbook) if runbook is not None else "missing",
            "present",
            "The runbook document is missing from this installation.",
        ),
    )
    return Readiness(
        ready=all_passed(checks),
        corridor=corridor,
        corridor_chosen_by=chosen_by,
        environment_source=desk.settings.environment_source,
        state_folder=str(desk.settings.state_folder),
        ledger_id=desk.ledger.state_id,
        interlocks=tuple(f"{one.account_key} by {one.folder}" for one in interlocks),
        unresolved_sessions=unresolved,
        halted=halt is not None,
        halt_reason=halt,
        policy_source=desk.settings.policy_source,
        policy_sha256=desk.settings.policy_sha256,
        inputs=inputs,
        runbook_sha256=sha256_hex(runbook) if runbook is not None else None,
        checks=checks,
    )


def _claim_checks(
    interlocks: tuple[Interlock, ...], *, unresolved: tuple[str, ...], unread: tuple[str, ...]
) -> tuple[Check, ...]:
    return (
        one_check(
            "interlock_held",
            not interlocks,
            ", ".join(one.folder for one in interlocks) or "none",
            "none",
            "An account has an unresolved send: an order may exist. Reconcile it first.",
        ),
        one_check(
            "unresolved_sessions",
            not unresolved,
            ", ".join(unresolved) or "none",
            "none",
            "A session of this root is unresolved. Reconcile it first.",
        ),
        one_check(
            "sessions_readable",
            not unread,
            "; ".join(unread) or "all",
            "all",
            "What can not be read may be unresolved: see the alerts of this root.",
        ),
    )


def _environment_checks(desk: Desk, corridor: str) -> tuple[Check, ...]:
    environment = desk.settings.environment
    fits = environment in {"live", "rehearsal"} or (environment == "testnet" and corridor == "hyperliquid")
    return (
        one_check(
            "environment",
            fits,
            f"{environment or 'unset'} ({desk.settings.environment_source})",
            _ENVIRONMENTS[corridor],
            "QUANTLAB_ENVIRONMENT names no environment of this corridor.",
        ),
    )


def _inputs(desk: Desk, corridor: str) -> tuple[Input, ...]:
    return tuple(
        Input(name=one.name, present=one.present, needed=one.name in _NEEDED[corridor])
        for one in desk.settings.all_inputs
    )


def _input_check(one: Input) -> Check:
    return one_check(
        f"input_{one.name.lower()}",
        one.present,
        "present" if one.present else "missing",
        "present",
        f"{one.name} is missing.{_INSTEAD.get(one.name, '')}",
    )


def _folder_check(desk: Desk, code: str, folder: Path) -> Check:
    try:
        problems = probe(desk.disk, folder)
    except StorageFault as fault:
        problems = (fault.message,)
    return one_check(
        code,
        not problems,
        "; ".join(problems) or f"{folder}: writable, links and locks",
        "writable, with hard links and locks",
        f"{folder} can not keep evidence.",
    )


def _unresolved(desk: Desk, root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the unresolved sessions of a root, and why sessions or the whole root can not be read."""
    try:
        seen = look_over(desk.disk, root)
    except QuantLabFault as fault:
        return (), (fault.message,)
    unresolved = tuple(one.session_id for one in seen if one.standing is not None and one.standing.unresolved)
    return unresolved, tuple(one.unreadable for one in seen if one.unreadable is not None)


def _facts(body: Readiness) -> tuple[Fact, ...]:
    return (
        Fact(label="Corridor", value=f"{body.corridor} (chosen by {body.corridor_chosen_by})"),
        Fact(label="Environment from", value=body.environment_source),
        Fact(label="State folder", value=f"{body.state_folder} (ledger {body.ledger_id})"),
        Fact(label="Policy", value=f"{body.policy_source} ({body.policy_sha256})"),
        *(
            Fact(
                label=one.name,
                value=("present" if one.present else "missing") + ("" if one.needed else ", not needed"),
            )
            for one in body.inputs
        ),
        Fact(label="Runbook", value=body.runbook_sha256 or "missing"),
    )


def _look_first(desk: Desk, body: Readiness) -> tuple[Fact, ...]:
    """Return the line that looks at the venue before anything is signed; a validation looks for itself."""
    if not body.ready or body.corridor != "hyperliquid":
        return ()
    return (Fact(label="Look first", value=desk.spell(_PREFLIGHT)),)


_ORDER: Final[tuple[tuple[str, str | None], ...]] = (
    ("symbol", "<symbol>"),
    ("side", "<buy|sell>"),
    ("quantity", "<quantity>"),
    ("notional", "<notional>"),
    ("account-id", "<account>"),
)
_PREFLIGHT: Final = NextStep(
    why="see that the venue is reachable and knows the market",
    verb="hyperliquid preflight",
    arguments=("outputs/broker_preflight/hyperliquid",),
    options=(("symbol", "<symbol>"),),
)
_BEGIN: Final = {
    "kraken": NextStep(
        why="ask the venue whether your order's shape is right; nothing is placed",
        verb="validate",
        options=_ORDER,
    ),
    "hyperliquid": NextStep(
        why="after the preflight: sign your order with every check before it; nothing is sent",
        verb="sign",
        arguments=("outputs/broker_preflight/hyperliquid_signed_action",),
        options=(*_ORDER, ("signer", "<signer>")),
    ),
}
"""The rung that freezes the plan of a corridor."""
