"""A fault of a register as data: where it stands, what stands there, which rule it breaks, in both languages."""

import re
from typing import Final, NamedTuple

import msgspec

from ledger.codes import Refused, texts
from ledger.facts import CommandRefused
from ledger.units import show_m3

HIDDEN: Final = "***"
"""Stands for the content of a cell with personal data (contract K12)."""

SHOWN: Final = 120


class Spot(NamedTuple):
    """A place in a register: `row` is 0 for a whole file, `column` empty for a whole row."""

    file: str
    row: int = 0
    column: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `row` is the row of the sheet, 0 for the whole file; `column` its heading, empty for the whole row.

    `code` is a number of `ledger.codes`, `en` and `zh` say it to a person.
    """

    file: str
    row: int
    column: str
    code: int
    value: str
    rule: str
    en: str
    zh: str


def make_fault(spot: Spot, refusal: Refused, *, hidden: bool = False) -> Fault:
    """Make the fault of a file, row or cell from the refusal of its content."""
    return stated_fault(spot, int(refusal.code), HIDDEN if hidden else str(refusal.value), refusal.rule)


def stated_fault(spot: Spot, code: int, value: str, rule: str) -> Fault:
    """Make a fault from its parts; a `rule` that is a Hint has a Chinese text too."""
    english, chinese = texts(code)
    shown = value if len(value) <= SHOWN else value[: SHOWN - 3] + "..."
    place_en = " ".join(part for part in (spot.file, f"row {spot.row}" if spot.row else "", spot.column) if part)
    place_zh = " ".join(part for part in (spot.file, f"第 {spot.row} 行" if spot.row else "", spot.column) if part)
    rule_zh = str(getattr(rule, "zh", rule))
    return Fault(
        file=spot.file,
        row=spot.row,
        column=spot.column,
        code=code,
        value=shown,
        rule=str(rule),
        en=f"{place_en}: {english} [{shown}]" + (f" ({rule})" if rule else ""),
        zh=f"{place_zh}: {chinese} [{shown}]" + (f" ({rule_zh})" if rule_zh else ""),
    )


def refused_fault(spot: Spot, fact: CommandRefused) -> Fault:
    """Make the fault of a command that the ledger refused; its litres are shown as cubic metres."""
    value, rule = fact.value, fact.rule
    if fact.field.endswith("_l"):
        value, rule = (re.sub(r"-?\d+", lambda found: f"{show_m3(int(found[0]))} m³", text) for text in (value, rule))
    return stated_fault(spot, fact.code, value, rule)
