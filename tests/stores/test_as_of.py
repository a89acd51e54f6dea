"""Asking as of a time: the very answers of a ledger that stopped there."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shuiquan
from ledger.feed import known_at, tell
from ledger.journal.records import GENESIS, Decoded, Draft, chain, draft_fact, draft_pages
from ledger.journal.store import Entry, Store
from ledger.replay import groups_after, segments_after
from ledger.rows import ORDERS
from shuiquan import Code, Refused
from shuiquan.asking import Asking
from tests.districts import START_NS
from tests.ledger.scripts import play, populate, random_script
from tests.stores.ledgers import filled
from tests.world import World

QUERIES = ("SELECT * FROM money", "SELECT * FROM market", "SELECT * FROM refusals", "SELECT * FROM last_readings")


def answers(asked: Asking) -> dict[str, Any]:
    """Everything that a ledger says of itself."""
    told = list(asked.facts())
    return {
        "holdings": asked.holdings(), "usage": asked.usage(), "totals": asked.totals(), "state": asked.state_hash(),
        "facts": [(one.position, one.seq, one.topic) for one in told],
        "found": [one.seq for one in asked.find(right="A", from_ns=told[len(told) // 2].at_ns)],
        "depth": asked.depth("SW-A"), "queries": [asked.query(query) for query in QUERIES],
    }  # fmt: skip


@pytest.mark.parametrize(("seed", "join"), [(71, 1), (72, 4)])
def test_a_ledger_as_of_a_time_answers_as_one_that_stopped_there(tmp_path: Path, seed: int, join: int) -> None:
    world = World(tmp_path / "ledger.db", page_facts=64)
    populate(world)
    stopped = {}
    script = random_script(seed, 36)
    for at in range(0, len(script), join):
        play(world, script[at : at + join], join)
        stopped[world.exchange.state.at_ns] = answers(world.exchange)
    times = sorted(stopped)
    with shuiquan.open(world.path, readonly=True) as beside:
        for exchange, moments in ((world.exchange, times[::4]), (beside, times[1::7])):
            for at_ns in moments:
                with exchange.as_of(at_ns) as then:
                    assert answers(then) == stopped[at_ns]
        for before, after in list(pairwise(times))[::6]:
            with world.exchange.as_of(after - 1) as then:
                assert then.state_hash() == stopped[before]["state"]
    with world.exchange.as_of(2**62) as then:  # what comes later is not told, although its time is asked for
        play(world, random_script(73, 3))
        assert answers(then) == stopped[times[-1]]
        with pytest.raises(Refused) as caught:
            then.fact(then.state.next_seq)
        assert caught.value.code == Code.NO_SUCH_FACT
    world.exchange.close()


def test_what_was_not_registered_then_is_unknown_then(world: World) -> None:
    world.add_right("A")
    world.clock.at_ns += 10
    world.add_right("B")
    with world.exchange.as_of(START_NS) as then:
        assert list(then.find(holder="P-A"))
        for which in ({"holder": "P-B"}, {"right": "B"}, {"meter": "M-B"}):
            with pytest.raises(Refused):
                then.find(**which)


def test_there_is_no_ledger_before_its_first_fact(world: World) -> None:
    for at_ns, code in (
        (START_NS - 1, Code.NOT_YET),
        (0, Code.NOT_YET),
        (-1, Code.OUT_OF_RANGE),
        ("x", Code.WRONG_TYPE),
    ):
        with pytest.raises(Refused) as caught:
            world.exchange.as_of(at_ns)
        assert caught.value.code == code


class Joined:
    """The journal of a ledger as if neighbouring commits had been one: pages hold submissions of many times."""

    def __init__(self, store: Store) -> None:
        drafts = (draft for group in groups_after(store, 0) for draft in joined_drafts(group))
        stored = enumerate(chain(drafts, GENESIS, 1), start=1)
        self.kept = [Entry(position, draft.topic, bytes(state)) for position, (draft, state, _) in stored]

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The records behind a position."""
        return iter(self.kept[after:])


def joined_drafts(group: Decoded) -> list[Draft]:
    """Records of some facts: a page for each topic of frequent ones."""
    drafts = [draft_fact(stamped) for stamped in group.facts]
    for topic, pages in group.pages.items():
        drafts += draft_pages(topic, np.concatenate(pages))
    return sorted(drafts, key=lambda draft: draft.first_seq)


def test_a_group_of_several_times_is_cut_between_them(tmp_path: Path) -> None:
    world = filled(tmp_path / "ledger.db", random_script(74, 25))
    told = list(world.exchange.facts())
    store: Any = Joined(world.exchange._store)
    world.exchange.close()
    groups = list(segments_after(store, 0))
    assert max(len({int(at) for page in group.pages.get(ORDERS, ()) for at in page["at_ns"]}) for group in groups) > 4
    for at_ns in sorted({one.at_ns for one in told})[::3]:
        known = list(known_at(store, at_ns))
        expected = [one.seq for one in told if one.at_ns <= at_ns]
        assert [one.seq for group in known for one in tell(group)] == expected
        assert known[-1].last_seq == expected[-1]
