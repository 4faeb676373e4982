"""No secret in any file, output, error or process argument of a whole walk; and the search would find one."""

import base64
import shlex
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.operating import LIVE, SESSIONS, files_under, gives_away, spellings, until

SECRETS = ("KRAKEN_API_KEY", "KRAKEN_API_SECRET", "HYPERLIQUID_PRIVATE_KEY")


def test_whole_walk_with_faults_gives_nothing_away(operator, tmp_path):
    """Every command, lost answers, damaged evidence, wrong keys, a log and --verbose: no secret stands anywhere."""
    log = tmp_path / "work" / "operator.log"
    operator.env["QUANTLAB_LOG"] = str(log)
    for line in (
        "--broker-evidence-readiness-outdir outputs/r --broker-evidence-corridor kraken",
        "--kraken-preflight-outdir outputs/p --broker-symbol ETH-USD",
        "--kraken-auth-preflight-outdir outputs/a",
        "--kraken-account-readiness-outdir outputs/k --broker-account-id acct_demo",
        "policy show",
        "policy init",
        "halt --reviewer marce --reason look",
        "resume --reviewer marce --reason go",
    ):
        operator.must(0, *shlex.split(line), "--verbose")
    session = operator.gated("0.25", "--broker-limit-price", "1990", "--broker-time-in-force", "gtc")
    operator.fault("http_error", value={"status": 502, "after_accept": True})
    operator.submit(4, session)
    operator.exchange.fault("garbage", "ClosedOrders")
    operator.rung(4, "status", session)
    operator.advance(60)
    operator.rung(0, "reconcile", session, "--verbose")
    operator.rung(0, "supervise", session, "--broker-supervise-seconds", "1")
    operator.rung(0, "cancel", session, "--broker-cancel-reviewer", "marce", "--broker-cancel-confirm")
    operator.advance(60)
    operator.rung(0, "fills", session)
    for name, env in operator.exchange.control("GET", "/profiles").items():
        operator.advance(60)
        done = operator.run(
            "--kraken-auth-preflight-outdir", f"outputs/{name}", "--verbose", env={**operator.env, **env}
        )
        assert not gives_away((done.out + done.err).encode(), [env[secret] for secret in SECRETS])
    (operator.path(session) / "records" / "0002-approval.json").write_text("{")
    operator.rung(5, "status", session)
    for report in ("list", "index", "health", "alerts"):
        operator.must(0, f"--broker-order-validations-{report}", SESSIONS, "--verbose")
    assert log.read_text()
    assert len(files_under(operator.folder)) > 40
    assert [] == operator.leaks()
    secrets = [env[one] for env in operator.exchange.control("GET", "/profiles").values() for one in SECRETS]
    leaking = [path for path in files_under(operator.folder) if gives_away(path.read_bytes(), secrets)]
    assert [] == leaking


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="process arguments are read from /proc")
def test_process_arguments_hold_no_secret(operator):
    """While an order is being sent, nothing that a neighbour can list of the process gives a secret away."""
    session = operator.gated()
    operator.fault("delay", value=2)
    process = operator.start("--broker-order-validations-submit-real", session, *LIVE, "--json")
    assert until(lambda: 1 == len(operator.attempts(session)), process)
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"submit-real" in shown
    assert not gives_away(shown, [operator.env[name] for name in SECRETS])
    assert 0 == operator.end(process).code


def test_env_file_is_read_and_never_repeated(operator):
    """Keys that come from a .env file are used and stand in no other file; two sources are never mixed."""
    from_file = {
        name: operator.env[name] for name in operator.env if name.startswith(("KRAKEN_", "QUANTLAB_", "HYPER"))
    }
    text = "".join(f"{name}={value}\n" for name, value in from_file.items())
    (operator.folder / ".env").write_text(text)
    (operator.folder / ".env").chmod(0o600)
    bare = {name: value for name, value in operator.env.items() if name not in from_file}
    operator.must(0, "--kraken-auth-preflight-outdir", "outputs/a", "--verbose", env=bare)
    assert [str(operator.folder / ".env")] == operator.leaks()
    (operator.folder / ".env").unlink()


def test_rehearsal_serves_its_own_secrets_and_nobody_elses(operator):
    """`rehearsal env` prints the exchange's keys, which is its purpose; the exchange's folder holds them at 0600."""
    done = operator.must(0, "rehearsal", "env", "--state", str(operator.exchange.folder), entry="quantlab")
    assert operator.env["KRAKEN_API_SECRET"] in done.out
    operator.said.remove(done)
    keeping = [path for path in operator.exchange.folder.glob("*") if path.is_file()]
    holding = [path for path in keeping if gives_away(path.read_bytes(), [operator.env[name] for name in SECRETS])]
    assert holding
    assert {0o600} == {path.stat().st_mode & 0o777 for path in holding}


@pytest.mark.parametrize(
    "spell",
    [
        lambda secret: secret,
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: secret.encode().hex(),
        lambda secret: base64.b64decode(secret).hex().upper(),
        lambda secret: quote(secret, safe=""),
        lambda secret: secret.replace("/", "\\/"),
    ],
)
def test_search_finds_a_planted_secret(operator, spell):
    """The search finds the secret that was planted in a file of the run, in each of its spellings."""
    planted = operator.folder / "planted.txt"
    planted.write_text(f"before {spell(operator.env['KRAKEN_API_SECRET'])} after")
    assert [str(planted)] == operator.leaks()
    planted.unlink()
    assert len(spellings(operator.env["KRAKEN_API_SECRET"])) > 5
    shutil.rmtree(operator.folder)
    operator.folder.mkdir()
