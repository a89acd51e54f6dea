"""What every store promises, whatever it is made of; the library's own recorders are the reference."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import pytest
from eventsourcing.persistence import ApplicationRecorder, IntegrityError, StoredEvent

from ledger.journal.store import Begin, Entry, Key, Store
from shuiquan import Code, Refused
from shuiquan.config import parse_target
from tests.stores.homes import Home, Place, database, stock, unlocked

STREAM = "journal"


def opened(place: Place, *, writable: bool = True) -> Any:
    """A store to be closed at the end of a block."""
    return closing(parse_target(place).open(writable=writable))


def refusal(act: Any) -> Code:
    """The code that an act is refused with."""
    with pytest.raises(Refused) as refused:
        act()
    return Code(refused.value.code)


class Append(NamedTuple):
    """One call of `append`."""

    after: int
    entries: list[tuple[str, bytes]]
    begins: list[Begin]
    keys: list[Key]


class Model:
    """A store as plain lists, by the definitions."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.begins: list[Begin] = []
        self.keys: dict[tuple[str, str], int] = {}

    def append(self, call: Append) -> bool:
        """Whether it was taken."""
        names = [(key.actor, key.command_id) for key in call.keys]
        if call.after != len(self.entries) or len({*names, *self.keys}) < len(names) + len(self.keys):
            return False
        self.entries += [Entry(at, *entry) for at, entry in enumerate(call.entries, call.after + 1)]
        self.begins += call.begins
        self.keys |= {(key.actor, key.command_id): key.first_seq for key in call.keys}
        return True

    def check(self, store: Store, rng: np.random.Generator) -> None:
        """A store must answer every question as this one does."""
        count = len(self.entries)
        for after in {0, count, count + 3, *rng.integers(0, count + 1, 2).tolist()}:
            assert list(store.entries(after)) == self.entries[after:]
            found = self.entries[after - 1 : after] if after else []
            assert store.digest(after) == (hashlib.sha256(found[0].state).digest() if found else b"")
        assert list(store.begins()) == self.begins
        last = max((begin.first_seq for begin in self.begins), default=9)
        for seq in {0, 1, last - 1, last, last + 1, *rng.integers(1, last + 2, 2).tolist()}:
            found = [begin.position for begin in self.begins if begin.first_seq <= seq]
            assert store.begin_before(seq) == (found[-1] if found else 1)
        assert store.head() == (self.entries[-1] if self.entries else None)
        names = [*list(self.keys)[-3:], ("platform", "never"), ("nobody", "s1")]
        assert store.keys(names) == {name: self.keys[name] for name in names if name in self.keys}
        assert store.keys([]) == {}


def random_appends(seed: int, count: int, *, with_keys: bool = True) -> Iterator[Append]:
    """Appends as a writer makes them, and some at a place that is taken or with a key that is known."""
    rng = np.random.Generator(np.random.PCG64(seed))
    position = seq = 0
    taken: list[str] = []
    for number in range(count):
        size = int(rng.integers(1, 9))
        after = position - int(rng.integers(1, position + 1)) if position and rng.random() < 0.25 else position
        known = with_keys and bool(taken) and rng.random() < 0.15
        name = str(rng.choice(taken)) if known else f"c{number}"
        entries = [(f"topic-{rng.integers(3)}/1", rng.bytes(int(rng.integers(0, 3_000)))) for _ in range(size)]
        ends = (seq + rng.integers(1, 40, size).cumsum()).tolist()
        placed = enumerate(itertools.pairwise([seq, *ends]), after + 1)
        begins = [Begin(first + 1, position) for position, (first, _) in placed if rng.random() < 0.2]
        keys = [Key("platform", name, seq + 1)] if with_keys else []
        yield Append(after, entries, begins, keys)
        if after == position and not known:
            position, seq = position + size, ends[-1]
            taken.append(name)


def test_an_empty_store_answers_with_nothing(home: Home) -> None:
    place = home.new()
    assert refusal(lambda: parse_target(place).open(writable=False)) == Code.LEDGER_MISSING
    with opened(place) as store, opened(place, writable=False) as reader:
        for one in (store, reader):
            Model().check(one, np.random.default_rng(0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_store_keeps_what_it_took_and_nothing_of_what_it_refused(home: Home, seed: int) -> None:
    place, model, rng = home.new(), Model(), np.random.default_rng(seed)
    appends = list(random_appends(seed, 120))
    with opened(place) as store, opened(place, writable=False) as reader:
        for number, call in enumerate(appends):
            if model.append(call):
                store.append(*call)
            else:
                assert refusal(lambda call=call: store.append(*call)) == Code.COMMIT_FAILED
            if number % 10 == 0:
                model.check(store, rng)
                model.check(reader, rng)
    assert 20 < len(model.keys) < 110
    for writable in (True, False):
        with opened(place, writable=writable) as store:
            model.check(store, rng)


def outcomes(recorder: ApplicationRecorder, appends: Sequence[Append]) -> list[str]:
    """What became of each append, by the kind of the library's error."""
    said = []
    for call in appends:
        events = [
            StoredEvent(STREAM, at, topic, state) for at, (topic, state) in enumerate(call.entries, call.after + 1)
        ]
        try:
            recorder.insert_events(events)
            said.append("stored")
        except IntegrityError as error:
            said.append(type(error).__name__)
    return said


QUESTIONS = [
    lambda recorder: recorder.select_events(STREAM),
    lambda recorder: recorder.select_events(STREAM, gt=20, lte=60),
    lambda recorder: recorder.select_events(STREAM, desc=True, limit=1),
    lambda recorder: recorder.select_events(STREAM, gt=40, limit=5),
    lambda recorder: recorder.select_events("other"),
    lambda recorder: [
        (told.originator_version, told.topic, told.state) for told in recorder.select_notifications(1, 1_000)
    ],
]


def test_the_librarys_recorders_take_refuse_and_give_back_the_same(home: Home) -> None:
    appends = list(random_appends(7, 80, with_keys=False))
    place = home.new()
    parse_target(place).open(writable=True).close()
    with closing_all(stock(home.new()), unlocked(place), stock(place)) as (theirs, ours, beside):
        theirs.create_table()
        said = outcomes(theirs, appends)
        assert outcomes(ours, appends) == said
        assert {"stored", "IntegrityError"} == set(said)
        for question in QUESTIONS:
            answers = [question(recorder) for recorder in (theirs, ours, beside)]
            assert answers == [answers[0]] * 3
            assert answers[0] or question is QUESTIONS[4]


@contextmanager
def closing_all(*recorders: Any) -> Iterator[tuple[Any, ...]]:
    """Recorders whose connections are closed at the end."""
    yield recorders
    for recorder in recorders:
        recorder.datastore.close()


def test_a_batch_with_one_bad_row_leaves_nothing_in_any_table(home: Home) -> None:
    place = home.new()
    taken = Key("platform", "c1", 1)
    entries, begin, more = [("a/1", b"1"), ("a/1", b"2")], Begin(1, 1), [Begin(3, 3)]
    with opened(place) as store:
        store.append(0, entries, [begin], [taken])
        for after, begins, keys in (
            (1, more, []), (2, more, [Key("new", "c1", 3), taken]), (2, more, [taken, taken]),
            (2, [*more, begin], []), (2, more * 2, []),
        ):  # fmt: skip
            assert refusal(lambda call=(after, entries, begins, keys): store.append(*call)) == Code.COMMIT_FAILED
    with database(place) as connection:
        for table, rows in (("stored_events", 2), ("begins", 1), ("submissions", 1)):
            assert connection.execute(f"SELECT COUNT(*) FROM {table}") == [(rows,)]


def test_of_many_who_open_at_once_one_may_write(home: Home) -> None:
    place = home.new()

    def attempt(_: int) -> Any:
        try:
            return parse_target(place).open(writable=True)
        except Refused as refused:
            return refused.code

    for _ in range(3):
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(attempt, range(8)))
        (writer,) = [one for one in found if not isinstance(one, Code)]
        assert [one for one in found if one is not writer] == [Code.LEDGER_LOCKED] * 7
        writer.close()


def test_a_reader_cannot_write(home: Home) -> None:
    place = home.new()
    call = Append(0, [("a/1", b"1")], [], [])
    with opened(place) as store, opened(place, writable=False) as reader:
        assert refusal(lambda: reader.append(*call)) == Code.COMMIT_FAILED
        store.append(*call)
        assert list(reader.entries()) == [Entry(1, "a/1", b"1")]


def test_who_follows_misses_nothing_and_sees_nothing_twice_whoever_writes(home: Home) -> None:
    place, total = home.new(), 400
    parse_target(place).open(writable=True).close()

    def write(name: str) -> None:
        """Append behind the head, as one who got past the lock, until there is enough and some of it his own."""
        mine = 0
        with closing_all(unlocked(place)) as (recorder,), opened(place, writable=False) as store:
            for number in itertools.count():
                head = store.head()
                after = head.position if head else 0
                if after >= total and mine:
                    return
                offsets = range(1, 2 + number % 5)
                events = [StoredEvent(STREAM, after + o, "a/1", f"{name} {number} {o}".encode()) for o in offsets]
                with suppress(IntegrityError):
                    recorder.insert_events(events)
                    mine += 1

    def follow(_: str) -> list[Entry]:
        """Every record, read position by position."""
        told: list[Entry] = []
        with opened(place, writable=False) as store:
            while len(told) < total:
                told += store.entries(told[-1].position if told else 0)
        return told

    def notified(_: str) -> list[tuple[int, bytes]]:
        """Every record, as a follower of the library's reads them by its own numbers."""
        told: list[tuple[int, bytes]] = []
        after = 0
        with closing_all(stock(place)) as (recorder,):
            while len(told) < total:
                for one in recorder.select_notifications(after, 7, inclusive_of_start=False):
                    told.append((one.originator_version, one.state))
                    after = one.id
        return told

    acts = [(write, "one"), (write, "two"), (follow, ""), (follow, ""), (notified, "")]
    with ThreadPoolExecutor(len(acts)) as threads:
        _, _, told, again, heard = (task.result() for task in [threads.submit(*act) for act in acts])
    with opened(place, writable=False) as store:
        there = list(store.entries())
    assert [entry.position for entry in there] == list(range(1, len(there) + 1))
    assert told == there[: len(told)]
    assert again == there[: len(again)]
    assert heard == [(entry.position, entry.state) for entry in there[: len(heard)]]
    writers = [entry.state.split()[0] for entry in there]
    assert {b"one", b"two"} == set(writers)
    batches = [tuple(entry.state.split()[:2]) for entry in there]
    assert len(set(batches)) == len([name for name, _ in itertools.groupby(batches)]), "a batch was torn"


def test_records_of_many_megabytes_come_back_as_they_were(home: Home) -> None:
    place, rng = home.new(), np.random.default_rng(0)
    states = [rng.bytes(size) for size in (5_000_000, 0, 24_000_000, 1, 8_191)] + [bytes(6_000_000)]
    with opened(place) as store:
        store.append(0, [("big/1", state) for state in states], [], [])
    with opened(place, writable=False) as store:
        assert [entry.state for entry in store.entries()] == states
        assert [store.digest(at) for at, _ in enumerate(states, 1)] == [hashlib.sha256(s).digest() for s in states]


HOSTILE = (
    "a", "a\0", "\0", "a\0b", "", " ", "a ", "A", "'; DROP TABLE begins; --", '"', "\\", "\\000", "%s", "%b", "$1", "?",
    "水权", "𠮷野家", "😀", "e\u0301", "\u00e9", "\u202e", "\ufeff", "\uffff", "\U0010ffff", "x" * 64, "\r\n\t",
)  # fmt: skip


def test_any_text_is_a_key_of_its_own(home: Home) -> None:
    place = home.new()
    keys = [Key(*names, at) for at, names in enumerate(itertools.product(HOSTILE, HOSTILE), start=1)]
    with opened(place) as store:
        store.append(0, [("a/1", b"")], [], keys[::2])
        for at in range(1, len(keys), 2):
            if at % 50 == 1:
                assert not store.keys([keys[at][:2]])
        store.append(1, [("a/1", b"")], [], keys[1::2])
        with pytest.raises(UnicodeEncodeError):
            store.append(2, [("a/1", b"")], [], [Key("\ud800", "c", 1)])
    with opened(place, writable=False) as store:
        assert store.keys([key[:2] for key in keys]) == {key[:2]: key.first_seq for key in keys}
        assert len(list(store.entries())) == 2


def test_closing_lets_the_next_writer_in_who_finds_everything(home: Home) -> None:
    place, model = home.new(), Model()
    for call in random_appends(11, 25):
        with opened(place) as store:
            if model.append(call):
                store.append(*call)
            else:
                assert refusal(lambda call=call, store=store: store.append(*call)) == Code.COMMIT_FAILED
    with opened(place) as store:
        model.check(store, np.random.default_rng(1))
