"""Input that is wrong on the Hyperliquid corridor: a clear message, the documented code, nothing signed or sent."""

import json
import shutil
from pathlib import Path

import pytest
from eth_utils import to_checksum_address

from tests.e2e.operating import files_under, gives_away, spellings, until
from tests.e2e.operating_hyperliquid import (
    ARTIFACT,
    BURN,
    CANCEL,
    ROOT,
    SENT,
    document,
    sign_words,
    submit_words,
    trading,
)

ORDER = {
    "--broker-symbol": "ETH", "--broker-side": "buy", "--broker-quantity": "0.25", "--broker-notional": "500",
}  # fmt: skip
SECRETS = ("HYPERLIQUID_PRIVATE_KEY", "KRAKEN_API_KEY", "KRAKEN_API_SECRET")
MADE_UP_KEY = "0x" + "ca0a51" * 10 + "ca0a"
DELISTED = "MATIC"
ADDRESS = "0x41b1aec42d1e3e17928c910f33e418c742bdbd3a"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Seat one trader for the lines that leave nothing behind."""
    with trading(tmp_path_factory.mktemp("bad-input")) as trader:
        yield trader


@pytest.fixture
def desk(shared):
    """Return the shared trader with an empty working folder, a full rate budget and no fault."""
    shutil.rmtree(shared.folder / "outputs", ignore_errors=True)
    shared.mend()
    shared.advance(60)
    yield shared
    assert [] == shared.actions()


@pytest.fixture
def trader(tmp_path):
    """Seat a trader before an exchange of their own."""
    with trading(tmp_path) as one:
        yield one


def order_line(**changes):
    """Return a sign line with some options changed or, where None, left out."""
    changed = {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    pairs = [(name, value) for name, value in {**ORDER, **changed}.items() if value is not None]
    words = [word for name, value in pairs for word in ((name,) if value is True else (name, value))]
    return ("--hyperliquid-signed-action-outdir", "outputs/s", *words, "--json")


# ------------------------------------------------------------------------------------- what is typed

USAGE = {
    "symbol of a builder's exchange": ({"broker_symbol": "xyz:TSLA"}, "symbol_builder_dex"),
    "symbol missing": ({"broker_symbol": None}, None),
    "side hold": ({"broker_side": "hold"}, None),
    **{f"quantity {text}": ({"broker_quantity": text}, None) for text in (
        "NaN", "inf", "-1", "0", "-0", "1e-9", "0x10", "0,25", "1_000", "", "1" * 40, "\u0663",
    )},
    "notional zero": ({"broker_notional": "0"}, None),
    "notional missing": ({"broker_notional": None}, None),
    "account too short": ({"execution_account_id": ADDRESS[:-1]}, "address_unusable"),
    "account too long": ({"execution_account_id": ADDRESS + "0"}, "address_unusable"),
    "account without 0x": ({"execution_account_id": ADDRESS[2:]}, "address_unusable"),
    "account not hex": ({"execution_account_id": ADDRESS[:-1] + "g"}, "address_unusable"),
    "account of a wrong checksum": (
        {"execution_account_id": ADDRESS[:2] + ADDRESS[2:10].upper() + ADDRESS[10:]}, "address_checksum",
    ),
    "account empty": ({"execution_account_id": ""}, None),
    "signer a placeholder": ({"execution_signer_id": "0xSIGNER_ADDRESS"}, "address_unusable"),
    "signer a private key": ({"execution_signer_id": MADE_UP_KEY}, None),
    "life too short": ({"execution_expires_after": "29"}, "lifetime"),
    "life too long": ({"execution_expires_after": "901"}, "lifetime"),
    "life no number": ({"execution_expires_after": "soon"}, None),
    "nonce too big": ({"execution_nonce": "99999999999999999"}, None),
    "nonce no number": ({"execution_nonce": "now"}, None),
    "market order": ({"broker_order_type": "market"}, "order_shape"),
    "good till canceled without a price": ({"broker_time_in_force": "gtc"}, "order_shape"),
    "limit price zero": ({"broker_limit_price": "0"}, None),
    "two places for the key": (
        {"hyperliquid_keystore": "k.json", "hyperliquid_private_key_env": "HYPERLIQUID_PRIVATE_KEY"}, "key_sources",
    ),
    "the key in place of its variable's name": ({"hyperliquid_private_key_env": MADE_UP_KEY}, "key_variable_name"),
    "keyring entry without a user": ({"hyperliquid_keyring": "service"}, "keyring_entry_name"),
    "unknown option": ({"frobnicate": True}, "option_unknown"),
    "shortened option": ({"hyperliquid_private_key": MADE_UP_KEY}, "option_unknown"),
}  # fmt: skip
DENIED = {
    "six significant figures": ({"broker_limit_price": "1990.12", "broker_notional": "497.53"}, "price_increment"),
    "too many decimals": ({"broker_quantity": "0.25001", "broker_notional": "500.02"}, "size_increment"),
    "below ten dollars": ({"broker_quantity": "0.004", "broker_notional": "8"}, "minimum_cost"),
    "unknown coin": ({"broker_symbol": "FOOBAR"}, "venue_not_known"),
    "unknown pair": ({"broker_symbol": "ETH-USD"}, "venue_not_known"),
    "limit far above the market": ({"broker_limit_price": "3000", "broker_notional": "750"}, "price_collar"),
    "notional far above": ({"broker_notional": "600"}, "notional_tolerance"),
    "order above the limit": ({"broker_quantity": "5", "broker_notional": "10000"}, "max_order_notional"),
    "nonce that nobody reserved": ({"execution_nonce": "5"}, "nonce_reserved"),
    "keystore that is missing": ({"hyperliquid_keystore": "missing.json"}, "signer_backend_missing"),
}
KEYS = {
    "key not hex": ("0x" + "zz" * 32, 1, "hyperliquid_key_malformed"),
    "key too short": (MADE_UP_KEY[:-2], 1, "hyperliquid_key_malformed"),
    "key zero": ("0x" + "0" * 64, 1, "hyperliquid_key_malformed"),
    "key of two words": (f"{MADE_UP_KEY[:20]} {MADE_UP_KEY[20:]}", 2, "setting_malformed"),
    "key of another signer": (MADE_UP_KEY, 1, "signer_identity_mismatch"),
    "key empty": ("", 1, "signer_backend_missing"),
}


@pytest.mark.parametrize("name", USAGE)
def test_line_that_can_not_be_understood(desk, name):
    """A line that means nothing ends with 2 before anything is asked or written, and never repeats a key."""
    changes, code = USAGE[name]
    asked = len(desk.requests())
    done = desk.must(2, *order_line(**changes))
    assert "usage" == done.envelope["outcome"]
    assert code is None or {code} == done.refused, done
    assert [] == files_under(desk.folder)
    assert asked == len(desk.requests())
    assert "--help" in done.next_line
    assert not gives_away((done.out + done.err).encode(), [MADE_UP_KEY]), done


@pytest.mark.parametrize("name", DENIED)
def test_order_that_a_check_refuses(desk, name):
    """An order that a check refuses ends with 1: what was measured is named, and the evidence is kept, unsigned."""
    changes, code = DENIED[name]
    done = desk.must(1, *order_line(**changes))
    (refusal,) = [one for one in done.envelope["refusals"] if one["code"] == code]
    assert refusal["message"], refusal
    artifact = document(desk.path(f"outputs/s/{ARTIFACT}"))
    assert ("pending_signer_backend", None, None) == (
        artifact["signature_state"], artifact["signed"], artifact["burn"],
    )  # fmt: skip
    assert {"not_signed"} == desk.submit(1, f"outputs/s/{ARTIFACT}").refused


def test_refused_figures_name_the_nearest_valid_ones(desk):
    """A price or size off the grid is not rounded but refused, with both neighbours."""
    done = desk.must(1, *order_line(broker_limit_price="1990.12", broker_notional="497.53"))
    assert "1990.1 or 1990.2" in done.out
    done = desk.must(1, *order_line(broker_quantity="0.25001", broker_notional="500.02"))
    assert "0.25 or 0.2501" in done.out


def test_delisted_coin_is_refused(desk):
    """A coin that the venue lists as delisted is refused, and nothing is signed."""
    done = desk.must(1, *order_line(broker_symbol=DELISTED, broker_quantity="100", broker_notional="100"))
    assert "signed" != document(desk.path(f"outputs/s/{ARTIFACT}"))["signature_state"]
    assert {"market_status"} == done.refused, done


@pytest.mark.parametrize("spell", [to_checksum_address, lambda text: "0x" + text[2:].upper(), str.lower])
def test_address_may_be_spelled_in_every_usual_way(trader, spell):
    """Checksummed, upper-case and lower-case addresses are one address: signed for, and sent."""
    words = ("--execution-account-id", spell(trader.account), "--execution-signer-id", spell(trader.signer))
    done = trader.sign("outputs/s", *words)
    assert trader.account == done.envelope["data"]["plan"]["account_identity"]
    trader.submit(0, f"outputs/s/{ARTIFACT}")
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


# ---------------------------------------------------------------------------------------- the key


@pytest.mark.parametrize("name", KEYS)
def test_key_that_can_not_sign(desk, name):
    """A key that is missing, malformed or another's signs nothing and stands nowhere; the right key still may."""
    key, code, refused = KEYS[name]
    env = {**desk.env, "HYPERLIQUID_PRIVATE_KEY": key}
    done = desk.must(code, *order_line(), env=env)
    assert {refused} == done.refused
    if code == 1:
        artifact = document(desk.path(f"outputs/s/{ARTIFACT}"))
        wanted = "signer_identity_mismatch" if "another" in name else "pending_signer_backend"
        assert (wanted, None) == (artifact["signature_state"], artifact["signed"])
        assert {"not_signed"} == desk.submit(1, f"outputs/s/{ARTIFACT}").refused
    if key.strip("0x"):
        assert key not in done.out + done.err, done
        written = files_under(desk.folder) + files_under(desk.state)
        assert [] == [path for path in written if key.encode() in path.read_bytes()]


@pytest.mark.parametrize(("profile", "code"), [("expired_agent", "key_permissions"),
                                               ("other_signer", "signer_identity_mismatch")])  # fmt: skip
def test_signer_that_may_not_trade(desk, profile, code):
    """An expired agent and a key of another signer sign nothing: exit 1, and readiness says what is missing."""
    env = {**desk.env, **desk.exchange.control("GET", "/profiles?extra=1")[profile]}
    done = desk.must(1, *order_line(), env=env)
    assert code in done.refused
    assert env["HYPERLIQUID_PRIVATE_KEY"] not in " ".join(done.line) + done.out + done.err
    if profile == "expired_agent":
        desk.must(1, "--hyperliquid-account-readiness-outdir", "outputs/r", "--json", env=env)
        assert document(desk.path("outputs/r/hyperliquid_account_readiness.json"))["readiness_allowed"] is False


def test_keystore_without_a_terminal_is_refused(desk):
    """A keystore's passphrase is asked on a terminal; without one nothing is signed, and nothing waits for input."""
    from eth_account import Account

    text = json.dumps(Account.encrypt(desk.env["HYPERLIQUID_PRIVATE_KEY"], "made up", kdf="scrypt", iterations=2))
    (desk.folder / "k.json").write_text(text)
    done = desk.must(1, *order_line(hyperliquid_keystore="k.json"))
    (desk.folder / "k.json").unlink()
    assert "terminal" in done.out, done
    assert "pending_signer_backend" == document(desk.path(f"outputs/s/{ARTIFACT}"))["signature_state"]


# ----------------------------------------------------------------------------- paths, flags, the venue


@pytest.mark.parametrize("rung", ["show", "status", "reconcile", "fills", "cancel", "burn", "supervise"])
def test_path_that_is_no_session(desk, rung):
    """A path that is missing, a file or an empty folder is no session: exit 2, nothing written into it."""
    empty, file = desk.folder / "outputs" / "empty", desk.folder / "outputs" / "file"
    empty.mkdir(parents=True)
    file.write_text("a note")
    words = {"cancel": CANCEL, "burn": BURN}.get(rung, ())
    for path in ("outputs/missing", "outputs/empty", "outputs/file"):
        done = desk.run(f"--hyperliquid-submit-sessions-{rung}", path, *words, "--json")
        assert done.code in ({2} if rung != "burn" else {2, 5}), done
    assert [file] == files_under(desk.folder)


@pytest.mark.parametrize("path", ["outputs/missing.json", "outputs", "/"])
def test_submit_of_what_is_no_artifact(desk, path):
    """A path at which no signed action stands: exit 2, no session is begun."""
    (desk.folder / "outputs").mkdir()
    assert desk.submit(2, path).refused <= {"signed_action_missing", "not_a_session"}
    assert [] == files_under(desk.folder)


@pytest.mark.parametrize("missing", ["reviewer", "confirm"])
def test_submit_needs_a_name_and_a_confirmation(desk, missing):
    """A submit without reviewer or confirm is refused before anything happens."""
    desk.sign("outputs/s", "--execution-expires-after", "30")
    words = {"reviewer": SENT[2:], "confirm": SENT[:2]}[missing]
    asked = len(desk.requests())
    done = desk.must(1, "--hyperliquid-submit-session", f"outputs/s/{ARTIFACT}", *words, "--json")
    assert {f"{missing}_required"} == done.refused
    assert asked == len(desk.requests())
    assert not desk.path(ROOT).exists()
    desk.advance(60)


@pytest.mark.parametrize("seconds", [300, -300])
def test_clock_five_minutes_off(trader, seconds):
    """A clock five minutes off the venue's refuses sign and submit with the skew that was measured."""
    signed = trader.signed("--execution-expires-after", "900")
    trader.fault_at("clock_skew", "*", value=seconds)
    assert "clock_skew" in trader.sign("outputs/next", size="0.1", code=1).refused
    assert "clock_skew" in trader.submit(1, signed.artifact).refused
    assert [] == trader.actions()


def test_venue_that_takes_no_such_orders(desk):
    """Under a network upgrade only post-only orders are taken: our own check refuses, with what was measured."""
    desk.fault_at("system_status", "*", value="post_only")
    assert desk.must(1, *order_line()).refused & {"venue_status", "venue_rules"}


def test_no_network(trader):
    """With no venue to reach, sign and submit end with 7 and send nothing; the reports still work."""
    signed = trader.signed("--execution-expires-after", "300")
    trader.exchange.stop()
    trader.sign("outputs/next", size="0.1", code=7)
    trader.submit(7, signed.artifact)
    assert [] == trader.attempts(signed.session)
    assert [] == trader.interlocks()
    trader.rung(0, "show", signed.session)
    trader.must(0, "--hyperliquid-submit-sessions-health", ROOT)


# ---------------------------------------------------------------------------------------- canaries


def test_whole_walk_with_faults_gives_nothing_away(trader):
    """Every command, lost answers, wrong keys, a log and --verbose: no secret in any file, output or argument."""
    log = trader.folder / "operator.log"
    trader.env["QUANTLAB_LOG"] = str(log)
    for line in (
        ("--hyperliquid-preflight-outdir", "outputs/p", "--broker-symbol", "ETH"),
        ("--hyperliquid-account-readiness-outdir", "outputs/a"),
    ):
        trader.must(0, *line, "--verbose")
    signed = trader.signed("--broker-limit-price", "1990", "--broker-time-in-force", "gtc", "--verbose")
    trader.fault("http_error", value={"status": 502, "after_accept": True})
    trader.submit(4, signed.artifact, "--verbose")
    trader.read_fault("garbage", "orderStatus")
    trader.rung(4, "status", signed.session, "--verbose")
    assert "landed" == trader.look(0, signed.session)
    trader.rung(0, "supervise", signed.session, "--hyperliquid-supervision-polls", "1", "--verbose")
    trader.rung(0, "cancel", signed.session, *CANCEL, "--verbose")
    trader.rung(0, "fills", signed.session, "--verbose")
    profiles = trader.exchange.control("GET", "/profiles?extra=1")
    for number, env in enumerate(profiles.values()):
        trader.advance(60)
        trader.run(*sign_words(f"outputs/{number}", "--verbose", size="0.1"), env={**trader.env, **env})
    for report in ("list", "index", "health", "alerts"):
        trader.must(0, f"--hyperliquid-submit-sessions-{report}", ROOT, "--verbose")
    assert log.read_text()
    assert len(files_under(trader.folder)) > 30
    secrets = [env[one] for env in profiles.values() for one in SECRETS]
    places = [path.read_bytes() for path in files_under(trader.folder) + files_under(trader.state)]
    places += [f"{done.line}{done.out}{done.err}".encode() for done in trader.said]
    assert not any(gives_away(data, secrets) for data in places)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="process arguments are read from /proc")
@pytest.mark.parametrize("rung", ["sign", "submit"])
def test_process_arguments_hold_no_secret(trader, rung):
    """While an order is being signed or sent, nothing that a neighbour can list of the process gives the key away."""
    if rung == "sign":
        words, path, kind = sign_words("outputs/s"), "/info", "orderStatus"
    else:
        words, path, kind = submit_words(trader.signed().artifact), "/exchange", "order"
    trader.fault_at("delay", path, type=kind, value=2)
    process = trader.start(*words)
    assert until(trader.fault_is_met, process)
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"hyperliquid" in shown
    assert not gives_away(shown, [trader.env[name] for name in SECRETS])
    assert 0 == trader.end(process).code


@pytest.mark.parametrize("spell", [
    lambda key: key, lambda key: key[2:], lambda key: key[2:].upper(), lambda key: str(int(key, 16)),
    lambda key: key.encode().hex(),
])  # fmt: skip
def test_search_finds_a_planted_key(trader, spell):
    """The search finds a private key that was planted in a file of the run, in each of its spellings."""
    planted = trader.folder / "planted.txt"
    planted.write_text(f"before {spell(trader.env['HYPERLIQUID_PRIVATE_KEY'])} after")
    assert [str(planted)] == trader.leaks()
    planted.unlink()
    assert len(spellings(trader.env["HYPERLIQUID_PRIVATE_KEY"])) > 5
