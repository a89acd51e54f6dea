"""One row of a sheet under its headings: cells are converted on demand, and every fault is kept beside the row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from adapters.registry import cells
from adapters.registry.faults import Fault, Spot, make_fault
from adapters.registry.tables import Hint
from ledger.codes import Code, Refused
from ledger.commands import Command
from ledger.policy import Label, Policy

T = TypeVar("T")
L = TypeVar("L", bound=Label)


class Column(NamedTuple):
    """A column. `quantity` names the units that its heading may carry, `private` keeps its cells out of faults."""

    name: str
    en: str
    quantity: str = ""
    optional: bool = False
    private: bool = False
    aliases: tuple[str, ...] = ()


class Reference(NamedTuple):
    """A cell that names something of another sheet."""

    kind: str
    code: str
    spot: Spot


class Known(NamedTuple):
    """What the rows read so far define, by (kind, code), and what they refer to."""

    defined: dict[tuple[str, str], Spot]
    references: list[Reference]


class Context(NamedTuple):
    """What the rows of a sheet share: its file, the units of its amounts, the policy, and what is known."""

    file: str
    units: Mapping[str, str]
    policy: Policy
    known: Known


class Row:
    """One row. Getters give a harmless value after a fault, so that all faults of the row are found in one pass."""

    def __init__(self, context: Context, number: int, texts: Mapping[str, str]) -> None:
        """Make a row from the text of each of its columns."""
        self.policy = context.policy
        self.faults: list[Fault] = []
        self._context, self._number, self._texts = context, number, texts

    def spot(self, column: Column) -> Spot:
        """Give the place of a cell."""
        return Spot(self._context.file, self._number, column.name)

    def fault(self, column: Column, refusal: Refused) -> None:
        """Note what is wrong with a cell."""
        self.faults.append(make_fault(self.spot(column), refusal, hidden=column.private))

    def text(self, column: Column, *, optional: bool = False) -> str:
        """Give the text of a cell; an empty one is a fault unless it is `optional`."""
        text = self._texts.get(column.name, "")
        if not text and not optional:
            self.fault(column, Refused(Code.CELL_EMPTY, column.name, ""))
        return text

    def read(self, column: Column, convert: Callable[[str], T], default: T, *, optional: bool = False) -> T:
        """Convert a cell, or note why that cannot be done and give `default`."""
        text = self.text(column, optional=optional)
        if not text:
            return default
        try:
            return convert(text)
        except Refused as refusal:
            self.fault(column, refusal)
            return default

    def amount(self, column: Column, convert: Callable[[str, str], int], *, optional: bool = False) -> int:
        """Convert a cell by the unit of its heading."""
        unit = self._context.units.get(column.name)
        if unit is None:  # the heading has a fault of its own
            return 0
        return self.read(column, lambda text: convert(text, unit), 0, optional=optional)

    def volume(self, column: Column, *, optional: bool = False) -> int:
        """Read a volume as litres."""
        return self.amount(column, cells.volume, optional=optional)

    def year(self, column: Column, *, optional: bool = False) -> int:
        """Read a year."""
        return self.read(column, cells.year, cells.EARLIEST.year, optional=optional)

    def start_ns(self, column: Column, *, optional: bool = False) -> int:
        """Read a day as its beginning in the district, in UTC nanoseconds."""
        return self.read(column, lambda text: cells.start_ns(text, self.policy.zone), 0, optional=optional)

    def end_ns(self, column: Column) -> int:
        """Read a last day, itself included, as the beginning of the next in UTC nanoseconds."""
        return self.read(column, lambda text: cells.end_ns(text, self.policy.zone), 0)

    def choice(self, column: Column, choices: Mapping[str, T], default: T) -> T:
        """Read one of a few words."""

        def convert(text: str) -> T:
            if text not in choices:
                words = "、".join(choices)
                raise Refused(Code.OUT_OF_RANGE, column.name, text, Hint(f"one of {words}", f"须为 {words} 之一"))
            return choices[text]

        return self.read(column, convert, default)

    def label(self, column: Column, labels: Sequence[L]) -> str:
        """Read a name of the policy, in either language or by its code, and give the code."""

        def convert(text: str) -> str:
            for label in labels:
                if text in (label.zh, label.code, label.en):
                    return label.code
            names = "、".join(label.zh for label in labels)
            raise Refused(Code.UNKNOWN_NAME, column.name, text, Hint(f"one of {names}", f"须为 {names} 之一"))

        return self.read(column, convert, "")

    def claim(self, column: Column, kind: str, *, optional: bool = False) -> str:
        """Read the code that this row defines. A code that an earlier row defines is a fault (ROW_DUPLICATE)."""
        code = self.read(column, cells.key, "", optional=optional)
        if code:
            self.claim_key(column, kind, code)
        return code

    def claim_key(self, column: Column, kind: str, code: str) -> None:
        """Note that this row defines a code, or that an earlier one did."""
        spot = self.spot(column)
        first = self._context.known.defined.setdefault((kind, code), spot)
        if first != spot:
            rule = Hint(f"see row {first.row} of {first.file}", f"见 {first.file} 第 {first.row} 行")
            self.fault(column, Refused(Code.ROW_DUPLICATE, column.name, code, rule))

    def refer(self, column: Column, kind: str) -> str:
        """Read the code of something that another sheet, or the ledger, defines."""
        code = self.read(column, cells.key, "")
        if code:
            self.refer_key(column, kind, code)
        return code

    def refer_key(self, column: Column, kind: str, code: str) -> None:
        """Note that this row refers to a code; it is looked up once all sheets are read."""
        self._context.known.references.append(Reference(kind, code, self.spot(column)))

    def check(self, command: Command, columns: Mapping[str, Column]) -> None:
        """Hold a command against the limits of its fields, as a submission would; a breach is a fault of the cell."""
        try:
            msgspec.convert(msgspec.to_builtins(command), type(command))
        except msgspec.ValidationError as problem:
            said, _, path = str(problem).partition(" - at `$.")
            column = columns.get(path.rstrip("`"), Column("", ""))
            self.fault(column, Refused(Code.OUT_OF_RANGE, column.name, self._texts.get(column.name, ""), said))


def commands_of(row: Row, made: Sequence[Any], columns: Mapping[str, Column]) -> list[Command]:
    """Give the commands of a row, none when it has a fault."""
    if not row.faults:
        for command in made:
            row.check(command, columns)
    return [] if row.faults else list(made)
