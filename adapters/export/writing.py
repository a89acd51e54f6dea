"""Writing an export: one file a topic and one of records, row group by row group, and the manifest at the end."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.export.columns import ALL_TOPICS, RECORDS, Gathered
from adapters.export.manifest import (
    FORM,
    FORMATS,
    NAME,
    RECORDS_TOPIC,
    ExportedFile,
    Manifest,
    digest_of,
    file_name,
    put_in_place,
)
from adapters.export.packages import ipc, pa, pq
from ledger.codes import Code, Refused
from ledger.journal.records import GENESIS, parse
from ledger.journal.seeking import last_seq
from ledger.journal.store import Entry, Store
from ledger.rebuild import Group, ledger_id, whole_groups
from ledger.replay import Progress

ROWS_AT_ONCE: Final = 65_536
BYTES_AT_ONCE: Final = 8 * 2**20
"""What is held in memory of each table before it is written as a row group."""


class TableFile:
    """A file of one table while it is written, under another name until it is finished."""

    def __init__(self, folder: Path, topic: str, file_format: str, schema: Any) -> None:
        """Open the file, which must be new."""
        self.topic, self.rows = topic, 0
        self._path = folder / file_name(topic, file_format)
        self._part = Path(f"{self._path}.part")
        self._file = self._part.open("xb")
        if file_format == "parquet":
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        else:
            self._writer = ipc.new_file(self._file, schema, options=ipc.IpcWriteOptions(compression="zstd"))

    def write(self, table: Any) -> None:
        """Append a row group."""
        if len(table):
            self._writer.write_table(table)
            self.rows += len(table)

    def finish(self) -> ExportedFile:
        """Close the file and give it its name."""
        self._writer.close()
        self._file.close()
        digest, size = digest_of(self._part), self._part.stat().st_size
        put_in_place(self._part, self._path)
        return ExportedFile(self._path.name, self.topic, self.rows, size, digest)

    def abandon(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError, ValueError, pa.ArrowException):  # of a full disk; or it is closed already
            self._writer.close()
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


class Tables:
    """All files of an export while they are written."""

    def __init__(self, folder: Path, file_format: str) -> None:
        """Open them."""
        self._facts = [Gathered(topic) for topic in ALL_TOPICS]
        self._files: list[TableFile] = []
        self._records: list[Entry] = []
        self._size = 0
        try:
            for gathered in self._facts:
                self._files.append(TableFile(folder, gathered.topic, file_format, gathered.schema))
            self._files.append(TableFile(folder, RECORDS_TOPIC, file_format, RECORDS))
        except BaseException:
            self.abandon()
            raise

    def add(self, group: Group) -> None:
        """Take a group of records and its facts."""
        for entry in group.entries:
            self._records.append(entry)
            self._size += len(entry.state)
        if self._size >= BYTES_AT_ONCE or len(self._records) >= ROWS_AT_ONCE:
            self._write_records()
        for gathered, file in zip(self._facts, self._files, strict=False):
            gathered.add(group.decoded)
            if gathered.rows >= ROWS_AT_ONCE:
                file.write(gathered.take())

    def _write_records(self) -> None:
        columns = zip(*self._records, strict=True) if self._records else ([], [], [])
        arrays = [pa.array(values, kind) for values, kind in zip(columns, RECORDS.types, strict=True)]
        self._files[-1].write(pa.Table.from_arrays(arrays, schema=RECORDS))
        self._records, self._size = [], 0

    def finish(self) -> tuple[ExportedFile, ...]:
        """Write what is left and give the files their names."""
        self._write_records()
        for gathered, file in zip(self._facts, self._files, strict=False):
            file.write(gathered.take())
        return tuple(file.finish() for file in self._files)

    def abandon(self) -> None:
        """Leave nothing behind."""
        for file in self._files:
            file.abandon()


def export(
    store: Store,
    folder: Path,
    *,
    from_position: int = 1,
    to_position: int | None = None,
    file_format: str = "parquet",
    progress: Progress | None = None,
) -> Manifest:
    """Write the records from one position to another, their facts by topic, and a manifest into a new folder.

    The bounds must be those of groups of records; without `to_position` all that is durable now. Memory does not grow
    with the journal. If it fails, nothing is left.

    Raises Refused: EXPORT_EXISTS for a folder that holds anything, OUT_OF_RANGE for bounds that are none,
    RECORD_DAMAGED or SEQUENCE_GAP for a damaged journal, EXPORT_FAILED where it cannot be written, EXTRA_MISSING.
    """
    if file_format not in FORMATS:
        raise Refused(Code.UNKNOWN_NAME, "format", file_format, " or ".join(FORMATS))
    groups = stretch(store, from_position, to_position)
    first = next(groups)
    with new_folder(folder):
        try:
            return write_all(store, folder, itertools.chain([first], groups), file_format, progress)
        except OSError as problem:
            raise Refused(Code.EXPORT_FAILED, "out", str(folder), problem.strerror or str(problem)) from problem


def write_all(
    store: Store, folder: Path, groups: Iterator[Group], file_format: str, progress: Progress | None
) -> Manifest:
    """Write groups of records and the manifest into a folder, or leave nothing in it."""
    first = last = next(groups)
    tables = Tables(folder, file_format)
    part = folder / f"{NAME}.part"
    try:
        for last in itertools.chain([first], groups):
            tables.add(last)
            if progress:
                progress(last.decoded.position, last.decoded.last_seq)
        start, header = first.decoded.starts[0], parse(first.entries[0].position, first.entries[0].state).header
        manifest = Manifest(
            FORM, version("shuiquan"), file_format, ledger_id(store), start.position, last.decoded.position,
            start.seq, last.decoded.last_seq, header.previous.hex(), last.decoded.digest.hex(), tables.finish(),
        )  # fmt: skip
        part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        put_in_place(part, folder / NAME)
    except BaseException:
        part.unlink(missing_ok=True)
        tables.abandon()
        raise
    return manifest


def stretch(store: Store, from_position: int, to_position: int | None) -> Iterator[Group]:
    """The groups of records from one position to another. Raises Refused (OUT_OF_RANGE) when these bound no groups."""
    head = store.head()
    last = head.position if head else 0
    end = last if to_position is None else to_position
    if not 1 <= from_position <= end <= last:
        raise Refused(Code.OUT_OF_RANGE, "position", (from_position, end), f"from 1 to {last}")
    before = from_position - 1
    next_seq = last_seq(store, before) + 1
    entries = store.entries(before)
    first = next(store.entries(before))
    if parse(first.position, first.state).header.first_seq != next_seq:
        raise Refused(Code.OUT_OF_RANGE, "from_position", from_position, "a position that begins a group of records")
    digest = store.digest(before) or GENESIS
    for group in whole_groups(entries, before, digest, next_seq):
        if group.decoded.position > end:
            raise Refused(Code.OUT_OF_RANGE, "to_position", end, "a position that ends a group, as facts are told with")
        yield group
        if group.decoded.position == end:
            return


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """A folder that is empty, and is taken away again if what is done in it fails. Raises Refused (EXPORT_EXISTS)."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        holds = next(folder.iterdir(), None)
    except OSError as problem:
        raise Refused(Code.EXPORT_EXISTS, "out", str(folder), problem.strerror or "a new folder") from None
    if holds:
        raise Refused(Code.EXPORT_EXISTS, "out", str(folder), f"a new or empty folder; it holds {holds.name}")
    try:
        yield
    except BaseException:
        if made:
            folder.rmdir()
        raise
