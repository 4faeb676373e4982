"""Rows of the command table: the Hyperliquid corridor, in the ladder's order."""

from __future__ import annotations

from typing import Final

import msgspec

from quantlab.cli import sections
from quantlab.cli.shape import Command, Parameter, option, positional

ROOT: Final = "outputs/hyperliquid_submits"
_STEM: Final = "--hyperliquid-submit-sessions-"

_REVIEWER: Final = "Who decides this: the name that goes on the record."
_SESSION: Final = positional("session", "The session's folder.", metavar="SESSION")
_ACCOUNT: Final = option(
    "account-id",
    "--execution-account-id",
    "text",
    "The account's address; unset: HYPERLIQUID_ACCOUNT.",
    field="account",
    metavar="ADDRESS",
)
_SIGNER: Final = option(
    "signer",
    "--execution-signer-id",
    "text",
    "The signer's address; unset: HYPERLIQUID_SIGNER_ID.",
    metavar="ADDRESS",
)
_KEYS: Final = (
    option(
        "private-key-env",
        "--hyperliquid-private-key-env",
        "text",
        "Name of the variable that holds the key; unset: HYPERLIQUID_PRIVATE_KEY.",
        metavar="NAME",
    ),
    option(
        "keystore",
        "--hyperliquid-keystore",
        "text",
        "An encrypted Web3 keystore file; its passphrase is asked on the terminal.",
        metavar="FILE",
    ),
    option(
        "keyring",
        "--hyperliquid-keyring",
        "text",
        "An entry of the operating system's keyring.",
        metavar="SERVICE/USER",
    ),
)
_TRANSPORT: Final = option(
    "transport",
    "--execution-transport-preference",
    "choice",
    "Which transport must answer.",
    choices=("rest", "websocket", "either"),
    default="either",
)
_SIDES: Final = ("buy", "sell")


def _symbol(*, required: bool = False) -> Parameter:
    text = "Market: a perp as ETH, a spot pair as PURR-USDC."
    return option("symbol", "--broker-symbol", "text", text, metavar="SYMBOL", required=required)


def _size(*, required: bool = False) -> tuple[Parameter, ...]:
    return (
        option("side", "--broker-side", "choice", "Buy or sell.", choices=_SIDES, required=required),
        option("quantity", "--broker-quantity", "decimal", "Size in base currency, as 0.25.", required=required),
    )


def _notional(*, required: bool = False) -> Parameter:
    text = "Value in quote currency that you mean to trade, as 500."
    return option("notional", "--broker-notional", "decimal", text, required=required)


def _outdir(name: str) -> Parameter:
    default = f"outputs/broker_preflight/{name}"
    return positional("outdir", "Where the artifact goes.", metavar="OUTDIR", default=default)


def _reviewed(prefix: str, *, confirmed: bool = True) -> tuple[Parameter, ...]:
    confirm = option("confirm", f"{prefix}-confirm", "switch", "Say that you mean it.")
    return (
        option("reviewer", f"{prefix}-reviewer", "optional_text", _REVIEWER, metavar="NAME"),
        *((confirm,) if confirmed else ()),
        option("note", f"{prefix}-note", "optional_text", "Why, for the record."),
    )


def _root_option() -> Parameter:
    text = "The root that the session goes to."
    return option("root", "--hyperliquid-submit-sessions-root", "path", text, default=ROOT)


def _row(
    verb: str,
    section: str,
    summary: str,
    *parameters: Parameter,
    runner: str | None = None,
    flag: str | None = None,
    fixed: tuple[tuple[str, str | bool | None], ...] = (),
) -> Command:
    return Command(
        group="hyperliquid",
        verb=verb,
        section=section,
        summary=summary,
        runner=f"quantlab.rungs.{runner or verb}",
        runbook=flag or _STEM + verb,
        corridor="hyperliquid",
        parameters=parameters,
        fixed=fixed,
        always_json=verb == "alerts",
    )


def _root_row(verb: str, summary: str) -> Command:
    root = positional("root", "The root of the sessions.", metavar="ROOT", default=ROOT)
    return _row(verb, sections.WATCH, summary, root, runner="listing", fixed=(("report", verb),))


_BEFORE: Final = (
    _row(
        "preflight",
        sections.BEFORE,
        "Check the venue on the transports asked for, its clock and the market's rules. No key.",
        _outdir("hyperliquid"),
        _symbol(),
        _TRANSPORT,
        *_size(),
        _ACCOUNT,
        _SIGNER,
        flag="--hyperliquid-preflight-outdir",
    ),
    _row(
        "account-readiness",
        sections.BEFORE,
        "Check account, signer, margin, open orders and rate budget. No key.",
        _outdir("hyperliquid_account"),
        _ACCOUNT,
        _SIGNER,
        _symbol(),
        *_size(),
        _notional(),
        runner="account",
        flag="--hyperliquid-account-readiness-outdir",
    ),
    Command(
        group="certify",
        verb="hyperliquid",
        section=sections.BEFORE,
        summary="Try the venue's assumptions on the trial network or in rehearsal. Never live.",
        runner="quantlab.rungs.certify",
        corridor="hyperliquid",
        parameters=(
            _outdir("hyperliquid_certification"),
            option("reviewer", None, "optional_text", _REVIEWER, metavar="NAME"),
            option("confirm", None, "switch", "Say that you mean it."),
            _ACCOUNT,
            _SIGNER,
            option("symbol", "--broker-symbol", "text", "The perp to try with.", metavar="SYMBOL", default="ETH"),
            *_KEYS,
        ),
    ),
)
_SIGN: Final = _row(
    "sign",
    sections.REVIEW,
    "Run every check, reserve the nonce, and sign one order. The point of no return; sends nothing.",
    _outdir("hyperliquid_signed_action"),
    _symbol(required=True),
    *_size(required=True),
    _notional(required=True),
    _ACCOUNT,
    _SIGNER,
    *_KEYS,
    option(
        "expires-after",
        "--execution-expires-after",
        "number",
        "How long the signature lives, 30 to 900; unset: the policy's.",
        field="expires_after_seconds",
        metavar="SECONDS",
    ),
    option(
        "nonce",
        "--execution-nonce",
        "number",
        "Repeat the nonce that was reserved for the same order, never sent.",
        most=9_999_999_999_999,
    ),
    option(
        "order-type",
        "--broker-order-type",
        "choice",
        "Unset: a limit IOC at the plan's worst price. A market order is refused: the venue has none.",
        choices=("limit", "market"),
    ),
    option("limit-price", "--broker-limit-price", "decimal", "Price of a limit order."),
    option(
        "time-in-force",
        "--broker-time-in-force",
        "choice",
        "How long a limit order stands.",
        choices=("gtc", "ioc"),
    ),
    option("post-only", "--broker-post-only", "switch", "Never take; only rest in the book."),
    option("reduce-only", "--broker-reduce-only", "switch", "Only make a position smaller."),
    option(
        "source-paper-session",
        "--broker-source-paper-session",
        "path",
        "The paper session that this order comes from.",
    ),
    option(
        "promotion-rationale",
        "--broker-promotion-rationale",
        "optional_text",
        "Why this order deserves real money, where no paper session says it.",
    ),
    flag="--hyperliquid-signed-action-outdir",
)
_REVIEW: Final = (
    _row(
        "show",
        sections.REVIEW,
        "Show a session: its records, its state, what blocks it.",
        _SESSION,
        runner="listing_session",
        fixed=(("report", "show"),),
    ),
    _row(
        "next",
        sections.REVIEW,
        "Name the next command of a session and why.",
        _SESSION,
        runner="listing_session",
        fixed=(("report", "next"),),
    ),
    _row(
        "revoke",
        sections.REVIEW,
        "Take back an order that was signed and not sent; while it lives, that burns its nonce.",
        positional("session", "The session, or the signed action.", metavar="SESSION"),
        *_reviewed("--hyperliquid-revoke", confirmed=False),
        _root_option(),
        runner="burn",
        fixed=(("revoke", True), ("confirm", True)),
    ),
)
_SUBMIT: Final = _row(
    "submit",
    sections.SUBMIT,
    "Send the signed action, once and for ever. On a repeat: print the recorded outcome.",
    positional("artifact", "The signed action.", metavar="ARTIFACT"),
    *_reviewed("--hyperliquid-submit"),
    _root_option(),
    runner="submit_signed",
    flag="--hyperliquid-submit-session",
)
_AFTER: Final = (
    _row(
        "reconcile",
        sections.RECONCILE,
        "Ask the venue until it is proven what became of the order. Only reads.",
        _SESSION,
        option(
            "wait",
            "--hyperliquid-reconcile-wait",
            "number",
            "Go on asking for so long.",
            field="wait_seconds",
            metavar="SECONDS",
            default="0",
        ),
    ),
    _row("status", sections.RECONCILE, "Read and record the order's status.", _SESSION),
    _row("fills", sections.RECONCILE, "Read and record the order's fills.", _SESSION),
    _row(
        "supervise",
        sections.RECONCILE,
        "Watch the order until it is terminal or the bound is reached.",
        _SESSION,
        option(
            "polls",
            "--hyperliquid-supervision-polls",
            "number",
            "The bound, as a number of reads.",
            default="20",
            most=10_000,
        ),
        option(
            "interval-seconds",
            "--hyperliquid-supervision-interval-seconds",
            "number",
            "Time between two reads, the stream apart.",
            metavar="SECONDS",
            default="15",
            most=3_600,
        ),
        msgspec.structs.replace(_TRANSPORT, help="rest: reads alone; else the stream besides."),
    ),
    _row(
        "cancel",
        sections.SUPERVISED,
        "Ask the venue to cancel the order. Only a later read proves it.",
        _SESSION,
        *_reviewed("--hyperliquid-cancel"),
        *_KEYS,
    ),
    _row(
        "burn",
        sections.SUPERVISED,
        "Use the order's nonce up: stops it in flight, and proves it when none was admitted. No key.",
        _SESSION,
        *_reviewed("--hyperliquid-burn"),
        _root_option(),
        fixed=(("revoke", False),),
    ),
    _row(
        "resolve",
        sections.SUPERVISED,
        "Record a person's decision on an order that no proof decides.",
        _SESSION,
        *_reviewed("--hyperliquid-resolve"),
        option(
            "decision",
            "--hyperliquid-resolve-decision",
            "choice",
            "What the person decides.",
            choices=("landed", "not_landed"),
            required=True,
        ),
    ),
)
_WATCH: Final = (
    _root_row("list", "List the sessions of a root."),
    _root_row("index", "Rebuild and show the index of a root."),
    _root_row("health", "Count states, name the latest activity, raise alerts."),
    _root_row("alerts", "Say what needs a person now. Always JSON."),
)
HYPERLIQUID_ROWS: Final = (*_BEFORE, _SIGN, *_REVIEW, _SUBMIT, *_AFTER, *_WATCH)
