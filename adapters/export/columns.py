"""The table of each topic: its columns with Arrow types, units and meanings of numbers, and facts as its rows.

Every table begins with position, seq, at_ns and topic. Integers stay integers; a name ends in its unit. Columns and
types follow from the topic's own version, so a table changes only when the topic does.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, get_type_hints

import numpy as np

from adapters.export.packages import pa
from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.facts import TOPIC_OF, TOPICS, Stamped
from ledger.journal.records import Decoded
from ledger.rows import MISSING, PAGE_DTYPES, SUBMISSION_FIELDS, SUBMISSION_TEXTS, SUBMISSIONS, Quality, Source
from ledger.tables import Array
from matching.types import Action, OrderType, SelfTrade, Side, Status, TimeInForce

LEADING: Final = (("position", pa.int64()), ("seq", pa.int64()), ("at_ns", pa.int64()), ("topic", pa.string()))
RECORDS: Final = pa.schema(
    [pa.field(*column, nullable=False) for column in (("position", pa.int64()), ("topic", pa.string()))]
    + [pa.field("record", pa.binary(), nullable=False)]
)
"""The table of records, byte for byte."""

ALL_TOPICS: Final = (*TOPICS, SUBMISSIONS, *PAGE_DTYPES)
PAIRS: Final = {"shares": ("right", "share_ppm"), "left": ("year", "volume_l")}
"""Lists of pairs in rare facts, and what the two are."""

UNITS: Final = {
    "_l_per_hour": "litres an hour", "_l_per_h": "litres an hour", "_l": "litres", "_fen": "fen",
    "_ns": "nanoseconds since 1970, UTC", "_ppm": "parts per million", "_mu": "mu",
}  # fmt: skip
ENUMS: Final[dict[str, type[IntEnum]]] = {
    "side": Side, "taker_side": Side, "action": Action, "order_type": OrderType, "time_in_force": TimeInForce,
    "self_trade": SelfTrade, "status": Status, "role": Role, "quality": Quality,
}  # fmt: skip
OTHER: Final = {
    "price": "ticks", "quantity": "lots", "filled": "lots", "leaves": "lots", "max_price": "ticks",
    "low_price": "ticks", "high_price": "ticks", "lots": "lots", "headroom_lots": "lots",
    "escrowed": "litres of a sell, fen of a buy", "released": "litres of a sell, fen of a buy",
    "code": "reason, see codes.md", "reason": "reason, see codes.md", "alarm": "bits of the frame",
    "continuous": "0 not open, 1 simulation, 2 by a document", "agreement": "0 not open, 1 simulation, 2 by a document",
    "position": "behind which a reader goes on once it has the fact's group", "seq": "number of the fact",
    "topic": "name and version", "cause": "seq of the fact that caused it",
}  # fmt: skip
TYPES: Final = {int: pa.int64(), str: pa.string(), bytes: pa.binary(), bool: pa.bool_()}
NULL_WHERE_MISSING: Final = frozenset({"value_l", "flow_l_per_h"})


def schema_of(topic: str) -> Any:
    """The Arrow schema of a topic's table. Raises Refused (TOPIC_UNKNOWN)."""
    if topic in TOPICS:
        hints = get_type_hints(TOPICS[topic])
        own = [(name, rare_type(name, hints[name])) for name in TOPICS[topic].__struct_fields__]
    elif topic == SUBMISSIONS:
        own = [(name, page_type(np.dtype(kind))) for name, kind in SUBMISSION_FIELDS[2:]]
        own += [(name, pa.string()) for name in SUBMISSION_TEXTS]
    elif topic in PAGE_DTYPES:
        dtype = PAGE_DTYPES[topic]
        own = [(name, page_type(dtype[name])) for name in (dtype.names or ())[2:]]
    else:
        raise Refused(Code.TOPIC_UNKNOWN, "topic", topic, f"one of {', '.join(ALL_TOPICS)}")
    return pa.schema(
        [
            pa.field(name, kind, nullable=name in NULL_WHERE_MISSING, metadata={"meaning": meaning_of(topic, name)})
            for name, kind in (*LEADING, *own)
        ],
        metadata={"topic": topic},
    )


def rare_type(name: str, hint: Any) -> Any:
    """Arrow type of a field of a rare fact."""
    if name in PAIRS:
        return pa.list_(pa.struct([pa.field(part, pa.int64(), nullable=False) for part in PAIRS[name]]))
    return TYPES[hint] if hint in TYPES else pa.list_(TYPES[hint.__args__[0]])


def page_type(dtype: Any) -> Any:
    """Arrow type of a column of a page."""
    return pa.binary(dtype.itemsize) if dtype.kind == "V" else pa.from_numpy_dtype(dtype)


def meaning_of(topic: str, name: str) -> str:
    """Unit of a column, or what its numbers stand for; empty where the name says it all."""
    enum = Source if (topic, name) == ("reading/1", "source") else ENUMS.get(name)
    if enum:
        return ", ".join(f"{int(member)} {member.name}" for member in enum)
    unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), OTHER.get(name, ""))
    return f"{unit}; null where the meter gave none" if name in NULL_WHERE_MISSING else unit


class Gathered:
    """Facts of one topic, gathered group by group until somebody takes them as a table."""

    def __init__(self, topic: str) -> None:
        """Nothing gathered. Raises Refused (TOPIC_UNKNOWN)."""
        self.topic, self.schema = topic, schema_of(topic)
        self.rows = 0
        self._positions: list[Array] = []
        self._rare: list[Stamped] = []
        self._pages: list[Array] = []

    def add(self, group: Decoded) -> None:
        """Take the facts of this topic from a group."""
        rare = [stamped for stamped in group.facts if TOPIC_OF[type(stamped.fact)] == self.topic]
        pages = group.pages.get(self.topic, [])
        count = len(rare) + sum(len(page) for page in pages)
        if count:
            self._positions.append(np.full(count, group.position, np.int64))
            self._rare += rare
            self._pages += pages
            self.rows += count

    def take(self) -> Any:
        """What was gathered as an Arrow table, in order of `seq`; the next begins empty."""
        positions = np.concatenate([np.zeros(0, np.int64), *self._positions])
        if not self.rows:
            table = self.schema.empty_table()
        elif self._pages:
            table = page_table(self.schema, self.topic, positions, np.concatenate(self._pages))
        else:
            table = rare_table(self.schema, self.topic, positions, self._rare)
        self.rows, self._positions, self._rare, self._pages = 0, [], [], []
        return table


def rare_table(schema: Any, topic: str, positions: Array, facts: Sequence[Stamped]) -> Any:
    """Rare facts of one topic as a table."""
    leading = [positions, [fact.seq for fact in facts], [fact.at_ns for fact in facts], [topic] * len(facts)]
    own = [[plain(name, getattr(one.fact, name)) for one in facts] for name in schema.names[len(LEADING) :]]
    arrays = [pa.array(values, kind) for values, kind in zip([*leading, *own], schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def plain(name: str, value: Any) -> Any:
    """A value of a rare fact as Arrow takes it."""
    return [dict(zip(PAIRS[name], pair, strict=True)) for pair in value] if name in PAIRS else value


def page_table(schema: Any, topic: str, positions: Array, rows: Array) -> Any:
    """Frequent facts of one topic as a table."""
    arrays = [
        pa.array(positions) if name == "position"
        else pa.repeat(pa.scalar(topic), len(rows)) if name == "topic"
        else page_array(name, np.ascontiguousarray(rows[name]))
        for name in schema.names
    ]  # fmt: skip
    return pa.Table.from_arrays(arrays, schema=schema)


def page_array(name: str, column: Array) -> Any:
    """One column of a page as an Arrow array."""
    if column.dtype.kind == "S":
        return pa.array([text.decode() for text in column.tolist()], pa.string())
    if column.dtype.kind == "V":
        bytes_ = pa.py_buffer(column.tobytes())
        return pa.FixedSizeBinaryArray.from_buffers(page_type(column.dtype), len(column), [None, bytes_])
    return pa.array(column, mask=column == MISSING if name in NULL_WHERE_MISSING else None)
