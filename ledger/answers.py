"""What a submission led to: its facts, as the caller gets them at once and again when he repeats it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ledger import facts, rows
from ledger.journal.records import Decoded
from ledger.tables import Array


class Segment(NamedTuple):
    """Facts of a commit in order of `seq`: rare ones, or frequent ones by topic."""

    rare: list[facts.Stamped]
    pages: dict[str, Array]
    submissions: list[dict[str, Any]]


class Answer(NamedTuple):
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


def make_answer(first_seq: int, last_seq: int, at_ns: int, segments: Sequence[Segment | Decoded]) -> Answer:
    """The facts from `first_seq` to `last_seq` among these segments."""

    def column(topic: str) -> Array:
        found = [np.zeros(0, rows.PAGE_DTYPES[topic])]
        for segment in segments:
            pages = segment.pages.get(topic, [])
            for page in [pages] if isinstance(pages, np.ndarray) else pages:
                inside = (page["seq"] >= first_seq) & (page["seq"] <= last_seq)
                found.append(page if inside.all() else page[inside])
        return np.concatenate(found) if len(found) != 2 else found[1]  # noqa: PLR2004 - one page is handed on as it is

    rare = [
        stamped
        for segment in segments
        for stamped in (segment.rare if isinstance(segment, Segment) else segment.facts)
        if first_seq <= stamped.seq <= last_seq
    ]
    orders, trades, removals, readings, uses = (column(topic) for topic in rows.PAGE_DTYPES)
    return Answer(first_seq, last_seq, at_ns, orders, trades, removals, readings, uses, rare)
