"""The auditor's replay: every fact is checked before it is posted, and what it touched behind it; full walks between.

`verify` folds and looks at the sums at the end. Here nothing may be wrong even for one fact in between, and the
figures of each fact must follow from those before it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from ledger import rows
from ledger.audit.acts_watched import impossible, post_act
from ledger.audit.checkpoints import Checkpoint
from ledger.audit.figures import FAULTS, READING_SEQ, USE_LEFT, USES
from ledger.audit.postings import AWAITS_HOLDINGS, post_facts
from ledger.audit.sums import walk
from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.decider import know_actor
from ledger.fold import ensure_holdings_of
from ledger.journal.records import GENESIS, Decoded, decoded, groups, parse
from ledger.journal.seeking import entries_from_seq
from ledger.journal.store import Store
from ledger.replay import Progress, joined, joined_rows, read_chain
from ledger.state import State
from ledger.statehash import state_hash
from ledger.tables import AT_NS, N_READINGS, NEXT_SEQ, Array

WALK_FACTS: Final = 1_000_000
"""A full walk at least after so many facts."""


class Start(Protocol):
    """A state to start from, behind the record at a position: a snapshot."""

    @property
    def state(self) -> State:
        """The state, which is changed in place."""

    @property
    def position(self) -> int:
        """Position of the last record in it."""

    @property
    def digest(self) -> bytes:
        """Hash of that record."""


class Replayed(NamedTuple):
    """What a replay under watch found to be true."""

    ledger_id: str
    from_position: int  # 0, or that of the snapshot
    records: int
    facts: int
    head: str  # hash of the last record, hexadecimal
    state_hash: str
    walks: int  # full walks
    checkpoints: int  # compared by state hash


class Watch:
    """A state under watch, and what is remembered from one fact to the next."""

    def __init__(self, state: State) -> None:
        """Nothing is remembered at a place between submissions."""
        self.state = state
        self.memory = np.zeros(5, np.int64)
        self._touched = (np.zeros(2, np.int64), np.zeros(3, np.int64), np.zeros(2, np.int64))

    def post(self, group: Decoded) -> None:
        """Check and apply the facts of a group. Raises Refused (FACT_IMPOSSIBLE) naming the first bad one."""
        for stamped in group.facts:
            self.finish(stamped.seq)
            self.state.journal.clock[AT_NS] = stamped.at_ns
            post_act(self.state, stamped)
        for page in group.pages.get(rows.SUBMISSIONS, ()):
            self.post_submissions(page)
        if group.pages:
            self.post_pages({topic: pages for topic, pages in group.pages.items() if topic != rows.SUBMISSIONS})
        self.state.journal.clock[NEXT_SEQ] = group.last_seq + 1

    def finish(self, seq: int) -> None:
        """Raise Refused (FACT_IMPOSSIBLE) where a reading before `seq` has water that was not booked."""
        if self.memory[USE_LEFT]:
            raise impossible(seq, rows.READINGS, f"reading {self.memory[READING_SEQ]}: {FAULTS[USES]}")

    def post_submissions(self, page: Array) -> None:
        """Actors and the clock, which never goes back."""
        for row in page:
            role = int(row["role"])
            if role not in tuple(Role) or row["at_ns"] < self.state.at_ns:
                raise impossible(int(row["seq"]), rows.SUBMISSIONS, "a role that there is, a time not before the last")
            if know_actor(self.state, row["actor"].decode(), Role(role)) != row["actor_number"]:
                raise impossible(int(row["seq"]), rows.SUBMISSIONS, "the number of its actor")
            self.state.journal.clock[AT_NS] = row["at_ns"]

    def post_pages(self, pages: dict[str, list[Array]]) -> None:
        """Frequent facts, as `replay_pages` applies them."""
        state = self.state
        columns = [joined_rows(pages.get(topic, ()), dtype) for topic, dtype in rows.PAGE_DTYPES.items()]
        state.reserve_live(len(columns[0]), len(columns[N_READINGS]))
        journal = state.journal._replace(
            orders=columns[0], trades=columns[1], removals=columns[2], readings=columns[3], uses=columns[4],
            counts=np.array([len(column) for column in columns], np.int64),
        )  # fmt: skip
        done = np.zeros(len(columns), np.int64)
        while code := self.post_some(journal, done):
            if code == AWAITS_HOLDINGS:
                reading = columns[N_READINGS][done[N_READINGS]]
                ensure_holdings_of(state, int(reading["meter"]), int(reading["measured_at_ns"]))
                continue
            topics = zip(rows.PAGE_DTYPES, columns, done, strict=True)
            seq, topic = min((int(column[at]["seq"]), topic) for topic, column, at in topics if at < len(column))
            raise impossible(seq, topic, FAULTS[code])

    def post_some(self, journal: Any, done: Array) -> int:
        """One compiled call: DONE, AWAITS_HOLDINGS or a fault."""
        state = self.state
        tables = (state.books, state.accounts, state.market, state.metering)
        return int(post_facts(*tables, journal, done, self.memory, self._touched))


def replay_watched(
    store: Store, progress: Progress | None = None, checkpoints: Sequence[Checkpoint] = (), start: Start | None = None,
    walk_facts: int = WALK_FACTS,
) -> Replayed:  # fmt: skip
    """Fold a journal from zero or behind a snapshot, with every fact under watch.

    A full walk over all accounts and orders is made at every checkpoint, after every `walk_facts` facts, and at the
    end; the state hash is compared at every checkpoint that has one.

    Raises Refused: FACT_IMPOSSIBLE naming the first bad `seq` and its position, CONSERVATION_BROKEN, ABOVE_INDEX,
    CHECKPOINT_DIFFERS, JOURNAL_SHORTER, RECORD_DAMAGED, SEQUENCE_GAP, TOPIC_UNKNOWN.
    """
    state = start.state if start else State()
    position, digest = (start.position, start.digest) if start else (0, GENESIS)
    first, walks, compared, walked_at = position, 0, 0, state.next_seq
    waiting = sorted((one for one in checkpoints if one.position > position), key=lambda one: one.position)
    stops, watch = {one.position for one in waiting}, Watch(state)
    if start:
        walk(state)
    for records in joined(groups(read_chain(store, position, digest), state.next_seq), stops):
        group = decoded(records)
        try:
            watch.post(group)
        except Refused as refusal:
            raise placed(refusal, store) from refusal
        position, digest = group.position, group.digest
        sealed = bool(waiting) and position >= waiting[0].position
        if sealed or state.next_seq - walked_at >= walk_facts:
            walk_at(state, position)
            walks, walked_at = walks + 1, state.next_seq
        while waiting and position >= waiting[0].position:
            compared += compare(waiting.pop(0), state, group)
        if progress:
            progress(position, group.last_seq)
    if waiting:
        raise Refused(Code.JOURNAL_SHORTER, "position", position + 1, f"{waiting[0].position} records of a checkpoint")
    watch.finish(state.next_seq)
    walk_at(state, position)
    return Replayed(
        state.ledger_id, first, position, state.next_seq - 1, digest.hex(), state_hash(state), walks + 1, compared
    )


def walk_at(state: State, position: int) -> None:
    """A full walk behind a position, which its refusal names."""
    try:
        walk(state)
    except Refused as refusal:
        raise Refused(refusal.code, refusal.field, refusal.value, f"{refusal.rule}; position {position}") from refusal


def compare(checkpoint: Checkpoint, state: State, group: Decoded) -> bool:
    """Whether a checkpoint has a state hash; raises Refused (CHECKPOINT_DIFFERS) where it is of another journal."""
    found = {
        "size": (group.last_seq, checkpoint.size),
        "head": (group.digest.hex(), checkpoint.head.hex()),
        "state": (state_hash(state) if checkpoint.state_hash else "", checkpoint.state_hash),
    }
    for name, (ours, sealed) in found.items():
        if group.position != checkpoint.position or ours != sealed:
            rule = f"{name} {sealed} sealed, {ours} found; facts 1 to {checkpoint.size}"
            raise Refused(Code.CHECKPOINT_DIFFERS, "position", checkpoint.position, rule)
    return bool(checkpoint.state_hash)


def placed(refusal: Refused, store: Store) -> Refused:
    """A refusal that names a `seq`, with the position of the record that holds it."""
    seq = int(refusal.value)
    for entry in entries_from_seq(store, seq):
        record = parse(entry.position, entry.state)
        header = record.header
        held = not header.columns or seq in record.seqs
        if header.first_seq <= seq <= header.last_seq and held:
            return Refused(refusal.code, refusal.field, seq, f"position {entry.position}, {refusal.rule}")
    return refusal
