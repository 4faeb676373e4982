"""Rows of the command table: the Hyperliquid corridor. Its flags are known, its rungs are not built.

A row becomes a command by naming its runner; nothing else knows that the corridor is missing.
"""

from __future__ import annotations

from typing import Final

from quantlab.cli import sections
from quantlab.cli.shape import Command, Parameter, option, positional

ROOT: Final = "outputs/hyperliquid_submits"
_STEM: Final = "--hyperliquid-submit-sessions-"

_ACCOUNT: Final = option(
    "account-id",
    "--execution-account-id",
    "text",
    "The account's address.",
    metavar="ADDRESS",
)
_SYMBOL: Final = option("symbol", "--broker-symbol", "text", "Market, as ETH.", metavar="SYMBOL")
_SESSION: Final = positional("session", "The session's folder.", metavar="SESSION")
_ROOT: Final = positional("root", "The root of the sessions.", metavar="ROOT", default=ROOT)


def _row(verb: str, summary: str, runbook: str, *parameters: Parameter) -> Command:
    return Command(
        group="hyperliquid",
        verb=verb,
        section=sections.UNBUILT,
        summary=summary,
        runner=None,
        runbook=runbook,
        corridor="hyperliquid",
        parameters=parameters,
        always_json=verb == "alerts",
    )


def _outdir(name: str) -> Parameter:
    return positional(
        "outdir",
        "Where the artifact goes.",
        metavar="OUTDIR",
        default=f"outputs/broker_preflight/{name}",
    )


def _reviewed(prefix: str) -> tuple[Parameter, ...]:
    return (
        option("reviewer", f"{prefix}-reviewer", "optional_text", "Who.", metavar="NAME"),
        option("confirm", f"{prefix}-confirm", "switch", "Say that you mean it."),
        option("note", f"{prefix}-note", "optional_text", "Why, for the record."),
    )


HYPERLIQUID_ROWS: Final = (
    _row(
        "preflight",
        "Check the venue's status, clock and market rules.",
        "--hyperliquid-preflight-outdir",
        _outdir("hyperliquid"),
        _SYMBOL,
        option(
            "transport",
            "--execution-transport-preference",
            "choice",
            "Which transport must answer.",
            choices=("rest", "websocket", "either"),
            default="either",
        ),
    ),
    _row(
        "account-readiness",
        "Check account, signer and margin.",
        "--hyperliquid-account-readiness-outdir",
        _outdir("hyperliquid_account"),
        _ACCOUNT,
    ),
    _row(
        "sign",
        "Sign one order: the point of no return.",
        "--hyperliquid-signed-action-outdir",
        _outdir("hyperliquid_signed_action"),
        _SYMBOL,
        option("side", "--broker-side", "choice", "Buy or sell.", choices=("buy", "sell")),
        option("quantity", "--broker-quantity", "decimal", "Size in base currency."),
        option("notional", "--broker-notional", "decimal", "Value in quote currency."),
        _ACCOUNT,
        option("signer", "--execution-signer-id", "text", "The signer's address."),
        option(
            "private-key-env",
            "--hyperliquid-private-key-env",
            "text",
            "Name of the variable that holds the key.",
            metavar="NAME",
        ),
    ),
    _row(
        "submit",
        "Send the signed action, once and for ever.",
        "--hyperliquid-submit-session",
        positional("artifact", "The signed action.", metavar="ARTIFACT"),
        *_reviewed("--hyperliquid-submit"),
        option(
            "root",
            "--hyperliquid-submit-sessions-root",
            "path",
            "The root that the new session goes to.",
            default=ROOT,
        ),
    ),
    _row("status", "Read and record the order's status.", _STEM + "status", _SESSION),
    _row("reconcile", "Ask the venue until it is proven.", _STEM + "reconcile", _SESSION),
    _row("fills", "Read and record the order's fills.", _STEM + "fills", _SESSION),
    _row("supervise", "Watch the order.", _STEM + "supervise", _SESSION),
    _row("health", "Count states, raise alerts.", _STEM + "health", _ROOT),
    _row("alerts", "Say what needs a person now.", _STEM + "alerts", _ROOT),
    _row(
        "cancel",
        "Ask the venue to cancel the order.",
        _STEM + "cancel",
        _SESSION,
        *_reviewed("--hyperliquid-cancel"),
    ),
)
