"""Signatures by the venue's rule, and a key that gives nothing away."""

import hashlib
import json
from pathlib import Path

import pytest

from quantlab.kernel.errors import Denied
from quantlab.venues.kraken import auth
from quantlab.venues.redaction import REDACTED, Redactor

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "signatures" / "kraken.json").read_text("utf-8"))
KEY = "made-up-public-key"


def _credentials(key=KEY, secret=GOLDEN["secret"]):
    redactor = Redactor()
    return (
        auth.KrakenCredentials(read_api_key=lambda: key, read_api_secret=lambda: secret, redactor=redactor),
        redactor,
    )


@pytest.mark.parametrize("vector", GOLDEN["vectors"], ids=lambda vector: vector["name"])
def test_signatures_match_the_vectors(vector):
    """The venue's vector and the computed ones are reproduced over the exact bytes."""
    assert vector["api_sign"] == auth.api_sign(
        GOLDEN["secret"],
        path=vector["path"],
        nonce=vector["nonce"],
        body=vector["body"].encode(),
    )


def test_the_fingerprint_is_of_the_public_key():
    """32 hex digits of the SHA-256, the same in every process."""
    credentials, _ = _credentials()
    assert hashlib.sha256(KEY.encode()).hexdigest()[:32] == credentials.signer_id
    assert credentials.is_own_key(KEY)
    assert not credentials.is_own_key("another key")


def test_headers_authenticate_and_secrets_become_known():
    """The headers carry key and signature, and the redactor learned key and secret."""
    vector = GOLDEN["vectors"][0]
    credentials, redactor = _credentials(key=f" {KEY}\n", secret=GOLDEN["secret"] + "\n")
    headers = credentials.headers(path=vector["path"], nonce=vector["nonce"], body=vector["body"].encode())
    assert (("API-Key", KEY), ("API-Sign", vector["api_sign"])) == headers
    assert f"{REDACTED} {REDACTED}" == redactor.redact(f"{KEY} {GOLDEN['secret']}")
    assert KEY not in repr(credentials)


@pytest.mark.parametrize("key", ["", "short", "clé-publique-éé", "with\nbreak-in-it"])
def test_a_malformed_key_is_denied(key):
    """A key that can not be one is refused before anything is sent."""
    credentials, _ = _credentials(key=key)
    with pytest.raises(Denied) as caught:
        _ = credentials.signer_id
    assert "kraken_key_malformed" == caught.value.code


@pytest.mark.parametrize("secret", ["", "not base64!", "ünïcode-text"])
def test_a_malformed_secret_is_denied(secret):
    """A secret that can not sign is refused, and its text is not shown."""
    credentials, _ = _credentials(secret=secret)
    with pytest.raises(Denied) as caught:
        credentials.headers(path="/0/private/Balance", nonce="1", body=b"nonce=1")
    assert "kraken_secret_malformed" == caught.value.code
    assert not secret or secret not in str(caught.value)
