"""Commands of the audit: for the bureau that seals its ledger, and for whoever checks it without trusting it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.markup import escape

from adapters.audit.files import write_out
from adapters.audit.sink import FolderSink, read_text
from adapters.cli.evidence import NO_SEALS, Key, Seals, files
from adapters.cli.options import Json, Ledger
from adapters.cli.product import Product
from adapters.cli.show import console, print_json, progress_bar
from ledger.audit import Verification
from ledger.audit.check_proof import InvalidProof, check, read_proof
from ledger.audit.witness import newcomer, parse_kept, witnessed
from ledger.codes import Code, Refused
from ledger.units import show_m3, show_yuan

Sink = Annotated[Path, Parameter(name="--sink", help="folder of the checkpoints, outside the ledger")]
Receipts = Annotated[Sequence[Path], files("look for the submission of this receipt")]


def add_audit(app: App, product: Product) -> None:
    """All commands of the audit."""
    add_verification(app, product)
    add_sealing(app, product)
    add_outside(app)


def add_verification(app: App, product: Product) -> None:
    """The command that reads a whole ledger."""

    @app.command(name="verify")
    def verify(*, ledger: Ledger, seals: Seals = NO_SEALS, receipt: Receipts = (), json: Json = False) -> None:
        """Check chain, numbering, sums and caps of every fact, and what was sealed and promised. 核验账本。

        Example: shuiquan audit verify --ledger out/yongchuan.db
        """
        evidence = seals.evidence(receipt)
        with progress_bar("核验 verifying") as done:
            found = product.verify(ledger, lambda _, seq: done(seq), evidence)
        if json:
            print_json(found._asdict())
        else:
            print_verification(found)


def add_sealing(app: App, product: Product) -> None:
    """Commands of the bureau: they use the keys beside its ledger."""

    @app.command(name="checkpoint")
    def checkpoint(*, ledger: Ledger, sink: Sink) -> None:
        """Seal all facts so far by a signed checkpoint. 生成签名检查点。

        Example: shuiquan audit checkpoint --ledger out/yongchuan.db --sink out/checkpoints
        """
        with progress_bar("封存 sealing") as done, product.open(ledger, readonly=True) as opened:
            note = opened.checkpoint(FolderSink(sink), lambda _, seq: done(seq))
        console.print(escape(note), end="", soft_wrap=True)

    @app.command(name="key")
    def key(*, ledger: Ledger) -> None:
        """Print the verifier key to publish. 显示验签公钥。

        Example: shuiquan audit key --ledger out/yongchuan.db
        """
        with product.notary(ledger) as notary:
            console.print(escape(notary.verifier), soft_wrap=True)

    @app.command(name="change-key")
    def change_key(*, ledger: Ledger, sink: Sink) -> None:
        """Introduce a new signing key by a checkpoint that both keys sign. 更换签名密钥。

        Example: shuiquan audit change-key --ledger out/yongchuan.db --sink out/checkpoints
        """
        with product.notary(ledger) as notary:
            note = notary.change_key(FolderSink(sink), product.clock())
        console.print(escape(note), end="", soft_wrap=True)

    @app.command(name="receipt")
    def receipt(*, ledger: Ledger, actor: str, command_id: str) -> None:
        """Print a signed receipt for a recorded submission. 出具提交回执。

        Example: shuiquan audit receipt --ledger out/yongchuan.db --actor 交易平台 --command-id open-market

        Parameters
        ----------
        actor
            Who submitted.
        command_id
            Under which id.
        """
        with product.notary(ledger) as notary:
            console.print(escape(notary.receipt(actor, command_id)), end="", soft_wrap=True)

    @app.command(name="prove")
    def prove(
        *, ledger: Ledger, seq: int | None = None, trade: int | None = None, checkpoint: Path | None = None,
        out: Path | None = None,
    ) -> None:  # fmt: skip
        """Write the proof that a fact is in the ledger. 出具事实证明。

        Example: shuiquan audit prove --ledger out/yongchuan.db --seq 1 --out out/proof.json

        Parameters
        ----------
        seq
            Number of the fact.
        trade
            Number of a trade, which is that of its fact.
        checkpoint
            Prove it under this checkpoint; without one, under all facts so far.
        out
            File to write, proof-SEQ.json without it.
        """
        number = seq if trade is None else trade
        if number is None or (seq is not None and trade is not None):
            raise Refused(Code.EMPTY, "seq", number, "either --seq or --trade")
        with product.notary(ledger) as notary:
            proof = notary.prove(number, read_text(checkpoint) if checkpoint else "", trade=trade is not None)
        path = out or Path(f"proof-{number}.json")
        write_out(path, msgspec.json.format(msgspec.json.encode(proof)) + b"\n")
        console.print(f"✓ {proof['topic']} seq {number} → {escape(str(path))}", soft_wrap=True)


def add_outside(app: App) -> None:
    """Commands of whoever has no ledger, only what its bureau handed out."""

    @app.command(name="witness")
    def witness(*, sink: Sink, keep: Path, key: Key = "") -> None:
        """Follow the checkpoints, keep the last, and refuse another history. 见证检查点。

        Example: shuiquan audit witness --sink out/checkpoints --keep kept.txt --key shuiquan/...

        Parameters
        ----------
        keep
            File of the witness with the last checkpoint that he saw; made the first time, for which he needs the key.
        """
        kept = parse_kept(read_text(keep)) if keep.exists() else newcomer(key)
        kept, count = witnessed(FolderSink(sink).files(), kept)
        write_out(keep, kept.text.encode())
        last = kept.checkpoint
        console.print(f"✓ 一致 consistent: {count} 个新检查点 new checkpoints, {last.size:,} 条事实 facts")
        console.print(f"  {escape(last.origin)} {last.root.hex()}", soft_wrap=True)

    @app.command(name="check-proof")
    def check_proof(file: Path, /, *, checkpoint: Path, key: Key) -> None:
        """Check a proof against a checkpoint, with no access to the ledger. 验证事实证明。

        Example: shuiquan audit check-proof proof-1.json --checkpoint 00000001.checkpoint --key shuiquan/...

        Parameters
        ----------
        file
            What `audit prove` wrote.
        checkpoint
            A checkpoint, as it lies in a sink.
        """
        try:
            shown = check(read_proof(read_text(file).encode()), read_text(checkpoint), key)
        except InvalidProof as problem:
            raise Refused(Code.PROOF_INVALID, problem.field, problem.value, problem.rule) from None
        console.print(f"✓ {escape(shown['origin'])}  {shown['topic']}  seq {shown['seq']} / {shown['size']}")
        for name, value in shown["fields"].items():
            console.print(f"  {name:<18} {escape(str(value))}", soft_wrap=True)


def print_verification(found: Verification) -> None:
    """Print a verification for people."""
    console.print(f"[green]✓[/] 链完整 chain intact: {found.records:,} records, {found.facts:,} facts")
    console.print(f"  末端哈希 head  {found.head}")
    console.print(f"  状态哈希 state {found.state_hash}")
    if found.root:
        console.print(f"  默克尔根 root  {found.root}")
    for unit, total in sorted(found.totals.items()):
        name = "资金 money" if unit < 0 else f"水源 source {unit // 10_000}, {unit % 10_000}"
        console.print(f"  试算平衡 sum   {name}: {show_yuan(total) if unit < 0 else show_m3(total)}")
    console.print(f"[green]✓[/] 总量控制 all {found.caps} caps hold")
    if found.checkpoints:
        console.print(f"[green]✓[/] 检查点 all {found.checkpoints} checkpoints agree")
    if found.receipts:
        console.print(f"[green]✓[/] 回执 all {found.receipts} receipts kept")
