"""Read coverage's JSON report and require every line and branch of the rooms with money's rules.

A module that no test imported has no entry in a report; here it counts as wholly missing.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMPLETE_ROOMS = ("kernel", "model", "evidence", "storage", "rungs")


def describe_missing(entry: dict[str, Any]) -> str:
    """Return the lines and branches that no test reached, or "" when none is left."""
    lines = [str(line) for line in entry["missing_lines"]]
    branches = [f"{origin}->{target if target > 0 else 'exit'}" for origin, target in entry.get("missing_branches", [])]
    parts = []
    if lines:
        parts.append("lines " + " ".join(lines))
    if branches:
        parts.append("branches " + " ".join(branches))
    return "; ".join(parts)


def find_short_modules(package: Path, files: dict[str, dict[str, Any]]) -> list[str]:
    """Return one line for each module of the complete rooms that is not complete."""
    found = []
    for room in COMPLETE_ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            name = path.relative_to(package).as_posix()
            entry = files.get(str(path))
            if entry is None:
                if path.read_text(encoding="utf-8").strip():
                    found.append(f"{name}: never imported")
                continue
            missing = describe_missing(entry)
            if missing:
                found.append(f"{name}: {missing}")
    return found


def derive_rest(package: Path, files: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """Return covered and countable lines and branches outside the complete rooms."""
    covered = total = 0
    for name, entry in files.items():
        path = Path(name)
        if not path.is_relative_to(package):
            continue
        if path.relative_to(package).parts[0] in COMPLETE_ROOMS:
            continue
        summary = entry["summary"]
        covered += summary["covered_lines"] + summary.get("covered_branches", 0)
        total += summary["num_statements"] + summary.get("num_branches", 0)
    return covered, total


def main(arguments: list[str]) -> int:
    """Print the verdict on the report named by the one argument; return 1 when short."""
    report = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    files = {str((ROOT / name).resolve()): entry for name, entry in report["files"].items()}
    package = ROOT / "src" / "quantlab"
    short = find_short_modules(package, files)
    covered, total = derive_rest(package, files)
    rest = f"{100 * covered / total:.1f} %" if total else "nothing to cover"
    rooms = ", ".join(COMPLETE_ROOMS)
    print(f"Coverage of {rooms}: {'incomplete' if short else 'complete'}; of the rest: {rest}")
    for line in short:
        print(f"  {line}", file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
