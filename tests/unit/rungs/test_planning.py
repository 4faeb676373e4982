"""From what is asked for to the frozen plan: contradictions, defaults, and why the order deserves real money."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quantlab.evidence.records import Revocation
from quantlab.kernel.errors import Denied, QuantLabFault, UsageFault
from quantlab.model.order import OrderIntent, plan_digest
from quantlab.rungs.planning import OrderRequest, asked_of, intent_of_request, plan_of, promotion_of
from quantlab.rungs.terms import read_outlook, terms_of
from quantlab.storage.writer import schema_of
from tests.support.breaking import QuickDisk
from tests.support.virtual import Bench
from tests.support.virtual_hyperliquid import HyperliquidBench

PRICE = {"limit_price": Decimal("1999.5")}


@pytest.fixture(params=["kraken", "hyperliquid"])
def bench(request, tmp_path: Path) -> Bench:
    """Return a bench at each venue."""
    bench = HyperliquidBench(tmp_path) if request.param == "hyperliquid" else Bench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def asked(bench: Bench, **changes: Any) -> OrderRequest:
    """Return the seed's order as asked for, with changes."""
    symbol = "ETH" if bench.corridor == "hyperliquid" else "ETH-USD"
    fields = {"symbol": symbol, "side": "buy", "quantity": Decimal("0.250"), "notional": Decimal(500)}
    return OrderRequest(**(fields | changes))


def intent(bench: Bench, **changes: Any) -> OrderIntent:
    """Return the intent of an order as asked for."""
    return intent_of_request(bench.desk(), asked(bench, **changes), account_label="acct")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"order_type": "market", **PRICE}, "takes no limit price"),
        ({"order_type": "market", "time_in_force": "gtc"}, "can not be good-till-canceled"),
        ({"order_type": "limit"}, "needs a limit price"),
        ({"time_in_force": "gtc"}, "needs a limit price"),
        ({"post_only": True}, "Post-only needs a limit price"),
        ({"post_only": True, "time_in_force": "ioc", **PRICE}, "can not be immediate-or-cancel"),
    ],
)
def test_a_contradiction_is_a_usage_fault(bench: Bench, changes: dict[str, Any], problem: str) -> None:
    """What contradicts itself is refused by name, and nothing is asked."""
    with pytest.raises(UsageFault) as caught:
        intent(bench, **changes)
    assert problem in caught.value.message
    assert caught.value.code == "order_shape"
    assert bench.world.requests() == []


@pytest.mark.parametrize(
    ("changes", "order_type", "time_in_force"),
    [
        ({}, None, None),
        (PRICE, "limit", None),
        ({"time_in_force": "gtc", **PRICE}, "limit", "gtc"),
        ({"time_in_force": "ioc", **PRICE}, "limit", "ioc"),
        ({"time_in_force": "ioc"}, None, "ioc"),
    ],
)
def test_the_type_follows_from_the_price(
    bench: Bench, changes: dict[str, Any], order_type: str | None, time_in_force: str | None
) -> None:
    """A price means a limit order; without one the type stays open, for the collar to decide."""
    made = intent(bench, **changes)
    assert (order_type, time_in_force) == (made.order_type, made.time_in_force)


def test_what_was_asked_is_recorded_without_idle_zeros(bench: Bench) -> None:
    """Decimals are recorded in one form, and what was not asked stays empty."""
    record = asked_of(intent(bench))
    assert (record.size_base, record.notional_quote, record.limit_price) == ("0.25", "500", None)
    assert asked_of(intent(bench, **PRICE)).limit_price == "1999.5"


def test_a_reason_of_blanks_is_none(bench: Bench) -> None:
    """A rationale is what stands in it."""
    desk = bench.desk()
    assert promotion_of(desk, asked(bench)).source == "none"
    assert promotion_of(desk, asked(bench, promotion_rationale="  ")).source == "none"
    told = promotion_of(desk, asked(bench, promotion_rationale=" it held for a month "))
    assert (told.source, told.rationale) == ("rationale", "it held for a month")


def test_a_paper_session_that_is_none_can_not_be_cited(bench: Bench) -> None:
    """A folder that is no session is a usage fault; one without a promotion is denied."""
    desk = bench.desk()
    with pytest.raises(QuantLabFault):
        promotion_of(desk, asked(bench, source_paper_session=bench.folder / "nothing"))
    (bench.folder / "empty" / "records").mkdir(parents=True)
    with pytest.raises(Denied) as caught:
        promotion_of(desk, asked(bench, source_paper_session=bench.folder / "empty"))
    assert caught.value.code == "paper_session_not_promoted"


def test_a_promoted_paper_session_is_cited_by_digest(bench: Bench) -> None:
    """The newest promotion of a session that verifies is cited; of one that was changed, none."""
    desk = bench.desk()
    folder = bench.folder / "paper"
    body = Revocation(plan_sha256="0" * 64, approval_sha256="0" * 64, reviewer="marce", note="held for a month")
    with desk.store.create_outdir(folder, session_id="paper-1", environment="rehearsal") as writer:
        record = writer.append("promotion", schema_of(body), body, actor="marce")
    told = promotion_of(desk, asked(bench, source_paper_session=folder))
    assert ("paper_session", "paper-1", record.sha256) == (told.source, told.paper_session, told.promotion_sha256)
    (folder / "promotion.json").write_bytes(record.raw + b" ")
    with pytest.raises(Denied):
        promotion_of(desk, asked(bench, source_paper_session=folder))
    desk.ledger.close()


@pytest.mark.parametrize("changes", [{}, {"time_in_force": "gtc", **PRICE}])
def test_the_plan_is_frozen_whole(bench: Bench, changes: dict[str, Any]) -> None:
    """The plan holds the order text that the venue's side froze from it, and another id makes another plan."""
    desk = bench.desk()
    order = intent(bench, **changes)
    outlook = read_outlook(desk, order.symbol)
    terms = terms_of(order, outlook.instrument, outlook.quote, desk.policy)
    promotion = promotion_of(desk, asked(bench))

    def plan(intent_id: str):
        identity = (intent_id, "session")
        return plan_of(desk, order, terms, outlook, promotion=promotion, identity=identity)

    first, again, other = plan("ab" * 16), plan("ab" * 16), plan("cd" * 16)
    assert plan_digest(first) == plan_digest(again)
    assert plan_digest(first) != plan_digest(other)
    assert first.order_text == desk.reads.freeze_order_text(first)
    assert first.client_order_id in first.order_text
    assert first.client_order_id != other.client_order_id
    worst = Decimal(first.worst_price or first.limit_price or first.reference_price)
    assert Decimal(first.notional_quote) == Decimal(first.size_base) * max(worst, Decimal(first.reference_price))
    desk.ledger.close()
