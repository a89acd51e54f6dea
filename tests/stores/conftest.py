"""Homes of both kinds for tests of the store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.homes import Files, Home
from tests.world import World


@pytest.fixture
def files(tmp_path: Path, populated: Path) -> Files:
    """Places for ledgers in a folder."""
    return Files(tmp_path, populated)


@pytest.fixture(params=["files", "databases"])
def home(request: pytest.FixtureRequest) -> Home:
    """Places for ledgers, of each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def housed(home: Home) -> Iterator[World]:
    """A ledger of the test district, of each kind."""
    made = World(home.new())
    yield made
    made.exchange.close()
