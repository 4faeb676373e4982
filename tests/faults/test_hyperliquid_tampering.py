"""Signed actions and sessions that somebody changed: no byte leaves, everything says so, and the others go on."""

import hashlib
import json
import shutil

import pytest

from tests.e2e.operating import canonical, record_files
from tests.e2e.operating_hyperliquid import (
    ARTIFACT,
    BURN,
    CANCEL,
    DECIDED,
    ROOT,
    copied,
    document,
    submit_words,
    trading,
)

SAMPLES = 12
STRANGER = "0x" + "5a" * 20
RECORDS = (
    "hyperliquid_signed_action", "approval", "hyperliquid_submit_attempt", "hyperliquid_submit_response",
    "hyperliquid_reconciliation", "hyperliquid_order_status",
)  # fmt: skip
READING = ("status", "reconcile", "fills")


# -------------------------------------------------------------------------------- the signed action


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """Sign one order, and send it to its end when every changed copy of it was refused."""
    with trading(tmp_path_factory.mktemp("artifact")) as trader:
        signed = trader.signed("--execution-expires-after", "900")
        yield trader, signed
        assert [] == trader.actions()
        assert not trader.path(ROOT).exists() or [] == [
            name
            for path in trader.path(ROOT).iterdir()
            if path.is_dir()
            for name in trader.records(f"{ROOT}/{path.name}")
        ]
        # The one that nobody changed is still good, and is sent once.
        trader.submit(0, signed.artifact)
        assert 1 == len(trader.sends()) == len(trader.exchange.orders())


def is_refused(trader, artifact, *codes, env=None):
    """Check that an artifact is refused before any byte leaves, by submit and by revoke; return what was said."""
    trader.advance(1)
    asked = len(trader.requests())
    done = trader.run(*submit_words(artifact), env=env)
    assert done.code in (codes or (5, 1)), done
    assert done.envelope["outcome"] in {"unverified", "denied"}
    assert done.refused
    assert asked == len(trader.requests()), done
    return done


def with_bytes(trader, signed, raw, name="changed"):
    """Write bytes as a copy of the artifact; return its path."""
    copy = copied(trader, signed.artifact, f"outputs/{name}")
    trader.path(copy).write_bytes(raw)
    return copy


def with_changes(trader, signed, change):
    """Return a copy of the artifact with something changed, written canonically again."""
    body = document(trader.path(signed.artifact))
    change(body)
    return with_bytes(trader, signed, canonical(body))


@pytest.mark.parametrize("sample", range(SAMPLES))
def test_any_changed_byte_is_refused(waiting, sample):
    """One bit changed anywhere in the artifact: refused before any byte leaves."""
    trader, signed = waiting
    raw = bytearray(trader.path(signed.artifact).read_bytes())
    raw[(2 * sample + 1) * len(raw) // (2 * SAMPLES)] ^= 1
    is_refused(trader, with_bytes(trader, signed, bytes(raw)))


def longer(body):
    """Let the signature seem to live longer, in every place where its end stands."""
    text = body["signed"]["body_text"]
    ends = str(json.loads(text)["expiresAfter"])
    body["signed"]["body_text"] = text.replace(ends, str(int(ends) + 600_000))
    body["expires_at"] = body["expires_at"].replace("2026", "2027")


def another_account(body):
    """Name another account in the plan."""
    body["plan"]["account_identity"] = STRANGER


def another_signer(body):
    """Name another signer."""
    body["signer_id"] = body["signed"]["signer_address"] = STRANGER


def bigger(body):
    """Ask for a bigger size, in the plan and in the bytes."""
    body["plan"]["size_base"] = "0.35"
    body["signed"]["body_text"] = body["signed"]["body_text"].replace('"s":"0.25"', '"s":"0.35"')


def other_burn(body):
    """Put the order in the place of the burn: whoever burns it would send it."""
    body["burn"] = body["signed"]


def ready(body):
    """Claim a signature state that was never reached."""
    body["checks"] = []


@pytest.mark.parametrize("change", [longer, another_account, another_signer, bigger, other_burn, ready])
def test_careful_changes_are_refused(waiting, change):
    """A change by a careful hand that keeps the artifact canonical is no artifact that was signed here: 5."""
    trader, signed = waiting
    done = is_refused(trader, with_changes(trader, signed, change), 5)
    assert {"signed_action_changed"} == done.refused
    assert "Nothing was sent" in done.out


def test_other_environment_is_refused(waiting):
    """An artifact that says it is of another environment is refused by name."""
    trader, signed = waiting

    def live(body):
        body["environment"] = "live"

    assert {"session_environment"} == is_refused(trader, with_changes(trader, signed, live), 1).refused


@pytest.mark.parametrize("environment", ["live", "testnet"])
def test_other_network_is_refused(waiting, environment):
    """What was signed in rehearsal is never sent to another network, whatever the artifact claims."""
    trader, signed = waiting
    dropped = ("QUANTLAB_KRAKEN_URL", "QUANTLAB_HYPERLIQUID_URL", "QUANTLAB_REHEARSAL")
    env = {name: value for name, value in trader.env.items() if not name.startswith(dropped)}
    asked = len(trader.requests())
    done = trader.run(*submit_words(signed.artifact), env={**env, "QUANTLAB_ENVIRONMENT": environment})
    assert done.code in {1, 2, 5}, done
    assert done.refused & {"session_environment", "environment_unknown", "environment_not_supported"}, done
    assert asked == len(trader.requests())


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"\xff\xfe", b"{" * 5000, b"[" * 200_000])
def test_rubbish_is_no_signed_action(waiting, raw):
    """Rubbish where the artifact should stand is refused with 5, never with a traceback."""
    trader, signed = waiting
    is_refused(trader, with_bytes(trader, signed, raw), 5, 2)


def test_burn_of_a_changed_artifact_is_refused(waiting):
    """An order put in the place of its burn is not sent by burning it."""
    trader, signed = waiting
    artifact = with_changes(trader, signed, other_burn)
    line = ("hyperliquid", "revoke", artifact, "--reviewer", "marce", "--note", "no", "--json")
    done = trader.must(5, *line)
    assert {"signed_action_changed"} == done.refused
    assert [] == trader.actions()


# --------------------------------------------------------------------------------------- the session


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Walk one session to its end, another beside it, and keep a copy of the first as it was."""
    with trading(tmp_path_factory.mktemp("session")) as trader:
        signed, other = trader.signed(), trader.signed(size="0.1")
        trader.submit(0, other.artifact)
        trader.advance(60)
        signed = trader.signed(size="0.2")
        trader.submit(0, signed.artifact)
        trader.rung(0, "reconcile", signed.session)
        trader.rung(0, "status", signed.session)
        kept = trader.folder.parent / "kept"
        shutil.copytree(trader.path(signed.session), kept)
        yield trader, signed, other, kept


@pytest.fixture
def tampered(walked):
    """Return the walked session as it was; put it back afterwards. No order is sent meanwhile."""
    trader, signed, other, kept = walked
    trader.advance(60)
    sends = len(trader.sends())
    yield trader, signed, other
    assert sends == len(trader.sends())
    shutil.rmtree(trader.path(signed.session))
    shutil.copytree(kept, trader.path(signed.session))


def flip(path):
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def is_reported(trader, signed, other):
    """Check that show, list, health and alerts report the damaged session and go on for the other one."""
    shown = trader.rung(0, "show", signed.session).envelope
    assert shown["data"]["verifies"] is False
    assert shown["refusals"]
    rows = trader.must(0, "--hyperliquid-submit-sessions-list", ROOT, "--json").envelope["data"]["sessions"]
    verifies = {row["session_id"]: row["verifies"] for row in rows}
    assert {signed.session.rpartition("/")[2]: False, other.session.rpartition("/")[2]: True} == verifies
    trader.must(0, "--hyperliquid-submit-sessions-index", ROOT)
    trader.must(0, "--hyperliquid-submit-sessions-health", ROOT)
    assert {("unverifiable_session", signed.session.rpartition("/")[2])} <= trader.alerts()
    assert trader.shown(other.session)["verifies"] is True


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_one_bit_of_a_record(tampered, number):
    """One bit changed in any record: submit is refused with 5, and show names the session as not verifying."""
    trader, signed, _ = tampered
    flip(record_files(trader.path(signed.session))[number])
    trader.submit(5, signed.artifact)
    assert trader.shown(signed.session)["verifies"] is False


@pytest.mark.parametrize("name", RECORDS)
def test_one_bit_of_a_view(tampered, name):
    """One bit changed in any view: submit is refused with 5, and show names the session as not verifying."""
    trader, signed, _ = tampered
    flip(trader.path(signed.session) / f"{name}.json")
    trader.submit(5, signed.artifact)
    assert trader.shown(signed.session)["verifies"] is False


def test_reports_go_on_and_reads_are_marked(tampered):
    """With a changed attempt the reports go on; status, reconcile and fills ask the venue and end with 5."""
    trader, signed, other = tampered
    flip(trader.path(signed.session) / "records/0003-hyperliquid_submit_attempt.json")
    for rung in READING:
        done = trader.rung(5, rung, signed.session)
        assert "unverified" == done.envelope["outcome"]
        assert done.envelope["data"]["unverified"] is True
    done = trader.rung(5, "resolve", signed.session, *DECIDED, "--hyperliquid-resolve-decision", "not_landed",
                       "--hyperliquid-resolve-note", "no")  # fmt: skip
    assert "unverified" == done.envelope["outcome"]
    is_reported(trader, signed, other)


def test_forged_chain_is_found(tampered):
    """A chain recomputed to its end by a forger verifies in itself and differs from what the ledger saw: 5."""
    trader, signed, other = tampered
    previous = None
    for path in record_files(trader.path(signed.session)):
        body = document(path)
        if previous is None:
            body["actor"] = "somebody else"
        else:
            body["previous_sha256"] = previous
        raw = canonical(body)
        path.write_bytes(raw)
        (trader.path(signed.session) / f"{path.stem.partition('-')[2]}.json").write_bytes(raw)
        previous = hashlib.sha256(raw).hexdigest()
    trader.submit(5, signed.artifact)
    is_reported(trader, signed, other)


@pytest.mark.parametrize("left", [2, 3, 4])
def test_shortened_session_sends_nothing(tampered, left):
    """A sent session cut back to any earlier record is refused with 5, and says that a newer record is known."""
    trader, signed, _ = tampered
    for path in record_files(trader.path(signed.session))[left:]:
        (trader.path(signed.session) / f"{path.stem.partition('-')[2]}.json").unlink()
        path.unlink()
    assert {"session_shortened"} == trader.submit(5, signed.artifact).refused


def test_unreadable_session_is_reported_and_others_go_on(tampered):
    """Records replaced by rubbish: the reports end with 0 and name it; nothing is done on it but with 5."""
    trader, signed, other = tampered
    for path in record_files(trader.path(signed.session)):
        path.write_bytes(b"\x00\xff rubbish")
    trader.submit(5, signed.artifact)
    for rung, words in (("cancel", CANCEL), ("burn", BURN), ("status", ())):
        done = trader.run(f"--hyperliquid-submit-sessions-{rung}", signed.session, *words, "--json")
        assert 5 == done.code, done
    is_reported(trader, signed, other)


def test_lost_attempt_is_never_told_as_nothing_sent(tmp_path):
    """With every trace of a send in the session damaged, no look claims that nothing was sent: 5, and still held."""
    with trading(tmp_path) as trader:
        signed = trader.signed()
        trader.fault("drop_before_read")
        trader.submit(4, signed.artifact)
        for path in record_files(trader.path(signed.session))[2:]:
            path.write_bytes(b"rubbish")
        for rung in READING:
            assert "nothing_sent" not in trader.rung(5, rung, signed.session).refused
        trader.submit(5, signed.artifact)
        assert 1 == len(trader.interlocks())
        assert "interlock_held" in trader.sign("outputs/next", size="0.1", code=1).refused
        assert 1 == len(trader.sends())


def test_changed_outdir_is_found_by_show(tmp_path):
    """A signed action changed where it stands: its folder no longer verifies, and nothing is sent from it."""
    with trading(tmp_path) as trader:
        signed = trader.signed()
        flip(trader.path(signed.artifact))
        flip(trader.path(signed.artifact).parent / f"records/0001-{ARTIFACT}")
        trader.submit(5, signed.artifact)
        trader.submit(5, str(signed.artifact).rpartition("/")[0])
        assert trader.shown(signed.artifact.rpartition("/")[0])["verifies"] is False
        assert [] == trader.actions()
