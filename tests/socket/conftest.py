"""Ledgers to serve: those of the tests of the store."""

from pathlib import Path

import pytest

from tests.stores.conftest import (  # noqa: F401 - fixtures
    databases,
    files,
    home,
    populated,
    populated_database,
)
from tests.stores.homes import Files


@pytest.fixture
def ledger(files: Files) -> Path:  # noqa: F811
    """A closed ledger to go on with, in a file."""
    return files.copied()
