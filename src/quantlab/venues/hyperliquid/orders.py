"""Signing, placing, canceling and burning on Hyperliquid: one exchange each, never repeated.

The caller has reserved nonce and client order id before it signs, and has written the attempt record before it sends.
A signed action is a bearer order until it expires. What is sent later needs no key.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final, Literal

import msgspec

from quantlab.kernel.clock import from_ns, rfc3339, to_ns
from quantlab.kernel.errors import QuantLabFault
from quantlab.model.execution import (
    AttemptReceipt,
    BurnAnswer,
    CancelAnswer,
    PreparedSend,
    SignedAction,
    SubmitAnswer,
    SubmitOutcome,
)
from quantlab.model.order import Environment, Plan
from quantlab.venues import answers
from quantlab.venues.answers import BadAnswer
from quantlab.venues.hyperliquid import auth, classify, codec, codec_orders
from quantlab.venues.hyperliquid import signed as signing
from quantlab.venues.hyperliquid.auth import HyperliquidSigner
from quantlab.venues.transport import HttpAnswer, HttpRequest, Transport

_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An answer taken as far as all effects share: a verdict, or the response of an ``ok`` to look into."""

    verdict: classify.Verdict | None
    errors: tuple[str, ...] = ()
    response: object = None


class HyperliquidOrders:
    """The side of Hyperliquid that moves money, with one signer for one account.

    Args:
        transport: Sends, once, and only with the receipt of an attempt.
        base_url: Scheme and host, without a path.
        signer: The key that signs.
        environment: Decides whose signatures these are: the mainnet's only in ``live``.
        vault_address: The account itself where it is a sub-account or a vault, which have no keys of their own.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        base_url: str,
        signer: HyperliquidSigner,
        environment: Environment,
        vault_address: str | None = None,
    ) -> None:
        self._transport = transport
        self._url = base_url.rstrip("/") + classify.EXCHANGE_PATH
        self._signer = signer
        self._network = auth.network_of(environment)
        self._vault_address = vault_address

    def sign_order(self, plan: Plan, *, nonce: int, expires_at: datetime) -> SignedAction:
        """Return the plan's order, signed; the venue takes it until ``expires_at`` (its clock). Sends nothing.

        Raises:
            QuantLabFault: the plan's frozen text is not what the plan says, or the nonce is not in milliseconds.
            Denied: the key is missing, malformed or another's. Nothing was signed.
        """
        return self._sign(plan, self._order_draft(plan, nonce=nonce, expires_at=expires_at))[0]

    def sign_noop(self, plan: Plan, *, nonce: int) -> SignedAction:
        """Return an action without effect on the plan's nonce, signed. It has no expiry. Sends nothing.

        A nonce belongs to the signer, so the action names no vault (hyperliquid.md 9.4; unverified for vaults).

        Raises:
            QuantLabFault: the nonce is not in milliseconds.
            Denied: the key is missing, malformed or another's. Nothing was signed.
        """
        return self._sign(plan, _noop_draft(nonce))[0]

    def sign_order_and_burn(self, plan: Plan, *, nonce: int, expires_at: datetime) -> tuple[SignedAction, SignedAction]:
        """Return the plan's order and the noop that burns its nonce, both signed; the key is read once.

        Raises as :meth:`sign_order`. Sends nothing.
        """
        order, burn = self._sign(plan, self._order_draft(plan, nonce=nonce, expires_at=expires_at), _noop_draft(nonce))
        return order, burn

    def signed_refusals(self, signed: SignedAction, plan: Plan) -> tuple[str, ...]:
        """Return how signed bytes differ from what they claim and from the plan, one sentence each. Pure."""
        text = codec_orders.action_text(codec_orders.noop_action())
        if signed.kind == "order":
            text = plan.order_text
        vault_address = self._vault_address if signed.kind == "order" else None
        checks = (
            (signed.action_text == text, "the signed action is not the plan's"),
            (signed.client_order_id == plan.client_order_id, "the client order id is not the plan's"),
            (signed.vault_address == vault_address, "it acts for another account"),
            ((signed.expires_after_ms is None) == (signed.kind == "noop"), "an order needs an expiry, a noop has none"),
        )
        differing = tuple(sentence for holds, sentence in checks if not holds)
        return (*signing.claim_faults(signed, network=self._network), *differing)

    def prepare_submit(self, plan: Plan, *, nonce: int, deadline_at: datetime) -> PreparedSend:
        """Sign the plan's order and return it as a request; see :meth:`sign_order`. Sends nothing."""
        return self.prepare_submit_signed(self.sign_order(plan, nonce=nonce, expires_at=deadline_at))

    def prepare_submit_signed(self, signed: SignedAction) -> PreparedSend:
        """Return a signed order as a request. Needs no key.

        Raises:
            QuantLabFault: it is no order, or its bytes are not what they claim. A bug of ours: ask
                :meth:`signed_refusals` first. Nothing was sent.
        """
        return self._prepare(signed, kind="order", effect="submit")

    def prepare_burn(self, signed: SignedAction) -> PreparedSend:
        """Return a signed noop as a request. Needs no key.

        Raises:
            QuantLabFault: it is no noop, or its bytes are not what they claim. Nothing was sent.
        """
        return self._prepare(signed, kind="noop", effect="burn")

    def prepare_cancel(
        self, plan: Plan, *, venue_order_id: str | None = None, nonce: int, expires_at: datetime | None = None
    ) -> PreparedSend:
        """Sign a cancel, by the venue's id or else by our own, and return it as a request. Sends nothing.

        Raises:
            QuantLabFault: the venue's id is no number, or the nonce is not in milliseconds.
            Denied: the key is missing, malformed or another's. Nothing was signed.
        """
        expires_after_ms = None if expires_at is None else to_ns(expires_at) // _NANOSECONDS_PER_MILLISECOND
        signing.require_milliseconds(nonce, expires_after_ms)
        action = codec_orders.cancel_action(plan, venue_order_id=venue_order_id)
        hashed = auth.action_hash(
            action, nonce=nonce, vault_address=self._vault_address, expires_after_ms=expires_after_ms
        )
        body = signing.body_text(
            codec_orders.action_text(action),
            nonce=nonce,
            signature=self._signer.sign(hashed, network=self._network),
            vault_address=self._vault_address,
            expires_after_ms=expires_after_ms,
        )
        return self._prepared(
            "cancel", body, nonce=nonce, expires_after_ms=expires_after_ms, client_order_id=plan.client_order_id
        )

    def submit(self, prepared: PreparedSend, receipt: AttemptReceipt) -> SubmitAnswer:
        """Send the order once.

        Accepted means HTTP 200, ``ok``, and exactly one status that rests or is filled, with an order id. A client
        order id other than ours leaves the order accepted, for it was placed, and stands in ``errors``.

        Raises:
            AttemptMissing: the receipt is not of these bytes. A bug of ours; nothing was sent.
        """
        answer = self._send(prepared, receipt)
        judged = _judge(answer, classify.SUBMIT_RULES)
        if judged.verdict is not None:
            return _submit_answer(judged.verdict, answer, errors=judged.errors)
        try:
            status = _only_status(judged.response, "order")
            return _judge_placed(status, answer, prepared=prepared)
        except BadAnswer as error:
            return _submit_answer(_verdict("unknown", "bad_result"), answer, errors=(str(error),))

    def cancel(self, prepared: PreparedSend, receipt: AttemptReceipt) -> CancelAnswer:
        """Send the cancel once. Accepted is the venue's ``success``; only a read proves the order's end.

        Raises:
            AttemptMissing: the receipt is not of these bytes. A bug of ours; nothing was sent.
        """
        answer = self._send(prepared, receipt)
        judged = _judge(answer, classify.CANCEL_RULES)
        verdict, errors = judged.verdict, judged.errors
        if verdict is None:
            verdict, errors = _judge_canceled(judged.response)
        return CancelAnswer(outcome=verdict.outcome, errors=errors, rule=verdict.rule, reached=answer.exchange.reached)

    def burn(self, prepared: PreparedSend, receipt: AttemptReceipt) -> BurnAnswer:
        """Send the noop once. ``unused`` holds for the first burn of a nonce: a later one may meet its own copy.

        Raises:
            AttemptMissing: the receipt is not of these bytes. A bug of ours; nothing was sent.
        """
        answer = self._send(prepared, receipt)
        judged = _judge(answer, classify.BURN_RULES)
        verdict, errors = judged.verdict, judged.errors
        if verdict is None:
            verdict, errors = _judge_burned(judged.response)
        is_burned = verdict.outcome == "accepted"
        return BurnAnswer(
            outcome=verdict.outcome,
            nonce_was="unused" if is_burned else classify.nonce_was(verdict.rule),
            errors=errors,
            rule=verdict.rule,
            reached=answer.exchange.reached,
        )

    def _order_draft(self, plan: Plan, *, nonce: int, expires_at: datetime) -> signing.Draft:
        action = codec_orders.order_action(plan)
        if self._vault_address not in {None, plan.account_identity}:
            message = "the plan is of another account than this desk trades for; nothing was signed"
            raise QuantLabFault(message, code="hyperliquid.other_account", session_id=plan.session_id)
        if codec_orders.action_text(action) != plan.order_text:
            message = "the order text of the plan differs from its fields; nothing was signed"
            raise QuantLabFault(message, code="hyperliquid.order_text", session_id=plan.session_id)
        return signing.Draft(
            action=action,
            kind="order",
            nonce=nonce,
            expires_after_ms=to_ns(expires_at) // _NANOSECONDS_PER_MILLISECOND,
            vault_address=self._vault_address,
        )

    def _sign(self, plan: Plan, *drafts: signing.Draft) -> tuple[SignedAction, ...]:
        return signing.sign_drafts(drafts, plan, signer=self._signer, network=self._network)

    def _prepare(
        self, signed: SignedAction, *, kind: Literal["order", "noop"], effect: Literal["submit", "burn"]
    ) -> PreparedSend:
        faults = signing.claim_faults(signed, network=self._network)
        if signed.kind != kind:
            faults = (f"it is a signed {signed.kind}, not a signed {kind}", *faults)
        if faults:
            message = f"the signed action is not what it claims: {'; '.join(faults)}; nothing was sent"
            raise QuantLabFault(message, code="hyperliquid.signed_action")
        return self._prepared(
            effect,
            signed.body_text,
            nonce=signed.nonce,
            expires_after_ms=signed.expires_after_ms,
            client_order_id=signed.client_order_id,
            signer_id=signed.signer_address,
        )

    def _prepared(
        self,
        effect: Literal["submit", "cancel", "burn"],
        body: str,
        *,
        nonce: int,
        expires_after_ms: int | None,
        client_order_id: str,
        signer_id: str | None = None,
    ) -> PreparedSend:
        deadline = None
        if expires_after_ms is not None:
            deadline = rfc3339(from_ns(expires_after_ms * _NANOSECONDS_PER_MILLISECOND))
        return PreparedSend(
            effect=effect,
            url=self._url,
            path=classify.EXCHANGE_PATH,
            body_text=body,
            body_sha256=hashlib.sha256(body.encode("utf-8")).hexdigest(),
            nonce=str(nonce),
            deadline_at=deadline,
            client_order_id=client_order_id,
            signer_id=signer_id or self._signer.signer_id,
        )

    def _send(self, prepared: PreparedSend, receipt: AttemptReceipt) -> HttpAnswer:
        request = HttpRequest(
            purpose=prepared.effect,
            method="POST",
            url=prepared.url,
            headers=(codec.JSON,),
            body=prepared.body_text.encode("utf-8"),
        )
        return self._transport.exchange(request, receipt=receipt)


def _noop_draft(nonce: int) -> signing.Draft:
    return signing.Draft(
        action=codec_orders.noop_action(), kind="noop", nonce=nonce, expires_after_ms=None, vault_address=None
    )


def _judge(answer: HttpAnswer, rules: tuple[classify.Rule, ...]) -> _Judged:
    exchange = answer.exchange
    if not answer.whole:
        fault = (exchange.fault,) if exchange.fault else ()
        return _Judged(verdict=classify.classify_unanswered(exchange.reached), errors=fault)
    if exchange.status != 200:
        verdict = classify.classify_effect_status(exchange.status or 0)
        return _Judged(verdict=verdict, errors=(f"HTTP {exchange.status}",))
    try:
        envelope = answers.as_object(answers.parse_json(answer.body), "the answer")
        status = answers.text_in(envelope, "status")
        text = answers.text_in(envelope, "response") if status == "err" else ""
    except BadAnswer as error:
        return _Judged(verdict=_verdict("unknown", "not_an_envelope"), errors=(str(error),))
    if status == "err":
        return _Judged(verdict=classify.classify_text(text, rules), errors=(text,))
    if status != "ok":
        return _Judged(verdict=_verdict("unknown", "not_an_envelope"), errors=(f"the status is {status[:60]}",))
    return _Judged(verdict=None, response=envelope.get("response"))


def _only_status(response: object, kind: str) -> object:
    """Return the one status of an answer to one order or one cancel."""
    row = answers.as_object(response, "response")
    if answers.text_in(row, "type") != kind:
        raise BadAnswer(f"the response is not of the type {kind}")
    statuses = answers.as_list(answers.as_object(row.get("data"), "data").get("statuses"), "statuses")
    if len(statuses) != 1:
        raise BadAnswer(f"{len(statuses)} statuses answer one request")
    return statuses[0]


def _judge_placed(status: object, answer: HttpAnswer, *, prepared: PreparedSend) -> SubmitAnswer:
    """Return what the status of an order proves; raises :class:`BadAnswer` for a shape that is not documented."""
    row = answers.as_object(status, "status")
    if len(row) != 1:
        raise BadAnswer("a status says more than one thing")
    if "error" in row:
        text = answers.text_in(row, "error")
        return _submit_answer(classify.classify_text(text, classify.SUBMIT_RULES), answer, errors=(text,))
    kind = next(iter(row))
    if kind not in {"resting", "filled"}:
        raise BadAnswer(f"the status {kind} is not known")
    placed = answers.as_object(row[kind], kind)
    order_id = str(answers.integer_in(placed, "oid"))
    cloid = answers.optional_text_in(placed, "cloid")
    errors: tuple[str, ...] = ()
    if (cloid or "").lower() != prepared.client_order_id:
        errors = (f"cloid_mismatch: sent {prepared.client_order_id}, the venue answers {cloid or 'none'}",)
    description = msgspec.json.encode(row).decode("utf-8")
    return _submit_answer(_verdict("accepted", kind), answer, errors=errors, order_id=order_id, description=description)


def _judge_canceled(response: object) -> tuple[classify.Verdict, tuple[str, ...]]:
    try:
        status = _only_status(response, "cancel")
        if status == "success":
            return _verdict("accepted", "success"), ()
        text = answers.text_in(answers.as_object(status, "status"), "error")
    except BadAnswer as error:
        return _verdict("unknown", "bad_result"), (str(error),)
    return classify.classify_text(text, classify.CANCEL_RULES), (text,)


def _judge_burned(response: object) -> tuple[classify.Verdict, tuple[str, ...]]:
    try:
        kind = answers.text_in(answers.as_object(response, "response"), "type")
    except BadAnswer as error:
        return _verdict("unknown", "bad_result"), (str(error),)
    if kind != "default":
        return _verdict("unknown", "bad_result"), (f"a noop is answered as {kind}",)
    return _verdict("accepted", "noop_done"), ()


def _verdict(outcome: SubmitOutcome, rule: str) -> classify.Verdict:
    return classify.Verdict(outcome=outcome, rule=rule)


def _submit_answer(
    verdict: classify.Verdict,
    answer: HttpAnswer,
    *,
    errors: tuple[str, ...] = (),
    order_id: str | None = None,
    description: str | None = None,
) -> SubmitAnswer:
    return SubmitAnswer(
        outcome=verdict.outcome,
        venue_order_ids=() if order_id is None else (order_id,),
        description=description,
        errors=errors,
        rule=verdict.rule,
        reached=answer.exchange.reached,
    )
