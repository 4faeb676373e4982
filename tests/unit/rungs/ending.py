"""What decline and revoke have in common: a person ends a session before anything was sent."""

from tests.support.virtual import codes


def missing(bench, rung, session):
    """Check that neither name nor reason may be missing and that nothing is written then."""
    before = len(bench.session(session).chain.records)
    for reviewer, note, code in ((None, "no", "reviewer_required"), ("marce", " ", "reason_required")):
        result = bench.run(rung, session=session, reviewer=reviewer, note=note)
        assert ("denied", [code]) == (result.outcome, codes(result))
    assert before == len(bench.session(session).chain.records)


def final(bench, session):
    """Check that no rung follows and that nothing is left to do."""
    for rung, again in (
        ("approve", bench.approve),
        ("bundle", bench.bundle),
        ("gate", bench.gate),
        ("submit", bench.submit),
    ):
        assert [f"{rung}_not_allowed"] == codes(again(session))
    shown = bench.run("listing_session", session=session, report="next")
    assert shown.next is None
    assert "Nothing is left to do." in shown.headline
    assert [] == bench.orders()


def intent_state(bench, session):
    """Return how the ledger remembers the session's intent."""
    desk = bench.desk()
    digest = bench.standing(session).validation.body.intent_sha256
    [found] = [one for one in desk.ledger.intents(digest) if one.session_id == session.name]
    desk.ledger.close()
    return found.state
