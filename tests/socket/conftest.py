"""A ledger to serve."""

from pathlib import Path

import pytest

from tests.stores.homes import Files


@pytest.fixture
def ledger(files: Files) -> Path:
    """A closed ledger to go on with, in a file."""
    return files.copied()
