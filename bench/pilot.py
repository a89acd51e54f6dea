"""The whole path, command to durable fact, against writing the very same bytes to SQLite without any of it.

Each line is measured in one run on one machine: first the ledger (decide, match, settle, encode, chain, commit with
fsync), then the baseline, which inserts the bytes that the ledger stored, in the same transactions, with the same
settings of the database. Building the arrays of orders is left out on both sides.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.baselines import RawSQLite, cut, stored
from bench.world import GATEWAY, OPERATOR, open_world, order_flow, reading_flow
from shuiquan.exchange import Exchange
from shuiquan.opening import open_exchange

RIGHTS: Final = 2_000
RUNS: Final = ((1, 1_000), (100, 300), (8_192, 30))  # batch, submissions
READING_ROUNDS: Final = 40


class Line(NamedTuple):
    """One measured workload."""

    workload: str
    batch: int
    submissions: int
    facts: int
    seconds: float
    raw_seconds: float
    p50_ms: float
    p99_ms: float
    bytes: int


def measure(
    exchange: Exchange, path: Path, workload: str, batch: int, submissions: int, submit: Callable[[int], Any]
) -> Line:
    """Run `submit` so many times and write the same bytes raw."""
    first_position, first_seq = exchange.position, exchange.state.next_seq
    positions, times = [], []
    for number in range(submissions):
        started = time.perf_counter()
        submit(number)
        times.append(time.perf_counter() - started)
        positions.append(exchange.position)
    records = stored(path, first_position)
    with closing(RawSQLite(path.parent / f"raw-{workload}-{batch}.db", path)) as connection:
        raw = connection.write(cut(records, [first_position, *positions]))
    quantiles = statistics.quantiles(times, n=100)
    size = sum(len(state) for *_, state in records)
    facts = exchange.state.next_seq - first_seq
    return Line(workload, batch, submissions, facts, sum(times), raw, 1e3 * quantiles[49], 1e3 * quantiles[98], size)


def orders_line(exchange: Exchange, path: Path, batch: int, submissions: int) -> Line:
    """Order flow in batches."""
    rng = np.random.Generator(np.random.PCG64(batch))
    last = exchange.state.next_seq
    flows = [order_flow(rng, batch, RIGHTS, max(1, last - 20_000), last + n * batch) for n in range(submissions)]
    return measure(
        exchange, path, "orders", batch, submissions,
        lambda number: exchange.submit(flows[number], command_id=f"{batch}-{number}", **OPERATOR),
    )  # fmt: skip


def readings_line(exchange: Exchange, path: Path) -> Line:
    """One reading of every meter a batch."""
    flows = [reading_flow(number, RIGHTS) for number in range(READING_ROUNDS)]
    return measure(
        exchange, path, "readings", RIGHTS, READING_ROUNDS,
        lambda number: exchange.submit(flows[number], command_id=f"r-{number}", **GATEWAY),
    )  # fmt: skip


def run(*, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        with open_world(path, RIGHTS) as exchange:
            exchange.submit(order_flow(np.random.default_rng(0), 20_000, RIGHTS, 1, 1), command_id="warm", **OPERATOR)
            lines = [orders_line(exchange, path, *size) for size in RUNS]
            lines.append(readings_line(exchange, path))
            facts, live = exchange.state.next_seq - 1, exchange.state_hash()
        started = time.perf_counter()
        with open_exchange(path, readonly=True) as replayed:
            seconds = time.perf_counter() - started
            same = replayed.state_hash() == live
    if as_json:
        rows = [line._asdict() for line in lines]
        print(msgspec.json.encode({"lines": rows, "replay_facts": facts, "replay_seconds": seconds}).decode())
    else:
        show(lines, facts, seconds, same=same)


def show(lines: list[Line], facts: int, seconds: float, *, same: bool) -> None:
    """Print the lines as a table with the conditions."""
    table = Table(title=f"Command to durable fact; {RIGHTS:,} rights, SQLite, fsync on every commit, one writer")
    for heading in (
        "workload",
        "batch",
        "submissions",
        "facts/s",
        "raw SQLite facts/s",
        "of raw",
        "p50 ms",
        "p99 ms",
        "bytes a fact",
    ):
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(
            line.workload, f"{line.batch:,}", f"{line.submissions:,}", f"{line.facts / line.seconds:,.0f}",
            f"{line.facts / line.raw_seconds:,.0f}", f"{line.raw_seconds / line.seconds:.2f}", f"{line.p50_ms:.2f}",
            f"{line.p99_ms:.2f}", f"{line.bytes / line.facts:.0f}",
        )  # fmt: skip
    console = Console(width=132)
    console.print(table)
    console.print(
        f"Opening by replay: {facts:,} facts in {seconds:.2f} s, {facts / seconds:,.0f} facts/s; same state: {same}"
    )
    console.print(
        "The same bytes in the same transactions, written raw, are the baseline. Building arrays is left out."
    )
