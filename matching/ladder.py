"""Price levels with an order in them: a two-storey bitmap a side and zone, and the best level kept at hand.

A bit says that the queue of a level is not empty; a bit of the summary says that a word is not zero. The next
price is found by counting zeros, whatever the distance.
"""

from typing import Any

import numpy as np

from matching.compiled import highest_bit, kernel, trailing_zeros

NO_LEVEL = -1
ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def occupy(books: Any, book: int, lane: int, level: int) -> None:
    """Mark a level of a lane (side x zones + zone) as occupied."""
    shape = books.book[book]
    word = level >> 6
    books.words[np.uint64(shape["words_at"] + lane * shape["words"] + word)] |= ONE << np.uint64(level & 63)
    books.summary[np.uint64(shape["summary_at"] + lane * shape["summary"] + (word >> 6))] |= ONE << np.uint64(word & 63)


@kernel
def vacate(books: Any, book: int, lane: int, level: int) -> None:
    """Mark a level of a lane as empty."""
    shape = books.book[book]
    word = level >> 6
    at = np.uint64(shape["words_at"] + lane * shape["words"] + word)
    books.words[at] &= ~(ONE << np.uint64(level & 63))
    if books.words[at] == np.uint64(0):
        at = np.uint64(shape["summary_at"] + lane * shape["summary"] + (word >> 6))
        books.summary[at] &= ~(ONE << np.uint64(word & 63))


@kernel
def lowest_from(books: Any, book: int, lane: int, level: int) -> int:
    """Lowest occupied level at or above `level`, or NO_LEVEL."""
    shape = books.book[book]
    if level >= shape["prices"]:
        return NO_LEVEL
    words_at = shape["words_at"] + lane * shape["words"]
    summary_at = shape["summary_at"] + lane * shape["summary"]
    word = level >> 6
    bits = books.words[np.uint64(words_at + word)] & (ALL << np.uint64(level & 63))
    if bits != np.uint64(0):
        return (word << 6) + trailing_zeros(bits)
    row = word >> 6
    bits = np.uint64(0)
    if word & 63 != 63:  # a shift by 64 is undefined
        bits = books.summary[np.uint64(summary_at + row)] & (ALL << np.uint64((word & 63) + 1))
    while bits == np.uint64(0):
        row += 1
        if row >= shape["summary"]:
            return NO_LEVEL
        bits = books.summary[np.uint64(summary_at + row)]
    word = (row << 6) + trailing_zeros(bits)
    return (word << 6) + trailing_zeros(books.words[np.uint64(words_at + word)])


@kernel
def highest_to(books: Any, book: int, lane: int, level: int) -> int:
    """Highest occupied level at or below `level`, or NO_LEVEL."""
    shape = books.book[book]
    if level < 0:
        return NO_LEVEL
    words_at = shape["words_at"] + lane * shape["words"]
    summary_at = shape["summary_at"] + lane * shape["summary"]
    word = level >> 6
    bits = books.words[np.uint64(words_at + word)] & (ALL >> np.uint64(63 - (level & 63)))
    if bits != np.uint64(0):
        return (word << 6) + highest_bit(bits)
    row = word >> 6
    bits = np.uint64(0)
    if word & 63 != 0:
        bits = books.summary[np.uint64(summary_at + row)] & (ALL >> np.uint64(64 - (word & 63)))
    while bits == np.uint64(0):
        row -= 1
        if row < 0:
            return NO_LEVEL
        bits = books.summary[np.uint64(summary_at + row)]
    word = (row << 6) + highest_bit(bits)
    return (word << 6) + highest_bit(books.words[np.uint64(words_at + word)])
