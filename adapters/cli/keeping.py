"""Commands that keep a ledger safe: snapshots, backups, and going on from one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cyclopts import App

from adapters.cli.options import Json, Ledger
from adapters.cli.product import Product
from adapters.cli.show import console, print_json, progress_bar
from adapters.stores.backup import Copy, parse_checkpoint
from ledger.forks import Fork


def add_keeping(app: App, product: Product) -> None:
    """Snapshot, backup, restore and fork."""

    @app.command
    def snapshot(*, ledger: Ledger) -> None:
        """Write a snapshot, from which the ledger opens fast; also beside a writer. 写入状态快照。

        Example: shuiquan snapshot --ledger out/yongchuan.db
        """
        with (
            progress_bar("读取 reading") as done,
            product.open(ledger, readonly=True, progress=lambda _, seq: done(seq)) as opened,
        ):
            file = opened.snapshot()
            console.print(f"✓ 快照 snapshot {file}, 位置 position {opened.position:,}", soft_wrap=True)

    @app.command
    def backup(
        file: Path, /, *, ledger: Ledger, head: str | None = None, key: Path | None = None, json: Json = False
    ) -> None:
        """Copy a ledger to a new file while it is written, and verify the copy. 备份账本。

        Example: shuiquan backup backups/yongchuan-0604.db --ledger out/yongchuan.db

        Parameters
        ----------
        file
            The backup, a new file; personal data goes to FILE.persons, still encrypted.
        head
            POSITION:HASH that was kept: the copy must hold this record.
        key
            Also copy the key to the personal data, to this file. Keep it away from the backup.
        """
        with bars("备份 copying") as bar:
            found = product.back_up(ledger, file, checkpoint=head and parse_checkpoint(head), key=key, **bar)
        show_copy("备份 backup", found, json=json)

    @app.command
    def restore(
        file: Path, /, *, ledger: Ledger, head: str | None = None, key: Path | None = None, json: Json = False
    ) -> None:
        """Put a backup where no ledger is; it can be read, and goes on with a fork. 由备份恢复。

        Example: shuiquan restore backups/yongchuan-0604.db --ledger out/restored.db

        Parameters
        ----------
        file
            The backup.
        head
            POSITION:HASH that was kept: the backup must hold this record.
        key
            File of the key to the personal data of the backup.
        """
        with bars("恢复 restoring") as bar:
            found = product.restore(file, ledger, checkpoint=head and parse_checkpoint(head), key=key, **bar)
        show_copy("恢复 restored", found, json=json)
        if not json:
            console.print("  可供查询；继续写入前须登记分叉 can be read; to write on, record it: shuiquan fork")

    @app.command
    def fork(*, ledger: Ledger, actor: str, approver: str, document: str) -> None:
        """Let a restored or older copy go on: the first fact says so. 登记分叉，由副本继续。

        Example: shuiquan fork --ledger out/restored.db --actor 登记岗 --approver 审批岗 --document 文号

        Parameters
        ----------
        actor
            Who lets it go on.
        approver
            Who approved it, somebody else.
        document
            What it rests on (文号).
        """
        with product.open(ledger, fork=Fork(actor, approver, document)) as opened:
            console.print(f"✓ 已登记分叉，账本可继续 forked: the ledger goes on at position {opened.position:,}")


@contextmanager
def bars(label: str) -> Iterator[dict[str, Any]]:
    """Progress of a copy: its pages, then the facts that are verified."""
    with progress_bar(label) as copied, progress_bar("核验 verifying") as verified:
        yield {"copied": lambda done, _: copied(done), "verified": lambda _, seq: verified(seq)}


def show_copy(what: str, found: Copy, *, json: bool) -> None:
    """Print a copy, for programs or people."""
    if json:
        print_json(found._asdict())
        return
    persons = ", 含加密个人信息 with personal data, encrypted" if found.persons else ""
    console.print(f"[green]✓[/] {what} {found.path}{persons}", soft_wrap=True)
    console.print(f"  链完整 chain intact: {found.position:,} records, {found.facts:,} facts")
    console.print(f"  末端 head {found.position}:{found.head}", soft_wrap=True)
