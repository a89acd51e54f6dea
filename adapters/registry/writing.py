"""Writing sheets of a register as bureaus keep them: CSV in any encoding, XLSX with a title and merged headings."""

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from adapters.registry.records import Column
from adapters.registry.sheets import FROM, UNTIL, Sheet
from adapters.registry.tables import spreadsheet_library
from ledger.units import VOLUME_UNITS

Value = str | int | Decimal | date
UNITS: Final = {"area": "亩", "quota": "m³/亩", "flow": "m3/h"}
TERM: Final = {FROM.name: ("有效期", "起"), UNTIL.name: ("", "止")}
"""Headings over two rows: a merged one, and those below it."""


class Style(NamedTuple):
    """How a sheet is written: `encoding` of a CSV file, empty for XLSX; a title line above the headings, or none."""

    encoding: str = ""
    dates: str = "%Y-%m-%d"
    volumes: str = "m³"
    brackets: str = "()"
    title: str = ""


def write_sheet(folder: Path, sheet: Sheet, records: Sequence[Sequence[Value]], style: Style) -> None:
    """Write the rows of a sheet, volumes given in m³. Raises Refused (EXTRA_MISSING) for XLSX without its library."""
    headings = [heading(column, style) for column in sheet.columns]
    rows = [[shown(column, value, style) for column, value in zip(sheet.columns, r, strict=True)] for r in records]
    if style.encoding:
        above = [[style.title]] if style.title else []
        below = [[dated(value, style) for value in row] for row in rows]
        (folder / f"{sheet.name}.csv").write_bytes(csv_bytes([*above, headings, *below], style.encoding))
    else:
        workbook(sheet, headings, rows, style).save(folder / f"{sheet.name}.xlsx")


def heading(column: Column, style: Style) -> str:
    """Give a heading with its unit in brackets."""
    unit = style.volumes if column.quantity == "volume" else UNITS.get(column.quantity, "")
    return f"{column.name}{style.brackets[0]}{unit}{style.brackets[1]}" if unit else column.name


def shown(column: Column, value: Value, style: Style) -> Value:
    """Give a value in the unit of its heading."""
    if column.quantity == "volume" and isinstance(value, int | Decimal):
        return (Decimal(value) / VOLUME_UNITS[style.volumes]).normalize()
    return value


def dated(value: Value, style: Style) -> str:
    """Give a value as text."""
    if isinstance(value, date):
        return value.strftime(style.dates)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def csv_bytes(rows: Sequence[Sequence[Value]], encoding: str) -> bytes:
    """Give rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(encoding)


def workbook(sheet: Sheet, headings: Sequence[str], rows: Sequence[Sequence[Value]], style: Style) -> Any:
    """Make a workbook with a merged title and headings over two rows, where a term has a beginning and an end."""
    book = spreadsheet_library().Workbook()
    page = book.active
    page.title = sheet.name
    page.append([style.title or sheet.name])
    page.merge_cells(start_row=1, end_row=1, start_column=1, end_column=len(headings))
    names = [column.name for column in sheet.columns]
    page.append([TERM.get(name, (text, ""))[0] or None for name, text in zip(names, headings, strict=True)])
    page.append([TERM.get(name, ("", ""))[1] or None for name in names])
    for at, name in enumerate(names, start=1):
        if name == FROM.name:
            page.merge_cells(start_row=2, end_row=2, start_column=at, end_column=at + 1)
        elif name not in TERM:
            page.merge_cells(start_row=2, end_row=3, start_column=at, end_column=at)
    for row in rows:
        page.append([None if value == "" else value for value in row])
    return book
