"""The command `shuiquan`. What it works on is handed in, so this room knows no exchange (see `shuiquan.__main__`)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from cyclopts import App, Parameter

from adapters.cli.asking import add_queries
from adapters.cli.audit import add_audit
from adapters.cli.journal import add_journal
from adapters.cli.keeping import add_keeping
from adapters.cli.options import Flag, Json, Ledger
from adapters.cli.product import Product
from adapters.cli.repetition import add_repetition
from adapters.cli.reports import add_reports
from adapters.cli.serving import add_serving
from adapters.cli.show import console, print_json, progress_bar
from adapters.meters.frames import describe, parse_hex
from adapters.registry.importer import import_register
from ledger.codes import Code, Refused


def build(product: Product) -> App:
    """The command with all its sub-commands."""
    app = App(
        name="shuiquan",
        help="水权: exchange and register for water-use rights. 用水权交易与登记系统。",
        version_flags=[],
    )
    groups = {
        "audit": "Check a ledger without trusting it. 审计核验。",
        "meters": "Meter frames. 计量报文。",
        "register": "The bureau's register. 取用水登记。",
        "views": "Read models. 查询视图。",
    }
    for name, text in groups.items():
        app.command(App(name=name, help=text, version_flags=[]))
    add_queries(app, product.open)
    add_journal(app, product.open, product.export, product.import_journal)
    add_audit(app["audit"], product)
    add_repetition(app["audit"], product)
    add_reports(app["audit"], product)
    add_tools(app, product)
    add_keeping(app, product)
    add_serving(app, product)
    return app


@contextmanager
def rehearsal(product: Product, ledger: str, policy: str | None) -> Iterator[Any]:
    """The ledger to read, or one that is gone afterwards where there is none yet."""
    with ExitStack() as ending:
        try:
            opened = product.open(ledger, policy=policy, readonly=True)
        except Refused as refusal:
            if refusal.code != Code.LEDGER_MISSING:
                raise
            folder = ending.enter_context(TemporaryDirectory())
            opened = product.open(str(Path(folder) / "rehearsal.db"), policy=policy)
        yield ending.enter_context(opened)


def add_tools(app: App, product: Product) -> None:
    """Commands that decode, import, rebuild and measure."""

    @app["meters"].command(name="decode")
    def meters_decode(frame: str, /, *, json: Json = False) -> None:
        """Decode one SZY206-2016 frame. 解析一帧计量报文。

        Example: shuiquan meters decode 681A68B35303810D00C00059000000826110000001106000004508090A3516

        Parameters
        ----------
        frame
            The frame in hexadecimal.
        """
        found = describe(parse_hex(frame))
        if json:
            print_json(found)
            return
        console.print(f"{found.protocol}  {found.direction}  站址 station [bold]{found.station}[/]  {found.function}")
        for reading in found.readings:
            console.print(
                f"  {reading.channel}  {reading.quantity:<20} {reading.value or '缺测 missing':>16} {reading.unit}"
            )

    @app["register"].command(name="import")
    def register_import(
        folder: Path, /, *, ledger: Ledger, actor: str, approver: str, command_id: str,
        policy: str | None = None, opening: Flag = False, dry_run: Flag = False, json: Json = False,
    ) -> None:  # fmt: skip
        """Import a folder of register files, all or nothing. 导入登记台账。

        Example: shuiquan register import register/ --ledger a.db --policy yongchuan --actor li --approver wang \
--command-id import-1 --dry-run

        Parameters
        ----------
        folder
            Folder with the files of the register (.csv or .xlsx).
        actor
            Who imports.
        approver
            Who approved it, somebody else.
        command_id
            The same id never imports twice.
        policy
            Policy of a new ledger.
        opening
            A first import: record what stands above an index already instead of refusing it.
        dry_run
            Check everything and change nothing.
        """
        with rehearsal(product, ledger, policy) if dry_run else product.open(ledger, policy=policy) as opened:
            report = import_register(
                opened, folder, actor=actor, approver=approver, command_id=command_id, opening=opening, dry_run=dry_run
            )
        if json:
            print_json(report)
        else:
            for fault in report.faults:
                place = f"{fault.file} 第{fault.row}行 row {fault.row} {fault.column}"
                console.print(f"[red]✗[/] {place}: [{fault.code}] {fault.value!r} {fault.zh} / {fault.en} {fault.rule}")
            console.print(
                f"{report.counts}  {'未更改 nothing changed' if report.faults or dry_run else '已导入 imported'}"
            )
        if report.faults:
            raise SystemExit(1)

    @app["views"].command(name="rebuild")
    def views_rebuild(*, ledger: Ledger) -> None:
        """Drop the read models and project the journal from zero. 重建查询视图。

        Example: shuiquan views rebuild --ledger out/yongchuan.db
        """
        with product.open(ledger, readonly=True) as opened, progress_bar("重建 rebuilding") as done:
            position = opened.rebuild_views(lambda _, seq: done(seq))
        console.print(f"✓ 视图已重建 views rebuilt up to position {position}")

    @app.command
    def demo(*, out: Path = Path("out"), seed: int = 2024) -> None:
        """Run the Yongchuan pilot end to end on a new ledger. 永川试点全流程演示。

        Example: shuiquan demo --out out --seed 2024

        Parameters
        ----------
        out
            Folder for the ledger and the register files.
        seed
            Seed of the simulated season and market.
        """
        product.demo(out, seed)

    @app.command(name="compile")
    def compile_() -> None:
        """Compile the kernels for this machine, once. 编译计算内核。

        Example: shuiquan compile
        """
        console.print("正在编译计算内核，约一分钟 compiling the kernels for this machine, about a minute …")
        console.print(f"✓ 内核就绪 kernels ready after {product.compile():.1f} s")

    @app.command
    def bench(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
        """Measure speed on this machine. 性能测量。

        Example: shuiquan bench pilot --json, or shuiquan bench matching --quick
        """
        raise SystemExit(product.bench(list(arguments)))
