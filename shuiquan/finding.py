"""Finding facts by what they name, by time and by number: places from the read models, then those groups alone."""

import json
from collections.abc import Iterator
from operator import index
from typing import Any

from adapters.stores.views import Views
from ledger.codes import Code, Refused
from ledger.journal.records import Decoded
from ledger.journal.store import Store
from ledger.replay import segment_at, segments_after
from projections.places import (
    EVER,
    HOLDER,
    METER,
    NAMED_QUERY,
    ORDER,
    PLACE_QUERY,
    RIGHT,
    SEQ,
    TIME,
    Wanted,
    places,
    select,
)

CODES = {HOLDER: ("parties", "party", Code.UNKNOWN_PARTY), RIGHT: ("rights", "right", Code.UNKNOWN_RIGHT)}
CODES[METER] = ("meters", "meter", Code.UNKNOWN_METER)
"""By what is named: the table that gives the number of a code, its column, and the reason when there is none."""


def wanted(
    views: Views,
    *,
    holder: str | None = None,
    right: str | None = None,
    order: int | None = None,
    meter: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    after_seq: int = 0,
    last_seq: int = EVER,
) -> Wanted:
    """What is asked for, its codes looked up in the read models.

    Raises Refused: UNKNOWN_PARTY, UNKNOWN_RIGHT, UNKNOWN_METER, WRONG_TYPE, OUT_OF_RANGE.
    """
    named = []
    if holder is not None:
        party = number_of(views, HOLDER, holder)
        rights = views.select('SELECT "right" FROM rights WHERE party = ?', [party])
        named.append({HOLDER: frozenset([party]), RIGHT: frozenset(row["right"] for row in rights)})
    if right is not None:
        named.append({RIGHT: frozenset([number_of(views, RIGHT, right)])})
    if order is not None:
        named.append({ORDER: frozenset([whole("order", order)])})
    if meter is not None:
        named.append({METER: frozenset([number_of(views, METER, meter)])})
    return Wanted(
        tuple(named),
        whole("from_ns", 0 if from_ns is None else from_ns),
        whole("to_ns", EVER if to_ns is None else to_ns),
        whole("after_seq", after_seq),
        last_seq,
    )


def number_of(views: Views, what: str, code: str) -> int:
    """The dense number of a code, as far as the read models have come."""
    table, column, unknown = CODES[what]
    found = views.select(f'SELECT "{column}" AS number FROM {table} WHERE code = ?', [code]) if is_text(code) else []  # noqa: S608
    if not found:
        raise Refused(unknown, what, code, "a code of the register")
    return int(found[0]["number"])


def is_text(code: Any) -> bool:
    """Whether a value can be a code at all."""
    return isinstance(code, str) and code.isprintable()


def whole(field: str, value: Any) -> int:
    """A number or a time. Raises Refused (WRONG_TYPE, OUT_OF_RANGE)."""
    try:
        number = index(value)
    except TypeError:
        raise Refused(Code.WRONG_TYPE, field, value, "an integer") from None
    if not 0 <= number <= EVER:
        raise Refused(Code.OUT_OF_RANGE, field, value, "from 0 to 2^63 - 1")
    return number


def groups(store: Store, views: Views, what: Wanted) -> Iterator[Decoded]:
    """The groups of facts that are wanted, in order, with nothing else in them.

    Facts that are named are looked for where the read models place them; those of a stretch of time or numbers are
    read from its beginning to its end.
    """
    low, high = bounds(views, what)
    if what.named:
        met = set.intersection(*(positions(views, one) for one in what.named))
        found = (segment_at(store, place) for place in sorted(met) if low <= place <= high)
    else:
        found = (decoded for decoded in segments_after(store, low - 1))
    for decoded in found:
        if decoded.starts[0].position > high:
            return
        yield select(decoded, what)


def bounds(views: Views, what: Wanted) -> tuple[int, int]:
    """Positions at which the first and the last group begins that may hold what is wanted."""
    low = max(place(views, TIME, what.from_ns - 1), place(views, SEQ, min(what.after_seq, EVER - 1) + 1), 1)
    return low, min(place(views, TIME, what.to_ns - 1), place(views, SEQ, what.last_seq))


def place(views: Views, kind: str, number: int) -> int:
    """Position of the last group that begins at or before a time or a `seq`; 0 where none does."""
    found = views.select(PLACE_QUERY, [kind, number])
    return int(found[0]["position"]) if found else 0


def positions(views: Views, one: Any) -> set[int]:
    """Positions of the groups that name any of some numbers."""
    found: set[int] = set()
    for what, numbers in one.items():
        for row in views.select(NAMED_QUERY, [what, json.dumps(sorted(numbers))]):
            found |= places(row["block"], row["begins"])
        if what == ORDER:  # where it was entered: its id is the number of that fact
            found |= {place(views, SEQ, number) for number in numbers}
    return found - {0}
