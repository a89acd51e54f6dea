"""What a submission led to: its facts, as the caller gets them at once and again when he repeats it."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ledger import facts, rows
from ledger.codes import Code, Refused
from ledger.journal.records import Header, Record, parse
from ledger.journal.seeking import entries_from_seq
from ledger.journal.store import Name, Store
from ledger.segments import Segment
from ledger.tables import Array, joined


class Pages(NamedTuple):
    """Frequent facts of one submission, or of several that share their pages: rows of `ledger.rows`."""

    orders: Array
    trades: Array
    removals: Array
    readings: Array
    uses: Array


NOTHING: Final = Pages(*(np.zeros(0, dtype) for dtype in rows.PAGE_DTYPES.values()))
WHOLE: Final = (0, None, 0, None, 0, None)


class Answer(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The facts that a submission led to. Arrays are rows of `ledger.rows`; `acts` are rare facts with their `seq`.

    `repeated` says that the same submission was answered before and nothing happened this time.
    """

    first_seq: int
    last_seq: int
    at_ns: int
    pages: Pages  # its facts are a part of them
    part: tuple[int | None, ...] = WHOLE  # begin and end in the pages of orders, trades and removals
    acts: list[facts.Stamped] = []
    repeated: bool = False

    @property
    def orders(self) -> Array:
        """Outcomes of its orders, rows of ORDER_FACT in the order in which they were given."""
        return self.pages.orders[self.part[0] : self.part[1]]

    @property
    def trades(self) -> Array:
        """Its fills, rows of TRADE_FACT."""
        return self.pages.trades[self.part[2] : self.part[3]]

    @property
    def removals(self) -> Array:
        """What left the books without a trade because of it, rows of REMOVAL_FACT."""
        return self.pages.removals[self.part[4] : self.part[5]]

    @property
    def readings(self) -> Array:
        """Outcomes of its readings, rows of READING_FACT in the order in which they were given."""
        return self.pages.readings

    @property
    def uses(self) -> Array:
        """The water that its readings booked, rows of USE_FACT."""
        return self.pages.uses

    @property
    def refused(self) -> list[facts.CommandRefused]:
        """The commands that a rule forbade, orders and readings apart."""
        return [fact for _, _, fact in self.acts if isinstance(fact, facts.CommandRefused)]

    @property
    def own(self) -> Pages:
        """All its frequent facts, and no others."""
        return Pages(self.orders, self.trades, self.removals, self.readings, self.uses)

    def __repr__(self) -> str:
        """Its own facts, not the pages in which they lie."""
        shown = {"first_seq": self.first_seq, "last_seq": self.last_seq, "at_ns": self.at_ns, **self.own._asdict()}
        shown |= {"acts": self.acts, "repeated": self.repeated}
        return f"Answer({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


Recorded = tuple[bytes, Answer]
"""A submission that was decided: the digest of its content, and its answer."""


def pages_of(segment: Segment) -> Pages:
    """The frequent facts of a segment."""
    return Pages(*map(segment.pages.get, rows.PAGE_DTYPES, NOTHING))


def make_answer(first_seq: int, last_seq: int, at_ns: int, parts: Sequence[Segment]) -> Answer:
    """The answer that consists of these parts."""
    found = ([part.pages[topic] for part in parts if topic in part.pages] for topic in rows.PAGE_DTYPES)
    pages = Pages(*(joined(some) if some else nothing for some, nothing in zip(found, NOTHING, strict=True)))
    return Answer(first_seq, last_seq, at_ns, pages, acts=[stamped for part in parts for stamped in part.rare])


def recorded(store: Store, names: Sequence[Name]) -> dict[Name, Recorded]:
    """Those of some submissions that were recorded, as they were answered; records that they share are read once.

    Raises Refused (LOOKUP_DIFFERS) where the journal holds another submission, or none, where the store says it is.
    """
    reading = Reading(store)
    places = sorted((first_seq, name) for name, first_seq in store.keys(names).items())
    return {name: reading.submission(name, first_seq) for first_seq, name in places}


class Reading:
    """Reads submissions in the order of the journal, on and on where they lie together."""

    def __init__(self, store: Store) -> None:
        """Nothing is read yet."""
        self._store = store
        self._records: Iterator[Record] = iter(())
        self._kept: list[tuple[Header, Segment]] = []

    def submission(self, name: Name, first_seq: int) -> Recorded:
        """One submission, whose own fact has this number. Raises Refused (LOOKUP_DIFFERS)."""
        pages = [part.submissions for part in self._parts(first_seq, first_seq) if part.submissions is not None]
        found = [row for page in pages for row in page[page["seq"] == first_seq]]
        if not found or (found[0]["actor"].decode(), found[0]["command_id"].decode()) != name:
            rule = f"no such submission at seq {first_seq}"
            raise Refused(Code.LOOKUP_DIFFERS, "submissions", " ".join(name), rule)
        last_seq = first_seq + int(found[0]["facts"]) - 1
        own = [between(part, first_seq, last_seq) for part in self._parts(first_seq, last_seq)]
        return found[0]["content"].tobytes(), make_answer(first_seq, last_seq, int(found[0]["at_ns"]), own)

    def _parts(self, first_seq: int, last_seq: int) -> list[Segment]:
        """The records with these numbers; none of an earlier one is asked for any more."""
        self._kept = [(header, part) for header, part in self._kept if header.last_seq >= first_seq]
        if not self._kept:
            self._records = (parse(*entry[::2]) for entry in entries_from_seq(self._store, first_seq))
        while not self._kept or self._kept[-1][0].first_seq <= last_seq:
            record = next(self._records, None)
            if record is None:
                break
            self._kept.append((record.header, part_of(record)))
        return [part for header, part in self._kept if header.first_seq <= last_seq]


def part_of(record: Record) -> Segment:
    """The facts of a record."""
    if not record.header.columns:
        return Segment([record.fact], {}, None)
    topic, page = record.page
    return Segment([], {}, page) if topic == rows.SUBMISSIONS else Segment([], {topic: page}, None)


def between(part: Segment, first_seq: int, last_seq: int) -> Segment:
    """The facts of a record from one sequence number to another, which rise in it."""
    cut = {
        topic: page[slice(*np.searchsorted(page["seq"], [first_seq, last_seq + 1]))]
        for topic, page in part.pages.items()
    }
    return Segment(part.rare, cut, None)
