"""The rules that hold after every batch, whatever is submitted: conservation, caps, replay equals live, paging."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ledger.audit import check_state
from ledger.journal.records import Decoded
from ledger.replay import replay
from ledger.state import State
from ledger.statehash import state_hash
from tests.ledger.scripts import play, populate, random_script
from tests.world import World


def facts_hash(world: World) -> str:
    """One hash over the canonical bytes of all facts."""
    digest = hashlib.sha256()
    for packed in world.exchange.canonical_facts():
        digest.update(packed)
    return digest.hexdigest()


@pytest.mark.parametrize("seed", range(3))
def test_every_rule_holds_after_every_batch_and_replay_equals_live(world: World, seed: int) -> None:
    populate(world)
    for at_ns, submission in random_script(seed, 60):
        world.clock.at_ns = at_ns
        (answer,) = world.exchange.submit_many([submission])
        assert not isinstance(answer, Exception), answer
        seqs = [stamped.seq for stamped in answer.acts]
        for column in (answer.orders, answer.trades, answer.removals, answer.readings, answer.uses):
            seqs += column["seq"].tolist()
        assert sorted(seqs) == list(range(answer.first_seq + 1, answer.last_seq + 1)), "facts are not dense"
        world.check()


def test_sums_are_zero_and_no_cap_is_exceeded_after_every_fact(world: World) -> None:
    populate(world)
    play(world, random_script(14, 60))
    state, count = State(), 0
    for position, seq, at_ns, topic, fact in world.exchange.facts():
        rare, pages = ([], {topic: [np.array([fact])]}) if isinstance(fact, np.void) else ([(seq, at_ns, fact)], {})
        replay(state, Decoded(rare, pages, position, seq, b""))
        check_state(state)
        count += 1
    assert count == state.next_seq - 1 > 800
    assert state_hash(state) == world.exchange.state_hash()


@pytest.mark.parametrize(("page_facts", "join"), [(7, 1), (1, 1), (65_536, 1)])
def test_paging_changes_no_fact(tmp_path: Path, page_facts: int, join: int) -> None:
    hashes = set()
    for name, options in {"plain": {}, "paged": {"page_facts": page_facts}}.items():
        world = World(tmp_path / f"{name}.db", **options)
        populate(world)
        play(world, random_script(11, 40), join)
        hashes.add((facts_hash(world), world.exchange.state_hash()))
        world.exchange.close()
    assert len(hashes) == 1


def test_joining_submissions_into_one_commit_changes_no_fact(tmp_path: Path) -> None:
    hashes = set()
    for join in (1, 5):
        world = World(tmp_path / f"{join}.db")
        populate(world)
        script = random_script(12, 40)
        frozen = [(script[5 * (at // 5) + 4][0], submission) for at, (_, submission) in enumerate(script)]
        play(world, frozen, join)
        hashes.add((facts_hash(world), world.exchange.state_hash()))
        world.exchange.close()
    assert len(hashes) == 1


PROGRAM = """
import sys
from pathlib import Path
from tests.ledger.scripts import play, populate, random_script
from tests.ledger.test_whole_ledger import facts_hash
from tests.world import World
world = World(Path(sys.argv[1]))
populate(world)
play(world, random_script(13, 40))
print(facts_hash(world), world.exchange.state_hash())
"""


def test_another_hash_seed_gives_the_same_facts(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    results = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / f"{seed}.db")],
            env={"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(Path.home())},
            cwd=root, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(results) == 1
    assert len(results.pop().split()[0]) == 64
