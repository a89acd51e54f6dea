"""Allocation and growth of the flat arrays that a group of books shares."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from matching.book import Books, Tape
from matching.index import reindex
from matching.ladder import NO_LEVEL
from matching.types import BOOK, LEVEL, MAX_CAPACITY, MAX_PRICE, ORDER, POOL, REMOVAL, STANDING, TRADE, UNLIMITED

Array = npt.NDArray[Any]
FIRST_SLOTS: Final = 1_022


def open_headroom(zones: int) -> Array:
    """Headroom that permits everything: int64[zones, zones]."""
    return np.full((zones, zones), UNLIMITED, np.int64)


def make_books(prices: Sequence[tuple[int, int]], headroom: Array, capacity: int = MAX_CAPACITY) -> Books:
    """Arrays for one book a (lowest, highest) price, all empty, for at most `capacity` live orders in all.

    Memory follows the live orders: callers make room between batches with `with_slots`. Raises ValueError for a
    range of prices that is empty, negative or larger than MAX_PRICE, or a capacity beyond MAX_CAPACITY.
    """
    if not 0 < capacity <= MAX_CAPACITY:
        msg = f"capacity must satisfy 0 < {capacity} <= {MAX_CAPACITY}"
        raise ValueError(msg)
    books = Books(
        book=np.zeros(0, BOOK),
        levels=np.zeros(0, LEVEL),
        words=np.zeros(0, np.uint64),
        summary=np.zeros(0, np.uint64),
        best=np.zeros(0, np.int64),
        orders=np.zeros(1, ORDER),
        standing=np.zeros(1, STANDING),
        pool=np.zeros(1, POOL),
        ids=np.zeros(0, np.uint32),
        headroom=headroom,
        cursors=np.zeros((3, len(headroom)), np.int64),
        netting=np.zeros((0, 0, 0), np.int64),
    )
    books.pool["capacity"] = capacity
    books = with_slots(books, min(capacity, FIRST_SLOTS))
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
        low, prices, zones, len(books.levels), len(books.words), words, len(books.summary), summary, len(books.best),
        0, 0,
    )  # fmt: skip
    return books._replace(
        book=np.concatenate([books.book, shape]),
        levels=np.concatenate([books.levels, np.zeros(lanes * prices, LEVEL)]),
        words=np.concatenate([books.words, np.zeros(lanes * words, np.uint64)]),
        summary=np.concatenate([books.summary, np.zeros(lanes * summary, np.uint64)]),
        best=np.concatenate([books.best, np.full(lanes, NO_LEVEL, np.int64)]),
    )


def with_headroom(books: Books, headroom: Array) -> Books:
    """The same group, without any book yet, on another matrix of zones."""
    return books._replace(headroom=headroom, cursors=np.zeros((3, len(headroom)), np.int64))


def with_netting(books: Books) -> Books:
    """The same group, whose fills open the way back between their zones: see `matching.book.net`."""
    zones = len(books.headroom)
    netting = np.zeros((2, zones, zones), np.int64)
    netting[1] = books.headroom > 0
    return books._replace(netting=netting)


def with_room(books: Books, orders: int) -> Books:
    """The same group with room for so many orders more, as far as its capacity goes; itself if it has that room."""
    _, live, capacity, *_ = books.pool.item()
    needed, slots = min(live + orders, capacity), len(books.orders) - 1
    return books if needed <= slots else with_slots(books, min(max(needed, 2 * slots), capacity))


def with_slots(books: Books, slots: int) -> Books:
    """The same group with so many slots, no fewer than now; each order keeps its slot and place."""
    old = len(books.orders) - 1
    orders, standing = np.zeros(slots + 1, ORDER), np.zeros(slots + 1, STANDING)
    orders[: old + 1], standing[: old + 1] = books.orders, books.standing
    pool = books.pool.copy()
    if slots > old:  # new slots go before the free ones, lowest first
        orders["next"][old + 1 :] = np.arange(old + 2, slots + 2)
        orders["next"][slots] = pool["free"][0]
        pool["free"] = old + 1
    bits = max(4, (2 * slots - 1).bit_length())  # at most half full, so a probe stays short
    pool["shift"] = 32 - bits
    grown = books._replace(orders=orders, standing=standing, pool=pool, ids=np.zeros(2**bits, np.uint32))
    if pool["live"][0]:
        reindex(grown)
    return grown


def make_tape(trades: int, removals: int) -> Tape:
    """An empty tape with room for so many trades and removals. Memory is touched only as it is written."""
    return Tape(
        trades=np.empty(trades, TRADE),
        maker_slots=np.empty(trades, np.uint32),
        taker_slots=np.empty(trades, np.uint32),
        removals=np.zeros(removals, REMOVAL),
        removal_slots=np.empty(removals, np.uint32),
        counts=np.zeros(2, np.int64),
    )
