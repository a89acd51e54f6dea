"""The ledger's write path: durable orders a second and what they are made of, beside raw SQLite and a row a fact.

One run on one machine: batches through the pipeline, the same batches through a plain writer with deciding and
recording timed apart, the bytes of those commits written raw with the same settings, and their facts a row each through
the eventsourcing library's own recorder. Then a thousand tasks with one order each, and one caller alone.
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from rich.console import Console
from rich.table import Table

from bench.pilot import stored, write_raw
from bench.world import OPERATOR, open_world, order_flow
from ledger.submissions import Submission
from shuiquan.exchange import Exchange


class Size(NamedTuple):
    """How much is measured."""

    rights: int
    batch: int
    batches: int
    tasks: int
    rounds: int
    alone: int


FULL: Final = Size(2_000, 8_192, 60, 1_000, 20, 500)
QUICK: Final = Size(200, 1_024, 8, 100, 3, 30)


class Figures(NamedTuple):
    """What came out; rates are a second."""

    pipelined_orders: float
    plain_orders: float
    raw_orders: float  # the same bytes in the same transactions
    row_a_fact_orders: float  # the same facts through the stock recorder
    deciding_share: float  # of the plain writer's time: matching, encoding, hashing
    recording_share: float
    task_orders: float
    commits_of_tasks: int
    alone_p50_ms: float
    raw_commit_p50_ms: float


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def batches(size: Size, name: str) -> list[Submission]:
    """Submissions of the run, the same for each way but for their command ids."""
    rng = np.random.default_rng(1)
    flows = [order_flow(rng, size.batch, size.rights, 1, size.batch) for _ in range(size.batches)]
    return [Submission(flow, command_id=f"{name}-{number}", **OPERATOR) for number, flow in enumerate(flows)]


def pipelined(exchange: Exchange, submissions: list[Submission]) -> float:
    """Seconds until all are durable, when callers do not wait for one before they give the next."""
    return timed(lambda: [promise.result() for promise in [exchange.submit_ahead([one]) for one in submissions]])


def plain(exchange: Exchange, submissions: list[Submission]) -> tuple[float, float, list[int]]:
    """Seconds of deciding and of recording without overlap, and the position behind each commit."""
    writer, deciding, recording, positions = exchange._writer, 0.0, 0.0, [exchange.position]  # noqa: SLF001
    for submission in submissions:
        started = time.perf_counter()
        decided = writer.decide([submission], exchange.state.at_ns)
        between = time.perf_counter()
        writer.record(decided)
        deciding, recording = deciding + between - started, recording + time.perf_counter() - between
        positions.append(exchange.position)
    return deciding, recording, positions


def row_a_fact(folder: Path, facts: list[bytes], commits: int) -> float:
    """Seconds of the stock recorder for the same facts, a row each, in as many transactions."""
    with closing(SQLiteDatastore(str(folder / "stock.db"), originator_id_type="text")) as datastore:
        recorder = SQLiteApplicationRecorder(datastore)
        recorder.create_table()
        events = [StoredEvent("journal", at, "fact/1", fact) for at, fact in enumerate(facts, start=1)]
        step = -(-len(events) // commits)
        return timed(lambda: [recorder.insert_events(events[at : at + step]) for at in range(0, len(events), step)])


def tasks(exchange: Exchange, size: Size) -> float:
    """Seconds for many tasks of asyncio that submit single orders, each awaiting one before the next."""
    orders = order_flow(np.random.default_rng(2), size.tasks * size.rounds, size.rights, 1, size.batch)

    async def task(number: int) -> None:
        for at in range(number * size.rounds, (number + 1) * size.rounds):
            await exchange.submit_async(orders[at : at + 1], command_id=f"task-{at}", **OPERATOR)

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(size.tasks)))

    return timed(lambda: asyncio.run(main()))


def measure(size: Size) -> Figures:
    """All of it in one folder."""
    orders = size.batch * size.batches
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "plain.db"
        with open_world(folder / "bench.db", size.rights) as exchange, open_world(path, size.rights) as other:
            for one in (exchange, other):
                one.submit_many(batches(size, "warm")[:1])
            first_seq = other.state.next_seq
            deciding, recording, positions = plain(other, batches(size, "run"))
            pipeline = pipelined(exchange, batches(size, "run"))
            before = exchange.load.commits
            task_seconds = tasks(exchange, size)
            commits = exchange.load.commits - before
            single = order_flow(np.random.default_rng(3), size.alone, size.rights, 1, size.batch)
            alone = [
                timed(lambda at=at: exchange.submit(single[at : at + 1], command_id=f"alone-{at}", **OPERATOR))  # type: ignore[misc]
                for at in range(size.alone)
            ]
            facts = list(other.canonical_facts())[first_seq - 1 :]
        rows = stored(path, positions[0])
        parts = [rows[a - positions[0] : b - positions[0]] for a, b in itertools.pairwise(positions)]
        raw = write_raw(folder, parts)
        small = [write_raw(folder, [[(1, "order/1", bytes(600))]]) for _ in range(size.alone)]
        stock = row_a_fact(folder, facts, size.batches)
    whole = deciding + recording
    return Figures(
        orders / pipeline, orders / whole, orders / raw, orders / stock, deciding / whole, recording / whole,
        size.tasks * size.rounds / task_seconds, commits, statistics.median(alone) * 1e3,
        statistics.median(small) * 1e3,
    )  # fmt: skip


def run(*, as_json: bool, quick: bool) -> int:
    """Measure and print; returns the exit status."""
    figures = measure(QUICK if quick else FULL)
    if as_json:
        print(msgspec.json.encode(figures._asdict()).decode())
        return 0
    table = Table("figure", "value", title="Durable orders, SQLite, fsync on every commit, one writer")
    for name, value in figures._asdict().items():
        table.add_row(name, f"{value:,.2f}" if value < 100 else f"{value:,.0f}")
    table.add_row("of raw", f"{figures.pipelined_orders / figures.raw_orders:.2f}")
    Console(width=100).print(table)
    return 0
