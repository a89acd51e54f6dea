"""Callers who submit one order and await its durable answer: a thousand tasks of asyncio at once, and one task alone.

Tasks go on: each submits one order, awaits it, and submits its next, whatever the others do. Rounds: a thousand new
tasks submit one order each, and the next thousand begin when all of them have their answers. The baseline is asyncio
itself: tasks that go on, each awaiting a future that a thread settles, with nothing behind it.

Alone: one task submits an order, awaits it, submits the next. The baseline is a durable transaction of the very
records that those orders left, one by one, raw. Both are shown by their medians and the time that 99 % stay below.
"""

import asyncio
import gc
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.baselines import RawSQLite, cut, stored
from bench.figures import MS, PER_S, Found, Scene, Size, Turns, timed
from bench.world import OPERATOR, live_flow, open_world
from shuiquan.exchange import Exchange

NAME: Final = "awaiting"
TITLE: Final = "Orders that are each awaited, SQLite, fsync on every commit"
LEFT_OUT: Final = "drawing the orders; the raw commits leave out spans of seq and keys of submissions"


async def in_tasks(exchange: Exchange, orders: Any, name: str, tasks: int) -> None:
    """So many tasks share the orders; each submits one and awaits it before its next."""

    async def task(first: int) -> None:
        for at in range(first, len(orders), tasks):
            await exchange.submit_async(orders[at : at + 1], command_id=f"{name}-{at}", **OPERATOR)

    await asyncio.gather(*(task(first) for first in range(tasks)))


async def in_rounds(exchange: Exchange, orders: Any, name: str, tasks: int) -> None:
    """Rounds of so many tasks of one order each."""
    for first in range(0, len(orders), tasks):
        await in_tasks(exchange, orders[first : first + tasks], f"{name}-{first}", tasks)


class Settler:
    """A thread that settles futures of an event loop as soon as it can, all that wait at once."""

    def __init__(self) -> None:
        """Start it."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._some, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, future: asyncio.Future[None]) -> None:
        """Let a future be settled."""
        self._waiting.append(future)
        self._some.set()

    def close(self) -> None:
        """End the thread."""
        self._over = True
        self._some.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            self._some.wait()
            self._some.clear()
            futures = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if futures:
                futures[0].get_loop().call_soon_threadsafe(settle, futures)


def settle(futures: list[asyncio.Future[None]]) -> None:
    """Settle futures, in their loop."""
    for future in futures:
        future.set_result(None)


async def all_for_nothing(settler: Settler, tasks: int, rounds: int) -> None:
    """The same tasks without a ledger."""

    async def task() -> None:
        for _ in range(rounds):
            future = asyncio.get_running_loop().create_future()
            settler.put(future)
            await future

    await asyncio.gather(*(task() for _ in range(tasks)))


async def one_by_one(exchange: Exchange, orders: Any, name: str) -> tuple[list[float], list[int]]:
    """Milliseconds until each order was answered, and the positions behind the commits."""
    times, positions = [], [exchange.position]
    for at in range(len(orders)):
        started = time.perf_counter()
        await exchange.submit_async(orders[at : at + 1], command_id=f"{name}-{at}", **OPERATOR)
        times.append(1e3 * (time.perf_counter() - started))
        positions.append(exchange.position)
    return times, positions


@contextmanager
def frozen() -> Iterator[None]:
    """While the block runs the collector of garbage leaves alone what there is now, as in `shuiquan serve`."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def measure(size: Size, folder: Path) -> Found:
    """Both, in turns."""
    turns, rng, path = Turns(), np.random.default_rng(2), folder / "awaited.db"
    count = size.tasks * size.rounds
    with ExitStack() as stack:
        exchange = stack.enter_context(open_world(path, size.rights))
        raw = stack.enter_context(closing(RawSQLite(folder / "raw.db", path)))
        settler = stack.enter_context(closing(Settler()))
        exchange.submit(live_flow(exchange, rng, size.batch), command_id="first", **OPERATOR)
        stack.enter_context(frozen())
        for number in range(size.turns + 1):
            commits, seconds = [exchange.load.commits], []
            for way in (in_tasks, in_rounds):
                orders = live_flow(exchange, rng, count)
                work = way(exchange, orders, f"{way.__name__}-{number}", size.tasks)
                seconds.append(timed(lambda work=work: asyncio.run(work)))  # type: ignore[misc]
                commits.append(exchange.load.commits)
            single = live_flow(exchange, rng, size.alone)
            idle = timed(lambda: asyncio.run(all_for_nothing(settler, size.tasks, size.rounds)))
            times, positions = asyncio.run(one_by_one(exchange, single, f"one-{number}"))
            raw_times = [1e3 * raw.write([rows]) for rows in cut(stored(path, positions[0]), positions)]
            if number:  # the first warms everything up
                p50, p99 = np.quantile(times, [0.5, 0.99]).tolist()
                raw_p50, raw_p99 = np.quantile(raw_times, [0.5, 0.99]).tolist()
                turns.add(
                    tasks=count / seconds[0], rounds=count / seconds[1], idle=count / idle,
                    per_commit=count / (commits[1] - commits[0]), p50=p50, p99=p99, raw_p50=raw_p50, raw_p99=raw_p99,
                    above=p50 - raw_p50,
                )  # fmt: skip
        conditions = {"sqlite": raw.settings(), "tasks": size.tasks, "rounds": size.rounds, "alone": size.alone}
        conditions["garbage"] = "objects of the opened ledger frozen"
    figures = [
        turns.figure("tasks", "tasks that go on", PER_S, "tasks that await a thread"),
        turns.figure("rounds", "rounds of tasks of one order", PER_S, "tasks that await a thread"),
        turns.figure("idle", "tasks that await a thread", PER_S, "", "no ledger behind it"),
        turns.figure("per_commit", "orders a commit, tasks that go on", "orders"),
        turns.figure("p50", "one task alone, p50", MS, "raw commit, p50"),
        turns.figure("raw_p50", "raw commit, p50", MS, "", "of the same records"),
        turns.figure("above", "p50 above the raw p50", MS),
        turns.figure("p99", "one task alone, p99", MS, "raw commit, p99"),
        turns.figure("raw_p99", "raw commit, p99", MS),
    ]
    return Found(NAME, TITLE, figures, conditions, LEFT_OUT)


SCENE: Final = Scene(NAME, TITLE, measure)
