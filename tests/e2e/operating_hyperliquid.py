"""The same person at a terminal, on the Hyperliquid corridor: its lines, its faults, and where its artifacts stand."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.exchange_process import ExchangeProcess
from tests.e2e.operating import FILL_INS, PASSED_SECONDS, Done, Operator, verify

ROOT = "outputs/hyperliquid_submits"
ARTIFACT = "hyperliquid_signed_action.json"
LIFETIME_SECONDS = 60
DEAD_SECONDS = 75
"""More than a signature's life, the margin of the venue's clocks and the settle time together."""
APART_SECONDS = 16
"""More than has to lie between two searches that both count."""
SENT = ("--hyperliquid-submit-reviewer", "marce", "--hyperliquid-submit-confirm")
BURN = ("--hyperliquid-burn-reviewer", "marce", "--hyperliquid-burn-confirm")
CANCEL = ("--hyperliquid-cancel-reviewer", "marce", "--hyperliquid-cancel-confirm")
DECIDED = ("--hyperliquid-resolve-reviewer", "marce", "--hyperliquid-resolve-confirm")
ZERO_ADDRESS = "0x" + "0" * 40


class Signed(NamedTuple):
    """An order that was signed: its artifact, and the session that it is to be sent from."""

    artifact: str
    session: str


class Trader(Operator):
    """Runs lines of the Hyperliquid corridor; everything else as for any other operator."""

    @property
    def account(self) -> str:
        """Return the account's address."""
        return self.env["HYPERLIQUID_ACCOUNT"]

    @property
    def signer(self) -> str:
        """Return the signer's address."""
        return self.env["HYPERLIQUID_SIGNER_ID"]

    # --------------------------------------------------------------------------------------- rungs

    def rung(self, code: int, name: str, session: str, *words: str) -> Done:
        """Run one session rung by its runbook flag, as JSON."""
        return self.must(code, f"--hyperliquid-submit-sessions-{name}", session, *words, "--json")

    def sign(self, outdir: str, *words: str, size: str = "0.25", code: int = 0, notional: str = "") -> Done:
        """Sign an order of this size, worth what the rehearsal market asks for it."""
        return self.must(code, *sign_words(outdir, *words, size=size, notional=notional))

    def signed(self, *words: str, size: str = "0.25", outdir: str = "") -> Signed:
        """Return a new signed order."""
        folder = outdir or f"outputs/signed/{size}"
        self.advance(PASSED_SECONDS)
        if "--execution-expires-after" not in words:
            words = ("--execution-expires-after", str(LIFETIME_SECONDS), *words)
        done = self.sign(folder, *words, size=size)
        return Signed(f"{folder}/{ARTIFACT}", f"{ROOT}/{done.envelope['session_id']}")

    def submit(self, code: int, artifact: str, *words: str, root: str = ROOT) -> Done:
        """Run the submit line; it has to end with this exit code."""
        return self.must(code, *submit_words(artifact, *words, root=root))

    def burn(self, code: int, session: str) -> Done:
        """Use the nonce up."""
        return self.rung(code, "burn", session, *BURN)

    def resolve(self, code: int, session: str, decision: str = "not_landed") -> Done:
        """Record a decision."""
        words = ("--hyperliquid-resolve-decision", decision, "--hyperliquid-resolve-note", "looked everywhere")
        return self.rung(code, "resolve", session, *DECIDED, *words)

    def look(self, code: int, session: str) -> str:
        """Reconcile; return what is established."""
        return str(self.rung(code, "reconcile", session).envelope["data"]["resolution"])

    def searched(self, session: str, code: int, resolution: str) -> Done:
        """Make the two searches after the signature's end that a proof of absence needs; return the second."""
        self.advance(DEAD_SECONDS)
        assert "unknown" == self.look(4, session)
        self.advance(APART_SECONDS)
        done = self.rung(code, "reconcile", session)
        assert resolution == done.envelope["data"]["resolution"], done
        return done

    def alerts(self) -> set[tuple[str, str | None]]:
        """Return code and session of every alert of the root."""
        said = self.must(0, "--hyperliquid-submit-sessions-alerts", ROOT).envelope
        assert {"generated_at", "alerts"} == set(said)
        return {(one["code"], one["session_id"]) for one in said["alerts"]}

    def attempts(self, session: str) -> list[str]:
        """Return the attempt records of a session."""
        return [name for name in self.records(session) if name == "hyperliquid_submit_attempt"]

    # ---------------------------------------------------------------------------------- the venue

    def fault_at(self, name: str, path: str, **more: Any) -> None:
        """Arm a fault on one path."""
        answer = self.exchange.control("POST", "/faults", {"venue": "hyperliquid", "path": path, "fault": name, **more})
        assert "error" not in answer, answer

    def fault(self, name: str, **more: Any) -> None:
        """Arm a fault on the request that places the order."""
        self.fault_at(name, "/exchange", type="order", **more)

    def read_fault(self, name: str, kind: str | None = None, **more: Any) -> None:
        """Arm a fault on a read of one kind, or of all kinds."""
        self.fault_at(name, "/info", **({} if kind is None else {"type": kind}), **more)

    def mend(self) -> None:
        """Disarm every fault."""
        self.exchange.control("DELETE", "/faults")

    def sends(self, kind: str = "order") -> list[dict[str, Any]]:
        """Return the requests that asked the exchange to place an order, or for another action."""
        return [one for one in self.requests() if (one["path"], one["type"]) == ("/exchange", kind)]

    def actions(self) -> list[dict[str, Any]]:
        """Return every request that could have an effect at the exchange."""
        return [one for one in self.requests() if one["path"] == "/exchange"]


def sign_words(outdir: str, *words: str, size: str = "0.25", notional: str = "") -> tuple[str, ...]:
    """Return a sign line of the runbook for this size, as JSON; account, signer and key as the settings name them."""
    return (
        "--hyperliquid-signed-action-outdir", outdir, "--broker-symbol", "ETH", "--broker-side", "buy",
        "--broker-quantity", size, "--broker-notional", notional or worth(size), *words, "--json",
    )  # fmt: skip


def worth(size: str) -> str:
    """Return what a size of ETH is worth in the rehearsal market, in quote currency."""
    return f"{Decimal(size) * 2000:.2f}"


def submit_words(artifact: str, *words: str, root: str = ROOT) -> tuple[str, ...]:
    """Return the submit line of the runbook for an artifact, as JSON."""
    return (
        "--hyperliquid-submit-session", artifact, *SENT, "--hyperliquid-submit-sessions-root", root, *words, "--json",
    )  # fmt: skip


def filled_in(line: str, env: dict[str, str], session: str) -> str:
    """Return a line of the runbook with addresses and session id filled in."""
    for placeholder, text in {
        ZERO_ADDRESS: env["HYPERLIQUID_ACCOUNT"],
        "0xSIGNER_ADDRESS": env["HYPERLIQUID_SIGNER_ID"],
        "<session_id>": session,
        **FILL_INS,
    }.items():
        line = line.replace(placeholder, text)
    return line


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def document(path: Path) -> dict[str, Any]:
    """Return the JSON of a file."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def copied(trader: Trader, artifact: str, to: str) -> str:
    """Copy an artifact to another folder; return the copy's path."""
    target = trader.path(to) / ARTIFACT
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(trader.path(artifact), target)
    return f"{to}/{ARTIFACT}"


def submit_unproven(trader: Trader, signed: Signed) -> Done:
    """Submit against an armed fault: unknown, exit 4, and the operator is told to look for proof."""
    done = trader.submit(4, signed.artifact)
    envelope = done.envelope
    assert ("unknown", "unknown") == (envelope["outcome"], envelope["data"]["outcome"]), done
    assert f"python main.py --hyperliquid-submit-sessions-reconcile {signed.session}" == done.next_line
    assert ["hyperliquid_submit_attempt", "hyperliquid_submit_response"] == trader.records(signed.session)[-2:]
    assert "unresolved" == trader.shown(signed.session)["state"]
    return done


def sent_once(trader: Trader, signed: Signed, *, orders: int, copies: int = 1) -> None:
    """Check that one attempt was made, one request left, and as many orders came of it as there should be."""
    assert 1 == len(trader.attempts(signed.session))
    assert copies == len(trader.sends())
    assert orders == len(trader.exchange.orders())
    verify(trader.path(signed.session))


@contextmanager
def trading(tmp_path: Path, *options: str, **env: str) -> Iterator[Trader]:
    """Seat a trader before an exchange of their own; nothing that they leave may hold a secret."""
    with (
        ExchangeProcess(tmp_path / "exchange", *options) as exchange,
        Trader(tmp_path / "work", exchange, **env) as trader,
    ):
        yield trader
        assert [] == trader.leaks()
