"""The tables for look-up, `submissions` and `begins`, held against the records whose content they repeat.

No hash covers these tables, and yet they decide: a key that is gone lets a command be done twice, a beginning that lies
elsewhere hides facts. Both are read once, beside the records and in their order, so that a batch of rows is held at a
time; the database sorts the keys. A beginning that is gone hides nothing: whoever looks begins to read before it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, zip_longest
from typing import Self

from ledger.codes import Code, Refused
from ledger.journal.records import Decoded
from ledger.journal.store import Begin, Key, Store
from ledger.rows import SUBMISSIONS
from ledger.tables import Array


class LookupCheck:
    """Compares the rows of both tables while the records of a journal are read from the first on."""

    def __init__(self, store: Store, position: int, keys: Iterator[Key]) -> None:
        """A check whose `keys` are of a moment at which the journal had reached `position`, or more."""
        self.position = position
        self._store, self._keys, self._begins = store, keys, store.begins()
        self._next = list(islice(self._begins, 1))
        self._read = 0  # position of the last record that was compared

    @classmethod
    @contextmanager
    def of(cls, store: Store) -> Iterator[Self]:
        """A check of a journal, whose writer may go on meanwhile."""
        head = store.head()
        with store.all_keys() as keys:  # read after the head: what the journal held has its keys among them
            yield cls(store, head.position if head else 0, keys)

    def look(self, facts: Decoded) -> None:
        """Compare the rows of the next records. Raises Refused (LOOKUP_DIFFERS) naming the first wrong row."""
        for start in facts.starts:
            if any(row.first_seq <= start.seq for row in self._next):
                compare("begins", self._next, [Begin(start.seq, start.position)])
                self._next = list(islice(self._begins, 1))
        self._read = facts.position
        for page in facts.pages.get(SUBMISSIONS, ()):
            recorded = keys_of(page)
            found = list(islice(self._keys, len(recorded)))
            late = facts.position > self.position  # written since the keys were read: the last of them may be missing
            compare("submissions", found, recorded[: len(found)] if late else recorded)

    def finish(self) -> None:
        """Compare what is left when the records are at their end. Raises Refused (LOOKUP_DIFFERS)."""
        compare("submissions", list(islice(self._keys, 1)), [])
        for begin in chain(self._next, self._begins):
            head = self._store.head()  # it holds the record of any row that a writer added meanwhile
            late = head and isinstance(begin.position, int) and self._read < begin.position <= head.position
            compare("begins", [] if late else [begin], [])


def keys_of(page: Array) -> list[Key]:
    """The keys of a page of submissions."""
    actors, names = (map(bytes.decode, page[name].tolist()) for name in ("actor", "command_id"))
    return list(map(Key, actors, names, page["seq"].tolist()))


def compare(table: str, found: Sequence[Key | Begin], said: Sequence[Key | Begin]) -> None:
    """Raise Refused (LOOKUP_DIFFERS) naming the first row that is not what the records say, or is missing."""
    if found == said:
        return
    row, record = next(pair for pair in zip_longest(found, said) if pair[0] != pair[1])
    if row is None or (record is not None and place(record) < place(row)):
        raise Refused(Code.LOOKUP_DIFFERS, table, shown(record), "its record is there, the row is missing")
    if record is None or place(row) < place(record):
        raise Refused(Code.LOOKUP_DIFFERS, table, shown(row), "no record says so")
    raise Refused(Code.LOOKUP_DIFFERS, table, shown(row), f"the record says {shown(record)}")


def place(row: Key | Begin) -> int:
    """Where a row stands in the order of its table; what is no number stands before all."""
    return row.first_seq if isinstance(row.first_seq, int) else -1


def shown(row: Key | Begin | None) -> str:
    """A row for people."""
    if isinstance(row, Key):
        return f"{row.actor} {row.command_id}, seq {row.first_seq}"
    return f"seq {row.first_seq} at position {row.position}" if row else ""
