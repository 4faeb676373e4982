"""The runbook's Kraken lines, word for word, from readiness to alerts, and the same walk in the grouped spelling."""

import re
import shlex

import pytest

from tests.e2e.operating import ENVELOPE_KEYS, SESSIONS, seated, verify

SEED = """\
python main.py --broker-evidence-readiness-outdir outputs/broker_evidence
python main.py --broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor hyperliquid
python main.py --broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor kraken
python main.py --kraken-order-validate-session --broker-symbol ETH-USD --broker-side buy --broker-quantity 0.25 --broker-notional 500 --broker-account-id acct_demo
python main.py --broker-order-validations-show outputs/broker_order_validations/<session_id>
python main.py --broker-order-validations-approve outputs/broker_order_validations/<session_id> --broker-approval-reviewer marce --broker-approval-note "Approved after validate-only review"
python main.py --broker-order-validations-bundle outputs/broker_order_validations/<session_id>
python main.py --broker-order-validations-submit-gate outputs/broker_order_validations/<session_id> --broker-submit-reviewer marce --broker-submit-confirm --broker-submit-note "Ready for supervised submit review"
python main.py --broker-order-validations-submit-real outputs/broker_order_validations/<session_id> --broker-submit-reviewer marce --broker-submit-confirm --broker-submit-live --broker-submit-note "First supervised live submit"
python main.py --broker-order-validations-reconcile outputs/broker_order_validations/<session_id>
python main.py --broker-order-validations-status outputs/broker_order_validations/<session_id>
python main.py --broker-order-validations-health outputs/broker_order_validations
python main.py --broker-order-validations-alerts outputs/broker_order_validations
""".splitlines()  # noqa: E501 - the runbook's lines stand as they are
GROUPED = """\
quantlab evidence readiness outputs/broker_evidence --corridor kraken
quantlab kraken preflight outputs/broker_preflight/kraken --symbol ETH-USD
quantlab kraken auth-preflight outputs/broker_preflight/kraken_auth
quantlab kraken account-readiness outputs/broker_preflight/kraken_account --account-id acct_demo --symbol ETH-USD
quantlab kraken validate --symbol ETH-USD --side buy --quantity 0.25 --notional 500 --account-id acct_demo
quantlab kraken show outputs/broker_order_validations/<session_id>
quantlab kraken approve outputs/broker_order_validations/<session_id> --reviewer marce --note "Approved"
quantlab kraken bundle outputs/broker_order_validations/<session_id>
quantlab kraken gate outputs/broker_order_validations/<session_id> --reviewer marce --confirm --note "Ready"
quantlab kraken submit outputs/broker_order_validations/<session_id> --reviewer marce --confirm --live --note "First"
quantlab kraken reconcile outputs/broker_order_validations/<session_id>
quantlab kraken status outputs/broker_order_validations/<session_id>
quantlab kraken fills outputs/broker_order_validations/<session_id>
quantlab kraken supervise outputs/broker_order_validations/<session_id> --seconds 5
quantlab kraken list outputs/broker_order_validations
quantlab kraken index outputs/broker_order_validations
quantlab kraken health outputs/broker_order_validations
""".splitlines()
CHAIN = [
    "broker_order_validate", "approval", "broker_pre_submit_bundle", "broker_submit_gate", "broker_submit_attempt",
    "broker_submit_response", "broker_reconciliation", "broker_order_status",
]  # fmt: skip


def walk(operator, lines, *more):
    """Run lines one after the other, the session's id filled in as soon as there is one; return how each ended."""
    session, ended = "", []
    for line in lines:
        program, *words = shlex.split(line)
        if program == "python":
            assert "main.py" == words.pop(0)
        entry = "main.py" if program == "python" else "quantlab"
        words = [word.replace("<session_id>", session) for word in words]
        ended.append(operator.run(*words, *more, entry=entry))
        if not session and "validate" in words[0] + words[1]:
            (session,) = [path.name for path in (operator.folder / SESSIONS).iterdir() if path.is_dir()]
    return session, ended


@pytest.fixture(scope="module")
def seed_walk(tmp_path_factory):
    """Walk the runbook's lines once, without JSON, as a person does."""
    with seated(tmp_path_factory.mktemp("seed")) as operator:
        session, ended = walk(operator, SEED)
        yield operator, f"{SESSIONS}/{session}", ended


@pytest.fixture(scope="module")
def grouped_walk(tmp_path_factory):
    """Walk the grouped spelling once, with JSON."""
    with seated(tmp_path_factory.mktemp("grouped")) as operator:
        session, ended = walk(operator, GROUPED, "--json")
        yield operator, f"{SESSIONS}/{session}", ended


def test_every_line_of_the_runbook_ends_well(seed_walk):
    """The runbook's Kraken lines, run in order with only the session's id filled in, all end with 0."""
    _, _, ended = seed_walk
    # Readiness for a corridor may find something missing and say so with 1; it never ends otherwise.
    assert [0] * 11 == [done.code for done in ended[2:]], "\n".join(map(str, ended))
    assert {done.code for done in ended[:2]} <= {0, 1}


def test_every_line_says_first_that_it_is_a_rehearsal(seed_walk):
    """Output of what is not live says REHEARSAL before anything else; alerts are JSON."""
    _, _, ended = seed_walk
    for done in ended[:-1]:
        assert "REHEARSAL" == done.out.splitlines()[0], done
    assert [] == ended[-1].envelope["alerts"]


def test_exactly_one_order_came_of_it(seed_walk):
    """The exchange holds the one order of the session, and saw one request that could place one."""
    operator, session, _ = seed_walk
    (order,) = operator.exchange.orders()
    plan = operator.newest(session, "broker_order_validate")["plan"]
    assert ("ETH-USD", "buy", "0.25", "filled", "0.25") == (
        order["symbol"], order["side"], order["size"], order["status"], order["filled"],
    )  # fmt: skip
    assert plan["client_order_id"] == order["client_order_id"]
    assert 1 == len(operator.sends())
    assert 1 == sum(one["effect"] for one in operator.requests())


def test_records_are_the_designed_chain(seed_walk):
    """A verifier that knows only the design finds every record canonical and chained, and every view the newest."""
    operator, session, _ = seed_walk
    assert CHAIN == operator.records(session)
    records = verify(operator.path(session))
    assert all(re.fullmatch(r"quantlab\.[a-z_]+/1", record["schema"]) for record in records)
    assert "quantlab.submit_attempt/1" == records[4]["schema"]
    assert {"rehearsal"} == {record["environment"] for record in records}
    assert 1 == len({record["state_id"] for record in records})
    assert ["marce"] * 3 == [records[number]["actor"] for number in (1, 3, 4)]


def test_every_record_cites_the_plan(seed_walk):
    """One plan digest stands in all records of the session, and it is the digest of the plan's canonical bytes."""
    operator, session, _ = seed_walk
    records = verify(operator.path(session))
    assert 1 == len({record["plan_sha256"] for record in records})


def test_folders_and_files_belong_to_the_operator_alone(seed_walk):
    """Session folders are 0700 and all files in them 0600."""
    operator, session, _ = seed_walk
    for path in [operator.path(session), *operator.path(session).rglob("*")]:
        assert (0o700 if path.is_dir() else 0o600) == path.stat().st_mode & 0o777, path


def test_artifacts_stand_where_the_runbook_looks(seed_walk):
    """Every artifact that the runbook names is where it says."""
    operator, session, _ = seed_walk
    expected = {f"{name}.json" for name in CHAIN} | {"session_metadata.json", "session_status.json"}
    assert expected == {path.name for path in operator.path(session).glob("*.json")}
    for name in ("broker_evidence/broker_evidence_readiness.json",
                 "broker_order_validations/health.json", "broker_order_validations/alerts.json"):  # fmt: skip
        assert (operator.folder / "outputs" / name).is_file(), name


def test_order_sent_equals_the_order_approved(seed_walk):
    """The bytes sent are the bundled ones plus nonce and deadline; validate is not among them."""
    operator, session, _ = seed_walk
    bundle = operator.newest(session, "broker_pre_submit_bundle")
    attempt = operator.newest(session, "broker_submit_attempt")
    fields = attempt["body_text"].split("&")
    assert set(bundle["order_text"].split("&")) == {
        one for one in fields if not one.startswith(("nonce=", "deadline="))
    }


def test_grouped_spelling_walks_the_same_way(grouped_walk):
    """The grouped spelling makes the same records and one order, and adds fills and supervision."""
    operator, session, ended = grouped_walk
    assert [0] * len(GROUPED) == [done.code for done in ended], "\n".join(map(str, ended))
    assert [*CHAIN, "broker_fill_summary", "broker_supervision"] == operator.records(session)
    assert len(operator.records(session)) == len(verify(operator.path(session)))
    assert 1 == len(operator.exchange.orders())
    assert 1 == len(operator.sends())


def test_json_is_one_envelope_of_the_designed_keys(grouped_walk):
    """With --json each command prints one line: the designed keys in the designed order, the true exit code."""
    _, session, ended = grouped_walk
    for done in ended:
        assert 1 == len(done.out.splitlines()), done
        envelope = done.envelope
        assert ENVELOPE_KEYS == list(envelope), done
        assert ("quantlab.result/1", "rehearsal", "done", done.code) == (
            envelope["schema"], envelope["environment"], envelope["outcome"], envelope["exit_code"],
        )  # fmt: skip
    assert {session.rpartition("/")[2]} == {done.envelope["session_id"] for done in ended[4:14]}


def test_artifacts_named_by_a_command_exist(grouped_walk):
    """Every artifact path in an envelope is a file under the working directory."""
    operator, _, ended = grouped_walk
    for done in ended:
        for name in done.envelope["artifacts"]:
            assert (operator.folder / name).is_file(), (done, name)


def test_submitting_twice_repeats_the_outcome(grouped_walk):
    """The submit line run again prints the recorded outcome with exit 0 and sends nothing."""
    operator, session, _ = grouped_walk
    before = operator.records(session)
    again = operator.submit(0, session)
    assert "accepted" == again.envelope["data"]["outcome"]
    assert before == operator.records(session)
    assert 1 == len(operator.sends())


@pytest.mark.parametrize("entry", ["main.py", "quantlab"])
def test_printed_next_commands_lead_to_the_end(operator, entry):
    """Following `next.command` alone, placeholders filled in, walks from validate to alerts in the same spelling."""
    spelled = {
        "main.py": shlex.split(SEED[3])[2:],
        "quantlab": shlex.split(GROUPED[4])[1:],
    }[entry]
    done = operator.must(0, *spelled, "--json", entry=entry)
    session = f"{SESSIONS}/{done.envelope['session_id']}"
    steps = []
    for _ in range(10):
        command = done.next_line
        assert command.startswith("python main.py --" if entry == "main.py" else "quantlab kraken "), command
        steps.append(command.split()[2].removeprefix("--broker-order-validations-"))
        done = operator.follow(command)
        assert 0 == done.code, done
        if steps[-1] == "alerts":
            break
    flags = ["approve", "bundle", "submit-gate", "submit-real", "status", "fills", "alerts"]
    verbs = ["approve", "bundle", "gate", "submit", "status", "fills", "alerts"]
    assert (flags if entry == "main.py" else verbs) == steps
    assert 1 == len(operator.exchange.orders())
    assert "filled" == operator.shown(session)["state"]
