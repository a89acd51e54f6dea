"""What every scene of `shuiquan bench ledger` gives: figures, each beside its baseline, and what is left out.

A scene measures one question in a folder of its own and gives a `Found`. Whatever it compares ran in the same turns, so
a figure and its baseline have as many values, and their ratio is the median of the ratios within each turn.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bench.measured import Measured, ratio

PER_S, MS, BYTES = "1/s", "ms", "bytes"


class Size(NamedTuple):
    """How much `shuiquan bench ledger` measures."""

    turns: int = 7
    rights: int = 4_000  # of as many holders
    batch: int = 8_192
    batches: int = 60  # a turn: so many that the log is moved into the file at least once
    row_batches: int = 3  # of them, also written a row a fact
    server_batches: int = 12  # a turn on PostgreSQL
    tasks: int = 1_000
    rounds: int = 20  # of all tasks, a turn
    alone: int = 300  # orders of one task, a turn
    processes: int = 4  # of clients
    client_batches: int = 12  # of each
    history: int = 10_000_000  # facts that are read
    reading_turns: int = 3  # also of clients
    tree: int = 1_000_000  # of them, made into leaves a turn


FULL: Final = Size()
QUICK: Final = Size(3, 1_000, 8_192, 6, 1, 4, 1_000, 5, 60, 2, 3, 600_000, 2, 200_000)


class Figure(Measured, frozen=True):
    """What was measured of one subject in each turn, in which unit, and the subject that it is to be read beside."""

    unit: str = PER_S
    beside: str = ""


class Found(msgspec.Struct, frozen=True):
    """What a scene found: figures in order, the conditions that are its own, and what it leaves out."""

    scene: str
    title: str
    figures: list[Figure]
    conditions: dict[str, Any]
    left_out: str

    def of(self, subject: str) -> Figure:
        """The figure of a subject."""
        return next(figure for figure in self.figures if figure.subject == subject)

    def ratio(self, figure: Figure) -> float | None:
        """A figure by the one that it stands beside; None where there is none or one of both is missing."""
        return ratio(figure, self.of(figure.beside)) if figure.beside else None


class Scene(NamedTuple):
    """A scene by name: what `--scene` asks for. It is handed the sizes and an empty folder."""

    name: str
    title: str
    measure: Callable[[Size, Path], Found]


class Turns:
    """Values of subjects over turns, and the figures that they become."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._values: dict[str, list[float]] = {}

    def add(self, **values: float) -> None:
        """Keep what one turn gave."""
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)

    def figure(self, name: str, subject: str, unit: str = PER_S, beside: str = "", note: str = "") -> Figure:
        """The figure of what was kept under a name."""
        return Figure(subject, tuple(self._values[name]), note, unit, beside)


def missing(subject: str, why: str) -> Figure:
    """A figure that could not be measured, and why."""
    return Figure(subject, (), why)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes by the clock on the wall."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
