"""Pages: many facts of one topic as typed columns, and the canonical bytes of a single fact.

A page's body is its columns one after the other, little-endian, without padding; names and dtypes stand in the
record's header. The canonical bytes of a fact do not depend on the page it lies in (contract K8).
"""

import functools
import re
import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from ledger.codes import Code, Refused
from ledger.facts import TOPIC_OF, Fact, Stamped
from ledger.journal.versions import VERSIONS, Versions
from ledger.rows import SUBMISSION_FIELDS, SUBMISSION_TEXTS, SUBMISSIONS
from ledger.tables import Array

MAX_PAGE_FACTS: Final = 65_536
SUBMISSION_NAMES: Final = (*(name for name, _ in SUBMISSION_FIELDS), *SUBMISSION_TEXTS)
TEXT_DTYPE: Final = "S"

Columns = tuple[tuple[str, str], ...]
"""Names and dtypes of the columns of a page, in order."""


def layout(dtype: Any) -> Columns:
    """Names and little-endian dtypes of the columns of rows."""
    return tuple((name, dtype[name].str) for name in dtype.names or ())


def text(column: tuple[str, str]) -> bool:
    """Whether a column holds texts of a submission: as many bytes as the longest has."""
    name, kind = column
    return name in SUBMISSION_TEXTS and re.fullmatch(r"\|S[1-9][0-9]{0,2}", kind) is not None


def encode_columns(rows: Array) -> bytes:
    """The columns of a structured array, one after the other."""
    return b"".join(np.ascontiguousarray(rows[name]).tobytes() for name in rows.dtype.names or ())


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


def decode_fact(topic: str, body: bytes, versions: Versions = VERSIONS) -> Fact:
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


def canonical_rows(topic: str, rows: Array) -> Iterator[tuple[int, bytes]]:
    """Sequence number and canonical bytes of each row of a page: its columns in order, texts with their length."""
    names = rows.dtype.names or ()
    texts = [rows.dtype[name].kind == TEXT_DTYPE for name in names]
    for row in rows:
        parts = [
            struct.pack("<H", len(row[name])) + row[name] if text else row[name].tobytes()
            for name, text in zip(names, texts, strict=True)
        ]
        seq = int(row["seq"])
        yield seq, canonical(topic, seq, b"".join(parts))


def canonical(topic: str, seq: int, payload: bytes) -> bytes:
    """Topic with its length, sequence number, payload."""
    return struct.pack("<B", len(topic)) + topic.encode() + struct.pack("<q", seq) + payload


def submission_rows(submissions: list[dict[str, Any]]) -> Array:
    """A page of submissions, its text columns as wide as the longest text."""
    widths = {name: max((len(row[name]) for row in submissions), default=1) for name in SUBMISSION_TEXTS}
    texts = [(name, f"S{max(1, width)}") for name, width in widths.items()]
    rows = np.zeros(len(submissions), np.dtype([*SUBMISSION_FIELDS, *texts]))
    for name in rows.dtype.names or ():
        values = [row[name] for row in submissions]
        rows[name] = np.array(values, rows.dtype[name])
    return rows
