"""A call auction, orders that are in the way but may not trade, and the memory of orders at rest.

Auction: processor time an order for collecting orders in batches and for the uncross. Their prices are even around a
middle, so about half of the quantity trades. Building the batches is left out.

Blocked orders: processor time of an order that trades with one order, while many orders of a zone with which it may
not trade stand at a better price; the same while they stand at a worse price, where no order meets them, so that only
the size of the book is the same; and the same without them. Placing the orders is left out.

Memory: the arrays that grow with the orders at rest. Left out are the array of prices, which has its size from the
start, and the tape, which holds what the last two batches did.
"""

import time
from typing import Any, Final

import msgspec
import numpy as np

from bench.measured import BATCH, Measured, Sizes, cpu_ns, in_turn
from bench.rates import batches
from matching import COMMAND, UNLIMITED, Action, OrderBook, Side

MIDDLE: Final = 30_000
SPREAD: Final = 500
BETTER, TRADED, WORSE = 100, 101, 102  # to a buyer
ROUNDS: Final = 20
"""Batches of takers a repetition, of which the median counts."""


class Auction(msgspec.Struct, frozen=True):
    """A call auction: nanoseconds an order in all, and nanoseconds of the uncross alone."""

    orders: int
    traded: float  # share of the quantity
    whole_ns: Measured  # an order
    uncross_ns: Measured  # the whole uncross


class Blocked(msgspec.Struct, frozen=True):
    """Nanoseconds of an order that trades with one order, by where those stand with which it may not trade."""

    blocked: int
    nowhere: Measured
    worse: Measured
    better: Measured


class Memory(msgspec.Struct, frozen=True):
    """Bytes of the arrays that grow with the orders at rest."""

    orders: int
    bytes: dict[str, int]


def new_orders(count: int, first_id: int, **fields: Any) -> Any:
    """COMMAND rows that enter orders with rising ids; a field is one value for all, or an array."""
    rows = np.zeros(count, COMMAND)
    rows["action"] = Action.NEW
    rows["order_id"] = np.arange(first_id, first_id + count)
    rows["owner"] = 1
    for name, value in fields.items():
        rows[name] = value
    return rows


def even_orders(count: int) -> Any:
    """Orders of both sides at prices even around the middle."""
    rng = np.random.Generator(np.random.PCG64(2))
    price = rng.integers(MIDDLE - SPREAD, MIDDLE + SPREAD + 1, count)
    return new_orders(count, 1, side=rng.integers(0, 2, count), price=price, quantity=rng.integers(1, 101, count))


def measure_auction(count: int, repetitions: int) -> Auction:
    """Collect so many orders and uncross, again and again."""
    rows = even_orders(count)
    parts = batches(rows)
    whole, alone, volumes = [], [], []
    for _ in range(repetitions + 1):
        book = OrderBook(capacity=count)
        started = time.thread_time_ns()
        book.open_auction()
        for part in parts:
            book.process(part)
        collected = time.thread_time_ns()
        uncrossed = book.uncross()
        ended = time.thread_time_ns()
        whole.append((ended - started) / count)
        alone.append(float(ended - collected))
        volumes.append(uncrossed.volume)
    share = 2 * volumes[-1] / int(rows["quantity"].sum())
    timed = slice(1, None)  # the first round compiles
    return Auction(count, share, Measured("whole", tuple(whole[timed])), Measured("uncross", tuple(alone[timed])))


def zoned_book(blocked: int, price: int) -> OrderBook:
    """A book of two zones with so many sell orders of the one at a price, from which the other may not buy."""
    headroom = np.full((2, 2), UNLIMITED, np.int64)
    headroom[1, 0] = 0
    book = OrderBook(zones=2, headroom=headroom, capacity=blocked + 2 * BATCH)
    for part in batches(new_orders(blocked, 1, side=Side.SELL, price=price, quantity=1, zone=1)):
        book.process(part)
    return book


def taker_ns(book: OrderBook) -> float:
    """Nanoseconds of processor time of a buy order that trades with one sell order of its own zone, in a batch."""
    makers = new_orders(BATCH, book.last_order_id + 1, side=Side.SELL, price=TRADED, quantity=1)
    book.process(makers)
    takers = new_orders(BATCH, book.last_order_id + 1, side=Side.BUY, price=TRADED, quantity=1)
    live = len(book)
    spent = cpu_ns(lambda: book.process(takers))
    assert len(book) == live - BATCH, "every taker trades in whole"
    return spent / BATCH


def measure_blocked(blocked: int, repetitions: int) -> Blocked:
    """Measure takers by where the blocked orders stand, a batch of each in turn."""
    nowhere, worse, better = zoned_book(0, BETTER), zoned_book(blocked, WORSE), zoned_book(blocked, BETTER)
    taker_ns(nowhere)  # which compiles
    subjects = {
        "nowhere": lambda: taker_ns(nowhere),
        "at a worse price": lambda: taker_ns(worse),
        "at a better price": lambda: taker_ns(better),
    }
    rounds = [in_turn(subjects, ROUNDS) for _ in range(repetitions)]
    return Blocked(
        blocked,
        *(Measured(name, tuple(found[at].median or 0.0 for found in rounds)) for at, name in enumerate(subjects)),
    )


def measure_memory(count: int) -> Memory:
    """Let so many orders rest and count bytes."""
    rng = np.random.Generator(np.random.PCG64(3))
    book = OrderBook(capacity=count)
    for part in batches(new_orders(count, 1, side=Side.SELL, price=rng.integers(1, 65_536, count), quantity=1)):
        book.process(part)
    arrays = book._books  # noqa: SLF001 - the arrays are what is measured
    sizes = {name: getattr(arrays, name).nbytes for name in ("orders", "standing", "links", "ids")}
    return Memory(len(book), sizes)


def measure(sizes: Sizes) -> tuple[list[Auction], Blocked, Memory]:
    """Measure all three."""
    auctions = [measure_auction(count, sizes.repetitions) for count in (sizes.auction, sizes.small_auction)]
    return auctions, measure_blocked(sizes.blocked, sizes.repetitions), measure_memory(sizes.kept)
