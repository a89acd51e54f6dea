"""Who used what: use by right and local month, and what each meter reported."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from ledger import facts
from ledger.codes import Code
from ledger.journal.records import Decoded
from ledger.rows import READINGS, USES
from ledger.tables import Array
from ledger.units import NS
from projections.base import Table, Upsert, page, summed

USAGE: Final = Table("usage", ("right", "year", "month"), adds=("volume_l", "over_l", "intervals"))
METERS: Final = Table(
    "meters", ("meter",), sets=("code", "intake", "station", "online", "sign", "verified_until_ns", "shares")
)
REPORTS: Final = Table(
    "reports", ("meter",), adds=("readings", "booked", "duplicate", "late", "missing", "held", "refused", "volume_l")
)
LAST: Final = Table("last_readings", ("meter",), sets=("measured_at_ns", "received_at_ns", "value_l", "code"))

CLASSES: Final = {
    "booked": (0, Code.WRAPPED),
    "duplicate": (Code.DUPLICATE_READING,),
    "late": (Code.LATE_READING,),
    "missing": (Code.VALUE_MISSING,),
    "held": (Code.STEP_BACK, Code.RATE_TOO_HIGH),
    "refused": (Code.READING_TOO_LATE, Code.CLOCK_AHEAD, Code.BEYOND_MODULUS, Code.UNKNOWN_METER),
}

USAGE_QUERY: Final = """
    SELECT r.code AS right, u.year, u.month, p.code AS party, p.name, u.volume_l, u.over_l, u.intervals
    FROM usage u JOIN rights r ON r.right = u.right JOIN parties p ON p.party = r.party
    ORDER BY r.right, u.year, u.month
"""
"""Use by right and month with names, over the tables of this projection and of `projections.holdings`."""


class Usage:
    """Read model of use and of meters. Months are those of the district's time zone."""

    name = "usage/1"
    tables = (USAGE, METERS, REPORTS, LAST)

    def __init__(self, zone: ZoneInfo) -> None:
        """A fold for a district's time zone."""
        self._zone = zone

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """Upserts for meters, readings and use."""
        for _, _, fact in decoded.facts:
            if isinstance(fact, facts.MeterInstalled):
                row = (fact.meter, fact.code, fact.intake, fact.station, int(fact.online), fact.sign)
                yield Upsert(METERS, [(*row, fact.verified_until_ns, str(list(fact.shares)))])
        if decoded.pages:
            uses, readings = page(decoded, USES), page(decoded, READINGS)
            months = self._months(uses["to_ns"])
            ones = np.ones(len(uses), np.int64)
            yield Upsert(USAGE, summed([uses["right"], uses["year"], months], [uses["volume_l"], uses["over_l"], ones]))
            yield Upsert(REPORTS, report_rows(readings))
            yield Upsert(LAST, last_rows(readings))

    def _months(self, ends_ns: Array) -> Array:
        """Local month in which each interval ended; an interval that ends at midnight belongs to the day before."""
        hours, at = np.unique((ends_ns - 1) // (3600 * NS), return_inverse=True)
        months = [
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour))).astimezone(self._zone).month
            for hour in hours
        ]
        return np.array(months, np.int64)[at.reshape(-1)] if len(hours) else np.zeros(0, np.int64)


def report_rows(readings: Array) -> list[tuple[int, ...]]:
    """Counts of readings by meter and class."""
    counts = [np.isin(readings["code"], [int(code) for code in codes]).astype(np.int64) for codes in CLASSES.values()]
    ones = np.ones(len(readings), np.int64)
    return summed([readings["meter"]], [ones, *counts, readings["volume_l"]])


def last_rows(readings: Array) -> list[tuple[int, ...]]:
    """The last reading of each meter that moved its register."""
    booked = readings[np.isin(readings["code"], [0, int(Code.WRAPPED)])]
    meters, first = np.unique(booked["meter"][::-1], return_index=True)
    last = booked[::-1][first]
    names = ("measured_at_ns", "received_at_ns", "value_l", "code")
    return [(int(meter), *(int(row[name]) for name in names)) for meter, row in zip(meters, last, strict=True)]
