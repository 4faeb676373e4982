"""What the book of signed orders keeps apart: processes, signers, sends, and signatures with one nonce."""

from decimal import Decimal

import pytest

from quantlab.storage.ledger import Interlock, Signing, SigningRefusal, Spend, SpendRefusal
from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.evidence.built import AT, FixedEntropy
from tests.unit.storage.claims import but

ACCOUNT = "hyperliquid:rehearsal:0x" + "ac" * 20
SIGNER = "0xd8291e50e2e68fb2c70d77ccdc707d291a89f209"
NONCE = 1_767_323_045_678
EXPIRES = "2026-01-02T03:09:05.678000Z"
JUST_BEFORE = "2026-01-02T03:09:05.677999Z"
OLDEST = NONCE - 172_800_000

SIGNING = Signing(
    plan_sha256="p1",
    signer_id=SIGNER,
    nonce=NONCE,
    client_order_id="0xc1",
    intent_sha256="i1",
    account_key=ACCOUNT,
    session_id="s1",
    outdir="outputs/signed/1",
    expires_at=EXPIRES,
    reserved_at=AT,
)
CLAIM = Interlock(account_key=ACCOUNT, session_id="s1", folder="f1", plan_sha256="p1", claimed_at=AT)
SPEND = Spend(
    plan_sha256="p1",
    client_order_id="0xc1",
    intent_sha256="i1",
    session_id="s1",
    folder="f1",
    account_key=ACCOUNT,
    signer_id=SIGNER,
    nonce_floor=0,
    day="2026-01-02",
    notional_quote=Decimal("505.05"),
    daily_orders_limit=20,
    daily_notional_limit=Decimal(5000),
    spent_at=AT,
    reserved_nonce=NONCE,
)


def another(number: int, **changes) -> Signing:
    """Return the same intent planned anew: a plan and an id of its own, the venue's clock a second later."""
    fresh = {"plan_sha256": f"p{number}", "client_order_id": f"0xc{number}", "session_id": f"s{number}"}
    return but(SIGNING, **(fresh | {"nonce": NONCE + 1000 * number, "outdir": f"outputs/signed/{number}"} | changes))


def reserve(ledger: SqliteLedger, signing: Signing = SIGNING, *, live_after: str = AT, oldest: int = OLDEST):
    """Reserve for an order that is about to be signed."""
    return ledger.signings.reserve(signing, live_after=live_after, oldest_nonce=oldest)


def reusable(ledger: SqliteLedger, *, intent: str = "i1", signer: str = SIGNER, oldest: int = OLDEST):
    """Return the order whose nonce must be used again."""
    return ledger.signings.reusable(intent, signer, oldest_nonce=oldest)


def signed(ledger: SqliteLedger) -> None:
    """Leave the first order signed."""
    assert reserve(ledger) == SIGNING
    ledger.signings.note_signed("p1", "a1")


def spent(ledger: SqliteLedger, state: str | None = None) -> None:
    """Leave the first order signed and sent, its send settled as given and the account free."""
    signed(ledger)
    ledger.claim_interlock(CLAIM)
    assert NONCE == ledger.spend(SPEND)
    if state is not None:
        ledger.settle("p1", state=state, resolution=state, free_interlock=True)


# ------------------------------------------------------------------ reserve


def test_a_reservation_begins_without_signature_and_session(ledger):
    """Whatever is handed in, nothing is signed and bound yet when the nonce is reserved."""
    claimed = but(SIGNING, state="signed", artifact_sha256="a9", folder="f9")
    assert reserve(ledger, claimed) == SIGNING == ledger.signings.find("p1")


def test_nonces_rise_across_intents(ledger):
    """Another intent of the same key gets a nonce above the last, also where the clock stands or went back."""
    reserve(ledger)
    assert NONCE + 1 == reserve(ledger, another(2, intent_sha256="i2", nonce=NONCE)).nonce
    assert NONCE + 2 == reserve(ledger, another(3, intent_sha256="i3", nonce=5)).nonce
    assert NONCE + 3 == ledger.next_nonce(SIGNER, floor=0)
    assert NONCE == reserve(ledger, another(4, intent_sha256="i4", nonce=NONCE, signer_id="0xother")).nonce


def test_a_reservation_lives_on_in_the_file(tmp_path):
    """After the process died, the next one finds it, refuses a second signature, and knows the nonce as used."""
    first = SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy())
    reserve(first)
    first.close()
    second = SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy())
    assert SIGNING == second.signings.find("p1")
    assert "signed_action_live" == reserve(second, another(2)).code
    assert (NONCE, (), ()) == (second.last_nonce(SIGNER), second.sends(), second.interlocks())
    second.close()


def test_of_two_processes_one_reserves(tmp_path):
    """Two connections on one file: what one reserved the other refuses, and after its end uses again."""
    first, second = (SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy()) for _ in range(2))
    assert reserve(first) == SIGNING
    refused = reserve(second, another(2))
    assert ("signed_action_live", "outputs/signed/1") == (refused.code, refused.outdir)
    second.signings.end("p1", "unsigned")
    assert NONCE == reserve(first, another(2, client_order_id="0xc1")).nonce
    assert "signed_action_live" == reserve(second, another(3, client_order_id="0xc1")).code
    for one in (first, second):
        one.close()


@pytest.mark.parametrize("state", ["unsigned", "burned"])
def test_what_can_not_run_is_not_live(ledger, state):
    """Never signed, or its nonce used up: the intent is free before the expiry."""
    reserve(ledger)
    ledger.signings.end("p1", state)
    assert isinstance(reserve(ledger, another(2, client_order_id="0xc1")), Signing)


@pytest.mark.parametrize("state", ["in_flight", "accepted", "rejected", "unknown"])
def test_what_was_sent_is_no_live_signature(ledger, state):
    """Of a send the interlock and the checks of repeated intents decide, not the book of signatures."""
    spent(ledger, state)
    assert NONCE + 2000 == reserve(ledger, another(2)).nonce


@pytest.mark.parametrize(("live_after", "live"), [(JUST_BEFORE, True), (EXPIRES, False)])
def test_a_never_sent_signature_is_live_until_its_expiry(ledger, live_after, live):
    """Bytes that did not leave this machine could still be sent by whoever holds them, until they expire."""
    spent(ledger, "never_sent")
    found = reserve(ledger, another(2), live_after=live_after)
    assert live == isinstance(found, SigningRefusal)
    if not live:
        assert NONCE + 2000 == found.nonce, "the nonce of a send is not used again"


def test_another_intent_is_not_kept_back(ledger):
    """A live signature keeps its own intent alone."""
    signed(ledger)
    assert isinstance(reserve(ledger, another(2, intent_sha256="i2")), Signing)


def test_every_signature_of_the_intent_counts(ledger):
    """An older one that is live keeps the intent although a newer one is dead, and one of another signer too."""
    reserve(ledger)
    ledger.signings.end("p1", "unsigned")
    reserve(ledger, another(2, client_order_id="0xc1"))
    ledger.signings.end("p2", "unsigned")
    ledger.signings.end("p1", "signed")
    assert "outputs/signed/1" in reserve(ledger, another(3, client_order_id="0xc1")).measured
    assert "signed_action_live" == reserve(ledger, another(3, signer_id="0xother")).code


# ------------------------------------------------------------------ using a nonce again


@pytest.mark.parametrize("state", ["reserved", "signed", "unsigned", "revoked"])
def test_a_dead_order_gives_its_nonce_and_id_to_the_next(ledger, state):
    """What was never sent is followed by an order with its nonce and id: the venue admits at most one of them."""
    reserve(ledger)
    ledger.signings.end("p1", state)
    assert but(SIGNING, state=state) == reusable(ledger)
    again = another(2, client_order_id="0xc1")
    assert but(again, nonce=NONCE) == reserve(ledger, again, live_after=EXPIRES)
    assert NONCE == ledger.last_nonce(SIGNER)
    assert "p2" == reusable(ledger).plan_sha256


# ------------------------------------------------------------------ what becomes of a reservation


@pytest.mark.parametrize("state", ["unsigned", "revoked", "burned", "sent"])
def test_what_has_ended_is_not_signed(ledger, state):
    """A reservation that ended does not become signed again."""
    reserve(ledger)
    ledger.signings.end("p1", state)
    ledger.signings.note_signed("p1", "a1")
    assert but(SIGNING, state=state) == ledger.signings.find("p1")


def test_a_signature_ends_alone(ledger):
    """An end is of its plan alone; the artifact's digest stays."""
    signed(ledger)
    reserve(ledger, another(2, intent_sha256="i2"))
    ledger.signings.end("p1", "revoked")
    assert ("revoked", "a1") == (ledger.signings.find("p1").state, ledger.signings.find("p1").artifact_sha256)
    assert "reserved" == ledger.signings.find("p2").state


def test_a_signed_order_is_bound_to_one_session(tmp_path):
    """The first of two processes binds; the other learns where; a folder that is gone can be replaced by name."""
    first, second = (SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy()) for _ in range(2))
    signed(first)
    assert "f1" == first.signings.bind("p1", folder="f1", instead_of=None)
    assert "f1" == second.signings.bind("p1", folder="f2", instead_of=None)
    assert "f1" == second.signings.bind("p1", folder="f2", instead_of="f9")
    assert "f2" == second.signings.bind("p1", folder="f2", instead_of="f1")
    assert "f2" == first.signings.bind("p1", folder="f1", instead_of="f1")
    assert "f2" == first.signings.find("p1").folder
    for one in (first, second):
        one.close()


# ------------------------------------------------------------------ spending what was signed


def test_a_signed_order_spends_its_own_nonce(ledger):
    """The nonce that was signed is the one that is spent, the key's counter stays, and the signature is sent."""
    signed(ledger)
    reserve(ledger, another(2, intent_sha256="i2"))
    ledger.claim_interlock(CLAIM)
    assert NONCE == ledger.spend(SPEND) == ledger.sent("p1").nonce
    assert ("sent", "reserved") == (ledger.signings.find("p1").state, ledger.signings.find("p2").state)
    assert NONCE + 2000 == ledger.last_nonce(SIGNER)


@pytest.mark.parametrize(
    ("end", "changes", "measured"),
    [
        (None, {"plan_sha256": "p2"}, "no such reservation"),
        (None, {"signer_id": "0xother"}, "no such reservation"),
        (None, {"reserved_nonce": NONCE + 1}, "no such reservation"),
        ("reserved", {}, "reserved"),
        ("unsigned", {}, "unsigned"),
        ("revoked", {}, "revoked"),
        ("burned", {}, "burned"),
        ("sent", {}, "sent"),
    ],
)
def test_only_what_is_signed_is_spent(ledger, end, changes, measured):
    """Another plan, key or nonce, or a signature that ended: refused by name, and nothing is claimed."""
    signed(ledger)
    if end is not None:
        ledger.signings.end("p1", end)
    ledger.claim_interlock(CLAIM)
    before = ledger.signings.find("p1")
    refusal = ledger.spend(but(SPEND, **changes))
    assert SpendRefusal(code="signing_not_live", measured=measured, limit="signed") == refusal
    assert ((), before, (0, Decimal(0))) == (
        ledger.sends(),
        ledger.signings.find("p1"),
        ledger.daily(ACCOUNT, SPEND.day),
    )


def test_of_two_processes_one_spends(tmp_path):
    """The same signed bytes from two processes under two sessions: one spend, and the other is told."""
    first, second = (SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy()) for _ in range(2))
    signed(first)
    second.claim_interlock(CLAIM)
    assert NONCE == second.spend(SPEND)
    assert "plan_already_spent" == first.spend(but(SPEND, session_id="s2", folder="f2")).code
    assert "sent" == first.signings.find("p1").state
    for one in (first, second):
        one.close()


def test_of_two_signatures_with_one_nonce_one_is_spent(ledger):
    """Both could be sent by mistake: the second is refused by the client order id that they share."""
    signed(ledger)
    reserve(ledger, another(2, client_order_id="0xc1"), live_after=EXPIRES)
    ledger.signings.note_signed("p2", "a2")
    ledger.claim_interlock(CLAIM)
    assert NONCE == ledger.spend(SPEND)
    assert "client_order_id_already_spent" == ledger.spend(but(SPEND, plan_sha256="p2")).code
