"""Hundreds of seeded faults of a writer on a file: killed, short of disk, failed by its disk, met by a second writer.

A fault is a kind and a seed, which stand in the name of its test: `pytest -k 'a_sync_fails-17'` runs it again alone.
"""

import errno
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import shuiquan
from ledger.audit import Verification
from shuiquan import Code, Refused
from tests.faults import disks
from tests.faults.calls import FILE_CALLS, READS, SYNCS, WRITES, Call
from tests.faults.checks import Ending, acknowledged, check
from tests.faults.conftest import STREAMS
from tests.faults.server import ForkServer
from tests.faults.supervisor import Act, Run, fails, fails_when_armed, kills, meets, shortens
from tests.faults.workload import submit_step
from tests.stores.homes import copied
from tests.stores.ledgers import recorded, resumed, verified

Chance = np.random.Generator
FULL = (errno.ENOSPC, errno.EDQUOT)
SUITE, CAMPAIGN = range(16), range(1_000, 1_300)


def comes_by(path: Path) -> Callable[[], None]:
    """A second writer, and a reader, while a writer stands in the middle of something."""

    def visit() -> None:
        with pytest.raises(Refused) as refused:
            shuiquan.open(path)
        assert refused.value.code == Code.LEDGER_LOCKED
        verified(path)

    return visit


KINDS: dict[str, Callable[[Chance, int, Path], Act]] = {
    "killed_at_a_call": lambda _, at, __: kills(at),
    "killed_in_a_write": lambda rng, at, _: kills(at, rng.random()),
    "a_write_fails": lambda _, at, __: fails(at, WRITES, errno.EIO, for_good=False),
    "writes_fail_for_good": lambda _, at, __: fails(at, WRITES, errno.EIO, for_good=True),
    "a_sync_fails": lambda _, at, __: fails(at, SYNCS, errno.EIO, for_good=False),
    "syncs_fail_for_good": lambda _, at, __: fails(at, SYNCS, errno.EIO, for_good=True),
    "everything_fails": lambda _, at, __: fails(at, FILE_CALLS, errno.EIO, for_good=True),
    "no_space_for_a_write": lambda rng, at, _: fails(at, WRITES, int(rng.choice(FULL)), for_good=False),
    "no_space_for_good": lambda rng, at, _: fails(at, FILE_CALLS, int(rng.choice(FULL)), for_good=True),
    "a_write_is_short": lambda rng, at, _: shortens(at, rng.random(), full=False),
    "the_disk_fills_in_a_write": lambda rng, at, _: shortens(at, rng.random(), full=True),
    "others_come_by": lambda _, at, path: meets(at, comes_by(path)),
}
HARMLESS = {"a_write_is_short", "others_come_by"}
KILLS = {"killed_at_a_call", "killed_in_a_write"}
OTHERWISE = ("killed_after_an_answer", "killed_under_load", "files_may_grow_no_more")
SMALL_DISK = f"the_small_disk_fills-{disks.KIND}"
ALL = (*KINDS, *OTHERWISE, SMALL_DISK, "reads_fail", "followed", "damaged")
DAMAGE = {
    Code.STORE_DAMAGED, Code.STORE_NOT_OURS, Code.STORE_FAILED, Code.LEDGER_MISSING, Code.RECORD_DAMAGED,
    Code.SEQUENCE_GAP, Code.TOPIC_UNKNOWN, Code.LOOKUP_DIFFERS,
}  # fmt: skip

Endings = Callable[[int], tuple[Ending, int]]


def named(kind: str, seed: int) -> Chance:
    """Chance of a fault."""
    return np.random.Generator(np.random.PCG64([seed, *kind.encode()]))


def strike(kind: str, seed: int, server: ForkServer, endings: Endings, path: Path) -> None:
    """Let a fault happen to a writer and check what it leaves."""
    rng = named(kind, seed)
    stream = int(rng.integers(STREAMS))
    ending, calls = endings(stream)
    act = KINDS[kind](rng, int(rng.integers(calls)), path)
    run = Run(server, act, str(path), path=str(path), seed=stream, calls=FILE_CALLS)
    status = run.finish()
    assert status == (-signal.SIGKILL if kind in KILLS else 0)
    count = acknowledged(run, ending)
    if kind in HARMLESS:
        assert count == len(ending.steps)
    check(path, ending, count)


def strike_otherwise(kind: str, seed: int, server: ForkServer, endings: Endings, path: Path) -> None:
    """Kill a writer after an answer or while it goes on, let its files grow no more, or keep a reader beside it."""
    rng = named(kind, seed)
    stream = int(rng.integers(STREAMS))
    ending, _ = endings(stream)
    if kind == SMALL_DISK and disks.KIND != disks.LIMIT:
        run = Run(server, name="write_on_a_small_disk", path=str(path), seed=stream, room=int(rng.integers(1_150_000)))
        assert run.finish() == 0
    elif kind in {"files_may_grow_no_more", SMALL_DISK}:
        limit = path.stat().st_size + int(rng.integers(300_000))
        run = Run(server, path=str(path), seed=stream, file_size=limit)
        assert run.finish() == 0
    else:
        number = int(rng.integers(len(ending.steps)))
        word = "acknowledged" if kind == "killed_after_an_answer" else "begun"
        run = Run(server, path=str(path), seed=stream)
        run.until(lambda run: len(run.words(word)) > number)
        run.kill()
        assert run.finish() in {-signal.SIGKILL, 0}
    check(path, ending, acknowledged(run, ending))


def strike_reads(seed: int, server: ForkServer, endings: Endings, path: Path) -> None:
    """Fail the reads of a writer that is asked for earlier answers: it cannot know any more what it has done."""
    rng = named("reads_fail", seed)
    stream = int(rng.integers(STREAMS))
    ending, _ = endings(stream)
    number, spared = 1 + int(rng.integers(len(ending.steps) - 1)), int(rng.integers(4))
    act, armed = fails_when_armed(READS, errno.EIO, spared)
    run = Run(server, act, str(path), path=str(path), seed=stream, calls=READS, held=True, repeats=True)
    for step in range(number):
        run.until(lambda run, step=step: len(run.words("begun")) > step)
        run.go_on()
    run.until(lambda run: len(run.words("begun")) > number)
    with closing(sqlite3.connect(path)) as other:  # somebody else writes: what the writer has read holds no more
        other.execute("CREATE TABLE another (number)")
    armed.set()
    for _ in ending.steps[number:]:
        run.go_on()
    assert run.finish() == 0
    assert run.words("failed"), "a writer went on without knowing what it had done"
    check(path, ending, acknowledged(run, ending))


def strike_followed(seed: int, server: ForkServer, endings: Endings, path: Path) -> None:
    """Kill a writer again and again, while a reader follows it to the end."""
    rng = named("followed", seed)
    stream = int(rng.integers(STREAMS))
    ending, calls = endings(stream)
    reader, said = server.fork(name="follow", path=str(path), last_seq=ending.last_seq)
    with said, said.makefile() as lines:
        assert lines.readline() == "following\n"
        count = 0
        for at in rng.integers(calls, size=3).tolist():
            run = Run(server, kills(at, rng.random()), str(path), path=str(path), seed=stream, calls=FILE_CALLS)
            assert run.finish() in {-signal.SIGKILL, 0}
            count = max(count, len(run.words("acknowledged")))
        world = resumed(path)
        assert len([name for name in recorded(world.exchange) if not name.startswith(("filled", "c"))]) >= count
        for step in ending.steps:
            submit_step(world.exchange, world.clock, step)
        world.exchange.close()
        told = [tuple(map(int, line.split())) for line in lines]
    assert server.wait(reader) == 0
    assert [seq for _, seq in told] == list(range(1, ending.last_seq + 1)), "a reader missed a fact, or saw it twice"
    assert told == sorted(told)


def damaged(path: Path, rng: Chance) -> None:
    """Flip a bit, or cut off the end, of what a killed writer left: its file, or the log beside it."""
    choice = [file for file in (path, Path(f"{path}-wal")) if file.exists() and file.stat().st_size]
    file = choice[int(rng.integers(len(choice)))]
    content = bytearray(file.read_bytes())
    at = int(rng.integers(len(content)))
    if rng.random() < 0.7:
        content[at] ^= 1 << int(rng.integers(8))
    else:
        del content[at:]
    file.write_bytes(content)


def strike_damaged(seed: int, endings: Endings, path: Path) -> None:
    """Damage what was acknowledged: a code says so, or the head that somebody kept shows it, or it is whole."""
    rng = named("damaged", seed)
    ending, _ = endings(int(rng.integers(STREAMS)))
    world = resumed(path)
    for step in ending.steps[: 1 + int(rng.integers(len(ending.steps)))]:
        submit_step(world.exchange, world.clock, step)
    kept = verified(path)
    copy = copied(path, path.with_name("copy.db"))  # as a crash leaves it: the log is not written back
    world.exchange.close()
    damaged(copy, rng)
    found = found_in(copy)
    if isinstance(found, Code):
        assert found in DAMAGE
    else:
        assert found == kept or found.records < kept.records, "what was acknowledged was changed, and nobody said so"


def found_in(path: Path) -> Verification | Code:
    """What a verification finds, or the code of its refusal."""
    try:
        return verified(path)
    except Refused as refusal:
        return Code(refusal.code)


def strike_any(kind: str, seed: int, server: ForkServer, endings: Endings, path: Path) -> None:
    """Let a fault of any kind happen."""
    if kind == "followed":
        strike_followed(seed, server, endings, path)
    elif kind == "reads_fail":
        strike_reads(seed, server, endings, path)
    elif kind == "damaged":
        strike_damaged(seed, endings, path)
    elif kind in (*OTHERWISE, SMALL_DISK):
        strike_otherwise(kind, seed, server, endings, path)
    else:
        strike(kind, seed, server, endings, path)


@pytest.mark.parametrize("seed", SUITE)
@pytest.mark.parametrize("kind", ALL)
def test_a_fault(kind: str, seed: int, server: ForkServer, endings: Endings, populated: Path, tmp_path: Path) -> None:
    strike_any(kind, seed, server, endings, copied(populated, tmp_path / "ledger.db"))


@pytest.mark.parametrize("disk", [disks.KIND])
def test_a_live_ledger_goes_on_when_there_is_room_again(
    disk: str, server: ForkServer, endings: Endings, populated: Path, tmp_path: Path
) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    ending, _ = endings(1)
    run = Run(server, name="fill_and_free", path=str(path), room=64 * 2**20)
    assert run.finish() == 0, disk
    said = {said.word: said.about for said in run.said}
    full, count = [Code.DISK_NEARLY_FULL.name], len(ending.steps[1][1])
    fresh = [[[False, digest] for digest in answers] for answers in ending.answers[:3]]
    repeated = [[True, digest] for digest in ending.answers[1]]
    assert said == {
        "before": [fresh[0], 0], "full": [full, count], "still": [full, 2 * count], "freed": [fresh[1], 2 * count],
        "on": [fresh[2], 2 * count], "again": [repeated, 2 * count],
    }  # fmt: skip
    check(path, ending, 3)


@pytest.mark.parametrize("number", [0, 3, 7])
@pytest.mark.parametrize("names", [WRITES, SYNCS], ids=["write", "sync"])
def test_a_failed_commit_is_never_tried_again(
    names: tuple[str, ...], number: int, server: ForkServer, endings: Endings, populated: Path, tmp_path: Path
) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    ending, _ = endings(1)
    failed = 0

    def act(run: Run, call: Call) -> bool:  # once: a second attempt would succeed
        nonlocal failed
        if failed or len(run.words("begun")) <= number or call.name not in names or run.calls[-1][1] != "-wal":
            return False
        failed = len(run.calls)
        return run.fail(call, errno.EIO)

    run = Run(server, act, str(path), path=str(path), seed=1, calls=FILE_CALLS)
    assert run.finish() == 0
    assert failed
    assert run.words("failed"), "what failed was tried again, and acknowledged"
    assert not [name for name, file in run.calls[failed:] if file == "-wal" and name in WRITES]
    check(path, ending, acknowledged(run, ending))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", CAMPAIGN)
@pytest.mark.parametrize("kind", ALL)
def test_a_fault_of_thousands(
    kind: str, seed: int, server: ForkServer, endings: Endings, populated: Path, tmp_path: Path
) -> None:
    strike_any(kind, seed, server, endings, copied(populated, tmp_path / "ledger.db"))
