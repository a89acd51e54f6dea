"""Reading an export back: its records, byte for byte, once its files are what the manifest says."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from adapters.export.columns import RECORDS
from adapters.export.comparing import Comparison, batches
from adapters.export.manifest import RECORDS_TOPIC, Manifest, read_manifest
from ledger.codes import Code, Refused
from ledger.journal.seeking import last_seq
from ledger.journal.store import Entry, Store
from ledger.rebuild import ledger_id, rebuild
from ledger.replay import Progress


def import_journal(
    folders: Sequence[Path], store: Store, head: str | None = None, progress: Progress | None = None
) -> None:
    """Fill an empty store with the journal of one or more exports, the first from position 1, each behind the last.

    Every file must have the digest of its manifest, every record the hash of the one before, every table the facts of
    the records, and the last record the hash of the last manifest, and `head` where one is given (hexadecimal).
    Raises Refused naming file or position: EXPORT_DAMAGED, RECORD_DAMAGED, SEQUENCE_GAP, TOPIC_UNKNOWN, LEDGER_EXISTS.
    """
    if not folders:
        raise Refused(Code.EMPTY, "folders", [], "the folder of an export")
    exports = [(folder, read_manifest(folder)) for folder in folders]
    next_position, next_seq, previous = 1, 1, bytes(32).hex()
    for folder, manifest in exports:
        if (manifest.from_position, manifest.first_seq, manifest.previous) != (next_position, next_seq, previous):
            rule = f"an export from position {next_position}, seq {next_seq}, behind the record with hash {previous}"
            raise Refused(Code.EXPORT_DAMAGED, "from_position", manifest.from_position, f"{folder.name}: {rule}")
        next_position, next_seq, previous = manifest.to_position + 1, manifest.last_seq + 1, manifest.head
    if head is not None and previous != head:
        raise Refused(Code.EXPORT_DAMAGED, "head", previous, f"the hash that was kept, {head}")
    entries = (entry for folder, manifest in exports for entry in records(folder, manifest))
    comparison = Comparison(exports)
    position, digest = rebuild(store, entries, progress, comparison.add)
    if (position, last_seq(store, position), digest.hex()) != (next_position - 1, next_seq - 1, previous):
        rule = f"{previous} at position {next_position - 1}, seq {next_seq - 1}"
        raise Refused(Code.EXPORT_DAMAGED, "head", digest.hex(), rule)
    names = {manifest.ledger_id for _, manifest in exports}
    if names != {ledger_id(store)}:
        raise Refused(Code.EXPORT_DAMAGED, "ledger_id", sorted(names), ledger_id(store))
    comparison.finish()


def records(folder: Path, manifest: Manifest) -> Iterator[Entry]:
    """The records of an export in order. Raises Refused (EXPORT_DAMAGED) for a file that is no such table."""
    name = next(file.name for file in manifest.files if file.topic == RECORDS_TOPIC)
    for batch in batches(folder / name, manifest.file_format):
        if not batch.schema.equals(RECORDS) or any(column.null_count for column in batch.columns):
            raise Refused(Code.EXPORT_DAMAGED, name, str(batch.schema)[:200], "position, topic, record")
        try:
            columns = [column.to_pylist() for column in batch.columns]
        except UnicodeDecodeError as problem:
            raise Refused(Code.EXPORT_DAMAGED, name, str(problem), "topics in UTF-8") from None
        yield from (Entry(*row) for row in zip(*columns, strict=True))
