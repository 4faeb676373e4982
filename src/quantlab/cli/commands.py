"""The small commands that are no rungs: policy, completion, and handing over to the rehearsal exchange.

Each is a request with a ``run``. It returns a result, a text to be printed as it is, or, where
somebody else has spoken already, an exit code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from quantlab.config import POLICY_FILE_NAME, Settings, interpreter_dir, read_policy
from quantlab.kernel.errors import Denied, Unreadable
from quantlab.kernel.result import Fact, NextStep, Result


class Printed(msgspec.Struct, frozen=True, kw_only=True):
    """A text for standard output as it is; ``data`` stands in the envelope when JSON is asked for."""

    text: str
    data: Any


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a command gets besides its request."""

    settings: Settings
    progress: Callable[[str], None]
    load: Callable[[str], Any]
    """Imports a module by name."""


Ending = Result | Printed | int


class PolicyShow(msgspec.Struct, frozen=True, kw_only=True):
    """Show the limits in force, where they come from, and their digest."""

    def run(self, context: Context) -> Ending:
        """Return the policy as a table and as data."""
        from quantlab.model.policy import policy_digest

        choice = read_policy(context.settings)
        digest = policy_digest(choice.policy)
        values = choice.policy.canonical_values()
        origin = "the built-in defaults" if choice.path is None else str(choice.path)
        rows = [(key, _shown(value)) for key, value in values.items()]
        return Result(
            outcome="done",
            headline=f"The policy in force comes from {origin}.",
            facts=(Fact(label="Digest", value=digest),),
            table=(("key", "value"), *rows),
            data={
                "source": "defaults" if choice.path is None else "file",
                "path": None if choice.path is None else str(choice.path),
                "sha256": digest,
                "values": values,
            },
        )


class PolicyInit(msgspec.Struct, frozen=True, kw_only=True):
    """Write the policy file with the defaults; never over another."""

    def run(self, context: Context) -> Ending:
        """Write `quantlab.toml` in the working directory.

        Raises:
            Denied: the file exists.
            StorageFault: it cannot be written.
        """
        from quantlab.model.policy import Policy, policy_digest, policy_to_toml
        from quantlab.storage.durable import OsDisk, create_once

        path = context.settings.cwd / POLICY_FILE_NAME
        policy = Policy()
        if not create_once(OsDisk(), path, policy_to_toml(policy).encode()):
            message = f"{path} exists already. It was not changed."
            raise Denied(
                message,
                code="policy_exists",
                measured=str(path),
                next_step=NextStep(why="See what it says.", verb="policy show"),
            )
        return Result(
            outcome="done",
            headline=f"Wrote {POLICY_FILE_NAME} with the defaults.",
            artifacts=(str(path),),
            facts=(Fact(label="Digest", value=policy_digest(policy)),),
            data={"path": str(path), "sha256": policy_digest(policy)},
            next=NextStep(why="See what is in force.", verb="policy show"),
        )


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """Print a shell's completion script."""

    shell: str

    def run(self, context: Context) -> Ending:
        """Return the script."""
        from quantlab.cli.completion import completion_script

        script = completion_script(self.shell)
        return Printed(text=script, data={"shell": self.shell, "script": script})


class RehearsalServe(msgspec.Struct, frozen=True, kw_only=True):
    """Start the rehearsal exchange and stay with it. It speaks for itself."""

    state: Path | None
    seed: int
    faults: Path | None
    kraken_port: int
    hyperliquid_port: int
    control_port: int
    tls: bool

    def run(self, context: Context) -> Ending:
        """Serve until a signal comes; return the exchange's exit code."""
        server = context.load("quantlab.rehearsal.server")
        code: int = server.serve(server.ServeOptions(**msgspec.structs.asdict(self)))
        return code


class RehearsalEnv(msgspec.Struct, frozen=True, kw_only=True):
    """Print the settings of the running exchange for a shell to evaluate."""

    state: Path | None

    def run(self, context: Context) -> Ending:
        """Return export lines; ``Unreadable`` when no exchange answers."""
        from shlex import quote

        served = context.load("quantlab.rehearsal.server").read_serve_file(self.state)
        if served is None:
            message = "No rehearsal exchange answers there: start one and keep it running."
            options = () if self.state is None else (("state", str(self.state)),)
            raise Unreadable(
                message,
                code="rehearsal_not_running",
                next_step=NextStep(why="Start it, in another terminal.", verb="rehearsal serve", options=options),
            )
        folder = str(interpreter_dir())
        lines = [f"export {name}={_in_quotes(value)}" for name, value in served.env.items()]
        lines.append(f'export PATH={quote(folder)}:"$PATH"')
        return Printed(text="\n".join(lines) + "\n", data={"env": served.env, "path": folder})


class RehearsalRun(msgspec.Struct, frozen=True, kw_only=True):
    """Walk the whole ladder on a rehearsal exchange of its own."""

    outdir: Path | None

    def run(self, context: Context) -> Ending:
        """Walk, and return what happened."""
        result: Result = context.load("quantlab.cli.walk").run(self.outdir, context.progress)
        return result


def _shown(value: bool | int | str | list[str]) -> str:  # noqa: FBT001 - a value, not a flag
    if isinstance(value, list):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_quotes(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"
