"""What the command line works on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ledger.audit import Verification


class Product(NamedTuple):
    """What the composition root hands to the command line."""

    open: Callable[..., Any]  # path, readonly -> exchange
    notary: Callable[..., Any]  # path -> context of a notary
    verify: Callable[..., Verification]  # path, progress, evidence
    clock: Callable[[], int]  # UTC nanoseconds
    demo: Callable[[Path, int], None]
    compile: Callable[[], float]
    bench: Callable[[list[str]], int]
