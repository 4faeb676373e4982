"""The runbook's Hyperliquid lines, word for word, from preflight to cancel, and the same in the grouped spelling."""

import json
import re
import shlex
from decimal import Decimal

import pytest
from hyperliquid.utils.signing import recover_agent_or_user_from_l1_action

from tests.e2e.operating import ENVELOPE_KEYS, files_under, verify
from tests.e2e.operating_hyperliquid import ARTIFACT, ROOT, document, filled_in, sha256_of, sign_words, trading

OUTDIR = "outputs/broker_preflight/hyperliquid_signed_action_demo"
SEED = """\
python main.py --broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor hyperliquid
python main.py --hyperliquid-preflight-outdir outputs/broker_preflight/hyperliquid_demo --broker-symbol ETH --execution-transport-preference websocket
python main.py --hyperliquid-account-readiness-outdir outputs/broker_preflight/hyperliquid_account_demo --execution-account-id 0x0000000000000000000000000000000000000000
python main.py --hyperliquid-signed-action-outdir outputs/broker_preflight/hyperliquid_signed_action_demo --broker-symbol ETH --broker-side buy --broker-quantity 0.25 --broker-notional 500 --execution-account-id 0x0000000000000000000000000000000000000000 --execution-signer-id 0xSIGNER_ADDRESS --hyperliquid-private-key-env HYPERLIQUID_PRIVATE_KEY
python main.py --hyperliquid-submit-session outputs/broker_preflight/hyperliquid_signed_action_demo/hyperliquid_signed_action.json --hyperliquid-submit-reviewer marce --hyperliquid-submit-confirm --hyperliquid-submit-sessions-root outputs/hyperliquid_submits
python main.py --hyperliquid-submit-sessions-status outputs/hyperliquid_submits/<session_id>
python main.py --hyperliquid-submit-sessions-reconcile outputs/hyperliquid_submits/<session_id>
python main.py --hyperliquid-submit-sessions-fills outputs/hyperliquid_submits/<session_id>
python main.py --hyperliquid-submit-sessions-supervise outputs/hyperliquid_submits/<session_id>
python main.py --hyperliquid-submit-sessions-health outputs/hyperliquid_submits
python main.py --hyperliquid-submit-sessions-alerts outputs/hyperliquid_submits
python main.py --hyperliquid-submit-sessions-cancel outputs/hyperliquid_submits/<session_id> --hyperliquid-cancel-reviewer marce --hyperliquid-cancel-confirm
""".splitlines()  # noqa: E501 - the runbook's lines stand as they are
READINESS, PREFLIGHT, ACCOUNT, SIGN, SUBMIT = range(5)
GROUPED = """\
quantlab evidence readiness outputs/broker_evidence --corridor hyperliquid
quantlab hyperliquid preflight outputs/broker_preflight/hyperliquid_demo --symbol ETH --transport either
quantlab hyperliquid account-readiness outputs/broker_preflight/hyperliquid_account_demo --account-id 0x0000000000000000000000000000000000000000 --symbol ETH
quantlab hyperliquid sign outputs/broker_preflight/hyperliquid_signed_action_demo --symbol ETH --side buy --quantity 0.25 --notional 500 --account-id 0x0000000000000000000000000000000000000000 --signer 0xSIGNER_ADDRESS --private-key-env HYPERLIQUID_PRIVATE_KEY
quantlab hyperliquid submit outputs/broker_preflight/hyperliquid_signed_action_demo/hyperliquid_signed_action.json --reviewer marce --confirm --root outputs/hyperliquid_submits
quantlab hyperliquid show outputs/hyperliquid_submits/<session_id>
quantlab hyperliquid next outputs/hyperliquid_submits/<session_id>
quantlab hyperliquid reconcile outputs/hyperliquid_submits/<session_id>
quantlab hyperliquid status outputs/hyperliquid_submits/<session_id>
quantlab hyperliquid fills outputs/hyperliquid_submits/<session_id>
quantlab hyperliquid supervise outputs/hyperliquid_submits/<session_id> --polls 2 --interval-seconds 1
quantlab hyperliquid list outputs/hyperliquid_submits
quantlab hyperliquid index outputs/hyperliquid_submits
quantlab hyperliquid health outputs/hyperliquid_submits
quantlab hyperliquid alerts outputs/hyperliquid_submits
""".splitlines()  # noqa: E501
SENT = ["hyperliquid_signed_action", "approval", "hyperliquid_submit_attempt", "hyperliquid_submit_response"]
SEED_CHAIN = [
    *SENT, "hyperliquid_order_status", "hyperliquid_reconciliation", "hyperliquid_fill_summary",
    "hyperliquid_supervision", "hyperliquid_cancel_attempt", "hyperliquid_cancel_response",
]  # fmt: skip
GROUPED_CHAIN = [
    *SENT, "hyperliquid_reconciliation", "hyperliquid_order_status", "hyperliquid_fill_summary",
    "hyperliquid_supervision",
]  # fmt: skip


def run_line(trader, line, *more, session="", fill=True):
    """Run one line of the runbook as the shell would."""
    program, *words = shlex.split(filled_in(line, trader.env, session) if fill else line)
    if program == "python":
        assert "main.py" == words.pop(0)
    return trader.run(*words, *more, entry="main.py" if program == "python" else "quantlab")


def walk(trader, lines, *more):
    """Run lines one after the other, the session's id filled in as soon as there is one; return how each ended."""
    session, ended = "", []
    for line in lines:
        ended.append(run_line(trader, line, *more, session=session))
        if "submit" in line and not session:
            (session,) = [path.name for path in trader.path(ROOT).iterdir() if path.is_dir()]
    return session, ended


@pytest.fixture(scope="module")
def seed_walk(tmp_path_factory):
    """Walk the runbook's lines once, without JSON, as a person does."""
    with trading(tmp_path_factory.mktemp("seed")) as trader:
        session, ended = walk(trader, SEED)
        yield trader, f"{ROOT}/{session}", ended


@pytest.fixture(scope="module")
def grouped_walk(tmp_path_factory):
    """Walk the grouped spelling once, with JSON, over TLS."""
    with trading(tmp_path_factory.mktemp("grouped"), "--tls") as trader:
        session, ended = walk(trader, GROUPED, "--json")
        yield trader, f"{ROOT}/{session}", ended


def test_every_line_of_the_runbook_ends_well(seed_walk):
    """The runbook's lines, in order, with addresses and session id filled in, end with 0."""
    _, _, ended = seed_walk
    # Readiness for a corridor may find something missing and say so with 1; it never ends otherwise.
    assert [0] * 11 == [done.code for done in ended[1:]], "\n".join(map(str, ended))
    assert ended[READINESS].code in {0, 1}


def test_cancel_of_what_has_ended_is_never_told_as_canceled(seed_walk):
    """The order filled at once: the venue refuses the cancel, and its own status says filled."""
    trader, session, ended = seed_walk
    assert "The order has ended: filled, 0.25 of 0.25 filled." in ended[-1].out
    answer = trader.newest(session, "hyperliquid_cancel_response")
    assert ("rejected", "filled") == (answer["outcome"], answer["order"]["state"])
    assert "filled" == trader.shown(session)["state"]


def test_every_line_says_first_that_it_is_a_rehearsal(seed_walk):
    """Output of what is not live says REHEARSAL before anything else; alerts are JSON."""
    _, _, ended = seed_walk
    for done in (*ended[:-2], ended[-1]):
        assert "REHEARSAL" == done.out.splitlines()[0], done
    assert [] == ended[-2].envelope["alerts"]


def test_exactly_one_order_came_of_it(seed_walk):
    """The exchange holds the one order of the session, and saw one request that could place one."""
    trader, session, _ = seed_walk
    (order,) = trader.exchange.orders()
    plan = trader.newest(session, "hyperliquid_signed_action")["plan"]
    assert ("ETH", "buy", "0.25", "filled", "0.25") == (
        order["symbol"], order["side"], order["size"], order["status"], order["filled"],
    )  # fmt: skip
    assert plan["client_order_id"] == order["client_order_id"]
    assert ["order", "cancel"] == [one["type"] for one in trader.actions()]
    assert [True] == [one["effect"] for one in trader.sends()]


def test_records_are_the_designed_chain(seed_walk):
    """A verifier that knows only the design finds every record canonical and chained, and every view the newest."""
    trader, session, _ = seed_walk
    assert SEED_CHAIN == trader.records(session)
    records = verify(trader.path(session))
    assert all(re.fullmatch(r"quantlab\.[a-z_]+/1", record["schema"]) for record in records)
    assert {"rehearsal"} == {record["environment"] for record in records}
    assert 1 == len({record["state_id"] for record in records})
    assert 1 == len({record["plan_sha256"] for record in records})
    assert ["marce"] * 2 == [records[number]["actor"] for number in (1, 2)]
    assert "confirmed_at_submit" == records[1]["basis"]


def test_session_holds_the_artifact_that_was_signed(seed_walk):
    """What was adopted is the very text of the artifact, and the bytes sent are those in it."""
    trader, session, _ = seed_walk
    artifact = trader.path(f"{OUTDIR}/{ARTIFACT}")
    adopted, attempt = trader.newest(session, "hyperliquid_signed_action"), trader.newest(
        session, "hyperliquid_submit_attempt"
    )  # fmt: skip
    assert artifact.read_text() == adopted["source_text"]
    assert sha256_of(artifact) == adopted["source_sha256"]
    assert "signed" == document(artifact)["signature_state"]
    assert document(artifact)["signed"]["body_text"] == attempt["body_text"]
    assert document(artifact)["nonce"] == str(attempt["nonce"])


def test_official_client_reads_the_signer_out_of_the_bytes_sent(seed_walk):
    """The venue's own client recovers the signer's address from what was sent, on the trial network's source."""
    trader, session, _ = seed_walk
    body = json.loads(trader.newest(session, "hyperliquid_submit_attempt")["body_text"])
    recovered = recover_agent_or_user_from_l1_action(
        body["action"], body["signature"], None, body["nonce"], body["expiresAfter"], False
    )
    assert trader.signer == recovered.lower()


def test_folders_and_files_belong_to_the_operator_alone(seed_walk):
    """Session folders are 0700 and all files in them 0600, and so is the signed action, which anybody could send."""
    trader, session, _ = seed_walk
    for folder in (trader.path(session), trader.path(OUTDIR)):
        for path in [folder, *folder.rglob("*")]:
            assert (0o700 if path.is_dir() else 0o600) == path.stat().st_mode & 0o777, path


def test_artifacts_stand_where_the_runbook_looks(seed_walk):
    """Every artifact that the runbook names is where it says."""
    trader, session, _ = seed_walk
    expected = {f"{name}.json" for name in SEED_CHAIN} | {"session_metadata.json", "session_status.json"}
    assert expected == {path.name for path in trader.path(session).glob("*.json")}
    for name in (
        "broker_evidence/broker_evidence_readiness.json", "broker_preflight/hyperliquid_demo/broker_preflight.json",
        "broker_preflight/hyperliquid_account_demo/hyperliquid_account_readiness.json",
        f"broker_preflight/hyperliquid_signed_action_demo/{ARTIFACT}",
        "hyperliquid_submits/health.json", "hyperliquid_submits/alerts.json",
    ):  # fmt: skip
        assert (trader.folder / "outputs" / name).is_file(), name
    account = document(
        trader.folder / "outputs/broker_preflight/hyperliquid_account_demo/hyperliquid_account_readiness.json"
    )
    assert account["readiness_allowed"] is True


def test_fills_are_summed_and_compared(seed_walk):
    """The fill summary holds what traded with fees and average price; its sum is the order's."""
    trader, session, _ = seed_walk
    fills = trader.newest(session, "hyperliquid_fill_summary")
    assert "0.25" == fills["filled_base"]
    assert Decimal(fills["average_price"]) > 0
    assert fills["fees"], fills


def test_grouped_spelling_walks_the_same_way_over_tls(grouped_walk):
    """The grouped spelling, over TLS under a throwaway authority, makes the same records and one order."""
    trader, session, ended = grouped_walk
    codes = [done.code for done in ended]
    assert [0] * (len(GROUPED) - 1) == codes[1:], "\n".join(map(str, ended))
    assert codes[0] in {0, 1}
    assert trader.env["QUANTLAB_HYPERLIQUID_URL"].startswith("https://")
    assert GROUPED_CHAIN == trader.records(session)
    assert len(GROUPED_CHAIN) == len(verify(trader.path(session)))
    assert 1 == len(trader.exchange.orders()) == len(trader.sends())


def test_json_is_one_envelope_of_the_designed_keys(grouped_walk):
    """With --json each command prints one line: the designed keys in the designed order, the true exit code."""
    trader, session, ended = grouped_walk
    for done in ended[1:-1]:
        assert 1 == len(done.out.splitlines()), done
        envelope = done.envelope
        assert ENVELOPE_KEYS == list(envelope), done
        assert ("quantlab.result/1", "rehearsal", "done", done.code) == (
            envelope["schema"], envelope["environment"], envelope["outcome"], envelope["exit_code"],
        )  # fmt: skip
        for name in envelope["artifacts"]:
            assert (trader.folder / name).is_file(), (done, name)
    assert {session.rpartition("/")[2]} == {
        done.envelope["session_id"] for done in ended[SIGN:11] if done.envelope["command"] != "hyperliquid next"
    }


def test_submitting_twice_repeats_the_outcome(grouped_walk):
    """The submit line run again prints the recorded outcome with exit 0 and sends nothing."""
    trader, session, _ = grouped_walk
    before = trader.records(session)
    again = trader.submit(0, f"{OUTDIR}/{ARTIFACT}")
    assert "accepted" == again.envelope["data"]["outcome"]
    assert before == trader.records(session)
    assert 1 == len(trader.sends())


@pytest.fixture
def trader(tmp_path):
    """Seat a trader before an exchange of their own."""
    with trading(tmp_path) as one:
        yield one


@pytest.mark.parametrize("entry", ["main.py", "quantlab"])
def test_printed_next_commands_lead_to_the_end(trader, entry):
    """Following `next.command` alone, placeholders filled in, walks from signing to alerts in the same spelling."""
    line = {"main.py": SEED, "quantlab": GROUPED}[entry][SIGN]
    done = run_line(trader, line, "--json")
    assert 0 == done.code, done
    session = f"{ROOT}/{done.envelope['session_id']}"
    steps = []
    for _ in range(8):
        command = done.next_line
        prefix = "python main.py --hyperliquid-submit-session" if entry == "main.py" else "quantlab hyperliquid "
        assert command.startswith(prefix), command
        steps.append(command.split()[2].removeprefix("--hyperliquid-submit-sessions-"))
        done = trader.follow(command)
        assert 0 == done.code, done
        if steps[-1] == "alerts":
            break
    first = "--hyperliquid-submit-session" if entry == "main.py" else "submit"
    assert [first, "status", "fills", "alerts"] == steps
    assert 1 == len(trader.exchange.orders())
    assert "filled" == trader.shown(session)["state"]


def test_resting_order_is_supervised_and_canceled_by_the_runbooks_line(trader):
    """An order that rests is open; the runbook's cancel line ends it, and says canceled only when the venue does."""
    signed = trader.signed("--broker-limit-price", "1990", "--broker-time-in-force", "gtc")
    trader.submit(0, signed.artifact)
    assert "open" == trader.rung(0, "status", signed.session).envelope["data"]["order"]["state"]
    done = run_line(trader, SEED[-1], "--json", session=signed.session.rpartition("/")[2])
    assert (0, "canceled") == (done.code, done.envelope["data"]["order"]["state"])
    assert "canceled" == trader.shown(signed.session)["state"]
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())
    verify(trader.path(signed.session))


# -------------------------------------------------------------------- with the placeholders left in


def test_all_zero_account_is_refused_with_its_artifact(trader):
    """The runbook's readiness line as it stands: exit 1, its artifact written, readiness not allowed, nothing asked."""
    done = run_line(trader, SEED[ACCOUNT], fill=False)
    assert 1 == done.code, done
    artifact = trader.path("outputs/broker_preflight/hyperliquid_account_demo/hyperliquid_account_readiness.json")
    assert document(artifact)["readiness_allowed"] is False
    assert [] == trader.requests()


def test_placeholder_signer_is_a_usage_error(trader):
    """The runbook's signing line as it stands: 0xSIGNER_ADDRESS is no address, exit 2, nothing written or asked."""
    done = run_line(trader, SEED[SIGN], fill=False)
    assert 2 == done.code, done
    assert "0xSIGNER_ADDRESS" in done.out + done.err
    assert [] == files_under(trader.folder)
    assert [] == trader.requests()
    # And so the runbook's next line finds no artifact to send.
    assert 2 == run_line(trader, SEED[SUBMIT], fill=False).code
    assert [] == trader.requests()


def test_all_zero_account_is_never_signed_for(trader):
    """With the signer filled in, the all-zero account ends with 1, an artifact that is not signed, and no nonce."""
    line = SEED[SIGN].replace("0xSIGNER_ADDRESS", trader.signer)
    done = run_line(trader, line, "--json", fill=False)
    assert 1 == done.code, done
    artifact = document(trader.path(f"{OUTDIR}/{ARTIFACT}"))
    assert ("pending_signer_backend", False, None) == (
        artifact["signature_state"], artifact["readiness_allowed"], artifact["nonce"],
    )  # fmt: skip
    assert {"not_signed"} == trader.submit(1, f"{OUTDIR}/{ARTIFACT}").refused
    assert [] == trader.requests()


@pytest.mark.parametrize("line", SEED[SUBMIT + 1 :])
def test_placeholder_session_is_no_session(trader, line):
    """Every session line as it stands, `<session_id>` left in: a clear end, nothing sent, never a traceback."""
    done = run_line(trader, line, fill=False)
    assert done.code in ({0} if "<session_id>" not in line else {2}), done
    assert [] == trader.actions()


def test_no_key_leaves_an_artifact_that_waits_for_one(trader):
    """Without a key every check passes and nothing is signed: exit 1, pending_signer_backend; submit refuses it."""
    env = {name: value for name, value in trader.env.items() if name != "HYPERLIQUID_PRIVATE_KEY"}
    done = trader.must(1, *sign_words("outputs/s"), env=env)
    assert {"signer_backend_missing"} == done.refused
    assert "pending_signer_backend" == document(trader.path(f"outputs/s/{ARTIFACT}"))["signature_state"]
    assert {"not_signed"} == trader.submit(1, f"outputs/s/{ARTIFACT}").refused
    # The same line with the key signs it, with no second artifact of the order about.
    trader.sign("outputs/s")
    trader.submit(0, f"outputs/s/{ARTIFACT}")
    assert 1 == len(trader.sends())
