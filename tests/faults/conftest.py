"""A server of processes, and the undisturbed endings that faults are compared with."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.faults.calls import FILE_CALLS
from tests.faults.checks import Ending, undisturbed
from tests.faults.server import ForkServer
from tests.faults.supervisor import Run
from tests.stores.homes import copied

STREAMS = 8
"""How many streams of commits faults choose from."""


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """The process that others are forked from."""
    made = ForkServer()
    yield made
    made.close()


@pytest.fixture(scope="session")
def endings(
    populated: Path, server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], tuple[Ending, int]]:
    """What a stream leads to undisturbed, and how many calls to files a writer makes for it."""

    @cache
    def ending(stream: int) -> tuple[Ending, int]:
        folder = tmp_path_factory.mktemp("undisturbed")
        path = copied(populated, folder / "watched.db")
        run = Run(server, about=str(path), path=str(path), seed=stream, calls=FILE_CALLS)
        assert run.finish() == 0
        return undisturbed(copied(populated, folder / "ledger.db"), stream), len(run.calls)

    return ending
