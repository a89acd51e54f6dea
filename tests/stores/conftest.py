"""Ledgers that every test of the store may copy, and homes of both kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.server import PostgresServer
from tests.ledger.scripts import random_script
from tests.stores.homes import Database, Databases, Files, Home
from tests.stores.ledgers import filled
from tests.world import World


@pytest.fixture(scope="session")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with holders, meters, open markets and a few submissions."""
    path = tmp_path_factory.mktemp("populated") / "ledger.db"
    filled(path, random_script(70, 6)).exchange.close()
    return path


@pytest.fixture(scope="session")
def populated_database(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The same in a database."""
    made = Database.of(postgres, postgres.create(), tmp_path_factory.mktemp("populated") / "beside")
    filled(made, random_script(70, 6)).exchange.close()
    return made


@pytest.fixture
def files(tmp_path: Path, populated: Path) -> Files:
    """Places for ledgers in a folder."""
    return Files(tmp_path, populated)


@pytest.fixture
def databases(postgres: PostgresServer, tmp_path: Path, populated_database: Database) -> Iterator[Databases]:
    """Places for ledgers on the server, gone afterwards."""
    made = Databases(postgres, tmp_path, populated_database)
    yield made
    made.drop()


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
