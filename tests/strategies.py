"""Hypothesis strategies that several tests draw from."""

from decimal import Decimal

from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
"""Any text that has UTF-8 bytes: control characters, DEL, quotes and non-BMP signs included."""

KEYS = st.text(st.characters(max_codepoint=127), max_size=12)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
SCALARS = st.none() | st.booleans() | INTEGERS | TEXTS
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)
"""What a record may hold: no float, ASCII keys, integers that every JSON reader keeps exactly."""

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e20"), max_value=Decimal("1e20"))
PLAIN_NUMBERS = st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True)
POSITIVE = PLAIN_NUMBERS.map(Decimal).filter(bool)
