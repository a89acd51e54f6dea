"""Whom an evidence file is about, and which facts concern him: selected by the numbers that facts bear."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from ledger import facts, rows
from ledger.audit.leaves import written_pages
from ledger.codes import Code, Refused
from ledger.journal.pages import canonical_matrices
from ledger.journal.records import Record
from ledger.tables import Array

REGISTRATIONS: Final = (
    facts.PartyRegistered, facts.RightRegistered, facts.IntakeRegistered, facts.MeterInstalled, facts.InstrumentDefined,
)  # fmt: skip
"""Facts that give names to numbers: of a holder or a meter they belong into the file whatever its period."""

DECIDING: Final = (("right",), ("seller_right", "buyer_right"), ("meter",), ("intake",), ("party",))
"""The first of these that a rare fact has says whom it concerns."""

COLUMNS: Final = {
    rows.ORDERS: ("right",),
    rows.TRADES: ("seller_right", "buyer_right"),
    rows.REMOVALS: ("right",),
    rows.READINGS: ("meter",),
    rows.USES: ("right",),
}
"""The same of frequent facts."""

MAX_TIME: Final = 2**63 - 1


class Registered(NamedTuple):
    """Everything registered, in order of its numbers."""

    parties: list[facts.PartyRegistered]
    rights: list[facts.RightRegistered]
    meters: list[facts.MeterInstalled]


class Subject(NamedTuple):
    """Numbers of what a file is about; None for everything. Times are those of recording, the end excluded."""

    described: dict[str, Any]
    numbers: dict[str, set[int]] | None
    from_ns: int = 0
    to_ns: int = MAX_TIME

    def concerns(self, fact: facts.Fact, at_ns: int) -> bool:
        """Whether a rare fact belongs into the file."""
        in_time = self.from_ns <= at_ns < self.to_ns
        if self.numbers is None:
            return in_time
        if isinstance(fact, facts.InstrumentDefined):
            return True
        for names in DECIDING:
            if all(hasattr(fact, name) for name in names):
                mine = any(getattr(fact, name) in self.numbers[kind_of(name)] for name in names)
                return mine and (in_time or isinstance(fact, REGISTRATIONS))
        return False

    def rows_of(self, topic: str, page: Array) -> Array:
        """The rows of a page that belong into the file."""
        mine = (page["at_ns"] >= self.from_ns) & (page["at_ns"] < self.to_ns)
        if self.numbers is not None:
            wanted = [np.isin(page[name], list(self.numbers[kind_of(name)])) for name in COLUMNS.get(topic, ())]
            mine &= np.any(wanted, axis=0) if wanted else False
        return page[mine]

    def select(self, groups: Iterable[list[Record]], size: int) -> Iterator[tuple[int, bytes]]:
        """Number and canonical bytes of each fact that concerns him, of the first `size`; not in order."""
        for group in groups:
            if group[0].header.first_seq > size:
                return
            for record in group:
                if not record.header.columns and record.header.first_seq <= size:
                    stamped = record.fact
                    if self.concerns(stamped.fact, stamped.at_ns):
                        yield from record.canonical()
            for topic, page in written_pages(group, 1, size):
                chosen = self.rows_of(topic, page)
                if len(chosen):
                    for seqs, matrix in canonical_matrices(topic, chosen):
                        yield from zip(seqs.tolist(), (row.tobytes() for row in matrix), strict=True)


def kind_of(name: str) -> str:
    """Which register a field numbers."""
    return name.rpartition("_")[2]


def subject_of(registered: Registered, holder: str, meter: str, from_ns: int, to_ns: int) -> Subject:
    """The subject of a file by codes. Raises Refused: UNKNOWN_PARTY, UNKNOWN_METER, OUT_OF_RANGE."""
    period = {"from_ns": from_ns, "to_ns": to_ns} if (from_ns, to_ns) != (0, MAX_TIME) else {}
    if holder and meter:
        raise Refused(Code.OUT_OF_RANGE, "meter", meter, "a holder or a meter, not both")
    if not (holder or meter or period) or from_ns >= to_ns:
        raise Refused(Code.OUT_OF_RANGE, "subject", period, "a holder, a meter or a period from and to")
    if not holder and not meter:
        return Subject(period, None, from_ns, to_ns)
    if holder:
        parties = {fact.party for fact in registered.parties if fact.code == holder}
        rights = {fact.right for fact in registered.rights if fact.party in parties}
        meters = {fact.meter for fact in registered.meters if rights & {right for right, _ in fact.shares}}
    else:
        meters = {fact.meter for fact in registered.meters if fact.code == meter}
        rights = {right for fact in registered.meters if fact.meter in meters for right, _ in fact.shares}
        parties = {fact.party for fact in registered.rights if fact.right in rights}
    if not (parties if holder else meters):
        code, name = (Code.UNKNOWN_PARTY, "holder") if holder else (Code.UNKNOWN_METER, "meter")
        raise Refused(code, name, holder or meter, "the code of a registered one")
    intakes = {fact.intake for fact in registered.meters if fact.meter in meters}
    numbers = {"party": parties, "right": rights, "meter": meters, "intake": intakes}
    described = {"holder": holder} if holder else {"meter": meter}
    return Subject(described | period, numbers, from_ns, to_ns)
