"""What the ledger is measured against: the records it stored, written raw with its settings, and a row a fact.

Raw means: the very bytes, in the table that holds them in the ledger, in the same transactions, with the same pragmas,
and nothing else: no keys of submissions, nothing decided, hashed or encoded.
"""

import itertools
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from adapters.stores.connections import LONG_LOG, PRAGMAS
from adapters.stores.sqlite import STREAM, prepare
from bench.figures import timed

SELECT: Final = """
SELECT originator_id, originator_version, topic, state FROM stored_events
WHERE originator_version > ? ORDER BY originator_version
"""
MADE: Final = "SELECT sql FROM sqlite_master WHERE name = 'stored_events'"
SYNCHRONOUS: Final = ("OFF", "NORMAL", "FULL", "EXTRA")
Stored = tuple[str, int, str, bytes]
"""A row of the recorder's table: stream, position, topic, bytes of the record."""


def stored(path: Path, after: int) -> list[Stored]:
    """The records behind a position of a ledger's file, in order."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(SELECT, (after,)).fetchall()


def cut(rows: Sequence[Stored], positions: Sequence[int]) -> list[Sequence[Stored]]:
    """The rows of each commit, of which `positions` are the ends, the one before the first included."""
    first = positions[0]
    return [rows[start - first : end - first] for start, end in itertools.pairwise(positions)]


class RawSQLite:
    """A connection that writes records raw into a file like a ledger's."""

    def __init__(self, path: Path, ledger: Path) -> None:
        """A new file with the ledger's settings and its table of records."""
        prepare(path, writable=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in (*PRAGMAS, f"PRAGMA wal_autocheckpoint={LONG_LOG}"):
            self._connection.execute(pragma)
        with closing(sqlite3.connect(ledger)) as theirs:
            (made,) = theirs.execute(MADE).fetchone()
        self._connection.execute(made)

    def write(self, commits: Sequence[Sequence[Stored]]) -> float:
        """Seconds to insert the rows, a durable transaction a commit."""

        def write() -> None:
            for rows in commits:
                self.commit(rows)

        return timed(write)

    def commit(self, rows: Sequence[Stored]) -> None:
        """One durable transaction."""
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO stored_events VALUES (?,?,?,?)", rows)
        self._connection.execute("COMMIT")

    def settings(self) -> dict[str, object]:
        """The pragmas on which durability and speed depend, as the connection has them."""
        names = ("journal_mode", "synchronous", "page_size", "cache_size", "wal_autocheckpoint")
        found = {name: self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
        return found | {"synchronous": SYNCHRONOUS[found["synchronous"]]}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class StockSQLite:
    """The recorder of the eventsourcing library as it comes, on a new file: a row a fact."""

    def __init__(self, path: Path) -> None:
        """An empty table."""
        self._datastore = SQLiteDatastore(str(path), originator_id_type="text")
        self._recorder = SQLiteApplicationRecorder(self._datastore)
        self._recorder.create_table()
        self._count = 0

    def write(self, commits: Sequence[Sequence[bytes]]) -> float:
        """Seconds to insert facts, a durable transaction a commit."""
        made = []
        for facts in commits:
            made.append([StoredEvent(STREAM, at, "fact/1", fact) for at, fact in enumerate(facts, self._count + 1)])
            self._count += len(facts)
        return timed(lambda: [self._recorder.insert_events(events) for events in made])

    def close(self) -> None:
        """Close the file."""
        self._datastore.close()
