"""A grouped line becomes one command with typed values, or a sentence in the line's own spelling."""

from decimal import Decimal
from pathlib import Path

import pytest

from quantlab.cli.parsing import parse, select
from quantlab.cli.spelling import Spelling
from quantlab.kernel.errors import UsageFault

GROUPED = Spelling(program="quantlab", flags=False)
FLAGS = Spelling(program="python main.py", flags=True)


def values(*words, spelling=GROUPED):
    """Return the request's fields of a line."""
    return dict(parse(words, spelling).values)


def refusal(*words, spelling=GROUPED):
    """Return code and message of a line that is refused."""
    with pytest.raises(UsageFault) as caught:
        parse(words, spelling)
    return caught.value.code, caught.value.message


def test_validate_with_everything():
    """All that validate takes arrives typed under the request's names."""
    line = (
        "kraken validate --symbol ETH-USD --side sell --quantity 0.25 --notional 500 --account-id a"
        " --order-type limit --limit-price 2100.5 --time-in-force gtc --post-only"
        " --source-paper-session outputs/paper_sessions/p --promotion-rationale why --root r"
    )
    assert values(*line.split()) == {
        "symbol": "ETH-USD",
        "side": "sell",
        "quantity": Decimal("0.25"),
        "notional": Decimal(500),
        "account_label": "a",
        "order_type": "limit",
        "limit_price": Decimal("2100.5"),
        "time_in_force": "gtc",
        "post_only": True,
        "reduce_only": False,
        "source_paper_session": Path("outputs/paper_sessions/p"),
        "promotion_rationale": "why",
        "root": Path("r"),
    }


def test_validate_with_the_least():
    """Nothing that could trade something not asked for is taken from a default."""
    line = "kraken validate --symbol ETH-USD --side buy --quantity 1 --notional 1 --account-id a"
    found = values(*line.split())
    unset = ("order_type", "limit_price", "time_in_force", "source_paper_session")
    assert [None] * 4 == [found[name] for name in unset]
    assert found["post_only"] is False
    assert Path("outputs/broker_order_validations") == found["root"]


@pytest.mark.parametrize("option", ["symbol", "side", "quantity", "notional", "account-id"])
def test_a_missing_option_is_named_as_the_operator_would(option):
    """What is missing is named in the line's own spelling."""
    given = {"symbol": "E", "side": "buy", "quantity": "1", "notional": "1", "account-id": "a"}
    words = [f"--{name}={text}" for name, text in given.items() if name != option]
    code, message = refusal("kraken", "validate", *words)
    assert "option_missing" == code
    assert message == f"--{option} is missing: kraken validate needs it."
    _, message = refusal("kraken", "validate", *words, spelling=FLAGS)
    assert message == f"--broker-{option} is missing: --kraken-order-validate-session needs it."


def test_positionals():
    """A session is needed, a root has its default, and dashes protect an odd name."""
    assert {"session": Path("-x"), "report": "show"} == values("kraken", "show", "--", "-x")
    code, message = refusal("kraken", "show")
    assert ("option_missing", "SESSION is missing: kraken show needs it.") == (code, message)
    _, message = refusal("kraken", "show", spelling=FLAGS)
    assert message.startswith("--broker-order-validations-show is missing")
    assert {"root": Path("outputs/broker_order_validations"), "report": "list"} == values("kraken", "list")


def test_who_reviews_may_be_missing():
    """A reviewer that is missing or empty is passed on as None: the rung refuses it."""
    assert values("kraken", "approve", "X") == {
        "session": Path("X"),
        "reviewer": None,
        "note": None,
    }
    assert values("kraken", "approve", "X", "--reviewer", "")["reviewer"] is None


def test_commands_without_a_group():
    """Halt and completion stand alone; their names are one word."""
    assert values("halt", "--reviewer", "a", "--reason", "b") == {
        "action": "halt",
        "reviewer": "a",
        "reason": "b",
    }
    assert {"shell": "zsh"} == values("completion", "zsh")
    assert "value_not_a_choice" == refusal("completion", "tcsh")[0]
    assert None is values("interlock", "list")["account"]


def test_options_of_every_command_are_taken_out():
    """--json and its kin may stand anywhere before the dashes."""
    command, named, rest = select(["--json", "kraken", "--verbose", "show", "X", "--", "--json"])
    assert command is not None
    assert ["kraken", "show"] == named
    assert ["X", "--", "--json"] == rest


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("", "command_missing", "No command was named. `quantlab --help` lists them."),
        ("krakn", "command_unknown", "There is no command 'krakn'. Did you mean kraken?"),
        ("zzz show", "command_unknown", "There is no command 'zzz'."),
        ("ledger", "command_unknown", "ledger needs a verb. Verbs: rebuild."),
        (
            "policy shw X",
            "command_unknown",
            "policy has no verb 'shw'. Did you mean show? Verbs: show, init.",
        ),
        ("kraken show X Y", "word_unexpected", "kraken show does not take 'Y'. Quote a value"),
        ("kraken show X --reviewr=a", "option_unknown", "kraken show has no option '--reviewr'."),
        (
            "kraken approve X --review a",
            "option_unknown",
            "kraken approve has no option '--review'. Did you mean --reviewer?",
        ),
        (
            "kraken approve X --broker-approval-note n",
            "option_unknown",
            "--broker-approval-note is the runbook's flag: here it is --note.",
        ),
        ("kraken approve X --note", "usage", "kraken approve: argument --note: expected one"),
        ("kraken approve X --note a --note b", "option_repeated", "--note stands there twice."),
        ("kraken gate X --confirm --confirm", "option_repeated", "--confirm stands there twice."),
        ("kraken gate X --confirm=yes", "usage", "kraken gate: argument --confirm: ignored"),
        ("kraken account-readiness --quantity -1", "value_not_positive", "--quantity '-1' is neg"),
        ("kraken reconcile X --wait 1h", "value_not_in_bounds", "--wait '1h' is out of bounds."),
    ],
)
def test_refused(line, code, sentence):
    """Each wrong line gets its own sentence."""
    found, message = refusal(*line.split())
    assert code == found
    assert message.startswith(sentence)
