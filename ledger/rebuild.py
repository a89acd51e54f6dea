"""Records as they are stored, in whole groups that are checked, and a store filled with them byte for byte."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from ledger.codes import Code, Refused
from ledger.facts import LedgerOpened
from ledger.journal.records import GENESIS, Decoded, parse, parse_header, segments
from ledger.journal.seeking import Beginnings
from ledger.journal.store import Entry, Key, Store
from ledger.replay import Progress, read_chain
from ledger.rows import SUBMISSIONS

BATCH_BYTES: Final = 8 * 2**20
"""About as many bytes of records go into a store in one transaction."""


class Group(NamedTuple):
    """A group of records: as stored, and their facts."""

    entries: list[Entry]
    decoded: Decoded


class Kept:
    """Records that are read once, and kept until their group is whole."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Records behind some position."""
        self._entries = entries
        self.waiting: deque[Entry] = deque()

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The records in order; they begin where they begin."""
        del after
        for entry in self._entries:
            self.waiting.append(entry)
            yield entry


def whole_groups(
    entries: Iterable[Entry], after: int = 0, digest: bytes = GENESIS, next_seq: int = 1
) -> Iterator[Group]:
    """Groups of records behind a position whose hash is `digest`, each chained to the one before and dense in `seq`.

    Raises Refused naming the position: RECORD_DAMAGED, SEQUENCE_GAP, TOPIC_UNKNOWN.
    """
    kept = Kept(entries)
    for decoded in segments(read_chain(kept, after, digest), next_seq):
        own = []
        while kept.waiting and kept.waiting[0].position <= decoded.position:
            own.append(kept.waiting.popleft())
        yield Group(own, decoded)


def rebuild(
    store: Store,
    entries: Iterable[Entry],
    progress: Progress | None = None,
    watch: Callable[[Group], None] | None = None,
) -> tuple[int, bytes]:
    """Fill an empty store with the records of a journal. Returns position and hash of the last one.

    `watch` is shown every group, and may refuse it. Keys of submissions and beginnings of groups are made anew.

    Raises Refused for a store that is not empty (LEDGER_EXISTS), and whatever `whole_groups` and `watch` refuse; what
    was written by then is to be thrown away.
    """
    if store.head() is not None:
        raise Refused(Code.LEDGER_EXISTS, "store", "not empty", "an empty store")
    last, digest, waiting, size, beginnings = 0, GENESIS, list[Group](), 0, Beginnings()
    for group in whole_groups(entries):
        if watch:
            watch(group)
        waiting.append(group)
        size += sum(len(entry.state) for entry in group.entries)
        digest = group.decoded.digest
        if size >= BATCH_BYTES:
            last, waiting, size = append(store, last, waiting, beginnings), [], 0
            if progress:
                progress(last, group.decoded.last_seq)
    return append(store, last, waiting, beginnings), digest


def append(store: Store, after: int, groups: list[Group], beginnings: Beginnings) -> int:
    """Put groups of records behind a position, with keys and beginnings. Returns the position of the last."""
    entries = [entry for group in groups for entry in group.entries]
    if not entries:
        return after
    headers = [parse_header(entry.position, entry.state)[0] for entry in entries]
    begins = beginnings.kept(after, [header.extent for header in headers], [len(entry.state) for entry in entries])
    keys = [
        Key(row["actor"].decode(), row["command_id"].decode(), int(row["seq"]))
        for group in groups
        for page in group.decoded.pages.get(SUBMISSIONS, ())
        for row in page
    ]
    store.append(after, [(entry.topic, entry.state) for entry in entries], begins, keys)
    return entries[-1].position


def ledger_id(store: Store) -> str:
    """The name that a ledger gives itself in its first fact."""
    first = next(store.entries(0))
    fact = parse(first.position, first.state).fact.fact
    if not isinstance(fact, LedgerOpened):
        raise Refused(Code.RECORD_DAMAGED, "position", 1, "a ledger begins with ledger.opened")
    return fact.ledger_id
