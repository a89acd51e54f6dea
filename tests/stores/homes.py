"""Where ledgers of tests lie: in files, or in databases of a real server. A test that takes a home runs on each."""

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from eventsourcing.persistence import ApplicationRecorder
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from adapters.stores import postgres, sqlite
from adapters.stores.postgres_server import LOCK, connect, parse_address
from bench.server import PASSWORD, USER, PostgresServer


class Database(str):
    """The address of a database of the test server, with what a test needs to go around the program."""

    __slots__ = ("beside", "name", "server")
    server: PostgresServer
    name: str
    beside: Path

    @classmethod
    def of(cls, server: PostgresServer, name: str, beside: Path) -> "Database":
        """The address of a database by its name."""
        made = cls(server.url(name, files=beside))
        made.server, made.name, made.beside = server, name, beside
        return made

    @property
    def impatient(self) -> "Database":
        """The same, for who waits a second for an answer."""
        made = Database(f"{self}&answer_timeout=1&connect_timeout=2")
        made.server, made.name, made.beside = self.server, self.name, self.beside
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
        self._server, self._populated, self._folder = server, populated, folder
        self._made: list[str] = []

    def new(self) -> Database:
        return self._make("template0")

    def copied(self) -> Database:
        return self._make(self._populated.name)

    def _make(self, template: str) -> Database:
        self._made.append(self._server.create(template))
        return Database.of(self._server, self._made[-1], self._folder / f"beside-{len(self._made)}")

    def drop(self) -> None:
        """Delete them all."""
        for name in self._made:
            self._server.drop(name)


class Around:
    """A connection that goes around the program, with the same statements whatever database it is."""

    def __init__(self, connection: Any, mark: str) -> None:
        self._connection, self._mark = connection, mark

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a statement with `?` for its parameters; returns its rows."""
        done = self._connection.execute(statement.replace("?", self._mark), parameters)
        return done.fetchall() if done.description else []


def insert(connection: Around, place: Place, row: tuple[int, str, bytes]) -> None:
    """Insert a record (position, topic, state) around the program."""
    values = "'journal', ?, ?, ?" + (", ?" if isinstance(place, Database) else "")
    connection.execute(
        f"INSERT INTO stored_events VALUES ({values})",
        (*row, row[0]) if isinstance(place, Database) else row,
    )


@contextmanager
def database(place: Place) -> Iterator[Around]:
    """The database of a ledger, as somebody opens it who goes around the program; one transaction."""
    if isinstance(place, Database):
        with place.server.connect(place.name) as connection, connection.transaction():
            yield Around(connection, "%b")
    else:
        with closing(sqlite3.connect(place)) as connection, connection:
            yield Around(connection, "?")


def unlocked(place: Place) -> ApplicationRecorder:
    """Our recorder on the journal of a ledger, without the lock of a writer."""
    if isinstance(place, Database):
        return postgres.JournalRecorder(postgres.JournalDatastore(postgres.Session(connect(parse_address(place)))))
    return sqlite.JournalRecorder(sqlite.JournalDatastore(str(place)))


def stock(place: Place) -> ApplicationRecorder:
    """The library's own recorder on the journal of a ledger, or on its own table where there is none."""
    if not isinstance(place, Database):
        return SQLiteApplicationRecorder(SQLiteDatastore(str(place), originator_id_type="text"))
    with place.server.connect(place.name) as connection:
        found = connection.execute("SELECT to_regclass('shuiquan.stored_events')").fetchone()
    where = {"schema": "shuiquan"} if found and found[0] else {}
    at = (place.name, "127.0.0.1", place.server.port, USER, PASSWORD)
    return PostgresApplicationRecorder(PostgresDatastore(*at, originator_id_type="text", **where))


def released(place: Place) -> Place:
    """Wait until the server has noticed that the process of a writer is gone; a file's lock ends with the process."""
    if isinstance(place, Database):
        with place.server.connect(place.name) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])  # it notices the end of this one later, too
    return place


def copied(source: Path, target: Path) -> Path:
    """Copy the journal of a closed ledger, as it is on disk, to another place."""
    for suffix in ("", "-wal"):
        if (file := Path(f"{source}{suffix}")).exists():
            shutil.copy(file, f"{target}{suffix}")
    return target
