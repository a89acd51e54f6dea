"""Order flow from a seed: the yardstick's workloads, message for message, as COMMAND rows and as its files.

`mixed` keeps about 10,000 orders resting, `deep` about 1,000,000, `sweep` about 4,000 of which each aggressive order
eats about fifty. The generator keeps a plain book of its own to know what is live; a port of `bench/yardstick/gen.cpp`.
"""

import math
from pathlib import Path
from typing import Any, Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from matching.types import COMMAND, Action

KINDS: Final = {
    "mixed": (10_000, 50.0, 0.05, 0.35),
    "deep": (1_000_000, 2_000.0, 0.05, 0.35),
    "sweep": (4_000, 0.0, 0.02, 0.0),
}
"""Resting orders, mean distance from the middle in ticks (0: even to 5,000), share of marketable orders, of cancels."""

RECORD: Final = np.dtype([("operation", "<u4"), ("id", "<u4"), ("side", "<u4"), ("price", "<u4"), ("quantity", "<u4")])
PRICES: Final = 65_536
MAX_DISTANCE: Final = 30_000

Rows = npt.NDArray[Any]


class Flow(NamedTuple):
    """A workload: messages that fill the book, then those that are measured. Rows of RECORD."""

    kind: str
    prefill: Rows
    messages: Rows

    def commands(self, stride: int = 1) -> tuple[Rows, Rows]:
        """Both parts as COMMAND; ids are multiples of `stride`, which makes them sparse but still rising."""
        return as_commands(self.prefill, stride), as_commands(self.messages, stride)

    def write(self, path: Path) -> None:
        """Write the file that the yardstick's programs read."""
        with path.open("wb") as file:
            file.write(np.array([len(self.prefill), len(self.messages)], "<u8").tobytes())
            file.write(self.prefill.tobytes() + self.messages.tobytes())


def as_commands(rows: Rows, stride: int) -> Rows:
    """Rows of RECORD as COMMAND, all of one owner who may trade with himself."""
    made = np.zeros(len(rows), COMMAND)
    made["action"] = np.where(rows["operation"] == 0, Action.NEW, Action.CANCEL)
    made["order_id"] = rows["id"].astype(np.int64) * stride
    made["owner"] = 1
    for name in ("side", "price", "quantity"):
        made[name] = rows[name]
    return made


def make_flow(kind: str, seed: int, messages: int = 1_000_000, resting: int | None = None) -> Flow:
    """The workload of a kind and seed; `resting` replaces the kind's number of resting orders."""
    usual, mean, marketable, cancels = KINDS[kind]
    target = usual if resting is None else resting
    most = 4 * target + messages + 16
    rows = np.zeros(most, RECORD)
    prefilled, count = generate(rows, np.uint64(seed), messages, target, mean, marketable, cancels)
    return Flow(kind, rows[:prefilled].copy(), rows[prefilled:count].copy())


@numba.njit(cache=True)
def next_word(state: Any) -> Any:
    """The next 64 random bits (splitmix64)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def unit(state: Any) -> float:
    """A random number from 0 to 1."""
    return np.float64(next_word(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True)
def below(state: Any, limit: Any) -> Any:
    """A random number from 0 to `limit` - 1: the high word of a product of 128 bits."""
    word, n = next_word(state), np.uint64(limit)
    low = ((word & np.uint64(0xFFFFFFFF)) * n) >> np.uint64(32)
    return np.int64(((word >> np.uint64(32)) * n + low) >> np.uint64(32))


@numba.njit(cache=True)
def distance(state: Any, mean: float) -> Any:
    """How far from the middle an order is placed."""
    if mean == 0:
        return 1 + below(state, 5000)
    drawn = 1 + math.floor(math.log(1 - unit(state)) / math.log(1 - 1 / mean))
    return min(np.int64(drawn), MAX_DISTANCE)


@numba.njit(cache=True)
def forget(live: Any, places: Any, counts: Any, order: int) -> None:
    """Take an order out of the list of live ones."""
    last = live[counts[0] - 1]
    live[places[order]] = last
    places[last] = places[order]
    places[order] = -1
    counts[0] -= 1


@numba.njit(cache=True)
def add(
    order: int, side: int, price: int, quantity: int, heads: Any, tails: Any, links: Any, leaves: Any, best: Any,
    live: Any, places: Any, counts: Any, standing: Any,
) -> None:  # fmt: skip
    """Enter an order into the generator's own book: trade what crosses, rest the remainder."""
    other, step = 1 - side, (1 if side == 0 else -1)
    while quantity > 0 and 0 < best[other] < PRICES and (price - best[other]) * step >= 0:
        level = best[other]
        maker = heads[other, level]
        while maker != 0 and (quantity > 0 or leaves[maker] == 0):
            fill = min(quantity, leaves[maker])
            leaves[maker] -= fill
            quantity -= fill
            standing[other] -= fill
            if leaves[maker] > 0:
                break
            if fill > 0:
                forget(live, places, counts, maker)
            maker = links[maker]
        heads[other, level] = maker
        if maker != 0:
            break
        tails[other, level] = 0
        best[other] = level + step
        while 0 < best[other] < PRICES and heads[other, best[other]] == 0:
            best[other] += step
    if quantity == 0:
        return
    leaves[order] = quantity
    links[order] = 0
    if tails[side, price] != 0:
        links[tails[side, price]] = order
    else:
        heads[side, price] = order
    tails[side, price] = order
    if (price - best[side]) * step > 0:
        best[side] = price
    standing[side] += quantity
    live[counts[0]] = order
    places[order] = counts[0]
    counts[0] += 1


@numba.njit(cache=True)
def generate(
    rows: Any, seed: Any, messages: int, target: int, mean: float, marketable: float, cancels: float
) -> tuple[int, int]:
    """Fill `rows` (RECORD). Returns how many fill the book and how many there are in all."""
    state = np.array([seed], np.uint64)
    size = len(rows) + 2
    heads, tails = np.zeros((2, PRICES), np.int64), np.zeros((2, PRICES), np.int64)
    links, leaves, live = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    places, counts, standing = np.full(size, -1), np.zeros(1, np.int64), np.zeros(2, np.int64)
    best, sides = np.array([0, PRICES]), np.zeros(size, np.int8)
    order, middle, count, prefilled = 0, 32768, 0, 0
    done = -1  # messages so far; below zero while the book is filled
    while done < messages:
        if done < 0:
            if counts[0] >= target:
                done, prefilled = 0, count
                continue
            share = 1.0
        else:
            if below(state, 1000) == 0:
                middle += 1 if below(state, 2) != 0 else -1
            share = unit(state)
            done += 1
        if done > 0 and share < marketable:
            side = below(state, 2)
            average = 2500.0 if mean == 0 else 250.0
            quantity = 1 + below(state, np.int64(2 * average * (counts[0] / target)))
            if standing[1 - side] <= 2 * quantity:
                side = 1 - side
            price = 1 if side == 1 else PRICES - 2
        elif done > 0 and share < marketable + cancels:
            gone = live[below(state, counts[0])]
            forget(live, places, counts, gone)
            standing[sides[gone]] -= leaves[gone]
            leaves[gone] = 0  # it stays in its queue as a hole, which matching passes over
            rows[count]["operation"] = 1
            rows[count]["id"] = gone
            count += 1
            continue
        else:
            side = below(state, 2)
            away = distance(state, mean)
            price = middle + away if side == 1 else middle - away
            quantity = 1 + below(state, 100)
        order += 1
        row = rows[count]
        row["id"] = order
        row["side"] = side
        row["price"] = price
        row["quantity"] = quantity
        sides[order] = side
        add(order, side, price, quantity, heads, tails, links, leaves, best, live, places, counts, standing)
        count += 1
    return prefilled, count
