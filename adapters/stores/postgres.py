"""The journal in a PostgreSQL database, through a subclass of the eventsourcing library's recorder.

The records lie in the library's own table, one stream, stream version = position, so its primary key refuses a
second writer even where the lock failed. Keys of submissions, and now and then where a group of records begins, go in
with the records, in one statement that is one transaction.

A writer writes through one session, which also holds its lock: when the session is lost the lock is lost with it, and
nothing can be written any more. Everything is read through other connections, which PostgreSQL itself keeps from
writing.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError, PersistenceError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import retry
from psycopg.rows import DictRow, dict_row, tuple_row

from adapters.stores.headfile import HeadFile
from adapters.stores.postgres_server import (
    LAYOUT,
    SCHEMA,
    Address,
    check_may_write,
    connect,
    end,
    has_tables,
    one_line,
    open_session,
)
from ledger.codes import Code, Refused
from ledger.journal.store import Begin, Entry, ForkDue, Key, Name

STREAM: Final = "journal"
READ_AT_ONCE: Final = 64  # a page can be several megabytes
READ_FIRST: Final = 4  # most who ask for one group of records read no further
ROWS_AT_ONCE: Final = 1024  # of the tables for look-up

TABLES: Final = (
    "CREATE TABLE shuiquan.layout (version integer PRIMARY KEY)",
    # pages are arrays of integers: compressing them takes the server seven times as long as writing them
    "ALTER TABLE shuiquan.stored_events ALTER COLUMN state SET STORAGE EXTERNAL",
    "CREATE TABLE shuiquan.begins (first_seq bigint PRIMARY KEY, position bigint NOT NULL)",
    # bytes of UTF-8: no collation can change their order, and they may hold what a text may not; by command id first,
    # as in SQLite
    """
    CREATE TABLE shuiquan.submissions (
        actor bytea, command_id bytea, first_seq bigint NOT NULL, PRIMARY KEY (command_id, actor)
    )
    """,
)

# the library's own number is the position too: its sequence has holes, and goes back when a copied database crashes
INSERT: Final = """
WITH events AS (
    INSERT INTO shuiquan.stored_events (originator_id, originator_version, topic, state, notification_id)
    SELECT stream, position, topic, state, position
    FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[]) AS event (stream, position, topic, state)
), begins AS (
    INSERT INTO shuiquan.begins
    SELECT * FROM unnest(%b::bigint[], %b::bigint[])
)
INSERT INTO shuiquan.submissions
SELECT * FROM unnest(%b::bytea[], %b::bytea[], %b::bigint[])
"""


class Session:
    """In the place of a pool: one connection that is never replaced, for with it the lock would be gone."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """A session on an open connection."""
        self._connection = connection
        connection.row_factory = dict_row  # as the library expects

    def open(self, *_: object) -> None:
        """It is open."""

    def connection(self) -> AbstractContextManager[psycopg.Connection[DictRow]]:
        """The connection."""
        return nullcontext(self._connection)

    def close(self) -> None:
        """Close it, which frees the lock."""
        end(self._connection)


class Readers:
    """In the place of a pool: connections that only read, for PostgreSQL itself, made when needed and kept when whole.

    Unlike a pool that connects in the background, it says at once that a server is gone, and why.
    """

    def __init__(self, address: Address) -> None:
        """No connection yet."""
        self._address = address
        self._idle: deque[psycopg.Connection[DictRow]] = deque()
        self._closed = False

    def open(self, *_: object) -> None:
        """Connections are made when they are needed."""

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """A connection for one thread. Raises Refused as `connect` does."""
        if self._closed:
            raise Refused(Code.LEDGER_CLOSED, "ledger", self._address.name)
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._address)
            connection.execute("SET default_transaction_read_only = on")
            connection.row_factory = dict_row  # as the library expects
        try:
            yield connection
        finally:
            self._idle.append(connection)
            if connection.closed or self._closed:
                self._drop()

    def close(self) -> None:
        """Close them."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """Close what is idle: where one connection broke, the server was gone and the others are broken too."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


class JournalDatastore(PostgresDatastore):
    """A datastore of the library on connections of ours, which know settings that it does not."""

    def __init__(self, pool: Session | Readers) -> None:
        """A datastore in the schema of ledgers."""
        super().__init__("", "", "", "", "", originator_id_type="text", schema=SCHEMA)
        self.pool = pool  # type: ignore[assignment] # it has what is asked of a pool here


class JournalRecorder(PostgresApplicationRecorder):
    """The library's recorder, with submissions' keys and beginnings of groups in the same transaction."""

    def create_table(self) -> None:
        """The library's table and ours, all or none. Not its function for inserts, which readers can miss events by."""
        del self.sql_create_statements[self.create_insert_function_statement_index]
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS shuiquan")
            for theirs in self.sql_create_statements:
                cursor.execute(theirs)
            for ours in TABLES:
                cursor.execute(ours)
            cursor.execute("INSERT INTO shuiquan.layout VALUES (%s)", [LAYOUT])

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        begins: Sequence[Begin] = (),
        keys: Sequence[tuple[str, str, int]] = (),
        **_: Any,
    ) -> Sequence[int]:
        """Insert in one transaction, never tried again: an answer that was lost may hide a commit.

        No table lock is needed, as the library takes one: whoever inserts begins behind the last position, so that the
        primary key lets one in at a time, and positions become visible in order.
        """
        columns = [
            *columns_of([(e.originator_id, e.originator_version, e.topic, e.state) for e in stored_events], 4),
            *columns_of(begins, 2),
            *columns_of([(actor.encode(), command_id.encode(), first_seq) for actor, command_id, first_seq in keys], 3),
        ]
        with self.datastore.cursor() as cursor:
            cursor.execute(INSERT, columns, prepare=True)
        return [event.originator_version for event in stored_events]

    @retry((InterfaceError, OperationalError), max_attempts=2)
    def select(self, statement: Any, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a query. Asked again on a new connection where one was lost."""
        with self.datastore.get_connection() as connection:
            cursor = connection.cursor(binary=True, row_factory=tuple_row)
            return cursor.execute(statement, parameters, prepare=True).fetchall()


class PostgresStore:
    """A ledger's journal in a database. Open with `writable=False` to read beside a writer."""

    def __init__(self, address: Address, *, writable: bool = True) -> None:
        """Open a journal, made if the database has none and `writable`.

        Raises Refused: LEDGER_LOCKED, LEDGER_MISSING, STORE_NOT_OURS, LAYOUT_UNKNOWN, SERVER_UNREACHABLE,
        DATABASE_MISSING, LOGIN_REFUSED, ENCODING_NOT_UTF8, NOT_DURABLE, SERVER_READS_ONLY.
        """
        self._address = address
        session = open_session(address) if writable else connect(address)
        readers = Readers(address)
        try:
            known = has_tables(session, address)
            if not known and not writable:
                raise Refused(Code.LEDGER_MISSING, "ledger", address.name, "check the address")
            if known and writable:
                check_may_write(session, address)
            self._writer = JournalRecorder(JournalDatastore(Session(session))) if writable else None
            if self._writer and not known:
                create(self._writer, address)
            self._reader = JournalRecorder(JournalDatastore(readers))
            self._head_file, self._first = HeadFile(Path(f"{address.beside}.head")), b""
        except BaseException as problem:
            readers.close()
            end(session)
            if isinstance(problem, psycopg.OperationalError | PersistenceError):  # it went away meanwhile
                raise Refused(Code.SERVER_UNREACHABLE, "ledger", self._address.name, one_line(problem)) from problem
            raise
        if not writable:
            session.close()

    def append(
        self,
        after: int,
        entries: Sequence[tuple[str, bytes]],
        begins: Sequence[Begin],
        keys: Sequence[tuple[str, str, int]],
    ) -> None:
        """Add records behind a position in one durable transaction. Raises Refused (COMMIT_FAILED)."""
        events = [
            StoredEvent(STREAM, after + offset, topic, state) for offset, (topic, state) in enumerate(entries, start=1)
        ]
        if self._writer is None:
            raise Refused(Code.COMMIT_FAILED, "position", after + 1, "opened for reading")
        try:
            self._writer.insert_events(events, begins=begins, keys=keys)
        except PersistenceError as problem:
            raise Refused(Code.COMMIT_FAILED, "position", after + 1, one_line(problem)) from problem
        self._first = self._first or self.digest(1)
        self._head_file.write(self._first, after + len(entries), entries[-1][1])

    def fork_due(self) -> ForkDue | None:
        """Whether this journal lacks records of which the head file knows, as one restored from a dump does."""
        return self._head_file.fork_due(self)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Records behind a position, in order."""
        count = READ_FIRST
        while True:
            found = self._select(
                "SELECT originator_version, topic, state FROM shuiquan.stored_events"
                " WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version LIMIT %s",
                STREAM, after, count,
            )  # fmt: skip
            yield from (Entry(*row) for row in found)
            if len(found) < count:
                return
            after, count = found[-1][0], min(2 * count, READ_AT_ONCE)

    def digest(self, position: int) -> bytes:
        """Hash of the record at a position, empty where there is none."""
        asked = "SELECT sha256(state) FROM shuiquan.stored_events WHERE originator_id = %s AND originator_version = %s"
        found = self._select(asked, STREAM, position)
        return bytes(found[0][0]) if found else b""

    def head(self) -> Entry | None:
        """The last record."""
        found = self._select(
            "SELECT originator_version, topic, state FROM shuiquan.stored_events"
            " WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1",
            STREAM,
        )
        return Entry(*found[0]) if found else None

    def keys(self, names: Sequence[Name]) -> dict[Name, int]:
        """Those of many submissions that were recorded: the first sequence number of each."""
        names_of = [[name[part].encode() for name in names] for part in (0, 1)]
        found = self._select(
            "SELECT s.* FROM unnest(%s::bytea[], %s::bytea[]) AS wanted (actor, command_id) "
            "JOIN shuiquan.submissions s USING (actor, command_id)",
            *names_of,
        )
        return {(actor.decode(), command_id.decode()): first_seq for actor, command_id, first_seq in found}

    @contextmanager
    def all_keys(self) -> Iterator[Iterator[Key]]:
        """Every key there is now, in order of `first_seq`, sorted by the server."""
        with (
            self._reached(),
            connect(self._address) as connection,
            connection.transaction(),
            connection.cursor("keys", binary=True, row_factory=tuple_row) as cursor,
        ):
            cursor.itersize = ROWS_AT_ONCE
            connection.patience_s = None  # however long it takes to sort them
            cursor.execute("SELECT * FROM shuiquan.submissions ORDER BY first_seq")
            yield (Key(decoded(actor), decoded(command_id), first_seq) for actor, command_id, first_seq in cursor)

    def begin_before(self, seq: int) -> int:
        """Position of a record that begins a group at or before a sequence number: the last that is kept, or 1."""
        asked = "SELECT position FROM shuiquan.begins WHERE first_seq <= %s ORDER BY first_seq DESC LIMIT 1"
        found = self._select(asked, seq)
        return int(found[0][0]) if found else 1

    def begins(self) -> Iterator[Begin]:
        """Every place that is kept where a group begins, in order of `first_seq`."""
        after = -(2**63)
        while True:
            asked = "SELECT * FROM shuiquan.begins WHERE first_seq > %s ORDER BY first_seq LIMIT %s"
            rows = [Begin(*row) for row in self._select(asked, after, ROWS_AT_ONCE)]
            if not rows:
                return
            yield from rows
            after = rows[-1].first_seq

    def close(self) -> None:
        """Close all connections and let the next writer in."""
        self._head_file.close()
        self._reader.datastore.close()
        if self._writer:
            self._writer.datastore.close()

    def _select(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._reached():
            found: list[tuple[Any, ...]] = self._reader.select(statement, *parameters)
        return found

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Raise Refused (SERVER_UNREACHABLE) where the server goes away within the block."""
        try:
            yield
        except (InterfaceError, OperationalError, psycopg.OperationalError) as problem:
            raise Refused(Code.SERVER_UNREACHABLE, "ledger", self._address.name, one_line(problem)) from problem


def decoded(text: bytes) -> str:
    """A text of a table, whatever somebody wrote there."""
    return text.decode(errors="surrogateescape")


def columns_of(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into so many columns, each an array of PostgreSQL."""
    return [[row[at] for row in rows] for at in range(width)]


def create(recorder: JournalRecorder, address: Address) -> None:
    """Make the tables of a new ledger. Raises Refused (LOGIN_REFUSED) for a role that may not."""
    try:
        recorder.create_table()
    except PersistenceError as problem:
        raise Refused(Code.LOGIN_REFUSED, "ledger", address.name, one_line(problem)) from problem
