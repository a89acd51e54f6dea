"""Walks over books for people and for checks: depth by level, and every invariant."""

from typing import Any

import numpy as np

from matching.arrays import Array
from matching.book import Books
from matching.compiled import kernel
from matching.index import find
from matching.ladder import NO_LEVEL, highest_to, lowest_from
from matching.queue import BUY, SELL, queue_at
from matching.types import Side


@kernel
def level_sum(books: Any, book: int, lane: int, level: int) -> tuple[int, int]:
    """Quantity and number of orders in one queue."""
    slot = books.levels[queue_at(books, book, lane, level)]["head"]
    quantity, orders = np.int64(0), np.int64(0)
    while slot != 0:
        quantity += books.orders[slot]["quantity"]
        orders += 1
        slot = books.orders[slot]["next"]
    return quantity, orders


def level_rows(books: Books, book: int, side: Side, levels: int, zone: int | None) -> list[tuple[int, int, int]]:
    """The best levels of a side as (price, quantity, orders), of one zone or of all together."""
    shape = books.book[book]
    zones = int(shape["zones"])
    lanes = [int(side) * zones + z for z in (range(zones) if zone is None else [zone])]
    found = {lane: int(books.best[shape["best_at"] + lane]) for lane in lanes}
    rows: list[tuple[int, int, int]] = []
    while len(rows) < levels and any(level != NO_LEVEL for level in found.values()):
        live = [level for level in found.values() if level != NO_LEVEL]
        best = max(live) if side == Side.BUY else min(live)
        quantity = orders = 0
        for lane in (lane for lane in lanes if found[lane] == best):
            more_quantity, more_orders = level_sum(books, book, lane, best)
            quantity, orders = quantity + int(more_quantity), orders + int(more_orders)
            step = (
                highest_to(books, book, lane, best - 1)
                if side == Side.BUY
                else lowest_from(books, book, lane, best + 1)
            )
            found[lane] = int(step)
        rows.append((best + int(shape["min_price"]), quantity, orders))
    return rows


def sides(books: Books, slots: Array) -> Array:
    """Side of the live orders in these slots."""
    orders = books.orders[slots]
    return (orders["lane"] >= books.book["zones"][orders["book"]]).astype(np.int64)


def check_books(books: Books) -> None:
    """Assert every invariant of a group of books: chains, bitmaps, best levels, id table, free slots."""
    seen: set[int] = set()
    for book in range(len(books.book)):
        shape = books.book[book]
        for lane in range(2 * int(shape["zones"])):
            seen |= check_lane(books, book, lane)
    pool = books.pool[0]
    live = {int(slot) for slot in np.flatnonzero(books.orders["order_id"])}
    assert seen == live, "an order is live but in no queue, or queued but not live"
    assert len(seen) == pool["live"], "the count of live orders is wrong"
    slots = len(books.orders) - 1
    assert slots == len(books.standing) - 1 <= pool["capacity"], "there are more slots than the capacity"
    for slot in seen:
        assert find(books, int(books.orders["order_id"][slot])) == slot, "the id table does not find an order"
    assert int(np.count_nonzero(books.ids)) == len(seen), "the id table remembers a dead order"
    free, slot = set(), int(pool["free"])
    while slot != 0 and slot <= slots and slot not in free:
        free.add(slot)
        slot = int(books.orders["next"][slot])
    assert not free & seen, "a free slot is in a queue"
    assert len(free) + len(seen) == slots, "a slot is lost"
    assert (books.headroom >= 0).all(), "headroom went below zero"


def check_lane(books: Books, book: int, lane: int) -> set[int]:
    """Assert the invariants of one lane; returns the slots in its queues."""
    shape = books.book[book]
    side = lane // int(shape["zones"])
    seen: set[int] = set()
    levels = books.levels[shape["levels_at"] + lane * shape["prices"] :][: shape["prices"]]
    occupied = np.flatnonzero(levels["head"])
    for level in occupied:
        previous, arrival, slot = 0, -1, int(levels["head"][level])
        while slot != 0:
            order = books.orders[slot]
            assert order["quantity"] > 0, "an order without quantity rests"
            assert (order["previous"], order["level"], order["book"]) == (previous, level, book), "a chain is broken"
            assert order["lane"] == lane, "an order rests in a foreign lane"
            assert books.standing[slot]["arrival"] > arrival, "a queue is not in order of arrival"
            assert slot not in seen, "a chain runs in a circle"
            seen.add(slot)
            previous, arrival, slot = slot, books.standing[slot]["arrival"], int(order["next"])
        assert levels["tail"][level] == previous, "a queue's tail is wrong"
    bits = np.unpackbits(
        books.words[shape["words_at"] + lane * shape["words"] :][: shape["words"]].view(np.uint8), bitorder="little"
    )
    assert np.array_equal(np.flatnonzero(bits), occupied), "the bitmap does not match the queues"
    words = books.words[shape["words_at"] + lane * shape["words"] :][: shape["words"]]
    rows = books.summary[shape["summary_at"] + lane * shape["summary"] :][: shape["summary"]]
    bits = np.unpackbits(rows.view(np.uint8), bitorder="little")[: len(words)]
    assert np.array_equal(bits != 0, words != 0), "the summary does not match the bitmap"
    best = int(books.best[shape["best_at"] + lane])
    expected = NO_LEVEL if not len(occupied) else int(occupied[-1] if side == BUY else occupied[0])
    assert side in (BUY, SELL)
    assert best == expected, "the best level is wrong"
    return seen
