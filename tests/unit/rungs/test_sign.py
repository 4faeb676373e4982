"""Sign: every check first, the reservation durable before the key is read, and an artifact whatever the end is."""

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantlab import key_sources, wiring
from quantlab.evidence.chain import parse_record
from quantlab.evidence.preparatory import SignedOrder
from quantlab.kernel.canonical import sha256_hex
from quantlab.kernel.clock import parse_rfc3339, to_ns
from quantlab.kernel.errors import Denied
from quantlab.kernel.result import Result
from quantlab.model.order import plan_digest
from quantlab.storage.ledger import Halt
from tests.support.breaking import Killed, QuickDisk, disk_full
from tests.support.virtual import Bench, codes
from tests.support.virtual_hyperliquid import ARTIFACT, HyperliquidBench
from tests.unit.rehearsal import hyperliquid_driving as wire

ZERO = "0x" + "0" * 40
HALT = Halt(reviewer="marce", reason="storm", halted_at="2026-01-01T00:00:00.000000Z")
MARGIN_SECONDS = 10
LIFETIME_SECONDS = 300
DAY_SECONDS = 86_400


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def artifact_of(result: Result) -> SignedOrder:
    """Return the body of the artifact that a result names, read from the disk."""
    return body_of(Path(result.artifacts[0]))


def body_of(artifact: Path) -> SignedOrder:
    """Return the body of an artifact on the disk."""
    record = parse_record(artifact.read_bytes(), name="hyperliquid_signed_action")
    assert record is not None
    assert isinstance(record.body, SignedOrder)
    return record.body


def rows(bench: Bench) -> list[tuple[Any, ...]]:
    """Return nonce, client order id, state of every reservation, read from the ledger's file by a reader of its own."""
    path = Path(bench.environ["QUANTLAB_STATE_DIR"]) / wiring.LEDGER_FILE
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT nonce, client_order_id, state, expires_at FROM signing").fetchall()
    finally:
        connection.close()


def at_second_reading_of_the_clock(bench: Bench, act: Callable[[], object]) -> None:
    """Do something when the venue's clock is read the second time: every check is past, nothing is reserved."""
    count = iter(range(9))

    def alter(time: Any) -> Any:
        if next(count) == 1:
            act()
        return time

    bench.alterations["read_time"] = alter


def watch_the_key(monkeypatch: pytest.MonkeyPatch, look: Callable[[], None]) -> None:
    """Look whenever the private key is read, just before it is."""
    real = key_sources.key_reader

    def reader(source, settings):
        read = real(source, settings)

        def watched() -> str:
            look()
            return read()

        return watched

    monkeypatch.setattr(key_sources, "key_reader", reader)


def refused(bench: HyperliquidBench, result: Result, *expected: str) -> None:
    """Check a refusal: denied with these codes, an artifact that holds no signature, nothing reserved or sent."""
    assert result.outcome == "denied", result.headline
    assert list(expected) == codes(result)
    body = artifact_of(result)
    assert body.outcome == "denied"
    assert body.signature_state != "signed"
    assert (body.signed, body.burn, body.nonce, body.expires_at) == (None, None, None, None)
    assert [row for row in rows(bench) if row[2] != "unsigned"] == []
    assert bench.sent() == []


# ---------------------------------------------------------------------------------------- the signature


def test_a_signed_order_is_an_artifact_that_can_be_submitted_and_nothing_was_sent(bench: HyperliquidBench) -> None:
    """Signed: plan, order and burn of one nonce, expiry on the venue's clock; the next command is its submit."""
    result = bench.sign()
    assert result.outcome == "done", result.refusals
    body = artifact_of(result)
    [row] = rows(bench)
    assert body.plan is not None
    assert body.signed is not None
    assert body.burn is not None
    assert (body.signature_state, body.readiness_allowed) == ("signed", True)
    assert (str(body.signed.nonce), body.plan.client_order_id, "signed", body.expires_at) == row
    assert {body.signed.nonce, body.burn.nonce} == {int(body.nonce)}
    assert bench.world.driver_ns // 1_000_000 == body.signed.nonce
    assert to_ns(parse_rfc3339(body.expires_at)) == bench.world.driver_ns + LIFETIME_SECONDS * 10**9
    assert body.signed.expires_after_ms * 1_000_000 == to_ns(parse_rfc3339(body.expires_at))
    assert body.signer_id == bench.world.exchange.keys.agent.address
    assert body.asked.account_label == body.plan.account_label == bench.world.exchange.keys.master.address
    assert all(check.passed for check in body.checks)
    assert bench.sent() == []
    assert bench.held() == ()
    assert result.next is not None
    assert (result.next.verb, result.next.arguments) == ("submit", (result.artifacts[0],))
    assert result.session_id == body.plan.session_id


def test_the_signature_is_one_that_another_signer_makes_too(bench: HyperliquidBench) -> None:
    """An independent signer, given the action, nonce and expiry of the artifact, makes the same signature."""
    body = artifact_of(bench.sign())
    sent = msgspec.json.decode(body.signed.body_text)
    key = bench.world.exchange.keys.agent.private_key
    made = wire.sign(key, sent["action"], sent["nonce"], expires=sent["expiresAfter"])
    assert {name: int(made[name], 16) for name in "rs"} == {name: int(sent["signature"][name], 16) for name in "rs"}
    assert made["v"] == sent["signature"]["v"]
    burn = msgspec.json.decode(body.burn.body_text)
    assert {"type": "noop"} == burn["action"]
    made = wire.sign(key, burn["action"], sent["nonce"])
    assert int(made["r"], 16) == int(burn["signature"]["r"], 16)


def test_the_artifact_is_for_its_owner_alone(bench: HyperliquidBench) -> None:
    """Whoever can read the bytes can place the order: view and record have mode 0600."""
    for path in map(Path, bench.sign().artifacts):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_ledger_keeps_the_digest_of_exactly_the_artifact(bench: HyperliquidBench) -> None:
    """The reservation names the artifact's SHA-256, its outdir, and no session yet."""
    artifact = bench.signed()
    body = body_of(artifact)
    signing = bench.signing(body.signed_plan_sha256)
    assert signing is not None
    assert sha256_hex(artifact.read_bytes()) == signing.artifact_sha256
    assert str(artifact.parent) == signing.outdir
    assert signing.folder is None
    assert body.signed_plan_sha256 == signing.plan_sha256


def test_the_reservation_is_durable_before_the_key_is_read_once_and_last(
    bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the key is read, another reader finds nonce, id and expiry in the ledger's file; nothing is asked after."""
    seen: list[Any] = []
    watch_the_key(monkeypatch, lambda: seen.append((rows(bench), len(bench.world.requests()), len(list_of(bench)))))
    body = artifact_of(bench.sign())
    assert [
        ([(body.nonce, body.plan.client_order_id, "reserved", body.expires_at)], len(bench.world.requests()), 0)
    ] == seen


def list_of(bench: HyperliquidBench) -> list[Path]:
    """Return the artifacts on the disk."""
    return list(bench.folder.rglob(ARTIFACT))


def test_the_key_is_nowhere_in_what_was_written(bench: HyperliquidBench) -> None:
    """No file under the bench's folder holds the private key."""
    bench.signed()
    key = bench.world.exchange.keys.agent.private_key[2:].encode()
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if key in path.read_bytes().lower()] == []


@pytest.mark.parametrize("seconds", [30, 900])
def test_the_lifetime_can_be_chosen(bench: HyperliquidBench, seconds: int) -> None:
    """The shortest and the longest lifetime are signed as asked."""
    body = artifact_of(bench.sign(expires_after_seconds=seconds))
    assert to_ns(parse_rfc3339(body.expires_at)) == bench.world.driver_ns + seconds * 10**9


@pytest.mark.parametrize("seconds", [0, 29, 901])
def test_a_lifetime_out_of_bounds_is_a_usage_fault(bench: HyperliquidBench, seconds: int) -> None:
    """Nothing is asked or written."""
    result = bench.sign(expires_after_seconds=seconds)
    assert (result.outcome, codes(result)) == ("usage", ["lifetime"])
    assert list_of(bench) == []
    assert bench.world.requests() == []


def test_the_policy_sets_the_lifetime(bench: HyperliquidBench) -> None:
    """Without a lifetime on the line it is the policy's."""
    bench.policy(signed_action_lifetime_seconds=77)
    body = artifact_of(bench.sign())
    assert to_ns(parse_rfc3339(body.expires_at)) == bench.world.driver_ns + 77 * 10**9


def test_the_expiry_counts_on_the_venues_clock(bench: HyperliquidBench) -> None:
    """With the venue two seconds ahead, the expiry is that clock plus the lifetime; the nonce is our clock's."""
    bench.fault("clock_skew", "/info", value=2, count=99)
    body = artifact_of(bench.sign())
    ahead = to_ns(parse_rfc3339(body.expires_at)) - bench.world.driver_ns - LIFETIME_SECONDS * 10**9
    assert ahead in {0, 2 * 10**9}
    assert bench.world.driver_ns // 1_000_000 == body.signed.nonce


def test_the_expiry_is_a_whole_millisecond(bench: HyperliquidBench) -> None:
    """The venue counts milliseconds: what is told is what is signed, microseconds cut off."""
    bench.alterations["read_time"] = lambda time: msgspec.structs.replace(
        time, venue_at=time.venue_at.replace(microsecond=123_999)
    )
    body = artifact_of(bench.sign())
    assert body.expires_at.endswith(".123000Z")
    assert body.signed.expires_after_ms % 1000 == 123


# ------------------------------------------------------------------------------------------ the account


@pytest.mark.parametrize("who", [{"account": ZERO, "signer": ZERO}, {"account": ZERO}])
def test_an_all_zero_account_is_an_artifact_that_is_not_ready(bench: HyperliquidBench, who) -> None:
    """The seed's placeholder account: no request is made, and the artifact says that readiness is not allowed."""
    result = bench.sign(**who)
    refused(bench, result, "account_unusable")
    body = artifact_of(result)
    assert body.readiness_allowed is False
    assert body.account.readiness_allowed is False
    assert body.plan is None
    assert body.signature_state == "pending_signer_backend"
    assert bench.world.requests() == []
    assert bench.submit(Path(result.artifacts[0])).outcome == "denied"


def test_an_address_that_is_none_is_a_usage_fault(bench: HyperliquidBench) -> None:
    """Nothing is asked or written."""
    result = bench.sign(account="abc")
    assert (result.outcome, codes(result)) == ("usage", ["address_unusable"])
    assert list_of(bench) == []


@pytest.mark.parametrize("name", ["HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID"])
def test_account_and_signer_must_be_named(bench: HyperliquidBench, name: str) -> None:
    """Neither on the line nor in the settings: denied, nothing written."""
    del bench.environ[name]
    result = bench.sign()
    assert (result.outcome, codes(result)) == ("denied", ["credentials_missing"])
    assert list_of(bench) == []


def test_account_and_signer_of_the_line_come_first(bench: HyperliquidBench) -> None:
    """A line that names account and signer needs none in the settings."""
    keys = bench.world.exchange.keys
    bench.environ["HYPERLIQUID_ACCOUNT"] = bench.environ["HYPERLIQUID_SIGNER_ID"] = ZERO
    body = artifact_of(bench.sign(account=keys.master.address, signer=keys.agent.address))
    assert body.plan.account_identity == keys.master.address
    assert body.signed.signer_address == keys.agent.address


def test_an_agent_that_ran_out_does_not_sign(tmp_path: Path) -> None:
    """The venue lists the agent no more: refused as a key that may not trade, before the key is read."""
    bench = HyperliquidBench(tmp_path, profile="expired_agent")
    result = bench.sign()
    refused(bench, result, "key_permissions")
    assert rows(bench) == []


def test_a_stranger_does_not_sign(bench: HyperliquidBench) -> None:
    """An address that is no agent of the account is refused in the same way."""
    result = bench.sign(signer=bench.world.exchange.keys.other.address)
    refused(bench, result, "key_permissions")
    assert artifact_of(result).readiness_allowed is False
    assert rows(bench) == []


def test_no_environment_no_signature(bench: HyperliquidBench) -> None:
    """Without an environment nothing is asked or written."""
    del bench.environ["QUANTLAB_ENVIRONMENT"]
    del bench.environ["QUANTLAB_HYPERLIQUID_URL"]
    result = bench.sign()
    assert codes(result) == ["environment_not_set"]
    assert list_of(bench) == []


# -------------------------------------------------------------------------------------------- the order


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbol": "NOPE"}, ["venue_not_known"]),
        ({"symbol": "MATIC", "quantity": Decimal(100), "notional": Decimal(40)}, ["market_status"]),
        ({"symbol": "SOL", "quantity": Decimal(3), "notional": Decimal(450)}, ["symbol_allowed"]),
        ({"limit_price": Decimal("2000.12"), "time_in_force": "ioc"}, ["price_increment", "venue_rules"]),
        ({"quantity": Decimal("0.25001")}, ["size_increment", "venue_rules"]),
        ({"quantity": Decimal("0.004"), "notional": Decimal(8)}, ["minimum_cost", "venue_rules"]),
        ({"notional": Decimal(900)}, ["notional_tolerance"]),
    ],
)
def test_an_order_that_the_rules_refuse_is_not_signed(
    bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: list[str]
) -> None:
    """Unknown or delisted market, six figures, too many decimals, too small: refused before the key is read."""
    read = []
    watch_the_key(monkeypatch, lambda: read.append(1))
    result = bench.sign(**changes)
    refused(bench, result, *expected)
    assert read == []
    assert rows(bench) == []


def test_an_order_that_no_venue_can_carry_is_a_usage_fault(bench: HyperliquidBench) -> None:
    """A market order, which this venue has not: nothing asked, nothing written."""
    result = bench.sign(order_type="market")
    assert (result.outcome, codes(result)) == ("usage", ["order_shape"])
    assert list_of(bench) == []


def test_a_market_whose_book_can_not_be_read_is_unreadable(bench: HyperliquidBench) -> None:
    """An open market without a usable quote: exit 7, for it says nothing of the order."""
    bench.fault("http_error", "/info", type="l2Book", count=99)
    result = bench.sign()
    assert result.outcome == "unreadable"
    body = artifact_of(result)
    assert (body.outcome, body.signature_state, body.plan) == ("unreadable", "pending_signer_backend", None)
    assert rows(bench) == []


def test_an_open_market_with_a_book_that_makes_no_sense_is_unreadable(bench: HyperliquidBench) -> None:
    """Garbage for a book: there is no quote to judge by, and nothing is said of the market, which is open."""
    bench.fault("garbage", "/info", type="l2Book", count=99)
    result = bench.sign()
    assert result.outcome == "unreadable"
    assert rows(bench) == []


def test_a_client_order_id_that_the_venue_knows_is_not_signed_again(bench: HyperliquidBench) -> None:
    """The id of a signature that ran out is used again, and the venue shows an order with it: refused."""
    body = artifact_of(bench.sign())
    bench.world.pass_seconds(LIFETIME_SECONDS + MARGIN_SECONDS)
    other = wire.limit("1900", "0.1", c=body.plan.client_order_id)
    place(bench, other)
    result = bench.sign()
    assert codes(result) == ["client_order_id_unused"]
    assert artifact_of(result).signed is None


def place(bench: HyperliquidBench, order: dict[str, Any]) -> None:
    """Let the master's agent place an order by a client of its own."""
    now_ms = bench.world.exchange.now_ns // 1_000_000
    action = wire.order_action(order)
    key = bench.world.exchange.keys.agent.private_key
    envelope = {
        "action": action, "nonce": now_ms, "vaultAddress": None, "expiresAfter": None,
        "signature": wire.sign(key, action, now_ms),
    }  # fmt: skip
    answer = bench.post("/exchange", envelope)
    assert answer["status"] == "ok"
    assert "error" not in answer["response"]["data"]["statuses"][0], answer


# ------------------------------------------------------------------------------------------ halt, unknown


def test_a_halt_refuses(bench: HyperliquidBench) -> None:
    """Halted: refused with the command that resumes."""
    bench.ask_ledger(lambda ledger: ledger.set_halt(HALT))
    result = bench.sign()
    refused(bench, result, "halt_set")
    assert result.next.verb == "resume"


def test_a_halt_file_beside_the_root_refuses(bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that a person can make without this tool counts too."""
    monkeypatch.chdir(bench.folder)
    bench.root.parent.mkdir(parents=True)
    (bench.root.parent / "HALT").touch()
    refused(bench, bench.sign(), "halt_set")


def test_a_halt_set_after_the_checks_is_met_by_the_ledger(bench: HyperliquidBench) -> None:
    """Halted between the checks and the reservation: the ledger refuses in its own transaction."""
    at_second_reading_of_the_clock(bench, lambda: bench.ask_ledger(lambda ledger: ledger.set_halt(HALT)))
    refused(bench, bench.sign(), "halted")


def test_an_unknown_of_the_account_refuses_every_order(bench: HyperliquidBench) -> None:
    """While an earlier order may exist nothing is signed for the account; the next command ends the unknown."""
    session = bench.unknown("drop_before_read")
    bench.world.pass_seconds(30)
    result = bench.sign(symbol="BTC", quantity=Decimal("0.008"))
    assert codes(result) == ["interlock_held"]
    assert artifact_of(result).signed is None
    assert (result.next.verb, result.next.arguments) == ("reconcile", (str(session),))


def test_an_unknown_that_begins_after_the_checks_is_met_by_the_ledger(bench: HyperliquidBench) -> None:
    """A send of the account that ends unknown between checks and reservation: refused by the ledger."""
    artifact = bench.signed(symbol="BTC", quantity=Decimal("0.008"))
    bench.world.pass_seconds(30)

    def send() -> None:
        bench.alterations.clear()
        bench.fault("drop_before_read", type="order")
        assert bench.submit(artifact).outcome == "unknown"

    at_second_reading_of_the_clock(bench, send)
    result = bench.sign()
    assert codes(result) == ["interlock_held"]
    assert artifact_of(result).signed is None
    assert len(rows(bench)) == 1


# ---------------------------------------------------------------------------------------------- the key


def test_a_missing_key_is_pending_and_reserves_nothing(bench: HyperliquidBench) -> None:
    """No key: the plan and its checks are shown, nothing is reserved, and with a key it is signed at once."""
    key = bench.environ.pop("HYPERLIQUID_PRIVATE_KEY")
    result = bench.sign()
    refused(bench, result, "signer_backend_missing")
    body = artifact_of(result)
    assert body.signature_state == "pending_signer_backend"
    assert body.readiness_allowed is True
    assert body.plan is not None
    assert rows(bench) == []
    bench.environ["HYPERLIQUID_PRIVATE_KEY"] = key
    assert bench.sign().outcome == "done"


def test_the_key_can_stand_in_a_variable_of_another_name(bench: HyperliquidBench) -> None:
    """The line names the variable; the artifact says where the key came from, not the key."""
    bench.environ["MY_AGENT"] = bench.environ.pop("HYPERLIQUID_PRIVATE_KEY")
    body = artifact_of(bench.sign(private_key_env="MY_AGENT"))
    assert (body.signature_state, body.key_source) == ("signed", "environment MY_AGENT")


def test_a_keystore_that_is_not_there_is_pending(bench: HyperliquidBench) -> None:
    """A keystore file that does not exist is no key."""
    refused(bench, bench.sign(keystore="nothing.json"), "signer_backend_missing")


@pytest.mark.parametrize(
    ("break_key", "state", "code"),
    [
        (lambda bench: bench.use_profile("other_signer"), "signer_identity_mismatch", "signer_identity_mismatch"),
        (
            lambda bench: bench.environ.update(HYPERLIQUID_PRIVATE_KEY="0x12"),
            "pending_signer_backend",
            "hyperliquid_key_malformed",
        ),
        (
            lambda bench: bench.environ.update(HYPERLIQUID_PRIVATE_KEY="0" * 64),
            "pending_signer_backend",
            "hyperliquid_key_malformed",
        ),
    ],
)
def test_a_key_that_does_not_sign_leaves_the_nonce_for_the_next_try_at_once(
    bench: HyperliquidBench, break_key: Callable[[HyperliquidBench], None], state: str, code: str
) -> None:
    """Another signer's key, or none: no signature exists, so the same nonce and id serve the next try at once."""
    break_key(bench)
    result = bench.sign()
    refused(bench, result, code)
    assert artifact_of(result).signature_state == state
    [(nonce, client_order_id, ended, _)] = rows(bench)
    assert ended == "unsigned"
    bench.use_profile("trader")
    bench.world.pass_seconds(2)
    body = artifact_of(bench.sign())
    assert (nonce, client_order_id) == (body.nonce, body.plan.client_order_id)
    assert [one[2] for one in rows(bench)] == ["unsigned", "signed"]


# ------------------------------------------------------------------------------ the same order once more


def test_the_same_order_is_not_signed_twice_while_the_first_signature_lives(bench: HyperliquidBench) -> None:
    """One intent, one live signature: the second is refused and names the first."""
    artifact = bench.signed()
    result = bench.sign()
    assert codes(result) == ["signed_action_live"]
    assert result.outcome == "denied"
    assert str(artifact.parent) in result.refusals[0].measured
    assert ("submit", (str(artifact),)) == (result.next.verb, result.next.arguments)
    assert artifact_of(result).signed is None
    assert len(rows(bench)) == 1


def test_two_processes_that_sign_the_same_order_at_once_make_one_signature(bench: HyperliquidBench) -> None:
    """A second process signs while the first is about to read its key: the second is refused."""
    second: list[Result] = []

    def start_second(line: str) -> None:
        if "reading the key" in line:
            bench.on_progress = None
            second.append(bench.sign())

    bench.on_progress = start_second
    first = bench.sign()
    assert first.outcome == "done"
    assert [codes(one) for one in second] == [["signed_action_live"]]
    assert artifact_of(second[0]).signed is None
    assert len(rows(bench)) == 1


def test_a_second_process_that_reserved_since_the_look_is_met_by_the_ledger(bench: HyperliquidBench) -> None:
    """A second process signs between the first one's checks and its reservation: only the second's signature is."""
    second: list[Result] = []

    def sign_too() -> None:
        bench.alterations.clear()
        second.append(bench.sign())

    at_second_reading_of_the_clock(bench, sign_too)
    first = bench.sign()
    assert [one.outcome for one in second] == ["done"]
    assert codes(first) == ["signed_action_live"]
    assert artifact_of(first).signed is None
    assert len(rows(bench)) == 1


def test_another_order_can_be_signed_beside_it(bench: HyperliquidBench) -> None:
    """Another order of the account gets another nonce and another id."""
    first = artifact_of(bench.sign())
    second = artifact_of(bench.sign(symbol="BTC", quantity=Decimal("0.008")))
    assert first.nonce != second.nonce
    assert first.plan.client_order_id != second.plan.client_order_id


@pytest.mark.parametrize(("early_ms", "signs"), [(1, False), (0, True)])
def test_a_signature_that_ran_out_unsent_gives_nonce_and_id_to_the_next(
    bench: HyperliquidBench, early_ms: int, signs: bool
) -> None:
    """To the millisecond: only when the venue's clock is past expiry and its margin, and then the same nonce and id."""
    first = artifact_of(bench.sign())
    seconds = Decimal(LIFETIME_SECONDS + MARGIN_SECONDS) - Decimal(early_ms) / 1000
    bench.world.pass_seconds(seconds)
    result = bench.sign()
    if not signs:
        assert codes(result) == ["signed_action_live"]
        return
    body = artifact_of(result)
    assert (first.nonce, first.plan.client_order_id) == (body.nonce, body.plan.client_order_id)
    assert first.plan.session_id.rpartition("-")[2] == body.plan.session_id.rpartition("-")[2]
    assert first.expires_at < body.expires_at
    assert first.signed_plan_sha256 != body.signed_plan_sha256


def test_the_venue_takes_only_one_of_two_signatures_with_one_nonce(bench: HyperliquidBench) -> None:
    """The second signature lands; the first artifact's bytes, kept by somebody, are refused by the venue."""
    first = artifact_of(bench.sign())
    bench.world.pass_seconds(LIFETIME_SECONDS + MARGIN_SECONDS)
    session = bench.submitted()
    answer = bench.post("/exchange", first.signed.body_text.encode())
    assert answer["status"] == "err"
    assert len(bench.orders()) == 1
    assert bench.standing(session).plan.client_order_id == first.plan.client_order_id


def test_a_burned_nonce_is_not_used_again(bench: HyperliquidBench) -> None:
    """Revoked and burned: a new signature at once, with a new nonce and a new id."""
    artifact = bench.signed()
    first = body_of(artifact)
    assert bench.revoke(artifact).outcome == "done"
    body = artifact_of(bench.sign())
    assert body.signature_state == "signed"
    assert first.nonce != body.nonce
    assert first.plan.client_order_id != body.plan.client_order_id


@pytest.mark.parametrize(("seconds", "same"), [(DAY_SECONDS, True), (DAY_SECONDS + 1, False)])
def test_an_old_nonce_is_not_used_again(bench: HyperliquidBench, seconds: int, same: bool) -> None:
    """A nonce older than a day could leave the venue's window before the order does: a new one is taken."""
    first = artifact_of(bench.sign())
    bench.world.pass_seconds(seconds)
    body = artifact_of(bench.sign())
    assert body.signature_state == "signed"
    assert same == (first.nonce == body.nonce)
    assert same == (first.plan.client_order_id == body.plan.client_order_id)


def test_a_nonce_of_the_line_must_be_the_one_reserved(bench: HyperliquidBench) -> None:
    """After the signature ran out, its nonce may be named and no other; the refusal names the right one."""
    first = artifact_of(bench.sign())
    bench.world.pass_seconds(LIFETIME_SECONDS + MARGIN_SECONDS)
    wrong = bench.sign(nonce=int(first.nonce) + 1)
    assert codes(wrong) == ["nonce_reserved"]
    assert first.nonce == wrong.refusals[0].limit
    assert artifact_of(wrong).signed is None
    bench.world.pass_seconds(30)
    right = bench.sign(nonce=int(first.nonce))
    assert right.outcome == "done"
    assert first.nonce == artifact_of(right).nonce


def test_a_nonce_of_the_line_is_refused_when_none_is_reserved(bench: HyperliquidBench) -> None:
    """Nobody chooses a nonce by hand."""
    result = bench.sign(nonce=1_790_000_000_000)
    refused(bench, result, "nonce_reserved")
    assert result.refusals[0].limit == "none"


def test_an_outdir_with_a_live_signature_takes_no_second_one(bench: HyperliquidBench) -> None:
    """The view in the outdir stays what was signed: another order needs another outdir."""
    artifact = bench.signed()
    before = artifact.read_bytes()
    result = bench.sign(outdir=artifact.parent, symbol="BTC", quantity=Decimal("0.008"))
    assert codes(result) == ["outdir_holds_live_signature"]
    assert (result.next.verb, result.next.arguments) == ("submit", (str(artifact),))
    assert before == artifact.read_bytes()


def test_an_outdir_whose_signature_ran_out_takes_the_next(bench: HyperliquidBench) -> None:
    """A second record is appended, and the view shows the newest."""
    artifact = bench.signed()
    bench.world.pass_seconds(LIFETIME_SECONDS + MARGIN_SECONDS)
    assert artifact == bench.signed(outdir=artifact.parent)
    assert len(list((artifact.parent / "records").iterdir())) == 2


# --------------------------------------------------------------------------------------- ended half-way


def test_killed_before_the_key_was_read_the_nonce_waits(bench: HyperliquidBench) -> None:
    """Nobody knows whether a killed command signed: refused until its signature would be dead, then the same nonce."""

    def kill(line: str) -> None:
        if "reading the key" in line:
            raise Killed

    bench.on_progress = kill
    with pytest.raises(Killed):
        bench.sign()
    bench.on_progress = None
    [(nonce, client_order_id, state, _)] = rows(bench)
    assert state == "reserved"
    assert codes(bench.sign()) == ["signed_action_live"]
    bench.world.pass_seconds(LIFETIME_SECONDS + MARGIN_SECONDS)
    body = artifact_of(bench.sign())
    assert (nonce, client_order_id) == (body.nonce, body.plan.client_order_id)


def test_an_artifact_that_can_not_be_written_can_not_be_sent_and_the_nonce_waits(bench: HyperliquidBench) -> None:
    """Disk full after the signature: no artifact, the reservation stays, the same order is refused meanwhile."""

    class Full(QuickDisk):
        def open_new(self, path: Path, *, mode: int) -> int:
            if "signed_action" in path.name:
                raise disk_full()
            return super().open_new(path, mode=mode)

    bench.disk = Full()
    result = bench.sign()
    assert codes(result) == ["storage_disk_full"]
    assert list_of(bench) == []
    assert [one[2] for one in rows(bench)] == ["reserved"]
    bench.disk = QuickDisk()
    assert codes(bench.sign()) == ["signed_action_live"]


def test_a_fault_while_signing_is_told_as_it_is(bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever refuses inside the signer leaves no signature: the artifact is pending and names the refusal."""

    def refuse() -> None:
        message = "no"
        raise Denied(message, code="passphrase_missing")

    watch_the_key(monkeypatch, refuse)
    result = bench.sign()
    refused(bench, result, "passphrase_missing")
    assert artifact_of(result).signature_state == "pending_signer_backend"
    assert [one[2] for one in rows(bench)] == ["unsigned"]


def test_the_signed_plan_is_the_plan_of_the_digest(bench: HyperliquidBench) -> None:
    """The digest in the artifact is that of the plan beside it."""
    body = artifact_of(bench.sign())
    assert plan_digest(body.plan) == body.signed_plan_sha256
