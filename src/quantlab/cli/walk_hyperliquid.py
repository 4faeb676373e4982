"""The steps of the rehearsal walk through the Hyperliquid corridor, as data: the runbook's own lines."""

from __future__ import annotations

from typing import Final

from quantlab.cli.walk_steps import Part, Step, Walked

ROOT: Final = "outputs/hyperliquid_submits"
_PREFLIGHT: Final = "outputs/broker_preflight"
_ARTIFACT: Final = "hyperliquid_signed_action.json"
_NO_ACCOUNT: Final = "0x0000000000000000000000000000000000000000"
_ORDER: Final = "order"


def _outdir(name: str) -> str:
    return f"{_PREFLIGHT}/hyperliquid_signed_action_{name}"


def _sign(name: str, quantity: str, notional: str, *more: str) -> tuple[str, ...]:
    return (
        "--hyperliquid-signed-action-outdir",
        _outdir(name),
        "--broker-symbol",
        "ETH",
        "--broker-side",
        "buy",
        "--broker-quantity",
        quantity,
        "--broker-notional",
        notional,
        "--execution-account-id",
        "{account}",
        "--execution-signer-id",
        "{signer}",
        "--hyperliquid-private-key-env",
        "HYPERLIQUID_PRIVATE_KEY",
        *more,
    )


def _submit(name: str, title: str = "submit once", *, expected: int = 0, effects: int = 1) -> Step:
    words = (
        "--hyperliquid-submit-session",
        f"{_outdir(name)}/{_ARTIFACT}",
        "--hyperliquid-submit-reviewer",
        "marce",
        "--hyperliquid-submit-confirm",
        "--hyperliquid-submit-sessions-root",
        ROOT,
    )
    return Step(title=title, words=words, expected=expected, effects=effects)


def _verb(verb: str, session: str, *more: str) -> tuple[str, ...]:
    return (f"--hyperliquid-submit-sessions-{verb}", f"{{{session}}}", *more)


def _fault(title: str, fault: str) -> Step:
    return Step(title=title, fault={"venue": "hyperliquid", "path": "/exchange", "type": _ORDER, "fault": fault})


_A_MINUTE: Final = Step(title="a minute passes", advance_seconds=60)
"""The venue counts requests by the minute, and nobody walks as fast as this."""

_FIRST: Final[Part] = (
    "Hyperliquid: one order to its proof",
    (
        _A_MINUTE,
        Step(
            title="readiness",
            words=(
                "--broker-evidence-readiness-outdir",
                "outputs/broker_evidence",
                "--broker-evidence-corridor",
                "hyperliquid",
            ),
        ),
        Step(
            title="preflight, over the WebSocket",
            words=(
                "--hyperliquid-preflight-outdir",
                f"{_PREFLIGHT}/hyperliquid_demo",
                "--broker-symbol",
                "ETH",
                "--execution-transport-preference",
                "websocket",
            ),
        ),
        Step(
            title="account readiness: the runbook's placeholder is refused",
            words=(
                "--hyperliquid-account-readiness-outdir",
                f"{_PREFLIGHT}/hyperliquid_account_placeholder",
                "--execution-account-id",
                _NO_ACCOUNT,
            ),
            expected=1,
        ),
        Step(
            title="account readiness",
            words=(
                "--hyperliquid-account-readiness-outdir",
                f"{_PREFLIGHT}/hyperliquid_account_demo",
                "--execution-account-id",
                "{account}",
            ),
        ),
        Step(
            title="certify: the venue's assumptions hold",
            words=(
                "certify",
                "hyperliquid",
                f"{_PREFLIGHT}/hyperliquid_certification",
                "--reviewer",
                "marce",
                "--confirm",
            ),
            effects=1,
        ),
        _A_MINUTE,
        Step(title="sign", words=_sign("demo", "0.25", "500"), keeps="perp_first", root=ROOT),
        _submit("demo"),
        Step(title="status", words=_verb("status", "perp_first")),
        Step(title="reconcile", words=_verb("reconcile", "perp_first")),
        Step(title="fills", words=_verb("fills", "perp_first")),
        Step(title="supervise", words=_verb("supervise", "perp_first")),
        _submit("demo", "submit again: the outcome is repeated, nothing is sent", effects=0),
    ),
)

_CANCELED: Final[Part] = (
    "Hyperliquid: a resting order, canceled",
    (
        _A_MINUTE,
        Step(
            title="sign",
            words=_sign(
                "resting", "0.1", "200", "--broker-limit-price", "{perp_price}", "--broker-time-in-force", "gtc"
            ),
            keeps="perp_resting",
            root=ROOT,
        ),
        _submit("resting"),
        Step(title="status", words=_verb("status", "perp_resting")),
        Step(
            title="cancel",
            words=_verb(
                "cancel", "perp_resting", "--hyperliquid-cancel-reviewer", "marce", "--hyperliquid-cancel-confirm"
            ),
            effects=1,
        ),
        Step(title="fills", words=_verb("fills", "perp_resting")),
    ),
)

_REVOKED: Final[Part] = (
    "Hyperliquid: a signature taken back before it was sent",
    (
        _A_MINUTE,
        Step(title="sign", words=_sign("revoked", "0.08", "160"), keeps="perp_revoked", root=ROOT),
        Step(
            title="revoke: its nonce is burned",
            words=(
                "--hyperliquid-submit-sessions-revoke",
                f"{_outdir('revoked')}/{_ARTIFACT}",
                "--hyperliquid-revoke-reviewer",
                "marce",
                "--hyperliquid-revoke-note",
                "not wanted any more",
            ),
        ),
        _submit("revoked", "submit: a revoked signature is refused", expected=1, effects=0),
    ),
)

_LANDED: Final[Part] = (
    "Hyperliquid: answer lost after the order landed",
    (
        _A_MINUTE,
        Step(title="sign", words=_sign("landed", "0.05", "100"), keeps="perp_landed", root=ROOT),
        _fault("will accept the next order and lose the answer", "drop_after_accept"),
        _submit("landed", "submit: the answer is lost", expected=4),
        _submit("landed", "submit again: still unknown, nothing is sent", expected=4, effects=0),
        Step(
            title="a second signature is refused while the first is unknown",
            words=_sign("second", "0.06", "120"),
            expected=1,
        ),
        Step(title="reconcile finds it", words=_verb("reconcile", "perp_landed")),
        Step(title="fills", words=_verb("fills", "perp_landed")),
    ),
)

_LOST: Final[Part] = (
    "Hyperliquid: order lost before it landed",
    (
        _A_MINUTE,
        Step(title="sign", words=_sign("lost", "0.07", "140"), keeps="perp_lost", root=ROOT),
        _fault("will lose the next order before reading it", "drop_before_read"),
        _submit("lost", "submit: the connection breaks", expected=4, effects=0),
        Step(title="reconcile: no proof yet", words=_verb("reconcile", "perp_lost"), expected=4),
        Step(
            title="burn: the nonce was unused, and can not be used any more",
            words=_verb("burn", "perp_lost", "--hyperliquid-burn-reviewer", "marce", "--hyperliquid-burn-confirm"),
            expected=4,
        ),
        Step(title="the settle time passes", advance_seconds=30),
        Step(title="reconcile: first clean pass", words=_verb("reconcile", "perp_lost"), expected=4),
        Step(title="half a minute passes", advance_seconds=30),
        Step(title="reconcile: proven, it never landed", words=_verb("reconcile", "perp_lost")),
        Step(title="sign the same order again", words=_sign("lost", "0.07", "140"), keeps="perp_again", root=ROOT),
        _submit("lost"),
        Step(title="reconcile", words=_verb("reconcile", "perp_again")),
        Step(title="fills", words=_verb("fills", "perp_again")),
    ),
)

_WATCH: Final[Part] = (
    "Hyperliquid: the root",
    (
        Step(title="list", words=("--hyperliquid-submit-sessions-list", ROOT), lists=True),
        Step(title="health", words=("--hyperliquid-submit-sessions-health", ROOT)),
        Step(title="alerts", words=("--hyperliquid-submit-sessions-alerts", ROOT)),
        Step(title="index", words=("--hyperliquid-submit-sessions-index", ROOT)),
    ),
)

PARTS: Final[tuple[Part, ...]] = (_FIRST, _CANCELED, _REVOKED, _LANDED, _LOST, _WATCH)
INTENTS: Final = (
    Walked(key="perp_first", venue="hyperliquid", title="one order to its proof", state="filled", orders=1),
    Walked(key="perp_resting", venue="hyperliquid", title="resting, canceled", state="canceled", orders=1),
    Walked(key="perp_revoked", venue="hyperliquid", title="revoked before it was sent", state="revoked", orders=0),
    Walked(key="perp_landed", venue="hyperliquid", title="answer lost, order landed", state="filled", orders=1),
    Walked(key="perp_lost", venue="hyperliquid", title="order lost on the way", state="not_landed", orders=0),
    Walked(key="perp_again", venue="hyperliquid", title="the lost order, signed again", state="filled", orders=1),
)
