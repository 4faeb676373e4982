"""The plan: its digest changes with every field, the intent's only with what makes two orders the same."""

import msgspec
import pytest

from quantlab.kernel import canonical
from quantlab.model.order import Plan, intent_digest, plan_digest
from tests.unit.evidence.built import PLAN

SAME_INTENT = {"venue", "environment", "account_identity", "symbol", "side", "size_base"}


def changed(field: str) -> Plan:
    """Return the plan with one field changed."""
    value = getattr(PLAN, field)
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, int):
        other = value + 1
    elif isinstance(value, tuple):
        other = (*value, "X")
    elif isinstance(value, str):
        other = value + "x"
    else:
        other = msgspec.structs.replace(value, rationale="another")
    return msgspec.structs.replace(PLAN, **{field: other})


@pytest.mark.parametrize("field", Plan.__struct_fields__)
def test_every_field_of_the_plan_counts(field):
    """A plan with any field changed has another digest; the intent's digest changes only with its own fields."""
    assert plan_digest(PLAN) != plan_digest(changed(field))
    assert (field in SAME_INTENT) == (intent_digest(PLAN) != intent_digest(changed(field)))


def test_the_digest_is_of_the_canonical_plan():
    """Anyone can recompute the digest from the plan as recorded."""
    raw = canonical.encode(PLAN)
    assert canonical.sha256_hex(raw) == plan_digest(msgspec.json.decode(raw, type=Plan))
