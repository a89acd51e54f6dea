"""Where ledgers of tests lie: in files, or in databases of a real server. A test that takes a home runs on each."""

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from adapters.stores.postgres_server import LOCK
from tests.postgres import PostgresServer


class Database(str):
    """The address of a database of the test server, with what a test needs to go around the program."""

    __slots__ = ("name", "server")
    server: PostgresServer
    name: str

    @classmethod
    def of(cls, server: PostgresServer, name: str, beside: Path) -> "Database":
        """The address of a database by its name."""
        made = cls(server.url(name, files=beside))
        made.server, made.name = server, name
        return made


Place = Path | Database
"""What a ledger is opened by."""


class Home(Protocol):
    """Gives places for ledgers."""

    def new(self) -> Place:
        """A place with nothing there."""

    def copied(self) -> Place:
        """A copy of the ledger that every test of the store may use."""


class Files:
    """Places in a folder."""

    def __init__(self, folder: Path, populated: Path) -> None:
        self._populated, self._paths = populated, (folder / f"ledger-{number}.db" for number in itertools.count())

    def new(self) -> Path:
        return next(self._paths)

    def copied(self) -> Path:
        return copied(self._populated, self.new())


class Databases:
    """Places on a server; files beside a ledger go into a folder."""

    def __init__(self, server: PostgresServer, folder: Path, populated: Database) -> None:
        self._server, self._populated = server, populated
        self._beside = (folder / f"beside-{number}" for number in itertools.count())

    def new(self) -> Database:
        return Database.of(self._server, self._server.create(), next(self._beside))

    def copied(self) -> Database:
        return Database.of(self._server, self._server.create(self._populated.name), next(self._beside))


class Around:
    """A connection that goes around the program, with the same statements whatever database it is."""

    def __init__(self, connection: Any, mark: str) -> None:
        self._connection, self._mark = connection, mark

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a statement with `?` for its parameters; returns its rows."""
        done = self._connection.execute(statement.replace("?", self._mark), parameters)
        return done.fetchall() if done.description else []


@contextmanager
def database(place: Place) -> Iterator[Around]:
    """The database of a ledger, as somebody opens it who goes around the program; one transaction."""
    if isinstance(place, Database):
        with place.server.connect(place.name) as connection, connection.transaction():
            yield Around(connection, "%b")
    else:
        with closing(sqlite3.connect(place)) as connection, connection:
            yield Around(connection, "?")


def released(place: Place) -> Place:
    """Wait until the server has noticed that the process of a writer is gone; a file's lock ends with the process."""
    if isinstance(place, Database):
        with place.server.connect(place.name) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    return place


def copied(source: Path, target: Path) -> Path:
    """Copy the journal of a closed ledger, as it is on disk, to another place."""
    for suffix in ("", "-wal"):
        if (file := Path(f"{source}{suffix}")).exists():
            shutil.copy(file, f"{target}{suffix}")
    return target
