"""Seeded faults of a writer on a PostgreSQL server: killed at a call, its answers lost, its session ended.

More of what happens to the server itself in the middle of a commit stands in `tests/stores/test_postgres.py`.
"""

import errno
import signal
from collections.abc import Callable

import pytest

import shuiquan
from shuiquan import Code, Refused
from tests.faults.calls import SOCKET_CALLS
from tests.faults.checks import Ending, acknowledged, check
from tests.faults.conftest import STREAMS
from tests.faults.server import ForkServer
from tests.faults.supervisor import Act, Run, fails, kills
from tests.faults.test_files import Chance, named
from tests.stores.homes import Database, Databases, released
from tests.stores.test_postgres import terminate

OPENING = 60
"""About so many calls to a socket an opening takes."""

KINDS: dict[str, Callable[[Chance, int], Act]] = {
    "killed_at_a_call": lambda _, at: kills(at),
    "a_send_fails": lambda rng, at: fails(at, ("sendto",), int(rng.choice(BROKEN)), for_good=False),
    "sends_fail_for_good": lambda rng, at: fails(at, ("sendto",), int(rng.choice(BROKEN)), for_good=True),
    "an_answer_is_lost": lambda _, at: fails(at, ("recvfrom",), errno.ECONNRESET, for_good=True),
}
BROKEN = (errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT)
SESSIONS = (
    "a_session_is_ended",
    "a_second_writer_comes",
    "killed_after_an_answer",
    "killed_under_load",
    "the_server_crashes",
)

Endings = Callable[[int], tuple[Ending, int]]


def strike(kind: str, seed: int, server: ForkServer, endings: Endings, place: Database) -> None:
    """Let a fault happen to the connections of a writer."""
    rng = named(kind, seed)
    stream = int(rng.integers(STREAMS))
    ending, _ = endings(stream)
    act = KINDS[kind](rng, int(rng.integers(2 * OPENING)))
    run = Run(server, act, "socket:", path=str(place.impatient), seed=stream, calls=SOCKET_CALLS, repeats=True)
    assert run.finish() in {0, -signal.SIGKILL}
    count = acknowledged(run, ending)
    check(released(place), ending, count)


def strike_session(kind: str, seed: int, server: ForkServer, endings: Endings, place: Database) -> None:
    """While a writer goes on, end it, its session or its server, or try to open the ledger for writing."""
    rng = named(kind, seed)
    stream = int(rng.integers(STREAMS))
    ending, _ = endings(stream)
    number = int(rng.integers(len(ending.steps) - 1))
    run = Run(server, path=str(place), seed=stream)
    word = "acknowledged" if kind == "killed_after_an_answer" else "begun"
    run.until(lambda run: len(run.words(word)) > number)
    if kind == "a_session_is_ended":
        terminate(place)
    elif kind == "the_server_crashes":
        place.server.crash()
    elif kind.startswith("killed"):
        run.kill()
    else:
        for _ in range(3):
            try:
                shuiquan.open(place).close()
            except Refused as refusal:
                assert refusal.code == Code.LEDGER_LOCKED  # noqa: PT017 - a writer that is done has let go
    assert run.finish() in ({0, -signal.SIGKILL} if kind.startswith("killed") else {0})
    if kind == "the_server_crashes":
        place.server.start()
    check(released(place), ending, acknowledged(run, ending))


def strike_any(kind: str, seed: int, server: ForkServer, endings: Endings, place: Database) -> None:
    """Let a fault of any kind happen."""
    (strike if kind in KINDS else strike_session)(kind, seed, server, endings, place)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [*KINDS, *SESSIONS])
def test_a_fault(kind: str, seed: int, server: ForkServer, endings: Endings, databases: Databases) -> None:
    strike_any(kind, seed, server, endings, databases.copied())


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1_000, 1_100))
@pytest.mark.parametrize("kind", [*KINDS, *SESSIONS])
def test_a_fault_of_hundreds(kind: str, seed: int, server: ForkServer, endings: Endings, databases: Databases) -> None:
    strike_any(kind, seed, server, endings, databases.copied())
