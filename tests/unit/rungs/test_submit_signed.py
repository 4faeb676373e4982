"""Submit of a signed order: the bytes that were signed, once and for ever, whoever asks, from wherever, how often."""

import json
import random
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantlab.evidence.records import AdoptedAction, Approval, Revocation, SubmitAttempt, SubmitDenial, SubmitResponse
from quantlab.kernel.canonical import sha256_hex
from quantlab.kernel.clock import parse_rfc3339, to_ns
from quantlab.kernel.result import Result
from quantlab.storage.ledger import Halt
from quantlab.storage.reader import read_session
from quantlab.venues.hyperliquid.orders import HyperliquidOrders
from tests.support.breaking import Killed, QuickDisk
from tests.support.virtual import codes
from tests.support.virtual_hyperliquid import ARTIFACT, HyperliquidBench

HALT = Halt(reviewer="marce", reason="storm", halted_at="2026-01-01T00:00:00.000000Z")
LIFETIME_SECONDS = 300
TAMPERED_POSITIONS = 300
BTC: dict[str, Any] = {"symbol": "BTC", "quantity": Decimal("0.008")}


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def sends(bench: HyperliquidBench) -> int:
    """Count the orders that reached the exchange, admitted or not."""
    return len([row for row in bench.world.requests() if row["path"] == "/exchange"])


def at_progress(bench: HyperliquidBench, words: str, act: Callable[[], object]) -> None:
    """Do something once, when the rung prints a line with these words."""

    def meet(line: str) -> None:
        if words in line:
            bench.on_progress = None
            act()

    bench.on_progress = meet


def refuse_connects(bench: HyperliquidBench) -> None:
    """Let every connect be refused from now on."""
    bench.world.control("POST", "/faults", {"venue": "hyperliquid", "path": "*", "fault": "refuse_connect"})


def body_text(artifact: Path) -> str:
    """Return the request that an artifact holds, read by a parser of its own."""
    return str(json.loads(artifact.read_text())["signed"]["body_text"])


def session_of(bench: HyperliquidBench, result: Result) -> Path:
    """Return the folder of the session of a result."""
    return bench.root / str(result.session_id)


def folders(bench: HyperliquidBench) -> list[Path]:
    """Return every session folder of the bench's root."""
    return [path for path in bench.root.iterdir() if path.is_dir()] if bench.root.exists() else []


def refused(bench: HyperliquidBench, result: Result, *expected: str) -> None:
    """Check that a submit was denied with these codes, that no byte left, and that the account is free."""
    assert result.outcome == "denied", result.headline
    assert list(expected) == codes(result)
    assert sends(bench) == 0
    assert bench.held() == ()
    assert bench.ask_ledger(lambda ledger: ledger.sends()) == ()


# --------------------------------------------------------------------------------------------- the send


def test_an_accepted_order_is_sent_once_from_the_session_that_adopted_it(bench: HyperliquidBench) -> None:
    """Adopted, approved by the one who confirms, attempted, answered: one order, interlock free."""
    artifact = bench.signed()
    result = bench.submit(artifact)
    assert result.outcome == "done"
    session = session_of(bench, result)
    chain = bench.session(session).chain
    assert [
        "hyperliquid_signed_action",
        "approval",
        "hyperliquid_submit_attempt",
        "hyperliquid_submit_response",
    ] == [record.name for record in chain.records]
    adopted, approval = chain.newest(AdoptedAction), chain.newest(Approval)
    assert artifact.read_text() == adopted.body.source_text
    assert (approval.body.reviewer, approval.body.basis) == ("marce", "confirmed_at_submit")
    assert adopted.sha256 == approval.body.validation_sha256
    assert adopted.body.expires_at == approval.body.expires_at
    [order] = bench.orders()
    assert order["venue_order_id"] == chain.newest(SubmitResponse).body.venue_order_id
    assert order["client_order_id"] == bench.standing(session).plan.client_order_id
    assert bench.held() == ()
    assert result.next.verb == "status"


def test_the_bytes_sent_are_the_artifacts_byte_for_byte(bench: HyperliquidBench) -> None:
    """What leaves in the body of the request is what was signed, and the attempt on the disk holds it already."""
    artifact = bench.signed()
    seen: list[bytes] = []
    durable: list[Any] = []

    def on_send(data: bytes) -> None:
        seen.append(data)
        if b"POST /exchange" in data:
            [session] = folders(bench)
            durable.append(read_session(QuickDisk(), session).chain.newest(SubmitAttempt))
            durable.append([(one.state, one.nonce) for one in bench.ask_ledger(lambda ledger: ledger.sends())])

    bench.connector.on_send = on_send
    bench.submit(artifact)
    wire = b"".join(seen)
    _, _, order = wire.partition(b"POST /exchange ")
    assert order.partition(b"\r\n\r\n")[2].startswith(body_text(artifact).encode())
    assert b"POST /exchange " not in order
    attempt, spent = durable
    assert body_text(artifact) == attempt.body.body_text
    assert sha256_hex(body_text(artifact).encode()) == attempt.body.body_sha256
    nonce = json.loads(body_text(artifact))["nonce"]
    assert [("in_flight", nonce)] == spent
    assert str(nonce) == attempt.body.nonce


def test_no_key_is_needed_and_none_is_read(bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit works without any key, for the account and signer of the artifact, whatever the settings name."""
    artifact = bench.signed()
    for name in ("HYPERLIQUID_PRIVATE_KEY", "HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID"):
        del bench.environ[name]
    assert bench.submit(artifact).outcome == "done"
    assert len(bench.orders()) == 1


def test_a_rejected_order_frees_the_account(bench: HyperliquidBench) -> None:
    """The venue says no: exit 3, its words shown."""
    artifact = bench.signed()
    bench.fault("api_error", type="order", value="Insufficient margin to place order. asset=1")
    result = bench.submit(artifact)
    assert result.outcome == "rejected"
    assert bench.standing(session_of(bench, result)).state == "rejected"
    assert bench.orders() == []
    assert bench.held() == ()
    assert bench.submit(artifact).outcome == "rejected"
    assert sends(bench) == 1


def test_no_connection_for_the_send_is_never_sent(bench: HyperliquidBench) -> None:
    """Refused before a byte left: exit 7; the artifact is spent, and signs again only when it is dead."""
    artifact = bench.signed()
    at_progress(bench, "sending once", lambda: refuse_connects(bench))
    result = bench.submit(artifact)
    assert result.outcome == "never_sent"
    assert bench.standing(session_of(bench, result)).state == "never_sent"
    assert bench.held() == ()
    bench.world.control("DELETE", "/faults")
    assert bench.submit(artifact).outcome == "never_sent"
    assert sends(bench) == 0
    assert codes(bench.sign()) == ["signed_action_live"]
    bench.world.pass_seconds(LIFETIME_SECONDS + 10)
    assert bench.sign().outcome == "done"


@pytest.mark.parametrize("fault", ["drop_after_accept", "drop_before_read"])
def test_a_lost_answer_is_unknown_and_keeps_the_account(bench: HyperliquidBench, fault: str) -> None:
    """No answer: exit 4, next is reconcile, the account is held by the session, a repeat sends nothing."""
    artifact = bench.signed()
    bench.fault(fault, type="order")
    result = bench.submit(artifact)
    session = session_of(bench, result)
    assert result.outcome == "unknown"
    assert (result.next.verb, result.next.arguments) == ("reconcile", (str(session),))
    assert [one.folder for one in bench.held()] == [str(session)]
    bench.world.pass_seconds(20)
    again = bench.submit(artifact)
    assert again.outcome == "unknown"
    assert "Nothing was sent now" in again.headline
    assert sends(bench) == 1


# ------------------------------------------------------------------------------------------ flags, state


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"reviewer": None}, "reviewer_required"),
        ({"reviewer": "  "}, "reviewer_required"),
        ({"confirm": False}, "confirm_required"),
    ],
)
def test_each_flag_is_needed(bench: HyperliquidBench, missing: dict[str, Any], code: str) -> None:
    """Without reviewer or confirm nothing is asked, written or sent."""
    artifact = bench.signed()
    asked = len(bench.world.requests())
    refused(bench, bench.submit(artifact, **missing), code)
    assert asked == len(bench.world.requests())
    assert folders(bench) == []


def test_no_environment_no_submit(bench: HyperliquidBench) -> None:
    """Without an environment nothing is sent."""
    artifact = bench.signed()
    del bench.environ["QUANTLAB_ENVIRONMENT"]
    del bench.environ["QUANTLAB_HYPERLIQUID_URL"]
    refused(bench, bench.submit(artifact), "environment_not_set")


def test_a_policy_that_asks_for_signed_approvals_is_not_met(bench: HyperliquidBench) -> None:
    """An asserted name is no signature: refused before a session is made."""
    artifact = bench.signed()
    bench.policy(require_signed_approvals=True)
    refused(bench, bench.submit(artifact), "signature_required")
    assert folders(bench) == []


def test_a_second_person_can_be_demanded(bench: HyperliquidBench) -> None:
    """Whoever ran the signing may not also submit where the policy says so; another person may."""
    bench.policy(require_distinct_reviewers=True)
    artifact = bench.signed()
    maker = json.loads(artifact.read_text())["actor"]
    refused(bench, bench.submit(artifact, reviewer=maker), "distinct_reviewers")
    bench.world.pass_seconds(30)
    assert bench.submit(artifact, reviewer=f"not {maker}").outcome == "done"


def test_another_environment_does_not_send_it(bench: HyperliquidBench) -> None:
    """Signed in rehearsal, submitted live: refused before anything is asked."""
    artifact = bench.signed()
    asked = len(bench.world.requests())
    del bench.environ["QUANTLAB_HYPERLIQUID_URL"]
    bench.environ["QUANTLAB_ENVIRONMENT"] = "live"
    refused(bench, bench.submit(artifact), "session_environment")
    assert asked == len(bench.world.requests())


def test_another_state_folder_does_not_send_it(bench: HyperliquidBench) -> None:
    """A ledger that does not know the claims of the first sends nothing of it."""
    artifact = bench.signed()
    bench.environ["QUANTLAB_STATE_DIR"] = str(bench.folder / "other-state")
    refused(bench, bench.submit(artifact), "ledger_same")


# ----------------------------------------------------------------------------------- what is not signed


def test_an_artifact_without_a_signature_is_not_sent(bench: HyperliquidBench) -> None:
    """Pending: denied, and the next command shows why."""
    bench.environ.pop("HYPERLIQUID_PRIVATE_KEY")
    artifact = Path(bench.sign().artifacts[0])
    result = bench.submit(artifact)
    refused(bench, result, "not_signed")
    assert result.refusals[0].measured == "pending_signer_backend"
    assert (result.next.verb, result.next.arguments) == ("show", (str(artifact.parent),))


def test_an_artifact_of_another_signers_key_is_not_sent(bench: HyperliquidBench) -> None:
    """Mismatch: denied."""
    bench.use_profile("other_signer")
    result = bench.submit(Path(bench.sign().artifacts[0]))
    refused(bench, result, "not_signed")
    assert result.refusals[0].measured == "signer_identity_mismatch"


def test_a_forged_state_does_not_make_it_signed(bench: HyperliquidBench) -> None:
    """A pending artifact whose state was edited to signed, the signature of another pasted in: no byte leaves."""
    signed = json.loads(bench.signed().read_text())
    bench.use_profile("other_signer")
    bench.world.pass_seconds(30)
    artifact = Path(bench.sign(**BTC).artifacts[0])
    forged = json.loads(artifact.read_text())
    forged.update({name: signed[name] for name in ("signature_state", "outcome", "signed", "burn", "nonce")})
    artifact.write_text(json.dumps(forged, sort_keys=True, separators=(",", ":")))
    result = bench.submit(artifact)
    assert result.outcome in {"unverified", "denied"}
    assert sends(bench) == 0


def test_any_tampered_byte_keeps_every_byte_back(bench: HyperliquidBench) -> None:
    """One bit changed anywhere, in every position of a sample: refused, nothing asked, no session made."""
    artifact = bench.signed()
    whole = artifact.read_bytes()
    asked = len(bench.world.requests())
    rng = random.Random(20_260_921)
    signed_at = whole.index(body_text(artifact)[:40].encode().replace(b'"', b'\\"'))
    positions = {0, len(whole) - 1, *range(signed_at, signed_at + 20), *rng.sample(range(len(whole)), 300)}
    assert len(positions) >= TAMPERED_POSITIONS
    for position in sorted(positions):
        changed = bytearray(whole)
        changed[position] ^= 1 << rng.randrange(8)
        artifact.write_bytes(changed)
        result = bench.submit(artifact)
        assert result.outcome in {"unverified", "denied"}, (position, result)
    for changed in (whole + b" ", whole[:-1], b"", whole + whole, b" " + whole):
        artifact.write_bytes(changed)
        assert bench.submit(artifact).outcome == "unverified"
    assert asked == len(bench.world.requests())
    assert folders(bench) == []
    artifact.write_bytes(whole)
    assert bench.submit(artifact).outcome == "done"


def test_an_old_signature_in_new_clothes_is_not_sent(bench: HyperliquidBench) -> None:
    """An artifact put together from two signed ones, canonical and well-formed, is neither of them."""
    first, second = bench.signed(), bench.signed(**BTC)
    mixed = json.loads(first.read_text()) | {"signed": json.loads(second.read_text())["signed"]}
    first.write_text(json.dumps(mixed, sort_keys=True, separators=(",", ":")))
    result = bench.submit(first)
    assert (result.outcome, codes(result)) == ("unverified", ["signed_action_changed"])
    assert sends(bench) == 0


@pytest.mark.parametrize("name", ["signed", "burn"])
def test_a_signer_that_signed_something_else_is_caught(
    bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The artifact is what was signed, but its signature is not over the plan: caught before a session is made."""
    real = HyperliquidOrders.sign_order_and_burn

    def other(self: HyperliquidOrders, plan: Any, **fields: Any) -> Any:
        signed, burn = real(self, plan, **fields)
        twice, _ = real(self, msgspec.structs.replace(plan), nonce=fields["nonce"] + 1, expires_at=fields["expires_at"])
        worse = {"signed": signed, "burn": burn}
        worse[name] = msgspec.structs.replace(worse[name], signature_r=twice.signature_r)
        return worse["signed"], worse["burn"]

    monkeypatch.setattr(HyperliquidOrders, "sign_order_and_burn", other)
    artifact = bench.signed()
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("unverified", ["signature_does_not_hold"])
    assert sends(bench) == 0
    assert folders(bench) == []


def test_a_revoked_signature_is_not_sent(bench: HyperliquidBench) -> None:
    """Revoked with its nonce burned: denied."""
    artifact = bench.signed()
    assert bench.revoke(artifact).outcome == "done"
    burned = sends(bench)
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("denied", ["signed_action_ended"])
    assert burned == sends(bench)
    assert bench.orders() == []


# ------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("left_ms", "outcome", "expected"),
    [
        (20_000, "done", []),
        (19_999, "denied", ["signature_time_left"]),
        (0, "denied", ["signature_time_left"]),
        (-1, "denied", ["signature_expired"]),
    ],
)
def test_a_signature_needs_twenty_seconds(
    bench: HyperliquidBench, left_ms: int, outcome: str, expected: list[str]
) -> None:
    """Twenty seconds left are enough, a millisecond less is not; and once it has run out, no session is made."""
    artifact = bench.signed()
    bench.world.pass_seconds(LIFETIME_SECONDS - Decimal(left_ms) / 1000)
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == (outcome, expected)
    assert sends(bench) == (1 if outcome == "done" else 0)
    assert (left_ms >= 0) == bool(folders(bench))
    if left_ms < 0:
        assert result.next.verb == "sign"
        assert ("symbol", "ETH") in result.next.options


# -------------------------------------------------------------------------------------- the last look


def drifted(bench: HyperliquidBench) -> None:
    """Let the market stand five percent higher."""
    bench.alterations["read_quote"] = lambda quote: msgspec.structs.replace(
        quote, bid=quote.bid * Decimal("1.05"), ask=quote.ask * Decimal("1.05")
    )


def removed(bench: HyperliquidBench) -> None:
    """Take the agent away from the account."""
    bench.fault("agent_removed", "*", value="removed")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drifted, "price_drift"),
        (removed, "key_permissions"),
        (lambda bench: bench.ask_ledger(lambda ledger: ledger.set_halt(HALT)), "halt_set"),
        (lambda bench: (bench.root.parent / "HALT").touch(), "halt_set"),
        (lambda bench: bench.policy(max_order_notional=Decimal(600)), "policy_unchanged"),
    ],
)
def test_what_changed_since_the_signature_refuses_and_is_recorded(
    bench: HyperliquidBench, change: Callable[[HyperliquidBench], object], code: str
) -> None:
    """Agent removed, price moved, halted, policy changed: denied with a record, nothing spent, the account free."""
    artifact = bench.signed()
    bench.world.pass_seconds(30)
    change(bench)
    result = bench.submit(artifact)
    assert result.outcome == "denied"
    assert code in codes(result)
    assert sends(bench) == 0
    assert bench.held() == ()
    assert bench.ask_ledger(lambda ledger: ledger.sends()) == ()
    session = session_of(bench, result)
    denial = bench.session(session).chain.newest(SubmitDenial)
    assert denial is not None
    assert (denial.body.reviewer, denial.body.note) == ("marce", "once")
    assert {one.code for one in denial.body.checks if not one.passed} == set(codes(result))
    assert bench.session(session).findings == ()


def test_after_a_denial_the_same_artifact_can_be_sent(bench: HyperliquidBench) -> None:
    """What refused is gone: the same bytes go out, once, from the same session."""
    artifact = bench.signed()
    drifted(bench)
    first = bench.submit(artifact)
    assert codes(first) == ["price_drift"]
    assert first.next.verb == "revoke"
    bench.alterations.clear()
    bench.world.pass_seconds(60)
    assert codes(bench.sign()) == ["same_intent"]
    bench.world.pass_seconds(60)
    result = bench.submit(artifact)
    assert result.outcome == "done"
    assert first.session_id == result.session_id
    assert sends(bench) == 1


def test_a_venue_that_can_not_be_read_sends_nothing(bench: HyperliquidBench) -> None:
    """Exit 7, account free, and the artifact can be sent later."""
    artifact = bench.signed()
    bench.fault("http_error", "/info", count=9)
    assert bench.submit(artifact).outcome == "unreadable"
    assert (sends(bench), bench.held()) == (0, ())
    bench.world.control("DELETE", "/faults")
    bench.world.pass_seconds(60)
    assert bench.submit(artifact).outcome == "done"


def test_an_unknown_of_the_account_keeps_the_next_order_back(bench: HyperliquidBench) -> None:
    """A second artifact of the account is refused while the first is unresolved; next is to end the unknown."""
    second = bench.signed(**BTC)
    bench.world.pass_seconds(30)
    first = bench.unknown("drop_before_read")
    bench.world.pass_seconds(30)
    result = bench.submit(second)
    assert (result.outcome, codes(result)) == ("denied", ["interlock_held"])
    assert (result.next.verb, result.next.arguments) == ("reconcile", (str(first),))
    assert sends(bench) == 1


# --------------------------------------------------------------------------- again, from somewhere else


def places(bench: HyperliquidBench, artifact: Path, session: Path) -> dict[str, Path]:
    """Return every place that the signed order can be named by after it was sent."""
    copy = bench.folder / "elsewhere" / "copy.json"
    copy.parent.mkdir()
    shutil.copy(artifact, copy)
    shutil.copytree(session, copy.parent / session.name)
    shutil.copytree(artifact.parent, copy.parent / "outdir")
    [record] = (artifact.parent / "records").iterdir()
    return {
        "artifact": artifact,
        "outdir": artifact.parent,
        "record": record,
        "copy": copy,
        "copied outdir": copy.parent / "outdir",
        "session": session,
        "copied session": copy.parent / session.name,
        "view of the outdir's copy": copy.parent / "outdir" / ARTIFACT,
    }


def test_whichever_copy_is_given_it_is_one_send(bench: HyperliquidBench) -> None:
    """Artifact, outdir, record, session, copies of each, under two roots: the recorded outcome, and nothing sent."""
    artifact = bench.signed()
    session = session_of(bench, bench.submit(artifact))
    for name, place in places(bench, artifact, session).items():
        for root in (bench.root, bench.folder / "second-root"):
            result = bench.submit(place, root=root)
            assert result.outcome == "done", (name, result.headline)
            assert "Nothing was sent now" in result.headline
            assert result.session_id == session.name
    assert sends(bench) == 1
    assert len(bench.orders()) == 1
    assert folders(bench) == [session]
    assert not (bench.folder / "second-root").exists()


@pytest.mark.parametrize("name", ["outdir", "record", "copy", "copied outdir"])
def test_any_copy_can_be_the_one_that_is_sent(bench: HyperliquidBench, name: str) -> None:
    """The first send may come from a copy; the artifact itself then sends nothing."""
    artifact = bench.signed()
    place = {
        "outdir": lambda: artifact.parent,
        "record": lambda: next((artifact.parent / "records").iterdir()),
        "copy": lambda: Path(shutil.copy(artifact, bench.folder / "copy.json")),
        "copied outdir": lambda: Path(shutil.copytree(artifact.parent, bench.folder / "copied")),
    }[name]()
    assert bench.submit(place, root=bench.folder / "a-root").outcome == "done"
    bench.world.pass_seconds(30)
    assert bench.submit(artifact).outcome == "done"
    assert sends(bench) == 1


def test_a_second_process_while_the_first_sends_sends_nothing(bench: HyperliquidBench) -> None:
    """Started between the attempt and the send, on a copy and under another root: busy, one request in all."""
    artifact = bench.signed()
    copy = Path(shutil.copy(artifact, bench.folder / "copy.json"))
    second: list[Result] = []

    def start() -> None:
        second.extend((bench.submit(artifact), bench.submit(copy, root=bench.folder / "second-root")))

    at_progress(bench, "sending once", start)
    assert bench.submit(artifact).outcome == "done"
    assert [one.outcome for one in second] == ["busy", "busy"]
    assert sends(bench) == 1


def test_a_second_process_while_the_first_looks_sends_nothing(bench: HyperliquidBench) -> None:
    """Started while the first makes its checks: busy at once, on the session that the first bound the order to."""
    artifact = bench.signed()
    began_ns = bench.world.driver_ns
    second: list[Result] = []
    at_progress(
        bench, "every check once more", lambda: second.append(bench.submit(artifact, root=bench.folder / "second-root"))
    )
    assert bench.submit(artifact).outcome == "done"
    assert [one.outcome for one in second] == ["busy"]
    assert began_ns == bench.world.driver_ns
    assert sends(bench) == 1


def test_a_second_process_that_ends_before_the_first_has_its_session_sends_for_both(bench: HyperliquidBench) -> None:
    """The second one sends between the first one's look at the ledger and its lock: the first repeats, no more."""
    artifact = bench.signed()
    second: list[Result] = []

    class Early:
        """A ledger before whose binding another process gets through."""

        def __init__(self, ledger: Any) -> None:
            self._ledger = ledger

        def __getattr__(self, name: str) -> Any:
            value = getattr(self._ledger, name)
            if name == "signings":
                return Early(value)
            if name == "bind" and not second:
                bench.around_ledger = None
                second.append(bench.submit(artifact))
            return value

    bench.around_ledger = Early
    first = bench.submit(artifact)
    assert [one.outcome for one in second] == ["done"]
    assert first.outcome == "done"
    assert "Nothing was sent now" in first.headline
    assert sends(bench) == 1


def test_a_session_that_is_gone_after_the_send_is_told_from_the_ledger(bench: HyperliquidBench) -> None:
    """The evidence is gone, the ledger is not: exit 0 as it was accepted, and nothing is sent."""
    artifact = bench.signed()
    session = session_of(bench, bench.submit(artifact))
    shutil.rmtree(session)
    result = bench.submit(artifact)
    assert result.outcome == "done"
    assert "which can not be read" in result.headline
    assert (result.next.verb, result.next.arguments) == ("reconcile", (str(session),))
    assert sends(bench) == 1


def test_a_session_that_was_emptied_after_the_send_is_told_from_the_ledger_too(bench: HyperliquidBench) -> None:
    """All records removed, the folder left: the ledger tells what it knows, and nothing is sent."""
    artifact = bench.signed()
    session = session_of(bench, bench.submit(artifact))
    shutil.rmtree(session / "records")
    (session / "records").mkdir()
    for path in session.glob("*.json"):
        path.unlink()
    for place in (artifact, artifact.parent):
        result = bench.submit(place)
        assert result.outcome == "done"
        assert "which can not be read" in result.headline
    assert sends(bench) == 1


def test_a_session_that_was_changed_after_the_send_does_not_verify(bench: HyperliquidBench) -> None:
    """One byte of the session's records changed: exit 5, and nothing is sent, from the artifact either."""
    artifact = bench.signed()
    session = session_of(bench, bench.submit(artifact))
    record = sorted((session / "records").iterdir())[1]
    record.write_bytes(record.read_bytes().replace(b"marce", b"m4rce"))
    assert bench.submit(artifact).outcome == "unverified"
    assert sends(bench) == 1


# ------------------------------------------------------------------------------------ broken off half-way


def kill(bench: HyperliquidBench, artifact: Path, words: str) -> None:
    """Kill a submit when it prints a line with these words."""

    def die() -> None:
        raise Killed

    at_progress(bench, words, die)
    with pytest.raises(Killed):
        bench.submit(artifact)
    bench.on_progress = None


class KillingLedger:
    """A ledger whose user is killed after one of its transactions."""

    def __init__(self, ledger: Any, name: str) -> None:
        self._ledger = ledger
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._ledger, name)
        if name == "signings":
            return KillingLedger(value, self._name)
        if name != self._name:
            return value

        def transaction(*arguments: Any, **options: Any) -> Any:
            value(*arguments, **options)
            raise Killed

        return transaction


def kill_after(bench: HyperliquidBench, artifact: Path, name: str) -> None:
    """Kill a submit after the ledger's transaction of a name."""
    bench.around_ledger = lambda ledger: KillingLedger(ledger, name)
    with pytest.raises(Killed):
        bench.submit(artifact)
    bench.around_ledger = None


def test_killed_between_binding_and_the_first_record_it_can_be_sent_under_any_root(bench: HyperliquidBench) -> None:
    """The order is bound to a session that was never made: another root may take it over, and one order is sent."""
    artifact = bench.signed()
    kill_after(bench, artifact, "bind")
    assert folders(bench) == []
    result = bench.submit(artifact, root=bench.folder / "second-root")
    assert result.outcome == "done"
    assert bench.submit(artifact).outcome == "done"
    assert folders(bench) == []
    assert sends(bench) == 1


def test_killed_between_binding_and_the_first_record_the_same_root_goes_on(bench: HyperliquidBench) -> None:
    """The folder was made and is empty: the same command goes on with it."""
    artifact = bench.signed()
    kill_after(bench, artifact, "bind")
    (bench.root / json.loads(artifact.read_text())["plan"]["session_id"] / "records").mkdir(parents=True)
    assert bench.submit(artifact, root=bench.folder / "second-root").outcome == "done"
    [session] = folders(bench)
    assert bench.standing(session).state in {"filled", "landed"}
    assert sends(bench) == 1


def test_killed_before_the_claim_the_same_artifact_goes_on(bench: HyperliquidBench) -> None:
    """Adopted and approved, killed at the last look: sent by the next command, once."""
    artifact = bench.signed()
    kill(bench, artifact, "every check once more")
    bench.world.pass_seconds(60)
    assert bench.submit(artifact).outcome == "done"
    assert sends(bench) == 1


def test_killed_after_the_spend_it_was_never_sent(bench: HyperliquidBench) -> None:
    """Plan and nonce are spent and no attempt is durable: never sent, for ever, and the account is free."""
    artifact = bench.signed()
    kill_after(bench, artifact, "spend")
    bench.world.pass_seconds(60)
    result = bench.submit(artifact)
    assert result.outcome == "never_sent"
    assert sends(bench) == 0
    assert bench.held() == ()
    assert bench.submit(artifact, root=bench.folder / "second-root").outcome == "never_sent"
    assert sends(bench) == 0


def test_killed_after_the_attempt_it_is_unknown(bench: HyperliquidBench) -> None:
    """The attempt is durable and nobody knows whether a byte left: unknown, held, not sent again."""
    artifact = bench.signed()
    kill(bench, artifact, "sending once")
    bench.world.pass_seconds(60)
    result = bench.submit(artifact)
    assert result.outcome == "unknown"
    assert result.next.verb == "reconcile"
    assert len(bench.held()) == 1
    assert sends(bench) == 0


def test_killed_before_the_ledger_was_told_the_outcome_a_repeat_tells_it(bench: HyperliquidBench) -> None:
    """The response is recorded, the account still held: a repeat frees it and sends nothing."""
    artifact = bench.signed()

    class Dying:
        def __init__(self, ledger: Any) -> None:
            self._ledger = ledger

        def __getattr__(self, name: str) -> Any:
            if name == "settle":
                raise Killed
            return getattr(self._ledger, name)

    bench.around_ledger = Dying
    with pytest.raises(Killed):
        bench.submit(artifact)
    bench.around_ledger = None
    assert len(bench.held()) == 1
    bench.world.pass_seconds(30)
    assert bench.submit(artifact).outcome == "done"
    assert bench.held() == ()
    assert sends(bench) == 1


def test_an_attempt_that_the_ledger_never_spent_keeps_every_send_back(
    bench: HyperliquidBench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A session sent under another state folder stands in the root: denied until the ledger is rebuilt."""
    other = HyperliquidBench(tmp_path_factory.mktemp("other"), seed=8)
    foreign = other.submitted()
    artifact = bench.signed()
    shutil.copytree(foreign, bench.root / foreign.name)
    result = bench.submit(artifact)
    refused(bench, result, "ledger_complete")
    assert result.next.verb == "ledger rebuild"


def test_a_nonce_that_is_not_the_signed_one_sends_nothing(bench: HyperliquidBench) -> None:
    """The ledger hands out another nonce than the signed one: never sent."""
    artifact = bench.signed()

    class OtherNonce:
        def __init__(self, ledger: Any) -> None:
            self._ledger = ledger

        def __getattr__(self, name: str) -> Any:
            value = getattr(self._ledger, name)
            return (lambda spend: value(spend) + 1) if name == "spend" else value

    bench.around_ledger = OtherNonce
    result = bench.submit(artifact)
    assert result.outcome == "never_sent"
    assert "another nonce" in result.data.message
    assert sends(bench) == 0


def test_a_session_that_holds_another_artifact_is_not_sent(bench: HyperliquidBench) -> None:
    """A record was adopted that is not this artifact: unverified, nothing sent."""
    artifact = bench.signed()
    kill(bench, artifact, "every check once more")
    [session] = folders(bench)
    desk = bench.desk()
    with desk.write(session) as writer:
        adopted = writer.chain.newest(AdoptedAction).body
        desk.append(writer, msgspec.structs.replace(adopted, source_sha256="0" * 64))
    desk.ledger.close()
    bench.world.pass_seconds(60)
    result = bench.submit(artifact)
    assert result.outcome == "unverified"
    assert sends(bench) == 0


def test_a_session_that_was_revoked_is_not_sent(bench: HyperliquidBench) -> None:
    """The session is revoked although the ledger was not told: denied by the evidence."""
    artifact = bench.signed()
    kill(bench, artifact, "every check once more")
    [session] = folders(bench)
    desk = bench.desk()
    with desk.write(session) as writer:
        adopted = writer.chain.newest(AdoptedAction)
        body = Revocation(
            plan_sha256=adopted.body.plan_sha256, approval_sha256=adopted.sha256, reviewer="marce", note="no"
        )
        desk.append(writer, body)
    desk.ledger.close()
    bench.world.pass_seconds(60)
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("denied", ["submit_not_allowed"])
    assert result.refusals[0].measured == "revoked"
    assert sends(bench) == 0


def test_the_expiry_bounds_the_send_on_the_venues_clock(bench: HyperliquidBench) -> None:
    """The attempt's deadline is the artifact's expiry, which the venue holds the bytes to."""
    artifact = bench.signed()
    attempt = bench.standing(session_of(bench, bench.submit(artifact))).attempt.body
    sent = json.loads(attempt.body_text)
    assert to_ns(parse_rfc3339(attempt.deadline_at)) == sent["expiresAfter"] * 1_000_000
