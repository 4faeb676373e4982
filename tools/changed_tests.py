"""Print the tests that belong to what changed since the last commit, for `make quick`.

A changed module selects the unit tests of its room, a changed test file itself; the house rules are
always among them.
"""

import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = "tests/arch"


def select_tests(changed: list[str], existing: set[str]) -> list[str]:
    """Return the test files and folders to run, each of which is in `existing`."""
    wanted = {ALWAYS}
    for name in changed:
        parts = PurePosixPath(name).parts
        if parts[:2] == ("src", "quantlab") and len(parts) > 2:
            room = parts[2].removesuffix(".py")
            wanted |= {f"tests/unit/{room}", f"tests/unit/test_{room}.py"}
        elif parts[0] == "tools":
            wanted.add("tests/tools")
        elif parts[0] == "tests" and parts[-1].startswith("test_"):
            wanted.add(name)
        elif parts[0] == "tests" and parts[-1] == "conftest.py" and len(parts) > 2:
            wanted.add(str(PurePosixPath(*parts[:-1])))
    return sorted(wanted & existing)


def read_changes(root: Path) -> list[str]:
    """Return the files that differ from the last commit, new ones included."""
    listed: list[str] = []
    for command in (
        ["diff", "--name-only", "HEAD"],
        ["ls-files", "--others", "--exclude-standard"],
    ):
        done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=False)
        listed += done.stdout.splitlines()
    return listed


def main() -> int:
    """Print the selection on one line."""
    existing = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*")}
    print(" ".join(select_tests(read_changes(ROOT), existing)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
