"""The journal cut into submissions again: each with all the facts that it led to, in the arrays that hold them."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ledger import rows
from ledger.facts import Stamped
from ledger.journal.records import Decoded
from ledger.tables import Array


class Recorded(NamedTuple):
    """One submission as it is recorded. `row` is its fact; None for the first facts of a ledger, which have none."""

    row: Any
    columns: dict[str, list[Array]]  # rows of frequent facts by topic, in pieces
    acts: list[Stamped]

    def rows_of(self, topic: str) -> Array:
        """The rows of a topic, in order of `seq`."""
        pieces = self.columns.get(topic, [])
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, rows.PAGE_DTYPES[topic]), *pieces])


def submissions_of(groups: Iterable[Decoded]) -> Iterator[Recorded]:
    """The submissions in groups of facts that are dense and in order, the first facts of the ledger before them."""
    current = Recorded(None, {}, [])
    for group in groups:
        current.acts.extend(group.facts)
        if not group.pages:
            continue
        columns = {topic: np.concatenate(pages) for topic, pages in group.pages.items() if pages}
        starts = columns.pop(rows.SUBMISSIONS, np.zeros(0, [("seq", "<i8")]))
        cuts = {
            topic: [0, *np.searchsorted(column["seq"], starts["seq"]), len(column)] for topic, column in columns.items()
        }
        for number in range(len(starts) + 1):
            if number:
                yield current
                current = Recorded(starts[number - 1], {}, [])
            for topic, column in columns.items():
                begin, end = cuts[topic][number], cuts[topic][number + 1]
                if begin < end:
                    current.columns.setdefault(topic, []).append(column[begin:end])
    yield current
