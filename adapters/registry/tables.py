"""Reading the sheets of a register: CSV or XLSX as a bureau keeps them, into rows of text under known headings.

A title line, blank lines, headings merged over two rows and a line of totals are tolerated. Every cell stays text,
so that long numbers keep all their digits.
"""

import csv
import importlib
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from ledger.codes import Code, Refused

Rows = list[list[str]]
MAX_BYTES: Final = 64 * 2**20
HEADING_ROWS: Final = 20
"""Headings are looked for in so many rows from the top."""

EXACT_DIGITS: Final = 15
"""A spreadsheet keeps so many digits of a number; a longer one has lost the rest."""

TOTALS: Final = frozenset(("合计", "小计", "总计", "合 计", "总 计"))
SUFFIXES: Final = (".csv", ".xlsx")
_INVISIBLE: Final = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f"))
_BRACKETED: Final = re.compile(r"(?P<name>[^()]+)\((?P<unit>[^()]*)\)")


class Hint(str):
    """A rule in English that also knows its Chinese text."""

    __slots__ = ("zh",)
    zh: str

    def __new__(cls, en: str, zh: str) -> Self:
        """Join both texts of a rule."""
        hint = super().__new__(cls, en)
        hint.zh = zh
        return hint


class Headings(NamedTuple):
    """Where the columns of a sheet stand: `places` gives index and unit by the column's own name."""

    last_row: int
    places: dict[str, tuple[int, str]]
    twice: tuple[str, ...]


def read_rows(path: Path) -> Rows:
    """Read all rows of a file as cleaned text; the first row is row 1 of the sheet.

    Raises Refused: FILE_UNREADABLE for anything but a sound .csv or .xlsx, EXTRA_MISSING when .xlsx has no reader.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise unreadable(path.name, Hint(f"at most {MAX_BYTES >> 20} MiB", f"不超过 {MAX_BYTES >> 20} MiB"))
        data = path.read_bytes()
    except OSError as problem:
        raise unreadable(path.name, problem.strerror or "") from None
    if path.suffix.lower() == ".csv":
        return read_csv(data, path.name)
    if path.suffix.lower() == ".xlsx":
        return read_xlsx(data, path.name)
    raise unreadable(path.name, Hint("save it as .xlsx or .csv", "请另存为 .xlsx 或 .csv"))


def unreadable(name: str, rule: str) -> Refused:
    """Make the refusal of a whole file."""
    return Refused(Code.FILE_UNREADABLE, "file", name, rule)


def read_csv(data: bytes, name: str) -> Rows:
    """Read CSV in UTF-8 (with or without mark), GB18030 or GBK. Raises Refused (FILE_UNREADABLE)."""
    text = decoded(data, name)
    try:
        return [[clean(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error as problem:
        raise unreadable(name, str(problem)) from None


def decoded(data: bytes, name: str) -> str:
    """Decode strictly: UTF-8 first, for Chinese text in GB18030 is hardly ever valid UTF-8, then GB18030."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise unreadable(name, Hint("UTF-8, GB18030 or GBK", "编码须为 UTF-8、GB18030 或 GBK"))


def read_xlsx(data: bytes, name: str) -> Rows:
    """Read the first worksheet of a workbook, formulas by their stored results. Raises Refused."""
    openpyxl = spreadsheet_library()
    try:
        workbook = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
        return [[cell_text(value) for value in row] for row in workbook.worksheets[0].iter_rows(values_only=True)]
    except (
        ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError,
        ValueError, zipfile.BadZipFile, zlib.error,
    ) as problem:  # fmt: skip
        raise unreadable(name, f"{type(problem).__name__}: {problem}"[:200]) from None


def spreadsheet_library() -> Any:
    """Load openpyxl on first use. Raises Refused (EXTRA_MISSING) with the line that installs it."""
    try:
        return importlib.import_module("openpyxl")
    except ImportError:
        raise Refused(Code.EXTRA_MISSING, "package", "openpyxl", "pip install 'shuiquan[registry]'") from None


def cell_text(value: object) -> str:
    """Show the value of a spreadsheet cell as its reader saw it; a day as 2023-12-13."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        number = Decimal(format(value, f".{EXACT_DIGITS}g") if isinstance(value, float) else value)
        # A longer number shows its exponent, as in the spreadsheet, so that no check takes it for a code.
        return f"{number:E}" if number.adjusted() >= EXACT_DIGITS else f"{number:f}"
    return clean(str(value))


def clean(text: str) -> str:
    """Strip blanks of all kinds, line breaks, and the marks by which a spreadsheet keeps a number as text."""
    text = re.sub(r"\s*[\r\n]+\s*", " ", text.translate(_INVISIBLE)).strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1].strip()
    return text.removeprefix("'")


def plain(text: str) -> str:
    """Write full-width digits, letters and brackets as half-width ones: 万m³ becomes 万m3."""
    return unicodedata.normalize("NFKC", text).strip()


def heading(text: str) -> tuple[str, str]:
    """Split a heading into its name and the unit in brackets behind it, if any: 许可水量(万m³/年) has 万m3."""
    packed = re.sub(r"\s", "", plain(text)).lstrip("*").rstrip(":")
    found = _BRACKETED.fullmatch(packed)
    if not found:
        return packed, ""
    unit = found["unit"].replace("M", "m").removesuffix("/年").removesuffix("/a")
    return found["name"], unit


def find_headings(rows: Rows, names: Mapping[str, str]) -> Headings:
    """Find the row, or the pair of merged rows, with the most known headings. `names` maps headings to columns.

    Where nothing is known the first row is taken, with no places.
    """
    best = Headings(1, {}, ())
    for at in range(min(len(rows), HEADING_ROWS)):
        for last_row, texts in ((at + 1, rows[at]), (at + 2, merged(rows[at], rows[at + 1 : at + 2]))):
            found = recognised(texts, names, last_row)
            if len(found.places) > len(best.places):
                best = found
    return best


def merged(upper: Sequence[str], below: Sequence[Sequence[str]]) -> list[str]:
    """Join two heading rows: a merged cell above several below goes before each of them."""
    if not below:
        return []
    lower = below[0]
    texts, group = [], ""
    for at in range(max(len(upper), len(lower))):
        over = upper[at] if at < len(upper) else ""
        under = lower[at] if at < len(lower) else ""
        group = over or (group if under else "")
        texts.append(group + under)
    return texts


def recognised(texts: Sequence[str], names: Mapping[str, str], last_row: int) -> Headings:
    """Look up a row of headings; the first of two equal ones counts, and the other is noted."""
    places: dict[str, tuple[int, str]] = {}
    twice: list[str] = []
    for at, text in enumerate(texts):
        name, unit = heading(text)
        column = names.get(name)
        if column in places:
            twice.append(column)
        elif column is not None:
            places[column] = (at, unit)
    return Headings(last_row, places, tuple(twice))


def data_rows(rows: Rows, last_heading_row: int) -> Iterator[tuple[int, list[str]]]:
    """Give each row below the headings with its number; blank rows and lines of totals are left out."""
    for number, row in enumerate(rows[last_heading_row:], start=last_heading_row + 1):
        filled = [cell for cell in row if cell]
        if filled and not TOTALS.intersection(filled[:2]):
            yield number, row
