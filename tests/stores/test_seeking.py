"""Records found by the numbers of their facts: the same as reading all of them finds."""

import itertools
from contextlib import closing

import pytest

from ledger.journal.records import parse
from ledger.journal.seeking import entries_from_seq, last_seq
from shuiquan.config import parse_target
from tests.ledger.scripts import play, random_script
from tests.stores.homes import Home, database
from tests.stores.ledgers import resumed


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
