"""Ranks with an order: a two-storey bitmap a lane, and the best rank kept at hand.

A lane is one side and zone of a book; rank 0 is the best price that it can have, so the lowest rank goes first. A bit
says that the queue of a rank is not empty; a bit of the summary says that a word is not zero. The next rank is found
by counting zeros, whatever the distance.
"""

from typing import Any

import numpy as np

from matching.compiled import kernel, trailing_zeros

NO_RANK = 2**40  # behind every rank
ZERO, ONE = np.uint64(0), np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def occupy(books: Any, lane: int, rank: int) -> None:
    """Mark a rank as occupied, and as the best one if it is."""
    ladder, word = books.lanes[lane], rank >> 6
    books.words[np.uint64(ladder["words_at"] + word)] |= ONE << np.uint64(rank & 63)
    books.summary[np.uint64(ladder["summary_at"] + (word >> 6))] |= ONE << np.uint64(word & 63)
    ladder["best"] = min(ladder["best"], rank)


@kernel
def vacate(books: Any, lane: int, rank: int) -> None:
    """Mark a rank as empty."""
    ladder, word = books.lanes[lane], rank >> 6
    at = np.uint64(ladder["words_at"] + word)
    bits = books.words[at] & ~(ONE << np.uint64(rank & 63))
    books.words[at] = bits
    if bits == ZERO:
        books.summary[np.uint64(ladder["summary_at"] + (word >> 6))] &= ~(ONE << np.uint64(word & 63))
    if rank == ladder["best"]:
        ladder["best"] = (word << 6) + trailing_zeros(bits) if bits != ZERO else next_word(books, lane, word)


@kernel
def next_word(books: Any, lane: int, word: int) -> int:
    """The lowest occupied rank in the words behind one, or NO_RANK."""
    ladder, row = books.lanes[lane], word >> 6
    bits = ZERO
    if word & 63 != 63:  # a shift by 64 is undefined
        bits = books.summary[np.uint64(ladder["summary_at"] + row)] & (ALL << np.uint64((word & 63) + 1))
    while bits == ZERO:
        row += 1
        if row >= ladder["summary"]:
            return np.int64(NO_RANK)
        bits = books.summary[np.uint64(ladder["summary_at"] + row)]
    word = (row << 6) + trailing_zeros(bits)
    return (word << 6) + trailing_zeros(books.words[np.uint64(ladder["words_at"] + word)])


@kernel
def next_rank(books: Any, lane: int, rank: int) -> int:
    """The lowest occupied rank at or behind `rank`, or NO_RANK."""
    ladder, word = books.lanes[lane], rank >> 6
    if rank >= ladder["prices"]:
        return np.int64(NO_RANK)
    bits = books.words[np.uint64(ladder["words_at"] + word)] & (ALL << np.uint64(rank & 63))
    return (word << 6) + trailing_zeros(bits) if bits != ZERO else next_word(books, lane, word)


@kernel
def price_of(books: Any, lane: int, rank: int) -> int:
    """Price of a rank."""
    ladder = books.lanes[lane]
    return ladder["first_price"] + ladder["step"] * rank


@kernel
def rank_of(books: Any, lane: int, price: int) -> int:
    """Rank of a price, which may lie outside the lane."""
    ladder = books.lanes[lane]
    return (price - ladder["first_price"]) * ladder["step"]
