"""What a refusal is mended with: the exact next command, or nothing where no command can mend it."""

from decimal import Decimal
from pathlib import Path

import pytest

from quantlab.kernel.result import Refusal
from quantlab.rungs.mending import mending_step
from tests.support.virtual import Bench, codes
from tests.support.virtual_hyperliquid import HyperliquidBench


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


def test_the_same_order_signed_again_names_the_root_and_not_the_outdirs_folder(tmp_path: Path) -> None:
    """An outdir stands in no root: the sessions are listed where the corridor keeps them, and a session is revoked."""
    bench = HyperliquidBench(tmp_path)
    bench.submitted()
    result = bench.sign()
    assert codes(result) == ["same_intent"]
    assert result.next is not None
    assert (result.next.verb, result.next.arguments) == ("list", ("outputs/hyperliquid_submits",))
    assert "revoke" in result.next.why


def test_an_outdir_without_a_signature_is_shown_itself(tmp_path: Path) -> None:
    """Given the outdir instead of the file in it, the next command shows that outdir."""
    bench = HyperliquidBench(tmp_path)
    artifact = Path(bench.sign(notional=Decimal(700)).artifacts[0])
    for given in (artifact, artifact.parent):
        result = bench.submit(given)
        assert codes(result) == ["not_signed"]
        assert result.next is not None
        assert (result.next.verb, result.next.arguments) == ("show", (str(artifact.parent),))
