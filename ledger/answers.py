"""What a submission led to: its facts, as the caller gets them at once and again when he repeats it."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from ledger import facts, rows
from ledger.journal.records import parse
from ledger.journal.store import Key, Store
from ledger.segments import Segment
from ledger.tables import Array, joined

NOTHING: Final = {topic: np.zeros(0, dtype) for topic, dtype in rows.PAGE_DTYPES.items()}


class Answer(msgspec.Struct, frozen=True):
    """The facts that a submission led to. Arrays are rows of `ledger.rows`; `acts` are rare facts with their `seq`.

    `repeated` says that the same submission was answered before and nothing happened this time.
    """

    first_seq: int
    last_seq: int
    at_ns: int
    orders: Array
    trades: Array
    removals: Array
    readings: Array
    uses: Array
    acts: list[facts.Stamped]
    repeated: bool = False

    @property
    def refused(self) -> list[facts.CommandRefused]:
        """The commands that a rule forbade, orders and readings apart."""
        return [fact for _, _, fact in self.acts if isinstance(fact, facts.CommandRefused)]


def make_answer(first_seq: int, last_seq: int, at_ns: int, parts: Sequence[Segment]) -> Answer:
    """The answer that consists of these parts."""
    pages = {topic: [part.pages[topic] for part in parts if topic in part.pages] for topic in rows.PAGE_DTYPES}
    orders, trades, removals, readings, uses = (
        joined(found) if found else NOTHING[topic] for topic, found in pages.items()
    )
    rare = [stamped for part in parts for stamped in part.rare]
    return Answer(first_seq, last_seq, at_ns, orders, trades, removals, readings, uses, rare)


def read_answer(store: Store, key: Key) -> Answer:
    """The facts of a recorded submission, as they were answered."""
    first_seq, last_seq = key.first_seq, key.last_seq
    parts, at_ns = [], 0
    for entry in store.entries_from_seq(first_seq):
        record = parse(entry.position, entry.state)
        if record.header.first_seq > last_seq:
            break
        if not record.header.columns:
            parts.append(Segment([record.fact], {}, []))
            continue
        topic, page = record.page
        if topic == rows.SUBMISSIONS:
            at_ns = int(page["at_ns"][page["seq"] == first_seq].max(initial=at_ns))
        else:
            parts.append(Segment([], {topic: page[(page["seq"] >= first_seq) & (page["seq"] <= last_seq)]}, []))
    return make_answer(first_seq, last_seq, at_ns, parts)
