"""What every built record shares: fixed ids and times, and the envelope of a first record."""

from datetime import UTC, datetime
from typing import Any

from quantlab.evidence.envelope import Envelope, Producer
from quantlab.kernel import canonical
from quantlab.model.recorded import Check

SESSION_ID = "20260102T030405Z-eth-usd-buy-0123456789ab"
CLIENT_ORDER_ID = "0123456789abcdef0123456789abcdef"
STATE_ID = "f" * 32
BEGUN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
AT = "2026-01-02T03:04:05.678901Z"
LATER = "2026-01-03T03:04:05.678901Z"
SHA = "ab" * 32
CHECK = Check(code="halt", passed=True, measured="no halt", limit="no halt", message="No halt is set.")


def envelope(schema: str, **changes: Any) -> Envelope:
    """Return the envelope of a first record, with changes."""
    fields: dict[str, Any] = {
        "schema": schema,
        "session_id": SESSION_ID,
        "sequence": 1,
        "recorded_at": AT,
        "environment": "rehearsal",
        "actor": "marce",
        "producer": Producer(version="0.1.0", commit=None),
        "state_id": STATE_ID,
        "previous_sha256": canonical.ZERO_SHA256,
    }
    return Envelope(**(fields | changes))
