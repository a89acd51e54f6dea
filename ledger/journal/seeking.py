"""Records found by the numbers of their facts.

A store keeps for some groups of records where they begin; from there on the headers say what each record holds. First
numbers rise from record to record, but a page may reach beyond the first number of pages behind it in its group.
"""

from collections.abc import Iterator
from itertools import takewhile

from ledger.journal.records import parse_header
from ledger.journal.store import Entry, Store


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
    return max(parse_header(entry.position, entry.state)[0].last_seq for entry in held)
