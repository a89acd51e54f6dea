"""Records found by the numbers of their facts: the same as reading all of them finds. Answers read again."""

import itertools
from contextlib import closing

import numpy as np
import pytest

from ledger.journal.records import parse
from ledger.journal.seeking import entries_from_seq, last_seq
from ledger.submissions import Submission
from shuiquan.config import parse_target
from tests.ledger.scripts import play, random_script
from tests.stores.homes import Home, database
from tests.stores.ledgers import resumed
from tests.world import seen


@pytest.mark.parametrize(
    ("page_facts", "join", "kept"), [(1, 3, True), (5, 40, True), (65_536, 1, True), (3, 9, False)]
)
def test_look_up_by_number_finds_what_a_scan_finds(home: Home, page_facts: int, join: int, kept: bool) -> None:
    place = home.copied()
    world = resumed(place, page_facts=page_facts)
    play(world, random_script(71, 60), join)
    world.exchange.close()
    if not kept:
        with database(place) as tables:
            tables.execute("DELETE FROM begins")
    with closing(parse_target(place).open(writable=False)) as store:
        headers = [parse(*entry[::2]).header for entry in store.entries()]
        count, end = len(headers), max(header.last_seq for header in headers)
        assert any(one.last_seq > other.first_seq for one, other in itertools.pairwise(headers))
        for seq in range(end + 2):
            first = next((at for at, header in enumerate(headers, 1) if header.last_seq >= seq), None)
            found = next(entries_from_seq(store, seq), None)
            assert (found and found.position) == first, seq
        highest = 0
        assert [last_seq(store, position) for position in (-1, 0, count + 1)] == [0, 0, 0]
        for position, header in enumerate(headers, start=1):
            highest = max(highest, header.last_seq)
            assert last_seq(store, position) == highest, position


@pytest.mark.parametrize(("page_facts", "join"), [(3, 1), (7, 12), (65_536, 60)])
def test_many_repeats_at_once_in_any_order_get_their_first_answers(home: Home, page_facts: int, join: int) -> None:
    world = resumed(home.copied(), page_facts=page_facts)
    script: list[Submission] = [submission for _, submission in random_script(72, 60)]
    first = [answer for at in range(0, 60, join) for answer in world.exchange.submit_many(script[at : at + join])]
    world.reopen()
    rng = np.random.default_rng(1)
    for count in (60, 20, 2):
        chosen = rng.permutation(60)[:count].tolist()
        again = world.exchange.submit_many([script[number] for number in chosen])
        assert all(answer.repeated for answer in again)
        assert [seen(answer) for answer in again] == [seen(first[number]) for number in chosen]
    world.exchange.close()
