"""Bytes on disk: a fact by kind, as stored in its records, and the whole file an order.

Batches fill pages; single orders show what a commit of its own costs: three pages with a header each. Beside the bytes
of records stands what SQLite keeps around them: pages of its own, the tables for look-up, indexes.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from bench.baselines import stored
from bench.figures import BYTES, Figure, Found, Scene, Size
from bench.world import GATEWAY, OPERATOR, live_flow, open_world, reading_flow
from ledger.journal.records import parse
from shuiquan.exchange import Exchange

NAME: Final = "storage"
TITLE: Final = "Bytes on disk, SQLite"
LEFT_OUT: Final = "indexes that read models keep beside the ledger, the log of SQLite (emptied), snapshots"
KINDS: Final = {
    "order/1": "order outcomes (order/1)",
    "trade/1": "trades (trade/1)",
    "removal/1": "removals (removal/1)",
    "reading/1": "readings (reading/1)",
    "use/1": "uses (use/1)",
    "submission/1": "submissions (submission/1)",
}
RARE: Final = "rare facts, one a record"
BATCHES: Final = 8
SINGLES: Final = 100


def bytes_by_kind(path: Path, after: int) -> dict[str, tuple[int, int]]:
    """Facts and bytes of the records behind a position, headers included, by kind."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for _, position, topic, state in stored(path, after):
        kind = found[KINDS.get(topic, RARE)]
        kind[0] += parse(position, state).header.count
        kind[1] += len(state)
    return {kind: (facts, size) for kind, (facts, size) in found.items()}


def file_bytes(path: Path) -> int:
    """Size of the ledger's file once the log is written back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def grown(exchange: Exchange, path: Path, work: Callable[[], object]) -> tuple[dict[str, tuple[int, int]], int]:
    """What some work adds: facts and bytes by kind, and bytes of the file."""
    before, position = file_bytes(path), exchange.position
    work()
    return bytes_by_kind(path, position), file_bytes(path) - before


def measure(size: Size, folder: Path) -> Found:
    """All kinds once: sizes do not vary."""
    path, rng = folder / "storage.db", np.random.default_rng(4)
    with open_world(path, size.rights) as exchange:
        register = bytes_by_kind(path, 0)

        def give(count: int, times: int) -> None:
            for _ in range(times):
                flow = live_flow(exchange, rng, count)
                exchange.submit(flow, command_id=f"{exchange.state.next_seq}", **OPERATOR)

        def read() -> None:
            for number in range(BATCHES):
                exchange.submit(reading_flow(number, size.rights), command_id=f"r-{number}", **GATEWAY)

        give(size.batch, 1)
        batches, batch_file = grown(exchange, path, lambda: give(size.batch, BATCHES))
        readings, reading_file = grown(exchange, path, read)
        singles, single_file = grown(exchange, path, lambda: give(1, SINGLES))
    by_kind = {RARE: register[RARE]} | readings | batches
    figures = [
        Figure(kind, (by_kind[kind][1] / by_kind[kind][0],), f"{by_kind[kind][0]:,} facts", BYTES)
        for kind in (RARE, *KINDS.values())
    ]
    orders, alone, read_count = size.batch * BATCHES, SINGLES, readings[KINDS["reading/1"]][0]
    for name, parts, file, count in (
        (f"an order, batches of {size.batch:,}", batches, batch_file, orders),
        ("an order, each a commit of its own", singles, single_file, alone),
        (f"a reading, batches of {size.rights:,}", readings, reading_file, read_count),
    ):
        records = sum(size_of for _, size_of in parts.values())
        facts = sum(facts_of for facts_of, _ in parts.values()) / count
        figures.append(Figure(f"{name}: records", (records / count,), f"{facts:.2f} facts each", BYTES))
        figures.append(Figure(f"{name}: file", (file / count,), "", BYTES, f"{name}: records"))
    return Found(NAME, TITLE, figures, {"page_size": 16_384}, LEFT_OUT)


SCENE: Final = Scene(NAME, TITLE, measure)
