"""Readiness: whether a corridor can be begun from here, without asking any venue."""

from pathlib import Path

import pytest

from quantlab.cli.spelling import Spelling
from quantlab.evidence.preparatory import Readiness
from quantlab.kernel.canonical import sha256_hex
from quantlab.model.policy import Policy, policy_digest
from quantlab.rungs import readiness
from quantlab.storage.durable import OsDisk
from quantlab.storage.reader import read_session
from tests.support.virtual import Bench, codes

SECRET_NAMES = ("KRAKEN_API_KEY", "KRAKEN_API_SECRET", "HYPERLIQUID_PRIVATE_KEY")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Surroundings of their own for each test."""
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


@pytest.fixture
def outdir(bench):
    """Where the rung writes."""
    return bench.folder / "outputs" / "broker_evidence"


def ready(bench, outdir, corridor="kraken"):
    """Run the rung and return its result and the newest body."""
    result = bench.run("readiness", outdir=outdir, corridor=corridor)
    session = read_session(bench.disk, outdir, expect_id_of_folder=False)
    assert session.verifies
    return result, session.chain.newest(Readiness).body


def unset(bench):
    """Take the environment away, as in a fresh shell."""
    bench.environ.pop("QUANTLAB_ENVIRONMENT")
    bench.environ.pop("QUANTLAB_KRAKEN_URL")


def test_a_machine_that_is_ready(bench, outdir):
    """Everything in place: ready, exit 0, validate is next, and no venue was asked."""
    result, body = ready(bench, outdir)
    assert ("done", "validate", True) == (result.outcome, result.next.verb, body.ready)
    assert [] == [row for row in bench.world.requests() if "/rehearsal/" not in row["path"]]
    assert ("the operator", "process", "the built-in defaults", policy_digest(Policy())) == (
        body.corridor_chosen_by,
        body.environment_source,
        body.policy_source,
        body.policy_sha256,
    )
    assert (str(bench.folder / "state"), False, ()) == (body.state_folder, body.halted, body.interlocks)
    assert body.ledger_id in {fact.label: fact.value for fact in result.facts}["State folder"]


def test_no_secret_is_written_or_shown(bench, outdir):
    """Credentials are reported by name as present; no value stands in result or file."""
    result, body = ready(bench, outdir)
    text = str(result) + "".join(path.read_text() for path in outdir.rglob("*.json"))
    for name in SECRET_NAMES:
        assert bench.environ[name] not in text
    assert dict.fromkeys(("KRAKEN_API_KEY", "KRAKEN_API_SECRET"), True) == {
        one.name: one.present for one in body.inputs if one.needed
    }


def test_auto_is_hyperliquid_and_says_so(bench, outdir):
    """Auto chooses Hyperliquid and says why; ready, the preflight is shown and signing is next."""
    result, body = ready(bench, outdir, "auto")
    assert ("done", [], True) == (result.outcome, codes(result), body.ready)
    assert ("hyperliquid", "auto: hyperliquid is the preferred first corridor") == (
        body.corridor,
        body.corridor_chosen_by,
    )
    assert ["HYPERLIQUID_ACCOUNT", "HYPERLIQUID_PRIVATE_KEY", "HYPERLIQUID_SIGNER_ID"] == sorted(
        one.name for one in body.inputs if one.needed
    )
    looking = "hyperliquid preflight outputs/broker_preflight/hyperliquid --symbol <symbol>"
    assert ("Look first", looking) == (result.facts[-1].label, result.facts[-1].value)
    assert ("sign", ("outputs/broker_preflight/hyperliquid_signed_action",)) == (
        result.next.verb,
        result.next.arguments,
    )
    assert ["symbol", "side", "quantity", "notional", "account-id", "signer"] == [
        name for name, _ in result.next.options
    ]
    assert [] == [row for row in bench.world.requests() if "/rehearsal/" not in row["path"]]


def test_each_next_line_is_one_that_the_command_table_knows(bench, outdir):
    """Both lines of a ready Hyperliquid corridor are commands, in the spelling that the operator used."""
    result, _ = ready(bench, outdir, "hyperliquid")
    for step, flag in ((readiness._PREFLIGHT, "--hyperliquid-preflight-outdir"), (result.next, "--hyperliquid-signed")):
        line = Spelling(program="python main.py", flags=True).line(step, None)
        assert line.startswith(f"python main.py {flag}")
        assert "--broker-symbol '<symbol>'" in line


def test_a_key_may_stand_elsewhere(bench, outdir):
    """Without the key's variable Hyperliquid is not ready, and the refusal names the three places of a key."""
    del bench.environ["HYPERLIQUID_PRIVATE_KEY"]
    result, body = ready(bench, outdir, "hyperliquid")
    assert ("denied", ["input_hyperliquid_private_key"], None) == (result.outcome, codes(result), result.next)
    assert "Look first" not in {fact.label for fact in result.facts}
    assert not body.ready
    message = result.refusals[0].message
    assert all(place in message for place in ("variable", "keystore file", "keyring"))


@pytest.mark.parametrize("name", ["HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID"])
def test_each_missing_identity_of_hyperliquid_is_named(bench, outdir, name):
    """Account and signer have no other place: the refusal names what is missing, and no more."""
    del bench.environ[name]
    result, _ = ready(bench, outdir, "hyperliquid")
    assert ("denied", [f"input_{name.lower()}"]) == (result.outcome, codes(result))
    assert f"{name} is missing." == result.refusals[0].message


def test_each_corridor_has_its_own_root(bench, outdir):
    """An unresolved session of the other corridor's root is not this one's; its interlock still is."""
    session = bench.unknown()
    result, body = ready(bench, outdir, "hyperliquid")
    assert (["interlock_held"], ()) == (codes(result), body.unresolved_sessions)
    assert str(session) in body.interlocks[0]
    assert "outputs/hyperliquid_submits" in next(one.measured for one in body.checks if one.code == "root_folder")


def test_each_missing_input_is_named(bench, outdir):
    """Every input that the corridor needs and that is missing is a refusal of its own; others are not needed."""
    for name in ("KRAKEN_API_SECRET", "HYPERLIQUID_PRIVATE_KEY"):
        del bench.environ[name]
    result, _ = ready(bench, outdir)
    assert ("denied", ["input_kraken_api_secret"]) == (result.outcome, codes(result))
    facts = {fact.label: fact.value for fact in result.facts}
    assert ("missing", "missing, not needed") == (facts["KRAKEN_API_SECRET"], facts["HYPERLIQUID_PRIVATE_KEY"])


def test_an_unset_environment_is_written_down_and_later_set(bench, outdir):
    """Without an environment the artifact is written all the same; a later run in one appends to it."""
    kept = dict(bench.environ)
    unset(bench)
    result, body = ready(bench, outdir)
    assert ("denied", ["environment"], False) == (result.outcome, codes(result), body.ready)
    assert "unset (process)" == result.refusals[0].measured
    bench.environ = kept
    result, body = ready(bench, outdir)
    assert ("done", True) == (result.outcome, body.ready)
    session = read_session(bench.disk, outdir, expect_id_of_folder=False)
    assert ["unset", "rehearsal"] == [record.envelope.environment for record in session.chain.records]
    unset(bench)
    assert "denied" == ready(bench, outdir)[0].outcome


def test_testnet_is_for_hyperliquid_alone(bench, outdir):
    """Kraken has no testnet: refused there, and accepted for Hyperliquid."""
    unset(bench)
    bench.environ["QUANTLAB_ENVIRONMENT"] = "testnet"
    assert ["environment"] == codes(ready(bench, outdir)[0])
    assert [] == codes(ready(bench, outdir, "hyperliquid")[0])


def test_the_policy_file_is_named_with_its_digest(bench, outdir):
    """A policy file is named, and another digest than the defaults'."""
    bench.policy(daily_orders=3)
    _, body = ready(bench, outdir)
    assert str(bench.folder / "quantlab.toml") == body.policy_source
    assert policy_digest(Policy(daily_orders=3)) == body.policy_sha256


def test_an_unresolved_session_and_its_interlock_are_seen(bench, outdir):
    """An unresolved send is reported as interlock and as session, each with its name."""
    session = bench.unknown()
    result, body = ready(bench, outdir)
    assert ["interlock_held", "unresolved_sessions"] == codes(result)
    assert ((session.name,), 1) == (body.unresolved_sessions, len(body.interlocks))
    assert str(session) in body.interlocks[0]


def test_a_halt_is_seen(bench, outdir):
    """The kill switch makes it not ready and is told with its reason."""
    bench.run("halting", action="halt", reviewer="marce", reason="odd fills")
    result, body = ready(bench, outdir)
    assert ["halt_set"] == codes(result)
    assert (True, "odd fills") == (body.halted, str(body.halt_reason).rpartition(": ")[2])


def test_a_missing_runbook_is_seen(bench, outdir, monkeypatch):
    """An installation without its runbook is not ready."""
    monkeypatch.setattr(readiness, "RUNBOOK", Path("no-such-runbook.md"))
    result, body = ready(bench, outdir)
    assert ["runbook_document"] == codes(result)
    assert (None, "missing") == (body.runbook_sha256, result.facts[-1].value)


def test_the_runbook_of_this_installation_is_cited(bench, outdir):
    """The runbook document is cited by the digest of its bytes."""
    _, body = ready(bench, outdir)
    assert sha256_hex(readiness.RUNBOOK.read_bytes()) == body.runbook_sha256


class StubbornDisk(OsDisk):
    """A disk where files under one folder can not be made."""

    def __init__(self, folder):
        self.folder = folder

    def open_new(self, path, *, mode):
        if path.parent == self.folder:
            raise PermissionError(13, "Permission denied", str(path))
        return super().open_new(path, mode=mode)


def test_a_root_that_can_not_be_written_is_reported(bench, outdir):
    """An unwritable root is a failed check in a written artifact."""
    bench.disk = StubbornDisk(Path("outputs/broker_order_validations"))
    result, body = ready(bench, outdir)
    assert ["root_folder"] == codes(result)
    assert "permission is missing" in str(result.refusals[0].measured)
    assert not body.ready


def test_an_outdir_that_can_not_be_written_is_a_fault(bench, outdir):
    """Where nothing can be recorded the command says so and ends with exit 1."""
    bench.disk = StubbornDisk(outdir / "records")
    result = bench.run("readiness", outdir=outdir, corridor="kraken")
    assert ("denied", ["storage_no_permission"]) == (result.outcome, codes(result))


def test_a_state_folder_that_can_not_be_made_is_a_fault(bench, outdir):
    """Without a state folder there is no ledger id to record: exit 1 and no artifact."""
    (bench.folder / "state").write_text("in the way")
    result = bench.run("readiness", outdir=outdir, corridor="kraken")
    assert "denied" == result.outcome
    assert str(bench.folder / "state") in result.headline
    assert not outdir.exists()


def test_a_root_that_can_not_be_read_is_not_taken_for_resolved(bench, outdir):
    """A session in the root's place is said: nothing of it is taken for resolved."""
    (bench.root / "records").mkdir(parents=True)
    result, _ = ready(bench, outdir)
    assert ["sessions_readable"] == codes(result)
    assert "is a session" in str(result.refusals[0].measured)


def test_an_unreadable_session_is_not_taken_for_resolved(bench, outdir):
    """A session whose files can not be read is named by the reason."""
    session = bench.validated()

    class Blind(OsDisk):
        def read(self, path, **limits):
            if session.name in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return super().read(path, **limits)

    bench.disk = Blind()
    result, body = ready(bench, outdir)
    assert ["sessions_readable"] == codes(result)
    assert () == body.unresolved_sessions
    assert "permission is missing" in str(result.refusals[0].measured)


def test_a_fault_of_the_probe_is_a_sentence(bench):
    """A folder that can not be probed at all gives the fault's own words."""
    desk = bench.desk()
    desk.disk = StubbornDisk(bench.folder / "x")
    check = readiness._folder_check(desk, "root_folder", bench.folder / "x")
    assert not check.passed
    assert "permission is missing" in check.measured
