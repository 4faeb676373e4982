"""Reading and canceling on Hyperliquid: the session's own account, lagging views, fills with closed PnL, the stream."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import CancelAttempt, FillSummary, Reconciliation, Supervision
from tests.support.breaking import QuickDisk
from tests.support.virtual import codes
from tests.support.virtual_hyperliquid import PATH, HyperliquidBench

KEY = "HYPERLIQUID_PRIVATE_KEY"


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def accounts_asked(bench: HyperliquidBench) -> list[bytes]:
    """Return the list that every body about an account is put into from now on."""
    seen: list[bytes] = []
    bench.connector.on_send = lambda data: seen.append(data) if b'"user":"' in data else None
    return seen


def cancels(bench: HyperliquidBench) -> list[str]:
    """Return the kinds of the cancels that reached the venue."""
    return [row["type"] for row in bench.world.requests() if row["path"] == PATH and row["type"].startswith("cancel")]


# ------------------------------------------------------------------ whose account is read


@pytest.mark.parametrize("rung", ["reconcile", "status", "fills", "supervise", "burn"])
def test_another_account_is_never_read_for_a_session(bench, rung):
    """The settings name another account meanwhile: every question is about the session's own, and it is found."""
    session = bench.unknown("drop_after_accept")
    keys = bench.world.exchange.keys
    bench.environ["HYPERLIQUID_ACCOUNT"] = keys.newcomer.address
    bench.environ["HYPERLIQUID_SIGNER_ID"] = keys.newcomer_agent.address
    seen = accounts_asked(bench)
    run = {
        "reconcile": lambda: bench.reconcile(session),
        "status": lambda: bench.status(session),
        "fills": lambda: bench.fills(session),
        "supervise": lambda: bench.supervise(session),
        "burn": lambda: bench.burn(session),
    }[rung]
    run()
    bench.connector.on_send = None
    own, other = keys.master.address.encode(), keys.newcomer.address.encode()
    assert [] == [data for data in seen if other in data]
    if rung == "burn":
        assert "unresolved" == bench.standing(session).state
        bench.reconcile(session)
    else:
        assert seen
        assert all(own in data for data in seen)
    assert "filled" == bench.standing(session).state


# ------------------------------------------------------------------ views that lag


def test_an_order_that_only_its_own_record_shows_has_landed(bench):
    """A resting order that the list of open orders does not show yet: landed by the view that shows it."""
    bid, _ = bench.bbo()
    price = (bid * Decimal("0.99")).quantize(Decimal("0.1"))
    session = bench.unknown("drop_after_accept", limit_price=price, time_in_force="gtc")
    bench.fault("stale_reads", "/info", type="frontendOpenOrders", count=0, value=3_000)
    bench.fault("stale_reads", "/info", type="historicalOrders", count=0, value=3_000)
    result = bench.reconcile(session)
    assert ("done", "open") == (result.outcome, bench.standing(session).state)
    assert "orderStatus" == bench.standing(session).order.source
    assert () == bench.held()


def test_a_read_that_fails_is_no_absence(bench):
    """One view without an answer makes the look unclean, however often it is repeated after the deadline."""
    session = bench.unknown("drop_before_read")
    bench.world.pass_seconds(1_000)
    bench.fault("http_error", "/info", type="historicalOrders", count=0, value=502)
    for _ in range(3):
        result = bench.reconcile(session)
        assert ("unknown", "unresolved") == (result.outcome, bench.standing(session).state)
        assert "reads_failed" in result.data.reasons
        bench.world.pass_seconds(20)


def test_waiting_ends_with_the_proof(bench):
    """Reconcile with a bound after a burn: it looks when a look can help, and ends within the bound."""
    session = bench.unknown("drop_before_read")
    bench.burn(session)
    result = bench.reconcile(session, wait_seconds=60)
    assert ("done", "not_landed") == (result.outcome, bench.standing(session).state)
    passes = [one for record in bench.session(session).chain.all(Reconciliation) for one in record.body.passes]
    assert 2 == len([one for one in passes if one.full])


@pytest.mark.parametrize("decision", ["landed", "not_landed"])
def test_a_person_decides_after_a_look_behind_the_expiry(bench, decision):
    """Before expiry, margin and settle time have passed there is nothing to decide on."""
    session = bench.unknown("drop_before_read")
    bench.reconcile(session)
    early = bench.resolve(session, decision)
    assert ("denied", ["too_early_to_decide"]) == (early.outcome, codes(early))
    bench.world.pass_seconds(1_000)
    bench.reconcile(session)
    assert "done" == bench.resolve(session, decision).outcome
    assert f"decided_{decision}" == bench.standing(session).state


# ------------------------------------------------------------------ fills


def test_fills_show_what_closing_brought_and_the_size_asked_for(bench):
    """Opened and closed again: the sum of the venue's own figures, before fees."""
    opened = bench.submitted()
    first = bench.fills(opened)
    assert ("0", "0.25") == (first.data.closed_pnl_quote, first.data.requested_base)
    bench.world.pass_seconds(60)
    closing = bench.submitted(side="sell", reduce_only=True)
    result = bench.fills(closing)
    told = [Decimal(one.closed_pnl) for one in result.data.fills]
    assert Decimal(result.data.closed_pnl_quote) == sum(told)
    bought, sold = Decimal(first.data.average_price), Decimal(result.data.average_price)
    assert (sold - bought) * Decimal("0.25") == sum(told) != 0
    shown = {fact.label: fact.value for fact in result.facts}
    assert ("Filled 0.25 of 0.25 asked for", result.data.closed_pnl_quote) == (shown["Size"], shown["Closed PnL"])
    assert "asked for" not in result.headline


def test_an_immediate_order_filled_in_part_says_of_how_much(bench):
    """The venue says filled, the rest was dropped: what traded and what was asked for stand side by side."""
    artifact = bench.signed()
    bench.fault("partial_fill", type="order", value={"fraction": "0.4", "then": "cancel"})
    bench.submit(artifact)
    session = next(one for one in bench.root.iterdir() if one.is_dir())
    bench.world.pass_seconds(30)
    bench.reconcile(session)
    result = bench.fills(session)
    body = bench.session(session).chain.newest(FillSummary).body
    assert ("0.1", "0.25", True) == (body.filled_base, body.requested_base, body.complete)
    assert "Filled 0.1 of 0.25 asked for." in result.headline


def test_a_sum_of_some_closed_pnl_is_none(bench):
    """Where one fill does not say it, the sum of the others would be a figure of nothing."""
    session = bench.submitted()
    bench.alterations["read_fills"] = lambda fills: (
        *fills,
        *(msgspec.structs.replace(one, venue_fill_id="another", closed_pnl=None) for one in fills),
    )
    result = bench.fills(session)
    assert None is result.data.closed_pnl_quote
    assert "Closed PnL" not in {fact.label for fact in result.facts}


def test_without_a_fill_there_is_no_closed_pnl(bench):
    """An open order: nothing traded of what was asked for."""
    result = bench.fills(bench.resting())
    assert (None, "0", "0.25") == (
        result.data.closed_pnl_quote,
        result.data.filled_base,
        result.data.requested_base,
    )
    bench.fault("http_error", "/info", count=0, value=502)
    [session] = [one for one in bench.root.iterdir() if one.is_dir()]
    unread = bench.fills(session)
    assert (None, "0.25") == (unread.data.closed_pnl_quote, unread.data.requested_base)


def test_an_order_proven_not_landed_is_looked_for_on_every_read_for_seven_days(bench):
    """Within them each read asks for the client id again; later nothing is asked any more."""
    session = bench.unknown("drop_before_read")
    bench.burn(session)
    bench.reconcile(session, wait_seconds=60)
    for days, asks in ((6, True), (2, False)):
        bench.world.pass_seconds(days * 86_400)
        seen = accounts_asked(bench)
        result = bench.fills(session)
        bench.connector.on_send = None
        assert ("done", "not_landed", asks) == (result.outcome, bench.standing(session).state, bool(seen))


# ------------------------------------------------------------------ supervise


@pytest.mark.parametrize("transport", ["either", "websocket", "rest"])
def test_a_watch_ends_when_the_order_ends(bench, transport):
    """Over the stream or by reads alone: the end is a read, and the stream is opened only where it is wanted."""
    session = bench.resting()
    bench.status(session)
    seen: list[bytes] = []
    ended: list[str] = []

    def end_it(line: str) -> None:
        if not ended and ("stream: subscribed" in line or (transport == "rest" and "rest: open" in line)):
            ended.append(line)
            assert "done" == bench.cancel(session).outcome

    bench.connector.on_send = seen.append
    bench.on_progress = end_it
    result = bench.supervise(session, transport=transport)
    bench.on_progress = bench.connector.on_send = None
    body = bench.session(session).chain.newest(Supervision).body
    assert ("done", "terminal", "canceled") == (result.outcome, body.ended, bench.standing(session).state)
    assert (transport != "rest") == any(data.startswith(b"GET /ws") for data in seen)
    assert (transport != "rest") == ("stream" in {source for _, source, _ in body.events})
    assert "orderStatus" == body.order.source


@pytest.mark.parametrize("transport", ["either", "rest"])
def test_a_watch_ends_at_its_bound(bench, transport):
    """Four looks, fifteen seconds apart: the order is open still, and that is said."""
    session = bench.resting()
    before_ns = bench.world.driver_ns
    result = bench.supervise(session, transport=transport, polls=4, interval_seconds=15)
    body = bench.session(session).chain.newest(Supervision).body
    assert ("bound_reached", 60, "open") == (body.ended, body.bound_seconds, body.order.state)
    assert "bound was reached" in result.headline
    assert 60 <= (bench.world.driver_ns - before_ns) / 1e9 < 65


def test_a_stream_cut_in_the_middle_of_what_it_tells_is_read_after(bench):
    """The frame of the order's end breaks off: a gap is counted, and the end comes from a read."""
    session = bench.resting()
    bench.status(session)
    ended: list[str] = []

    def end_it(line: str) -> None:
        if not ended and "stream: subscribed" in line:
            ended.append(line)
            bench.fault("stream_cut", "/ws", type="orderUpdates")
            assert "done" == bench.cancel(session).outcome

    bench.on_progress = end_it
    result = bench.supervise(session)
    bench.on_progress = None
    body = bench.session(session).chain.newest(Supervision).body
    assert ("done", "terminal", 1, "canceled") == (result.outcome, body.ended, body.stream_gaps, body.order.state)
    assert [] == [what for _, source, what in body.events if source == "stream" and "canceled" in what]


# ------------------------------------------------------------------ cancel


def test_an_order_is_canceled_by_its_own_number(bench):
    """Known by the venue's id: canceled by it, and "canceled" comes from the read afterwards."""
    session = bench.resting()
    bench.status(session)
    result = bench.cancel(session)
    assert ("done", ["cancel"]) == (result.outcome, cancels(bench))
    assert ("canceled", "canceled") == (bench.standing(session).state, bench.orders()[0]["status"])


def test_an_order_known_by_its_client_id_alone_is_canceled_by_that(bench):
    """The answer was lost and the views lag: canceled by cloid, which never ends the unknown by itself."""
    bid, _ = bench.bbo()
    price = (bid * Decimal("0.99")).quantize(Decimal("0.1"))
    session = bench.unknown("drop_after_accept", limit_price=price, time_in_force="gtc")
    bench.fault("stale_reads", "/info", count=0, value=3_000)
    bench.reconcile(session)
    result = bench.cancel(session)
    assert ("unknown", ["cancelByCloid"], "reconcile") == (result.outcome, cancels(bench), result.next.verb)
    assert ("unresolved", 1) == (bench.standing(session).state, len(bench.held()))
    assert "canceled" == bench.orders()[0]["status"]
    bench.world.control("DELETE", "/faults")
    assert ("done", "canceled") == (bench.reconcile(session).outcome, bench.standing(session).state)


def test_the_key_of_a_cancel_is_where_the_line_says(bench):
    """Another variable than the runbook's."""
    session = bench.resting()
    bench.status(session)
    bench.environ["DESK_KEY"] = bench.environ.pop(KEY)
    assert "done" == bench.cancel(session, private_key_env="DESK_KEY").outcome
    assert ["cancel"] == cancels(bench)


@pytest.mark.parametrize("options", [{}, {"private_key_env": "NOT_SET"}, {"keystore": "no-such-file.json"}])
def test_a_cancel_without_a_key_is_refused_before_anything_is_written(bench, options):
    """The order stands as it was, and no attempt is in the session."""
    session = bench.resting()
    bench.status(session)
    del bench.environ[KEY]
    before = len(bench.session(session).chain.records)
    result = bench.cancel(session, **options)
    assert result.outcome in {"denied", "usage"}, result
    assert codes(result)
    assert ([], before) == (cancels(bench), len(bench.session(session).chain.records))
    assert () == bench.session(session).chain.all(CancelAttempt)
    assert "open" == bench.orders()[0]["status"]


def test_a_cancel_takes_its_key_from_one_place(bench):
    """Two places named: nothing is read, written or sent."""
    session = bench.resting()
    bench.status(session)
    result = bench.cancel(session, private_key_env=KEY, keyring="quantlab/desk")
    assert ("usage", ["key_sources"], []) == (result.outcome, codes(result), cancels(bench))
