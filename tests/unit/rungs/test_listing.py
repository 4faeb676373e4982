"""List, index, health, alerts over a root: one bad session never breaks the report for the others."""

import json
import shutil
from decimal import Decimal

import pytest

from quantlab.rungs.listing import overview_of
from quantlab.storage.durable import OsDisk
from quantlab.storage.ledger import Interlock
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


def report(bench, name, root=None):
    """Run one report."""
    result = bench.run("listing", root=root or bench.root, report=name)
    assert "done" == result.outcome, result.headline
    return result


def alerts(bench, root=None):
    """Return the alerts as rows."""
    return report(bench, "alerts", root).data["alerts"]


def alert_codes(bench):
    """Return the codes of the alerts."""
    return [row["code"] for row in alerts(bench)]


def sessions_of_every_kind(bench):
    """Fill a root with a good, a tampered, an unreadable and an empty session and things that are none."""
    good = bench.submitted()
    broken = bench.validated(quantity=Decimal("0.24"))
    (broken / "broker_order_validate.json").write_bytes(b"{}")
    unread = bench.validated(quantity=Decimal("0.23"))
    empty = bench.root / "20260101T000000Z-kraken-eth-usd-buy-000000000000"
    (empty / "records").mkdir(parents=True)
    (bench.root / "notes.txt").write_text("mine")
    (bench.root / "folder").mkdir()

    class Blind(OsDisk):
        def read(self, path, **limits):
            if unread.name in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return super().read(path, **limits)

    bench.disk = Blind()
    return good, broken, unread, empty


# -------------------------------------------------------------------------------------- list, index


def test_list_shows_every_session_in_its_state(bench):
    """Oldest first, each with state, order and age; the broken ones are marked, foreign files left out."""
    good, broken, unread, empty = sessions_of_every_kind(bench)
    result = report(bench, "list")
    rows = {row.session_id: row for row in result.data["sessions"]}
    assert {one.name for one in (good, broken, unread, empty)} == rows.keys()
    assert "4 sessions in" in result.headline
    table = {row[0]: row[1:] for row in result.table}
    assert "buy 0.24 ETH-USD" == table[broken.name][1]
    assert "validated (DOES NOT VERIFY)" == table[broken.name][0]
    assert ("unreadable (DOES NOT VERIFY)", "-", "-") == table[unread.name]
    assert ("empty", "-", "-") == table[empty.name]
    assert (bench.standing(good).state, "0 s") == (table[good.name][0], table[good.name][2])
    assert ("alerts", (str(bench.root),)) == (result.next.verb, result.next.arguments)
    assert bench.standing(good).venue_order_id == rows[good.name].venue_order_id


def test_a_filled_order_shows_what_traded(bench):
    """What is filled stands beside the order."""
    session = bench.submitted()
    bench.status(session)
    [_, row] = report(bench, "list").table
    assert "buy 0.25 ETH-USD, 0.25 filled" == row[2]


def test_a_root_that_is_not_there_has_no_sessions(bench):
    """A root that was never written is empty in every report, and no report makes it."""
    assert (0, ()) == (len(report(bench, "list").data["sessions"]), report(bench, "list").table)
    assert [] == alerts(bench)
    assert ("ok", 0, {}) == (
        (health := report(bench, "health").data).status,
        health.sessions,
        health.by_state,
    )
    assert () == report(bench, "index").artifacts
    assert not bench.root.exists()


@pytest.mark.parametrize("name", ["list", "index", "health", "alerts"])
def test_a_path_that_is_no_root(bench, name):
    """A file is a usage fault; a session is refused and its root named."""
    session = bench.validated()
    file = bench.folder / "file"
    file.write_text("")
    assert ["not_a_root"] == codes(bench.run("listing", root=file, report=name))
    result = bench.run("listing", root=session, report=name)
    assert (["session_given_for_root"], str(bench.root)) == (codes(result), result.refusals[0].limit)


def test_the_index_is_written_as_json_and_csv(bench):
    """Both files hold a row a session; a value that is not there is empty."""
    good, _, unread, _ = sessions_of_every_kind(bench)
    result = report(bench, "index")
    assert ["index.csv", "index.json"] == [path.rpartition("/")[2] for path in result.artifacts]
    document = json.loads((bench.root / "index.json").read_text())
    assert ("quantlab.index/1", 4) == (document["schema"], len(document["sessions"]))
    lines = (bench.root / "index.csv").read_text().splitlines()
    assert 5 == len(lines)
    assert lines[0].startswith("session_id,folder,environment,state,verifies")
    assert any(line.startswith(f"{unread.name},") and ",unreadable,False,,,,,," in line for line in lines)
    assert any(good.name in line and ",rehearsal," in line for line in lines)


# ----------------------------------------------------------------------------------------- health


def test_health_counts_and_names(bench):
    """Counts by state, broken ones, latest activity and the alert codes; critical by its worst alert."""
    good, *_ = sessions_of_every_kind(bench)
    result = report(bench, "health")
    health = result.data
    assert {bench.standing(good).state: 1, "validated": 1, "unreadable": 1, "empty": 1} == health.by_state
    assert (4, 2, "critical", "rehearsal", False, 0) == (
        health.sessions,
        health.broken,
        health.status,
        health.environment,
        health.halted,
        health.interlocks_held,
    )
    assert {"unreadable_session", "unverifiable_session", "no_status_after_submit"} == set(health.alert_codes)
    assert health.latest_activity_at
    facts = {fact.label: fact.value for fact in result.facts}
    assert ("4", "2", "no") == (facts["Sessions"], facts["Do not verify"], facts["Halted"])
    assert "1" == facts["  rehearsal validated"]
    assert json.loads((bench.root / "health.json").read_text())["by_state"] == health.by_state


def test_health_never_counts_environments_together(bench):
    """A root into which a live session was copied shows the counts of each environment, and no common ones."""
    bench.validated()
    foreign = bench.folder / "live" / "20260101T000000Z-kraken-eth-usd-buy-000000000000"
    desk = bench.desk()
    body = bench.standing(bench.validated(quantity=Decimal("0.24"))).validation.body
    with desk.store.create(foreign.parent, foreign.name, environment="live") as writer:
        desk.append(writer, body)
    desk.ledger.close()
    shutil.copytree(foreign, bench.root / foreign.name)
    result = report(bench, "health")
    assert (None, {}, {"live": {"validated": 1}, "rehearsal": {"validated": 2}}) == (
        result.data.environment,
        result.data.by_state,
        result.data.by_environment,
    )


def test_an_interlock_of_another_environment_is_not_shown(bench):
    """An account that is held in live is no alarm of a rehearsal root, empty or not; unset, all are shown."""
    desk = bench.desk()
    for environment in ("live", "rehearsal"):
        desk.ledger.claim_interlock(
            Interlock(
                account_key=f"kraken:{environment}:a",
                session_id=environment,
                folder=f"/x/{environment}",
                plan_sha256="0" * 64,
                claimed_at="2026-09-21T12:00:00.000000Z",
            )
        )
    assert ["rehearsal"] == [one.session_id for one in overview_of(desk, bench.root).interlocks]
    desk.ledger.close()
    bench.validated(account_label="other")
    desk = bench.desk({"QUANTLAB_STATE_DIR": bench.environ["QUANTLAB_STATE_DIR"]})
    assert ["rehearsal"] == [one.session_id for one in overview_of(desk, bench.root).interlocks]
    assert ["live", "rehearsal"] == sorted(
        one.session_id for one in overview_of(desk, bench.folder / "other").interlocks
    )
    desk.ledger.close()


# ----------------------------------------------------------------------------------------- alerts


def test_an_alert_names_session_age_and_the_next_command(bench):
    """A row has code, severity, session, since, message and the command, spelled."""
    session = bench.submitted()
    [row] = alerts(bench)
    assert ("no_status_after_submit", "warning", session.name, f"status {session}") == (
        row["code"],
        row["severity"],
        row["session_id"],
        row["next"],
    )
    assert bench.standing(session).attempt.envelope.recorded_at == row["since"]
    assert json.loads((bench.root / "alerts.json").read_text()) == report(bench, "alerts").data | {
        "generated_at": json.loads((bench.root / "alerts.json").read_text())["generated_at"]
    }


def test_an_alert_clears_when_acted_upon(bench):
    """Reading the order's state ends the alert that nobody did, and nothing is left."""
    session = bench.submitted()
    assert ["no_status_after_submit"] == alert_codes(bench)
    bench.status(session)
    assert [] == alert_codes(bench)
    assert "No alert for" in report(bench, "alerts").headline


def test_an_unresolved_send_is_critical_until_proven(bench):
    """An unknown send and the held account are critical, reconcile is next; proof ends both."""
    session = bench.unknown()
    rows = alerts(bench)
    assert {"interlock_held", "unresolved_send"} == {row["code"] for row in rows}
    assert {"critical"} == {row["severity"] for row in rows}
    assert {f"reconcile {session}"} == {row["next"] for row in rows}
    bench.reconcile(session)
    assert "unresolved_send" not in alert_codes(bench)
    assert "interlock_held" not in alert_codes(bench)


def test_a_not_found_order_asks_for_a_decision(bench):
    """When every search came back empty the alert's command is a complete resolve line."""
    session = bench.unknown("drop_before_read")
    for _ in range(4):
        bench.pass_settle_time()
        bench.reconcile(session)
    assert "not_found" == bench.standing(session).state
    [row] = [row for row in alerts(bench) if row["code"] == "unresolved_send"]
    assert (
        f"resolve {session} --reviewer <reviewer> --confirm  --decision <landed|not_landed> --note <reason>"
        == row["next"]
    )
    bench.resolve(session)
    assert "unresolved_send" not in alert_codes(bench)


def test_a_halt_is_an_alert_until_resumed(bench, monkeypatch):
    """A halt is told with who and why, and resume is next."""
    monkeypatch.chdir(bench.folder)
    bench.run("halting", action="halt", reviewer="marce", reason="odd fills")
    [row] = alerts(bench)
    assert ("halt_set", "Halted by marce: odd fills", "resume --reviewer <reviewer> --reason <reason>") == (
        row["code"],
        row["message"],
        row["next"],
    )
    bench.run("halting", action="resume", reviewer="marce", reason="explained")
    assert [] == alert_codes(bench)


def test_only_news_is_kept(bench):
    """Alerts and health that say the same again are not kept twice, also while a halt file stands."""
    session = bench.submitted()
    (bench.folder / "outputs" / "HALT").write_text("")
    for _ in range(3):
        bench.world.pass_seconds(1)
        alerts(bench)
        report(bench, "health")
    assert 2 == len(list((bench.root / "snapshots").iterdir()))
    bench.status(session)
    alerts(bench)
    assert 3 == len(list((bench.root / "snapshots").iterdir()))


def test_a_shortened_session_is_an_alert(bench):
    """A session without its newest record does not pass for a good one: the ledger remembers."""
    session = bench.submitted()
    sorted((session / "records").iterdir())[-1].unlink()
    (session / "broker_submit_response.json").unlink()
    rows = alerts(bench)
    [row] = [row for row in rows if row["code"] == "unverifiable_session"]
    assert "shortened" in row["message"]
    assert f"show {session}" == row["next"]
    [listed] = report(bench, "list").data["sessions"]
    assert not listed.verifies


@pytest.mark.parametrize("name", ["health", "alerts"])
def test_a_root_that_can_not_be_written_still_reports(bench, name):
    """The report is made, and that its snapshot was not kept is a warning."""
    bench.submitted()

    class ReadOnly(OsDisk):
        def open_new(self, path, *, mode):
            raise OSError(30, "Read-only file system", str(path))

    bench.disk = ReadOnly()
    result = report(bench, name)
    assert () == result.artifacts
    assert "read-only" in result.warnings[0]
    assert "no_status_after_submit" in str(result.data)


def test_an_index_that_can_not_be_written_is_refused(bench):
    """The index is nothing but its files: where they can not be written the command is refused."""
    bench.validated()

    class ReadOnly(OsDisk):
        def open_new(self, path, *, mode):
            raise OSError(30, "Read-only file system", str(path))

    bench.disk = ReadOnly()
    assert ["storage_read_only"] == codes(bench.run("listing", root=bench.root, report="index"))
