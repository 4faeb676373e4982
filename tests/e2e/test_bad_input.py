"""Input that is wrong, settings that contradict, keys that may not: a clear message, the right code, nothing sent."""

import os
import shutil
import subprocess

import pytest

from tests.e2e.operating import LIVE, REVIEW, SESSIONS, files_under, seated, validate_words, verify

ORDER = {
    "--broker-symbol": "ETH-USD", "--broker-side": "buy", "--broker-quantity": "0.25", "--broker-notional": "500",
    "--broker-account-id": "acct_demo",
}  # fmt: skip
FORTY_DIGITS = "1" * 40
CANCEL = ("--broker-cancel-reviewer", "m", "--broker-cancel-confirm")


def order_line(**changes):
    """Return a validate line with some options changed or, where None, left out."""
    changed = {f"--broker-{name.replace('_', '-')}": value for name, value in changes.items()}
    pairs = [(name, value) for name, value in {**ORDER, **changed}.items() if value is not None]
    return ("--kraken-order-validate-session", *(word for pair in pairs for word in pair), "--json")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Seat one operator for the lines that leave nothing behind."""
    with seated(tmp_path_factory.mktemp("bad-input")) as operator:
        yield operator


@pytest.fixture
def desk(shared):
    """Return the shared operator with an empty working folder, full rate budgets and no fault."""
    shutil.rmtree(shared.folder / "outputs", ignore_errors=True)
    shared.exchange.control("DELETE", "/faults")
    shared.advance(60)
    yield shared
    assert [] == shared.sends()


# ------------------------------------------------------------------------------------- what is typed

USAGE = {
    "symbol missing": {"symbol": None},
    "symbol empty": {"symbol": ""},
    "symbol blank": {"symbol": " "},
    "symbol of two lines": {"symbol": "ETH\nUSD"},
    "symbol with a command": {"symbol": "ETH/USD; true"},
    "side hold": {"side": "hold"},
    "side missing": {"side": None},
    "quantity missing": {"quantity": None},
    **{f"quantity {text}": {"quantity": text} for text in (
        "NaN", "inf", "-inf", "-1", "0", "-0", "0.0", "1e-9", "1E3", "0x10", "0,25", "1_000", "", FORTY_DIGITS,
        f"0.{FORTY_DIGITS}", "\u0663",
    )},
    **{f"notional {text}": {"notional": text} for text in ("NaN", "inf", "-500", "0", "1e400")},
    "notional missing": {"notional": None},
    "account missing": {"account_id": None},
    "account empty": {"account_id": ""},
    "market order with a limit": {"order_type": "market", "limit_price": "2000"},
    "limit order without a limit": {"order_type": "limit"},
    "market order good till canceled": {"order_type": "market", "time_in_force": "gtc"},
    "limit price zero": {"limit_price": "0"},
    "unknown time in force": {"limit_price": "2000", "time_in_force": "day"},
}  # fmt: skip
DENIED = {
    "quantity off the grid": ({"quantity": "0.1234567891", "notional": "246.91"}, "size_increment"),
    "quantity below the minimum": ({"quantity": "0.00000001", "notional": "0.01"}, "minimum_size"),
    "notional far above": ({"notional": "600"}, "notional_tolerance"),
    "notional far below": ({"notional": "400"}, "notional_tolerance"),
    "order above the limit": ({"quantity": "5", "notional": "10000"}, "max_order_notional"),
    "unknown pair": ({"symbol": "FOO-BAR"}, "venue_not_known"),
    "symbol not allowed": ({"symbol": "SOL-USD"}, "symbol_allowed"),
    "limit far above the market": ({"limit_price": "3000", "notional": "750"}, "price_collar"),
    "price off the tick": ({"limit_price": "1999.12345"}, "price_increment"),
}


@pytest.mark.parametrize("name", USAGE)
def test_line_that_can_not_be_understood(desk, name):
    """A line that means nothing ends with 2 before anything is asked or written, and says what is allowed."""
    asked = len(desk.requests())
    done = desk.must(2, *order_line(**USAGE[name]))
    assert "usage" == done.envelope["outcome"]
    assert [] == files_under(desk.folder)
    assert asked == len(desk.requests())
    assert "--help" in done.next_line


@pytest.mark.parametrize("name", DENIED)
def test_order_that_a_check_refuses(desk, name):
    """An order that a check refuses ends with 1: check, measured value and limit are named; the evidence is kept."""
    changes, code = DENIED[name]
    done = desk.must(1, *order_line(**changes))
    (refusal,) = [one for one in done.envelope["refusals"] if one["code"] == code]
    assert refusal["message"], refusal
    assert refusal["measured"], refusal
    # What the venue itself does not know has no limit of ours.
    assert refusal["limit"] or code == "venue_not_known", refusal
    assert done.next_line
    session = f"{SESSIONS}/{done.envelope['session_id']}"
    assert "denied" == verify(desk.path(session))[0]["outcome"]
    assert [] == [one for one in desk.requests() if one["path"].endswith("AddOrder")]


def test_refused_size_names_the_nearest_valid_ones(desk):
    """A size off the grid is not rounded but refused, with both neighbours."""
    done = desk.must(1, *order_line(quantity="0.1234567891", notional="246.91"))
    message = next(one["message"] for one in done.envelope["refusals"] if one["code"] == "size_increment")
    assert "0.12345678" in message
    assert "0.12345679" in message


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--broker-order-validations-show", "a", "--broker-order-validations-bundle", "a"), "two_commands"),
        (("--broker-order-validations-show", "a", "--frobnicate"), "option_unknown"),
        (("--broker-order-validations-sho", "a"), "option_unknown"),
        (("--broker-order-validations-show",), "value_missing"),
        (("--broker-order-validations-show", "a", "--broker-submit-live"), "option_not_of_command"),
        (("--broker-order-validations-bundle", "a", "--broker-order-validations-bundle", "b"), "option_repeated"),
        (("--broker-symbol", "ETH-USD"), "command_missing"),
        (("kraken", "frobnicate"), "command_unknown"),
    ],
)
def test_line_that_names_no_single_command(desk, words, code):
    """Two verbs at once, an unknown or shortened flag, a flag of another command: exit 2 and nothing written."""
    assert {code} == desk.must(2, *words, "--json").refused
    assert [] == files_under(desk.folder)


@pytest.mark.parametrize("rung", ["show", "approve", "bundle", "submit-gate", "submit-real", "status", "cancel"])
def test_path_that_is_no_session(desk, rung):
    """A path that is missing, a file or an empty folder is no session: exit 2, nothing written into it."""
    empty, file = desk.folder / "outputs" / "empty", desk.folder / "outputs" / "file"
    empty.mkdir(parents=True)
    file.write_text("a note")
    words = {"submit-gate": REVIEW, "submit-real": LIVE, "cancel": CANCEL,
             "approve": ("--broker-approval-reviewer", "m")}  # fmt: skip
    for path in ("outputs/missing", "outputs/empty", "outputs/file"):
        assert {"not_a_session"} == desk.rung(2, rung, path, *words.get(rung, ())).refused
    assert [file] == files_under(desk.folder)


def test_readiness_folder_is_no_order(desk):
    """A folder of evidence that holds no order can not be approved, bundled, gated or sent."""
    desk.must(0, "--broker-evidence-readiness-outdir", "outputs/r", "--broker-evidence-corridor", "kraken")
    for rung, words in (("bundle", ()), ("submit-gate", REVIEW), ("submit-real", LIVE), ("status", ())):
        done = desk.run(f"--broker-order-validations-{rung}", "outputs/r", *words, "--json")
        assert done.code in {1, 2, 5}, done


# ---------------------------------------------------------------------------------- the surroundings


def without(env, *prefixes):
    """Return an environment without some settings."""
    return {name: value for name, value in env.items() if not name.startswith(prefixes)}


def test_no_environment_is_no_venue(desk):
    """With QUANTLAB_ENVIRONMENT unset no venue is spoken to: exit 1; readiness still writes its artifact."""
    env = without(
        desk.env, "QUANTLAB_ENVIRONMENT", "QUANTLAB_KRAKEN_URL", "QUANTLAB_HYPERLIQUID_URL", "QUANTLAB_REHEARSAL"
    )
    asked = len(desk.requests())
    assert {"environment_not_set"} == desk.must(1, *order_line(), env=env).refused
    assert [] == files_under(desk.folder)
    line = ("--broker-evidence-readiness-outdir", "outputs/r", "--broker-evidence-corridor", "kraken", "--json")
    desk.must(1, *line, env=env)
    assert (desk.folder / "outputs/r/broker_evidence_readiness.json").is_file()
    assert asked == len(desk.requests())


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"QUANTLAB_ENVIRONMENT": "prod"}, "environment_unknown"),
        ({"QUANTLAB_ENVIRONMENT": "live"}, "rehearsal_setting"),
        ({"QUANTLAB_KRAKEN_URL": "http://192.0.2.1:80"}, "url_not_loopback"),
        ({"QUANTLAB_KRAKEN_URL": "http://127.0.0.1.example.org:80"}, "url_not_loopback"),
        ({"QUANTLAB_REHEARSAL_SETTLE_SECONDS": "-1"}, "settle_seconds"),
    ],
)
def test_settings_that_contradict_each_other(desk, env, code):
    """An unknown environment, an address that is not loopback, a rehearsal setting in live: exit 2, nothing asked."""
    asked = len(desk.requests())
    assert {code} == desk.must(2, *order_line(), env={**desk.env, **env}).refused
    assert [] == files_under(desk.folder)
    assert asked == len(desk.requests())


def test_missing_key_is_named(desk):
    """A missing credential is refused by its name before anything is written."""
    env = {**without(desk.env, "KRAKEN_API_SECRET")}
    done = desk.must(1, *order_line(), env=env)
    assert {"credentials_missing"} == done.refused
    assert "KRAKEN_API_SECRET" in done.out
    assert [] == files_under(desk.folder)


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ("wrong_secret", "venue_credentials_refused"),
        ("no_trade", "key_permissions"),
        ("can_withdraw", "key_can_withdraw"),
        ("windowed", "nonce_window"),
    ],
)
def test_key_that_may_too_little_or_too_much(desk, profile, code):
    """A wrong secret, a key without trade permission, one that can withdraw, one with a nonce window: exit 1."""
    env = {**desk.env, **desk.exchange.control("GET", "/profiles?extra=1")[profile]}
    done = desk.must(1, *order_line(), env=env)
    assert code in done.refused
    words = " ".join(done.line) + done.out + done.err
    assert env["KRAKEN_API_SECRET"] not in words
    assert env["KRAKEN_API_KEY"] not in words
    assert [] == [one for one in desk.requests() if one["path"].endswith("AddOrder")]


def test_key_that_changed_after_the_gate(operator):
    """A session gated under one key is refused at the send under a key that may too little; nothing is sent."""
    session = operator.gated()
    env = {**operator.env, **operator.exchange.control("GET", "/profiles")["no_trade"]}
    done = operator.must(1, "--broker-order-validations-submit-real", session, *LIVE, "--json", env=env)
    assert "key_permissions" in done.refused
    assert [] == operator.sends()
    assert [] == operator.interlocks()


@pytest.mark.parametrize("seconds", [300, -300])
def test_clock_five_minutes_off(operator, seconds):
    """A clock five minutes off the venue's refuses validate and submit with the skew that was measured."""
    session = operator.gated()
    operator.exchange.fault("clock_skew", "*", value=seconds)
    assert "clock_skew" in operator.validate("0.1", code=1).refused
    assert "clock_skew" in operator.submit(1, session).refused
    assert [] == operator.sends()


@pytest.mark.parametrize("mode", ["maintenance", "cancel_only"])
def test_venue_that_takes_no_orders(desk, mode):
    """A venue in maintenance refuses a validation by our own check, with its status as what was measured."""
    desk.exchange.fault("system_status", "*", value=mode)
    done = desk.must(1, *order_line())
    (refusal,) = [one for one in done.envelope["refusals"] if one["code"] == "venue_status"]
    assert mode in refusal["measured"]


def test_no_network(operator):
    """With no venue to reach, validate, gate and submit end with 7 and send nothing; the reports still work."""
    session = operator.gated()
    operator.exchange.stop()
    operator.validate("0.1", code=7)
    operator.submit(7, session)
    operator.rung(7, "submit-gate", session, *REVIEW)
    assert [] == operator.attempts(session)
    assert [] == operator.interlocks()
    operator.rung(0, "show", session)
    operator.must(0, "--broker-order-validations-health", SESSIONS)


@pytest.mark.skipif(shutil.which("unshare") is None or os.getuid() != 0, reason="needs a network namespace of its own")
def test_session_of_another_environment(operator):
    """A rehearsal session is refused under live, by every rung, before any network: none is there in this test."""
    session = operator.gated()
    before = operator.records(session)
    env = {**without(operator.env, "QUANTLAB_KRAKEN_URL", "QUANTLAB_HYPERLIQUID_URL", "QUANTLAB_REHEARSAL"),
           "QUANTLAB_ENVIRONMENT": "live"}  # fmt: skip
    lines = [
        ("--broker-order-validations-bundle", session),
        ("--broker-order-validations-submit-gate", session, *REVIEW),
        ("--broker-order-validations-submit-real", session, *LIVE),
        ("--broker-order-validations-status", session),
        validate_words("0.1"),
    ]
    for line in lines:
        words = operator.program((*line, "--json") if "--json" not in line else line, entry="main.py")
        done = subprocess.run(
            ["unshare", "--net", *words], cwd=operator.folder, env=env, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert 1 == done.returncode, done
        assert "session_environment" in done.stdout or "root_environment" in done.stdout, done
    assert before == operator.records(session)
