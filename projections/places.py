"""Where in the journal the facts about something lie, so that they are found without reading all of it.

A place is the position at which a group of records begins. For time and `seq` it is kept where each group begins. For
every right, holder, meter and order the groups that name it are kept as bits of a block of positions, so that what is
named in every group, as meters are in every hour, has a row a block and not a row a fact. Which facts name what is
said once, in REFERENCES.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.facts import TOPIC_OF, Fact
from ledger.journal.records import Decoded
from ledger.rows import ORDERS, READINGS, REMOVALS, TRADES, USES
from ledger.tables import Array
from projections.base import Table, Upsert, summed

HOLDER, RIGHT, ORDER, METER, TIME, SEQ = "holder", "right", "order", "meter", "time", "seq"

PLACES: Final = Table("places", ("what", "number", "position"))
NAMED: Final = Table("named", ("what", "number", "block"), adds=("begins",))

BLOCK: Final = 62
"""So many positions have a bit in one row: an integer of SQLite has 64, and a sign."""

REFERENCES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    ORDERS: {RIGHT: ("right",), ORDER: ("order_id",)},
    TRADES: {RIGHT: ("buyer_right", "seller_right"), ORDER: ("maker_order_id", "taker_order_id")},
    REMOVALS: {RIGHT: ("right",), ORDER: ("order_id",)},
    READINGS: {METER: ("meter",)},
    USES: {RIGHT: ("right",)},
    "party.registered/1": {HOLDER: ("party",)},
    "right.registered/1": {HOLDER: ("party",), RIGHT: ("right",)},
    "right.issued/1": {RIGHT: ("right",)},
    "right.ended/1": {RIGHT: ("right",)},
    "meter.installed/1": {METER: ("meter",), RIGHT: ("shares",)},
    "meter.lapsed/1": {METER: ("meter",)},
    "saving.verified/1": {RIGHT: ("right",)},
    "money.deposited/1": {HOLDER: ("party",)},
    "party.suspended/1": {HOLDER: ("party",)},
    "party.reinstated/1": {HOLDER: ("party",)},
    "agreement.settled/1": {RIGHT: ("seller_right", "buyer_right")},
}
"""By topic: which fields name a holder, a right, an order or a meter. A holder is also meant by each of his rights."""

EVER: Final = 2**63 - 1
"""A time and a number behind all others."""

PLACE_QUERY: Final = (
    "SELECT position FROM places WHERE what = ? AND number <= ? ORDER BY number DESC, position DESC LIMIT 1"
)
"""The last group that begins at or before a time or a `seq`."""

NAMED_QUERY: Final = "SELECT block, begins FROM named WHERE what = ? AND number IN (SELECT value FROM json_each(?))"
"""The blocks, and in them the groups, that name any of some numbers."""


class Places:
    """Read model of places. An order is found where it was entered by its own `seq`, which is its id (contract K21)."""

    name = "places/2"
    tables = (PLACES, NAMED)

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """A row for each group, and the bits of the groups for whatever they name."""
        rows = [
            (what, number, at.position) for at in decoded.starts for what, number in ((SEQ, at.seq), (TIME, at.at_ns))
        ]
        yield Upsert(PLACES, rows)
        named: dict[str, list[Array]] = {}
        for stamped in decoded.facts:
            for what, fields in REFERENCES.get(TOPIC_OF[type(stamped.fact)], {}).items():
                found = [number for field in fields for number in numbers(stamped.fact, field)]
                named.setdefault(what, []).append(pairs(decoded, what, np.full(len(found), stamped.seq), found))
        for topic, pages in decoded.pages.items():
            for what, fields in REFERENCES.get(topic, {}).items():
                named.setdefault(what, []).extend(
                    pairs(decoded, what, page["seq"], page[field]) for page in pages for field in fields
                )
        yield Upsert(NAMED, [(what, *row) for what, found in named.items() for row in bits(np.concatenate(found))])


def pairs(decoded: Decoded, what: str, seqs: Array, found: Any) -> Array:
    """Numbers beside the places of the groups that hold the facts of these `seq`."""
    first, places = (np.array([start[at] for start in decoded.starts], np.int64) for at in (1, 0))
    group, found = np.searchsorted(first, seqs, side="right") - 1, np.asarray(found, np.int64)
    if what == ORDER:
        older = found < first[group]
        group, found = group[older], found[older]
    return np.stack([found, places[group]], axis=1)


def bits(named: Array) -> list[tuple[int, ...]]:
    """Rows of number, block and bits from pairs of number and place, each pair counted once."""
    number, place = np.unique(named, axis=0).T
    return summed([number, place // BLOCK], [1 << place % BLOCK])


def places(block: int, begins: int) -> set[int]:
    """The places that the bits of a block stand for."""
    return {block * BLOCK + bit for bit in range(BLOCK) if begins >> bit & 1}


def numbers(fact: Fact, field: str) -> tuple[int, ...]:
    """The numbers in a field of a rare fact: one, or the rights of a meter's shares."""
    value = getattr(fact, field)
    return (value,) if isinstance(value, int) else tuple(right for right, _ in value)


class Wanted(NamedTuple):
    """Which facts are asked for: those that meet every one of `named`, within bounds of time and `seq`.

    Each of `named` is met by any of its numbers: `{"right": {3, 8}, "holder": {2}}` is a holder with two rights.
    """

    named: tuple[Mapping[str, frozenset[int]], ...] = ()
    from_ns: int = 0
    to_ns: int = EVER  # excluded
    after_seq: int = 0
    last_seq: int = EVER


def select(decoded: Decoded, wanted: Wanted) -> Decoded:
    """The facts of a group that are wanted."""
    rare = [
        stamped
        for stamped in decoded.facts
        if wanted.from_ns <= stamped.at_ns < wanted.to_ns
        and wanted.after_seq < stamped.seq <= wanted.last_seq
        and all(names(stamped.fact, one) for one in wanted.named)
    ]
    pages = {topic: [page[mask(topic, page, wanted)] for page in found] for topic, found in decoded.pages.items()}
    return decoded._replace(facts=rare, pages=pages)


def names(fact: Fact, wanted: Mapping[str, frozenset[int]]) -> bool:
    """Whether a rare fact names any of some numbers."""
    fields = REFERENCES.get(TOPIC_OF[type(fact)], {})
    return any(not wanted[what].isdisjoint(numbers(fact, field)) for what in wanted for field in fields.get(what, ()))


def mask(topic: str, page: Array, wanted: Wanted) -> Any:
    """Which rows of a page are wanted."""
    seq, at_ns = page["seq"], page["at_ns"]
    kept = (wanted.from_ns <= at_ns) & (at_ns < wanted.to_ns) & (wanted.after_seq < seq) & (seq <= wanted.last_seq)
    for one in wanted.named:
        met = np.zeros(len(page), bool)
        for what, found in one.items():
            for field in REFERENCES.get(topic, {}).get(what, ()):
                met |= np.isin(page[field], list(found))
        kept &= met
    return kept
