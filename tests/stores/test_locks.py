"""One writer a ledger, any number of readers beside it, and a coded refusal for whatever is no ledger."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest

import shuiquan
from ledger.policy_file import parse_policy
from shuiquan import Code, DepositMoney, OpenMarket, Refused, RegisterParty, Role
from shuiquan.exchange import Exchange
from shuiquan.opening import remove_ledger
from tests.districts import district, raw_policy
from tests.ledger.scripts import random_orders, random_script
from tests.stores.homes import Home, copied, database
from tests.stores.ledgers import facts_hash, filled, finished, recorded, resumed, start
from tests.world import OPERATOR, World

WRITER = """
import sys
import shuiquan
for line in sys.stdin:
    try:
        ledger = shuiquan.open(line.strip())
    except shuiquan.Refused as refusal:
        print(refusal.code.name, flush=True)
    else:
        print("open", flush=True)
        sys.stdin.readline()
        ledger.close()
        print("closed", flush=True)
"""

READER = """
import sys
import shuiquan
with shuiquan.open(sys.argv[1], readonly=True) as ledger:
    print("open", flush=True)
    for line in sys.stdin:
        facts = sum(1 for _ in ledger.facts())
        (row,) = ledger.query("SELECT SUM(trades) AS trades FROM market")
        print(facts, row["trades"] or 0, flush=True)
"""


@contextmanager
def child(program: str, *arguments: object) -> Iterator[Popen[str]]:
    """A process that ends with the block."""
    process = start(program, *arguments)
    try:
        yield process
        status, _ = finished(process)
        assert status == 0
    finally:
        process.kill()
        process.wait()


def ask(process: Popen[str], line: object = "") -> str:
    """Say a line to a process and hear one."""
    say(process, line)
    return hear(process)


def say(process: Popen[str], line: object = "") -> None:
    """Say a line to a process."""
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: Popen[str]) -> str:
    """Hear a line of a process."""
    assert process.stdout
    return process.stdout.readline().strip()


def refusal(act: Callable[[], object]) -> Code:
    """The code that an act is refused with."""
    with pytest.raises(Refused) as refused:
        act()
    return Code(refused.value.code)


def submit_orders(world: World, seed: int, count: int) -> None:
    """Submit a batch of random orders."""
    rng = np.random.Generator(np.random.PCG64(seed))
    world.submit(random_orders(rng, count, 300), OPERATOR)


def test_a_second_process_is_refused_at_once_and_gets_in_after_close(housed: World) -> None:
    with child(WRITER) as other:
        assert ask(other, housed.path) == "LEDGER_LOCKED"
        housed.submit([OpenMarket(instrument="SW-A")], OPERATOR)  # the writer was not disturbed
        assert ask(other, housed.path) == "LEDGER_LOCKED"
        housed.exchange.close()
        assert ask(other, housed.path) == "open"
        assert refusal(lambda: shuiquan.open(housed.path)) == Code.LEDGER_LOCKED
        assert ask(other) == "closed"
        housed.exchange = shuiquan.open(housed.path, clock=housed.clock)
        housed.submit([OpenMarket(instrument="SW-B")], OPERATOR)
        housed.check()


def test_a_second_writer_in_the_same_process_is_refused(housed: World) -> None:
    assert refusal(lambda: shuiquan.open(housed.path)) == Code.LEDGER_LOCKED
    housed.reopen()
    housed.check()


def test_another_name_of_the_same_file_is_the_same_ledger(world: World, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.db").symlink_to(world.path)
    names = [tmp_path / "folder" / ".." / world.path.name, f"sqlite:///{world.path}", tmp_path / "link.db"]
    assert [refusal(lambda name=name: shuiquan.open(name)) for name in names] == [Code.LEDGER_LOCKED] * len(names)


def remove(lock: Path) -> None:
    """As somebody does who tidies up."""
    lock.unlink()


def replace(lock: Path) -> None:
    """As a copy of the folder does that is put in its place."""
    lock.rename(lock.with_suffix(".old"))
    lock.touch()


@pytest.mark.parametrize("change", [remove, replace])
@pytest.mark.parametrize("goes_on", ["first", "second"])
def test_who_loses_his_lock_file_writes_nothing_more(
    world: World, change: Callable[[Path], None], goes_on: str
) -> None:
    submit_orders(world, 1, 20)
    change(Path(f"{world.path}.lock"))
    second = None
    if goes_on == "second":
        second = resumed(world.path)  # nothing keeps it out
        submit_orders(second, 2, 20)
    facts = facts_hash(world.exchange)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            submit_orders(world, 3, 20)
        assert refused.value.code == Code.COMMIT_FAILED
        assert "LEDGER_LOCKED" in str(refused.value)
    assert facts_hash(world.exchange) == facts
    world.exchange.close()
    second = second or resumed(world.path)
    submit_orders(second, 4, 20)
    assert refusal(lambda: shuiquan.open(world.path)) == Code.LEDGER_LOCKED
    second.check()
    second.exchange.close()


def test_threads_submit_and_ask_side_by_side(housed: World) -> None:
    housed.bureau(RegisterParty(code="P-1", kind="company", name="示例公司"))

    def deposit(thread: int) -> set[int]:
        totals = set()
        for number in range(10):
            name = f"{thread}-{number}"
            money = DepositMoney(party="P-1", amount_fen=1, reference=name)
            housed.exchange.submit(money, command_id=name, actor="platform", role=Role.OPERATOR)
            totals |= set(housed.exchange.totals().values())
            assert housed.exchange.holdings() == []
        return totals

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(deposit, range(8))) == {0}
    assert housed.money("P-1") == (80, 0)
    housed.check()


def test_a_ledger_in_use_is_not_deleted(world: World) -> None:
    person = shuiquan.Person(name="示例甲")
    world.bureau(RegisterParty(code="P-1", kind="person", person=person))
    world.exchange.holdings()
    assert refusal(lambda: remove_ledger(world.path)) == Code.LEDGER_LOCKED
    assert world.exchange.person("P-1") == person
    world.exchange.close()
    (world.path.parent / f"{world.path.name}.backup").touch()
    remove_ledger(world.path)
    assert {file.name for file in world.path.parent.iterdir()} <= {"ledger.db.backup", "ledger.db.lock"}


def test_an_opening_that_fails_leaves_the_lock_free(housed: World) -> None:
    housed.exchange.close()
    other = parse_policy(raw_policy() | {"version": 2})
    assert refusal(lambda: shuiquan.open(housed.path, policy=other)) == Code.POLICY_DIFFERS
    with database(housed.path) as connection:
        connection.execute("UPDATE stored_events SET state = ? WHERE originator_version = 3", (b"0",))
    assert refusal(lambda: shuiquan.open(housed.path)) == Code.RECORD_DAMAGED
    assert refusal(lambda: shuiquan.open(housed.path)) == Code.RECORD_DAMAGED, "not LEDGER_LOCKED"


def test_readers_in_this_and_another_process_read_while_the_writer_submits(home: Home) -> None:
    world = resumed(home.copied())
    with child(READER, world.path) as other, shuiquan.open(world.path, readonly=True) as beside:
        assert hear(other) == "open"
        for seed in range(4):
            before = len(list(world.exchange.facts()))
            say(other)
            for part in range(5):  # while the other process reads
                submit_orders(world, 10 * seed + part, 60)
            commits = {before, *(last for first, last in recorded(world.exchange).values() if first > before)}
            assert int(hear(other).split()[0]) in commits, "a reader saw a part of a commit"
            facts = len(list(world.exchange.facts()))
            (row,) = world.exchange.query("SELECT SUM(trades) AS trades FROM market")
            assert ask(other) == f"{facts} {row['trades']}"
            assert facts_hash(beside) == facts_hash(world.exchange)
            assert beside.holdings() == world.exchange.holdings()
    world.check()
    world.exchange.close()


def test_a_reader_opens_a_ledger_that_nobody_writes(populated: Path, tmp_path: Path) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    before = path.read_bytes()
    with shuiquan.open(path, readonly=True) as first, shuiquan.open(path, readonly=True) as second:
        assert first.state_hash() == second.state_hash()
        assert first.holdings() == second.holdings()
    assert path.read_bytes() == before
    assert not Path(f"{path}.lock").exists()


def test_a_readonly_exchange_refuses_whatever_would_write(housed: World) -> None:
    person = shuiquan.Person(name="示例甲")
    register = RegisterParty(code="P-1", kind="person", person=person)
    housed.bureau(register)
    ((_, submission),) = random_script(1, 1)
    acts: list[Callable[[Exchange], object]] = [
        lambda ledger: ledger.submit(register, actor="clerk", role=Role.BUREAU, approver="head", command_id="1"),
        lambda ledger: ledger.submit([], actor="clerk", role=Role.BUREAU, command_id="2"),
        lambda ledger: ledger.submit_many([submission]),
        lambda ledger: ledger.erase_person("P-1"),
    ]
    facts = facts_hash(housed.exchange)
    with shuiquan.open(housed.path, readonly=True) as reader:
        assert reader.person("P-1") == person
        assert [refusal(lambda act=act: act(reader)) for act in acts] == [Code.LEDGER_CLOSED] * len(acts)
        assert reader.person("P-1") == person
    assert facts_hash(housed.exchange) == facts


def test_a_closed_exchange_refuses_to_submit(housed: World) -> None:
    housed.exchange.close()
    assert refusal(lambda: housed.submit([OpenMarket(instrument="SW-A")], OPERATOR)) == Code.LEDGER_CLOSED


def nothing(path: Path) -> None:
    """Leave the place empty."""


def folder(path: Path) -> None:
    """Make a folder with something in it."""
    path.mkdir()
    (path / "file").touch()


def foreign_database(path: Path) -> None:
    """Make a database of another program."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE stored_events (originator_id, originator_version, topic, state)")
    connection.commit()
    connection.close()


def former_layout(path: Path) -> None:
    """Make a ledger with the tables of an earlier version of this program."""
    filled(path, []).exchange.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def text(path: Path) -> None:
    """Write a text file."""
    path.write_text("用水权登记表\n" * 200, "utf-8")


def cut_off(path: Path) -> None:
    """Make a ledger and keep only the beginning of its file."""
    filled(path, []).exchange.close()
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (nothing, Code.LEDGER_MISSING),
        (Path.touch, Code.LEDGER_MISSING),
        (folder, Code.STORE_NOT_OURS),
        (text, Code.STORE_NOT_OURS),
        (foreign_database, Code.STORE_NOT_OURS),
        (cut_off, Code.STORE_DAMAGED),
        (former_layout, Code.LAYOUT_UNKNOWN),
    ],
)
def test_what_is_no_ledger_is_refused_by_its_code_and_left_as_it_was(
    tmp_path: Path, make: Callable[[Path], None], code: Code
) -> None:
    path = tmp_path / "ledger.db"
    make(path)
    before = path.read_bytes() if path.is_file() else path.exists()
    assert refusal(lambda: shuiquan.open(path, readonly=True)) == code
    assert refusal(lambda: shuiquan.open(path, readonly=True, policy=district())) == code
    assert (path.read_bytes() if path.is_file() else path.exists()) == before
    if code != Code.LEDGER_MISSING:
        assert refusal(lambda: shuiquan.open(path, policy=district())) == code
        assert (path.read_bytes() if path.is_file() else path.exists()) == before
    else:
        assert refusal(lambda: shuiquan.open(path)) == code  # a new ledger needs a policy
        with shuiquan.open(path, policy=district()) as ledger:
            assert ledger.policy == district()


def test_a_missing_ledger_leaves_nothing_behind(tmp_path: Path) -> None:
    for target in (tmp_path / "no" / "ledger.db", tmp_path / "ledger.db"):
        assert refusal(lambda target=target: shuiquan.open(target, readonly=True)) == Code.LEDGER_MISSING
    for unknown in ("mysql://host/ledger", "postgresql:/host/ledger", "sqlite://ledger.db"):
        assert refusal(lambda target=unknown: shuiquan.open(target, policy=district())) == Code.ADDRESS_INVALID
    assert list(tmp_path.iterdir()) == []
