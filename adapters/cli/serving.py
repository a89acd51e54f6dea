"""The command that lets other processes of the machine submit to a ledger."""

import gc
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from adapters.cli.product import Product
from adapters.cli.show import console, errors
from adapters.socket.server import Server
from ledger.limits import Limits

Target = Annotated[str, Parameter(help="file of the ledger, such as out/yongchuan.db, or postgresql://user@host/name")]
WhenFull = Annotated[
    Literal["wait", "refuse"], Parameter(help="what callers get while too much waits: they wait, or are refused (870)")
]
STOPS: Final = (signal.SIGTERM, signal.SIGINT)
SELDOM: Final = 20_000  # objects made until the collector of garbage looks at the young ones, instead of 700
LOOK_S: Final = 1.0
"""How often the figures are shown anew."""


def add_serving(app: App, product: Product) -> None:
    """Serve."""

    @app.command
    def serve(ledger: Target, /, *, policy: str | None = None, when_full: WhenFull = "wait") -> None:
        """Write a ledger for other processes of this machine, until SIGTERM or Ctrl-C. 开放账本供本机其他进程提交。

        Example: shuiquan serve out/yongchuan.db

        Parameters
        ----------
        policy
            Policy of a new ledger.
        """
        limits = Limits(when_full=when_full)
        with (
            product.open(ledger, policy=policy, limits=limits) as opened,
            signals_to_stop() as heard,
            opened.serve() as server,
        ):
            gc.collect()
            gc.freeze()  # the ledger stays to the end: the collector need not look at it whenever clients are many
            gc.set_threshold(SELDOM)
            console.print(f"✓ 已开放 serving {server.path}, 账本 ledger {server.ledger_id}", soft_wrap=True)
            watch(server, heard)
        served = server.served
        console.print(f"✓ 已停止 stopped: 客户端 clients {served.greeted:,}, 指令 commands {served.commands:,}")
        if server.failure:
            raise server.failure


@contextmanager
def signals_to_stop() -> Iterator[SimpleQueue[int]]:
    """While the block runs, signals to stop do nothing but come into a queue (whose `put` a handler may call)."""
    heard: SimpleQueue[int] = SimpleQueue()
    before = [signal.signal(number, lambda number, _: heard.put(number)) for number in STOPS]
    try:
        yield heard
    finally:
        for number, handler in zip(STOPS, before, strict=True):
            signal.signal(number, handler)


def watch(server: Server, heard: SimpleQueue[int]) -> None:
    """Show what a server does where somebody watches, until a signal to stop comes or the writer has failed."""
    before, at_s = 0, time.monotonic()
    with errors.status("") as status:
        while not server.failure:
            try:
                heard.get(timeout=LOOK_S)
            except Empty:
                commands, now_s = server.served.commands, time.monotonic()
                status.update(figures(server, (commands - before) / (now_s - at_s)))
                before, at_s = commands, now_s
            else:
                return


def figures(server: Server, rate: float) -> str:
    """A line that says what a server does."""
    load = server.exchange.load
    return (
        f"客户端 clients {server.served.clients} · 指令 commands {rate:,.0f}/s"
        f" · 排队 waiting {load.waiting_commands:,} · 在途 in flight {load.in_flight:,}"
        f" · 提交 commits {load.commits:,} · 拒收 refused {load.refused:,}"
    )
