"""What the storage tests stand on."""

import pytest

from quantlab.storage.ledger_sqlite import SqliteLedger
from tests.unit.evidence.built import FixedEntropy
from tests.unit.storage.sessions import Work


@pytest.fixture
def work(tmp_path):
    """A root with a store on it."""
    made = Work(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def ledger(tmp_path):
    """A ledger in a file."""
    made = SqliteLedger(tmp_path / "ledger", entropy=FixedEntropy())
    yield made
    made.close()
