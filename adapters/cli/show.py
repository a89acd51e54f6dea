"""How the command line shows things: bilingual tables for people, JSON for programs, errors that say what to do."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ledger.codes import Refused

SHOWN_TO_PEOPLE: Final = 20  # rows of a table, unless more are asked for
PIPE_WIDTH: Final = 160  # where nothing says how wide a page is

console: Final = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
errors: Final = Console(stderr=True, highlight=False)

Cell = tuple[str, str, Callable[[dict[str, Any]], str]]
"""A column: heading in Chinese, heading in English, and how a row fills it. A heading ending in > is a number."""


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def print_table(title: str, columns: Sequence[Cell], rows: Iterable[dict[str, Any]], note: str = "") -> None:
    """Print rows as a table with headings in both languages."""
    table = Table(title=title, title_justify="left", caption=note or None, caption_justify="left", header_style="bold")
    for chinese, english, _ in columns:
        number = english.endswith(">")
        heading = f"{chinese}\n{english.rstrip('>')}"
        table.add_column(heading, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in rows:
        table.add_row(*(cell(row) for _, _, cell in columns))
    console.print(table)


def print_refused(refusal: Refused) -> None:
    """Print a refusal with its code, field, value and rule to standard error."""
    errors.print(f"[bold red]✗[/] {escape(str(refusal))}", soft_wrap=True)


class RateColumn(ProgressColumn):
    """How much is done in a second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar; call what it gives with what has been done so far. Silent where nobody watches.

    With a total it shows the time that remains, too.
    """
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(),
        TimeElapsedColumn(), *(() if total is None else (TextColumn("剩余 left"), TimeRemainingColumn())),
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)
