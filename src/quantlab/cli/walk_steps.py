"""The steps of the rehearsal walk, as data: the runbook's lines, what the exchange is told to do, expected exits."""

from __future__ import annotations

from typing import Any, Final

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: a line of the runbook, a fault for the exchange, or time that passes there.

    ``words`` may name sessions in braces (``{first}``) and ``{price}``; ``keeps`` is the name under which the
    session of this step is remembered. ``expected`` is the exit code.
    """

    title: str
    words: tuple[str, ...] = ()
    expected: int = 0
    keeps: str | None = None
    fault: dict[str, Any] | None = None
    advance_seconds: int = 0


Part = tuple[str, tuple[Step, ...]]

_ROOT: Final = "outputs/broker_order_validations"
_SUBMIT: Final = ("--broker-submit-reviewer", "marce", "--broker-submit-confirm")


def _validate(quantity: str, notional: str, *more: str) -> tuple[str, ...]:
    return (
        "--kraken-order-validate-session",
        "--broker-symbol",
        "ETH-USD",
        "--broker-side",
        "buy",
        "--broker-quantity",
        quantity,
        "--broker-notional",
        notional,
        "--broker-account-id",
        "acct_demo",
        *more,
    )


def _verb(verb: str, session: str, *more: str) -> tuple[str, ...]:
    return (f"--broker-order-validations-{verb}", f"{{{session}}}", *more)


def _to_gate(session: str, validate: tuple[str, ...]) -> tuple[Step, ...]:
    return (
        Step(title="validate", words=validate, keeps=session),
        Step(title="show", words=_verb("show", session)),
        Step(
            title="approve",
            words=_verb(
                "approve",
                session,
                "--broker-approval-reviewer",
                "marce",
                "--broker-approval-note",
                "Approved after validate-only review",
            ),
        ),
        Step(title="bundle", words=_verb("bundle", session)),
        Step(
            title="gate",
            words=_verb("submit-gate", session, *_SUBMIT, "--broker-submit-note", "Ready for supervised submit review"),
        ),
    )


def _submit(session: str, title: str = "submit once", expected: int = 0) -> Step:
    words = _verb(
        "submit-real", session, *_SUBMIT, "--broker-submit-live", "--broker-submit-note", "First supervised live submit"
    )
    return Step(title=title, words=words, expected=expected)


FIRST: Final[Part] = (
    "one order to its proof",
    (
        Step(
            title="readiness",
            words=(
                "--broker-evidence-readiness-outdir",
                "outputs/broker_evidence",
                "--broker-evidence-corridor",
                "kraken",
            ),
        ),
        Step(
            title="preflight",
            words=("--kraken-preflight-outdir", "outputs/broker_preflight/kraken", "--broker-symbol", "ETH-USD"),
        ),
        Step(
            title="auth preflight",
            words=("--kraken-auth-preflight-outdir", "outputs/broker_preflight/kraken_auth"),
        ),
        Step(
            title="account readiness",
            words=("--kraken-account-readiness-outdir", "outputs/broker_preflight/kraken_account"),
        ),
        *_to_gate("first", _validate("0.25", "500")),
        _submit("first"),
        Step(title="reconcile", words=_verb("reconcile", "first")),
        Step(title="status", words=_verb("status", "first")),
        Step(title="fills", words=_verb("fills", "first")),
        Step(title="supervise", words=_verb("supervise", "first")),
        _submit("first", "submit again: the outcome is repeated, nothing is sent"),
    ),
)

CANCELED: Final[Part] = (
    "a resting order, canceled",
    (
        Step(title="a minute passes", advance_seconds=60),
        *_to_gate(
            "resting",
            _validate("0.1", "200", "--broker-limit-price", "{price}", "--broker-time-in-force", "gtc"),
        ),
        _submit("resting"),
        Step(title="status", words=_verb("status", "resting")),
        Step(
            title="cancel",
            words=_verb("cancel", "resting", "--broker-cancel-reviewer", "marce", "--broker-cancel-confirm"),
        ),
        Step(title="fills", words=_verb("fills", "resting")),
    ),
)

_LANDED: Final[Part] = (
    "answer lost after the order landed",
    (
        Step(title="a minute passes", advance_seconds=60),
        *_to_gate("landed", _validate("0.05", "100")),
        Step(
            title="will accept the next order and lose the answer",
            fault={"venue": "kraken", "path": "AddOrder", "type": "order", "fault": "drop_after_accept"},
        ),
        _submit("landed", "submit: the answer is lost", expected=4),
        _submit("landed", "submit again: still unknown, nothing is sent", expected=4),
        Step(
            title="a second session is refused while the first is unknown",
            words=_validate("0.06", "120"),
            expected=1,
        ),
        Step(title="reconcile finds it", words=_verb("reconcile", "landed")),
        Step(title="status", words=_verb("status", "landed")),
    ),
)

_LOST: Final[Part] = (
    "order lost before it landed",
    (
        Step(title="a minute passes", advance_seconds=60),
        *_to_gate("lost", _validate("0.07", "140")),
        Step(
            title="will lose the next order before reading it",
            fault={"venue": "kraken", "path": "AddOrder", "type": "order", "fault": "drop_before_read"},
        ),
        _submit("lost", "submit: the connection breaks", expected=4),
        Step(title="reconcile: no proof yet", words=_verb("reconcile", "lost"), expected=4),
        Step(title="deadline and settle time pass", advance_seconds=90),
        Step(title="reconcile: first clean pass", words=_verb("reconcile", "lost"), expected=4),
        Step(title="half a minute passes", advance_seconds=30),
        Step(title="reconcile: not found by the whole protocol", words=_verb("reconcile", "lost"), expected=4),
        Step(
            title="resolve: a person decides",
            words=_verb(
                "resolve",
                "lost",
                "--broker-resolve-reviewer",
                "marce",
                "--broker-resolve-confirm",
                "--broker-resolve-decision",
                "not_landed",
                "--broker-resolve-note",
                "two clean passes after the deadline",
            ),
        ),
    ),
)

AMBIGUOUS: Final[tuple[Part, ...]] = (_LANDED, _LOST)

LAST: Final[Part] = (
    "the root",
    (
        Step(title="list", words=("--broker-order-validations-list", _ROOT)),
        Step(title="health", words=("--broker-order-validations-health", _ROOT)),
        Step(title="alerts", words=("--broker-order-validations-alerts", _ROOT)),
        Step(title="index", words=("--broker-order-validations-index", _ROOT)),
    ),
)
