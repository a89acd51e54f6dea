"""Clients in processes of their own over the socket, beside callers of the exchange itself, in the same turns.

Batches given ahead, many asyncio tasks with one order each, and one caller alone. The exchange serves from this
process; each client is a Python process that has connected and made its orders before the clock starts. Only new
orders: a client does not know which of its orders are live.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bench.figures import MS, Found, Scene, Size, Turns, timed
from bench.world import OPERATOR, open_world, order_flow
from ledger.submissions import Submission
from ledger.submitting import Submitting

NAME: Final = "clients"
TITLE: Final = "Orders of client processes over the socket, SQLite, fsync on every commit"
LEFT_OUT: Final = "drawing the orders, starting the processes, connecting"

Work = Callable[[], Any]


def new_orders(seed: int, count: int, size: Size) -> Any:
    """Orders of one client."""
    return order_flow(np.random.default_rng(seed), count, size.rights, 1, 1, new=1.0)


def batches(submitting: Submitting, size: Size, name: str, seed: int) -> Work:
    """Batches given ahead; made first, to be submitted when the work is called."""
    flows = [new_orders(seed + at, size.batch, size) for at in range(size.client_batches)]
    made = [Submission(flow, command_id=f"{name}-{at}", **OPERATOR) for at, flow in enumerate(flows)]
    return lambda: [promise.result() for promise in [submitting.submit_ahead([one]) for one in made]]


def tasks(submitting: Submitting, size: Size, name: str, seed: int) -> Work:
    """Many tasks of asyncio, each with one order at a time."""
    orders = new_orders(seed, size.tasks * size.rounds, size)

    async def task(number: int) -> None:
        for at in range(number * size.rounds, (number + 1) * size.rounds):
            await submitting.submit_async(orders[at : at + 1], command_id=f"{name}-{at}", **OPERATOR)

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(size.tasks)))

    return lambda: asyncio.run(main())


def alone(submitting: Submitting, size: Size, name: str, seed: int) -> Callable[[], float]:
    """One order after the other; gives the median in milliseconds."""
    orders = new_orders(seed, size.alone, size)

    def one(at: int) -> float:
        return timed(lambda: submitting.submit(orders[at : at + 1], command_id=f"{name}-{at}", **OPERATOR))

    return lambda: statistics.median(one(at) for at in range(size.alone)) * 1e3


KINDS: Final[dict[str, Callable[[Submitting, Size, str, int], Callable[[], Any]]]] = {
    "batches": batches, "tasks": tasks, "alone": alone,
}  # fmt: skip


def by_processes(ledger: Path, kind: str, size: Size, turn: int, count: int) -> tuple[float, float]:
    """Seconds until so many clients are done that begin at one time, and what the last one found."""
    command = [sys.executable, "-m", "bench.clients", str(ledger), kind, msgspec.json.encode(size).decode(), str(turn)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen([*command, str(at)], stdin=pipe, stdout=pipe, text=True) for at in range(count)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    found = [child.stdout.readline() for child in children if child.stdout]
    seconds = time.perf_counter() - started
    for child in children:
        child.communicate()
    assert all(child.returncode == 0 for child in children)
    return seconds, float(found[-1])


def client(ledger: str, kind: str, size: str, turn: str, number: str) -> None:
    """One client process: makes its work, says so, and does it when told to."""
    from shuiquan.opening import connect  # noqa: PLC0415 - of the processes alone

    with connect(ledger) as submitting:
        work = KINDS[kind](submitting, msgspec.json.decode(size, type=Size), f"{kind}-{turn}-{number}", int(number))
        print("ready", flush=True)
        sys.stdin.readline()
        found = work()
        print(found if kind == "alone" else 0, flush=True)


def by_callers(submitting: Submitting, kind: str, size: Size, turn: int, count: int) -> float:
    """Seconds of the same work in this process."""
    works = [KINDS[kind](submitting, size, f"{kind}-{turn}-{at}", at) for at in range(count)]
    started = time.perf_counter()
    for work in works:
        work()
    return time.perf_counter() - started


def measure(size: Size, folder: Path) -> Found:
    """All of it in turns, on two ledgers alike."""
    turns, path, processes = Turns(), folder / "served.db", size.processes
    orders, singles = processes * size.batch * size.client_batches, size.tasks * size.rounds
    share = size._replace(tasks=size.tasks // processes)  # as many tasks at one time as in this process
    with ExitStack() as stack:
        served = stack.enter_context(open_world(path, size.rights))
        own = stack.enter_context(open_world(folder / "own.db", size.rights))
        stack.enter_context(served.serve())
        for exchange in (served, own):
            batches(exchange, size._replace(client_batches=1), "warm", 0)()
        for turn in range(size.reading_turns):
            turns.add(
                batches=orders / by_processes(path, "batches", size, turn, processes)[0],
                own_batches=orders / by_callers(own, "batches", size, turn, processes),
                tasks=singles / by_processes(path, "tasks", share, turn, processes)[0],
                own_tasks=singles / by_callers(own, "tasks", size, turn, 1),
                alone=by_processes(path, "alone", size, turn, 1)[1], own_alone=alone(own, size, f"alone-{turn}", 0)(),
            )  # fmt: skip
    figures = [
        turns.figure("batches", "batches over the socket", beside="batches in the process"),
        turns.figure("own_batches", "batches in the process"),
        turns.figure("tasks", "tasks over the socket", beside="tasks in the process"),
        turns.figure("own_tasks", "tasks in the process"),
        turns.figure("alone", "one caller alone over the socket, p50", MS, "one caller alone in the process, p50"),
        turns.figure("own_alone", "one caller alone in the process, p50", MS),
    ]
    return Found(NAME, TITLE, figures, {"processes": processes, "batches of each": size.client_batches}, LEFT_OUT)


SCENE: Final = Scene(NAME, TITLE, measure)


if __name__ == "__main__":
    client(*sys.argv[1:])
