"""From order id to slot: open addressing, four bytes an entry, no tombstones, sized by live orders.

An entry holds a slot and how far it stands from where its id belongs. So a search looks at an order only where
entry and id belong to the same place, and a deletion moves up what stands behind it without looking at any.
Ids rise and old ones are never looked up again, so the table needs room for what is live and nothing else.
"""

from typing import Any

import numpy as np

from matching.compiled import kernel

GOLDEN = np.uint64(0x9E3779B1)  # 2**32 divided by the golden ratio: neighbouring ids fall far apart, and evenly
LOW = np.uint64(0xFFFFFFFF)
FAR = 255  # a distance so large that it is worked out from the order itself
SLOT_SHIFT = 8


@kernel
def home(books: Any, order_id: int) -> int:
    """Where an order id belongs in the table: the highest bits of its product with the golden ratio."""
    folded = np.uint64(order_id ^ (order_id >> 32)) & LOW
    return np.uint32(((folded * GOLDEN) & LOW) >> np.uint64(books.pool[0]["shift"]))


@kernel
def find(books: Any, order_id: int) -> int:
    """Slot of a live order, or 0."""
    mask = np.uint32(len(books.ids) - 1)
    at, distance = home(books, order_id), 1
    while True:
        entry = books.ids[at]
        slot = np.uint32(entry >> SLOT_SHIFT)
        if entry == 0:
            return slot
        if entry & FAR == min(distance, FAR) and books.orders[slot]["order_id"] == order_id:
            return slot
        at = np.uint32(at + 1) & mask
        distance += 1


@kernel
def insert(books: Any, order_id: int, slot: int) -> None:
    """Remember the slot of an order id that is not in the table."""
    mask = np.uint32(len(books.ids) - 1)
    at, distance = home(books, order_id), 1
    while books.ids[at] != 0:
        at = np.uint32(at + 1) & mask
        distance += 1
    books.ids[at] = slot << SLOT_SHIFT | min(distance, FAR)


@kernel
def delete(books: Any, order_id: int, slot: int) -> None:
    """Forget an order id that is in the table; what stands behind it moves up where that brings it nearer home."""
    mask = np.uint32(len(books.ids) - 1)
    hole = home(books, order_id)
    while books.ids[hole] >> SLOT_SHIFT != slot:
        hole = np.uint32(hole + 1) & mask
    at = hole
    while True:
        at = np.uint32(at + 1) & mask
        entry = np.int64(books.ids[at])
        if entry == 0:
            break
        distance = np.int64(entry & FAR)
        if distance == FAR:
            belongs = home(books, books.orders[entry >> SLOT_SHIFT]["order_id"])
            distance = np.int64(np.uint32(at - belongs) & mask) + 1
        step = np.int64(np.uint32(at - hole) & mask)
        if distance > step:
            books.ids[hole] = (entry & ~FAR) | min(distance - step, FAR)
            hole = at
    books.ids[hole] = 0


@kernel
def reindex(books: Any) -> None:
    """Fill an empty id table from the live slots."""
    for slot in range(1, len(books.orders)):
        if books.orders[slot]["order_id"] != 0:
            insert(books, books.orders[slot]["order_id"], np.uint32(slot))
