"""Group commit: many callers, one writer, one commit ahead of the disk; the facts are those of a plain writer."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import asdict

import shuiquan
from ledger.rows import ORDER, SUBMISSIONS
from ledger.submissions import Submission
from shuiquan import Code, Limits, Refused, Role, SuspendParty
from tests.ledger.scripts import random_orders, random_script
from tests.stores.homes import Files, Home, Place, database
from tests.stores.ledgers import acknowledged, facts_hash, finished, recorded, resumed, start
from tests.world import OPERATOR, World


@pytest.fixture
def ledger(files: Files) -> Path:
    """A closed ledger to go on with, in a file."""
    return files.copied()


def at_one_time(seed: int, length: int) -> list[Submission]:
    """Submissions of a script, to be decided at one time, most of them of a few orders."""
    return [submission for _, submission in random_script(seed, length, batch=6)]


def one_by_one(path: Place, submissions: list[Submission], at_ns: int) -> tuple[str, str]:
    """Hashes of facts and state when each submission is a commit of its own."""
    world = resumed(path)
    world.clock.at_ns = at_ns
    for submission in submissions:
        world.exchange.submit_many([submission])
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.exchange.close()
    return hashes


def in_recorded_order(exchange: Any, submissions: list[Submission]) -> list[Submission]:
    """The submissions as the journal has them."""
    by_name = {submission.command_id: submission for submission in submissions}
    return [by_name[name] for name in recorded(exchange) if name in by_name]


@pytest.mark.parametrize("seed", range(300, 308))
def test_grouping_changes_no_fact_and_no_state(home: Home, seed: int) -> None:
    submissions = at_one_time(seed, 60)
    at_ns = random_script(seed, 60, batch=6)[-1][0]
    rng = np.random.Generator(np.random.PCG64(seed))
    world = resumed(home.copied(), page_facts=32)
    world.clock.at_ns = at_ns
    promises: list[Future[Any]] = []
    at = 0
    while at < len(submissions):
        size = int(rng.integers(1, 20))
        promises.append(world.exchange.submit_ahead(submissions[at : at + size]))
        at += size
    answers = [answer for promise in promises for answer in promise.result()]
    repeats = world.exchange.submit_many(submissions)
    for answer, repeat in zip(answers, repeats, strict=True):
        assert repeat.repeated
        assert (answer.first_seq, answer.last_seq, answer.at_ns) == (repeat.first_seq, repeat.last_seq, repeat.at_ns)
        assert answer.acts == repeat.acts
        for name in ("orders", "trades", "removals", "readings", "uses"):
            assert (getattr(answer, name) == getattr(repeat, name)).all(), name
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.check()
    world.exchange.close()
    assert hashes == one_by_one(home.copied(), submissions, at_ns)


def test_orders_that_run_out_within_a_commit_expire_where_they_would_alone(files: Files, ledger: Path) -> None:
    world = resumed(ledger)
    now = world.clock.at_ns
    order = world.order(shuiquan.Side.SELL, "A", 3_000, 5, time_in_force=shuiquan.TimeInForce.GTD, expires_at_ns=now)
    buy = world.order(shuiquan.Side.BUY, "B", 3_000, 5)
    batches = [order, buy, order, order, buy]
    submissions = [Submission(rows, command_id=f"x{at}", **OPERATOR) for at, rows in enumerate(batches)]
    world.exchange.submit_many(submissions)
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.exchange.close()
    assert hashes == one_by_one(files.copied(), submissions, now)


def test_who_changes_what_he_handed_over_changes_nothing(files: Files, ledger: Path) -> None:
    script = at_one_time(320, 60)
    at_ns = random_script(320, 60, batch=6)[-1][0]
    world = resumed(ledger)
    world.clock.at_ns = at_ns
    with world.exchange._pipeline.still():
        promise = world.exchange.submit_ahead(script)
        for submission in script:
            if isinstance(submission.content, np.ndarray):
                submission.content[:] = np.zeros(1, submission.content.dtype)
            else:
                submission.content.clear()  # type: ignore[attr-defined]
    promise.result()
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.exchange.close()
    assert hashes == one_by_one(files.copied(), at_one_time(320, 60), at_ns)


class Hostile(list[Any]):
    """A list that cannot be read."""

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError


def test_what_cannot_be_read_is_refused_and_hurts_nobody_else(ledger: Path) -> None:
    world = resumed(ledger)
    order = world.order(shuiquan.Side.BUY, "A", 2_000, 1)
    contents: list[Any] = [order, Hostile([1]), None, order, [Hostile([1])], object()]

    async def main() -> list[Any]:
        asked = [
            world.exchange.submit_async(content, command_id=f"x{at}", **OPERATOR) for at, content in enumerate(contents)
        ]
        return await asyncio.gather(*asked, return_exceptions=True)

    told = asyncio.run(main())
    submissions = [Submission(content, command_id=f"y{at}", **OPERATOR) for at, content in enumerate(contents)]
    for answers in (told, world.exchange.submit_many(submissions)):
        codes = [answer.code if isinstance(answer, Refused) else None for answer in answers]
        assert codes == [None, *[Code.WRONG_TYPE] * 2, None, *[Code.WRONG_TYPE] * 2]
    world.check()
    world.exchange.close()


def submit_from_threads(world: World, submissions: list[Submission], threads: int) -> None:
    """Each thread submits its share, one after the other."""

    def run(share: list[Submission]) -> None:
        for submission in share:
            world.exchange.submit_many([submission])

    runners = [threading.Thread(target=run, args=(submissions[at::threads],)) for at in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()


def submit_from_tasks(world: World, submissions: list[Submission], tasks: int) -> None:
    """Each task submits its share, one after the other."""

    async def run(share: list[Submission]) -> None:
        for one in share:
            await world.exchange.submit_async(**asdict(one))

    async def main() -> None:
        await asyncio.gather(*(run(submissions[at::tasks]) for at in range(tasks)))

    asyncio.run(main())


@pytest.mark.parametrize("way", [submit_from_threads, submit_from_tasks])
def test_callers_side_by_side_keep_their_order_and_share_commits(home: Home, way: Any) -> None:
    submissions, callers = at_one_time(310, 120), 12
    world = resumed(home.copied())
    world.clock.at_ns = at_ns = random_script(310, 120, batch=6)[-1][0]
    way(world, submissions, callers)
    taken = in_recorded_order(world.exchange, submissions)
    assert len(taken) == len(submissions)
    places = {submission.command_id: at for at, submission in enumerate(taken)}
    for caller in range(callers):
        mine = [places[submission.command_id] for submission in submissions[caller::callers]]
        assert mine == sorted(mine)
    load = world.exchange.load
    assert (load.answered, load.waiting, load.in_flight) == (len(submissions), 0, 0)
    assert load.commits < len(submissions)
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.check()
    world.exchange.close()
    assert hashes == one_by_one(home.copied(), taken, at_ns)


def test_a_command_id_given_many_times_at_once_has_one_effect(ledger: Path) -> None:
    world = resumed(ledger)
    rows = world.order(shuiquan.Side.SELL, "A", 3_000, 5)
    other = world.order(shuiquan.Side.SELL, "A", 3_001, 5)

    async def main() -> list[Any]:
        same = [world.exchange.submit_async(rows, command_id="same", **OPERATOR) for _ in range(50)]
        return await asyncio.gather(
            *same, world.exchange.submit_async(other, command_id="same", **OPERATOR), return_exceptions=True
        )

    *answers, reused = asyncio.run(main())
    assert {(answer.first_seq, answer.last_seq) for answer in answers} == {recorded(world.exchange)["same"]}
    assert [answer.repeated for answer in answers] == [False] + [True] * 49
    assert reused.code == Code.COMMAND_ID_REUSED
    world.exchange.close()


def test_a_cancelled_task_neither_loses_nor_repeats_what_it_submitted(ledger: Path) -> None:
    world = resumed(ledger)
    rows = [world.order(shuiquan.Side.SELL, "A", 3_000 + at, 1) for at in range(40)]

    async def main() -> None:
        tasks = [
            asyncio.ensure_future(world.exchange.submit_async(one, command_id=f"t{at}", **OPERATOR))
            for at, one in enumerate(rows)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    again = [world.exchange.submit(one, command_id=f"t{at}", **OPERATOR) for at, one in enumerate(rows)]
    assert all(answer.repeated for answer in again)
    assert [told.fact["command_id"] for told in world.exchange.facts() if told.topic == SUBMISSIONS][-40:] == [
        f"t{at}".encode() for at in range(40)
    ]
    world.exchange.close()


def test_a_failed_commit_takes_with_it_all_that_was_decided_on_top(files: Files, ledger: Path) -> None:
    submissions = at_one_time(320, 40)
    at_ns = random_script(320, 40, batch=6)[-1][0]
    world = resumed(ledger)
    world.clock.at_ns = at_ns
    for submission in submissions[:10]:
        world.exchange.submit_many([submission])
    failing = submissions[20].command_id
    with database(ledger) as connection:
        connection.execute(
            f"CREATE TRIGGER fail BEFORE INSERT ON submissions WHEN NEW.command_id = '{failing}' "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    promises = [world.exchange.submit_ahead([submission]) for submission in submissions[10:20]]
    before = [promise.result() for promise in promises]
    late: list[Any] = []
    for submission in submissions[20:]:
        with suppress(Refused):  # where the failure is known already
            late.append(world.exchange.submit_ahead([submission]))
    for promise in late:
        assert promise.exception().code == Code.COMMIT_FAILED
    assert set(recorded(world.exchange)).isdisjoint({one.command_id for one in submissions[20:]})
    with database(ledger) as connection:
        connection.execute("DROP TRIGGER fail")
    world.reopen()
    answers = world.exchange.submit_many(submissions)
    assert [answer.repeated for answer in answers] == [True] * 20 + [False] * 20
    spans = [(a.first_seq, a.last_seq) for (a,) in before]
    assert [(answer.first_seq, answer.last_seq) for answer in answers[10:20]] == spans
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.check()
    world.exchange.close()
    assert hashes == one_by_one(files.copied(), submissions, at_ns)


# back-pressure


def flood(world: World, count: int) -> Iterator[Refused | Future[Any]]:
    """Submit single orders without waiting for answers."""
    for at in range(count):
        rows = world.order(shuiquan.Side.SELL, "A", 3_000 + at % 50, 1)
        try:
            yield world.exchange.submit_ahead([Submission(rows, command_id=f"f{at}", **OPERATOR)])
        except Refused as refusal:
            yield refusal


@pytest.mark.parametrize("limits", [Limits(submissions=3), Limits(commands=3), Limits(bytes=3 * ORDER.itemsize)])
def test_a_full_queue_makes_callers_wait_or_refuses_by_code(ledger: Path, limits: Limits) -> None:
    world = resumed(ledger, limits=limits)
    waited = [promise.result() for promise in flood(world, 60) if isinstance(promise, Future)]
    assert len(waited) == world.exchange.load.answered == 60
    assert world.exchange.load.refused == 0
    world.reopen(limits=limits._replace(when_full="refuse"))
    world.exchange.submit_many(
        [Submission(random_orders(np.random.default_rng(0), 4, 60), command_id="many", **OPERATOR)]
    )
    with world.exchange._pipeline.still():  # as while a snapshot is packed
        told = list(flood(world, 80))
    refused = [one for one in told if isinstance(one, Refused)]
    assert (len(told) - len(refused), {one.code for one in refused}) == (3, {Code.QUEUE_FULL})
    for promise in told:
        if isinstance(promise, Future):
            promise.result()
    assert world.exchange.load.refused == len(refused)
    world.exchange.close()


@pytest.mark.parametrize(
    "limits",
    [Limits(submissions=0), Limits(commands=0), Limits(bytes=0), Limits(free_bytes=-1), Limits(when_full="drop")],
)
def test_limits_that_are_none_are_refused(ledger: Path, limits: Limits) -> None:
    with pytest.raises(Refused) as refused:
        resumed(ledger, limits=limits)
    assert refused.value.code == Code.OUT_OF_RANGE
    resumed(ledger).exchange.close()


def test_long_texts_fill_the_queue_as_many_orders_do(ledger: Path) -> None:
    world = resumed(ledger, limits=Limits(bytes=2_000, when_full="refuse"))
    long = [SuspendParty(party="P-A", document="示" * 300)]  # 900 bytes of UTF-8
    with world.exchange._pipeline.still():
        first, second = (
            world.exchange.submit_ahead([Submission(long, "clerk", Role.BUREAU, f"l{at}", "head")]) for at in (0, 1)
        )
        assert 1_800 < world.exchange.load.waiting_bytes < 2_000
        with pytest.raises(Refused) as refused:
            world.exchange.submit_ahead([Submission(long, "clerk", Role.BUREAU, "l2", "head")])
        assert refused.value.code == Code.QUEUE_FULL
    assert len(first.result()) == len(second.result()) == 1
    assert world.exchange.load.waiting_bytes == 0
    world.exchange.submit_many([Submission(long, "clerk", Role.BUREAU, "l2", "head")])
    world.exchange.close()


def test_tasks_wait_for_room_without_holding_up_their_loop(ledger: Path) -> None:
    world = resumed(ledger, limits=Limits(submissions=2))
    submit_from_tasks(world, at_one_time(330, 60), 30)
    assert (world.exchange.load.answered, world.exchange.load.refused) == (60, 0)
    world.exchange.close()


def test_intake_stops_while_the_disk_is_nearly_full_and_goes_on_when_there_is_room(ledger: Path) -> None:
    world = resumed(ledger, limits=Limits(free_bytes=2**62))
    before = facts_hash(world.exchange)
    rows = world.order(shuiquan.Side.SELL, "A", 3_000, 5)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            world.exchange.submit(rows, command_id="one", **OPERATOR)
        assert refused.value.code == Code.DISK_NEARLY_FULL
    assert world.exchange.load.refused == 2
    assert facts_hash(world.exchange) == before
    world.reopen(limits=Limits(free_bytes=0))
    assert not world.exchange.submit(rows, command_id="one", **OPERATOR).repeated
    world.exchange.close()


def test_closing_answers_what_waits_and_lets_nothing_more_in(ledger: Path) -> None:
    world = resumed(ledger)
    promises = [promise for promise in flood(world, 30) if isinstance(promise, Future)]
    world.exchange.close()
    assert sum(len(promise.result()) for promise in promises) == 30
    with pytest.raises(Refused) as refused:
        world.exchange.submit_ahead([])
    assert refused.value.code == Code.LEDGER_CLOSED


# a crash

CRASHING = """
import sys
import threading
from pathlib import Path
from tests.stores.ledgers import resumed
from tests.stores.test_pipeline import at_one_time
world = resumed(Path(sys.argv[1]))
submissions = at_one_time(int(sys.argv[2]), 400)

def run(share):
    for submission in share:
        (answer,) = world.exchange.submit_many([submission])
        sys.stdout.write(f"acknowledged {submission.command_id} {answer.first_seq} {answer.last_seq}\\n")
        sys.stdout.flush()

for at in range(8):
    threading.Thread(target=run, args=(submissions[at::8],)).start()
"""


@pytest.mark.parametrize("seed", [340, 341, 342])
def test_a_killed_writer_with_many_callers_keeps_what_it_acknowledged(ledger: Path, seed: int) -> None:
    child = start(CRASHING, ledger, seed)
    assert child.stdout
    said = [child.stdout.readline() for _ in range(40 + seed % 7)]
    child.kill()
    said += finished(child)[1]
    world = resumed(ledger)
    spans = recorded(world.exchange)
    told = acknowledged(said)
    assert len(told) >= 40
    assert told.items() <= spans.items()
    submissions = at_one_time(seed, 400)
    answers = world.exchange.submit_many(submissions)
    for one, answer in zip(submissions, answers, strict=True):
        assert answer.repeated == (one.command_id in spans)
        with suppress(KeyError):
            assert (answer.first_seq, answer.last_seq) == spans[one.command_id]
    world.check()
    world.exchange.close()
