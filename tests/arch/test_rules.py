"""The house rules hold on this tree, and each of them bites."""

from pathlib import Path

import pytest

from tests.arch import rules

ROOT = Path(__file__).resolve().parents[2]
RUNGS_CONTRACT = """
[[tool.importlinter.contracts]]
id = "rungs"
layers = ["(submit) | (cancel)", "(desk)"]
"""

HOUSE: list[rules.Rule] = [
    rules.check_no_float,
    rules.check_writes_in_storage,
    rules.check_no_broad_except,
    rules.check_clock_and_entropy,
    rules.check_budgets,
    rules.check_module_names,
    rules.check_confined_imports,
    rules.check_small_foundation,
    rules.check_rung_tests,
    rules.check_collected,
    rules.check_neutral_files,
]

# Rule, file, a text that violates it there.
PLANTED = [
    (rules.check_no_float, "src/quantlab/model/order.py", "FEE = 0.1\n"),
    (rules.check_no_float, "src/quantlab/venues/kraken/codec.py", "x = -1e3\n"),
    (rules.check_no_float, "src/quantlab/rungs/fills.py", "def f(x):\n    return float(x)\n"),
    (rules.check_writes_in_storage, "src/quantlab/cli/main.py", "open('a', 'w')\n"),
    (rules.check_writes_in_storage, "src/quantlab/cli/main.py", "open('a', mode='rb+')\n"),
    (rules.check_writes_in_storage, "src/quantlab/cli/main.py", "def f(m):\n    open('a', m)\n"),
    (rules.check_writes_in_storage, "src/quantlab/config.py", "path.open('xb')\n"),
    (rules.check_writes_in_storage, "src/quantlab/config.py", "here.path.write_text('a')\n"),
    (rules.check_writes_in_storage, "src/quantlab/rungs/gate.py", "Path('a').write_bytes(b'')\n"),
    (rules.check_writes_in_storage, "src/quantlab/rungs/gate.py", "path.replace(other)\n"),
    (rules.check_writes_in_storage, "src/quantlab/rungs/gate.py", "path.unlink()\n"),
    (rules.check_writes_in_storage, "src/quantlab/rungs/gate.py", "path.touch()\nPath(1).touch()\n"),
    (
        rules.check_writes_in_storage,
        "src/quantlab/evidence/pack.py",
        "import os\nos.open('a', 1)\n",
    ),
    (
        rules.check_writes_in_storage,
        "src/quantlab/evidence/pack.py",
        "from os import link as l\nl(1, 2)\n",
    ),
    (
        rules.check_writes_in_storage,
        "src/quantlab/watch/health.py",
        "import os\nos.makedirs('a')\n",
    ),
    (rules.check_writes_in_storage, "src/quantlab/watch/health.py", "shutil.rmtree('a')\n"),
    (rules.check_writes_in_storage, "src/quantlab/watch/health.py", "tempfile.mkstemp()\n"),
    (rules.check_writes_in_storage, "src/quantlab/rehearsal/server.py", "sqlite3.connect('a')\n"),
    (
        rules.check_no_broad_except,
        "src/quantlab/wiring.py",
        "try:\n    f()\nexcept Exception:\n    g()\n",
    ),
    (rules.check_no_broad_except, "src/quantlab/wiring.py", "try:\n    f()\nexcept:\n    g()\n"),
    (
        rules.check_no_broad_except,
        "src/quantlab/wiring.py",
        "try:\n    f()\nexcept (OSError, BaseException):\n    g()\n",
    ),
    (
        rules.check_no_broad_except,
        "src/quantlab/wiring.py",
        "with contextlib.suppress(Exception):\n    f()\n",
    ),
    (
        rules.check_no_broad_except,
        "src/quantlab/rehearsal/server.py",
        "try:\n    f()\nexcept Exception:\n    g()\ntry:\n    f()\nexcept Exception:\n    g()\n",
    ),
    (rules.check_clock_and_entropy, "src/quantlab/rungs/gate.py", "datetime.now(UTC)\n"),
    (rules.check_clock_and_entropy, "src/quantlab/rungs/gate.py", "datetime.datetime.now(UTC)\n"),
    (rules.check_clock_and_entropy, "src/quantlab/rungs/gate.py", "import time\ntime.sleep(1)\n"),
    (rules.check_clock_and_entropy, "src/quantlab/rungs/gate.py", "from time import time_ns\n"),
    (rules.check_clock_and_entropy, "src/quantlab/storage/writer.py", "uuid.uuid4()\n"),
    (rules.check_clock_and_entropy, "src/quantlab/storage/writer.py", "os.urandom(16)\n"),
    (rules.check_clock_and_entropy, "src/quantlab/storage/writer.py", "import secrets\n"),
    (rules.check_clock_and_entropy, "src/quantlab/rehearsal/matching.py", "random.random()\n"),
    (rules.check_clock_and_entropy, "src/quantlab/rehearsal/matching.py", "random.Random()\n"),
    (rules.check_budgets, "src/quantlab/cli/table.py", "x = 1\n" * 401),
    (rules.check_budgets, "src/quantlab/cli/table.py", "def f():\n" + "    g()\n" * 60),
    (rules.check_module_names, "src/quantlab/venues/utils.py", ""),
    (rules.check_module_names, "src/quantlab/common/order.py", ""),
    (
        rules.check_confined_imports,
        "src/quantlab/rungs/gate.py",
        "from quantlab.venues import effects\n",
    ),
    (
        rules.check_confined_imports,
        "src/quantlab/rungs/status.py",
        "import quantlab.venues.effects\n",
    ),
    (
        rules.check_confined_imports,
        "src/quantlab/rungs/status.py",
        "from quantlab.venues.effects import S\n",
    ),
    (
        rules.check_confined_imports,
        "src/quantlab/rungs/status.py",
        "from http.client import HTTPSConnection\n",
    ),
    (rules.check_confined_imports, "src/quantlab/watch/notify.py", "import urllib.request\n"),
    (
        rules.check_confined_imports,
        "src/quantlab/watch/notify.py",
        "import websockets.sync.client\n",
    ),
    (rules.check_confined_imports, "src/quantlab/config.py", "import argparse\n"),
    (
        rules.check_confined_imports,
        "src/quantlab/cli/main.py",
        "from quantlab.venues.kraken.orders import Sender\n",
    ),
    (rules.check_small_foundation, "src/quantlab/storage/writer.py", "import websockets\n"),
    (
        rules.check_small_foundation,
        "src/quantlab/kernel/clock.py",
        "from Crypto.Hash import keccak\n",
    ),
    (rules.check_rung_tests, "src/quantlab/rungs/submit.py", ""),
    (rules.check_collected, "tests/unit/order_tests.py", "def test_a(): ...\n"),
    (rules.check_collected, "tools/test_a.py", "def test_a(): ...\n"),
    (rules.check_collected, "tests/unit/test_order.py", "x = 1\n"),
    (rules.check_neutral_files, "README.md", "from https://" + rules.REGISTRIES[0] + "/simple\n"),
    (rules.check_neutral_files, "requirements/a.lock", "file:///ho" + "me/me/wheels\n"),
    (rules.check_neutral_files, "docs/a.md", "Run it in /wo" + "rk/main first.\n"),
    (rules.check_neutral_files, "docs/a.md", "Co-authored" + "-by: x\n"),
]

# Rule, file, a text that looks like a violation and is none.
INNOCENT = [
    (rules.check_writes_in_storage, "src/quantlab/config.py", "self.rename(1)\nself.exchange.touch()\n"),
    (
        rules.check_no_broad_except,
        "src/quantlab/wiring.py",
        "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n",
    ),
    (rules.check_no_float, "src/quantlab/rehearsal/faults.py", "DELAY = 0.1\n"),
    (rules.check_writes_in_storage, "src/quantlab/storage/durable.py", "open('a', 'xb')\n"),
    (
        rules.check_writes_in_storage,
        "src/quantlab/cli/main.py",
        "open('a', 'rb')\n'a'.replace('a', 'b')\n",
    ),
    (
        rules.check_writes_in_storage,
        "src/quantlab/config.py",
        "path.open()\nreplace(order, size=1)\n",
    ),
    (
        rules.check_no_broad_except,
        "src/quantlab/cli/main.py",
        "try:\n    f()\nexcept Exception:\n    g()\n",
    ),
    (rules.check_clock_and_entropy, "src/quantlab/kernel/clock.py", "import time\ntime.sleep(1)\n"),
    (rules.check_clock_and_entropy, "src/quantlab/rehearsal/matching.py", "random.Random(7)\n"),
    (
        rules.check_clock_and_entropy,
        "src/quantlab/rungs/gate.py",
        "from datetime import datetime, timedelta\nclock.now()\n",
    ),
    (rules.check_budgets, "src/quantlab/cli/table.py", "x = 1\n" * 400),
    (
        rules.check_confined_imports,
        "src/quantlab/rungs/submit.py",
        "from quantlab.venues import effects\n",
    ),
    (
        rules.check_confined_imports,
        "src/quantlab/rungs/gate.py",
        "from quantlab.venues import port\nimport http\n",
    ),
    (rules.check_rung_tests, "src/quantlab/rungs/desk.py", ""),
    (
        rules.check_neutral_files,
        "docs/a.md",
        "outputs/<root>/records, https://example.org/work/a, /workers/a\n",
    ),
]


def plant(root: Path, name: str, text: str) -> Path:
    """Make a checkout that holds one file."""
    (root / "pyproject.toml").write_text(RUNGS_CONTRACT)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return root


def case_name(value: object) -> str:
    """Name a case after its rule and its file."""
    return value.__name__ if callable(value) else str(value).strip()[:40]


@pytest.mark.parametrize("rule", HOUSE, ids=case_name)
def test_house_rule_holds(rule):
    """This tree violates no house rule."""
    assert rule(ROOT) == []


@pytest.mark.parametrize(("rule", "name", "text"), PLANTED, ids=case_name)
def test_rule_bites(rule, name, text, tmp_path):
    """Each rule reports a planted violation, and only in the file that holds it."""
    found = rule(plant(tmp_path, name, text))
    assert len(found) >= 1
    stem = Path(name).stem
    assert all(stem in line for line in found), found


@pytest.mark.parametrize(("rule", "name", "text"), INNOCENT, ids=case_name)
def test_rule_spares_the_innocent(rule, name, text, tmp_path):
    """What a rule permits is not reported."""
    assert rule(plant(tmp_path, name, text)) == []


def test_rungs_have_headings():
    """The runbook document has a heading for each rung."""
    if not (ROOT / "docs" / "runbook.md").exists():
        pytest.skip("docs/runbook.md is not written yet")
    assert rules.check_rung_headings(ROOT) == []


def test_heading_rule_bites(tmp_path):
    """A rung that the runbook names only in running text has no heading."""
    root = plant(tmp_path, "src/quantlab/rungs/submit.py", "")
    plant(root, "docs/runbook.md", "# Cancel\n\nsubmit once\n")
    assert rules.check_rung_headings(root) == ["docs/runbook.md has no heading for submit"]
    plant(root, "docs/runbook.md", "# Cancel\n\n## 9. `submit`: once\n")
    assert rules.check_rung_headings(root) == []


def test_every_planted_rule_is_a_house_rule():
    """No rule of the house goes without a planted violation."""
    assert {rule.__name__ for rule in HOUSE} == {rule.__name__ for rule, _, _ in PLANTED}
