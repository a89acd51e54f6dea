"""Clients in processes of their own over a socket, beside callers of the exchange itself, in the same run.

Batches given ahead, many asyncio tasks with one order each, and one caller alone. The exchange serves from this
process; each client is a Python process that has connected and made its orders before the clock starts.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.world import OPERATOR, open_world, order_flow
from ledger.submissions import Submission
from ledger.submitting import Submitting


class Size(NamedTuple):
    """How much is measured; batches, tasks and rounds are those of each process."""

    rights: int
    processes: int
    batch: int
    batches: int
    tasks: int
    rounds: int
    alone: int


FULL: Final = Size(2_000, 4, 8_192, 12, 250, 20, 500)
QUICK: Final = Size(200, 2, 1_024, 3, 20, 3, 20)


class Figures(NamedTuple):
    """What came out; rates are orders a second of all processes together."""

    processes: int
    socket_batch_orders: float
    exchange_batch_orders: float  # the same work by as many callers in the process of the exchange, one after the other
    socket_task_orders: float
    exchange_task_orders: float
    commits_of_socket_tasks: int
    socket_alone_p50_ms: float
    exchange_alone_p50_ms: float


Work = Callable[[], Any]


def batches(submitting: Submitting, size: Size, name: str, seed: int) -> Work:
    """Batches given ahead; made first, to be submitted when the work is called."""
    rng = np.random.default_rng(seed)
    flows = [order_flow(rng, size.batch, size.rights, 1, size.batch) for _ in range(size.batches)]
    made = [Submission(flow, command_id=f"{name}-{at}", **OPERATOR) for at, flow in enumerate(flows)]
    return lambda: [promise.result() for promise in [submitting.submit_ahead([one]) for one in made]]


def tasks(submitting: Submitting, size: Size, name: str, seed: int) -> Work:
    """Many tasks of asyncio, each with one order at a time."""
    orders = order_flow(np.random.default_rng(seed), size.tasks * size.rounds, size.rights, 1, size.batch)

    async def task(number: int) -> None:
        for at in range(number * size.rounds, (number + 1) * size.rounds):
            await submitting.submit_async(orders[at : at + 1], command_id=f"{name}-{at}", **OPERATOR)

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(size.tasks)))

    return lambda: asyncio.run(main())


def alone(submitting: Submitting, size: Size, name: str, seed: int) -> Callable[[], float]:
    """One order after the other; gives the median in milliseconds."""
    orders = order_flow(np.random.default_rng(seed), size.alone, size.rights, 1, size.batch)

    def one(at: int) -> float:
        started = time.perf_counter()
        submitting.submit(orders[at : at + 1], command_id=f"{name}-{at}", **OPERATOR)
        return time.perf_counter() - started

    return lambda: statistics.median(one(at) for at in range(size.alone)) * 1e3


KINDS: Final[dict[str, Callable[[Submitting, Size, str, int], Callable[[], Any]]]] = {
    "batches": batches, "tasks": tasks, "alone": alone,
}  # fmt: skip


def by_processes(ledger: Path, kind: str, size: Size, count: int) -> tuple[float, float]:
    """Seconds until so many clients are done that begin at one time, and what the last one found."""
    command = [sys.executable, "-m", "bench.clients", str(ledger), kind, msgspec.json.encode(size).decode()]
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


def client(ledger: str, kind: str, size: str, number: str) -> None:
    """One client process: makes its work, says so, and does it when told to."""
    from shuiquan.opening import connect  # noqa: PLC0415 - of the processes alone

    with connect(ledger) as submitting:
        work = KINDS[kind](submitting, msgspec.json.decode(size, type=Size), f"{kind}-{number}", int(number))
        print("ready", flush=True)
        sys.stdin.readline()
        found = work()
        print(found if kind == "alone" else 0, flush=True)


def by_callers(submitting: Submitting, kind: str, size: Size, count: int) -> float:
    """Seconds of the same work in this process."""
    works = [KINDS[kind](submitting, size, f"{kind}-{at}", at) for at in range(count)]
    started = time.perf_counter()
    for work in works:
        work()
    return time.perf_counter() - started


def measure(size: Size) -> Figures:
    """All of it in one folder, on two ledgers alike."""
    with tempfile.TemporaryDirectory() as name:
        path, orders = Path(name) / "served.db", size.processes * size.batch * size.batches
        singles = size.processes * size.tasks * size.rounds
        with open_world(path, size.rights) as served, open_world(Path(name) / "own.db", size.rights) as own:
            for exchange in (served, own):
                batches(exchange, size._replace(batches=1), "warm", 0)()
            with served.serve():
                socket_batches, _ = by_processes(path, "batches", size, size.processes)
                own_batches = by_callers(own, "batches", size, size.processes)
                before = served.load.commits
                socket_tasks, _ = by_processes(path, "tasks", size, size.processes)
                commits = served.load.commits - before
                # as many tasks at one time as all processes had
                together = size._replace(tasks=size.processes * size.tasks)
                own_tasks = by_callers(own, "tasks", together, 1)
                _, socket_alone = by_processes(path, "alone", size, 1)
                own_alone = alone(own, size, "alone", 0)()
    return Figures(
        size.processes, orders / socket_batches, orders / own_batches, singles / socket_tasks, singles / own_tasks,
        commits, socket_alone, own_alone,
    )  # fmt: skip


def show(figures: Figures, *, as_json: bool) -> None:
    """Print the figures, for programs or people."""
    if as_json:
        print(msgspec.json.encode(figures._asdict()).decode())
        return
    title = f"Durable orders of {figures.processes} client processes over a socket"
    table = Table("work", "over the socket", "in the process of the exchange", title=title)
    for work, over, own in (
        ("batches, orders/s", figures.socket_batch_orders, figures.exchange_batch_orders),
        ("single orders of tasks, orders/s", figures.socket_task_orders, figures.exchange_task_orders),
        ("one caller alone, p50 ms", figures.socket_alone_p50_ms, figures.exchange_alone_p50_ms),
    ):
        table.add_row(work, *(f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in (over, own)))
    Console(width=100).print(table)


def run(*, as_json: bool, quick: bool) -> int:
    """Measure and print; returns the exit status."""
    show(measure(QUICK if quick else FULL), as_json=as_json)
    return 0


if __name__ == "__main__":
    client(*sys.argv[1:])
