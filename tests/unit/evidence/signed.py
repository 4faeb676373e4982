"""An order that was signed before it is sent, with the burn of its nonce, and one body of every record about them.

The signatures are real: a made-up key signed these bytes for the testnet. Nonce and expiry are the fixed time's.
"""

from quantlab.evidence.envelope import record_bytes
from quantlab.evidence.preparatory import AccountReadiness, Asked, Certification, Probe, ProbeAttempt, SignedOrder
from quantlab.evidence.records import AdoptedAction, BurnAttempt, BurnResponse, SubmitDenial
from quantlab.kernel import canonical
from quantlab.model.execution import SignedAction, WireExchange
from quantlab.model.order import Plan, Promotion, intent_digest, plan_digest
from quantlab.model.recorded import BalanceEvidence, Check
from tests.unit.evidence.fixed import AT, CHECK, CLIENT_ORDER_ID, SESSION_ID, SHA, envelope

ACCOUNT = "0x" + "ac" * 20
SIGNER = "0xd8291e50e2e68fb2c70d77ccdc707d291a89f209"
EXCHANGE_URL = "http://127.0.0.1:9/exchange"
NONCE = 1_767_323_045_678
EXPIRES_AT = "2026-01-02T03:09:05.678000Z"

SIGNED_PLAN = Plan(
    venue="hyperliquid",
    environment="rehearsal",
    account_identity=ACCOUNT,
    account_label=ACCOUNT,
    symbol="ETH",
    venue_symbol="ETH",
    side="buy",
    order_type="limit",
    size_base="0.25",
    limit_price=None,
    worst_price="2020.2",
    time_in_force="ioc",
    post_only=False,
    reduce_only=False,
    notional_quote="505.05",
    reference_price="2000.2",
    client_order_id=f"0x{CLIENT_ORDER_ID}",
    session_id=SESSION_ID,
    order_text=(
        '{"type":"order","orders":[{"a":1,"b":true,"p":"2020.2","s":"0.25","r":false,"t":{"limit":{"tif":"Ioc"}},'
        '"c":"0x0123456789abcdef0123456789abcdef"}],"grouping":"na"}'
    ),
    policy_sha256=SHA,
    promotion=Promotion(source="rationale", rationale="a first small order"),
    planned_at=AT,
    venue_symbol_aliases=("asset=1",),
)
SIGNED_PLAN_SHA = plan_digest(SIGNED_PLAN)


def _signed(action: str, *, expiry: int | None, signature: tuple[str, str, int], action_hash: str) -> SignedAction:
    r, s, v = signature
    expires = "" if expiry is None else f',"expiresAfter":{expiry}'
    body = f'{{"action":{action},"nonce":{NONCE},"signature":{{"r":"{r}","s":"{s}","v":{v}}}{expires}}}'
    return SignedAction(
        kind="noop" if expiry is None else "order",
        network="testnet",
        action_text=action,
        action_hash=action_hash,
        nonce=NONCE,
        expires_after_ms=expiry,
        vault_address=None,
        signer_address=SIGNER,
        signature_r=r,
        signature_s=s,
        signature_v=v,
        client_order_id=SIGNED_PLAN.client_order_id,
        body_text=body,
        body_sha256=canonical.sha256_hex(body.encode()),
    )


SIGNED_ACTION = _signed(
    SIGNED_PLAN.order_text,
    expiry=NONCE + 300_000,
    signature=(
        "0x7700de59b303a2b2af42c2627f9b889826adb05dfd223d4637770c26f9734a89",
        "0x498286222d1aa1042f1b8ebe95291616683740b1923c9fd24ea79c6f2467ea52",
        27,
    ),
    action_hash="0x42cbfc4642aad6739b1675d4600a18a7d89b52f9ec91ed01fc5d0839619098b6",
)
SIGNED_BURN = _signed(
    '{"type":"noop"}',
    expiry=None,
    signature=(
        "0x0ccc604f0226d83560c89c603f77251e641478d60211bc2defe527fafabdaa76",
        "0x2733a6ab90c31fdf59cec755e442ff0deeb651f6747d78d348f41b2eec430a47",
        28,
    ),
    action_hash="0xaae539c9cc579e26328e333e06a5dc922e0bf123b08c33eea5b65214d84ccb8c",
)

BURN_ANSWER = '{"status":"ok","response":{"type":"default"}}'
BURN_EXCHANGE = WireExchange(
    purpose="burn",
    method="POST",
    url=EXCHANGE_URL,
    request_headers=(("content-type", "application/json"),),
    request_body=SIGNED_BURN.body_text,
    request_body_sha256=SIGNED_BURN.body_sha256,
    reached="answered",
    status=200,
    response_headers=(("content-type", "application/json"),),
    response_body=BURN_ANSWER,
    response_body_base64=None,
    response_body_sha256=canonical.sha256_hex(BURN_ANSWER.encode()),
    fault=None,
    started_at=AT,
    ended_at=AT,
    duration_us=1500,
)
ASKED = Asked(
    symbol="ETH",
    side="buy",
    size_base="0.25",
    notional_quote="500",
    account_label=ACCOUNT,
    order_type=None,
    limit_price=None,
    time_in_force=None,
    post_only=False,
    reduce_only=False,
)
MARGIN = AccountReadiness(
    readiness_allowed=True,
    venue="hyperliquid",
    account_identity=ACCOUNT,
    account_label=ACCOUNT,
    permissions=("agent",),
    balances=(BalanceEvidence(asset="USDC", total="1000", available="1000"),),
    open_orders=(),
    reasons=(),
    checks=(CHECK,),
    exchanges=(),
    details=(("Account role", "user"), ("Signer role", f"agent of {ACCOUNT}")),
)
TICKET = ("BUY 0.25 ETH", "at most 2020.2 USDC")

SIGNED_ORDER = SignedOrder(
    signature_state="signed",
    outcome="signed",
    readiness_allowed=True,
    asked=ASKED,
    plan=SIGNED_PLAN,
    signed_plan_sha256=SIGNED_PLAN_SHA,
    intent_sha256=intent_digest(SIGNED_PLAN),
    account=MARGIN,
    key_source="environment HYPERLIQUID_PRIVATE_KEY",
    signer_id=SIGNER,
    nonce=str(NONCE),
    expires_at=EXPIRES_AT,
    signed=SIGNED_ACTION,
    burn=SIGNED_BURN,
    checks=(CHECK,),
    venue_description=None,
    venue_errors=(),
    ticket=TICKET,
    exchanges=(),
)
SOURCE = record_bytes(envelope("quantlab.signed_order/1"), SIGNED_ORDER)
ADOPTED = AdoptedAction(
    source_sha256=canonical.sha256_hex(SOURCE),
    source_text=SOURCE.decode(),
    signature_state="signed",
    asked=ASKED,
    plan=SIGNED_PLAN,
    plan_sha256=SIGNED_PLAN_SHA,
    intent_sha256=intent_digest(SIGNED_PLAN),
    nonce=str(NONCE),
    expires_at=EXPIRES_AT,
    signed=SIGNED_ACTION,
    burn=SIGNED_BURN,
    ticket=TICKET,
)
SUBMIT_DENIAL = SubmitDenial(
    plan_sha256=SIGNED_PLAN_SHA,
    reviewer="marce",
    note="once",
    checks=(
        CHECK,
        Check(
            code="signature_lifetime",
            passed=False,
            measured="12 s left",
            limit="20 s",
            message="The signature runs out too soon to be sent.",
        ),
    ),
    exchanges=(),
)
BURN_ATTEMPT = BurnAttempt(
    plan_sha256=SIGNED_PLAN_SHA,
    action_sha256=canonical.sha256_hex(SOURCE),
    reviewer="marce",
    note="no answer came",
    nonce=str(NONCE),
    signer_id=SIGNER,
    url=EXCHANGE_URL,
    body_text=SIGNED_BURN.body_text,
    body_sha256=SIGNED_BURN.body_sha256,
    unverified=False,
)
BURN_RESPONSE = BurnResponse(
    plan_sha256=SIGNED_PLAN_SHA,
    burn_attempt_sha256=SHA,
    outcome="accepted",
    nonce_was="unused",
    venue_errors=(),
    rule="noop_done",
    reached="answered",
    venue_at=AT,
    exchanges=(BURN_EXCHANGE,),
)
PROBE_ATTEMPT = ProbeAttempt(
    venue="hyperliquid",
    reviewer="marce",
    what="a noop on a nonce that was never used",
    url=EXCHANGE_URL,
    body_text=SIGNED_BURN.body_text,
    body_sha256=SIGNED_BURN.body_sha256,
)
CERTIFICATION = Certification(
    venue="hyperliquid",
    passed=True,
    reviewer="marce",
    probes=(
        Probe(
            assumption="H3",
            what="a noop on a nonce that was never used",
            expected="ok",
            answered="ok default",
            holds=True,
        ),
        Probe(
            assumption="H4",
            what="the same noop once more",
            expected="duplicate nonce",
            answered=f"Invalid nonce: duplicate nonce {NONCE}",
            holds=True,
        ),
    ),
    exchanges=(BURN_EXCHANGE,),
)
