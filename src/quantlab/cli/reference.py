"""The reference pages made from code: `cli.md`, `exit-codes.md`, `configuration.md` of `docs/`."""

from __future__ import annotations

from typing import Final

from quantlab import config
from quantlab.cli import table
from quantlab.cli.help import describe, runbook_line, usage_line
from quantlab.cli.shape import Command
from quantlab.kernel.errors import EXIT_CODES, Outcome
from quantlab.model.policy import POLICY_RULES, Policy, policy_digest

_MEANINGS: Final[dict[Outcome, tuple[str, str]]] = {
    "done": ("The command did what it says, or the state is proven.", "Go on."),
    "denied": (
        "A check refused, or something is not ready. Nothing was sent that could move money.",
        "Read the refusals: each names its measured value and its limit.",
    ),
    "usage": ("The command line or a setting is wrong. Nothing was written or sent.", "Fix it."),
    "rejected": ("The venue said no.", "Adjust, and begin a new session."),
    "unknown": (
        "The outcome is unknown, or nothing was found: an order may exist.",
        "Reconcile. Never send again.",
    ),
    "unverified": (
        "The evidence does not verify.",
        "Stop, and look at what changed. Reads, reconcile, fills and cancel still work.",
    ),
    "busy": ("Another process holds what is needed. Nothing was sent.", "Wait for it."),
    "never_sent": (
        "No byte of the order was written to the venue.",
        "See why, then begin a new session.",
    ),
    "unreadable": (
        "The venue was not reached or gave no usable answer to a read.",
        "Try the read again; it says nothing about any order.",
    ),
    "bug": ("A defect of QuantLab.", "Keep the log. After a submit or cancel: reconcile."),
    "interrupted": ("Interrupted before anything was sent.", "Run it again."),
}
_SETTINGS: Final[dict[str, str]] = {
    "QUANTLAB_ENVIRONMENT": ("`live`, `testnet` (Hyperliquid only) or `rehearsal`. Unset, no venue is talked to."),
    "QUANTLAB_KRAKEN_URL": "Loopback address of the rehearsal exchange. Rehearsal only.",
    "QUANTLAB_HYPERLIQUID_URL": "Loopback address of the rehearsal exchange. Rehearsal only.",
    "KRAKEN_API_KEY": "Public half of the Kraken key.",
    "KRAKEN_API_SECRET": "Secret half of the Kraken key.",
    "HYPERLIQUID_PRIVATE_KEY": "Private key of the signer.",
    "HYPERLIQUID_ACCOUNT": "Address of the account.",
    "HYPERLIQUID_SIGNER_ID": "Address of the signer.",
    "QUANTLAB_POLICY": ("The policy file. Default: `quantlab.toml` in the working directory, if it is there."),
    "QUANTLAB_STATE_DIR": (
        "Where the ledger stands. Default: `$XDG_STATE_HOME/quantlab` or `~/.local/state/quantlab`."
    ),
    "QUANTLAB_REHEARSAL_CA": ("Certificate of the throwaway authority of `rehearsal serve --tls`. Rehearsal only."),
    "QUANTLAB_REHEARSAL_SETTLE_SECONDS": "Shorter settle times. Rehearsal only.",
    "QUANTLAB_LOG": "A file that diagnostics are appended to, redacted.",
}
_CASES: Final = (
    ("readiness, preflights: ready · not ready · venue not read", "0 · 1 · 7"),
    ("certify: every assumption held · one did not, or refused · venue not read", "0 · 1 · 7"),
    ("sign: signed · our denial, or no key · venue not read", "0 · 1 · 7"),
    ("validate: accepted · our denial · venue rejects · answer lost", "0 · 1 · 3 · 7"),
    ("validate or gate, answered as if a real order was placed", "4"),
    ("gate: open · shut by a check or by the venue · venue not read", "0 · 1 · 7"),
    ("submit, first and again: accepted · denied · rejected · unknown · never sent", "0 · 1 · 3 · 4 · 7"),
    ("submit again, after a resolution: landed, not landed or decided · rejected", "0 · 3"),
    ("status, reconcile, fills, supervise: state proven or decided, also when the order is still open", "0"),
    ("the same: session unresolved or not found, also when the venue was not read", "4"),
    ("the same: state known, venue not read now", "7"),
    ("these four, cancel and burn, on evidence that does not verify", "5"),
    ("cancel: the order has ended, by a read · the venue refused · not proven", "0 · 3 · 4"),
    ("burn, and revoke of a signed order: nothing is left open · refused · still unresolved", "0 · 1 · 4"),
    ("resolve: recorded · too early, or something is missing", "0 · 1"),
    ("show, next, list, index, health, alerts: the report was made, broken sessions and alarms included", "0"),
    ("a reviewer, a reason, `confirm` or `live` is missing", "1"),
    ("Ctrl-C before · after the attempt is durable", "130 · 4"),
)
_MADE: Final = "<!-- Made from the code by `make docs`. Change the code, not this page. -->"


def documents() -> dict[str, str]:
    """Return the text of each page by its path from the checkout's root."""
    return {
        "docs/cli.md": reference_page(),
        "docs/configuration.md": configuration_page(),
        "docs/exit-codes.md": exit_codes_page(),
    }


def reference_page() -> str:
    """Return `docs/cli.md`: every command in both spellings, under the ladder's headings."""
    lines = [
        "# Command line",
        "",
        _MADE,
        "",
        (
            "Every command has a grouped spelling; most have the runbook's flags too. Both work as"
            " `quantlab …` and as `python main.py …`. Options are never abbreviated. `--json` prints"
            " one document on standard output; [exit-codes.md](exit-codes.md) lists the ends."
        ),
        "",
        "| option of every command | |",
        "| --- | --- |",
        *(f"| `{each.flag}` | {each.text} |" for each in table.GLOBAL_OPTIONS),
    ]
    for section, commands in table.by_section():
        lines += ["", f"## {section}"]
        for command in commands:
            lines += _command(command)
    return "\n".join(lines) + "\n"


def _command(command: Command) -> list[str]:
    lines = ["", f"### {command.name}", "", command.summary, "", "```", usage_line(command)]
    runbook = runbook_line(command)
    if runbook is not None:
        lines.append(runbook)
    lines.append("```")
    if command.parameters:
        lines += ["", "| grouped | runbook | |", "| --- | --- | --- |"]
    for parameter in command.parameters:
        grouped = parameter.metavar if parameter.flag is None else f"--{parameter.flag}"
        flag = command.runbook if parameter.flag is None or command.runbook is None else parameter.runbook
        shown = f"`{flag}`" if flag else ""
        lines.append(f"| `{grouped}` | {shown} | {describe(parameter)} |")
    return lines


def exit_codes_page() -> str:
    """Return `docs/exit-codes.md`: every outcome with its exit code and what to do."""
    lines = [
        "# Exit codes",
        "",
        _MADE,
        "",
        "`outcome` is the word in the JSON envelope.",
        "",
        "| exit | outcome | meaning | operator |",
        "| --: | --- | --- | --- |",
    ]
    rows = sorted(EXIT_CODES.items(), key=lambda item: item[1])
    for outcome, code in rows:
        meaning, action = _MEANINGS[outcome]
        lines.append(f"| {code} | `{outcome}` | {meaning} | {action} |")
    lines += ["", "## By command", "", "| case | exit |", "| --- | --- |"]
    lines += [f"| {case} | {codes} |" for case, codes in _CASES]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Return `docs/configuration.md`: every setting and every key of the policy with its default."""
    policy = Policy()
    lines = [
        "# Configuration",
        "",
        _MADE,
        "",
        (
            "Settings come from the process environment or from a `.env` file in the working"
            " directory (`NAME=VALUE` lines, never expanded). Environment, addresses and keys come"
            " all from the one or all from the other: with one of them in the process, those in the"
            " file are ignored."
        ),
        "",
        "| setting | all or none | |",
        "| --- | --- | --- |",
    ]
    for name in config.SETTING_NAMES:
        together = "yes" if name in config.GROUP_NAMES else ""
        lines.append(f"| `{name}` | {together} | {_SETTINGS[name]} |")
    lines += [
        "",
        "## Policy",
        "",
        (
            "`quantlab policy init` writes the file, `quantlab policy show` shows what is in force."
            f" The digest of the defaults is `{policy_digest(policy)}`."
        ),
        "",
        "| key | default | allowed | |",
        "| --- | --- | --- | --- |",
    ]
    values = policy.canonical_values()
    for rule in POLICY_RULES:
        value = values[rule.key]
        shown = ", ".join(value) if isinstance(value, list) else str(value).lower()
        lines.append(f"| `{rule.key}` | {shown} | {rule.limit} | {rule.meaning} |")
    return "\n".join(lines) + "\n"
