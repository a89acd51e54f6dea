"""From the columns of pages to rows in memory and back: one compiled pass over the rows, not one a column.

A page holds a column after the other, kernels want a fact in one place. Much of the time of writing and reading a
journal goes into this turn, so numbers are moved by kernels; only texts and digests go column by column.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.compiled import kernel, short_kernel
from ledger.tables import Array, plain

MANY: Final = 1_000  # rows: so many let other threads have the interpreter meanwhile
BLOCK: Final = np.uint64(128)
WORDS: Final = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.int16), np.dtype(np.int8))


class Moves(NamedTuple):
    """Columns of one width that the kernel can move, counted in words of that width."""

    word: Any
    offsets: Array  # int64, of a column in a row
    begins: Array  # int64, bytes before a column in a page, for each of its facts


class Plan(NamedTuple):
    """How the rows of a layout become columns, and columns rows."""

    moves: tuple[Moves, ...]
    others: tuple[tuple[str, int], ...]  # columns that numpy moves, and the bytes before them for each fact
    row_size: int  # bytes of a fact in a page
    dense: bool  # whether a row holds its columns without gaps between them


@functools.lru_cache(maxsize=1024)
def plan_of(dtype: Any) -> Plan:
    """The plan of a layout: a number that lies on a multiple of its width, in page and row, is moved by the kernel."""
    begins, before = {}, 0
    for name in dtype.names:
        begins[name] = before
        before += dtype[name].itemsize
    moves, moved = [], set()
    for word in WORDS:
        size = word.itemsize
        names = [
            name
            for name in dtype.names
            if dtype[name].kind == "i"
            and dtype[name].itemsize == size
            and not (dtype.itemsize % size or dtype.fields[name][1] % size or begins[name] % size)
        ]
        if names:
            offsets = np.array([dtype.fields[name][1] // size for name in names], np.int64)
            moves.append(Moves(word, offsets, np.array([begins[name] for name in names], np.int64)))
            moved |= set(names)
    others = tuple((name, begin) for name, begin in begins.items() if name not in moved)
    return Plan(tuple(moves), others, before, all(dtype.fields[name][1] == begin for name, begin in begins.items()))


def encode_columns(rows: Array, room: int = 0) -> memoryview:
    """The columns of rows, one after the other, as the body of a page, behind so many bytes (of 8) for a header."""
    plan, count = plan_of(rows.dtype), len(rows)
    if count == 1 and plan.dense:  # as a command that comes alone leaves them
        return memoryview(bytearray(room) + rows.tobytes()[: plan.row_size])
    rows, buffer = plain(rows), np.empty(room + count * plan.row_size, np.uint8)
    body = buffer[room:]
    gather = gather_many if count > MANY else gather_words
    for moves in plan.moves:
        size = moves.word.itemsize
        into = np.frombuffer(body, moves.word, len(body) // size)
        gather(into, rows.view(moves.word).reshape(count, -1), moves.offsets, moves.begins * count // size)
    for name, begin in plan.others:
        np.frombuffer(body, rows.dtype[name], count, begin * count)[:] = rows[name]
    return buffer.data


def fill_rows(dtype: Any, pages: Sequence[tuple[int, bytes | memoryview]]) -> Array:
    """The rows of some pages (facts, body) of one layout as one array. Bodies have been checked to be long enough."""
    plan = plan_of(dtype)
    rows = np.zeros(sum(count for count, _ in pages), dtype)
    words = [rows.view(moves.word).reshape(len(rows), -1) for moves in plan.moves]
    start = 0
    for count, body in pages:
        spread = spread_many if count > MANY else spread_words
        for into, moves in zip(words, plan.moves, strict=True):
            size = moves.word.itemsize
            source = np.frombuffer(body, moves.word, len(body) // size)
            spread(into[start : start + count], source, moves.offsets, moves.begins * count // size)
        for name, begin in plan.others:
            rows[name][start : start + count] = np.frombuffer(body, dtype[name], count, begin * count)
        start += count
    return rows


@short_kernel
def gather_words(into: Any, source: Any, offsets: Any, begins: Any) -> None:
    """Fill columns from rows, some rows at a time: they stay in the processor's cache from column to column."""
    rows, width, words = np.uint64(source.shape[0]), np.uint64(source.shape[1]), source.reshape(-1)
    start = np.uint64(0)
    while start < rows:
        end = min(start + BLOCK, rows)
        for at in range(len(offsets)):
            offset, begin = np.uint64(offsets[at]), np.uint64(begins[at])
            for row in range(start, end):
                into[begin + row] = words[row * width + offset]
        start = end


@short_kernel
def spread_words(into: Any, source: Any, offsets: Any, begins: Any) -> None:
    """Fill rows from columns, likewise."""
    rows, width, words = np.uint64(into.shape[0]), np.uint64(into.shape[1]), into.reshape(-1)
    start = np.uint64(0)
    while start < rows:
        end = min(start + BLOCK, rows)
        for at in range(len(offsets)):
            offset, begin = np.uint64(offsets[at]), np.uint64(begins[at])
            for row in range(start, end):
                words[row * width + offset] = source[begin + row]
        start = end


@kernel
def gather_many(into: Any, source: Any, offsets: Any, begins: Any) -> None:
    """`gather_words` while other threads go on."""
    gather_words(into, source, offsets, begins)


@kernel
def spread_many(into: Any, source: Any, offsets: Any, begins: Any) -> None:
    """`spread_words` while other threads go on."""
    spread_words(into, source, offsets, begins)
