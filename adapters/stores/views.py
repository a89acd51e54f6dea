"""Read models in SQLite: upserts and the position reached in one transaction, so each fact counts exactly once.

Built on the eventsourcing library's tracking recorder. The views lie in a file of their own beside the ledger and
can be deleted at any time: they are rebuilt from the journal.
"""

import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore, SQLiteTrackingRecorder

from adapters.stores.failures import coded
from ledger.journal.records import Decoded
from ledger.journal.store import Store
from ledger.replay import Progress, groups_after
from projections.base import Projection, Table


class ViewRecorder(SQLiteTrackingRecorder):
    """The library's tracking, with the tables of some projections, which advance together."""

    def __init__(self, datastore: SQLiteDatastore, projections: Sequence[Projection]) -> None:
        """A recorder for these projections; other versions of them track under another name."""
        self.name = "+".join(projection.name for projection in projections)
        self._projections = projections
        self._tables = [table for projection in projections for table in projection.tables]
        super().__init__(datastore)

    def construct_create_table_statements(self) -> list[str]:
        """Tracking, the record that was projected last, and the projections' tables."""
        source = "CREATE TABLE IF NOT EXISTS source (id INTEGER PRIMARY KEY, position INTEGER, digest BLOB)"
        tables = [create_statement(table) for table in self._tables]
        return [*super().construct_create_table_statements(), source, *tables]

    def _create_table(self, c: SQLiteCursor) -> None:
        begin_writing(c)
        c.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'tracking'")
        if c.fetchone()[0]:  # perhaps made by another process since the library looked
            self.tracking_table_exists = True
            version = self._max_tracking_id(self.table_migration_identifier, c)
            self.tracking_migration_current = self.tracking_migration_previous = version
        super()._create_table(c)
        if self._max_tracking_id(self.name, c) is None:
            self._clear(c)  # tables of another version, if there are any

    def apply(self, decoded: Decoded, after: int) -> bool:
        """Project a group of facts behind position `after`. Returns False when another process was faster."""
        with self.datastore.transaction(commit=True) as cursor:
            begin_writing(cursor)
            if (self._max_tracking_id(self.name, cursor) or 0) != after:
                return False
            for projection in self._projections:
                for upsert in projection.fold(decoded):
                    cursor.executemany(upsert_statement(upsert.table), upsert.rows)
            self._insert_tracking(cursor, Tracking(self.name, decoded.position))
            cursor.execute("INSERT OR REPLACE INTO source VALUES (1, ?, ?)", (decoded.position, decoded.digest))
        return True

    def position(self) -> int:
        """The position reached."""
        return self.max_tracking_id(self.name) or 0

    def reached(self) -> tuple[int, bytes]:
        """Position and hash of the record that was projected last."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT position, digest FROM source")
            row = cursor.fetchone()
        return (row[0], row[1]) if row else (0, b"")

    def clear(self) -> None:
        """Forget everything that was projected."""
        with self.datastore.transaction(commit=True) as cursor:
            self._clear(cursor)

    def _clear(self, c: SQLiteCursor) -> None:
        # of other versions too, so that going back to one starts from zero; the library keeps a row for itself
        c.execute("DELETE FROM tracking WHERE application_name != ?", (self.table_migration_identifier,))
        c.execute("DELETE FROM source")
        for table in self._tables:
            c.execute(f"DROP TABLE IF EXISTS {table.name}")
            c.execute(create_statement(table))


class Views:
    """The projections of a ledger in one file, or in memory where none can be written."""

    def __init__(self, path: Path | None, projections: Sequence[Projection]) -> None:
        """Open or make the views. Raises Refused, here and later: STORE_FAILED, STORE_DAMAGED."""
        memory = f"file:views-{uuid.uuid4()}?mode=memory&cache=shared"
        self._name = path or "views"
        self._datastore = SQLiteDatastore(str(path) if path else memory)
        self._recorder = ViewRecorder(self._datastore, projections)
        with coded(self._name):
            self._recorder.create_table()

    @property
    def position(self) -> int:
        """The position of the journal that the views show."""
        return self._recorder.position()

    def catch_up(self, store: Store, progress: Progress | None = None) -> int:
        """Project what the journal holds behind the position reached. Returns the position afterwards.

        Views of another journal, or of one that was put back to an earlier state, are dropped first.
        """
        with coded(self._name):
            return self._catch_up(store, progress)

    def _catch_up(self, store: Store, progress: Progress | None) -> int:
        complete = False
        position, digest = self._recorder.reached()
        if digest != store.digest(position):
            self._recorder.clear()
        while not complete:
            after, complete = self.position, True
            for decoded in groups_after(store, after):
                if not self._recorder.apply(decoded, after):
                    complete = False
                    break
                after = decoded.position
                if progress:
                    progress(decoded.position, decoded.last_seq)
        return self.position

    def fold(self, groups: Iterable[Decoded]) -> int:
        """Project groups of facts, the first of which follows the position reached. Returns the position afterwards."""
        for decoded in groups:
            self._recorder.apply(decoded, self.position)
        return self.position

    def rebuild(self, store: Store, progress: Progress | None = None) -> int:
        """Drop the views and project the journal from zero."""
        self._recorder.clear()
        return self.catch_up(store, progress)

    def select(self, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries."""
        with self._datastore.transaction(commit=False) as cursor:
            cursor.execute(statement, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def close(self) -> None:
        """Close all connections."""
        self._datastore.close()


def begin_writing(cursor: SQLiteCursor) -> None:
    """Wait for one's turn to write before anything is read.

    SQLite refuses at once, without waiting, to write what was read before another process wrote.
    """
    cursor.execute("COMMIT")
    cursor.execute("BEGIN IMMEDIATE")


def create_statement(table: Table) -> str:
    """SQL that makes a table: keys first, sums start at zero."""
    columns = [*table.keys, *(f"{name} INTEGER NOT NULL DEFAULT 0" for name in table.adds), *table.sets]
    body = f"{', '.join(columns)}, PRIMARY KEY ({', '.join(table.keys)})"
    return f"CREATE TABLE IF NOT EXISTS {table.name} ({body}) WITHOUT ROWID"


def upsert_statement(table: Table) -> str:
    """SQL that adds to the sums and overwrites the rest."""
    names = (*table.keys, *table.adds, *table.sets)
    changes = [f"{name} = {name} + excluded.{name}" for name in table.adds]
    changes += [f"{name} = excluded.{name}" for name in table.sets]
    action = f"UPDATE SET {', '.join(changes)}" if changes else "NOTHING"
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT ({', '.join(table.keys)}) DO {action}"
    )
