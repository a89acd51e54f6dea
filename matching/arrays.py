"""Allocation and growth of the flat arrays that a group of books shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from matching.book import Books, Tape
from matching.index import reindex
from matching.ladder import NO_LEVEL
from matching.types import BOOK, LEVEL, MAX_PRICE, ORDER, POOL, REMOVAL, TRADE, UNLIMITED

Array = npt.NDArray[Any]


def open_headroom(zones: int) -> Array:
    """Headroom that permits everything: int64[zones, zones]."""
    return np.full((zones, zones), UNLIMITED, np.int64)


def make_books(prices: Sequence[tuple[int, int]], headroom: Array, capacity: int) -> Books:
    """Arrays for one book a (lowest, highest) price, all empty, with room for `capacity` live orders in all.

    Raises ValueError for a range of prices that is empty, negative or larger than MAX_PRICE.
    """
    books = Books(
        book=np.zeros(0, BOOK),
        levels=np.zeros(0, LEVEL),
        words=np.zeros(0, np.uint64),
        summary=np.zeros(0, np.uint64),
        best=np.zeros(0, np.int64),
        orders=np.zeros(1, ORDER),
        pool=np.zeros(1, POOL),
        ids=np.zeros(0, np.int64),
        slots=np.zeros(0, np.int32),
        headroom=headroom,
    )
    books = with_capacity(books, capacity)
    for low, high in prices:
        books = with_book(books, low, high)
    return books


def with_book(books: Books, low: int, high: int) -> Books:
    """The same group with one more empty book. The arrays of levels are new, so earlier views of them are stale."""
    if not 0 <= low <= high <= MAX_PRICE:
        msg = f"a book's prices must satisfy 0 <= {low} <= {high} <= {MAX_PRICE}"
        raise ValueError(msg)
    zones, prices = len(books.headroom), high - low + 1
    lanes, words = 2 * zones, -(-prices // 64)
    summary = -(-words // 64)
    shape = np.zeros(1, BOOK)
    shape[0] = (
        low, prices, zones, len(books.levels), len(books.words), words, len(books.summary), summary, len(books.best), 0,
    )  # fmt: skip
    return books._replace(
        book=np.concatenate([books.book, shape]),
        levels=np.concatenate([books.levels, np.zeros(lanes * prices, LEVEL)]),
        words=np.concatenate([books.words, np.zeros(lanes * words, np.uint64)]),
        summary=np.concatenate([books.summary, np.zeros(lanes * summary, np.uint64)]),
        best=np.concatenate([books.best, np.full(lanes, NO_LEVEL, np.int64)]),
    )


def with_capacity(books: Books, capacity: int) -> Books:
    """The same group with room for `capacity` live orders, no fewer than now; slots and places are kept."""
    old = len(books.orders) - 1
    orders = np.zeros(capacity + 1, ORDER)
    orders[: old + 1] = books.orders
    pool = books.pool.copy()
    if capacity > old:  # new slots go before the free ones, lowest first
        orders["next"][old + 1 :] = np.arange(old + 2, capacity + 2)
        orders["next"][capacity] = pool["free"][0]
        pool["free"] = old + 1
    pool["capacity"] = capacity
    bits = max(4, (2 * capacity - 1).bit_length())  # at most half full, so a probe stays short
    grown = books._replace(orders=orders, pool=pool, ids=np.zeros(2**bits, np.int64), slots=np.zeros(2**bits, np.int32))
    if pool["live"][0]:
        reindex(grown)
    return grown


def make_tape(trades: int, removals: int) -> Tape:
    """An empty tape with room for so many trades and removals. Memory is touched only as it is written."""
    return Tape(
        trades=np.empty(trades, TRADE),
        maker_slots=np.empty(trades, np.int32),
        removals=np.zeros(removals, REMOVAL),
        removal_slots=np.empty(removals, np.int32),
        counts=np.zeros(2, np.int64),
    )
