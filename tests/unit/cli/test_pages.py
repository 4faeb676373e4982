"""Help, reference pages and completion say what the table says."""

import shutil
import subprocess

import pytest

from quantlab import config
from quantlab.cli import reference, table
from quantlab.cli.completion import completion_script
from quantlab.cli.help import help_text
from quantlab.kernel.errors import EXIT_CODES
from quantlab.model.policy import POLICY_RULES


def test_the_overview_names_everything():
    """The overview names each command under its heading, and each runbook flag."""
    text = help_text(None, [], width=100)
    for command in table.COMMANDS:
        assert command.name in text
        assert command.runbook is None or command.runbook in text
    headings = [text.index(f"\n{section}\n") for section, _ in table.by_section()]
    assert sorted(headings) == headings
    assert all(each.flag in text for each in table.GLOBAL_OPTIONS)


@pytest.mark.parametrize("width", [20, 40, 100])
@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda command: command.name)
def test_the_help_of_a_command(command, width):
    """The help of a command shows both spellings of each option, in any width."""
    text = help_text(command, [], width=width)
    assert command.name in " ".join(text.split())
    for parameter in command.options:
        assert f"--{parameter.flag}" in text
        assert (command.runbook is not None) == (str(parameter.runbook) in text)


def test_the_help_of_a_corridor():
    """A corridor's help lists all that serves it, also what stands in another group."""
    text = help_text(None, ["hyperliquid"], width=80)
    assert "certify hyperliquid" in text
    assert "hyperliquid burn" in text
    assert "kraken" not in text


def test_the_help_of_a_group():
    """A group's help lists its own commands; an unknown word gets the overview."""
    text = help_text(None, ["ledger"], width=80)
    assert "ledger rebuild" in text
    assert "kraken" not in text
    assert help_text(None, [], width=80) == help_text(None, ["nothing"], width=80)


def test_the_pages():
    """Each page is whole: every command, outcome, setting and policy key stands in it."""
    pages = reference.documents()
    assert {"docs/cli.md", "docs/configuration.md", "docs/exit-codes.md"} == set(pages)
    for command in table.COMMANDS:
        assert f"\n### {command.name}\n" in pages["docs/cli.md"]
    for outcome, code in EXIT_CODES.items():
        assert f"| {code} | `{outcome}` |" in pages["docs/exit-codes.md"]
    for name in (*config.SETTING_NAMES, *(rule.key for rule in POLICY_RULES)):
        assert f"| `{name}` |" in pages["docs/configuration.md"]
    assert all(page.endswith("\n") and "\n\n\n" not in page for page in pages.values())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_knows_every_flag(shell):
    """Each shell's script knows every command and every flag of both spellings."""
    script = completion_script(shell)
    dashes = "-l " if shell == "fish" else "--"
    for command in table.COMMANDS:
        assert command.verb in script
        assert command.runbook is None or dashes + command.runbook[2:] in script
        for parameter in command.options:
            assert dashes + str(parameter.flag) in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_read_by_its_shell(shell):
    """The shell itself finds no fault in its script."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not on this machine")
    check = subprocess.run(
        [program, "-n", "/dev/stdin"],
        input=completion_script(shell),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (check.returncode, check.stderr)


BASH_TRIES = """
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _quantlab; echo "${COMPREPLY[*]}"; }
try quantlab kr
try quantlab kraken su
try quantlab kraken gate X --r
try quantlab --broker-order-validations-app
try quantlab --broker-order-validations-approve X --b
try quantlab kraken resolve X --decision n
try quantlab completion z
try quantlab kraken approve X --note ""
try quantlab kraken show ./so
try quantlab certify h
try quantlab hyperliquid b
try quantlab hyperliquid sign d --key
try quantlab --hyperliquid-submit-sessions-burn X --hyperliquid-b
"""


def test_bash_completes(tmp_path):
    """Bash completes verbs, options in the line's spelling, choices and paths."""
    (tmp_path / "some").mkdir()
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not on this machine")
    done = subprocess.run(
        [bash, "--norc", "-c", completion_script("bash") + BASH_TRIES],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines() == [
        "kraken",
        "submit supervise",
        "--reviewer",
        "--broker-order-validations-approve",
        "--broker-approval-reviewer --broker-approval-note",
        "not_landed",
        "zsh",
        "",
        "./some",
        "hyperliquid",
        "burn",
        "--keystore --keyring",
        "--hyperliquid-burn-reviewer --hyperliquid-burn-confirm --hyperliquid-burn-note",
    ]
