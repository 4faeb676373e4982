"""Recorded traffic of the venue, where it lies beside the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "venues" / "hyperliquid_recorded"


def recording(name):
    """Return one recording, or skip the test and say why."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no recorded traffic at ../shared/venues/hyperliquid_recorded/{name}")
    return json.loads(path.read_text("utf-8"))


def answer_of(name, index=0):
    """Return the answer of one recorded exchange, decimals exact as they are read from a wire."""
    from quantlab.venues.answers import parse_json

    return parse_json(json.dumps(recording(name)["interactions"][index]["response"]["body"]).encode())
