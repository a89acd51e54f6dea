"""Records: what the store keeps. One rare fact or one page of frequent ones, chained by hash.

    record = header length (u32, little-endian) | header (MessagePack array) | body

The header holds the hash of the record before it, so the hash of the last record fixes all of them (contract K10).
Record 1 holds `ledger.opened`, which names the algorithm.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from ledger.codes import Code, Refused
from ledger.facts import TOPIC_OF, Stamped
from ledger.journal.pages import MAX_PAGE_FACTS, decode_columns, decode_fact, encode_columns, layout
from ledger.tables import Array

ALGORITHM: Final = "sha256"
FORMAT: Final = 1
GENESIS: Final = bytes(32)
LENGTH: Final = struct.Struct("<I")


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What a record says of itself. `columns` is empty for a rare fact."""

    format: int
    previous: bytes
    topic: str
    policy: int
    first_seq: int
    last_seq: int
    count: int
    at_ns: int  # of the last submission in it
    columns: tuple[tuple[str, str], ...]


class Record(NamedTuple):
    """A stored record: its position from 1 on, its header, its body and its own hash."""

    position: int
    header: Header
    body: bytes
    digest: bytes

    @property
    def fact(self) -> Stamped:
        """The rare fact of a record without columns."""
        return Stamped(self.header.first_seq, self.header.at_ns, decode_fact(self.header.topic, self.body))

    @property
    def rows(self) -> Array:
        """The rows of a page."""
        return decode_columns(self.header.topic, self.header.columns, self.header.count, self.body)


class Draft(NamedTuple):
    """A record before it has a place in the chain."""

    topic: str
    first_seq: int
    last_seq: int
    facts: int
    at_ns: int
    columns: tuple[tuple[str, str], ...]
    body: bytes


def draft_fact(stamped: Stamped) -> Draft:
    """The record of one rare fact."""
    seq, at_ns, fact = stamped
    return Draft(TOPIC_OF[type(fact)], seq, seq, 1, at_ns, (), msgspec.msgpack.encode(fact))


def draft_pages(topic: str, rows: Array, page_facts: int = MAX_PAGE_FACTS) -> Iterator[Draft]:
    """The records of frequent facts, cut into pages."""
    for at in range(0, len(rows), page_facts):
        part = rows[at : at + page_facts]
        seqs = part["seq"]
        yield Draft(
            topic,
            int(seqs[0]),
            int(seqs[-1]),
            len(part),
            int(part["at_ns"][-1]),
            layout(part.dtype),
            encode_columns(part),
        )


def chain(drafts: Iterable[Draft], previous: bytes, policy: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Topic, bytes and hash of each record, each holding the hash of the one before."""
    for draft in drafts:
        header = Header(
            FORMAT,
            previous,
            draft.topic,
            policy,
            draft.first_seq,
            draft.last_seq,
            draft.facts,
            draft.at_ns,
            draft.columns,
        )
        packed = msgspec.msgpack.encode(header)
        state = LENGTH.pack(len(packed)) + packed + draft.body
        previous = hashlib.sha256(state).digest()
        yield draft.topic, state, previous


def parse(position: int, state: bytes) -> Record:
    """A record from its stored bytes, of any format. Raises Refused (RECORD_DAMAGED) naming the position."""
    try:
        (length,) = LENGTH.unpack_from(state)
        header = msgspec.msgpack.decode(state[LENGTH.size : LENGTH.size + length], type=Header)
    except (struct.error, msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise Refused(Code.RECORD_DAMAGED, "position", position, str(problem)) from None
    return Record(position, header, state[LENGTH.size + length :], hashlib.sha256(state).digest())


class Start(NamedTuple):
    """Where a group of records begins: its first record, and the number and time of its first fact."""

    position: int
    seq: int
    at_ns: int


class Decoded(NamedTuple):
    """The facts of some consecutive records, complete: no sequence number between its first and last is missing."""

    facts: list[Stamped]
    pages: dict[str, list[Array]]
    position: int  # of the last record
    last_seq: int
    digest: bytes  # of the last record
    starts: tuple[Start, ...] = ()  # of every group in it


def segments(records: Iterable[Record], next_seq: int | None = None) -> Iterator[Decoded]:
    """Group records so that each group's facts are dense, and none mixes rare facts with pages.

    Facts of several topics interleave by `seq` over the pages of a group, whose first record holds the first of
    them. `next_seq` is the first expected number, None to start where the records start.
    Raises Refused (SEQUENCE_GAP) for a gap or a repetition.
    """
    pages: dict[str, list[Array]] = {}
    start = Start(0, 0, 0)
    count = last = 0
    for record in records:
        header = record.header
        next_seq = header.first_seq if next_seq is None else next_seq
        if not header.columns:
            if count or header.first_seq != next_seq:
                raise Refused(Code.SEQUENCE_GAP, "position", record.position, f"expected seq {next_seq}")
            start = Start(record.position, header.first_seq, header.at_ns)
            yield Decoded([record.fact], {}, record.position, header.last_seq, record.digest, (start,))
            next_seq += 1
            continue
        rows = record.rows
        if not count:
            start = Start(record.position, header.first_seq, int(rows["at_ns"][0]))
        pages.setdefault(header.topic, []).append(rows)
        count += header.count
        last = max(last, header.last_seq)
        if next_seq + count - 1 == last:
            yield Decoded([], pages, record.position, last, record.digest, (start,))
            next_seq, pages, count = last + 1, {}, 0
        elif next_seq + count - 1 > last:
            raise Refused(Code.SEQUENCE_GAP, "position", record.position, f"expected seq {next_seq}")
    if count:
        raise Refused(Code.SEQUENCE_GAP, "seq", next_seq, "the journal ends inside a group of pages")
