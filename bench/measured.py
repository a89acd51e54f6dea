"""How measurements are taken: in turn, each repetition kept, the median shown; and the sizes of a run."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

BATCH: Final = 4_096
"""Commands handed to a book in one call, wherever batches are measured."""


class Sizes(NamedTuple):
    """How much a run measures, and how often."""

    repetitions: int = 7
    messages: int = 1_000_000
    resting: int | None = None  # None: as many as the workload says
    calls: int = 20_000
    auction: int = 1_000_000
    small_auction: int = 10_000
    blocked: int = 1_000_000
    kept: int = 1_048_576  # orders at rest when memory is counted
    peer_resting: int = 2_000
    peer_messages: int = 20_000
    curve: tuple[int, ...] = (100, 1_000, 10_000, 100_000, 1_000_000)
    curve_messages: int = 200_000


FULL: Final = Sizes()
QUICK: Final = Sizes(repetitions=3)


class Measured(msgspec.Struct, frozen=True):
    """What one subject gave in each repetition; nothing where it could not be measured, and why."""

    subject: str
    values: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float | None:
        """The median of the repetitions, None without any."""
        return statistics.median(self.values) if self.values else None


def ratio(one: Measured, other: Measured) -> float | None:
    """Median, over the repetitions, of one by the other, None where either is missing.

    Within a repetition both met the machine in nearly the same state; over a whole run its speed may change by half.
    """
    if not one.values or not other.values:
        return None
    return statistics.median(above / below for above, below in zip(one.values, other.values, strict=True))


def in_turn(subjects: Mapping[str, Callable[[], float]], repetitions: int) -> list[Measured]:
    """Measure every subject once, then every one again, so that what the machine does meanwhile meets them all."""
    values: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(repetitions):
        for name, measure in subjects.items():
            values[name].append(measure())
    return [Measured(name, tuple(found)) for name, found in values.items()]


def cpu_ns(work: Callable[[], object]) -> int:
    """Nanoseconds of this thread's processor time that some work takes."""
    started = time.thread_time_ns()
    work()
    return time.thread_time_ns() - started
