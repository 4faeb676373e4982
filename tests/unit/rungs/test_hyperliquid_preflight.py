"""Preflight, account readiness and outdirs on Hyperliquid: what is asked, over which channel, and what is refused."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quantlab.evidence.preparatory import AccountReadiness, Body, Preflight
from quantlab.storage.reader import read_session
from tests.support.breaking import QuickDisk
from tests.support.virtual import codes
from tests.support.virtual_hyperliquid import PATH, HyperliquidBench

ORDER = {"symbol": "ETH", "side": "buy", "quantity": Decimal("0.25"), "notional": Decimal(500)}


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def newest(bench: HyperliquidBench, folder: Path, kind: type[Body]) -> Any:
    """Return the newest body of a kind in an outdir that verifies."""
    session = read_session(bench.disk, folder, expect_id_of_folder=False)
    assert session.verifies, session.findings
    record = session.chain.newest(kind)
    assert record is not None
    return record.body


def facts(result: Any) -> dict[str, str]:
    """Return the facts of a result by label."""
    return {fact.label: fact.value for fact in result.facts}


def on_the_wire(bench: HyperliquidBench) -> list[bytes]:
    """Return the list that every piece of bytes sent from now on is put into."""
    seen: list[bytes] = []
    bench.connector.on_send = seen.append
    return seen


# ------------------------------------------------------------------ preflight


def test_the_websocket_alone_is_asked_by_post(bench):
    """No request goes over HTTP: market, book and account are read through the one stream, and stand in the record."""
    seen = on_the_wire(bench)
    result = bench.preflight(transport="websocket", side="buy", quantity=Decimal("0.25"))
    assert ("done", []) == (result.outcome, codes(result))
    assert not [data for data in seen if data.startswith(b"POST")]
    assert [data for data in seen if data.startswith(b"GET /ws")]
    body = newest(bench, bench.folder / "preflight", Preflight)
    assert (("websocket",), True) == (body.transports, body.preflight_passed)
    assert {"websocket", "clock_skew", "venue_status", "market_status", "book_depth"} <= {
        check.code for check in body.checks
    }
    shown = facts(result)
    assert {"bid", "ask", "mid", "worst price of 0.25 now"} <= shown.keys()
    assert body.details


def test_rest_alone_opens_no_stream(bench):
    """Asked over HTTP only: the same figures, and no stream."""
    seen = on_the_wire(bench)
    result = bench.preflight(transport="rest", side="sell", quantity=Decimal("0.25"))
    assert "done" == result.outcome
    assert not [data for data in seen if data.startswith(b"GET /ws")]
    assert "websocket" not in {check.code for check in newest(bench, bench.folder / "preflight", Preflight).checks}


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("transport", ["rest", "websocket"])
def test_a_book_that_is_too_thin_is_refused(bench, transport, side):
    """The levels that are shown hold less than the size: denied with the size, and no price is made up."""
    result = bench.preflight(transport=transport, side=side, quantity=Decimal(900_000))
    assert ("denied", ["book_depth"]) == (result.outcome, codes(result))
    assert "900000 at once" == result.refusals[0].limit
    assert not [label for label in facts(result) if label.startswith("worst price")]


def test_without_a_size_the_depth_is_not_judged(bench):
    """Market and quote stand there; there is no size to look for."""
    bench.preflight(transport="rest", side="buy")
    assert "book_depth" not in {check.code for check in newest(bench, bench.folder / "preflight", Preflight).checks}


@pytest.mark.parametrize("left_out", ["HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID"])
def test_without_account_and_signer_only_the_venue_is_looked_at(bench, left_out):
    """A preflight needs neither: it passes, and nothing is said of an account."""
    del bench.environ[left_out]
    result = bench.preflight(transport="rest")
    assert ("done", ()) == (result.outcome, newest(bench, bench.folder / "preflight", Preflight).details)


def test_the_all_zero_account_is_not_asked_for(bench):
    """The placeholder of the runbook: the venue is looked at, the account of nobody is not."""
    result = bench.preflight(transport="rest", account="0x" + "0" * 40)
    assert ("done", ()) == (result.outcome, newest(bench, bench.folder / "preflight", Preflight).details)


def test_a_stream_that_refuses_is_unreadable(bench):
    """No connection: exit 7, written all the same."""
    bench.fault("refuse_connect", "*", value=3_600)
    result = bench.preflight(transport="websocket")
    assert ("unreadable", "websocket") == (result.outcome, codes(result)[0])
    assert not newest(bench, bench.folder / "preflight", Preflight).preflight_passed


# ------------------------------------------------------------------ account readiness


def test_a_whole_account_is_ready_for_the_order(bench):
    """Roles, budget, funds and open orders: read, recorded, and the order's funds judged."""
    result = bench.account_readiness(**ORDER)
    body = newest(bench, bench.folder / "account", AccountReadiness)
    assert ("done", True, []) == (result.outcome, body.readiness_allowed, codes(result))
    assert body.account_identity == bench.world.exchange.keys.master.address
    assert "funds" in {check.code for check in body.checks}
    assert body.details
    assert body.balances


@pytest.mark.parametrize("missing", [("HYPERLIQUID_SIGNER_ID",), ("HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID")])
def test_a_missing_input_is_named_in_the_artifact(bench, missing):
    """Refused before anybody is asked, with the record written: what is missing stands in it by name."""
    for name in missing:
        del bench.environ[name]
    result = bench.account_readiness()
    body = newest(bench, bench.folder / "account", AccountReadiness)
    assert ("denied", ["credentials_missing"], False) == (result.outcome, codes(result), body.readiness_allowed)
    assert ("credentials_missing",) == body.reasons
    assert ", ".join(missing) == result.refusals[0].measured
    assert () == body.exchanges
    assert (bench.folder / "account" / "hyperliquid_account_readiness.json").exists()


def test_the_all_zero_account_is_refused_without_a_question(bench):
    """The placeholder is nobody's account: denied, and its artifact says so."""
    result = bench.account_readiness(account="0x" + "0" * 40)
    body = newest(bench, bench.folder / "account", AccountReadiness)
    assert ("denied", ["account_unusable"], False, ()) == (
        result.outcome,
        codes(result),
        body.readiness_allowed,
        body.exchanges,
    )


def test_a_signer_that_is_nobodys_agent_is_not_ready(bench):
    """The venue knows the address as no agent of the account."""
    result = bench.account_readiness(signer=bench.world.exchange.keys.other.address)
    assert "denied" == result.outcome
    assert codes(result)
    assert not newest(bench, bench.folder / "account", AccountReadiness).readiness_allowed


# ------------------------------------------------------------------ outdirs


RUNGS = {
    "preflight": lambda bench, outdir: bench.preflight(outdir=outdir, transport="rest"),
    "account": lambda bench, outdir: bench.account_readiness(outdir=outdir),
    "sign": lambda bench, outdir: bench.sign(outdir=outdir, quantity=Decimal("0.2"), notional=Decimal(400)),
    "certify": lambda bench, outdir: bench.certify(outdir=outdir),
    "readiness": lambda bench, outdir: bench.run("readiness", outdir=outdir, corridor="hyperliquid"),
}


@pytest.mark.parametrize("rung", RUNGS)
def test_an_outdir_with_a_live_signature_takes_nothing_else(bench, rung):
    """Whoever writes outdirs is refused, the view stays what was signed, and the artifact can still be submitted."""
    artifact = bench.signed()
    before = sorted((path.name, path.read_bytes()) for path in artifact.parent.rglob("*.json"))
    result = RUNGS[rung](bench, artifact.parent)
    assert ("denied", ["outdir_holds_live_signature"]) == (result.outcome, codes(result)), result
    assert ("submit", (str(artifact),)) == (result.next.verb, result.next.arguments)
    assert before == sorted((path.name, path.read_bytes()) for path in artifact.parent.rglob("*.json"))
    assert [] == [row for row in bench.world.requests() if row["path"] == PATH]
    assert "done" == bench.submit(artifact).outcome


@pytest.mark.parametrize("ended", ["submitted", "revoked", "expired"])
def test_an_outdir_whose_signature_is_over_is_used_again(bench, ended):
    """Nothing can be sent with it any more."""
    artifact = bench.signed()
    if ended == "submitted":
        bench.submit(artifact)
    elif ended == "revoked":
        bench.revoke(artifact)
    else:
        bench.world.pass_seconds(301)
    result = bench.preflight(outdir=artifact.parent, transport="rest")
    assert ("done", []) == (result.outcome, codes(result))


def test_an_outdir_where_nothing_was_signed_is_used_again(bench):
    """An artifact without a signature blocks nothing."""
    refused = bench.sign(quantity=Decimal("0.00001"), notional=Decimal(5))
    assert "denied" == refused.outcome
    folder = Path(refused.artifacts[0]).parent
    assert json.loads((folder / "hyperliquid_signed_action.json").read_text())["signed"] is None
    assert "done" == bench.preflight(outdir=folder, transport="rest").outcome
