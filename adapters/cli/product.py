"""What the command line works on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from adapters.stores.backup import Copy
from ledger.audit import Verification
from ledger.audit.full_replay import Replayed
from ledger.audit.rematch import Rematch


class Product(NamedTuple):
    """What the composition root hands to the command line."""

    open: Callable[..., Any]  # path, readonly -> exchange
    notary: Callable[..., Any]  # path -> context of a notary
    verify: Callable[..., Verification]  # path, progress, evidence
    facts: Callable[[str], int]  # path -> how many are recorded
    replay: Callable[..., Replayed]  # path, progress, checkpoints, from_snapshot
    rematch: Callable[..., Rematch]  # path, progress, reference
    clock: Callable[[], int]  # UTC nanoseconds
    demo: Callable[[Path, int], None]
    back_up: Callable[..., Copy]  # ledger, target, checkpoint, key, copied, verified
    restore: Callable[..., Copy]  # backup, ledger, checkpoint, key, copied, verified
    export: Callable[..., Any]  # ledger, folder, positions, format, progress -> manifest
    import_journal: Callable[..., Verification]  # folders, path, head, progress
    compile: Callable[[], float]
    bench: Callable[[list[str]], int]
