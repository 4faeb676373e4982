"""The entry of the program: one line in, one report out, one exit code.

A rung's result goes to standard output, a fault that stopped a command to standard error; with
`--json` both are one envelope on standard output. The only handler for errors that nobody named
stands here: an operator never sees a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from quantlab import config
from quantlab.cli import parsing, runbook, table, terminal
from quantlab.cli.commands import Context, Ending, Printed
from quantlab.cli.envelope import NextCommand, Report, envelope_line, json_line
from quantlab.cli.shape import Command
from quantlab.cli.spelling import Spelling
from quantlab.kernel.errors import EXIT_CODES, Outcome, QuantLabFault, UsageFault
from quantlab.kernel.result import NextStep, Result

PROGRAM: Final = "quantlab"
RUNBOOK_PROGRAM: Final = "python main.py"
_HELP_WIDTH: Final = 100
_EFFECTS: Final = frozenset(f"quantlab.rungs.{name}" for name in ("submit", "submit_signed", "cancel", "burn"))
_INCOMPLETE: Final = frozenset({"reviewer_required", "confirm_required", "reason_required"})
"""Refusals of a line that lacks a name, a confirmation or a reason: the next command is that line, completed."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds one run of the program, injected so that tests need no patching."""

    environ: Mapping[str, str]
    cwd: Callable[[], Path]
    """Returns the working directory; it may be gone."""
    stdout: TextIO | None
    stderr: TextIO | None
    platform: str
    load: Callable[[str], Any]
    """Imports a module by name."""


def main(argv: Sequence[str] | None = None, *, runbook: bool = False) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: The words after the program's name; those of the process when None.
        runbook: Whether the program was called the runbook's way, as ``python main.py``.
    """
    surroundings = Surroundings(
        environ=config.process_environ(),
        cwd=config.working_directory,
        stdout=sys.stdout,
        stderr=sys.stderr,
        platform=sys.platform,
        load=import_module,
    )
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return run(words, surroundings, program=RUNBOOK_PROGRAM if runbook else PROGRAM)
    except KeyboardInterrupt:  # a second one, while the first was being reported
        return EXIT_CODES["interrupted"]


def run(argv: Sequence[str], surroundings: Surroundings, *, program: str = PROGRAM) -> int:
    """Run one command line in given surroundings and return its exit code. Never raises."""
    if surroundings.platform == "win32":
        message = "quantlab: Windows is not supported; use Linux or macOS.\n"
        terminal.write(surroundings.stderr, message)
        return EXIT_CODES["usage"]
    line = _Line(argv, surroundings, program)
    try:
        return line.end(line.perform())
    except QuantLabFault as fault:
        return line.stop(fault)
    except KeyboardInterrupt:
        return line.interrupt()
    except Exception as error:
        return line.stop(line.bug(error))


class _Interrupted(QuantLabFault):
    """Ctrl-C before anything was sent. After an attempt the rung itself reports unknown."""

    outcome: Outcome = "interrupted"


class _Line:
    """One line on its way: what is known of it so far, and how it ends."""

    def __init__(self, argv: Sequence[str], surroundings: Surroundings, program: str) -> None:
        self._argv = list(argv)
        self._around = surroundings
        self._spelling = Spelling(program=program, flags=runbook.uses_flags(argv))
        before_dashes = self._argv[: self._argv.index("--")] if "--" in self._argv else self._argv
        self._globals = table.GLOBAL_FLAGS.intersection(before_dashes)
        self._settings: config.Settings | None = None
        self._command: Command | None = None
        self._fields: dict[str, Any] = {}
        self._reached: int | None = None
        self._log_failed = False

    def perform(self) -> Ending:
        """Run the line's command and return how it ended."""
        if self._globals & {"-h", "--help"}:
            return self._help()
        if "--version" in self._globals:
            return self._version()
        if self._spelling.flags:
            self._command = runbook.verb_of(self._argv)
        words = runbook.translate(self._argv)
        self._command = parsing.select(words)[0]
        invocation = parsing.parse(words, self._spelling)
        self._settings = config.load_settings(self._around.environ, self._around.cwd())
        for warning in self._settings.warnings:
            self._say(f"Note: {warning}")
        self._detail()
        return self._dispatch(invocation)

    def end(self, ending: Ending) -> int:
        """Print how a command ended and return its exit code."""
        if isinstance(ending, int):
            return ending
        if isinstance(ending, Printed):
            if not self._json:
                terminal.write(self._around.stdout, ending.text)
                return 0
            ending = Result(outcome="done", headline="", data=ending.data)
        report = self._report(ending)
        self._reached = report.exit_code
        self._log(f"{report.command}: {ending.outcome}, exit {report.exit_code}")
        if self._bare_json and ending.data is not None:
            self._print_json(json_line(ending.data), report)
        elif self._json or self._bare_json:
            self._print_json(envelope_line(report), report)
        else:
            self._print_text(report, self._around.stdout)
        return report.exit_code

    def stop(self, fault: QuantLabFault) -> int:
        """Print a fault that stopped the line and return its exit code."""
        result = Result(
            outcome=fault.outcome,
            headline=fault.message,
            session_id=fault.session_id,
            refusals=fault.refusals,
            next=fault.next_step,
        )
        report = self._report(result)
        if fault.next_step is None and isinstance(fault, UsageFault):
            report = msgspec.structs.replace(report, next=self._help_step())
        self._log(f"{report.command}: {fault.outcome}, exit {report.exit_code}: {fault.message}")
        if self._json or self._bare_json:
            self._print_json(envelope_line(report), report)
        if not self._json:
            self._print_text(report, self._around.stderr)
        return report.exit_code

    def interrupt(self) -> int:
        """Return the exit code after Ctrl-C: that of the command, where it had ended already."""
        if self._reached is not None:
            return self._reached
        message = "Interrupted before anything was sent."
        return self.stop(_Interrupted(message, code="interrupted"))

    def bug(self, error: Exception) -> QuantLabFault:
        """Return the fault of a defect; its traceback goes to the log, redacted."""
        from traceback import format_exception

        trace = "".join(format_exception(error))
        self._log(trace.rstrip())
        if "--verbose" in self._globals:
            self._say(trace)
        message = f"A defect of QuantLab ended the command ({type(error).__name__})."
        step = None
        if self._command is not None and self._command.runner in _EFFECTS:
            message += " An order may have been sent or canceled: treat the outcome as unknown."
            step = self._finding_out()
        return QuantLabFault(message, code="bug", next_step=step)

    def _finding_out(self) -> NextStep:
        if "session" in self._fields:
            return NextStep(why="Find out.", verb="reconcile", arguments=(str(self._fields["session"]),))
        if "root" in self._fields:
            root = str(self._fields["root"])
            return NextStep(why="Find its session, then reconcile that.", verb="list", arguments=(root,))
        return NextStep(why="Find out.", verb="reconcile", arguments=("<session>",))

    # ---------------------------------------------------------------------------------- performing

    def _dispatch(self, invocation: parsing.Invocation) -> Ending:
        command, settings = invocation.command, self._known_settings()
        module_name, _, own = command.runner.partition(":")
        module = self._around.load(module_name)
        fields = dict(invocation.values)
        self._fields = fields
        if own:
            context = Context(settings=settings, progress=self._progress, load=self._around.load)
            ending: Ending = getattr(module, own)(**fields).run(context)
            return ending
        request = module.Request(**fields)
        wiring = self._around.load("quantlab.wiring")
        desk = wiring.build_desk(
            settings,
            corridor=command.corridor,
            progress=self._progress,
            spell=lambda step: self._spelling.line(step, command),
        )
        try:
            result: Result = module.run(desk, request)
        except QuantLabFault as fault:
            if fault.next_step is None and "session" in fields:
                desk_module = self._around.load("quantlab.rungs.desk")
                fault.next_step = desk_module.suggested_step(desk, fields["session"])
            if fault.next_step is None and fault.code in _INCOMPLETE:
                fault.next_step = _completed(command, fields)
            raise
        return result

    def _known_settings(self) -> config.Settings:
        if self._settings is None:  # pragma: no cover - perform() loads them first
            message = "the settings were not loaded"
            raise RuntimeError(message)
        return self._settings

    def _help(self) -> Ending:
        from quantlab.cli.help import help_text

        if self._spelling.flags:
            command, named = runbook.verb_of(self._argv), list[str]()
        else:
            command, named, _ = parsing.select(self._argv)
        self._command = command
        width = terminal.style_of(self._around.stdout, self._around.environ).width
        text = help_text(command, named, width=min(width, _HELP_WIDTH))
        return Printed(text=text, data={"help": text})

    def _version(self) -> Ending:
        from quantlab.kernel.build_info import COMMIT, VERSION

        built = "" if COMMIT is None else f" ({COMMIT[:12]})"
        data = {"version": VERSION, "commit": COMMIT}
        return Printed(text=f"quantlab {VERSION}{built}\n", data=data)

    # ------------------------------------------------------------------------------------ speaking

    @property
    def _json(self) -> bool:
        return "--json" in self._globals

    @property
    def _bare_json(self) -> bool:
        return self._command is not None and self._command.always_json and not self._json

    def _report(self, result: Result) -> Report:
        environment = None if self._settings is None else self._settings.environment
        step = None
        if result.next is not None:
            step = NextCommand(why=result.next.why, command=self._spell(result.next))
        return Report(
            command=PROGRAM if self._command is None else self._command.name,
            result=result,
            environment=result.environment or environment,
            next=step,
        )

    def _spell(self, step: NextStep) -> str:
        return self._spelling.line(step, self._command)

    def _help_step(self) -> NextCommand:
        name = "" if self._command is None else f" {self._spelling.command_name(self._command)}"
        return NextCommand(why="See what is allowed.", command=f"{self._spelling.program}{name} --help")

    def _print_text(self, report: Report, stream: TextIO | None) -> None:
        from quantlab.cli.render import text_of

        style = terminal.style_of(stream, self._around.environ)
        arrived = terminal.write(stream, self._redacted(text_of(report, style)))
        self._check_arrival(arrived, report)

    def _print_json(self, text: str, report: Report) -> None:
        line = self._redacted(text) + "\n"
        self._check_arrival(terminal.write(self._around.stdout, line, exact=True), report)

    def _check_arrival(self, arrived: bool, report: Report) -> None:  # noqa: FBT001
        """Say the outcome on standard error when standard output did not take the report."""
        if not arrived:
            self._say(
                f"Note: the report was not printed ({report.command}: "
                f"{report.result.outcome}, exit {report.exit_code})."
            )

    def _progress(self, text: str) -> None:
        self._say(text)
        self._log(text)

    def _say(self, text: str) -> None:
        """Say something on standard error, where diagnostics go."""
        lines = terminal.harmless(self._redacted(text)).rstrip("\n")
        terminal.write(self._around.stderr, lines + "\n")

    def _detail(self) -> None:
        settings = self._known_settings()
        if "--verbose" in self._globals:
            self._say(f"Environment: {settings.environment or 'unset'} (from {settings.source})")
            self._say(f"State folder: {settings.state_dir}")
            self._say(f"Set: {', '.join(sorted(settings.present_names)) or 'nothing'}")

    def _log(self, text: str) -> None:
        """Append to the operator's log, where one is set; a log that fails is said once."""
        if self._settings is None or self._settings.log_path is None or self._log_failed:
            return
        from quantlab.kernel.clock import SystemClock, rfc3339
        from quantlab.storage.diagnostics import append_text

        line = f"{rfc3339(SystemClock().now())} {self._redacted(text)}\n"
        if not append_text(self._settings.log_path, line):
            self._log_failed = True
            self._say(f"Note: the log {self._settings.log_path} cannot be written.")

    def _redacted(self, text: str) -> str:
        return text if self._settings is None else self._settings.redact(text)


def _completed(command: Command, fields: Mapping[str, Any]) -> NextStep:
    """Return the line as it was given, with a place for whatever a person has to say on it."""
    options: list[tuple[str, str | None]] = []
    for parameter in command.options:
        name, value = str(parameter.flag), fields[parameter.field]
        if parameter.kind == "switch":
            options += [(name, None)] if value or name == "confirm" else []
        elif value is not None and str(value) != parameter.default:
            options.append((name, str(value)))
        elif parameter.kind == "optional_text":
            options.append((name, f"<{name}>"))
    positional = command.positional
    arguments = () if positional is None else (str(fields[positional.field]),)
    return NextStep(why="Give what is missing.", verb=command.name, arguments=arguments, options=tuple(options))
