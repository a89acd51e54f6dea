"""One order a call from Python: how long `OrderBook.submit` takes, beside a compiled call that does nothing.

Measured: wall-clock time of each call, on a book with 1,000 orders at rest. Every other order rests, and the next one
trades with exactly one order of the book, so the book keeps its size. The empty call gets the very arrays that the
book hands to its kernel: it shows what crossing from Python into compiled code costs. Both include the clock itself,
and what else the machine does meanwhile. Left out: choosing the orders.
"""

import time
from typing import Any, Final

import msgspec
import numpy as np

from bench.measured import Measured, Sizes
from matching import COMMAND, OUTCOME, OrderBook, Side
from matching.compiled import kernel

RESTING: Final = 1_000
MIDDLE: Final = 30_000
FAR: Final = 60
"""Ticks from the middle, beyond every order at rest."""
QUANTITY: Final = 10
TURN: Final = 500
"""Calls of the one kind before it is the other's turn: both meet the processor fast and slow, busy and idle."""
QUANTILES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

Order = tuple[int, Side, int]


class Calls(msgspec.Struct, frozen=True):
    """Nanoseconds a call, by quantile; each has one value a repetition."""

    calls: int
    resting: int
    submit: list[Measured]
    empty: list[Measured]


@kernel
def nothing(books: Any, tape: Any, book: int, commands: Any, outcomes: Any) -> None:
    """Take the arguments of the kernel that carries out a batch, compiled as that one is, and return."""


def orders_to_submit(count: int) -> list[Order]:
    """Orders as (id, side, price): in turn one that rests, up to 50 ticks away, and one that takes a best one."""
    rng = np.random.Generator(np.random.PCG64(1))
    sides = [Side(side) for side in rng.integers(0, 2, count // 2).tolist()]
    away = rng.integers(1, 51, count // 2).tolist()
    made: list[Order] = []
    for side, ticks in zip(sides, away, strict=True):
        other, sign = Side(1 - side), -1 if side == Side.BUY else 1
        made += [
            (RESTING + len(made) + 1, side, MIDDLE + sign * ticks),
            (RESTING + len(made) + 2, other, MIDDLE + sign * FAR),
        ]
    return made


def book_at_rest() -> OrderBook:
    """A book of 1,000 orders, half of them on each side, within 50 ticks of the middle."""
    book = OrderBook()
    for order_id in range(1, RESTING + 1):
        side, ticks = Side(order_id % 2), 1 + order_id // 2 % 50
        price = MIDDLE - ticks if side == Side.BUY else MIDDLE + ticks
        book.submit(order_id=order_id, side=side, price=price, quantity=QUANTITY, owner=1)
    return book


def submit_times(book: OrderBook, orders: list[Order]) -> list[int]:
    """Nanoseconds of each call of `submit`."""
    clock, submit, times = time.perf_counter_ns, book.submit, []
    for order_id, side, price in orders:
        started = clock()
        submit(order_id=order_id, side=side, price=price, quantity=QUANTITY, owner=1)
        times.append(clock() - started)
    return times


def empty_times(book: OrderBook, count: int) -> list[int]:
    """Nanoseconds of each call that does nothing with the arrays of this book."""
    books, tape = book._books, book._tape  # noqa: SLF001 - the very arrays are what is measured
    commands, outcomes, clock, times = np.zeros(1, COMMAND), np.zeros(1, OUTCOME), time.perf_counter_ns, []
    nothing(books, tape, 0, commands, outcomes)
    for _ in range(count):
        started = clock()
        nothing(books, tape, 0, commands, outcomes)
        times.append(clock() - started)
    return times


def quantiles(rounds: list[list[int]]) -> list[Measured]:
    """The quantiles of each round."""
    return [
        Measured(name, tuple(float(np.quantile(times, part)) for times in rounds)) for name, part in QUANTILES.items()
    ]


def measure(sizes: Sizes) -> Calls:
    """Measure both, in turn."""
    orders = orders_to_submit(sizes.calls)
    submitted, empty = [], []
    for _ in range(sizes.repetitions):
        book = book_at_rest()
        submitted.append(list[int]())
        empty.append(list[int]())
        for at in range(0, len(orders), TURN):
            submitted[-1] += submit_times(book, orders[at : at + TURN])
            empty[-1] += empty_times(book, len(orders[at : at + TURN]))
        assert len(book) == RESTING, "every other order trades with one order in whole"
    return Calls(len(orders), RESTING, quantiles(submitted), quantiles(empty))


def pairs(found: Calls) -> list[tuple[str, Measured, Measured]]:
    """Each quantile with the time of a call of `submit` and of an empty one."""
    return [(one.subject, one, other) for one, other in zip(found.submit, found.empty, strict=True)]
