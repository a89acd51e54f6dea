"""Orders in their queues: slots of the pool, chains of a price level, the best level of a lane.

A lane is one side and zone of a book; each of its levels has a queue in order of arrival. All books of a group
share one pool of slots, so an order costs one record wherever it rests.
"""

from typing import Any

import numpy as np

from matching import index
from matching.compiled import kernel
from matching.ladder import NO_LEVEL, highest_to, lowest_from, occupy, vacate

BUY, SELL = 0, 1


@kernel
def take_slot(books: Any, order_id: int) -> int:
    """A free slot for a live order. The caller has made sure that the pool is not full."""
    pool = books.pool[0]
    slot = np.int64(pool["free"])
    pool["free"] = books.orders[slot]["next"]
    pool["live"] += 1
    books.orders[slot]["order_id"] = order_id
    index.insert(books, order_id, slot)
    return slot


@kernel
def release_slot(books: Any, slot: int) -> None:
    """Give back the slot of an order that is in no queue."""
    pool = books.pool[0]
    order = books.orders[slot]
    index.delete(books, order["order_id"])
    order["order_id"] = 0
    order["quantity"] = 0
    order["next"] = pool["free"]
    pool["free"] = slot
    pool["live"] -= 1


@kernel
def lane_of(books: Any, book: int, side: int, zone: int) -> int:
    """Number of the lane of a side and zone."""
    return side * books.book[book]["zones"] + zone


@kernel
def enqueue(books: Any, slot: int) -> None:
    """Put an order at the back of the queue of its level."""
    order = books.orders[slot]
    book, side, level = np.int64(order["book"]), np.int64(order["side"]), np.int64(order["level"])
    shape = books.book[book]
    lane = lane_of(books, book, side, order["zone"])
    pool = books.pool[0]
    pool["arrivals"] += 1
    order["arrival"] = pool["arrivals"]
    at = shape["levels_at"] + lane * shape["prices"] + level
    tail = books.levels[at]["tail"]
    order["next"] = 0
    order["previous"] = tail
    books.levels[at]["tail"] = slot
    if tail != 0:
        books.orders[tail]["next"] = slot
        return
    books.levels[at]["head"] = slot
    occupy(books, book, lane, level)
    best = books.best[shape["best_at"] + lane]
    if best == NO_LEVEL or (level > best if side == BUY else level < best):
        books.best[shape["best_at"] + lane] = level


@kernel
def unlink(books: Any, slot: int) -> None:
    """Take an order out of its queue; its slot stays its own."""
    order = books.orders[slot]
    book, side, level = np.int64(order["book"]), np.int64(order["side"]), np.int64(order["level"])
    shape = books.book[book]
    lane = lane_of(books, book, side, order["zone"])
    at = shape["levels_at"] + lane * shape["prices"] + level
    if order["previous"] != 0:
        books.orders[order["previous"]]["next"] = order["next"]
    else:
        books.levels[at]["head"] = order["next"]
    if order["next"] != 0:
        books.orders[order["next"]]["previous"] = order["previous"]
    else:
        books.levels[at]["tail"] = order["previous"]
    if books.levels[at]["head"] != 0:
        return
    vacate(books, book, lane, level)
    if books.best[shape["best_at"] + lane] == level:
        better = highest_to(books, book, lane, level - 1) if side == BUY else lowest_from(books, book, lane, level + 1)
        books.best[shape["best_at"] + lane] = better


@kernel
def remove(books: Any, slot: int) -> None:
    """Take a live order out of its queue and free its slot."""
    unlink(books, slot)
    release_slot(books, slot)


@kernel
def shrink(books: Any, slot: int, quantity: int) -> int:
    """Take `quantity` off an order, which leaves the book when nothing is left. Returns what is left."""
    left = books.orders[slot]["quantity"] - quantity
    if left == 0:
        remove(books, slot)
    else:
        books.orders[slot]["quantity"] = left
    return left
