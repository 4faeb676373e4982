"""Recorded traffic of the venue, where it lies beside the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "venues" / "kraken_recorded"


def recording(name):
    """Return one recording, or skip the test and say why."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no recorded traffic at ../shared/venues/kraken_recorded/{name}")
    return json.loads(path.read_text("utf-8"))


def body_bytes(value):
    """Return JSON bytes of a recorded body."""
    return json.dumps(value).encode()
