"""Walks over books for people and for checks: depth by level, and every invariant."""

from typing import Any

import numpy as np

from matching.arrays import Array
from matching.book import Books
from matching.compiled import kernel
from matching.index import SLOT_SHIFT, find
from matching.ladder import NO_RANK, next_rank, price_of
from matching.queue import lane_of, queue_at
from matching.types import Side


@kernel
def level_sum(books: Any, lane: int, rank: int) -> tuple[int, int]:
    """Quantity and number of orders in one queue."""
    slot = books.levels[queue_at(books, lane, rank)]["head"]
    quantity, orders = np.int64(0), np.int64(0)
    while slot != 0:
        quantity += books.orders[slot]["quantity"]
        orders += 1
        slot = books.orders[slot]["next"]
    return quantity, orders


def level_rows(books: Books, book: int, side: Side, levels: int, zone: int | None) -> list[tuple[int, int, int]]:
    """The best levels of a side as (price, quantity, orders), of one zone or of all together."""
    zones = range(int(books.book["zones"][book])) if zone is None else [zone]
    lanes = [int(lane_of(books, book, int(side), z)) for z in zones]
    found = {lane: int(books.lanes["best"][lane]) for lane in lanes}
    rows: list[tuple[int, int, int]] = []
    while len(rows) < levels and min(found.values()) != NO_RANK:
        best, quantity, orders = min(found.values()), 0, 0
        for lane in (lane for lane in lanes if found[lane] == best):
            more_quantity, more_orders = level_sum(books, lane, best)
            quantity, orders = quantity + int(more_quantity), orders + int(more_orders)
            found[lane] = int(next_rank(books, lane, best + 1))
        rows.append((int(price_of(books, lanes[0], best)), quantity, orders))
    return rows


def sides(books: Books, slots: Array) -> Array:
    """Side of the live orders in these slots."""
    return books.lanes["side"][books.orders["lane"][slots]]


def check_books(books: Books) -> None:
    """Assert every invariant of a group of books: chains, bitmaps, best levels, id table, free slots."""
    seen: set[int] = set()
    for lane in range(len(books.lanes)):
        seen |= check_lane(books, lane)
    pool = books.pool[0]
    live = {int(slot) for slot in np.flatnonzero(books.orders["order_id"])}
    assert seen == live, "an order is live but in no queue, or queued but not live"
    assert len(seen) == pool["live"], "the count of live orders is wrong"
    slots = len(books.orders) - 1
    assert slots == len(books.standing) - 1 <= pool["capacity"], "there are more slots than the capacity"
    for slot in seen:
        assert find(books, int(books.orders["order_id"][slot])) == slot, "the id table does not find an order"
    assert chained(books) == seen, "the id table remembers a dead order"
    free, slot = set(), int(pool["free"])
    while slot != 0 and slot <= slots and slot not in free:
        free.add(slot)
        slot = int(books.orders["next"][slot])
    assert not free & seen, "a free slot is in a queue"
    assert len(free) + len(seen) == slots, "a slot is lost"
    assert (books.headroom >= 0).all(), "headroom went below zero"


def chained(books: Books) -> set[int]:
    """The slots in the chains of the id table."""
    found: set[int] = set()
    for first in books.ids[books.ids != 0].tolist():
        entry = first
        while entry:
            slot = entry >> int(SLOT_SHIFT)
            assert slot not in found, "a chain of the id table runs in a circle"
            found.add(slot)
            entry = int(books.links[slot])
    return found


def check_lane(books: Books, lane: int) -> set[int]:
    """Assert the invariants of one lane; returns the slots in its queues."""
    ladder = books.lanes[lane]
    prices, words_at, summary_at = int(ladder["prices"]), int(ladder["words_at"]), int(ladder["summary_at"])
    seen: set[int] = set()
    levels = books.levels[int(ladder["levels_at"]) :][:prices]
    occupied = np.flatnonzero(levels["head"])
    for rank in occupied:
        previous, arrival, slot = 0, -1, int(levels["head"][rank])
        while slot != 0:
            order = books.orders[slot]
            assert order["quantity"] > 0, "an order without quantity rests"
            assert (order["previous"], order["rank"]) == (previous, rank), "a chain is broken"
            assert order["lane"] == lane, "an order rests in a foreign lane"
            assert books.standing[slot]["arrival"] > arrival, "a queue is not in order of arrival"
            assert slot not in seen, "a chain runs in a circle"
            seen.add(slot)
            previous, arrival, slot = slot, books.standing[slot]["arrival"], int(order["next"])
        assert levels["tail"][rank] == previous, "a queue's tail is wrong"
    words = books.words[words_at:][: -(-prices // 64)]
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")
    assert np.array_equal(np.flatnonzero(bits), occupied), "the bitmap does not match the queues"
    rows = books.summary[summary_at:][: ladder["summary"]]
    bits = np.unpackbits(rows.view(np.uint8), bitorder="little")[: len(words)]
    assert np.array_equal(bits != 0, words != 0), "the summary does not match the bitmap"
    best = int(occupied[0]) if len(occupied) else NO_RANK
    assert int(ladder["best"]) == best, "the best rank is wrong"
    return seen
