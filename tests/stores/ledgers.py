"""Ledgers on disk for tests of the store: filled once, copied for each test, played on by processes of their own."""

import hashlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from adapters.stores import postgres, sqlite
from ledger.audit import Verification, verify
from ledger.journal.records import GENESIS, LENGTH, Header
from ledger.rows import SUBMISSIONS
from ledger.submissions import Submission
from shuiquan.config import parse_target
from shuiquan.exchange import Exchange
from tests.ledger.scripts import play, populate
from tests.stores.homes import Place, database, insert
from tests.world import World

ROOT = Path(__file__).parents[2]
Script = list[tuple[int, Submission]]
Span = tuple[int, int]
Row = tuple[int, str, bytes]
"""A record as it is stored: position, topic, state."""

UNWRITTEN, UNCOMMITTED, WRITTEN = "unwritten", "uncommitted", "written"
"""Moments at which a process kills itself: before a commit, in its transaction, and behind it but unacknowledged."""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that runs the text of a program; its standard input and output are pipes of lines."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finished(child: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for a process; its exit status and the whole lines that it still had to say."""
    said, _ = child.communicate()
    return child.returncode, [line for line in said.splitlines(keepends=True) if line.endswith("\n")]


def filled(path: Place | str, script: Script) -> World:
    """Make a ledger with holders, meters and open markets, and play a script on it under command ids of its own."""
    world = World(path)
    populate(world)
    play(world, [(at_ns, replace(one, command_id=f"filled-{one.command_id}")) for at_ns, one in script])
    return world


def resumed(path: Place | str, **options: Any) -> World:
    """Open a ledger that exists; command ids go on where no earlier one can be."""
    world = World(path, **options)
    world.count = 10_000
    return world


def facts_hash(exchange: Exchange) -> str:
    """One hash over the canonical bytes of all facts."""
    digest = hashlib.sha256()
    for packed in exchange.canonical_facts():
        digest.update(packed)
    return digest.hexdigest()


def recorded(exchange: Exchange) -> dict[str, Span]:
    """First and last `seq` of every submission in the journal, by its command id, in order."""
    return {
        told.fact["command_id"].decode(): (told.seq, told.seq + int(told.fact["facts"]) - 1)
        for told in exchange.facts()
        if told.topic == SUBMISSIONS
    }


def verified(path: Place | str) -> Verification:
    """Verify a journal, read beside whoever writes it."""
    store = parse_target(path).open(writable=False)
    try:
        return verify(store)
    finally:
        store.close()


def submit_all(world: World, script: Script) -> Iterator[tuple[str, Span, bool, str]]:
    """Submit a script one by one: command id, span, whether it was a repetition, and the state hash afterwards."""
    for at_ns, submission in script:
        world.clock.at_ns = at_ns
        (answer,) = world.exchange.submit_many([submission])
        if isinstance(answer, Exception):
            raise answer
        yield submission.command_id, (answer.first_seq, answer.last_seq), answer.repeated, world.exchange.state_hash()


class Ending(NamedTuple):
    """What an undisturbed run of a script leads to: spans, the state hash after each submission, the hash of facts."""

    spans: dict[str, Span]
    states: list[str]
    facts: str


def undisturbed(path: Place | str, script: Script) -> Ending:
    """Play a script on a ledger without any accident."""
    world = resumed(path)
    before = world.exchange.state_hash()
    steps = list(submit_all(world, script))
    ending = Ending(
        {step[0]: step[1] for step in steps}, [before, *(step[3] for step in steps)], facts_hash(world.exchange)
    )
    world.exchange.close()
    return ending


def die(*_: object) -> None:
    """End this process as a crash would."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: str, number: int) -> None:
    """Make this process kill itself around its `number`-th commit from now on, whatever the store."""
    commits = itertools.count()
    dying = ""

    def deadly_append(append: Callable[..., None]) -> Callable[..., None]:
        def appending(*arguments: Any) -> None:
            nonlocal dying
            dying = moment if next(commits) == number else ""
            if dying == UNWRITTEN:
                die()
            append(*arguments)
            if dying == WRITTEN:
                die()

        return appending

    def deadly_insert(insert: Callable[..., Any], begin: Callable[[Any], object]) -> Callable[..., Any]:
        def inserting(recorder: Any, *arguments: Any, **options: Any) -> Any:
            if dying == UNCOMMITTED:
                begin(recorder)
            inserted = insert(recorder, *arguments, **options)
            if dying == UNCOMMITTED:
                die()
            return inserted

        return inserting

    def begin(recorder: Any) -> None:
        with recorder.datastore.cursor() as cursor:
            cursor.execute("BEGIN")  # so that the statement, which is a transaction, is not the end of it

    for store in (sqlite.SQLiteStore, postgres.PostgresStore):
        store.append = deadly_append(store.append)  # type: ignore[method-assign]
    for recorder, name, first in (
        (sqlite.JournalRecorder, "_insert_events", begun), (postgres.JournalRecorder, "insert_events", begin),
    ):  # fmt: skip
        setattr(recorder, name, deadly_insert(getattr(recorder, name), first))


def begun(_: object) -> None:
    """The recorder of SQLite is in a transaction already."""


def play_aloud(path: Place | str, script: Script, moment: str, number: int) -> None:
    """Play a script as a process of its own, saying when a submission begins and what was acknowledged."""
    world = resumed(path, page_facts=64)
    die_at(moment, number)
    for count, (at_ns, submission) in enumerate(script):
        world.clock.at_ns = at_ns
        sys.stdout.write(f"begun {count}\n")
        sys.stdout.flush()
        (answer,) = world.exchange.submit_many([submission])
        if isinstance(answer, Exception):
            raise answer
        sys.stdout.write(f"acknowledged {submission.command_id} {answer.first_seq} {answer.last_seq}\n")
        sys.stdout.flush()
    world.exchange.close()


def acknowledged(lines: list[str]) -> dict[str, Span]:
    """The submissions that were acknowledged, by command id."""
    words = [line.split() for line in lines if line.startswith("acknowledged")]
    return {name: (int(first), int(last)) for _, name, first, last in words}


def stored(path: Place) -> list[Row]:
    """All records as they are stored."""
    with database(path) as connection:
        return connection.execute(
            "SELECT originator_version, topic, state FROM stored_events ORDER BY originator_version"
        )


def store(path: Place, rows: Iterable[Row]) -> None:
    """Put these records in the place of all that were there."""
    with database(path) as connection:
        connection.execute("DELETE FROM stored_events")
        for row in rows:
            insert(connection, path, row)


def parted(state: bytes) -> tuple[Header, bytes]:
    """Header and body of a record of any format."""
    (length,) = LENGTH.unpack_from(state)
    return msgspec.msgpack.decode(state[LENGTH.size : LENGTH.size + length], type=Header), state[LENGTH.size + length :]


def rewritten(row: Row, body: bytes | None = None, **changes: Any) -> Row:
    """A record with another body or other fields in its header."""
    position, topic, state = row
    header, old = parted(state)
    packed = msgspec.msgpack.encode(msgspec.structs.replace(header, **changes))
    return position, changes.get("topic", topic), LENGTH.pack(len(packed)) + packed + (old if body is None else body)


def rechained(rows: Iterable[Row], until: int | None = None) -> list[Row]:
    """Records numbered anew, each with the hash of the one before, as far as a tamperer goes."""
    made: list[Row] = []
    previous = GENESIS
    for position, (_, topic, state) in enumerate(rows, start=1):
        row = (position, topic, state)
        if until is None or position <= until:
            row = rewritten(row, previous=previous)
            previous = hashlib.sha256(row[2]).digest()
        made.append(row)
    return made
