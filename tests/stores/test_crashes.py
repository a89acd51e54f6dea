"""A process that writes is killed: what it acknowledged is there, the rest whole or not at all, and once."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import shuiquan
from shuiquan import Code, Refused
from tests.districts import Clock, district
from tests.ledger.scripts import random_orders, random_script
from tests.stores.homes import Files, Home, Place, released
from tests.stores.ledgers import (
    UNCOMMITTED,
    UNWRITTEN,
    WRITTEN,
    Script,
    Span,
    acknowledged,
    facts_hash,
    finished,
    recorded,
    resumed,
    start,
    submit_all,
    undisturbed,
    verified,
)

LENGTH = 18
AFTER_ACKNOWLEDGED, AFTER_BEGUN, WHILE_WRITING = "acknowledged", "begun", "writing"
NEVER = 10**9
LOG_PAGE = 16_384

PROGRAM = """
import sys
from tests.stores.ledgers import play_aloud
from tests.stores.test_crashes import crash_script
path, seed, moment, number = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
play_aloud(path, crash_script(seed, moment), moment, number)
"""

FOUNDING = """
import sys
import shuiquan
from adapters.stores import postgres, sqlite
from tests.districts import Clock, district
from tests.stores.ledgers import die, die_at
if sys.argv[2] == "empty":
    sqlite.JournalRecorder.create_table = postgres.JournalRecorder.create_table = die
die_at(sys.argv[2], 0)
shuiquan.open(sys.argv[1], policy=district(), clock=Clock(), ledger_id="test")
"""


def crash_script(seed: int, moment: str, length: int = LENGTH) -> Script:
    """A script of a seed; one whose journal is to be seen growing ends with a large batch."""
    script = random_script(seed, length)
    if moment == WHILE_WRITING:
        at_ns, last = script[3]
        orders = random_orders(np.random.Generator(np.random.PCG64(seed)), 4_000, 400)
        return [*script[:3], (at_ns, replace(last, content=orders, actor="platform", role=shuiquan.Role.OPERATOR))]
    return script


def log_size(path: Path) -> int:
    """Bytes of a ledger's write-ahead log, 0 where there is none (any more)."""
    try:
        return Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def kill_when(child: subprocess.Popen[str], path: Place, moment: str, number: int) -> list[str]:
    """Wait for the moment and kill the process; returns every whole line that it said, also behind that moment."""
    assert child.stdout
    lines: list[str] = []
    if moment == WHILE_WRITING and isinstance(path, Path):
        while child.poll() is None and log_size(path) < number * LOG_PAGE:
            pass
    elif moment in (AFTER_ACKNOWLEDGED, AFTER_BEGUN):
        for line in child.stdout:
            lines.append(line)
            if line.startswith(moment) and sum(said.startswith(moment) for said in lines) > number:
                break
    if moment not in (UNWRITTEN, UNCOMMITTED, WRITTEN):
        child.kill()
    _, rest = finished(child)
    return lines + rest


def crash(path: Place, seed: int, moment: str, number: int) -> dict[str, Span]:
    """Run the script of a seed in a process and kill it; returns what it acknowledged."""
    child = start(PROGRAM, path, seed, moment, number)
    try:
        said = acknowledged(kill_when(child, path, moment, number))
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -signal.SIGKILL, "the process ended before it could be killed"
    return said


def check_after_crash(home: Home, path: Place, script: Script, said: dict[str, Span]) -> None:
    """Everything that must hold of a ledger whose writer was killed, before and after its script is repeated."""
    ending = undisturbed(home.copied(), script)
    world = resumed(released(path))
    spans = {name: span for name, span in recorded(world.exchange).items() if name in ending.spans}
    assert spans == dict(list(ending.spans.items())[: len(spans)]), "what is there is not what was submitted first"
    assert said.items() <= spans.items(), "what was acknowledged is not there"
    assert len(spans) - len(said) <= 1
    assert world.exchange.state_hash() == ending.states[len(spans)], "a submission is there in part"
    steps = list(submit_all(world, script))
    assert [(name, span) for name, span, _, _ in steps] == list(ending.spans.items())
    assert [repeated for _, _, repeated, _ in steps] == [name in spans for name in ending.spans]
    assert world.exchange.state_hash() == ending.states[-1]
    assert facts_hash(world.exchange) == ending.facts
    world.check()
    assert verified(path).state_hash == ending.states[-1]
    world.exchange.close()


@pytest.mark.parametrize(
    ("seed", "moment", "number"),
    [
        (200, AFTER_ACKNOWLEDGED, 0),
        (201, AFTER_ACKNOWLEDGED, 9),
        (202, AFTER_BEGUN, 5),
        (203, UNWRITTEN, 7),
        (204, UNCOMMITTED, 11),
        (205, WRITTEN, 4),
        (206, WRITTEN, LENGTH - 1),
    ],
)
def test_a_killed_writer_leaves_each_submission_whole_and_once(home: Home, seed: int, moment: str, number: int) -> None:
    path = home.copied()
    said = crash(path, seed, moment, number)
    if moment in (UNWRITTEN, UNCOMMITTED, WRITTEN):
        assert len(said) == number
    check_after_crash(home, path, crash_script(seed, moment), said)


@pytest.mark.parametrize(("seed", "pages"), [(207, 8), (208, 30)])
def test_a_writer_killed_while_its_log_grows_leaves_each_submission_whole_and_once(
    files: Files, seed: int, pages: int
) -> None:
    path = files.copied()
    said = crash(path, seed, WHILE_WRITING, pages)
    check_after_crash(files, path, crash_script(seed, WHILE_WRITING), said)


@pytest.mark.parametrize("moment", ["empty", UNWRITTEN, UNCOMMITTED, WRITTEN])
def test_a_writer_killed_while_it_makes_a_ledger_leaves_a_whole_one_or_none(home: Home, moment: str) -> None:
    path = home.new()
    child = start(FOUNDING, path, moment)
    assert finished(child) == (-signal.SIGKILL, [])
    released(path)
    if moment == WRITTEN:
        with shuiquan.open(path, readonly=True) as ledger:
            assert ledger.policy == district()
    else:
        for readonly in (True, False):
            with pytest.raises(Refused) as refused:
                shuiquan.open(path, readonly=readonly)
            assert refused.value.code == Code.LEDGER_MISSING
    hashes = set()
    for name in (path, home.new()):
        with shuiquan.open(name, policy=district(), clock=Clock(), ledger_id="test"):
            pass
        with shuiquan.open(name) as ledger:
            hashes.add((facts_hash(ledger), ledger.state_hash()))
    assert len(hashes) == 1


def moments(seed: int) -> Iterator[tuple[str, int]]:
    """Moments to kill at, one after the other, of any kind."""
    rng = np.random.Generator(np.random.PCG64(seed))
    kinds = (AFTER_ACKNOWLEDGED, AFTER_BEGUN, UNWRITTEN, UNCOMMITTED, WRITTEN)
    while True:
        yield str(rng.choice(kinds)), int(rng.integers(0, LENGTH // 3))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1_000, 1_100))
def test_a_writer_killed_again_and_again_ends_where_an_undisturbed_one_does(home: Home, seed: int) -> None:
    path = home.copied()
    script = crash_script(seed, "")
    said: dict[str, Span] = {}
    for (moment, number), _ in zip(moments(seed), range(4), strict=False):
        child = start(PROGRAM, released(path), seed, moment, number)
        said |= acknowledged(kill_when(child, path, moment, number))
        assert child.returncode in (-signal.SIGKILL, os.EX_OK)
    check_after_crash(home, path, script, said)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2_000, 2_100))
def test_a_writer_killed_while_its_log_grows(files: Files, seed: int) -> None:
    path = files.copied()
    child = start(PROGRAM, path, seed, WHILE_WRITING, 2 + seed % 40)
    said = acknowledged(kill_when(child, path, WHILE_WRITING, 2 + seed % 40))
    check_after_crash(files, path, crash_script(seed, WHILE_WRITING), said)
