"""Facts one by one, in order, each with the position behind which a reader goes on once it has the fact's group."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ledger.facts import TOPIC_OF
from ledger.journal.records import Decoded
from ledger.journal.store import Store
from ledger.replay import groups_after, segments_after


class Told(NamedTuple):
    """One fact as a reader gets it: a struct of `ledger.facts` if rare, a row of `ledger.rows` if frequent.

    `position` is that of the last record of its group: resume there once all facts of this position are read.
    """

    position: int
    seq: int
    at_ns: int
    topic: str
    fact: Any


def feed(store: Store, after: int = 0) -> Iterator[Told]:
    """Every durable fact behind a position that ends a group. Raises Refused (OUT_OF_RANGE) for one inside a group."""
    for decoded in segments_after(store, after):
        yield from tell(decoded)


def tell(decoded: Decoded) -> list[Told]:
    """The facts of a group in order of `seq`."""
    position = decoded.position
    found = [Told(position, seq, at_ns, TOPIC_OF[type(fact)], fact) for seq, at_ns, fact in decoded.facts]
    for topic, pages in decoded.pages.items():
        found += [Told(position, int(row["seq"]), int(row["at_ns"]), topic, row) for page in pages for row in page]
    return sorted(found, key=lambda told: told.seq)


def known_at(store: Store, at_ns: int) -> Iterator[Decoded]:
    """The facts of all submissions up to a time, in groups; in the last one, what came later is left out."""
    for decoded in groups_after(store, 0):
        if decoded.starts[0].at_ns > at_ns:
            return
        pages = {topic: [page[page["at_ns"] <= at_ns] for page in found] for topic, found in decoded.pages.items()}
        seqs = [int(page["seq"][-1]) for found in pages.values() for page in found if len(page)]
        starts = tuple(start for start in decoded.starts if start.at_ns <= at_ns)
        yield decoded._replace(pages=pages, last_seq=max(seqs, default=decoded.last_seq), starts=starts)
