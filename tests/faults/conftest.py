"""A server of processes, and the undisturbed endings that faults are compared with."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from bench.server import PostgresServer
from tests.faults.calls import FILE_CALLS
from tests.faults.checks import Ending, undisturbed
from tests.faults.server import ForkServer
from tests.faults.supervisor import Run
from tests.ledger.scripts import random_script
from tests.stores.homes import Database, Databases, copied
from tests.stores.ledgers import filled

STREAMS = 8
"""How many streams of commits faults choose from."""


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """The process that others are forked from."""
    made = ForkServer()
    yield made
    made.close()


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger to go on with."""
    path = tmp_path_factory.mktemp("begun") / "ledger.db"
    filled(path, random_script(70, 6)).exchange.close()
    return path


@pytest.fixture(scope="session")
def begun_database(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The same in a database."""
    made = Database.of(postgres, postgres.create(), tmp_path_factory.mktemp("begun") / "beside")
    filled(made, random_script(70, 6)).exchange.close()
    return made


@pytest.fixture
def databases(postgres: PostgresServer, tmp_path: Path, begun_database: Database) -> Iterator[Databases]:
    """Places for ledgers on the server, gone afterwards."""
    made = Databases(postgres, tmp_path, begun_database)
    yield made
    made.drop()


@pytest.fixture(scope="session")
def endings(
    begun: Path, server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], tuple[Ending, int]]:
    """What a stream leads to undisturbed, and how many calls to files a writer makes for it."""

    @cache
    def ending(stream: int) -> tuple[Ending, int]:
        folder = tmp_path_factory.mktemp("undisturbed")
        path = copied(begun, folder / "watched.db")
        run = Run(server, about=str(path), path=str(path), seed=stream, calls=FILE_CALLS)
        assert run.finish() == 0
        return undisturbed(copied(begun, folder / "ledger.db"), stream), len(run.calls)

    return ending
