"""Rows of the command table: readiness and the Kraken corridor, in the ladder's order."""

from __future__ import annotations

from typing import Final

from quantlab.cli import sections
from quantlab.cli.shape import Command, Parameter, option, positional

ROOT: Final = "outputs/broker_order_validations"
_STEM: Final = "--broker-order-validations-"

_SIDES: Final = ("buy", "sell")
_REVIEWER: Final = "Who reviewed this: the name that goes on the record."
_SESSION: Final = positional("session", "The session's folder.", metavar="SESSION")
_SYMBOL_TEXT: Final = "Market, as ETH-USD."
_SIZE_TEXT: Final = "Size in base currency, as 0.25."
_NOTIONAL_TEXT: Final = "Value in quote currency that you mean to trade, as 500."
_LABEL_TEXT: Final = "Your label of the account; it is bound to what the key reports."


def _session_row(
    verb: str,
    section: str,
    summary: str,
    *options: Parameter,
    runner: str | None = None,
    fixed: tuple[tuple[str, str], ...] = (),
    flag: str | None = None,
) -> Command:
    return Command(
        group="kraken",
        verb=verb,
        section=section,
        summary=summary,
        runner=f"quantlab.rungs.{runner or verb}",
        runbook=_STEM + (flag or verb),
        corridor="kraken",
        parameters=(_SESSION, *options),
        fixed=fixed,
    )


def _root_row(verb: str, summary: str) -> Command:
    return Command(
        group="kraken",
        verb=verb,
        section=sections.WATCH,
        summary=summary,
        runner="quantlab.rungs.listing",
        runbook=_STEM + verb,
        corridor="kraken",
        parameters=(positional("root", "The root of the sessions.", metavar="ROOT", default=ROOT),),
        fixed=(("report", verb),),
        always_json=verb == "alerts",
    )


def _outdir(default: str) -> Parameter:
    return positional("outdir", "Where the artifact goes.", metavar="OUTDIR", default=default)


def _reviewed(prefix: str) -> tuple[Parameter, ...]:
    return (
        option("reviewer", f"{prefix}-reviewer", "optional_text", _REVIEWER, metavar="NAME"),
        option("confirm", f"{prefix}-confirm", "switch", "Say that you mean it."),
    )


def _note(prefix: str) -> Parameter:
    return option("note", f"{prefix}-note", "optional_text", "Why, for the record.")


_APPROVAL: Final = (
    option("reviewer", "--broker-approval-reviewer", "optional_text", _REVIEWER, metavar="NAME"),
    _note("--broker-approval"),
)
_BEFORE: Final = (
    Command(
        group="evidence",
        verb="readiness",
        section=sections.BEFORE,
        summary="Write what is ready and what is missing. Offline.",
        runner="quantlab.rungs.readiness",
        runbook="--broker-evidence-readiness-outdir",
        parameters=(
            _outdir("outputs/broker_evidence"),
            option(
                "corridor",
                "--broker-evidence-corridor",
                "choice",
                "Which corridor; auto is hyperliquid.",
                choices=("auto", "kraken", "hyperliquid"),
                default="auto",
            ),
        ),
    ),
    Command(
        group="kraken",
        verb="preflight",
        section=sections.BEFORE,
        summary="Check the venue's status, clock and market rules. Public reads only.",
        runner="quantlab.rungs.preflight",
        runbook="--kraken-preflight-outdir",
        corridor="kraken",
        parameters=(
            _outdir("outputs/broker_preflight/kraken"),
            option("symbol", "--broker-symbol", "text", _SYMBOL_TEXT, metavar="SYMBOL"),
            option(
                "transport",
                "--execution-transport-preference",
                "choice",
                "Which transport must answer.",
                choices=("rest", "websocket", "either"),
                default="either",
            ),
        ),
    ),
    Command(
        group="kraken",
        verb="auth-preflight",
        section=sections.BEFORE,
        summary="Check what the key is and may do. Private reads only.",
        runner="quantlab.rungs.auth_preflight",
        runbook="--kraken-auth-preflight-outdir",
        corridor="kraken",
        parameters=(_outdir("outputs/broker_preflight/kraken"),),
    ),
    Command(
        group="kraken",
        verb="account-readiness",
        section=sections.BEFORE,
        summary="Check funds, open orders and limits for an order you have in mind.",
        runner="quantlab.rungs.account",
        runbook="--kraken-account-readiness-outdir",
        corridor="kraken",
        parameters=(
            _outdir("outputs/broker_preflight/kraken"),
            option(
                "account-id",
                "--broker-account-id",
                "text",
                _LABEL_TEXT,
                field="account_label",
                metavar="LABEL",
            ),
            option("symbol", "--broker-symbol", "text", _SYMBOL_TEXT, metavar="SYMBOL"),
            option("side", "--broker-side", "choice", "Buy or sell.", choices=_SIDES),
            option("quantity", "--broker-quantity", "decimal", _SIZE_TEXT),
            option("notional", "--broker-notional", "decimal", _NOTIONAL_TEXT),
        ),
    ),
)
_VALIDATE: Final = Command(
    group="kraken",
    verb="validate",
    section=sections.REVIEW,
    summary="Freeze an order as a new session and have the venue validate it. Sends no order.",
    runner="quantlab.rungs.validate",
    runbook="--kraken-order-validate-session",
    corridor="kraken",
    fixed=(("reduce_only", False),),
    parameters=(
        option("symbol", "--broker-symbol", "text", _SYMBOL_TEXT, metavar="SYMBOL", required=True),
        option("side", "--broker-side", "choice", "Buy or sell.", choices=_SIDES, required=True),
        option("quantity", "--broker-quantity", "decimal", _SIZE_TEXT, required=True),
        option("notional", "--broker-notional", "decimal", _NOTIONAL_TEXT, required=True),
        option(
            "account-id",
            "--broker-account-id",
            "text",
            _LABEL_TEXT,
            field="account_label",
            metavar="LABEL",
            required=True,
        ),
        option(
            "order-type",
            "--broker-order-type",
            "choice",
            "Unset: a limit IOC at the plan's worst price. A market order's price is not bounded.",
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
        option(
            "root",
            "--broker-order-validations-root",
            "path",
            "The root that the new session goes to.",
            default=ROOT,
        ),
    ),
)
_REVIEW: Final = (
    _session_row(
        "show",
        sections.REVIEW,
        "Show a session: its records, its state, what blocks it.",
        runner="listing_session",
        fixed=(("report", "show"),),
    ),
    _session_row(
        "next",
        sections.REVIEW,
        "Name the next command of a session and why.",
        runner="listing_session",
        fixed=(("report", "next"),),
    ),
    _session_row("approve", sections.REVIEW, "Record that a person approves.", *_APPROVAL),
    _session_row("decline", sections.REVIEW, "Record that a person declines.", *_APPROVAL),
    _session_row("revoke", sections.REVIEW, "Take an approval back.", *_APPROVAL),
)
_EFFECTS: Final = (
    _session_row("bundle", sections.GATE, "Freeze what would be sent, for the last look."),
    _session_row(
        "gate",
        sections.GATE,
        "Run every check once more, the venue's included. Sends no order.",
        *_reviewed("--broker-submit"),
        _note("--broker-submit"),
        flag="submit-gate",
    ),
    _session_row(
        "submit",
        sections.SUBMIT,
        "Send the order, once and for ever. On a repeat: print the recorded outcome.",
        *_reviewed("--broker-submit"),
        option("live", "--broker-submit-live", "switch", "Say that it may move money."),
        _note("--broker-submit"),
        flag="submit-real",
    ),
)
_AFTER: Final = (
    _session_row(
        "reconcile",
        sections.RECONCILE,
        "Ask the venue until it is proven what became of the order. Sends no order.",
        option(
            "wait",
            "--broker-reconcile-wait",
            "number",
            "Go on asking for so long.",
            field="wait_seconds",
            metavar="SECONDS",
            default="0",
        ),
    ),
    _session_row("status", sections.RECONCILE, "Read and record the order's status."),
    _session_row("fills", sections.RECONCILE, "Read and record the order's fills."),
    _session_row(
        "supervise",
        sections.RECONCILE,
        "Watch the order until it is terminal or the bound is reached.",
        option(
            "seconds",
            "--broker-supervise-seconds",
            "number",
            "The bound.",
            field="bound_seconds",
            metavar="SECONDS",
            default="300",
        ),
    ),
    _session_row(
        "cancel",
        sections.SUPERVISED,
        "Ask the venue to cancel the order. Only a later read proves it.",
        *_reviewed("--broker-cancel"),
        _note("--broker-cancel"),
    ),
    _session_row(
        "resolve",
        sections.SUPERVISED,
        "Record a person's decision on an order that no proof decides.",
        *_reviewed("--broker-resolve"),
        option(
            "decision",
            "--broker-resolve-decision",
            "choice",
            "What the person decides.",
            choices=("landed", "not_landed"),
            required=True,
        ),
        _note("--broker-resolve"),
    ),
)
_WATCH: Final = (
    _root_row("list", "List the sessions of a root."),
    _root_row("index", "Rebuild and show the index of a root."),
    _root_row("health", "Count states, name the latest activity, raise alerts."),
    _root_row("alerts", "Say what needs a person now. Always JSON."),
)
KRAKEN_ROWS: Final = (*_BEFORE, _VALIDATE, *_REVIEW, *_EFFECTS, *_AFTER, *_WATCH)
