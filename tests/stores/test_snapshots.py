"""Snapshots beside a ledger: they open it, and never matter for what it holds."""

import logging
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

import shuiquan
from ledger.snapshot import LENGTH, MAGIC
from shuiquan import Code, DepositMoney, Refused
from tests.districts import Clock
from tests.ledger.scripts import play, random_script
from tests.stores.homes import copied, database
from tests.stores.ledgers import finished, resumed, start, verified
from tests.world import World


def folder(path: Path) -> Path:
    """Where the snapshots of a ledger lie."""
    return Path(f"{path}.snapshots")


def names(path: Path) -> list[str]:
    """The files in it."""
    return sorted(file.name for file in folder(path).glob("*"))


def positions(path: Path) -> list[int]:
    """The positions behind which they stand."""
    return [int(name.removesuffix(".snapshot")) for name in names(path)]


def go_on(world: World, seed: int, length: int = 4) -> None:
    """Play some more."""
    at_ns = world.exchange.state.at_ns
    script = random_script(seed, length)
    first = script[0][0]
    play(world, [(at_ns + at - first, replace(one, command_id=f"{seed}-{one.command_id}")) for at, one in script])


@pytest.fixture
def ledger(populated: Path, tmp_path: Path) -> Path:
    """A closed ledger with two snapshots behind different positions, and facts after them."""
    path = copied(populated, tmp_path / "ledger.db")
    world = resumed(path)
    for seed in (31, 32, 33):
        world.exchange.snapshot()
        go_on(world, seed)
    world.exchange.close()
    return path


def opened(path: Path) -> tuple[str, int]:
    """State hash and position of a ledger as it opens."""
    with shuiquan.open(path, readonly=True) as exchange:
        return exchange.state_hash(), exchange.position


def test_the_last_two_are_kept_and_the_newest_opens(
    ledger: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert len(positions(ledger)) == 2
    truth = verified(ledger)
    seen: list[int] = []
    with shuiquan.open(ledger, readonly=True, progress=lambda position, _: seen.append(position)) as exchange:
        assert (exchange.state_hash(), exchange.position) == (truth.state_hash, truth.records)
    assert min(seen) > max(positions(ledger)), "records before the snapshot were folded"
    replayed: list[int] = []
    bare = copied(ledger, tmp_path / "bare.db")
    with shuiquan.open(bare, readonly=True, progress=lambda position, _: replayed.append(position)) as exchange:
        assert exchange.state_hash() == truth.state_hash
    assert min(replayed) == 1
    assert not caplog.records


def test_a_ledger_goes_on_from_a_snapshot_as_from_its_first_fact(ledger: Path, tmp_path: Path) -> None:
    bare = copied(ledger, tmp_path / "bare.db")
    hashes = set()
    for path in (ledger, bare):
        world = resumed(path)
        go_on(world, 40, 12)
        world.check()
        hashes.add((world.exchange.state_hash(), verified(path).state_hash, b"".join(world.exchange.canonical_facts())))
        world.exchange.close()
    assert len(hashes) == 1


def damage(data: bytes) -> bytes:
    """A flipped bit."""
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


def newer(data: bytes) -> bytes:
    """A snapshot of a later version."""
    return data.replace(b'"version":1,', b'"version":2,')


@pytest.mark.parametrize(
    "change",
    [
        damage, newer, lambda data: data[: len(data) // 3], lambda _: b"", lambda data: data + b"x",
        lambda _: MAGIC + LENGTH.pack(2**32 - 1), lambda _: b"SQLite format 3\0" * 100,
        lambda data: data.replace(b'"position":', b'"position":1'),
    ],
    ids=["flipped", "newer", "cut", "empty", "longer", "header", "foreign", "elsewhere"],
)  # fmt: skip
@pytest.mark.parametrize("spoilt", [1, 2])
def test_what_is_wrong_with_a_snapshot_is_said_and_an_older_one_or_none_opens(
    ledger: Path, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes], spoilt: int
) -> None:
    truth = verified(ledger)
    for file in sorted(folder(ledger).iterdir(), reverse=True)[:spoilt]:
        file.write_bytes(change(file.read_bytes()))
    with caplog.at_level(logging.WARNING, "shuiquan"):
        assert opened(ledger) == (truth.state_hash, truth.records)
    assert len(caplog.records) == spoilt
    assert all("[850]" in record.getMessage() for record in caplog.records)


def test_snapshots_of_another_ledger_are_left_out(ledger: Path, tmp_path: Path, populated: Path) -> None:
    other = World(tmp_path / "other.db")
    shutil.copytree(folder(ledger), folder(other.path))
    live = other.exchange.state_hash()
    other.exchange.close()
    assert opened(other.path)[0] == live
    shorter = copied(populated, tmp_path / "shorter.db")
    shutil.copytree(folder(ledger), folder(shorter), dirs_exist_ok=True)
    assert opened(shorter)[0] == verified(populated).state_hash
    world = resumed(shorter)
    world.exchange.snapshot()
    world.exchange.close()
    assert max(positions(shorter)) <= verified(shorter).records, "what is not of this journal stayed"


def test_damage_behind_a_snapshot_is_still_refused(ledger: Path) -> None:
    last = max(positions(ledger))
    with database(ledger) as connection:
        connection.execute(
            "UPDATE stored_events SET state = CAST(state || 'x' AS BLOB) WHERE originator_version = ?",
            (last + 1,),
        )
    with pytest.raises(Refused) as refused:
        opened(ledger)
    assert refused.value.code == Code.RECORD_DAMAGED


def test_a_snapshot_is_written_when_enough_facts_stand_behind_the_last(populated: Path, tmp_path: Path) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    facts = verified(path).facts
    for readonly, due, expected in ((True, 1, 0), (False, facts + 1, 0), (False, facts, 1), (False, 1, 1)):
        shuiquan.open(path, readonly=readonly, clock=Clock(), snapshot_facts=due).close()
        assert len(names(path)) == expected
    world = resumed(path, snapshot_facts=10)
    go_on(world, 50)
    assert len(names(path)) == 1
    world.exchange.close()
    assert positions(path)[-1] == world.exchange.position


def test_a_snapshot_can_be_written_beside_a_writer(populated: Path, tmp_path: Path) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    world = resumed(path)
    with shuiquan.open(path, readonly=True) as reader:
        go_on(world, 60)
        file = reader.snapshot()
        assert int(file.stem) < world.exchange.position
    live = world.exchange.state_hash()
    world.exchange.close()
    assert opened(path)[0] == live


def test_a_failed_writer_writes_no_snapshot(populated: Path, tmp_path: Path) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    world = resumed(path, snapshot_facts=1)
    before = names(path)
    with database(path) as connection:  # somebody writes past the lock: the next commit is refused by the primary key
        connection.execute(
            "INSERT INTO stored_events SELECT originator_id, originator_version + 1, topic, state FROM stored_events "
            "ORDER BY originator_version DESC LIMIT 1"
        )
    with pytest.raises(Refused) as refused:
        world.operator(DepositMoney(party="P-A", amount_fen=1, reference="x"))
    assert refused.value.code == Code.COMMIT_FAILED
    with pytest.raises(Refused):
        world.exchange.snapshot()
    world.exchange.close()
    assert names(path) == before


def test_a_folder_that_cannot_be_written_costs_no_ledger(
    populated: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    folder(path).write_bytes(b"")  # a file where the folder belongs
    with shuiquan.open(path, clock=Clock(), snapshot_facts=1) as exchange, pytest.raises(Refused) as refused:
        exchange.snapshot()
    assert refused.value.code == Code.SNAPSHOT_NOT_WRITTEN
    assert any("no snapshot" in record.getMessage() for record in caplog.records)
    assert opened(path)[0] == verified(path).state_hash


KILLED = """
import sys
from pathlib import Path
import shuiquan
from adapters.stores import snapshots
from tests.stores.ledgers import die
if sys.argv[2] == "renamed":
    snapshots.sync_folder = die
else:
    snapshots.os.fsync = die
shuiquan.open(Path(sys.argv[1]), readonly=True).snapshot()
"""


@pytest.mark.parametrize("moment", ["written", "renamed"])
def test_a_process_killed_while_it_writes_one_leaves_a_whole_one_or_none(ledger: Path, moment: str) -> None:
    truth = verified(ledger)
    before = positions(ledger)
    assert finished(start(KILLED, ledger, moment)) == (-signal.SIGKILL, [])
    whole = [name for name in names(ledger) if name.endswith(".snapshot")]
    assert len(whole) == len(before) + (moment == "renamed")
    assert opened(ledger) == (truth.state_hash, truth.records)
    with shuiquan.open(ledger, clock=Clock()) as exchange:
        exchange.snapshot()
    assert positions(ledger) == [before[-1], truth.records], "what a killed process left is still there"
