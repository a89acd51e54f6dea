"""How much of the taking of water is measured, and how much of that online (decree, chapter 2 (1))."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from ledger import facts
from ledger.journal.records import Decoded
from ledger.policy import Policy
from ledger.units import NS, SECONDS_PER_HOUR
from projections.base import Table, Upsert

INTAKES: Final = Table(
    "intakes", ("intake",), sets=("code", "name", "kind", "source", "township", "licensed_l", "area_mu")
)
COVERAGE_QUERY: Final = """
    SELECT i.intake, i.kind, i.source, i.licensed_l, i.area_mu, COUNT(m.meter) AS meters, MAX(m.online) AS online,
           MAX(m.verified_until_ns) AS verified_until_ns, MAX(l.measured_at_ns) AS measured_at_ns
    FROM intakes i LEFT JOIN meters m ON m.intake = i.intake LEFT JOIN last_readings l ON l.meter = m.meter
    GROUP BY i.intake
"""
"""Rows for `coverage`, over the tables of this projection and of `projections.usage`."""


class Intakes:
    """Read model of intakes."""

    name = "intakes/1"
    tables = (INTAKES,)

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """Upserts for registrations."""
        for _, _, fact in decoded.facts:
            if isinstance(fact, facts.IntakeRegistered):
                row = (fact.intake, fact.code, fact.name, fact.kind, fact.source, fact.township)
                yield Upsert(INTAKES, [(*row, fact.licensed_l, fact.area_mu)])


class Coverage(NamedTuple):
    """Counts of intakes, and licensed litres of those that are metered."""

    intakes: int
    metered: int  # with a meter in verification
    licensed_l: int
    metered_l: int
    online_required: int
    online_working: int  # of those required: a valid report within the window


def must_be_online(row: dict[str, Any], policy: Policy) -> bool:
    """Whether an intake is above the scale from which it must report online. Thresholds are the policy's."""
    limits = policy.thresholds
    if row["kind"] == "irrigation_head":
        return bool(row["area_mu"] >= limits.irrigation_head_mu)
    if row["kind"] != "intake":
        return False
    source = policy.sources[row["source"]].code
    return bool(row["licensed_l"] >= (limits.ground_l if source == "ground" else limits.surface_l))


def coverage(rows: Sequence[dict[str, Any]], policy: Policy, at_ns: int) -> Coverage:
    """Metering and online rates at a time, from rows of COVERAGE_QUERY."""
    window_ns = policy.thresholds.window_hours * SECONDS_PER_HOUR * NS
    metered = [row for row in rows if row["meters"] and row["verified_until_ns"] > at_ns]
    required = [row for row in rows if must_be_online(row, policy)]
    working = [row for row in required if row["online"] and (row["measured_at_ns"] or 0) >= at_ns - window_ns]
    return Coverage(
        len(rows),
        len(metered),
        sum(row["licensed_l"] for row in rows),
        sum(row["licensed_l"] for row in metered),
        len(required),
        len(working),
    )
