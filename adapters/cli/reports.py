"""Commands for evidence: the bureau writes a file about somebody, and whoever gets it checks it without the ledger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.markup import escape

from adapters.audit.files import write_out
from adapters.audit.sink import read_text
from adapters.cli.evidence import Key
from adapters.cli.options import Json, Ledger
from adapters.cli.product import Product
from adapters.cli.show import Cell, console, print_json, print_table, progress_bar
from ledger.audit.check_proof import InvalidProof, read_proof
from ledger.audit.check_report import check_report
from ledger.codes import Code, Refused, texts
from ledger.rows import Quality
from ledger.units import show_m3, show_yuan

SHOWN_WATER = 20


def add_reports(app: App, product: Product) -> None:
    """Writing and checking evidence."""

    @app.command(name="report")
    def report(
        *, ledger: Ledger, checkpoint: Path, out: Path, holder: str = "", meter: str = "",
        from_: Annotated[str, Parameter(name="--from")] = "", to: str = "",
    ) -> None:  # fmt: skip
        """Write signed evidence about a holder, a meter or a period. 出具证据文件。

        Example: shuiquan audit report --ledger out/yongchuan.db --holder P-1 --checkpoint 00000001.checkpoint \
--out evidence.json

        Parameters
        ----------
        checkpoint
            The checkpoint under which the facts are proved, signed by the key in force.
        out
            File to write.
        holder
            Code of a holder.
        meter
            Code of a meter.
        from_
            Facts recorded from this local day or time on, such as 2024-06-01 or 2024-06-01T08:00.
        to
            Up to this day or time, itself left out.
        """
        about = {"holder": holder, "meter": meter, "from": from_, "to": to}
        with progress_bar("取证 proving") as done, product.notary(ledger) as notary:
            made = notary.report(about, read_text(checkpoint), lambda count, _: done(count))
        write_out(out, msgspec.json.encode(made) + b"\n")
        console.print(f"✓ {len(made['facts']):,} 条事实 facts → {escape(str(out))}", soft_wrap=True)

    @app.command(name="check-report")
    def check_report_(file: Path, /, *, checkpoint: Path, key: Key, json: Json = False) -> None:
        """Check evidence against a checkpoint, with no access to the ledger. 验证证据文件。

        Example: shuiquan audit check-report evidence.json --checkpoint 00000001.checkpoint --key shuiquan/...

        Parameters
        ----------
        file
            What `audit report` wrote.
        checkpoint
            A checkpoint, as it lies in a sink.
        """
        try:
            shown = check_report(read_proof(read_text(file).encode()), read_text(checkpoint), key)
        except InvalidProof as problem:
            raise Refused(Code.REPORT_INVALID, problem.field, problem.value, problem.rule) from None
        if json:
            print_json(shown)
        else:
            print_report(shown)


def print_report(shown: dict[str, Any]) -> None:
    """Print what evidence shows, for people."""
    subject = ", ".join(f"{name} {value}" for name, value in shown["subject"].items())
    console.print(
        f"[green]✓[/] {escape(shown['origin'])}: {escape(subject)}; "
        f"{shown['facts']:,} 条事实均获证明 facts proved / {shown['size']:,}", soft_wrap=True,
    )  # fmt: skip
    tables = shown["tables"]
    litres = [
        ("发放 m³", "issued>", "issued_l"), ("核定节水 m³", "saved>", "saved_l"), ("取用 m³", "used>", "used_l"),
        ("其中超用 m³", "over-used>", "over_used_l"), ("购入 m³", "bought>", "bought_l"),
        ("售出 m³", "sold>", "sold_l"), ("失效 m³", "expired>", "expired_l"),
    ]  # fmt: skip
    money = [
        ("入金 元", "deposited>", "deposited_fen"), ("支付 元", "paid>", "paid_fen"),
        ("收入 元", "received>", "received_fen"), ("手续费 元", "fees>", "fees_fen"),
    ]  # fmt: skip
    print_some("用水权 Rights", [("用水权", "right", "right"), ("年度", "year", "year")], litres, tables["rights"])
    print_some("资金 Money", [("持有人", "holder", "party")], money, tables["money"])
    meters = [
        row | {"by_code": counts(row["by_code"], code_text), "by_quality": counts(row["by_quality"], quality_text)}
        for row in tables["meters"]
    ]
    seen = [
        ("计量设施", "meter", "meter"), ("读数", "readings>", "readings"), ("入账", "booked>", "booked"),
        ("结果", "by outcome", "by_code"), ("质量", "by quality", "by_quality"),
    ]  # fmt: skip
    print_some("读数 Readings", seen, [("取水 m³", "water>", "volume_l")], meters)
    chain = [
        ("读数", "reading>", "reading"), ("计量设施", "meter", "meter"), ("记账", "use>", "use"),
        ("用水权", "right", "right"), ("年度", "year", "year"),
    ]  # fmt: skip
    water = [("读数 m³", "register>", "register_l"), ("水量 m³", "water>", "volume_l"), ("超用 m³", "over>", "over_l")]
    print_some("从读数到用水权 From reading to right", chain, water, tables["water"])


def print_some(
    title: str, plain: Sequence[tuple[str, str, str]], figures: Sequence[tuple[str, str, str]],
    rows: list[dict[str, Any]],
) -> None:  # fmt: skip
    """Print a table of names and figures; of litres and fen as cubic metres and yuan."""
    if not rows:
        return
    cells: list[Cell] = [(zh, en, lambda row, name=name: str(row[name])) for zh, en, name in plain]  # type: ignore[misc]
    cells += [
        (zh, en, lambda row, name=name: (show_yuan if name.endswith("_fen") else show_m3)(row[name]))  # type: ignore[misc]
        for zh, en, name in figures
    ]
    note = f"{SHOWN_WATER} of {len(rows):,} rows; --json for all" if len(rows) > SHOWN_WATER else ""
    print_table(title, cells, rows[:SHOWN_WATER], note)


def counts(found: dict[str, int], text: Any) -> str:
    """Counts by number, in words."""
    return ", ".join(f"{text(int(number))} {count:,}" for number, count in sorted(found.items()))


def code_text(number: int) -> str:
    """A code of a reading in both languages."""
    try:
        return f"{texts(number)[1]} {number}"
    except ValueError:
        return str(number)


def quality_text(number: int) -> str:
    """A quality by its name."""
    return Quality(number).name.lower() if number in tuple(Quality) else str(number)
