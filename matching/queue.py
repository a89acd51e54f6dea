"""Orders in their queues: slots of the pool, and the chain of each lane and rank.

A lane is one side and zone of a book; each of its ranks has a queue in order of arrival. All books of a group share
one pool of slots, so an order costs one record wherever it rests.
"""

from typing import Any

import numpy as np

from matching import index
from matching.compiled import kernel, prefetch
from matching.ladder import occupy, vacate

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
    order = books.orders[slot]
    pool["free"] = order["next"]
    prefetch(books.orders, order["next"])
    pool["live"] += 1
    order["order_id"] = order_id
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
def release_all_ended(books: Any) -> None:
    """Give back the slots of all orders without a quantity, and fill the id table anew: in one pass over the slots."""
    pool = books.pool[0]
    for at in range(len(books.ids)):
        books.ids[at] = 0
    for slot in range(len(books.orders) - 1, 0, -1):  # the lowest is taken first again
        order = books.orders[np.uint64(slot)]
        if order["order_id"] == 0:
            continue
        if order["quantity"] > 0:
            index.insert(books, order["order_id"], np.uint32(slot))
            continue
        order["order_id"] = 0
        order["next"] = pool["free"]
        pool["free"] = slot
        pool["live"] -= 1


@kernel
def lane_of(books: Any, book: int, side: int, zone: int) -> int:
    """Number of the lane of a side and zone."""
    shape = books.book[book]
    return np.uint32((shape["lanes_at"] if side == BUY else shape["sells_at"]) + zone)


@kernel
def book_of(books: Any, slot: int) -> int:
    """Book of a live order."""
    return np.int64(books.lanes[books.orders[slot]["lane"]]["book"])


@kernel
def side_of(books: Any, slot: int) -> int:
    """Side of a live order."""
    return np.int64(books.lanes[books.orders[slot]["lane"]]["side"])


@kernel
def zone_of(books: Any, slot: int) -> int:
    """Zone of a live order."""
    return np.int64(books.lanes[books.orders[slot]["lane"]]["zone"])


@kernel
def queue_at(books: Any, lane: int, rank: int) -> int:
    """Where the queue of a lane's rank stands in `levels`."""
    return np.uint64(books.lanes[lane]["levels_at"] + rank)


@kernel
def enqueue(books: Any, slot: int, lane: int, rank: int) -> None:
    """Put an order at the back of the queue of a lane's rank."""
    order, pool = books.orders[slot], books.pool[0]
    arrival = pool["arrivals"] + 1
    order["lane"] = lane
    order["rank"] = rank
    pool["arrivals"] = arrival
    books.standing[slot]["arrival"] = arrival
    queue = books.levels[queue_at(books, lane, rank)]
    tail = queue["tail"]
    order["next"] = 0
    order["previous"] = tail
    books.orders[tail]["next"] = slot  # slot 0 is nobody: writing to him costs less than asking whether it is he
    queue["tail"] = slot
    if tail == 0:
        queue["head"] = slot
        occupy(books, lane, rank)


@kernel
def unlink(books: Any, slot: int) -> None:
    """Take an order out of its queue; its slot stays its own."""
    order = books.orders[slot]
    before, after = order["previous"], order["next"]
    books.orders[before]["next"] = after
    books.orders[after]["previous"] = before
    if before != 0 and after != 0:
        return
    lane, rank = order["lane"], np.int64(order["rank"])
    queue = books.levels[queue_at(books, lane, rank)]
    if before == 0:
        queue["head"] = after
    if after == 0:
        queue["tail"] = before
    if before == after:  # it was alone
        vacate(books, lane, rank)


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
