"""A client answers as the exchange does: every case runs on both, on copies of one ledger."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import asdict

import shuiquan
from ledger.submissions import Submission
from ledger.submitting import Submitting
from shuiquan import Code, Limits, OpenMarket, Person, Refused, RegisterParty
from tests.ledger.scripts import random_orders, random_script
from tests.ledger.test_malformed import MALFORMED
from tests.socket.peers import all_shown, shown
from tests.stores.homes import Files, Home, database
from tests.stores.ledgers import facts_hash, recorded, resumed
from tests.stores.test_pipeline import at_one_time, in_recorded_order, one_by_one
from tests.world import BUREAU, OPERATOR, World


@contextmanager
def embedded(world: World) -> Iterator[Submitting]:
    """The exchange itself."""
    yield world.exchange


@contextmanager
def connected(world: World) -> Iterator[Submitting]:
    """A client of it."""
    with world.exchange.serve(), shuiquan.connect(world.path) as client:
        yield client


def raised(act: Callable[[], Any]) -> Any:
    """What a caller sees of a submission that may be refused."""
    try:
        return shown(act())
    except Refused as refusal:
        return shown(refusal)


def repeated(submitting: Submitting, seed: int) -> list[Any]:
    """Everything twice, in one commit, and once more."""
    submissions = at_one_time(seed, 12)
    return [*submitting.submit_many([*submissions, *submissions]), *submitting.submit_many(submissions)]


def in_chunks(submitting: Submitting, seed: int) -> list[Any]:
    """Requests of several sizes without waiting for answers."""
    submissions = at_one_time(seed, 60)
    promises = [submitting.submit_ahead(submissions[at : at + 7]) for at in range(0, 60, 7)]
    return [answer for promise in promises for answer in promise.result()]


def from_a_task(submitting: Submitting, seed: int) -> list[Any]:
    """One after the other, by a task."""

    async def main() -> list[Any]:
        return [await submitting.submit_async(**asdict(one)) for one in at_one_time(seed, 20)]

    return asyncio.run(main())


def with_malformed_ones(submitting: Submitting, seed: int) -> list[Any]:
    """Sound ones among malformed ones."""
    sound = at_one_time(seed, len(MALFORMED))
    names = zip(sound, MALFORMED.values(), strict=True)
    mixed = [
        (one, Submission(content, who["actor"], who["role"], f"m{at}", who.get("approver", "")))
        for at, (one, (_, content, who)) in enumerate(names)
    ]
    return submitting.submit_many(list(itertools.chain(*mixed)))


def of_many_orders(submitting: Submitting, seed: int) -> list[Any]:
    """A batch of several megabytes, then the same content under the same id, then other content."""
    rows = random_orders(np.random.default_rng(seed), 40_000, 60)
    other = rows.copy()
    other["price"][5] += 1
    return submitting.submit_many([Submission(one, command_id="many", **OPERATOR) for one in (rows, rows, other)])


def of_nothing(submitting: Submitting, _: int) -> list[Any]:
    """No submissions."""
    return submitting.submit_many([])


WAYS = [repeated, in_chunks, from_a_task, with_malformed_ones, of_many_orders, of_nothing]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_answers_facts_and_state_are_those_of_the_exchange(files: Files, way: Callable[..., list[Any]]) -> None:
    seen = []
    for reach in (embedded, connected):
        world = resumed(files.copied(), page_facts=512)
        world.clock.at_ns = random_script(400, 60, batch=6)[-1][0]
        with reach(world) as submitting:
            outcomes = all_shown(way(submitting, 400))
            seen.append((outcomes, facts_hash(world.exchange), world.exchange.state_hash()))
        world.check()
        world.exchange.close()
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_refused_as_by_the_exchange(world: World, name: str) -> None:
    _, content, who = MALFORMED[name]
    with connected(world) as client:
        position = world.exchange.position
        said = [raised(lambda to=to: to.submit(content, command_id="m", **who)) for to in (world.exchange, client)]
        assert said[0] == said[1]
        assert world.exchange.position == position
        assert client.submit(OpenMarket(instrument="SW-A"), command_id="sound", **OPERATOR).acts


@pytest.mark.parametrize("linked", [1, "all", None, object()], ids=["number", "word", "nothing", "object"])
def test_linked_is_true_or_false_whoever_asks(world: World, linked: Any) -> None:
    with connected(world) as client:
        for submitting in (world.exchange, client):
            with pytest.raises(Refused) as refused:
                submitting.submit(OpenMarket(instrument="SW-A"), command_id="m", linked=linked, **OPERATOR)
            assert (refused.value.code, refused.value.field) == (Code.WRONG_TYPE, "linked")
            assert submitting.submit(OpenMarket(instrument="SW-A"), command_id="sound", **OPERATOR).acts


def test_personal_data_reaches_the_side_register_and_no_fact(world: World) -> None:
    person = Person(name="示例甲", identity_number="示例")
    with connected(world) as client:
        client.submit(RegisterParty(code="P-1", kind="person", person=person), command_id="p", **BUREAU)
    assert world.exchange.person("P-1") == person
    assert "示例甲".encode() not in b"".join(world.exchange.canonical_facts())


@pytest.mark.parametrize("when_full", ["wait", "refuse"])
def test_a_full_queue_makes_clients_wait_or_refuses_by_code(ledger: Path, when_full: str) -> None:
    world = resumed(ledger, limits=Limits(submissions=3, when_full=when_full))
    submissions = at_one_time(410, 80)
    with connected(world) as client:
        if when_full == "wait":
            promises = [client.submit_ahead([one]) for one in submissions]
        else:
            with world.exchange._pipeline.still():  # as while a snapshot is packed
                promises = [client.submit_ahead([submissions[0]])]
                wait_until(lambda: world.exchange.load.waiting)
                late = client.submit_ahead(submissions[-4:])
                wait_until(lambda: world.exchange.load.refused)
            with pytest.raises(Refused) as refused:
                late.result()
            assert refused.value.code == Code.QUEUE_FULL
        assert all(promise.result() for promise in promises)
        load = client.load
    assert load.answered == len(recorded_since(world, submissions)) == len(promises)
    assert load.refused == (0 if when_full == "wait" else 4)
    world.exchange.close()


def wait_until(happened: Callable[[], Any]) -> None:
    """Let other threads run until something has happened."""
    while not happened():
        threading.Event().wait(0.001)


def recorded_since(world: World, submissions: list[Submission]) -> list[str]:
    """The command ids of these submissions that are recorded, each as often as it is."""
    wanted = {one.command_id for one in submissions}
    return [name for name in recorded(world.exchange) if name in wanted]


def test_a_failed_commit_is_told_to_clients_as_to_callers(world: World) -> None:
    with database(world.path) as connection:
        connection.execute("CREATE TRIGGER fail BEFORE INSERT ON submissions BEGIN SELECT RAISE(ABORT, 'full'); END")
    with connected(world) as client:
        for submitting in (client, world.exchange, client):
            with pytest.raises(Refused) as refused:
                submitting.submit(OpenMarket(instrument="SW-A"), command_id="1", **OPERATOR)
            assert refused.value.code == Code.COMMIT_FAILED


def test_clients_side_by_side_keep_their_order_and_share_commits(home: Home) -> None:
    submissions, callers = at_one_time(420, 120), 12
    world = resumed(home.copied())
    world.clock.at_ns = at_ns = random_script(420, 120, batch=6)[-1][0]

    async def run(client: Submitting, share: list[Submission]) -> None:
        for one in share:
            await client.submit_async(**asdict(one))

    async def main(clients: list[Submitting]) -> None:
        await asyncio.gather(*(run(clients[at % 3], submissions[at::callers]) for at in range(callers)))

    with world.exchange.serve() as server:
        with shuiquan.connect(world.path) as one, shuiquan.connect(world.path) as other:
            asyncio.run(main([one, other, world.exchange]))
        assert (server.served.greeted, server.served.commands > 80) == (2, True)
    taken = in_recorded_order(world.exchange, submissions)
    places = {submission.command_id: at for at, submission in enumerate(taken)}
    assert len(taken) == len(submissions)
    for caller in range(callers):
        mine = [places[submission.command_id] for submission in submissions[caller::callers]]
        assert mine == sorted(mine)
    assert world.exchange.load.commits < len(submissions)
    hashes = facts_hash(world.exchange), world.exchange.state_hash()
    world.check()
    world.exchange.close()
    assert hashes == one_by_one(home.copied(), taken, at_ns)
