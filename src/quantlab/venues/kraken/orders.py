"""Placing and canceling orders on Kraken: one exchange each, never repeated.

The caller holds the key's turn around nonce and send, and has written the attempt record before.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from quantlab.kernel.clock import Clock, rfc3339
from quantlab.kernel.errors import Denied, QuantLabFault
from quantlab.model.execution import (
    AttemptReceipt,
    CancelAnswer,
    PreparedSend,
    SubmitAnswer,
    SubmitOutcome,
)
from quantlab.model.order import Plan
from quantlab.venues.answers import BadAnswer, as_object, integer_in
from quantlab.venues.kraken import classify, codec, codec_orders
from quantlab.venues.kraken.auth import KrakenCredentials
from quantlab.venues.transport import HttpAnswer, HttpRequest, Transport

_NOT_SIGNED: Final = classify.Verdict(outcome="never_sent", rule="not_signed")


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An answer taken as far as both effects share: a verdict, or an error-free result to look into."""

    verdict: classify.Verdict | None
    errors: tuple[str, ...] = ()
    result: object = None


class KrakenOrders:
    """The side of Kraken that moves money, with one key.

    Args:
        transport: Sends, once, and only with the receipt of an attempt.
        base_url: Scheme and host, without a path.
        credentials: The key that signs.
        clock: Kept for symmetry with the other venue; no time is read here.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        base_url: str,
        credentials: KrakenCredentials,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._clock = clock

    def prepare_submit(self, plan: Plan, *, nonce: int, deadline_at: datetime) -> PreparedSend:
        """Return the exact bytes of the plan's order with nonce and deadline (venue clock). Sends nothing.

        Raises:
            QuantLabFault: the plan's frozen text is not what the plan says. Nothing was sent.
            Denied: no key is given.
        """
        text = codec_orders.order_text(plan)
        if text != plan.order_text:
            message = "the order text of the plan differs from its fields; nothing was sent"
            raise QuantLabFault(message, code="kraken.order_text", session_id=plan.session_id)
        body = codec_orders.order_body(text, nonce=nonce, deadline_at=deadline_at, validate_only=False)
        return PreparedSend(
            effect="submit",
            url=self._base_url + classify.ADD_ORDER_PATH,
            path=classify.ADD_ORDER_PATH,
            body_text=body,
            body_sha256=hashlib.sha256(body.encode("ascii")).hexdigest(),
            nonce=str(nonce),
            deadline_at=rfc3339(deadline_at),
            client_order_id=plan.client_order_id,
            signer_id=self._credentials.signer_id,
        )

    def prepare_cancel(self, plan: Plan, *, venue_order_id: str | None, nonce: int) -> PreparedSend:
        """Return the exact bytes of a cancel, by the venue's id or else by our own. Sends nothing."""
        body = codec_orders.cancel_body(
            nonce=nonce, venue_order_id=venue_order_id, client_order_id=plan.client_order_id
        )
        return PreparedSend(
            effect="cancel",
            url=self._base_url + classify.CANCEL_ORDER_PATH,
            path=classify.CANCEL_ORDER_PATH,
            body_text=body,
            body_sha256=hashlib.sha256(body.encode("ascii")).hexdigest(),
            nonce=str(nonce),
            deadline_at=None,
            client_order_id=plan.client_order_id,
            signer_id=self._credentials.signer_id,
        )

    def submit(self, prepared: PreparedSend, receipt: AttemptReceipt) -> SubmitAnswer:
        """Send the order once.

        Accepted means HTTP 200, no error and exactly one order id. A description that differs from what
        was sent leaves the order accepted, for it was placed, and stands in ``errors`` as
        ``descr_mismatch``.

        Raises:
            AttemptMissing: the receipt is not of these bytes. A bug of ours; nothing was sent.
        """
        answer = self._send(prepared, receipt)
        if answer is None:
            return _submit_answer(_NOT_SIGNED, None)
        judged = _judge(answer, classify.SUBMIT_RULES)
        if judged.verdict is not None:
            return _submit_answer(judged.verdict, answer, errors=judged.errors)
        try:
            placed = codec_orders.parse_place_answer(judged.result)
        except BadAnswer as error:
            return _submit_answer(_verdict("unknown", "bad_result"), answer, errors=(str(error),))
        if len(placed.venue_order_ids) != 1:
            count = len(placed.venue_order_ids)
            verdict = _verdict("unknown", "several_order_ids" if count else "no_order_id")
            return _submit_answer(verdict, answer, placed=placed)
        mismatches = codec_orders.description_mismatches(prepared.body_text, placed.description or "")
        return _submit_answer(
            _verdict("accepted", "order_id_given"),
            answer,
            errors=tuple(f"descr_mismatch: {mismatch}" for mismatch in mismatches),
            placed=placed,
        )

    def cancel(self, prepared: PreparedSend, receipt: AttemptReceipt) -> CancelAnswer:
        """Send the cancel once. Accepted means that the venue counted an order; only a read proves its end.

        Raises:
            AttemptMissing: the receipt is not of these bytes. A bug of ours; nothing was sent.
        """
        answer = self._send(prepared, receipt)
        if answer is None:
            return _cancel_answer(_NOT_SIGNED, None)
        judged = _judge(answer, classify.CANCEL_RULES)
        if judged.verdict is not None:
            return _cancel_answer(judged.verdict, answer, errors=judged.errors)
        try:
            count = integer_in(as_object(judged.result, "result"), "count")
        except BadAnswer as error:
            return _cancel_answer(_verdict("unknown", "bad_result"), answer, errors=(str(error),))
        if count < 1:
            return _cancel_answer(_verdict("unknown", "none_counted"), answer)
        return _cancel_answer(_verdict("accepted", "order_counted"), answer)

    def _send(self, prepared: PreparedSend, receipt: AttemptReceipt) -> HttpAnswer | None:
        """Return how the one exchange ended, or None when the request could not be signed."""
        body = prepared.body_text.encode("ascii")
        try:
            headers = self._credentials.headers(path=prepared.path, nonce=prepared.nonce, body=body)
        except Denied:
            return None
        request = HttpRequest(
            purpose=prepared.effect,
            method="POST",
            url=prepared.url,
            headers=(codec.FORM, *headers),
            body=body,
        )
        return self._transport.exchange(request, receipt=receipt)


def _judge(answer: HttpAnswer, rules: tuple[classify.Rule, ...]) -> _Judged:
    exchange = answer.exchange
    if not answer.whole:
        fault = (exchange.fault,) if exchange.fault else ()
        return _Judged(verdict=classify.classify_unanswered(exchange.reached), errors=fault)
    if exchange.status != 200:
        return _Judged(verdict=_verdict("unknown", "http_status"), errors=(f"HTTP {exchange.status}",))
    try:
        envelope = codec.parse_envelope(answer.body)
    except BadAnswer as error:
        return _Judged(verdict=_verdict("unknown", "not_an_envelope"), errors=(str(error),))
    if envelope.errors and _names_an_order(envelope.result):
        return _Judged(verdict=_verdict("unknown", "error_and_order_id"), errors=envelope.errors)
    if envelope.errors:
        verdict = classify.classify_errors(envelope.errors, rules)
        return _Judged(verdict=verdict, errors=envelope.errors)
    return _Judged(verdict=None, result=envelope.result)


def _names_an_order(result: object) -> bool:
    return isinstance(result, dict) and bool(result.get("txid"))


def _verdict(outcome: SubmitOutcome, rule: str) -> classify.Verdict:
    return classify.Verdict(outcome=outcome, rule=rule)


def _submit_answer(
    verdict: classify.Verdict,
    answer: HttpAnswer | None,
    *,
    errors: tuple[str, ...] = (),
    placed: codec_orders.PlaceAnswer | None = None,
) -> SubmitAnswer:
    return SubmitAnswer(
        outcome=verdict.outcome,
        venue_order_ids=placed.venue_order_ids if placed else (),
        description=placed.description if placed else None,
        errors=errors,
        rule=verdict.rule,
        reached=answer.exchange.reached if answer else "not_connected",
    )


def _cancel_answer(
    verdict: classify.Verdict, answer: HttpAnswer | None, *, errors: tuple[str, ...] = ()
) -> CancelAnswer:
    return CancelAnswer(
        outcome=verdict.outcome,
        errors=errors,
        rule=verdict.rule,
        reached=answer.exchange.reached if answer else "not_connected",
    )
