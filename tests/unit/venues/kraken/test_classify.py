"""The tables say what each text of the venue proves; whatever is not in them proves nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.venues.kraken import classify
from quantlab.venues.kraken.classify import CANCEL_RULES, READ_RULES, SUBMIT_RULES, needs_attempt

ALWAYS_UNKNOWN = (
    "EAPI:Invalid nonce",
    "EGeneral:Invalid arguments:cl_ord_id not unique",
    "EOrder:Reduce only:Position is closed",
    "EService:Unavailable",
    "EService:Busy",
    "EService:Timeout",
    "EService:Deadline elapsed",
    "EService:Throttled",
    "EService:Throttled: 1788415303",
    "EGeneral:Internal error",
    "EGeneral:Internal error:123",
    "EDatabase:Internal error",
    "EGeneral:Too many requests",
    "EOrder:Something new",
    "EOrder:Reduce only",
    "WDatabase:No change",
    "",
)
REJECTED = (
    "EOrder:Insufficient funds",
    "EOrder:Order minimum not met",
    "EOrder:Cost minimum not met",
    "EOrder:Tick size check failed",
    "EOrder:Invalid price",
    "EOrder:Invalid price:ETH/USD price can only be specified up to 2 decimals.",
    "EOrder:Post only order",
    "EOrder:Rate limit exceeded",
    "EGeneral:Invalid arguments",
    "EGeneral:Invalid arguments:volume",
    "EGeneral:Permission denied",
    "EGeneral:Temporary lockout",
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EAPI:Rate limit exceeded",
    "EAccount:Invalid permissions:ETH trading restricted for XX.",
    "EQuery:Unknown asset pair",
    "EService:Market in cancel_only mode",
    "EBM:limit exceeded:CAL",
)


@pytest.mark.parametrize("text", ALWAYS_UNKNOWN)
def test_texts_that_prove_nothing(text):
    """After these an order may exist."""
    assert "unknown" == classify.classify_errors((text,), SUBMIT_RULES).outcome


@pytest.mark.parametrize("text", REJECTED)
def test_texts_that_prove_a_refusal(text):
    """After these this copy of the request did nothing."""
    assert "rejected" == classify.classify_errors((text,), SUBMIT_RULES).outcome


@given(st.text(max_size=60))
def test_nothing_unlisted_is_a_refusal(text):
    """Any other text is unknown, on a submit and on a cancel."""
    for rules in (SUBMIT_RULES, CANCEL_RULES):
        if not any(rule.matches(text) for rule in rules):
            verdict = classify.classify_errors((text,), rules)
            assert ("unknown", "unlisted_error") == (verdict.outcome, verdict.rule)


def test_a_mixed_array_is_unknown():
    """One text that proves nothing outweighs all that do; two refusals stay one, named by the first."""
    mixed = ("EOrder:Insufficient funds", "EService:Busy")
    assert "unknown" == classify.classify_errors(mixed, SUBMIT_RULES).outcome
    warned = ("EOrder:Insufficient funds", "WOrder:Anything")
    assert "unknown" == classify.classify_errors(warned, SUBMIT_RULES).outcome
    both = ("EOrder:Insufficient funds", "EOrder:Invalid price")
    verdict = classify.classify_errors(both, SUBMIT_RULES)
    assert ("rejected", "insufficient_funds") == (verdict.outcome, verdict.rule)


@pytest.mark.parametrize("rules", [SUBMIT_RULES, CANCEL_RULES])
def test_rows_are_named_once_and_sourced(rules):
    """A row has a name of its own and says where it stands; texts do not repeat."""
    assert len(rules) == len({rule.name for rule in rules}) == len({rule.text for rule in rules})
    assert all(rule.source.startswith("kraken.md") for rule in rules)
    assert {"rejected", "unknown"} == {rule.outcome for rule in rules}


@pytest.mark.parametrize(
    ("text", "outcome", "rule"),
    [
        ("EOrder:Unknown order", "rejected", "nothing_open"),
        ("EOrder:Invalid order", "rejected", "no_such_order"),
        ("EAPI:Invalid nonce", "unknown", "invalid_nonce"),
        ("EOrder:Insufficient funds", "unknown", "unlisted_error"),
    ],
)
def test_the_cancel_table(text, outcome, rule):
    """A cancel has a table of its own."""
    verdict = classify.classify_errors((text,), CANCEL_RULES)
    assert (outcome, rule) == (verdict.outcome, verdict.rule)


@pytest.mark.parametrize(
    ("reached", "outcome"),
    [
        ("not_connected", "never_sent"),
        ("connected", "never_sent"),
        ("bytes_sent", "unknown"),
        ("answered", "unknown"),
    ],
)
def test_without_a_whole_answer(reached, outcome):
    """Never sent is claimed only where no byte of the request was written."""
    assert outcome == classify.classify_unanswered(reached).outcome


@pytest.mark.parametrize("rule", READ_RULES, ids=lambda rule: rule.text)
def test_every_row_for_reads(rule):
    """Each listed text has its kind, also with a detail where one may follow."""
    assert rule.kind == classify.classify_read_errors((rule.text,))
    assert (rule.kind if rule.detail else "venue_fault") == classify.classify_read_errors((rule.text + ": detail",))


def test_the_first_listed_text_decides_a_read():
    """An unlisted text before it does not hide the listed one."""
    assert "not_known" == classify.classify_read_errors(("EX:odd", "EQuery:Unknown asset pair"))
    assert "venue_fault" == classify.classify_read_errors(())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "rate_limited"),
        (500, "venue_fault"),
        (520, "venue_fault"),
        (404, "bad_answer"),
        (302, "bad_answer"),
    ],
)
def test_http_statuses(status, kind):
    """The edge's statuses, for reads."""
    assert kind == classify.classify_http_status(status)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        (("EOrder:Order minimum not met",), "rejected"),
        (("EGeneral:Invalid arguments:cl_ord_id not unique",), "rejected"),
        (("EAPI:Rate limit exceeded",), "unreadable"),
        (("EAPI:Invalid nonce",), "unreadable"),
        (("EService:Busy",), "unreadable"),
        (("EOrder:Something new",), "unreadable"),
    ],
)
def test_refusals_of_a_validation(errors, verdict):
    """A validation has no effect, so an id in use is a plain no there; our own pace says nothing."""
    assert verdict == classify.classify_dry_errors(errors)


GOOD_VALIDATION = b"nonce=1&cl_ord_id=ab&ordertype=limit&price=1.5&deadline=2026%3A&validate=true"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/0/public/Time", b""),
        ("/0/public/Depth", b""),
        ("/0/private/OpenOrders", b"nonce=1"),
        ("/0/private/GetWebSocketsToken", b"nonce=1"),
        ("/0/private/AddOrder", GOOD_VALIDATION),
    ],
)
def test_what_is_free(path, body):
    """Known reads, and a validation that says so exactly once."""
    assert not needs_attempt(path, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/0/private/AddOrder", b"nonce=1&volume=1"),
        ("/0/private/AddOrder", b""),
        ("/0/private/AddOrder", GOOD_VALIDATION + b"&validate=true"),
        ("/0/private/AddOrder", GOOD_VALIDATION + b"&validate=false"),
        ("/0/private/AddOrder", GOOD_VALIDATION.replace(b"true", b"True")),
        ("/0/private/AddOrder", GOOD_VALIDATION.replace(b"true", b"")),
        ("/0/private/AddOrder", GOOD_VALIDATION + b"&close[price]=1"),
        ("/0/private/AddOrder", b'{"nonce":1,"a":"&validate=true&"}'),
        ("/0/private/AddOrder", b"nonce=1&%76alidate=true"),
        ("/0/private/AddOrder", b"nonce=1&validate=true\n"),
        ("/0/private/AddOrder/", GOOD_VALIDATION),
        ("/0/private//AddOrder", GOOD_VALIDATION),
        ("/0/private/AddOrderBatch", GOOD_VALIDATION),
        ("/0/private/CancelOrder", b"nonce=1&txid=O"),
        ("/0/private/CancelAll", b"nonce=1"),
        ("/0/private/EditOrder", GOOD_VALIDATION),
        ("/0/private/Withdraw", b"nonce=1"),
        ("/0/private/openorders", b"nonce=1"),
        ("/0/public/../private/CancelAll", b"nonce=1"),
        ("", b""),
    ],
)
def test_what_needs_an_attempt(path, body):
    """Everything else: what moves money, what is unknown, and what is written in an unusual way."""
    assert needs_attempt(path, body)


@given(st.text(max_size=40))
def test_an_unknown_path_is_never_free(name):
    """A path that nobody listed needs an attempt."""
    path = f"/0/private/{name}"
    assert needs_attempt(path, GOOD_VALIDATION) or name in {
        "AddOrder",
        *(free.rpartition("/")[2] for free in classify._FREE_PATHS),
    }
