"""The journal in one SQLite file, through a subclass of the eventsourcing library's recorder.

The records lie in the library's own table, one stream, stream version = position, so its primary key refuses a
second writer even where the lock failed. Keys of submissions, and now and then where a group of records begins, go in
with the records, in one transaction, durable by fsync (WAL, synchronous FULL).
"""

import functools
import hashlib
import itertools
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from eventsourcing.persistence import PersistenceError, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from adapters.stores.checkpointer import Checkpointer
from adapters.stores.connections import PAGE_BYTES, JournalDatastore
from adapters.stores.failures import coded, refusal
from adapters.stores.headfile import HeadFile
from adapters.stores.lockfile import LockFile
from ledger.codes import Code, Refused
from ledger.journal.store import RESTORED, Begin, Entry, ForkDue, Key, Name

STREAM: Final = "journal"
APPLICATION_ID: Final = 0x53515331  # "SQS1" in the file's header says whose it is
LAYOUT: Final = 2  # of the tables, as `user_version` beside it
READ_AT_ONCE: Final = 64  # a page can be several megabytes
READ_FIRST: Final = 4  # most who ask for one group of records read no further
ROWS_AT_ONCE: Final = 4_096  # of four values: SQLite takes 32,766 in a statement
READ_ONLY: Final = "?mode=ro"
TREE_PAGES: Final = 8  # that a commit changes whatever it holds: the ends of tables and of their indexes

SUBMISSIONS_TABLE: Final = """
CREATE TABLE IF NOT EXISTS submissions (
    actor TEXT, command_id TEXT, first_seq INTEGER, PRIMARY KEY (command_id, actor)
) WITHOUT ROWID
"""
"""By command id first: where those rise, new keys of all actors lie together, and a commit changes few pages."""


WANTED: Final = """
WITH wanted (actor, command_id) AS (VALUES {}) SELECT s.* FROM wanted CROSS JOIN submissions s USING (actor, command_id)
"""
"""A join in this order, which looks each up by its key; with IN, SQLite reads the whole table instead."""

MARKS_TABLE: Final = """
CREATE TABLE IF NOT EXISTS backup_marks (position INTEGER PRIMARY KEY, head BLOB, at_ns INTEGER)
"""
"""Stands empty in a ledger; a copy made by `adapters.stores.backup` says in it behind which record it was made."""


class JournalRecorder(SQLiteApplicationRecorder):
    """The library's recorder, with submissions' keys and beginnings of groups in the same transaction."""

    def construct_create_table_statements(self) -> list[str]:
        """The library's table and ours."""
        return [
            *super().construct_create_table_statements(),
            SUBMISSIONS_TABLE,
            MARKS_TABLE,
            "CREATE TABLE IF NOT EXISTS begins (first_seq INTEGER PRIMARY KEY, position INTEGER)",
        ]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        begins: Sequence[Begin] = (),
        keys: Sequence[tuple[str, str, int]] = (),
        **_: Any,
    ) -> Sequence[int] | None:
        events = [(e.originator_id, e.originator_version, e.topic, e.state) for e in stored_events]
        for table, width, rows in (
            (self.events_table_name, 4, events), ("begins", 2, begins), ("submissions", 3, keys)
        ):  # fmt: skip
            for some in portions(rows):
                c.execute(with_values(f"INSERT INTO {table} VALUES {{}}", len(some), width), flat(some))
        return [event.originator_version for event in stored_events]


class SQLiteStore:
    """A ledger's journal in a file. Open with `writable=False` to read beside a writer."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        """Open a journal, made if it is new.

        Raises Refused: LEDGER_LOCKED, LEDGER_MISSING, STORE_NOT_OURS, LAYOUT_UNKNOWN; here and later STORE_FAILED,
        STORE_DAMAGED.
        """
        self.path = path
        self._lock = LockFile(path) if writable else None
        try:
            prepare(path, writable=writable)
            self._datastore = JournalDatastore(str(path) if writable else f"{path.absolute().as_uri()}{READ_ONLY}")
            self._recorder = JournalRecorder(self._datastore)
            self._checkpointer = Checkpointer(self._datastore)
            self._head_file = HeadFile(Path(f"{path}.head"))
            self._first = b""
            if writable:
                with coded(path):
                    self._recorder.create_table()
            self._lookups = sqlite3.connect(
                f"{path.absolute().as_uri()}{READ_ONLY}", uri=True, check_same_thread=False, isolation_level=None
            )
            self._looking_up = threading.Lock()
        except BaseException:
            if self._lock:
                self._lock.release()
            raise

    def append(
        self,
        after: int,
        entries: Sequence[tuple[str, bytes]],
        begins: Sequence[Begin],
        keys: Sequence[tuple[str, str, int]],
    ) -> None:
        """Add records behind a position in one durable transaction. Raises Refused (COMMIT_FAILED, LEDGER_LOCKED)."""
        events = [
            StoredEvent(STREAM, after + offset, topic, state) for offset, (topic, state) in enumerate(entries, start=1)
        ]
        try:
            if self._lock:
                self._lock.check()
            self._checkpointer.expect(TREE_PAGES + len(keys) + sum(len(state) for _, state in entries) // PAGE_BYTES)
            self._recorder.insert_events(events, begins=begins, keys=keys)
        except (PersistenceError, sqlite3.Error) as problem:
            raise Refused(Code.COMMIT_FAILED, "position", after + 1, str(problem)) from problem
        self._first = self._first or self.digest(1)
        self._head_file.write(self._first, after + len(entries), entries[-1][1])

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Records behind a position, in order. Raises Refused (RECORD_DAMAGED) where the file cannot be read."""
        count = READ_FIRST
        while True:
            with coded(self.path):
                events = self._recorder.select_events(STREAM, gt=after, limit=count)
            yield from (Entry(event.originator_version, event.topic, event.state) for event in events)
            if len(events) < count:
                return
            after, count = events[-1].originator_version, min(2 * count, READ_AT_ONCE)

    def digest(self, position: int) -> bytes:
        """Hash of the record at a position, empty where there is none."""
        with coded(self.path):
            events = self._recorder.select_events(STREAM, gt=position - 1, lte=position)
        return hashlib.sha256(events[0].state).digest() if events else b""

    def head(self) -> Entry | None:
        """The last record."""
        with coded(self.path):
            events = self._recorder.select_events(STREAM, desc=True, limit=1)
        return Entry(events[0].originator_version, events[0].topic, events[0].state) if events else None

    def keys(self, names: Sequence[Name]) -> dict[Name, int]:
        """Those of many submissions that were recorded: the first sequence number of each."""
        found: list[Any] = []
        with coded(self.path), self._looking_up:
            for some in portions(names):
                found += self._lookups.execute(with_values(WANTED, len(some), 2), flat(some))
        return {(actor, command_id): first_seq for actor, command_id, first_seq in found}

    @contextmanager
    def all_keys(self) -> Iterator[Iterator[Key]]:
        """Every key there is now, in order of `first_seq`.

        SQLite sorts them into a table of this connection, a file of its own where they are many, so that no reader
        stands in the way of the writer's log while they are read.
        """
        address = f"{self.path.absolute().as_uri()}{READ_ONLY}"
        with coded(self.path), closing(sqlite3.connect(address, uri=True)) as connection:
            connection.text_factory = decoded
            connection.execute("CREATE TEMP TABLE keys AS SELECT * FROM main.submissions ORDER BY first_seq")
            rows = connection.execute("SELECT * FROM keys ORDER BY rowid")
            yield (Key(*row) for row in rows)

    def begin_before(self, seq: int) -> int:
        """Position of a record that begins a group at or before a sequence number: the last that is kept, or 1."""
        last = "SELECT CAST(position AS INTEGER) FROM begins WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1"
        (found,) = self._one(last, (seq,)) or (1,)
        return int(found or 1)

    def begins(self) -> Iterator[Begin]:
        """Every place that is kept where a group begins, in order of `first_seq`."""
        after = -(2**63)
        while True:
            with coded(self.path), self._datastore.transaction(commit=False) as cursor:
                cursor.execute(
                    "SELECT * FROM begins WHERE first_seq > ? ORDER BY first_seq LIMIT ?", (after, ROWS_AT_ONCE)
                )
                rows = [Begin(*row) for row in cursor.fetchall()]
            if not rows:
                return
            yield from rows
            after = rows[-1].first_seq

    def fork_due(self) -> ForkDue | None:
        """Whether this file is a copy from a backup, or lacks records of which the head file knows."""
        head, due = self.head(), self._head_file.fork_due(self)
        (marked,) = self._one("SELECT MAX(position) FROM backup_marks", ())
        if head is None or marked is None or marked < head.position:
            return due
        known = due.known_position if due else head.position
        return ForkDue(RESTORED, head.position, hashlib.sha256(head.state).digest(), max(known, head.position))

    def close(self) -> None:
        """Close all connections and let the next writer in."""
        self._checkpointer.close()
        self._head_file.close()
        self._lookups.close()
        self._datastore.close()
        if self._lock:
            self._lock.release()

    def _one(self, statement: str, parameters: tuple[Any, ...]) -> tuple[Any, ...]:
        with coded(self.path), self._datastore.transaction(commit=False) as cursor:
            cursor.execute(statement, parameters)
            row = cursor.fetchone()
        return tuple(row) if row else ()


def decoded(text: bytes) -> str:
    """A text of a table, whatever somebody wrote there."""
    return text.decode(errors="surrogateescape")


def portions(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Rows in portions for one statement each, of so few sizes that statements are found again, not made again.

    Not `executemany`: at every row of it another thread takes the interpreter, and gives it back after a while.
    """
    at = 0
    while at < len(rows):
        size = min(ROWS_AT_ONCE, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size


@functools.lru_cache(maxsize=1024)
def with_values(statement: str, count: int, width: int) -> str:
    """A statement with placeholders for so many rows."""
    return statement.format(",".join([f"({','.join('?' * width)})"] * count))


def flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The values of some rows, one after the other."""
    return list(itertools.chain.from_iterable(rows))


def prepare(path: Path, *, writable: bool) -> None:
    """Make a new file with large pages, or check that an old one is ours."""
    new = not path.exists() or path.stat().st_size == 0
    missing = Refused(Code.LEDGER_MISSING, "ledger", str(path), "check the path, or run `shuiquan demo` to make one")
    if new and not writable:
        raise missing
    try:
        connection = sqlite3.connect(path)
        try:
            if new:
                connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # has an effect before the first table only
                connection.executescript(
                    f"BEGIN; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={LAYOUT}; COMMIT;"
                    "PRAGMA journal_mode=WAL"
                )
            (found,) = connection.execute("PRAGMA application_id").fetchone()
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'begins'").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as problem:
        if problem.sqlite_errorcode in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}:
            raise Refused(Code.STORE_NOT_OURS, "ledger", str(path), str(problem)) from None
        raise refusal(problem, path) from problem
    if found != APPLICATION_ID:
        raise Refused(Code.STORE_NOT_OURS, "ledger", str(path), "a file that this program made")
    if layout != LAYOUT:
        raise Refused(Code.LAYOUT_UNKNOWN, str(path), layout, f"version {LAYOUT}")
    if not tables and not writable:  # its maker was killed before the first record
        raise missing
