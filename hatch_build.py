"""Build hook: ship the schemas and fix the commit that a wheel was built from.

A wheel's records name their producer. A commit is written only when it is certain: the build's own
checkout, with nothing changed in it. Otherwise the wheel carries none and records say null.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMMIT_FILE = "kernel/_commit.txt"


def _git(root: Path, *arguments: str) -> str | None:
    """Return the output of one git command, or None when git cannot answer."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def read_clean_commit(root: Path) -> str | None:
    """Return the commit that `root` is an unchanged checkout of, else None."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return None
    if _git(root, "status", "--porcelain") != "":
        return None
    return _git(root, "rev-parse", "HEAD")


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds two things that are not files of the package: schemas and the commit."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Register the extra files; an editable install reads the checkout and gets none."""
        if version == "editable":
            return
        root = Path(self.root)
        package = "quantlab" if self.target_name == "wheel" else "src/quantlab"
        schemas = root / "schemas"
        if self.target_name == "wheel" and schemas.is_dir():
            build_data["force_include"][str(schemas)] = f"{package}/schemas"
        commit = read_clean_commit(root)
        if commit is not None:
            self._folder = tempfile.TemporaryDirectory()
            note = Path(self._folder.name) / "commit.txt"
            note.write_text(commit + "\n", encoding="utf-8")
            build_data["force_include"][str(note)] = f"{package}/{COMMIT_FILE}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary note once the archive is written."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            folder.cleanup()
