"""The runbook inside the package: the same text as `docs/runbook.md`, for readiness and for installed copies."""

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def documents() -> dict[str, str]:
    """Return the packaged runbook by its path from the checkout's root."""
    return {"src/quantlab/data/runbook.md": (_ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")}
