"""Journals out of a ledger into open formats, and back into a new ledger."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.stores.drafts import new_ledger_file
from ledger.audit import Verification, verify
from ledger.replay import Progress
from shuiquan.config import ledger_file, parse_target

if TYPE_CHECKING:
    from adapters.export.manifest import Manifest


def export_journal(target: str | Path, folder: str | Path, **options: Any) -> "Manifest":
    """Export a ledger beside whoever writes it, without opening an exchange: see `Exchange.export`."""
    from adapters.export.writing import export  # noqa: PLC0415 - an optional part

    with closing(parse_target(target).open(writable=False)) as store:
        return export(store, Path(folder), **options)


def import_journal(
    folders: Sequence[str | Path],
    target: str | Path,
    *,
    head: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Make a new ledger of one or more exports, each behind the last: the same records byte for byte, the same head.

    Files, chain, numbering, sums and caps are verified before the ledger is there; if anything is not as it should be,
    nothing is. `head` is the hash of the last record, hexadecimal, where somebody kept it. Personal data is in no
    export. Raises Refused: LEDGER_EXISTS, LEDGER_LOCKED, EXPORT_DAMAGED naming the file, RECORD_DAMAGED, SEQUENCE_GAP
    or TOPIC_UNKNOWN naming the position, what `ledger.audit` refuses, EXTRA_MISSING.
    """
    from adapters.export import reading  # noqa: PLC0415 - an optional part

    with new_ledger_file(ledger_file(target)) as store:
        reading.import_journal([Path(folder) for folder in folders], store, head, progress)
        return verify(store)
