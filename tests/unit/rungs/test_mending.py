"""What a refusal is mended with: the exact next command, or nothing where no command can mend it."""

from pathlib import Path

import pytest

from quantlab.kernel.result import Refusal
from quantlab.rungs.mending import mending_step
from tests.support.virtual import Bench


@pytest.mark.parametrize(
    ("code", "verb"),
    [
        ("interlock_held", None),
        ("same_intent", "list"),
        ("halt_set", "resume"),
        ("price_drift", "decline"),
        ("policy_unchanged", "decline"),
        ("ledger_complete", "ledger rebuild"),
        ("daily_orders", "policy show"),
        ("funds", None),
    ],
)
def test_each_refusal_names_what_mends_it(tmp_path: Path, code: str, verb: str | None) -> None:
    """A refusal that a command can mend names it; an interlock that was freed meanwhile needs none any more."""
    bench = Bench(tmp_path)
    folder = bench.validated()
    desk = bench.desk()
    step = mending_step(
        desk, (Refusal(code=code, message="refused"),), bench.session(folder), identity="somebody else's account"
    )
    desk.ledger.close()
    assert verb == (step.verb if step is not None else None)
