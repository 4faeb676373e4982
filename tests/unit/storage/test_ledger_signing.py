"""The book of signed orders: one nonce for one intent at a time, on any race, and after any crash."""

import pytest

from quantlab.storage.ledger import Certification, Halt, Signing, SigningRefusal, SpendRefusal
from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.evidence.built import AT, LATER, FixedEntropy
from tests.unit.storage.claims import ACCOUNT, CLAIM, SPEND, but

FLOOR = 1_767_323_045_678
SIGNING = Signing(
    plan_sha256="p1",
    signer_id="k1",
    nonce=FLOOR,
    client_order_id="c1",
    intent_sha256="i1",
    account_key=ACCOUNT,
    session_id="s1",
    outdir="o1",
    expires_at=AT,
    reserved_at=AT,
)
BEFORE = "2026-01-02T03:04:05.678900Z"
AGAIN = but(SIGNING, plan_sha256="p2", session_id="s2", outdir="o2", nonce=FLOOR + 5, expires_at=LATER)
LIVE = SigningRefusal(code="signed_action_live", measured=f"o1 until {AT}", limit="none", outdir="o1")


def reserve(ledger, signing=SIGNING, *, live_after=AT, oldest_nonce=0):
    """Reserve an order."""
    return ledger.signings.reserve(signing, live_after=live_after, oldest_nonce=oldest_nonce)


def test_a_reservation_is_kept_and_ends(ledger, tmp_path):
    """It survives reopening, learns its artifact once, and ends; another plan is not known."""
    assert SIGNING == reserve(ledger)
    book = ledger.signings
    book.note_signed("p1", "a1")
    book.note_signed("p1", "a2")
    again = SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy())
    assert but(SIGNING, state="signed", artifact_sha256="a1") == again.signings.find("p1")
    assert again.signings.find("p9") is None
    again.signings.end("p1", "revoked")
    assert "revoked" == book.find("p1").state
    again.close()


@pytest.mark.parametrize("state", ["reserved", "signed", "revoked"])
def test_a_live_order_of_the_intent_refuses_until_its_expiry(ledger, tmp_path, state):
    """Until the moment of expiry nobody signs the intent again, on another connection neither; then nonce is reused."""
    reserve(ledger)
    ledger.signings.end("p1", state)
    other = SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy())
    assert LIVE == reserve(other, AGAIN, live_after=BEFORE)
    assert other.signings.find("p2") is None
    assert but(AGAIN, nonce=FLOOR) == reserve(other, AGAIN, live_after=AT)
    other.close()


@pytest.mark.parametrize(
    ("state", "nonce"), [("unsigned", FLOOR), ("burned", FLOOR + 5), ("sent", FLOOR + 5), ("signed", FLOOR)]
)
def test_only_an_unused_nonce_is_reused(ledger, state, nonce):
    """An order that died unsent gives its nonce on; one that was burned or sent does not."""
    reserve(ledger)
    ledger.signings.end("p1", state)
    assert (nonce == FLOOR) is (ledger.signings.reusable("i1", "k1", oldest_nonce=0) is not None)
    assert nonce == reserve(ledger, AGAIN).nonce


def test_what_can_be_reused(ledger):
    """Nothing of another intent or signer, and no nonce below the oldest that the venue takes."""
    reserve(ledger)
    book = ledger.signings
    assert SIGNING == book.reusable("i1", "k1", oldest_nonce=FLOOR)
    assert book.reusable("i1", "k1", oldest_nonce=FLOOR + 1) is None
    assert book.reusable("i2", "k1", oldest_nonce=0) is None
    assert book.reusable("i1", "k2", oldest_nonce=0) is None
    assert FLOOR + 5 == reserve(ledger, AGAIN, oldest_nonce=FLOOR + 1).nonce


def test_a_reused_nonce_keeps_its_client_order_id(ledger):
    """Another client order id under the same nonce is refused: somebody reserved in between."""
    reserve(ledger)
    refused = SigningRefusal(code="signed_action_live", measured="s1", limit="no other order of the intent")
    assert refused == reserve(ledger, but(AGAIN, client_order_id="c2"))
    assert ledger.signings.find("p2") is None


def test_nonces_rise(ledger):
    """Another intent gets a nonce above the last one, however low its floor."""
    reserve(ledger)
    assert FLOOR + 1 == reserve(ledger, but(AGAIN, intent_sha256="i2", client_order_id="c2", nonce=1)).nonce


def test_halt_and_interlock_refuse(ledger):
    """Nothing is signed under a halt, nor while the account's interlock is held."""
    ledger.claim_interlock(CLAIM)
    assert SigningRefusal(code="interlock_held", measured="held by f1", limit="free") == reserve(ledger)
    ledger.set_halt(Halt(reviewer="marce", reason="drill", halted_at=AT))
    assert SigningRefusal(code="halted", measured="halt set", limit="no halt") == reserve(ledger)
    assert ledger.signings.find("p1") is None


def test_the_first_binding_stands(ledger):
    """A second folder is told the first, unless it replaces exactly that one."""
    reserve(ledger)
    book = ledger.signings
    assert "f1" == book.bind("p1", folder="f1", instead_of=None)
    assert "f1" == book.bind("p1", folder="f2", instead_of=None)
    assert "f1" == book.bind("p1", folder="f2", instead_of="f9")
    assert "f2" == book.bind("p1", folder="f2", instead_of="f1")


@pytest.mark.parametrize(
    ("state", "nonce", "measured"),
    [("signed", FLOOR + 1, "no such reservation"), ("reserved", FLOOR, "reserved"), ("revoked", FLOOR, "revoked")],
)
def test_a_reserved_nonce_is_spent_only_when_signed(ledger, state, nonce, measured):
    """An unknown nonce, or a reservation that is not signed, spends nothing."""
    reserve(ledger)
    ledger.signings.end("p1", state)
    ledger.claim_interlock(CLAIM)
    refused = SpendRefusal(code="signing_not_live", measured=measured, limit="signed")
    assert refused == ledger.spend(but(SPEND, reserved_nonce=nonce))
    assert () == ledger.sends()


@pytest.mark.parametrize("send", ["never_sent", "unknown"])
def test_a_signed_order_is_spent_with_its_nonce(ledger, send):
    """The spend takes the reserved nonce; an order that was never sent keeps its intent live until it expires."""
    reserve(ledger)
    ledger.signings.note_signed("p1", "a1")
    ledger.claim_interlock(CLAIM)
    assert FLOOR == ledger.spend(but(SPEND, reserved_nonce=FLOOR))
    assert "sent" == ledger.signings.find("p1").state
    ledger.settle("p1", state=send, resolution=None, free_interlock=True)
    found = reserve(ledger, AGAIN, live_after=BEFORE)
    assert (LIVE if send == "never_sent" else AGAIN) == found


def test_certifications_replace_each_other(ledger):
    """Of each venue and environment the newest certification stands."""
    first = Certification(
        venue="hyperliquid", environment="testnet", record_sha256="r1", folder="f1", passed=True, certified_at=AT
    )
    elsewhere = but(first, environment="rehearsal")
    newer = but(first, record_sha256="r2", passed=False, certified_at=LATER)
    for one in (first, elsewhere, newer):
        ledger.put_certification(one)
    assert (elsewhere, newer) == ledger.certifications()


@pytest.mark.parametrize(("state", "left"), [("revoked", "sent"), ("unsigned", "sent"), ("burned", "burned")])
def test_a_send_is_never_undone(ledger, state, left):
    """Once sent, nothing makes the nonce look free again; a burn only tells more of it."""
    reserve(ledger)
    ledger.signings.end("p1", "sent")
    ledger.signings.end("p1", state)
    assert left == ledger.signings.find("p1").state
    assert ledger.signings.reusable("i1", "k1", oldest_nonce=0) is None
