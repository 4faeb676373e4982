"""Every way a line can end: its exit code, its stream, its words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantlab.cli import main as program
from quantlab.cli import table
from quantlab.kernel.build_info import VERSION
from quantlab.kernel.errors import (
    Busy,
    Denied,
    StorageFault,
    Unreadable,
    Unverified,
    UsageFault,
)
from quantlab.kernel.result import NextStep, Refusal, Result

RECONCILE = "--broker-order-validations-reconcile"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("done", 0), ("denied", 1), ("rejected", 3), ("unknown", 4), ("unverified", 5), ("busy", 6),
     ("never_sent", 7), ("unreadable", 7)],
)  # fmt: skip
def test_a_result_decides_the_exit_code(machine, outcome, code):
    """A rung's outcome is the exit code, in text and in JSON; both on standard output."""
    machine.rung("reconcile", Result(outcome=outcome, headline="So it is."))
    assert code == machine("kraken", "reconcile", "X")
    assert ("So it is.\n", "") == (machine.out, machine.err)
    assert code == machine("kraken", "reconcile", "X", "--json")
    assert (outcome, code) == (machine.envelope["outcome"], machine.envelope["exit_code"])


@pytest.mark.parametrize(
    ("kind", "code"),
    [(UsageFault, 2), (Denied, 1), (StorageFault, 1), (Unverified, 5), (Busy, 6), (Unreadable, 7)],
)
def test_a_fault_decides_the_exit_code(machine, kind, code):
    """A fault's text goes to standard error; with JSON it is an envelope on standard output."""
    step = NextStep(why="Look.", verb="show", arguments=("X",))
    fault = kind("No.", code="why", measured="1", limit="2", next_step=step, session_id="s")
    machine.rung("reconcile", fault)
    assert code == machine(RECONCILE, "X", program_name="python main.py")
    assert "" == machine.out
    label = "Refused" if code in {1, 2} else "Why"
    show = "python main.py --broker-order-validations-show X"
    assert machine.err == f"No.\n{label}: why\n  found: 1\n  limit: 2\n\nNext: Look.\n  {show}\n"
    assert code == machine("kraken", "reconcile", "X", "--json")
    assert "" == machine.err
    assert {
        "schema": "quantlab.result/1",
        "command": "kraken reconcile",
        "environment": None,
        "outcome": fault.outcome,
        "exit_code": code,
        "session_id": "s",
        "artifacts": [],
        "refusals": [{"code": "why", "message": "No.", "measured": "1", "limit": "2"}],
        "next": {"why": "Look.", "command": "quantlab kraken show X"},
        "data": None,
    } == machine.envelope


def test_the_desk_and_the_request(machine):
    """A rung gets the desk of its corridor and a request of its own fields; it may report progress."""
    machine.environ["QUANTLAB_ENVIRONMENT"] = "rehearsal"
    rung = machine.rung("supervise", lambda desk: desk.progress("open") or Result(
        outcome="done", headline="Bound reached."))  # fmt: skip
    assert 0 == machine("kraken", "supervise", "X", "--seconds", "5")
    assert ("REHEARSAL\nBound reached.\n", "open\n") == (machine.out, machine.err)
    assert {"session": Path("X"), "bound_seconds": 5} == rung.seen[1]
    [(found, corridor)] = machine.desks
    assert ("rehearsal", "kraken") == (found.environment, corridor)
    machine.rung("halting")
    assert 0 == machine("halt", "--reviewer", "a", "--reason", "b")
    assert machine.desks[-1][1] is None


def test_a_rung_can_spell_a_next_command(machine):
    """The desk writes a next command in the operator's own spelling."""
    step = NextStep(why="", verb="show", arguments=("X",))
    machine.rung("status", lambda desk: Result(outcome="done", headline=desk.spell(step)))
    assert 0 == machine("--broker-order-validations-status", "X")
    assert "quantlab --broker-order-validations-show X\n" == machine.out


def test_the_environment_of_the_result_wins(machine):
    """A session that is not live says so even where the setting says live."""
    machine.environ["QUANTLAB_ENVIRONMENT"] = "live"
    machine.rung("status", Result(outcome="done", headline="x", environment="testnet"))
    assert 0 == machine("kraken", "status", "X")
    assert machine.out.startswith("TESTNET\n")


def test_usage_errors(machine):
    """A wrong line ends with 2, a sentence, and where help stands, in the line's spelling."""
    assert 2 == machine("--broker-order-validations-show", program_name="python main.py")
    assert machine.err.endswith("  python main.py --broker-order-validations-show --help\n")
    assert 2 == machine("kraken", "show")
    assert machine.err.endswith("  quantlab kraken show --help\n")
    assert 2 == machine()
    assert machine.err.endswith("  quantlab --help\n")
    assert 2 == machine("--json", "kraken", "show", "X", "--odd")
    assert ("usage", "kraken show") == (machine.envelope["outcome"], machine.envelope["command"])
    assert 2 == machine("--odd", "--json")
    assert ("quantlab", None) == (machine.envelope["command"], machine.envelope["data"])


def test_settings_that_are_wrong(machine):
    """A bad setting ends with 2 before a rung is imported."""
    machine.environ["QUANTLAB_ENVIRONMENT"] = "prod"
    assert 2 == machine("kraken", "status", "X")
    assert "QUANTLAB_ENVIRONMENT is 'prod'" in machine.err


def test_a_working_directory_that_is_gone(machine):
    """Without a working directory a command ends with 2 and says so."""

    def gone():
        raise UsageFault("gone", code="working_directory_gone")

    around = program.Surroundings(
        environ={}, cwd=gone, stdout=machine.stdout, stderr=machine.stderr, platform="linux",
        load=machine.load,
    )  # fmt: skip
    assert 2 == program.run(["policy", "show"], around)


def test_alerts_are_json(machine):
    """Alerts print their document alone, or inside the envelope when JSON is asked for."""
    document = {"generated_at": "t", "alerts": []}
    machine.environ["QUANTLAB_ENVIRONMENT"] = "rehearsal"
    machine.rung("listing", Result(outcome="done", headline="None.", data=document))
    assert 0 == machine("--broker-order-validations-alerts", "r")
    assert document == machine.envelope
    assert 0 == machine("--broker-order-validations-alerts", "r", "--json")
    assert document == machine.envelope["data"]
    machine.rung("listing", Result(outcome="unverified", headline="None."))
    assert 5 == machine("kraken", "alerts")
    assert 5 == machine.envelope["exit_code"]
    machine.rung("listing", Denied("No.", code="no"))
    assert 1 == machine("kraken", "alerts")
    assert 1 == machine.envelope["exit_code"]
    assert machine.err.endswith("No.\nRefused: no\n")


def test_ctrl_c(machine):
    """Interrupted before anything was sent: 130. After the command had ended: its own exit code."""
    machine.rung("status", KeyboardInterrupt())
    assert 130 == machine("kraken", "status", "X", "--json")
    assert "interrupted" == machine.envelope["outcome"]
    machine.rung("submit", Result(outcome="unknown", headline="x"))

    class Interrupting(type(machine.stdout)):
        def flush(self):
            raise KeyboardInterrupt

    around = program.Surroundings(
        environ=machine.environ, cwd=lambda: machine.folder, stdout=Interrupting(),
        stderr=machine.stderr, platform="linux", load=machine.load,
    )  # fmt: skip
    assert 4 == program.run(["kraken", "submit", "X"], around)


def test_a_defect(machine, canaries):
    """A defect ends with 70 and no traceback; the trace goes to the log, without secrets."""
    log = machine.folder / "q.log"
    machine.environ |= {"QUANTLAB_LOG": str(log), "KRAKEN_API_SECRET": canaries.kraken_secret}
    machine.rung("status", ValueError(f"bad {canaries.kraken_secret}"))
    assert 70 == machine("kraken", "status", "X")
    assert "A defect of QuantLab ended the command (ValueError).\nWhy: bug\n" == machine.err
    assert "ValueError: bad [redacted]" in log.read_text()
    assert 0o600 == log.stat().st_mode & 0o777
    assert 70 == machine("kraken", "status", "X", "--verbose")
    assert "Traceback" in machine.err
    assert [] == canaries.find_in(machine.err + log.read_text())


@pytest.mark.parametrize("rung", ["submit", "cancel"])
def test_a_defect_while_money_could_move(machine, rung):
    """After a defect in what can move money, the operator is told to find out."""
    machine.rung(rung, ValueError())
    assert 70 == machine("kraken", rung, "a b")
    assert "treat the outcome as unknown" in machine.err
    assert "quantlab kraken reconcile 'a b'" in machine.err


@pytest.mark.parametrize(
    ("words", "rung", "line"),
    [
        (("submit", "d/a.json", "--root", "my root"), "submit_signed", "quantlab hyperliquid list 'my root'"),
        (("burn", "a b"), "burn", "quantlab hyperliquid reconcile 'a b'"),
        (("cancel", "a b"), "cancel", "quantlab hyperliquid reconcile 'a b'"),
    ],
)
def test_a_defect_while_a_signed_action_could_move_money(machine, words, rung, line):
    """Where the session has no name yet, the way to it is named: never a line that sends."""
    machine.rung(rung, ValueError())
    assert 70 == machine("hyperliquid", *words)
    assert "treat the outcome as unknown" in machine.err
    assert line in machine.err


@pytest.mark.parametrize(
    ("words", "rung", "code", "line"),
    [
        (
            ("hyperliquid", "submit", "my d/a.json", "--root", "r"),
            "submit_signed",
            "reviewer_required",
            "quantlab hyperliquid submit 'my d/a.json' --reviewer '<reviewer>' --confirm --note '<note>' --root r",
        ),
        (
            ("--hyperliquid-submit-session", "d/a.json", "--hyperliquid-submit-reviewer", "marce"),
            "submit_signed",
            "confirm_required",
            (
                "quantlab --hyperliquid-submit-session d/a.json --hyperliquid-submit-reviewer marce"
                " --hyperliquid-submit-confirm --hyperliquid-submit-note '<note>'"
            ),
        ),
        (
            ("certify", "hyperliquid", "--symbol", "BTC"),
            "certify",
            "confirm_required",
            (
                "quantlab certify hyperliquid outputs/broker_preflight/hyperliquid_certification"
                " --reviewer '<reviewer>' --confirm --symbol BTC"
            ),
        ),
    ],
)
def test_a_line_that_lacks_what_a_person_says(machine, words, rung, code, line):
    """The next command is the same line with a place for the name, the confirmation and the reason."""
    machine.rung(rung, Denied("No.", code=code))
    assert 1 == machine(*words)
    assert machine.err.endswith(f"\n  {line}\n")


def test_another_refusal_is_not_answered_with_the_same_line(machine):
    """A line that was complete and was refused is not suggested again."""
    machine.rung("submit_signed", Denied("No.", code="signature_expired"))
    assert 1 == machine("hyperliquid", "submit", "d/a.json")
    assert "Next:" not in machine.err


def test_a_result_that_cannot_be_rendered(machine):
    """A result of no known outcome, or with data of no JSON form, is a defect, not a traceback."""
    machine.rung("status", Result(outcome="odd", headline="x"))
    assert 70 == machine("kraken", "status", "X")
    machine.rung("status", Result(outcome="done", headline="x", data=object()))
    assert 70 == machine("kraken", "status", "X", "--json")


def test_the_log(machine):
    """The log says what ended how; one that cannot be written is said once and changes nothing."""
    machine.environ["QUANTLAB_LOG"] = "q.log"
    machine.rung("status", lambda desk: desk.progress("asking") or Result(
        outcome="done", headline="x"))  # fmt: skip
    assert 0 == machine("kraken", "status", "X")
    first, second = (machine.folder / "q.log").read_text().splitlines()
    assert first.endswith("Z asking")
    assert second.endswith("Z kraken status: done, exit 0")
    machine.environ["QUANTLAB_LOG"] = "no/q.log"
    assert 0 == machine("kraken", "status", "X")
    assert 1 == machine.err.count("cannot be written")


def test_verbose_and_notes(machine):
    """Verbose names what is set, never a value; an ignored file is always said."""
    machine.environ["KRAKEN_API_KEY"] = "secretsecret"
    (machine.folder / ".env").write_text("QUANTLAB_ENVIRONMENT=live\n")
    machine.rung("status")
    assert 0 == machine("kraken", "status", "X", "--verbose")
    assert machine.err.startswith("Note: .env: QUANTLAB_ENVIRONMENT ignored")
    assert "Environment: unset (from process)\n" in machine.err
    assert "Set: KRAKEN_API_KEY\n" in machine.err
    assert "secretsecret" not in machine.err


def test_secrets_are_redacted_at_the_door(machine):
    """A secret that a rung lets slip is gone from text and JSON alike."""
    machine.environ["KRAKEN_API_SECRET"] = "secretsecret"
    refusal = Refusal(code="c", message="secretsecret")
    machine.rung("status", Result(outcome="denied", headline="secretsecret", refusals=(refusal,)))
    assert 1 == machine("kraken", "status", "X")
    assert "secretsecret" not in machine.out
    assert 1 == machine("kraken", "status", "X", "--json")
    assert "[redacted]" in machine.out
    assert "secretsecret" not in machine.out


def test_standard_output_that_takes_nothing(machine):
    """Where the report cannot be printed, the outcome is said on standard error; the code stays."""
    machine.stdout = None
    machine.rung("submit", Result(outcome="unknown", headline="x"))
    assert 4 == machine("kraken", "submit", "X")
    assert "Note: the report was not printed (kraken submit: unknown, exit 4).\n" == machine.err
    assert 4 == machine("kraken", "submit", "X", "--json")
    assert "not printed" in machine.err


def test_help_and_version(machine):
    """Help and version need no settings, pass in both spellings, and speak JSON when asked."""
    machine.environ = {"QUANTLAB_ENVIRONMENT": "prod"}
    assert 0 == machine("--version")
    assert machine.out.startswith(f"quantlab {VERSION}")
    assert 0 == machine("--version", "--json")
    assert VERSION == machine.envelope["data"]["version"]
    assert 0 == machine("--help")
    assert "Submit once" in machine.out
    assert 0 == machine("kraken", "gate", "-h")
    assert machine.out.startswith("usage: quantlab kraken gate SESSION")
    assert 0 == machine("kraken", "--help")
    assert "kraken gate" in machine.out
    assert 0 == machine("--broker-order-validations-submit-gate", "--help")
    assert machine.out.startswith("usage: quantlab kraken gate SESSION")
    assert 0 == machine("--help", "--json", "kraken", "gate")
    assert "kraken gate" == machine.envelope["command"]
    machine.environ = {"HOME": "/nowhere"}
    machine.rung("listing_session")
    assert 0 == machine("kraken", "show", "--", "--help")


def test_windows_is_refused(machine):
    """Windows gets one sentence and 2, before anything else."""
    machine.platform = "win32"
    assert 2 == machine("--version")
    assert ("", 1) == (machine.out, machine.err.count("\n"))


WORDS = st.one_of(
    st.sampled_from(["kraken", "show", "approve", "--json", "--", "halt", "--reviewer", "--note", "-1", "policy"]),
    st.sampled_from(sorted([*table.VERB_FLAGS, *table.OPTION_FLAGS])),
    st.text(max_size=5),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=6))
def test_no_line_ends_in_a_defect(machine, line):
    """Whatever is typed ends with a documented code, never with a defect."""
    for command in table.COMMANDS:
        if command.runner and command.runner.startswith("quantlab.rungs."):
            machine.rung(command.runner.removeprefix("quantlab.rungs."))
    if "init" in line or "rehearsal" in line:
        return
    assert machine(*line) in {0, 2}


def start(*argv, module=True, cwd=None, **more):
    """Run the program as a process of its own."""
    words = ["-m", "quantlab"] if module else []
    environ = {**os.environ, "PYTHONPATH": str(Path(program.__file__).parents[2])}
    if not module:  # a coverage run would load modules of its own
        environ = {name: text for name, text in environ.items() if not name.startswith("COV")}
    return subprocess.run([sys.executable, *words, *argv], text=True, check=False, env=environ, cwd=cwd, **more)


def test_the_process(tmp_path):
    """The module runs as a program, with the words of the process."""
    done = start("policy", "show", "--json", capture_output=True, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith('{"schema":"quantlab.result/1"')


def test_a_reader_that_goes_away(tmp_path):
    """A pipe that is closed early ends without a traceback."""
    with subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE, text=True) as reader:
        reader.wait()
        done = start("--help", stdout=reader.stdin, stderr=subprocess.PIPE, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)


def test_main_in_the_process(capsys, monkeypatch):
    """`main` takes the process's words; a second Ctrl-C still ends with 130."""
    monkeypatch.setattr(sys, "argv", ["quantlab", "--version"])
    assert 0 == program.main()
    assert VERSION in capsys.readouterr().out
    assert 2 == program.main(["--odd"], runbook=True)
    assert "python main.py --help" in capsys.readouterr().err

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "run", interrupted)
    assert 130 == program.main(["--version"])


HEAVY = ("ssl", "asyncio", "http.client", "sqlite3", "dataclasses", "socket", "websockets",
         "tomllib", "logging", "subprocess", "json")  # fmt: skip
BUDGET = f"""
import sys
before = set(sys.modules)
from quantlab.cli.main import main
code = main(["--version"])
print(code, [name for name in {HEAVY!r} if name in set(sys.modules) - before])
"""


def test_the_import_budget(tmp_path):
    """Starting up and saying the version loads nothing that only a rung needs."""
    done = start("-c", BUDGET, module=False, capture_output=True, cwd=tmp_path)
    assert ["0 []"] == done.stdout.splitlines()[1:]
