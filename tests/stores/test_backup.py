"""Backups while somebody writes, restoring, and going on from an older copy only with a fork that says so."""

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import shuiquan
from adapters.stores.backup import Checkpoint, Copy, back_up, parse_checkpoint, restore
from ledger import facts
from ledger.forks import fork_command
from ledger.journal.store import ForkDue
from ledger.replay import verify_chain
from shuiquan import Code, DepositMoney, Fork, Person, Refused, RegisterParty
from tests.districts import Clock, district
from tests.ledger.scripts import random_script
from tests.stores.homes import copied, database
from tests.stores.ledgers import facts_hash, finished, recorded, resumed, start, stored, verified
from tests.world import BUREAU, DOCUMENT, OPERATOR, World

FORK = Fork("clerk", "head", DOCUMENT)
AT_NS = 1_717_400_000_000_000_000


def deposit(world: World, reference: str) -> None:
    """One more submission."""
    command = DepositMoney(party="P-A", amount_fen=100, reference=reference)
    answer = world.exchange.submit(command, command_id=reference, **OPERATOR)
    assert not answer.refused


def refused(path: Path, **options: object) -> Refused:
    """The refusal of opening a ledger for writing."""
    with pytest.raises(Refused) as caught:
        shuiquan.open(path, clock=Clock(), **options)  # type: ignore[arg-type]
    return caught.value


@pytest.fixture
def ledger(populated: Path, tmp_path: Path) -> Path:
    """A closed ledger with a person in it."""
    path = copied(populated, tmp_path / "ledger.db")
    world = resumed(path)
    person = Person(name="示例某", identity_number="0000")
    world.submit([RegisterParty(code="P-X", kind="person", person=person)], BUREAU)
    world.exchange.close()
    return path


def test_a_backup_holds_what_the_ledger_did_and_is_a_file_by_itself(ledger: Path, tmp_path: Path) -> None:
    truth, target = verified(ledger), tmp_path / "backups" / "copy.db"
    checkpoint = Checkpoint(truth.records, bytes.fromhex(truth.head))
    steps: list[tuple[int, int]] = []
    made = back_up(ledger, target, AT_NS, checkpoint=checkpoint, copied=lambda done, of: steps.append((done, of)))
    assert made == Copy(str(target), truth.records, truth.head, truth.facts, persons=True)
    assert steps[-1][0] == steps[-1][1] > 0
    assert sorted(file.name for file in target.parent.iterdir()) == ["copy.db", "copy.db.persons"]
    target.chmod(0o400)
    assert verified(target) == truth
    assert "示例某".encode() not in Path(f"{target}.persons").read_bytes()


WRITER = """
import sys
from pathlib import Path
from tests.stores.ledgers import resumed
from tests.stores.test_backup import deposit
world = resumed(Path(sys.argv[1]))
for number in range(10_000):
    deposit(world, f"live-{number}")
    sys.stdout.write(f"acknowledged live-{number}\\n")
    sys.stdout.flush()
"""


def test_a_drill_the_writer_is_killed_after_a_backup_and_the_copy_goes_on(ledger: Path, tmp_path: Path) -> None:
    """Recovery point: everything acknowledged before the backup. Recovery: restored, forked, open."""
    child, target, place = start(WRITER, ledger), tmp_path / "copy.db", tmp_path / "restored.db"
    assert child.stdout
    said = [child.stdout.readline() for _ in range(30)]
    made = back_up(ledger, target, AT_NS)
    assert child.poll() is None, "the writer stood still"
    said_meanwhile = [child.stdout.readline() for _ in range(30)]
    child.send_signal(signal.SIGKILL)
    _, rest = finished(child)
    before = {line.split()[1] for line in said}
    later = {line.split()[1] for line in said_meanwhile + rest}
    assert later

    back = restore(target, place, AT_NS, checkpoint=Checkpoint(made.position, bytes.fromhex(made.head)))
    assert (back.position, back.head, back.facts) == (made.position, made.head, made.facts)
    with shuiquan.open(place, readonly=True) as reader:
        assert before <= set(recorded(reader)), "something acknowledged before the backup is not in it"
        with pytest.raises(Refused) as caught:
            reader.person("P-X")
        assert caught.value.code == Code.FILE_UNREADABLE, "the key was in the backup"
    assert [row[2] for row in stored(place)] == [row[2] for row in stored(ledger)[: made.position]]
    assert refused(place).code == Code.LEDGER_RESTORED
    with shuiquan.open(place, clock=Clock(), fork=FORK) as exchange:
        assert exchange.position > made.position
    world = resumed(place)
    deposit(world, "afterwards")
    world.check()
    world.exchange.close()
    assert verified(place).facts > made.facts


def test_the_fork_is_a_fact_that_says_where_why_and_who(ledger: Path, tmp_path: Path) -> None:
    target, place = tmp_path / "copy.db", tmp_path / "restored.db"
    made = back_up(ledger, target, AT_NS)
    restore(target, place, AT_NS)
    with shuiquan.open(place, clock=Clock(), fork=FORK) as exchange:
        submission, fork = list(exchange.facts(after=made.position))
        assert fork.fact == facts.LedgerForked(
            made.position, bytes.fromhex(made.head), "restored", made.position, DOCUMENT
        )
        assert (submission.fact["actor"], submission.fact["approver"]) == (b"clerk", b"head")
    with shuiquan.open(place, clock=Clock()) as exchange, pytest.raises(Refused) as caught:  # going on without the key
        exchange.submit(
            [RegisterParty(code="P-Y", kind="person", person=Person(name="另一"))], command_id="y", **BUREAU
        )
    assert caught.value.code == Code.FILE_UNREADABLE
    assert refused(place, fork=FORK).code == Code.NO_FORK_DUE


def test_a_fork_needs_somebody_else_to_approve_and_a_document(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    back_up(ledger, target, AT_NS)
    rows = stored(target)
    for fork, code in (
        (Fork("clerk", "", DOCUMENT), Code.NEEDS_APPROVER),
        (Fork("clerk", "clerk", DOCUMENT), Code.NEEDS_APPROVER),
        (Fork("clerk", "head", ""), Code.OUT_OF_RANGE),
        (Fork("", "head", DOCUMENT), Code.EMPTY),
    ):
        assert refused(target, fork=fork).code == code
    assert refused(target, fork=FORK, readonly=True).code == Code.WRONG_TYPE
    assert refused(target).code == Code.LEDGER_RESTORED
    assert stored(target) == rows


def test_nobody_forks_a_ledger_that_needs_none(world: World) -> None:
    command = fork_command(ForkDue("restored", world.exchange.position, bytes(32), 1), DOCUMENT)
    before = world.exchange.position
    with pytest.raises(Refused) as caught:
        world.submit([command], BUREAU)
    assert caught.value.code == Code.NO_FORK_DUE
    assert world.exchange.position == before


def test_a_backup_put_in_place_by_hand_needs_a_fork_too(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    back_up(ledger, target, AT_NS)
    shutil.copy(target, tmp_path / "by-hand.db")
    assert refused(tmp_path / "by-hand.db").code == Code.LEDGER_RESTORED


def test_a_restored_copy_of_a_forked_ledger_needs_a_fork_of_its_own(ledger: Path, tmp_path: Path) -> None:
    source, hashes = ledger, set()
    for generation in range(3):
        target, place = tmp_path / f"copy{generation}.db", tmp_path / f"restored{generation}.db"
        back_up(source, target, AT_NS)
        restore(target, place, AT_NS)
        assert refused(place).code == Code.LEDGER_RESTORED
        shuiquan.open(place, clock=Clock(), fork=FORK).close()
        source = place
        hashes.add(verified(place).head)
    assert len(hashes) == 3


# older copies that nobody marked


def older(path: Path, tmp_path: Path) -> tuple[Path, int]:
    """The files of a ledger before two more submissions, put in their place afterwards; and the position lost."""
    kept = copied(path, tmp_path / "kept.db")
    world = resumed(path)
    deposit(world, "lost-1")
    deposit(world, "lost-2")
    position = world.exchange.position
    world.exchange.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copy(kept, path)
    return path, position


def test_an_older_file_in_the_place_of_the_newer_is_noticed(ledger: Path, tmp_path: Path) -> None:
    path, known = older(ledger, tmp_path)
    refusal = refused(path)
    assert (refusal.code, refusal.value) == (Code.LEDGER_OLDER, verified(path).records)
    assert str(known) in refusal.rule
    with shuiquan.open(path, readonly=True) as reader:
        assert reader.person("P-X"), "reading an older copy erased what the newer one refers to"
    with shuiquan.open(path, clock=Clock(), fork=FORK) as exchange:
        fork = list(exchange.facts())[-1].fact
        assert (fork.cause, fork.known_position) == ("older", known)
    world = resumed(path)
    deposit(world, "again")
    world.check()
    world.exchange.close()
    shuiquan.open(path, clock=Clock()).close()


def test_the_newer_file_put_back_goes_on(ledger: Path, tmp_path: Path) -> None:
    world = resumed(ledger)
    deposit(world, "newer")
    world.exchange.close()
    newer = copied(ledger, tmp_path / "newer.db")
    older(ledger, tmp_path)
    assert refused(ledger).code == Code.LEDGER_OLDER
    world = resumed(newer)
    deposit(world, "lost-1")
    deposit(world, "lost-2")
    world.exchange.close()
    shutil.copy(newer, ledger)
    assert shuiquan.open(ledger, clock=Clock()).position == world.exchange.position


def test_another_history_of_the_same_ledger_is_noticed(ledger: Path, tmp_path: Path) -> None:
    other = copied(ledger, tmp_path / "other.db")
    for path, count in ((ledger, 2), (other, 5)):
        world = resumed(path)
        for number in range(count):
            deposit(world, f"{path.name}-{number}")
        world.exchange.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{ledger}{suffix}").unlink(missing_ok=True)
    shutil.copy(other, ledger)
    assert refused(ledger).code == Code.LEDGER_OLDER


@pytest.mark.parametrize("content", [b"", b"shuiquan-head 2 x", b"\xff" * 200, b"shuiquan-head 2 " + b"0" * 160])
def test_a_damaged_head_file_stops_nothing(ledger: Path, content: bytes) -> None:
    Path(f"{ledger}.head").write_bytes(content)
    world = resumed(ledger)
    deposit(world, "one")
    world.exchange.close()
    assert Path(f"{ledger}.head").read_bytes().startswith(b"shuiquan-head 2 ")


def test_a_head_of_which_the_last_write_came_through_in_part_stops_nothing(ledger: Path) -> None:
    path = Path(f"{ledger}.head")
    older = path.read_bytes()
    world = resumed(ledger)
    deposit(world, "one")
    world.exchange.close()
    newer = path.read_bytes()
    assert len(newer) == len(older)
    assert newer != older
    for written in range(0, len(newer), 9):
        path.write_bytes(newer[:written] + older[written:])
        resumed(ledger).exchange.close()
    path.write_bytes(newer)
    resumed(ledger).exchange.close()


def test_a_head_file_of_another_ledger_says_nothing(ledger: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shuiquan.open(other, policy=district(), clock=Clock()).close()
    shutil.copy(Path(f"{ledger}.head"), Path(f"{other}.head"))
    shuiquan.open(other, clock=Clock()).close()


# what is refused, and what is left


def test_nothing_is_overwritten(ledger: Path, tmp_path: Path) -> None:
    target, truth = tmp_path / "copy.db", verified(ledger)
    back_up(ledger, target, AT_NS)
    persons = Path(f"{target}.persons").read_bytes()
    with pytest.raises(Refused) as caught:
        back_up(ledger, target, AT_NS)
    assert caught.value.code == Code.WOULD_OVERWRITE
    for place in (ledger, target):
        with pytest.raises(Refused) as caught:
            restore(target, place, AT_NS)
        assert caught.value.code == Code.WOULD_OVERWRITE
    assert verified(ledger) == verified(target) == truth
    assert Path(f"{target}.persons").read_bytes() == persons


def test_the_key_goes_where_it_is_told_to_alone_and_brings_the_data_back(ledger: Path, tmp_path: Path) -> None:
    target, key, place = tmp_path / "copy.db", tmp_path / "apart" / "key", tmp_path / "restored.db"
    back_up(ledger, target, AT_NS, key=key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert not Path(f"{target}.key").exists()
    restore(target, place, AT_NS, key=key)
    with shuiquan.open(place, clock=Clock(), fork=FORK) as exchange:
        found = exchange.person("P-X")
    assert found
    assert found.name == "示例某"


def test_a_surviving_register_of_persons_is_kept_so_erased_stays_erased(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    back_up(ledger, target, AT_NS)
    with shuiquan.open(ledger, clock=Clock()) as exchange:
        exchange.erase_person("P-X")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{ledger}{suffix}").unlink(missing_ok=True)
    assert not restore(target, ledger, AT_NS).persons
    with shuiquan.open(ledger, clock=Clock(), fork=FORK) as exchange:
        assert exchange.person("P-X") is None


def test_a_checkpoint_that_the_copy_does_not_hold_leaves_no_copy(ledger: Path, tmp_path: Path) -> None:
    truth, target = verified(ledger), tmp_path / "copy.db"
    for position, head in ((truth.records, bytes(32)), (truth.records + 1, bytes.fromhex(truth.head))):
        with pytest.raises(Refused) as caught:
            back_up(ledger, target, AT_NS, checkpoint=Checkpoint(position, head))
        assert caught.value.code == Code.HEAD_DIFFERS
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("copy")]
    assert parse_checkpoint(f"{truth.records}:{truth.head}").position == truth.records
    for text in ("", "5", ":", "0:" + "0" * 64, "5:xyz", "5:" + "0" * 62, "x:" + "0" * 64):
        with pytest.raises(Refused):
            parse_checkpoint(text)


def test_a_damaged_ledger_or_backup_is_not_copied(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    back_up(ledger, target, AT_NS)
    for path, attempt in (
        (ledger, lambda: back_up(ledger, tmp_path / "second.db", AT_NS)),
        (target, lambda: restore(target, tmp_path / "second.db", AT_NS)),
    ):
        with database(path) as connection:
            connection.execute("UPDATE stored_events SET state = zeroblob(100) WHERE originator_version = 20")
        with pytest.raises(Refused) as caught:
            attempt()
        assert caught.value.code == Code.RECORD_DAMAGED
    assert not [file for file in tmp_path.glob("second*") if file.suffix != ".lock"]
    for path in (tmp_path / "none.db", Path(__file__)):
        with pytest.raises(Refused) as caught:
            back_up(path, tmp_path / "third.db", AT_NS)
        assert caught.value.code in {Code.LEDGER_MISSING, Code.STORE_NOT_OURS}


def test_a_place_that_is_written_to_is_not_restored_into(ledger: Path, tmp_path: Path) -> None:
    target, place = tmp_path / "copy.db", tmp_path / "other.db"
    back_up(ledger, target, AT_NS)
    world = World(place)
    with pytest.raises(Refused) as caught:
        restore(target, place, AT_NS)
    assert caught.value.code == Code.LEDGER_LOCKED
    world.exchange.close()


KILLED = """
import os
import signal
import sys
from pathlib import Path
from adapters.stores import backup
backup.back_up(Path(sys.argv[1]), Path(sys.argv[2]), 1, verified=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_backup_that_was_killed_is_none(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert finished(start(KILLED, ledger, target)) == (-signal.SIGKILL, [])
    assert not target.exists()
    assert back_up(ledger, target, AT_NS).facts == verified(ledger).facts
    assert sorted(file.name for file in tmp_path.glob("copy*")) == ["copy.db", "copy.db.persons"]


def test_a_backup_of_a_long_script_replays_to_the_live_state(populated: Path, tmp_path: Path) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    world = resumed(path)
    for at_ns, submission in random_script(81, 10):
        world.clock.at_ns = at_ns
        world.exchange.submit_many([submission])
    back_up(path, tmp_path / "copy.db", AT_NS)
    with shuiquan.open(tmp_path / "copy.db", readonly=True) as exchange:
        assert exchange.state_hash() == world.exchange.state_hash()
        assert facts_hash(exchange) == facts_hash(world.exchange)
    world.exchange.close()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(shuiquan.open(path, readonly=True)._store) as store:
        chain = verify_chain(store)
    assert (chain.records, chain.facts, chain.head.hex()) == tuple(verified(path))[1:4]
