"""The steps of the rehearsal walk, as data: the runbook's lines, what the exchange is told to do, expected exits.

Here are the shapes and the Kraken corridor.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

ROOT: Final = "outputs/broker_order_validations"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: a line of the runbook, a fault for the exchange, or time that passes there.

    ``words`` may name in braces the folders of sessions that earlier steps kept (``{first}``), ``{account}`` and
    ``{signer}``, and the prices at which a buy order rests (``{price}``, ``{perp_price}``). ``keeps`` is the name
    under which this step's session, in ``root``, is remembered. ``expected`` is the exit code, ``effects`` how many
    requests that could move money reach the exchange meanwhile. ``lists``: its report says how every session stands.
    """

    title: str
    words: tuple[str, ...] = ()
    expected: int = 0
    effects: int = 0
    keeps: str | None = None
    root: str = ROOT
    lists: bool = False
    fault: dict[str, Any] | None = None
    advance_seconds: int = 0


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """One order intent of the walk: how its session stands at the end, and how many orders the exchange holds of it."""

    key: str
    """The name that its step keeps the session under."""
    venue: Literal["kraken", "hyperliquid"]
    title: str
    state: str
    orders: int


Part = tuple[str, tuple[Step, ...]]

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


def _submit(session: str, title: str = "submit once", *, expected: int = 0, effects: int = 1) -> Step:
    words = _verb(
        "submit-real", session, *_SUBMIT, "--broker-submit-live", "--broker-submit-note", "First supervised live submit"
    )
    return Step(title=title, words=words, expected=expected, effects=effects)


_FIRST: Final[Part] = (
    "Kraken: one order to its proof",
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
        _submit("first", "submit again: the outcome is repeated, nothing is sent", effects=0),
    ),
)

_CANCELED: Final[Part] = (
    "Kraken: a resting order, canceled",
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
            effects=1,
        ),
        Step(title="fills", words=_verb("fills", "resting")),
    ),
)

_LANDED: Final[Part] = (
    "Kraken: answer lost after the order landed",
    (
        Step(title="a minute passes", advance_seconds=60),
        *_to_gate("landed", _validate("0.05", "100")),
        Step(
            title="will accept the next order and lose the answer",
            fault={"venue": "kraken", "path": "AddOrder", "type": "order", "fault": "drop_after_accept"},
        ),
        _submit("landed", "submit: the answer is lost", expected=4),
        _submit("landed", "submit again: still unknown, nothing is sent", expected=4, effects=0),
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
    "Kraken: order lost before it landed",
    (
        Step(title="a minute passes", advance_seconds=60),
        *_to_gate("lost", _validate("0.07", "140")),
        Step(
            title="will lose the next order before reading it",
            fault={"venue": "kraken", "path": "AddOrder", "type": "order", "fault": "drop_before_read"},
        ),
        _submit("lost", "submit: the connection breaks", expected=4, effects=0),
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

_WATCH: Final[Part] = (
    "Kraken: the root",
    (
        Step(title="list", words=("--broker-order-validations-list", ROOT), lists=True),
        Step(title="health", words=("--broker-order-validations-health", ROOT)),
        Step(title="alerts", words=("--broker-order-validations-alerts", ROOT)),
        Step(title="index", words=("--broker-order-validations-index", ROOT)),
    ),
)

PARTS: Final[tuple[Part, ...]] = (_FIRST, _CANCELED, _LANDED, _LOST, _WATCH)
INTENTS: Final = (
    Walked(key="first", venue="kraken", title="one order to its proof", state="filled", orders=1),
    Walked(key="resting", venue="kraken", title="resting, canceled", state="canceled", orders=1),
    Walked(key="landed", venue="kraken", title="answer lost, order landed", state="filled", orders=1),
    Walked(key="lost", venue="kraken", title="order lost on the way", state="decided_not_landed", orders=0),
)
