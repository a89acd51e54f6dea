"""Messages a second of processor time: the book beside two C++ programs that do nothing but match, on one workload.

Measured: the calls of `OrderBook.process` in batches, with their outcomes, trades and removals. Left out: building the
batches, and filling the book before. The programs keep a flat array of orders and write trades; they know no
owners, no conditions, no zones and give no answers. `flat` has the orders stand in an array by their ids, which are
1, 2, 3 …; `flat_hashed` looks ids up in a hash table, as any book must whose callers choose them.

With dense ids the book gets 1, 2, 3 …; with sparse ones multiples of 1,000,003. It looks both up in its table.
"""

import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.flow import KINDS, Flow, make_flow
from bench.hashing import START, trade_hash
from bench.measured import BATCH, Measured, Sizes, cpu_ns, in_turn
from bench.programs import NAMES, Programs
from matching import OrderBook

SEED: Final = 7
SPARSE: Final = 1_000_003
DENSE_IDS, SPARSE_IDS = "dense ids", "sparse ids"


class Rates(msgspec.Struct, frozen=True):
    """One workload: the rates of all subjects, and whether the programs made the trades that the book made."""

    workload: str
    resting: int
    messages: int
    subjects: list[Measured]
    same_trades: bool | None  # None: there was nothing to compare with

    def of(self, subject: str) -> Measured:
        """What was measured of one subject."""
        return next(found for found in self.subjects if found.subject == subject)


def batches(commands: Any) -> list[Any]:
    """The commands in parts of BATCH, without copying."""
    return [commands[at : at + BATCH] for at in range(0, len(commands), BATCH)]


def filled_book(prefill: Any) -> OrderBook:
    """A book in which a workload's first orders rest."""
    book = OrderBook()
    for batch in batches(prefill):
        book.process(batch)
    return book


def our_rate(prefill: Any, commands: Any) -> float:
    """Messages a second of processor time."""
    book, parts = filled_book(prefill), batches(commands)

    def process() -> None:
        for part in parts:
            book.process(part)

    return 1e9 * len(commands) / cpu_ns(process)


def our_hash(prefill: Any, commands: Any) -> int:
    """Hash of all trades of a workload, those of filling the book included."""
    book, folded = OrderBook(), START
    for batch in (*batches(prefill), *batches(commands)):
        folded = trade_hash(book.process(batch).trades, folded)
    return folded


def measure_flow(flow: Flow, programs: Programs, repetitions: int, folder: Path) -> Rates:
    """Measure one workload on the book and on the programs, in turn."""
    dense, sparse = flow.commands(), flow.commands(SPARSE)
    hashes, path = set(), folder / "workload.bin"
    flow.write(path)

    def rate_of(program: str) -> float:
        found = programs.measure(program, path)
        hashes.add(int(found["hp"], 16))
        return float(found["mps"])

    ours = our_hash(*dense)  # which compiles the book, too
    subjects = {DENSE_IDS: lambda: our_rate(*dense), SPARSE_IDS: lambda: our_rate(*sparse)}
    subjects |= {program: lambda program=program: rate_of(program) for program in programs.paths}  # type: ignore[misc]
    found = in_turn(subjects, repetitions)
    found += [Measured(program, (), programs.why) for program in NAMES if program not in programs.paths]
    same = hashes == {ours} if hashes else None
    adds = flow.prefill["operation"] == 0
    return Rates(flow.kind, int(adds.sum()), len(flow.messages), found, same)


def measure(sizes: Sizes, programs: Programs) -> list[Rates]:
    """Measure every kind of workload."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            measure_flow(
                make_flow(kind, SEED, sizes.messages, sizes.resting), programs, sizes.repetitions, Path(folder)
            )
            for kind in KINDS
        ]


def measure_curve(sizes: Sizes, programs: Programs) -> list[Rates]:
    """Measure the deep workload with fewer and more orders at rest."""
    with tempfile.TemporaryDirectory() as folder:
        flows = (make_flow("deep", SEED, sizes.curve_messages, resting) for resting in sizes.curve)
        return [measure_flow(flow, programs, sizes.repetitions, Path(folder)) for flow in flows]
