"""Ids: 128 bits of entropy, and session ids that sort by time and can be told from other names."""

from datetime import UTC, datetime, timedelta, timezone

import hypothesis
from hypothesis import strategies as st

from quantlab.kernel.ids import INTENT_ID, SESSION_ID, SystemEntropy, mint_intent_id, session_id_of

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEX = "0123456789abcdef0123456789abcdef"


def test_an_intent_id_is_the_entropy_it_was_given():
    """Sixteen bytes become 32 lower-case hex digits."""

    class Counting:
        def token_bytes(self, count):
            return bytes(range(count))

    assert "000102030405060708090a0b0c0d0e0f" == mint_intent_id(Counting())


def test_system_entropy_differs():
    """Two ids of the machine's entropy differ and have the form that is looked for."""
    first, second = mint_intent_id(SystemEntropy()), mint_intent_id(SystemEntropy())
    assert first != second
    assert INTENT_ID.fullmatch(first)
    assert INTENT_ID.fullmatch(second)


def test_a_session_id():
    """A session id is the UTC time, the label and the first 48 bits."""
    assert "20260102T030405Z-eth-usd-buy-0123456789ab" == session_id_of(HEX, minted_at=AT, label="ETH/USD buy")
    east = AT.astimezone(timezone(timedelta(hours=5)))
    assert session_id_of(HEX, minted_at=AT, label="x") == session_id_of(HEX, minted_at=east, label="x")


def test_a_label_without_letters_is_left_out():
    """A label of signs alone leaves no empty part."""
    assert "20260102T030405Z-0123456789ab" == session_id_of(HEX, minted_at=AT, label="//!")


@hypothesis.given(st.text().filter(lambda label: any(sign in "abcxyz019" for sign in label.lower())))
def test_every_labelled_id_is_recognised(label):
    """Whatever the label, the id is one plain lower-case file name of the known form."""
    assert SESSION_ID.fullmatch(session_id_of(HEX, minted_at=AT, label=label))
