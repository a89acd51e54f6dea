"""A snapshot is the state it was made of: it opens to the same hash, goes on alike, and nothing unsound gets in."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.sqlite import SQLiteStore
from ledger.codes import Code, Refused
from ledger.journal.records import Record, decoded, groups
from ledger.replay import fold, joined, read_chain, replay
from ledger.snapshot import CHECKSUM, LENGTH, MAGIC, pack, program, read_header, unpack
from ledger.snapshot_parts import Registers
from ledger.state import State
from ledger.statehash import logical_state, state_hash
from matching.walk import check_books
from shuiquan import Action, SelfTrade, Side
from tests.districts import DAY_NS
from tests.ledger.scripts import play, populate, random_script
from tests.world import OPERATOR, Fork, World, check_sums, seen

DIGEST = bytes(range(32))

DERIVED = {"rows", "books", "tape", "journal", "_views", "_right_rows", "_terms", "_seen"}
"""Attributes of a state that a restored one makes anew from tables and orders."""

TABLES = {
    "_balance", "_account", "_party", "_cap", "_cap_members", "_scalars", "_instrument", "_actor", "_meter", "_share",
    "_limits", "_year_starts", "account_count", "cap_member_count", "share_count",
}  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger on which most things have happened."""
    world = World(tmp_path_factory.mktemp("played") / "ledger.db")
    populate(world)
    play(world, random_script(21, 60))
    world.exchange.close()
    return world.path


@pytest.fixture(scope="module")
def parts(played: Path) -> list[list[Record]]:
    """Its records in groups of dense facts."""
    store = SQLiteStore(played, writable=False)
    found = list(groups(read_chain(store), 1))
    store.close()
    return found


def after(state: State, rest: list[list[Record]]) -> State:
    """A state with the facts of these groups applied."""
    for group in joined(rest):
        replay(state, decoded(group))
    return state


def check(state: State) -> None:
    """Whatever holds of every state."""
    check_books(state.books)
    check_sums(state)
    assert int(state.books.pool["live"][0]) == np.count_nonzero(state.books.orders["order_id"])


@settings(max_examples=25)
@given(data=st.data())
def test_a_snapshot_anywhere_and_the_rest_lead_where_a_replay_does(data: st.DataObject, parts: list[Any]) -> None:
    first = next(at for at, group in enumerate(parts) if group[0].header.topic == "instrument.defined/1") + 2
    cut = data.draw(st.integers(first, len(parts)))
    state = after(State(), parts[:cut])
    restored = unpack(b"".join(pack(state, cut, DIGEST)))
    assert (restored.position, restored.digest) == (cut, DIGEST)
    assert logical_state(restored.state) == logical_state(state)
    check(restored.state)
    whole = after(state, parts[cut:])
    assert logical_state(after(restored.state, parts[cut:])) == logical_state(whole)
    check(restored.state)


def test_every_attribute_of_a_state_is_in_a_snapshot_or_made_anew() -> None:
    kept = set(Registers.__struct_fields__) | TABLES | DERIVED
    assert set(State().__dict__) == kept, "a state has what no snapshot holds: raise VERSION and add it"


def test_a_restored_state_decides_what_the_live_one_does(world: World) -> None:
    """Queue places, offers' chains, expiries, fees so far, identities and numbers all go on."""
    populate(world)
    play(world, random_script(22, 30))
    live, other = Fork(world), Fork(world)
    snapshot = unpack(b"".join(pack(other.exchange.state, 1, DIGEST)))
    other.exchange.state.restore(snapshot.state)
    other.before = copy.deepcopy(snapshot.state)
    for at_ns, submission in random_script(23, 60):
        answers = []
        for fork in (live, other):
            fork.clock.at_ns = at_ns + 30 * DAY_NS
            who = {"actor": submission.actor, "role": submission.role, "approver": submission.approver}
            answers.append(fork.submit(submission.content, who, linked=submission.linked))
        assert seen(answers[0]) == seen(answers[1])
    assert state_hash(live.exchange.state) == state_hash(other.exchange.state)
    other.check()
    check(other.exchange.state)


def test_queues_keep_their_order_and_arrivals(world: World) -> None:
    for name in ("A", "B", "C"):
        world.add_right(name, kind="irrigation", industry="farming", money_yuan=10_000)
    world.open_market()
    ids = [world.rest(Side.SELL, name, 3_000, 5, self_trade=SelfTrade.ALLOW) for name in "ABCABC"]
    world.submit(world.change(Action.REPLACE, ids[0], price=3_001), OPERATOR)
    world.submit(world.change(Action.REPLACE, ids[0], price=3_000), OPERATOR)
    state = world.exchange.state
    restored = unpack(b"".join(pack(state, 1, DIGEST))).state
    for one in (state, restored):
        queue, slot = [], int(one.books.levels["head"][one.books.levels["head"] > 0][0])
        while slot:
            queue.append((int(one.books.orders["order_id"][slot]), int(one.books.standing["arrival"][slot])))
            slot = int(one.books.orders["next"][slot])
        assert [order_id for order_id, _ in queue] == [*ids[1:], ids[0]]
    assert int(restored.books.pool["arrivals"][0]) == int(state.books.pool["arrivals"][0])


# what is not sound


@pytest.fixture(scope="module")
def good(played: Path) -> bytes:
    """A sound snapshot."""
    store, state = SQLiteStore(played, writable=False), State()
    position, digest = fold(state, store)
    store.close()
    return b"".join(pack(state, position, digest))


def sealed(data: bytes) -> bytes:
    """Bytes under a checksum that is right, as somebody makes them who knows the format."""
    body = data[:-CHECKSUM]
    return body + hashlib.sha256(body).digest()


def place_of(data: bytes, name: str) -> tuple[int, int]:
    """Where a part begins, and how long it is."""
    header = read_header(data)
    at = len(MAGIC) + LENGTH.size + LENGTH.unpack_from(data, len(MAGIC))[0]
    for part in header.parts:
        if part.name == name:
            return at, part.length
        at += part.length
    raise AssertionError(name)


def with_header(data: bytes, **changes: Any) -> bytes:
    """A snapshot that says something else of itself."""
    start = len(MAGIC) + LENGTH.size
    (length,) = LENGTH.unpack_from(data, len(MAGIC))
    header = msgspec.json.encode(msgspec.json.decode(data[start : start + length]) | changes)
    return sealed(MAGIC + LENGTH.pack(len(header)) + header + data[start + length :])


def refused(data: bytes) -> Refused:
    """The refusal of a snapshot."""
    with pytest.raises(Refused) as caught:
        unpack(data)
    assert caught.value.code == Code.SNAPSHOT_UNUSABLE
    return caught.value


def test_damage_is_refused_wherever_it_is(good: bytes) -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    for at in (0, 9, 20, *rng.integers(0, len(good), 60).tolist(), len(good) - 1):
        damaged = bytearray(good)
        damaged[at] ^= 1 << int(rng.integers(0, 8))
        refused(bytes(damaged))
    for length in (0, 4, 8, 11, 100, len(good) // 2, len(good) - 1):
        refused(good[:length])
    refused(good + b"\0")


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2}, {"program": "0" * 16}, {"state_hash": "0" * 64}, {"next_seq": 5}, {"ledger_id": "other"},
        {"parts": []}, {"later": 1}, {"position": "x"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_header_of_another_version_or_state_is_refused(good: bytes, changes: dict[str, Any]) -> None:
    assert read_header(good).program == program()
    refused(with_header(good, **changes))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("account", "owner", 10**6), ("account", "caps_at", 10**6), ("account", "caps", -5), ("account", "kind", 77),
        ("account", "zone", 100), ("account", "year", 1), ("account", "reference", 10**6),
        ("party", "money", 10**6), ("cap_members", None, 10**6), ("scalars", None, -1), ("actor", "party", 10**6),
        ("meter", "shares_at", -3), ("meter", "shares", 10**6), ("share", "right", 10**6), ("headroom", None, -1),
        ("year_starts", None, 0), ("orders", "book", 999), ("orders", "side", 2), ("orders", "zone", 100),
        ("orders", "price", 2**30),
        ("orders", "account", 10**6), ("orders", "actor", 10**6), ("orders", "owner", 0), ("orders", "quantity", -1),
        ("orders", "order_id", 7), ("orders", "arrival", 7), ("balance", None, 2**40), ("books", None, 0),
    ],
)  # fmt: skip
def test_numbers_that_lead_out_of_bounds_are_refused(good: bytes, name: str, field: str | None, value: int) -> None:
    from ledger.snapshot_parts import DTYPES

    start, length = place_of(good, name)
    table = np.frombuffer(bytearray(good[start : start + length]), DTYPES[name])
    assert len(table)
    if field is None:
        table[:] = value
    else:
        table[field] = value
    found = refused(sealed(good[:start] + table.tobytes() + good[start + length :]))
    assert found.field == ("unit" if name == "balance" else "parts"), found


def test_lengths_that_do_not_fit_are_refused(good: bytes) -> None:
    header = msgspec.to_builtins(read_header(good))
    for at in range(len(header["parts"])):
        for changes in ({"shape": [2**40]}, {"shape": [-1]}, {"length": -1}, {"length": 2**50}, {"dtype": "|O"}):
            parts = list(copy.deepcopy(header["parts"]))
            if parts[at]["name"] == "registers" and "length" not in changes:
                continue
            parts[at] |= changes
            refused(with_header(good, parts=parts))
