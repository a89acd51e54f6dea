"""What all tests share: Hypothesis profiles, a fresh world a test, a server, and a ledger to copy in both stores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from bench.server import PostgresServer
from tests.ledger.scripts import random_script
from tests.stores.homes import Database, Databases, Files, Home
from tests.stores.ledgers import filled
from tests.world import World

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("campaign", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=2_000)
settings.load_profile("suite")

LONG: Final = ("test_cli.py", "test_kernels.py", "test_finding.py", "test_soak.py")
"""Files of a minute and more begin first: no worker is left alone with one when the other has nothing more to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A ledger of the test district."""
    made = World(tmp_path / "ledger.db")
    yield made
    made.exchange.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started when the first test asks for it."""
    server = PostgresServer()
    yield server
    server.remove()


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
def databases(postgres: PostgresServer, tmp_path: Path, populated_database: Database) -> Iterator[Databases]:
    """Places for ledgers on the server, gone afterwards."""
    made = Databases(postgres, tmp_path, populated_database)
    yield made
    made.drop()


@pytest.fixture
def files(tmp_path: Path, populated: Path) -> Files:
    """Places for ledgers in a folder."""
    return Files(tmp_path, populated)


@pytest.fixture(params=["files", "databases"])
def home(request: pytest.FixtureRequest) -> Home:
    """Places for ledgers, of each kind."""
    return request.getfixturevalue(request.param)
