"""Rows of the command table: halt, interlocks, the ledger, settings, the rehearsal exchange."""

from __future__ import annotations

from typing import Final

from quantlab.cli import sections
from quantlab.cli.shape import Command, Parameter, option

SHELLS: Final = ("bash", "zsh", "fish")
_COMMANDS: Final = "quantlab.cli.commands"
_LARGEST_PORT: Final = 65_535
_LARGEST_SEED: Final = 2**31 - 1

_REVIEWER: Final = option(
    "reviewer", None, "text", "Who decides: the name on the record.", metavar="NAME", required=True
)
_REASON: Final = option("reason", None, "text", "Why, for the record.", required=True)
_STATE: Final = option("state", None, "path", "The exchange's own folder.", metavar="DIR")


def _halting(action: str, summary: str) -> Command:
    return Command(
        group="",
        verb=action,
        section=sections.SAFETY,
        summary=summary,
        runner="quantlab.rungs.halting",
        fixed=(("action", action),),
        parameters=(_REVIEWER, _REASON),
    )


def _own(group: str, verb: str, summary: str, runner: str, *parameters: Parameter) -> Command:
    return Command(
        group=group,
        verb=verb,
        section=sections.PRACTICE,
        summary=summary,
        runner=f"{_COMMANDS}:{runner}",
        parameters=parameters,
    )


def _port(name: str) -> Parameter:
    return option(
        f"{name}-port",
        None,
        "number",
        "Port; 0 is a free one.",
        default="0",
        most=_LARGEST_PORT,
        metavar="PORT",
    )


OWN_ROWS: Final = (
    _halting("halt", "Stop every later send, of every session."),
    _halting("resume", "Take a halt back."),
    Command(
        group="interlock",
        verb="list",
        section=sections.SAFETY,
        summary="List the accounts that an unresolved send holds.",
        runner="quantlab.rungs.interlocks",
        fixed=(("action", "list"), ("reviewer", None), ("reason", None), ("account", None)),
    ),
    Command(
        group="interlock",
        verb="resolve",
        section=sections.SAFETY,
        summary="Free an account whose session is lost, on a person's word.",
        runner="quantlab.rungs.interlocks",
        fixed=(("action", "resolve"),),
        parameters=(
            _REVIEWER,
            _REASON,
            option(
                "account",
                None,
                "text",
                "The account's identity, as `interlock list` shows it.",
                metavar="IDENTITY",
                required=True,
            ),
        ),
    ),
    Command(
        group="ledger",
        verb="rebuild",
        section=sections.SAFETY,
        summary="Import the claims of a root's records into the ledger again.",
        runner="quantlab.rungs.rebuilding",
        parameters=(option("root", None, "path", "The root to read.", metavar="ROOT", required=True),),
    ),
    _own("policy", "show", "Show the limits in force, their digest and origin.", "PolicyShow"),
    _own("policy", "init", "Write quantlab.toml with the defaults.", "PolicyInit"),
    _own(
        "rehearsal",
        "serve",
        "Start the rehearsal exchange on loopback.",
        "RehearsalServe",
        _STATE,
        option("seed", None, "number", "Seed of a new exchange.", default="0", most=_LARGEST_SEED),
        option("faults", None, "path", "Scripted faults, a JSON list.", metavar="FILE"),
        _port("kraken"),
        _port("hyperliquid"),
        _port("control"),
        option("tls", None, "switch", "Serve TLS with a throwaway authority."),
    ),
    _own(
        "rehearsal",
        "env",
        "Print the exchange's settings as export lines.",
        "RehearsalEnv",
        _STATE,
    ),
    _own(
        "rehearsal",
        "run",
        "Walk both ladders on a rehearsal exchange of its own.",
        "RehearsalRun",
        option("outdir", None, "path", "A new folder for what is written.", metavar="DIR"),
    ),
    _own(
        "",
        "completion",
        "Print a shell's completion script.",
        "Completion",
        Parameter(
            field="shell",
            kind="choice",
            help="Which shell.",
            metavar="SHELL",
            choices=SHELLS,
            required=True,
        ),
    ),
)
