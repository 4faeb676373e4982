"""The set-up speaks plainly when it cannot go on."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_old_interpreter_is_refused_with_a_way_out(tmp_path):
    """An interpreter that is too old is named, and nothing is left behind."""
    old = tmp_path / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(
        ["make", "--no-print-directory", ".venv/.stamp-python", f"PYTHON={old}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 2
    assert "needs Python 3.11 or later" in done.stderr
    assert "make setup PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_steps_use_the_checkout_s_interpreter():
    """No recipe but the search for an interpreter names one from PATH."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    steps = [line for line in lines if line.startswith("\t") and "python3" in line]
    search = [line for line in steps if "for python in" in line or "echo" in line]
    assert search == steps
