"""Several processes at once, copies, backups and shortened sessions: one attempt, one order, whoever wins."""

import shutil
import threading

import pytest

from tests.e2e.operating import LIVE, REVIEW, SESSIONS, record_files, seated, until, validate_words, verify

SUBMIT = "--broker-order-validations-submit-real"


@pytest.fixture
def operator(tmp_path):
    """Seat an operator before an exchange of their own."""
    with seated(tmp_path) as one:
        yield one


def all_at_once(operator, lines):
    """Run lines as processes side by side; return how each ended."""
    running = [operator.start(*line) for line in lines]
    ended = [None] * len(running)

    def end(number):
        ended[number] = operator.end(running[number])

    threads = [threading.Thread(target=end, args=(number,)) for number in range(len(running))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert None not in ended
    return ended


def test_twenty_processes_submit_one_session(operator):
    """Twenty at once: one attempt, one order; each of them ends with 0 (sent, or told what was sent) or 6 (busy)."""
    session = operator.gated()
    ended = all_at_once(operator, [(SUBMIT, session, *LIVE, "--json")] * 20)
    assert {done.code for done in ended} <= {0, 6}, "\n".join(map(str, ended))
    assert 0 in {done.code for done in ended}
    assert 1 == len(operator.attempts(session)) == len(operator.sends()) == len(operator.exchange.orders())
    assert 1 == sum("the attempt is durable" in done.err for done in ended)
    operator.advance(60)
    operator.rung(0, "reconcile", session)
    verify(operator.path(session))


def test_twenty_processes_repeat_an_unknown(operator):
    """Twenty repeats of a lost send end with 4 or 6; none of them sends."""
    session = operator.gated()
    operator.fault("drop_after_accept")
    operator.submit(4, session)
    ended = all_at_once(operator, [(SUBMIT, session, *LIVE, "--json")] * 8)
    assert {done.code for done in ended} <= {4, 6}, "\n".join(map(str, ended))
    assert 1 == len(operator.sends())


def test_second_session_is_refused_while_the_first_is_being_sent(operator):
    """While one session's order is on its way, another session of the account is refused and told which one waits."""
    first, second = operator.gated("0.2"), operator.gated("0.1")
    operator.advance(60)
    operator.fault("delay", value=2)
    process = operator.start(SUBMIT, first, *LIVE, "--json")
    assert until(lambda: 1 == len(operator.attempts(first)), process)
    refused = operator.submit(1, second)
    assert {"interlock_held"} == refused.refused
    assert first in refused.next_line
    assert 0 == operator.end(process).code
    assert 1 == len(operator.sends())
    operator.submit(0, second)
    assert 2 == len(operator.sends()) == len(operator.exchange.orders())


def test_two_sessions_at_once(operator):
    """Two sessions submitted side by side: each is sent at most once, and one that ends with 1 or 6 sent nothing."""
    sessions = [operator.gated("0.2"), operator.gated("0.1")]
    operator.advance(60)
    ended = all_at_once(operator, [(SUBMIT, one, *LIVE, "--json") for one in sessions])
    assert {done.code for done in ended} <= {0, 1, 6}, "\n".join(map(str, ended))
    assert 0 in {done.code for done in ended}
    for session, done in zip(sessions, ended, strict=True):
        assert (1 if done.code == 0 else 0) == len(operator.attempts(session))
    assert sum(done.code == 0 for done in ended) == len(operator.sends()) == len(operator.exchange.orders())
    assert [] == operator.interlocks()


def test_two_sessions_at_once_with_a_lost_answer(operator):
    """Whichever of two is sent first and lost, the other one is refused: never two sends under one interlock."""
    sessions = [operator.gated("0.2"), operator.gated("0.1")]
    operator.advance(60)
    operator.fault("drop_after_accept", count=0)
    ended = all_at_once(operator, [(SUBMIT, one, *LIVE, "--json") for one in sessions])
    codes = sorted(done.code for done in ended)
    assert (4 == codes[1] and codes[0] in {1, 4}) or codes == [4, 6], "\n".join(map(str, ended))
    assert 1 == codes.count(4), "\n".join(map(str, ended))
    assert 1 == len(operator.sends()) == len(operator.exchange.orders()) == len(operator.interlocks())


def test_two_validations_of_one_intent_at_once(operator):
    """However many sessions of one intent are begun at once, no more than one of them is ever sent."""
    ended = all_at_once(operator, [validate_words("0.25")] * 2)
    assert {done.code for done in ended} <= {0, 1}
    operator.advance(60)
    for done in ended:
        session = f"{SESSIONS}/{done.envelope['session_id']}"
        for rung, words in (
            ("approve", ("--broker-approval-reviewer", "marce")),
            ("bundle", ()),
            ("submit-gate", REVIEW),
            ("submit-real", LIVE),
        ):
            operator.run(f"--broker-order-validations-{rung}", session, *words, "--json")
            operator.advance(60)
    assert len(operator.exchange.orders()) <= 1


def test_copy_of_a_sent_session_repeats_its_outcome(operator):
    """A gated session copied to another root before it was sent prints the outcome of the first, and sends nothing."""
    session = operator.gated()
    copy = f"outputs/elsewhere/{session.rpartition('/')[2]}"
    shutil.copytree(operator.path(session), operator.path(copy))
    operator.submit(0, session)
    done = operator.submit(0, copy)
    assert "accepted" == done.envelope["data"]["outcome"]
    assert 1 == len(operator.sends()) == len(operator.exchange.orders())
    assert [] == operator.attempts(copy)


def test_copy_of_an_unknown_session_is_unknown(operator):
    """A copy of a session whose send was lost ends with 4 as the first does, and sends nothing."""
    session = operator.gated()
    copy = f"outputs/elsewhere/{session.rpartition('/')[2]}"
    shutil.copytree(operator.path(session), operator.path(copy))
    operator.fault("drop_before_read")
    operator.submit(4, session)
    operator.submit(4, copy)
    assert 1 == len(operator.sends())
    assert [] == operator.attempts(copy)


def test_session_and_its_copy_at_once(operator):
    """A gated session and its copy submitted side by side make one order, whichever was first."""
    session = operator.gated()
    copy = f"outputs/elsewhere/{session.rpartition('/')[2]}"
    shutil.copytree(operator.path(session), operator.path(copy))
    ended = all_at_once(operator, [(SUBMIT, one, *LIVE, "--json") for one in (session, copy) * 2])
    # 4: told by the copy while the first one was still in the middle of its send.
    assert {done.code for done in ended} <= {0, 1, 4, 5, 6}, "\n".join(map(str, ended))
    assert 1 == len(operator.sends()) == len(operator.exchange.orders())
    assert 1 == len(operator.attempts(session)) + len(operator.attempts(copy))


def test_backup_put_back_after_the_send_sends_nothing(operator, tmp_path):
    """A session restored from a backup taken before the submit is not the newest evidence: exit 5, nothing is sent."""
    session = operator.gated()
    shutil.copytree(operator.path(session), tmp_path / "backup")
    operator.submit(0, session)
    shutil.rmtree(operator.path(session))
    shutil.copytree(tmp_path / "backup", operator.path(session))
    assert {"session_shortened"} == operator.submit(5, session).refused
    for rung, words in (("approve", ("--broker-approval-reviewer", "marce")), ("bundle", ()), ("submit-gate", REVIEW)):
        operator.rung(5, rung, session, *words)
    shown = operator.rung(0, "show", session)
    assert shown.envelope["data"]["verifies"] is False
    assert "session_shortened" in shown.refused
    assert 1 == len(operator.sends()) == len(operator.exchange.orders())


@pytest.mark.parametrize("records_left", [3, 4, 5])
def test_shortened_session_sends_nothing(operator, records_left):
    """A sent session cut back to any earlier record is refused with 5, and says that a newer record is known."""
    session = operator.gated()
    operator.submit(0, session)
    for path in record_files(operator.path(session))[records_left:]:
        (operator.path(session) / f"{path.stem.partition('-')[2]}.json").unlink()
        path.unlink()
    assert {"session_shortened"} == operator.submit(5, session).refused
    assert 1 == len(operator.sends()) == len(operator.exchange.orders())


def test_gated_session_without_its_gate_sends_nothing(operator):
    """A gated session shortened by its newest record, before any send, is refused with 5."""
    session = operator.gated()
    record_files(operator.path(session))[-1].unlink()
    (operator.path(session) / "broker_submit_gate.json").unlink()
    assert {"session_shortened"} == operator.submit(5, session).refused
    assert [] == operator.sends()


def test_missing_session_keeps_its_interlock(operator):
    """An unresolved session whose folder is gone holds the account until a person frees it by name and reason."""
    session = operator.gated()
    operator.fault("drop_before_read")
    operator.submit(4, session)
    shutil.rmtree(operator.path(session))
    operator.advance(60)
    assert "interlock_held" in operator.validate("0.1", code=1).refused
    (held,) = operator.interlocks()
    words = ("--account", held["account_key"], "--json")
    operator.must(2, "interlock", "resolve", "--reviewer", "marce", *words)
    operator.must(0, "interlock", "resolve", "--reviewer", "marce", "--reason", "the folder was lost", *words)
    assert [] == operator.interlocks()
    operator.validate("0.1")


def test_other_ledger_sends_nothing(operator, tmp_path):
    """Under another state folder, whose ledger never saw the session's claims, a gated session is refused."""
    session = operator.gated()
    elsewhere = {**operator.env, "QUANTLAB_STATE_DIR": str(tmp_path / "other-state")}
    done = operator.must(1, SUBMIT, session, *LIVE, "--json", env=elsewhere)
    assert "ledger_same" in done.refused
    assert [] == operator.sends()
    assert [] == operator.attempts(session)


def test_lost_ledger_is_rebuilt_before_anything_is_sent(operator):
    """With the ledger lost, a root that holds an attempt is refused until it was rebuilt from the records."""
    sent = operator.gated("0.2")
    operator.submit(0, sent)
    (operator.state / "ledger.sqlite3").unlink()
    operator.advance(60)
    session = operator.gated("0.1")
    operator.advance(60)
    done = operator.submit(1, session)
    assert "ledger_complete" in done.refused
    operator.must(0, "ledger", "rebuild", "--root", sent.rpartition("/")[0])
    assert "accepted" == operator.submit(0, sent).envelope["data"]["outcome"]
    assert 1 == len(operator.sends()) == len(operator.exchange.orders())
