"""Finding facts: the same as a scan of the whole journal would find, without one."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shuiquan
from adapters.stores.sqlite import SQLiteStore
from ledger import facts
from ledger.facts import TOPICS
from ledger.feed import Told
from ledger.journal.seeking import KEPT_RECORDS
from ledger.journal.store import Entry
from ledger.limits import Limits
from ledger.rows import ORDERS, PAGE_DTYPES, READINGS
from projections.places import REFERENCES
from shuiquan import Code, Refused
from shuiquan.exchange import Exchange
from tests.districts import HOUR_NS, START_NS
from tests.ledger.scripts import METERS, RIGHTS, play, populate, random_script
from tests.stores.homes import copied, database
from tests.stores.ledgers import resumed, stored
from tests.world import World

HOLDERS = {"P-A": "AF", "P-B": "B", "P-C": "CD", "P-E": "E"}


@pytest.fixture(scope="module", params=[(61, 50, 1, 65_536), (62, 70, 5, 16)], ids=["single", "joined"])
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger of many submissions: each a commit of its own, or joined into commits and cut into pages."""
    seed, length, join, page_facts = request.param
    world = World(tmp_path_factory.mktemp("finding") / "ledger.db", page_facts=page_facts)
    populate(world)
    play(world, random_script(seed, length), join)
    world.exchange.close()
    return world.path


@pytest.fixture
def exchange(ledger: Path, tmp_path: Path) -> Iterator[Exchange]:
    """That ledger, opened."""
    with shuiquan.open(copied(ledger, tmp_path / "ledger.db")) as opened:
        yield opened


def field_values(fact: Any) -> dict[str, Any]:
    """The fields of any fact by name."""
    if isinstance(fact, facts.Fact):
        return {name: getattr(fact, name) for name in fact.__struct_fields__}
    return {name: fact[name].item() for name in fact.dtype.names if fact[name].dtype.kind == "i"}


def named(told: Told) -> dict[str, set[int]]:
    """What a fact names, by the names of its fields alone."""
    found: dict[str, set[int]] = {"party": set(), "right": set(), "meter": set(), "order_id": set()}
    for name, value in field_values(told.fact).items():
        for what, numbers in found.items():
            if (name == what or name.endswith(f"_{what}")) and name != "client_order_id":
                numbers.add(value)
        if name == "shares":
            found["right"] |= {right for right, _ in value}
    return found


def scanned(exchange: Exchange, told: list[tuple[Told, dict[str, set[int]]]], **asked: Any) -> list[int]:
    """What a scan finds: numbers of the facts, given with what they name, that meet all that is asked."""
    numbers = exchange.state.numbers

    def meets(one: Told, names: dict[str, set[int]]) -> bool:
        rights = {numbers["right", code] for code in HOLDERS.get(asked.get("holder", ""), "")}
        tests: dict[str, Callable[[Any], bool]] = {
            "holder": lambda code: numbers["party", code] in names["party"] or bool(rights & names["right"]),
            "right": lambda code: numbers["right", code] in names["right"],
            "meter": lambda code: numbers["meter", code] in names["meter"],
            "order": lambda number: number in names["order_id"],
            "from_ns": lambda at_ns: one.at_ns >= at_ns,
            "to_ns": lambda at_ns: one.at_ns < at_ns,
            "after_seq": lambda seq: one.seq > seq,
        }
        return all(tests[name](value) for name, value in asked.items())

    return [one.seq for one, names in told if meets(one, names)]


def questions(told: list[Told], seed: int) -> Iterator[dict[str, Any]]:
    """Every holder, right, meter, some orders and stretches of time alone, and combinations of them."""
    rng = np.random.Generator(np.random.PCG64(seed))
    orders = [int(one.fact["order_id"]) for one in told if one.topic == ORDERS]
    times = [one.at_ns for one in told]
    choices: dict[str, list[Any]] = {
        "holder": list(HOLDERS), "right": list(RIGHTS), "meter": list(METERS), "order": [*orders, 1, 10**9],
        "from_ns": [*times, 0, times[-1] + 1], "to_ns": [*times, times[0] + 1, times[-1] + 1],
        "after_seq": [0, *range(len(told) + 3)],
    }  # fmt: skip
    for name in ("holder", "right", "meter"):
        yield from ({name: value} for value in choices[name])
    for name in ("order", "from_ns", "to_ns", "after_seq"):
        yield from ({name: value} for value in rng.choice(choices[name], 8).tolist())
    for _ in range(36):
        yield {str(name): rng.choice(choices[name]).item() for name in rng.choice(list(choices), rng.integers(2, 5))}
    yield {}


def test_what_is_found_is_what_a_scan_finds(exchange: Exchange) -> None:
    told = list(exchange.facts())
    whole, with_names = {one.seq: one for one in told}, [(one, named(one)) for one in told]
    sizes = set()
    for asked in questions(told, 1):
        found = list(exchange.find(**asked))
        assert [one.seq for one in found] == scanned(exchange, with_names, **asked), asked
        assert all(one == whole[one.seq] for one in found), asked
        sizes.add(len(found))
    assert len(sizes) > 20


@pytest.mark.parametrize("topic", [*TOPICS, *PAGE_DTYPES])
def test_every_field_that_names_something_is_looked_up(topic: str) -> None:
    fields = TOPICS[topic].__struct_fields__ if topic in TOPICS else PAGE_DTYPES[topic].names or ()
    expected: dict[str, tuple[str, ...]] = {}
    for field in fields:
        for what, ending in (("holder", "party"), ("right", "right"), ("meter", "meter"), ("order", "order_id")):
            own = field == ending or field.endswith(f"_{ending}") or (what, field) == ("right", "shares")
            if own and field != "client_order_id":
                expected[what] = (*expected.get(what, ()), field)
    assert REFERENCES.get(topic, {}) == expected


def test_every_fact_is_found_by_its_number(exchange: Exchange) -> None:
    told = list(exchange.facts())
    for one in told[:: len(told) // 150]:
        assert exchange.fact(one.seq) == one
    for seq in (0, len(told) + 1, 2**62):
        with pytest.raises(Refused) as caught:
            exchange.fact(seq)
        assert caught.value.code == Code.NO_SUCH_FACT


class CountingStore:
    """A store that counts the records that are read from it."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store, self.read = store, 0

    def entries(self, after: int = 0) -> Iterator[Entry]:
        for entry in self.store.entries(after):
            self.read += 1
            yield entry

    def digest(self, position: int) -> bytes:
        self.read += 1
        return self.store.digest(position)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_finding_reads_few_records_of_a_long_journal(exchange: Exchange) -> None:
    told = list(exchange.facts())
    exchange.holdings()  # the read models are there
    groups = {one.position for one in told}
    with closing(SQLiteStore(exchange._store.path, writable=False)) as inner:
        store = CountingStore(inner)
        parts = exchange._writer, exchange._views, exchange._parties, exchange._notary, exchange._snapshots
        counted = Exchange(
            store,
            *parts,
            exchange._clock,
            writable=False,
            snapshot_facts=10**9,
            limits=Limits(),
            free_bytes=lambda: 2**40,
            beside=inner.path,
        )  # type: ignore[arg-type] - a store by its protocol
        order = next(int(one.fact["order_id"]) for one in told[len(told) // 2 :] if one.topic == ORDERS)
        middle = told[len(told) // 2]
        asked = [
            {"order": order}, {"holder": "P-B"}, {"meter": "M-C"},
            {"right": "A", "from_ns": middle.at_ns, "to_ns": middle.at_ns + 1},
            {"from_ns": middle.at_ns, "to_ns": middle.at_ns + 1}, {"after_seq": len(told) - 3},
        ]  # fmt: skip
        for which in asked:
            store.read = 0
            found = list(counted.find(**which))
            met = len({one.position for one in found})
            most = max(len({one.seq for one in told if one.position == at}) for at in {one.position for one in found})
            assert found
            assert store.read <= 2 * KEPT_RECORDS + met * (3 + min(most, 60)), which
            assert met < len(groups) // 2
        store.read = 0
        assert counted.fact(middle.seq) == middle
        assert store.read < len(groups) // 4
        assert exchange.position > 4 * store.read


def test_finding_goes_on_behind_any_fact_while_others_are_written(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    told: list[int] = []
    with shuiquan.open(world.path, readonly=True) as beside:
        for step in random_script(63, 30):
            play(world, [step])
            last = told[-1] if told else 0
            for exchange in (world.exchange, beside):
                more = [one.seq for one in itertools.islice(exchange.find(right="A", after_seq=last), 3)]
                assert more == [one.seq for one in world.exchange.find(right="A") if one.seq > last][:3]
            told += more
    assert told == sorted(set(told))
    world.exchange.close()


def test_what_was_registered_after_a_reader_opened_is_found_by_him(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    with shuiquan.open(world.path, readonly=True) as beside:
        world.add_right("A", money_yuan=10)
        topics = [one.topic for one in beside.find(holder="P-A")]
        assert {"party.registered/1", "right.issued/1", "meter.installed/1", "money.deposited/1"} <= set(topics)
    world.exchange.close()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"holder": "P-none"}, Code.UNKNOWN_PARTY), ({"right": "none"}, Code.UNKNOWN_RIGHT),
        ({"meter": ""}, Code.UNKNOWN_METER), ({"right": 3}, Code.UNKNOWN_RIGHT),
        ({"holder": "P-A' OR 1=1 --"}, Code.UNKNOWN_PARTY), ({"meter": "\0"}, Code.UNKNOWN_METER),
        ({"order": "7"}, Code.WRONG_TYPE), ({"order": 1.0}, Code.WRONG_TYPE), ({"order": -1}, Code.OUT_OF_RANGE),
        ({"from_ns": 2**63}, Code.OUT_OF_RANGE), ({"to_ns": -1}, Code.OUT_OF_RANGE),
        ({"after_seq": None}, Code.WRONG_TYPE),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(exchange: Exchange, asked: dict[str, Any], code: Code) -> None:
    with pytest.raises(Refused) as caught:
        exchange.find(**asked)
    assert caught.value.code == code


def test_found_records_are_chained_to_their_neighbours(ledger: Path, tmp_path: Path) -> None:
    world = resumed(copied(ledger, tmp_path / "ledger.db"))
    deposit = next(one for one in world.exchange.facts() if one.topic == "money.deposited/1")
    (_, _, state) = stored(world.path)[deposit.position - 1]
    with database(world.path) as connection:
        forged = state.replace(b"bank-", b"bunk-")
        connection.execute(
            "UPDATE stored_events SET state = ? WHERE originator_version = ?", (forged, deposit.position)
        )
    with pytest.raises(Refused) as caught:
        list(world.exchange.find(holder="P-A", to_ns=START_NS + 1))
    assert (caught.value.code, caught.value.value) == (Code.RECORD_DAMAGED, deposit.position + 1)
    world.exchange.close()


def test_what_is_named_in_every_group_has_a_row_a_block_and_not_a_row_a_fact(world: World) -> None:
    meters = [f"M-{number}" for number in range(12)]
    world.add_right("A")
    for code in meters:
        world.add_meter(code, (("A", 1_000_000),))
    hours = range(60)
    for hour in hours:
        world.clock.at_ns = START_NS + hour * HOUR_NS
        world.read(*(world.reading(code, hour + 1) for code in meters))
    count = "SELECT COUNT(*) AS rows FROM named WHERE what = 'meter'"
    assert world.exchange.query(count)[0]["rows"] * 10 < len(hours) * len(meters)
    for code in meters[::5]:
        found = [told for told in world.exchange.find(meter=code) if told.topic == READINGS]
        assert [told.at_ns for told in found] == [START_NS + hour * HOUR_NS for hour in hours]
