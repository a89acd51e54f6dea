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
POST_ONLY, SELF_TRADE_SHIFT, TIME_IN_FORCE = 4, 3, 3  # bits of `conditions`


@kernel
def conditions_of(time_in_force: int, post_only: int, self_trade: int) -> int:
    """Conditions of a resting order in one byte."""
    return (self_trade << SELF_TRADE_SHIFT) | (POST_ONLY if post_only else 0) | time_in_force


@kernel
def with_self_trade(conditions: int, self_trade: int) -> int:
    """The same conditions under another self-trade mode."""
    return (conditions & (POST_ONLY | TIME_IN_FORCE)) | (self_trade << SELF_TRADE_SHIFT)


@kernel
def take_slot(books: Any, order_id: int) -> int:
    """A free slot for a live order. The caller has made sure that the pool is not full."""
    pool = books.pool[0]
    slot = np.uint32(pool["free"])
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
    index.delete(books, order["order_id"], slot)
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
def side_of(books: Any, slot: int) -> int:
    """Side of a live order."""
    order = books.orders[slot]
    return SELL if order["lane"] >= books.book[order["book"]]["zones"] else BUY


@kernel
def zone_of(books: Any, slot: int) -> int:
    """Zone of a live order."""
    order = books.orders[slot]
    zones = books.book[order["book"]]["zones"]
    return order["lane"] - zones if order["lane"] >= zones else np.int64(order["lane"])


@kernel
def queue_at(books: Any, book: int, lane: int, level: int) -> int:
    """Where the queue of a lane's level stands in `levels`."""
    shape = books.book[book]
    return np.uint64(shape["levels_at"] + lane * shape["prices"] + level)


@kernel
def enqueue(books: Any, slot: int) -> None:
    """Put an order at the back of the queue of its level."""
    order = books.orders[slot]
    book, lane, level = np.int64(order["book"]), np.int64(order["lane"]), np.int64(order["level"])
    pool = books.pool[0]
    pool["arrivals"] += 1
    books.standing[slot]["arrival"] = pool["arrivals"]
    queue = books.levels[queue_at(books, book, lane, level)]
    tail = queue["tail"]
    order["next"] = 0
    order["previous"] = tail
    queue["tail"] = slot
    if tail != 0:
        books.orders[tail]["next"] = slot
        return
    queue["head"] = slot
    occupy(books, book, lane, level)
    shape = books.book[book]
    at = np.uint64(shape["best_at"] + lane)
    best = books.best[at]
    if best == NO_LEVEL or (level > best if lane < shape["zones"] else level < best):
        books.best[at] = level


@kernel
def close_level(books: Any, book: int, lane: int, level: int) -> None:
    """Note that the queue of a level is empty, and find the lane's next best."""
    vacate(books, book, lane, level)
    shape = books.book[book]
    at = np.uint64(shape["best_at"] + lane)
    if books.best[at] == level:
        buys = lane < shape["zones"]
        better = highest_to(books, book, lane, level - 1) if buys else lowest_from(books, book, lane, level + 1)
        books.best[at] = better


@kernel
def unlink(books: Any, slot: int) -> None:
    """Take an order out of its queue; its slot stays its own."""
    order = books.orders[slot]
    book, lane, level = np.int64(order["book"]), np.int64(order["lane"]), np.int64(order["level"])
    queue = books.levels[queue_at(books, book, lane, level)]
    before, after = order["previous"], order["next"]
    if before != 0:
        books.orders[before]["next"] = after
    else:
        queue["head"] = after
    if after != 0:
        books.orders[after]["previous"] = before
    else:
        queue["tail"] = before
        if before == 0:
            close_level(books, book, lane, level)


@kernel
def cut_queue(books: Any, book: int, lane: int, level: int, head: int) -> None:
    """Let the queue of a level begin with `head` (0: nobody); what stood before it has left the book."""
    queue = books.levels[queue_at(books, book, lane, level)]
    queue["head"] = head
    if head != 0:
        books.orders[head]["previous"] = 0
    else:
        queue["tail"] = 0
        close_level(books, book, lane, level)


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
