"""Records found by the numbers of their facts.

A store keeps for some groups of records where they begin; from there on the headers say what each record holds. First
numbers rise from record to record, but a page may reach beyond the first number of pages behind it in its group.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Final

from ledger.journal.records import Extent, group_starts, parse_header
from ledger.journal.store import Begin, Entry, Store

KEPT_RECORDS: Final = 16
KEPT_BYTES: Final = 65_536


class Beginnings:
    """Says of which groups of records a store keeps where they begin: so many records, or bytes, behind the last one.

    So whoever looks for a fact reads little in vain, and most commits of a few facts write nothing more for it.
    """

    def __init__(self) -> None:
        """The first group is one of them."""
        self._records, self._bytes = KEPT_RECORDS, 0

    def kept(self, after: int, extents: Sequence[Extent], sizes: Iterable[int]) -> list[Begin]:
        """Those among the records behind a position, whole groups of such sizes in bytes."""
        starts, kept = set(group_starts(extents)), []
        for at, ((first_seq, _, _), size) in enumerate(zip(extents, sizes, strict=True)):
            if at in starts and (self._records >= KEPT_RECORDS or self._bytes >= KEPT_BYTES):
                kept.append(Begin(first_seq, after + at + 1))
                self._records = self._bytes = 0
            self._records, self._bytes = self._records + 1, self._bytes + size
        return kept


def entries_from_seq(store: Store, seq: int) -> Iterator[Entry]:
    """Records in order, from the first on that ends at or after this sequence number."""
    entries = store.entries(store.begin_before(seq) - 1)
    for entry in entries:
        header, _ = parse_header(entry.position, entry.state)
        if header.last_seq >= seq:
            yield entry
            yield from entries


def last_seq(store: Store, position: int) -> int:
    """The highest sequence number up to a position, 0 where there is no record."""
    last = next(store.entries(position - 1), None) if position > 0 else None
    if last is None:
        return 0
    header, _ = parse_header(position, last.state)
    entries = store.entries(store.begin_before(header.first_seq) - 1)
    held = takewhile(lambda entry: entry.position <= position, entries)
    return max([header.last_seq, *(parse_header(*entry[::2])[0].last_seq for entry in held)])
