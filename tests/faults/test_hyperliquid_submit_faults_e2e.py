"""What goes wrong on the wire while a signed order is sent, and how each ends: by proof, or by a person's decision."""

import pytest

from tests.e2e.operating import until, verify
from tests.e2e.operating_hyperliquid import (
    APART_SECONDS,
    BURN,
    DEAD_SECONDS,
    sent_once,
    submit_unproven,
    submit_words,
    trading,
)

STRANGER = "0x" + "1" * 40
ADMITTED_NOT = {
    "unknown_signer": f"User or API Wallet {STRANGER} does not exist.",
    "no_deposit": f"Must deposit before performing actions. User: {STRANGER}",
    "signer_unrecovered": "Unable to recover signer.",
    "unknown_vault": f"Vault not registered: {STRANGER}",
}
AMBIGUOUS = {
    "duplicate_nonce": "Invalid nonce: duplicate nonce 5",
    "nonce_too_low": "Invalid nonce: nonce too low 4 < 5",
    "address_limit": f"Too many cumulative requests sent (10001 > 10000) for cumulative volume traded $0.0 {STRANGER}",
    "unlisted_error": "A text that nobody lists",
}
REFUSED = {
    "insufficient_margin": "Insufficient margin to place order. asset=1",
    "tick_size": "Price must be divisible by tick size. asset=1",
    "minimum_value": "Order must have minimum value of $10. asset=1",
    "no_match": "Order could not immediately match against any resting orders. asset=1",
    "oracle_price": "Price too far from oracle asset=1",
    "upgrade": "Only post-only orders allowed immediately after network upgrade",
}

LONGER_THAN_A_SUBMIT_WAITS = 20


def after_accept(**more):
    """Return a fault's value that lets the order be taken first."""
    return {"value": {**more, "after_accept": True}}


def before_accept(**more):
    """Return a fault's value that keeps the order from being taken."""
    return {"value": {**more, "after_accept": False}}


LANDED = {
    "drop_after_accept": ("drop_after_accept", {}),
    "429_after_accept": ("http_error", after_accept(status=429)),
    "502_after_accept": ("http_error", after_accept(status=502)),
    "422_after_accept": ("http_error", after_accept(status=422)),
    "garbage_after_accept": ("garbage", {}),
    "truncated_length": ("truncate", {"value": "length"}),
    "truncated_json": ("truncate", {"value": "json"}),
    "duplicate": ("duplicate", {}),
    **{f"{name}_after_accept": ("api_error", after_accept(error=text)) for name, text in AMBIGUOUS.items()},
    "unknown_signer_after_accept": ("api_error", after_accept(error=ADMITTED_NOT["unknown_signer"])),
}
NOT_LANDED = {
    "drop_before_read": ("drop_before_read", {}),
    "429": ("http_error", {"value": 429}),
    "502": ("http_error", {"value": 502}),
    "garbage": ("garbage", before_accept()),
    "late_after_the_expiry": ("late", {"value": 70}),
    **{name: ("api_error", {"value": text}) for name, text in AMBIGUOUS.items()},
}
PROVEN = {
    "422": ("http_error", {"value": 422}),
    **{name: ("api_error", {"value": text}) for name, text in ADMITTED_NOT.items()},
}
BURNED = {name: NOT_LANDED[name] for name in ("drop_before_read", "429", "unlisted_error")}


@pytest.fixture
def trader(tmp_path):
    """Seat a trader before an exchange of their own."""
    with trading(tmp_path) as one:
        yield one


@pytest.mark.parametrize("name", LANDED)
def test_lost_answer_to_an_order_that_landed(trader, name):
    """Whatever becomes of the answer, it is unknown until reconcile finds the order, which is never sent again."""
    fault, more = LANDED[name]
    signed = trader.signed()
    trader.fault(fault, **more)
    submit_unproven(trader, signed)
    trader.submit(4, signed.artifact)
    assert "landed" == trader.look(0, signed.session)
    assert "filled" == trader.shown(signed.session)["state"]
    assert "unknown" == trader.submit(0, signed.artifact).envelope["data"]["outcome"]
    fills = trader.rung(0, "fills", signed.session).envelope["data"]
    assert "0.25" == fills["filled_base"]
    sent_once(trader, signed, orders=1, copies=2 if name == "duplicate" else 1)
    assert [] == trader.interlocks()


@pytest.mark.parametrize("name", NOT_LANDED)
def test_lost_order_stays_unknown_until_a_person_decides(trader, name):
    """An order that never landed is unknown, then not found by two clean passes, then decided; each step says the next.

    Until then a look ends with 4 and names the burn, and a decision is refused as too early; afterwards the account is
    free again. Without a burn nothing is proven, however often the venue shows nothing.
    """
    fault, more = NOT_LANDED[name]
    signed = trader.signed()
    trader.fault(fault, **more)
    submit_unproven(trader, signed)
    looked = trader.rung(4, "reconcile", signed.session)
    assert "unknown" == looked.envelope["data"]["resolution"]
    assert looked.envelope["data"]["earliest_next_at"]
    assert f"--hyperliquid-submit-sessions-burn {signed.session}" in looked.next_line
    assert {"too_early_to_decide"} == trader.resolve(1, signed.session).refused
    found = trader.searched(signed.session, 4, "not_found")
    assert "--hyperliquid-submit-sessions-resolve" in found.next_line
    trader.submit(4, signed.artifact)
    assert 0 == trader.follow(found.next_line).code
    assert "decided_not_landed" == trader.shown(signed.session)["state"]
    assert [] == trader.interlocks()
    sent_once(trader, signed, orders=0)
    trader.submit(0, signed.artifact)
    assert 1 == len(trader.sends())


@pytest.mark.parametrize("name", PROVEN)
def test_refusal_before_admission_is_proven_after_the_signature_ran_out(trader, name):
    """What the venue did not admit is unknown while the bytes live; two clean passes after their end prove it gone."""
    fault, more = PROVEN[name]
    signed = trader.signed()
    trader.fault(fault, **more)
    submit_unproven(trader, signed)
    assert "unknown" == trader.look(4, signed.session)
    assert 1 == len(trader.interlocks())
    proven = trader.searched(signed.session, 0, "not_landed")
    assert proven.envelope["data"]["assumptions"]
    assert "not_landed" == trader.shown(signed.session)["state"]
    assert [] == trader.interlocks()
    assert {"nothing_to_decide"} == trader.resolve(1, signed.session).refused
    again = trader.submit(0, signed.artifact)
    assert "unknown" == again.envelope["data"]["outcome"]
    sent_once(trader, signed, orders=0)
    # What is proven may be begun anew, and the printed line does it: with another nonce and another client order id.
    fresh = trader.follow(proven.next_line)
    assert 0 == fresh.code, fresh
    first = trader.newest(signed.session, "hyperliquid_signed_action")
    assert first["nonce"] != fresh.envelope["data"]["nonce"]
    assert first["plan"]["client_order_id"] != fresh.envelope["data"]["plan"]["client_order_id"]


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_of_the_order_is_definite(trader, name):
    """A listed refusal of the order itself ends with 3 at once, frees the account and is repeated with 3."""
    signed = trader.signed()
    trader.fault("api_error", value={"error": REFUSED[name], "per_order": True})
    done = trader.submit(3, signed.artifact)
    assert ("rejected", name) == (done.envelope["outcome"], done.envelope["data"]["rule"])
    assert REFUSED[name] in done.out
    trader.submit(3, signed.artifact)
    assert [] == trader.interlocks()
    assert "rejected" == trader.shown(signed.session)["state"]
    sent_once(trader, signed, orders=0)


@pytest.mark.parametrize("name", BURNED)
def test_burn_proves_that_a_lost_order_never_landed(trader, name):
    """A burn that finds the nonce unused, and two clean searches, prove absence before the signature has run out."""
    fault, more = BURNED[name]
    signed = trader.signed()
    trader.fault(fault, **more)
    submit_unproven(trader, signed)
    burned = trader.follow(trader.rung(4, "reconcile", signed.session).next_line)
    assert (4, "unused") == (burned.code, burned.envelope["data"]["nonce_was"]), burned
    assert f"--hyperliquid-submit-sessions-reconcile {signed.session}" in burned.next_line
    assert "unknown" == trader.look(4, signed.session)
    # Ten seconds of margin between the venue's own clocks, and the settle time.
    trader.advance(APART_SECONDS)
    assert "unknown" == trader.look(4, signed.session)
    trader.advance(APART_SECONDS)
    assert "not_landed" == trader.look(0, signed.session)
    assert [] == trader.interlocks()
    assert {"burn_not_needed"} == trader.burn(1, signed.session).refused
    assert ["order", "noop"] == [one["type"] for one in trader.actions()]
    sent_once(trader, signed, orders=0)


def test_burn_stops_an_order_in_flight(trader):
    """An order that the venue would carry out later meets its used nonce: burned before, it never lands."""
    signed = trader.signed()
    trader.fault("late", value=20)
    submit_unproven(trader, signed)
    assert "unused" == trader.burn(4, signed.session).envelope["data"]["nonce_was"]
    trader.advance(25)
    assert "unknown" == trader.look(4, signed.session)
    trader.advance(APART_SECONDS)
    assert "not_landed" == trader.look(0, signed.session)
    assert "duplicate nonce" in trader.sends()[0]["answer"]
    sent_once(trader, signed, orders=0)


def test_session_is_left_alone_while_its_order_is_being_sent(trader):
    """While the order is on its way, a burn of the same session waits, is busy, or finds nothing left to burn."""
    signed = trader.signed()
    trader.fault("delay", value=4)
    process = trader.start(*submit_words(signed.artifact))
    assert until(trader.fault_is_met, process)
    burned = trader.run("--hyperliquid-submit-sessions-burn", signed.session, *BURN, "--json")
    assert (burned.code, burned.refused) in [(1, {"burn_not_needed"}), (6, {"session_busy"})], burned
    assert 0 == trader.end(process).code
    assert ["order"] == [one["type"] for one in trader.actions()]
    sent_once(trader, signed, orders=1)


@pytest.mark.parametrize(
    "value", [LONGER_THAN_A_SUBMIT_WAITS, {"seconds": LONGER_THAN_A_SUBMIT_WAITS, "after_accept": True}]
)
def test_answer_that_does_not_come_in_time_is_unknown(trader, value):
    """An exchange that holds the order, or its answer, for longer than a submit waits: unknown, then found."""
    signed = trader.signed()
    trader.fault("delay", value=value)
    submit_unproven(trader, signed)
    found = trader.run("--hyperliquid-submit-sessions-reconcile", signed.session, "--json")
    if isinstance(value, dict):
        assert (0, "landed") == (found.code, found.envelope["data"]["resolution"])
        sent_once(trader, signed, orders=1)
    else:
        assert (4, "unknown") == (found.code, found.envelope["data"]["resolution"])
        assert len(trader.exchange.orders()) <= 1
        assert 1 == len(trader.attempts(signed.session))


def test_burn_of_an_order_that_landed_proves_nothing_against_it(trader):
    """With stale reads a landed order is burned as lost: the nonce was used, and the search goes on until it shows."""
    signed = trader.signed()
    trader.fault("drop_after_accept")
    submit_unproven(trader, signed)
    trader.read_fault("stale_reads", value=600)
    assert "unknown" == trader.look(4, signed.session)
    assert "used" == trader.burn(4, signed.session).envelope["data"]["nonce_was"]
    trader.advance(DEAD_SECONDS)
    assert "unknown" == trader.look(4, signed.session)
    trader.mend()
    assert "landed" == trader.look(0, signed.session)
    assert [] == trader.interlocks()
    sent_once(trader, signed, orders=1)


@pytest.mark.parametrize("fault", ["drop_after_accept", "drop_before_read"])
def test_burn_whose_answer_is_lost_proves_nothing(trader, fault):
    """A lost burn leaves the order unknown; burned again, only a nonce found unused proves anything."""
    signed = trader.signed()
    trader.fault("drop_before_read")
    submit_unproven(trader, signed)
    trader.fault_at(fault, "/exchange", type="noop")
    assert "nothing" == trader.burn(4, signed.session).envelope["data"]["nonce_was"]
    again = trader.burn(4, signed.session).envelope["data"]["nonce_was"]
    assert {"drop_after_accept": "used", "drop_before_read": "unused"}[fault] == again
    if again == "used":
        # Our own first burn may have used it, or the order: only a person can decide.
        trader.searched(signed.session, 4, "not_found")
    else:
        trader.advance(APART_SECONDS)
        assert "unknown" == trader.look(4, signed.session)
        trader.advance(APART_SECONDS)
        assert "not_landed" == trader.look(0, signed.session)
    sent_once(trader, signed, orders=0)


def test_late_order_before_the_expiry_is_found_when_it_lands(trader):
    """An order carried out late, while its signature lives, is unknown at first and landed as soon as it shows."""
    signed = trader.signed()
    trader.fault("late", value=30)
    submit_unproven(trader, signed)
    assert "unknown" == trader.look(4, signed.session)
    assert [] == trader.exchange.orders()
    trader.advance(31)
    assert "landed" == trader.look(0, signed.session)
    sent_once(trader, signed, orders=1)


def test_refused_connection_is_never_sent(trader):
    """Where the connection for the order itself is refused, no byte left: never sent, exit 7, the account free."""
    other = trader.signed(size="0.1")
    before = len(trader.requests())
    trader.submit(0, other.artifact)
    reads = [one["type"] for one in trader.requests()[before:]].index("order")
    signed = trader.signed()
    trader.fault_at("refuse_connect", "*", value={"once_answered": "/info"}, after=reads)
    done = trader.submit(7, signed.artifact)
    trader.mend()
    assert ("never_sent", "not_connected") == (done.envelope["data"]["outcome"], done.envelope["data"]["rule"])
    assert 1 == len(trader.sends())
    assert [] == trader.interlocks()
    assert "never_sent" == trader.submit(7, signed.artifact).envelope["outcome"]
    assert 1 == len(trader.sends())
    verify(trader.path(signed.session))


def test_agent_removed_before_the_submit_is_refused_unsent(trader):
    """An agent removed between signing and submit is found at the last look: exit 1, no byte of the order leaves."""
    signed = trader.signed()
    trader.fault_at("agent_removed", "*")
    done = trader.submit(1, signed.artifact)
    assert "key_permissions" in done.refused, done
    assert [] == trader.sends()
    assert [] == trader.interlocks()
    assert "hyperliquid_submit_denial" == trader.records(signed.session)[-1]
    # The agent stands again, and so does the signature: the same line sends it.
    trader.mend()
    trader.submit(0, signed.artifact)
    sent_once(trader, signed, orders=1)


def test_agent_removed_after_the_last_look_may_come_back(trader):
    """Refused for its agent, the bytes stay alive: unknown and held until the signature is over or burned."""
    signed = trader.signed()
    trader.read_fault("agent_removed", "userFillsByTime", after=1)
    assert "not_admitted_unknown_signer" == submit_unproven(trader, signed).envelope["data"]["rule"]
    assert "unknown" == trader.look(4, signed.session)
    trader.mend()
    assert "unused" == trader.burn(4, signed.session).envelope["data"]["nonce_was"]
    trader.advance(APART_SECONDS)
    assert "unknown" == trader.look(4, signed.session)
    trader.advance(APART_SECONDS)
    assert "not_landed" == trader.look(0, signed.session)
    sent_once(trader, signed, orders=0)
