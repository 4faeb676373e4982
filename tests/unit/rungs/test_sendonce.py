"""The one send, where the venue's corridor signs first: what the ledger and the operator can still stop, and how."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantlab.evidence.records import SubmitResponse
from quantlab.kernel.errors import QuantLabFault
from quantlab.rungs.sendonce import unused_check
from quantlab.storage.ledger import Halt, SpendRefusal
from quantlab.storage.writer import SessionWriter
from quantlab.venues.hyperliquid.orders import HyperliquidOrders
from tests.support.breaking import QuickDisk, disk_full
from tests.support.virtual import Bench, codes
from tests.support.virtual_hyperliquid import HyperliquidBench

HALT = Halt(reviewer="marce", reason="storm", halted_at="2026-01-01T00:00:00.000000Z")


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def sends(bench: Bench) -> int:
    """Count the orders that reached the exchange."""
    return len([row for row in bench.world.requests() if row["path"] == "/exchange"])


def session_of(bench: Bench) -> Path:
    """Return the one session of the bench."""
    [session] = [path for path in bench.root.iterdir() if path.is_dir()]
    return session


def interrupt() -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def at_progress(bench: Bench, words: str, act) -> None:
    """Do something once, when the rung prints a line with these words."""

    def meet(line: str) -> None:
        if words in line:
            bench.on_progress = None
            act()

    bench.on_progress = meet


class FullAfter(QuickDisk):
    """A disk on which a record of one name can not be written any more."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open_new(self, path: Path, *, mode: int) -> int:
        if self.name in path.name:
            raise disk_full()
        return super().open_new(path, mode=mode)


class LedgerWith:
    """A ledger one of whose transactions is another."""

    def __init__(self, ledger: Any, name: str, act: Any) -> None:
        self._ledger = ledger
        self._name = name
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return self._act(self._ledger) if name == self._name else getattr(self._ledger, name)


def test_the_ledger_has_the_last_word(bench: HyperliquidBench) -> None:
    """Halted between the checks and the spend: denied in its own transaction, nothing spent, the account free."""
    artifact = bench.signed()
    at_progress(bench, "taking the key's turn", lambda: bench.ask_ledger(lambda ledger: ledger.set_halt(HALT)))
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("denied", ["halted"])
    assert (sends(bench), bench.held()) == (0, ())
    assert bench.ask_ledger(lambda ledger: ledger.sends()) == ()
    assert not (session_of(bench) / ".reserve").exists()


@pytest.mark.parametrize("code", ["plan_already_spent", "client_order_id_already_spent", "daily_orders"])
def test_every_refusal_of_the_ledger_sends_nothing(bench: HyperliquidBench, code: str) -> None:
    """Whatever the spend is refused for: its code, what was measured and the limit."""
    artifact = bench.signed()
    refusal = SpendRefusal(code=code, measured="one", limit="none")
    bench.around_ledger = lambda ledger: LedgerWith(ledger, "spend", lambda _: lambda spend: refusal)
    result = bench.submit(artifact)
    assert result.outcome == "denied"
    assert [(code, "one", "none")] == [(one.code, one.measured, one.limit) for one in result.refusals]
    assert (sends(bench), bench.held()) == (0, ())


def test_a_halt_seen_after_the_attempt_is_never_sent(bench: HyperliquidBench) -> None:
    """Halted by the file once the attempt is durable: never sent, the attempt cited, the account free."""
    artifact = bench.signed()

    class HaltingDisk(QuickDisk):
        def rename(self, source: Path, target: Path) -> None:
            super().rename(source, target)
            if "submit_attempt" in target.name:
                (bench.root.parent / "HALT").touch()

        def link(self, source: Path, target: Path) -> None:
            super().link(source, target)
            if "submit_attempt" in target.name:
                (bench.root.parent / "HALT").touch()

    bench.disk = HaltingDisk()
    result = bench.submit(artifact)
    assert result.outcome == "never_sent"
    standing = bench.standing(session_of(bench))
    assert standing.attempt.sha256 == standing.response.body.attempt_sha256
    assert (sends(bench), bench.held()) == (0, ())


def test_ctrl_c_after_the_attempt_is_unknown(bench: HyperliquidBench) -> None:
    """Interrupted as it is about to send: exit 4 and recorded."""
    artifact = bench.signed()
    at_progress(bench, "sending once", interrupt)
    assert bench.submit(artifact).outcome == "unknown"
    assert bench.standing(session_of(bench)).response.body.rule == "interrupted"
    assert len(bench.held()) == 1


def test_ctrl_c_while_the_bytes_leave_is_unknown(bench: HyperliquidBench) -> None:
    """Interrupted inside the sender: the order may be there, and is found by reconcile."""
    artifact = bench.signed()

    def on_send(data: bytes) -> None:
        if data.startswith(b'{"action":{"type":"order"'):
            raise KeyboardInterrupt

    bench.connector.on_send = on_send
    result = bench.submit(artifact)
    assert result.outcome == "unknown"
    body = bench.standing(session_of(bench)).response.body
    assert (body.rule, body.reached) == ("interrupted", "bytes_sent")
    assert body.venue_errors == ("interrupted by the operator while sending",)
    assert len(bench.held()) == 1


def test_ctrl_c_before_the_attempt_is_durable_goes_through(bench: HyperliquidBench) -> None:
    """Interrupted while the attempt is made: nothing was sent, and the next command says so for good."""
    artifact = bench.signed()

    class Interrupted(QuickDisk):
        def open_new(self, path: Path, *, mode: int) -> int:
            if "submit_attempt" in path.name:
                raise KeyboardInterrupt
            return super().open_new(path, mode=mode)

    bench.disk = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        bench.submit(artifact)
    bench.disk = QuickDisk()
    bench.world.pass_seconds(30)
    assert bench.submit(artifact).outcome == "never_sent"
    assert (sends(bench), bench.held()) == (0, ())


def test_a_sender_that_fails_leaves_the_order_unknown(bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fault comes out of the sender proves nothing: it may have sent before."""
    artifact = bench.signed()
    real = HyperliquidOrders.submit

    def breaking(self, prepared, receipt):
        real(self, prepared, receipt)
        message = "the sender broke"
        raise QuantLabFault(message, code="sender_broke")

    monkeypatch.setattr(HyperliquidOrders, "submit", breaking)
    assert bench.submit(artifact).outcome == "unknown"
    assert bench.standing(session_of(bench)).response.body.rule == "sender_fault"
    assert len(bench.held()) == 1
    assert len(bench.orders()) == 1


def test_an_outcome_that_can_not_be_written_is_printed_whole(bench: HyperliquidBench) -> None:
    """Disk full after the send: exit 4, the text is in the headline, the account stays held till a read proves it."""
    artifact = bench.signed()
    bench.disk = FullAfter("submit_response")
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("unknown", ["outcome_not_written"])
    printed = msgspec.json.decode(result.headline.partition("Keep this text: ")[2], type=SubmitResponse)
    assert printed.outcome == "accepted"
    assert len(bench.held()) == 1
    bench.disk = QuickDisk()
    bench.world.pass_seconds(30)
    assert bench.submit(artifact).outcome == "unknown"
    assert bench.reconcile(session_of(bench)).outcome == "done"
    assert (sends(bench), bench.held()) == (1, ())


def test_an_order_that_the_venue_answers_with_another_id_is_an_incident(
    bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted, but described otherwise: accepted stays, an incident is recorded beside it."""
    artifact = bench.signed()
    real = HyperliquidOrders.submit

    def differing(self, prepared, receipt):
        return msgspec.structs.replace(real(self, prepared, receipt), errors=("another cloid",))

    monkeypatch.setattr(HyperliquidOrders, "submit", differing)
    assert bench.submit(artifact).outcome == "done"
    assert [one.body.code for one in bench.standing(session_of(bench)).incidents] == ["venue_reads_another_order"]


def test_an_incident_that_can_not_be_written_leaves_the_outcome(
    bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what follows the outcome fails: the outcome stands, and what failed is a warning."""
    artifact = bench.signed()
    real = HyperliquidOrders.submit

    def differing(self, prepared, receipt):
        return msgspec.structs.replace(real(self, prepared, receipt), errors=("another cloid",))

    monkeypatch.setattr(HyperliquidOrders, "submit", differing)
    bench.disk = FullAfter("incident")
    result = bench.submit(artifact)
    assert result.outcome == "done"
    assert "disk is full" in result.warnings[0]


def test_a_never_sent_that_can_not_be_written_is_kept_by_the_ledger(
    bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempt durable, nothing sent, disk full: the next command records what the ledger remembers."""
    artifact = bench.signed()

    def refusing(self, record):
        message = "no receipt"
        raise QuantLabFault(message, code="no_receipt")

    monkeypatch.setattr(SessionWriter, "receipt", refusing)
    bench.disk = FullAfter("submit_response")
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("never_sent", ["outcome_not_written"])
    assert len(bench.held()) == 1
    bench.disk = QuickDisk()
    bench.world.pass_seconds(30)
    assert bench.submit(artifact).outcome == "never_sent"
    assert "ledger remembers" in bench.standing(session_of(bench)).response.body.message
    assert (sends(bench), bench.held()) == (0, ())


def test_no_room_for_the_outcome_no_send(bench: HyperliquidBench) -> None:
    """The outcome's room can not be reserved: denied before anything is spent."""
    artifact = bench.signed()

    class NoRoom(QuickDisk):
        def allocate(self, handle: int, size_bytes: int) -> None:
            raise disk_full()

    bench.disk = NoRoom()
    result = bench.submit(artifact)
    assert (result.outcome, codes(result)) == ("denied", ["storage_disk_full"])
    assert bench.ask_ledger(lambda ledger: ledger.sends()) == ()
    assert (sends(bench), bench.held()) == (0, ())


def test_an_attempt_keeps_the_account_as_it_was(bench: HyperliquidBench) -> None:
    """Balances, open orders and the newest dated closed order; undated ones are no control."""
    bench.resting()
    bench.world.pass_seconds(60)
    bench.submitted(symbol="BTC", quantity=Decimal("0.008"))
    [newest] = [
        session
        for session in bench.root.iterdir()
        if session.is_dir() and bench.standing(session).plan.symbol.startswith("BTC")
    ]
    snapshot = bench.standing(newest).attempt.body.snapshot
    assert len(snapshot.open_orders) == 1
    assert snapshot.control_order is not None
    assert snapshot.balances


def test_undated_orders_are_no_control(bench: HyperliquidBench) -> None:
    """A closed order without an opening time can not prove a later search."""
    artifact = bench.signed()
    bench.alterations["read_closed_orders"] = lambda orders: tuple(
        msgspec.structs.replace(one, opened_at=None) for one in orders
    )
    assert bench.submit(artifact).outcome == "done"
    assert bench.standing(session_of(bench)).attempt.body.snapshot.control_order is None


def test_the_control_is_looked_for_in_a_longer_window_when_a_week_shows_none(bench: HyperliquidBench) -> None:
    """Eight days later the account's old order is still found."""
    bench.world.pass_seconds(8 * 86_400)
    bench.submitted()
    assert bench.standing(session_of(bench)).attempt.body.snapshot.control_order is not None


def test_an_order_with_our_id_at_the_venue_is_not_sent(bench: HyperliquidBench) -> None:
    """The venue shows the id at the last look, by whoever it was placed: denied."""
    artifact = bench.signed()
    own = msgspec.json.decode(artifact.read_bytes())["plan"]["client_order_id"]
    bench.alterations["read_closed_orders"] = lambda orders: tuple(
        msgspec.structs.replace(one, client_order_id=own) for one in orders
    )
    result = bench.submit(artifact)
    assert "client_order_id_unused" in codes(result)
    assert (result.outcome, sends(bench)) == ("denied", 0)


@pytest.mark.parametrize(("count", "passed", "measured"), [(0, True, "unused"), (2, False, "2 orders")])
def test_the_check_of_the_id_counts(count: int, passed: bool, measured: str) -> None:
    """None passes; any does not, and is counted."""
    check = unused_check(count)
    assert (check.passed, check.measured) == (passed, measured)
