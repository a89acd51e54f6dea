"""A process that is killed while it makes a ledger or a snapshot, or between personal data and facts about them."""

import signal
from pathlib import Path

import pytest

import shuiquan
from shuiquan import Code, Refused
from tests.districts import Clock, district
from tests.faults.calls import FILE_CALLS, SOCKET_CALLS, Call
from tests.faults.server import ForkServer
from tests.faults.supervisor import Run, kills
from tests.stores.homes import Databases, Place, copied, released
from tests.stores.ledgers import facts_hash, resumed, verified
from tests.stores.test_parties import PERSONS, REGISTER, kept
from tests.stores.test_snapshots import go_on, names, opened, positions
from tests.world import BUREAU


def check_made(place: Place, other: Place) -> None:
    """There is a whole ledger or none, and making it again comes to what making another one does."""
    try:
        with shuiquan.open(place, readonly=True) as ledger:
            assert ledger.policy == district()
    except Refused as refusal:
        assert refusal.code == Code.LEDGER_MISSING  # noqa: PT017 - either is right
        with pytest.raises(Refused) as refused:
            shuiquan.open(place)
        assert refused.value.code == Code.LEDGER_MISSING
    hashes = set()
    for one in (place, other):
        with shuiquan.open(one, policy=district(), clock=Clock(), ledger_id="test"):
            pass
        with shuiquan.open(one) as ledger:
            hashes.add((facts_hash(ledger), ledger.state_hash()))
    assert len(hashes) == 1


def test_a_writer_killed_while_it_makes_a_ledger_leaves_a_whole_one_or_none(server: ForkServer, tmp_path: Path) -> None:
    watched = tmp_path / "watched.db"
    run = Run(server, about=str(watched), name="make", path=str(watched), calls=FILE_CALLS)
    assert run.finish() == 0
    for at in range(0, len(run.calls), 4):
        path = tmp_path / f"ledger-{at}.db"
        assert Run(server, kills(at), str(path), name="make", path=str(path), calls=FILE_CALLS).finish() < 0
        check_made(path, tmp_path / f"other-{at}.db")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_a_writer_killed_while_it_makes_a_database_leaves_a_whole_one_or_none(
    server: ForkServer, databases: Databases, share: float
) -> None:
    watched, place = databases.new(), databases.new()
    run = Run(server, about="socket:", name="make", path=str(watched), calls=SOCKET_CALLS)
    assert run.finish() == 0
    act = kills(int(share * (len(run.calls) - 1)))
    run = Run(server, act, "socket:", name="make", path=str(place), calls=SOCKET_CALLS)
    assert run.finish() == -signal.SIGKILL
    check_made(released(place), databases.new())


@pytest.mark.parametrize(("file", "recorded"), [("-wal", False), (".head", True)])
def test_a_crash_between_register_and_journal_loses_nobody(
    server: ForkServer, populated: Path, tmp_path: Path, file: str, recorded: bool
) -> None:
    path = copied(populated, tmp_path / "ledger.db")

    def act(run: Run, _: Call) -> bool:
        if not run.words("begun") or run.calls[-1][1] != file:
            return False
        run.kill()
        return True

    assert Run(server, act, str(path), name="register", path=str(path), calls=FILE_CALLS).finish() == -signal.SIGKILL
    world = resumed(path)
    assert len(kept(world)) == (len(PERSONS) if recorded else 0)
    answer = world.exchange.submit(REGISTER, command_id="register", **BUREAU)
    assert answer.repeated == recorded
    assert {code: world.exchange.person(code) for code in PERSONS} == PERSONS
    world.exchange.close()


@pytest.mark.parametrize(("file", "renamed"), [(".partial", False), (".snapshots", True)])
def test_a_process_killed_while_it_writes_a_snapshot_leaves_a_whole_one_or_none(
    server: ForkServer, populated: Path, tmp_path: Path, file: str, renamed: bool
) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    world = resumed(path)
    for seed in (31, 32, 33):
        world.exchange.snapshot()
        go_on(world, seed)
    world.exchange.close()
    truth, before = verified(path), positions(path)

    def act(run: Run, call: Call) -> bool:
        if call.name != "fsync" or not call.file.endswith(file):
            return False
        run.kill()
        return True

    assert Run(server, act, str(path), name="snapshot", path=str(path), calls=FILE_CALLS).finish() == -signal.SIGKILL
    assert len([name for name in names(path) if name.endswith(".snapshot")]) == len(before) + renamed
    assert opened(path) == (truth.state_hash, truth.records)
    with shuiquan.open(path, clock=Clock()) as exchange:
        exchange.snapshot()
    assert positions(path) == [before[-1], truth.records], "what a killed process left is still there"
