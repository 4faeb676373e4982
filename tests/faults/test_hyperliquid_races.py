"""Several processes, copies and roots at once on the Hyperliquid corridor: one signature, one request, ever."""

import shutil
import threading

import pytest

from tests.e2e.operating import PASSED_SECONDS, until, verify
from tests.e2e.operating_hyperliquid import (
    ARTIFACT,
    BURN,
    ROOT,
    copied,
    document,
    sent_once,
    sign_words,
    submit_words,
    trading,
)

ELSEWHERE = "outputs/elsewhere"


@pytest.fixture
def trader(tmp_path):
    """Seat a trader before an exchange of their own."""
    with trading(tmp_path) as one:
        yield one


def all_at_once(trader, lines):
    """Run lines as processes side by side; return how each ended."""
    running = [trader.start(*line) for line in lines]
    ended = [None] * len(running)

    def end(number):
        ended[number] = trader.end(running[number])

    threads = [threading.Thread(target=end, args=(number,)) for number in range(len(running))]
    for thread in threads:
        thread.start()
    until(lambda: is_over(trader, threads))
    assert None not in ended
    return ended


def is_over(trader, threads):
    """Wait a little; so many at once use the rate budget up, which is full again after a minute of the exchange's."""
    threads[-1].join(timeout=5)
    alive = [thread for thread in threads if thread.is_alive()]
    if alive:
        alive[0].join(timeout=5)
        trader.advance(60)
    return not alive


def moved(signed):
    """Return the session's folder under the other root."""
    return f"{ELSEWHERE}/{signed.session.rpartition('/')[2]}"


def one_post_ever(trader, signed):
    """Check that one order was asked for and made, from one of the two roots."""
    assert [True] == [one["effect"] for one in trader.sends()]
    assert 1 == len(trader.exchange.orders())
    folders = [one for one in (signed.session, moved(signed)) if trader.path(one).exists()]
    assert 1 == sum(len(trader.attempts(one)) for one in folders)
    for folder in folders:
        verify(trader.path(folder))


def test_ten_processes_submit_from_two_copies_and_two_roots(trader):
    """Ten at once, half from a copy, half to another root: one POST; the others repeat its outcome or are busy."""
    signed = trader.signed("--execution-expires-after", "900")
    copy = copied(trader, signed.artifact, "outputs/copy")
    lines = [submit_words(artifact, root=root) for artifact in (signed.artifact, copy) for root in (ROOT, ELSEWHERE)]
    ended = all_at_once(trader, [*lines, *lines, *lines[:2]])
    # 4: told what is recorded while the first one was still in the middle of its send.
    assert {done.code for done in ended} <= {0, 4, 6}, [done for done in ended if done.code not in {0, 4, 6}]
    assert 0 in {done.code for done in ended}
    assert 1 == sum("the attempt is durable" in done.err for done in ended)
    one_post_ever(trader, signed)
    trader.advance(PASSED_SECONDS)
    assert "accepted" == trader.submit(0, copy, root=ELSEWHERE).envelope["data"]["outcome"]
    assert [] == trader.interlocks()
    one_post_ever(trader, signed)


def test_ten_processes_repeat_an_unknown(trader):
    """However many repeat a lost send, from wherever: 4 or 6, and none of them sends."""
    signed = trader.signed()
    trader.fault("drop_before_read")
    trader.submit(4, signed.artifact)
    copy = copied(trader, signed.artifact, "outputs/copy")
    ended = all_at_once(trader, [submit_words(copy, root=ELSEWHERE), submit_words(signed.artifact)] * 4)
    assert {done.code for done in ended} <= {4, 6}, "\n".join(map(str, ended))
    sent_once(trader, signed, orders=0)


def test_four_processes_sign_one_intent(trader):
    """Four at once, each with its own outdir: one signature; the others are refused while it lives, or are busy."""
    ended = all_at_once(trader, [sign_words(f"outputs/s{number}") for number in range(4)])
    codes = [done.code for done in ended]
    assert 1 == codes.count(0), "\n".join(map(str, ended))
    for done in ended:
        if done.code == 1:
            assert "signed_action_live" in done.refused or "same_intent" in done.refused, done
        else:
            assert done.code in {0, 6}, done
    states = [
        document(path)["signature_state"] for path in sorted(trader.folder.glob(f"outputs/s*/{ARTIFACT}"))
    ]  # fmt: skip
    assert 1 == states.count("signed")
    assert [] == trader.actions()


def test_six_processes_sign_into_one_outdir(trader):
    """Six at once into the same outdir: one signature, one artifact, which the others leave as it is."""
    ended = all_at_once(trader, [sign_words("outputs/s")] * 6)
    codes = [done.code for done in ended]
    assert 1 == codes.count(0), "\n".join(map(str, ended))
    assert set(codes) <= {0, 1, 6}
    assert "signed" == document(trader.path(f"outputs/s/{ARTIFACT}"))["signature_state"]
    trader.submit(0, f"outputs/s/{ARTIFACT}")
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


def test_second_signed_action_is_refused_while_the_first_lives(trader):
    """The same order is not signed again just to see if it lands: refused until the first has run out or was sent."""
    signed = trader.signed()
    again = trader.sign("outputs/second", code=1)
    assert {"signed_action_live", "same_intent"} & again.refused, again
    assert "signed" == document(trader.path(signed.artifact))["signature_state"]
    trader.advance(PASSED_SECONDS + 30)
    # It ran out unsent: the same nonce and the same client order id are used again, so at most one of the two can land.
    fresh = trader.sign("outputs/third").envelope["data"]
    first = document(trader.path(signed.artifact))
    assert first["nonce"] == fresh["nonce"]
    assert first["plan"]["client_order_id"] == fresh["plan"]["client_order_id"]
    trader.submit(0, f"outputs/third/{ARTIFACT}")
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


def test_second_order_is_refused_while_the_first_is_being_sent(trader):
    """While one order is on its way, another one of the account is refused and told which one waits."""
    first = trader.signed("--execution-expires-after", "300", size="0.2")
    second = trader.signed(size="0.1")
    trader.fault("delay", value=3)
    process = trader.start(*submit_words(first.artifact))
    assert until(trader.fault_is_met, process)
    refused = trader.submit(1, second.artifact)
    assert {"interlock_held"} == refused.refused
    assert first.session in refused.next_line
    assert 0 == trader.end(process).code
    assert 1 == len(trader.sends())
    trader.submit(0, second.artifact)
    assert 2 == len(trader.sends()) == len(trader.exchange.orders())


def test_two_orders_at_once_with_a_lost_answer(trader):
    """Whichever of two is sent first and lost, the other one is refused: never two sends under one interlock."""
    signed = [trader.signed("--execution-expires-after", "300", size=size) for size in ("0.2", "0.1")]
    trader.fault("drop_after_accept", count=0)
    ended = all_at_once(trader, [submit_words(one.artifact) for one in signed])
    codes = sorted(done.code for done in ended)
    assert codes in ([1, 4], [4, 6]), "\n".join(map(str, ended))
    assert 1 == len(trader.sends()) == len(trader.exchange.orders()) == len(trader.interlocks())


def test_submit_and_burn_at_once(trader):
    """An order is submitted and revoked side by side: it lands once or never, and the state says which."""
    signed = trader.signed()
    revoke = ("hyperliquid", "revoke", signed.artifact, "--reviewer", "marce", "--note", "changed my mind", "--json")
    submitted, revoked = all_at_once(trader, [submit_words(signed.artifact), revoke])
    assert submitted.code in {0, 1, 4, 6}, submitted
    assert revoked.code in {0, 1, 4, 6}, revoked
    state = trader.shown(signed.session)["state"]
    orders = len(trader.exchange.orders())
    if submitted.code == 0:
        assert (1, "landed") == (orders, state), (submitted, revoked)
    elif submitted.code != 4:
        assert 0 == orders, (submitted, revoked)
        assert "landed" != state
    assert len(trader.sends()) <= 1
    verify(trader.path(signed.session))


def test_four_burns_at_once(trader):
    """Burns side by side: each ends in a documented way, and what they prove together is no absence by mistake."""
    signed = trader.signed()
    trader.fault("drop_after_accept")
    trader.submit(4, signed.artifact)
    line = ("--hyperliquid-submit-sessions-burn", signed.session, *BURN, "--json")
    ended = all_at_once(trader, [line] * 4)
    assert {done.code for done in ended} <= {4, 6}, "\n".join(map(str, ended))
    assert "landed" == trader.look(0, signed.session)
    sent_once(trader, signed, orders=1)


# ------------------------------------------------------------------------------- copies and backups


def test_copy_of_the_whole_folder_repeats_the_outcome(trader):
    """The session itself, copied to another root, prints the outcome of the first and sends nothing."""
    signed = trader.signed()
    trader.submit(0, signed.artifact)
    shutil.copytree(trader.path(signed.session), trader.path(moved(signed)))
    assert "accepted" == trader.submit(0, moved(signed)).envelope["data"]["outcome"]
    assert "accepted" == trader.submit(0, signed.session).envelope["data"]["outcome"]
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


def test_backup_put_back_after_the_send_sends_nothing(trader, tmp_path):
    """A session put back as it was before its send is not the newest evidence: exit 5, nothing is sent."""
    signed = trader.signed()
    trader.fault_at("agent_removed", "*")
    trader.submit(1, signed.artifact)
    trader.mend()
    shutil.copytree(trader.path(signed.session), tmp_path / "backup")
    trader.submit(0, signed.artifact)
    shutil.rmtree(trader.path(signed.session))
    shutil.copytree(tmp_path / "backup", trader.path(signed.session))
    assert {"session_shortened"} == trader.submit(5, signed.artifact).refused
    assert "session_shortened" in trader.rung(0, "show", signed.session).refused
    assert 1 == len(trader.sends()) == len(trader.exchange.orders())


def test_session_that_is_gone_sends_nothing_again(trader):
    """With the sent session's folder removed the ledger still knows: the artifact is not sent again."""
    signed = trader.signed()
    trader.fault("drop_before_read")
    trader.submit(4, signed.artifact)
    shutil.rmtree(trader.path(signed.session))
    trader.submit(4, signed.artifact)
    assert "interlock_held" in trader.sign("outputs/next", size="0.1", code=1).refused
    assert 1 == len(trader.sends())


def test_other_ledger_sends_nothing(trader, tmp_path):
    """Under another state folder, whose ledger never saw the signature, the artifact is refused."""
    signed = trader.signed()
    elsewhere = {**trader.env, "QUANTLAB_STATE_DIR": str(tmp_path / "other-state")}
    done = trader.must(1, *submit_words(signed.artifact), env=elsewhere)
    assert {"ledger_same"} == done.refused
    assert [] == trader.sends()
    assert not trader.path(ROOT).exists()
