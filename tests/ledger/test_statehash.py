"""The state hash is over the canonical bytes that the rules say, here made once more in plain Python, row by row."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ledger.snapshot import pack, unpack
from ledger.state import State
from ledger.statehash import logical_state, state_hash
from ledger.statehash_orders import LONGEST, put_length, put_number
from matching.ladder import price_of
from matching.types import Side
from tests.ledger.scripts import play, populate, random_script
from tests.world import World


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A state with orders of both sides in several books, and late readings."""
    world = World(tmp_path_factory.mktemp("hashed") / "ledger.db")
    populate(world)
    play(world, random_script(31, 60))
    world.exchange.close()
    return world.exchange.state


def plain_orders(state: State) -> bytes:
    """Live orders by book, side, price and arrival, a column after the other."""
    rows: list[tuple[Any, ...]] = []
    for slot in np.flatnonzero(state.books.orders["order_id"]):
        order, standing, terms = state.books.orders[slot], state.books.standing[slot], state.market.terms[slot]
        lane, price = state.books.lanes[order["lane"]], int(price_of(state.books, order["lane"], order["rank"]))
        escrow = terms["escrow"] if lane["side"] == Side.BUY else 0
        place = (int(lane["book"]), int(lane["side"]), price, int(standing["arrival"]))
        entered = (lane["book"], lane["side"], lane["zone"], price)
        entered += tuple(order[name] for name in ("order_id", "owner", "quantity", "conditions"))
        owed = tuple(terms[name] for name in ("notional_fen", "limit_fen", "fee_ppm", "actor"))
        rows.append((place, (*entered, standing["expires_at_ns"], *owed, escrow)))
    rows.sort(key=lambda row: row[0])
    assert len(rows) > 20
    assert {place[1] for place, _ in rows} == {0, 1}
    kinds = "<iiiqqqqbqqqiiq"
    return b"".join(struct.pack(f"<{kinds[at + 1]}", int(row[at])) for at in range(len(kinds) - 1) for _, row in rows)


def plain_chains(state: State) -> bytes:
    """The offers of each holding, by right and year, from the first on."""
    account, chains = state.accounts.account, []
    for row in np.flatnonzero(account["first_offer"]):
        ids, slot = [], int(account["first_offer"][row])
        while slot:
            ids.append(int(state.books.orders["order_id"][slot]))
            slot = int(state.market.terms["next_offer"][slot])
        chains.append((int(account["reference"][row]), int(account["year"][row]), ids))
    assert len(chains) > 2
    return msgspec.msgpack.encode(sorted(chains))


def test_orders_and_offers_go_in_as_the_rules_say(state: State) -> None:
    assert logical_state(state)["orders"] == plain_orders(state) + plain_chains(state)


def test_identities_go_in_by_meter_time_and_sequence(state: State) -> None:
    seen = state.recent_identities()
    assert len(seen) > 20
    ordered = sorted(seen.tolist(), key=lambda row: (row[1], row[0], row[2]))
    assert logical_state(state)["identities"] == np.array(ordered, seen.dtype).tobytes()


def test_sequences_of_one_instant_are_told_apart(state: State) -> None:
    """Meters may report twice in an instant; then the sequence says which came first, whatever place they lie at."""
    seen = state.recent_identities()[:6].copy()
    seen["measured_at_ns"], seen["meter"], seen["sequence"] = state.at_ns, [1, 0, 1, 0, 1, 0], [5, 9, 3, 2, 4, 1]
    found = []
    for order in (np.arange(6), np.arange(6)[::-1]):
        other = unpack(b"".join(pack(state, 1, bytes(32)))).state
        other._seen = seen[order]
        found.append(logical_state(other)["identities"])
    assert found[0] == found[1] == np.sort(seen, order=("meter", "measured_at_ns", "sequence")).tobytes()


def test_the_hash_is_over_names_and_parts(state: State) -> None:
    whole = b"".join(name.encode() + b"\0" + value + b"\0" for name, value in logical_state(state).items())
    assert state_hash(state) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**63 - 1])
def test_numbers_are_those_of_messagepack(number: int) -> None:
    packed = np.zeros(LONGEST, np.uint8)
    assert packed[: put_number(packed, 0, number)].tobytes() == msgspec.msgpack.encode(number)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 2**16 - 1, 2**16])
def test_lengths_are_those_of_messagepack(length: int) -> None:
    packed, whole = np.zeros(LONGEST, np.uint8), msgspec.msgpack.encode([0] * length)
    assert packed[: put_length(packed, 0, length)].tobytes() == whole[: len(whole) - length]


def test_a_restored_state_hashes_alike(state: State, tmp_path: Path) -> None:
    (tmp_path / "packed").write_bytes(b"".join(pack(state, 1, bytes(32))))
    assert logical_state(unpack((tmp_path / "packed").read_bytes()).state) == logical_state(state)
