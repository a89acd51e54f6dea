"""What only a ledger on a server knows: addresses, logins and grants, settings, and a server that fails beneath it."""

import os
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError

import shuiquan
from adapters.stores.postgres_server import LOCK, parse_address
from bench.server import PASSWORD, USER, PostgresServer, free_port
from shuiquan import Code, Person, Refused, RegisterParty
from shuiquan.config import parse_target
from tests.districts import district
from tests.ledger.scripts import random_script
from tests.stores.homes import Database, Databases, database, released
from tests.stores.ledgers import (
    Script,
    facts_hash,
    resumed,
    submit_all,
    undisturbed,
    verified,
)
from tests.world import World

DOCUMENT = Path(__file__).parents[2] / "docs" / "stores.md"
SECRET = "geheim"  # noqa: S105 - of this test
ROLES = ("writer", "reader")


def refusal(act: Callable[[], object]) -> Refused:
    """The refusal of an act, which shows no password, and neither does what led to it."""
    with pytest.raises(Refused) as refused:
        act()
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.__dict__)
    assert not any(text in shown for text in (PASSWORD, parse_password(PASSWORD), SECRET)), shown
    return refused.value


def parse_password(password: str) -> str:
    """A password as it is written in an address."""
    return "".join(f"%{ord(mark):02X}" if mark in ":/?#@%" else mark for mark in password)


# addresses


@pytest.mark.parametrize(
    ("url", "name", "beside"),
    [
        ("postgresql://u@h/d", "postgresql://u@h:5432/d", "d@h-5432"),
        ("postgres://u:geheim@h:99/d", "postgresql://u@h:99/d", "d@h-99"),
        ("postgresql://u@127.0.0.1/d", "postgresql://u@localhost:5432/d", "d@localhost-5432"),
        ("postgresql://u@/d?host=/run/postgresql", "postgresql://u@localhost:5432/d", "d@localhost-5432"),
        ("postgresql://u:%3A%2F%40@h/d%2Fe", "postgresql://u@h:5432/d/e", "d%2Fe@h-5432"),
        ("postgresql://u@h/d?password=geheim&connect_timeout=9", "postgresql://u@h:5432/d", "d@h-5432"),
        ("postgresql://u@h/d?files=%2Fsrv%2Fx%20y", "postgresql://u@h:5432/d", "/srv/x y"),
    ],
)
def test_an_address_names_a_database_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, url: str, name: str, beside: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    address = parse_address(url)
    assert (address.name, repr(address)) == (name, name)
    assert address.beside == Path("/data/shuiquan") / beside
    assert "geheim" not in repr(parse_target(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:geheim@geheim@h/d",
        "postgresql://u:geheim/geheim@h/d",
        "postgresql://u:geheim?geheim@h/d",
        "postgresql://u:geheim",
        "postgresql://u:geheim@h:port/d",
        "postgresql://u:geheim@h/d?unknown=geheim",
        "postgresql://u:%zzgeheim@h/d",
        "postgresql:/u:geheim@h/d",
        "mysql://u:geheim@h/d",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_not_shown(url: str) -> None:
    for target in (url, Path(url)):
        assert refusal(lambda target=target: shuiquan.open(target, policy=district())).code == Code.ADDRESS_INVALID


def test_the_usual_variables_fill_what_an_address_leaves_out(
    postgres: PostgresServer, databases: Databases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = databases.copied()
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(postgres.port))
    monkeypatch.setenv("PGUSER", USER)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PGCLIENTENCODING", "GBK")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with shuiquan.open(f"postgresql:///{place.name}") as ledger:
        register = RegisterParty(code="P-1", kind="person", person=Person(name="示例甲"))
        ledger.submit(register, actor="登记岗", role=shuiquan.Role.BUREAU, approver="审批岗", command_id="一")
        assert ledger.person("P-1") == Person(name="示例甲")
        assert ledger.answer("登记岗", "一")
    beside = tmp_path / "data" / "shuiquan" / f"{place.name}@localhost-{postgres.port}"
    assert all(Path(f"{beside}{suffix}").exists() for suffix in (".persons", ".key", ".views"))


# refused before anything is done


def execute(server: PostgresServer, name: str, *statements: str) -> None:
    """Run statements in a database as its owner."""
    with server.connect(name) as connection:
        for statement in statements:
            connection.execute(statement)


FOREIGN = ("CREATE SCHEMA shuiquan", "CREATE TABLE shuiquan.stored_events (id int)")


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (FOREIGN, Code.STORE_NOT_OURS),
        ((*FOREIGN, *(f"CREATE TABLE shuiquan.{name} (id int)" for name in ("layout", "begins", "submissions"))),
         Code.STORE_NOT_OURS),
        ((*FOREIGN, "CREATE VIEW shuiquan.layout AS SELECT 1 AS version"), Code.LAYOUT_UNKNOWN),
    ],
    ids=["table", "tables", "version"],
)  # fmt: skip
def test_tables_that_are_not_ours_are_refused_and_left_alone(
    postgres: PostgresServer, databases: Databases, prepare: tuple[str, ...], code: Code
) -> None:
    place = databases.new()
    execute(postgres, place.name, *prepare)
    for options in ({"readonly": True}, {}, {"policy": district()}):
        assert refusal(lambda options=options: shuiquan.open(place, **options)).code == code
    with database(place) as connection:
        listed = "SELECT COUNT(*) FROM pg_class WHERE relnamespace = 'shuiquan'::regnamespace"
        assert connection.execute(listed) == [(sum("CREATE TABLE" in one or "VIEW" in one for one in prepare),)]


def test_tables_of_another_version_are_refused(databases: Databases) -> None:
    place = databases.copied()
    with database(place) as connection:
        connection.execute("UPDATE layout SET version = 1")
    for options in ({"readonly": True}, {}):
        assert refusal(lambda options=options: shuiquan.open(place, **options)).code == Code.LAYOUT_UNKNOWN


def test_a_server_or_database_that_is_not_there_and_a_login_that_is_wrong_have_codes(
    postgres: PostgresServer, databases: Databases
) -> None:
    place = databases.copied()
    plain = postgres.url(place.name)
    for options in ({"readonly": True}, {}):
        found = [
            refusal(lambda url=url, options=options: shuiquan.open(url, **options)).code
            for url in (
                plain.replace(f":{postgres.port}/", f":{free_port()}/"),
                postgres.url("never_made"),
                postgres.url(place.name, password=SECRET),
                postgres.url(place.name, user="nobody_known", password=SECRET),
            )
        ]
        assert found == [
            Code.SERVER_UNREACHABLE, Code.DATABASE_MISSING, Code.LOGIN_REFUSED, Code.LOGIN_REFUSED
        ]  # fmt: skip
    empty = databases.new()
    assert refusal(lambda: shuiquan.open(empty, readonly=True)).code == Code.LEDGER_MISSING
    assert refusal(lambda: shuiquan.open(empty)).code == Code.LEDGER_MISSING  # a new ledger needs a policy


def test_a_server_that_cannot_keep_what_it_takes_is_refused_for_writing(
    postgres: PostgresServer, databases: Databases
) -> None:
    place = databases.copied()
    latin = Database.of(postgres, postgres.create(encoding="LATIN1"), place.beside)
    assert refusal(lambda: shuiquan.open(latin, policy=district())).code == Code.ENCODING_NOT_UTF8
    execute(postgres, "postgres", f"ALTER DATABASE {place.name} SET default_transaction_read_only = on")
    assert refusal(lambda: shuiquan.open(place)).code == Code.SERVER_READS_ONLY
    postgres.crash()
    postgres.start(fsync="off")
    try:
        execute(postgres, "postgres", f"ALTER DATABASE {place.name} RESET default_transaction_read_only")
        assert refusal(lambda: shuiquan.open(place)).code == Code.NOT_DURABLE
        with shuiquan.open(place, readonly=True) as reader:
            assert reader.position
    finally:
        postgres.crash()
        postgres.start()
    with shuiquan.open(place) as ledger:
        assert ledger.position


def test_the_session_that_writes_is_durable_and_named_whatever_the_database_is_set_to(
    postgres: PostgresServer, databases: Databases
) -> None:
    for asked, expected in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        place = databases.copied()
        execute(postgres, "postgres", f"ALTER DATABASE {place.name} SET synchronous_commit = {asked}")
        with closing(parse_target(place).open(writable=True)) as store:
            with store._writer.datastore.cursor() as cursor:
                row = cursor.execute("SELECT current_setting('synchronous_commit') AS found").fetchone()
            assert row == {"found": expected}
            with database(place) as connection:
                names = connection.execute(
                    "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = ? AND pid != "
                    "pg_backend_pid()", (place.name,)
                )  # fmt: skip
            assert names == [("shuiquan",)]
            for statement in ("DELETE FROM shuiquan.begins RETURNING 1", "CREATE TABLE shuiquan.more ()"):
                with pytest.raises(PersistenceError, match="read-only"):
                    store._reader.select(statement)


def test_the_documented_grants_are_enough_and_no_more(postgres: PostgresServer, databases: Databases) -> None:
    place = databases.copied()
    (grants,) = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    execute(postgres, place.name, grants, *(f"ALTER ROLE shuiquan_{who} PASSWORD '{SECRET}'" for who in ROLES))
    as_role = {who: postgres.url(place.name, f"shuiquan_{who}", SECRET, files=place.beside) for who in ROLES}
    try:
        world = resumed(as_role["writer"])
        list(submit_all(world, random_script(91, 5)))
        with shuiquan.open(as_role["reader"], readonly=True) as reader:
            assert facts_hash(reader) == facts_hash(world.exchange)
        world.exchange.close()
        assert refusal(lambda: shuiquan.open(as_role["reader"])).code == Code.LOGIN_REFUSED
        with psycopg.connect(as_role["writer"].partition("?")[0], autocommit=True) as connection:
            for act in ("UPDATE shuiquan.stored_events SET state = ''", "DELETE FROM shuiquan.begins",
                        "TRUNCATE shuiquan.submissions"):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(act)
        fresh = postgres.url(databases.new().name, "shuiquan_writer", SECRET)
        assert refusal(lambda: shuiquan.open(fresh, policy=district())).code == Code.LOGIN_REFUSED
    finally:
        for who in ROLES:
            execute(postgres, place.name, f"DROP OWNED BY shuiquan_{who}", f"DROP ROLE shuiquan_{who}")


# a server that fails


def terminate(place: Database) -> None:
    """End the session that holds a ledger's lock, as an administrator does, and wait until it is gone."""
    with place.server.connect(place.name) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND datname = %s AND objid = %s", [place.name, LOCK],
        )  # fmt: skip


@contextmanager
def stuck(place: Database) -> Iterator[psycopg.Connection[Any]]:
    """Let no insert of records end: it waits in the middle of its transaction."""
    with place.server.connect(place.name) as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE submissions IN ACCESS EXCLUSIVE MODE")
        yield connection


def wait_for(place: Database, event: str, task: Future[Any]) -> None:
    """Wait until the session of a task waits for something."""
    asked = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = ? AND ? IN (wait_event_type, wait_event)"
    with place.server.connect() as connection:
        while connection.execute(asked.replace("?", "%s"), [place.name, event]).fetchone() == (0,):
            assert not task.done(), task.result()


def submitting(world: World, threads: ThreadPoolExecutor, script: Script, at: int) -> Future[Any]:
    """Submit the next of a script in another thread."""
    world.clock.at_ns = script[at][0]
    return threads.submit(world.exchange.submit_many, [script[at][1]])


def check_closed(world: World, script: Script, task: Future[Any]) -> None:
    """The submission failed, and the writer takes no other."""
    assert refusal(task.result).code == Code.COMMIT_FAILED
    for number in (0, 3, 4):
        assert refusal(lambda n=number: world.exchange.submit_many([script[n][1]])).code == Code.COMMIT_FAILED


def check_reopened(databases: Databases, world: World, place: Database, script: Script, there: int) -> None:
    """So many submissions are there; the whole script, repeated, ends as if nothing had happened."""
    with suppress(Refused):
        world.exchange.close()
    released(place)
    ending = undisturbed(databases.copied(), script)
    world = resumed(place)
    assert world.exchange.state_hash() == ending.states[there]
    steps = list(submit_all(world, script))
    assert [(name, span) for name, span, _, _ in steps] == list(ending.spans.items())
    assert [repeated for _, _, repeated, _ in steps] == [True] * there + [False] * (len(script) - there)
    assert (facts_hash(world.exchange), verified(place).state_hash) == (ending.facts, ending.states[-1])
    world.check()
    world.exchange.close()


def test_a_writer_whose_session_was_ended_writes_nothing_behind_the_next_one(databases: Databases) -> None:
    place, script = databases.copied(), random_script(92, 6)
    world = resumed(place)
    list(submit_all(world, script[:2]))
    terminate(place)
    second = resumed(place)  # the lock is free
    list(submit_all(second, script[:3]))
    facts = facts_hash(second.exchange)
    world.clock.at_ns = script[5][0]
    for _ in range(2):
        assert refusal(lambda: world.exchange.submit_many([script[5][1]])).code == Code.COMMIT_FAILED
    assert facts_hash(second.exchange) == facts == facts_hash(world.exchange)
    list(submit_all(second, script))
    world.exchange.close()  # gives back no lock that it no longer has
    assert refusal(lambda: shuiquan.open(place)).code == Code.LEDGER_LOCKED
    second.check()
    second.exchange.close()


def test_a_session_ended_in_the_middle_of_a_commit_leaves_nothing_of_it(databases: Databases) -> None:
    place, script = databases.copied(), random_script(93, 6)
    world = resumed(place)
    list(submit_all(world, script[:3]))
    with ThreadPoolExecutor(1) as threads:
        with stuck(place):
            task = submitting(world, threads, script, 3)
            wait_for(place, "Lock", task)
            terminate(place)
        check_closed(world, script, task)
    check_reopened(databases, world, place, script, 3)


def test_a_commit_whose_answer_is_lost_is_found_by_its_command_id(
    postgres: PostgresServer, databases: Databases
) -> None:
    place, script = databases.copied(), random_script(94, 6)
    world = resumed(place)
    list(submit_all(world, script[:3]))
    world.exchange.close()
    postgres.crash()
    postgres.start(synchronous_standby_names="nobody")  # for whom a commit waits when it is on this disk already
    try:
        world = resumed(place)
        with ThreadPoolExecutor(1) as threads:
            task = submitting(world, threads, script, 3)
            wait_for(place, "SyncRep", task)
            terminate(place)
            check_closed(world, script, task)
    finally:
        postgres.crash()
        postgres.start()
    check_reopened(databases, world, place, script, 4)


def test_a_server_that_crashes_in_the_middle_of_a_commit_leaves_nothing_of_it(
    postgres: PostgresServer, databases: Databases
) -> None:
    place, script = databases.copied(), random_script(95, 6)
    world = resumed(place)
    list(submit_all(world, script[:3]))
    with ThreadPoolExecutor(1) as threads:
        with suppress(psycopg.OperationalError), stuck(place):
            task = submitting(world, threads, script, 3)
            wait_for(place, "Lock", task)
            postgres.crash()
        check_stopped(world, script, task)
        postgres.start()
        check_closed(world, script, task)
    check_reopened(databases, world, place, script, 3)


def check_stopped(world: World, script: Script, task: Future[Any]) -> None:
    """While the server is down, a writer and a reader say so, each by its code."""
    assert refusal(task.result).code == Code.COMMIT_FAILED
    assert refusal(lambda: world.exchange.submit_many([script[4][1]])).code == Code.COMMIT_FAILED
    assert refusal(lambda: list(world.exchange.facts())).code == Code.SERVER_UNREACHABLE
    assert refusal(lambda: shuiquan.open(world.path)).code == Code.SERVER_UNREACHABLE


def backend(place: Database) -> int:
    """The process of the session that holds a ledger's lock."""
    with place.server.connect(place.name) as connection:
        ((pid,),) = connection.execute(
            "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND datname = %s AND objid = %s", [place.name, LOCK],
        )  # fmt: skip
    return int(pid)


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_server_that_stands_still_ends_the_commit_in_time_and_its_outcome_is_found(
    databases: Databases, moment: str
) -> None:
    place, script = databases.copied(), random_script(98, 6)
    world = resumed(place.impatient)
    list(submit_all(world, script[:3]))
    process = backend(place)
    with ThreadPoolExecutor(1) as threads:
        try:
            if moment == "before":
                os.kill(process, signal.SIGSTOP)
                task = submitting(world, threads, script, 3)
            else:
                with stuck(place):
                    task = submitting(world, threads, script, 3)
                    wait_for(place, "Lock", task)
                    os.kill(process, signal.SIGSTOP)
            check_closed(world, script, task)
            assert refusal(lambda: shuiquan.open(place)).code == Code.LEDGER_LOCKED  # by what may still happen
        finally:
            os.kill(process, signal.SIGCONT)
    check_reopened(databases, world, place, script, 4)  # the server had it all, and did it when it could


def test_a_server_of_which_every_process_stands_still_is_a_refusal_in_time(
    postgres: PostgresServer, databases: Databases
) -> None:
    place, script = databases.copied(), random_script(99, 6)
    world = resumed(place.impatient)
    list(submit_all(world, script[:3]))
    with ThreadPoolExecutor(1) as threads, postgres.standing_still():
        task = submitting(world, threads, script, 3)
        check_closed(world, script, task)
        for act in (lambda: list(world.exchange.facts()), lambda: shuiquan.open(place.impatient)):
            assert refusal(act).code == Code.SERVER_UNREACHABLE
    with suppress(Refused):
        world.exchange.close()
    released(place)
    ending = undisturbed(databases.copied(), script)
    world = resumed(place)
    assert world.exchange.state_hash() in ending.states[3:5]  # unknown: the server may have read the statement or not
    steps = list(submit_all(world, script))
    assert [(name, span) for name, span, _, _ in steps] == list(ending.spans.items())
    assert facts_hash(world.exchange) == ending.facts
    world.exchange.close()


def test_a_reader_goes_on_when_the_server_comes_back(postgres: PostgresServer, databases: Databases) -> None:
    place, script = databases.copied(), random_script(96, 6)
    with shuiquan.open(place, readonly=True) as reader:
        before = facts_hash(reader)
        postgres.crash()
        postgres.start()
        assert facts_hash(reader) == before
        world = resumed(place)
        list(submit_all(world, script))
        assert facts_hash(reader) == facts_hash(world.exchange)
        assert reader.holdings() == world.exchange.holdings()
        world.exchange.close()


# tools around it


def test_a_dump_restored_elsewhere_is_the_same_journal(
    postgres: PostgresServer, databases: Databases, tmp_path: Path
) -> None:
    place, script = databases.copied(), random_script(97, 6)
    world = resumed(place)
    list(submit_all(world, script[:3]))
    dump = tmp_path / "journal.sql"
    postgres.client("pg_dump", place.name, "--schema=shuiquan", f"--file={dump}")
    kept = verified(place)
    list(submit_all(world, script))
    world.exchange.close()
    other = databases.new()
    postgres.client("psql", other.name, "--quiet", "--set=ON_ERROR_STOP=1", f"--file={dump}")
    assert verified(other) == kept
    restored = resumed(other)
    list(submit_all(restored, script))
    assert verified(other) == verified(place)
    restored.check()
    restored.exchange.close()


def test_the_command_line_takes_an_address_and_shows_no_password(
    postgres: PostgresServer, databases: Databases
) -> None:
    place = databases.copied()

    def shuiquan_command(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "shuiquan", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
        shown = run.stdout + run.stderr
        assert not any(text in shown for text in (PASSWORD, parse_password(PASSWORD), SECRET))
        return run.returncode, shown

    status, shown = shuiquan_command("audit", "verify", "--ledger", place)
    assert (status, verified(place).head in shown) == (0, True)
    status, shown = shuiquan_command("holdings", "--ledger", postgres.url(place.name, password=SECRET))
    assert (status, "LOGIN_REFUSED" in shown) == (1, True)
