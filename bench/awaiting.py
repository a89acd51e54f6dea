"""Callers who submit one order and await its durable answer: a thousand tasks of asyncio at once, and one task alone.

Tasks go on: each submits one order, awaits it, and submits its next, whatever the others do; all for one actor, and
each for an actor of its own. Rounds: a thousand new tasks submit one order each, and the next thousand begin when all
of them have their answers. The baseline is asyncio itself: tasks that go on, each awaiting a future that a thread
settles, with nothing behind it.

Each on the loop that asyncio has and on uvloop, which is asyncio with a compiled loop, in turns.

Alone: one task submits an order, awaits it, submits the next. The baseline is a durable transaction of the very
records that those orders left, one by one, raw, each after a pause as long as the ledger computed between its own: a
disk that has had nothing to do for a millisecond takes longer. Raw commits without a pause are shown too. All of them
by their medians, orders and paced commits also by the time that 99 % stay below.
"""

import asyncio
import gc
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib import util
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.baselines import RawSQLite, Stored, cut, stored
from bench.figures import MS, PER_S, Figure, Found, Scene, Size, Turns, timed
from bench.world import OPERATOR, live_flow, open_world
from shuiquan.exchange import Exchange

NAME: Final = "awaiting"
TITLE: Final = "Orders that are each awaited, SQLite, fsync on every commit"
OWN: Final = ""  # the loop that asyncio has, without a name in the tables
SELDOM: Final = 20_000  # objects made until the collector looks at the young ones, as in `shuiquan serve`
LEFT_OUT: Final = "drawing the orders; the raw commits leave out keys of submissions"
Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""What runs a coroutine on a loop of its own, as `asyncio.run` does."""


async def in_tasks(exchange: Exchange, orders: Any, name: str, tasks: int, *, actors: bool = False) -> None:
    """So many tasks share the orders, of one actor or each its own: each submits one and awaits it before its next."""

    async def task(first: int) -> None:
        who = OPERATOR | ({"actor": f"platform-{first}"} if actors else {})
        for at in range(first, len(orders), tasks):
            await exchange.submit_async(orders[at : at + 1], command_id=f"{name}-{at}", **who)

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
    """While the block runs the collector of garbage looks as little at the ledger as in `shuiquan serve`."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(SELDOM)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def measure(size: Size, folder: Path) -> Found:
    """All of it on every loop, in turns."""
    turns, path, loops = Turns(), folder / "awaited.db", event_loops()
    with ExitStack() as stack:
        exchange = stack.enter_context(open_world(path, size.rights))
        raw, paced = (stack.enter_context(closing(RawSQLite(folder / name, path))) for name in ("raw.db", "paced.db"))
        settler = stack.enter_context(closing(Settler()))
        flow = partial(live_flow, exchange, np.random.default_rng(2))
        exchange.submit(flow(size.batch), command_id="first", **OPERATOR)
        stack.enter_context(frozen())
        for number, (loop, run) in itertools.product(range(size.turns + 1), loops.items()):
            name = f"{number}{loop}"
            found = many(exchange, settler, flow, size, name, run)
            times, positions = run(one_by_one(exchange, flow(size.alone), f"one-{name}"))
            found |= alone(times, raw, paced, cut(stored(path, positions[0]), positions))
            if number:  # the first warms everything up
                turns.add(**{f"{subject}{loop}": value for subject, value in found.items()})
        conditions = {"sqlite": raw.settings(), "tasks": size.tasks, "rounds": size.rounds, "alone": size.alone}
        conditions["garbage"] = f"objects of the opened ledger frozen, thresholds {gc.get_threshold()}"
    return Found(NAME, TITLE, [figure for loop in loops for figure in figures(turns, loop)], conditions, LEFT_OUT)


def many(
    exchange: Exchange, settler: Settler, flow: Callable[[int], Any], size: Size, name: str, run: Run
) -> dict[str, float]:
    """A turn of many tasks: orders a second of tasks that go on and of rounds, and of tasks with no ledger."""
    count, commits = size.tasks * size.rounds, exchange.load.commits
    tasks = in_tasks(exchange, flow(count), f"tasks-{name}", size.tasks)
    tasks_s, commits = timed(lambda: run(tasks)), exchange.load.commits - commits
    apart = in_tasks(exchange, flow(count), f"apart-{name}", size.tasks, actors=True)
    apart_s = timed(lambda: run(apart))
    rounds = in_rounds(exchange, flow(count), f"rounds-{name}", size.tasks)
    rounds_s = timed(lambda: run(rounds))
    idle_s = timed(lambda: run(all_for_nothing(settler, size.tasks, size.rounds)))
    return {
        "tasks": count / tasks_s, "apart": count / apart_s, "rounds": count / rounds_s, "idle": count / idle_s,
        "commit": count / commits,
    }  # fmt: skip


def alone(
    times: Sequence[float], raw: RawSQLite, paced: RawSQLite, commits: Sequence[Sequence[Stored]]
) -> dict[str, float]:
    """A turn of one task: times of its orders, and of its records' raw commits without and with pauses, in ms."""
    p50, p99 = np.quantile(times, [0.5, 0.99]).tolist()
    unpaced_p50 = float(np.median(one_after_the_other(raw, commits)))
    raw_p50, raw_p99 = np.quantile(one_after_the_other(paced, commits, p50 - unpaced_p50), [0.5, 0.99]).tolist()
    return {
        "p50": p50, "p99": p99, "raw_p50": raw_p50, "raw_p99": raw_p99, "unpaced_p50": unpaced_p50,
        "above": p50 - raw_p50,
    }  # fmt: skip


def one_after_the_other(raw: RawSQLite, commits: Sequence[Sequence[Stored]], pause: float = 0) -> list[float]:
    """Milliseconds of raw commits, each so many milliseconds behind the one before; meanwhile the processor is busy."""
    found = []
    for rows in commits:
        until = time.perf_counter() + pause / 1e3
        while time.perf_counter() < until:
            pass
        found.append(1e3 * raw.write([rows]))
    return found


def event_loops() -> dict[str, Run]:
    """What runs tasks: asyncio's own loop, and uvloop where it is installed (extra `bench`)."""
    if util.find_spec("uvloop") is None:
        return {OWN: asyncio.run}
    import uvloop  # noqa: PLC0415 - of the extra

    return {OWN: asyncio.run, ", on uvloop": uvloop.run}


def figures(turns: Turns, loop: str) -> list[Figure]:
    """What was measured on a loop."""

    def figure(name: str, subject: str, unit: str = PER_S, beside: str = "", note: str = "") -> Figure:
        return turns.figure(f"{name}{loop}", named(subject), unit, beside and named(beside), note)

    def named(subject: str) -> str:
        return subject + loop

    return [
        figure("tasks", "tasks that go on", PER_S, "tasks that await a thread"),
        figure("apart", "tasks that go on, each an actor", PER_S, "tasks that await a thread"),
        figure("rounds", "rounds of tasks of one order", PER_S, "tasks that await a thread"),
        figure("idle", "tasks that await a thread", PER_S, "", "no ledger behind it"),
        figure("commit", "orders a commit, tasks that go on", "orders"),
        figure("p50", "one task alone, p50", MS, "raw commit, p50"),
        figure("raw_p50", "raw commit, p50", MS, "", "of the same records, at the pace of the orders"),
        figure("above", "p50 above the raw p50", MS),
        figure("p99", "one task alone, p99", MS, "raw commit, p99"),
        figure("raw_p99", "raw commit, p99", MS),
        figure("unpaced_p50", "raw commits without pauses, p50", MS),
    ]


SCENE: Final = Scene(NAME, TITLE, measure)
