"""Faults while a long log is moved into the file of a ledger, beside the commits."""

import errno
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.stores.checkpointer import OFTEN
from adapters.stores.connections import LONG_LOG, LONGEST_LOG, PAGE_BYTES
from adapters.stores.sqlite import SQLiteStore
from shuiquan import Code
from tests.faults.calls import FILE_CALLS, SYNCS, WRITES, Call
from tests.faults.server import ForkServer
from tests.faults.supervisor import Act, Run, fails
from tests.stores.homes import copied
from tests.stores.ledgers import recorded, resumed, verified


def moves(act: Act) -> Act:
    """A fault of the calls that are about the database file itself, which commits do not touch."""

    def chosen(run: Run, call: Call) -> bool:
        if run.calls[-1][1]:
            del run.calls[-1]  # so that those of the file alone are counted
            return False
        return act(run, call)

    return chosen


def check_all_there(path: Path, count: int) -> None:
    """So many batches are there, or one more, whose answer was lost."""
    world = resumed(path)
    batches = [name for name in recorded(world.exchange) if name.startswith("long-")]
    assert batches == [f"long-{number}" for number in range(len(batches))]
    assert count <= len(batches) <= count + 1
    state_hash = world.exchange.state_hash()
    world.exchange.close()
    assert verified(path).state_hash == state_hash


@pytest.mark.parametrize(("names", "at"), [(SYNCS, 0), (WRITES, 900)], ids=["sync", "write"])
def test_a_ledger_whose_log_cannot_be_moved_takes_no_more_and_has_lost_nothing(
    names: Sequence[str], at: int, server: ForkServer, populated: Path, tmp_path: Path
) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    act = moves(fails(at, tuple(names), errno.EIO, for_good=False))
    run = Run(server, act, str(path), name="write_long", path=str(path), calls=FILE_CALLS)
    assert run.finish() == 0
    assert run.words("failed") == [[Code.COMMIT_FAILED.name]], "a writer went on on a disk that fails"
    check_all_there(path, len(run.words("acknowledged")))


@pytest.mark.parametrize("at", [0, 500])
def test_a_writer_killed_while_its_log_is_moved_has_lost_nothing(
    at: int, server: ForkServer, populated: Path, tmp_path: Path
) -> None:
    path = copied(populated, tmp_path / "ledger.db")

    def kill(run: Run, _: Call) -> bool:
        if len(run.calls) > at:
            run.kill()
        return len(run.calls) > at

    run = Run(server, moves(kill), str(path), name="write_long", path=str(path), calls=FILE_CALLS)
    assert run.finish() == -signal.SIGKILL
    check_all_there(path, len(run.words("acknowledged")))


def test_a_long_log_begins_anew_while_commits_go_on(tmp_path: Path) -> None:
    path, pages = tmp_path / "ledger.db", OFTEN // 8
    store, log = SQLiteStore(path), Path(f"{path}-wal")
    for position in range(LONGEST_LOG // pages - 1):  # then a commit would do it
        store.append(position, [("any", bytes(pages * PAGE_BYTES))], [], [])
        if log.stat().st_size < position * pages * PAGE_BYTES:
            break
    else:
        pytest.fail("the log only grew")
    assert log.stat().st_size > LONG_LOG * PAGE_BYTES, "as long as that it is left to grow"
    store.close()
