"""main.py, started by any interpreter from anywhere, ends up in its own checkout's .venv."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Outside any venv: an interpreter in which quantlab cannot be imported.
BARE_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
FAKE_MAIN = """
import sys
def main(argv=None, *, runbook=False):
    print(sys.executable, argv, runbook)
    return 3
"""


@pytest.fixture
def checkout(tmp_path):
    """Return a folder that holds main.py and nothing else."""
    folder = tmp_path / "check out"
    folder.mkdir()
    shutil.copy(ROOT / "main.py", folder)
    return folder


def make_venv(checkout, program=FAKE_MAIN):
    """Give a checkout a .venv whose quantlab is `program`."""
    command = [BARE_PYTHON, "-m", "venv", "--without-pip", checkout / ".venv"]
    subprocess.run(command, check=True)
    [site] = (checkout / ".venv" / "lib").glob("python*/site-packages")
    (site / "quantlab" / "cli").mkdir(parents=True)
    (site / "quantlab" / "__init__.py").touch()
    (site / "quantlab" / "cli" / "__init__.py").touch()
    (site / "quantlab" / "cli" / "main.py").write_text(program)
    return checkout / ".venv" / "bin" / "python"


def run(python, main, *arguments, cwd=None):
    """Run main.py and return exit code, stdout and stderr."""
    done = subprocess.run(
        [python, main, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": os.environ["PATH"]},
    )
    return done.returncode, done.stdout, done.stderr


def test_without_setup_it_says_what_to_do(checkout):
    """A fresh clone answers with one sentence and exit code 2."""
    code, printed, said = run(BARE_PYTHON, checkout / "main.py", "--help")
    assert (code, printed) == (2, "")
    assert said == "quantlab: quantlab is not installed here: run make setup\n"


@pytest.mark.parametrize("link", [False, True], ids=["plain", "symlinked"])
def test_bare_interpreter_hands_over(checkout, tmp_path, link):
    """Arguments and exit code pass through, from another folder and through a symlink."""
    python = make_venv(checkout)
    start = checkout
    if link:
        start = tmp_path / "link"
        start.symlink_to(checkout)
    answer = run(BARE_PYTHON, start / "main.py", "--a", "b c", cwd=tmp_path)
    assert (3, f"{python} ['--a', 'b c'] True\n", "") == answer
    answer = run(start / ".venv/bin/python", start / "main.py", cwd=tmp_path)
    assert (3, f"{python} [] True\n", "") == answer


def test_emptied_venv_does_not_loop(checkout):
    """A .venv that lost the program ends with the same sentence, not with another hand-over."""
    make_venv(checkout)
    shutil.rmtree(next((checkout / ".venv" / "lib").glob("python*/site-packages/quantlab")))
    code, _, said = run(BARE_PYTHON, checkout / "main.py")
    assert code == 2
    assert "run make setup" in said


def test_missing_dependency_is_a_matter_of_setup_and_a_missing_module_is_not(checkout):
    """Only what set-up can mend is answered with set-up."""
    python = make_venv(checkout, "import dependency_that_is_not_there")
    assert run(python, checkout / "main.py")[0] == 2
    main = next((checkout / ".venv" / "lib").glob("python*/site-packages/quantlab/cli/main.py"))
    main.write_text("import quantlab.lost")
    code, _, said = run(python, checkout / "main.py")
    assert code == 1
    assert "quantlab.lost" in said


def test_windows_is_refused_with_one_sentence(checkout):
    """On Windows nothing is tried."""
    program = "import runpy, sys; sys.platform = 'win32'; runpy.run_path(sys.argv[1])"
    done = subprocess.run(
        [BARE_PYTHON, "-c", program, checkout / "main.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "Windows is not supported" in done.stderr
