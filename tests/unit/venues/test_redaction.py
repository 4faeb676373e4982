"""Nothing that was called a secret comes out again, in any shape it can take on a wire."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.venues.redaction import REDACTED, Redactor

SECRET = "made/up+secret==value"


@pytest.mark.parametrize(
    "shape",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        SECRET.replace("/", "\\/"),
        SECRET.encode().hex(),
    ],
)
def test_every_shape_is_hidden(shape):
    """Literal, percent-encoded, JSON-escaped and hex spellings are replaced."""
    assert f"a {REDACTED} b" == Redactor(SECRET).redact(f"a {shape} b")


@given(before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_base64_is_hidden_at_any_alignment(before, after):
    """A secret inside a base64 text leaves nothing that could be decoded back."""
    shape = base64.b64encode(before + SECRET.encode() + after).decode()
    assert REDACTED in Redactor(SECRET).redact(shape)


def test_without_secrets_text_is_untouched():
    """An empty redactor changes nothing, and short words are no secrets."""
    assert "plain" == Redactor().redact("plain")
    assert "abc" == Redactor("abc").redact("abc")


def test_bytes_that_are_not_text_keep_their_other_bytes():
    """Redaction works inside a body that is not UTF-8."""
    assert b"\xff[redacted]\xfe" == Redactor(SECRET).redact_bytes(b"\xff" + SECRET.encode() + b"\xfe")


def test_a_longer_form_is_hidden_whole():
    """One secret inside another leaves no rest of the longer one."""
    assert REDACTED == Redactor("abcdefgh", "abcdefghijkl").redact("abcdefghijkl")


def test_secret_headers_are_blanked_and_others_redacted():
    """A header that is secret by name is hidden whatever it holds."""
    headers = (("API-Sign", "x"), ("set-cookie", "y"), ("Echo", f"a {SECRET}"), ("Date", "now"))
    assert (
        ("API-Sign", REDACTED),
        ("set-cookie", REDACTED),
        ("Echo", f"a {REDACTED}"),
        ("Date", "now"),
    ) == Redactor(SECRET).redact_headers(headers)


def test_a_fresh_token_is_learned_from_the_answer_that_brings_it():
    """A token is hidden before the answer with it is recorded."""
    redactor = Redactor()
    redactor.add_json_fields(b'{"token" : "tok\\/en-value-1","other":"kept-as-it-is"}', ("token",))
    assert f"{REDACTED} {REDACTED} kept-as-it-is" == redactor.redact("tok/en-value-1 tok\\/en-value-1 kept-as-it-is")


def test_header_secrets_count_for_one_exchange():
    """A signature is hidden where its request is recorded, and not kept for ever."""
    redactor = Redactor()
    wider = redactor.with_header_secrets((("API-Sign", SECRET), ("Accept", "application/json")))
    assert REDACTED == wider.redact(SECRET)
    assert SECRET == redactor.redact(SECRET)
    assert "application/json" == wider.redact("application/json")


def test_its_own_text_holds_no_secret():
    """Printing a redactor gives nothing away."""
    assert SECRET not in repr(Redactor(SECRET))
