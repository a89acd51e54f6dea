"""Pages: many facts of one topic as typed columns, and the canonical bytes of a single fact.

A page's body is its columns one after the other, little-endian, without padding; names and dtypes stand in the
record's header. The canonical bytes of a fact do not depend on the page it lies in (contract K8).
"""

import functools
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from ledger.codes import Code, Refused
from ledger.facts import TOPIC_OF, Fact, Stamped
from ledger.journal.versions import VERSIONS, Versions
from ledger.rows import SUBMISSION_FIELDS, SUBMISSION_TEXTS, SUBMISSIONS
from ledger.tables import Array, joined

MAX_PAGE_FACTS: Final = 65_536
SUBMISSION_NAMES: Final = (*(name for name, _ in SUBMISSION_FIELDS), *SUBMISSION_TEXTS)
TEXT_DTYPE: Final = "S"

Columns = tuple[tuple[str, str], ...]
"""Names and dtypes of the columns of a page, in order."""


def layout(dtype: Any) -> Columns:
    """Names and little-endian dtypes of the columns of rows."""
    return tuple((name, dtype[name].str) for name in dtype.names or ())


def text(column: tuple[str, str]) -> bool:
    """Whether a column holds texts of a submission: at least as many bytes as the longest has."""
    name, kind = column
    return name in SUBMISSION_TEXTS and re.fullmatch(r"\|S[1-9][0-9]{0,2}", kind) is not None


@functools.lru_cache(maxsize=1024)
def submission_dtype(columns: Columns) -> Any:
    """Rows of a page of submissions, whose texts are as wide as its header says."""
    return np.dtype([*SUBMISSION_FIELDS, *(column for column in columns[len(SUBMISSION_FIELDS) :] if text(column))])


@functools.lru_cache(maxsize=1024)
def layout_of(dtype: Any) -> tuple[Columns, int]:
    """Columns of rows, and the bytes that one row has in a page."""
    return layout(dtype), sum(dtype[name].itemsize for name in dtype.names)


def page_dtype(topic: str, columns: Columns, count: int, size: int, versions: Versions = VERSIONS) -> Any:
    """The rows behind a page of `size` bytes. Raises Refused for a topic, layout or length that is not ours."""
    if topic in versions.pages:
        dtype = versions.pages[topic]
    elif topic == SUBMISSIONS:
        dtype = submission_dtype(columns)
    else:
        raise Refused(Code.TOPIC_UNKNOWN, "topic", topic, "written by a newer version of this program")
    ours, row_size = layout_of(dtype)
    if ours != columns or (topic == SUBMISSIONS and dtype.names != SUBMISSION_NAMES):
        raise Refused(Code.RECORD_DAMAGED, "columns", columns, f"the layout of {topic}")
    if not 0 < count <= MAX_PAGE_FACTS or size != row_size * count:
        raise Refused(Code.RECORD_DAMAGED, "body", size, f"1 to {MAX_PAGE_FACTS} facts of {topic}")
    return dtype


def decode_fact(topic: str, body: bytes | memoryview, versions: Versions = VERSIONS) -> Fact:
    """A rare fact as it was written. Raises Refused for an unknown topic or a body that does not fit it."""
    if topic not in versions.facts:
        raise Refused(Code.TOPIC_UNKNOWN, "topic", topic, "written by a newer version of this program")
    try:
        return msgspec.msgpack.decode(body, type=versions.facts[topic])
    except msgspec.MsgspecError as problem:
        raise Refused(Code.RECORD_DAMAGED, topic, str(problem), "a body of this topic") from None


def canonical_fact(stamped: Stamped) -> bytes:
    """Canonical bytes of a rare fact of the current version of its topic."""
    seq, at_ns, fact = stamped
    return canonical(TOPIC_OF[type(fact)], seq, struct.pack("<q", at_ns) + msgspec.msgpack.encode(fact))


def canonical_matrices(topic: str, rows: Array) -> Iterator[tuple[Array, Array]]:
    """Sequence numbers and canonical bytes of the rows of a page, int64 (count,) and uint8 (count, length).

    Rows whose texts have the same lengths come together, so a page without texts is one matrix.
    """
    texts = [name for name in rows.dtype.names or () if rows.dtype[name].kind == TEXT_DTYPE]
    if not texts:
        yield rows["seq"], canonical_matrix(topic, rows, {})
        return
    lengths = np.stack([np.char.str_len(rows[name]) for name in texts], 1)
    for shape in np.unique(lengths, axis=0):
        alike = rows[(lengths == shape).all(1)]
        yield alike["seq"], canonical_matrix(topic, alike, dict(zip(texts, shape.tolist(), strict=True)))


def canonical_matrix(topic: str, rows: Array, lengths: dict[str, int]) -> Array:
    """Canonical bytes of rows whose texts have these lengths, one row each."""
    head = np.frombuffer(struct.pack("<B", len(topic)) + topic.encode(), np.uint8)
    parts: list[Array] = [np.broadcast_to(head, (len(rows), len(head))), byte_rows(rows["seq"])]
    for name in rows.dtype.names or ():
        column = byte_rows(rows[name])
        if name in lengths:
            parts.append(byte_rows(np.full(len(rows), lengths[name], "<u2")))
            column = column[:, : lengths[name]]
        parts.append(column)
    return np.hstack(parts)


def byte_rows(column: Array) -> Array:
    """The bytes of each value of a column, uint8 (count, bytes of one)."""
    return np.ascontiguousarray(column).view(np.uint8).reshape(len(column), -1)


def canonical_rows(topic: str, rows: Array) -> Iterator[tuple[int, bytes]]:
    """Sequence number and canonical bytes of each row of a page: its columns in order, texts with their length."""
    for seqs, matrix in canonical_matrices(topic, rows):
        yield from zip(seqs.tolist(), (row.tobytes() for row in matrix), strict=True)


def canonical(topic: str, seq: int, payload: bytes) -> bytes:
    """Topic with its length, sequence number, payload."""
    return struct.pack("<B", len(topic)) + topic.encode() + struct.pack("<q", seq) + payload


def submission_rows(columns: Sequence[Any]) -> Array:
    """Rows of a page of submissions from their columns in order, texts encoded."""
    widths = [max(map(len, texts)) for texts in columns[-len(SUBMISSION_TEXTS) :]]
    if len(columns[0]) == 1:  # as tasks give them
        return np.array([tuple(column[0] for column in columns)], widened(*widths))
    rows = np.zeros(len(columns[0]), widened(*widths))
    for name, column in zip(rows.dtype.names, columns, strict=True):
        rows[name] = column
    return rows


def joined_submissions(parts: Sequence[Array]) -> Array:
    """Rows of submissions together, their text columns as wide as the widest."""
    if len({part.dtype for part in parts}) == 1:
        return joined(parts)
    widths = [max(part.dtype[name].itemsize for part in parts) for name in SUBMISSION_TEXTS]
    rows, at = np.zeros(sum(map(len, parts)), widened(*widths)), 0
    for part in parts:
        rows[at : at + len(part)] = part
        at += len(part)
    return rows


@functools.lru_cache(maxsize=1024)
def widened(*widths: int) -> Any:
    """Rows of a page of submissions with text columns of these widths."""
    texts = [(name, f"S{max(1, width)}") for name, width in zip(SUBMISSION_TEXTS, widths, strict=True)]
    return np.dtype([*SUBMISSION_FIELDS, *texts])
