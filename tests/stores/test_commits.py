"""A commit that fails leaves nothing and closes the writer."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shuiquan import Code, Refused
from tests.ledger.scripts import random_script
from tests.stores.homes import Database, Home, Place, database, insert
from tests.stores.ledgers import Script, facts_hash, recorded, resumed, submit_all, undisturbed
from tests.world import World


@pytest.fixture
def ledger(home: Home) -> Place:
    """A closed ledger to go on with."""
    return home.copied()


def check_failed_commit(world: World, script: Script, at: int) -> str:
    """The submission fails and everything after it is refused; returns what was there before, and still is."""
    before = facts_hash(world.exchange)
    world.clock.at_ns = script[at][0]
    for number in (at, at, at + 1, 0):
        with pytest.raises(Refused) as failed:
            world.exchange.submit_many([script[number][1]])
        assert failed.value.code == Code.COMMIT_FAILED
    assert facts_hash(world.exchange) == before
    assert world.exchange.query("SELECT COUNT(*) AS parties FROM parties") == [{"parties": 4}]
    return before


def check_mended(world: World, script: Script, at: int, before: str) -> None:
    """After reopening, all submissions have one effect."""
    world.reopen()
    assert facts_hash(world.exchange) == before
    assert [step[2] for step in submit_all(world, script)] == [True] * at + [False] * (len(script) - at)
    world.check()


@contextmanager
def no_more(ledger: Place, table: str) -> Iterator[None]:
    """The database refuses every row of a table for a while."""
    with database(ledger) as connection:
        if isinstance(ledger, Database):
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT full_up CHECK (false) NOT VALID")
        else:
            refuse = "BEGIN SELECT RAISE(ABORT, 'full'); END"
            connection.execute(f"CREATE TRIGGER full_up AFTER INSERT ON {table} {refuse}")
    yield
    with database(ledger) as connection:
        dropped = f"ALTER TABLE {table} DROP CONSTRAINT full_up"
        connection.execute(dropped if isinstance(ledger, Database) else "DROP TRIGGER full_up")


@pytest.mark.parametrize("table", ["stored_events", "submissions"])
def test_a_failed_commit_closes_the_writer_and_leaves_nothing(home: Home, ledger: Place, table: str) -> None:
    script = random_script(81, 6)
    world = resumed(ledger)
    list(submit_all(world, script[:3]))
    with no_more(ledger, table):
        before = check_failed_commit(world, script, 3)
    check_mended(world, script, 3, before)
    ending = undisturbed(home.copied(), script)
    assert (facts_hash(world.exchange), world.exchange.state_hash()) == (ending.facts, ending.states[-1])
    world.exchange.close()


def test_a_writer_that_got_past_the_lock_meets_the_fence(home: Home, ledger: Place) -> None:
    script = random_script(82, 6)
    world = resumed(ledger)
    list(submit_all(world, script[:2]))
    position = world.exchange.position + 1
    with database(ledger) as connection:
        insert(connection, ledger, (position, "market.opened/1", b""))
    world.clock.at_ns = script[2][0]
    with pytest.raises(Refused) as failed:
        world.exchange.submit_many([script[2][1]])
    assert failed.value.code == Code.COMMIT_FAILED
    with database(ledger) as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_version = ?", (position,))
    world.reopen()
    assert list(recorded(world.exchange))[-2:] == ["s0", "s1"]
    ending = undisturbed(home.copied(), script)
    assert [step[3] for step in submit_all(world, script)][-1] == ending.states[-1]
    world.exchange.close()
