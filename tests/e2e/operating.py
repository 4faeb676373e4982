"""A person at a terminal: the program as a process of its own, in an own folder, against an own exchange.

What is checked here about evidence and secrets is written from the design alone: nothing is imported from the program.
"""

import base64
import binascii
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from tests.e2e.exchange_process import ROOT, ExchangeProcess

SESSIONS = "outputs/broker_order_validations"
LIMIT_SECONDS = 60
SETTLE_SECONDS = 2
PASSED_SECONDS = 60
"""More than an order's deadline, its margin and the settle time together, and enough to refill the rate budget."""
ENVELOPE_KEYS = [
    "schema", "command", "environment", "outcome", "exit_code", "session_id", "artifacts", "refusals", "next", "data",
]  # fmt: skip
RECORD_KEYS = {
    "schema", "session_id", "sequence", "recorded_at", "environment", "actor", "producer", "state_id",
    "previous_sha256",
}  # fmt: skip
FILL_INS = {
    "'<landed|not_landed>'": "not_landed",
    "<reviewer>": "marce",
    "<note>": "as agreed",
    "<reason>": "looked everywhere",
}
REVIEW = ("--broker-submit-reviewer", "marce", "--broker-submit-confirm")
LIVE = (*REVIEW, "--broker-submit-live", "--broker-submit-note", "one small order")


class Done(NamedTuple):
    """One line that was run to its end."""

    line: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """Return the JSON that was printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def refused(self) -> set[str]:
        """Return the codes of the refusals in the envelope."""
        return {one["code"] for one in self.envelope["refusals"]}

    @property
    def next_line(self) -> str:
        """Return the next command as it was printed in the envelope."""
        step = self.envelope["next"]
        return "" if step is None else str(step["command"])

    def __str__(self) -> str:
        """Return what a failing test has to show."""
        return f"{shlex.join(self.line)}\nexit {self.code}\n{self.out[-3000:]}\n{self.err[-3000:]}"


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Operator:
    """Runs lines in one working folder and keeps everything that they printed."""

    def __init__(self, folder: Path, exchange: ExchangeProcess, **env: str) -> None:
        self.folder = folder
        self.exchange = exchange
        settle = {"QUANTLAB_REHEARSAL_SETTLE_SECONDS": str(SETTLE_SECONDS)}
        self.env = {**os.environ, **exchange.env, **settle, **env}
        self.state = Path(self.env["QUANTLAB_STATE_DIR"])
        self.said: list[Done] = []
        self.running: list[subprocess.Popen[str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.communicate(timeout=LIMIT_SECONDS)

    # ------------------------------------------------------------------------------------- running

    def program(self, words: tuple[str, ...], *, entry: str) -> list[str]:
        """Return the argument list of one line, started as `python main.py` or as `quantlab`."""
        if entry == "main.py":
            return [sys.executable, str(ROOT / "main.py"), *words]
        return [str(Path(sys.executable).parent / "quantlab"), *words]

    def start(self, *words: str, entry: str = "main.py", env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start one line and leave it running."""
        process = subprocess.Popen(
            self.program(words, entry=entry),
            cwd=self.folder,
            env=self.env if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background ignores Ctrl-C, and children inherit that; an operator's shell does not.
            preexec_fn=_hear_ctrl_c,  # noqa: PLW1509
        )
        self.running.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a started line."""
        out, err = process.communicate(timeout=LIMIT_SECONDS)
        done = Done(tuple(process.args), process.returncode, out, err)  # type: ignore[arg-type]
        assert "Traceback" not in out + err, done
        self.said.append(done)
        return done

    def run(self, *words: str, entry: str = "main.py", env: dict[str, str] | None = None) -> Done:
        """Run one line to its end."""
        return self.end(self.start(*words, entry=entry, env=env))

    def must(self, code: int, *words: str, entry: str = "main.py", env: dict[str, str] | None = None) -> Done:
        """Run one line that has to end with this exit code."""
        done = self.run(*words, entry=entry, env=env)
        assert code == done.code, done
        return done

    def follow(self, command: str) -> Done:
        """Run a printed command, its placeholders filled in, as the shell would."""
        for placeholder, text in FILL_INS.items():
            command = command.replace(placeholder, text)
        assert "<" not in command, command
        program, *words = shlex.split(command)
        if program == "python":
            assert words[0] == "main.py"
            return self.run(*words[1:], "--json")
        assert program == "quantlab"
        return self.run(*words, "--json", entry="quantlab")

    # --------------------------------------------------------------------------------------- rungs

    def rung(self, code: int, name: str, session: str, *words: str) -> Done:
        """Run one session rung by its runbook flag, as JSON."""
        return self.must(code, f"--broker-order-validations-{name}", session, *words, "--json")

    def validate(self, size: str = "0.25", *words: str, code: int = 0, side: str = "buy") -> Done:
        """Validate an order of this size, worth what the rehearsal market asks for it."""
        return self.must(code, *validate_words(size, *words, side=side))

    def validated(self, size: str = "0.25", *words: str) -> str:
        """Return the folder of a new validated session."""
        return f"{SESSIONS}/{self.validate(size, *words).envelope['session_id']}"

    def bundled(self, size: str = "0.25", *words: str) -> str:
        """Return the folder of a new session that was approved and bundled."""
        session = self.validated(size, *words)
        self.rung(0, "approve", session, "--broker-approval-reviewer", "marce")
        self.rung(0, "bundle", session)
        return session

    def gated(self, size: str = "0.25", *words: str) -> str:
        """Return the folder of a new session that may be submitted now."""
        session = self.bundled(size, *words)
        self.rung(0, "submit-gate", session, *REVIEW)
        self.advance(PASSED_SECONDS)
        return session

    def submit(self, code: int, session: str) -> Done:
        """Run the submit line; it has to end with this exit code."""
        return self.rung(code, "submit-real", session, *LIVE)

    def resolve(self, code: int, session: str, decision: str = "not_landed") -> Done:
        """Record a decision."""
        words = (
            "--broker-resolve-reviewer",
            "marce",
            "--broker-resolve-confirm",
            "--broker-resolve-decision",
            decision,
        )
        return self.rung(code, "resolve", session, *words, "--broker-resolve-note", "looked everywhere")

    def not_found(self, session: str) -> Done:
        """Make the two passes that a "not found" needs; return what the second one said."""
        self.advance(PASSED_SECONDS)
        first = self.rung(4, "reconcile", session)
        assert "unknown" == first.envelope["data"]["resolution"], first
        self.advance(PASSED_SECONDS)
        return self.rung(4, "reconcile", session)

    def interlocks(self) -> list[dict[str, Any]]:
        """Return the interlocks that the ledger holds."""
        found: list[dict[str, Any]] = self.must(0, "interlock", "list", "--json").envelope["data"]["interlocks"]
        return found

    def alerts(self) -> set[tuple[str, str | None]]:
        """Return code and session of every alert of the root."""
        said = self.must(0, "--broker-order-validations-alerts", SESSIONS).envelope
        assert {"generated_at", "alerts"} == set(said)
        return {(one["code"], one["session_id"]) for one in said["alerts"]}

    # ---------------------------------------------------------------------------------- the venue

    def advance(self, seconds: int) -> None:
        """Let time pass at the exchange."""
        self.exchange.control("POST", "/clock", {"advance_seconds": seconds})

    def fault(self, name: str, **more: Any) -> None:
        """Arm a fault on the request that places the order."""
        self.exchange.fault(name, "AddOrder", type="order", **more)

    def fault_is_met(self) -> bool:
        """Return whether every armed fault has met its request: the exchange has it in hand."""
        return [] == self.exchange.control("GET", "/faults")["faults"]

    def sends(self) -> list[dict[str, Any]]:
        """Return the requests that asked the exchange to place an order."""
        return [one for one in self.requests() if (one["path"], one["type"]) == ("/0/private/AddOrder", "order")]

    def requests(self) -> list[dict[str, Any]]:
        """Return every request that the exchange saw."""
        found: list[dict[str, Any]] = self.exchange.control("GET", "/requests")["requests"]
        return found

    # ------------------------------------------------------------------------------------ evidence

    def path(self, session: str) -> Path:
        """Return a session's folder as an absolute path."""
        return self.folder / session

    def records(self, session: str) -> list[str]:
        """Return the names of a session's records, without number and ending, in order."""
        return [path.stem.partition("-")[2] for path in record_files(self.path(session))]

    def newest(self, session: str, name: str) -> dict[str, Any]:
        """Return the newest record of a name."""
        path = [one for one in record_files(self.path(session)) if one.stem.partition("-")[2] == name][-1]
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def attempts(self, session: str) -> list[str]:
        """Return the attempt records of a session."""
        return [name for name in self.records(session) if name == "broker_submit_attempt"]

    def shown(self, session: str) -> dict[str, Any]:
        """Return what `show` says of a session."""
        found: dict[str, Any] = self.rung(0, "show", session).envelope["data"]
        return found

    def leaks(self) -> list[str]:
        """Return every place where a secret stands: files written, and all that was printed."""
        secrets = [self.env[name] for name in ("KRAKEN_API_KEY", "KRAKEN_API_SECRET", "HYPERLIQUID_PRIVATE_KEY")]
        places = [(str(path), path.read_bytes()) for path in files_under(self.folder) + files_under(self.state)]
        places += [(str(path), os.fsencode(path)) for path in files_under(self.folder) + files_under(self.state)]
        places += [(shlex.join(done.line), f"{done.out}\n{done.err}".encode()) for done in self.said]
        places += [("command line", shlex.join(done.line).encode()) for done in self.said]
        return [place for place, data in places if gives_away(data, secrets)]


@contextmanager
def seated(tmp_path: Path, **env: str) -> Iterator[Operator]:
    """Seat an operator before an exchange of their own; nothing that they leave may hold a secret."""
    with ExchangeProcess(tmp_path / "exchange") as exchange, Operator(tmp_path / "work", exchange, **env) as operator:
        yield operator
        assert [] == operator.leaks()


def validate_words(size: str, *words: str, side: str = "buy") -> tuple[str, ...]:
    """Return a validate line of the runbook for this size, as JSON."""
    notional = f"{Decimal(size) * 2000:.2f}"
    return (
        "--kraken-order-validate-session", "--broker-symbol", "ETH-USD", "--broker-side", side, "--broker-quantity",
        size, "--broker-notional", notional, "--broker-account-id", "acct_demo", *words, "--json",
    )  # fmt: skip


def until(said: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> bool:
    """Poll until something is so; False when the process ended before. Bounded."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        if said():
            return True
        if process is not None and process.poll() is not None:
            return said()
    message = "waited in vain"
    raise AssertionError(message)


# --------------------------------------------------------------------------------------- the verifier


def record_files(folder: Path) -> list[Path]:
    """Return the record files of a session in the order of their numbers."""
    return sorted((folder / "records").glob("[0-9]*.json"))


def verify(folder: Path) -> list[dict[str, Any]]:
    """Verify a session by the design's words alone and return its records.

    Canonical bytes, an unbroken chain, file names that say sequence and name, views that equal the newest record.
    """
    previous, found, newest = "0" * 64, [], {}
    for number, path in enumerate(record_files(folder), start=1):
        raw = path.read_bytes()
        record = json.loads(raw, parse_float=_no_float, parse_constant=_no_float)
        assert canonical(record) == raw, path
        assert set(record) > RECORD_KEYS, path
        assert list(record) == sorted(record), path
        name = path.stem.removeprefix(f"{number:04d}-")
        assert f"{number:04d}-{name}.json" == path.name
        assert number == record["sequence"]
        assert previous == record["previous_sha256"], path
        assert folder.name == record["session_id"]
        assert record["schema"].startswith("quantlab.")
        previous, newest[name] = hashlib.sha256(raw).hexdigest(), raw
        found.append(record)
    for name, raw in newest.items():
        assert raw == (folder / f"{name}.json").read_bytes(), name
    return found


def canonical(document: Any) -> bytes:
    """Return the canonical bytes of a document that holds no float: RFC 8785 for the text that records use."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _no_float(text: str) -> Any:
    message = f"a record holds the number {text}"
    raise AssertionError(message)


# ---------------------------------------------------------------------------------------- the searcher


def files_under(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]


def spellings(secret: str) -> set[bytes]:
    """Return a secret in every form in which it could hide: as it is, decoded, and encoded again."""
    plain = secret.encode()
    raw = {plain}
    with suppress(binascii.Error):
        raw.add(base64.b64decode(secret, validate=True))
    if secret.startswith("0x"):
        raw |= {plain[2:], bytes.fromhex(secret[2:]), str(int(secret, 16)).encode()}
    found: set[bytes] = set()
    for one in raw:
        found |= {one, one.hex().encode(), one.hex().upper().encode()}
        found |= {base64.b64encode(one).rstrip(b"="), base64.urlsafe_b64encode(one).rstrip(b"=")}
        found |= {quote(one, safe="").encode(), quote(one).encode()}
    return found | {secret.replace("/", "\\/").encode()}


def gives_away(data: bytes, secrets: list[str]) -> bool:
    """Return whether bytes hold a secret in any of its spellings."""
    return any(form in data for secret in secrets for form in spellings(secret))
