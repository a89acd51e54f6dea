"""Homes of both kinds for tests of the store."""

from collections.abc import Iterator

import pytest

from tests.stores.homes import Home
from tests.world import World


@pytest.fixture
def housed(home: Home) -> Iterator[World]:
    """A ledger of the test district, of each kind."""
    made = World(home.new())
    yield made
    made.exchange.close()
