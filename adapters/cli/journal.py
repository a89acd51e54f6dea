"""Commands on the facts themselves: list them, find them, carry a journal out and in."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter
from rich.markup import escape

from adapters.cli import queries
from adapters.cli.options import AsOf, Json, Ledger, Limit, OpenLedger, asked, moment
from adapters.cli.show import SHOWN_TO_PEOPLE, Cell, console, print_json, print_table, progress_bar
from ledger.units import show_time

FromTime = Annotated[str | None, Parameter(name="--from", help="earliest time: local, such as 2024-06-30, or RFC 3339")]
ToTime = Annotated[str | None, Parameter(name="--to", help="time before which, the same way")]
Format = Annotated[Literal["parquet", "arrow"], Parameter(name="--format", help="of the files")]
JOURNAL_HELP = """The facts themselves, in order, each with its position and its number. 事实日志。

Example: shuiquan journal --ledger out/yongchuan.db --after 120 --limit 10
"""


def add_journal(
    app: App, open_ledger: OpenLedger, export_ledger: Callable[..., Any], import_journal: Callable[..., Any]
) -> None:
    """Commands on the facts of a ledger."""
    app.command(App(name="journal", help=JOURNAL_HELP, version_flags=[]))
    add_facts(app, open_ledger)

    @app.command
    def export(
        *, ledger: Ledger, out: Path, from_position: int = 1, to_position: int | None = None,
        file_format: Format = "parquet", json: Json = False,
    ) -> None:  # fmt: skip
        """Export facts by topic, with the records behind them, to Parquet or Arrow. 导出事实。

        Example: shuiquan export --ledger out/yongchuan.db --out out/export

        Parameters
        ----------
        out
            New folder for the files.
        from_position
            First record, one that begins a group.
        to_position
            Last record, one that ends a group, as printed before a fact; all that there are without it.
        """
        with progress_bar("导出 exporting") as done:
            manifest = export_ledger(
                ledger, out, from_position=from_position, to_position=to_position, file_format=file_format,
                progress=lambda _, seq: done(seq),
            )  # fmt: skip
        if json:
            print_json(manifest)
            return
        count = manifest.last_seq - manifest.first_seq + 1
        console.print(f"[green]✓[/] 已导出 exported {count:,} facts into {len(manifest.files)} files, {out}")
        console.print(f"  位置 positions {manifest.from_position}–{manifest.to_position}")
        console.print(f"  末端哈希 head  {manifest.head}")

    @app["journal"].command(name="import")
    def journal_import(folders: list[Path], /, *, ledger: Ledger, head: str | None = None, json: Json = False) -> None:
        """Make a new ledger of exports, the same records byte for byte, and verify it. 由导出文件重建账本。

        Example: shuiquan journal import out/export --ledger out/again.db

        Parameters
        ----------
        folders
            Folder of an export from position 1, and of those that continue it.
        head
            Hash that the last record must have, where somebody kept it.
        """
        with progress_bar("导入 importing") as done:
            found = import_journal(folders, ledger, head=head, progress=lambda _, seq: done(seq))
        if json:
            print_json(found._asdict())
            return
        console.print(f"[green]✓[/] 账本已重建 ledger made: {found.records:,} records, {found.facts:,} facts, {ledger}")
        console.print(f"  末端哈希 head  {found.head}")
        console.print(f"  状态哈希 state {found.state_hash}")


def add_facts(app: App, open_ledger: OpenLedger) -> None:
    """Commands that read facts."""

    @app["journal"].default
    def journal(*, ledger: Ledger, after: int = 0, as_of: AsOf = None, limit: Limit = None, json: Json = False) -> None:
        """The facts themselves, in order; JOURNAL_HELP is what people see.

        Parameters
        ----------
        after
            Position to start behind, as printed before a fact.
        """
        with asked(open_ledger, ledger, as_of) as opened:
            rows, _ = first_rows(queries.fact_rows(opened.facts(after)), limit, json=json)
        if json:
            print_json(rows)
            return
        for row in rows:
            place = f"[dim]{row['position']:>6}[/] [bold]{row['seq']:>8}[/]"
            console.print(f"{place} {row['topic']:<20} {escape(str(row['fact']))}", soft_wrap=True)

    @app.command
    def facts(
        *, ledger: Ledger, seq: int | None = None, holder: str | None = None, right: str | None = None,
        order: int | None = None, meter: str | None = None, from_: FromTime = None, to: ToTime = None,
        as_of: AsOf = None, limit: Limit = None, json: Json = False,
    ) -> None:  # fmt: skip
        """Find facts by number, holder, right, order, meter and time, without reading all. 查询事实。

        Example: shuiquan facts --ledger out/yongchuan.db --holder YC-P-0101 --from 2024-06-01 --to 2024-07-01

        Parameters
        ----------
        seq
            Number of one fact.
        holder
            Code of a holder: facts that name him or one of his rights.
        right
            Code of a right.
        order
            Id of an order.
        meter
            Code of a meter.
        """
        with asked(open_ledger, ledger, as_of) as opened:
            zone = opened.policy.zone
            from_ns, to_ns = (
                None if text is None else moment(name, text, zone) for name, text in (("from", from_), ("to", to))
            )
            after_seq = 0 if seq is None else opened.fact(seq).seq - 1
            told = opened.find(
                holder=holder, right=right, order=order, meter=meter, from_ns=from_ns, to_ns=to_ns, after_seq=after_seq
            )
            if seq is not None:
                told = itertools.takewhile(lambda one: one.seq == seq, told)
            rows, more = first_rows(queries.fact_rows(told), limit, json=json)
        if json:
            print_json(rows)
            return
        note = f"前 the first {len(rows)} rows; --limit N for more, --json for programs" if more else ""
        print_table("事实 Facts", fact_columns(zone), rows, note)


def first_rows(rows: Iterable[dict[str, Any]], limit: int | None, *, json: bool) -> tuple[list[dict[str, Any]], bool]:
    """As many rows as are to be printed, and whether there are more."""
    count = limit if limit is not None else None if json else SHOWN_TO_PEOPLE
    left = iter(rows)
    return list(itertools.islice(left, count)), next(left, None) is not None


def fact_columns(zone: ZoneInfo) -> list[Cell]:
    """Columns of the list of facts."""
    return [
        ("位置", "position>", lambda row: str(row["position"])),
        ("编号", "seq>", lambda row: str(row["seq"])),
        ("时间", "time", lambda row: show_time(row["at_ns"], zone)),
        ("类型", "topic", lambda row: row["topic"]),
        (
            "内容",
            "content",
            lambda row: " ".join(f"{name}={one}" for name, one in row["fact"].items() if name not in row),
        ),
    ]
