"""Check, without a network, that the locks fit pyproject.toml and name no registry.

The core lock pins what the program and its build need; the development lock pins the same versions
and the tools on top. `make lock` writes both.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CORE = "requirements/core.lock"
DEVELOPMENT = "requirements/dev.lock"
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")


def read_pins(text: str) -> dict[str, str]:
    """Return name and version of each pinned package."""
    matches = (PIN.match(line) for line in text.splitlines())
    return {canonicalize_name(m["name"]): m["version"] for m in matches if m}


def check_text(name: str, text: str) -> list[str]:
    """Return what is wrong with a lock by itself: addresses, and pins without a hash."""
    lines = text.splitlines()
    found = [f"{name}:{n}: holds an address" for n, line in enumerate(lines, 1) if "://" in line]
    for number, line in enumerate(lines, 1):
        if line and line[0] not in " #" and not PIN.match(line):
            found.append(f"{name}:{number}: is not a pin: {line}")
    blocks = re.split(r"\n(?=\S)", text)
    return found + [
        f"{name}: {block.split()[0]} has no hash"
        for block in blocks
        if PIN.match(block) and "--hash=sha256:" not in block
    ]


def check_requirements(name: str, pins: dict[str, str], wanted: list[str]) -> list[str]:
    """Return the requirements that a lock does not pin, or pins outside their range."""
    found = []
    for requirement in map(Requirement, wanted):
        version = pins.get(canonicalize_name(requirement.name))
        if version is None:
            found.append(f"{name}: {requirement.name} is not pinned")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{name}: {requirement.name} {version} does not fit {requirement}")
    return found


def check_locks(root: Path) -> list[str]:
    """Return everything that is wrong with the locks of a checkout."""
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    core = [*project["project"]["dependencies"], *groups["build"]]
    texts = {name: (root / name).read_text(encoding="utf-8") for name in (CORE, DEVELOPMENT)}
    pins = {name: read_pins(text) for name, text in texts.items()}
    found = [line for name, text in texts.items() for line in check_text(name, text)]
    found += check_requirements(CORE, pins[CORE], [*core, *project["build-system"]["requires"]])
    found += check_requirements(DEVELOPMENT, pins[DEVELOPMENT], [*core, *groups["dev"]])
    found += [
        f"{DEVELOPMENT}: {package} is not {version} as in {CORE}"
        for package, version in pins[CORE].items()
        if pins[DEVELOPMENT].get(package) != version
    ]
    return found


def main() -> int:
    """Print what is wrong; return 1 when anything is."""
    found = check_locks(ROOT)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("after a change of pyproject.toml: make lock", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
