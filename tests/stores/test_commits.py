"""A commit that fails leaves nothing and closes the writer; our recorder keeps to the library's own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from adapters.stores.sqlite import STREAM, JournalDatastore, JournalRecorder
from ledger.rows import ORDERS, USES
from shuiquan import Code, Refused
from tests.ledger.scripts import random_script
from tests.stores.ledgers import (
    Script,
    copied,
    database,
    facts_hash,
    finished,
    recorded,
    resumed,
    start,
    stored,
    submit_all,
    undisturbed,
)
from tests.world import World


@pytest.fixture
def ledger(populated: Path, tmp_path: Path) -> Path:
    """A closed ledger to go on with."""
    return copied(populated, tmp_path / "ledger.db")


def check_failed_commit(world: World, script: Script, at: int, mend: Callable[[], None]) -> None:
    """The submission fails, everything after it is refused, and after reopening all have one effect."""
    before = facts_hash(world.exchange)
    world.clock.at_ns = script[at][0]
    for number in (at, at, at + 1, 0):
        with pytest.raises(Refused) as failed:
            world.exchange.submit_many([script[number][1]])
        assert failed.value.code == Code.COMMIT_FAILED
    assert facts_hash(world.exchange) == before
    assert world.exchange.query("SELECT COUNT(*) AS parties FROM parties") == [{"parties": 4}]
    mend()
    world.reopen()
    assert facts_hash(world.exchange) == before
    assert [step[2] for step in submit_all(world, script)] == [True] * at + [False] * (len(script) - at)
    world.check()


@pytest.mark.parametrize("table", ["stored_events", "spans", "submissions"])
def test_a_failed_commit_closes_the_writer_and_leaves_nothing(populated: Path, ledger: Path, table: str) -> None:
    script = random_script(81, 6)
    world = resumed(ledger)
    list(submit_all(world, script[:3]))
    with database(ledger) as connection:
        connection.execute(f"CREATE TRIGGER fail AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END")

    def mend() -> None:
        with database(ledger) as connection:
            connection.execute("DROP TRIGGER fail")

    check_failed_commit(world, script, 3, mend)
    ending = undisturbed(copied(populated, ledger.with_name("undisturbed.db")), script)
    assert (facts_hash(world.exchange), world.exchange.state_hash()) == (ending.facts, ending.states[-1])
    world.exchange.close()


def test_a_writer_that_got_past_the_lock_meets_the_fence(populated: Path, ledger: Path) -> None:
    script = random_script(82, 6)
    world = resumed(ledger)
    list(submit_all(world, script[:2]))
    position = world.exchange.position + 1
    with closing(JournalDatastore(str(ledger))) as datastore:
        foreign = StoredEvent(STREAM, position, "market.opened/1", b"")
        JournalRecorder(datastore).insert_events([foreign], spans=[(10**6, 10**6)])

    def mend() -> None:
        with database(ledger) as connection:
            connection.execute("DELETE FROM stored_events WHERE originator_version = ?", (position,))
            connection.execute("DELETE FROM spans WHERE position = ?", (position,))

    world.clock.at_ns = script[2][0]
    with pytest.raises(Refused) as failed:
        world.exchange.submit_many([script[2][1]])
    assert failed.value.code == Code.COMMIT_FAILED
    mend()
    world.reopen()
    assert list(recorded(world.exchange))[-2:] == ["s0", "s1"]
    ending = undisturbed(copied(populated, ledger.with_name("undisturbed.db")), script)
    assert [step[3] for step in submit_all(world, script)][-1] == ending.states[-1]
    world.exchange.close()


FULL_DISK = """
import resource
import sys
from pathlib import Path
from ledger.codes import Refused
from tests.ledger.scripts import random_script
from tests.stores.ledgers import resumed, submit_all
path, room = Path(sys.argv[1]), int(sys.argv[2])
world = resumed(path)
size = Path(f"{path}-wal").stat().st_size if Path(f"{path}-wal").exists() else 0
resource.setrlimit(resource.RLIMIT_FSIZE, (max(size, path.stat().st_size) + room, resource.RLIM_INFINITY))
for attempt in range(2):
    try:
        for name, span, repeated, _ in submit_all(world, random_script(83, 12)):
            print(name, *span, repeated, flush=True)
    except Refused as refusal:
        print(refusal.code.name, flush=True)
"""


@pytest.mark.parametrize("room", [0, 40_000, 100_000])
def test_a_full_disk_closes_the_writer_and_loses_nothing_acknowledged(populated: Path, ledger: Path, room: int) -> None:
    program = FULL_DISK.replace("world.Refused", "Refused").replace(
        "import sys", "import sys\nfrom ledger.codes import Refused", 1
    )
    status, lines = finished(start(program, ledger, room))
    words = [line.split() for line in lines]
    assert (status, [word for word in words if len(word) == 1]) == (0, [["COMMIT_FAILED"]] * 2)
    said = {name: (int(first), int(last)) for name, first, last, _ in (word for word in words if len(word) > 1)}
    script = random_script(83, 12)
    ending = undisturbed(copied(populated, ledger.with_name("undisturbed.db")), script)
    world = resumed(ledger)
    spans = {name: span for name, span in recorded(world.exchange).items() if name in ending.spans}
    assert spans == said == dict(list(ending.spans.items())[: len(said)])
    assert [step[3] for step in submit_all(world, script)][-1] == ending.states[-1]
    assert facts_hash(world.exchange) == ending.facts
    world.check()
    world.exchange.close()


# the library's recorder as the reference


class Pair(NamedTuple):
    """The library's recorder and ours, each on a database of its own."""

    stock: SQLiteApplicationRecorder
    ours: JournalRecorder


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Both recorders with their tables."""
    with (
        closing(SQLiteDatastore(str(tmp_path / "stock.db"), originator_id_type="text")) as one,
        closing(JournalDatastore(str(tmp_path / "ours.db"))) as two,
    ):
        made = Pair(SQLiteApplicationRecorder(one), JournalRecorder(two))
        made.stock.create_table()
        made.ours.create_table()
        yield made


def insert(pair: Pair, events: Sequence[StoredEvent]) -> None:
    """Insert the same records through both."""
    pair.stock.insert_events(events)
    pair.ours.insert_events(events, spans=[(1, 1)] * len(events))


def test_both_recorders_read_back_the_same(pair: Pair, populated: Path) -> None:
    events = [StoredEvent(STREAM, position, topic, state) for position, topic, state in stored(populated)]
    for at in range(0, len(events), 17):
        insert(pair, events[at : at + 17])
    readers = [
        *pair,
        SQLiteApplicationRecorder(pair.ours.datastore),
        JournalRecorder(pair.stock.datastore),
    ]
    asked: list[Callable[[SQLiteApplicationRecorder], Any]] = [
        lambda recorder: recorder.select_events(STREAM),
        lambda recorder: recorder.select_events(STREAM, gt=20, lte=60),
        lambda recorder: recorder.select_events(STREAM, desc=True, limit=1),
        lambda recorder: recorder.select_events(STREAM, gt=40, limit=5),
        lambda recorder: recorder.select_events("other"),
        lambda recorder: recorder.select_notifications(1, 1_000),
        lambda recorder: recorder.select_notifications(30, 20, stop=45),
        lambda recorder: recorder.select_notifications(30, 20, inclusive_of_start=False),
        lambda recorder: recorder.select_notifications(None, 1_000, topics=[ORDERS, USES]),
        lambda recorder: recorder.max_notification_id(),
    ]
    for question in asked:
        answers = [question(recorder) for recorder in readers]
        assert answers == [answers[0]] * len(readers)
    assert pair.ours.select_events(STREAM) == events


def test_both_recorders_refuse_a_position_that_is_taken_and_insert_all_or_nothing(pair: Pair) -> None:
    event = StoredEvent(STREAM, 1, "a/1", b"\x00")
    insert(pair, [event])
    batch = [StoredEvent(STREAM, 2, "a/1", b"\x01"), StoredEvent(STREAM, 1, "a/1", b"\x02")]
    with pytest.raises(IntegrityError):
        pair.stock.insert_events(batch)
    with pytest.raises(IntegrityError):
        pair.ours.insert_events(batch, spans=[(2, 2), (3, 3)])
    assert pair.stock.select_events(STREAM) == pair.ours.select_events(STREAM) == [event]
    insert(pair, batch[:1])
    assert len(pair.ours.select_notifications(1, 10)) == len(pair.stock.select_notifications(1, 10)) == 2
