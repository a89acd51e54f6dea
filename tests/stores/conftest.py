"""A ledger that every test of the store may copy."""

from pathlib import Path

import pytest

from tests.ledger.scripts import random_script
from tests.stores.ledgers import filled


@pytest.fixture(scope="session")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with holders, meters, open markets and a few submissions."""
    path = tmp_path_factory.mktemp("populated") / "ledger.db"
    filled(path, random_script(70, 6)).exchange.close()
    return path
