"""Signing, placing, canceling, burning: exact bytes, one exchange, and no claim without proof."""

import hashlib
import json
from datetime import UTC, datetime

import msgspec
import pytest

from quantlab.kernel.errors import Denied, QuantLabFault
from quantlab.model.execution import AttemptReceipt
from quantlab.venues.hyperliquid import auth
from quantlab.venues.hyperliquid.orders import HyperliquidOrders
from quantlab.venues.sockets import ConnectionFault
from quantlab.venues.transport import AttemptMissing
from tests.unit.venues.hyperliquid.hyperliquid_fakes import (
    ACCOUNT,
    BASE_URL,
    CLIENT_ID,
    NOW_MS,
    ORDER_ID,
    PRIVATE_KEY,
    SIGNER,
    Ports,
    json_answer,
    plan_of,
)
from tests.unit.venues.hyperliquid.recordings import answer_of
from tests.unit.venues.wire_fakes import http_answer

EXPIRY = datetime(2026, 9, 3, 6, 5, 0, tzinfo=UTC)
EXPIRY_MS = NOW_MS + 300_000


def _orders(*scripts, environment="rehearsal", vault_address=None):
    ports = Ports(*scripts)
    orders = HyperliquidOrders(
        transport=ports.transport,
        base_url=BASE_URL + "/",
        signer=ports.signer,
        environment=environment,
        vault_address=vault_address,
    )
    return orders, ports


def _receipt(prepared):
    return AttemptReceipt(session_id="s", sequence=1, record_sha256="0" * 64, body_sha256=prepared.body_sha256)


def _signed(orders, plan=None):
    return orders.sign_order(plan or plan_of(), nonce=NOW_MS, expires_at=EXPIRY)


def _status(*statuses, kind="order"):
    return json_answer({"status": "ok", "response": {"type": kind, "data": {"statuses": list(statuses)}}})


def _err(text):
    return json_answer({"status": "err", "response": text})


def _submit(*scripts):
    orders, ports = _orders(*scripts)
    prepared = orders.prepare_submit(plan_of(), nonce=NOW_MS, deadline_at=EXPIRY)
    return orders.submit(prepared, _receipt(prepared)), ports


def _cancel(*scripts):
    orders, ports = _orders(*scripts)
    prepared = orders.prepare_cancel(plan_of(), venue_order_id=ORDER_ID, nonce=NOW_MS)
    return orders.cancel(prepared, _receipt(prepared)), ports


def _burn(*scripts):
    orders, ports = _orders(*scripts)
    prepared = orders.prepare_burn(orders.sign_noop(plan_of(), nonce=NOW_MS))
    return orders.burn(prepared, _receipt(prepared)), ports


def _recovered(body, network="testnet"):
    hashed = auth.action_hash(
        body["action"],
        nonce=body["nonce"],
        vault_address=body.get("vaultAddress"),
        expires_after_ms=body.get("expiresAfter"),
    )
    return auth.recover_signer(auth.Signature(**body["signature"]), hashed, network=network)


def test_a_signed_order_is_the_plans_text_with_nonce_expiry_and_signature():
    """The body recovers to the signer; nothing is sent, and the key was read once."""
    orders, ports = _orders()
    signed = _signed(orders)
    body = json.loads(signed.body_text)
    assert ["action", "nonce", "signature", "expiresAfter"] == list(body)
    assert signed.body_text.startswith(f'{{"action":{plan_of().order_text},"nonce":{NOW_MS},')
    assert (NOW_MS, EXPIRY_MS, None, "order", "testnet") == (
        signed.nonce,
        signed.expires_after_ms,
        signed.vault_address,
        signed.kind,
        signed.network,
    )
    assert (SIGNER, SIGNER) == (_recovered(body), signed.signer_address)
    assert hashlib.sha256(signed.body_text.encode()).hexdigest() == signed.body_sha256
    assert (1, []) == (ports.keys_read, ports.connector.endpoints)
    assert PRIVATE_KEY[2:] not in repr(signed)
    assert () == orders.signed_refusals(signed, plan_of())


def test_live_signatures_are_the_mainnets():
    """And no other environment's are."""
    orders, _ = _orders(environment="live")
    signed = _signed(orders)
    assert ("mainnet", SIGNER) == (signed.network, _recovered(json.loads(signed.body_text), "mainnet"))
    rehearsal, _ = _orders()
    assert ("it is signed for the mainnet, not for the testnet",) == rehearsal.signed_refusals(signed, plan_of())


def test_a_sub_account_stands_in_hash_and_body():
    """The order names it; the burn does not, for a nonce is the signer's."""
    orders, _ = _orders(vault_address=ACCOUNT)
    signed = _signed(orders)
    body = json.loads(signed.body_text)
    assert (ACCOUNT, SIGNER) == (body["vaultAddress"], _recovered(body))
    noop = orders.sign_noop(plan_of(), nonce=NOW_MS)
    assert "vaultAddress" not in json.loads(noop.body_text)
    assert ((), ()) == (orders.signed_refusals(signed, plan_of()), orders.signed_refusals(noop, plan_of()))
    cancel = json.loads(orders.prepare_cancel(plan_of(), nonce=NOW_MS).body_text)
    assert (ACCOUNT, SIGNER) == (cancel["vaultAddress"], _recovered(cancel))
    plain, _ = _orders()
    assert ("it acts for another account",) == plain.signed_refusals(signed, plan_of())
    with pytest.raises(QuantLabFault) as caught:
        _signed(orders, plan_of(account_identity=SIGNER))
    assert "hyperliquid.other_account" == caught.value.code


def test_a_noop_has_neither_effect_nor_expiry():
    """It carries the order's nonce and nothing else."""
    orders, _ = _orders()
    signed = orders.sign_noop(plan_of(), nonce=NOW_MS)
    body = json.loads(signed.body_text)
    assert ({"type": "noop"}, NOW_MS, SIGNER) == (body["action"], body["nonce"], _recovered(body))
    assert {"action", "nonce", "signature"} == body.keys()
    prepared = orders.prepare_burn(signed)
    assert ("burn", None, str(NOW_MS), CLIENT_ID) == (
        prepared.effect,
        prepared.deadline_at,
        prepared.nonce,
        prepared.client_order_id,
    )


@pytest.mark.parametrize("nonce", [0, -1, NOW_MS * 1_000_000])
def test_a_nonce_is_in_milliseconds(nonce):
    """Nanoseconds would lie outside the venue's window: nothing is signed, and the key is not read."""
    orders, ports = _orders()
    for sign in (
        lambda: orders.sign_order(plan_of(), nonce=nonce, expires_at=EXPIRY),
        lambda: orders.sign_noop(plan_of(), nonce=nonce),
        lambda: orders.prepare_cancel(plan_of(), nonce=nonce),
    ):
        with pytest.raises(QuantLabFault) as caught:
            sign()
        assert "hyperliquid.unit" == caught.value.code
    assert 0 == ports.keys_read


def test_a_plan_whose_text_was_changed_is_not_signed():
    """What was frozen is what is signed, or nothing is."""
    orders, ports = _orders()
    with pytest.raises(QuantLabFault) as caught:
        _signed(orders, plan_of(order_text="{}"))
    assert ("hyperliquid.order_text", 0) == (caught.value.code, ports.keys_read)


def test_without_a_key_nothing_is_signed():
    """A missing or another's key is denied before any attempt."""
    for key, code in (("", "hyperliquid_key_malformed"), ("6f" * 32, "signer_identity_mismatch")):
        orders, ports = _orders()
        ports.private_key = key
        for sign in (
            lambda orders=orders: _signed(orders),
            lambda orders=orders: orders.prepare_cancel(plan_of(), nonce=NOW_MS),
        ):
            with pytest.raises(Denied) as caught:
                sign()
            assert code == caught.value.code


def test_what_is_sent_later_needs_no_key():
    """The bytes were fixed when they were signed."""
    orders, ports = _orders()
    signed, noop = _signed(orders), orders.sign_noop(plan_of(), nonce=NOW_MS)
    ports.private_key = ""
    prepared = orders.prepare_submit_signed(signed)
    assert (signed.body_text, f"{BASE_URL}/exchange", "submit", "2026-09-03T06:05:00.000000Z", SIGNER) == (
        prepared.body_text,
        prepared.url,
        prepared.effect,
        prepared.deadline_at,
        prepared.signer_id,
    )
    assert noop.body_text == orders.prepare_burn(noop).body_text


TAMPERED = {
    "size": ({"action_text": plan_of(size_base="2.5").order_text}, "signature is of 0x"),
    "nonce": ({"nonce": NOW_MS + 1}, "signature is of 0x"),
    "longer expiry": ({"expires_after_ms": EXPIRY_MS + 60_000}, "signature is of 0x"),
    "expiry gone": ({"expires_after_ms": None}, "an order needs an expiry"),
    "vault": ({"vault_address": ACCOUNT}, "acts for another account"),
    "network": ({"network": "mainnet"}, "signed for the mainnet"),
    "signer": ({"signer_address": ACCOUNT}, f"not of {ACCOUNT}"),
    "hash": ({"action_hash": "0x00"}, "hash is another one"),
    "spaces": ({"action_text": plan_of().order_text.replace(":", ": ")}, "not in its one spelling"),
    "not JSON": ({"action_text": "{"}, "can not be read"),
    "not an object": ({"action_text": "[]"}, "can not be read"),
    "v": ({"signature_v": 29}, "can not be read"),
    "vault no hex": ({"vault_address": "0xzz"}, "can not be read"),
    "huge nonce": ({"nonce": 2**64}, "can not be read"),
    "body": ({"body_text": "{}"}, "body is not the action"),
    "digest": ({"body_sha256": "0" * 64}, "digest is another one"),
    "client order id": ({"client_order_id": "0x" + "0" * 32}, "client order id is not the plan's"),
    "kind": ({"kind": "noop"}, "not the plan's"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_signed_action_is_told(name):
    """Whatever was changed afterwards is found without a key."""
    orders, _ = _orders()
    change, words = TAMPERED[name]
    refusals = orders.signed_refusals(msgspec.structs.replace(_signed(orders), **change), plan_of())
    assert [] != [sentence for sentence in refusals if words in sentence]


def test_every_changed_byte_of_the_body_is_told():
    """No byte of what would be sent can change unseen."""
    orders, _ = _orders()
    signed = _signed(orders)
    for position in range(0, len(signed.body_text), 7):
        text = signed.body_text
        changed = text[:position] + ("0" if text[position] != "0" else "1") + text[position + 1 :]
        sha256 = hashlib.sha256(changed.encode()).hexdigest()
        assert orders.signed_refusals(msgspec.structs.replace(signed, body_text=changed, body_sha256=sha256), plan_of())


def test_a_plan_of_another_order_is_told():
    """Signed bytes serve their own plan alone."""
    orders, _ = _orders()
    assert ("the signed action is not the plan's",) == orders.signed_refusals(_signed(orders), plan_of(size_base="0.5"))


def test_what_is_not_as_claimed_is_not_prepared():
    """A tampered action, and a noop where an order is due, are bugs by then."""
    orders, _ = _orders()
    signed, noop = _signed(orders), orders.sign_noop(plan_of(), nonce=NOW_MS)
    for prepare, action in (
        (orders.prepare_submit_signed, msgspec.structs.replace(signed, body_text="{}")),
        (orders.prepare_submit_signed, noop),
        (orders.prepare_burn, signed),
    ):
        with pytest.raises(QuantLabFault) as caught:
            prepare(action)
        assert ("hyperliquid.signed_action", "bug") == (caught.value.code, caught.value.outcome)


@pytest.mark.parametrize(
    ("venue_order_id", "action"),
    [
        (ORDER_ID, {"type": "cancel", "cancels": [{"a": 1, "o": int(ORDER_ID)}]}),
        (None, {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLIENT_ID}]}),
    ],
)
def test_a_cancel_is_signed_too(venue_order_id, action):
    """By the venue's id or by ours, with an expiry where one is wanted."""
    orders, _ = _orders()
    prepared = orders.prepare_cancel(plan_of(), venue_order_id=venue_order_id, nonce=NOW_MS)
    body = json.loads(prepared.body_text)
    assert (action, SIGNER, "cancel", None) == (body["action"], _recovered(body), prepared.effect, prepared.deadline_at)
    assert "expiresAfter" not in body
    expiring = orders.prepare_cancel(plan_of(), venue_order_id=venue_order_id, nonce=NOW_MS, expires_at=EXPIRY)
    assert (EXPIRY_MS, SIGNER) == (
        json.loads(expiring.body_text)["expiresAfter"],
        _recovered(json.loads(expiring.body_text)),
    )


FILLED = {"filled": {"totalSz": "0.25", "avgPx": "2000.1", "oid": int(ORDER_ID), "cloid": CLIENT_ID}}
RESTING = {"resting": {"oid": int(ORDER_ID), "cloid": CLIENT_ID}}


@pytest.mark.parametrize("status", [FILLED, RESTING])
def test_an_accepted_order(status):
    """What goes out is what was prepared; the order id and the venue's own words come back."""
    answer, ports = _submit([_status(status)])
    (exchange,) = ports.transport.tape.take()
    path, body = ports.sent()
    assert ("/exchange", body) == (path, json.loads(exchange.request_body))
    assert SIGNER == _recovered(body)
    assert ("accepted", (ORDER_ID,), (), next(iter(status)), "answered") == (
        answer.outcome,
        answer.venue_order_ids,
        answer.errors,
        answer.rule,
        answer.reached,
    )
    assert status == json.loads(answer.description)
    assert ("submit", 1) == (exchange.purpose, len(ports.connector.endpoints))


@pytest.mark.parametrize("cloid", [None, "0x" + "0" * 32])
def test_another_id_in_the_answer_stays_accepted_and_is_said(cloid):
    """The order was placed; that it bears another id is an incident for the rung."""
    answer, _ = _submit([_status({"resting": {"oid": 7, "cloid": cloid}})])
    assert "accepted" == answer.outcome
    assert (f"cloid_mismatch: sent {CLIENT_ID}, the venue answers {cloid or 'none'}",) == answer.errors


SUBMITS = {
    "runtime refusal": (
        _status({"error": "Insufficient margin to place order. asset=1"}),
        "rejected",
        "insufficient_margin",
    ),
    "unlisted refusal": (_status({"error": "Something new. asset=1"}), "unknown", "unlisted_error"),
    "expired": (_err("Action already expired"), "rejected", "already_expired"),
    "duplicate nonce": (_err(f"Invalid nonce: duplicate nonce {NOW_MS}"), "unknown", "duplicate_nonce"),
    "unknown signer": (
        _err(f"User or API Wallet {SIGNER} does not exist."),
        "unknown",
        "not_admitted_unknown_signer",
    ),
    "unlisted err": (_err("Something new"), "unknown", "unlisted_error"),
    "err without text": (json_answer({"status": "err", "response": {}}), "unknown", "not_an_envelope"),
    "odd status": (json_answer({"status": "maybe"}), "unknown", "not_an_envelope"),
    "no status": (json_answer({}), "unknown", "not_an_envelope"),
    "null": (json_answer(None), "unknown", "not_an_envelope"),
    "html": (http_answer(b"<html>"), "unknown", "not_an_envelope"),
    "no statuses": (_status(), "unknown", "bad_result"),
    "two statuses": (_status(FILLED, FILLED), "unknown", "bad_result"),
    "two in one": (_status({**FILLED, "error": "Order has zero size."}), "unknown", "bad_result"),
    "waiting": (_status("waitingForFill"), "unknown", "bad_result"),
    "new kind": (_status({"parked": {"oid": 1}}), "unknown", "bad_result"),
    "no order id": (_status({"resting": {}}), "unknown", "bad_result"),
    "id as text": (_status({"resting": {"oid": "7"}}), "unknown", "bad_result"),
    "another type": (_status(FILLED, kind="cancel"), "unknown", "bad_result"),
    "no data": (json_answer({"status": "ok", "response": {"type": "order"}}), "unknown", "bad_result"),
    "no response": (json_answer({"status": "ok"}), "unknown", "bad_result"),
    "422": (http_answer(b"Failed", status="422 Unprocessable"), "unknown", "not_admitted_http_422"),
    "429": (http_answer(b"null", status="429 Slow down"), "unknown", "http_status"),
    "502": (http_answer(b"<html>", status="502 Bad gateway"), "unknown", "http_status"),
    "201 with a good body": (
        http_answer(_status(FILLED).partition(b"\r\n\r\n")[2], status="201 Created"),
        "unknown",
        "http_status",
    ),
}


@pytest.mark.parametrize("name", SUBMITS)
def test_verdicts_of_a_submit(name):
    """Accepted needs an order id, rejected a listed text, everything else is unknown; nothing is repeated."""
    wire, outcome, rule = SUBMITS[name]
    answer, ports = _submit([wire])
    assert (outcome, rule, ()) == (answer.outcome, answer.rule, answer.venue_order_ids)
    assert 1 == len(answer.errors) == len(ports.connector.endpoints)


@pytest.mark.parametrize(
    ("script", "outcome", "reached"),
    [
        (ConnectionFault("connection refused"), "never_sent", "not_connected"),
        ([], "unknown", "bytes_sent"),
        ([60_000], "unknown", "bytes_sent"),
        ([_status(FILLED)[:-5]], "unknown", "answered"),
    ],
)
def test_without_a_whole_answer(script, outcome, reached):
    """Only a connection that never was proves that nothing was sent."""
    for act in (_submit, _cancel, _burn):
        answer, ports = act(script)
        assert (outcome, reached) == (answer.outcome, answer.reached)
        assert 1 == len(answer.errors) == len(ports.connector.endpoints)


CANCELS = {
    "done": (_status("success", kind="cancel"), "accepted", "success"),
    "nothing open": (
        _status({"error": "Order was never placed, already canceled, or filled. asset=1"}, kind="cancel"),
        "rejected",
        "nothing_open",
    ),
    "unlisted": (_status({"error": "Odd"}, kind="cancel"), "unknown", "unlisted_error"),
    "another word": (_status("done", kind="cancel"), "unknown", "bad_result"),
    "another type": (_status("success"), "unknown", "bad_result"),
    "err": (_err(f"Invalid nonce: duplicate nonce {NOW_MS}"), "unknown", "duplicate_nonce"),
    "504": (http_answer(b"", status="504 Gateway time-out"), "unknown", "http_status"),
}


@pytest.mark.parametrize("name", CANCELS)
def test_verdicts_of_a_cancel(name):
    """A cancel is judged by its own table, and proves no end of an order."""
    wire, outcome, rule = CANCELS[name]
    answer, _ = _cancel([wire])
    assert (outcome, rule) == (answer.outcome, answer.rule)
    assert (outcome == "accepted") is (() == answer.errors)


BURNS = {
    "ok": (json_answer({"status": "ok", "response": {"type": "default"}}), "accepted", "noop_done", "unused"),
    "duplicate": (_err(f"Invalid nonce: duplicate nonce {NOW_MS}"), "unknown", "duplicate_nonce", "used"),
    "too low": (_err(f"Invalid nonce: nonce too low {NOW_MS} < 9"), "unknown", "nonce_too_low", "closed"),
    "agent gone": (
        _err(f"User or API Wallet {SIGNER} does not exist."),
        "unknown",
        "not_admitted_unknown_signer",
        "nothing",
    ),
    "another type": (json_answer({"status": "ok", "response": {"type": "order"}}), "unknown", "bad_result", "nothing"),
    "no type": (json_answer({"status": "ok", "response": {}}), "unknown", "bad_result", "nothing"),
    "429": (http_answer(b"null", status="429 Slow down"), "unknown", "http_status", "nothing"),
}


@pytest.mark.parametrize("name", BURNS)
def test_verdicts_of_a_burn(name):
    """Done: the nonce was unused and is closed. Duplicate: something with it was admitted before."""
    wire, outcome, rule, was = BURNS[name]
    answer, ports = _burn([wire])
    assert (outcome, rule, was) == (answer.outcome, answer.rule, answer.nonce_was)
    assert {"type": "noop"} == ports.sent()[1]["action"]


def test_a_receipt_of_other_bytes_is_a_bug():
    """The send of anything but the recorded bytes is refused before the connect, as is a second one."""
    orders, ports = _orders([_status(FILLED)])
    prepared = orders.prepare_submit(plan_of(), nonce=NOW_MS, deadline_at=EXPIRY)
    other = orders.prepare_submit(plan_of(), nonce=NOW_MS + 1, deadline_at=EXPIRY)
    with pytest.raises(AttemptMissing):
        orders.submit(prepared, _receipt(other))
    assert [] == ports.connector.endpoints
    receipt = _receipt(prepared)
    orders.submit(prepared, receipt)
    with pytest.raises(AttemptMissing):
        orders.submit(prepared, receipt)


@pytest.mark.parametrize(
    ("name", "index", "outcome", "rule"),
    [
        ("01_exchange_order_resting.json", 0, "accepted", "resting"),
        ("03_exchange_order_error_min_notional.json", 0, "rejected", "minimum_value"),
        ("04_exchange_unknown_signer.json", 0, "unknown", "not_admitted_unknown_signer"),
        ("29_exchange_address_rate_limit_refusal.json", 0, "unknown", "address_limit"),
    ],
)
def test_recorded_answers_to_orders(name, index, outcome, rule):
    """What the venue really sent is judged as its row says."""
    answer, _ = _submit([json_answer(answer_of(name, index))])
    assert (outcome, rule) == (answer.outcome, answer.rule)


@pytest.mark.parametrize(("index", "outcome"), [(1, "accepted"), (2, "rejected")])
def test_recorded_answers_to_cancels(index, outcome):
    """A cancel, and the same cancel again."""
    answer, _ = _cancel([json_answer(answer_of("06_exchange_cancel_success_then_double_cancel.json", index))])
    assert outcome == answer.outcome
