"""Allocation and growth of the flat arrays that a group of books shares."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from matching.book import Books, Tape
from matching.index import BLOCK_BITS, reindex
from matching.ladder import NO_RANK
from matching.rows import fill_first
from matching.types import (
    BOOK,
    LANE,
    LEVEL,
    MAX_CAPACITY,
    MAX_LANES,
    MAX_PRICE,
    ORDER,
    POOL,
    REMOVAL,
    STANDING,
    TRADE,
    UNLIMITED,
    Side,
)

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
        lanes=np.zeros(0, LANE),
        levels=np.zeros(0, LEVEL),
        words=np.zeros(0, np.uint64),
        summary=np.zeros(0, np.uint64),
        orders=np.zeros(1, ORDER),
        standing=np.zeros(1, STANDING),
        pool=np.zeros(1, POOL),
        ids=np.zeros(0, np.uint32),
        links=np.zeros(0, np.uint32),
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
    zones, prices, book = len(books.headroom), high - low + 1, len(books.book)
    words = -(-prices // 64)
    summary, count, at = -(-words // 64), 2 * zones, np.arange(2 * zones)
    if len(books.lanes) + count > MAX_LANES:
        msg = f"the books of a group have at most {MAX_LANES} lanes, two a zone each"
        raise ValueError(msg)
    shape, lanes = np.zeros(1, BOOK), np.zeros(count, LANE)
    shape[0] = low, prices, zones, len(books.lanes), len(books.lanes) + zones, 0, 0
    lanes["best"], lanes["book"], lanes["prices"], lanes["summary"] = NO_RANK, book, prices, summary
    lanes["side"], lanes["zone"] = np.divmod(at, zones)
    lanes["first_price"] = np.where(lanes["side"] == Side.BUY, high, low)
    lanes["step"] = np.where(lanes["side"] == Side.BUY, -1, 1)
    lanes["levels_at"] = len(books.levels) + at * prices
    lanes["words_at"] = len(books.words) + at * words
    lanes["summary_at"] = len(books.summary) + at * summary
    return books._replace(
        book=np.concatenate([books.book, shape]),
        lanes=np.concatenate([books.lanes, lanes]),
        levels=np.concatenate([books.levels, np.zeros(count * prices, LEVEL)]),
        words=np.concatenate([books.words, np.zeros(count * words, np.uint64)]),
        summary=np.concatenate([books.summary, np.zeros(count * summary, np.uint64)]),
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
    fill_first(orders, books.orders)
    fill_first(standing, books.standing)
    pool = books.pool.copy()
    if slots > old:  # new slots go before the free ones, lowest first
        orders["next"][old + 1 :] = np.arange(old + 2, slots + 2)
        orders["next"][slots] = pool["free"][0]
        pool["free"] = old + 1
    bits = max(BLOCK_BITS, (slots - 1).bit_length())  # a place an order, so a chain stays short
    pool["shift"] = 64 - bits
    links, ids = np.zeros(slots + 1, np.uint32), np.zeros(2**bits, np.uint32)
    grown = books._replace(orders=orders, standing=standing, pool=pool, ids=ids, links=links)
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
