"""Ledgers on disk for tests of the store: filled once, copied for each test, played on by processes of their own."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ledger.audit import Verification, verify
from ledger.journal.records import GENESIS, LENGTH, Header
from ledger.replay import Progress
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


def verified(path: Place | str, progress: Progress | None = None) -> Verification:
    """Verify a journal, read beside whoever writes it."""
    store = parse_target(path).open(writable=False)
    try:
        return verify(store, progress)
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
