"""The tables for look-up, `submissions` and `spans`, held against the records whose content they repeat.

No hash covers these tables, and yet they decide: a key that is gone lets a command be done twice, a span that points
elsewhere hides facts. Both are read once, beside the records and in their order, so that a batch of rows is held at a
time; the database sorts the keys.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import Self

from ledger.codes import Code, Refused
from ledger.journal.records import Decoded, Record
from ledger.journal.store import Key, Span, Store
from ledger.rows import SUBMISSIONS
from ledger.tables import Array


class LookupCheck:
    """Compares the rows of both tables while the records of a journal are read from the first on."""

    def __init__(self, store: Store, position: int, keys: Iterator[Key]) -> None:
        """A check whose `keys` are of a moment at which the journal had reached `position`, or more."""
        self.position = position
        self._store, self._keys, self._spans = store, keys, store.spans()

    @classmethod
    @contextmanager
    def of(cls, store: Store) -> Iterator[Self]:
        """A check of a journal, whose writer may go on meanwhile."""
        head = store.head()
        with store.all_keys() as keys:  # read after the head: what the journal held has its keys among them
            yield cls(store, head.position if head else 0, keys)

    def look(self, group: Sequence[Record], facts: Decoded) -> None:
        """Compare the rows of the next records. Raises Refused (LOOKUP_DIFFERS) naming the first wrong row."""
        said = [Span(record.position, record.header.first_seq, record.header.last_seq) for record in group]
        compare("spans", list(islice(self._spans, len(said))), said)
        for page in facts.pages.get(SUBMISSIONS, ()):
            recorded = keys_of(page)
            found = list(islice(self._keys, len(recorded)))
            late = facts.position > self.position  # written since the keys were read: the last of them may be missing
            compare("submissions", found, recorded[: len(found)] if late else recorded)

    def finish(self) -> None:
        """Compare what is left when the records are at their end. Raises Refused (LOOKUP_DIFFERS)."""
        compare("submissions", list(islice(self._keys, 1)), [])
        last = 0
        for span in self._spans:
            if span.position > last:
                head = self._store.head()  # it holds the record of any row that a writer added meanwhile
                last = head.position if head else 0
            compare("spans", [span] if span.position > last else [], [])


def keys_of(page: Array) -> list[Key]:
    """The keys of a page of submissions."""
    first, count = page["seq"], page["facts"]
    actors, names = (page[name].tolist() for name in ("actor", "command_id"))
    return list(
        map(
            Key, map(bytes.decode, actors), map(bytes.decode, names), page["content"].tolist(), first.tolist(),
            (first + count - 1).tolist(),
        )
    )  # fmt: skip


def compare(table: str, found: Sequence[Key | Span], said: Sequence[Key | Span]) -> None:
    """Raise Refused (LOOKUP_DIFFERS) naming the first row that is not what the records say, or is missing."""
    if found == said:
        return
    row, record = next(pair for pair in zip_longest(found, said) if pair[0] != pair[1])
    if row is None or (record is not None and place(record) < place(row)):
        raise Refused(Code.LOOKUP_DIFFERS, table, shown(record), "its record is there, the row is missing")
    if record is None or place(row) < place(record):
        raise Refused(Code.LOOKUP_DIFFERS, table, shown(row), "no record says so")
    raise Refused(Code.LOOKUP_DIFFERS, table, shown(row), f"the record says {shown(record)}")


def place(row: Key | Span) -> int:
    """Where a row stands in the order of its table; what is no number stands before all."""
    at = row.first_seq if isinstance(row, Key) else row.position
    return at if isinstance(at, int) else -1


def shown(row: Key | Span | None) -> str:
    """A row for people."""
    if isinstance(row, Key):
        content = row.content.hex()[:16] if isinstance(row.content, bytes) else repr(row.content)
        return f"{row.actor} {row.command_id}, seq {row.first_seq} to {row.last_seq}, content {content}"
    return f"position {row.position}, seq {row.first_seq} to {row.last_seq}" if row else ""
