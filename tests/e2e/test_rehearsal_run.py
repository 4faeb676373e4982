"""`rehearsal run`: both ladders on an exchange of its own, and that it notices what does not go as it should."""

import json
import os
import subprocess
import sys

import pytest

from quantlab.cli.rehearsing import started_exchange
from quantlab.cli.walk import Walk, result_of
from quantlab.cli.walk_hyperliquid import PARTS
from quantlab.cli.walk_steps import Step, Walked
from tests.e2e.exchange_process import ROOT
from tests.e2e.operating import verify

ROOTS = ("outputs/broker_order_validations", "outputs/hyperliquid_submits")
LANDED = {"kraken": ["0.05", "0.1", "0.25"], "hyperliquid": ["0.05", "0.07", "0.1", "0.25"]}
STEPS = {step.title: step for step in PARTS[0][1]}


@pytest.mark.timeout(240)
def test_the_whole_walk(tmp_path):
    """It goes as the runbook says; evidence of every session verifies, and no order stands there twice."""
    done = subprocess.run(
        [sys.executable, "-m", "quantlab", "rehearsal", "run", "--outdir", "d", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    envelope = json.loads(done.stdout)
    assert ([], "rehearsal") == (envelope["refusals"], envelope["environment"])
    assert [True] == sorted({(tmp_path / path).exists() for path in envelope["artifacts"]})
    report = json.loads((tmp_path / "d" / "rehearsal.json").read_bytes())
    orders = report["orders"]
    assert LANDED == {venue: sorted(one["size"] for one in orders if one["venue"] == venue) for venue in LANDED}
    assert 7 == len({(one["venue"], one["client_order_id"]) for one in orders})
    sessions = {path.parent for root in ROOTS for path in (tmp_path / "d" / root).glob("*/records")}
    assert {str(folder.relative_to(tmp_path / "d")) for folder in sessions} >= {
        one["folder"] for one in report["intents"]
    }
    assert all(verify(folder) for folder in sessions)
    assert [(one["expected"], one["effects_expected"]) for one in report["steps"]] == [
        (one["code"], one["effects"]) for one in report["steps"]
    ]
    for part in ("Kraken: order lost before it landed", "Hyperliquid: order lost before it landed"):
        assert f"== {part}" in done.stderr


def test_what_does_not_go_as_it_should_is_told(tmp_path):
    """Another exit, an order where none may go, a session that is missing: each is told, and the walk goes on."""
    said = []
    with started_exchange(tmp_path / "exchange") as exchange:
        walk = Walk(tmp_path, exchange, said.append)
        wrong = Step(title="readiness", words=STEPS["readiness"].words, expected=1)
        quiet = Step(title="submit", words=STEPS["submit once"].words, effects=0)
        missing = Step(title="status", words=("--hyperliquid-submit-sessions-status", "{nobody}"))
        walk.part("a part", [wrong, STEPS["sign"], quiet, missing])
        orders = exchange.control("GET", "/orders")["orders"]
    assert [(0, 0), (0, 0), (0, 1), (None, 0)] == [(one.code, one.effects) for one in walk.done]
    assert [False, True, False, False] == [one.fits for one in walk.done]
    assert "   NOT AS EXPECTED status: not run: no session 'nobody'" == said[-1]
    intent = Walked(key="perp_first", venue="hyperliquid", title="one order", state="filled", orders=1)
    endings = walk.endings([intent], orders)
    assert [(1, "no session")] == [(one.orders, one.state) for one in endings]
    result = result_of(tmp_path, tmp_path / "r.json", walk.done, endings, orders)
    assert ["step_not_as_expected"] * 3 + ["intent_not_as_expected"] == [one.code for one in result.refusals]
