"""What the commands share: their common options, and what the composition root hands to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter

from adapters.stores.backup import Copy
from ledger.audit import Verification

Ledger = Annotated[Path, Parameter(name="--ledger", help="file of the ledger, such as out/yongchuan.db")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="print JSON for programs")]
Flag = Annotated[bool, Parameter(negative="")]
Limit = Annotated[int | None, Parameter(help="rows to print; a table shows 20, JSON all")]


class Product(NamedTuple):
    """What the composition root hands to the command line."""

    open: Callable[..., Any]  # path, readonly -> exchange
    verify: Callable[..., Verification]  # path, progress
    demo: Callable[[Path, int], None]
    back_up: Callable[..., Copy]  # ledger, target, checkpoint, key, copied, verified
    restore: Callable[..., Copy]  # backup, ledger, checkpoint, key, copied, verified
    compile: Callable[[], float]
    bench: Callable[[list[str]], int]
