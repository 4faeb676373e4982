"""Placing and canceling: exact bytes, one exchange, and a verdict that claims nothing without proof."""

import hashlib
from datetime import UTC, datetime

import pytest

from quantlab.kernel.errors import Denied, QuantLabFault
from quantlab.model.execution import AttemptReceipt
from quantlab.venues.kraken.orders import KrakenOrders
from quantlab.venues.sockets import ConnectionFault
from quantlab.venues.transport import AttemptMissing
from tests.unit.venues.kraken.kraken_fakes import (
    API_SECRET,
    BASE_URL,
    CLIENT_ID,
    DESCRIPTION,
    ORDER_ID,
    Ports,
    plan_of,
)
from tests.unit.venues.wire_fakes import http_answer, kraken_answer

DEADLINE = datetime(2026, 9, 3, 6, 0, 10, tzinfo=UTC)
PLACED = {"txid": [ORDER_ID], "descr": {"order": DESCRIPTION}}


def _orders(*scripts):
    ports = Ports(*scripts)
    orders = KrakenOrders(
        transport=ports.transport,
        base_url=BASE_URL + "/",
        credentials=ports.credentials,
        clock=ports.clock,
    )
    return orders, ports


def _receipt(prepared):
    return AttemptReceipt(session_id="s", sequence=1, record_sha256="0" * 64, body_sha256=prepared.body_sha256)


def _submit(*scripts):
    orders, ports = _orders(*scripts)
    prepared = orders.prepare_submit(plan_of(), nonce=7, deadline_at=DEADLINE)
    return orders.submit(prepared, _receipt(prepared)), ports


def _cancel(*scripts):
    orders, ports = _orders(*scripts)
    prepared = orders.prepare_cancel(plan_of(), venue_order_id=ORDER_ID, nonce=7)
    return orders.cancel(prepared, _receipt(prepared)), ports


def test_the_prepared_order_is_the_plans_text():
    """Nonce first, deadline last, no ``validate``; nothing is sent by preparing."""
    orders, ports = _orders()
    prepared = orders.prepare_submit(plan_of(), nonce=7, deadline_at=DEADLINE)
    assert f"nonce=7&{plan_of().order_text}&deadline=2026-09-03T06%3A00%3A10.000000Z" == prepared.body_text
    assert hashlib.sha256(prepared.body_text.encode()).hexdigest() == prepared.body_sha256
    assert (f"{BASE_URL}/0/private/AddOrder", "submit", "7", CLIENT_ID) == (
        prepared.url,
        prepared.effect,
        prepared.nonce,
        prepared.client_order_id,
    )
    assert "2026-09-03T06:00:10.000000Z" == prepared.deadline_at
    assert ports.credentials.signer_id == prepared.signer_id
    assert [] == ports.connector.endpoints
    assert "validate" not in prepared.body_text


def test_a_plan_whose_text_was_changed_is_a_bug():
    """What was approved is what is sent, or nothing is."""
    orders, _ = _orders()
    with pytest.raises(QuantLabFault) as caught:
        orders.prepare_submit(plan_of(order_text="volume=25"), nonce=7, deadline_at=DEADLINE)
    assert ("kraken.order_text", "bug") == (caught.value.code, caught.value.outcome)


def test_what_goes_out_is_what_was_prepared():
    """The bytes on the wire are the prepared ones, signed."""
    answer, ports = _submit([kraken_answer(PLACED)])
    path, body = ports.sent()
    (exchange,) = ports.transport.tape.take()
    assert ("/0/private/AddOrder", exchange.request_body) == (path, body)
    assert ("accepted", (ORDER_ID,), DESCRIPTION, (), "order_id_given", "answered") == (
        answer.outcome,
        answer.venue_order_ids,
        answer.description,
        answer.errors,
        answer.rule,
        answer.reached,
    )
    assert API_SECRET not in repr(exchange)
    assert ("API-Sign", "[redacted]") in exchange.request_headers


def test_a_different_reading_stays_accepted_and_is_said():
    """The order was placed; that the venue read something else is an incident for the rung."""
    other = DESCRIPTION.replace("0.25", "2.50")
    answer, _ = _submit([kraken_answer({"txid": [ORDER_ID], "descr": {"order": other}})])
    assert ("accepted", other) == (answer.outcome, answer.description)
    assert ("descr_mismatch: volume: asked 0.25, the venue reads 2.50000000",) == answer.errors
    answer, _ = _submit([kraken_answer({"txid": [ORDER_ID]})])
    assert "accepted" == answer.outcome
    assert answer.errors[0].startswith("descr_mismatch")


SUBMITS = {
    "no id": (kraken_answer({"descr": {"order": DESCRIPTION}}), "unknown", "no_order_id"),
    "empty ids": (kraken_answer({"txid": []}), "unknown", "no_order_id"),
    "two ids": (kraken_answer({"txid": ["O1", "O2"]}), "unknown", "several_order_ids"),
    "id as text": (kraken_answer({"txid": ORDER_ID}), "unknown", "bad_result"),
    "null result": (kraken_answer(None), "unknown", "bad_result"),
    "error": (kraken_answer({}, errors=["EOrder:Insufficient funds"]), "rejected", "insufficient_funds"),
    "error without result": (
        http_answer(b'{"error":["EOrder:Insufficient funds"]}'),
        "rejected",
        "insufficient_funds",
    ),
    "error and id": (
        kraken_answer(PLACED, errors=["EOrder:Insufficient funds"]),
        "unknown",
        "error_and_order_id",
    ),
    "nonce": (kraken_answer({}, errors=["EAPI:Invalid nonce"]), "unknown", "invalid_nonce"),
    "id in use": (
        kraken_answer({}, errors=["EGeneral:Invalid arguments:cl_ord_id not unique"]),
        "unknown",
        "client_id_in_use",
    ),
    "deadline": (
        kraken_answer({}, errors=["EService:Deadline elapsed"]),
        "unknown",
        "deadline_elapsed",
    ),
    "html": (http_answer(b"<html>"), "unknown", "not_an_envelope"),
    "520": (http_answer(b"<html>", status="520 Odd"), "unknown", "http_status"),
    "429": (http_answer(b"{}", status="429 Slow down"), "unknown", "http_status"),
    "201 with a good body": (
        http_answer(b'{"error":[],"result":{"txid":["O1"]}}', status="201 Created"),
        "unknown",
        "http_status",
    ),
    "302": (http_answer(b"", status="302 Found"), "unknown", "http_status"),
}


@pytest.mark.parametrize("name", SUBMITS)
def test_verdicts_of_a_submit(name):
    """Accepted needs proof, rejected needs a listed text, everything else is unknown."""
    wire, outcome, rule = SUBMITS[name]
    answer, ports = _submit([wire])
    assert (outcome, rule) == (answer.outcome, answer.rule)
    assert 1 == len(ports.connector.endpoints)


@pytest.mark.parametrize(
    ("script", "outcome", "reached"),
    [
        (ConnectionFault("connection refused"), "never_sent", "not_connected"),
        ([], "unknown", "bytes_sent"),
        ([60_000], "unknown", "bytes_sent"),
        ([kraken_answer(PLACED)[:-5]], "unknown", "answered"),
    ],
)
def test_without_a_whole_answer(script, outcome, reached):
    """Only a connection that never was proves that nothing was sent."""
    for act in (_submit, _cancel):
        answer, ports = act(script)
        assert (outcome, reached) == (answer.outcome, answer.reached)
        assert 1 == len(answer.errors)
        assert 1 == len(ports.connector.endpoints)


CANCELS = {
    "counted": (kraken_answer({"count": 1}), "accepted", "order_counted"),
    "pending": (kraken_answer({"count": 1, "pending": True}), "accepted", "order_counted"),
    "none counted": (kraken_answer({"count": 0}), "unknown", "none_counted"),
    "no count": (kraken_answer({}), "unknown", "bad_result"),
    "nothing open": (kraken_answer({}, errors=["EOrder:Unknown order"]), "rejected", "nothing_open"),
    "unlisted": (kraken_answer({}, errors=["EOrder:Odd"]), "unknown", "unlisted_error"),
    "504": (http_answer(b"", status="504 Gateway time-out"), "unknown", "http_status"),
}


@pytest.mark.parametrize("name", CANCELS)
def test_verdicts_of_a_cancel(name):
    """A cancel is judged by its own table, and proves no end of an order."""
    wire, outcome, rule = CANCELS[name]
    answer, ports = _cancel([wire])
    assert (outcome, rule) == (answer.outcome, answer.rule)
    assert ("/0/private/CancelOrder", f"nonce=7&txid={ORDER_ID}") == ports.sent()


def test_a_cancel_by_our_own_id():
    """Where the venue's id is not known, the client order id names the order."""
    orders, _ = _orders()
    prepared = orders.prepare_cancel(plan_of(), venue_order_id=None, nonce=7)
    assert (f"nonce=7&cl_ord_id={CLIENT_ID}", "cancel", None) == (
        prepared.body_text,
        prepared.effect,
        prepared.deadline_at,
    )


def test_a_key_that_can_not_sign_sends_nothing():
    """A secret that broke after preparing is never sent, and nothing is raised."""
    for act, prepare in (("submit", "prepare_submit"), ("cancel", "prepare_cancel")):
        orders, ports = _orders()
        more = {"deadline_at": DEADLINE} if act == "submit" else {"venue_order_id": None}
        prepared = getattr(orders, prepare)(plan_of(), nonce=7, **more)
        ports.api_secret = "not base64!"
        answer = getattr(orders, act)(prepared, _receipt(prepared))
        assert ("never_sent", "not_signed", "not_connected") == (
            answer.outcome,
            answer.rule,
            answer.reached,
        )
        assert [] == ports.connector.endpoints


def test_without_a_key_nothing_is_prepared():
    """A missing key is denied before any attempt is written."""
    orders, ports = _orders()
    ports.api_key = ""
    with pytest.raises(Denied):
        orders.prepare_submit(plan_of(), nonce=7, deadline_at=DEADLINE)


def test_a_receipt_of_other_bytes_is_a_bug():
    """The send of anything but the recorded bytes is refused before the connect."""
    orders, ports = _orders()
    prepared = orders.prepare_submit(plan_of(), nonce=7, deadline_at=DEADLINE)
    other = orders.prepare_submit(plan_of(), nonce=8, deadline_at=DEADLINE)
    with pytest.raises(AttemptMissing):
        orders.submit(prepared, _receipt(other))
    assert [] == ports.connector.endpoints
