"""From recorded facts back to the state, without deciding or matching anything."""

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ledger import rows
from ledger.apply import apply_facts
from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.decider import know_actor
from ledger.fold import apply_fact, ensure_holdings_of
from ledger.journal.ahead import ahead
from ledger.journal.records import FORMAT, GENESIS, Decoded, Record, decoded, groups, parse, segments
from ledger.journal.seeking import last_seq
from ledger.journal.store import Source, Store
from ledger.state import State
from ledger.tables import AT_NS, N_READINGS, NEXT_SEQ, Array

Progress = Callable[[int, int], None]
"""Called with the position and the last `seq` of what has been read."""

JOINED_FACTS: Final = 65_536


def read_chain(
    store: Source, after: int = 0, digest: bytes = GENESIS, watch: Callable[[int, bytes], None] | None = None
) -> Iterator[Record]:
    """Records behind a position whose hash is `digest`, each given only once the next has vouched for its bytes.

    `watch` is told position and hash of each before anything else is made of it, and may refuse it.
    Raises Refused: RECORD_DAMAGED naming the first position that does not fit, TOPIC_UNKNOWN for another format.
    """
    position, waiting = after, None
    for entry in store.entries(after):
        record = parse(entry.position, entry.state)
        if watch:
            watch(position + 1, record.digest)
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


def fold(
    state: State, store: Store, progress: Progress | None = None, after: int = 0, digest: bytes = GENESIS
) -> tuple[int, bytes]:
    """Replay a journal into the state as of position `after`, whose record has this `digest`; into an empty one from 0.

    Returns position and hash of the last record. The next records are read and decoded while facts are applied.
    """
    last = (after, digest)
    found = map(decoded, joined(groups(read_chain(store, after, digest), state.next_seq)))
    with ahead(found, weight_of) as groups_ahead:
        for facts in groups_ahead:
            replay(state, facts)
            last = (facts.position, facts.digest)
            if progress:
                progress(facts.position, facts.last_seq)
    return last


def weight_of(facts: Decoded) -> int:
    """How much a group of facts weighs when it is handed over: a rare fact one, a page one more for 1,024 facts."""
    return 1 + sum(len(page) for pages in facts.pages.values() for page in pages) // 1_024


class Chain(NamedTuple):
    """What checking a chain found: how many records and facts, and the hash of the last record."""

    records: int
    facts: int
    head: bytes


def verify_chain(
    store: Store, progress: Progress | None = None, after: int = 0, digest: bytes = GENESIS, next_seq: int = 1
) -> Chain:
    """Check hashes, layouts and numbering of all records behind a position, without folding a fact.

    Raises Refused naming the first bad position: RECORD_DAMAGED, SEQUENCE_GAP, TOPIC_UNKNOWN.
    """
    position, head = after, digest
    for group in joined(groups(read_chain(store, after, digest), next_seq)):
        position, head, next_seq = group[-1].position, group[-1].digest, next_seq + sum(r.header.count for r in group)
        if progress:
            progress(position, next_seq - 1)
    return Chain(position, next_seq - 1, head)


def groups_after(store: Store, after: int) -> Iterator[Decoded]:
    """The facts behind a position as `segments_after` gives them, neighbouring groups of pages joined."""
    return map(decoded, joined(records_after(store, after)))


def segments_after(store: Store, after: int) -> Iterator[Decoded]:
    """Groups of facts behind a position that ends one, each record chained to the one before.

    Raises Refused (OUT_OF_RANGE) for a position inside a group.
    """
    return map(decoded, records_after(store, after))


def records_after(store: Store, after: int) -> Iterator[list[Record]]:
    """Groups of records behind a position that ends one."""
    if not after:
        yield from groups(read_chain(store), 1)
        return
    digest, next_seq = store.digest(after), last_seq(store, after) + 1
    records = read_chain(store, after, digest) if digest else iter(())
    first = next(records, None)
    if first is None:
        return
    if first.header.first_seq < next_seq:
        raise Refused(Code.OUT_OF_RANGE, "after", after, "a position that ends a group, as facts are told with")
    yield from groups(itertools.chain([first], records), next_seq)


def segment_at(store: Store, position: int) -> Decoded:
    """The one group that begins at a position, chained to the record before it and vouched for by the one behind."""
    return next(segments(read_chain(store, position - 1, store.digest(position - 1) or GENESIS)))


def joined(groups: Iterable[list[Record]], stops: Container[int] = ()) -> Iterator[list[Record]]:
    """Neighbouring groups of pages joined into larger ones: fewer compiled calls, the same facts in the same order.

    None goes beyond a position in `stops`.
    """
    waiting: list[Record] = []
    count = 0
    for group in groups:
        rare = not group[0].header.columns
        if waiting and (rare or count >= JOINED_FACTS or waiting[-1].position in stops):
            yield waiting
            waiting, count = [], 0
        if rare:
            yield group
            continue
        waiting.extend(group)
        count += sum(record.header.count for record in group)
    if waiting:
        yield waiting


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
    columns = [joined_rows(pages.get(topic, ()), dtype) for topic, dtype in rows.PAGE_DTYPES.items()]
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


def joined_rows(pages: Sequence[Array], dtype: Any) -> Array:
    """The rows of all pages of a topic; of one page itself."""
    return pages[0] if len(pages) == 1 else np.concatenate([np.zeros(0, dtype), *pages])
