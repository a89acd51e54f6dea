"""Connections to a journal's file: those of the library with our settings, and one that writes."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from eventsourcing.persistence import InterfaceError
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteCursor, SQLiteDatastore

PAGE_BYTES: Final = 8_192  # large enough for records of megabytes, small enough for a commit of one order
LONG_LOG: Final = 8_000
"""Pages of the write-ahead log, from which on what they hold is moved into the database file and the log begun anew."""

LONGEST_LOG: Final = 4 * LONG_LOG
"""From here on a commit does that itself, should the `Checkpointer` not have come to it."""

PRAGMAS: Final = (
    "PRAGMA synchronous=FULL", "PRAGMA cache_size=-65536", f"PRAGMA wal_autocheckpoint={LONGEST_LOG}"
)  # fmt: skip


def connect(address: str, max_age: float | None = None) -> SQLiteConnection:
    """A connection with the settings that a journal needs, which keeps its statements; the library's keep one."""
    try:
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        connection.row_factory = sqlite3.Row
        for pragma in PRAGMAS:
            connection.execute(pragma)
    except sqlite3.Error as problem:
        raise InterfaceError(problem) from problem
    return SQLiteConnection(connection, max_age=max_age)


class JournalConnectionPool(SQLiteConnectionPool):
    """A pool of such connections."""

    def _create_connection(self) -> SQLiteConnection:
        return connect(self.db_name, self.max_age)


class JournalDatastore(SQLiteDatastore):
    """A datastore on such connections."""

    def __init__(self, db_name: str) -> None:
        """Open a database by file name or `file:` address."""
        super().__init__(db_name, originator_id_type="text")
        self.pool.close()
        self.pool = JournalConnectionPool(db_name=db_name)
        self.writing = threading.Lock()
        """Is held as long as a transaction writes."""
        self._writer: SQLiteConnection | None = None

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """A transaction: to read, on a connection of the pool; to write, always on the same one."""
        if not commit:
            with super().transaction(commit=False) as cursor:
                yield cursor
            return
        with self.writing:
            self._writer = self._writer or connect(self.pool.db_name)
            with self._writer.transaction(commit=True) as cursor:
                yield cursor

    def close(self) -> None:
        """Close all connections."""
        if writer := getattr(self, "_writer", None):  # not where its making failed
            writer.close()
        super().close()
