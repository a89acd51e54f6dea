"""From recorded facts back to the state, without deciding or matching anything."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np

from ledger import rows
from ledger.apply import apply_facts
from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.decider import know_actor
from ledger.fold import apply_fact, ensure_holding
from ledger.journal.records import GENESIS, Decoded, Record, parse, segments
from ledger.journal.store import Store
from ledger.state import State
from ledger.tables import AT_NS, NEXT_SEQ, Array

Progress = Callable[[int, int], None]
"""Called with the position and the last `seq` of what has been read."""

JOINED_FACTS: Final = 262_144
YEAR_BASE: Final = 10_000  # above any year: right x base + year is one number


def read_chain(store: Store, after: int = 0, digest: bytes = GENESIS) -> Iterator[Record]:
    """Records behind a position whose hash is `digest`, each checked against the one before.

    Raises Refused (RECORD_DAMAGED) naming the first position that does not fit.
    """
    position = after
    for entry in store.entries(after):
        record = parse(entry.position, entry.state)
        if record.position != position + 1 or record.header.previous != digest:
            raise Refused(Code.RECORD_DAMAGED, "position", position + 1, "each record holds the hash of the one before")
        if entry.topic != record.header.topic:
            raise Refused(Code.RECORD_DAMAGED, "topic", entry.topic, record.header.topic)
        position, digest = record.position, record.digest
        yield record


def fold(state: State, store: Store, progress: Progress | None = None) -> tuple[int, bytes]:
    """Replay a whole journal into an empty state. Returns position and hash of its last record."""
    last = (0, GENESIS)

    def watched() -> Iterator[Record]:
        nonlocal last
        for record in read_chain(store):
            last = (record.position, record.digest)
            yield record

    for decoded in joined(segments(watched(), state.next_seq)):
        replay(state, decoded)
        if progress:
            progress(decoded.position, decoded.last_seq)
    return last


def joined(groups: Iterable[Decoded]) -> Iterator[Decoded]:
    """Neighbouring groups of pages joined into larger ones: fewer compiled calls, the same facts in the same order."""
    pages: dict[str, list[Array]] = {}
    waiting: Decoded | None = None
    count = 0
    for group in groups:
        if waiting and (group.facts or count >= JOINED_FACTS):
            yield waiting
            waiting, pages, count = None, {}, 0
        if group.facts:
            yield group
            continue
        for topic, more in group.pages.items():
            pages.setdefault(topic, []).extend(more)
            count += sum(len(page) for page in more)
        waiting = Decoded([], pages, group.position, group.last_seq)
    if waiting:
        yield waiting


def apply_submissions(state: State, page: Array) -> None:
    """Apply recorded submissions: actors and the clock."""
    for row in page:
        know_actor(state, row["actor"].decode(), Role(int(row["role"])))
        state.journal.clock[AT_NS] = row["at_ns"]


def replay(state: State, decoded: Decoded) -> None:
    """Apply the facts of a group of records to the state."""
    for _, _, fact in decoded.facts:
        apply_fact(state, fact)
    if decoded.pages:
        for page in decoded.pages.get(rows.SUBMISSIONS, ()):
            apply_submissions(state, page)
        replay_pages(state, {topic: pages for topic, pages in decoded.pages.items() if topic != rows.SUBMISSIONS})
    state.journal.clock[NEXT_SEQ] = decoded.last_seq + 1


def replay_pages(state: State, pages: dict[str, list[Array]]) -> None:
    """Apply frequent facts in one compiled call."""
    columns = [np.concatenate([np.zeros(0, dtype), *pages.get(topic, ())]) for topic, dtype in rows.PAGE_DTYPES.items()]
    readings, uses = columns[3], columns[4]
    for pair in np.unique(uses["right"].astype(np.int64) * YEAR_BASE + uses["year"]):
        ensure_holding(state, *divmod(int(pair), YEAR_BASE))
    state.reserve_live(len(columns[0]), len(readings))
    journal = state.journal._replace(
        orders=columns[0], trades=columns[1], removals=columns[2], readings=readings, uses=uses,
        counts=np.array([len(column) for column in columns], np.int64),
    )  # fmt: skip
    apply_facts(state.books, state.accounts, state.market, state.metering, journal)
