"""Commands by which an auditor lets everything happen again: the postings under watch, and the decisions."""

from cyclopts import App
from rich.markup import escape

from adapters.cli.evidence import NO_SEALS, Seals
from adapters.cli.options import Flag, Json, Ledger
from adapters.cli.product import Product
from adapters.cli.show import console, print_json, progress_bar


def add_repetition(app: App, product: Product) -> None:
    """Replay and rematch."""

    @app.command(name="replay")
    def replay(*, ledger: Ledger, from_snapshot: Flag = False, seals: Seals = NO_SEALS, json: Json = False) -> None:
        """Post every fact again under watch: figures, sums, balances and caps at each one. 逐条重放核验。

        At each checkpoint that it is given it compares state hashes and walks all accounts.

        Example: shuiquan audit replay --ledger out/yongchuan.db

        Parameters
        ----------
        from_snapshot
            Start from the newest snapshot instead of the first fact.
        """
        checkpoints = seals.evidence().checkpoints
        with progress_bar("重放 replaying", product.facts(ledger)) as done:
            found = product.replay(ledger, lambda _, seq: done(seq), checkpoints, from_snapshot=from_snapshot)
        if json:
            print_json(found._asdict())
            return
        start = f"自位置 {found.from_position:,} 的快照 from the snapshot at {found.from_position:,}"
        begin = start if found.from_position else "自第一条 from the first"
        console.print(f"[green]✓[/] 逐条核验 every fact follows from those before it: {found.facts:,} facts, {begin}")
        console.print(
            f"  余额、合计、上限 balances, sums, caps: 每条 at each fact; 全面核对 full walks {found.walks:,}"
        )
        if found.checkpoints:
            console.print(f"  检查点状态哈希 state hashes of {found.checkpoints} checkpoints agree")
        console.print(f"  状态哈希 state {found.state_hash}")

    @app.command(name="rematch")
    def rematch(*, ledger: Ledger, reference: Flag = False, json: Json = False) -> None:
        """Decide everything again and compare: proof that price-time priority was honoured. 重新撮合核验。

        Example: shuiquan audit rematch --ledger out/yongchuan.db

        Parameters
        ----------
        reference
            Feed the orders to the plain-Python book instead: slow, and independent of the compiled one.
        """
        with progress_bar("重新撮合 matching again", product.facts(ledger)) as done:
            found = product.rematch(ledger, lambda _, seq: done(seq), reference=reference)
        if json:
            print_json(found._asdict())
            return
        by = "参考订单簿 by the reference book" if reference else "编译内核 by the deciding kernels"
        console.print(f"[green]✓[/] 结果一致 the recorded outcomes come out again, in order, {escape(by)}")
        console.print(
            f"  提交 submissions {found.submissions:,} · 委托 orders {found.orders:,} · 成交 trades {found.trades:,} · "
            f"撤出 removals {found.removals:,}"
        )
        if found.state_hash:
            console.print(f"  状态哈希 state {found.state_hash}")
