"""Reading a register: a folder of sheets into commands with the rows they are from, and every fault of every row."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from adapters.registry.cells import UNITS
from adapters.registry.faults import Fault, Spot, make_fault, stated_fault
from adapters.registry.records import Column, Context, Known, Row, commands_of
from adapters.registry.sheets import SHEETS, Sheet
from adapters.registry.tables import SUFFIXES, Headings, Hint, data_rows, find_headings, plain, read_rows, unreadable
from ledger.codes import Code, Refused
from ledger.commands import Command, IssueRight
from ledger.policy import Policy

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""

STEPS: Final = len(SHEETS) + 2
"""Steps of an import: the sheets, the preview, the submission."""


class Origin(NamedTuple):
    """The row that a command is from."""

    sheet: Sheet
    file: str
    row: int


class Register(NamedTuple):
    """A register that was read. `origins` goes with `commands`; `counts` gives the rows of each sheet by its name.

    With any fault the commands are those of the sound rows only, and of no use but for counting.
    """

    commands: tuple[Command, ...]
    origins: tuple[Origin, ...]
    faults: tuple[Fault, ...]
    counts: dict[str, int]


class Reading:
    """A folder while it is read."""

    def __init__(self, policy: Policy) -> None:
        """Begin with nothing read."""
        self.policy = policy
        self.known = Known({}, [])
        self.commands: list[Command] = []
        self.origins: list[Origin] = []
        self.faults: list[Fault] = []
        self.counts: dict[str, int] = {}
        self.unsure: set[str] = set()  # kinds whose sheets could not be read in full

    def find(self, folder: Path, sheet: Sheet) -> Path | None:
        """Find the one file of a sheet; several, or one in a format that is not read, are a fault."""
        entries = folder.iterdir() if folder.is_dir() else ()
        found = sorted(path for path in entries if plain(path.stem) == sheet.name)
        if len(found) > 1 or (found and found[0].suffix.lower() not in SUFFIXES):
            rule = Hint("one file, .csv or .xlsx", "仅保留一个 .csv 或 .xlsx 文件")
            self.faults += [make_fault(Spot(path.name), unreadable(path.name, rule)) for path in found]
            self.unsure.add(sheet.kind)
            return None
        return found[0] if found else None

    def read(self, path: Path, sheet: Sheet) -> None:
        """Read the rows of one sheet into commands and faults."""
        try:
            rows = read_rows(path)
        except Refused as refusal:
            if refusal.code == Code.EXTRA_MISSING:
                raise
            self.faults.append(make_fault(Spot(path.name), refusal))
            self.unsure.add(sheet.kind)
            return
        names = {alias: column.name for column in sheet.columns for alias in (column.name, *column.aliases)}
        headings = find_headings(rows, names)
        faults, units = judge_headings(sheet, headings, path.name)
        self.faults += faults
        self.counts[sheet.name] = 0
        if any(fault.code == Code.COLUMN_MISSING for fault in faults):
            self.unsure.add(sheet.kind)
            return
        context = Context(path.name, units, self.policy, self.known)
        for number, texts in data_rows(rows, headings.last_row):
            cells = {name: texts[at] for name, (at, _) in headings.places.items() if at < len(texts)}
            row = Row(context, number, cells)
            commands = commands_of(row, sheet.read(row), sheet.fields)
            self.counts[sheet.name] += 1
            self.faults += row.faults
            self.commands += commands
            self.origins += [Origin(sheet, path.name, number)] * len(commands)

    def check_references(self, known: Collection[tuple[str, str]]) -> None:
        """Report each reference to something that neither the folder nor the ledger has."""
        for kind, code, spot in self.known.references:
            if kind in self.unsure or (kind, code) in self.known.defined or (kind, code) in known:
                continue
            files = "、".join(sheet.name for sheet in SHEETS if sheet.kind == kind)
            self.faults.append(stated_fault(spot, Code.REFERENCE_UNKNOWN, code, Hint(f"see {files}", f"见 {files}")))


def read_register(
    folder: Path,
    policy: Policy,
    *,
    opening: bool = False,
    known: Collection[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Register:
    """Read the sheets of a folder, each a .csv or .xlsx under its own name; sheets may be left out.

    `known` are the (kind, code) pairs that rows may refer to beside those of the folder. `opening` marks every issue
    as that of a first import (contract K16). Raises Refused (EXTRA_MISSING) for .xlsx where its reader is missing.
    """
    reading = Reading(policy)
    for number, sheet in enumerate(SHEETS, start=1):
        path = reading.find(folder, sheet)
        if path is not None:
            reading.read(path, sheet)
        if progress:
            progress(number, STEPS)
    if not reading.counts and not reading.faults:
        names = "、".join(sheet.name for sheet in SHEETS)
        rule = Hint(f"a folder with {names} as .csv or .xlsx", f"文件夹须有 {names} 的 .csv 或 .xlsx 文件")
        reading.faults.append(make_fault(Spot(folder.name), unreadable(folder.name, rule)))
    reading.check_references(known)
    commands = [
        msgspec.structs.replace(command, opening=True) if opening and isinstance(command, IssueRight) else command
        for command in reading.commands
    ]
    order = {sheet.name: number for number, sheet in enumerate(SHEETS)}
    faults = sorted(reading.faults, key=lambda fault: (order.get(plain(Path(fault.file).stem), -1), fault.row))
    return Register(tuple(commands), tuple(reading.origins), tuple(faults), reading.counts)


def judge_headings(sheet: Sheet, headings: Headings, file: str) -> tuple[list[Fault], dict[str, str]]:
    """Report missing columns, columns that stand twice and unknown units; give the unit of each amount."""
    faults: list[Fault] = []
    units: dict[str, str] = {}
    for column in sheet.columns:
        spot = Spot(file, headings.last_row, column.name)
        place = headings.places.get(column.name)
        if place is None and not column.optional:
            rule = Hint("a heading in the first rows of the first sheet", "列名须位于首个工作表的前几行")
            faults.append(stated_fault(spot, Code.COLUMN_MISSING, column.name, rule))
        if place is not None and column.quantity:
            units.update(unit_of(column, place[1], spot, faults))
        if column.name in headings.twice:
            rule = Hint("a heading stands once", "列名不得重复")
            faults.append(stated_fault(spot, Code.OUT_OF_RANGE, column.name, rule))
    return faults, units


def unit_of(column: Column, unit: str, spot: Spot, faults: list[Fault]) -> dict[str, str]:
    """Give a column's unit under its name, or report one that is missing or unknown."""
    allowed = UNITS[column.quantity]
    if unit in allowed:
        return {column.name: unit}
    words = "、".join(allowed)
    rule = Hint(f"a unit in brackets behind the heading: {words}", f"列名后用括号注明单位 {words}")
    faults.append(stated_fault(spot, Code.UNIT_UNKNOWN, unit, rule))
    return {}
