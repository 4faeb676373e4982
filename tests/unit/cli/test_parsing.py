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


SIGN = ["hyperliquid", "sign", "--symbol", "ETH", "--side", "buy", "--quantity", "1", "--notional", "2000"]


def test_sign_with_everything():
    """All that sign takes arrives typed; a nonce is a whole number of milliseconds of today's size."""
    more = (
        "--account-id 0xa --signer 0xb --private-key-env NAME --keystore k.json --keyring s/u --expires-after 60"
        " --nonce 1795432437018 --order-type limit --limit-price 1999.5 --time-in-force gtc --post-only --reduce-only"
    )
    assert values(*SIGN, *more.split(), "d") == {
        "outdir": Path("d"),
        "symbol": "ETH",
        "side": "buy",
        "quantity": Decimal(1),
        "notional": Decimal(2000),
        "account": "0xa",
        "signer": "0xb",
        "private_key_env": "NAME",
        "keystore": "k.json",
        "keyring": "s/u",
        "expires_after_seconds": 60,
        "nonce": 1795432437018,
        "order_type": "limit",
        "limit_price": Decimal("1999.5"),
        "time_in_force": "gtc",
        "post_only": True,
        "reduce_only": True,
        "source_paper_session": None,
        "promotion_rationale": None,
    }


def test_sign_with_the_least():
    """What was not said stays unsaid: the rung asks settings and policy, and nothing is traded by a default."""
    found = values(*SIGN)
    unset = {name for name, value in found.items() if value is None}
    assert {"account", "signer", "nonce", "expires_after_seconds", "order_type", "limit_price", "keystore"} <= unset
    assert (False, False) == (found["post_only"], found["reduce_only"])
    assert Path("outputs/broker_preflight/hyperliquid_signed_action") == found["outdir"]


@pytest.mark.parametrize("spelled", [("hyperliquid", "revoke"), ("hyperliquid", "burn")])
def test_burn_and_revoke_are_one_rung(spelled):
    """Revoke is a burn of what was not sent: it needs no confirmation of its own, a burn does."""
    found = values(*spelled, "X", "--reviewer", "m")
    assert (spelled[1] == "revoke",) * 2 == (found["revoke"], found["confirm"])
    assert Path("outputs/hyperliquid_submits") == found["root"]


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


@pytest.mark.parametrize(("text", "taken"), [("9999999999999", True), ("10000000000000", False), ("-1", False)])
def test_a_nonce_is_bounded(text, taken):
    """A nonce of more digits than the venue's clock has is a slip of the pen, in both spellings."""
    for words, spelling in (([*SIGN, f"--nonce={text}"], GROUPED), ([*SIGN, f"--nonce={text}"], FLAGS)):
        if taken:
            assert int(text) == values(*words, spelling=spelling)["nonce"]
        else:
            code, message = refusal(*words, spelling=spelling)
            assert "value_not_in_bounds" == code
            assert message.startswith("--execution-nonce" if spelling.flags else "--nonce")


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
        ("hyperliquid sign --nonce 10000000000000", "option_missing", "--symbol is missing"),
        ("hyperliquid supervise X --polls 10001", "value_not_in_bounds", "--polls '10001' is out of bounds."),
        ("hyperliquid supervise X --seconds 5", "option_unknown", "hyperliquid supervise has no option '--seconds'."),
        ("hyperliquid resolve X --decision maybe", "value_not_a_choice", "--decision 'maybe'"),
        (
            "certify hyperliquid --execution-account-id 0xa",
            "option_unknown",
            "--execution-account-id is the runbook's flag: here it is --account-id.",
        ),
        ("kraken reconcile X --wait 1h", "value_not_in_bounds", "--wait '1h' is out of bounds."),
    ],
)
def test_refused(line, code, sentence):
    """Each wrong line gets its own sentence."""
    found, message = refusal(*line.split())
    assert code == found
    assert message.startswith(sentence)
