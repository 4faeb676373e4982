"""Burn and revoke: what the nonce of a signed order proves, and what it never proves."""

import errno
import json
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from quantlab.evidence.records import BurnAttempt, BurnResponse, Reconciliation, Revocation
from quantlab.kernel.clock import parse_rfc3339, rfc3339, to_ns
from quantlab.rungs.corridors import HYPERLIQUID
from quantlab.storage.ledger import Signing
from tests.support.breaking import QuickDisk
from tests.support.virtual import codes
from tests.support.virtual_hyperliquid import ARTIFACT, PATH, HyperliquidBench
from tests.unit.rehearsal.driving import request_bytes
from tests.unit.rehearsal.hyperliquid_driving import sign

UNUSED = ("nonce_was_unused", "searches_empty")


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def burns(bench: HyperliquidBench, session: Path) -> list[tuple[str, str]]:
    """Return what each burn of a session was answered with and proved."""
    found = bench.session(session).chain.all(BurnResponse)
    return [(one.body.outcome, one.body.nonce_was) for one in found]


def sent_kinds(bench: HyperliquidBench) -> list[str]:
    """Return the kinds of all requests that could have changed something at the venue."""
    return [row["type"] for row in bench.world.requests() if row["path"] == PATH]


def turn_to_expiry(bench: HyperliquidBench, session: Path, *, after_ms: int) -> None:
    """Turn the clock so that it stands so many milliseconds after the signature has run out."""
    expires_at = parse_rfc3339(bench.standing(session).signed.body.expires_at)
    target_ns = to_ns(expires_at + timedelta(milliseconds=after_ms))
    assert target_ns > bench.world.driver_ns
    bench.world.driver_ns = target_ns
    bench.world.kraken.advance()
    bench.world.hyperliquid.advance()


def look(bench: HyperliquidBench, session: Path) -> tuple[str, str]:
    """Reconcile once; return the outcome and the session's state."""
    return bench.reconcile(session).outcome, bench.standing(session).state


# ------------------------------------------------------------------ an order that was lost on its way


def test_an_order_lost_on_its_way_is_proven_not_landed_long_before_it_expires(bench):
    """Burned at once: the nonce was free, and two clean searches 15 s apart end the unknown with the proof cited."""
    certified = bench.certify()
    assert certified.outcome == "done", certified.refusals
    session = bench.unknown("drop_before_read")
    result = bench.burn(session)
    assert ("unknown", "reconcile") == (result.outcome, result.next.verb)
    assert [("accepted", "unused")] == burns(bench, session)
    assert ("The nonce was", "unused until now: the order was never admitted") in [
        (fact.label, fact.value) for fact in result.facts
    ]
    assert 1 == len(bench.held())
    plan_sha256 = bench.standing(session).plan_sha256
    assert "burned" == bench.signing(plan_sha256).state
    for seconds, state in ((9, "unresolved"), (1, "unresolved"), (14, "unresolved"), (1, "not_landed")):
        bench.world.pass_seconds(seconds)
        assert (("unknown" if state == "unresolved" else "done"), state) == look(bench, session)
    expires_at = parse_rfc3339(bench.standing(session).signed.body.expires_at)
    assert bench.clock.now() < expires_at
    body = bench.session(session).chain.newest(Reconciliation).body
    assert (UNUSED, HYPERLIQUID.proof_rests_on) == (body.reasons, body.assumptions)
    [certification] = bench.ask_ledger(lambda ledger: ledger.certifications())
    assert certification.record_sha256 == body.certification_sha256
    assert () == bench.held()
    assert "sign" == bench.reconcile(session).next.verb
    assert "done" == bench.reconcile(session).outcome


def test_without_a_certification_the_proof_cites_none(bench):
    """Nobody has tried the assumptions: the record says so by leaving the digest out."""
    session = bench.unknown("drop_before_read")
    bench.burn(session)
    for seconds in (10, 15):
        bench.world.pass_seconds(seconds)
        look(bench, session)
    body = bench.session(session).chain.newest(Reconciliation).body
    assert ("not_landed", None) == (body.resolution, body.certification_sha256)


def test_empty_searches_from_before_the_burn_do_not_count(bench):
    """A clean search after expiry, then the burn: two further ones are needed, although one would make a pair."""
    session = bench.unknown("drop_before_read")
    bench.world.pass_seconds(1_000)
    look(bench, session)
    assert bench.session(session).chain.newest(Reconciliation).body.passes[0].full
    bench.burn(session)
    for seconds, state in ((10, "unresolved"), (15, "not_landed")):
        bench.world.pass_seconds(seconds)
        assert state == look(bench, session)[1]


def test_a_late_order_meets_the_burn(bench):
    """The order was still on its way: the burn comes first, and the order is refused when it arrives."""
    session = bench.unknown("late", 20)
    bench.burn(session)
    assert [("accepted", "unused")] == burns(bench, session)
    bench.world.pass_seconds(25)
    assert "unresolved" == look(bench, session)[1]
    bench.world.pass_seconds(15)
    assert "not_landed" == look(bench, session)[1]
    assert [] == bench.orders()


# ------------------------------------------------------------------ an order that is there


def test_the_burn_of_an_order_that_landed_proves_only_that_something_did(bench):
    """Duplicate: the session stays unknown and the account held until the order itself is found."""
    session = bench.unknown("drop_after_accept")
    result = bench.burn(session)
    assert ("unknown", ["venue_unknown"]) == (result.outcome, codes(result))
    assert "duplicate nonce" in result.refusals[0].message
    assert [("unknown", "used")] == burns(bench, session)
    assert ("unresolved", 1) == (bench.standing(session).state, len(bench.held()))
    assert ("done", "filled") == look(bench, session)
    assert ((), 1) == (bench.held(), len(bench.orders()))
    refused = bench.burn(session)
    assert ("denied", ["burn_not_needed"], 1) == (refused.outcome, codes(refused), len(burns(bench, session)))


def test_an_order_that_no_view_shows_yet_is_not_absent_although_its_nonce_is_used(bench):
    """Used, and the views lag: no number of early looks ends it, and it is found when they show it."""
    session = bench.unknown("drop_after_accept")
    bench.fault("stale_reads", "/info", count=0, value=3_000)
    bench.burn(session)
    assert [("unknown", "used")] == burns(bench, session)
    for _ in range(4):
        bench.world.pass_seconds(16)
        assert ("unknown", "unresolved") == look(bench, session)
    bench.world.control("DELETE", "/faults")
    assert ("done", "filled") == look(bench, session)


def test_a_burn_whose_answer_was_lost_is_not_told_from_the_order_the_next_time(bench):
    """Nothing is proven by the lost one; by the second one only that something used the nonce."""
    session = bench.unknown("drop_before_read")
    bench.fault("drop_after_accept", type="noop")
    first = bench.burn(session)
    assert ("unknown", [("unknown", "nothing")]) == (first.outcome, burns(bench, session))
    assert "may still run" in first.headline
    bench.burn(session)
    assert [("unknown", "nothing"), ("unknown", "used")] == burns(bench, session)
    turn_to_expiry(bench, session, after_ms=11_000 + 60_000)
    states = []
    for _ in range(3):
        states.append(look(bench, session)[1])
        bench.world.pass_seconds(16)
    assert "not_landed" not in states
    assert 1 == len(bench.held())


def test_a_nonce_below_the_venues_window_is_closed_and_proves_no_past(bench):
    """Too low: it can not be admitted any more, but whether it was is not told, so a person decides at last."""
    bench.submitted(quantity=Decimal("0.2"), notional=Decimal(400))
    session = bench.unknown("drop_before_read")
    use_higher_nonce(bench, session)
    bench.fault("rules", "*", value={"nonces_kept": 1})
    result = bench.burn(session)
    assert [("unknown", "closed")] == burns(bench, session)
    assert "nonce too low" in result.refusals[0].message
    assert "takes this nonce no more" in result.headline
    states = []
    for seconds in (10, 15):
        bench.world.pass_seconds(seconds)
        states.append(look(bench, session)[1])
    assert ["unresolved", "not_found"] == states
    body = bench.session(session).chain.newest(Reconciliation).body
    assert (HYPERLIQUID.absence_rests_on, None) == (body.assumptions, body.certification_sha256)
    assert 1 == len(bench.held())
    assert "done" == bench.resolve(session).outcome
    assert () == bench.held()


# ------------------------------------------------------------------ a send that was refused, or came late


@pytest.mark.parametrize("how", ["agent removed", "422"])
def test_a_refusal_before_admission_holds_until_the_bytes_have_run_out(bench, how):
    """Refused, but the signed bytes could still run: the account is held until expiry + 10 s and two clean searches."""
    artifact = bench.signed()
    if how == "422":
        bench.fault("http_error", type="order", value=422)
    else:
        # The look before the send is good; the agent is gone when the order comes.
        bench.connector.on_send = lambda data: b'"type":"order"' in data and bench.fault("agent_removed", "*")
    result = bench.submit(artifact)
    bench.connector.on_send = None
    session = bench.root / str(result.session_id)
    assert ("unknown", "unresolved", 1) == (result.outcome, bench.standing(session).state, len(bench.held()))
    assert bench.standing(session).response.body.rule.startswith("not_admitted_")
    for _ in range(2):
        bench.world.pass_seconds(20)
        assert ("unknown", "unresolved") == look(bench, session)
    turn_to_expiry(bench, session, after_ms=9_000)
    assert ("unknown", "unresolved") == look(bench, session)
    for seconds, state in ((1, "unresolved"), (14, "unresolved"), (1, "not_landed")):
        assert 1 == len(bench.held())
        bench.world.pass_seconds(seconds)
        assert state == look(bench, session)[1]
    body = bench.session(session).chain.newest(Reconciliation).body
    assert ("refused_before_admission", "searches_empty") == body.reasons
    assert ((), []) == (bench.held(), bench.orders())


def test_an_order_carried_out_late_but_in_time_landed(bench):
    """An empty look, then the order is carried out before it expires: it is found, whatever the first look said."""
    session = bench.unknown("late", 200)
    bench.world.pass_seconds(60)
    assert ("unknown", "unresolved") == look(bench, session)
    bench.world.pass_seconds(145)
    assert ("done", "filled") == look(bench, session)
    assert 1 == len(bench.orders())


def test_an_order_that_arrives_too_late_is_never_claimed_to_have_landed(bench):
    """It reaches the venue after its expiry: refused there, and the search ends in what a person decides."""
    bench.submitted(quantity=Decimal("0.2"), notional=Decimal(400))
    session = bench.unknown("late", 320)
    turn_to_expiry(bench, session, after_ms=0)
    assert ("unknown", "unresolved") == look(bench, session)
    turn_to_expiry(bench, session, after_ms=69_000)
    assert ("unknown", "unresolved") == look(bench, session)
    bench.world.pass_seconds(1)
    assert ("unknown", "unresolved") == look(bench, session)
    bench.world.pass_seconds(15)
    assert "not_found" == look(bench, session)[1]
    assert 1 == len(bench.orders())


def test_an_order_that_a_lagging_view_hides_is_found_when_it_shows_it(bench):
    """Unknown by client id although it exists: no not_found before expiry, margin and settle time, then landed."""
    session = bench.unknown("drop_after_accept")
    bench.fault("stale_reads", "/info", count=0, value=3_000)
    for seconds in (1, 60, 200, 100):
        bench.world.pass_seconds(seconds)
        assert ("unknown", "unresolved") == look(bench, session)
    bench.world.control("DELETE", "/faults")
    assert ("done", "filled") == look(bench, session)


# ------------------------------------------------------------------ taking back what was not sent


@pytest.mark.parametrize("given", ["file", "outdir", "session"])
def test_an_unsent_order_is_revoked_by_a_burn(bench, given):
    """Given as file, outdir or session: revoked, the nonce burned, nothing held, and no copy can be submitted."""
    artifact = bench.signed()
    copy = bench.folder / "copy.json"
    shutil.copy(artifact, copy)
    path = {"file": artifact, "outdir": artifact.parent, "session": artifact}[given]
    if given == "session":
        path = adopt(bench, artifact)
    result = bench.revoke(path)
    assert ("done", ["noop"]) == (result.outcome, sent_kinds(bench))
    session = bench.root / str(result.session_id)
    assert ("revoked", ()) == (bench.standing(session).state, bench.held())
    assert 1 == len(bench.session(session).chain.all(Revocation))
    for one in (artifact, copy, artifact.parent, session):
        refused = bench.submit(one)
        assert ("denied", ["signed_action_ended"]) == (refused.outcome, codes(refused)), one
    assert (["noop"], []) == (sent_kinds(bench), bench.orders())
    again = bench.revoke(session)
    assert ("denied", ["burn_not_needed"], ["noop"]) == (again.outcome, codes(again), sent_kinds(bench))


def test_an_expired_signature_is_revoked_without_a_request(bench):
    """Nothing can be sent with it any more, so nothing is burned."""
    artifact = bench.signed()
    bench.world.pass_seconds(311)
    result = bench.revoke(artifact)
    assert ("done", []) == (result.outcome, sent_kinds(bench))
    assert "no burn was needed" in result.headline
    session = bench.root / str(result.session_id)
    assert ("revoked", ()) == (bench.standing(session).state, bench.held())
    assert ["signed_action_ended"] == codes(bench.submit(artifact))


def test_a_burn_of_an_unsent_order_without_a_revocation_ends_it_as_well(bench):
    """Given as artifact: it is adopted, its nonce used up, and no copy of it can be sent; nothing is held."""
    artifact = bench.signed()
    result = bench.burn(artifact)
    session = bench.root / str(result.session_id)
    assert ("done", "revoked", ()) == (result.outcome, bench.standing(session).state, bench.held())
    assert () == bench.session(session).chain.all(Revocation)
    assert ["signed_action_ended"] == codes(bench.submit(artifact))


def test_an_unsent_order_whose_burn_proved_nothing_is_not_sent_any_more(bench):
    """The nonce may be used up or not: the order stays unresolved, from whichever path it is given."""
    artifact = bench.signed()
    bench.fault("drop_before_read", type="noop")
    result = bench.burn(artifact)
    session = bench.root / str(result.session_id)
    for path, root in ((artifact, bench.root), (session, bench.root), (artifact.parent, bench.folder / "other")):
        refused = bench.submit(path, root=root)
        assert ("unknown", "reconcile") == (refused.outcome, refused.next.verb), path
        assert "Nothing was sent now" in refused.headline
    assert ["noop"] == sent_kinds(bench)


def test_a_revocation_is_burned_again_until_it_is_proven(bench):
    """The first burn was lost before the venue read it: the second one is answered, and there is one revocation."""
    artifact = bench.signed()
    bench.fault("drop_before_read", type="noop")
    first = bench.revoke(artifact)
    second = bench.revoke(artifact)
    session = bench.root / str(second.session_id)
    assert ("unknown", "done", "revoked") == (first.outcome, second.outcome, bench.standing(session).state)
    assert (1, ()) == (len(bench.session(session).chain.all(Revocation)), bench.held())


@pytest.mark.parametrize("hidden", ["clock behind", "unreadable"])
def test_an_expiry_that_is_not_sure_is_burned(bench, hidden):
    """Inside the margin of the venue's clocks, or without its clock, the nonce is used up all the same."""
    artifact = bench.signed()
    bench.world.pass_seconds(309)
    if hidden == "unreadable":
        bench.fault("http_error", "/info", type="exchangeStatus", count=0)
    assert ("done", ["noop"]) == (bench.revoke(artifact).outcome, sent_kinds(bench))


def test_a_sent_order_is_found_from_its_artifact(bench):
    """A copy of the artifact leads to the session that it was sent from."""
    session = bench.unknown("drop_before_read")
    result = bench.burn(next(bench.folder.glob(f"outputs/signed/*/{ARTIFACT}")), root=bench.folder / "other")
    assert (session.name, [("accepted", "unused")]) == (result.session_id, burns(bench, session))


def test_a_sent_order_is_not_revoked(bench):
    """There is nothing to take back: burn its nonce, or cancel it."""
    session = bench.unknown("drop_before_read")
    for path in (session, next(bench.folder.glob(f"outputs/signed/*/{ARTIFACT}"))):
        result = bench.revoke(path)
        assert ("denied", ["revoke_not_allowed"], "reconcile") == (result.outcome, codes(result), result.next.verb)
    assert () == bench.session(session).chain.all(Revocation)
    assert ["order"] == sent_kinds(bench)


def test_what_is_signed_after_a_burned_revocation_is_a_new_order(bench):
    """The nonce is gone: a new one and a new client order id are taken."""
    first = bench.signed()
    before = signing_of(bench, first)
    bench.revoke(first)
    after = signing_of(bench, bench.signed())
    assert before.nonce != after.nonce
    assert before.client_order_id != after.client_order_id


def test_what_is_signed_after_an_unproven_revocation_is_the_same_order(bench):
    """The burn proved nothing, so both copies bear one nonce and one id: the venue admits at most one of them."""
    first = bench.signed()
    before = signing_of(bench, first)
    bench.fault("drop_before_read", type="noop")
    result = bench.revoke(first)
    session = bench.root / str(result.session_id)
    assert ("unknown", "unresolved", 1) == (result.outcome, bench.standing(session).state, len(bench.held()))
    refused = bench.sign()
    assert ("denied", True) == (refused.outcome, "interlock_held" in codes(refused))
    turn_to_expiry(bench, session, after_ms=10_000)
    states = []
    for _ in range(2):
        states.append(look(bench, session)[1])
        bench.world.pass_seconds(15)
    assert ["unresolved", "revoked"] == states
    assert () == bench.held()
    after = signing_of(bench, bench.signed())
    assert (before.nonce, before.client_order_id) == (after.nonce, after.client_order_id)


# ------------------------------------------------------------------ refusals, damage, a full disk


def test_a_burn_needs_a_name_and_a_confirmation_and_a_revocation_a_reason(bench):
    """Each is refused before anything is written or sent."""
    session = bench.unknown("drop_before_read")
    before = len(bench.session(session).chain.records)
    for changes, code in (
        ({"reviewer": " "}, "reviewer_required"),
        ({"confirm": False}, "confirm_required"),
        ({"revoke": True, "note": " "}, "reason_required"),
    ):
        result = bench.burn(session, **changes)
        assert ("denied", [code]) == (result.outcome, codes(result))
    assert (before, ["order"]) == (len(bench.session(session).chain.records), sent_kinds(bench))
    assert "unknown" == bench.burn(session, note=None).outcome


def test_a_session_without_a_signed_order_has_no_nonce_to_burn(bench):
    """A folder that holds only a look at the venue."""
    bench.preflight()
    result = bench.burn(bench.folder / "preflight")
    assert ("denied", ["nothing_signed"], []) == (result.outcome, codes(result), sent_kinds(bench))


@pytest.mark.parametrize("how", ["changed", "shortened"])
def test_a_burn_works_on_a_damaged_session_and_says_so(bench, how):
    """It can do no harm and may be needed most there: sent, recorded as unverified, exit 5, nothing settled."""
    session = bench.unknown("drop_before_read")
    if how == "changed":
        damage_note(session)
    else:
        max((session / "records").iterdir()).unlink()
        (session / "hyperliquid_submit_response.json").unlink()
    result = bench.burn(session)
    assert ("unverified", ["order", "noop"]) == (result.outcome, sent_kinds(bench))
    chain = bench.session(session).chain
    assert chain.newest(BurnAttempt).body.unverified
    assert "marked unverified" in result.headline
    plan_sha256 = bench.ask_ledger(lambda ledger: ledger.sends())[0].plan_sha256
    assert ("sent", 1) == (bench.signing(plan_sha256).state, len(bench.held()))


class FullDisk(QuickDisk):
    """A disk that is full once the burn's answer is to be written."""

    def open_new(self, path: Path, *, mode: int) -> int:
        if "burn_response" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().open_new(path, mode=mode)

    def link(self, source: Path, target: Path) -> None:
        if "burn_response" in target.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().link(source, target)


def test_an_answer_that_the_disk_can_not_take_is_printed_whole(bench):
    """The burn was sent: what it proved is on the terminal, and the session stays unknown."""
    session = bench.unknown("drop_before_read")
    bench.disk = FullDisk()
    result = bench.burn(session)
    assert ("unknown", "reconcile") == (result.outcome, result.next.verb)
    assert '"nonce_was":"unused"' in result.headline
    bench.disk = QuickDisk()
    assert ([], "unresolved", 1) == (burns(bench, session), bench.standing(session).state, len(bench.held()))


def test_an_interrupted_burn_proves_nothing(bench):
    """Control-C while it is sent: recorded as unknown, never as done."""
    session = bench.unknown("drop_before_read")

    def interrupt(data: bytes) -> None:
        if b'"type":"noop"' in data:
            raise KeyboardInterrupt

    bench.connector.on_send = interrupt
    result = bench.burn(session)
    bench.connector.on_send = None
    body = bench.session(session).chain.newest(BurnResponse).body
    assert ("unknown", "interrupted", "nothing") == (result.outcome, body.rule, body.nonce_was)


def test_a_burn_after_a_decision_is_recorded_beside_it(bench):
    """Decided, not proven: a burn may still be sent; the session stays decided, and the command ends well."""
    session = bench.unknown("drop_before_read")
    turn_to_expiry(bench, session, after_ms=71_000)
    look(bench, session)
    assert "done" == bench.resolve(session).outcome
    result = bench.burn(session)
    assert ("done", "Burned. The session stands as decided_not_landed.") == (result.outcome, result.headline)


def test_the_venues_clock_stands_beside_a_burn_and_ours_where_it_is_silent(bench):
    """The time from which empty looks count is the venue's where it can be read."""
    session = bench.unknown("drop_before_read")
    bench.fault("http_error", "/info", type="exchangeStatus", count=0)
    bench.burn(session)
    body = bench.session(session).chain.newest(BurnResponse).body
    assert rfc3339(bench.clock.now()) >= body.venue_at
    assert [("accepted", "unused")] == burns(bench, session)


# ------------------------------------------------------------------ what the tests share


def use_higher_nonce(bench: HyperliquidBench, session: Path) -> None:
    """Let another program of the same signer use a nonce above the session's."""
    nonce, action = int(bench.standing(session).signed.body.nonce) + 1, {"type": "noop"}
    body = {"action": action, "nonce": nonce, "vaultAddress": None, "expiresAfter": None}
    body["signature"] = sign(bench.world.exchange.keys.agent.private_key, action, nonce)
    data = json.dumps(body).encode()
    fields = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(data))}
    reply = bench.world.send(request_bytes("POST", PATH, fields, data), bench.world.hyperliquid)
    assert reply is not None
    assert "ok" == reply.json()["status"]


def signing_of(bench: HyperliquidBench, artifact: Path) -> Signing:
    """Return what the ledger keeps of an artifact."""
    found = bench.signing(json.loads(artifact.read_text())["signed_plan_sha256"])
    assert found is not None
    return found


def adopt(bench: HyperliquidBench, artifact: Path) -> Path:
    """Return the session that an artifact was adopted into by a submit that was refused."""
    bench.policy(max_order_notional=20)
    result = bench.submit(artifact)
    assert "denied" == result.outcome, result
    (bench.folder / "quantlab.toml").unlink()
    [folder] = [one for one in bench.root.iterdir() if one.is_dir()]
    assert [] == sent_kinds(bench)
    return folder


def damage_note(session: Path) -> None:
    """Change one byte of the approval."""
    [path] = (session / "records").glob("*-approval.json")
    path.write_bytes(path.read_bytes().replace(b'"once"', b'"ONCE"'))


def test_a_session_that_can_not_be_read_at_all_is_not_told_as_unsigned(bench):
    """With every record rubbish a burn has nothing to send and says that the evidence does not verify: exit 5."""
    session = bench.unknown("drop_before_read")
    for path in (session / "records").iterdir():
        path.write_bytes(b"rubbish")
    result = bench.burn(session)
    assert "unverified" == result.outcome
    assert "nothing_signed" not in codes(result)
    assert "noop" not in sent_kinds(bench)


def test_a_session_whose_first_record_and_view_are_gone_has_nothing_to_burn_with(bench) -> None:
    """The prepared burn stood there and nowhere else: exit 5, and nothing is sent."""
    session = bench.unknown("drop_before_read")
    for path in (session / "hyperliquid_signed_action.json", *(session / "records").glob("0001-*")):
        path.unlink()
    before = len(bench.sent())
    assert "unverified" == bench.burn(session).outcome
    assert before == len(bench.sent())
