"""The next command is written the way the operator writes, and can be pasted into a shell."""

import shlex

import pytest

from quantlab.cli.parsing import parse
from quantlab.cli.runbook import translate
from quantlab.cli.spelling import Spelling
from quantlab.kernel.result import NextStep

GROUPED = Spelling(program="quantlab", flags=False)
FLAGS = Spelling(program="python main.py", flags=True)


def step(verb, *arguments, **options):
    """Return a next step; True stands for a switch."""
    pairs = tuple((name, None if text is True else text) for name, text in options.items())
    return NextStep(why="", verb=verb, arguments=arguments, options=pairs)


CASES = [
    (GROUPED, step("reconcile", "a b"), "quantlab kraken reconcile 'a b'"),
    (FLAGS, step("reconcile", "a b"), "python main.py --broker-order-validations-reconcile 'a b'"),
    (
        FLAGS,
        step("submit", "X", reviewer="<name>", confirm=True, live=True),
        (
            "python main.py --broker-order-validations-submit-real X --broker-submit-reviewer '<name>'"
            " --broker-submit-confirm --broker-submit-live"
        ),
    ),
    (
        GROUPED,
        step("gate", "X", reviewer="-m", confirm=True),
        "quantlab kraken gate X --reviewer=-m --confirm",
    ),
    (
        FLAGS,
        step("validate", symbol="E"),
        "python main.py --kraken-order-validate-session --broker-symbol E",
    ),
    (FLAGS, step("rehearsal serve", state="d"), "python main.py rehearsal serve --state d"),
    (FLAGS, step("halt"), "python main.py halt"),
    (FLAGS, step("list"), "python main.py --broker-order-validations-list outputs/broker_order_validations"),
    (GROUPED, step("list"), "quantlab kraken list"),
    (FLAGS, step("show", "X", odd="1"), "python main.py kraken show X --odd 1"),
    (FLAGS, step("show", "X", "Y"), "python main.py kraken show X Y"),
    (GROUPED, step("unheard of", "X", odd=True), "quantlab unheard of X --odd"),
]


@pytest.mark.parametrize(("spelling", "next_step", "line"), CASES, ids=[line for *_, line in CASES])
def test_line(spelling, next_step, line, command):
    """A step is completed with the corridor, and falls back to the grouped spelling."""
    assert line == spelling.line(next_step, command("kraken status"))


PERP_CASES = [
    (
        FLAGS,
        step("sign", symbol="ETH", side="buy", quantity="0.25", notional="500", signer="0xb", **{"post-only": True}),
        None,
    ),
    (
        FLAGS,
        step("submit", "my dir/hyperliquid_signed_action.json", reviewer="<reviewer>", confirm=True),
        (
            "python main.py --hyperliquid-submit-session 'my dir/hyperliquid_signed_action.json'"
            " --hyperliquid-submit-reviewer '<reviewer>' --hyperliquid-submit-confirm"
        ),
    ),
    (
        GROUPED,
        step("submit", "my dir/hyperliquid_signed_action.json", reviewer="<reviewer>", confirm=True),
        "quantlab hyperliquid submit 'my dir/hyperliquid_signed_action.json' --reviewer '<reviewer>' --confirm",
    ),
    (
        FLAGS,
        step("burn", "out puts/x", reviewer="<reviewer>", confirm=True),
        (
            "python main.py --hyperliquid-submit-sessions-burn 'out puts/x' --hyperliquid-burn-reviewer '<reviewer>'"
            " --hyperliquid-burn-confirm"
        ),
    ),
    (
        GROUPED,
        step("burn", "out puts/x", reviewer="<reviewer>", confirm=True),
        "quantlab hyperliquid burn 'out puts/x' --reviewer '<reviewer>' --confirm",
    ),
    (
        FLAGS,
        step("resolve", "x", reviewer="m", confirm=True, decision="not_landed", note="why not"),
        (
            "python main.py --hyperliquid-submit-sessions-resolve x --hyperliquid-resolve-reviewer m"
            " --hyperliquid-resolve-confirm --hyperliquid-resolve-decision not_landed"
            " --hyperliquid-resolve-note 'why not'"
        ),
    ),
]


@pytest.mark.parametrize(("spelling", "next_step", "line"), PERP_CASES)
def test_line_of_the_signing_corridor(spelling, next_step, line, command):
    """The verbs that both corridors have, and those that only this one has, are written as this one calls them."""
    printed = spelling.line(next_step, command("hyperliquid status"))
    if line is not None:
        assert line == printed
    words = translate(shlex.split(printed.removeprefix(spelling.program)))
    invocation = parse(words, spelling)
    assert f"hyperliquid {next_step.verb}" == invocation.command.name


def test_a_sign_line_with_its_outdir_unsaid(command):
    """The runbook's sign flag carries the outdir: where the step names none, the default is written out."""
    printed = FLAGS.line(step("sign", symbol="ETH"), command("hyperliquid status"))
    default = "outputs/broker_preflight/hyperliquid_signed_action"
    assert f"python main.py --hyperliquid-signed-action-outdir {default} --broker-symbol ETH" == printed
    printed = FLAGS.line(step("sign", "my d", symbol="ETH"), command("hyperliquid status"))
    assert "python main.py --hyperliquid-signed-action-outdir 'my d' --broker-symbol ETH" == printed


def test_a_bare_verb_without_a_corridor(command):
    """From a command of no corridor, a bare verb means the first group that has it."""
    assert "quantlab kraken validate" == GROUPED.line(step("validate"), command("policy show"))
    assert "quantlab kraken validate" == GROUPED.line(step("validate"), None)
    assert "quantlab halt" == GROUPED.line(step("halt"), None)


@pytest.mark.parametrize("spelling", [GROUPED, FLAGS])
def test_what_is_printed_can_be_run(spelling, command):
    """The printed line, read back by a shell and by this program, is the step again."""
    line = spelling.line(step("resolve", "a 'b", decision="landed", confirm=True, note="-x"), None)
    words = shlex.split(line.removeprefix(spelling.program))
    invocation = parse(translate(words), spelling)
    assert command("kraken resolve") == invocation.command
    assert ("note", "-x") in invocation.values


def test_names(command):
    """Commands and parameters are called what the line calls them."""
    gate = command("kraken gate")
    assert "--broker-order-validations-submit-gate" == FLAGS.command_name(gate)
    assert "kraken gate" == GROUPED.command_name(gate)
    assert "halt" == FLAGS.command_name(command("halt"))
    assert "--reviewer" == FLAGS.name(command("halt"), command("halt").options[0])
    completion = command("completion")
    assert "SHELL" == FLAGS.name(completion, completion.parameters[0])
