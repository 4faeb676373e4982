"""Several processes on one ledger: one wins each claim, nonces only rise, and a killed one leaves nothing lower."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.evidence.built import FixedEntropy

CHECKOUT = Path(__file__).resolve().parents[2]

WORKER = """
import sys
from pathlib import Path
from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.storage.claims import CLAIM, but
from tests.unit.evidence.built import FixedEntropy
ledger = SqliteLedger(Path(sys.argv[1]), entropy=FixedEntropy())
print("ready", flush=True)
sys.stdin.readline()
"""
CLAIMER = """
mine = but(CLAIM, session_id=sys.argv[2], folder=sys.argv[2])
print("won" if ledger.claim_interlock(mine) == mine else "lost", flush=True)
"""
DRAWER = """
for _ in range(50):
    print(ledger.next_nonce("k1", floor=1000), flush=True)
"""
ENDLESS = """
for _ in range(1_000_000):
    print(ledger.next_nonce("k1", floor=1000), flush=True)
"""


@contextlib.contextmanager
def workers(path: Path, program: str, count: int):
    """Start processes that wait on one line of input, and let them all go at once."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER + program, str(path), f"s{number}"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        for process in running:
            assert "ready\n" == process.stdout.readline()
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate(timeout=60)


def test_eight_processes_claim_one_account(tmp_path):
    """Of eight processes that claim at once exactly one wins, and it is the holder."""
    path = tmp_path / "ledger"
    with workers(path, CLAIMER, 8) as running:
        answers = [process.stdout.readline().strip() for process in running]
    assert 1 == answers.count("won")
    assert 7 == answers.count("lost")
    ledger = SqliteLedger(path, entropy=FixedEntropy())
    (holder,) = ledger.interlocks()
    assert f"s{answers.index('won')}" == holder.session_id
    ledger.close()


def test_four_processes_draw_nonces(tmp_path):
    """Two hundred nonces drawn by four processes at once are all different, and rise for each of them."""
    with workers(tmp_path / "ledger", DRAWER, 4) as running:
        drawn = [[int(process.stdout.readline()) for _ in range(50)] for process in running]
    assert all(one == sorted(one) for one in drawn)
    assert list(range(1000, 1200)) == sorted(nonce for one in drawn for nonce in one)


def test_a_killed_process_never_lowers_the_nonce(tmp_path):
    """A process killed while it draws leaves a ledger whose next nonce is above every one that was seen."""
    path = tmp_path / "ledger"
    highest = 0
    for seen in (1, 3, 7):
        with workers(path, ENDLESS, 1) as (process,):
            for _ in range(seen):
                nonce = int(process.stdout.readline())
                assert highest < nonce
                highest = nonce
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split("\n")[:-1]
        highest = max([highest, *map(int, rest)])
        ledger = SqliteLedger(path, entropy=FixedEntropy())
        after = ledger.next_nonce("k1", floor=0)
        assert highest < after
        highest = after
        ledger.close()
