"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.operating import Operator, seated


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """Seat an operator before an exchange of their own."""
    with seated(tmp_path) as one:
        yield one
