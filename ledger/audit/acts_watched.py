"""Applying rare facts under watch: their numbers name what is there, and no account they touch is out of order.

Accounts sum to what they did before, and none is below zero or above its caps. Whether an act was allowed is shown by
deciding it again (`ledger.audit.rematch`).
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from ledger import facts
from ledger.accounts import OVER_USE
from ledger.audit.figures import COVERED, FAULTS, NEGATIVE, NUMBER, SUM, UNKNOWN
from ledger.audit.postings import sound_row
from ledger.codes import Code, Refused
from ledger.facts import TOPIC_OF
from ledger.fold import apply_fact
from ledger.policy_rules import YEARS
from ledger.state import State
from ledger.tables import FIRST_YEAR, MONEY_UNIT, Kind, water_unit
from ledger.units import MAX_AMOUNT

Key = tuple[int, int, int, int]

MADE_BY: Final[dict[type[facts.Fact], str]] = {
    facts.CapPublished: "cap",
    facts.InstrumentDefined: "instrument",
    facts.PartyRegistered: "party",
    facts.RightRegistered: "right",
    facts.IntakeRegistered: "intake",
    facts.MeterInstalled: "meter",
}
"""Facts that give the next dense number of their kind."""

UNUSABLE: Final = (LookupError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)


def post_act(state: State, stamped: facts.Stamped) -> None:
    """Check and apply one rare fact. Raises Refused (FACT_IMPOSSIBLE) naming its `seq`."""
    seq, _, fact = stamped
    try:
        fault = numbers_fault(state, fact) or covered_fault(state, fact)
        if not fault:
            before = sums_of(state, touched(state, fact))
            apply_fact(state, fact)
            rows = touched(state, fact)
            after = sums_of(state, rows)
            moved = any(total != before.get(unit, 0) for unit, total in after.items())
            fault = SUM if moved else rows_fault(state, rows)
    except UNUSABLE as problem:
        raise impossible(seq, TOPIC_OF[type(fact)], f"{FAULTS[UNKNOWN]} ({problem})") from problem
    if fault:
        raise impossible(seq, TOPIC_OF[type(fact)], FAULTS[fault])


def impossible(seq: int, topic: str, rule: str) -> Refused:
    """The refusal of a fact that does not follow from those before it."""
    return Refused(Code.FACT_IMPOSSIBLE, "seq", seq, f"{topic}: {rule}")


def registers(state: State) -> dict[str, int]:
    """How many are registered of each kind that facts number."""
    return {
        "cap": len(state.caps), "instrument": len(state.instruments), "party": len(state.parties),
        "right": len(state.rights), "seller_right": len(state.rights), "buyer_right": len(state.rights),
        "intake": len(state.intakes), "meter": len(state.meter_facts),
    }  # fmt: skip


def numbers_fault(state: State, fact: facts.Fact) -> int:
    """What is wrong with the numbers in a fact, or 0."""
    counts, made = registers(state), MADE_BY.get(type(fact), "")
    for name in fact.__struct_fields__:
        value = getattr(fact, name)
        if name == made and value != counts[name]:
            return NUMBER
        if name != made and name in counts and not 0 <= value < counts[name]:
            return UNKNOWN
        if name.endswith(("_l", "_fen", "_ppm", "_lots")) and not 0 <= value <= MAX_AMOUNT:
            return NEGATIVE
    if isinstance(fact, facts.MeterInstalled) and any(not 0 <= right < counts["right"] for right, _ in fact.shares):
        return UNKNOWN
    if isinstance(fact, facts.RightIssued | facts.SavingVerified | facts.AgreementSettled):
        return 0 if 0 <= fact.year - int(state.accounts.scalars[FIRST_YEAR]) < YEARS else UNKNOWN
    return 0


def covered_fault(state: State, fact: facts.Fact) -> int:
    """Whether a credit covers just the over-use that there was."""
    if isinstance(fact, facts.RightIssued):
        right = fact.right
    elif isinstance(fact, facts.AgreementSettled):
        right = fact.buyer_right
    else:
        return 0
    row = state.holding(right, fact.year)
    lacking = 0 if row is None else -int(state.accounts.balance[row, OVER_USE])
    return 0 if fact.covered_l == min(fact.volume_l, lacking) else COVERED


def pool(kind: Kind, unit: int) -> Key:
    """The key of an account that no holder has."""
    return int(kind), -1, -1, unit


def holding(state: State, right: int, year: int) -> list[Key]:
    """The keys of a holding and of its holder's money."""
    party = state.rights[right].party
    return [(int(Kind.HOLDING), party, right, state.unit_of(right, year)), (int(Kind.MONEY), party, -1, MONEY_UNIT)]


def index_rows(_: State, fact: facts.IndexSet) -> list[Key]:
    """Control index and district."""
    unit = water_unit(fact.source, fact.year)
    return [pool(Kind.CONTROL, unit), pool(Kind.DISTRICT, unit)]


def cell_rows(state: State, fact: facts.CellAllocated) -> list[Key]:
    """District and cell."""
    unit = water_unit(fact.source, fact.year)
    return [pool(Kind.DISTRICT, unit), *cell_of(state, fact, fact.year)]


def cell_of(state: State, of: Any, year: int) -> list[Key]:
    """The key of the cell with these attributes, if there is one."""
    key = (of.source, year, of.basin, of.township, of.industry, of.network, of.scheme)
    row = state.cells.get(key)
    unit = water_unit(of.source, year)
    return [] if row is None else [(int(Kind.CELL), -1, int(state.accounts.account["reference"][row]), unit)]


def issue_rows(state: State, fact: facts.RightIssued) -> list[Key]:
    """Cell, what stands above it, and the holding."""
    unit = state.unit_of(fact.right, fact.year)
    own = holding(state, fact.right, fact.year)
    return [
        pool(Kind.OVER_ALLOCATED, unit), pool(Kind.CONTROL, unit), *cell_of(state, state.rights[fact.right], fact.year),
        *own,
    ]  # fmt: skip


def end_rows(state: State, fact: facts.RightEnded) -> list[Key]:
    """The holdings of a right, and what expired."""
    pairs = [
        (pool(Kind.EXPIRED, state.unit_of(fact.right, year)), *holding(state, fact.right, year))
        for year, _ in fact.left
    ]
    return list(dict.fromkeys(key for keys in pairs for key in keys))


def deposit_rows(_: State, fact: facts.MoneyDeposited) -> list[Key]:
    """The world outside, and the holder's money."""
    return [pool(Kind.EXTERNAL, MONEY_UNIT), (int(Kind.MONEY), fact.party, -1, MONEY_UNIT)]


def agreement_rows(state: State, fact: facts.AgreementSettled) -> list[Key]:
    """Both holdings, their holders' money, and the fees."""
    sides = holding(state, fact.seller_right, fact.year) + holding(state, fact.buyer_right, fact.year)
    return [pool(Kind.FEES, MONEY_UNIT), *dict.fromkeys(sides)]


TOUCHED: Final[dict[type[facts.Fact], Callable[[State, Any], list[Key]]]] = {
    facts.IndexSet: index_rows,
    facts.CellAllocated: cell_rows,
    facts.RightIssued: issue_rows,
    facts.RightEnded: end_rows,
    facts.MoneyDeposited: deposit_rows,
    facts.AgreementSettled: agreement_rows,
}
"""The accounts that a fact posts to; no other fact posts."""


def touched(state: State, fact: facts.Fact) -> list[int]:
    """Rows of the accounts that a fact posts to, as far as there are any."""
    keys = TOUCHED[type(fact)](state, fact) if type(fact) in TOUCHED else []
    return [state.rows[key] for key in keys if key in state.rows]


def sums_of(state: State, rows: list[int]) -> dict[int, int]:
    """The sums of some accounts by unit."""
    sums: dict[int, int] = {}
    for row in rows:
        unit = int(state.accounts.account["unit"][row])
        sums[unit] = sums.get(unit, 0) + int(state.accounts.balance[row].sum())
    return sums


def rows_fault(state: State, rows: list[int]) -> int:
    """What is wrong with some accounts, or 0."""
    return next((code for row in rows if (code := int(sound_row(state.accounts, row)))), 0)
