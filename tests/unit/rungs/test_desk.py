"""The desk: what it refuses before any rung begins, and what it says of a session."""

import shutil
from decimal import Decimal

import pytest
from msgspec.structs import replace

from quantlab.kernel.errors import Busy, Denied, StorageFault, Unverified
from quantlab.rungs import desk as desks
from tests.support.virtual import Bench, codes


@pytest.fixture
def bench(tmp_path):
    """Surroundings of their own for each test."""
    return Bench(tmp_path)


@pytest.fixture
def desk(bench):
    """The desk of one command."""
    desk = bench.desk()
    yield desk
    desk.ledger.close()


def live(bench):
    """Return an environ of another environment."""
    return {name: text for name, text in bench.environ.items() if "URL" not in name} | {"QUANTLAB_ENVIRONMENT": "live"}


def test_a_desk_without_a_venue_says_so(desk):
    """A command that speaks to no venue has no reads."""
    desk._venue = None
    with pytest.raises(Denied) as caught:
        _ = desk.public_reads
    assert "no_venue" == caught.value.code


def test_the_environment_is_refused_before_the_venue(bench):
    """Without an environment that is the refusal, whatever else is missing."""
    desk = bench.desk({"QUANTLAB_STATE_DIR": str(bench.folder / "state")})
    desk._venue = None
    with pytest.raises(Denied) as caught:
        _ = desk.reads
    assert ("environment_not_set", "unset", "live or rehearsal") == (
        caught.value.code,
        caught.value.refusals[0].measured,
        caught.value.refusals[0].limit,
    )


def test_all_missing_credentials_are_named(bench):
    """Both names stand in the refusal."""
    del bench.environ["KRAKEN_API_KEY"], bench.environ["KRAKEN_API_SECRET"]
    with pytest.raises(Denied) as caught:
        _ = bench.desk().reads
    assert "KRAKEN_API_KEY, KRAKEN_API_SECRET" == caught.value.refusals[0].measured


def test_an_account_is_keyed_by_venue_and_environment(desk):
    """The interlock of one environment can never stand for another's."""
    assert "kraken:rehearsal:iban" == desk.account_key("iban")


def test_a_session_of_another_environment_is_refused(bench):
    """Reading and writing a rehearsal session from live is refused, with both named."""
    session = bench.validated()
    desk = bench.desk(live(bench))
    with pytest.raises(Denied) as read:
        desk.read(session)
    with pytest.raises(Denied) as written, desk.write(session):
        pytest.fail("opened")
    for caught in (read, written):
        [refusal] = caught.value.refusals
        assert ("session_environment", "rehearsal", "live") == (refusal.code, refusal.measured, refusal.limit)
    desk.ledger.close()


def test_without_an_environment_a_session_can_be_read(bench):
    """Looking needs no environment; writing does."""
    session = bench.validated()
    desk = bench.desk({"QUANTLAB_STATE_DIR": bench.environ["QUANTLAB_STATE_DIR"]})
    assert session.name == desk.read(session).session_id
    with pytest.raises(Denied, match="QUANTLAB_ENVIRONMENT"), desk.write(session):
        pytest.fail("opened")


def test_a_session_of_another_venue_is_refused(bench, desk):
    """A record that the corridor does not know marks another venue's session: no rung goes on with it."""
    session = bench.validated()
    body = bench.standing(session).validation.body
    with desk.write(session) as writer:
        writer.append("hyperliquid_signed_action", "quantlab.validation/1", body, actor="x")
    result = bench.approve(session)
    assert ("denied", ["session_of_another_venue"]) == (result.outcome, codes(result))
    assert "hyperliquid_signed_action" == result.refusals[0].measured


def test_an_empty_session_is_denied(bench, desk):
    """A folder that a command left before its first record is no session to go on with."""
    folder = bench.root / "20260921T000000Z-kraken-eth-usd-buy-000000000000"
    (folder / "records").mkdir(parents=True)
    with pytest.raises(Denied) as caught:
        desk.require_verified(desk.read(folder))
    assert "session_empty" == caught.value.code


def test_a_session_emptied_of_its_records_is_unverified(bench, desk):
    """The ledger remembers records: an emptied folder is shortened, not new."""
    session = bench.validated()
    shutil.rmtree(session / "records")
    (session / "records").mkdir()
    (session / "broker_order_validate.json").unlink()
    with pytest.raises(Unverified) as caught:
        desk.require_verified(desk.read(session))
    assert ("session_shortened", "0 records") == (caught.value.code, caught.value.refusals[0].measured)


def test_a_shortened_session_and_an_old_copy_are_unverified(bench, desk):
    """A session without its newest record, in place or as an older copy elsewhere, is refused with what is known."""
    session = bench.validated()
    copy = bench.folder / "backup" / session.name
    shutil.copytree(session, copy)
    bench.approve(session)
    for folder in (copy, session):
        (folder / "records" / "0002-approval.json").unlink(missing_ok=True)
        (folder / "approval.json").unlink(missing_ok=True)
        with pytest.raises(Unverified) as caught:
            desk.require_verified(desk.read(folder))
        assert "session_shortened" == caught.value.code
        assert str(session) in caught.value.message


def test_an_equal_copy_is_as_good(bench, desk):
    """A copy with the newest record verifies."""
    session = bench.validated()
    copy = bench.folder / "backup" / session.name
    shutil.copytree(session, copy)
    assert "validated" == desk.require_verified(desk.read(copy)).state


def test_records_that_the_ledger_missed_are_caught_up(bench, desk):
    """A record that a killed command could not report any more is made known by the next one."""
    session = bench.validated()
    approval = bench.standing(bench.gated(quantity=Decimal("0.24"))).approval.body
    digest = bench.standing(session).plan_sha256
    with desk.write(session) as writer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.ledger, "note_head", lambda head: None)
        desk.append(writer, replace(approval, plan_sha256=digest))
    assert 1 == desk.ledger.head(session.name).sequence
    desk.require_verified(desk.read(session))
    assert 2 == desk.ledger.head(session.name).sequence


@pytest.mark.parametrize(("changes", "more"), [(1, ""), (2, "and 1 more findings")])
def test_what_does_not_verify_is_named(bench, desk, changes, more):
    """The first finding is named, the number of further ones said, and show is next."""
    session = bench.validated()
    bench.approve(session)
    for name in ("approval.json", "broker_order_validate.json")[:changes]:
        (session / name).write_bytes(b"{}")
    with pytest.raises(Unverified) as caught:
        desk.require_verified(desk.read(session))
    assert ("view_tampered", "approval.json") == (caught.value.code, caught.value.refusals[0].measured)
    assert more in caught.value.message
    assert ("show", (str(session),)) == (caught.value.next_step.verb, caught.value.next_step.arguments)
    assert session.name == caught.value.session_id


def test_a_busy_session_is_refused(bench, desk):
    """While one command holds the session another is told so."""
    session = bench.validated()
    with desk.write(session), pytest.raises(Busy), desk.write(session, wait_ms=0):
        pytest.fail("opened twice")


def test_a_refused_command_still_knows_what_is_next(bench, desk):
    """After a refusal the session's own next step is suggested, show for a broken one, none for no session."""
    session = bench.validated()
    assert "approve" == desks.suggested_step(desk, session).verb
    assert desks.suggested_step(desk, bench.folder) is None
    (session / "broker_order_validate.json").write_bytes(b"{}")
    assert "show" == desks.suggested_step(desk, session).verb


@pytest.mark.parametrize("value", [None, "", " \t"])
def test_required_text(value):
    """Text that a person has to give is refused when it is blank, and stripped when it is not."""
    with pytest.raises(Denied) as caught:
        desks.required_text(value, code="why", message="Say why.")
    assert ("why", "missing") == (caught.value.code, caught.value.refusals[0].measured)
    assert "x" == desks.required_text(" x ", code="why", message="")


def test_an_unknown_state_folder_is_a_storage_fault(bench):
    """A state folder that can not be made is a fault with its path."""
    (bench.folder / "state").write_text("")
    with pytest.raises(StorageFault, match="state"):
        _ = bench.desk().ledger
