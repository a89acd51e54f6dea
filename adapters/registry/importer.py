"""Importing a register: read a folder of sheets, report every fault by row, submit all or nothing."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from adapters.registry.cells import UNITS
from adapters.registry.faults import Fault, make_fault, refused_fault, stated_fault
from adapters.registry.records import Known, Row, commands_of
from adapters.registry.sheets import SHEETS, Sheet
from adapters.registry.tables import SUFFIXES, Headings, Hint, data_rows, find_headings, plain, read_rows, unreadable
from ledger.answers import Answer
from ledger.codes import Code, Refused
from ledger.commands import Command, IssueRight, Role
from ledger.facts import CommandRefused
from ledger.policy import Policy
from ledger.rows import SUBMISSIONS
from ledger.state import State

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""

STEPS: Final = len(SHEETS) + 2
UNKNOWN: Final = (Code.UNKNOWN_PARTY, Code.UNKNOWN_RIGHT, Code.UNKNOWN_INTAKE)


class Exchange(Protocol):
    """What importing needs of an exchange."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""

    @property
    def state(self) -> State:
        """The state, to be read only."""

    def preview(self, content: Sequence[Command], *, actor: str, role: Role, approver: str = "") -> Answer:
        """Decide without recording."""

    def submit(  # noqa: PLR0913 - the exchange's own signature
        self,
        content: Sequence[Command],
        *,
        actor: str,
        role: Role,
        command_id: str,
        approver: str = "",
        linked: bool = False,
    ) -> Answer:
        """Decide and record."""

    def facts(self, after: int = 0) -> Iterator[tuple[int, int, str, Any]]:
        """Give every durable fact behind a position."""


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


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. Nothing was recorded unless `changed` or `repeated`; then the facts have these numbers."""

    counts: dict[str, int]
    commands: int
    faults: tuple[Fault, ...]
    dry_run: bool
    changed: bool = False
    repeated: bool = False
    first_seq: int = 0
    last_seq: int = 0


class _Reading:
    """A folder while it is read."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.known = Known({}, [])
        self.commands: list[Command] = []
        self.origins: list[Origin] = []
        self.faults: list[tuple[int, Fault]] = []  # with the number of the sheet
        self.counts: dict[str, int] = {}
        self.unsure: set[str] = set()  # kinds whose sheets could not be read in full

    def note(self, number: int, *faults: Fault) -> None:
        """Keep faults of a sheet."""
        self.faults += [(number, fault) for fault in faults]


def read_register(
    folder: Path,
    policy: Policy,
    *,
    opening: bool = False,
    known: Collection[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Register:
    """Read the sheets of a folder, each a .csv or .xlsx under its own name; sheets may be left out.

    `known` are the (kind, code) pairs that rows may refer to beside those of the folder. `opening` marks every issue as
    that of a first import (contract K16). Raises Refused (EXTRA_MISSING) where an .xlsx lies and its reader is missing.
    """
    reading = _Reading(policy)
    for number, sheet in enumerate(SHEETS):
        path = _find_sheet(reading, folder, number, sheet)
        if path is not None:
            _read_sheet(reading, number, sheet, path)
        if progress:
            progress(number + 1, STEPS)
    if not reading.counts and not reading.faults:
        names = "、".join(sheet.name for sheet in SHEETS)
        rule = Hint(f"a folder with {names} as .csv or .xlsx", f"文件夹须有 {names} 的 .csv 或 .xlsx 文件")
        reading.note(0, make_fault(folder.name, 0, "", unreadable(folder.name, rule)))
    _check_references(reading, known)
    made = [msgspec.structs.replace(c, opening=True) if opening and isinstance(c, IssueRight) else c for c in reading.commands]
    faults = sorted(reading.faults, key=lambda found: (found[0], found[1].row))
    return Register(tuple(made), tuple(reading.origins), tuple(fault for _, fault in faults), reading.counts)


def _find_sheet(reading: _Reading, folder: Path, number: int, sheet: Sheet) -> Path | None:
    """Find the one file of a sheet; several, or one in a format that is not read, are a fault."""
    entries = folder.iterdir() if folder.is_dir() else ()
    found = sorted(path for path in entries if plain(path.stem) == sheet.name)
    if len(found) > 1 or (found and found[0].suffix.lower() not in SUFFIXES):
        rule = Hint("one file, .csv or .xlsx", "仅保留一个 .csv 或 .xlsx 文件")
        reading.note(number, *(make_fault(path.name, 0, "", unreadable(path.name, rule)) for path in found))
        reading.unsure.add(sheet.kind)
        return None
    return found[0] if found else None


def _read_sheet(reading: _Reading, number: int, sheet: Sheet, path: Path) -> None:
    """Read the rows of one sheet into commands and faults."""
    try:
        rows = read_rows(path)
    except Refused as refusal:
        if refusal.code == Code.EXTRA_MISSING:
            raise
        reading.note(number, make_fault(path.name, 0, "", refusal))
        reading.unsure.add(sheet.kind)
        return
    names = {alias: column.name for column in sheet.columns for alias in (column.name, *column.aliases)}
    headings = find_headings(rows, names)
    faults, units = _judge_headings(sheet, headings, path.name)
    reading.note(number, *faults)
    reading.counts[sheet.name] = 0
    if any(fault.code == Code.COLUMN_MISSING for fault in faults):
        reading.unsure.add(sheet.kind)
        return
    for row_number, texts in data_rows(rows, headings.last_row):
        cells = {name: texts[at] for name, (at, _) in headings.places.items() if at < len(texts)}
        row = Row(path.name, row_number, cells, units, reading.policy, reading.known)
        commands = commands_of(row, sheet.read(row), sheet.fields)
        reading.counts[sheet.name] += 1
        reading.note(number, *row.faults)
        reading.commands += commands
        reading.origins += [Origin(sheet, path.name, row_number)] * len(commands)


def _judge_headings(sheet: Sheet, headings: Headings, file: str) -> tuple[list[Fault], dict[str, str]]:
    """Report missing columns, columns that stand twice and unknown units; give the unit of each amount."""
    faults, units = [], {}
    for column in sheet.columns:
        place = headings.places.get(column.name)
        if place is None and not column.optional:
            rule = Hint("heading in the first rows of the first sheet", "列名须位于首个工作表的前几行")
            missing = Refused(Code.COLUMN_MISSING, "heading", column.name, rule)
            faults.append(make_fault(file, headings.last_row, column.name, missing))
        if place is not None and column.quantity:
            allowed = UNITS[column.quantity]
            if place[1] in allowed:
                units[column.name] = place[1]
            else:
                words = "、".join(allowed)
                rule = Hint(f"a unit in brackets behind the heading: {words}", f"列名后用括号注明单位 {words}")
                faults.append(
                    make_fault(file, headings.last_row, column.name, Refused(Code.UNIT_UNKNOWN, "unit", place[1], rule))
                )
        if column.name in headings.twice:
            rule = Hint("a heading stands once", "列名不得重复")
            faults.append(
                make_fault(file, headings.last_row, column.name, Refused(Code.OUT_OF_RANGE, "heading", column.name, rule))
            )
    return faults, units


def _check_references(reading: _Reading, known: Collection[tuple[str, str]]) -> None:
    """Report each reference to something that neither the folder nor the ledger has."""
    numbers = {sheet.name: number for number, sheet in enumerate(SHEETS)}
    for kind, code, file, row, column in reading.known.references:
        if kind in reading.unsure or (kind, code) in reading.known.defined or (kind, code) in known:
            continue
        files = "、".join(sheet.name for sheet in SHEETS if sheet.kind == kind)
        rule = Hint(f"see {files}", f"见 {files}")
        fault = stated_fault(file, row, column, Code.REFERENCE_UNKNOWN, code, rule)
        reading.note(numbers[plain(Path(file).stem)], fault)


def import_register(  # noqa: PLR0913 - what, by whom, approved by whom, under which id, and how
    exchange: Exchange,
    folder: Path,
    *,
    actor: str,
    approver: str,
    command_id: str,
    opening: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a folder as one linked submission of the bureau, or report all faults and change nothing.

    The same command id with the same folder again gives the first answer (`repeated`). Raises Refused as `submit` does:
    without an approver who is not the actor, or for a command id that was used for something else.
    """
    register = read_register(
        folder, exchange.policy, opening=opening, known=exchange.state.numbers.keys(), progress=progress
    )
    report = ImportReport(
        counts=register.counts, commands=len(register.commands), faults=register.faults, dry_run=dry_run
    )
    if register.faults or not register.commands:
        return report
    answer = exchange.preview(register.commands, actor=actor, role=Role.BUREAU, approver=approver)
    faults = refused_rows(register, answer)
    if progress:
        progress(STEPS - 1, STEPS)
    # What a first import registered exists when it is repeated: then its command id says that this is the same one.
    stopped = bool(faults) and not (_registered_before(faults) and _submitted(exchange, actor, command_id))
    if dry_run or stopped:
        return msgspec.structs.replace(report, faults=faults)
    answer = exchange.submit(
        register.commands, actor=actor, role=Role.BUREAU, command_id=command_id, approver=approver, linked=True
    )
    if progress:
        progress(STEPS, STEPS)
    if answer.refused:  # something changed between preview and submission
        return msgspec.structs.replace(report, faults=refused_rows(register, answer), repeated=answer.repeated)
    return msgspec.structs.replace(
        report, changed=not answer.repeated, repeated=answer.repeated, first_seq=answer.first_seq, last_seq=answer.last_seq
    )


def refused_rows(register: Register, answer: Answer) -> tuple[Fault, ...]:
    """Give a fault for each refused command, without those that only follow from another refusal.

    Every command of a register leaves one fact, after those of what expired before it.
    """
    faults: list[Fault] = []
    lacking: set[str] = set()
    refused: set[tuple[str, int]] = set()
    outcomes = [act[-1] for act in answer.acts][-len(register.commands) :]
    for command, origin, fact in zip(register.commands, register.origins, outcomes, strict=True):
        if not isinstance(fact, CommandRefused):
            continue
        follows = (origin.file, origin.row) in refused or (fact.code in UNKNOWN and fact.value in lacking)
        refused.add((origin.file, origin.row))
        lacking.add(str(getattr(command, "code", "")))
        if follows or fact.code == Code.LINKED_REFUSED:
            continue
        column = origin.sheet.fields.get(fact.field)
        name = column.name if column else ""
        faults.append(refused_fault(origin.file, origin.row, name, fact.code, fact.field, fact.value, fact.rule))
    return tuple(faults)


def _registered_before(faults: Sequence[Fault]) -> bool:
    """Tell whether rows were refused because what they define exists."""
    return any(fault.code == Code.ALREADY_EXISTS for fault in faults)


def _submitted(exchange: Exchange, actor: str, command_id: str) -> bool:
    """Tell whether an actor used a command id before, by the facts of the journal."""
    return any(
        topic == SUBMISSIONS and fact["actor"] == actor.encode() and fact["command_id"] == command_id.encode()
        for _, _, topic, fact in exchange.facts()
    )
