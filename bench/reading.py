"""Reading a ledger again: replay, opening from a snapshot, the check of the chain, the tree over single facts.

All of it over one ledger of orders, and of readings between them; its file is in the system's cache. Measured by the
clock on the wall, but for the tree and the hashing beside it, which are processor time of one thread.

Replay from pages decodes records and applies their facts; opening by replay also reads and hashes them. Opening
from a snapshot is `shuiquan.open(readonly=True)` of a ledger that has one: reading it, its checksum, building the
state, checking its sums and its hash. The tree is leaves of facts (canonical bytes, salts, hashes) and the nodes above.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from adapters.stores.sqlite import SQLiteStore
from bench.baselines import stored
from bench.figures import PER_S, Found, Scene, Size, Turns, timed
from bench.measured import cpu_ns
from bench.world import GATEWAY, OPERATOR, live_flow, live_orders, open_world, reading_flow
from ledger.audit.leaves import leaf_hashes
from ledger.audit.merkle import Tree, hash_leaf, salt
from ledger.journal.ahead import ahead
from ledger.journal.records import Decoded, Record, canonical_facts, decoded, groups
from ledger.journal.seeking import entries_from_seq
from ledger.replay import joined, read_chain, replay, verify_chain, weight_of
from ledger.state import State
from shuiquan.opening import open_exchange

NAME: Final = "reading"
TITLE: Final = "Reading a ledger again"
LEFT_OUT: Final = "the disk: the file is in the system's cache; the tree is measured over the last facts only"
NEW: Final = 0.9
"""Share of new orders in the flow: more than elsewhere, so that many orders are live at the end."""
READINGS_EVERY: Final = 10
LEAVES_SLOWLY: Final = 20_000
AT_ONCE: Final = 16
"""Groups of pages that are held in memory and replayed at once."""
SECONDS: Final = "s"


def make_history(path: Path, size: Size) -> tuple[int, int]:
    """A ledger of so many facts; gives its facts and its live orders. Its snapshot is written when it is closed."""
    rng = np.random.default_rng(3)
    with open_world(path, size.rights) as exchange:
        number = 0
        while exchange.state.next_seq <= size.history:
            flow = live_flow(exchange, rng, size.batch, NEW)
            exchange.submit(flow, command_id=f"{number}", **OPERATOR)
            if number % READINGS_EVERY == 0:
                readings = reading_flow(number // READINGS_EVERY, size.rights)
                exchange.submit(readings, command_id=f"r-{number}", **GATEWAY)
            number += 1
        exchange.snapshot()
        return exchange.state.next_seq - 1, live_orders(exchange)


class Replay:
    """Facts and seconds of replays of a whole ledger, pages and rare facts apart."""

    def __init__(self, path: Path) -> None:
        """Replay it twice: one step after the other, and as a ledger is opened, with the steps side by side."""
        self.pages = self.rare = 0
        self.decoding = self.applying = self.applying_rare = self.both = 0.0
        alone, together = State(), State()
        for chunk in chunks(path):
            paged = bool(chunk[0][0].header.columns)
            started = time.perf_counter()
            facts = list(map(decoded, chunk))
            decoding = time.perf_counter() - started
            applying = timed(lambda: replay_all(alone, iter(facts)))  # noqa: B023
            both = timed(lambda: replay_ahead(together, chunk))  # noqa: B023
            count = facts[-1].last_seq - facts[0].starts[0].seq + 1
            if paged:
                self.pages, self.both = self.pages + count, self.both + both
                self.decoding, self.applying = self.decoding + decoding, self.applying + applying
            else:
                self.rare, self.applying_rare = self.rare + count, self.applying_rare + applying


def replay_all(state: State, groups: Iterator[Decoded]) -> None:
    """Apply groups of facts."""
    for facts in groups:
        replay(state, facts)


def replay_ahead(state: State, chunk: list[list[Record]]) -> None:
    """Apply groups of records that a thread decodes ahead."""
    with ahead(map(decoded, iter(chunk)), weight_of) as found:
        replay_all(state, found)


def chunks(path: Path) -> Iterator[list[list[Record]]]:
    """The records of a ledger in groups, those of pages apart from rare facts, so many at a time as memory holds."""
    chunk: list[list[Record]] = []
    with closing(SQLiteStore(path, writable=False)) as store:
        for group in joined(groups(read_chain(store), 1)):
            if (chunk and (not group[0].header.columns) != (not chunk[0][0].header.columns)) or len(chunk) == AT_ONCE:
                yield chunk
                chunk = []
            chunk.append(group)
        yield chunk


def opening(path: Path) -> tuple[float, str]:
    """Seconds until a ledger is open for reading, and the hash of its state."""
    started = time.perf_counter()
    with open_exchange(path, readonly=True) as exchange:
        spent = time.perf_counter() - started
        return spent, exchange.state_hash()


def without_snapshots(path: Path) -> tuple[float, str]:
    """The same without its snapshots, which are put aside meanwhile."""
    folder, aside = Path(f"{path}.snapshots"), Path(f"{path}.aside")
    folder.rename(aside)
    try:
        return opening(path)
    finally:
        aside.rename(folder)


def checking(path: Path) -> float:
    """Seconds of checking the chain, its numbering and its layouts."""
    with closing(SQLiteStore(path, writable=False)) as store:
        return timed(lambda: verify_chain(store))


def hashing(states: list[bytes]) -> float:
    """Seconds of SHA-256 over the stored records and nothing else."""
    return timed(lambda: [hashlib.sha256(state).digest() for state in states])


class Leaves:
    """The last facts of a ledger, to be made into a tree."""

    def __init__(self, path: Path, count: int, last_seq: int) -> None:
        """Read them."""
        with closing(SQLiteStore(path, writable=False)) as store:
            (first,) = list(zip(entries_from_seq(store, max(1, last_seq - count)), range(1), strict=False))
            after = first[0].position - 1
            records = read_chain(store, after, store.digest(after)) if after else read_chain(store)
            self._groups = list(groups(records))
        self.key, self.count = bytes(range(32)), sum(self._size(group) for group in self._groups)
        self._few = [fact for _, fact in zip(range(LEAVES_SLOWLY), self._facts(), strict=False)]

    @staticmethod
    def _size(group: list[Any]) -> int:
        return sum(record.header.count for record in group)

    def _facts(self) -> Any:
        return canonical_facts([record for group in self._groups for record in group])

    def grow(self) -> float:
        """Facts a second of processor time."""

        def work() -> None:
            tree = Tree()
            for group in joined(iter(self._groups)):
                first = min(record.header.first_seq for record in group)
                tree.extend(leaf_hashes(group, first, first + self._size(group) - 1, self.key))
            tree.root()

        return 1e9 * self.count / cpu_ns(work)

    def slowly(self) -> float:
        """The same a second for one leaf after the other through hashlib and hmac."""
        spent = cpu_ns(lambda: [hash_leaf(salt(self.key, seq), fact) for seq, fact in enumerate(self._few)])
        return 1e9 * len(self._few) / spent


def measure(size: Size, folder: Path) -> Found:
    """All of it, in turns, over one ledger."""
    path, turns = folder / "history.db", Turns()
    facts, live = make_history(path, size)
    states, leaves = [state for _, _, _, state in stored(path, 0)], Leaves(path, size.tree, facts)
    opening(path), without_snapshots(path)  # which loads the kernels
    for _ in range(size.reading_turns):
        replayed = Replay(path)
        from_snapshot, one = opening(path)
        by_replay, other = without_snapshots(path)
        assert one == other, "a snapshot and a replay make the same state"
        turns.add(
            pages=replayed.pages / replayed.both, decode=replayed.pages / replayed.decoding,
            apply=replayed.pages / replayed.applying, rare=replayed.rare / replayed.applying_rare,
            replay=facts / by_replay, snapshot=from_snapshot, by_replay=by_replay, chain=facts / checking(path),
            hashes=facts / hashing(states), tree=leaves.grow(), slowly=leaves.slowly(),
        )  # fmt: skip
    figures = [
        turns.figure("pages", "replay from pages", PER_S, "", "a thread decodes ahead"),
        turns.figure("decode", "decoding pages alone"),
        turns.figure("apply", "applying them alone"),
        turns.figure("rare", "applying rare facts"),
        turns.figure("replay", "opening by replay", PER_S, "replay from pages", "reads, hashes, has rare facts too"),
        turns.figure("snapshot", "opening from a snapshot", SECONDS, "opening by replay, whole"),
        turns.figure("by_replay", "opening by replay, whole", SECONDS),
        turns.figure("chain", "chain verification", PER_S, "SHA-256 of the records"),
        turns.figure("hashes", "SHA-256 of the records", PER_S),
        turns.figure("tree", "tree verification, a core", PER_S, "a leaf at a time, hashlib"),
        turns.figure("slowly", "a leaf at a time, hashlib", PER_S, "", "leaves without nodes"),
    ]
    conditions = {"facts": facts, "live_orders": live, "journal_bytes": path.stat().st_size}
    conditions["snapshot_bytes"] = max(file.stat().st_size for file in Path(f"{path}.snapshots").iterdir())
    return Found(NAME, TITLE, figures, conditions, LEFT_OUT)


SCENE: Final = Scene(NAME, TITLE, measure)
