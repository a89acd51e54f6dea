"""What a projection is: a pure fold from facts to upserts, into tables that add up or overwrite.

A view store applies the upserts of a group of records together with the position reached, in one transaction, so
each fact counts exactly once, and a view can be dropped and rebuilt from zero (`adapters.stores.views`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ledger.journal.records import Decoded
from ledger.rows import PAGE_DTYPES
from ledger.tables import Array


class Table(NamedTuple):
    """A table of a view. Columns in `adds` accumulate, those in `sets` keep the last value."""

    name: str
    keys: tuple[str, ...]
    adds: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


class Upsert(NamedTuple):
    """Rows for one table: keys, then adds, then sets, in the order of its columns."""

    table: Table
    rows: Sequence[tuple[Any, ...]]


class Projection(Protocol):
    """A read model. `name` is its own for ever: the position it has reached is kept under it."""

    @property
    def name(self) -> str:
        """Name and version."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that `fold` writes."""

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """The upserts that these facts lead to. Must depend on nothing else."""


def page(decoded: Decoded, topic: str) -> Array:
    """All rows of a topic among these facts."""
    found = decoded.pages.get(topic, [])
    return found[0] if len(found) == 1 else np.concatenate([np.zeros(0, PAGE_DTYPES[topic]), *found])


def summed(keys: Sequence[Array], values: Sequence[Array]) -> list[tuple[int, ...]]:
    """Sums of each value column by distinct keys, exact integers, as rows of keys then sums."""
    if not len(keys[0]):
        return []
    distinct, at = np.unique(np.stack([key.astype(np.int64) for key in keys], axis=1), axis=0, return_inverse=True)
    sums = np.zeros((len(distinct), len(values)), np.int64)
    for column, value in enumerate(values):
        np.add.at(sums[:, column], at.reshape(-1), value)
    return [(*key, *total) for key, total in zip(distinct.tolist(), sums.tolist(), strict=True)]
