"""Records: what the store keeps. One rare fact or one page of frequent ones, chained by hash.

    record = header length (u32, little-endian) | header (MessagePack array) | body

The header holds the hash of the record before it, so the hash of the last record fixes all of them (contract K10).
Record 1 holds `ledger.opened`, which names the algorithm.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec
import numpy as np

from ledger.codes import Code, Refused
from ledger.facts import TOPIC_OF, Stamped
from ledger.journal.columns import encode_columns, fill_rows
from ledger.journal.pages import (
    MAX_PAGE_FACTS,
    canonical,
    canonical_rows,
    decode_fact,
    layout_of,
    page_dtype,
)
from ledger.journal.versions import VERSIONS, Versions
from ledger.rows import SUBMISSIONS
from ledger.tables import Array

ALGORITHM: Final = "sha256"
FORMAT: Final = 1
GENESIS: Final = bytes(32)
LENGTH: Final = struct.Struct("<I")
ROOM: Final = 1_024  # more than any header takes, which names the columns of its topic

Extent = tuple[int, int, int]
"""First and last sequence number of a record, and how many facts it holds."""


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

    @property
    def extent(self) -> Extent:
        """Which facts it holds."""
        return self.first_seq, self.last_seq, self.count


class Record(NamedTuple):
    """A stored record: its position from 1 on, its header, its body and its own hash; and what can be read."""

    position: int
    header: Header
    body: bytes | memoryview  # of a page it is not copied out of the record
    digest: bytes
    versions: Versions = VERSIONS

    @property
    def fact(self) -> Stamped:
        """The rare fact of a record without columns, as the current version of its topic."""
        topic = self.header.topic
        _, fact = self.versions.current(topic, decode_fact(topic, self.body, self.versions))
        return Stamped(self.header.first_seq, self.header.at_ns, fact)

    @property
    def dtype(self) -> Any:
        """Layout of the rows of a page. Raises Refused when topic, columns and length do not fit each other."""
        header = self.header
        return page_dtype(header.topic, header.columns, header.count, len(self.body), self.versions)

    @property
    def rows(self) -> Array:
        """The rows of a page, as it was written."""
        return fill_rows(self.dtype, [(self.header.count, self.body)])

    @property
    def page(self) -> tuple[str, Array]:
        """Topic and rows of a page in its current version."""
        return self.versions.current(self.header.topic, self.rows)

    @property
    def seqs(self) -> Array:
        """Sequence numbers of a page. Raises Refused where they do not rise, or are not those of the header."""
        header, dtype = self.header, self.dtype
        seqs = np.frombuffer(self.body, dtype["seq"], header.count)
        if (seqs[0], seqs[-1]) != (header.first_seq, header.last_seq) or not (seqs[1:] > seqs[:-1]).all():
            raise Refused(Code.RECORD_DAMAGED, "position", self.position, "seq rises from first_seq to last_seq")
        return seqs

    @property
    def first_at_ns(self) -> int:
        """Time of the first fact."""
        header = self.header
        if not header.columns:
            return header.at_ns
        names = [name for name, _ in header.columns]
        widths = [np.dtype(kind).itemsize for _, kind in header.columns[: names.index("at_ns")]]
        return int(np.frombuffer(self.body, "<i8", 1, sum(widths) * header.count)[0])

    def canonical(self) -> Iterator[tuple[int, bytes]]:
        """Sequence number and canonical bytes of each fact, of the version in which it was written (contract K8)."""
        if self.header.columns:
            return canonical_rows(self.header.topic, self.rows)
        seq, payload = self.header.first_seq, b"".join((struct.pack("<q", self.header.at_ns), self.body))
        return iter([(seq, canonical(self.header.topic, seq, payload))])


class Draft(NamedTuple):
    """A record before it has a place in the chain."""

    topic: str
    first_seq: int
    last_seq: int
    facts: int
    at_ns: int
    columns: tuple[tuple[str, str], ...]
    body: memoryview  # behind ROOM for the header, so that nothing is copied to put that before it

    @property
    def extent(self) -> Extent:
        """Which facts it holds."""
        return self.first_seq, self.last_seq, self.facts


def draft_fact(stamped: Stamped) -> Draft:
    """The record of one rare fact."""
    seq, at_ns, fact = stamped
    body = memoryview(bytearray(ROOM) + msgspec.msgpack.encode(fact))
    return Draft(TOPIC_OF[type(fact)], seq, seq, 1, at_ns, (), body)


def draft_pages(topic: str, rows: Array, page_facts: int = MAX_PAGE_FACTS) -> Iterator[Draft]:
    """The records of frequent facts, cut into pages."""
    columns, _ = layout_of(rows.dtype)
    for at in range(0, len(rows), page_facts):
        part = rows[at : at + page_facts]
        seqs, at_ns = part["seq"], int(part["at_ns"][-1])
        yield Draft(topic, int(seqs[0]), int(seqs[-1]), len(part), at_ns, columns, encode_columns(part, ROOM))


def chain(drafts: Iterable[Draft], previous: bytes, policy: int) -> Iterator[tuple[Draft, bytes, bytes]]:
    """Each record with its bytes and its hash, which the next one holds."""
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
        begin = ROOM - LENGTH.size - len(packed)
        draft.body[begin:ROOM] = LENGTH.pack(len(packed)) + packed
        state = cast("bytes", draft.body[begin:])  # whoever stores it only reads it
        previous = hashlib.sha256(state).digest()
        yield draft, state, previous


def parse(position: int, state: bytes, versions: Versions = VERSIONS) -> Record:
    """A record from its stored bytes, of any format. Raises Refused (RECORD_DAMAGED) naming the position."""
    header, begin = parse_header(position, state)
    body = (memoryview(state) if header.columns else state)[begin:]
    return Record(position, header, body, hashlib.sha256(state).digest(), versions)


def parse_header(position: int, state: bytes) -> tuple[Header, int]:
    """The header of a record, and where its body begins. Raises Refused (RECORD_DAMAGED) naming the position."""
    try:
        (length,) = LENGTH.unpack_from(state)
        begin = LENGTH.size + length
        return msgspec.msgpack.decode(state[LENGTH.size : begin], type=Header), begin
    except (struct.error, TypeError, msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise Refused(Code.RECORD_DAMAGED, "position", position, str(problem)) from None


class Start(NamedTuple):
    """Where a group of records begins: its first record, and the number and time of its first fact."""

    position: int
    seq: int
    at_ns: int


class Decoded(NamedTuple):
    """The facts of some consecutive records, complete: no sequence number between its first and last is missing.

    Facts and pages are of the current versions of their topics.
    """

    facts: list[Stamped]
    pages: dict[str, list[Array]]
    position: int  # of the last record
    last_seq: int
    digest: bytes  # of the last record
    starts: tuple[Start, ...] = ()  # of every group in it


def groups(records: Iterable[Record], next_seq: int | None = None) -> Iterator[list[Record]]:
    """Group records so that each group's facts are dense: a rare fact alone, or pages.

    Facts of several topics interleave by `seq` over the pages of a group, whose first record holds the first of
    them. `next_seq` is the first expected number, None to start where the records start.
    Raises Refused (SEQUENCE_GAP) for a gap or a repetition, RECORD_DAMAGED for a page that does not fit its header.
    """
    group: list[Record] = []
    seqs: list[Array] = []
    count = last = 0
    for record in records:
        header = record.header
        next_seq = header.first_seq if next_seq is None else next_seq
        if header.columns:
            group.append(record)
            seqs.append(record.seqs)
            count += header.count
            last = max(last, header.last_seq)
        else:
            group, last, count = [*group, record], max(last, header.last_seq), count + 1
        expected = next_seq + count - 1
        if expected > last or (not header.columns and (len(group) > 1 or header.first_seq != next_seq)):
            raise Refused(Code.SEQUENCE_GAP, "position", record.position, f"expected seq {next_seq}")
        if expected == last:
            if not is_dense(seqs, next_seq, count):
                raise Refused(Code.SEQUENCE_GAP, "position", record.position, f"a seq from {next_seq} on stands twice")
            yield group
            next_seq, group, seqs, count = last + 1, [], [], 0
    if count:
        raise Refused(Code.SEQUENCE_GAP, "seq", next_seq, "the journal ends inside a group of pages")


def is_dense(seqs: Sequence[Array], first: int, count: int) -> bool:
    """Whether `count` numbers, none above `first` + `count` - 1, are all from `first` on, each once."""
    if len(seqs) < 2:  # noqa: PLR2004 - one page rises by itself
        return True
    seen = np.zeros(count, np.bool_)
    for page in seqs:
        if page[0] < first:
            return False
        seen[page - first] = True
    return bool(seen.all())


def decoded(group: Sequence[Record]) -> Decoded:
    """The facts of a group; the pages of a topic become one array, those of submissions stay apart."""
    last = group[-1]
    if not last.header.columns:
        return Decoded([last.fact], {}, last.position, last.header.last_seq, last.digest, starts_of(group))
    by_topic: dict[str, list[Record]] = {}
    for record in group:
        by_topic.setdefault(record.header.topic, []).append(record)
    pages: dict[str, list[Array]] = {}
    for topic, records in by_topic.items():
        if topic == SUBMISSIONS:  # their texts differ in width
            pages[topic] = [record.rows for record in records]
            continue
        bodies = [(record.header.count, record.body) for record in records]
        name, rows = last.versions.current(topic, fill_rows(records[0].dtype, bodies))
        pages.setdefault(name, []).append(rows)
    last_seq = max(record.header.last_seq for record in group)
    return Decoded([], pages, last.position, last_seq, last.digest, starts_of(group))


def starts_of(group: Sequence[Record]) -> tuple[Start, ...]:
    """Where the groups begin that were joined into one."""
    first = [group[at] for at in group_starts([record.header.extent for record in group])]
    return tuple(Start(record.position, record.header.first_seq, record.first_at_ns) for record in first)


def group_starts(extents: Iterable[Extent]) -> Iterator[int]:
    """Which records of whole groups, counted from 0, begin one: each time all facts before are complete."""
    begin = held = end = 0
    for at, (first, last, count) in enumerate(extents):
        if not held:
            yield at
            begin = first
        held, end = held + count, max(end, last)
        if begin + held - 1 == end:
            held = 0


def segments(records: Iterable[Record], next_seq: int | None = None) -> Iterator[Decoded]:
    """The facts of each group of records: see `groups`."""
    return map(decoded, groups(records, next_seq))


def canonical_facts(records: Iterable[Record]) -> Iterator[bytes]:
    """Canonical bytes of all facts in order, however they are paged (contract K8)."""
    for group in groups(records):
        yield from (packed for _, packed in sorted(item for record in group for item in record.canonical()))
