"""The runbook's flags become the grouped spelling, and nothing else passes."""

import contextlib
import shlex
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.cli import runbook, table
from quantlab.cli.parsing import parse, select
from quantlab.cli.spelling import Spelling
from quantlab.kernel.errors import UsageFault

FLAGS = Spelling(program="python main.py", flags=True)
ROOT = "outputs/broker_order_validations"
SESSION = f"{ROOT}/<session_id>"
NO_ACCOUNT = "0x" + "0" * 40
SIGNED = "outputs/broker_preflight/hyperliquid_signed_action_demo"
SUBMITS = "outputs/hyperliquid_submits"

SEED = [
    (
        "--broker-evidence-readiness-outdir outputs/broker_evidence",
        "evidence readiness -- outputs/broker_evidence",
    ),
    (
        "--broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor hyperliquid",
        "evidence readiness --corridor=hyperliquid -- outputs/broker_evidence",
    ),
    (
        "--broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor kraken",
        "evidence readiness --corridor=kraken -- outputs/broker_evidence",
    ),
    (
        (
            "--kraken-order-validate-session --broker-symbol ETH-USD --broker-side buy"
            " --broker-quantity 0.25 --broker-notional 500 --broker-account-id acct_demo"
        ),
        "kraken validate --symbol=ETH-USD --side=buy --quantity=0.25 --notional=500 --account-id=acct_demo",
    ),
    (f"--broker-order-validations-show {SESSION!r}", f"kraken show -- {SESSION!r}"),
    (
        (
            f"--broker-order-validations-approve {SESSION!r} --broker-approval-reviewer marce"
            ' --broker-approval-note "Approved after validate-only review"'
        ),
        f"kraken approve --reviewer=marce '--note=Approved after validate-only review' -- {SESSION!r}",
    ),
    (f"--broker-order-validations-bundle {SESSION!r}", f"kraken bundle -- {SESSION!r}"),
    (
        (
            f"--broker-order-validations-submit-gate {SESSION!r} --broker-submit-reviewer marce"
            ' --broker-submit-confirm --broker-submit-note "Ready for supervised submit review"'
        ),
        f"kraken gate --reviewer=marce --confirm '--note=Ready for supervised submit review' -- {SESSION!r}",
    ),
    (
        (
            f"--broker-order-validations-submit-real {SESSION!r} --broker-submit-reviewer marce"
            " --broker-submit-confirm --broker-submit-live"
            ' --broker-submit-note "First supervised live submit"'
        ),
        (f"kraken submit --reviewer=marce --confirm --live '--note=First supervised live submit' -- {SESSION!r}"),
    ),
    (f"--broker-order-validations-reconcile {SESSION!r}", f"kraken reconcile -- {SESSION!r}"),
    (f"--broker-order-validations-status {SESSION!r}", f"kraken status -- {SESSION!r}"),
    (f"--broker-order-validations-health {ROOT}", f"kraken health -- {ROOT}"),
    (f"--broker-order-validations-alerts {ROOT}", f"kraken alerts -- {ROOT}"),
]
SEED_OF_HYPERLIQUID = [
    (
        (
            "--hyperliquid-preflight-outdir outputs/broker_preflight/hyperliquid_demo --broker-symbol ETH"
            " --execution-transport-preference websocket"
        ),
        "hyperliquid preflight --symbol=ETH --transport=websocket -- outputs/broker_preflight/hyperliquid_demo",
    ),
    (
        (
            "--hyperliquid-account-readiness-outdir outputs/broker_preflight/hyperliquid_account_demo"
            f" --execution-account-id {NO_ACCOUNT}"
        ),
        (
            f"hyperliquid account-readiness --account-id={NO_ACCOUNT}"
            " -- outputs/broker_preflight/hyperliquid_account_demo"
        ),
    ),
    (
        (
            f"--hyperliquid-signed-action-outdir {SIGNED} --broker-symbol ETH --broker-side buy"
            f" --broker-quantity 0.25 --broker-notional 500 --execution-account-id {NO_ACCOUNT}"
            " --execution-signer-id 0xSIGNER_ADDRESS --hyperliquid-private-key-env HYPERLIQUID_PRIVATE_KEY"
        ),
        (
            f"hyperliquid sign --symbol=ETH --side=buy --quantity=0.25 --notional=500 --account-id={NO_ACCOUNT}"
            f" --signer=0xSIGNER_ADDRESS --private-key-env=HYPERLIQUID_PRIVATE_KEY -- {SIGNED}"
        ),
    ),
    (
        (
            f"--hyperliquid-submit-session {SIGNED}/hyperliquid_signed_action.json"
            " --hyperliquid-submit-reviewer marce --hyperliquid-submit-confirm"
            f" --hyperliquid-submit-sessions-root {SUBMITS}"
        ),
        (f"hyperliquid submit --reviewer=marce --confirm --root={SUBMITS} -- {SIGNED}/hyperliquid_signed_action.json"),
    ),
    *(
        (
            f"--hyperliquid-submit-sessions-{verb} '{SUBMITS}/<session_id>'",
            f"hyperliquid {verb} -- '{SUBMITS}/<session_id>'",
        )
        for verb in ("status", "reconcile", "fills", "supervise")
    ),
    (f"--hyperliquid-submit-sessions-health {SUBMITS}", f"hyperliquid health -- {SUBMITS}"),
    (f"--hyperliquid-submit-sessions-alerts {SUBMITS}", f"hyperliquid alerts -- {SUBMITS}"),
    (
        (
            f"--hyperliquid-submit-sessions-cancel '{SUBMITS}/<session_id>'"
            " --hyperliquid-cancel-reviewer marce --hyperliquid-cancel-confirm"
        ),
        f"hyperliquid cancel --reviewer=marce --confirm -- '{SUBMITS}/<session_id>'",
    ),
]
LINES = [*SEED, *SEED_OF_HYPERLIQUID]


@pytest.mark.parametrize(("line", "grouped"), LINES, ids=[grouped for _, grouped in LINES])
def test_seed_line(line, grouped):
    """Every line of the seed works word for word, in both spellings, and makes the request of its rung."""
    words = runbook.translate(shlex.split(line))
    assert shlex.split(grouped) == words
    invocation = parse(words, FLAGS)
    assert invocation.command.name == " ".join(grouped.split()[:2])
    by_hand = parse(shlex.split(grouped), Spelling(program="quantlab", flags=False))
    assert invocation == by_hand
    module = import_module(invocation.command.runner)
    assert module.Request(**dict(invocation.values)) == module.Request(**dict(by_hand.values))


def test_the_seed_has_24_lines():
    """Both lists together are the whole seed, each line once."""
    lines = [line for line, _ in LINES]
    assert 24 == len(lines) == len(set(lines))


SIGN = "--hyperliquid-signed-action-outdir"


def test_what_a_seed_line_asks_for():
    """The seed's sign and submit lines arrive typed, with nothing that was not said."""
    sign, submit = (
        dict(parse(runbook.translate(shlex.split(line)), FLAGS).values)
        for line in (SEED_OF_HYPERLIQUID[2][0], SEED_OF_HYPERLIQUID[3][0])
    )
    said = {
        "outdir": Path(SIGNED), "symbol": "ETH", "side": "buy", "quantity": Decimal("0.25"), "notional": Decimal(500),
        "account": NO_ACCOUNT, "signer": "0xSIGNER_ADDRESS", "private_key_env": "HYPERLIQUID_PRIVATE_KEY",
    }  # fmt: skip
    assert said == {name: value for name, value in sign.items() if value not in (None, False)}
    assert submit == {
        "artifact": Path(SIGNED) / "hyperliquid_signed_action.json",
        "reviewer": "marce",
        "confirm": True,
        "note": None,
        "root": Path(SUBMITS),
    }


def test_a_grouped_line_stays_as_it_is():
    """A line in the grouped spelling is not touched."""
    line = ["--json", "kraken", "show", "X", "--verbose"]
    assert line == runbook.translate(line)
    assert [] == runbook.translate([])
    assert ["--json"] == runbook.translate(["--json"])


def test_options_of_every_command_pass():
    """--json, --verbose and --help pass wherever they stand, and never become a value."""
    line = ["--json", "--broker-order-validations-show", "X", "-h", "--verbose"]
    assert ["kraken", "show", "--json", "-h", "--verbose", "--", "X"] == runbook.translate(line)


def test_values_with_an_equals_sign():
    """A value may be joined by an equals sign, also one that begins with dashes."""
    line = ["--broker-order-validations-approve=X", "--broker-approval-note=--json = fine"]
    assert ["kraken", "approve", "--note=--json = fine", "--", "X"] == runbook.translate(line)


@pytest.mark.parametrize("value", ["-1", "-0.5", "-"])
def test_a_negative_number_is_a_value(value):
    """A negative number is taken as the value, so that the refusal can speak of the number."""
    line = ["--kraken-order-validate-session", "--broker-quantity", value]
    assert f"--quantity={value}" in runbook.translate(line)


SHOW, APPROVE = "--broker-order-validations-show", "--broker-order-validations-approve"
REFUSED = {
    "two verbs": ([SHOW, "X", APPROVE, "X"], "two_commands", "one at a time"),
    "sign and submit": ([SIGN, "d", "--hyperliquid-submit-session", "d/a.json"], "two_commands", "one at a time"),
    "burn and cancel": (
        ["--hyperliquid-submit-sessions-burn", "X", "--hyperliquid-submit-sessions-cancel", "X"],
        "two_commands",
        "Nothing was done",
    ),
    "two corridors": (["--hyperliquid-submit-sessions-status", "X", SHOW, "X"], "two_commands", "one at a time"),
    "a key option of another": ([SHOW, "X", "--hyperliquid-keystore", "k"], "option_not_of_command", "signed-action"),
    "a verb twice": ([SHOW, "X", SHOW, "Y"], "option_repeated", "twice"),
    "no verb": (["--broker-post-only"], "command_missing", "belongs to --kraken-order-validate-session or --hyperl"),
    "unknown": (["--broker-order-validations-shwo", "X"], "option_unknown", "Did you mean --broker"),
    "nothing near": (["--zzzzzzz"], "option_unknown", "no flag '--zzzzzzz'.$"),
    "abbreviated": ([SHOW, "X", "--broker-approval-rev", "m"], "option_unknown", "-reviewer[?]"),
    "short": ([SHOW, "X", "-q"], "option_unknown", "no flag '-q'"),
    "of another": ([SHOW, "X", "--broker-approval-note", "n"], "option_not_of_command", "approve"),
    "no value": ([SHOW], "value_missing", "needs a value"),
    "flag as value": ([SHOW, "--json"], "value_missing", "needs a value"),
    "help as value": ([SHOW, "-h"], "value_missing", "needs a value"),
    "repeated": (
        [APPROVE, "X", "--broker-approval-note", "a", "--broker-approval-note=b"],
        "option_repeated",
        "twice",
    ),
    "value for a switch": (
        ["--kraken-order-validate-session=yes"],
        "value_unexpected",
        "takes no value",
    ),
    "a loose word": ([SHOW, "X", "Y"], "word_unexpected", "'Y' belongs to no flag"),
    "dashes alone": ([SHOW, "X", "--", "Y"], "option_unknown", "no flag '--'"),
    "an endless word": (["--" + "x" * 500], "option_unknown", "[.][.][.][.]$"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    """What the table does not allow ends in a clear sentence, before anything is read."""
    line, code, sentence = REFUSED[case]
    with pytest.raises(UsageFault, match=sentence) as caught:
        runbook.translate(line)
    assert code == caught.value.code
    assert 2 == {"usage": 2}[caught.value.outcome]


def test_the_verb_of_a_line():
    """Help finds the one command of a line, with or without its value; two give none."""
    found = runbook.verb_of([f"{SHOW}=X", "--help"])
    assert found is not None
    assert "kraken show" == found.name
    assert runbook.verb_of([SHOW, APPROVE]) is None
    assert runbook.verb_of(["--help"]) is None


KNOWN = st.sampled_from(sorted([*table.VERB_FLAGS, *table.OPTION_FLAGS, *table.GLOBAL_FLAGS]))
WORDS = st.one_of(KNOWN, KNOWN.map(lambda flag: flag + "=x"), st.text(max_size=6), st.just("-1"))


@given(st.lists(WORDS, max_size=8))
def test_any_line_is_translated_or_refused(line):
    """No line raises anything but the usage fault; a translated line names one command."""
    try:
        words = runbook.translate(line)
    except UsageFault:
        return
    if runbook.uses_flags(line):
        assert select(words)[0] is not None
    else:
        assert line == words


@given(st.lists(WORDS, max_size=8))
def test_any_line_is_parsed_or_refused(line):
    """From words to typed values nothing is raised but the usage fault."""
    with contextlib.suppress(UsageFault):
        parse(runbook.translate(line), FLAGS)
