"""Disks that are full or read-only, files that are damaged: nothing is sent, nothing is lost, no traceback."""

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress

import pytest

from tests.e2e.operating import LIVE, SESSIONS, until, verify


@contextmanager
def mounted(folder, *, size):
    """Mount a small file system on a folder, or skip the test where this user may not."""
    folder.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if (
        os.getuid() != 0
        or shutil.which("mount") is None
        or subprocess.run(line, check=False, capture_output=True).returncode
    ):
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path):
    """Use up what is left of the file system under a path."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_full_disk_before_the_send(operator):
    """With no room left for the outcome, submit is refused before the plan is spent; with room again, it goes on."""
    with mounted(operator.folder / "outputs", size="2m"):
        session = operator.gated()
        fill(operator.folder / "outputs" / "ballast")
        done = operator.submit(1, session)
        assert [] == operator.sends()
        assert [] == operator.interlocks()
        assert {"storage_disk_full"} == done.refused
        (operator.folder / "outputs" / "ballast").unlink()
        assert operator.shown(session)["verifies"]
        operator.advance(60)
        operator.submit(0, session)
        verify(operator.path(session))
        assert 1 == len(operator.sends())


def test_disk_that_fills_up_while_sending(operator):
    """A disk that fills up between attempt and outcome: the outcome finds the room that was reserved for it."""
    with mounted(operator.folder / "outputs", size="2m"):
        session = operator.gated()
        operator.fault("delay", value=3)
        process = operator.start("--broker-order-validations-submit-real", session, *LIVE, "--json")
        assert until(lambda: 1 == len(operator.attempts(session)), process)
        fill(operator.folder / "outputs" / "ballast")
        done = operator.end(process)
        assert (0, "accepted") == (done.code, done.envelope["data"]["outcome"]), done
        (operator.folder / "outputs" / "ballast").unlink()
        assert "accepted" == operator.newest(session, "broker_submit_response")["outcome"]
        operator.rung(0, "reconcile", session)
        verify(operator.path(session))


def test_file_size_limit_before_the_send(operator):
    """Where the system allows no file as large as the outcome's reserve, nothing is spent and nothing is sent."""
    session = operator.gated()
    words = operator.program(("--broker-order-validations-submit-real", session, *LIVE, "--json"), entry="main.py")
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 200; exec "$@"', "bash", *words],
        cwd=operator.folder, env=operator.env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert 1 == done.returncode, done
    assert "Traceback" not in done.stdout + done.stderr
    assert [] == operator.sends()
    operator.advance(60)
    operator.submit(0, session)


@contextmanager
def read_only(folder):
    """Make a folder read-only, for root too where that is possible; skip where it is not."""
    if os.getuid() != 0:
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    bind = subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False, capture_output=True)
    if bind.returncode:
        pytest.skip("root may not make a folder read-only here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_read_only_outputs(operator):
    """With outputs read-only, show and list work, everything that writes ends with 1, and nothing is sent."""
    session = operator.gated()
    outputs = operator.folder / "outputs"
    with read_only(outputs):
        operator.rung(0, "show", session)
        operator.must(0, "--broker-order-validations-list", SESSIONS)
        operator.submit(1, session)
        operator.rung(1, "bundle", session)
        operator.validate("0.1", code=1)
        operator.must(
            1, "--broker-evidence-readiness-outdir", "outputs/r", "--broker-evidence-corridor", "kraken", "--json"
        )
        # Snapshots are written beside the report, which is made all the same.
        assert operator.run("--broker-order-validations-health", SESSIONS).code in {0, 1}
    assert [] == operator.sends()
    assert [] == operator.interlocks()


def test_read_only_state_folder(operator):
    """With the ledger read-only no claim can be made: submit ends with 1 and nothing is sent."""
    session = operator.gated()
    with read_only(operator.state):
        operator.submit(1, session)
    assert [] == operator.sends()
    operator.advance(60)
    operator.submit(0, session)


def test_damaged_ledger(operator):
    """A ledger that is not a database any more is named; nothing is sent, and no traceback is shown."""
    session = operator.gated()
    (operator.state / "ledger.sqlite3").write_bytes(b"not a database" * 100)
    done = operator.submit(1, session)
    assert "ledger" in done.out
    assert [] == operator.sends()


def test_unreadable_record(operator):
    """A record that can not be opened ends the rung without a traceback, without a send."""
    session = operator.gated()
    record = operator.path(session) / "records" / "0002-approval.json"
    record.unlink()
    record.mkdir()
    done = operator.run("--broker-order-validations-submit-real", session, *LIVE, "--json")
    assert done.code in {1, 5}, done
    assert [] == operator.sends()
    operator.must(0, "--broker-order-validations-list", SESSIONS)


def test_closed_standard_output_is_no_traceback(operator):
    """A reader that goes away does not change what was done, nor its exit code."""
    session = operator.validated()
    words = operator.program(("--broker-order-validations-show", session), entry="main.py")
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash", *words],
        cwd=operator.folder, env=operator.env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert 0 == done.returncode, done
    assert "Traceback" not in done.stderr
