"""Submit: once, after a durable attempt, under every check; and what it says when it does not send."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quantlab.evidence.records import Gate, SubmitAttempt, SubmitResponse, Validation
from quantlab.kernel import canonical
from quantlab.kernel.clock import parse_rfc3339, to_ns
from quantlab.kernel.errors import Busy, QuantLabFault
from quantlab.storage.ledger import Halt, SpendRefusal
from quantlab.storage.reader import read_session
from quantlab.storage.writer import SessionWriter
from quantlab.venues.kraken.orders import KrakenOrders
from tests.support.breaking import Breaker, BreakingDisk, QuickDisk, disk_full
from tests.support.virtual import Bench, codes

HALT = Halt(reviewer="marce", reason="storm", halted_at="2026-01-01T00:00:00.000000Z")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench on a quick disk."""
    bench = Bench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def sends(bench: Bench) -> int:
    """Count the order requests at the exchange that were no validate-only checks."""
    return len([row for row in bench.world.requests() if row["type"] == "order"])


def at_progress(bench: Bench, words: str, act) -> None:
    """Do something once the rung prints a line with these words."""
    bench.on_progress = lambda line: act() if words in line else None


# --------------------------------------------------------------------------------------------- the send


def test_an_accepted_order_is_sent_once_and_recorded(bench: Bench) -> None:
    """A gated session is sent: exit 0, one order at the exchange, attempt and response recorded, interlock free."""
    session = bench.gated()
    result = bench.submit(session)
    assert result.outcome == "done"
    [order] = bench.orders()
    response = bench.standing(session).response
    assert response is not None
    assert response.body.outcome == "accepted"
    assert response.body.venue_order_id == order["venue_order_id"]
    assert bench.standing(session).plan.client_order_id == order["client_order_id"]
    assert bench.held() == ()
    assert result.next is not None
    assert result.next.verb == "status"


def test_the_attempt_is_durable_before_the_first_byte_leaves(bench: Bench) -> None:
    """When the order's bytes leave, the attempt record on the disk holds exactly them, and the plan is spent."""
    session = bench.gated()
    seen = []

    def on_send(data: bytes) -> None:
        chain = read_session(QuickDisk(), session).chain
        spent = bench.ask_ledger(lambda ledger: ledger.sends())
        seen.append((data, chain.newest(SubmitAttempt), spent))

    bench.connector.on_send = on_send
    bench.submit(session)
    [head] = [number for number, one in enumerate(seen) if b"AddOrder" in one[0]]
    for _, attempt, spent in seen[:head]:
        assert attempt is None
        assert spent == ()
    _, attempt, spent = seen[head]
    body = seen[head + 1][0]
    assert attempt.body.body_text.encode() == body
    assert canonical.sha256_hex(body) == attempt.body.body_sha256
    assert [str(one.nonce) for one in spent] == [attempt.body.nonce]
    assert [one.state for one in spent] == ["in_flight"]


def test_the_bytes_sent_are_the_plan_with_nonce_and_deadline(bench: Bench) -> None:
    """What is sent is the approved order text, with a nonce before it and a deadline after it, and nothing else."""
    session = bench.submitted()
    standing = bench.standing(session)
    attempt = standing.attempt.body
    head, order_text, tail = attempt.body_text.partition(standing.plan.order_text)
    assert standing.plan.order_text == order_text
    assert f"nonce={attempt.nonce}&" == head
    assert tail.startswith("&deadline=")
    assert "&" not in tail[1:]
    assert standing.bundle.body.order_text == order_text


def test_the_deadline_is_ten_seconds_on_the_venues_clock(bench: Bench) -> None:
    """With the venue's clock three seconds ahead, the deadline is that clock plus ten seconds."""
    session = bench.gated()
    bench.world.fault("clock_skew", value=3)
    at_ns = {}
    bench.connector.on_send = lambda data: (
        at_ns.setdefault("order", bench.world.driver_ns) if b"AddOrder" in data else 0
    )
    result = bench.submit(session)
    assert result.outcome == "done", result.refusals
    attempt = bench.standing(session).attempt.body
    assert (
        Decimal(10)
        == Decimal(to_ns(parse_rfc3339(attempt.deadline_at)) - to_ns(parse_rfc3339(attempt.venue_now_at))) / 10**9
    )
    assert abs(to_ns(parse_rfc3339(attempt.venue_now_at)) - at_ns["order"] - 3 * 10**9) <= 10**9


def test_the_attempt_keeps_what_the_account_looked_like(bench: Bench) -> None:
    """The attempt holds balances, open orders and the newest earlier closed order as the positive control."""
    session = bench.submitted()
    snapshot = bench.standing(session).attempt.body.snapshot
    assert {"ETH", "USD"} <= {one.asset for one in snapshot.balances}
    assert snapshot.open_orders == ()
    assert snapshot.control_order is not None


def test_the_control_is_looked_for_in_a_longer_window_when_a_week_shows_none(bench: Bench) -> None:
    """Eight days later the account's old order is still found as the control."""
    bench.world.pass_seconds(8 * 86_400)
    session = bench.submitted()
    assert bench.standing(session).attempt.body.snapshot.control_order is not None


def test_an_account_without_an_earlier_order_has_no_control(tmp_path: Path) -> None:
    """A new account's attempt says that there is no control."""
    bench = Bench(tmp_path, profile="newcomer")
    session = bench.submitted()
    assert bench.standing(session).attempt.body.snapshot.control_order is None


def test_undated_orders_are_no_control(bench: Bench) -> None:
    """A closed order without an opening time can not prove a later search."""
    session = bench.gated()
    bench.alterations["read_closed_orders"] = lambda orders: tuple(
        msgspec.structs.replace(one, opened_at=None) for one in orders
    )
    bench.submit(session)
    assert bench.standing(session).attempt.body.snapshot.control_order is None


def test_a_rejected_order_frees_the_account(bench: Bench) -> None:
    """The venue says no: exit 3, its words shown, interlock free."""
    session = bench.gated()
    bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
    result = bench.submit(session)
    assert result.outcome == "rejected"
    assert codes(result) == ["venue_rejected"]
    assert bench.orders() == []
    assert bench.held() == ()
    assert bench.standing(session).state == "rejected"


def test_no_connection_for_the_send_is_never_sent(bench: Bench) -> None:
    """Refused before a byte left: exit 7, recorded as never sent, interlock free."""
    session = bench.gated()
    refuse = {"path": "*", "fault": "refuse_connect", "venue": "kraken"}
    at_progress(bench, "sending once", lambda: bench.world.control("POST", "/faults", refuse))
    result = bench.submit(session)
    assert result.outcome == "never_sent"
    assert bench.standing(session).state == "never_sent"
    assert bench.held() == ()


@pytest.mark.parametrize("fault", ["drop_after_accept", "drop_before_read"])
def test_a_lost_answer_is_unknown_and_keeps_the_account(bench: Bench, fault: str) -> None:
    """No answer: exit 4, the next command is reconcile, the interlock is held by the session."""
    session = bench.gated()
    bench.world.fault(fault, "AddOrder", type="order")
    result = bench.submit(session)
    assert result.outcome == "unknown"
    assert result.next.verb == "reconcile"
    assert [one.folder for one in bench.held()] == [str(session)]
    assert bench.standing(session).state == "unresolved"


def test_an_order_that_the_venue_describes_otherwise_is_an_incident(bench: Bench, monkeypatch) -> None:
    """Accepted, but the venue's own description differs: accepted stays, an incident is recorded."""
    session = bench.gated()
    real = KrakenOrders.submit

    def differing(self, prepared, receipt):
        return msgspec.structs.replace(real(self, prepared, receipt), errors=("descr_mismatch: sell",))

    monkeypatch.setattr(KrakenOrders, "submit", differing)
    assert bench.submit(session).outcome == "done"
    standing = bench.standing(session)
    assert [one.body.code for one in standing.incidents] == ["venue_reads_another_order"]
    assert standing.resolution == "landed"


# ------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"reviewer": None}, "reviewer_required"),
        ({"reviewer": "  "}, "reviewer_required"),
        ({"confirm": False}, "confirm_required"),
        ({"live": False}, "live_required"),
    ],
)
def test_each_flag_is_needed(bench: Bench, missing, code: str) -> None:
    """Without reviewer, confirm or live nothing is sent and nothing is written."""
    session = bench.gated()
    before = sorted(path.name for path in (session / "records").iterdir())
    result = bench.submit(session, **missing)
    assert result.outcome == "denied"
    assert codes(result) == [code]
    assert sends(bench) == 0
    assert before == sorted(path.name for path in (session / "records").iterdir())


def test_no_environment_no_submit(bench: Bench) -> None:
    """Without an environment nothing is sent."""
    session = bench.gated()
    del bench.environ["QUANTLAB_ENVIRONMENT"]
    del bench.environ["QUANTLAB_KRAKEN_URL"]
    assert codes(bench.submit(session)) == ["environment_not_set"]


def test_no_credentials_no_submit(bench: Bench) -> None:
    """Without keys nothing is sent and the account stays free."""
    session = bench.gated()
    del bench.environ["KRAKEN_API_SECRET"]
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert codes(result) == ["credentials_missing"]
    assert bench.held() == ()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_only_a_gated_session_is_sent(bench: Bench, steps: int) -> None:
    """Validated, approved or bundled is not enough."""
    session = bench.validated()
    for step in (bench.approve, bench.bundle)[:steps]:
        step(session)
    result = bench.submit(session)
    assert codes(result) == ["submit_not_allowed"]
    assert sends(bench) == 0


def test_a_gate_without_a_bundle_does_not_count(bench: Bench) -> None:
    """A gate that follows no bundle of the standing approval opens nothing."""
    session = bench.gated()
    desk = bench.desk()
    chain = bench.session(session).chain
    forged = bench.validated(quantity=Decimal("0.2"), notional=Decimal(400))
    with desk.write(forged) as writer:
        body = msgspec.structs.replace(
            chain.newest(Gate).body, plan_sha256=writer.chain.newest(Validation).body.plan_sha256
        )
        desk.append(writer, body)
    desk.ledger.close()
    result = bench.submit(forged)
    assert codes(result) == ["gate_outdated"]
    assert sends(bench) == 0


def test_a_gate_that_ran_out_is_shut(bench: Bench) -> None:
    """Sixteen minutes later the gate has run out: denied, recorded as a shut gate, account free."""
    session = bench.gated()
    bench.world.pass_seconds(961)
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert "gate_lifetime" in codes(result)
    standing = bench.standing(session)
    assert standing.state == "gate_denied"
    assert standing.gate.body.note == "refused at submit: once"
    assert bench.held() == ()
    assert sends(bench) == 0


def test_a_halt_set_after_the_gate_refuses(bench: Bench) -> None:
    """Halted between gate and submit: denied, nothing sent."""
    session = bench.gated()
    bench.ask_ledger(lambda ledger: ledger.set_halt(HALT))
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert codes(result) == ["halt_set"]
    assert sends(bench) == 0


def test_a_halt_set_after_the_checks_is_met_by_the_ledger(bench: Bench) -> None:
    """Halted between the checks and the spend: the ledger refuses in its own transaction, the account is free."""
    session = bench.gated()
    at_progress(bench, "taking the key's turn", lambda: bench.ask_ledger(lambda ledger: ledger.set_halt(HALT)))
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert codes(result) == ["halted"]
    assert bench.held() == ()
    assert bench.standing(session).attempt is None
    assert not (session / ".reserve").exists()


def test_a_halt_seen_after_the_attempt_is_never_sent(bench: Bench) -> None:
    """Halted once the attempt is durable: never sent, recorded with the attempt's digest, account free."""
    session = bench.gated()

    class HaltingLedger:
        def __init__(self, ledger):
            self._ledger = ledger
            self._spent = False

        def __getattr__(self, name):
            if name == "spend":
                return self._spend
            if name == "halt" and self._spent:
                return lambda: HALT
            return getattr(self._ledger, name)

        def _spend(self, spend):
            self._spent = True
            return self._ledger.spend(spend)

    bench.around_ledger = HaltingLedger
    result = bench.submit(session)
    assert result.outcome == "never_sent"
    assert "storm" in result.data.message
    standing = bench.standing(session)
    assert standing.attempt is not None
    assert standing.attempt.sha256 == standing.response.body.attempt_sha256
    assert sends(bench) == 0
    assert bench.held() == ()


@pytest.mark.parametrize(
    "code",
    ["plan_already_spent", "client_order_id_already_spent", "interlock_not_held", "daily_orders", "daily_notional"],
)
def test_every_refusal_of_the_ledger_sends_nothing(bench: Bench, code) -> None:
    """Whatever the spend is refused for: denied with its code, measured and limit, nothing sent, account free."""
    session = bench.gated()

    class RefusingLedger:
        def __init__(self, ledger):
            self._ledger = ledger

        def __getattr__(self, name):
            if name == "spend":
                return lambda spend: SpendRefusal(code=code, measured="one", limit="none")
            return getattr(self._ledger, name)

    bench.around_ledger = RefusingLedger
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert [(code, "one", "none")] == [(one.code, one.measured, one.limit) for one in result.refusals]
    assert sends(bench) == 0
    assert bench.held() == ()


def test_a_client_order_id_that_the_venue_knows_is_not_sent(bench: Bench) -> None:
    """An order with our id stands at the venue already: refused, nothing sent."""
    session = bench.gated()
    plan = bench.standing(session).plan
    bench.world.ok(
        "AddOrder",
        {"ordertype": "limit", "type": "buy", "volume": "0.01", "pair": "ETHUSD", "price": "1500.00",
         "cl_ord_id": plan.client_order_id},
        profile="other_signer",
    )  # fmt: skip
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert codes(result) == ["client_order_id_unused"]
    assert len(bench.orders()) == 1


def test_a_venue_that_can_not_be_read_sends_nothing(bench: Bench) -> None:
    """A failed read in the last look: exit 7, account free, session still gated."""
    session = bench.gated()
    bench.world.fault("http_error", "OpenOrders", count=9)
    result = bench.submit(session)
    assert result.outcome == "unreadable"
    assert bench.held() == ()
    assert bench.standing(session).state == "gated"


def test_a_session_held_by_another_process_is_busy_at_once(bench: Bench) -> None:
    """The lock is held elsewhere: exit 6 without waiting."""
    session = bench.gated()
    lock = bench.disk.lock(session / ".lock")
    result = bench.submit(session)
    lock.release()
    assert result.outcome == "busy"
    assert sends(bench) == 0


def test_bytes_that_are_not_the_approved_ones_are_never_sent(bench: Bench, monkeypatch) -> None:
    """The prepared request differs from the plan: never sent, without an attempt, account free."""
    session = bench.gated()
    real = KrakenOrders.prepare_submit

    def other(self, plan, *, nonce, deadline_at):
        prepared = real(self, plan, nonce=nonce, deadline_at=deadline_at)
        return msgspec.structs.replace(prepared, body_text=prepared.body_text.replace("0.25", "2.5"))

    monkeypatch.setattr(KrakenOrders, "prepare_submit", other)
    result = bench.submit(session)
    assert result.outcome == "never_sent"
    assert bench.standing(session).attempt is None
    assert bench.standing(session).state == "never_sent"
    assert sends(bench) == 0
    assert bench.held() == ()


def test_no_room_for_the_outcome_no_send(bench: Bench) -> None:
    """The outcome's room can not be reserved: denied before anything is spent."""
    session = bench.gated()

    class NoRoom(QuickDisk):
        def allocate(self, handle, size_bytes):
            raise disk_full()

    bench.disk = NoRoom()
    result = bench.submit(session)
    assert result.outcome == "denied"
    assert codes(result) == ["storage_disk_full"]
    assert bench.ask_ledger(lambda ledger: ledger.sends()) == ()
    assert bench.held() == ()


# --------------------------------------------------------------------------- after the attempt, badly


class FullAfter(QuickDisk):
    """A disk on which a record of one name can not be written any more."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open_new(self, path: Path, *, mode: int) -> int:
        if self.name in path.name:
            raise disk_full()
        return super().open_new(path, mode=mode)


def test_an_outcome_that_can_not_be_written_is_printed_whole(bench: Bench) -> None:
    """Disk full after the send: exit 4, the outcome's text is in the headline, the account stays held."""
    session = bench.gated()
    bench.disk = FullAfter("submit_response")
    result = bench.submit(session)
    assert result.outcome == "unknown"
    assert codes(result) == ["outcome_not_written"]
    assert result.next.verb == "reconcile"
    printed = msgspec.json.decode(result.headline.partition("Keep this text: ")[2], type=SubmitResponse)
    assert result.data == printed
    assert printed.outcome == "accepted"
    assert len(bench.held()) == 1
    bench.disk = QuickDisk()
    assert bench.submit(session).outcome == "unknown"
    assert bench.reconcile(session).outcome == "done"
    assert len(bench.orders()) == 1
    assert bench.held() == ()


def test_an_incident_that_can_not_be_written_leaves_the_outcome(bench: Bench, monkeypatch) -> None:
    """Only what follows the outcome fails: the outcome stands, and what failed is a warning."""
    session = bench.gated()
    real = KrakenOrders.submit

    def differing(self, prepared, receipt):
        return msgspec.structs.replace(real(self, prepared, receipt), errors=("descr_mismatch: sell",))

    monkeypatch.setattr(KrakenOrders, "submit", differing)
    bench.disk = FullAfter("incident")
    result = bench.submit(session)
    assert result.outcome == "done"
    assert "disk is full" in result.warnings[0]
    assert bench.standing(session).outcome == "accepted"


def test_a_never_sent_that_can_not_be_written_is_kept_by_the_ledger(bench: Bench, monkeypatch) -> None:
    """The attempt is durable, nothing was sent, the disk is full: the next command records it and frees the account."""
    session = bench.gated()

    def refusing(self, record):
        raise QuantLabFault("no receipt", code="no_receipt")

    monkeypatch.setattr(SessionWriter, "receipt", refusing)
    bench.disk = FullAfter("submit_response")
    result = bench.submit(session)
    assert result.outcome == "never_sent"
    assert codes(result) == ["outcome_not_written"]
    assert len(bench.held()) == 1
    bench.disk = QuickDisk()
    again = bench.submit(session)
    assert again.outcome == "never_sent"
    assert "ledger remembers" in bench.standing(session).response.body.message
    assert bench.held() == ()
    assert sends(bench) == 0


def test_a_sender_that_fails_leaves_the_order_unknown(bench: Bench, monkeypatch) -> None:
    """Whatever fault comes out of the sender itself proves nothing: it may have sent before."""
    session = bench.gated()
    real = KrakenOrders.submit

    def breaking(self, prepared, receipt):
        real(self, prepared, receipt)
        raise QuantLabFault("the sender broke", code="sender_broke")

    monkeypatch.setattr(KrakenOrders, "submit", breaking)
    result = bench.submit(session)
    assert result.outcome == "unknown"
    assert bench.standing(session).response.body.rule == "sender_fault"
    assert len(bench.held()) == 1
    assert bench.reconcile(session).outcome == "done"
    assert len(bench.orders()) == 1


def test_a_reading_rung_records_what_the_ledger_remembers_too(bench: Bench, monkeypatch) -> None:
    """The same, met by reconcile first."""
    session = bench.gated()

    def refusing(self, record):
        raise QuantLabFault("no receipt", code="no_receipt")

    monkeypatch.setattr(SessionWriter, "receipt", refusing)
    bench.disk = FullAfter("submit_response")
    bench.submit(session)
    bench.disk = QuickDisk()
    assert bench.reconcile(session).outcome == "done"
    assert bench.standing(session).state == "never_sent"
    assert bench.held() == ()


def test_an_attempt_that_can_not_be_written_is_never_sent(bench: Bench) -> None:
    """Disk full for the attempt: never sent, account free, and no second try sends."""
    session = bench.gated()
    bench.disk = FullAfter("submit_attempt")
    result = bench.submit(session)
    assert result.outcome == "never_sent"
    assert bench.held() == ()
    bench.disk = QuickDisk()
    assert bench.submit(session).outcome == "never_sent"
    assert bench.orders() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Busy("held", code="ledger_busy")])
def test_an_outcome_broken_off_by_something_else_is_printed_too(bench: Bench, monkeypatch, error) -> None:
    """Interrupted, or refused by the ledger, while the outcome is written: exit 4 all the same."""
    session = bench.gated()
    real = SessionWriter.append

    def append(self, name, schema, body, *, actor):
        if isinstance(body, SubmitResponse):
            raise error
        return real(self, name, schema, body, actor=actor)

    monkeypatch.setattr(SessionWriter, "append", append)
    result = bench.submit(session)
    assert result.outcome == "unknown"
    assert "Keep this text" in result.headline
    assert len(bench.orders()) == 1


def test_ctrl_c_before_the_attempt_sends_nothing(bench: Bench) -> None:
    """Interrupted before the attempt is durable: the interrupt goes through, the plan is spent, nothing was sent."""
    session = bench.gated()
    breaker = Breaker(1, KeyboardInterrupt(), kinds=("disk",))

    class AtAttempt(BreakingDisk):
        def open_new(self, path, *, mode):
            if "submit_attempt" in path.name:
                breaker.meet("disk.attempt")
            return QuickDisk.open_new(QuickDisk(), path, mode=mode)

    bench.disk = AtAttempt(Breaker(0, KeyboardInterrupt(), kinds=()))
    with pytest.raises(KeyboardInterrupt):
        bench.submit(session)
    bench.disk = QuickDisk()
    assert sends(bench) == 0
    assert len(bench.held()) == 1
    assert bench.submit(session).outcome == "never_sent"
    assert bench.held() == ()


def test_ctrl_c_before_the_spend_leaves_the_session_gated(bench: Bench) -> None:
    """Interrupted during the checks: the account is free and the session can be submitted."""
    session = bench.gated()

    def interrupt() -> None:
        bench.on_progress = None
        raise KeyboardInterrupt

    at_progress(bench, "every check once more", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.submit(session)
    assert bench.held() == ()
    assert bench.submit(session).outcome == "done"
    assert len(bench.orders()) == 1


def test_ctrl_c_while_sending_is_unknown(bench: Bench) -> None:
    """Interrupted while the answer is awaited: exit 4, recorded, the order is found by reconcile."""
    session = bench.gated()

    def interrupt() -> None:
        raise KeyboardInterrupt

    at_progress(bench, "sending once", interrupt)
    result = bench.submit(session)
    assert result.outcome == "unknown"
    assert bench.standing(session).response.body.rule == "interrupted"
    assert bench.standing(session).state == "unresolved"


def test_two_submits_of_one_account_never_overlap(bench: Bench) -> None:
    """While one session is unresolved another gated one is refused, naming the first and how to end it."""
    first, second = bench.gated(), bench.gated(quantity=Decimal("0.2"), notional=Decimal(400))
    bench.world.fault("drop_before_read", "AddOrder", type="order")
    assert bench.submit(first).outcome == "unknown"
    result = bench.submit(second)
    assert result.outcome == "denied"
    assert codes(result) == ["interlock_held"]
    assert str(first) in result.refusals[0].measured
    assert (first,) == tuple(Path(one) for one in result.next.arguments)
    assert sends(bench) == 1
