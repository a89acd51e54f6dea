"""From recorded facts back to the state, without deciding or matching anything."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np

from ledger import rows
from ledger.apply import apply_facts
from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.decider import know_actor
from ledger.fold import apply_fact, ensure_holdings_of
from ledger.journal.records import FORMAT, GENESIS, Decoded, Record, Start, parse, segments
from ledger.journal.store import Source, Store
from ledger.state import State
from ledger.tables import AT_NS, N_READINGS, NEXT_SEQ, Array

Progress = Callable[[int, int], None]
"""Called with the position and the last `seq` of what has been read."""

JOINED_FACTS: Final = 262_144


def read_chain(store: Source, after: int = 0, digest: bytes = GENESIS) -> Iterator[Record]:
    """Records behind a position whose hash is `digest`, each given only once the next has vouched for its bytes.

    Raises Refused: RECORD_DAMAGED naming the first position that does not fit, TOPIC_UNKNOWN for another format.
    """
    position, waiting = after, None
    for entry in store.entries(after):
        record = parse(entry.position, entry.state)
        if record.position != position + 1 or record.header.previous != digest:
            raise Refused(Code.RECORD_DAMAGED, "position", position + 1, "each record holds the hash of the one before")
        if waiting:
            yield of_this_format(waiting)
        if entry.topic != record.header.topic:
            raise Refused(Code.RECORD_DAMAGED, "position", record.position, "its topic is that of its header")
        position, digest, waiting = record.position, record.digest, record
    if waiting:
        yield of_this_format(waiting)


def of_this_format(record: Record) -> Record:
    """A record that this program can read. Raises Refused (TOPIC_UNKNOWN) for another."""
    if record.header.format != FORMAT:
        raise Refused(Code.TOPIC_UNKNOWN, "format", record.header.format, f"{FORMAT}")
    return record


def fold(state: State, store: Store, progress: Progress | None = None) -> tuple[int, bytes]:
    """Replay a whole journal into an empty state. Returns position and hash of its last record."""
    last = (0, GENESIS)
    for decoded in joined(segments(read_chain(store), state.next_seq)):
        replay(state, decoded)
        last = (decoded.position, decoded.digest)
        if progress:
            progress(decoded.position, decoded.last_seq)
    return last


def groups_after(store: Store, after: int) -> Iterator[Decoded]:
    """The facts behind a position as `segments_after` gives them, neighbouring groups of pages joined."""
    return joined(segments_after(store, after))


def segments_after(store: Store, after: int) -> Iterator[Decoded]:
    """Groups of facts behind a position that ends one, each record chained to the one before.

    Raises Refused (OUT_OF_RANGE) for a position inside a group.
    """
    if not after:
        yield from segments(read_chain(store), 1)
        return
    digest, next_seq = store.digest(after), store.last_seq(after) + 1
    records = read_chain(store, after, digest) if digest else iter(())
    first = next(records, None)
    if first is None:
        return
    if first.header.first_seq < next_seq:
        raise Refused(Code.OUT_OF_RANGE, "after", after, "a position that ends a group, as facts are told with")
    yield from segments(itertools.chain([first], records), next_seq)


def segment_at(store: Store, position: int) -> Decoded:
    """The one group that begins at a position, chained to the record before it and vouched for by the one behind."""
    return next(segments(read_chain(store, position - 1, store.digest(position - 1) or GENESIS)))


def joined(groups: Iterable[Decoded]) -> Iterator[Decoded]:
    """Neighbouring groups of pages joined into larger ones: fewer compiled calls, the same facts in the same order."""
    pages: dict[str, list[Array]] = {}
    starts: list[Start] = []
    waiting: Decoded | None = None
    count = 0
    for group in groups:
        if waiting and (group.facts or count >= JOINED_FACTS):
            yield waiting._replace(starts=tuple(starts))
            waiting, pages, starts, count = None, {}, [], 0
        if group.facts:
            yield group
            continue
        for topic, more in group.pages.items():
            pages.setdefault(topic, []).extend(more)
            count += sum(len(page) for page in more)
        starts += group.starts
        waiting = Decoded([], pages, group.position, group.last_seq, group.digest)
    if waiting:
        yield waiting._replace(starts=tuple(starts))


def apply_submissions(state: State, page: Array) -> None:
    """Apply recorded submissions: actors and the clock."""
    for row in page:
        know_actor(state, row["actor"].decode(), Role(int(row["role"])))
        state.journal.clock[AT_NS] = row["at_ns"]


def replay(state: State, decoded: Decoded) -> None:
    """Apply the facts of a group of records to the state."""
    for _, at_ns, fact in decoded.facts:
        state.journal.clock[AT_NS] = at_ns
        apply_fact(state, fact)
    if decoded.pages:
        for page in decoded.pages.get(rows.SUBMISSIONS, ()):
            apply_submissions(state, page)
        replay_pages(state, {topic: pages for topic, pages in decoded.pages.items() if topic != rows.SUBMISSIONS})
    state.journal.clock[NEXT_SEQ] = decoded.last_seq + 1


def replay_pages(state: State, pages: dict[str, list[Array]]) -> None:
    """Apply frequent facts in one compiled call, or a few where holdings come up."""
    columns = [np.concatenate([np.zeros(0, dtype), *pages.get(topic, ())]) for topic, dtype in rows.PAGE_DTYPES.items()]
    orders, trades, removals, readings, uses = columns
    state.reserve_live(len(orders), len(readings))
    journal = state.journal._replace(
        orders=orders, trades=trades, removals=removals, readings=readings, uses=uses,
        counts=np.array([len(column) for column in columns], np.int64),
    )  # fmt: skip
    done = np.zeros(len(columns), np.int64)
    while not apply_facts(state.books, state.accounts, state.market, state.metering, journal, done):
        reading = readings[done[N_READINGS]]
        ensure_holdings_of(state, int(reading["meter"]), int(reading["measured_at_ns"]))
