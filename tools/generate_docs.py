"""Write the pages and schemas that are made from code, or check that they are in step with it.

A generator is a module with a function `documents()` that returns the text of each file it owns by
its path from the checkout's root. A file in an owned folder that no generator makes is stale.
"""

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATORS: tuple[str, ...] = ("quantlab.cli.reference", "quantlab.evidence.schemas", "tools.runbook_copy")
OWNED_FOLDERS = ("schemas",)


def collect_documents(generators: tuple[str, ...]) -> dict[str, str]:
    """Return every generated file; two generators may not own the same one."""
    documents: dict[str, str] = {}
    for name in generators:
        made: Mapping[str, str] = importlib.import_module(name).documents()
        twice = documents.keys() & made.keys()
        if twice:
            message = f"{name} makes what another generator makes: {sorted(twice)}"
            raise ValueError(message)
        documents.update(made)
    return documents


def find_stale(root: Path, documents: Mapping[str, str]) -> list[str]:
    """Return the files that differ from what the code says, or that nothing makes any more."""
    differing = [
        name
        for name, text in documents.items()
        if not (root / name).is_file() or (root / name).read_bytes() != text.encode()
    ]
    left_over = [
        path.relative_to(root).as_posix()
        for folder in OWNED_FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and path.relative_to(root).as_posix() not in documents
    ]
    return sorted(differing + left_over)


def write_documents(root: Path, documents: Mapping[str, str]) -> None:
    """Bring the files in step; side effects: writes and removes files."""
    for name in find_stale(root, documents):
        path = root / name
        if name in documents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(documents[name].encode())
        else:
            path.unlink()


def main() -> int:
    """Write the files, or with --check name the stale ones and return 1."""
    parser = argparse.ArgumentParser(description="Write what is generated from code.")
    parser.add_argument("--check", action="store_true", help="change nothing, name stale files")
    options = parser.parse_args()
    documents = collect_documents(GENERATORS)
    if not options.check:
        write_documents(ROOT, documents)
        return 0
    stale = find_stale(ROOT, documents)
    for name in stale:
        print(f"{name} is not in step with the code: make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
