"""What the venue's texts prove: the tables row by row, and nothing for whatever is not listed."""

import pytest

from quantlab.model.execution import NOT_ADMITTED
from quantlab.venues.hyperliquid import classify
from quantlab.venues.hyperliquid.classify import BURN_RULES, CANCEL_RULES, SUBMIT_RULES

WALLET = "0xefc07321d3d6a8fa4961306c7bf555f0723f28c1"

LIVE_TEXTS = {
    f"User or API Wallet {WALLET} does not exist.": ("unknown", "not_admitted_unknown_signer"),
    f"L1 error: User or API Wallet {WALLET} does not exist.": ("unknown", "not_admitted_unknown_signer"),
    f"Must deposit before performing actions. User: {WALLET}": ("unknown", "not_admitted_no_deposit"),
    "Unable to recover signer.": ("unknown", "not_admitted_signer_unrecovered"),
    f"Vault not registered: {WALLET}": ("unknown", "not_admitted_unknown_vault"),
    "Vault may not perform this action.": ("unknown", "not_admitted_vault_refused"),
    "Invalid nonce: nonce too high 1788415200000 > 2": ("unknown", "not_admitted_nonce_too_high"),
    "Invalid nonce: duplicate nonce 1788415200000": ("unknown", "duplicate_nonce"),
    "Invalid nonce: nonce too low 1 < 1788415200000": ("unknown", "nonce_too_low"),
    "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87457.46. Place taker orders to "
    "free up 1 request per USDC traded.": ("unknown", "address_limit"),
    "Action already expired": ("rejected", "already_expired"),
    "Order must have minimum value of $10. asset=173": ("rejected", "minimum_value"),
    "Order must have minimum value of 10 USDC. asset=10107": ("rejected", "minimum_value"),
    "Insufficient margin to place order. asset=5": ("rejected", "insufficient_margin"),
    "insufficient margin to place order": ("rejected", "insufficient_margin"),
    "Reduce only order would increase position. asset=3": ("rejected", "reduce_only_increases"),
    "Post only order would have immediately matched, bbo was 1999.9@2000.1. asset=4": (
        "rejected",
        "post_only_crosses",
    ),
    "Order could not immediately match against any resting orders. asset=4": ("rejected", "no_match"),
    "Price too far from oracle asset=4": ("rejected", "oracle_price"),
    "Insufficient spot balance asset=10107": ("rejected", "spot_balance"),
    "Order price cannot be more than 95% away from the reference price": ("rejected", "reference_price"),
    "Order price cannot be more than 80% away from the reference price": ("rejected", "reference_price"),
    "Only post-only orders allowed immediately after a network upgrade": ("rejected", "upgrade"),
    "Order value too large. Max is $5000000.": ("rejected", "value_too_large"),
}


@pytest.mark.parametrize("text", LIVE_TEXTS)
def test_texts_as_the_venue_sends_them(text):
    """Recorded and documented texts, what the venue fills in included, prove what their row says."""
    verdict = classify.classify_text(text, SUBMIT_RULES)
    assert LIVE_TEXTS[text] == (verdict.outcome, verdict.rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Order could not immediately match",
        "Order could not immediately match against any resting orders. It may have been filled.",
        "Maybe: Action already expired",
        "Action already expired asset=x",
        "duplicate cloid",
        "Internal error",
        "Order was never placed, already canceled, or filled.",
    ],
)
def test_whatever_is_not_listed_is_unknown(text):
    """A part of a text, a longer one, an invented one, another action's: none of them proves anything."""
    assert ("unknown", "unlisted_error") == (
        classify.classify_text(text, SUBMIT_RULES).outcome,
        classify.classify_text(text, SUBMIT_RULES).rule,
    )


@pytest.mark.parametrize("rule", [*SUBMIT_RULES, *CANCEL_RULES, *BURN_RULES], ids=lambda rule: rule.text[:40])
def test_every_row_matches_its_own_text(rule):
    """Also with the venue's appended asset, and the first row that matches a text bears its name."""
    text = rule.text.replace("*", "7")
    assert rule.matches(text)
    assert rule.matches(f"{text} asset=4")
    assert not rule.matches(f"x{text}")
    table = next(rules for rules in (SUBMIT_RULES, CANCEL_RULES) if rule in rules)
    assert rule.name == classify.classify_text(text, table).rule


def test_no_refusal_before_admission_and_no_nonce_text_rejects_a_submit():
    """After them the signed bytes can still run, or another copy of them may have run."""
    open_ended = [rule for rule in SUBMIT_RULES if rule.name.startswith(NOT_ADMITTED) or "nonce" in rule.name]
    assert 9 == len(open_ended)
    assert {"unknown"} == {rule.outcome for rule in open_ended}
    assert all(rule.outcome == "unknown" for rule in BURN_RULES)


def test_a_cancel_of_nothing_is_rejected():
    """One text for never placed, canceled and filled: the cancel did nothing, and that is all it says."""
    verdict = classify.classify_text("Order was never placed, already canceled, or filled. asset=5", CANCEL_RULES)
    assert ("rejected", "nothing_open") == (verdict.outcome, verdict.rule)


def test_what_a_burn_says_of_its_nonce():
    """Duplicate: used before. Too low: closed. Anything else: nothing."""
    assert ["used", "closed", "nothing", "nothing"] == [
        classify.nonce_was(rule) for rule in ("duplicate_nonce", "nonce_too_low", "http_status", "unlisted_error")
    ]


@pytest.mark.parametrize("reached", ["not_connected", "connected"])
def test_never_sent_needs_a_request_that_never_left(reached):
    """Only when no byte of the request was written."""
    verdict = classify.classify_unanswered(reached)
    assert ("never_sent", reached) == (verdict.outcome, verdict.rule)


@pytest.mark.parametrize("reached", ["bytes_sent", "answered"])
def test_without_a_whole_answer_nothing_is_known(reached):
    """Bytes may have arrived."""
    verdict = classify.classify_unanswered(reached)
    assert ("unknown", f"no_whole_answer_{reached}") == (verdict.outcome, verdict.rule)


@pytest.mark.parametrize(
    ("status", "rule", "kind"),
    [
        (400, "not_admitted_http_400", "bad_answer"),
        (415, "not_admitted_http_415", "bad_answer"),
        (422, "not_admitted_http_422", "bad_answer"),
        (429, "http_status", "rate_limited"),
        (404, "http_status", "bad_answer"),
        (500, "http_status", "venue_fault"),
        (502, "http_status", "venue_fault"),
    ],
)
def test_http_statuses(status, rule, kind):
    """A body that was not parsed was not admitted; every other status, 429 too, leaves a submit open."""
    verdict = classify.classify_effect_status(status)
    assert ("unknown", rule) == (verdict.outcome, verdict.rule)
    assert kind == classify.classify_http_status(status)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("429 Too Many Requests: null", "rate_limited"),
        ("Server answered 503", "venue_fault"),
        ("422 Unprocessable Entity: Failed to deserialize the JSON body into the target type", "bad_answer"),
        ("order 4290 of 1500", "bad_answer"),
        ("", "bad_answer"),
    ],
)
def test_errors_of_posts(text, kind):
    """The status stands in the text; a text without one is an answer that can not be used."""
    assert kind == classify.classify_post_error(text)


@pytest.mark.parametrize(
    ("path", "needed"),
    [("/info", False), ("/exchange", True), ("/info/", True), ("/EXCHANGE", True), ("/", True), ("", True)],
)
def test_all_but_the_information_endpoint_needs_an_attempt(path, needed):
    """What is not known to be a read counts as able to move money."""
    assert needed is classify.needs_attempt(path, b"{}")
