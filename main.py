"""Run QuantLab the way the runbook writes it: `python main.py …`.

Any interpreter may start this file. It goes on with the checkout's own `.venv/bin/python`, whatever
the working directory is, or says what to do first. The syntax is kept plain, so that an old
interpreter gets as far as handing over.
"""

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    print("quantlab: Windows is not supported; use Linux or macOS.", file=sys.stderr)
    raise SystemExit(2)

HERE = Path(__file__).resolve()
OWN_PYTHON = HERE.parent / ".venv" / "bin" / "python"

# Compared as written, not resolved: .venv/bin/python is a link to the interpreter it was made from.
# Once handed over, both sides are the same string, so this never runs twice.
if sys.executable != str(OWN_PYTHON) and OWN_PYTHON.exists():
    os.execv(str(OWN_PYTHON), [str(OWN_PYTHON), str(HERE), *sys.argv[1:]])  # noqa: S606

try:
    from quantlab.cli.main import main
except ModuleNotFoundError as missing:
    if str(missing.name).startswith("quantlab."):
        raise
    print(f"quantlab: {missing.name} is not installed here: run make setup", file=sys.stderr)
    raise SystemExit(2) from None

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], runbook=True))
