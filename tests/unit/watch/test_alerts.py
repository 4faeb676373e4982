"""Alerts: each with its cause, its severity, since when, and the command that ends it; and when it is over."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantlab.cli import table
from quantlab.evidence.records import Incident, Resolution
from quantlab.evidence.standing import standing_of
from quantlab.kernel.clock import parse_rfc3339, rfc3339
from quantlab.storage.durable import OsDisk
from quantlab.storage.ledger import Halt, Interlock
from quantlab.watch import alerts
from quantlab.watch.overview import Overview, Seen, look_over
from tests.support.virtual import Bench

HALT = Halt(reviewer="marce", reason="odd fills", halted_at="2026-09-21T12:00:00.000000Z")


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def overview(bench, seen=None, *, later=timedelta(0), **changes):
    """Return a root as it stands, or as the test says it stood."""
    fields = {
        "root": bench.root,
        "generated_at": rfc3339(bench.clock.now() + later),
        "environment": "rehearsal",
        "seen": look_over(bench.disk, bench.root) if seen is None else seen,
        "interlocks": (),
        "halt": None,
        "halt_file": None,
    }
    return Overview(**(fields | changes))


def found(bench, seen=None, **changes):
    """Return the alerts of a root; each one's command must be complete."""
    rows = alerts.alerts_of(overview(bench, seen, **changes))
    for row in rows:
        assert row.step is None or complete(row.step), row
    return rows


def complete(step):
    """Return whether a step is a command of the table with every option that it needs."""
    given = {name for name, _ in step.options}
    return any(
        given <= {each.flag for each in command.options}
        and {each.flag for each in command.options if each.required} <= given
        for command in table.COMMANDS
        if step.verb in {command.name, command.verb}
    )


def codes(rows):
    """Return the codes of alerts."""
    return [row.code for row in rows]


def seen_as(bench, session, **changes):
    """Return a session as seen, its standing changed."""
    read = bench.session(session)
    return Seen(folder=session, session=read, standing=replace(standing_of(read.chain), **changes), unreadable=None)


def order(bench, session, **changes):
    """Return the order of a session that was read, changed."""
    return replace(bench.standing(session).order, **changes)


@pytest.fixture
def read(bench):
    """A session whose filled order was read."""
    session = bench.submitted()
    bench.status(session)
    return session


# ------------------------------------------------------------------------------- desk-wide


def test_a_quiet_root_has_no_alert(bench):
    """A validated session needs nobody's attention."""
    bench.validated()
    assert () == found(bench)


def test_a_halt_in_the_ledger_and_as_a_file(bench):
    """The ledger's halt says who, why and since when; a file alone says itself, since an unknown time."""
    [row] = found(bench, halt=HALT, halt_file=Path("HALT"))
    assert ("halt_set", "warning", None, HALT.halted_at, "Halted by marce: odd fills", "resume") == (
        row.code,
        row.severity,
        row.session_id,
        row.since,
        row.message,
        row.step.verb,
    )
    [row] = found(bench, halt_file=Path("HALT"))
    assert ("halt_set", "", "Halted by HALT") == (row.code, row.since, row.message)


def lock(session_id="gone", folder="/gone"):
    """Return an interlock."""
    return Interlock(
        account_key="kraken:rehearsal:a",
        session_id=session_id,
        folder=folder,
        plan_sha256="0" * 64,
        claimed_at="2026-09-21T12:00:00.000000Z",
    )


def test_a_held_account_is_critical(bench):
    """An account that is held names its session, also one that is not in this root."""
    [row] = found(bench, interlocks=(lock(),))
    assert ("interlock_held", "critical", "gone", "reconcile", ("/gone",)) == (
        row.code,
        row.severity,
        row.session_id,
        row.step.verb,
        row.step.arguments,
    )


def incident(bench, session, code, message="odd"):
    """Append an incident to a session."""
    desk = bench.desk()
    digest = bench.standing(session).plan_sha256
    with desk.write(session) as writer:
        desk.append(writer, Incident(plan_sha256=digest, code=code, message=message, details=()))
    desk.ledger.close()


def test_an_account_held_by_a_late_find_waits_for_a_person(bench, read):
    """A late find is freed by a recorded decision, not by another read."""
    incident(bench, read, "late_find")
    rows = found(bench, interlocks=(lock(read.name, str(read)),))
    steps = {row.code: row.step for row in rows}
    assert ("interlock resolve", ("account", "kraken:rehearsal:a")) == (
        steps["interlock_held"].verb,
        steps["interlock_held"].options[-1],
    )


# ------------------------------------------------------------------------------- broken sessions


def test_an_unreadable_session_says_why(bench):
    """A session that can not be read is critical, with the reason."""
    seen = Seen(folder=Path("/x/one"), session=None, standing=None, unreadable="permission is missing")
    [row] = found(bench, (seen,))
    assert ("unreadable_session", "critical", "one", "permission is missing", "show") == (
        row.code,
        row.severity,
        row.session_id,
        row.message,
        row.step.verb,
    )


def test_an_unverifiable_session_names_the_file(bench):
    """The first finding is named; the session's other alerts go on."""
    session = bench.submitted()
    (session / "approval.json").write_bytes(b"{}")
    rows = found(bench)
    assert ["unverifiable_session", "no_status_after_submit"] == codes(rows)
    assert "approval.json" in rows[0].message


def test_an_outdated_session_says_so(bench):
    """A session that the ledger knows to be longer is not verified, in the ledger's words."""
    seen = Seen(**{**fields(seen_as(bench, bench.validated())), "outdated": "shortened."})
    [row] = found(bench, (seen,))
    assert ("unverifiable_session", "The evidence does not verify: shortened.") == (row.code, row.message)


def fields(struct):
    """Return a struct's fields."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_session_without_records_is_quiet(bench):
    """A folder that a killed command left behind is nobody's alarm."""
    (bench.root / "20260101T000000Z-kraken-eth-usd-buy-000000000000" / "records").mkdir(parents=True)
    assert () == found(bench)


# ------------------------------------------------------------------------------------ after a send


@pytest.mark.parametrize(("state", "verb"), [("unresolved", "reconcile"), ("not_found", "resolve")])
def test_an_unresolved_send(bench, state, verb):
    """An order may exist: critical since the attempt, and nothing else is said of that session."""
    session = bench.submitted()
    [row] = found(bench, (seen_as(bench, session, state=state),))
    attempted = bench.standing(session).attempt.envelope.recorded_at
    assert ("unresolved_send", "critical", attempted, verb) == (row.code, row.severity, row.since, row.step.verb)


def test_an_unresolved_session_without_an_attempt(bench):
    """A validate-only incident has no attempt: since its newest record, or nothing when there is none."""
    session = bench.validated()
    standing = bench.standing(session)
    [row] = found(bench, (seen_as(bench, session, state="unresolved"),))
    assert standing.latest_at == row.since
    [row] = found(bench, (seen_as(bench, session, state="unresolved", latest_at=None),))
    assert "" == row.since


def test_a_response_without_its_attempt_dates_the_send(bench):
    """Where only the response is left, its time stands for the send's."""
    session = bench.submitted()
    [row] = found(bench, (seen_as(bench, session, attempt=None, state="unresolved"),))
    assert bench.standing(session).response.envelope.recorded_at == row.since


def test_nobody_read_the_state(bench):
    """Accepted and not read: a warning that a status clears."""
    session = bench.submitted()
    assert ["no_status_after_submit"] == codes(found(bench))
    bench.status(session)
    assert () == found(bench)


def test_an_order_that_nobody_watches(bench):
    """Open for more than ten minutes without a look: critical; to the second, and cleared by looking."""
    session = bench.resting()
    bench.status(session)
    last = parse_rfc3339(bench.session(session).chain.records[-1].envelope.recorded_at)
    gap = last - bench.clock.now() + timedelta(minutes=10)
    assert () == found(bench, later=gap)
    [row] = found(bench, later=gap + timedelta(microseconds=1))
    assert ("open_unsupervised", "critical", rfc3339(last), "supervise") == (
        row.code,
        row.severity,
        row.since,
        row.step.verb,
    )
    bench.world.pass_seconds(700)
    assert ["open_unsupervised"] == codes(found(bench))
    bench.status(session)
    assert () == found(bench)


def test_an_open_order_that_was_never_read(bench):
    """Without any look the gap is counted from the send."""
    session = bench.resting()
    rows = found(bench, later=timedelta(minutes=11))
    assert ["open_unsupervised", "no_status_after_submit"] == codes(rows)
    assert bench.standing(session).attempt.envelope.recorded_at == rows[0].since


def test_looks_are_not_counted_without_a_send(bench, read):
    """A session that was never sent has no looks after it; one without a chain neither."""
    seen = seen_as(bench, read, attempt=None, response=None, state="open", outcome="accepted")
    assert "no_status_after_submit" in codes(found(bench, (seen,)))


def test_a_partly_filled_order(bench, read):
    """What is filled and what is open is said, since it was read."""
    part = order(bench, read, state="partially_filled", filled_base="0.1")
    rows = found(bench, (seen_as(bench, read, state="partially_filled", order=part),))
    assert [("partial_fill", "warning", part.read_at)] == [(one.code, one.severity, one.since) for one in rows]
    assert "0.1 of 0.25 is filled" in rows[0].message
    assert () == found(bench, (seen_as(bench, read, state="partially_filled", order=None),))


@pytest.mark.parametrize("state", ["canceled", "expired"])
@pytest.mark.parametrize(("filled", "more"), [("0", []), ("0.1", ["partial_fill"]), ("0.25", [])])
def test_an_ended_order_asks_for_its_fills(bench, read, state, filled, more):
    """A canceled or expired order may have traded: read its fills; what traded in part is a warning beside."""
    ended = order(bench, read, state=state, filled_base=filled)
    rows = found(bench, (seen_as(bench, read, state=state, order=ended),))
    assert [*more, state] == codes(rows)
    assert {"fills"} == {row.step.verb for row in rows}


@pytest.mark.parametrize(("late_us", "count"), [(0, 1), (1, 0)])
def test_old_news_is_no_alarm(bench, read, late_us, count):
    """An ended order is news for a day, to the microsecond."""
    ended = order(bench, read, state="canceled", filled_base="0")
    age = parse_rfc3339(ended.read_at) - bench.clock.now() + timedelta(days=1, microseconds=late_us)
    assert count == len(found(bench, (seen_as(bench, read, state="canceled", order=ended),), later=age))


def test_reading_the_fills_clears_an_ended_order(bench, read):
    """Once its fills were read after it ended the alert is gone; a summary from before does not count."""
    assert "done" == bench.run("fills", session=read).outcome
    ended = order(bench, read, state="canceled", filled_base="0.1")
    assert () == found(bench, (seen_as(bench, read, state="canceled", order=ended),))
    newer = replace(ended, read_at=rfc3339(bench.clock.now() + timedelta(seconds=60)))
    assert ["partial_fill", "canceled"] == codes(found(bench, (seen_as(bench, read, state="canceled", order=newer),)))


def test_an_order_called_filled_of_which_the_rest_was_dropped(bench, read):
    """A venue may say filled of an order that filled in part: the difference is told."""
    ended = order(bench, read, state="filled", filled_base="0.1")
    (row,) = found(bench, (seen_as(bench, read, state="filled", order=ended),))
    assert ("partial_fill", "warning", "fills") == (row.code, row.severity, row.step.verb)
    assert "The order is filled; 0.1 of 0.25 traded." in row.message


def test_a_filled_order_is_quiet(bench, read):
    """A filled order that was read is nobody's alarm."""
    assert "filled" == bench.standing(read).state
    assert () == found(bench)


def rejected(bench):
    """Return a session whose order the venue rejected."""
    session = bench.gated()
    bench.world.fault("api_error", "AddOrder", type="order", value="EOrder:Insufficient funds")
    assert "rejected" == bench.submit(session).outcome
    return session


def test_a_rejected_order_is_news_for_a_day(bench):
    """A rejection is a warning for a day, and then it is not."""
    session = rejected(bench)
    [row] = found(bench)
    assert ("rejected", "warning", "status") == (row.code, row.severity, row.step.verb)
    age = parse_rfc3339(bench.standing(session).attempt.envelope.recorded_at) - bench.clock.now()
    assert 1 == len(found(bench, later=age + timedelta(days=1)))
    assert 0 == len(found(bench, later=age + timedelta(days=1, microseconds=1)))


def test_looking_at_a_rejected_order_clears_it(bench):
    """Once the venue was asked again the rejection is acted upon."""
    bench.status(rejected(bench))
    assert () == found(bench)


# --------------------------------------------------------------------------------------- incidents


@pytest.mark.parametrize(
    ("code", "shown"),
    [("mismatch", "mismatch"), ("venue_reads_another_order", "mismatch"), ("late_find", "late_find"), ("odd", "odd")],
)
def test_an_incident_is_critical(bench, read, code, shown):
    """An incident stands under its code, with its own words."""
    incident(bench, read, code, "two orders differ")
    [row] = found(bench)
    assert (shown, "critical", "two orders differ") == (row.code, row.severity, row.message)


@pytest.mark.parametrize("code", ["claim_freed", "interlock_freed_by_person"])
def test_quiet_incidents(bench, read, code):
    """A freed claim and a person's own decision are no alarms."""
    incident(bench, read, code)
    assert () == found(bench)


def test_a_persons_decision_ends_an_incident(bench, read):
    """An incident before a recorded decision is dealt with; one after it is new."""
    incident(bench, read, "mismatch", "first")
    incident(bench, read, "interlock_freed_by_person")
    assert () == found(bench)
    incident(bench, read, "mismatch", "second")
    assert ["second"] == [row.message for row in found(bench)]


def test_a_resolution_ends_an_incident(bench, read):
    """A resolve is a decision too."""
    incident(bench, read, "mismatch")
    desk = bench.desk()
    standing = bench.standing(read)
    with desk.write(read) as writer:
        desk.append(
            writer,
            Resolution(
                plan_sha256=standing.plan_sha256,
                attempt_sha256=standing.attempt.sha256,
                decision="landed",
                reviewer="marce",
                note="checked",
                from_resolution="unknown",
                basis_sha256=None,
            ),
        )
    desk.ledger.close()
    assert () == found(bench)


# ------------------------------------------------------------------------------------------- order


def test_the_worst_comes_first_then_the_oldest(bench):
    """Critical before warning before notice; within one, the oldest first."""
    first = bench.submitted()
    bench.world.pass_seconds(1)
    second = bench.submitted(quantity=Decimal("0.24"))
    rows = found(bench, halt=HALT, interlocks=(lock(),))
    assert ["interlock_held", "halt_set", "no_status_after_submit", "no_status_after_submit"] == codes(rows)
    assert [first.name, second.name] == [row.session_id for row in rows[2:]]


def test_nothing_is_written_by_looking(bench):
    """Looking over a root changes no file."""
    bench.submitted()
    before = {path: path.stat().st_mtime_ns for path in bench.root.rglob("*")}
    alerts.alerts_of(overview(bench, look_over(OsDisk(), bench.root)))
    assert before == {path: path.stat().st_mtime_ns for path in bench.root.rglob("*")}
