"""From order id to slot: chains by hash, a few bytes an order, sized by live orders.

An entry holds a slot and eight bits of its id's hash. The table has the first entry of each chain, `links` by slot
the one behind, so that a search looks at an order only where hash and id agree. Ids rise and old ones are never
looked up again, so the table needs room for what is live and nothing else. Ids that follow each other share a line of
the processor's cache.
"""

from typing import Any

import numpy as np

from matching.compiled import kernel, low_product

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio: neighbours fall far apart, and evenly
BLOCK_BITS = 4  # sixteen ids share a line
SLOT_SHIFT = np.uint32(8)
TAG = np.uint32(255)
TAG_SHIFT = np.uint64(24)  # below the bits that name a place in the largest table


@kernel
def spread(order_id: int) -> int:
    """The hash of an id's block, uint64: its highest bits name the place in the table."""
    return low_product(order_id >> BLOCK_BITS, GOLDEN)


@kernel
def home(books: Any, hashed: int, order_id: int) -> int:
    """Where the chain of an order id begins."""
    block = np.uint32(hashed >> np.uint64(books.pool[0]["shift"]))
    return np.uint32(block ^ np.uint32(order_id & ((1 << BLOCK_BITS) - 1)))


@kernel
def tag(hashed: int) -> int:
    """The bits of a hash that an entry keeps: others than those that name its place."""
    return np.uint32(np.uint32(hashed >> TAG_SHIFT) & TAG)


@kernel
def slot_of(entry: int) -> int:
    """The slot in an entry."""
    return np.uint32(entry >> SLOT_SHIFT)


@kernel
def place_of(books: Any, order_id: int) -> int:
    """Place in the table of an order id's chain."""
    return home(books, spread(order_id), order_id)


@kernel
def probable(books: Any, order_id: int) -> int:
    """Slot of what is very likely the live order of this id, or 0, without looking at orders."""
    hashed = spread(order_id)
    wanted, entry = tag(hashed), books.ids[home(books, hashed, order_id)]
    while entry != 0 and entry & TAG != wanted:
        entry = books.links[slot_of(entry)]
    return slot_of(entry)


@kernel
def find(books: Any, order_id: int) -> int:
    """Slot of a live order, or 0."""
    hashed = spread(order_id)
    wanted, entry = tag(hashed), books.ids[home(books, hashed, order_id)]
    while entry != 0:
        slot = slot_of(entry)
        if entry & TAG == wanted and books.orders[slot]["order_id"] == order_id:
            return slot
        entry = books.links[slot]
    return np.uint32(0)


@kernel
def insert(books: Any, order_id: int, slot: int) -> None:
    """Remember the slot of an order id that is not in the table."""
    hashed = spread(order_id)
    at = home(books, hashed, order_id)
    books.links[slot] = books.ids[at]
    books.ids[at] = np.uint32(slot << SLOT_SHIFT) | tag(hashed)


@kernel
def delete(books: Any, order_id: int, slot: int) -> None:
    """Forget an order id that is in the table."""
    at = place_of(books, order_id)
    before = slot_of(books.ids[at])
    if before == slot:
        books.ids[at] = books.links[slot]
        return
    while slot_of(books.links[before]) != slot:
        before = slot_of(books.links[before])
    books.links[before] = books.links[slot]


@kernel
def reindex(books: Any) -> None:
    """Fill an empty id table from the live slots."""
    for slot in range(1, len(books.orders)):
        if books.orders[slot]["order_id"] != 0:
            insert(books, books.orders[slot]["order_id"], np.uint32(slot))
