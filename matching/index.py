"""From order id to slot: open addressing with backward-shift deletion, sized by live orders.

Ids rise and old ones are never looked up again, so the table needs room for what is live and nothing else.
"""

from typing import Any

import numpy as np

from matching.compiled import kernel

FACTOR = 0x1E3779B1  # odd, 29 bits: the product of a 32-bit word with it stays within a signed 64-bit integer


@kernel
def spread(value: int) -> int:
    """A number of 41 bits that differs all over for neighbouring values (multiplicative hashing)."""
    return (((value ^ (value >> 32)) & 0xFFFFFFFF) * FACTOR) >> 20


@kernel
def find(books: Any, order_id: int) -> int:
    """Slot of a live order, or 0."""
    mask = len(books.ids) - 1
    at = spread(order_id) & mask
    while books.ids[at] != 0:
        if books.ids[at] == order_id:
            return np.int64(books.slots[at])
        at = (at + 1) & mask
    return np.int64(0)


@kernel
def insert(books: Any, order_id: int, slot: int) -> None:
    """Remember the slot of an order id that is not in the table."""
    mask = len(books.ids) - 1
    at = spread(order_id) & mask
    while books.ids[at] != 0:
        at = (at + 1) & mask
    books.ids[at] = order_id
    books.slots[at] = slot


@kernel
def delete(books: Any, order_id: int) -> None:
    """Forget an order id that is in the table; what stands behind it moves up, so no tombstone is left."""
    mask = len(books.ids) - 1
    hole = spread(order_id) & mask
    while books.ids[hole] != order_id:
        hole = (hole + 1) & mask
    at = hole
    while True:
        at = (at + 1) & mask
        if books.ids[at] == 0:
            break
        if ((at - (spread(books.ids[at]) & mask)) & mask) >= ((at - hole) & mask):
            books.ids[hole] = books.ids[at]
            books.slots[hole] = books.slots[at]
            hole = at
    books.ids[hole] = 0


@kernel
def reindex(books: Any) -> None:
    """Fill an empty id table from the live slots."""
    for slot in range(1, len(books.orders)):
        if books.orders[slot]["order_id"] != 0:
            insert(books, books.orders[slot]["order_id"], np.int64(slot))
